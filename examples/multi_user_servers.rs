//! The program of the guide's page "multi-user servers": one key, and end users who do not see each other's batches.
//! With no account it runs against an embedded gateway. `cargo run --example multi_user_servers`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{env, error::Error};

use lote::{Client, Dialect, UploadPurpose};
use lote_gateway::Gateway;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let gateway = Gateway::builder().start().await?;
    let client = match env::var_os("LOTE_API_KEY") {
        Some(_) => Client::from_env()?,
        None => Client::builder().base_url(gateway.url()).api_key("any").build()?,
    };

    let (ana, ben) = (client.on_behalf_of("user-17")?, client.on_behalf_of("user-18")?);

    let upload = ana.files().upload_reader(&b"{}\n"[..], "of-ana.jsonl", UploadPurpose::Batch);
    let file = upload.send().await?;
    let seen = ben.files().get(&file.id).await;
    assert!(seen.is_err_and(|error| error.is_not_found()));
    println!("{} is a file of ana, and for ben there is no such file", file.id);
    ana.files().delete(&file.id).await?;

    let openai = Client::builder().dialect(Dialect::named("openai")?).api_key("any").build()?;
    if let Err(error) = openai.on_behalf_of("user-17") {
        println!("{error}");
        assert!(error.is_invalid());
    }
    Ok(())
}
