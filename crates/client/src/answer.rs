//! Reads JSON answers: once, and only those whose tree is worth its memory.

use std::sync::Arc;

use bytes::Bytes;
use progenitor_client::ResponseValue;
use serde::de::{DeserializeOwned, Error as _};
use serde_json::Value;

use crate::{
    generated::Error,
    hooks::{Answers, Body},
};

/// The most that an answer may be.
#[derive(Clone, Copy)]
pub(crate) struct Limit {
    /// Bytes on the way here, in MiB.
    mebibytes: usize,
    /// Bytes of the tree that is made of them, in MiB. A short text can make a tall tree: `{}` takes some 640 bytes.
    tree_mebibytes: usize,
}

/// A batch, a file, a deletion: some kilobytes, and those of its validation errors.
const OBJECT: Limit = Limit { mebibytes: 1, tree_mebibytes: 32 };

/// A page. One of 10,000 files, the longest of the contract, is about 5 MiB, and its tree 30.
const PAGE: Limit = Limit { mebibytes: 64, tree_mebibytes: 128 };

/// How deep values may be in one another. The contract's own are four deep.
const MAX_DEPTH: usize = 64;

/// How many bytes of an answer that could not be read are kept to show.
const SHOWN: usize = 4 << 10;

impl Limit {
    /// That of the answer to an operation.
    pub(crate) fn of(operation: &str) -> Self {
        if operation.starts_with("list_") { PAGE } else { OBJECT }
    }

    /// The most bytes that are read.
    pub(crate) fn bytes(self) -> usize {
        self.mebibytes << 20
    }
}

/// What was made of the body of a successful answer. Travels as an extension of the response.
#[derive(Clone)]
enum Read {
    Value(Value),
    Failed(Arc<serde_json::Error>),
}

/// Turns the body of a successful answer into a tree, brings it to the contract's shape, and puts it into the response
/// in the body's place; of a body that cannot be read, the beginning stays.
pub(crate) fn read(operation: &str, body: &Body, answers: &dyn Answers, response: &mut http::Response<Bytes>) {
    let read = match parsed(Limit::of(operation), body) {
        Ok(mut value) => {
            answers.to_contract(operation, &mut value);
            Read::Value(value)
        }
        Err(error) => Read::Failed(Arc::new(error)),
    };
    // A copy, which does not keep all of it.
    *response.body_mut() = Bytes::copy_from_slice(&body.bytes[..body.bytes.len().min(SHOWN)]);
    response.extensions_mut().insert(read);
}

fn parsed(limit: Limit, body: &Body) -> Result<Value, serde_json::Error> {
    if !body.is_whole {
        return Err(serde_json::Error::custom(format!("it is longer than {} MiB", limit.mebibytes)));
    }
    let weight = Weight::of(&body.bytes);
    if weight.depth > MAX_DEPTH {
        return Err(serde_json::Error::custom(format!("its values are nested more than {MAX_DEPTH} deep")));
    }
    if weight.bytes > limit.tree_mebibytes << 20 {
        return Err(serde_json::Error::custom(format!(
            "its {} values would take more than {} MiB of memory",
            weight.values, limit.tree_mebibytes
        )));
    }
    serde_json::from_slice(&body.bytes)
}

/// The typed value of a successful answer: in the generated code it stands in place of progenitor's function, which
/// would parse the body again.
pub(crate) async fn decoded<T: DeserializeOwned>(
    mut response: reqwest::Response,
) -> Result<ResponseValue<T>, Error<()>> {
    let status = response.status();
    let read = response.extensions_mut().remove::<Read>();
    let headers = std::mem::take(response.headers_mut());
    let beginning = response.bytes().await.map_err(Error::ResponseBodyError)?;
    let typed = match read {
        Some(Read::Value(value)) => T::deserialize(value),
        Some(Read::Failed(error)) => {
            Err(Arc::into_inner(error).unwrap_or_else(|| serde_json::Error::custom("it cannot be read")))
        }
        None => serde_json::from_slice(&beginning),
    };
    typed
        .map(|value| ResponseValue::new(value, status, headers))
        .map_err(|error| Error::InvalidResponsePayload(beginning, error))
}

/// What the tree of a JSON text would be, counted without making it. Of a text that is no JSON it says nothing of use.
#[derive(Debug, Default, PartialEq, Eq)]
struct Weight {
    values: usize,
    bytes: usize,
    depth: usize,
}

impl Weight {
    /// What serde_json takes for an object, whose first node has room for eleven members; for another member, with its
    /// key; and for another element of a list.
    const OBJECT: usize = 640;
    const MEMBER: usize = 96;
    const ELEMENT: usize = 40;

    fn of(json: &[u8]) -> Self {
        let (mut weight, mut depth) = (Self { values: 1, bytes: json.len(), depth: 0 }, 0_usize);
        let (mut in_text, mut escaped) = (false, false);
        for byte in json {
            if in_text {
                (in_text, escaped) = match byte {
                    _ if escaped => (true, false),
                    b'\\' => (true, true),
                    byte => (*byte != b'"', false),
                };
                continue;
            }
            match byte {
                b'"' => in_text = true,
                b'{' | b'[' => {
                    depth += 1;
                    weight.depth = weight.depth.max(depth);
                    weight.values += 1;
                    weight.bytes += if *byte == b'{' { Self::OBJECT } else { Self::ELEMENT };
                }
                b'}' | b']' => depth = depth.saturating_sub(1),
                b',' => {
                    weight.values += 1;
                    weight.bytes += Self::ELEMENT;
                }
                b':' => weight.bytes += Self::MEMBER,
                _ => {}
            }
        }
        weight
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_in_a_text_is_no_value() {
        let text = br#""{[,:\"{[,:\\""#;
        assert_eq!(Weight::of(text), Weight { values: 1, bytes: text.len(), depth: 0 });
        let weight = Weight::of(br#"{"a":[1,{"b":null}]}"#);
        assert_eq!((weight.values, weight.depth), (5, 3));
    }

    #[test]
    fn limits_are_named_and_the_longest_page_is_within_them() {
        let body = |text: String| Body { bytes: text.into(), is_whole: true };
        let file = r#"{"id":"file-1","object":"file","bytes":1,"created_at":1,"filename":"a","purpose":"batch","status":"processed","status_details":null,"sha256":"0","expires_at":null,"more":{"a":1,"b":[1,2]}}"#;
        let page = format!(r#"{{"object":"list","data":[{}],"has_more":true}}"#, vec![file; 10_000].join(","));
        assert!(parsed(PAGE, &body(page)).is_ok());
        let error = |limit, text: String| parsed(limit, &body(text)).unwrap_err().to_string();
        assert_eq!(error(OBJECT, "[".repeat(65)), "its values are nested more than 64 deep");
        let many = format!("[{}]", vec!["{}"; 340_000].join(","));
        assert!(error(OBJECT, many).ends_with(" values would take more than 32 MiB of memory"));
        let cut = Body { bytes: Bytes::from_static(b"{}"), is_whole: false };
        assert_eq!(parsed(OBJECT, &cut).unwrap_err().to_string(), "it is longer than 1 MiB");
    }
}
