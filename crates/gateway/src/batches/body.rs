//! Reads the body of a create: checks every field, and names the param of each refusal.

use serde_json::{Map, Value};

use crate::contract::{Endpoint, View};
use crate::error::ApiError;
use crate::expiry;

/// Longest file id that is looked up, in bytes. Ours have 37.
const LONGEST_ID: usize = 256;

/// Metadata limits: pairs, characters of a key, characters of a value (OpenAI's Metadata; MKA1's client has the same).
const METADATA: (usize, usize, usize) = (16, 64, 512);

/// What a create asks for.
#[derive(Debug)]
pub(super) struct CreateBody {
    pub(super) input_file_id: String,
    pub(super) endpoint: Endpoint,
    pub(super) metadata: Option<Map<String, Value>>,
    pub(super) max_concurrency: Option<usize>,
    /// Seconds.
    pub(super) output_expires_after: Option<i64>,
}

impl CreateBody {
    /// Fields that neither service knows are ignored; those that only one knows are checked and
    /// obeyed under both prefixes.
    pub(super) fn read(view: View, body: &Map<String, Value>) -> Result<CreateBody, ApiError> {
        let input_file_id = required(body, "input_file_id")?.to_owned();
        if input_file_id.len() > LONGEST_ID {
            return Err(ApiError::param("input_file_id", "Invalid 'input_file_id': no file has so long an id."));
        }
        let endpoint = required(body, "endpoint")?;
        let endpoint = view.endpoint(endpoint).ok_or_else(|| {
            let known: Vec<&str> = view.endpoints().iter().map(|known| known.path()).collect();
            ApiError::unsupported("endpoint", endpoint, &known)
        })?;
        let window = required(body, "completion_window")?;
        if window != "24h" {
            return Err(ApiError::unsupported("completion_window", window, &["24h"]));
        }
        Ok(CreateBody {
            input_file_id,
            endpoint,
            metadata: metadata(body.get("metadata"))?,
            max_concurrency: max_concurrency(body.get("max_concurrency"))?,
            output_expires_after: expiry::read("output_expires_after", body.get("output_expires_after"))?,
        })
    }
}

fn required<'a>(body: &'a Map<String, Value>, name: &str) -> Result<&'a str, ApiError> {
    match body.get(name) {
        None | Some(Value::Null) => Err(ApiError::missing(name)),
        Some(Value::String(text)) if text.is_empty() => Err(ApiError::missing(name)),
        Some(Value::String(text)) => Ok(text),
        Some(_) => Err(ApiError::wrong_type(name, "a string")),
    }
}

fn metadata(value: Option<&Value>) -> Result<Option<Map<String, Value>>, ApiError> {
    let (pairs, key_limit, value_limit) = METADATA;
    let map = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(map)) => map,
        Some(_) => return Err(ApiError::wrong_type("metadata", "an object")),
    };
    let refused = |what: String| Err(ApiError::param("metadata", what).code("invalid_value"));
    if map.len() > pairs {
        return refused(format!("Invalid 'metadata': {} pairs, at most {pairs}.", map.len()));
    }
    for (key, value) in map {
        let Value::String(value) = value else {
            return Err(ApiError::wrong_type("metadata", "strings as its values"));
        };
        if key.chars().count() > key_limit {
            return refused(format!("Invalid 'metadata': a key has over {key_limit} characters."));
        }
        if value.chars().count() > value_limit {
            return refused(format!("Invalid 'metadata': the value of '{key}' has over {value_limit} characters."));
        }
    }
    Ok(Some(map.clone()))
}

fn max_concurrency(value: Option<&Value>) -> Result<Option<usize>, ApiError> {
    let Some(value) = value else { return Ok(None) };
    match value.as_u64() {
        // A number beyond the address space is above every ceiling.
        Some(lines) if lines > 0 => Ok(Some(usize::try_from(lines).unwrap_or(usize::MAX))),
        _ => Err(ApiError::wrong_type("max_concurrency", "an integer of at least 1")),
    }
}
