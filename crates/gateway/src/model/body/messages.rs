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
        if given(message, "role").is_some_and(|role| !role.is_string()) {
            return Err(Refusal::wrong_type(format!("{param}.role"), "a string"));
        }
        // Other items than messages keep other things under this name.
        if given(message, "role").is_some()
            && given(message, "content").is_some_and(|content| !content.is_string() && !content.is_array())
        {
            return Err(Refusal::wrong_type(format!("{param}.content"), "a string or an array"));
        }
    }
    Ok(())
}
