//! Tests of `lote repair` and of `--attempts`: what did not succeed and can is sent again, and nothing else.

use std::fs;
use std::time::Duration;

use lote_gateway::Gateway;
use serde_json::Value;

use crate::common::{folder, lote_in};
use crate::service::{Embedded, Unasked, at, json, requests};

/// Attempt and lines of each batch of a run, as its summary tells them.
fn attempts(summary: &Value) -> Vec<(u64, u64)> {
    let batches = summary["batches"].as_array().expect("batches");
    batches
        .iter()
        .map(|batch| (batch["attempt"].as_u64().expect("a number"), batch["lines"].as_u64().expect("a number")))
        .collect()
}

#[test]
fn only_what_can_succeed_is_tried_again_unless_all_is_wanted() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "[[status=429]] b", "[[status=400]] c"]))]);
    let gateway = Embedded::start();
    let repair = ["repair", "requests.run", "--json"];
    let unfinished = lote_in(at(gateway.url()), place.path(), &repair);
    assert_eq!(unfinished.code, 2, "{unfinished:?}");
    assert_eq!(lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl"]).code, 1);
    let results = || fs::read_to_string(place.path().join("requests.run/results.jsonl")).expect("the results");
    let before = results();
    let tried = lote_in(at(gateway.url()), place.path(), &repair);
    assert_eq!(tried.code, 1, "{tried:?}");
    assert_eq!(attempts(&json(&tried)), [(1, 3), (2, 1)]);
    let all = lote_in(at(gateway.url()), place.path(), &["repair", "requests.run", "--json", "--all"]);
    assert_eq!(all.code, 1, "{all:?}");
    assert_eq!(attempts(&json(&all)), [(1, 3), (2, 1), (3, 2)]);
    let summary = json(&all);
    assert_eq!((&summary["lines"], &summary["succeeded"], &summary["failed"]), (&3.into(), &1.into(), &2.into()));
    // What had succeeded stays, byte for byte.
    assert_eq!(results().lines().next(), before.lines().next());
    assert_eq!(results().lines().count(), 3);
}

#[test]
fn what_was_cancelled_is_sent_again_and_then_there_is_nothing_to_do() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=4000]] a", "b"]))]);
    let gateway = Embedded::standing(Gateway::builder().cancel_grace(Duration::ZERO));
    assert_eq!(lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--detach"]).code, 5);
    let unfinished = lote_in(at(gateway.url()), place.path(), &["repair", "requests.run"]);
    assert_eq!(unfinished.code, 2, "{unfinished:?}");
    assert!(unfinished.stderr.contains("not finished: go on with it first"), "{unfinished:?}");
    assert!(unfinished.stderr.contains("\n  lote resume requests.run "), "{unfinished:?}");
    let cancelled = lote_in(at(gateway.url()), place.path(), &["cancel", "requests.run", "--json"]);
    assert_eq!(cancelled.code, 1, "{cancelled:?}");
    // It is the run of this service and of no other.
    let unasked = Unasked::listen();
    let elsewhere = lote_in(at(&unasked.url()), place.path(), &["repair", "requests.run"]);
    assert_eq!(elsewhere.code, 2, "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("holds a run of "), "{elsewhere:?}");
    unasked.assert("a run of another service");

    let args = ["repair", "requests.run", "--json", "-o", "results.jsonl"];
    let repaired = gateway.passing(|| lote_in(at(gateway.url()), place.path(), &args));
    assert_eq!(repaired.code, 0, "{repaired:?}");
    let tried = attempts(&json(&repaired));
    assert_eq!(tried.len(), 2, "{tried:?}");
    let ids: Vec<Value> = fs::read_to_string(place.path().join("results.jsonl"))
        .expect("the results")
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON")["custom_id"].clone())
        .collect();
    assert_eq!(ids, ["row-1", "row-2"]);
    let again = lote_in(at(gateway.url()), place.path(), &args);
    assert_eq!((again.code, attempts(&json(&again))), (0, tried), "{again:?}");
    assert_eq!(json(&gateway.lote(["batches", "list"]))["data"].as_array().map(Vec::len), Some(2));
}

#[test]
fn a_run_makes_as_many_attempts_as_it_may() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "[[status=503]] b", "[[status=400]] c"]))]);
    let gateway = Embedded::start();
    let run = |attempts: &str| {
        lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--json", "--attempts", attempts])
    };
    let twice = run("2");
    assert_eq!((twice.code, attempts(&json(&twice))), (1, vec![(1, 3), (2, 1)]), "{twice:?}");
    let again = run("2");
    assert_eq!((again.code, attempts(&json(&again))), (1, vec![(1, 3), (2, 1)]), "{again:?}");
    let third = lote_in(at(gateway.url()), place.path(), &["resume", "requests.run", "--json", "--attempts", "3"]);
    assert_eq!(attempts(&json(&third)), [(1, 3), (2, 1), (3, 1)], "{third:?}");
    for args in [&["--attempts", "0"][..], &["--attempts", "2", "--detach"]] {
        let refused = lote_in(at(gateway.url()), place.path(), &[&["resume", "requests.run"], args].concat());
        assert_eq!(refused.code, 2, "{refused:?}");
    }
    let prompts = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let once = lote_in(at(gateway.url()), prompts.path(), &["run", "requests.jsonl", "--json", "--attempts", "5"]);
    assert_eq!((once.code, attempts(&json(&once))), (0, vec![(1, 1)]), "{once:?}");
}
