//! Checks of what is left when a process dies, and of what it may still do when it was only believed to be dead.

use std::time::Duration;

use crate::contract::Status;
use crate::state::conformance::bench::{
    Bench, ONE, cut, end, ended, finishing, made, record, running, segment, slice, status, validating,
};
use crate::state::{Beat, Claim, Fate, Holding, Segment, State, Worker};

super::checks!(
    a_seed_stays,
    a_death_counts_against_a_batch,
    a_death_counts_against_a_slice,
    a_death_counts_while_a_batch_is_finished,
    a_cancelled_batch_ends_after_a_death,
    a_last_answer_before_a_death_ends_a_batch,
    a_line_that_kills_is_found_out,
    who_has_a_slice_that_kills_gets_no_other,
    a_line_that_kills_is_forgotten_when_it_is_answered,
    who_leaves_gives_all_back,
    who_is_silent_loses_all,
    who_is_not_silent_keeps_all,
    who_lives_gives_back_what_it_does_not_know_of,
);

async fn who_lives_gives_back_what_it_does_not_know_of(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[10, 10]).await;
    let (known, lost) = (slice(&*state, &me, 2, "b").await, slice(&*state, &me, 2, "b").await);
    made(&*state, "c").await;
    validating(&*state, &me, "c").await;
    let holding = Holding { batch: "b".to_owned(), slice: Some(known.slice.number), epoch: known.epoch };
    state.hold_only(&me, &[holding]).await.unwrap();
    assert!(matches!(record(&*state, &me, segment(&lost, 0, &[0], false)).await, Fate::Fenced));
    assert!(matches!(record(&*state, &me, segment(&known, 0, &[0], false)).await, Fate::Kept(None)));
    assert_eq!(validating(&*state, &me, "c").await.attempts, 0, "nobody has died");
    let again = slice(&*state, &me, 2, "b").await;
    assert_eq!((again.slice.number, again.attempts), (lost.slice.number, 0));
}

async fn a_seed_stays(mut bench: Bench) {
    let state = bench.open().await;
    let seed = state.seed();
    assert_eq!(seed.is_some(), state.is_durable());
    if state.is_durable() {
        assert_eq!(bench.killed(state).await.seed(), seed);
    }
}

async fn a_death_counts_against_a_batch(mut bench: Bench) {
    let mut state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    made(&*state, "b").await;
    for deaths in 0..6 {
        let me = state.join().await.unwrap();
        let held = validating(&*state, &me, "b").await;
        assert_eq!(held.attempts, deaths);
        state = bench.killed(state).await;
        // It wakes, and finds itself dead.
        assert!(state.validated(&me, &held, &cut(&[1]), None).await.unwrap().is_none());
        assert!(state.fail(&me, &held, &[]).await.unwrap().is_none());
        assert!(state.claim(&me, 1, None).await.unwrap().is_none());
        assert!(matches!(state.heartbeat(&me).await.unwrap(), Beat::Lost));
    }
    let me = state.join().await.unwrap();
    let held = validating(&*state, &me, "b").await;
    state.validated(&me, &held, &cut(&[1]), None).await.unwrap().unwrap();
    assert_eq!(slice(&*state, &me, 1, "b").await.attempts, 0, "the lines have killed nobody yet");
}

async fn a_death_counts_against_a_slice(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let one = state.join().await.unwrap();
    running(&*state, &one, "b", &[10, 10]).await;
    let before = slice(&*state, &one, 2, "b").await;
    let answers = Segment { sent: 5, ..segment(&before, 0, &[0], false) };
    assert!(matches!(record(&*state, &one, answers).await, Fate::Kept(None)));
    let state = bench.killed(state).await;
    let two = state.join().await.unwrap();
    assert!(matches!(record(&*state, &one, segment(&before, 1, &[1], false)).await, Fate::Fenced));
    let after = slice(&*state, &two, 2, "b").await;
    assert_eq!((after.slice.number, after.attempts, after.poisoned), (0, 1, None));
    assert!(after.epoch > before.epoch);
    assert!(after.answered[0] && !after.answered[1]);
    assert_eq!((after.slots, after.sent), (2, 5));
    assert!(matches!(record(&*state, &one, segment(&before, 1, &[1], false)).await, Fate::Fenced));
    assert_eq!(state.census().await.unwrap().resent, 4, "lines 1 to 4 may have been sent");
    assert_eq!(slice(&*state, &two, 2, "b").await.attempts, 0, "nobody has died with the other slice");
}

async fn a_death_counts_while_a_batch_is_finished(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let one = state.join().await.unwrap();
    running(&*state, &one, "b", &[1]).await;
    let claim = slice(&*state, &one, 1, "b").await;
    record(&*state, &one, segment(&claim, 0, &[0], true)).await;
    let before = finishing(&*state, &one, "b").await;
    let state = bench.killed(state).await;
    let two = state.join().await.unwrap();
    let after = finishing(&*state, &two, "b").await;
    assert_eq!((before.attempts, after.attempts), (0, 1));
    let of = |held| end(&*state, held, Status::Completed, ("line\n", ""));
    assert!(state.finish(&one, &before, of(&before).await).await.unwrap().is_none());
    let batch = state.finish(&two, &after, of(&after).await).await.unwrap().unwrap();
    assert_eq!(batch.status, Status::Completed);
}

async fn a_cancelled_batch_ends_after_a_death(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    running(&*state, &me, "lines", &[2]).await;
    slice(&*state, &me, 1, "lines").await;
    made(&*state, "begun").await;
    validating(&*state, &me, "begun").await;
    for id in ["lines", "begun"] {
        state.cancel(ONE, id, false).await.unwrap().unwrap();
    }
    let state = bench.killed(state).await;
    let me = state.join().await.unwrap();
    for id in ["lines", "begun"] {
        assert_eq!(ended(&*state, &me, id, Status::Cancelled).await.status, Status::Cancelled);
    }
}

async fn a_last_answer_before_a_death_ends_a_batch(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[1]).await;
    let claim = slice(&*state, &me, 1, "b").await;
    record(&*state, &me, segment(&claim, 0, &[0], true)).await;
    let state = bench.killed(state).await;
    assert_eq!(status(&*state, "b").await, Status::Finalizing);
    let me = state.join().await.unwrap();
    assert_eq!(ended(&*state, &me, "b", Status::Completed).await.status, Status::Completed);
}

/// A claim of the only slice, whose holder dies at once.
async fn dies(bench: &mut Bench, state: std::sync::Arc<dyn State>) -> (std::sync::Arc<dyn State>, Claim) {
    let me = state.join().await.unwrap();
    let claim = slice(&*state, &me, 4, "b").await;
    (bench.killed(state).await, claim)
}

/// Four workers have died with the slice, of which line 0 is answered.
async fn four_deaths(bench: &mut Bench) -> std::sync::Arc<dyn State> {
    let mut state = bench.open().await;
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[10]).await;
    let claim = slice(&*state, &me, 4, "b").await;
    record(&*state, &me, Segment { sent: 9, ..segment(&claim, 0, &[0], false) }).await;
    state.give_back(&me, &claim.held, Some((0, claim.epoch))).await.unwrap();
    for (deaths, slots, sent) in [(0, 4, 9), (1, 4, 9), (2, 4, 9), (3, 1, 2)] {
        let (reopened, claim) = dies(bench, state).await;
        state = reopened;
        assert_eq!((claim.attempts, claim.slots, claim.sent, claim.poisoned), (deaths, slots, sent, None));
    }
    state
}

async fn a_line_that_kills_is_found_out(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    drop(state);
    let state = four_deaths(&mut bench).await;
    let me = state.join().await.unwrap();
    let claim = slice(&*state, &me, 4, "b").await;
    assert_eq!((claim.attempts, claim.slots, claim.sent, claim.poisoned), (4, 1, 2, None));
    // Line 1 is answered, line 2 goes out alone, and that is the end of this worker.
    record(&*state, &me, Segment { sent: 3, ..segment(&claim, 0, &[1], false) }).await;
    let state = bench.killed(state).await;
    let (state, claim) = dies(&mut bench, state).await;
    assert_eq!((claim.attempts, claim.poisoned), (5, Some(2)));
    // It stays the same line until it is answered.
    let me = state.join().await.unwrap();
    let claim = slice(&*state, &me, 4, "b").await;
    assert_eq!((claim.attempts, claim.slots, claim.sent, claim.poisoned), (6, 1, 3, Some(2)));
    record(&*state, &me, Segment { sent: 4, ..segment(&claim, 0, &[2], false) }).await;
    state.give_back(&me, &claim.held, Some((0, claim.epoch))).await.unwrap();
    let claim = slice(&*state, &me, 4, "b").await;
    assert_eq!((claim.attempts, claim.slots, claim.sent, claim.poisoned), (3, 1, 4, None));
}

async fn who_has_a_slice_that_kills_gets_no_other(mut bench: Bench) {
    let mut state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[4, 4, 4]).await;
    for _ in 0..3 {
        let me = state.join().await.unwrap();
        assert_eq!(
            [slice(&*state, &me, 1, "b").await, slice(&*state, &me, 1, "b").await].map(|claim| claim.slice.number),
            [0, 1]
        );
        state = bench.killed(state).await;
    }
    let (one, two) = (state.join().await.unwrap(), state.join().await.unwrap());
    let (first, second) = (slice(&*state, &one, 1, "b").await, slice(&*state, &one, 1, "b").await);
    assert_eq!((first.slice.number, first.attempts), (0, 3));
    assert_eq!((second.slice.number, second.attempts), (2, 0), "slice 1 would die with slice 0");
    assert!(state.claim(&one, 1, Some("b")).await.unwrap().is_none());
    assert_eq!(slice(&*state, &two, 1, "b").await.slice.number, 1, "another has none of them");
}

async fn a_line_that_kills_is_forgotten_when_it_is_answered(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    drop(state);
    let state = four_deaths(&mut bench).await;
    let me = state.join().await.unwrap();
    let claim = slice(&*state, &me, 4, "b").await;
    // The line was answered, and no other was in flight.
    record(&*state, &me, Segment { sent: 2, ..segment(&claim, 0, &[1], false) }).await;
    let state = bench.killed(state).await;
    let me = state.join().await.unwrap();
    let claim = slice(&*state, &me, 4, "b").await;
    assert_eq!((claim.attempts, claim.poisoned), (5, None));
}

async fn who_leaves_gives_all_back(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let (one, two) = (state.join().await.unwrap(), state.join().await.unwrap());
    running(&*state, &one, "lines", &[2]).await;
    let claim = slice(&*state, &one, 1, "lines").await;
    made(&*state, "begun").await;
    let held = validating(&*state, &one, "begun").await;
    running(&*state, &one, "ending", &[2]).await;
    slice(&*state, &one, 1, "ending").await;
    state.cancel(ONE, "ending", false).await.unwrap().unwrap();
    state.leave(&one).await.unwrap();
    assert!(state.validated(&one, &held, &cut(&[1]), None).await.unwrap().is_none());
    assert!(matches!(record(&*state, &one, segment(&claim, 0, &[0, 1], true)).await, Fate::Fenced));
    assert!(matches!(state.heartbeat(&one).await.unwrap(), Beat::Lost));
    assert!(state.claim(&one, 1, None).await.unwrap().is_none());
    assert_eq!(validating(&*state, &two, "begun").await.attempts, 0);
    assert_eq!(slice(&*state, &two, 1, "lines").await.attempts, 0);
    assert_eq!(ended(&*state, &two, "ending", Status::Cancelled).await.status, Status::Cancelled);
    state.leave(&one).await.unwrap();
}

/// Two workers of one process, the first of which holds a slice.
async fn two_workers(state: &dyn State) -> (Worker, Worker, Claim) {
    let (one, two) = (state.join().await.unwrap(), state.join().await.unwrap());
    running(state, &one, "b", &[2]).await;
    let claim = slice(state, &one, 1, "b").await;
    (one, two, claim)
}

async fn who_is_silent_loses_all(mut bench: Bench) {
    let state = bench.open().await;
    let Some(lease) = state.lease() else { return };
    let (one, two, claim) = two_workers(&*state).await;
    bench.pass(lease / 2).await;
    assert!(matches!(state.heartbeat(&two).await.unwrap(), Beat::Alive(_)));
    bench.pass(lease / 2 + Duration::from_millis(1)).await;
    // Nobody has noticed yet: what is recorded is kept, since nobody else has the slice.
    assert!(matches!(record(&*state, &one, segment(&claim, 0, &[0], false)).await, Fate::Kept(None)));
    state.sweep(&two).await.unwrap();
    assert!(matches!(state.heartbeat(&one).await.unwrap(), Beat::Lost));
    assert!(matches!(record(&*state, &one, segment(&claim, 1, &[1], true)).await, Fate::Fenced));
    let after = slice(&*state, &two, 1, "b").await;
    assert_eq!((after.attempts, after.answered.as_slice()), (1, &[true, false][..]));
}

async fn who_is_not_silent_keeps_all(mut bench: Bench) {
    let state = bench.open().await;
    let (one, two, claim) = two_workers(&*state).await;
    let step = state.lease().map_or(Duration::from_secs(60), |lease| lease / 2);
    for _ in 0..5 {
        bench.pass(step).await;
        for worker in [&one, &two] {
            assert!(matches!(state.heartbeat(worker).await.unwrap(), Beat::Alive(_)));
        }
        state.sweep(&two).await.unwrap();
    }
    assert!(state.claim(&two, 1, Some("b")).await.unwrap().is_none());
    assert!(matches!(record(&*state, &one, segment(&claim, 0, &[0, 1], true)).await, Fate::Kept(Some(_))));
}
