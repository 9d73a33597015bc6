//! The schema and the name of a type whose JSON a model is to answer with.

#[cfg(feature = "schema")]
mod derived;
mod faults;
#[cfg(feature = "schema")]
mod strict;
mod subset;

use serde_json::{Map, Value, json};

use super::Wire;
#[cfg(feature = "schema")]
pub(super) use derived::{name_of, strict_schema_of};
pub use faults::{SchemaFault, strict_faults};

/// The longest name that is taken for a schema or a function.
const LONGEST_NAME: usize = 64;

/// Whether a service takes this as the name of a schema or a function: 1 to 64 of a-z, A-Z, 0-9, `_` and `-` (OpenAI's
/// document of 2026-08-21, `ResponseFormatJsonSchema` and `FunctionObject`).
pub(super) fn is_name(name: &str) -> bool {
    (1..=LONGEST_NAME).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
}

/// The format that asks for JSON of a schema: the value of `response_format`, or of `text.format`.
pub(super) fn json_schema_format(
    wire: Wire,
    name: &str,
    schema: Result<Value, String>,
    strict: bool,
) -> Result<Value, String> {
    if !is_name(name) {
        return Err(format!("schema name {name:?}: it must be 1 to 64 of a-z, A-Z, 0-9, _ and -; rename it"));
    }
    let inner = json!({"name": name, "schema": schema?, "strict": strict});
    Ok(match (wire, inner) {
        (Wire::Responses, Value::Object(inner)) => {
            let mut format = Map::from_iter([("type".to_owned(), json!("json_schema"))]);
            format.extend(inner);
            Value::Object(format)
        }
        (_, inner) => json!({"type": "json_schema", "json_schema": inner}),
    })
}

#[cfg(all(test, feature = "schema"))]
mod tests;
