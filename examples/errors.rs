//! The program of the guide's page "errors": what can go wrong, and what to do then. An embedded gateway makes it go
//! wrong, whatever LOTE_API_KEY says. `cargo run --example errors`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{error::Error, pin::pin, time::Duration};

use futures_util::StreamExt;
use lote::{
    Batch, BatchId, Client, Endpoint, FileId, OutcomeKind, Retry, UploadPurpose,
    request::{ChatCompletion, RequestFile},
    run::Run,
};
use lote_gateway::{
    Gateway,
    faults::{Effect, Fault, Operation, Refusal},
};

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let requests = folder.path().join("requests.jsonl");
    let gateway = Gateway::builder()
        .journal(true)
        .fault(Fault::on(Operation::ListFiles).calls(1..=2).then(Effect::Status(Refusal::status(503))))
        .fault(Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerLost))
        .start()
        .await?;
    let url = gateway.url();

    let client = Client::builder()
        .base_url(url)
        .api_key("any")
        .retry(Retry::default().retries(5).pauses(Duration::from_millis(50), Duration::from_secs(4)))
        .build()?;
    println!("{} files, after two answers of 503", client.files().list().page().await?.data.len());

    let id = BatchId::new("batch_of_somebody_else")?;
    match client.batches().get(&id).await {
        Ok(batch) => println!("{}", batch.status),
        Err(error) if error.is_not_found() => println!("the id is wrong, or it is somebody else's: {error}"),
        Err(error) if error.is_transient() => println!("ask again after {:?}: {error}", error.retry_after()),
        Err(error) => return Err(error.into()),
    }

    let mut file = RequestFile::create(&requests)?;
    file.push(&ChatCompletion::new("auto").user("1 + 1?").line("good")?)?;
    file.push(&ChatCompletion::new("auto").user("[[status=400]] 1 + 1?").line("bad")?)?;
    file.finish()?;
    let input = client.files().upload(&requests, UploadPurpose::Batch).send().await?;
    let batch = create_once(&client, &input.id, "7").await?;
    println!("{} is {}", batch.id, batch.status);
    let created = gateway.journal().iter().filter(|entry| is_create(&entry.event)).count();
    assert_eq!(created, 1);

    let report = Run::new(&client, &requests).execute().await?;
    let mut again = RequestFile::create(folder.path().join("again.jsonl"))?;
    for outcome in report.outcomes()? {
        let outcome = outcome?;
        match outcome.kind() {
            OutcomeKind::Succeeded => println!("{}", outcome.text()?),
            OutcomeKind::Failed => println!("{}: {:?}", outcome.custom_id(), outcome.error_message()),
            // No answer that can be read: worth asking again.
            OutcomeKind::Expired | OutcomeKind::Cancelled | OutcomeKind::Unreadable | OutcomeKind::Missing => {
                again.push(&ChatCompletion::new("auto").user("1 + 1?").line(outcome.custom_id())?)?;
            }
        }
    }
    assert_eq!((report.joined.succeeded, report.joined.failed, again.written().lines), (1, 1, 0));
    Ok(())
}

/// One batch, even when the answer to its create is lost.
async fn create_once(client: &Client, input: &FileId, run: &str) -> Result<Batch, lote::Error> {
    match client.batches().create(input, Endpoint::ChatCompletions).metadata("run", run).send().await {
        Err(error) if error.is_ambiguous() => {
            // The batch may exist: look for what it was marked with before making another.
            let mut batches = pin!(client.batches().list().stream());
            while let Some(batch) = batches.next().await {
                let batch = batch?;
                if batch.metadata.get("run").is_some_and(|found| found == run) {
                    return Ok(batch);
                }
            }
            Err(error)
        }
        created => created,
    }
}

fn is_create(event: &lote_gateway::Event) -> bool {
    matches!(event, lote_gateway::Event::BatchCreated { .. })
}
