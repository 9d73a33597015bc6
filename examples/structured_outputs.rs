//! The program of the guide's page "structured outputs": answers that are JSON of a Rust type.
//! With no account it runs against an embedded gateway. `cargo run --example structured_outputs`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{env, error::Error};

use lote::{
    Client,
    request::{ChatCompletion, ModelResponse, RequestFile, RequestLines},
    run::Run,
};
use lote_gateway::Gateway;
use schemars::JsonSchema;
use serde::Deserialize;

#[derive(Deserialize, JsonSchema)]
struct Verdict {
    good: bool,
    /// One sentence, in the language of the review.
    why: Option<String>,
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let requests = folder.path().join("requests.jsonl");

    let gateway = Gateway::builder().start().await?;
    let client = match env::var_os("LOTE_API_KEY") {
        Some(_) => Client::from_env()?,
        None => Client::builder().base_url(gateway.url()).api_key("any").build()?,
    };

    let judge = ChatCompletion::new("auto").system("Judge the review.").json_output::<Verdict>();
    let mut file = RequestFile::create(&requests)?;
    for line in RequestLines::new(judge).for_rows([("review-1", "Great!"), ("review-2", "Never again.")]) {
        file.push(&line?)?;
    }
    file.finish()?;

    let report = Run::new(&client, &requests).execute().await?;
    let (mut verdicts, mut cut_off) = (Vec::new(), Vec::new());
    for outcome in report.outcomes()? {
        match outcome?.json::<Verdict>() {
            Ok(verdict) => verdicts.push(verdict),
            Err(error) if error.is_cut_off() => cut_off.push(error.into_outcome()),
            Err(error) => println!("{error}, paid for with {:?}", error.usage()),
        }
    }
    for Verdict { good, why } in &verdicts {
        println!("good: {good}, because: {why:?}");
    }
    assert_eq!((verdicts.len(), cut_off.len()), (2, 0));

    let line = ModelResponse::new("auto").user("Great!").json_output::<Verdict>().line("review-1")?;
    assert_eq!(line.body["text"]["format"]["name"], "Verdict");

    let refused = ChatCompletion::new("auto").user("Great!").json_output::<Vec<Verdict>>().line("review-1");
    assert!(refused.is_err_and(|error| error.is_invalid()));
    Ok(())
}
