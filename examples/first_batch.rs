//! The program of the guide's page "first batch": from texts to answers by way of a file of request lines.
//! With no account it runs against an embedded gateway. `cargo run --example first_batch`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{env, error::Error};

use lote::{
    Client,
    request::{ChatCompletion, RequestFile, RequestLines},
    run::Run,
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

    let reviews = [("review-1", "Great!"), ("review-2", "Never again.")];

    let judge = RequestLines::new(ChatCompletion::new("auto").system("Is the review good? Answer yes or no."));
    let mut file = RequestFile::create(&requests)?;
    for line in judge.for_rows(reviews) {
        file.push(&line?)?;
    }
    file.finish()?;

    let report = Run::new(&client, &requests).execute().await?;
    println!("{} of {} succeeded", report.joined.succeeded, report.joined.lines);

    for outcome in report.outcomes()? {
        let outcome = outcome?;
        match outcome.text() {
            Ok(text) => println!("{}: {text}", outcome.custom_id()),
            Err(error) => println!("{error}"),
        }
    }
    assert!(report.all_succeeded());
    Ok(())
}
