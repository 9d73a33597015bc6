//! One outcome: which of six kinds a line is, whatever service it is of.

use lote::{Outcome, OutcomeKind};
use serde_json::json;

use crate::views::outcome;

#[test]
fn a_line_of_any_service_has_one_of_six_kinds() {
    use OutcomeKind::{Cancelled, Expired, Failed, Missing, Succeeded, Unreadable};
    for (line, kind, status, code, message) in [
        (
            json!({"custom_id": "a", "response": {"status_code": 200, "body": {"x": 1}}}),
            Succeeded,
            Some(200),
            None,
            None,
        ),
        (
            json!({"custom_id": "a", "response": {"status_code": 200, "body": {}}}),
            Failed,
            Some(200),
            Some("no_answer"),
            Some("the body is an empty object"),
        ),
        (
            json!({"custom_id": "a", "response": {"status_code": "201", "body": "[1]"}, "error": {}}),
            Succeeded,
            Some(201),
            None,
            None,
        ),
        (
            json!({"custom_id": "a", "response": {"status_code": 400, "body": {"error": {"code": null, "type": "t", "message": "m"}}}, "error": null}),
            Failed,
            Some(400),
            Some("t"),
            Some("m"),
        ),
        (
            json!({"custom_id": "a", "response": null, "error": {"code": "processing_error", "message": "m"}}),
            Failed,
            None,
            Some("processing_error"),
            Some("m"),
        ),
        (
            json!({"custom_id": "a", "response": {"status_code": 200}, "error": "both"}),
            Failed,
            Some(200),
            None,
            Some("both"),
        ),
        (
            json!({"custom_id": "a", "error": {"code": "batch_expired", "message": "m"}}),
            Expired,
            None,
            Some("batch_expired"),
            Some("m"),
        ),
        (
            json!({"custom_id": "a", "error": {"code": "batch_cancelled"}}),
            Cancelled,
            None,
            Some("batch_cancelled"),
            None,
        ),
        (
            json!({"id": null, "custom_id": "a", "response": null, "error": {"code": "unreadable", "message": "the line that the service returned cannot be read: output.jsonl, line 2: x"}}),
            Unreadable,
            None,
            Some("unreadable"),
            Some("the line that the service returned cannot be read: output.jsonl, line 2: x"),
        ),
        (
            json!({"custom_id": "a"}),
            Failed,
            None,
            Some("no_answer"),
            Some("the line has neither a response nor an error"),
        ),
        (
            json!({"id": null, "custom_id": "a", "response": null, "error": {"code": "missing", "message": "the service returned no line for this request"}}),
            Missing,
            None,
            Some("missing"),
            Some("the service returned no line for this request"),
        ),
        // A service's own word, which is no lack of an answer.
        (
            json!({"id": "x", "custom_id": "a", "error": {"code": "missing", "message": "no such file"}}),
            Failed,
            None,
            Some("missing"),
            Some("no such file"),
        ),
    ] {
        let found = outcome(&line);
        assert_eq!((found.kind(), found.status_code()), (kind, status), "{line}");
        assert_eq!((found.error_code(), found.error_message()), (code, message), "{line}");
        let told = [
            (Succeeded, found.is_succeeded()),
            (Failed, found.is_failed()),
            (Expired, found.is_expired()),
            (Cancelled, found.is_cancelled()),
            (Unreadable, found.is_unreadable()),
            (Missing, found.is_missing()),
        ];
        assert!(told.iter().all(|(of, told)| (*of == kind) == *told), "{line}: {told:?}");
        assert_eq!(found.line(), line.to_string());
    }
    for line in ["{", r#"{"custom_id":"a","result":{"type":"succeeded"}}"#] {
        assert!(Outcome::from_line(line).expect_err("no line").is_undecodable(), "{line}");
    }
}
