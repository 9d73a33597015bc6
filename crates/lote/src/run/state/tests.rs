//! What follows from what, event by event.

use super::*;
use crate::{
    run::{
        event::{Event, Half},
        schedule::{Bounds, Learned},
    },
    save::Stored,
};

fn plan(number: u32) -> ShardPlan {
    serde_json::from_value(serde_json::json!({
        "number": number, "endpoint": "/v1/embeddings", "model": null, "lines": 2, "bytes": 9, "inputs": 2,
        "sha256": "00",
    }))
    .unwrap()
}

fn next(state: &State, max_open: usize) -> Next {
    let bounds = Bounds { max_open, max_enqueued_tokens: None, creates_per_hour: None };
    state.next(&Schedule::new(bounds, Learned::default()), UnixSeconds::now())
}

fn id<T: std::str::FromStr<Err: fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

fn opened(host: &str, gateway: Option<&str>) -> Event {
    Event::Opened(Opened {
        host: host.to_owned(),
        folder: "1:2".to_owned(),
        gateway: gateway.map(str::to_owned),
        ..Opened::default()
    })
}

fn stored() -> Stored {
    Stored::read(&b"x"[..]).unwrap()
}

fn written() -> Written {
    Written::read(&b"x"[..]).unwrap()
}

/// All that happens to a shard that goes well, and what is to be done after each.
fn course(shard: u32) -> Vec<(Event, Next)> {
    let (nonce, batch): (String, BatchId) = (format!("n{shard}"), id(&format!("b{shard}")));
    vec![
        (Event::Uploaded { shard, file: id(&format!("f{shard}")) }, Next::Submit(shard)),
        (Event::Creating { shard, nonce, at: UnixSeconds::now() }, Next::Resolve),
        (Event::Created { shard, batch: batch.clone(), adopted: false, said: false }, Next::Wait),
        (Event::Over { shard, batch, status: "completed".to_owned() }, Next::Settle(shard)),
        (Event::Settled { shard, results: written() }, Next::Merge),
    ]
}

#[test]
fn a_shard_goes_from_step_to_step_and_no_other_way() {
    let mut state = State::new(&[plan(1)]);
    assert_eq!(next(&state, 1), Next::Submit(1));
    let steps = course(1);
    for (at, (event, then)) in steps.iter().enumerate() {
        // Whatever comes later cannot come now, and nothing that came before can come again.
        for (other, (event, _)) in steps.iter().enumerate().filter(|(other, _)| *other != at) {
            // A file may be sent again, and results written again, before what follows.
            if other + 1 != at || matches!(event, Event::Creating { .. } | Event::Created { .. } | Event::Over { .. }) {
                assert!(state.clone().apply(event).is_err(), "{event:?} at {at}");
            }
        }
        state.apply(event).unwrap();
        assert_eq!(next(&state, 1), *then, "after {event:?}");
        let nothing = matches!(event, Event::Uploaded { .. });
        assert_eq!(state.nothing_was_begun(), nothing, "after {event:?}");
    }
    state.apply(&Event::Finished { results: written() }).unwrap();
    assert_eq!(next(&state, 1), Next::Done);
    assert!(state.apply(&Event::Uploaded { shard: 2, file: id("f") }).is_err(), "a shard of no plan");
}

#[test]
fn no_more_are_open_than_there_is_room_for() {
    let mut state = State::new(&[plan(1), plan(2), plan(3)]);
    let all: Vec<_> = (1..=3).map(course).collect();
    for (event, _) in &all[0][..3] {
        state.apply(event).unwrap();
    }
    assert_eq!((next(&state, 1), next(&state, 2)), (Next::Wait, Next::Submit(2)));
    // What is over goes before all, and what is lost before what is to be sent.
    state.apply(&all[0][3].0).unwrap();
    assert_eq!(next(&state, 2), Next::Settle(1));
    for (event, _) in &all[1][..2] {
        state.apply(event).unwrap();
    }
    assert_eq!((next(&state, 9), state.lost()), (Next::Settle(1), vec![2]));
    // One that waits for a person holds up nobody.
    state.apply(&Event::Held { shard: 2, why: "lost".to_owned() }).unwrap();
    assert_eq!((next(&state, 9), state.lost()), (Next::Settle(1), vec![]));
    state.apply(&Event::Released { shard: 2 }).unwrap();
    state.apply(&all[0][4].0).unwrap();
    assert_eq!(next(&state, 9), Next::Resolve);
    state.apply(&Event::Held { shard: 2, why: "lost".to_owned() }).unwrap();
    state.apply(&Event::Cancelled).unwrap();
    assert_eq!(next(&state, 9), Next::Held);
    state.apply(&Event::Released { shard: 2 }).unwrap();
    assert_eq!(next(&state, 9), Next::Resolve);
    state.apply(&Event::NoBatch { shard: 2, why: "none".to_owned() }).unwrap();
    // It was cancelled meanwhile, and is not created again.
    assert_eq!(next(&state, 9), Next::Merge);
    state.apply(&Event::Resumed).unwrap();
    assert_eq!(next(&state, 9), Next::Submit(2));
}

#[test]
fn a_reading_of_the_list_counts_for_its_create_and_its_folder_alone() {
    let mut state = State::new(&[plan(1)]);
    let absent = || Event::Absent { shard: 1, at: UnixSeconds::new(7).unwrap(), after_millis: 120_000 };
    assert!(state.apply(&absent()).is_err(), "nothing was created");
    let creating = || course(1).into_iter().take(2).map(|(event, _)| event);
    state.apply(&opened("here", None)).unwrap();
    for event in creating().chain([absent()]) {
        state.apply(&event).unwrap();
    }
    let found = Some((UnixSeconds::new(7).unwrap(), Duration::from_secs(120)));
    assert_eq!(state.shards[&1].absent, found);
    for event in [Event::Held { shard: 1, why: "lost".to_owned() }, Event::Released { shard: 1 }, opened("here", None)]
    {
        state.apply(&event).unwrap();
    }
    assert_eq!(state.shards[&1].absent, found);
    let mut copied = state.clone();
    copied.apply(&opened("elsewhere", None)).unwrap();
    assert_eq!(copied.shards[&1].absent, None);
    state.apply(&Event::NoBatch { shard: 1, why: "none".to_owned() }).unwrap();
    for event in creating().skip(1) {
        state.apply(&event).unwrap();
    }
    assert_eq!((&state.shards[&1].phase, state.shards[&1].absent), (&Phase::Creating, None));
}

#[test]
fn a_log_that_may_be_behind_leaves_open_whether_there_is_a_batch() {
    let plans = [plan(1), plan(2), plan(3)];
    let events = |last: Event| {
        let mut events = vec![opened("here", None)];
        events.extend(course(1).into_iter().take(3).map(|(event, _)| event));
        events.push(Event::Uploaded { shard: 2, file: id("f2") });
        events.push(last);
        events
    };
    let phases = |last: Event| {
        let state = State::replay(&plans, &events(last)).unwrap();
        state.shards.values().map(|shard| shard.phase.clone()).collect::<Vec<_>>()
    };
    use Phase::{Created, Creating, Planned, Uploaded};
    assert_eq!(phases(opened("here", None)), [Created, Uploaded, Planned]);
    assert_eq!(phases(opened("elsewhere", None)), [Created, Creating, Creating]);
    let Event::Opened(cut) = opened("here", None) else { unreachable!() };
    assert_eq!(phases(Event::Opened(Opened { cut: true, ..cut })), [Created, Creating, Creating]);
    // What an embedded gateway had begun ended with it.
    assert_eq!(phases(opened("here", Some("another"))), [Planned, Planned, Planned]);
}

#[test]
fn a_batch_is_adopted_but_never_twice_and_never_in_place_of_another() {
    let created = |batch: &str, adopted| Event::Created { shard: 1, batch: id(batch), adopted, said: false };
    let mut state = State::new(&[plan(1)]);
    assert!(state.clone().apply(&created("b", false)).is_err(), "no create was sent");
    state.apply(&created("b", true)).unwrap();
    assert!(state.clone().apply(&created("c", true)).is_err(), "there is one");
    assert!(state.holds(&id("b")) && !state.holds(&id("c")));
    // One that failed for want of room counts no more, and is still known.
    state.apply(&Event::Postponed { shard: 1, batch: id("b"), why: "full".to_owned() }).unwrap();
    assert_eq!((next(&state, 1), state.holds(&id("b"))), (Next::Submit(1), true));
    assert_eq!(state.shards[&1].batch(), None);
}

#[test]
fn a_surplus_batch_is_settled_last_and_counts_nowhere() {
    let batch: BatchId = id("twin");
    let surplus = Event::Surplus { shard: 1, batch: batch.clone() };
    let over = Event::SurplusOver { shard: 1, batch: batch.clone(), status: "cancelled".to_owned() };
    let settled = |results| Event::SurplusSettled { shard: 1, batch: batch.clone(), results };
    let mut state = State::new(&[plan(1), plan(2)]);
    assert!(state.clone().apply(&over).is_err(), "there is none");
    assert!(state.clone().apply(&Event::Surplus { shard: 9, batch: batch.clone() }).is_err());
    state.apply(&surplus).unwrap();
    assert!(state.clone().apply(&surplus).is_err(), "it is known");
    assert!(state.holds(&batch) && state.batches() == [batch.clone()] && !state.owes_nothing());
    assert!(!state.nothing_was_begun(), "it may be charged");
    // It is in nobody's way, and takes no place.
    assert_eq!((next(&state, 1), state.open()), (Next::Submit(1), 0));
    for shard in [1, 2] {
        for (event, _) in &course(shard)[..3] {
            state.apply(event).unwrap();
        }
    }
    assert_eq!(state.open_surplus(), [(1, batch.clone())]);
    state.apply(&over).unwrap();
    assert!(state.open_surplus().is_empty());
    assert_eq!(next(&state, 9), Next::Wait, "what is not surplus comes first");
    for shard in [1, 2] {
        for (event, _) in &course(shard)[3..] {
            state.apply(event).unwrap();
        }
    }
    assert_eq!(next(&state, 9), Next::SettleSurplus(1));
    assert!(state.clone().apply(&over).is_err(), "it is over already");
    let mut nothing = state.clone();
    nothing.apply(&settled(None)).unwrap();
    assert_eq!(next(&nothing, 9), Next::Merge);
    state.apply(&settled(Some(written()))).unwrap();
    assert!(state.clone().apply(&settled(None)).is_err());
    // What is lost of it is fetched again.
    state.apply(&over).unwrap();
    assert_eq!(next(&state, 9), Next::SettleSurplus(1));
    // All other shards have failed: it may have what they have not.
    let mut failed = State::new(&[plan(1)]);
    failed.apply(&surplus).unwrap();
    failed.apply(&Event::Failed { shard: 1, why: "bad".to_owned() }).unwrap();
    assert_eq!((next(&failed, 9), failed.has_failed()), (Next::Wait, false));
}

#[test]
fn what_is_not_as_it_was_written_goes_back_as_far_as_it_must() {
    let files = || Fetched { batch: Some(stored()), output: Some(stored()), errors: None, synchronous: None };
    let unsettled = |fetched| Event::Unsettled { shard: 1, fetched };
    let mut state = State::new(&[plan(1)]);
    for (event, _) in &course(1)[..4] {
        assert!(state.clone().apply(&unsettled(true)).is_err());
        state.apply(event).unwrap();
    }
    state.apply(&Event::Fetched { shard: 1, files: files() }).unwrap();
    assert_eq!((next(&state, 9), state.shards[&1].batch().is_some()), (Next::Settle(1), true));
    for settle in [false, true] {
        let mut state = state.clone();
        if settle {
            state.apply(&course(1)[4].0).unwrap();
            let mut again = state.clone();
            again.apply(&unsettled(true)).unwrap();
            assert_eq!((&again.shards[&1].phase, &again.shards[&1].fetched), (&Phase::Fetched, &Some(files())));
        }
        state.apply(&unsettled(false)).unwrap();
        assert_eq!((&state.shards[&1].phase, &state.shards[&1].fetched), (&Phase::Over, &None));
        assert_eq!(next(&state, 9), Next::Settle(1));
        // Nothing was fetched that it could go back to.
        state.apply(&course(1)[4].0).unwrap();
        state.apply(&unsettled(true)).unwrap();
        assert_eq!(state.shards[&1].phase, Phase::Over);
    }
    // What is on this side outlives an embedded gateway.
    state.apply(&opened("here", None)).unwrap();
    state.apply(&opened("here", Some("another"))).unwrap();
    assert_eq!(state.shards[&1].phase, Phase::Fetched);
}

#[test]
fn a_run_that_is_cancelled_halves_what_failed_and_submits_nothing_of_it() {
    let whole = ShardPlan { lines: 5, ..plan(1) };
    let mut state = State::new(&[whole]);
    for (event, _) in &course(1)[..4] {
        state.apply(event).unwrap();
    }
    state.apply(&Event::Cancelled).unwrap();
    let halves = vec![half(2, 1, 2), half(3, 3, 3)];
    state.apply(&Event::Halved { shard: 1, why: "too big".to_owned(), halves }).unwrap();
    assert_eq!([2, 3].map(|half| state.shards[&half].phase.clone()), [Phase::Cancelled, Phase::Cancelled]);
    assert_eq!(next(&state, 9), Next::Merge);
    state.apply(&Event::Resumed).unwrap();
    assert_eq!((next(&state, 9), &state.shards[&1].phase), (Next::Submit(2), &Phase::Halved([2, 3])));
}

fn half(number: u32, first_line: u64, lines: u64) -> Half {
    Half { first_line, plan: ShardPlan { lines, ..plan(number) } }
}

#[test]
fn a_shard_that_is_too_big_lives_on_in_two_others() {
    let halved = |shard, halves| Event::Halved { shard, why: "too big".to_owned(), halves };
    let whole = ShardPlan { lines: 5, ..plan(1) };
    let mut state = State::new(&[whole, plan(2)]);
    let halves = || vec![half(3, 1, 2), half(4, 3, 3)];
    for wrong in [
        halved(9, halves()),
        halved(1, vec![half(3, 1, 5)]),
        halved(1, vec![half(3, 1, 2), half(4, 3, 4)]),
        halved(1, vec![half(3, 1, 2), half(4, 4, 3)]),
        halved(1, vec![half(3, 1, 0), half(4, 1, 5)]),
        halved(1, vec![half(3, 1, 2), half(3, 3, 3)]),
        halved(1, vec![half(2, 1, 2), half(4, 3, 3)]),
    ] {
        let before = format!("{state:?}");
        assert!(state.apply(&wrong).is_err(), "{wrong:?}");
        assert_eq!(format!("{state:?}"), before);
    }
    // There may be a batch, or there is one: its lines are not sold again.
    let mut open = state.clone();
    for (event, _) in &course(1)[..3] {
        assert!(
            matches!(open.shards[&1].phase, Phase::Planned | Phase::Uploaded)
                || open.clone().apply(&halved(1, halves())).is_err()
        );
        open.apply(event).unwrap();
    }
    assert!(open.clone().apply(&halved(1, halves())).is_err());
    open.apply(&course(1)[3].0).unwrap();
    assert!(open.apply(&halved(1, halves())).is_ok());
    assert_eq!(open.batches().len(), 1, "its batch is known");

    state.apply(&halved(1, halves())).unwrap();
    assert_eq!(state.shards[&1].phase, Phase::Halved([3, 4]));
    assert!(state.shards[&1].is_ended() && state.nothing_was_begun() && state.owes_nothing());
    assert_eq!((state.shards[&3].half_of, state.shards[&3].attempt, state.next_number()), (Some(1), 1, 5));
    assert!(state.clone().apply(&halved(1, halves())).is_err(), "twice");
    // The smallest half goes first; what is as large as the whole is not sent.
    assert_eq!(next(&state, 9), Next::Submit(3));
    let large = ShardPlan { lines: 6, bytes: 9, ..plan(7) };
    state.apply(&Event::Failed { shard: 3, why: "too big".to_owned() }).unwrap();
    state.apply(&Event::Failed { shard: 4, why: "too big".to_owned() }).unwrap();
    state.shards.insert(7, Shard::new(large, 1));
    state.apply(&Event::Failed { shard: 2, why: "bad".to_owned() }).unwrap();
    assert_eq!(next(&state, 9), Next::Halve(7, Than::Shard(1)));
    // Unless the service has answered one as large.
    state.shards.get_mut(&2).unwrap().phase = Phase::Settled(written());
    state.shards.get_mut(&2).unwrap().plan.lines = 6;
    assert_eq!(next(&state, 9), Next::Submit(7));
    // Whatever ends with an embedded gateway, its lines are not in two places.
    state.apply(&opened("here", None)).unwrap();
    state.apply(&opened("here", Some("another"))).unwrap();
    assert_eq!(state.shards[&1].phase, Phase::Halved([3, 4]));
    assert_eq!((state.shards[&4].phase.clone(), state.shards[&4].half_of), (Phase::Planned, Some(1)));
}

#[test]
fn an_attempt_adds_shards_to_a_finished_run() {
    let mut state = State::new(&[plan(1)]);
    for (event, _) in course(1) {
        state.apply(&event).unwrap();
    }
    state.apply(&Event::Finished { results: written() }).unwrap();
    assert!(state.clone().apply(&Event::Attempt { attempt: 3, shards: vec![plan(2)] }).is_err());
    assert!(state.clone().apply(&Event::Attempt { attempt: 2, shards: vec![plan(1)] }).is_err());
    state.apply(&Event::Attempt { attempt: 2, shards: vec![plan(2)] }).unwrap();
    assert_eq!((next(&state, 1), state.shards[&2].attempt), (Next::Submit(2), 2));
}

fn sent_one_by_one(lines: u64) -> Fetched {
    let lines = crate::run::SynchronousLines { lines, sent_again: 0 };
    Fetched { batch: None, output: Some(stored()), errors: None, synchronous: Some(lines) }
}

#[test]
fn a_shard_that_is_sent_one_by_one_has_no_batch_and_gets_none() {
    let mut state = State::new(&[plan(1), plan(2)]);
    let mut schedule = Schedule::unbounded();
    let now = UnixSeconds::now();
    let next = |state: &State, schedule: &Schedule| state.next(schedule, now);
    for (event, _) in &course(1)[..3] {
        state.apply(event).unwrap();
    }
    assert_eq!(next(&state, &schedule), Next::Submit(2));
    schedule.synchronous = true;
    assert_eq!(next(&state, &schedule), Next::Answer(2));
    let begin = |shard| Event::Synchronous { shard, nonce: "n".to_owned() };
    assert!(state.clone().apply(&begin(1)).is_err(), "it has a batch");
    state.apply(&begin(2)).unwrap();
    assert!(state.clone().apply(&begin(2)).is_err() && state.sent_lines() && !state.nothing_was_begun());
    // Whatever is asked later it goes on that way, and beside it the batch is waited for.
    schedule.synchronous = false;
    assert_eq!(next(&state, &schedule), Next::Answer(2));
    assert_eq!(state.open(), 1);
    for wrong in [
        Event::Uploaded { shard: 2, file: id("f2") },
        Event::Creating { shard: 2, nonce: "m".to_owned(), at: now },
        Event::Created { shard: 2, batch: id("b2"), adopted: true, said: false },
        Event::NoBatch { shard: 2, why: String::new() },
        Event::Settled { shard: 2, results: written() },
        Event::Fetched { shard: 2, files: Fetched { batch: Some(stored()), ..sent_one_by_one(2) } },
        Event::Fetched { shard: 2, files: Fetched { synchronous: None, ..sent_one_by_one(2) } },
    ] {
        assert!(state.clone().apply(&wrong).is_err(), "{wrong:?}");
    }
    state.apply(&Event::Fetched { shard: 2, files: sent_one_by_one(2) }).unwrap();
    assert_eq!(next(&state, &schedule), Next::Settle(2));
    state.apply(&Event::Settled { shard: 2, results: written() }).unwrap();
    assert_eq!((next(&state, &schedule), state.shards[&2].batch()), (Next::Wait, None));
    // What is lost of it is made again of its answers, and of how many is known.
    state.apply(&Event::Unsettled { shard: 2, fetched: false }).unwrap();
    assert_eq!((next(&state, &schedule), state.shards[&2].answered), (Next::Answer(2), 2));
    state.apply(&Event::Held { shard: 2, why: "lost".to_owned() }).unwrap();
    state.apply(&Event::NoBatch { shard: 2, why: "said".to_owned() }).unwrap();
    assert_eq!((next(&state, &schedule), state.shards[&2].answered), (Next::Answer(2), 0));
    assert!(!state.doubted);
}

#[test]
fn what_no_line_was_taken_of_is_as_if_it_was_never_begun() {
    let mut state = State::new(&[plan(1)]);
    state.apply(&Event::Synchronous { shard: 1, nonce: "n".to_owned() }).unwrap();
    state.apply(&Event::Unsent { shard: 1, why: "401".to_owned() }).unwrap();
    assert!(state.nothing_was_begun() && state.owes_nothing() && !state.sent_lines());
    assert!(state.clone().apply(&Event::Unsent { shard: 1, why: "401".to_owned() }).is_err());
    assert_eq!(next(&state, 1), Next::Submit(1));
    // A cancelled run sends no line, and one that was begun is ended with what it has.
    state.apply(&Event::Synchronous { shard: 1, nonce: "n".to_owned() }).unwrap();
    state.apply(&Event::Cancelled).unwrap();
    assert_eq!(next(&state, 1), Next::Answer(1));
    state.apply(&Event::Fetched { shard: 1, files: sent_one_by_one(0) }).unwrap();
    assert_eq!(next(&state, 1), Next::Settle(1));
}

#[test]
fn a_copy_of_a_run_without_batches_looks_for_none() {
    let mut state = State::new(&[plan(1), plan(2)]);
    state.apply(&opened("here", None)).unwrap();
    state.apply(&Event::Synchronous { shard: 1, nonce: "n".to_owned() }).unwrap();
    let behind = |state: &State| state.doubted || state.shards.values().any(|shard| shard.phase == Phase::Creating);
    let mut copied = state.clone();
    copied.apply(&opened("there", None)).unwrap();
    assert!(!behind(&copied));
    // Where a file was uploaded there may be a batch.
    state.apply(&Event::Uploaded { shard: 2, file: id("f2") }).unwrap();
    state.apply(&opened("there", None)).unwrap();
    assert!(behind(&state));
}
