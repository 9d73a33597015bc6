//! The program of the guide's page "tables": from rows to a table with the answers beside them, without the command.
//! It runs against an embedded gateway, whatever LOTE_API_KEY says. `cargo run --example tables`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::error::Error;

use lote::{
    Client,
    request::{ChatCompletion, RequestFile},
    run::Run,
};
use lote_gateway::Gateway;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let requests = place.path().join("requests.jsonl");
    let gateway = Gateway::builder().start().await?;
    let client = Client::builder().base_url(gateway.url()).api_key("any").build()?;

    let tickets = [("T1", "I was charged twice"), ("T2", "I cannot log in"), ("T3", "Great service!")];
    let mut file = RequestFile::create(&requests)?;
    for (id, text) in tickets {
        file.push(&ChatCompletion::new("auto").user(text).line(id)?)?;
    }
    file.finish()?;
    let report = Run::new(&client, &requests).execute().await?;

    // Results come in the order of the requests, one for each.
    let mut rows = Vec::new();
    for ((id, text), outcome) in tickets.into_iter().zip(report.outcomes()?) {
        let outcome = outcome?;
        assert_eq!(outcome.custom_id(), id);
        let answer = outcome.text().unwrap_or_else(|error| error.to_string());
        rows.push(format!("{id}\t{text}\t{}\t{answer:?}", outcome.kind()));
    }
    println!("{}", rows.join("\n"));

    assert_eq!(rows.len(), 3);
    assert!(rows[2].starts_with("T3\tGreat service!\tsucceeded\t"));
    Ok(())
}
