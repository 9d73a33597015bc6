//! What an `Idempotency-Key` stands for, and which answer it has got; which batch it has made is in the state. Off unless it is enabled: neither MKA1 nor OpenAI
//! documents such a key; OGX does, for batches.

mod answers;

use axum::http::{HeaderMap, StatusCode};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::auth::once;
use crate::error::ApiError;

pub(crate) use answers::Answers;

/// Longest key, in bytes: Stripe's bound, since OGX names none.
const LONGEST: usize = 255;

/// The digest of the body of a create, whatever the order of its fields: also of those that are ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parameters(pub(crate) [u8; 32]);

impl Parameters {
    pub(crate) fn of(body: &Map<String, Value>) -> Parameters {
        let mut digest = Sha256::new();
        digest_object(&mut digest, body);
        Parameters(digest.finalize().into())
    }
}

/// The digest of a request that is answered at once: of its prefix, its endpoint and the bytes of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Asked([u8; 32]);

impl Asked {
    pub(crate) fn of(prefix: &str, endpoint: &str, sha256: &str) -> Asked {
        let mut digest = Sha256::new();
        for part in [prefix, endpoint, sha256] {
            digest_head(&mut digest, b'"', part.len());
            digest.update(part);
        }
        Asked(digest.finalize().into())
    }
}

/// Each value tells its kind and its length first, so that no two texts run into one another.
fn digest_value(digest: &mut Sha256, value: &Value) {
    match value {
        Value::Object(fields) => digest_object(digest, fields),
        Value::Array(items) => {
            digest_head(digest, b'[', items.len());
            items.iter().for_each(|item| digest_value(digest, item));
        }
        scalar => {
            let text = scalar.to_string();
            digest_head(digest, b'=', text.len());
            digest.update(text);
        }
    }
}

fn digest_object(digest: &mut Sha256, fields: &Map<String, Value>) {
    let mut sorted: Vec<_> = fields.iter().collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    digest_head(digest, b'{', sorted.len());
    for (name, value) in sorted {
        digest_head(digest, b'"', name.len());
        digest.update(name);
        digest_value(digest, value);
    }
}

fn digest_head(digest: &mut Sha256, kind: u8, length: usize) {
    digest.update([kind]);
    digest.update((length as u64).to_le_bytes());
}

/// Refuses a key that is blank or too long.
pub(crate) fn checked(key: &str) -> Result<(), ApiError> {
    if !key.is_empty() && key.len() <= LONGEST {
        return Ok(());
    }
    let message = format!("Invalid 'Idempotency-Key': expected 1 to {LONGEST} bytes, got {}.", key.len());
    Err(ApiError::new(StatusCode::BAD_REQUEST, message))
}

/// The key in the headers of a request, as text. Two are a 400.
pub(crate) fn key(headers: &HeaderMap) -> Result<Option<String>, ApiError> {
    let key = once(headers, "Idempotency-Key")?;
    Ok(key.map(|key| String::from_utf8_lossy(key.as_bytes()).trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_differ_by_every_value_and_not_by_order() {
        let of = |text: &str| Parameters::of(&serde_json::from_str(text).unwrap());
        assert_eq!(of(r#"{"a": 1, "b": {"c": [1, 2], "d": null}}"#), of(r#"{"b":{"d":null,"c":[1,2]},"a":1}"#));
        let texts = [
            "{}",
            r#"{"a": 1}"#,
            r#"{"a": "1"}"#,
            r#"{"a": 1.0}"#,
            r#"{"a": null}"#,
            r#"{"a": [1]}"#,
            r#"{"a": [[1]]}"#,
            r#"{"a": [1, 2]}"#,
            r#"{"a": [2, 1]}"#,
            r#"{"a": {}, "b": {}}"#,
            r#"{"a": {"b": {}}}"#,
        ];
        for (at, one) in texts.iter().enumerate() {
            for other in &texts[at + 1..] {
                assert_ne!(of(one), of(other), "{one} {other}");
            }
        }
    }
}
