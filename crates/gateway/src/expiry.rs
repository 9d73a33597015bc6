//! When files expire, if a client asks for it.

use std::ops::RangeInclusive;

use serde_json::Value;

use crate::error::{ApiError, quote};

/// Seconds that a client may let a file live: an hour to 30 days (OpenAI's FileExpirationAfter).
const SECONDS: RangeInclusive<i64> = 3_600..=2_592_000;

/// Reads `{"anchor": "created_at", "seconds": 3600}`; `param` is what the field is called.
pub(crate) fn read(param: &str, value: Option<&Value>) -> Result<Option<i64>, ApiError> {
    let object = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::Object(object)) => object,
        Some(_) => return Err(ApiError::wrong_type(param, "an object")),
    };
    let (anchor, seconds) = (format!("{param}.anchor"), format!("{param}.seconds"));
    match object.get("anchor") {
        None | Some(Value::Null) => return Err(ApiError::missing(&anchor)),
        Some(Value::String(known)) if known == "created_at" => {}
        Some(Value::String(other)) => return Err(ApiError::unsupported(&anchor, other, &["created_at"])),
        Some(_) => return Err(ApiError::wrong_type(&anchor, "a string")),
    }
    let sent = match object.get("seconds") {
        None | Some(Value::Null) => return Err(ApiError::missing(&seconds)),
        Some(sent) => sent,
    };
    match sent.as_i64() {
        Some(sent) if SECONDS.contains(&sent) => Ok(Some(sent)),
        _ => Err(ApiError::param(
            &seconds,
            format!(
                "Invalid '{seconds}': expected an integer from {} to {}, got {}.",
                SECONDS.start(),
                SECONDS.end(),
                quote(&sent.to_string())
            ),
        )
        .code("invalid_value")),
    }
}
