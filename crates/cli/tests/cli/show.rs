//! Tests of `lote show`: which lines it shows, and what of them.

use std::fs;
use std::path::Path;

use lote_gateway::Gateway;
use serde_json::{Value, json};

use crate::common::{Ended, command, folder, lote_in};
use crate::service::{Embedded, at, json_lines, requests};

fn show(place: &Path, args: &[&str]) -> Ended {
    lote_in(command(), place, &[&["show"], args].concat())
}

fn ids(lines: &[Value]) -> Vec<&str> {
    lines.iter().map(|line| line["custom_id"].as_str().expect("an id")).collect()
}

#[test]
fn lines_are_named_drawn_or_those_that_failed() {
    let prompts: Vec<String> =
        (1..=40).map(|at| if at % 10 == 0 { "[[status=429]]".to_owned() } else { format!("word {at}") }).collect();
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let place = folder(&[("requests.jsonl", &requests(&prompts))]);
    assert_eq!(lote_in(command(), place.path(), &["run", "requests.jsonl", "--embedded"]).code, 1);

    // Those that are named, in the order of the input, by the folder or by the file.
    for run in ["requests.run", "requests.jsonl"] {
        let named = show(place.path(), &[run, "row-33", "row-7", "--json"]);
        let lines = json_lines(&named);
        assert_eq!((named.code, named.stderr.as_str(), ids(&lines)), (0, "", vec!["row-7", "row-33"]), "{named:?}");
        let line = &lines[0];
        assert_eq!(
            (&line["outcome"], &line["attempts"], &line["error"]),
            (&json!("succeeded"), &json!(1), &json!(null))
        );
        assert_eq!(line["request"]["body"]["messages"][0]["content"], "word 7");
        assert_eq!(line["response"]["status_code"], 200, "{line}");
    }
    let failed = json_lines(&show(place.path(), &["requests.run", "--failed", "--json"]));
    assert_eq!(ids(&failed), ["row-10", "row-20", "row-30", "row-40"]);
    assert!(
        failed.iter().all(|line| line["outcome"] == "failed" && line["response"]["status_code"] == 429),
        "{failed:?}"
    );

    // The same number draws the same lines, and another others.
    let drawn = |args: &[&str]| {
        let ended = show(place.path(), &[&["requests.run", "--json"], args].concat());
        ids(&json_lines(&ended)).join(" ")
    };
    assert_eq!(drawn(&[]).split(' ').count(), 3);
    assert_eq!(drawn(&["--sample", "5"]), drawn(&["--sample", "5", "--seed", "0"]));
    assert_ne!(drawn(&["--sample", "5"]), drawn(&["--sample", "5", "--seed", "1"]));
    assert_eq!(drawn(&["--sample", "100"]).split(' ').count(), 40);
    assert_eq!(drawn(&["--failed", "--sample", "2"]).split(' ').count(), 2);
    assert!(show(place.path(), &["requests.run", "row-1", "--failed"]).stderr.contains("cannot be used with"));

    // One that is not there is told, with those like it, below those that are.
    let missing = show(place.path(), &["requests.run", "row-7", "rwo-33", "nothing like it"]);
    assert_eq!(missing.code, 2, "{missing:?}");
    assert!(missing.stdout.starts_with("row-7: succeeded\n"), "{missing:?}");
    assert!(
        missing.stderr.contains("requests.run: no line has the custom_id \"rwo-33\"; near it: row-33"),
        "{missing:?}"
    );
    assert!(missing.stderr.contains("no line has the custom_id \"nothing like it\"\n"), "{missing:?}");
}

#[test]
fn requests_and_answers_of_every_kind_are_told() {
    let line = |id: &str, url: &str, body: Value| {
        json!({"custom_id": id, "method": "POST", "url": url, "body": body}).to_string() + "\n"
    };
    let parts = json!([
        {"type": "text", "text": "what is this?"},
        {"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{}", "A".repeat(400))}},
    ]);
    let tools = json!([{"type": "function", "function": {"name": "get_weather", "parameters": {"type": "object"}}}]);
    let text = [
        line(
            "chat",
            "/v1/chat/completions",
            json!({
                "model": "auto", "temperature": 0.5, "tools": tools,
                "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": parts}],
            }),
        ),
        line("vector", "/v1/embeddings", json!({"model": "auto", "input": ["one", "two"], "dimensions": 16})),
        line("response", "/v1/responses", json!({"model": "auto", "instructions": "Be kind.", "input": "hello"})),
    ]
    .concat();
    let place = folder(&[("mixed.jsonl", text.as_bytes())]);
    let ended = lote_in(command(), place.path(), &["run", "mixed.jsonl", "--embedded"]);
    assert_eq!(ended.code, 0, "{ended:?}");
    let shown = show(place.path(), &["mixed.run"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, ""), "{shown:?}");
    for part in [
        "chat: succeeded\n  request: /v1/chat/completions, model auto, temperature 0.5, tools get_weather\n",
        "  system\n    │ Be brief.\n  user\n    │ what is this?\n    │ [image/png: 422 bytes as base64]\n",
        "  input 1\n    │ one\n  input 2\n    │ two\n",
        "    │ [16 numbers]\n    │ [16 numbers]\n",
        "  instructions\n    │ Be kind.\n  input\n    │ hello\n",
        "  tokens: ",
    ] {
        assert!(shown.stdout.contains(part), "{part}: {}", shown.stdout);
    }
}

#[test]
fn of_a_run_that_is_not_finished_there_is_what_there_is() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=1000]] a", "[[sleep=900000]] b"]))]);
    let gateway = Embedded::standing(Gateway::builder());
    let args = ["run", "requests.jsonl", "--shard-lines", "1", "--detach"];
    assert_eq!(lote_in(at(gateway.url()), place.path(), &args).code, 5);
    let lines = json_lines(&show(place.path(), &["requests.run", "--json"]));
    assert_eq!(ids(&lines), ["row-1", "row-2"]);
    assert!(lines.iter().all(|line| line["outcome"].is_null() && line["why"].is_string()), "{lines:?}");
    assert_eq!(lines[1]["request"]["body"]["messages"][0]["content"], "[[sleep=900000]] b");

    gateway.pass(std::time::Duration::from_secs(60));
    let resumed = lote_in(at(gateway.url()), place.path(), &["resume", "requests.run", "--detach"]);
    assert_eq!(resumed.code, 5, "{resumed:?}");
    // Of those with an outcome is drawn.
    let lines = json_lines(&show(place.path(), &["requests.run", "--json"]));
    assert_eq!((ids(&lines), &lines[0]["outcome"]), (vec!["row-1"], &json!("succeeded")));
    assert_eq!(show(place.path(), &["requests.run"]).stderr, "1 line without an outcome yet\n");
    let open = show(place.path(), &["requests.run", "row-2"]);
    assert!(open.stdout.starts_with("row-2: no outcome yet\n") && open.stdout.contains("  why: "), "{open:?}");
    let none = show(place.path(), &["requests.run", "--failed"]);
    assert_eq!(
        (none.code, none.stdout.as_str(), none.stderr.as_str()),
        (0, "", "no line of 2 lines has failed so far\n")
    );
}

#[test]
fn a_run_that_was_cleaned_is_shown_from_the_file_it_came_from() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    assert_eq!(lote_in(command(), place.path(), &["run", "requests.jsonl", "--embedded"]).code, 0);
    let before = json_lines(&show(place.path(), &["requests.run", "--json"]));
    assert_eq!(lote_in(command(), place.path(), &["clean", "requests.run"]).code, 0);
    assert!(!place.path().join("requests.run/shards/0001/requests.jsonl").exists());
    let after = json_lines(&show(place.path(), &["requests.run", "--json"]));
    assert_eq!((&after[0]["request"], &after[1]["response"]), (&before[0]["request"], &before[1]["response"]));
    assert_eq!(after[0]["attempts"], Value::Null);
    // One that holds other lines now is not taken for it.
    fs::write(place.path().join("requests.jsonl"), requests(&["a", "other"])).expect("written");
    let lost = show(place.path(), &["requests.run", "row-2"]);
    assert!(lost.stdout.contains("  request: not here any more") && lost.stdout.contains("  answer"), "{lost:?}");
}

/// Its request lines came from a file that is gone, and stay in the folder.
#[test]
fn a_run_of_a_table_is_shown_whole_when_it_was_cleaned() {
    for (name, failing, code) in [("good", "c", 0), ("bad", "[[status=400]] c", 1)] {
        let rows = format!("q\na\nb\n{failing}\nd\ne\n");
        let place = folder(&[("rows.csv", rows.as_bytes())]);
        let ask = ["run", "rows.csv", "--user", "{{ q }}", "--model", "auto", "--shard-lines", "2", "--embedded"];
        assert_eq!(lote_in(command(), place.path(), &ask).code, code, "{name}");
        let shown = || json_lines(&show(place.path(), &["rows.run", "--json", "--sample", "5"]));
        let requests = |lines: Vec<Value>| lines.into_iter().map(|line| line["request"].clone()).collect::<Vec<_>>();
        let before = requests(shown());
        assert!(before.len() == 5 && before.iter().all(Value::is_object), "{before:?}");
        assert_eq!(lote_in(command(), place.path(), &["clean", "rows.run"]).code, 0, "{name}");
        assert!(!place.path().join("rows.run/shards/0001/results.jsonl").exists(), "{name}");
        assert_eq!(requests(shown()), before, "{name}");
    }
}

#[test]
fn a_run_is_found_by_its_requests() {
    let place = folder(&[("requests.jsonl", &requests(&["a"])), ("other.jsonl", &requests(&["b"]))]);
    let none = show(place.path(), &["requests.jsonl"]);
    assert_eq!(none.code, 2, "{none:?}");
    assert!(none.stderr.contains("requests.jsonl: there is no run of it here, such as requests.run"), "{none:?}");
    for _ in 0..2 {
        assert_eq!(lote_in(command(), place.path(), &["run", "requests.jsonl", "--embedded", "--new"]).code, 0);
    }
    let shown = show(place.path(), &["requests.jsonl"]);
    assert_eq!((shown.code, shown.stderr.as_str()), (0, "there are other runs of it: requests.2.run\n"), "{shown:?}");
    let status = lote_in(command(), place.path(), &["status", "requests.jsonl"]);
    assert!(status.stdout.starts_with("requests.run: finished\n"), "{status:?}");
    let absent = show(place.path(), &["absent.run"]);
    assert_eq!((absent.code, absent.stdout.as_str()), (2, ""), "{absent:?}");
}
