//! Tests of single words of what is said: that they are true, and not more than anybody reads.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation};
use serde_json::json;

use crate::common::{command, ended, folder, lote_in, lote_with, signal};
use crate::service::{Embedded, Steady, Unasked, at, requests};

#[test]
fn what_is_not_asked_again_is_not_said_to_be() {
    let lost = Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerLost);
    let gateway = Embedded::with(Gateway::builder().fault(lost));
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let ended = lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.stderr.contains("looking for what it made"), "{ended:?}");
    assert!(!ended.stderr.contains("asking again"), "{ended:?}");
}

#[test]
fn a_deadline_is_said_as_it_was_given() {
    // It takes connections, and answers nothing.
    let silent = Unasked::listen();
    let place = folder(&[]);
    let mut lote = at(&silent.url());
    lote.current_dir(place.path()).args(["run", "-", "--deadline", "2s"]);
    let late = ended(&mut lote, &requests(&["a"]));
    assert_eq!(late.code, 5, "{late:?}");
    assert!(late.stderr.contains("the deadline of 2s has passed"), "{late:?}");
}

#[test]
fn a_long_text_of_a_service_is_cut_for_people_alone() {
    let long = "x".repeat(10_000);
    let creates: Arc<AtomicUsize> = Arc::default();
    let (counted, said) = (Arc::clone(&creates), long.clone());
    let service = Steady::answering(move |head| match head.split(' ').next() {
        Some("POST") if head.contains("/files") => json!({"id": "file-1"}),
        Some("POST") => {
            counted.fetch_add(1, Ordering::Relaxed);
            json!({"id": "batch_1", "status": "validating"})
        }
        _ if head.contains("/batches?") => json!({"data": [], "has_more": false}),
        _ => json!({"id": "batch_1", "status": "failed", "errors": {"data": [{"message": said}]}}),
    });
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let failed = lote_in(at(service.url()), place.path(), &["run", "requests.jsonl"]);
    assert_eq!(failed.code, 4, "{}", failed.stderr.len());
    let told = lote_in(command(), place.path(), &["status"]);
    for text in [&failed.stderr, &told.stdout] {
        assert!(text.len() < 3_000 && text.contains("xxx… and ") && text.contains(" characters more"), "{text}");
    }
    let told = lote_in(command(), place.path(), &["status", "--json"]);
    assert!(told.stdout.contains(&long));
    assert_eq!(creates.load(Ordering::Relaxed), 1);
}

#[test]
fn stdin_is_planned_once() {
    for twice in [["-", "-"], ["-", "/dev/stdin"]] {
        let refused = lote_with([&["plan"][..], &twice].concat(), &requests(&["a"]));
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
        assert_eq!(refused.stderr, "error: -: stdin can be only one of the files\n");
    }
}

#[test]
fn a_list_without_an_end_is_told_and_ended_by_the_deadline() {
    let pages: Arc<AtomicUsize> = Arc::default();
    let service = Steady::answering(move |head| match head.split(' ').next() {
        Some("POST") => json!({"id": "file-1"}),
        _ => {
            let id = format!("batch_{}", pages.fetch_add(1, Ordering::Relaxed));
            let created_at = 4_000_000_000_u32;
            let batch = json!({"id": id, "status": "completed", "created_at": created_at});
            json!({"data": [batch], "has_more": true, "last_id": id})
        }
    });
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let mut lote = at(service.url());
    lote.current_dir(place.path()).args(["run", "requests.jsonl", "--deadline", "1d"]);
    let mut child = lote.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("lote starts");
    let mut said = BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let told = said.find(|line| line.contains("list of batches is read: 100 pages so far, and it goes on"));
    assert!(told.is_some(), "it ended before");
    signal(&child, "INT");
    assert_eq!(child.wait().expect("it ends").code(), Some(130));
    // Whatever it says, the deadline ends it.
    let late = lote_in(at(service.url()), place.path(), &["run", "requests.jsonl", "--deadline", "2s"]);
    assert_eq!(late.code, 5, "{late:?}");
}
