//! Owns the result line: one record of an output or error file, in the shape that the contract
//! gives it. It never reads what deviates from it; see [`Answer`](crate::Answer).

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// One line of a batch's output or error file: the answer to one request line. It succeeded when
/// `response` is present, its `status_code` is 2xx, and `error` is null.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[cfg_attr(feature = "schemas", schemars(example = failed_line()))]
#[non_exhaustive]
pub struct ResultLine {
    /// The service's own id of this answer.
    pub id: Option<String>,
    /// The `custom_id` of the request line that this answers.
    pub custom_id: String,
    /// What the endpoint answered; null when the request got no answer.
    pub response: Option<ResultResponse>,
    /// Why there is no answer; null when the endpoint answered, even with an error of its own.
    pub error: Option<ResultError>,
}

/// The failing line of MKA1's page "batch processing".
#[cfg(feature = "schemas")]
fn failed_line() -> Value {
    serde_json::json!({
        "id": "response_def456",
        "custom_id": "request-2",
        "response": null,
        "error": { "code": "processing_error", "message": "The request could not be processed." },
    })
}

/// The HTTP answer of the endpoint to one request line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ResultResponse {
    /// The HTTP status code.
    #[cfg_attr(feature = "schemas", schemars(range(min = 100, max = 599)))]
    pub status_code: u16,
    /// The service's id of the HTTP request, to name when asking its support.
    pub request_id: Option<String>,
    /// The body of the HTTP answer: what the endpoint gives outside of a batch, or an object with
    /// `error` when the status code is not 2xx.
    #[serde(default)]
    pub body: Value,
}

/// Why a request line has no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
#[non_exhaustive]
pub struct ResultError {
    /// A name for programs, such as `batch_expired`, `batch_cancelled` or `request_timeout`.
    #[serde(default, deserialize_with = "loose_text")]
    #[cfg_attr(feature = "schemas", schemars(with = "Option<String>"))]
    pub code: Option<String>,
    /// The reason in words.
    #[serde(default, deserialize_with = "loose_text")]
    #[cfg_attr(feature = "schemas", schemars(with = "Option<String>"))]
    pub message: Option<String>,
}

/// A string as it is, null as none, anything else as its JSON: services put integers here.
fn loose_text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_fields_are_written_and_may_be_absent() {
        let line: ResultLine = serde_json::from_str(r#"{"custom_id":"a","x":1}"#).unwrap();
        assert_eq!(
            serde_json::to_string(&line).unwrap(),
            r#"{"id":null,"custom_id":"a","response":null,"error":null}"#
        );
        let json = r#"{"id":"b","custom_id":"a","response":{"status_code":200,"request_id":null,"body":{"z":1,"a":2}},"error":null}"#;
        let line: ResultLine = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&line).unwrap(), json);
    }

    #[test]
    fn an_error_code_may_be_an_integer() {
        let error: ResultError = serde_json::from_str(r#"{"code":429}"#).unwrap();
        assert_eq!(error.code.as_deref(), Some("429"));
        assert_eq!(error.message, None);
    }
}
