//! Checks of batches that end early: cancelled at each stage, or with their window over.

use std::time::Duration;

use crate::contract::Status;
use crate::state::conformance::bench::{
    Bench, ONE, WINDOW, content, cut, end, ended, finishing, made, record, results, running, segment, slice, status,
    validating,
};
use crate::state::{Beat, Fate, Results, State, Worker};

super::checks!(
    one_that_nobody_has_begun_is_cancelled,
    one_that_is_validated_is_cancelled,
    one_whose_input_is_bad_is_cancelled,
    one_that_waits_for_its_lines_is_cancelled,
    one_whose_lines_run_is_cancelled,
    one_that_is_finished_is_cancelled,
    what_is_over_is_not_cancelled,
    one_that_is_stuck_stays_so,
    a_window_ends_without_anybody,
    a_window_ends_while_lines_run,
    a_window_ends_while_it_is_validated,
    a_window_that_is_not_over_changes_nothing,
    a_cancellation_wins_over_a_window,
    the_end_of_a_window_gives_way_to_all_answers,
);

/// The batches that this worker is to end.
async fn told(state: &dyn State, me: &Worker) -> Vec<String> {
    match state.heartbeat(me).await.unwrap() {
        Beat::Alive(ending) => ending,
        Beat::Lost => panic!("it was given up"),
    }
}

async fn cancel(state: &dyn State, id: &str) -> (Status, bool) {
    let (batch, changed) = state.cancel(ONE, id, false).await.unwrap().unwrap();
    (batch.status, changed)
}

async fn one_that_nobody_has_begun_is_cancelled(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    made(&*state, "b").await;
    assert_eq!(cancel(&*state, "b").await, (Status::Cancelling, true));
    assert_eq!(cancel(&*state, "b").await, (Status::Cancelling, false));
    let held = finishing(&*state, &me, "b").await;
    assert_eq!((held.batch.status, held.batch.counts.total), (Status::Cancelling, 0));
    match state.results(&held).await.unwrap() {
        Results::Slices(slices) => assert!(slices.is_empty()),
        Results::Written { output, error, slice } => {
            assert!(output.is_none() && error.is_none() && slice.is_none());
        }
    }
    let end = end(&*state, &held, Status::Cancelled, ("", "")).await;
    let batch = state.finish(&me, &held, end).await.unwrap().unwrap();
    assert_eq!((batch.status, batch.cancelled_at), (Status::Cancelled, Some(bench.now())));
    assert_eq!((batch.output_file_id, batch.error_file_id), (None, None));
}

async fn one_that_is_validated_is_cancelled(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    for give_back in [false, true] {
        let id = format!("b-{give_back}");
        made(&*state, &id).await;
        let held = validating(&*state, &me, &id).await;
        assert!(told(&*state, &me).await.is_empty());
        assert_eq!(cancel(&*state, &id).await, (Status::Cancelling, true));
        assert_eq!(told(&*state, &me).await, std::slice::from_ref(&id));
        assert!(state.claim(&me, 1, Some(&id)).await.unwrap().is_none());
        if give_back {
            state.give_back(&me, &held, None).await.unwrap();
        } else {
            let batch = state.validated(&me, &held, &cut(&[2]), None).await.unwrap().unwrap();
            assert_eq!((batch.status, batch.in_progress_at), (Status::Cancelling, None));
        }
        assert!(told(&*state, &me).await.is_empty());
        assert_eq!(ended(&*state, &me, &id, Status::Cancelled).await.status, Status::Cancelled);
    }
}

async fn one_whose_input_is_bad_is_cancelled(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    made(&*state, "b").await;
    let held = validating(&*state, &me, "b").await;
    cancel(&*state, "b").await;
    let batch = state.fail(&me, &held, &[]).await.unwrap().unwrap();
    assert_eq!((batch.status, batch.findings.len()), (Status::Cancelled, 0));
    assert!(state.claim(&me, 1, Some("b")).await.unwrap().is_none());
}

async fn one_that_waits_for_its_lines_is_cancelled(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[2]).await;
    assert_eq!(cancel(&*state, "b").await, (Status::Cancelling, true));
    let batch = ended(&*state, &me, "b", Status::Cancelled).await;
    assert_eq!((batch.status, batch.counts.total), (Status::Cancelled, 2));
}

async fn one_whose_lines_run_is_cancelled(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[4]).await;
    let claim = slice(&*state, &me, 2, "b").await;
    assert!(matches!(record(&*state, &me, segment(&claim, 0, &[0], false)).await, Fate::Kept(None)));
    assert_eq!(cancel(&*state, "b").await, (Status::Cancelling, true));
    assert_eq!(told(&*state, &me).await, ["b"]);
    assert!(state.claim(&me, 2, Some("b")).await.unwrap().is_none());
    // Lines in flight are still recorded.
    assert!(matches!(record(&*state, &me, segment(&claim, 1, &[1], false)).await, Fate::Kept(None)));
    state.give_back(&me, &claim.held, Some((0, claim.epoch))).await.unwrap();
    assert!(told(&*state, &me).await.is_empty());
    let held = finishing(&*state, &me, "b").await;
    assert_eq!(held.batch.status, Status::Cancelling);
    assert_eq!((held.batch.counts.completed, held.batch.counts.failed), (1, 1));
    let (output, error) = results(&*state, &held).await;
    let end = end(&*state, &held, Status::Cancelled, (&output, &error)).await;
    let batch = state.finish(&me, &held, end).await.unwrap().unwrap();
    assert_eq!(batch.status, Status::Cancelled);
    let output = state.file(ONE, &batch.output_file_id.unwrap()).await.unwrap().unwrap();
    assert_eq!(content(&output.blob, 0).await, "result of 0.0\n");
}

async fn one_that_is_finished_is_cancelled(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[1]).await;
    let claim = slice(&*state, &me, 1, "b").await;
    record(&*state, &me, segment(&claim, 0, &[0], true)).await;
    let held = finishing(&*state, &me, "b").await;
    assert_eq!(cancel(&*state, "b").await, (Status::Cancelling, true));
    assert_eq!(told(&*state, &me).await, ["b"]);
    let (output, error) = results(&*state, &held).await;
    let end = end(&*state, &held, Status::Completed, (&output, &error)).await;
    let batch = state.finish(&me, &held, end).await.unwrap().unwrap();
    assert_eq!((batch.status, batch.completed_at), (Status::Cancelled, None));
    assert_eq!(batch.output_file_id.as_deref(), Some("b-output"));
}

async fn what_is_over_is_not_cancelled(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    made(&*state, "b").await;
    let held = validating(&*state, &me, "b").await;
    state.fail(&me, &held, &[]).await.unwrap().unwrap();
    assert_eq!(cancel(&*state, "b").await, (Status::Failed, false));
    assert!(state.cancel(ONE, "none", false).await.unwrap().is_none());
}

async fn one_that_is_stuck_stays_so(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[2]).await;
    let claim = slice(&*state, &me, 1, "b").await;
    let (batch, changed) = state.cancel(ONE, "b", true).await.unwrap().unwrap();
    assert_eq!((batch.status, batch.stuck, changed), (Status::Cancelling, true, true));
    assert_eq!(batch.cancelled_at, Some(bench.now()));
    assert_eq!(told(&*state, &me).await, ["b"]);
    state.give_back(&me, &claim.held, Some((0, claim.epoch))).await.unwrap();
    bench.pass(WINDOW * 2).await;
    let state = if state.is_durable() { bench.killed(state).await } else { state };
    let me = state.join().await.unwrap();
    state.sweep(&me).await.unwrap();
    assert!(state.claim(&me, 1, None).await.unwrap().is_none());
    assert_eq!(cancel(&*state, "b").await, (Status::Cancelling, false));
}

async fn a_window_ends_without_anybody(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[2]).await;
    bench.pass(WINDOW - Duration::from_millis(1)).await;
    let me = if state.lease().is_some() { state.join().await.unwrap() } else { me };
    state.sweep(&me).await.unwrap();
    let claim = slice(&*state, &me, 1, "b").await;
    state.give_back(&me, &claim.held, Some((0, claim.epoch))).await.unwrap();
    bench.pass(Duration::from_millis(1)).await;
    state.sweep(&me).await.unwrap();
    let held = finishing(&*state, &me, "b").await;
    assert_eq!(held.batch.status, Status::InProgress);
    let end = end(&*state, &held, Status::Expired, ("", "line\nline\n")).await;
    let batch = state.finish(&me, &held, end).await.unwrap().unwrap();
    assert_eq!((batch.status, batch.expired_at), (Status::Expired, Some(bench.now())));
    assert_eq!(batch.error_file_id.as_deref(), Some("b-error"));
}

async fn a_window_ends_while_lines_run(mut bench: Bench) {
    let state = bench.open().await;
    let before = state.join().await.unwrap();
    running(&*state, &before, "b", &[4]).await;
    bench.pass(WINDOW - Duration::from_secs(1)).await;
    let me = state.join().await.unwrap();
    let claim = slice(&*state, &me, 2, "b").await;
    bench.pass(Duration::from_secs(1)).await;
    state.expire(&claim.held).await.unwrap();
    assert_eq!(told(&*state, &me).await, ["b"]);
    assert!(matches!(record(&*state, &me, segment(&claim, 0, &[0], false)).await, Fate::Kept(None)));
    assert!(state.claim(&me, 1, Some("b")).await.unwrap().is_none());
    state.give_back(&me, &claim.held, Some((0, claim.epoch))).await.unwrap();
    let held = finishing(&*state, &me, "b").await;
    assert_eq!((held.batch.status, held.batch.counts.completed), (Status::InProgress, 1));
    let end = end(&*state, &held, Status::Expired, ("", "")).await;
    assert_eq!(state.finish(&me, &held, end).await.unwrap().unwrap().status, Status::Expired);
}

async fn a_window_ends_while_it_is_validated(mut bench: Bench) {
    let state = bench.open().await;
    made(&*state, "b").await;
    bench.pass(WINDOW - Duration::from_secs(1)).await;
    let me = state.join().await.unwrap();
    let held = validating(&*state, &me, "b").await;
    bench.pass(Duration::from_secs(1)).await;
    state.sweep(&me).await.unwrap();
    state.expire(&held).await.unwrap();
    assert_eq!(status(&*state, "b").await, Status::Validating);
    let batch = state.validated(&me, &held, &cut(&[2]), None).await.unwrap().unwrap();
    assert_eq!((batch.status, batch.in_progress_at), (Status::InProgress, Some(bench.now())));
    state.sweep(&me).await.unwrap();
    assert_eq!(ended(&*state, &me, "b", Status::Expired).await.status, Status::Expired);
}

async fn a_window_that_is_not_over_changes_nothing(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[2]).await;
    let claim = slice(&*state, &me, 1, "b").await;
    state.expire(&claim.held).await.unwrap();
    assert!(told(&*state, &me).await.is_empty());
}

async fn a_cancellation_wins_over_a_window(mut bench: Bench) {
    let state = bench.open().await;
    let before = state.join().await.unwrap();
    running(&*state, &before, "b", &[2]).await;
    bench.pass(WINDOW).await;
    let me = state.join().await.unwrap();
    state.sweep(&me).await.unwrap();
    let held = finishing(&*state, &me, "b").await;
    assert_eq!(cancel(&*state, "b").await, (Status::Cancelling, true));
    let end = end(&*state, &held, Status::Expired, ("", "")).await;
    assert_eq!(state.finish(&me, &held, end).await.unwrap().unwrap().status, Status::Cancelled);
}

async fn the_end_of_a_window_gives_way_to_all_answers(mut bench: Bench) {
    let state = bench.open().await;
    let before = state.join().await.unwrap();
    running(&*state, &before, "b", &[1]).await;
    bench.pass(WINDOW - Duration::from_secs(1)).await;
    let me = state.join().await.unwrap();
    let claim = slice(&*state, &me, 1, "b").await;
    bench.pass(Duration::from_secs(1)).await;
    // What is answered is answered: nobody has said yet that the window is over.
    assert!(matches!(record(&*state, &me, segment(&claim, 0, &[0], true)).await, Fate::Kept(Some(_))));
    state.sweep(&me).await.unwrap();
    assert_eq!(ended(&*state, &me, "b", Status::Completed).await.status, Status::Completed);
}
