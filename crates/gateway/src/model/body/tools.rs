//! The shape of function tools: nested in chat completions (ChatCompletionTool), flat in responses (FunctionTool).

use serde_json::{Map, Value};

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::{Body, given};

pub(super) fn check(endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    let is_nested = match endpoint {
        Endpoint::ChatCompletions => true,
        Endpoint::Responses => false,
        _ => return Ok(()),
    };
    let Some(Value::Array(tools)) = given(body, "tools") else { return Ok(()) };
    for (at, tool) in tools.iter().enumerate() {
        let param = format!("tools[{at}]");
        let Value::Object(tool) = tool else { return Err(Refusal::wrong_type(param, "an object")) };
        if given(tool, "type").is_some_and(|kind| kind == "function") {
            if is_nested { nested(tool, &param)? } else { flat(tool, &param)? }
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
    if given(tool, "function").is_some() {
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
