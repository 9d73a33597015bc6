//! Checks of events: one for each last step and each who wants it, until it is sent; and of what is counted.

use std::time::Duration;

use crate::contract::Status;
use crate::state::conformance::bench::{Bench, ONE, ended, made, record, running, segment, slice, validating};
use crate::state::{Parcel, State, Worker};

super::checks!(
    events_are_of_last_steps_and_for_who_wants_them,
    a_parcel_is_one_worker_s_for_a_minute,
    parcels_survive,
    batches_and_lines_are_counted,
    it_can_be_asked,
);

async fn due(state: &dyn State, me: &Worker) -> Vec<Parcel> {
    state.due(me, 100).await.unwrap()
}

/// A batch that fails.
async fn failed(state: &dyn State, me: &Worker, id: &str) {
    made(state, id).await;
    let held = validating(state, me, id).await;
    state.fail(me, &held, &[]).await.unwrap().unwrap();
}

async fn events_are_of_last_steps_and_for_who_wants_them(mut bench: Bench) {
    bench.subscribed("all", &[Status::Completed, Status::Failed, Status::Expired, Status::Cancelled]);
    bench.subscribed("some", &[Status::Completed]);
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[1]).await;
    let claim = slice(&*state, &me, 1, "b").await;
    record(&*state, &me, segment(&claim, 0, &[0], true)).await;
    assert!(due(&*state, &me).await.is_empty());
    ended(&*state, &me, "b", Status::Completed).await;
    failed(&*state, &me, "c").await;
    made(&*state, "d").await;
    state.cancel(ONE, "d", false).await.unwrap().unwrap();
    ended(&*state, &me, "d", Status::Cancelled).await;
    let mut told: Vec<_> = due(&*state, &me).await;
    told.sort_by(|one, other| (&one.batch, &one.endpoint).cmp(&(&other.batch, &other.endpoint)));
    let expected = [
        ("b", "all", Status::Completed),
        ("b", "some", Status::Completed),
        ("c", "all", Status::Failed),
        ("d", "all", Status::Cancelled),
    ];
    assert_eq!(told.len(), expected.len());
    for (parcel, (batch, endpoint, status)) in told.iter().zip(expected) {
        assert_eq!((parcel.batch.as_str(), parcel.endpoint.as_str(), parcel.status), (batch, endpoint, status));
        assert_eq!((parcel.tenant, parcel.created_at, parcel.tries), (ONE, bench.now(), 0));
        let subscription = bench.options.subscriptions.iter().find(|to| to.endpoint == endpoint).unwrap();
        assert_eq!(parcel.id, subscription.event_id(batch, status));
    }
}

async fn a_parcel_is_one_worker_s_for_a_minute(mut bench: Bench) {
    bench.subscribed("all", &[Status::Failed]);
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    failed(&*state, &me, "b").await;
    failed(&*state, &me, "c").await;
    let first = state.due(&me, 1).await.unwrap();
    let second = state.due(&me, 1).await.unwrap();
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_ne!(first[0].id, second[0].id);
    assert!(due(&*state, &me).await.is_empty());
    bench.pass(Duration::from_secs(59)).await;
    assert!(due(&*state, &me).await.is_empty());
    bench.pass(Duration::from_secs(1)).await;
    let again = due(&*state, &me).await;
    assert_eq!(again.len(), 2);
    state.put_off(&again[0].id, Duration::from_secs(300)).await.unwrap();
    state.done(&again[1].id).await.unwrap();
    bench.pass(Duration::from_secs(299)).await;
    assert!(due(&*state, &me).await.is_empty());
    bench.pass(Duration::from_secs(1)).await;
    let left = due(&*state, &me).await;
    assert_eq!((left.len(), left[0].tries, &left[0].id), (1, 1, &again[0].id));
    state.done(&left[0].id).await.unwrap();
    state.done(&left[0].id).await.unwrap();
    bench.pass(Duration::from_secs(3_600)).await;
    assert!(due(&*state, &me).await.is_empty());
}

async fn parcels_survive(mut bench: Bench) {
    bench.subscribed("all", &[Status::Failed]);
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    failed(&*state, &me, "b").await;
    let before = due(&*state, &me).await;
    let state = bench.killed(state).await;
    bench.pass(Duration::from_secs(60)).await;
    let me = state.join().await.unwrap();
    assert_eq!(due(&*state, &me).await, before);
}

async fn batches_and_lines_are_counted(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    made(&*state, "a").await;
    made(&*state, "b").await;
    running(&*state, &me, "c", &[5]).await;
    let claim = slice(&*state, &me, 2, "c").await;
    record(&*state, &me, segment(&claim, 0, &[0, 1], false)).await;
    failed(&*state, &me, "d").await;
    let census = state.census().await.unwrap();
    let counts: Vec<(&str, u64)> = census.batches.into_iter().collect();
    assert_eq!(counts, [("failed", 1), ("in_progress", 1), ("validating", 2)]);
    assert_eq!(census.waiting.get(&ONE), Some(&3));
    assert_eq!(census.resent, 0);
}

async fn it_can_be_asked(mut bench: Bench) {
    let state = bench.open().await;
    state.ready().await.unwrap();
    assert!(state.cut().most_lines > 0 && state.cut().most_bytes > 0);
    let me = state.join().await.unwrap();
    assert_ne!(me, state.join().await.unwrap());
    state.sweep(&me).await.unwrap();
    state.leave(&me).await.unwrap();
}
