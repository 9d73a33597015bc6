//! Reads small bodies up to a limit: JSON objects, short texts.

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use futures_util::{Stream, StreamExt};
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::weight::weight;

/// Largest JSON body, in bytes.
const JSON_LIMIT: usize = 1024 * 1024;

/// The most memory that one may take as a tree, in bytes. No operation has a body with more than some dozens of values.
const TREE_LIMIT: u64 = 4 * 1024 * 1024;

/// The JSON object in a body.
///
/// Another type is a 415, a larger body a 413, anything that is no JSON object a 400.
pub(crate) async fn json_object(headers: &HeaderMap, body: Body) -> Result<Map<String, Value>, ApiError> {
    expect_json(headers)?;
    let bytes =
        text(body.into_data_stream(), JSON_LIMIT).await?.ok_or_else(|| ApiError::too_large(JSON_LIMIT as u64))?;
    if weight(&bytes) > TREE_LIMIT {
        return Err(ApiError::new(StatusCode::BAD_REQUEST, "The JSON body of your request holds too many values."));
    }
    match serde_json::from_slice(&bytes) {
        Ok(Value::Object(object)) => Ok(object),
        Ok(_) => Err(ApiError::new(StatusCode::BAD_REQUEST, "The body must be a JSON object.")),
        Err(error) => Err(ApiError::new(
            StatusCode::BAD_REQUEST,
            format!("We could not parse the JSON body of your request: {error}."),
        )),
    }
}

/// Refuses a body whose type is not JSON's, with a 415.
pub(crate) fn expect_json(headers: &HeaderMap) -> Result<(), ApiError> {
    if media_type(headers).as_deref() == Some("application/json") {
        return Ok(());
    }
    Err(ApiError::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "Unsupported content type: send a JSON body with 'Content-Type: application/json'.",
    ))
}

/// All bytes of a stream that has to be short; none when it is longer than `limit`.
pub(crate) async fn text<S, B, E>(mut stream: S, limit: usize) -> Result<Option<Vec<u8>>, ApiError>
where
    S: Stream<Item = Result<B, E>> + Unpin,
    B: AsRef<[u8]>,
    ApiError: From<E>,
{
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await {
        let chunk = chunk?;
        let chunk = chunk.as_ref();
        if chunk.len() > limit - bytes.len() {
            return Ok(None);
        }
        bytes.extend_from_slice(chunk);
    }
    Ok(Some(bytes))
}

/// The media type of a body, in lower case and without parameters.
pub(crate) fn media_type(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    let essence = value.split(';').next().unwrap_or_default();
    Some(essence.trim().to_ascii_lowercase())
}
