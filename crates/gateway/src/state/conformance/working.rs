//! Checks of work: who gets what, how answers are kept, how batches are finished.

use bytes::Bytes;

use crate::contract::Status;
use crate::state::conformance::bench::{
    Bench, ONE, account, content, create, cut, end, file, finishing, is_kept, made, new_batch, query, record, results,
    running, segment, slice, status, validating,
};
use crate::state::{Answered, Fate, Finding, NewBatch, Segment, Work};

super::checks!(
    a_batch_lives_to_its_end,
    a_batch_of_two_slices_lives_to_its_end,
    work_is_given_once,
    slices_come_after_what_batches_need,
    accounts_take_turns,
    batches_take_turns,
    a_batch_has_no_more_lines_at_once_than_it_may,
    lines_go_out_below_a_mark,
    a_segment_is_kept_once,
    who_gave_back_is_fenced,
    a_group_is_kept_apart,
    two_who_end_the_last_two_slices_end_the_batch,
    long_segments_are_kept_too,
    many_slices_are_kept,
    who_does_not_hold_a_batch_changes_nothing,
    what_is_given_back_is_nobody_s_fault,
    a_batch_that_fails_says_why,
    a_last_step_is_taken_once,
);

async fn a_batch_lives_to_its_end(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    file(&*state, "input", "line\n").await;
    create(&*state, &new_batch("b")).await;
    let held = validating(&*state, &me, "b").await;
    assert_eq!((held.tenant, held.account, held.attempts), (ONE, account(1), 0));
    assert_eq!(content(&held.input.as_ref().unwrap().blob, 0).await, "line\n");
    bench.pass(std::time::Duration::from_secs(10)).await;
    let batch = state.validated(&me, &held, &cut(&[3]), Some("model")).await.unwrap().unwrap();
    assert_eq!((batch.status, batch.in_progress_at), (Status::InProgress, Some(bench.now())));
    assert_eq!((batch.counts.total, batch.model.as_deref()), (3, Some("model")));

    let claim = slice(&*state, &me, 10, "b").await;
    assert_eq!((claim.slice, claim.answered.as_slice()), (cut(&[3])[0], &[false; 3][..]));
    assert_eq!((claim.sent, claim.attempts, claim.poisoned), (3, 0, None));
    assert!(matches!(record(&*state, &me, segment(&claim, 0, &[1, 0], false)).await, Fate::Kept(None)));
    let batch = state.batch(ONE, "b").await.unwrap().unwrap();
    assert_eq!((batch.counts.total, batch.counts.completed, batch.counts.failed), (3, 1, 1));
    assert_eq!(batch.usage.body()["total_tokens"], 10);
    assert_eq!(state.batches(ONE, &query()).await.unwrap().unwrap().0[0].counts, batch.counts);
    match record(&*state, &me, segment(&claim, 1, &[2], true)).await {
        Fate::Kept(Some(batch)) => {
            assert_eq!((batch.status, batch.finalizing_at), (Status::Finalizing, Some(bench.now())));
            assert_eq!((batch.counts.completed, batch.counts.failed), (2, 1));
        }
        other => panic!("{other:?}"),
    }

    let held = finishing(&*state, &me, "b").await;
    assert_eq!(held.batch.status, Status::Finalizing);
    assert_eq!((held.batch.counts.completed, held.batch.counts.failed), (2, 1));
    let (output, error) = results(&*state, &held).await;
    assert_eq!((output.as_str(), error.as_str()), ("result of 0.0\nresult of 0.2\n", "result of 0.1\n"));
    let end = end(&*state, &held, Status::Completed, (&output, &error)).await;
    let batch = state.finish(&me, &held, end).await.unwrap().unwrap();
    assert_eq!((batch.status, batch.completed_at), (Status::Completed, Some(bench.now())));
    let state = if state.is_durable() { bench.killed(state).await } else { state };
    let batch = state.batch(ONE, "b").await.unwrap().unwrap();
    assert_eq!((batch.counts.total, batch.counts.completed, batch.counts.failed), (3, 2, 1));
    assert_eq!(batch.usage.body()["total_tokens"], 15);
    for (id, expected) in [(batch.output_file_id, &output), (batch.error_file_id, &error)] {
        let file = state.file(ONE, &id.unwrap()).await.unwrap().unwrap();
        assert_eq!(file.purpose, "batch_output");
        assert_eq!(content(&file.blob, 0).await, *expected);
    }
    let me = state.join().await.unwrap();
    assert!(state.claim(&me, 10, None).await.unwrap().is_none());
}

async fn a_batch_of_two_slices_lives_to_its_end(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let (one, two) = (state.join().await.unwrap(), state.join().await.unwrap());
    running(&*state, &one, "b", &[2, 3]).await;
    let first = slice(&*state, &one, 10, "b").await;
    let second = slice(&*state, &two, 10, "b").await;
    assert_eq!((first.slice, second.slice), (cut(&[2, 3])[0], cut(&[2, 3])[1]));
    assert!(state.claim(&one, 10, Some("b")).await.unwrap().is_none());
    assert!(matches!(record(&*state, &two, segment(&second, 0, &[2, 0], false)).await, Fate::Kept(None)));
    assert!(matches!(record(&*state, &one, segment(&first, 0, &[0, 1], true)).await, Fate::Kept(None)));
    assert!(matches!(record(&*state, &two, segment(&second, 1, &[1], true)).await, Fate::Kept(Some(_))));
    let held = finishing(&*state, &one, "b").await;
    let (output, error) = results(&*state, &held).await;
    assert_eq!(output, "result of 0.0\nresult of 1.2\nresult of 1.0\n");
    assert_eq!(error, "result of 0.1\nresult of 1.1\n");
}

async fn work_is_given_once(mut bench: Bench) {
    let state = bench.open().await;
    let (one, two) = (state.join().await.unwrap(), state.join().await.unwrap());
    assert!(state.claim(&one, 4, None).await.unwrap().is_none());
    made(&*state, "b").await;
    assert!(matches!(state.claim(&one, 4, None).await.unwrap(), Some(Work::Validate(_))));
    assert!(state.claim(&two, 4, None).await.unwrap().is_none());
    assert!(state.claim(&two, 4, Some("b")).await.unwrap().is_none());
    made(&*state, "c").await;
    match state.claim(&two, 4, None).await.unwrap() {
        Some(Work::Validate(held)) => assert_eq!(held.batch.id, "c"),
        other => panic!("{other:?}"),
    }
    assert!(state.claim(&two, 4, Some("none")).await.unwrap().is_none());
}

async fn slices_come_after_what_batches_need(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    running(&*state, &me, "a", &[1]).await;
    running(&*state, &me, "b", &[1]).await;
    made(&*state, "c").await;
    let claim = slice(&*state, &me, 4, "b").await;
    record(&*state, &me, segment(&claim, 0, &[0], true)).await;
    for expected in ["finish b", "validate c", "execute a", "nothing"] {
        let got = match state.claim(&me, 4, None).await.unwrap() {
            Some(Work::Finish(held)) => format!("finish {}", held.batch.id),
            Some(Work::Validate(held)) => format!("validate {}", held.batch.id),
            Some(Work::Execute(claim)) => format!("execute {}", claim.held.batch.id),
            None => "nothing".to_owned(),
        };
        assert_eq!(got, expected);
    }
    // Who has no slots free may still do what batches need.
    running(&*state, &me, "d", &[1]).await;
    assert!(state.claim(&me, 0, None).await.unwrap().is_none());
    made(&*state, "e").await;
    assert!(matches!(state.claim(&me, 0, None).await.unwrap(), Some(Work::Validate(_))));
}

async fn accounts_take_turns(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    for (id, number) in [("a", 1), ("b", 1), ("c", 2)] {
        bench.pass(std::time::Duration::from_millis(1)).await;
        file(&*state, "input", "line\n").await;
        create(&*state, &NewBatch { account: account(number), ..new_batch(id) }).await;
        let held = validating(&*state, &me, id).await;
        state.validated(&me, &held, &cut(&[2, 2, 2]), None).await.unwrap().unwrap();
        state.remove_file(ONE, "input").await.unwrap();
    }
    let mut order = String::new();
    while let Some(Work::Execute(claim)) = state.claim(&me, 2, None).await.unwrap() {
        order += &claim.held.batch.id;
    }
    // By what the account has, then by what the batch has, then by age.
    assert_eq!(order, "acbcacbab");
}

async fn batches_take_turns(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    running(&*state, &me, "a", &[4, 4]).await;
    running(&*state, &me, "b", &[1, 1, 1, 1]).await;
    let mut order = String::new();
    while let Some(Work::Execute(claim)) = state.claim(&me, 4, None).await.unwrap() {
        order += &claim.held.batch.id;
    }
    assert_eq!(order, "abbbba");
}

async fn a_batch_has_no_more_lines_at_once_than_it_may(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    file(&*state, "input", "line\n").await;
    create(&*state, &NewBatch { max_concurrency: 5, ..new_batch("b") }).await;
    let held = validating(&*state, &me, "b").await;
    state.validated(&me, &held, &cut(&[10, 2, 10]), None).await.unwrap().unwrap();
    let first = slice(&*state, &me, 2, "b").await;
    let second = slice(&*state, &me, 9, "b").await;
    let third = slice(&*state, &me, 9, "b").await;
    assert_eq!([first.slots, second.slots, third.slots], [2, 2, 1]);
    assert!(state.claim(&me, 9, None).await.unwrap().is_none());
    record(&*state, &me, segment(&second, 0, &[0, 1], true)).await;
    assert!(state.claim(&me, 9, None).await.unwrap().is_none(), "no slice is left");
    state.give_back(&me, &first.held, Some((first.slice.number, first.epoch))).await.unwrap();
    assert_eq!(slice(&*state, &me, 9, "b").await.slots, 4);
}

async fn lines_go_out_below_a_mark(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[10]).await;
    let claim = slice(&*state, &me, 2, "b").await;
    assert_eq!((claim.slots, claim.sent), (2, 4));
    let answers = Segment { sent: 6, ..segment(&claim, 0, &[0, 3], false) };
    assert!(is_kept(&record(&*state, &me, answers).await));
    state.give_back(&me, &claim.held, Some((0, claim.epoch))).await.unwrap();
    let again = slice(&*state, &me, 2, "b").await;
    assert!(again.epoch > claim.epoch);
    let answered: Vec<usize> = (0..10).filter(|line| again.answered[*line]).collect();
    assert_eq!((answered.as_slice(), again.sent), (&[0, 3][..], 6));
    // Lines 1, 2, 4 and 5 were below the mark: perhaps they were sent, and they are sent again.
    assert_eq!(state.census().await.unwrap().resent, 4);
    assert_eq!(state.census().await.unwrap().waiting[&ONE], 8);
    state.give_back(&me, &again.held, Some((0, again.epoch))).await.unwrap();
    assert_eq!(slice(&*state, &me, 99, "b").await.slots, 8);
}

async fn a_segment_is_kept_once(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[3]).await;
    let claim = slice(&*state, &me, 9, "b").await;
    for _ in 0..3 {
        assert!(matches!(record(&*state, &me, segment(&claim, 0, &[0, 1], false)).await, Fate::Kept(None)));
    }
    let batch = state.batch(ONE, "b").await.unwrap().unwrap();
    assert_eq!((batch.counts.completed, batch.counts.failed), (1, 1));
    assert_eq!(batch.usage.body()["total_tokens"], 10);
    assert!(matches!(record(&*state, &me, segment(&claim, 1, &[2], true)).await, Fate::Kept(Some(_))));
    if state.is_durable() {
        assert!(is_kept(&record(&*state, &me, segment(&claim, 1, &[2], true)).await));
    }
    let held = finishing(&*state, &me, "b").await;
    let (output, error) = results(&*state, &held).await;
    assert_eq!(output + &error, "result of 0.0\nresult of 0.2\nresult of 0.1\n");
}

async fn who_gave_back_is_fenced(mut bench: Bench) {
    let state = bench.open().await;
    let (one, two) = (state.join().await.unwrap(), state.join().await.unwrap());
    running(&*state, &one, "b", &[3]).await;
    let before = slice(&*state, &one, 9, "b").await;
    assert!(is_kept(&record(&*state, &one, segment(&before, 0, &[1], false)).await));
    state.give_back(&one, &before.held, Some((0, before.epoch))).await.unwrap();
    assert!(matches!(record(&*state, &one, segment(&before, 1, &[0], false)).await, Fate::Fenced));
    let after = slice(&*state, &two, 9, "b").await;
    assert!(after.answered[1] && !after.answered[0]);
    for number in [1, 2] {
        assert!(matches!(record(&*state, &one, segment(&before, number, &[0, 2], true)).await, Fate::Fenced));
    }
    // To give back what somebody else has now changes nothing.
    state.give_back(&one, &before.held, Some((0, before.epoch))).await.unwrap();
    assert!(state.claim(&one, 9, Some("b")).await.unwrap().is_none());
    assert!(matches!(record(&*state, &two, segment(&after, 1, &[0, 2], true)).await, Fate::Kept(Some(_))));
    let batch = state.batch(ONE, "b").await.unwrap().unwrap();
    assert_eq!((batch.counts.completed, batch.counts.failed), (2, 1));
}

async fn a_group_is_kept_apart(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let (me, other) = (state.join().await.unwrap(), state.join().await.unwrap());
    running(&*state, &me, "b", &[1, 2]).await;
    running(&*state, &me, "a", &[1]).await;
    let (b0, a0) = (slice(&*state, &me, 1, "b").await, slice(&*state, &me, 1, "a").await);
    let b1 = slice(&*state, &other, 1, "b").await;
    let unknown = Segment { batch: "none".into(), ..segment(&a0, 0, &[0], true) };
    let group = [segment(&b1, 0, &[0], false), segment(&b0, 0, &[0], true), unknown, segment(&a0, 0, &[0], true)];
    let fates = state.record(&me, &group).await.unwrap();
    assert!(matches!(fates[..], [Fate::Fenced, Fate::Kept(None), Fate::Fenced, Fate::Kept(Some(_))]), "{fates:?}");
    assert!(state.record(&me, &[]).await.unwrap().is_empty());
    assert_eq!((status(&*state, "a").await, status(&*state, "b").await), (Status::Finalizing, Status::InProgress));
}

async fn two_who_end_the_last_two_slices_end_the_batch(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let (one, two) = (state.join().await.unwrap(), state.join().await.unwrap());
    for round in 0..10 {
        let id = format!("b{round}");
        running(&*state, &one, &id, &[1, 1]).await;
        let (first, second) = (slice(&*state, &one, 1, &id).await, slice(&*state, &two, 1, &id).await);
        let (first, second) = (segment(&first, 0, &[0], true), segment(&second, 0, &[0], true));
        let fates = futures_util::join!(record(&*state, &one, first), record(&*state, &two, second));
        let ends = [&fates.0, &fates.1].into_iter().filter(|fate| matches!(fate, Fate::Kept(Some(_)))).count();
        assert_eq!(ends, 1, "{fates:?}");
        assert_eq!(status(&*state, &id).await, Status::Finalizing);
    }
}

async fn long_segments_are_kept_too(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[2]).await;
    let claim = slice(&*state, &me, 9, "b").await;
    let long = format!("{}\n", "x".repeat(300 * 1024));
    let one = |line| {
        let bytes = u32::try_from(long.len()).unwrap();
        let answered = vec![Answered { line, ok: true, bytes }];
        Segment { answered, lines: Bytes::from(long.clone()), ..segment(&claim, line, &[line], line == 1) }
    };
    assert!(matches!(record(&*state, &me, one(0)).await, Fate::Kept(None)));
    assert!(matches!(record(&*state, &me, one(0)).await, Fate::Kept(None)));
    assert!(matches!(record(&*state, &me, one(1)).await, Fate::Kept(Some(_))));
    let state = if state.is_durable() { bench.killed(state).await } else { state };
    let me = if state.is_durable() { state.join().await.unwrap() } else { me };
    let held = finishing(&*state, &me, "b").await;
    let (output, _) = results(&*state, &held).await;
    assert!(output == long.repeat(2), "{} bytes", output.len());
    let end = end(&*state, &held, Status::Completed, (&output, "")).await;
    state.finish(&me, &held, end).await.unwrap().unwrap();
    state.sweep(&me).await.unwrap();
    let kept = state.file(ONE, "b-output").await.unwrap().unwrap();
    assert!(content(&kept.blob, 0).await == output);
}

async fn many_slices_are_kept(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    let lines = vec![256; 203];
    let batch = running(&*state, &me, "b", &lines).await;
    assert_eq!(batch.counts.total, 256 * 203);
    let expected = cut(&lines);
    for number in [0, 1, 2] {
        assert_eq!(slice(&*state, &me, 10, "b").await.slice, expected[number]);
    }
}

async fn who_does_not_hold_a_batch_changes_nothing(mut bench: Bench) {
    let state = bench.open().await;
    let (one, two) = (state.join().await.unwrap(), state.join().await.unwrap());
    made(&*state, "b").await;
    let before = validating(&*state, &one, "b").await;
    state.give_back(&one, &before, None).await.unwrap();
    let after = validating(&*state, &two, "b").await;
    assert!(after.epoch > before.epoch);
    assert!(state.validated(&one, &before, &cut(&[1]), None).await.unwrap().is_none());
    assert!(state.fail(&one, &before, &[]).await.unwrap().is_none());
    state.give_back(&one, &before, None).await.unwrap();
    assert!(state.claim(&one, 1, Some("b")).await.unwrap().is_none());
    assert!(state.validated(&two, &after, &cut(&[1]), None).await.unwrap().is_some());
    let claim = slice(&*state, &two, 1, "b").await;
    record(&*state, &two, segment(&claim, 0, &[0], true)).await;
    let before = finishing(&*state, &one, "b").await;
    state.give_back(&one, &before, None).await.unwrap();
    let after = finishing(&*state, &two, "b").await;
    let of = |held| end(&*state, held, Status::Completed, ("", ""));
    assert!(state.finish(&one, &before, of(&before).await).await.unwrap().is_none());
    assert_eq!(status(&*state, "b").await, Status::Finalizing);
    assert!(state.finish(&two, &after, of(&after).await).await.unwrap().is_some());
    assert_eq!(status(&*state, "b").await, Status::Completed);
}

async fn what_is_given_back_is_nobody_s_fault(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    made(&*state, "b").await;
    for _ in 0..7 {
        let held = validating(&*state, &me, "b").await;
        assert_eq!(held.attempts, 0);
        state.give_back(&me, &held, None).await.unwrap();
    }
    let held = validating(&*state, &me, "b").await;
    state.validated(&me, &held, &cut(&[2]), None).await.unwrap().unwrap();
    for _ in 0..7 {
        let claim = slice(&*state, &me, 1, "b").await;
        assert_eq!((claim.attempts, claim.poisoned), (0, None));
        state.give_back(&me, &claim.held, Some((0, claim.epoch))).await.unwrap();
    }
}

async fn a_batch_that_fails_says_why(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    let findings = [Finding {
        code: "duplicate_custom_id".into(),
        message: "The custom_id \"a\" is already used.".to_owned(),
        param: Some("custom_id".to_owned()),
        line: Some(7),
    }];
    made(&*state, "b").await;
    let held = validating(&*state, &me, "b").await;
    let batch = state.fail(&me, &held, &findings).await.unwrap().unwrap();
    assert_eq!((batch.status, batch.failed_at), (Status::Failed, Some(bench.now())));
    let state = if state.is_durable() { bench.killed(state).await } else { state };
    let batch = state.batch(ONE, "b").await.unwrap().unwrap();
    assert_eq!((batch.status, batch.findings.as_slice()), (Status::Failed, &findings[..]));
    let me = state.join().await.unwrap();
    assert!(state.claim(&me, 1, Some("b")).await.unwrap().is_none());
    // The gateway's own trouble fails one that runs, whoever has a slice of it.
    running(&*state, &me, "c", &[2]).await;
    let claim = slice(&*state, &me, 1, "c").await;
    let batch = state.fail(&me, &claim.held, &findings).await.unwrap().unwrap();
    assert_eq!(batch.status, Status::Failed);
    assert!(matches!(record(&*state, &me, segment(&claim, 0, &[0, 1], true)).await, Fate::Fenced));
    assert!(state.claim(&me, 1, Some("c")).await.unwrap().is_none());
}

async fn a_last_step_is_taken_once(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    running(&*state, &me, "b", &[1]).await;
    let claim = slice(&*state, &me, 1, "b").await;
    record(&*state, &me, segment(&claim, 0, &[0], true)).await;
    let held = finishing(&*state, &me, "b").await;
    // As when the answer to the first is lost: the same is asked for with the same files.
    let first = end(&*state, &held, Status::Completed, ("line\n", "")).await;
    let again = crate::state::End {
        status: first.status,
        output: match &first.output {
            Some(crate::state::ResultFile::File(file)) => Some(crate::state::ResultFile::File(file.clone())),
            _ => None,
        },
        error: None,
        counts: first.counts,
    };
    for end in [first, again] {
        let batch = state.finish(&me, &held, end).await.unwrap().unwrap();
        assert_eq!((batch.status, batch.output_file_id.as_deref()), (Status::Completed, Some("b-output")));
    }
    let (files, _) = state.files(ONE, &query()).await.unwrap().unwrap();
    assert_eq!(files.iter().filter(|file| file.id == "b-output").count(), 1);
}
