//! The program of the guide's page "testing your pipeline": tests against a gateway that misbehaves when it is told to.
//! It needs no account. `cargo run --example testing`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{
    error::Error,
    path::{Path, PathBuf},
    time::Duration,
};

use lote::{
    Client, Endpoint, OutcomeKind, Retry, Status, UploadPurpose,
    request::{ChatCompletion, RequestFile},
    run::{Run, RunError},
};
use lote_gateway::{
    Event, Gateway,
    faults::{Effect, Fault, Lag, Operation, Refusal},
};

/// The pipeline under test: how many request lines have succeeded.
async fn pipeline(client: &Client, requests: &Path) -> Result<u64, RunError> {
    let report = Run::new(client, requests).execute().await?;
    Ok(report.joined.succeeded)
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    it_gives_every_line_its_answer().await?;
    a_lost_answer_makes_no_second_batch().await?;
    it_survives_a_bad_hour().await?;
    what_expires_is_told().await?;
    println!("all of them passed");
    Ok(())
}

async fn it_gives_every_line_its_answer() -> Result<(), Box<dyn Error>> {
    let gateway = Gateway::builder().start().await?;
    let client = Client::builder().base_url(gateway.url()).api_key("any").build()?;
    let folder = tempfile::tempdir()?;
    let requests = requests(folder.path(), &["1 + 1?", "2 + 2?", "[[status=400]] 3 + 3?"])?;

    assert_eq!(pipeline(&client, &requests).await?, 2);
    Ok(())
}

async fn a_lost_answer_makes_no_second_batch() -> Result<(), Box<dyn Error>> {
    let gateway = Gateway::builder()
        .journal(true)
        .fault(Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerLost))
        .start()
        .await?;
    let client = Client::builder().base_url(gateway.url()).api_key("any").build()?;
    let folder = tempfile::tempdir()?;
    let requests = requests(folder.path(), &["1 + 1?"])?;

    // The run finds its batch in the list.
    assert_eq!(pipeline(&client, &requests).await?, 1);
    let journal = gateway.journal();
    let created = journal.iter().filter(|entry| matches!(entry.event, Event::BatchCreated { .. }));
    assert_eq!(created.count(), 1);
    Ok(())
}

async fn it_survives_a_bad_hour() -> Result<(), Box<dyn Error>> {
    let gateway = Gateway::builder()
        .seed(7)
        .fault(Fault::on(Operation::CreateBatch).nth(1).then(Effect::NotFound(Lag::Looks(2))))
        .fault(Fault::on(Operation::GetBatch).calls(3..=4).then(Effect::Status(Refusal::status(429))))
        .fault(Fault::on(Operation::OutputFile).then(Effect::ShuffledLines))
        .start()
        .await?;
    let client = Client::builder().base_url(gateway.url()).api_key("any").retry(Retry::none()).build()?;
    let folder = tempfile::tempdir()?;
    let requests = requests(folder.path(), &["1 + 1?", "2 + 2?"])?;

    assert_eq!(pipeline(&client, &requests).await?, 2);
    Ok(())
}

async fn what_expires_is_told() -> Result<(), Box<dyn Error>> {
    let gateway = Gateway::builder().virtual_clock().start().await?;
    let client = Client::builder().base_url(gateway.url()).api_key("any").build()?;
    let folder = tempfile::tempdir()?;
    let requests = requests(folder.path(), &["1 + 1?", "[[sleep=86400000]] 2 + 2?"])?;

    let input = client.files().upload(&requests, UploadPurpose::Batch).send().await?;
    let batch = client.batches().create(&input.id, Endpoint::ChatCompletions).send().await?;
    gateway.advance(Duration::from_secs(25 * 60 * 60)).await;
    let batch = client.batches().wait(&batch.id).until_over().await.ended()?;
    assert_eq!(batch.status, Status::Expired);
    let outcomes = client.batches().outcomes(&batch, &requests).fetch().await?;
    let kinds: Vec<_> = outcomes.map(|outcome| Ok(outcome?.kind())).collect::<Result<_, lote::Error>>()?;
    assert_eq!(kinds, [OutcomeKind::Succeeded, OutcomeKind::Expired]);
    Ok(())
}

/// A file of request lines.
fn requests(folder: &Path, questions: &[&str]) -> Result<PathBuf, lote::Error> {
    let path = folder.join("requests.jsonl");
    let mut file = RequestFile::create(&path)?;
    for (number, question) in questions.iter().enumerate() {
        file.push(&ChatCompletion::new("auto").user(*question).line(format!("question-{number}"))?)?;
    }
    file.finish()?;
    Ok(path)
}
