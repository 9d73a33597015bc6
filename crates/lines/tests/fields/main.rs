//! What each field of a body may be: ranges to their borders, lists to their entries, shapes to their parts. Each fault has
//! its exact words here.

use lote_lines::{CheckOptions, check};
use serde_json::{Value, json};

mod formats;
mod lists;
mod messages;
mod ranges;
mod tools;

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const EMBEDDINGS: &str = "/v1/embeddings";
const IMAGES: &str = "/v1/images/generations";
const COMPLETIONS: &str = "/v1/completions";
const MODERATIONS: &str = "/v1/moderations";
const EDITS: &str = "/v1/images/edits";
const VIDEOS: &str = "/v1/videos";

/// A body of this endpoint with what it needs and no more.
fn plain(endpoint: &str) -> Value {
    match endpoint {
        CHAT => json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}),
        RESPONSES | EMBEDDINGS => json!({"model": "m", "input": "x"}),
        COMPLETIONS => json!({"model": "m", "prompt": "x"}),
        MODERATIONS => json!({"input": "x"}),
        EDITS => json!({"images": [{"file_id": "f"}], "prompt": "x"}),
        _ => json!({"prompt": "x"}),
    }
}

/// `CODE: MESSAGE` of each finding of a plain body in which these fields are set.
fn told_with(endpoint: &str, fields: &Value, options: &CheckOptions) -> Vec<String> {
    let mut body = plain(endpoint);
    body.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    let line = json!({"custom_id": "a", "method": "POST", "url": endpoint, "body": body}).to_string();
    let mut told = Vec::new();
    let on_finding = &mut |finding: lote_lines::Finding| told.push(format!("{}: {}", finding.code, finding.message));
    check(line.as_bytes(), options, on_finding, None).expect("readable");
    told
}

fn told(endpoint: &str, fields: &Value) -> Vec<String> {
    told_with(endpoint, fields, &CheckOptions::default())
}

/// That a field may be each of these.
fn fine(endpoint: &str, name: &str, values: &[Value]) {
    for value in values {
        assert_eq!(told(endpoint, &json!({ name: value })), [""; 0], "{endpoint} {name} {value}");
    }
}

/// That a field may be none of these, and what is told of each.
fn wrong(endpoint: &str, name: &str, values: &[(Value, &str)]) {
    for (value, expected) in values {
        assert_eq!(told(endpoint, &json!({ name: value })), [*expected], "{endpoint} {name} {value}");
    }
}
