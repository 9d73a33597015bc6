//! Keys that a result line gives twice: what is taken, what is told, and that no answer goes to the wrong request.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use std::fs;

use lote_lines::{AnomalyCode, Answer, Inspection, OutcomeKind, UnreadableKind, join};
use serde_json::Value;

const GOOD: &str = r#""response":{"status_code":200,"body":{"text":"hi"}}"#;

fn line(fields: &str) -> String {
    format!("{{\"custom_id\":\"a\",{fields}}}")
}

/// What is odd about one line, by both that read files: code and message.
fn told(line: &str) -> Vec<(AnomalyCode, String)> {
    let mut inspection = Inspection::default();
    inspection.read("f", line.as_bytes()).unwrap();
    let found = inspection.report().anomalies;
    let doubled: Vec<_> = found
        .iter()
        .filter(|anomaly| anomaly.code == AnomalyCode::DoubledKey)
        .map(|anomaly| anomaly.message.clone())
        .collect();
    let (joined, _) = joined(&["a", "b"], line);
    let again: Vec<_> =
        joined.iter().filter(|anomaly| anomaly.0 == AnomalyCode::DoubledKey).map(|anomaly| anomaly.1.clone()).collect();
    assert_eq!(doubled, again);
    found.into_iter().map(|anomaly| (anomaly.code, anomaly.message)).collect()
}

fn joined(ids: &[&str], line: &str) -> (Vec<(AnomalyCode, String)>, Vec<Value>) {
    let folder = tempfile::tempdir().unwrap();
    let [input, output] = ["input", "output"].map(|name| folder.path().join(name));
    fs::write(&input, ids.iter().map(|id| format!("{{\"custom_id\":\"{id}\"}}\n")).collect::<String>()).unwrap();
    fs::write(&output, line).unwrap();
    let mut out = Vec::new();
    let joined = join(&input, &[&output], &mut out).unwrap();
    let lines = out.trim_ascii_end().split(|byte| *byte == b'\n').map(|line| serde_json::from_slice(line).unwrap());
    (joined.anomalies.into_iter().map(|anomaly| (anomaly.code, anomaly.message)).collect(), lines.collect())
}

#[test]
fn null_hides_nothing_and_each_key_is_told() {
    let bad = r#""error":{"code":"c","message":"m"}"#;
    for (fields, key, outcome) in [
        (format!(r#"{GOOD},"response":null"#), "response", OutcomeKind::Succeeded),
        (format!(r#""response":null,{GOOD}"#), "response", OutcomeKind::Succeeded),
        (format!(r#"{GOOD},"\u0072esponse":null"#), "response", OutcomeKind::Succeeded),
        (format!(r#"{bad},"error":null"#), "error", OutcomeKind::Failed),
        (format!(r#""error":null,{bad}"#), "error", OutcomeKind::Failed),
        (format!(r#"{bad},{GOOD},"error":null"#), "error", OutcomeKind::Succeeded),
        (
            r#""response":{"status_code":200,"body":{"text":"hi"},"body":null}"#.to_owned(),
            "response.body",
            OutcomeKind::Succeeded,
        ),
        (
            r#""response":{"body":null,"status_code":200,"body":{"text":"hi"}}"#.to_owned(),
            "response.body",
            OutcomeKind::Succeeded,
        ),
        (
            r#""response":{"status_code":500,"body":{"text":"hi"},"status_code":null}"#.to_owned(),
            "response.status_code",
            OutcomeKind::Failed,
        ),
        (format!(r#""custom_id":"\u0061",{GOOD}"#), "custom_id", OutcomeKind::Succeeded),
        (format!(r#""custom_id":null,{GOOD}"#), "custom_id", OutcomeKind::Succeeded),
    ] {
        let line = line(&fields);
        let answer = Answer::parse(line.as_bytes()).unwrap();
        assert_eq!((answer.outcome(), answer.custom_id.as_ref()), (outcome, "a"), "{line}");
        let expected = format!("the line has the key {key:?} twice: taken was the last that is not null");
        assert_eq!(told(&line), [(AnomalyCode::DoubledKey, expected)], "{line}");
        // What is written has it once, so that whoever reads it takes the same.
        let mut out = Vec::new();
        answer.write_normalised(&mut out).unwrap();
        let again = Answer::parse(out.trim_ascii_end()).unwrap();
        assert_eq!(again.outcome(), outcome, "{line}");
        assert_eq!(told(std::str::from_utf8(&out).unwrap()), [], "{line}");
        if outcome == OutcomeKind::Succeeded {
            let value: Value = serde_json::from_slice(&out).unwrap();
            assert_eq!(value["response"], serde_json::json!({"status_code": 200, "body": {"text": "hi"}}), "{line}");
        }
    }
    // What is left of a response stays, and a text of JSON is decoded.
    let answer =
        r#"{"custom_id":"a","response":{"request_id":"r","body":"{\"text\":1}","status_code":"201","body":null}}"#;
    let mut out = Vec::new();
    Answer::parse(answer.as_bytes()).unwrap().write_normalised(&mut out).unwrap();
    let response: Value = serde_json::from_slice::<Value>(&out).unwrap()["response"].take();
    assert_eq!(response, serde_json::json!({"status_code": 201, "request_id": "r", "body": {"text": 1}}));
    // Where nothing in it is doubled, a response is kept as it stands.
    let kept = r#""response":{"body":{"text":"hi"} ,"status_code":200}"#;
    let line_of = line(&format!(r#"{kept},"error":null,"error":null"#));
    let mut out = Vec::new();
    Answer::parse(line_of.as_bytes()).unwrap().write_normalised(&mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), format!("{{\"id\":null,\"custom_id\":\"a\",{kept},\"error\":null}}\n"));
    // Elsewhere keys may be what they are.
    assert_eq!(told(&line(&format!(r#""x":1,"x":2,"id":null,"id":"i",{GOOD}"#))), []);
}

#[test]
fn an_answer_with_two_custom_ids_is_given_to_nobody() {
    let wide = "x".repeat(100_000);
    for (ids, only) in [
        (r#""custom_id":"a","custom_id":"b""#.to_owned(), None),
        (r#""custom_id":"b","custom_id":"a""#.to_owned(), None),
        (r#""custom_id":null,"custom_id":"b","custom_id":"a""#.to_owned(), None),
        (r#""custom_id":["b"],"custom_id":"b","custom_id":"a""#.to_owned(), None),
        (r#""custom_id":"a","custom_id":7"#.to_owned(), None),
        // Only one of them can be a custom_id.
        (r#""custom_id":"\ud800","custom_id":"a""#.to_owned(), Some("a")),
        (r#""custom_id":"a","custom_id":["b"]"#.to_owned(), Some("a")),
        (format!(r#""x":"{wide}","custom_id":"a","custom_id":"b""#), None),
    ] {
        let line = format!("{{{ids},{GOOD}}}");
        let error = Answer::parse(line.as_bytes()).unwrap_err();
        assert_eq!((error.kind(), error.custom_id()), (UnreadableKind::TwoCustomIds, only), "{ids}");
        let found = told(&line);
        assert_eq!((found.len(), found[0].0), (1, AnomalyCode::DoubledKey), "{ids}");
        let (_, lines) = joined(&["a", "b", "7"], &line);
        for line in lines {
            let code = if line["custom_id"].as_str() == only { "unreadable" } else { "missing" };
            assert_eq!((&line["response"], &line["error"]["code"]), (&Value::Null, &code.into()), "{ids}");
        }
    }
}

#[test]
fn half_a_character_in_a_custom_id_is_told_as_such() {
    let found = told(r#"{"custom_id":"row-\ud83d","response":{"status_code":200,"body":{}}}"#);
    assert_eq!((found.len(), found[0].0), (1, AnomalyCode::NoCustomId));
    assert!(found[0].1.starts_with("the custom_id has half of a character in it (a lone surrogate"), "{}", found[0].1);
    assert!(found[0].1.ends_with(": \"row-\u{fffd}\""), "{}", found[0].1);
}
