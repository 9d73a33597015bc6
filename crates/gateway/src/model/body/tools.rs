//! The shape of function tools: nested in chat completions (ChatCompletionTool), flat in responses (FunctionTool).

use serde_json::{Map, Value};

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::{Body, given};

/// The tools, and the choice of one, which has the same two shapes.
pub(super) fn check(endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    let one: fn(&Map<String, Value>, &str) -> Result<(), Refusal> = match endpoint {
        Endpoint::ChatCompletions => nested,
        Endpoint::Responses => flat,
        _ => return Ok(()),
    };
    // One without a type is a function that was written for the other endpoint, when it has a name only.
    let is_function = |tool: &Map<String, Value>| match given(tool, "type") {
        None => {
            endpoint == Endpoint::ChatCompletions && given(tool, "name").is_some() && given(tool, "function").is_none()
        }
        Some(kind) => kind == "function",
    };
    if let Some(Value::Object(choice)) = given(body, "tool_choice")
        && is_function(choice)
    {
        one(choice, "tool_choice")?;
    }
    let Some(Value::Array(tools)) = given(body, "tools") else { return Ok(()) };
    for (at, tool) in tools.iter().enumerate() {
        let param = format!("tools[{at}]");
        match tool {
            Value::Object(tool) if is_function(tool) => one(tool, &param)?,
            Value::Object(_) => {}
            _ => return Err(Refusal::wrong_type(param, "an object")),
        }
    }
    Ok(())
}

/// `{"type": "function", "function": {"name", "parameters"}}`
fn nested(tool: &Map<String, Value>, param: &str) -> Result<(), Refusal> {
    let function = format!("{param}.function");
    match given(tool, "function") {
        Some(Value::Object(inner)) => name(inner, &function),
        Some(_) => Err(Refusal::wrong_type(function, "an object")),
        None => {
            let mut refusal = Refusal::missing(function);
            if given(tool, "name").is_some() {
                refusal.message.push_str(" 'name', 'description' and 'parameters' belong inside of it.");
            }
            Err(refusal)
        }
    }
}

/// `{"type": "function", "name", "parameters"}`
fn flat(tool: &Map<String, Value>, param: &str) -> Result<(), Refusal> {
    if given(tool, "function").is_some() && given(tool, "name").is_none() {
        let message = format!(
            "Unsupported parameter: '{param}.function', which belongs to another endpoint; in /v1/responses its fields \
             stand in the tool itself."
        );
        return Err(Refusal::param(format!("{param}.function"), message).code("unsupported_parameter"));
    }
    name(tool, param)
}

fn name(object: &Map<String, Value>, at: &str) -> Result<(), Refusal> {
    let param = format!("{at}.name");
    match given(object, "name") {
        None => Err(Refusal::missing(param)),
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err(Refusal::wrong_type(param, "a string")),
    }
}
