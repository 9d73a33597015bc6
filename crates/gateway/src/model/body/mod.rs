//! Holds a request body against its endpoint: what has to be there, what belongs elsewhere, what has another type.
//!
//! All of it is what OpenAI's description of its API says of the endpoint's request schema: CreateChatCompletionRequest,
//! CreateResponse, CreateEmbeddingRequest, CreateCompletionRequest, CreateModerationRequest, CreateImageRequest,
//! EditImageBodyJsonParam, CreateVideoJsonBody. A field that no endpoint has is let through: it may be newer, or a
//! service's own.
//!
//! A null counts as absent. Of OpenAI it is known that it refuses one in a field that is not nullable (docs/facts.md, 3.4);
//! of MKA1 it is not, nor that it has the least `max_output_tokens`, the most inputs of embeddings, and no room for fields
//! of other endpoints that OpenAI's description states. So those are held against bodies of OpenAI's prefix alone, which
//! are the strict ones here.

mod bounds;
mod elsewhere;
mod fields;
mod format;
mod inputs;
mod messages;
mod models;
mod tools;

pub(super) use inputs::is_token;
use serde_json::{Map, Value};

use crate::contract::{Endpoint, View};
use crate::model::Refusal;

/// A request body.
type Body = Map<String, Value>;

/// The first thing that the service would refuse, if there is any.
pub(super) fn check(origin: View, endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    let strict = origin == View::OpenAi;
    required(endpoint, body)?;
    elsewhere::check(strict, endpoint, body)?;
    fields::check(strict, endpoint, body)?;
    bounds::check(strict, endpoint, body)?;
    models::check(endpoint, body)?;
    format::check(endpoint, body)?;
    tools::check(endpoint, body)?;
    messages::check(endpoint, body)?;
    inputs::check(strict, endpoint, body)
}

/// The value of a field; null is none.
fn given<'a>(body: &'a Body, name: &str) -> Option<&'a Value> {
    body.get(name).filter(|value| !value.is_null())
}

/// Whether `prompt` names a stored prompt, as it may in CreateResponse; that can have a model and an input.
pub(super) fn has_template(body: &Body) -> bool {
    body.get("prompt").is_some_and(Value::is_object)
}

/// What is asked has to be there. Of the fields that CreateResponse can do without, one has to stand in for `input`.
fn required(endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    let asked = match endpoint {
        Endpoint::ChatCompletions => "messages",
        Endpoint::Responses | Endpoint::Embeddings | Endpoint::Moderations => "input",
        Endpoint::Completions | Endpoint::ImageGenerations | Endpoint::ImageEdits | Endpoint::Videos => "prompt",
    };
    let has = |name| given(body, name).is_some();
    let stands_in = match endpoint {
        Endpoint::Responses => has("previous_response_id") || has("conversation") || has_template(body),
        // CreateCompletionRequest lets it be null, if it is there: the model begins a text of its own.
        Endpoint::Completions => body.contains_key("prompt"),
        _ => false,
    };
    // EditImageBodyJsonParam wants the pictures as well.
    let asked = if endpoint == Endpoint::ImageEdits && has(asked) { "images" } else { asked };
    if has(asked) || stands_in {
        return Ok(());
    }
    let mut refusal = Refusal::missing(asked);
    if let Some(hint) = elsewhere::meant_for(endpoint, body, asked) {
        refusal.message.push_str(&format!(" {hint}"));
    }
    Err(refusal)
}
