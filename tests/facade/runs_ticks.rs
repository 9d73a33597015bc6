//! Tests of what a tick (`submit`) and a run that is to write what it has (`partial`) do while a create is lost: first all
//! that needs no looking for it.

use std::{fs, sync::Arc, time::Duration};

use lote::{
    Cadence, Client,
    run::{Progress, Run, RunError, status},
};
use lote_gateway::{
    Gateway,
    faults::{Effect, Fault, Operation, Refusal},
};
use tokio::sync::Notify;

use crate::runs_common::{FAST, Place, chat, ids, json_lines, passing, standing};

/// A run of two shards: the batch of the first is over, the create of the second was lost and is looked for.
async fn lost() -> (Gateway, Client, Place) {
    let lost = Fault::on(Operation::CreateBatch).nth(2).then(Effect::Status(Refusal::status(502)));
    let (gateway, client) = standing(Some(lost)).await;
    let place = Place::new(&[chat("a", "[[sleep=5000]] x"), chat("b", "y")]);
    let run = place.run(&client, 1).settle_after_loss(Duration::from_secs(600));
    until_it_looks(run, async |run| run.submit().await).await;
    assert_eq!(phases(&place), ["created", "creating"]);
    gateway.advance(Duration::from_secs(60)).await;
    (gateway, client, place)
}

fn again(client: &Client, place: &Place) -> Run {
    let run = Run::open(client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5));
    run.settle_after_loss(Duration::from_secs(600))
}

/// Drives a run until it looks for a lost create, which would take minutes.
async fn until_it_looks<T>(run: Run, drive: impl AsyncFnOnce(Run) -> Result<T, RunError>) {
    let told = Arc::new(Notify::new());
    let looks = Arc::clone(&told);
    let run = run.on_progress(move |progress| {
        if let Progress::Resolving { .. } = progress {
            looks.notify_one();
        }
    });
    tokio::select! {
        ended = drive(run) => panic!("it has ended: {:?}", ended.err()),
        () = told.notified() => {}
    }
}

fn phases(place: &Place) -> Vec<&'static str> {
    status(place.path("requests.run")).expect("a status").shards.iter().map(|shard| shard.phase).collect()
}

#[tokio::test]
async fn a_tick_settles_what_is_over_before_it_looks_for_a_lost_create() {
    let (_gateway, client, place) = lost().await;
    until_it_looks(again(&client, &place), async |run| run.submit().await).await;
    assert_eq!(phases(&place), ["settled", "creating"]);
}

#[tokio::test]
async fn partial_results_are_written_before_a_lost_create_is_looked_for() {
    let (gateway, client, place) = lost().await;
    let out = place.path("out.jsonl");
    for _ in 0..2 {
        let run = again(&client, &place).partial(true).output(&out);
        until_it_looks(run, async |run| run.execute().await).await;
        let lines = json_lines(&out);
        assert_eq!(ids(&lines), ["a", "b"]);
        assert_eq!((&lines[0]["error"], &lines[1]["error"]["code"]), (&serde_json::Value::Null, &"held".into()));
        let own = fs::read(place.path("requests.run/results.jsonl")).expect("results");
        assert_eq!(own, fs::read(&out).expect("results"));
    }
    // Released, all of them are written anew.
    let whole =
        again(&client, &place).partial(true).output(&out).settle_after_loss(FAST).deadline(Duration::from_secs(60));
    let report = passing(&gateway, whole.execute()).await.expect("a report");
    assert!(report.all_succeeded() && json_lines(&out).iter().all(|line| line["error"].is_null()));
}
