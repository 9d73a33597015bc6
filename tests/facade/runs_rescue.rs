//! Tests of runs that are rescued: batches whose windows end soon are stopped, waited for and fetched, and what they leave is
//! sent one by one, and not before.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use lote::{
    Cadence, Client, Dialect, Tolerance,
    run::{Progress, Report, Run, status},
};
use lote_gateway::{
    Event, Gateway,
    faults::{Effect, Fault, Operation},
};
use serde_json::Value;

use crate::runs_common::{FAST, Place, chat, ids, paid, passing};

const HOUR: Duration = Duration::from_secs(60 * 60);

/// A gateway whose batches have twelve hours, by a clock that stands.
async fn service(faults: Vec<Fault>) -> (Gateway, Client) {
    let builder = Gateway::builder().journal(true).virtual_clock().window(HOUR * 12);
    let gateway = faults.into_iter().fold(builder, lote_gateway::Builder::fault).start().await.expect("it starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    (gateway, client)
}

/// Lines of which every second takes nearly a day.
fn lines() -> Vec<String> {
    let slow = "[[sleep=86000000]]";
    (0..6).map(|at| chat(&format!("r{at}"), &format!("{} {at}", if at % 2 == 0 { "" } else { slow }))).collect()
}

/// How often each line was handed to the model, by batches and by itself.
fn executed(gateway: &Gateway) -> (BTreeMap<String, u32>, usize) {
    let alone = gateway.journal().iter().filter(|entry| matches!(entry.event, Event::RequestExecuted { .. })).count();
    (paid(gateway).1, alone)
}

fn order(gateway: &Gateway) -> Vec<&'static str> {
    let of = |event: Event| match event {
        Event::BatchCreated { .. } => Some("created"),
        Event::BatchCancelled { .. } => Some("cancelled"),
        Event::RequestExecuted { .. } => Some("asked"),
        _ => None,
    };
    let mut order: Vec<_> = gateway.journal().into_iter().filter_map(|entry| of(entry.event)).collect();
    order.dedup();
    order
}

async fn submitted(place: &Place, client: &Client, lines: u64) {
    let status = place.run(client, lines).submit().await.expect("a status");
    assert!(status.open() > 0);
}

/// Goes on with a run while the gateway's time passes quickly.
async fn rescued(gateway: &Gateway, run: Run) -> Report {
    let quickly = async {
        loop {
            gateway.advance(Duration::from_secs(600)).await;
            tokio::time::sleep(FAST).await;
        }
    };
    tokio::select! {
        report = run.execute() => report.expect("a report"),
        () = quickly => unreachable!("time does not end"),
    }
}

fn again(client: &Client, place: &Place) -> Run {
    Run::open(client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5))
}

#[tokio::test]
async fn what_a_batch_would_not_do_in_time_is_sent_one_by_one_when_it_is_over() {
    let (gateway, client) = service(Vec::new()).await;
    let place = Place::new(&lines());
    submitted(&place, &client, 3).await;
    gateway.advance(HOUR * 9).await;
    // Nothing is decided before it is time.
    let early = again(&client, &place).rescue_before(HOUR * 2).submit().await.expect("a status");
    assert!(early.shards.iter().all(|shard| shard.rescued.is_none() && shard.phase == "created"), "{early:?}");
    assert_eq!(order(&gateway), ["created"]);
    gateway.advance(HOUR * 2).await;
    let told: Arc<Mutex<Vec<String>>> = Arc::default();
    let tells = Arc::clone(&told);
    let run = again(&client, &place).rescue_before(HOUR * 2).on_progress(move |progress| match progress {
        Progress::Rescued { shard, ends_at, .. } => {
            assert!(ends_at.is_some());
            tells.lock().expect("no panic").push(format!("rescued {shard}"));
        }
        Progress::Rest { shard, lines, rest } => {
            assert!(matches!(rest, Some(3 | 4)), "{rest:?}");
            tells.lock().expect("no panic").push(format!("rest of {shard}: {lines}"));
        }
        _ => {}
    });
    let report = rescued(&gateway, run).await;
    assert!(report.all_succeeded(), "{report:?}");
    assert_eq!((report.joined.lines, report.joined.succeeded), (6, 6));
    assert_eq!(report.synchronous.expect("the rest was").lines, 3);
    let statuses: Vec<&str> = report.batches.iter().map(|batch| batch.status.as_str()).collect();
    assert_eq!(statuses, ["cancelled", "cancelled"]);
    let mut told = std::mem::take(&mut *told.lock().expect("no panic"));
    told.sort();
    assert_eq!(told, ["rescued 1", "rescued 2", "rest of 1: 1", "rest of 2: 2"]);
    // Each line has one answer that is paid, in the order of the input, and nothing was asked before the batches were over.
    assert_eq!(ids(&place.results()), ["r0", "r1", "r2", "r3", "r4", "r5"]);
    assert!(place.results().iter().all(|line| line["error"] == Value::Null));
    assert_eq!(order(&gateway), ["created", "cancelled", "asked"]);
    assert_eq!(executed(&gateway).1, 3);
    let finished = status(place.path("requests.run")).expect("a status");
    assert_eq!((finished.ended, finished.succeeded), (6, 6));
    // Whichever was over first.
    let mut rests: Vec<_> = finished.shards.iter().map(|shard| shard.rest_of).collect();
    rests.sort();
    assert_eq!(rests, [None, None, Some(1), Some(2)]);
    // What is finished makes no call, whatever is asked.
    let calls = gateway.journal().len();
    assert!(again(&client, &place).rescue_before(HOUR * 2).execute().await.expect("a report").all_succeeded());
    assert_eq!(gateway.journal().len(), calls);
}

#[tokio::test]
async fn a_batch_that_is_done_in_time_is_not_rescued() {
    let (gateway, client) = service(Vec::new()).await;
    let place = Place::new(&[chat("a", "[[sleep=60000]] x")]);
    submitted(&place, &client, 3).await;
    let report = passing(&gateway, again(&client, &place).rescue_before(HOUR).execute()).await.expect("a report");
    assert!(report.all_succeeded() && report.synchronous.is_none());
    assert_eq!(order(&gateway), ["created"]);
}

#[tokio::test]
async fn what_has_expired_meanwhile_is_sent_as_well() {
    let (gateway, client) = service(Vec::new()).await;
    let place = Place::new(&lines());
    submitted(&place, &client, 6).await;
    // Nobody was there when it was time.
    gateway.advance(HOUR * 20).await;
    let report = rescued(&gateway, again(&client, &place).rescue_before(HOUR)).await;
    assert!(report.all_succeeded(), "{report:?}");
    assert_eq!((report.batches[0].status.as_str(), report.synchronous.expect("it was").lines), ("expired", 3));
    assert_eq!(order(&gateway), ["created", "asked"]);
}

#[tokio::test]
async fn a_refusal_is_an_answer_and_no_line_that_a_batch_has_left() {
    let (gateway, client) = service(Vec::new()).await;
    let place =
        Place::new(&[chat("a", "[[status=500]] x"), chat("b", "[[sleep=86000000]] y"), chat("c", "[[status=400]] z")]);
    submitted(&place, &client, 6).await;
    gateway.advance(HOUR * 11).await;
    let report = rescued(&gateway, again(&client, &place).rescue_before(HOUR * 2)).await;
    assert_eq!((report.joined.succeeded, report.joined.failed), (1, 2), "{report:?}");
    assert_eq!((report.synchronous.expect("it was").lines, executed(&gateway).1), (1, 1));
    // Another attempt may try what it always tries, in a batch or one by one.
    let run = again(&client, &place).synchronous(true).attempts(2);
    let report = rescued(&gateway, run).await;
    assert_eq!((report.joined.failed, report.synchronous.expect("it was").lines), (2, 2));
}

#[tokio::test]
async fn what_was_decided_is_done_by_whoever_goes_on() {
    let (gateway, client) = service(Vec::new()).await;
    let place = Place::new(&lines());
    submitted(&place, &client, 6).await;
    gateway.advance(HOUR * 11).await;
    // A tick decides, and stops the batch.
    let status = again(&client, &place).rescue_before(HOUR * 2).submit().await.expect("a status");
    assert!(status.shards[0].rescued.is_some(), "{status:?}");
    let report = rescued(&gateway, again(&client, &place)).await;
    assert!(report.all_succeeded() && report.synchronous.is_some_and(|lines| lines.lines == 3), "{report:?}");
}

#[tokio::test]
async fn where_a_cancel_brings_nothing_the_end_is_waited_for() {
    let (gateway, _) = service(Vec::new()).await;
    let dialect =
        Dialect::from_toml("name = \"ours\"\nextends = \"mka1\"\ncancel.delivers = false").expect("a dialect");
    let client =
        Client::builder().base_url(gateway.url()).api_key("mk-test").dialect(dialect).build().expect("a client");
    let place = Place::new(&lines());
    submitted(&place, &client, 6).await;
    gateway.advance(HOUR * 11).await;
    let report = rescued(&gateway, again(&client, &place).rescue_before(HOUR * 2)).await;
    assert!(report.all_succeeded(), "{report:?}");
    assert_eq!(report.batches[0].status, "expired");
    assert_eq!(order(&gateway), ["created", "asked"]);
}

#[tokio::test]
async fn a_batch_that_does_not_stop_is_held_and_a_person_may_send_its_lines_all_the_same() {
    // One that stops for ever, and one of which nobody knows what it does.
    let faults = [
        (vec![Fault::on(Operation::CancelBatch).then(Effect::CancellingForEver)], "with --rescue-anyway"),
        (
            [
                Effect::UnknownStatus("paused".to_owned()),
                Effect::NullField("expired_at".to_owned()),
                Effect::NullField("cancelled_at".to_owned()),
            ]
            .map(|effect| Fault::on(Operation::GetBatch).then(effect))
            .into(),
            "(--rescue-anyway)",
        ),
    ];
    for (faults, said) in faults {
        let (gateway, client) = service(faults).await;
        let place = Place::new(&lines());
        submitted(&place, &client, 6).await;
        gateway.advance(HOUR * 11).await;
        let late = Tolerance::default().late_files(Duration::ZERO);
        let again = || again(&client, &place).tolerance(late.clone());
        let error = {
            let quickly = async {
                loop {
                    gateway.advance(Duration::from_secs(60)).await;
                    tokio::time::sleep(FAST).await;
                }
            };
            tokio::select! {
                ended = again().rescue_before(HOUR * 2).execute() => ended.expect_err("it is held"),
                () = quickly => unreachable!("time does not end"),
            }
        };
        assert!(error.is_held() && error.to_string().contains(said), "{error}");
        assert_eq!(executed(&gateway).1, 0, "nothing is sent before a person says so");
        let report = rescued(&gateway, again().rescue_anyway(true)).await;
        assert!(report.all_succeeded(), "{report:?}");
        assert_eq!((report.given_up.len(), report.synchronous.expect("it was").lines), (1, 6));
        gateway.forgive_leftovers();
    }
}

#[tokio::test]
async fn a_cancelled_run_is_not_rescued_and_a_repair_buys_each_line_once() {
    let (gateway, client) = service(Vec::new()).await;
    let place = Place::new(&lines());
    submitted(&place, &client, 6).await;
    gateway.advance(HOUR * 11).await;
    again(&client, &place).rescue_before(HOUR * 2).submit().await.expect("a status");
    let cancelled = passing(&gateway, again(&client, &place).cancel()).await.expect("cancelled").expect("a report");
    assert_eq!((cancelled.joined.succeeded, cancelled.joined.cancelled), (3, 3));
    let run = again(&client, &place).synchronous(true).rescue_before(HOUR * 2);
    let quickly = async {
        loop {
            gateway.advance(Duration::from_secs(600)).await;
            tokio::time::sleep(FAST).await;
        }
    };
    let report = tokio::select! {
        report = run.repair(lote::run::Repair::new()) => report.expect("a report"),
        () = quickly => unreachable!("time does not end"),
    };
    assert!(report.all_succeeded(), "{report:?}");
    assert_eq!(executed(&gateway).1, 3);
}
