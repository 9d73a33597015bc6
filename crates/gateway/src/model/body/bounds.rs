//! The bounds of numbers, lists and texts in a body, where OpenAI's description has any.

use serde_json::Value;

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::{Body, given};

/// A field, the least and the most. Of a list its length is meant.
type Bound = (&'static str, f64, f64);

const NONE: f64 = f64::INFINITY;

/// CreateChatCompletionRequest.
const CHAT: &[Bound] = &[
    ("frequency_penalty", -2.0, 2.0),
    ("functions", 1.0, 128.0),
    ("n", 1.0, 128.0),
    ("presence_penalty", -2.0, 2.0),
    ("stop", 1.0, 4.0),
    ("temperature", 0.0, 2.0),
    ("top_logprobs", 0.0, 20.0),
    ("top_p", 0.0, 1.0),
];

/// CreateResponse.
const RESPONSES: &[Bound] =
    &[("context_management", 1.0, NONE), ("temperature", 0.0, 2.0), ("top_logprobs", 0.0, 20.0), ("top_p", 0.0, 1.0)];

/// The least that CreateResponse allows, which no source says of MKA1.
const OUTPUT_TOKENS: Bound = ("max_output_tokens", 16.0, NONE);

/// CreateEmbeddingRequest. The list of inputs has bounds of its own.
const EMBEDDINGS: &[Bound] = &[("dimensions", 1.0, NONE)];

/// CreateCompletionRequest.
const COMPLETIONS: &[Bound] = &[
    ("best_of", 0.0, 20.0),
    ("frequency_penalty", -2.0, 2.0),
    ("logprobs", 0.0, 5.0),
    ("max_tokens", 0.0, NONE),
    ("n", 1.0, 128.0),
    ("presence_penalty", -2.0, 2.0),
    ("stop", 1.0, 4.0),
    ("temperature", 0.0, 2.0),
    ("top_p", 0.0, 1.0),
];

/// CreateImageRequest.
const IMAGES: &[Bound] = &[("n", 1.0, 10.0), ("output_compression", 0.0, 100.0), ("partial_images", 0.0, 3.0)];

/// EditImageBodyJsonParam.
const EDITS: &[Bound] =
    &[("images", 1.0, 16.0), ("n", 1.0, 10.0), ("output_compression", 0.0, 100.0), ("partial_images", 0.0, 3.0)];

/// Most characters of `safety_identifier` in conversations, and of `prompt` in EditImageBodyJsonParam and
/// CreateVideoJsonBody.
const LONGEST_IDENTIFIER: usize = 64;
const LONGEST_PROMPT: usize = 32_000;

/// Pairs of `metadata`, characters of a key and of a value (Metadata).
const METADATA: (usize, usize, usize) = (16, 64, 512);

pub(super) fn check(strict: bool, endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    let (bounds, text) = match endpoint {
        Endpoint::ChatCompletions => (CHAT, Some(("safety_identifier", LONGEST_IDENTIFIER))),
        Endpoint::Responses => (RESPONSES, Some(("safety_identifier", LONGEST_IDENTIFIER))),
        Endpoint::Embeddings => (EMBEDDINGS, None),
        Endpoint::Completions => (COMPLETIONS, None),
        Endpoint::ImageGenerations => (IMAGES, None),
        Endpoint::ImageEdits => (EDITS, Some(("prompt", LONGEST_PROMPT))),
        Endpoint::Videos => (&[][..], Some(("prompt", LONGEST_PROMPT))),
        Endpoint::Moderations => (&[][..], None),
    };
    for bound in bounds {
        within(body, *bound)?;
    }
    if strict && endpoint == Endpoint::Responses {
        within(body, OUTPUT_TOKENS)?;
    }
    // EditImageBodyJsonParam and CreateVideoJsonBody want a character, CreateImageRequest does not say so.
    if matches!(endpoint, Endpoint::ImageEdits | Endpoint::Videos)
        && given(body, "prompt").is_some_and(|prompt| prompt == "")
    {
        return Err(out("prompt", "'prompt' must not be empty.".to_owned()));
    }
    if let Some((name, most)) = text
        && let Some(Value::String(text)) = given(body, name)
        && is_longer(text, most)
    {
        return Err(out(name, format!("'{name}' must have at most {most} characters.")));
    }
    if matches!(endpoint, Endpoint::ChatCompletions | Endpoint::Responses) { metadata(body) } else { Ok(()) }
}

fn within(body: &Body, (name, least, most): Bound) -> Result<(), Refusal> {
    let (value, what) = match given(body, name) {
        #[expect(clippy::cast_precision_loss, reason = "no list in memory is that long")]
        Some(Value::Array(items)) => (items.len() as f64, "have a length"),
        Some(Value::Number(number)) => (number.as_f64().unwrap_or(NONE), "be a number"),
        _ => return Ok(()),
    };
    if (least..=most).contains(&value) {
        return Ok(());
    }
    let range = if most.is_finite() { format!("from {least} to {most}") } else { format!("of at least {least}") };
    Err(out(name, format!("'{name}' must {what} {range}.")))
}

/// Pairs of texts.
fn metadata(body: &Body) -> Result<(), Refusal> {
    let Some(Value::Object(pairs)) = given(body, "metadata") else { return Ok(()) };
    let (most, key_limit, value_limit) = METADATA;
    if pairs.len() > most {
        return Err(out("metadata", format!("'metadata' must have at most {most} pairs; it has {}.", pairs.len())));
    }
    for (key, value) in pairs {
        let Value::String(value) = value else {
            return Err(Refusal::wrong_type("metadata", "strings as its values"));
        };
        if is_longer(key, key_limit) || is_longer(value, value_limit) {
            let message = format!(
                "'metadata' must have keys of at most {key_limit} characters and values of at most {value_limit}."
            );
            return Err(out("metadata", message));
        }
    }
    Ok(())
}

pub(super) fn is_longer(text: &str, most: usize) -> bool {
    text.len() > most && text.chars().count() > most
}

pub(super) fn out(param: &str, message: String) -> Refusal {
    Refusal::param(param, message).code("invalid_value")
}
