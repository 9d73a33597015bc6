//! Tests of `--expect`: answers are held against a schema, or against what their lines ask for; what does not fit is counted
//! by what it falls short of and where, and can be asked for again.

use std::fs;

use serde_json::{Value, json};

use crate::common::{command, folder, lote_in};
use crate::service::{Embedded, at, json, requests};

const SCHEMA: &str = r#"{"type": "object", "properties": {"items": {"type": "array", "items": {"type": "object", "required": ["price"], "properties": {"price": {"type": "number"}}}}}}"#;

/// A request line, with these fields beside its messages.
fn chat(id: &str, prompt: &str, more: Value) -> String {
    let mut body = json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]});
    let fields = more.as_object().expect("an object").clone();
    body.as_object_mut().expect("an object").extend(fields);
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
}

/// An answer of a chat, as it stands in a file of answers.
fn answered(id: &str, text: Option<&str>, finish: &str) -> String {
    let message = match text {
        Some(text) => json!({"role": "assistant", "content": text}),
        None => json!({"role": "assistant", "content": null, "refusal": "I cannot say."}),
    };
    let body = json!({"choices": [{"index": 0, "finish_reason": finish, "message": message}]});
    json!({"id": "r", "custom_id": id, "response": {"status_code": 200, "body": body}, "error": null}).to_string()
        + "\n"
}

fn format(wanted: &str) -> Value {
    json!({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "properties": {"n": {"type": wanted}}}}}})
}

#[test]
fn what_does_not_fit_is_counted_by_what_and_where_and_none_is_dropped() {
    let cases = [
        ("fits", Some(r#"{"items": [{"price": 1.5}]}"#), "stop"),
        ("text", Some(r#"{"items": [{"price": 1}, {"price": "2"}]}"#), "stop"),
        ("more", Some(r#"{"items": [{"price": null}]}"#), "stop"),
        ("less", Some(r#"{"items": [{}]}"#), "stop"),
        ("prose", Some("Sure!"), "stop"),
        ("short", Some(r#"{"items": ["#), "length"),
        ("held", Some("{}"), "content_filter"),
        ("refused", None, "stop"),
    ];
    let input: String = cases.iter().map(|(id, ..)| chat(id, "x", json!({}))).collect();
    let output: String = cases.iter().rev().map(|(id, text, finish)| answered(id, *text, finish)).collect();
    let files = [("in.jsonl", input.as_bytes()), ("out.jsonl", output.as_bytes()), ("s.json", SCHEMA.as_bytes())];
    let place = folder(&files);
    let lote = |args: &[&str]| lote_in(command(), place.path(), args);
    let joined = lote(&["join", "in.jsonl", "out.jsonl", "-o", "a.jsonl", "--expect", "@s.json", "--json"]);
    assert_eq!(joined.code, 1, "{joined:?}");
    let fit = &json(&joined)["fit"];
    let unfit = json!({"cut_off": 1, "filtered": 1, "refused": 1, "no_json": 1, "mismatched": 3});
    assert_eq!((&fit["fitting"], &fit["unfit"]), (&json!(1), &unfit));
    let place_of = |path: &str| {
        let places = fit["places"].as_array().expect("places");
        places.iter().find(|place| place["path"] == path).cloned().unwrap_or_else(|| panic!("{path} in {places:?}"))
    };
    let price = place_of("/items/*/price");
    assert_eq!(price["count"], 2);
    assert_eq!(price["schema_path"], "/properties/items/items/properties/price/type");
    assert_eq!(place_of("/items/*")["schema_path"], "/properties/items/items/required");
    let first = fit["first"].as_array().expect("the first");
    let named: Vec<(&str, &str)> =
        first.iter().map(|one| (one["custom_id"].as_str().unwrap(), one["path"].as_str().unwrap())).collect();
    let expected = [
        ("text", "/items/1/price"),
        ("more", "/items/0/price"),
        ("less", "/items/0"),
        ("prose", ""),
        ("short", ""),
        ("held", ""),
        ("refused", ""),
    ];
    assert_eq!(named, expected);
    // They are all there, as they came.
    let all = lote(&["join", "in.jsonl", "out.jsonl", "-o", "b.jsonl"]);
    assert_eq!(all.code, 0, "{all:?}");
    let read = |name: &str| fs::read(place.path().join(name)).expect("the results");
    assert_eq!(read("a.jsonl"), read("b.jsonl"));
    let told = lote(&["join", "in.jsonl", "out.jsonl", "-o", "-", "--expect", "@s.json"]);
    assert_eq!((told.code, told.stdout.as_bytes()), (1, &read("a.jsonl")[..]), "{told:?}");
    for said in [
        "1 of 8 answers fit, 1 cut off, 1 filtered, 1 refused, 1 no JSON, 3 not of the schema",
        "2 × not of the schema at /items/*/price: /properties/items/items/properties/price/type",
        "text: not of the schema, at /items/1/price",
        "refused",
    ] {
        assert!(told.stderr.contains(said), "{said}: {told:?}");
    }
    let counted = lote(&["join", "in.jsonl", "out.jsonl", "-o", "/dev/null", "--expect", "@s.json", "--json"]);
    assert_eq!(json(&counted)["fit"], *fit);
}

#[test]
fn each_line_is_held_against_what_it_asks_for() {
    let lines = [
        chat("a", "x", format("integer")),
        chat("b", "x", format("string")),
        chat("plain", "x", json!({})),
        chat("short", "many words, please", json!({"max_tokens": 1, "response_format": {"type": "json_object"}})),
    ];
    let place = folder(&[("requests.jsonl", lines.concat().as_bytes())]);
    let gateway = Embedded::start();
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    let ran = lote(&["run", "requests.jsonl", "--expect", "requested", "--json"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    let fit = json(&ran)["fit"].clone();
    assert_eq!((&fit["expected"], &fit["fitting"], &fit["unasked"]), (&json!("requested"), &json!(2), &json!(1)));
    assert_eq!((&fit["unfit"], &fit["first"][0]["custom_id"]), (&json!({"cut_off": 1}), &json!("short")));
    // It is kept with the summary, and is the same where the results are joined with the requests.
    let summary = fs::read(place.path().join("requests.run/summary.json")).expect("a summary");
    assert_eq!(serde_json::from_slice::<Value>(&summary).expect("JSON")["fit"], fit);
    let again = lote(&["resume", "requests.run", "--json"]);
    assert_eq!((again.code, &json(&again)["fit"]), (1, &fit));
    let args =
        ["join", "requests.jsonl", "requests.run/results.jsonl", "-o", "r.jsonl", "--expect", "requested", "--json"];
    assert_eq!(json(&lote(&args))["fit"], fit);

    // A table of answers to other schemas than theirs.
    let swapped = [chat("a", "x", format("string")), chat("b", "x", format("integer")), lines[2].clone()].concat();
    fs::write(place.path().join("swapped.jsonl"), format!("\u{feff}{swapped}")).expect("written");
    let args =
        ["join", "swapped.jsonl", "requests.run/results.jsonl", "-o", "s.jsonl", "--expect", "requested", "--json"];
    let other = json(&lote(&args))["fit"].clone();
    assert_eq!(
        (&other["fitting"], &other["unfit"], &other["unasked"]),
        (&json!(0), &json!({"mismatched": 2}), &json!(1))
    );
    assert_eq!(other["places"][0]["path"], "/n");
}

#[test]
fn what_does_not_fit_is_sent_again_and_a_finished_run_is_held_against_anything_without_a_call() {
    let place = folder(&[
        ("requests.jsonl", &[requests(&["a", "b"]), chat("c", "x", format("integer")).into_bytes()].concat()),
        ("object.json", br#"{"type": "object"}"#),
        ("any.json", b"true"),
    ]);
    let gateway = Embedded::start();
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    let keyless = |args: &[&str]| lote_in(command(), place.path(), args);
    assert_eq!(lote(&["run", "requests.jsonl"]).code, 0);
    let held = keyless(&["resume", "requests.run", "--expect", "@object.json", "--json"]);
    assert_eq!(held.code, 1, "{held:?}");
    assert_eq!((&json(&held)["fit"]["fitting"], &json(&held)["fit"]["unfit"]), (&json!(1), &json!({"no_json": 2})));
    // Nothing was written by that, and nothing is expected without the word.
    let plain = keyless(&["resume", "requests.run", "--json"]);
    assert_eq!((plain.code, &json(&plain)["fit"]), (0, &Value::Null));

    let unfit = ["repair", "requests.run", "--unfit", "--expect", "@object.json", "--json"];
    let again = lote(&unfit);
    assert_eq!(again.code, 1, "{again:?}");
    let again = json(&again);
    assert_eq!((&again["batches"][1]["attempt"], &again["batches"][1]["lines"]), (&json!(2), &json!(2)));
    assert_eq!(keyless(&["report", "requests.run", "-o", "page.html"]).code, 0);
    let page = fs::read_to_string(place.path().join("page.html")).expect("a page");
    assert!(page.contains("not as expected: no JSON"), "{page}");
    assert_eq!((&again["succeeded"], &again["fit"]["unfit"]), (&json!(3), &json!({"no_json": 2})));
    // All fit what is asked for now: nothing is sent.
    let fits = lote(&["repair", "requests.run", "--unfit", "--expect", "requested", "--json"]);
    assert_eq!((fits.code, json(&fits)["batches"].as_array().map(Vec::len)), (0, Some(2)), "{fits:?}");
    let told = keyless(&["resume", "requests.run", "--expect", "requested"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.stdout.contains("1 of 1 answer fit; 2 asked for no JSON"), "{told:?}");
}

#[test]
fn what_is_no_schema_is_refused_with_its_file_before_anything_is_sent() {
    let place = folder(&[
        ("requests.jsonl", &requests(&["a"])),
        ("broken.json", b"{\"type\":"),
        ("wrong.json", br#"{"properties": {"a": {"type": "whole"}}}"#),
        ("outside.json", br#"{"$ref": "http://127.0.0.1:9/other.json"}"#),
    ]);
    for (given, said) in [
        ("@broken.json", "broken.json: it is no JSON"),
        ("@wrong.json", "at /properties/a/type"),
        ("@outside.json", "other.json"),
        ("@none.json", "none.json"),
        ("wrong.json", "a schema is named as @FILE"),
        ("", "a schema is named as @FILE"),
    ] {
        for args in
            [&["run", "requests.jsonl", "--embedded"][..], &["join", "requests.jsonl", "requests.jsonl", "-o", "o"]]
        {
            let refused = lote_in(command(), place.path(), &[args, &["--expect", given]].concat());
            assert_eq!(refused.code, 2, "{given}: {refused:?}");
            assert!(refused.stderr.contains(said), "{given}: {refused:?}");
        }
        assert!(!place.path().join("requests.run").exists() && !place.path().join("o").exists());
    }
}

/// Lines that equal others are held against what is expected as any other.
#[test]
fn equal_lines_are_counted_each() {
    let lines =
        [chat("a", "x", format("integer")), chat("b", "x", format("integer")), chat("c", "y", json!({}))].concat();
    let place = folder(&[("requests.jsonl", lines.as_bytes())]);
    let ran = lote_in(
        command(),
        place.path(),
        &["run", "requests.jsonl", "--embedded", "--dedupe", "--expect", "requested", "--json"],
    );
    assert_eq!(ran.code, 0, "{ran:?}");
    let summary = json(&ran);
    assert_eq!((&summary["deduplicated"]["lines"], &summary["fit"]["fitting"]), (&json!(1), &json!(2)));
}
