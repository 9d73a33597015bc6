//! Owns the tests of batches that were made a second time of the same lines: they are stopped and told, and what they have
//! finished is among the results.

use std::{collections::BTreeMap, fs, path::PathBuf, sync::Arc, time::Duration};

use futures_util::TryStreamExt;
use lote::{
    Batch, BatchId, Cadence, Client, UploadPurpose, Waited,
    run::{Progress, Run, status},
};
use lote_gateway::{
    Builder, Event, Gateway,
    faults::{Effect, Fault, Lag, Operation, Refusal},
};

use crate::runs_common::{FAST, Place, chat, happened, ids, json_lines, paid, passing};

async fn gateway(faults: impl IntoIterator<Item = Fault>) -> (Gateway, Client) {
    built(Gateway::builder(), faults).await
}

/// One whose batches end when the test lets time pass.
async fn standing(faults: impl IntoIterator<Item = Fault>) -> (Gateway, Client) {
    built(Gateway::builder().virtual_clock(), faults).await
}

async fn built(builder: Builder, faults: impl IntoIterator<Item = Fault>) -> (Gateway, Client) {
    let builder = faults.into_iter().fold(builder.journal(true), |builder, fault| builder.fault(fault));
    let gateway = builder.start().await.expect("it starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    (gateway, client)
}

/// Runs until a step, and no further.
pub(crate) async fn until(run: Run, step: impl Fn(&Progress<'_>) -> bool + Send + Sync + 'static) {
    let stop = Arc::new(tokio::sync::Notify::new());
    let seen = Arc::clone(&stop);
    let run = run.on_progress(move |progress| {
        if step(&progress) {
            seen.notify_one();
        }
    });
    tokio::select! {
        biased;
        () = stop.notified() => {}
        ended = run.execute() => panic!("it went on to its end: {ended:?}"),
    }
}

async fn listed(client: &Client) -> Vec<Batch> {
    client.batches().list().stream().try_collect().await.expect("a list")
}

/// Makes one more batch of the lines of a shard, as a create would that takes effect late.
async fn make(client: &Client, requests: PathBuf, metadata: BTreeMap<String, String>) -> BatchId {
    let file = client.files().upload(requests, UploadPurpose::Batch).send().await.expect("a file");
    let create = client.batches().create(&file.id, "/v1/chat/completions");
    let create = metadata.into_iter().fold(create, |create, (key, value)| create.metadata(key, value));
    create.send().await.expect("a batch").id
}

#[tokio::test]
async fn what_a_second_batch_has_finished_is_among_the_results() {
    // The answer to the create is lost, and of the two batches over the same lines each has lost another line.
    let faults = [
        Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerLost),
        Fault::on(Operation::OutputFile).nth(1).then(Effect::MissingLines { lines: 1 }),
    ];
    let (gateway, client) = gateway(faults).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "x"), chat("c", "[[status=400]]"), chat("d", "x")]);
    until(place.run(&client, 50), |progress| matches!(progress, Progress::Resolving { .. })).await;
    let first = listed(&client).await.pop().expect("the lost batch");
    let metadata = first.metadata.clone().into_iter().collect();
    let second = make(&client, place.path("requests.run/shards/0001/requests.jsonl"), metadata).await;
    // What is not over when it is seen would be cancelled: here both have finished all that they finish.
    for id in [&first.id, &second] {
        assert!(matches!(client.batches().wait(id).until_over().await, Waited::Ended(_)));
    }
    let report = place.run(&client, 50).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.failed, report.joined.missing), (3, 1, 0), "{report:?}");
    assert_eq!(ids(&place.results()), ["a", "b", "c", "d"]);
    let [surplus] = report.surplus.as_slice() else { panic!("{report:?}") };
    assert!(surplus.id != report.batches[0].id && [&first.id, &second].contains(&&surplus.id), "{report:?}");
    assert_eq!((surplus.shard, surplus.status.as_str()), (1, "completed"));
    // Its tokens are told apart: those of the report are those of the results.
    assert!(surplus.answers >= 3 && surplus.usage.total_tokens > 0, "{surplus:?}");
    let usage = json_lines(&report.results)
        .iter()
        .filter_map(|line| line["response"]["body"]["usage"]["total_tokens"].as_u64())
        .sum::<u64>();
    assert_eq!(report.joined.usage.total_tokens, usage);
    assert_eq!(paid(&gateway).0, 2);
    // Also from outside, once it is over.
    let told = status(place.path("requests.run")).expect("its status");
    assert_eq!(
        (told.shards[0].surplus.as_slice(), told.surplus.len()),
        ([surplus.id.clone()].as_slice(), 0),
        "{told:?}"
    );
    // The same run says the same.
    let same = place.run(&client, 50).execute().await.expect("the same");
    assert_eq!((same.surplus, same.joined), (report.surplus, report.joined));
    assert_eq!(paid(&gateway).0, 2);
}

#[tokio::test]
async fn a_second_batch_that_is_at_work_is_stopped_and_holds_up_no_other_shard() {
    let lost = Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerLost);
    let (gateway, client) = standing([lost]).await;
    let slow = |id: &str| chat(id, "[[sleep=1500]]");
    let place = Place::new(&[slow("a"), slow("b"), chat("c", "x"), chat("d", "x")]);
    until(place.run(&client, 2), |progress| matches!(progress, Progress::Resolving { .. })).await;
    let first = listed(&client).await.pop().expect("the lost batch");
    let metadata = first.metadata.clone().into_iter().collect();
    make(&client, place.path("requests.run/shards/0001/requests.jsonl"), metadata).await;
    let stopped = async {
        happened(&gateway, 1, |event| matches!(event, Event::BatchCancelled { .. })).await;
        passing(&gateway, std::future::pending::<()>()).await;
    };
    let report = tokio::select! {
        report = place.run(&client, 2).execute() => report.expect("a report"),
        () = stopped => unreachable!("time does not end"),
    };
    assert!(report.all_succeeded(), "{report:?}");
    let [surplus] = report.surplus.as_slice() else { panic!("{report:?}") };
    assert_eq!((surplus.shard, surplus.status.as_str(), surplus.answers), (1, "cancelled", 0));
    assert_eq!(paid(&gateway).0, 3);
    // The log has it before it was cancelled, and settles it after the other shards.
    let log = fs::read_to_string(place.path("requests.run/log.jsonl")).expect("the log");
    let at = |event: &str| log.find(event).unwrap_or_else(|| panic!("no {event} in {log}"));
    assert!(at("\"surplus\"") < at("\"adopted\":true") && log.rfind("\"settled\"") < Some(at("\"surplus_settled\"")));
    // Whatever was the last step that was written down, it ends the same.
    let frames: Vec<&str> = log.split_inclusive('\n').collect();
    for kept in 0..frames.len() {
        fs::write(place.path("requests.run/log.jsonl"), frames[..kept].concat()).expect("cut");
        let again = place.run(&client, 2).execute().await.unwrap_or_else(|error| panic!("{kept}: {error}"));
        assert_eq!((again.joined.succeeded, again.surplus.len()), (4, 1), "{kept}");
        assert_eq!(paid(&gateway).0, 3, "{kept}");
    }
}

#[tokio::test]
async fn a_batch_of_a_shard_that_was_halved_since_is_surplus() {
    let faults = [
        Fault::on(Operation::CreateBatch).nth(1).then(Effect::Status(Refusal::status(413))),
        // The first two result files are those of the halves.
        Fault::on(Operation::OutputFile).calls(2..=3).then(Effect::MissingLines { lines: 1 }),
    ];
    let (gateway, client) = gateway(faults).await;
    let place = Place::new(&(0..6).map(|at| chat(&format!("{at}"), "x")).collect::<Vec<_>>());
    until(place.run(&client, 50), |progress| matches!(progress, Progress::Halved { .. })).await;
    // The refused create takes effect all the same, later.
    let log = fs::read_to_string(place.path("requests.run/log.jsonl")).expect("the log");
    let run = status(place.path("requests.run")).expect("a run").run;
    let whole: serde_json::Value =
        serde_json::from_slice(&fs::read(place.path("requests.run/run.json")).expect("a record")).expect("JSON");
    assert!(log.contains("\"halved\""), "{log}");
    let metadata = [
        ("lote_run", run.as_str()),
        ("lote_shard", "1"),
        ("lote_sha256", whole["shards"][0]["sha256"].as_str().expect("a hash")),
    ];
    let metadata = metadata.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let late = make(&client, place.path("requests.run/shards/0001/requests.jsonl"), metadata).await;
    assert!(matches!(client.batches().wait(&late).until_over().await, Waited::Ended(_)));
    let report = place.run(&client, 50).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.missing), (6, 0), "{report:?}");
    assert_eq!(ids(&place.results()), ["0", "1", "2", "3", "4", "5"]);
    let [surplus] = report.surplus.as_slice() else { panic!("{report:?}") };
    assert_eq!((surplus.shard, &surplus.id, surplus.answers), (1, &late, 6));
    assert_eq!((report.batches.len(), paid(&gateway).0), (2, 3));
}

#[tokio::test]
async fn a_create_that_takes_effect_after_its_proof_of_absence_is_told_at_the_end() {
    let late = |effect| Fault::on(Operation::CreateBatch).nth(2).then(effect);
    let hidden = Effect::Unlisted(Lag::Time(Duration::from_millis(500)));
    let (gateway, client) = standing([late(Effect::AnswerLost), late(hidden)]).await;
    // The first batch shows that the list shows batches; the second is not shown until it is taken for none.
    let place = Place::new(&[chat("a", "x"), chat("b", "[[sleep=1200]]")]);
    let made_again = async {
        happened(&gateway, 3, |event| matches!(event, Event::BatchCreated { .. })).await;
        gateway.advance(Duration::from_millis(1_200)).await;
        std::future::pending::<()>().await;
    };
    let report = tokio::select! {
        report = place.run(&client, 1).execute() => report.expect("a report"),
        () = made_again => unreachable!("it waits for the run"),
    };
    assert!(report.all_succeeded(), "{report:?}");
    let log = fs::read_to_string(place.path("requests.run/log.jsonl")).expect("the log");
    assert!(log.contains("\"no_batch\""), "{log}");
    let [surplus] = report.surplus.as_slice() else { panic!("{report:?}") };
    assert_eq!((surplus.shard, paid(&gateway).0), (2, 3));
    assert!(report.batches.iter().all(|batch| batch.id != surplus.id));
}

/// A refusal that was none, at a service whose list lags. The run looks for its batch when it is opened again, finds none,
/// and makes another; what it was told then is not the last word.
#[tokio::test]
async fn a_refused_create_that_took_effect_and_is_listed_late_is_told_at_the_end() {
    let hour = Duration::from_secs(60 * 60);
    let second = |effect| Fault::on(Operation::CreateBatch).nth(2).then(effect);
    let refused = Effect::AnswerReplaced(Refusal::status(400));
    let (gateway, client) = standing([second(refused), second(Effect::Unlisted(Lag::Time(hour)))]).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "y")]);
    assert!(place.run(&client, 1).execute().await.expect_err("refused").is_held());
    until(place.run(&client, 1), |progress| matches!(progress, Progress::Created(_))).await;
    gateway.advance(hour).await;
    let report = place.run(&client, 1).execute().await.expect("a report");
    assert!(report.all_succeeded(), "{report:?}");
    let [surplus] = report.surplus.as_slice() else { panic!("{report:?}") };
    assert_eq!((surplus.shard, surplus.answers, paid(&gateway).0), (2, 1, 3));
}

/// The run is cancelled while one of its creates is lost, and the list shows that batch when all else has ended.
#[tokio::test]
async fn a_lost_create_that_takes_effect_in_a_cancelled_run_is_stopped_as_well() {
    let second = |effect| Fault::on(Operation::CreateBatch).nth(2).then(effect);
    let minute = Duration::from_secs(60);
    let (gateway, client) = standing([second(Effect::AnswerLost), second(Effect::Unlisted(Lag::Time(minute)))]).await;
    let place = Place::new(&["a", "b"].map(|id| chat(id, "[[sleep=80000000]]")));
    until(place.run(&client, 1), |progress| matches!(progress, Progress::Resolving { .. })).await;
    let run = Run::open(&client, place.path("requests.run")).settle_after_loss(FAST * 5);
    let cancel = run.cadence(Cadence::new(FAST, FAST * 5)).cancel();
    let given_up = async {
        while status(place.path("requests.run")).expect("a run").shards[1].phase != "cancelled" {
            tokio::time::sleep(FAST).await;
        }
        gateway.advance(minute).await;
        passing(&gateway, std::future::pending::<()>()).await;
    };
    let report = tokio::select! {
        report = cancel => report.expect("cancelled").expect("nobody else is at work"),
        () = given_up => unreachable!("time does not end"),
    };
    assert_eq!((report.batches.len(), report.surplus.len(), report.joined.cancelled), (2, 0, 2), "{report:?}");
    let stopped = gateway.journal().iter().filter(|entry| matches!(entry.event, Event::BatchCancelled { .. })).count();
    assert_eq!((stopped, paid(&gateway).0), (2, 2));
}
