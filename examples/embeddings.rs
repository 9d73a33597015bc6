//! The program of the guide's page "embeddings": vectors for texts, and a batch made step by step.
//! With no account it runs against an embedded gateway. `cargo run --example embeddings`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{env, error::Error};

use lote::{
    Client, Endpoint, UploadPurpose,
    request::{CustomId, Embeddings, EncodingFormat, RequestFile},
};
use lote_gateway::Gateway;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let requests = folder.path().join("requests.jsonl");

    let gateway = Gateway::builder().start().await?;
    let client = match env::var_os("LOTE_API_KEY") {
        Some(_) => Client::from_env()?,
        None => Client::builder().base_url(gateway.url()).api_key("any").build()?,
    };
    let documents = [("docs/a b.txt", ["the first text", "the second text"]), ("docs/c.txt", ["a third", "a fourth"])];

    let embed = Embeddings::new("text-embedding-3-small").dimensions(256).encoding_format(EncodingFormat::Base64);
    let mut file = RequestFile::create(&requests)?.portable_ids();
    for (path, chunks) in documents {
        file.push(&embed.clone().input(chunks).line(CustomId::from_key(path))?)?;
    }
    file.finish()?;

    let input = client.files().upload(&requests, UploadPurpose::Batch).send().await?;
    let batch = client.batches().create(&input.id, Endpoint::Embeddings).send().await?;
    let batch = client.batches().wait(&batch.id).until_over().await.ended()?.completed()?;

    let mut vectors = Vec::new();
    for outcome in client.batches().outcomes(&batch, &requests).fetch().await? {
        let outcome = outcome?;
        for vector in outcome.embeddings()? {
            println!("{}: {} numbers", outcome.custom_id(), vector.len());
            vectors.push(vector);
        }
    }
    assert_eq!(vectors.iter().map(Vec::len).collect::<Vec<_>>(), [256; 4]);
    Ok(())
}
