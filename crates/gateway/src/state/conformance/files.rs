//! Checks of files: their bytes, their lists, the room they take.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use crate::blobs::Full;
use crate::contract::Status;
use crate::state::conformance::bench::{
    Bench, ONE, TWO, account, content, create, ended, file, made, new_batch, new_file, query, validating, written,
};
use crate::state::{Created, NewFile, Query, State};

super::checks!(
    a_file_is_read_back_as_it_was_written,
    a_file_that_is_kept_twice_is_there_once,
    files_are_of_their_tenant_alone,
    lists_of_files_never_skip,
    files_are_listed_by_purpose_and_digest,
    expired_files_are_gone,
    bytes_are_bounded_to_the_last,
    files_are_bounded,
    accounts_do_not_share_room,
    room_of_what_was_never_kept_comes_back,
    room_of_what_a_kill_has_cut_comes_back,
    room_of_the_expired_comes_back_when_it_is_needed,
    an_input_outlives_its_file,
    removed_bytes_go_after_an_hour,
);

async fn a_file_is_read_back_as_it_was_written(mut bench: Bench) {
    let state = bench.open().await;
    let blob = written(&*state, account(1), "one\ntwo\n").await;
    let new = NewFile { media_type: Some("application/jsonl"), lives: Some(3_600), ..new_file("f", "batch", blob) };
    let kept = state.add_file(ONE, account(1), new).await.unwrap();
    assert_eq!((kept.id.as_str(), kept.created_at), ("f", bench.now()));
    drop(kept);
    let state = if state.is_durable() { bench.killed(state).await } else { state };
    let file = state.file(ONE, "f").await.unwrap().unwrap();
    assert_eq!((file.filename.as_str(), file.purpose.as_str()), ("f.jsonl", "batch"));
    assert_eq!(file.media_type, Some("application/jsonl"));
    assert_eq!(file.expires_at, Some(file.created_at + 3_600));
    assert_eq!(file.blob.bytes(), 8);
    assert_eq!(file.blob.sha256().len(), 64);
    assert_eq!(content(&file.blob, 0).await, "one\ntwo\n");
    assert_eq!(content(&file.blob, 4).await, "two\n");
}

async fn a_file_that_is_kept_twice_is_there_once(mut bench: Bench) {
    bench.bounded(20, 2, 1);
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let blob = written(&*state, account(1), "one").await;
    for _ in 0..2 {
        let file = state.add_file(ONE, account(1), new_file("f", "batch", Arc::clone(&blob))).await.unwrap();
        assert_eq!(file.blob.bytes(), 3);
    }
    drop(blob);
    let another = written(&*state, account(1), "another").await;
    let file = state.add_file(ONE, account(1), new_file("f", "batch", another)).await.unwrap();
    assert_eq!(file.blob.bytes(), 3, "what is there stays");
    assert_eq!(state.files(ONE, &query()).await.unwrap().unwrap().0.len(), 1);
    assert_eq!(content(&state.file(ONE, "f").await.unwrap().unwrap().blob, 0).await, "one");
    assert!(becomes_room(&*state, 17).await, "that of the other comes back");
}

async fn files_are_of_their_tenant_alone(mut bench: Bench) {
    let state = bench.open().await;
    file(&*state, "f", "one").await;
    assert!(state.file(TWO, "f").await.unwrap().is_none());
    assert!(state.files(TWO, &query()).await.unwrap().unwrap().0.is_empty());
    assert!(!state.remove_file(TWO, "f").await.unwrap());
    assert!(state.remove_file(ONE, "f").await.unwrap());
    assert!(!state.remove_file(ONE, "f").await.unwrap());
    assert!(state.file(ONE, "f").await.unwrap().is_none());
}

/// The ids of all pages of so many files each.
async fn pages(state: &dyn State, limit: usize, oldest_first: bool) -> Vec<String> {
    let mut ids: Vec<String> = Vec::new();
    loop {
        let query = Query { after: ids.last().cloned(), limit, oldest_first, ..query() };
        let (page, more) = state.files(ONE, &query).await.unwrap().unwrap();
        assert!(page.len() == limit || !more);
        ids.extend(page.iter().map(|file| file.id.clone()));
        if !more {
            return ids;
        }
    }
}

async fn lists_of_files_never_skip(mut bench: Bench) {
    let state = bench.open().await;
    let names = ["e", "b", "d", "a", "c"];
    for name in names {
        file(&*state, name, name).await;
    }
    let newest_first: Vec<&str> = names.iter().rev().copied().collect();
    for limit in [1, 2, 5, 7] {
        assert_eq!(pages(&*state, limit, true).await, names);
        assert_eq!(pages(&*state, limit, false).await, newest_first);
    }
    // One that has gone is still a place.
    assert!(state.remove_file(ONE, "d").await.unwrap());
    let after = Query { after: Some("d".to_owned()), ..query() };
    let (page, more) = state.files(ONE, &after).await.unwrap().unwrap();
    assert_eq!(page.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["b", "e"]);
    assert!(!more);
    // What never was is none, nor is that of another tenant.
    let after = Query { after: Some("x".to_owned()), ..query() };
    assert!(state.files(ONE, &after).await.unwrap().is_err());
    let after = Query { after: Some("a".to_owned()), ..query() };
    assert!(state.files(TWO, &after).await.unwrap().is_err());
    // Those that are hidden take no place of a page.
    let hidden = Query { limit: 2, hidden: HashSet::from(["c".to_owned(), "b".to_owned()]), ..query() };
    let (page, more) = state.files(ONE, &hidden).await.unwrap().unwrap();
    assert_eq!(page.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), ["a", "e"]);
    assert!(!more);
}

async fn files_are_listed_by_purpose_and_digest(mut bench: Bench) {
    let state = bench.open().await;
    for (id, purpose, text) in [("a", "batch", "1"), ("b", "evals", "1"), ("c", "batch", "2")] {
        let blob = written(&*state, account(1), text).await;
        state.add_file(ONE, account(1), new_file(id, purpose, blob)).await.unwrap();
    }
    let sha256 = Some(state.file(ONE, "a").await.unwrap().unwrap().blob.sha256().to_owned());
    for (purpose, sha256, expected) in [
        (Some("batch".to_owned()), None, &["c", "a"][..]),
        (None, sha256.clone(), &["b", "a"]),
        (Some("batch".to_owned()), sha256, &["a"]),
        (Some("vision".to_owned()), None, &[]),
    ] {
        let (page, _) = state.files(ONE, &Query { purpose, sha256, ..query() }).await.unwrap().unwrap();
        assert_eq!(page.iter().map(|file| file.id.as_str()).collect::<Vec<_>>(), expected);
    }
}

async fn expired_files_are_gone(mut bench: Bench) {
    let state = bench.open().await;
    let blob = written(&*state, account(1), "one").await;
    let new = NewFile { lives: Some(100), ..new_file("f", "batch", blob) };
    state.add_file(ONE, account(1), new).await.unwrap();
    file(&*state, "stays", "one").await;
    bench.pass(Duration::from_secs(99)).await;
    assert!(state.file(ONE, "f").await.unwrap().is_some());
    bench.pass(Duration::from_secs(1)).await;
    assert!(state.file(ONE, "f").await.unwrap().is_none());
    assert_eq!(state.files(ONE, &query()).await.unwrap().unwrap().0.len(), 1);
    assert!(!state.remove_file(ONE, "f").await.unwrap());
    let new = crate::state::NewBatch { input_file_id: "f".to_owned(), needs_input: true, ..new_batch("b") };
    assert!(matches!(state.create_batch(&new).await.unwrap(), Created::NoInput(None)));
    let after = Query { after: Some("f".to_owned()), oldest_first: true, ..query() };
    assert_eq!(state.files(ONE, &after).await.unwrap().unwrap().0.len(), 1);
}

/// Whether there is room for so many bytes; what is written is dropped.
async fn is_room(state: &dyn State, bytes: usize) -> bool {
    let mut spool = match state.spool(&account(1)).await {
        Ok(spool) => spool,
        Err(error) => {
            assert!(Full::of(&error).is_some(), "{error}");
            return false;
        }
    };
    match spool.write(&vec![b'x'; bytes]).await {
        Ok(()) => true,
        Err(error) => {
            assert!(Full::of(&error).is_some(), "{error}");
            false
        }
    }
}

/// The same, once what is being given up has been.
async fn becomes_room(state: &dyn State, bytes: usize) -> bool {
    for _ in 0..1_000 {
        if is_room(state, bytes).await {
            return true;
        }
        tokio::task::yield_now().await;
    }
    false
}

async fn bytes_are_bounded_to_the_last(mut bench: Bench) {
    bench.bounded(100, 10, 10);
    let state = bench.open().await;
    let mut spool = state.spool(&account(1)).await.unwrap();
    for _ in 0..10 {
        spool.write(&[b'x'; 10]).await.unwrap();
    }
    let full = spool.write(b"x").await.unwrap_err();
    assert_eq!(Full::of(&full).unwrap().to_string(), "This key may store at most 100 bytes.");
    let blob = Arc::new(spool.seal().await.unwrap());
    state.add_file(ONE, account(1), new_file("f", "batch", blob)).await.unwrap();
    assert!(!is_room(&*state, 1).await);
    assert!(state.remove_file(ONE, "f").await.unwrap());
    // Of what is kept exactly its length is taken, whatever was taken on the way.
    assert!(becomes_room(&*state, 100).await);
    let mut spool = loop {
        // What was dropped just now may still be on its way out.
        let mut spool = state.spool(&account(1)).await.unwrap();
        if spool.write(&[b'x'; 60]).await.is_ok() {
            break spool;
        }
        tokio::task::yield_now().await;
    };
    spool.write(b"").await.unwrap();
    let blob = Arc::new(spool.seal().await.unwrap());
    state.add_file(ONE, account(1), new_file("g", "batch", blob)).await.unwrap();
    assert!(becomes_room(&*state, 40).await);
    assert!(!is_room(&*state, 41).await);
}

async fn files_are_bounded(mut bench: Bench) {
    bench.bounded(100, 2, 10);
    let state = bench.open().await;
    file(&*state, "a", "1").await;
    let spool = state.spool(&account(1)).await.unwrap();
    let full = state.spool(&account(1)).await.unwrap_err();
    assert_eq!(Full::of(&full).unwrap().to_string(), "This key may store at most 2 files.");
    drop(spool);
    assert!(becomes_room(&*state, 1).await);
}

async fn accounts_do_not_share_room(mut bench: Bench) {
    bench.bounded(10, 1, 1);
    let state = bench.open().await;
    file(&*state, "a", "0123456789").await;
    written(&*state, account(2), "0123456789").await;
    assert!(!is_room(&*state, 1).await);
}

async fn room_of_what_was_never_kept_comes_back(mut bench: Bench) {
    bench.bounded(100, 1, 10);
    let state = bench.open().await;
    let blob = written(&*state, account(1), &"x".repeat(100)).await;
    assert!(!is_room(&*state, 1).await);
    drop(blob);
    assert!(becomes_room(&*state, 100).await);
}

async fn room_of_what_a_kill_has_cut_comes_back(mut bench: Bench) {
    bench.bounded(100, 1, 10);
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let blob = written(&*state, account(1), &"x".repeat(100)).await;
    // Nobody drops anything when a process is killed.
    std::mem::forget(blob);
    let state = bench.killed(state).await;
    bench.pass(Duration::from_secs(7_200)).await;
    state.sweep(&state.join().await.unwrap()).await.unwrap();
    assert!(becomes_room(&*state, 100).await);
}

async fn room_of_the_expired_comes_back_when_it_is_needed(mut bench: Bench) {
    bench.bounded(100, 1, 10);
    let state = bench.open().await;
    let blob = written(&*state, account(1), &"x".repeat(100)).await;
    let new = NewFile { lives: Some(100), ..new_file("f", "batch", blob) };
    state.add_file(ONE, account(1), new).await.unwrap();
    assert!(!is_room(&*state, 1).await);
    bench.pass(Duration::from_secs(100)).await;
    assert!(becomes_room(&*state, 100).await);
}

async fn an_input_outlives_its_file(mut bench: Bench) {
    let state = bench.open().await;
    file(&*state, "input", "the input").await;
    create(&*state, &new_batch("b")).await;
    assert!(state.remove_file(ONE, "input").await.unwrap());
    bench.pass(Duration::from_secs(7_200)).await;
    let me = state.join().await.unwrap();
    state.sweep(&me).await.unwrap();
    let held = validating(&*state, &me, "b").await;
    let input = held.input.clone().unwrap();
    assert_eq!((input.purpose.as_str(), input.blob.bytes()), ("batch", 9));
    assert_eq!(content(&input.blob, 4).await, "input");
    let full = state.create_batch(&crate::state::NewBatch { needs_input: true, ..new_batch("c") }).await.unwrap();
    assert!(matches!(full, Created::NoInput(None)), "{full:?}");
    if state.is_durable() {
        state.fail(&me, &held, &[]).await.unwrap().unwrap();
        state.sweep(&me).await.unwrap();
        assert!(input.blob.open(0).await.is_err());
    }
}

async fn removed_bytes_go_after_an_hour(mut bench: Bench) {
    let state = bench.open().await;
    if !state.is_durable() {
        return;
    }
    let me = state.join().await.unwrap();
    let removed = file(&*state, "f", "one").await;
    assert!(state.remove_file(ONE, "f").await.unwrap());
    bench.pass(Duration::from_secs(3_599)).await;
    state.sweep(&me).await.unwrap();
    assert_eq!(content(&removed.blob, 0).await, "one");
    bench.pass(Duration::from_secs(1)).await;
    state.sweep(&me).await.unwrap();
    assert!(removed.blob.open(0).await.is_err());
    // A month later it is no place any more.
    let after = Query { after: Some("f".to_owned()), ..query() };
    assert!(state.files(ONE, &after).await.unwrap().is_ok());
    bench.pass(Duration::from_secs(30 * 86_400)).await;
    let me = state.join().await.unwrap();
    state.sweep(&me).await.unwrap();
    assert!(state.files(ONE, &after).await.unwrap().is_err());
    // Nor is anything lost of what is in use.
    made(&*state, "b").await;
    state.cancel(ONE, "b", false).await.unwrap();
    ended(&*state, &me, "b", Status::Cancelled).await;
    assert!(state.claim(&me, 1, None).await.unwrap().is_none());
}
