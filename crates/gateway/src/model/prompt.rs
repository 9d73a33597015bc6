//! Reads a body: the text that the answer depends on, and how much there was to read.

use serde_json::{Map, Value};

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::is_token;

/// What a body asks.
#[derive(Debug)]
pub(super) struct Prompt {
    /// The text that is answered; directives are looked for here.
    pub(super) text: String,
    /// All inputs, one by one, where an endpoint takes several.
    pub(super) inputs: Vec<String>,
    /// Tokens of everything in the body that is read.
    pub(super) tokens: u64,
}

impl Prompt {
    pub(super) fn read(endpoint: Endpoint, body: &Map<String, Value>) -> Result<Prompt, Refusal> {
        match endpoint {
            Endpoint::ChatCompletions => {
                let messages = array(body, "messages")?;
                conversation(messages, "messages", "")
            }
            Endpoint::Responses => {
                let instructions = body.get("instructions").and_then(Value::as_str).unwrap_or("");
                match body.get("input") {
                    Some(Value::Array(items)) => conversation(items, "input", instructions),
                    // Something else stands in for it.
                    None | Some(Value::Null) => Ok(Prompt::of(vec![instructions.to_owned()])),
                    Some(_) => {
                        let text = string(body, "input")?;
                        let tokens = tokens(text) + tokens(instructions);
                        Ok(Prompt { tokens, ..Prompt::of(vec![text.to_owned()]) })
                    }
                }
            }
            Endpoint::Embeddings | Endpoint::Moderations => inputs(body, "input").map(Prompt::of),
            Endpoint::Completions if body.get("prompt").is_some_and(Value::is_null) => {
                Ok(Prompt::of(vec![String::new()]))
            }
            Endpoint::Completions => inputs(body, "prompt").map(Prompt::of),
            Endpoint::ImageGenerations | Endpoint::ImageEdits | Endpoint::Videos => {
                Ok(Prompt::of(vec![string(body, "prompt")?.to_owned()]))
            }
        }
    }

    fn of(inputs: Vec<String>) -> Prompt {
        let tokens = inputs.iter().map(|input| tokens(input)).sum();
        Prompt { text: inputs.join("\n"), inputs, tokens }
    }
}

/// About four characters make a token.
pub(super) fn tokens(text: &str) -> u64 {
    (text.chars().count() as u64).div_ceil(4)
}

fn string<'a>(body: &'a Map<String, Value>, name: &'static str) -> Result<&'a str, Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Err(Refusal::missing(name)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(Refusal::param(name, format!("'{name}' must be a string."))),
    }
}

fn array<'a>(body: &'a Map<String, Value>, name: &'static str) -> Result<&'a [Value], Refusal> {
    match body.get(name) {
        None | Some(Value::Null) => Err(Refusal::missing(name)),
        Some(Value::Array(items)) if !items.is_empty() => Ok(items),
        Some(_) => Err(Refusal::param(name, format!("'{name}' must be an array, not empty."))),
    }
}

/// The last thing the user said; without one, the last thing anyone said.
fn conversation(messages: &[Value], name: &'static str, instructions: &str) -> Result<Prompt, Refusal> {
    let said = |message: &Value| message.get("content").map(content).unwrap_or_default();
    if messages.iter().any(|message| !message.is_object()) {
        return Err(Refusal::param(name, format!("Every item of '{name}' must be an object.")));
    }
    let by_user = |message: &&Value| message.get("role").is_some_and(|role| role == "user");
    let last = messages.iter().rev().find(by_user).or_else(|| messages.last());
    let text = last.map(said).unwrap_or_default();
    // Three more per message, for its role and its ends.
    let read: u64 = messages.iter().map(|message| tokens(&said(message)) + 3).sum();
    Ok(Prompt { tokens: read + tokens(instructions), inputs: vec![text.clone()], text })
}

/// The text of a message: a string, or parts with a `text` each; other parts say nothing.
fn content(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(parts) => {
            let texts: Vec<&str> =
                parts.iter().filter_map(|part| part.as_str().or_else(|| part.get("text")?.as_str())).collect();
            texts.join("\n")
        }
        _ => String::new(),
    }
}

/// A string, strings, tokens, lists of tokens, or parts with text.
fn inputs(body: &Map<String, Value>, name: &'static str) -> Result<Vec<String>, Refusal> {
    let Some(Value::Array(items)) = body.get(name) else {
        return string(body, name).map(|text| vec![text.to_owned()]);
    };
    if !items.is_empty() && items.iter().all(is_token) {
        return Ok(vec![Value::Array(items.clone()).to_string()]);
    }
    let text = |item: &Value| match item {
        Value::String(text) => text.clone(),
        Value::Object(part) => part.get("text").and_then(Value::as_str).unwrap_or_default().to_owned(),
        tokens => tokens.to_string(),
    };
    Ok(items.iter().map(text).collect())
}
