//! A deadline bounds a run as a whole, whichever of its steps stands still, and what came by then is not lost.

use std::{
    fs,
    path::PathBuf,
    time::{Duration, Instant},
};

use lote::{
    Cadence, Error,
    run::{Report, Run, RunError},
};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{Odd, Reply};

/// Enough for what answers at once, on a machine that has other things to do.
const DEADLINE: Duration = Duration::from_secs(3);

struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let line = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{"model":"auto","messages":[{"role":"user","content":"x"}]}}"#;
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("requests.jsonl"), line).expect("the requests");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join("requests.run").join(name)
    }

    async fn run(&self, odd: &Odd) -> Result<Report, RunError> {
        // Everything is tried again, so that the deadline is what ends it.
        let retry = lote::Retry::default().retries(1_000).pauses(Duration::from_millis(1), Duration::from_millis(20));
        let client = odd.builder().retry(retry).build().expect("a client");
        let started = Instant::now();
        let run = Run::new(&client, self.0.path().join("requests.jsonl"));
        let ended = run.cadence(Cadence::new(Duration::from_millis(2), Duration::from_millis(20))).deadline(DEADLINE);
        let ended = ended.execute().await;
        let took = started.elapsed();
        assert!(took >= DEADLINE && took < DEADLINE + Duration::from_secs(10), "{took:?}");
        ended
    }
}

fn uploaded() -> Reply {
    Reply::json(200, json!({"id": "file-1"}))
}

fn batch(fields: Value) -> Reply {
    let mut batch = json!({"id": "batch_1", "status": "in_progress"});
    batch.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    Reply::json(200, batch)
}

fn over() -> Reply {
    batch(json!({"status": "completed", "output_file_id": "file-2"}))
}

fn stall() -> Reply {
    Reply::Stall(Vec::new())
}

fn is_late(error: &Error) -> bool {
    error.is_deadline() && error.is_timeout() && error.to_string().contains("the deadline of 3s has passed")
}

#[tokio::test]
async fn an_upload_that_stands_still_ends_the_run_before_there_is_a_batch() {
    let place = Place::new();
    let ended = place.run(&Odd::new([stall()])).await.expect_err("late");
    let error = ended.error().expect("an error of the call");
    assert!(ended.is_refused() && is_late(error), "{ended}");
    assert!(error.to_string().ends_with("; nothing was created for these lines"), "{error}");
    assert!(!place.path("").exists());
}

#[tokio::test]
async fn a_create_that_stands_still_leaves_open_whether_there_is_a_batch() {
    let place = Place::new();
    let ended = place.run(&Odd::new([uploaded(), stall()])).await.expect_err("late");
    assert!(ended.is_ambiguous() && ended.gave_up() && ended.error().is_some_and(is_late), "{ended}");
    assert!(place.path("run.json").exists());
}

#[tokio::test]
async fn a_look_that_stands_still_is_given_up_with_what_was_seen() {
    let place = Place::new();
    let ended = place.run(&Odd::new([uploaded(), batch(json!({})), stall()])).await.expect_err("late");
    assert!(ended.gave_up() && ended.batches()[0].as_str() == "batch_1", "{ended}");
}

#[tokio::test]
async fn a_download_that_stands_still_keeps_what_came() {
    let place = Place::new();
    let part = Reply::Stall(b"HTTP/1.1 200 X\r\ncontent-length: 100\r\n\r\n{\"custom_id\":".to_vec());
    let ended = place.run(&Odd::new([uploaded(), batch(json!({})), over(), part])).await.expect_err("late");
    let error = ended.error().filter(|_| ended.is_unfetched()).expect("an error of the download");
    assert!(is_late(error), "{error}");
    let text = error.to_string();
    assert!(text.contains("content of file file-2") && text.contains("13 of 100 bytes are kept in "), "{text}");
    assert_eq!(fs::read(place.path("shards/0001/output.jsonl.lote-part")).expect("a part"), b"{\"custom_id\":");
    // Not even a head.
    let place = Place::new();
    let ended = place.run(&Odd::new([uploaded(), batch(json!({})), over(), stall()])).await.expect_err("late");
    let error = ended.error().filter(|_| ended.is_unfetched()).expect("an error of the download");
    assert!(is_late(error) && error.to_string().contains("content of file file-2"), "{error}");
}

/// Trouble that is survived again and again is no way around it.
#[tokio::test]
async fn pauses_are_bounded_too() {
    let busy = || Reply::new(503, &["retry-after: 20"], "");
    let place = Place::new();
    let ended = place.run(&Odd::new([uploaded(), batch(json!({})), over(), busy()])).await.expect_err("late");
    assert!(ended.is_unfetched() && ended.error().is_some_and(is_late), "{ended}");
}
