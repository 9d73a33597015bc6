//! Owns the tests of what was fetched: it is joined without the service, as long as it is as it was written.

use std::{fs, sync::Arc, time::Duration};

use lote::{
    Client, Tolerance,
    run::{Progress, Run, status},
};
use lote_gateway::{
    Gateway,
    faults::{Effect, Fault, Operation, Refusal},
};

use crate::runs_common::{FAST, Place, chat, embedding, gateway_with, ids, paid};

/// A run whose process ended after all files were fetched, before anything was joined; one of them is an error file.
async fn fetched() -> (Place, Gateway, Client) {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), embedding("b"), chat("c", "[[status=400]]"), embedding("d")]);
    let path = place.path("requests.run");
    let all = Arc::new(tokio::sync::Notify::new());
    let seen = Arc::clone(&all);
    let run = place.run(&client, 50).max_open(1).on_progress(move |progress| {
        // One after the other: the second is created when the first is over, and fetched when that is settled.
        let over = |phase: &str| matches!(phase, "fetched" | "settled");
        if matches!(progress, Progress::Joining)
            && status(&path).is_ok_and(|run| run.shards.iter().all(|shard| over(shard.phase)))
        {
            seen.notify_one();
        }
    });
    tokio::select! {
        biased;
        () = all.notified() => {}
        ended = run.execute() => panic!("it went on to its end: {ended:?}"),
    }
    assert_eq!(paid(&gateway).0, 2);
    (place, gateway, client)
}

fn open(place: &Place, client: &Client) -> Run {
    // A service that is gone is not asked for long.
    let tolerance = Tolerance::default().lasting(Duration::from_millis(50));
    Run::open(client, place.path("requests.run")).tolerance(tolerance).cadence(lote::Cadence::new(FAST, FAST))
}

#[tokio::test]
async fn what_was_fetched_is_joined_without_the_service() {
    let (place, gateway, client) = fetched().await;
    gateway.shutdown().await;
    let shards = status(place.path("requests.run")).expect("a run").shards;
    assert_eq!(shards.iter().map(|shard| shard.phase).collect::<Vec<_>>(), ["settled", "fetched"]);
    // Also what was joined and is lost.
    let run = place.path("requests.run");
    fs::remove_file(run.join("shards/0001/results.jsonl")).expect("removed");
    let (shard, whole) = ("shards/0001/summary.json", "summary.json");
    for (name, text) in [(shard, Some("{\"batch\":")), (shard, None), (whole, Some("{\"run\":")), (whole, None)] {
        match text {
            Some(text) => fs::write(run.join(name), text).expect("damaged"),
            None => fs::remove_file(run.join(name)).expect("removed"),
        }
        // A run that was finished is put together again.
        let _ = fs::remove_file(run.join("results.jsonl"));
        let ended = open(&place, &client).execute().await;
        let report = ended.unwrap_or_else(|error| panic!("{name} {text:?}: {error}"));
        assert_eq!((report.joined.succeeded, report.joined.failed), (3, 1));
        assert_eq!(ids(&place.results()), ["a", "b", "c", "d"]);
        assert_eq!(report.batches.len(), 2);
    }
    // That alone is reason enough.
    fs::write(run.join(whole), "{").expect("damaged");
    assert_eq!(open(&place, &client).execute().await.expect("nothing is asked").joined.succeeded, 3);
}

#[tokio::test]
async fn what_is_not_as_it_was_fetched_is_fetched_again() {
    for (name, damage) in [
        ("0002/output.jsonl", Some("{}\n")),
        ("0002/output.jsonl", None),
        ("0002/batch.json", Some("{}")),
        ("0002/batch.json", None),
    ] {
        let (place, gateway, client) = fetched().await;
        let path = place.path("requests.run/shards").join(name);
        match damage {
            Some(text) => fs::write(&path, text).expect("damaged"),
            None => fs::remove_file(&path).expect("removed"),
        }
        let report = open(&place, &client).execute().await.unwrap_or_else(|error| panic!("{name} {damage:?}: {error}"));
        assert_eq!((report.joined.succeeded, report.joined.failed), (3, 1), "{name} {damage:?}");
        assert_eq!(paid(&gateway).0, 2);
    }
    // The log says so, and the folder can be read ever after.
    let (place, gateway, client) = fetched().await;
    let output = place.path("requests.run/shards/0002/output.jsonl");
    fs::remove_file(&output).expect("removed");
    gateway.shutdown().await;
    for _ in 0..2 {
        let error = open(&place, &client).execute().await.expect_err("the service is gone");
        assert!(error.is_unfetched(), "{error}");
        let shards = status(place.path("requests.run")).expect("a run").shards;
        assert_eq!(shards.iter().map(|shard| shard.phase).collect::<Vec<_>>(), ["settled", "over"]);
    }
}

/// A file of lines that was deleted at the service, or has expired, is uploaded again, and the run does not end with the
/// same refusal each time.
#[tokio::test]
async fn lines_that_the_service_has_lost_are_uploaded_again() {
    let refused = Fault::on(Operation::CreateBatch).nth(1).then(Effect::Status(Refusal::status(400)));
    let (gateway, client) = gateway_with(Some(refused)).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "y")]);
    let run = || place.run(&client, 50);
    let error = run().execute().await.expect_err("it is refused");
    assert!(error.is_refused(), "{error}");
    let files = || async { client.files().list().page().await.expect("a page").data };
    let [file] = files().await.try_into().expect("one file");
    client.files().delete(&file.id).await.expect("deleted");
    let report = run().execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, paid(&gateway).0), (2, 1));
    assert!(files().await.iter().all(|found| found.id != file.id));
}
