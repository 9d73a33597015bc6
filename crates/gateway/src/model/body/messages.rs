//! The messages of a conversation: `messages` of chat completions, a list in `input` of responses.

use serde_json::Value;

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::{Body, given};

/// Messages are objects. A role is a text; what is said is a text or a list of parts, which are objects with a type.
pub(super) fn check(endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    let name = match endpoint {
        Endpoint::ChatCompletions => "messages",
        Endpoint::Responses => "input",
        _ => return Ok(()),
    };
    let Some(Value::Array(messages)) = given(body, name) else { return Ok(()) };
    // CreateChatCompletionRequest wants one message at least; CreateResponse does not say so of its items.
    if messages.is_empty() && endpoint == Endpoint::ChatCompletions {
        return Err(Refusal::param(name, format!("'{name}' must not be empty.")).code("invalid_value"));
    }
    for (at, message) in messages.iter().enumerate() {
        let param = format!("{name}[{at}]");
        let Value::Object(message) = message else { return Err(Refusal::wrong_type(param, "an object")) };
        match given(message, "role") {
            // Items of a response may be something else than messages, and have none.
            None if endpoint == Endpoint::ChatCompletions => return Err(Refusal::missing(format!("{param}.role"))),
            None | Some(Value::String(_)) => {}
            Some(_) => return Err(Refusal::wrong_type(format!("{param}.role"), "a string")),
        }
        // Other items than messages keep other things under this name.
        if given(message, "role").is_some()
            && given(message, "content").is_some_and(|content| !content.is_string() && !content.is_array())
        {
            return Err(Refusal::wrong_type(format!("{param}.content"), "a string or an array"));
        }
        if let Some(Value::Array(parts)) = given(message, "content") {
            self::parts(endpoint, parts, &format!("{param}.content"))?;
        }
    }
    Ok(())
}

/// The types of parts as they are at the other endpoint, and what they are here: those of the messages in
/// CreateChatCompletionRequest begin with no `input_`, those of the items in CreateResponse do.
fn parts(endpoint: Endpoint, parts: &[Value], param: &str) -> Result<(), Refusal> {
    for (at, part) in parts.iter().enumerate() {
        let kind = part.get("type").and_then(Value::as_str).unwrap_or_default();
        let right = match (endpoint, kind) {
            (Endpoint::ChatCompletions, "input_text" | "output_text") => "text",
            (Endpoint::ChatCompletions, "input_image") => "image_url",
            (Endpoint::ChatCompletions, "input_file") => "file",
            (Endpoint::Responses, "text") => "input_text",
            (Endpoint::Responses, "image_url") => "input_image",
            (Endpoint::Responses, "file") => "input_file",
            _ => continue,
        };
        let message =
            format!("Invalid value: '{kind}' belongs to another endpoint; in {} it is '{right}'.", endpoint.path());
        return Err(Refusal::param(format!("{param}[{at}].type"), message).code("invalid_value"));
    }
    Ok(())
}
