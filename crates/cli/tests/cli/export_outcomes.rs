//! `lote export --to outcomes`: results as lines of JSON, for programs.

use std::fs;

use serde_json::{Value, json};

use crate::common::command;
use crate::export::{answered, export, failed, line, place, said, vectors};

#[test]
fn outcomes_are_lines_of_json_for_programs() {
    let several = json!({"model": "m-1", "choices": [
        {"message": {"content": "one"}, "finish_reason": "stop"}, {"message": {"content": "two"}, "finish_reason": "stop"}]});
    let refused = json!({"error": {"code": "invalid", "message": "no such\u{1b} model"}});
    let refused = json!({"custom_id": "d", "response": {"status_code": 400, "body": refused}, "error": null});
    let results =
        [said("b", "Hällo"), failed("a", "no"), answered("c", &several), line(&refused), vectors("e", &[&[0.5, 1.5]])];
    let place = place(&results, "id\n1\n");
    let ended = export(&place, &["-o", "-", "--to", "outcomes", "--json"]);
    let lines: Vec<Value> = ended.stdout.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!((ended.code, lines.len()), (0, 5), "{ended:?}");
    let usage = |all: u64, input: u64, output: u64| json!({"input_tokens": input, "output_tokens": output, "total_tokens": all, "cached_tokens": 0, "reasoning_tokens": 0});
    let first = json!({"custom_id": "b", "outcome": "succeeded", "status_code": 200, "model": "m-1",
        "finish_reason": "stop", "texts": ["Hällo"], "body": lines[0]["body"], "error": null, "usage": usage(5, 2, 3)});
    assert_eq!(lines[0], first);
    assert_eq!(lines[0]["body"]["choices"][0]["message"]["content"], "Hällo");
    let second = json!({"custom_id": "a", "outcome": "failed", "status_code": null, "model": null,
        "finish_reason": null, "texts": [], "body": null, "error": {"code": "server_error", "message": "no"}, "usage": null});
    assert_eq!(lines[1], second);
    assert_eq!(lines[2]["texts"], json!(["one", "two"]));
    let why = json!({"code": "invalid", "message": "no such\u{1b} model"});
    assert_eq!((&lines[3]["error"], &lines[3]["body"]["error"]), (&why, &why));
    assert_eq!((&lines[4]["texts"], &lines[4]["usage"]), (&json!([]), &usage(1, 1, 0)));
    assert_eq!(lines[4]["body"]["data"][0]["embedding"], json!([0.5, 1.5]));
    let summary: Value = serde_json::from_str(ended.stderr.trim()).expect("JSON");
    assert_eq!((&summary["rows"], &summary["unreadable"]), (&json!(5), &json!(0)), "{summary}");

    // A file has the same lines, and appears when it is whole.
    assert_eq!(export(&place, &["-o", "all.jsonl", "--to", "outcomes"]).code, 0);
    assert_eq!(fs::read_to_string(place.path().join("all.jsonl")).expect("lines"), ended.stdout);
    for refused in [&["--text"][..], &["--fields", "a"], &["--rows", "rows.csv"], &["--bom"]] {
        assert_eq!(export(&place, &[&["-o", "-", "--to", "outcomes"], refused].concat()).code, 2, "{refused:?}");
    }

    // What cannot be read is told by the exit code, after what can be.
    fs::write(place.path().join("results.jsonl"), format!("{}{{\n{}", results[0], results[1])).expect("written");
    let ended = export(&place, &["-o", "-", "--to", "outcomes"]);
    assert_eq!((ended.code, ended.stdout.lines().count()), (1, 2), "{ended:?}");
}

/// A reader that leaves early is no failure, and what it does not read is not made.
#[cfg(unix)]
#[test]
fn outcomes_end_when_their_reader_leaves() {
    use std::io::Read;
    use std::process::Stdio;

    let results: Vec<String> = (0..2000).map(|n| said(&format!("r-{n}"), &"x".repeat(200))).collect();
    let place = place(&results, "");
    let mut child = command();
    child.current_dir(place.path()).args(["export", "results.jsonl", "-o", "-", "--to", "outcomes", "--json"]);
    let mut child = child.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut stdout = child.stdout.take().expect("a pipe");
    stdout.read_exact(&mut [0; 100]).expect("a line");
    drop(stdout);
    let ended = child.wait_with_output().expect("it ends");
    let summary: Value = serde_json::from_slice(&ended.stderr).expect("JSON");
    assert!(ended.status.success() && summary["rows"].as_u64() < Some(2000), "{summary}");
}
