//! Tests of what the default shape makes of answers that fall short: they can be asked for again, and are held against no
//! schema.

use std::fs;

use serde_json::json;

use crate::common::{folder, lote_in, names};
use crate::service::{Embedded, at, json, requests};

#[test]
fn the_default_shape_says_where_expect_is_before_anything_is_sent() {
    let place = folder(&[("requests.jsonl", &requests(&["a"])), ("output.jsonl", b"{}"), ("s.json", b"{}")]);
    let gateway = Embedded::start();
    if cfg!(feature = "full") {
        return;
    }
    for args in [
        &["run", "requests.jsonl", "--expect", "@s.json"][..],
        &["join", "requests.jsonl", "output.jsonl", "-o", "results.jsonl", "--expect", "requested"],
    ] {
        let refused = lote_in(at(gateway.url()), place.path(), args);
        assert_eq!(refused.code, 2, "{refused:?}");
        assert!(refused.stderr.contains("--expect is in the full shape of the command"), "{refused:?}");
        assert!(refused.stderr.contains("--features full"), "{refused:?}");
    }
    assert_eq!(names(place.path()), ["output.jsonl", "requests.jsonl", "s.json"]);
}

#[test]
fn what_was_cut_off_is_sent_again_when_it_is_asked_for() {
    let body =
        json!({"model": "auto", "max_tokens": 1, "messages": [{"role": "user", "content": "many words, please"}]});
    let line = json!({"custom_id": "b", "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string();
    let lines = [requests(&["a"]), line.into_bytes()].concat();
    let place = folder(&[("requests.jsonl", &lines)]);
    let gateway = Embedded::start();
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    assert_eq!(lote(&["run", "requests.jsonl"]).code, 0);
    let same = json(&lote(&["repair", "requests.run", "--json"]));
    assert_eq!((same["batches"].as_array().map(Vec::len), &same["cut_off"]), (Some(1), &1.into()));
    let again = json(&lote(&["repair", "requests.run", "--cut-off", "--json"]));
    assert_eq!((&again["batches"][1]["attempt"], &again["batches"][1]["lines"]), (&2.into(), &1.into()));
    let results = fs::read_to_string(place.path().join("requests.run/results.jsonl")).expect("the results");
    assert_eq!(results.lines().count(), 2);
    let unsaid = lote(&["repair", "requests.run", "--unfit"]);
    assert_eq!(unsaid.code, 2, "{unsaid:?}");
    assert!(unsaid.stderr.contains("--expect"), "{unsaid:?}");
}
