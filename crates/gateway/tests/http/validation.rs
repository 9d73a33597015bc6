//! What makes an input file bad: the code, the param and the line of every finding.

use crate::common::{CHAT, Caller, MKA1, OPENAI, PREFIXES, chat, chats, plain, start};
use lote_gateway::Gateway;
use serde_json::{Value, json};

/// Code, param, line of every finding.
fn findings(batch: &Value) -> Vec<(&str, &str, u64)> {
    assert_eq!(batch["errors"]["object"], "list");
    batch["errors"]["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|finding| {
            assert!(!finding["message"].as_str().unwrap().is_empty());
            (
                finding["code"].as_str().unwrap(),
                finding["param"].as_str().unwrap_or(""),
                finding["line"].as_u64().unwrap_or(0),
            )
        })
        .collect()
}

/// A good line with one change.
fn changed(change: impl FnOnce(&mut Value)) -> Vec<u8> {
    let mut line = chat("changed", "text");
    change(&mut line);
    line.to_string().into_bytes()
}

#[tokio::test]
async fn every_code() {
    let good = chat("good", "text").to_string();
    let without = |name: &'static str| {
        changed(move |line| {
            line.as_object_mut().unwrap().remove(name);
        })
    };
    let body = r#"{"model":"gpt-test","messages":[]}"#;
    let lone = format!(r#"{{"custom_id":"\ud800","method":"POST","url":"{CHAT}","body":{body}}}"#);
    let repeated = format!(r#"{{"custom_id":"a","custom_id":"b","method":"POST","url":"{CHAT}","body":{body}}}"#);
    // The second line of a file, and what is found there.
    let table: Vec<(Vec<u8>, &str, &str)> = vec![
        (b"{\"custom_id\": \"a\"".to_vec(), "invalid_json_line", ""),
        (b"hello".to_vec(), "invalid_json_line", ""),
        (format!("{} extra", chat("a", "b")).into_bytes(), "invalid_json_line", ""),
        (b"{\"custom_id\": \"\xff\"}".to_vec(), "invalid_json_line", ""),
        (lone.into_bytes(), "invalid_json_line", "custom_id"),
        (repeated.into_bytes(), "invalid_request", ""),
        (b"\"text\"".to_vec(), "invalid_request", ""),
        (b"null".to_vec(), "invalid_request", ""),
        (b"7".to_vec(), "invalid_request", ""),
        (format!("[{}]", chat("a", "b")).into_bytes(), "invalid_request", ""),
        (good.clone().into_bytes(), "duplicate_custom_id", "custom_id"),
        (without("custom_id"), "missing_required_parameter", "custom_id"),
        (without("method"), "missing_required_parameter", "method"),
        (without("url"), "missing_required_parameter", "url"),
        (without("body"), "missing_required_parameter", "body"),
        (changed(|line| line["custom_id"] = json!("")), "missing_required_parameter", "custom_id"),
        (changed(|line| line["body"] = Value::Null), "missing_required_parameter", "body"),
        (changed(|line| line["custom_id"] = json!(7)), "invalid_request", "custom_id"),
        (changed(|line| line["method"] = json!("GET")), "invalid_request", "method"),
        (changed(|line| line["method"] = json!("post")), "invalid_request", "method"),
        (changed(|line| line["url"] = json!("/v1/embeddings")), "url_mismatch", "url"),
        (changed(|line| line["url"] = json!("/chat/completions")), "url_mismatch", "url"),
        (changed(|line| line["body"] = json!([1])), "invalid_request", "body"),
        (changed(|line| line["body"] = json!("{}")), "invalid_request", "body"),
        (changed(|line| line["custom_id"] = json!("i".repeat(1_025))), "invalid_request", "custom_id"),
        (changed(|line| line["body"]["stream"] = json!(true)), "streaming_unsupported", "body.stream"),
        (changed(|line| line["body"]["stream"] = json!("true")), "streaming_unsupported", "body.stream"),
    ];
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        for (line, code, param) in &table {
            let mut input = format!("{good}\n").into_bytes();
            input.extend(line);
            let batch = caller.run(input, CHAT).await;
            let shown = String::from_utf8_lossy(line);
            assert_eq!(batch["status"], "failed", "{shown}");
            assert_eq!(findings(&batch), [(*code, *param, 2)], "{shown}");
            assert!(batch["failed_at"].is_i64());
            assert_eq!(batch["in_progress_at"], Value::Null);
            assert_eq!(batch["output_file_id"], Value::Null);
        }
    }
}

#[tokio::test]
async fn whole_files() {
    let gateway = start(Gateway::builder().max_lines(3)).await;
    let caller = Caller::new(&gateway, MKA1, "sk-test");
    let bom = format!("\u{feff}{}", chats(["one"]));
    for (input, code, line) in [
        (String::new(), "empty_file", 0),
        ("\n \r\n\n".to_owned(), "empty_file", 0),
        (bom, "invalid_json_line", 1),
        (chats(["1", "2", "3", "4"]), "too_many_tasks", 0),
    ] {
        let batch = caller.run(input.clone(), CHAT).await;
        assert_eq!(findings(&batch), [(code, "", line)], "{input:?}");
    }
    assert_eq!(caller.run(chats(["1", "2", "3"]), CHAT).await["status"], "completed");
}

#[tokio::test]
async fn lines_that_are_too_long_are_found_and_never_read() {
    let line = chat("a", "one").to_string();
    let gateway = start(Gateway::builder().max_line_bytes(line.len() as u64)).await;
    for prefix in PREFIXES {
        let caller = Caller::new(&gateway, prefix, "sk-test");
        assert_eq!(caller.run(format!("{line}\n"), CHAT).await["status"], "completed");
        let blanks = " ".repeat(200_000);
        // Not even JSON: nobody looked.
        let input = format!("{blanks}\n{line}\n{line} \n\n{}\nx\n{line}", "y".repeat(5_000_000));
        let batch = caller.run(input, CHAT).await;
        assert_eq!(batch["status"], "failed");
        assert_eq!(
            findings(&batch),
            [
                ("invalid_request", "", 3),
                ("invalid_request", "", 5),
                ("invalid_json_line", "", 6),
                ("duplicate_custom_id", "custom_id", 7),
            ]
        );
        let message = batch["errors"]["data"][1]["message"].as_str().unwrap();
        assert_eq!(message, format!("This line has 5000000 bytes; at most {} may be.", line.len()));
    }
}

#[tokio::test]
async fn several_findings_at_once_with_their_lines() {
    let (_gateway, caller) = plain(OPENAI).await;
    let mut bad = chat("r", "text");
    bad["method"] = json!("PUT");
    bad["url"] = json!("/v1/responses");
    bad["body"]["stream"] = json!(true);
    let input = format!("\n{}\r\nnot json\n\n{bad}\n{}\n", chat("q", "a"), chat("q", "b"));
    let batch = caller.run(input, CHAT).await;
    assert_eq!(
        findings(&batch),
        [
            ("invalid_json_line", "", 3),
            ("invalid_request", "method", 5),
            ("url_mismatch", "url", 5),
            ("streaming_unsupported", "body.stream", 5),
            ("duplicate_custom_id", "custom_id", 6),
        ]
    );
}

#[tokio::test]
async fn findings_are_capped() {
    let (_gateway, caller) = plain(OPENAI).await;
    let batch = caller.run("x\n".repeat(1_000), CHAT).await;
    assert_eq!(findings(&batch).len(), 100);
}

#[tokio::test]
async fn a_duplicate_is_found_forty_thousand_lines_apart() {
    let (_gateway, caller) = plain(MKA1).await;
    let mut input: String = (0..40_000).map(|n| format!("{}\n", chat(&format!("id-{n}"), "t"))).collect();
    input.push_str(&chat("id-0", "t").to_string());
    let batch = caller.run(input, CHAT).await;
    assert_eq!(findings(&batch), [("duplicate_custom_id", "custom_id", 40_001)]);
}

#[tokio::test]
async fn models_are_one_and_required_under_v1_only() {
    let with_model = |id: &str, model: Value| {
        let mut line = chat(id, "text");
        line["body"]["model"] = model;
        format!("{line}\n")
    };
    let mixed = with_model("a", json!("one")) + &with_model("b", json!("two"));
    let absent = with_model("a", Value::Null);

    let (_gateway, openai) = plain(OPENAI).await;
    let batch = openai.run(mixed.clone(), CHAT).await;
    assert_eq!(findings(&batch), [("model_mismatch", "body.model", 2)]);
    let batch = openai.run(absent.clone(), CHAT).await;
    assert_eq!(findings(&batch), [("missing_required_parameter", "body.model", 1)]);

    let (_gateway, mka1) = plain(MKA1).await;
    assert_eq!(mka1.run(mixed, CHAT).await["request_counts"]["completed"], 2);
    // There it is the line that fails.
    let batch = mka1.run(absent, CHAT).await;
    assert_eq!(batch["status"], "completed");
    assert_eq!(mka1.lines(&batch["error_file_id"]).await[0]["response"]["status_code"], 400);
}
