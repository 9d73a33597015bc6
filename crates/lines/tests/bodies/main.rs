//! How bodies are held against their endpoint: what is refused, what is named as near, and that nothing valid is.

use lote_lines::{CheckOptions, Checked, Finding, check};
use serde_json::{Value, json};

mod near;
mod refused;
mod services;
mod urls;
mod valid;

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const EMBEDDINGS: &str = "/v1/embeddings";
const IMAGES: &str = "/v1/images/generations";

fn line(endpoint: &str, body: &Value) -> String {
    format!(r#"{{"custom_id":"a","method":"POST","url":"{endpoint}","body":{body}}}"#)
}

fn run(input: &str, options: &CheckOptions) -> (Checked, Vec<Finding>) {
    let mut findings = Vec::new();
    let checked = check(input.as_bytes(), options, &mut |finding| findings.push(finding), None).expect("readable");
    (checked, findings)
}

/// `CODE: MESSAGE` of each finding of a body.
fn told(endpoint: &str, body: &Value, options: &CheckOptions) -> Vec<String> {
    let (_, findings) = run(&line(endpoint, body), options);
    findings.iter().map(|finding| format!("{}: {}", finding.code, finding.message)).collect()
}

/// A chat with more fields; null takes one of the two away.
fn chat(more: Value) -> Value {
    with(json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}), more)
}

fn response(more: Value) -> Value {
    with(json!({"model": "m", "input": "x"}), more)
}

fn with(mut body: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("an object") };
    body.as_object_mut().expect("an object").extend(more);
    body
}

fn without(mut body: Value, name: &str) -> Value {
    body.as_object_mut().expect("an object").remove(name).expect("the field");
    body
}
