//! Checks of the making of batches: once each, in bounds, in order, and taken back.

use futures_util::future::join_all;

use crate::contract::{Endpoint, Status, View};
use crate::state::conformance::bench::{
    Bench, ONE, TWO, WINDOW, account, create, file, made, new_batch, new_file, query, validating, written,
};
use crate::state::{Created, NewBatch, Query, State, StateError, Withdrawn};

super::checks!(
    a_batch_is_as_it_was_asked_for,
    batches_are_of_their_tenant_alone,
    an_input_is_looked_at_when_it_is_needed,
    a_key_makes_one_batch,
    a_create_that_is_asked_twice_makes_one_batch,
    batches_are_bounded,
    creates_at_once_are_bounded_and_in_order,
    lists_of_batches_never_skip,
    what_is_withdrawn_is_never_made,
    what_was_made_is_not_withdrawn,
    a_create_that_nobody_waits_for_is_made_or_not,
);

async fn a_batch_is_as_it_was_asked_for(mut bench: Bench) {
    let state = bench.open().await;
    file(&*state, "input", "line\n").await;
    let new = NewBatch { output_expires_after: Some(7_200), max_concurrency: 7, ..new_batch("b") };
    create(&*state, &new).await;
    let now = bench.now();
    let state = if state.is_durable() { bench.killed(state).await } else { state };
    let batch = state.batch(ONE, "b").await.unwrap().unwrap();
    assert_eq!((batch.id.as_str(), batch.input_file_id.as_str()), ("b", "input"));
    assert_eq!((batch.origin, batch.endpoint), (View::OpenAi, Endpoint::ChatCompletions));
    assert_eq!((batch.status, batch.created_at), (Status::Validating, now));
    assert_eq!(batch.expires_at, now + i64::try_from(WINDOW.as_secs()).unwrap());
    assert_eq!((batch.max_concurrency, batch.output_expires_after), (7, Some(7_200)));
    let metadata: Vec<String> = batch.metadata.unwrap().keys().cloned().collect();
    assert_eq!(metadata, ["b", "a"], "in the order in which they were sent");
    assert_eq!((batch.counts.total, batch.in_progress_at, batch.model), (0, None, None));
}

async fn batches_are_of_their_tenant_alone(mut bench: Bench) {
    let state = bench.open().await;
    made(&*state, "b").await;
    assert!(state.batch(TWO, "b").await.unwrap().is_none());
    assert!(state.batches(TWO, &query()).await.unwrap().unwrap().0.is_empty());
    assert!(state.cancel(TWO, "b", false).await.unwrap().is_none());
    assert!(state.batch(ONE, "other").await.unwrap().is_none());
    // Nor is a file of one an input for another.
    let new = NewBatch { tenant: TWO, needs_input: true, ..new_batch("c") };
    assert!(matches!(state.create_batch(&new).await.unwrap(), Created::NoInput(None)));
}

async fn an_input_is_looked_at_when_it_is_needed(mut bench: Bench) {
    let state = bench.open().await;
    let me = state.join().await.unwrap();
    let missing = NewBatch { needs_input: true, ..new_batch("b") };
    assert!(matches!(state.create_batch(&missing).await.unwrap(), Created::NoInput(None)));
    let blob = written(&*state, account(1), "1").await;
    state.add_file(ONE, account(1), new_file("input", "evals", blob)).await.unwrap();
    match state.create_batch(&missing).await.unwrap() {
        Created::NoInput(Some(purpose)) => assert_eq!(purpose, "evals"),
        other => panic!("{other:?}"),
    }
    assert!(state.batch(ONE, "b").await.unwrap().is_none());
    create(&*state, &new_batch("c")).await;
    assert_eq!(validating(&*state, &me, "c").await.input.unwrap().purpose, "evals");
    create(&*state, &NewBatch { input_file_id: "none".to_owned(), ..new_batch("d") }).await;
    assert!(validating(&*state, &me, "d").await.input.is_none());
}

async fn a_key_makes_one_batch(mut bench: Bench) {
    bench.bounded(1_000, 10, 3);
    let state = bench.open().await;
    file(&*state, "input", "line\n").await;
    let new = |id: &str, asked| NewBatch { idempotency: Some(("key".to_owned(), [asked; 32])), ..new_batch(id) };
    create(&*state, &new("a", 1)).await;
    let state = if state.is_durable() { bench.killed(state).await } else { state };
    match state.create_batch(&new("b", 1)).await.unwrap() {
        Created::Repeated(batch) => assert_eq!(batch.id, "a"),
        other => panic!("{other:?}"),
    }
    assert!(matches!(state.create_batch(&new("c", 2)).await.unwrap(), Created::Conflict));
    for id in ["b", "c"] {
        assert!(state.batch(ONE, id).await.unwrap().is_none());
    }
    // A key is of its tenant, and what came to nothing leaves it free.
    create(&*state, &NewBatch { tenant: TWO, ..new("d", 2) }).await;
    let free = |id: &str, needs_input| NewBatch {
        idempotency: Some(("free".to_owned(), [1; 32])),
        needs_input,
        input_file_id: "none".to_owned(),
        ..new_batch(id)
    };
    assert!(matches!(state.create_batch(&free("e", true)).await.unwrap(), Created::NoInput(None)));
    create(&*state, &free("f", false)).await;
    let full = NewBatch { idempotency: Some(("full".to_owned(), [1; 32])), ..new_batch("g") };
    for _ in 0..2 {
        assert!(matches!(state.create_batch(&full).await.unwrap(), Created::Full(_)));
    }
}

async fn a_create_that_is_asked_twice_makes_one_batch(mut bench: Bench) {
    bench.bounded(1_000, 10, 2);
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let with_key = NewBatch { idempotency: Some(("key".to_owned(), [1; 32])), ..new_batch("b") };
    for new in [new_batch("a"), with_key] {
        for _ in 0..2 {
            assert_eq!(create(&*state, &new).await.id, new.id);
        }
    }
    assert_eq!(state.batches(ONE, &query()).await.unwrap().unwrap().0.len(), 2);
}

async fn batches_are_bounded(mut bench: Bench) {
    bench.bounded(1_000, 10, 2);
    let state = bench.open().await;
    made(&*state, "a").await;
    made(&*state, "b").await;
    match state.create_batch(&new_batch("c")).await.unwrap() {
        Created::Full(full) => assert_eq!(full.to_string(), "This key may store at most 2 batches."),
        other => panic!("{other:?}"),
    }
    assert!(state.batch(ONE, "c").await.unwrap().is_none());
    create(&*state, &NewBatch { account: account(2), ..new_batch("d") }).await;
}

async fn creates_at_once_are_bounded_and_in_order(mut bench: Bench) {
    bench.bounded(1_000, 10, 5);
    let state = bench.open().await;
    let news: Vec<NewBatch> = (0..8).map(|n| new_batch(&format!("b{n}"))).collect();
    let created = join_all(news.iter().map(|new| state.create_batch(new))).await;
    let made = created.iter().filter(|created| matches!(created, Ok(Created::Made(_)))).count();
    let full = created.iter().filter(|created| matches!(created, Ok(Created::Full(_)))).count();
    assert_eq!((made, full), (5, 3));
    assert_eq!(ids(&*state, 2).await.len(), 5);
}

async fn ids(state: &dyn State, limit: usize) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let query = Query { after: ids.last().cloned(), limit, ..query() };
        let (page, more) = state.batches(ONE, &query).await.unwrap().unwrap();
        ids.extend(page.iter().map(|batch| batch.id.clone()));
        if !more {
            return ids;
        }
    }
}

async fn lists_of_batches_never_skip(mut bench: Bench) {
    let state = bench.open().await;
    for id in ["c", "a", "d", "b"] {
        made(&*state, id).await;
    }
    for limit in [1, 2, 3, 4, 5] {
        assert_eq!(ids(&*state, limit).await, ["b", "d", "a", "c"]);
    }
    let after = Query { after: Some("x".to_owned()), ..query() };
    assert!(state.batches(ONE, &after).await.unwrap().is_err());
    let oldest_first = Query { limit: 3, oldest_first: true, hidden: ["a".to_owned()].into(), ..query() };
    let (page, more) = state.batches(ONE, &oldest_first).await.unwrap().unwrap();
    assert_eq!(page.iter().map(|batch| batch.id.as_str()).collect::<Vec<_>>(), ["c", "d", "b"]);
    assert!(!more);
}

async fn what_is_withdrawn_is_never_made(mut bench: Bench) {
    let state = bench.open().await;
    assert!(matches!(state.withdraw(&new_batch("b")).await.unwrap(), Withdrawn::Never));
    if !state.is_durable() {
        return;
    }
    let with_key = NewBatch { idempotency: Some(("key".to_owned(), [1; 32])), ..new_batch("b") };
    for new in [new_batch("b"), with_key] {
        match state.create_batch(&new).await {
            Err(StateError::NotDone(_)) => {}
            other => panic!("{other:?}"),
        }
        assert!(matches!(state.withdraw(&new).await.unwrap(), Withdrawn::Never));
    }
    assert!(state.batch(ONE, "b").await.unwrap().is_none());
    assert!(state.batches(ONE, &query()).await.unwrap().unwrap().0.is_empty());
    let after = Query { after: Some("b".to_owned()), ..query() };
    assert!(state.batches(ONE, &after).await.unwrap().is_err());
    assert!(state.cancel(ONE, "b", false).await.unwrap().is_none());
    let me = state.join().await.unwrap();
    assert!(state.claim(&me, 1, None).await.unwrap().is_none());
    assert!(state.census().await.unwrap().batches.is_empty());
    // The key is free for another.
    create(&*state, &NewBatch { idempotency: Some(("key".to_owned(), [1; 32])), ..new_batch("c") }).await;
}

async fn what_was_made_is_not_withdrawn(mut bench: Bench) {
    let state = bench.open().await;
    made(&*state, "b").await;
    match state.withdraw(&new_batch("b")).await.unwrap() {
        Withdrawn::Exists(batch) => assert_eq!(batch.id, "b"),
        Withdrawn::Never => panic!("it was made"),
    }
    assert!(state.batch(ONE, "b").await.unwrap().is_some());
}

async fn a_create_that_nobody_waits_for_is_made_or_not(mut bench: Bench) {
    bench.bounded(1_000, 10, 40);
    let state = bench.open().await;
    file(&*state, "input", "line\n").await;
    let mut there = 0;
    for polls in 0..40 {
        let new = new_batch(&format!("b{polls}"));
        let mut create = state.create_batch(&new);
        for _ in 0..polls {
            if futures_util::poll!(&mut create).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(create);
        let is_made = matches!(state.withdraw(&new).await.unwrap(), Withdrawn::Exists(_));
        assert_eq!(state.batch(ONE, &new.id).await.unwrap().is_some(), is_made);
        there += usize::from(is_made);
    }
    assert_eq!(ids(&*state, 7).await.len(), there);
    // Each that was made is on the account once, and no other.
    for more in there..40 {
        create(&*state, &new_batch(&format!("more{more}"))).await;
    }
    assert!(matches!(state.create_batch(&new_batch("full")).await.unwrap(), Created::Full(_)));
}
