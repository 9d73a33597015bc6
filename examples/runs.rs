//! The program of the guide's page "runs": work that survives its process, and what to do when it ends early.
//! It runs against an embedded gateway, whatever LOTE_API_KEY says. `cargo run --example runs`

#![expect(clippy::print_stdout, reason = "printing is what an example does")]

use std::{error::Error, pin::pin};

use futures_util::StreamExt;
use lote::{
    Client,
    lines::Limits,
    request::{ChatCompletion, RequestFile},
    run::{self, Clean, Repair, Report, Run, RunError, RunEvent},
};
use lote_gateway::Gateway;

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let place = tempfile::tempdir()?;
    let requests = place.path().join("requests.jsonl");
    let (later, stopped) = (place.path().join("later.run"), place.path().join("stopped.run"));
    let watched = place.path().join("watched.run");
    let gateway = Gateway::builder().start().await?;
    let client = Client::builder().base_url(gateway.url()).api_key("any").build()?;

    let mut file = RequestFile::create(&requests)?;
    for (id, prompt) in [("a", "[[sleep=500]] 1 + 1?"), ("b", "2 + 2?"), ("c", "3 + 3?")] {
        file.push(&ChatCompletion::new("auto").user(prompt).line(id)?)?;
    }
    file.finish()?;

    let report = Run::new(&client, &requests).execute().await?;
    println!("{} of {} succeeded", report.joined.succeeded, report.joined.lines);
    println!("the results are in {}", report.results.display());

    // The same again: it is finished, so nothing is asked of the service.
    let again = Run::new(&client, &requests).execute().await?;
    assert_eq!(again.run, report.run);

    let limits = Limits { max_lines: 2, ..client.dialect().limits() };
    let submitted = Run::new(&client, &requests).folder(&later).limits(limits).submit().await?;
    println!("{} batches at work, {} shards not sent yet", submitted.open(), submitted.to_submit());

    let status = run::status(&later)?;
    println!("{:?}: {} of {} lines have ended", status.phase, status.ended, status.lines);
    for shard in &status.shards {
        println!("shard {}: {}, batch {:?}", shard.shard, shard.phase, shard.batch);
    }

    let report = Run::open(&client, &later).execute().await?;
    println!("{} batches", report.batches.len());
    assert_eq!((report.batches.len(), report.joined.succeeded), (2, 3));

    let mut events = pin!(Run::new(&client, &requests).folder(&watched).limits(limits).into_stream());
    while let Some(event) = events.next().await {
        match event {
            RunEvent::Waiting(batch) => println!("{}: {:?}", batch.status, batch.request_counts),
            RunEvent::Settled { shard, joined } => {
                println!("shard {shard}: {} of {} succeeded", joined.succeeded, joined.lines);
                for outcome in run::outcomes(&watched)?.of_shard(shard)? {
                    let outcome = outcome?;
                    println!("{}: {}", outcome.custom_id(), outcome.text()?);
                }
            }
            RunEvent::Over(ended) => println!("the results are in {}", ended?.results.display()),
            _ => {}
        }
    }

    let outcomes = run::outcomes(&watched)?;
    println!("{} of {} lines have no outcome yet", outcomes.undecided(), outcomes.lines());
    for outcome in outcomes {
        println!("{:?}", outcome?.kind());
    }

    // A batch at a time, so that there is something to cancel.
    Run::new(&client, &requests).folder(&stopped).limits(limits).max_open(1).submit().await?;
    if let Some(report) = Run::open(&client, &stopped).cancel().await? {
        println!("{} succeeded, {} were cancelled", report.joined.succeeded, report.joined.cancelled);
    }

    let report = Run::open(&client, &stopped).repair(Repair::new()).await?;
    println!("{} of {} succeeded", report.joined.succeeded, report.joined.lines);
    assert_eq!(report.joined.succeeded, 3);

    let history = run::history(&later)?;
    println!("begun {}, with lote {}", history.begun_at, history.lote);
    for shard in &history.shards {
        println!(
            "{} lines for {}: {:?} to {:?}",
            shard.plan.lines, shard.plan.endpoint, shard.created_at, shard.over_at
        );
    }
    assert!(history.finished_at.is_some() && history.shards.len() == 2);

    // From the folder goes what can be made again: never answers, results or the log.
    let cleaned = run::clean(&stopped, Clean::new())?;
    println!("{} bytes freed in {}", cleaned.bytes, cleaned.folder.display());

    // At the service goes what the run has put there, by the ids in its folder.
    let remote = Run::open(&client, &stopped).delete_remote(Clean::new()).await?;
    for file in remote.kept() {
        println!("{} is still there: {:?}", file.id, file.why);
    }
    assert!(remote.is_whole() && !remote.files.is_empty());

    assert!(to_the_end(Run::open(&client, &stopped)).await?.is_some());
    Ok(())
}

/// What came of a run, or none when it is to be gone on with later.
async fn to_the_end(run: Run) -> Result<Option<Report>, RunError> {
    match run.execute().await {
        Ok(report) => Ok(Some(report)),
        Err(error) if error.is_input() => {
            for finding in error.findings().iter().flat_map(|source| &source.findings) {
                println!("{finding}");
            }
            Err(error)
        }
        // The batches go on at the service, and so does their price: the same run fetches them.
        Err(error) if error.gave_up() || error.is_unfetched() => {
            println!("{error}");
            Ok(None)
        }
        // Nobody but you can find out: see "held" below.
        Err(error) if error.is_held() => {
            for (shard, why) in error.held() {
                println!("shard {shard}: {why}");
            }
            Ok(None)
        }
        Err(error) => Err(error),
    }
}
