//! Owns the tests of lines that are sent one by one: `--sync` and how fast.

use std::time::Duration;

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation, Refusal};

use crate::common::{command, folder, lote_in, names};
use crate::service::{Embedded, at, json, requests};

#[test]
fn lines_are_sent_one_by_one_and_the_summary_says_so() {
    let gateway = Embedded::with(Gateway::builder().journal(true));
    let place = folder(&[("requests.jsonl", &requests(&["1", "[[status=400]] 2", "3"]))]);
    let run = ["run", "requests.jsonl", "--sync", "-o", "results.jsonl", "--max-in-flight", "2"];
    let ended = lote_in(at(gateway.url()), place.path(), &run);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stdout.starts_with("2 of 3 lines succeeded, 1 failed, 0 missing; 3 lines sent one by one"),
        "{ended:?}"
    );
    assert!(!ended.stderr.contains("sent again"), "{ended:?}");
    let status = lote_in(command(), place.path(), &["status", "requests.run"]);
    assert!(status.stdout.contains("shard 1: settled, 2 of 3 lines succeeded"), "{status:?}");
    let again = json(&lote_in(command(), place.path(), &["resume", "requests.run", "--json"]));
    assert_eq!(again["synchronous"], serde_json::json!({"lines": 3, "sent_again": 0}));
    assert_eq!(again["batches"], serde_json::json!([]));
    // What went wrong is sent again in the same way.
    let repaired = lote_in(at(gateway.url()), place.path(), &["repair", "requests.run", "--all", "--sync", "--json"]);
    assert_eq!((repaired.code, &json(&repaired)["synchronous"]["lines"]), (1, &4.into()), "{repaired:?}");
    assert_eq!(names(place.path()), ["requests.jsonl", "requests.run", "results.jsonl"]);
    // Nothing that only it has goes.
    let cleaned = json(&lote_in(command(), place.path(), &["clean", "requests.run", "--json"]));
    let gone: Vec<_> = cleaned["files"].as_array().expect("files").iter().map(|file| file["path"].clone()).collect();
    assert!(gone.contains(&"shards/0001/sync.jsonl".into()), "{gone:?}");
    assert!(!gone.iter().any(|path| path.as_str().is_some_and(|path| path.ends_with("output.jsonl"))), "{gone:?}");
    let told = lote_in(command(), place.path(), &["resume", "requests.run"]);
    assert_eq!(told.code, 1, "{told:?}");
}

#[test]
fn an_embedded_gateway_takes_lines_one_by_one() {
    let place = folder(&[("requests.jsonl", &requests(&["1", "2"]))]);
    let ended = lote_in(command(), place.path(), &["run", "requests.jsonl", "--embedded", "--sync"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert!(ended.stdout.contains("; 2 lines sent one by one"), "{ended:?}");
}

#[test]
fn a_service_without_batches_is_told_as_such_and_the_flag_is_named() {
    for status in [404, 405, 501] {
        let fault = Fault::on(Operation::UploadFile).then(Effect::Status(Refusal::status(status)));
        let gateway = Embedded::with(Gateway::builder().fault(fault));
        let place = folder(&[("requests.jsonl", &requests(&["1"]))]);
        let ended = lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl"]);
        assert_eq!(ended.code, 4, "{ended:?}");
        assert!(ended.stderr.contains("the service seems to have no batch API"), "{ended:?}");
        assert!(ended.stderr.contains("\n  the same command with --sync sends the lines one by one"), "{ended:?}");
        assert!(ended.stderr.contains("\n  lote gateway --upstream URL  # makes a batch API of it, at "), "{ended:?}");
        let ended = lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--sync"]);
        assert_eq!(ended.code, 0, "{ended:?}");
    }
}

#[test]
fn what_cannot_go_together_is_refused_before_anything_is_sent() {
    let place = folder(&[("requests.jsonl", &requests(&["1"]))]);
    for args in [&["--sync", "--detach"][..], &["--max-in-flight", "0"], &["--requests-per-minute", "x"]] {
        let ended = lote_in(at("http://127.0.0.1:1"), place.path(), &[&["run", "requests.jsonl"][..], args].concat());
        assert_eq!(ended.code, 2, "{ended:?}");
        assert!(ended.stderr.contains(args[0]) || ended.stderr.contains("--detach"), "{ended:?}");
    }
    assert_eq!(names(place.path()), ["requests.jsonl"]);
}

#[test]
fn the_command_that_goes_on_has_all_that_was_asked_for() {
    let gateway = Embedded::standing(Gateway::builder());
    let place = folder(&[("requests.jsonl", &requests(&["1", "[[sleep=60000]] 2"]))]);
    let asked = "--sync --max-in-flight 1 --requests-per-minute 6000 --tokens-per-minute 70000 --request-timeout 90s";
    let mut run = vec!["run", "requests.jsonl", "--deadline", "5s"];
    run.extend(asked.split(' '));
    let ended = lote_in(at(gateway.url()), place.path(), &run);
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.stderr.contains("1 of 2 lines have their answers"), "{ended:?}");
    assert!(ended.stderr.contains("\n  lote resume requests.run --base-url "), "{ended:?}");
    assert!(ended.stderr.contains(&format!(" {asked}  # goes on\n")), "{ended:?}");
    let status = lote_in(command(), place.path(), &["status", "requests.run"]);
    assert!(status.stdout.contains("shard 1: synchronous, 1 of 2 lines ended"), "{status:?}");
    let went_on = gateway.passing(|| lote_in(at(gateway.url()), place.path(), &["resume", "requests.run"]));
    assert_eq!(went_on.code, 0, "{went_on:?}");
    assert!(went_on.stderr.contains("1 request was sent again"), "{went_on:?}");
}

#[test]
fn a_service_that_takes_no_line_leaves_nothing() {
    let gateway = Embedded::with(Gateway::builder().key("mk-another-key"));
    let place = folder(&[("requests.jsonl", &requests(&["1"]))]);
    let ended = lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--sync"]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert_eq!(names(place.path()), ["requests.jsonl"]);
}

#[test]
fn a_batch_that_would_be_late_is_rescued_and_that_is_said() {
    let day = Duration::from_secs(24 * 3600);
    let gateway = Embedded::standing(Gateway::builder().window(day / 2));
    let place = folder(&[("requests.jsonl", &requests(&["1", "[[sleep=50000000]] 2", "[[sleep=50000000]] 3"]))]);
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    let begun = lote(&["run", "requests.jsonl", "--detach", "--rescue-before", "2h"]);
    assert_eq!(begun.code, 5, "{begun:?}");
    assert!(begun.stderr.contains(" --rescue-before 7200s\n"), "{begun:?}");
    gateway.pass(day * 11 / 24);
    // A tick decides, and stops the batch.
    let tick = lote(&["resume", "requests.run", "--detach", "--rescue-before", "2h"]);
    assert!(tick.code == 5 && tick.stderr.contains("what it leaves is sent one by one when it is over"), "{tick:?}");
    let status = lote_in(command(), place.path(), &["status", "requests.run"]);
    assert!(status.stdout.contains("shard 1: created, rescued, batch batch_"), "{status:?}");
    gateway.pass(Duration::from_secs(3600));
    let late = lote(&["resume", "requests.run", "--deadline", "5s", "--max-in-flight", "1"]);
    assert_eq!(late.code, 5, "{late:?}");
    assert!(late.stderr.contains("2 lines are left to be sent one by one"), "{late:?}");
    let status = lote_in(command(), place.path(), &["status", "requests.run"]);
    assert!(status.stdout.contains("shard 2: synchronous, what shard 1 has left, 0 of 2 lines ended"), "{status:?}");
    assert!(status.stdout.contains("1 of 3 lines ended, 1 succeeded"), "{status:?}");
    let cancelled = lote(&["cancel", "requests.run", "--json"]);
    assert_eq!((cancelled.code, &json(&cancelled)["cancelled"]), (1, &2.into()), "{cancelled:?}");
}
