//! What is to be embedded, completed or moderated: texts, tokens or parts, and how much at once.

use serde_json::Value;

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::{Body, given};

/// Most items of any list in `input` but for a list of tokens in it (CreateEmbeddingRequest). No source says so of MKA1,
/// whose limits are those of each model.
const MOST: usize = 2_048;

pub(super) fn check(strict: bool, endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    match endpoint {
        Endpoint::Embeddings => embedded(strict, body),
        Endpoint::Completions => completed(body),
        Endpoint::Moderations => moderated(body),
        _ => Ok(()),
    }
}

/// By CreateEmbeddingRequest an input is a text that is not empty, or a list of tokens that is not empty; several stand in
/// a list of one kind.
fn embedded(strict: bool, body: &Body) -> Result<(), Refusal> {
    let items = match given(body, "input") {
        Some(Value::String(text)) if text.is_empty() => return Err(empty("input")),
        Some(Value::Array(items)) => items,
        _ => return Ok(()),
    };
    if items.is_empty() {
        return Err(empty("input"));
    }
    if strict && items.len() > MOST {
        let message = format!("'input' must hold at most {MOST} items; it holds {}.", items.len());
        return Err(Refusal::param("input", message).code("invalid_value"));
    }
    if !are_texts_or_tokens(items) {
        return Err(Refusal::wrong_type("input", TEXTS_OR_TOKENS));
    }
    let is_empty =
        |item: &Value| item.as_str().is_some_and(str::is_empty) || item.as_array().is_some_and(Vec::is_empty);
    match items.iter().position(is_empty) {
        Some(at) => Err(empty(&format!("input[{at}]"))),
        None => Ok(()),
    }
}

/// By CreateCompletionRequest a prompt is a text or a list of tokens that is not empty; several stand in a list of one kind.
/// Texts may be empty, and there may be none.
fn completed(body: &Body) -> Result<(), Refusal> {
    let Some(Value::Array(items)) = given(body, "prompt") else { return Ok(()) };
    if !are_texts_or_tokens(items) {
        return Err(Refusal::wrong_type("prompt", TEXTS_OR_TOKENS));
    }
    match items.iter().position(|item| item.as_array().is_some_and(Vec::is_empty)) {
        Some(at) => Err(empty(&format!("prompt[{at}]"))),
        None => Ok(()),
    }
}

/// By CreateModerationRequest a list has texts, or parts of type `text` and `image_url`; there may be none.
fn moderated(body: &Body) -> Result<(), Refusal> {
    let Some(Value::Array(items)) = given(body, "input") else { return Ok(()) };
    if !items.iter().all(Value::is_string) && !items.iter().all(Value::is_object) {
        return Err(Refusal::wrong_type("input", "a string, an array of strings or an array of objects"));
    }
    for (at, item) in items.iter().enumerate() {
        let Value::Object(part) = item else { return Ok(()) };
        let has = match given(part, "type").and_then(Value::as_str) {
            Some("text") => given(part, "text").is_some_and(Value::is_string),
            Some("image_url") => given(part, "image_url").is_some_and(Value::is_object),
            _ => false,
        };
        if !has {
            let expected = "a part of type 'text' with its 'text', or of type 'image_url' with its 'image_url'";
            return Err(Refusal::wrong_type(format!("input[{at}]"), expected));
        }
    }
    Ok(())
}

const TEXTS_OR_TOKENS: &str = "a string, an array of strings, an array of tokens or an array of arrays of tokens";

fn are_texts_or_tokens(items: &[Value]) -> bool {
    items.iter().all(Value::is_string)
        || items.iter().all(is_token)
        || items.iter().all(|item| item.as_array().is_some_and(|tokens| tokens.iter().all(is_token)))
}

/// An integer, also where it is written as 2.0.
pub(in crate::model) fn is_token(value: &Value) -> bool {
    value.as_f64().is_some_and(|number| number.fract() == 0.0)
}

fn empty(param: &str) -> Refusal {
    Refusal::param(param, format!("'{param}' must not be empty.")).code("invalid_value")
}
