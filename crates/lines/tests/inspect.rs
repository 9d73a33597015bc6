//! What `Inspection` counts and finds odd.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use lote_lines::{AnomalyCode, Inspection, MAX_ANOMALIES};
use serde_json::{Value, json};

const OK: &str = r#"{"custom_id":"a","response":{"status_code":200,"body":{"model":"m","text":"hi"}}}"#;

fn inspect(files: &[(&str, &[u8])]) -> Inspection {
    let mut inspection = Inspection::default();
    for (name, content) in files {
        inspection.read(name, *content).unwrap();
    }
    inspection
}

#[test]
fn counts_several_files_into_one_object() {
    let output = [
        r#"{"id":"1","custom_id":"a","response":{"status_code":200,"body":{"model":"m","text":"hi","usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15,"prompt_tokens_details":{"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":2}}}},"error":null}"#,
        r#"{"id":"2","custom_id":"b","response":{"status_code":200,"body":{"model":"m","text":"hi","usage":{"input_tokens":1,"output_tokens":1}}},"error":null}"#,
        "",
    ]
    .join("\r\n");
    let errors = [
        r#"{"custom_id":"c","response":{"status_code":429,"body":{"error":"Rate limit exceeded"}},"error":null}"#,
        r#"{"custom_id":"d","response":{"status_code":429,"body":{"error":"Rate limit exceeded"}},"error":null}"#,
        r#"{"custom_id":"e","response":null,"error":{"code":"batch_expired","message":"late"}}"#,
        r#"{"custom_id":"f","response":null,"error":{"code":"batch_cancelled","message":null}}"#,
    ]
    .join("\n\n");
    let inspection = inspect(&[("out", output.as_bytes()), ("err", errors.as_bytes()), ("none", b"")]);
    assert!(inspection.all_readable());
    let value = serde_json::to_value(&inspection).unwrap();
    let codes: Vec<_> = value["anomalies"].as_array().unwrap().iter().map(|a| &a["code"]).collect();
    assert!(codes.is_empty(), "{codes:?}");
    assert_eq!(
        value,
        json!({
            "lines": 6, "succeeded": 2, "failed": 2, "expired": 1, "cancelled": 1, "missing": 0, "unreadable": 0,
            "damaged_files": 0,
            "cut_off": 0, "filtered": 0, "refused": 0,
            "usage": {"input_tokens": 11, "output_tokens": 6, "total_tokens": 17, "cached_tokens": 4, "reasoning_tokens": 2},
            "models": {"m": 2},
            "errors": [
                {"code": "http_429", "message": "Rate limit exceeded", "count": 2},
                {"code": "batch_cancelled", "count": 1},
                {"code": "batch_expired", "message": "late", "count": 1},
            ],
            "anomalies": [], "anomalies_omitted": 0,
        })
    );
    let keys: Vec<_> = value.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys[0], "lines");
}

#[test]
fn what_joined_results_lack_is_missing_and_not_failed() {
    let mut results = Vec::new();
    lote_lines::write_missing("b", &mut results).unwrap();
    // A service's own word for it is a failure.
    let own = [
        r#"{"id":"1","custom_id":"c","response":null,"error":{"code":"missing"}}"#,
        r#"{"id":null,"custom_id":"d","response":null,"error":{"code":"missing","message":"no such model"}}"#,
        r#"{"id":"1","custom_id":"e","response":null,"error":{"code":"missing","message":"the service returned no line for this request"}}"#,
        r#"{"id":null,"custom_id":"f","response":null,"error":{"code":"unreadable","message":"no such image"}}"#,
        r#"{"id":"1","custom_id":"g","response":null,"error":{"code":"unreadable","message":"the line that the service returned cannot be read: f, line 1: x"}}"#,
    ];
    results.extend_from_slice(own.join("\n").as_bytes());
    let report = inspect(&[("results", &results)]).report();
    assert_eq!((report.lines, report.failed, report.missing, report.unreadable), (6, 5, 1, 0));
}

#[test]
fn names_every_oddity() {
    for (line, code) in [
        ("{\"custom_id\":\"b\",\"resp", AnomalyCode::UnreadableLine),
        ("[]", AnomalyCode::UnreadableLine),
        ("{\"id\":\"x\"}", AnomalyCode::NoCustomId),
        ("{\"custom_id\":\"b\",\"result\":{}}", AnomalyCode::UnknownShape),
        ("{\"custom_id\":\"b\"}", AnomalyCode::EmptyAnswer),
        ("{\"custom_id\":\"b\",\"response\":null,\"error\":{}}", AnomalyCode::EmptyAnswer),
        (r#"{"custom_id":"b","response":{"status_code":400},"error":{"code":"x"}}"#, AnomalyCode::ResponseAndError),
        (r#"{"custom_id":"b","response":{"body":{}}}"#, AnomalyCode::NoStatusCode),
        (r#"{"custom_id":"b","response":{"status_code":"ok","body":{}}}"#, AnomalyCode::NoStatusCode),
        (r#"{"custom_id":"b","response":{"status_code":200}}"#, AnomalyCode::BodyNotObject),
        (r#"{"custom_id":"b","response":{"status_code":200,"body":[]}}"#, AnomalyCode::BodyNotObject),
        (r#"{"custom_id":"b","response":{"status_code":502,"body":"Bad gateway"}}"#, AnomalyCode::BodyNotObject),
        (OK, AnomalyCode::DuplicateCustomId),
    ] {
        let report = inspect(&[("one", format!("{OK}\n").as_bytes()), ("two", line.as_bytes())]).report();
        let found: Vec<_> = report.anomalies.iter().map(|a| (a.file.as_str(), a.line, a.code)).collect();
        assert_eq!(found, [("two", 1, code)], "{line}");
        let outcomes = report.succeeded + report.failed + report.expired + report.cancelled;
        assert_eq!(outcomes + report.unreadable, 2, "{line}");
        let unreadable =
            matches!(code, AnomalyCode::UnreadableLine | AnomalyCode::NoCustomId | AnomalyCode::UnknownShape);
        assert_eq!(report.unreadable == 1, unreadable, "{line}");
    }
}

#[test]
fn what_cannot_be_read_is_told_with_its_place_as_it_stands() {
    let file = format!("{OK}\n {{\"x\":1}} \r\n");
    let report = inspect(&[("f", file.as_bytes())]).report();
    let found = &report.anomalies[0];
    assert_eq!((found.code, found.line, found.offset), (AnomalyCode::NoCustomId, 2, Some(OK.len() as u64 + 1)));
    assert_eq!((found.length, found.excerpt.as_deref()), (Some(9), Some(" {\"x\":1} ")));
}

#[test]
fn a_duplicate_names_the_first_place() {
    let report = inspect(&[("one", format!("\n{OK}").as_bytes()), ("two", format!("{OK}\n{OK}").as_bytes())]).report();
    let found: Vec<_> = report.anomalies.iter().map(ToString::to_string).collect();
    assert_eq!(
        found,
        [
            "two, line 1 (\"a\"): custom_id was answered before, in one, line 2",
            "two, line 2 (\"a\"): custom_id was answered before, in one, line 2"
        ]
    );
    assert_eq!(report.succeeded, 3);
}

#[test]
fn a_byte_order_mark_hides_nothing() {
    let report = inspect(&[("f", format!("\u{feff}{OK}").as_bytes()), ("g", "\u{feff}\r\n".as_bytes())]).report();
    assert_eq!((report.lines, report.succeeded, report.unreadable), (1, 1, 0));
    assert_eq!(report.anomalies.len(), 2);
    assert!(report.anomalies.iter().all(|anomaly| anomaly.code == AnomalyCode::Bom));
}

#[test]
fn the_list_of_anomalies_is_bounded() {
    let many = "nonsense\n".repeat(MAX_ANOMALIES + 7);
    let inspection = inspect(&[("f", many.as_bytes())]);
    assert!(!inspection.all_readable());
    let value: Value = serde_json::to_value(&inspection).unwrap();
    assert_eq!(value["anomalies"].as_array().unwrap().len(), MAX_ANOMALIES);
    assert_eq!(value["anomalies_omitted"], 7);
    assert_eq!(value["unreadable"], MAX_ANOMALIES + 7);
    assert!(value["anomalies"][0].get("custom_id").is_none());
}
