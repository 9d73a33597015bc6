//! The program of the guide's page "moving": what openai-python does step by step, and what is written here instead.
//! With no account it runs against an embedded gateway. `cargo run --example moving`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{env, error::Error, pin::pin};

use futures_util::StreamExt;
use lote::{
    Client, Endpoint, UploadPurpose,
    request::{ChatCompletion, RequestFile},
};
use lote_gateway::Gateway;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let requests = folder.path().join("requests.jsonl");
    let questions = ["1 + 1?", "2 + 2?"];

    let gateway = Gateway::builder().start().await?;
    let client = match env::var_os("LOTE_API_KEY") {
        Some(_) => Client::from_env()?,
        None => Client::builder().base_url(gateway.url()).api_key("any").build()?,
    };

    let mut file = RequestFile::create(&requests)?;
    for (n, text) in questions.iter().enumerate() {
        let request = ChatCompletion::new("gpt-4o-mini");
        file.push(&request.user(*text).line(format!("q-{n}"))?)?;
    }
    file.finish()?;

    let file = client.files().upload(&requests, UploadPurpose::Batch).send().await?;

    let batch = client.batches().create(&file.id, Endpoint::ChatCompletions).metadata("run", "7").send().await?;

    let waited = client.batches().wait(&batch.id).until_over().await;
    let batch = waited.ended()?.completed()?;

    let outcomes = client.batches().outcomes(&batch, &requests);
    for outcome in outcomes.fetch().await? {
        let outcome = outcome?;
        println!("{}: {}", outcome.custom_id(), outcome.text()?);
    }

    let mut batches = pin!(client.batches().list().stream());
    while let Some(batch) = batches.next().await {
        let batch = batch?;
        println!("{} {}", batch.id, batch.status);
    }

    match client.batches().cancel(&batch.id).await {
        Ok(batch) => println!("{}", batch.status),
        Err(error) if error.is_conflict() => println!("it is over"),
        Err(error) => return Err(error.into()),
    }
    Ok(())
}
