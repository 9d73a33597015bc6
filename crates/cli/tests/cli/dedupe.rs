//! Tests of `--dedupe`: lines that ask for the same are sent once, and what is printed says so.

use std::fs;

use serde_json::Value;

use crate::common::{folder, lote_in};
use crate::service::{Embedded, at, json, requests};

#[test]
fn equal_lines_are_sent_once_and_what_was_saved_is_told() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b", "a", "a", "[[status=400]] c", "b"]))]);
    let gateway = Embedded::start();
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    let planned = lote(&["plan", "requests.jsonl", "--dedupe"]);
    assert!(planned.stdout.contains("3 lines equal others, and are in no shard"), "{planned:?}");
    assert!(planned.stdout.contains("6 request lines"), "{planned:?}");
    let plan = json(&lote(&["plan", "requests.jsonl", "--dedupe", "--json"]));
    assert_eq!((&plan["deduplicated"]["lines"], &plan["shards"][0]["lines"]), (&3.into(), &3.into()));
    assert_eq!(json(&lote(&["plan", "requests.jsonl", "--json"]))["deduplicated"], Value::Null);

    let ran = lote(&["run", "requests.jsonl", "--dedupe"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(ran.stdout.contains("3 lines equal others and were not sent"), "{ran:?}");
    assert!(ran.stdout.contains("5 of 6 lines succeeded"), "{ran:?}");
    let results = fs::read_to_string(place.path().join("requests.run/results.jsonl")).expect("the results");
    let lines: Vec<Value> = results.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    let ids: Vec<&str> = lines.iter().map(|line| line["custom_id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["row-1", "row-2", "row-3", "row-4", "row-5", "row-6"]);
    assert_eq!(lines[0]["response"], lines[3]["response"]);

    let summary = json(&lote(&["resume", "requests.run", "--json"]));
    assert_eq!((&summary["deduplicated"]["lines"], &summary["lines"]), (&3.into(), &6.into()));
    let status = lote(&["status", "requests.run"]);
    assert!(status.stdout.contains("3 lines equal others: they are not sent, and end with those"), "{status:?}");
    let other = lote(&["run", "requests.jsonl"]);
    assert_eq!(other.code, 2, "{other:?}");
    assert!(other.stderr.contains("equal lines were sent once, and are each sent now"), "{other:?}");
    // The table of the results has each line.
    let table = lote(&["export", "requests.run", "-o", "table.csv"]);
    assert!(table.code <= 1, "{table:?}");
    let table = fs::read_to_string(place.path().join("table.csv")).expect("the table");
    assert_eq!(table.lines().count(), 7, "{table}");
}
