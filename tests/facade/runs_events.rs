//! Owns the tests of a run as a stream of events, and of the outcomes that an unfinished run has.

use std::{pin::pin, sync::mpsc::channel};

use futures_util::StreamExt;
use lote::{
    Client, OutcomeKind, Outcomes,
    run::{RunEvent, RunPhase, outcomes, status},
};

use crate::runs_common::{FAST, Place, chat, embedding, gateway_with, ids, json_lines, paid, passing, standing};

/// The text and kind of each outcome, by its custom_id.
fn found(outcomes: impl Iterator<Item = Result<lote::Outcome, lote::Error>>) -> Vec<(String, OutcomeKind)> {
    outcomes
        .map(|outcome| outcome.map(|outcome| (outcome.custom_id().to_owned(), outcome.kind())).expect("read"))
        .collect()
}

/// Chats, and embeddings between them: of several shards, and not in the order of the input.
fn mixed(lines: usize) -> Vec<String> {
    (0..lines)
        .map(|line| match line % 3 {
            0 => embedding(&format!("line-{line}")),
            _ => chat(&format!("line-{line}"), &format!("{line} + 1?")),
        })
        .collect()
}

#[tokio::test]
async fn a_stream_tells_every_step_and_ends_with_the_report() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&mixed(9));
    let mut events = pin!(place.run(&client, 3).into_stream());
    let (mut created, mut settled, mut report) = (0, Vec::new(), None);
    let mut checked = 0;
    while let Some(event) = events.next().await {
        assert!(report.is_none(), "nothing comes after the end: {event:?}");
        match event {
            RunEvent::Checked(all) => checked = all.lines,
            RunEvent::Created(_) => created += 1,
            RunEvent::Settled { shard, joined } => {
                // Its outcomes are there, while the run goes on.
                let own = outcomes(place.path("requests.run")).expect("a run").of_shard(shard).expect("settled");
                assert_eq!((own.lines(), own.undecided()), (joined.lines, 0));
                for outcome in own {
                    let outcome = outcome.expect("read");
                    let is_text = outcome.text().is_ok();
                    assert!(is_text || outcome.embeddings().is_ok(), "{outcome:?}");
                }
                settled.push(shard);
            }
            RunEvent::Over(ended) => report = Some(ended.expect("a report")),
            _ => {}
        }
    }
    settled.sort_unstable();
    let report = report.expect("the end");
    assert_eq!((checked, created, settled), (9, 3, vec![1, 2, 3]));
    assert_eq!(report.joined.succeeded, 9);
}

#[tokio::test]
async fn an_error_is_the_end_of_the_stream() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&["{\"custom_id\":\"a\"}\n".to_owned()]);
    let events: Vec<RunEvent> = place.run(&client, 3).into_stream().collect().await;
    let Some(RunEvent::Over(Err(error))) = events.last() else { panic!("{events:?}") };
    assert!(error.is_input(), "{error}");
    assert_eq!(events.len(), 1);
}

#[tokio::test]
async fn a_stream_that_is_dropped_lets_go_of_its_run_at_once() {
    let (gateway, client) = standing(None).await;
    // A list that shows no batch at all proves nothing of a create that was cut off.
    let earlier = Place::new(&[chat("earlier", "1?")]);
    earlier.run(&client, 2).submit().await.expect("submitted");
    let place = Place::new(&(0..6).map(|line| chat(&format!("l{line}"), "[[sleep=5000]] 1?")).collect::<Vec<_>>());
    for round in 1..10 {
        let mut events = Box::pin(place.run(&client, 2).into_stream());
        // Dropped wherever it stands, one step further each time.
        for _ in 0..round {
            let event = events.next().await;
            assert!(!matches!(event, None | Some(RunEvent::Over(_))), "no batch ends: {round}: {event:?}");
        }
        drop(events);
        let seen = status(place.path("requests.run")).expect("a run");
        assert!(seen.holder.is_none() && seen.phase == RunPhase::Stopped, "{seen:?}");
    }
    let report = passing(&gateway, place.run(&client, 2).execute()).await.expect("a report");
    assert_eq!(report.joined.succeeded, 6);
    assert_eq!(paid(&gateway).1.len(), 7);
    assert!(paid(&gateway).1.values().all(|times| *times == 1), "{:?}", paid(&gateway));
}

#[test]
fn a_blocking_run_is_an_iterator_of_its_events() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (gateway, _) = runtime.block_on(gateway_with(None));
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build_blocking().expect("a client");
    let place = Place::new(&mixed(4));
    let mut over = 0;
    for event in client.run(place.path("requests.jsonl")) {
        match event {
            RunEvent::Over(ended) => {
                assert_eq!(ended.expect("a report").joined.succeeded, 4);
                over += 1;
            }
            _ => assert_eq!(over, 0),
        }
    }
    assert_eq!(over, 1);
    // In async code it is refused, as all of it is.
    let (sent, told) = channel();
    runtime.block_on(async {
        let events: Vec<RunEvent> = client.run(place.path("requests.jsonl")).into_iter().collect();
        sent.send(events).expect("sent");
    });
    let events = told.recv().expect("told");
    assert!(matches!(events.as_slice(), [RunEvent::Over(Err(error))] if error.is_refused()), "{events:?}");
}

#[tokio::test]
async fn an_unfinished_run_gives_the_outcomes_that_it_has_in_the_order_of_the_input() {
    let (_gateway, client) = gateway_with(None).await;
    // One batch at a time: the second shard is not sent when the first is settled.
    let place = Place::new(&mixed(12));
    let folder = place.path("requests.run");
    let run = || place.run(&client, 3).max_open(1);
    let mut events = Box::pin(run().into_stream());
    let all = ids(&(0..12).map(|line| serde_json::json!({"custom_id": format!("line-{line}")})).collect::<Vec<_>>());
    let mut rounds = 0;
    while let Some(event) = events.next().await {
        let RunEvent::Settled { .. } = event else { continue };
        rounds += 1;
        // While another holds the lock.
        let now = outcomes(&folder).expect("a run");
        let (lines, undecided) = (now.lines(), now.undecided());
        let now = found(now);
        assert_eq!((lines, now.len() as u64 + undecided), (12, 12));
        assert!(now.len() >= 3 * rounds, "{rounds}: {now:?}");
        let mut order = all.iter();
        assert!(now.iter().all(|(id, _)| order.any(|known| known == id)), "{now:?}");
        if rounds == 2 {
            break;
        }
    }
    drop(events);
    // What nobody takes is not read to its end, and harms nobody.
    let mut some = outcomes(&folder).expect("a run");
    assert!(some.next().is_some());
    drop(some);
    let open = outcomes(&folder).expect("a run").of_shard(99).expect_err("there is none");
    assert!(open.is_place(), "{open}");
    run().execute().await.expect("a report");
    let whole = outcomes(&folder).expect("a run");
    assert_eq!(
        (whole.undecided(), found(whole)),
        (0, found(Outcomes::open(folder.join("results.jsonl")).expect("results")))
    );
    assert_eq!(ids(&json_lines(&folder.join("results.jsonl"))), all);
}

#[tokio::test]
async fn a_line_that_is_tried_again_has_no_outcome_until_that_attempt_is_settled() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "1?"), chat("b", "[[status=429]] 2?"), chat("c", "3?")]);
    let folder = place.path("requests.run");
    let report = place.run(&client, 9).execute().await.expect("a report");
    assert_eq!(report.joined.failed, 1);
    let mut events = Box::pin(place.run(&client, 9).attempts(2).into_stream());
    let mut seen = None;
    while let Some(event) = events.next().await {
        match event {
            RunEvent::Created(_) => {
                let now = outcomes(&folder).expect("a run");
                seen = Some((now.undecided(), found(now)));
            }
            RunEvent::Over(ended) => {
                ended.expect("a report");
            }
            _ => {}
        }
    }
    let (undecided, now) = seen.expect("another attempt");
    assert_eq!(undecided, 1);
    assert_eq!(now.iter().map(|(id, _)| id.as_str()).collect::<Vec<_>>(), ["a", "c"]);
}

#[tokio::test]
async fn a_reader_that_is_far_behind_is_told_every_step() {
    const SHARDS: usize = 90;
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&(0..SHARDS).map(|line| chat(&format!("l{line}"), "1?")).collect::<Vec<_>>());
    let folder = place.path("requests.run");
    let mut events = pin!(place.run(&client, 1).into_stream());
    assert!(matches!(events.next().await, Some(RunEvent::Checked(_))));
    // Nothing is taken, and the run goes on until there is no more room.
    let made = || status(&folder).expect("a run").shards.iter().filter(|shard| shard.batch.is_some()).count();
    while made() < SHARDS / 3 {
        tokio::time::sleep(FAST).await;
    }
    let (mut created, mut settled, mut last) = (0, 0, None);
    while let Some(event) = events.next().await {
        created += usize::from(matches!(event, RunEvent::Created(_)));
        settled += usize::from(matches!(event, RunEvent::Settled { .. }));
        last = Some(event);
    }
    assert_eq!((created, settled), (SHARDS, SHARDS));
    assert!(matches!(last, Some(RunEvent::Over(Ok(_)))), "{last:?}");
}

#[tokio::test]
async fn more_outcomes_than_are_read_ahead_come_one_by_one() {
    const LINES: usize = 1_500;
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&(0..LINES * 2).map(|line| chat(&format!("l{line}"), "1?")).collect::<Vec<_>>());
    let folder = place.path("requests.run");
    let mut events = Box::pin(place.run(&client, 1_500).max_open(1).into_stream());
    while let Some(event) = events.next().await {
        if matches!(event, RunEvent::Settled { .. }) {
            break;
        }
    }
    drop(events);
    let now = outcomes(&folder).expect("a run");
    assert_eq!((now.lines(), now.undecided()), (3_000, 1_500));
    let read: Vec<String> = found(now).into_iter().map(|(id, _)| id).collect();
    let first: Vec<String> = (0..LINES).map(|line| format!("l{line}")).collect();
    assert_eq!(read, first);
    // A file of results that is not there is told, once.
    std::fs::remove_file(folder.join("shards/0001/results.jsonl")).expect("removed");
    let lost: Vec<_> = outcomes(&folder).expect("a run").collect();
    assert!(matches!(lost.as_slice(), [Err(error)] if error.is_io()), "{lost:?}");
}
