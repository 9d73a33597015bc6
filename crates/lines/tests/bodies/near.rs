//! What is nearly a request line, or a file of them, and is named as what it is.

use lote_lines::CheckOptions;
use serde_json::{Value, json};

use super::{CHAT, chat, line, run, told};

#[test]
fn what_is_near_a_request_line_is_named() {
    let whole = line(CHAT, &chat(json!({})));
    let options = CheckOptions::default();
    for (input, code, expected) in [
        (
            whole.replace("\"method\"", "\" method\""),
            "missing_key",
            "method is missing, but there is \" method\", with a blank in it",
        ),
        (whole.replace("\"method\"", "\"Method\""), "missing_key", "but there is \"Method\": write \"method\""),
        (
            whole.replace("\"custom_id\"", "\"customId\""),
            "missing_key",
            "but there is \"customId\": write \"custom_id\"",
        ),
        (whole.replace("\"custom_id\"", "\"custom-id\""), "missing_key", "but there is \"custom-id\""),
        (
            whole.replace("\"method\":\"POST\",", ""),
            "missing_key",
            "method is missing: every request line has custom_id, method, url and body",
        ),
        (
            whole.replace("\"body\"", "\"params\""),
            "missing_key",
            "\"params\", as lines of Anthropic's have it: write \"body\"",
        ),
        (r#"{"custom_id":"a","params":{"model":"m"}}"#.to_owned(), "other_format", "one of Anthropic's"),
        (r#"{"key":"a","request":{"contents":[]}}"#.to_owned(), "other_format", "one of Gemini's"),
        (r#"{"recordId":"a","modelInput":{}}"#.to_owned(), "other_format", "one of Amazon Bedrock's"),
        (r#"{"model":"m","messages":[]}"#.to_owned(), "other_format", "a body without its request line"),
        (r#"{"question":"x"}"#.to_owned(), "other_format", "`lote prepare` makes request lines of rows"),
        (whole.replace("\"m\"", "NaN"), "invalid_json", "NaN is no JSON: write null"),
        (whole.replace("\"m\"", "None"), "invalid_json", "None is Python's: write null"),
        (whole.replace('"', "'"), "invalid_json", "JSON has double quotes only"),
        (whole.replace("\"m\"", "\"m\", // which one?"), "invalid_json", "JSON has no comments"),
        (whole.replace("}}", "},}"), "invalid_json", "a comma stands before the closing bracket"),
        (whole.clone() + " // first", "text_after_object", "JSON has no comments"),
        (whole.clone() + ",", "text_after_object", "a comma stands after the object"),
        (
            whole.replace(CHAT, "https://api.openai.com/v1/chat/completions"),
            "unknown_url",
            "; write \"/v1/chat/completions\"",
        ),
    ] {
        let (_, findings) = run(&input, &options);
        assert_eq!(findings.len(), 1, "{input}: {findings:?}");
        assert_eq!(findings[0].code.as_str(), code, "{input}");
        assert!(findings[0].message.contains(expected), "{input}: {}", findings[0].message);
    }
}

#[test]
fn a_csv_file_is_told_once() {
    let rows: String = (0..50).map(|number| format!("{number},\"a text, with {{braces}}\"\n")).collect();
    for (names, delimiter) in [("id,text", ','), ("id;text", ';'), ("id\ttext", '\t')] {
        let input = format!("{names}\n{}", rows.replace(',', &delimiter.to_string()));
        let (checked, findings) = run(&input, &CheckOptions::default());
        assert_eq!((checked.findings, checked.lines), (1, 51));
        assert_eq!(
            findings[0].to_string(),
            "line 1: the file has rows under a line of field names (\"id\", \"text\"), as CSV: `lote prepare` makes \
             request lines of it"
        );
    }
}

#[test]
fn a_body_that_was_turned_into_json_twice_is_told_as_such() {
    let body = Value::String(chat(json!({})).to_string());
    let expected = "wrong_type: body is a string: it must be an object; it was turned into JSON twice";
    assert_eq!(told(CHAT, &body, &CheckOptions::default()), [expected]);
}
