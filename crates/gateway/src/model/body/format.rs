//! The shape of what asks for JSON: nested in `response_format` of chat completions (ResponseFormatJsonSchema), flat in
//! `text.format` of responses (TextResponseFormatJsonSchema). Each is often written as the other.

use serde_json::{Map, Value};

use crate::contract::Endpoint;
use crate::model::Refusal;
use crate::model::body::{Body, given};

/// Types that a JSON Schema may name: a schema was put where its format belongs.
const SCHEMA_TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];

pub(super) fn check(endpoint: Endpoint, body: &Body) -> Result<(), Refusal> {
    match endpoint {
        Endpoint::ChatCompletions => match given(body, "response_format") {
            Some(Value::Object(format)) => nested(format),
            _ => Ok(()),
        },
        Endpoint::Responses => match given(body, "text").and_then(|text| text.get("format")) {
            None | Some(Value::Null) => astray(body),
            Some(Value::Object(format)) => flat(format),
            Some(_) => Err(Refusal::wrong_type("text.format", "an object")),
        },
        _ => Ok(()),
    }
}

/// A `text` that is its own format.
fn astray(body: &Body) -> Result<(), Refusal> {
    let Some(Value::Object(text)) = given(body, "text") else { return Ok(()) };
    if !["type", "schema", "json_schema"].iter().any(|field| given(text, field).is_some()) {
        return Ok(());
    }
    let mut refusal = Refusal::missing("text.format");
    refusal.message.push_str(" 'type', 'name' and 'schema' belong inside of it.");
    Err(refusal)
}

/// The type of a format, or what is wrong with it.
fn kind<'a>(format: &'a Map<String, Value>, at: &str) -> Result<&'a str, Refusal> {
    let param = format!("{at}.type");
    match given(format, "type") {
        None => Err(Refusal::missing(param)),
        Some(Value::String(kind)) if SCHEMA_TYPES.contains(&kind.as_str()) => {
            let message = format!("Invalid value for '{param}': '{kind}' is a type of a schema; write 'json_schema'.");
            Err(Refusal::param(param, message).code("invalid_value"))
        }
        Some(Value::String(kind)) => Ok(kind),
        Some(_) => Err(Refusal::wrong_type(param, "a string")),
    }
}

/// `response_format`: `{"type": "json_schema", "json_schema": {"name", "schema", "strict"}}`.
fn nested(format: &Map<String, Value>) -> Result<(), Refusal> {
    const AT: &str = "response_format";
    if kind(format, AT)? != "json_schema" {
        return Ok(());
    }
    let param = format!("{AT}.json_schema");
    match given(format, "json_schema") {
        Some(Value::Object(inner)) => {
            text(inner, "name", &param)?;
            schema(inner, &param, false)
        }
        Some(_) => Err(Refusal::wrong_type(param, "an object")),
        None => {
            let mut refusal = Refusal::missing(&param);
            if ["name", "schema", "strict"].iter().any(|field| given(format, field).is_some()) {
                refusal.message.push_str(" 'name', 'schema' and 'strict' belong inside of it.");
            }
            Err(refusal)
        }
    }
}

/// `text.format`: `{"type": "json_schema", "name", "schema", "strict"}`.
fn flat(format: &Map<String, Value>) -> Result<(), Refusal> {
    const AT: &str = "text.format";
    if kind(format, AT)? != "json_schema" {
        return Ok(());
    }
    if given(format, "json_schema").is_some() && given(format, "schema").is_none() {
        let message = "Unsupported parameter: 'text.format.json_schema', which belongs to another endpoint; in \
                       /v1/responses its fields stand in 'text.format' itself.";
        return Err(Refusal::param("text.format.json_schema", message).code("unsupported_parameter"));
    }
    text(format, "name", AT)?;
    schema(format, AT, true)
}

/// A text that has to be there.
fn text(object: &Map<String, Value>, name: &str, at: &str) -> Result<(), Refusal> {
    let param = format!("{at}.{name}");
    match given(object, name) {
        None => Err(Refusal::missing(param)),
        Some(Value::String(_)) => Ok(()),
        Some(_) => Err(Refusal::wrong_type(param, "a string")),
    }
}

/// The schema and whether it is strict. Only the flat form has to have one.
fn schema(object: &Map<String, Value>, at: &str, is_required: bool) -> Result<(), Refusal> {
    match given(object, "schema") {
        None if is_required => return Err(Refusal::missing(format!("{at}.schema"))),
        None | Some(Value::Object(_)) => {}
        Some(_) => return Err(Refusal::wrong_type(format!("{at}.schema"), "an object")),
    }
    match given(object, "strict") {
        None | Some(Value::Bool(_)) => Ok(()),
        Some(_) => Err(Refusal::wrong_type(format!("{at}.strict"), "a boolean")),
    }
}
