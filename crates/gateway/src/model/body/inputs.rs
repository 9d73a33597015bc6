//! The inputs of embeddings: what may be embedded, and how much at once.

use serde_json::Value;

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::{Body, given};

/// Most items of any list in `input` but for a list of tokens in it (CreateEmbeddingRequest).
const MOST: usize = 2_048;

/// By CreateEmbeddingRequest an input is a text that is not empty, or a list of tokens that is not empty; several stand in
/// a list of one kind.
pub(super) fn check(endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    if endpoint != Endpoint::Embeddings {
        return Ok(());
    }
    let items = match given(body, "input") {
        Some(Value::String(text)) if text.is_empty() => return Err(empty("input")),
        Some(Value::Array(items)) => items,
        _ => return Ok(()),
    };
    if items.is_empty() {
        return Err(empty("input"));
    }
    if items.len() > MOST {
        let message = format!("'input' must hold at most {MOST} items; it holds {}.", items.len());
        return Err(Refusal::param("input", message).code("invalid_value"));
    }
    let is_one_kind = items.iter().all(Value::is_string)
        || items.iter().all(is_token)
        || items.iter().all(|item| item.as_array().is_some_and(|tokens| tokens.iter().all(is_token)));
    if !is_one_kind {
        let expected = "a string, an array of strings, an array of tokens or an array of arrays of tokens";
        return Err(Refusal::wrong_type("input", expected));
    }
    let is_empty =
        |item: &Value| item.as_str().is_some_and(str::is_empty) || item.as_array().is_some_and(Vec::is_empty);
    match items.iter().position(is_empty) {
        Some(at) => Err(empty(&format!("input[{at}]"))),
        None => Ok(()),
    }
}

fn is_token(value: &Value) -> bool {
    value.is_i64() || value.is_u64()
}

fn empty(param: &str) -> Refusal {
    Refusal::param(param, format!("'{param}' must not be empty.")).code("invalid_value")
}
