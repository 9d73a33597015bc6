//! Tests of what `lote` says of batches, and of going on, when a run ends early: what is said is so, and each command that is
//! printed does what was meant.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation, Refusal};
use serde_json::json;

use crate::common::{command, ended, folder, lote_in, names, phase, signal, until};
use crate::service::{Embedded, Steady, Unasked, at, json as printed, requests};

/// A service of which no batch ever ends, nor stops, and whose list is empty. How often it was asked to read the list, and
/// to stop a batch. Creates are answered with a batch, or with nothing that can be read.
fn endless(creates: bool) -> (Steady, Arc<AtomicUsize>, Arc<AtomicUsize>) {
    let (lists, stops): (Arc<AtomicUsize>, Arc<AtomicUsize>) = Default::default();
    let (listed, stopped) = (Arc::clone(&lists), Arc::clone(&stops));
    let service = Steady::answering(move |head| match head.split(' ').next() {
        Some("POST") if head.contains("/files") => json!({"id": "file-1"}),
        Some("POST") if head.contains("/cancel") => {
            stopped.fetch_add(1, Ordering::Relaxed);
            json!({"id": "batch_1", "status": "cancelling"})
        }
        Some("POST") if creates => json!({"id": "batch_1", "status": "in_progress"}),
        Some("POST") => json!({}),
        _ if head.contains("/batches/batch_1") => json!({"id": "batch_1", "status": "in_progress"}),
        _ => {
            listed.fetch_add(1, Ordering::Relaxed);
            json!({"object": "list", "data": [], "has_more": false})
        }
    });
    (service, lists, stops)
}

#[test]
fn an_interrupted_cancel_does_not_say_that_its_batches_go_on() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let (service, _, stops) = endless(true);
    assert_eq!(lote_in(at(service.url()), place.path(), &["run", "requests.jsonl", "--detach"]).code, 5);
    let mut cancel = at(service.url());
    cancel.current_dir(place.path()).args(["cancel", "requests.run"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = cancel.spawn().expect("lote starts");
    until("the batch is asked to stop", || stops.load(Ordering::Relaxed) > 0);
    signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said =
        "interrupted; batch batch_1 is to stop, as the run was cancelled: what it finishes until then is charged\n";
    assert!(stderr.contains(said), "{stderr}");
    assert!(!stderr.contains("goes on, and will be charged"), "{stderr}");
    assert!(stderr.contains("\n  lote cancel requests.run "), "{stderr}");
    // So it is when its time is over.
    let late = lote_in(at(service.url()), place.path(), &["cancel", "requests.run", "--deadline", "1s"]);
    assert_eq!(late.code, 5, "{late:?}");
    assert!(late.stderr.contains("gave up waiting; batch batch_1 is to stop"), "{late:?}");
}

#[test]
fn lost_creates_are_not_counted_as_batches() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let (service, lists, _) = endless(false);
    let run = ["run", "requests.jsonl", "--shard-lines", "1", "--settle-after-loss", "50ms"];
    assert_eq!(lote_in(at(service.url()), place.path(), &run).code, 6);
    let before = lists.load(Ordering::Relaxed);
    let mut resume = at(service.url());
    resume.current_dir(place.path()).args(["resume", "requests.run"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = resume.spawn().expect("lote starts");
    until("it looks for them", || lists.load(Ordering::Relaxed) > before);
    signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8_lossy(&output.stderr);
    let said =
        "interrupted; the answers to 2 creates were lost: what they made, if anything, goes on, and will be charged\n";
    assert!(output.status.code() == Some(130) && stderr.contains(said), "{stderr}");
    assert!(stderr.contains("\n  lote cancel requests.run "), "{stderr}");
}

#[test]
fn what_is_printed_for_going_on_is_what_was_asked_for() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]]"])), ("out.jsonl", b"mine")]);
    let gateway = Embedded::start();
    let asked = "-o out.jsonl --force --max-open 2 --settle-after-loss 90s --attempts 3 --clean-remote";
    let args: Vec<&str> = ["run", "requests.jsonl", "--deadline", "1s"].into_iter().chain(asked.split(' ')).collect();
    let ended = lote_in(at(gateway.url()), place.path(), &args);
    assert_eq!(ended.code, 5, "{ended:?}");
    let line = |what: &str| ended.stderr.lines().find(|line| line.ends_with(what)).expect(what).to_owned();
    let resume = line("  # goes on");
    assert!(resume.contains(&format!(" {asked}  # ")), "{resume}");
    // A run that is cancelled is not tried again, and deletes nothing.
    assert!(line("  # stops what is at work").contains(" -o out.jsonl --force  # "), "{ended:?}");
    // As it stands, it goes on.
    let words: Vec<&str> = resume.trim().split("  #").next().expect("a command").split(' ').skip(1).collect();
    let again = lote_in(at(gateway.url()), place.path(), &[&words[..], &["--deadline", "1s"]].concat());
    assert_eq!(again.code, 5, "{again:?}");
}

#[test]
fn a_file_that_was_changed_says_nothing_of_batches() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let gateway = Embedded::start();
    for part in ["1/2", "2/2"] {
        assert_eq!(lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--partition", part]).code, 0);
    }
    fs::write(place.path().join("requests.2-of-2.run/results.jsonl"), "{}\n").expect("damaged");
    let join = ["join", "requests.1-of-2.run", "requests.2-of-2.run", "-o", "all.jsonl"];
    let joined = lote_in(command(), place.path(), &join);
    assert!(joined.code == 2 && joined.stderr.contains("is not as the run of part 2/2"), "{joined:?}");
    assert!(!joined.stderr.contains("batch"), "{joined:?}");
    fs::write(place.path().join("requests.1-of-2.run/shards/0001/summary.json"), "{").expect("damaged");
    let cleaned = lote_in(at(gateway.url()), place.path(), &["clean", "requests.1-of-2.run", "--remote"]);
    assert!(cleaned.code == 2 && cleaned.stderr.contains("summary.json"), "{cleaned:?}");
    assert!(!cleaned.stderr.contains("there is no batch"), "{cleaned:?}");
}
