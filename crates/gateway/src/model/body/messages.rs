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
        let role = match given(message, "role") {
            // Items of a response may be something else than messages, and have none.
            None if endpoint == Endpoint::ChatCompletions => return Err(Refusal::missing(format!("{param}.role"))),
            None => None,
            Some(Value::String(role)) => Some(role.as_str()),
            Some(_) => return Err(Refusal::wrong_type(format!("{param}.role"), "a string")),
        };
        // Other items than messages keep other things under these names.
        let is_message = given(message, "type").is_none_or(|kind| kind == "message");
        if let Some(role) = role
            && (endpoint == Endpoint::ChatCompletions || is_message)
        {
            of_role(endpoint, role, message, &param)?;
        }
        if let Some(Value::Array(parts)) = given(message, "content") {
            self::parts(endpoint, parts, &format!("{param}.content"))?;
        }
    }
    Ok(())
}

/// The roles that there are (ChatCompletionRequestMessage, EasyInputMessage), and the content that each has.
fn of_role(endpoint: Endpoint, role: &str, message: &Body, param: &str) -> Result<(), Refusal> {
    let roles: &[&str] = match endpoint {
        Endpoint::ChatCompletions => &["developer", "system", "user", "assistant", "tool", "function"],
        _ => &["user", "assistant", "system", "developer"],
    };
    if !roles.contains(&role) {
        let message = format!("Invalid value: '{role}'. Supported roles are: {}.", roles.join(", "));
        return Err(Refusal::param(format!("{param}.role"), message).code("invalid_value"));
    }
    let param = format!("{param}.content");
    let chat = endpoint == Endpoint::ChatCompletions;
    match message.get("content") {
        // An assistant may have called tools instead; what a function gave may be null.
        None if chat && role == "assistant" => Ok(()),
        Some(Value::Null) if chat && matches!(role, "assistant" | "function") => Ok(()),
        None | Some(Value::Null) => Err(Refusal::missing(param)),
        Some(Value::Array(parts)) if parts.is_empty() && chat => {
            Err(Refusal::param(&param, format!("'{param}' must not be empty.")).code("invalid_value"))
        }
        Some(Value::Array(parts)) => match parts.iter().position(|part| !part.is_object()) {
            Some(at) => Err(Refusal::wrong_type(format!("{param}[{at}]"), "an object")),
            None => Ok(()),
        },
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err(Refusal::wrong_type(param, "a string or an array")),
    }
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
