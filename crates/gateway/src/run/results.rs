//! Result lines as they stand in the files of a batch.

use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::executor::{Failure, LineAnswer};
use crate::ids::Ids;

/// Why a line has no HTTP answer.
#[derive(Clone, Copy, Debug)]
pub(super) enum Unanswered<'a> {
    Expired,
    Cancelled,
    Failed(&'a Failure),
}

impl Unanswered<'_> {
    /// As it is counted.
    pub(super) fn name(self) -> &'static str {
        match self {
            Unanswered::Expired => "expired",
            Unanswered::Cancelled => "cancelled",
            Unanswered::Failed(_) => "failed",
        }
    }

    fn error(self) -> Value {
        let (code, message) = match self {
            Unanswered::Expired => {
                ("batch_expired", "This request could not be executed before the completion window expired.")
            }
            Unanswered::Cancelled => {
                ("batch_cancelled", "This request was not executed because the batch was cancelled.")
            }
            Unanswered::Failed(failure) => (&*failure.code, failure.message.as_str()),
        };
        json!({"code": code, "message": message})
    }
}

/// A result line. Its body is text already, and is not made a tree again.
#[derive(Serialize)]
struct ResultLine<'a> {
    id: String,
    custom_id: &'a str,
    response: Option<Response<'a>>,
    error: Value,
}

/// The HTTP answer in a result line.
#[derive(Serialize)]
struct Response<'a> {
    status_code: u16,
    request_id: String,
    body: &'a RawValue,
}

/// The line of an HTTP answer, and whether it is a success.
pub(super) fn answered(
    ids: &Ids,
    batch_id: &str,
    custom_id: &str,
    answer: &LineAnswer,
) -> serde_json::Result<(bool, Vec<u8>)> {
    let request_id = ids.of("req_", &[batch_id, custom_id]);
    let response = Response { status_code: answer.status_code, request_id, body: &answer.body };
    let line = line(ids, batch_id, custom_id, Some(response), Value::Null)?;
    Ok(((200..300).contains(&answer.status_code), line))
}

/// The line of a request that got no answer.
pub(super) fn unanswered(
    ids: &Ids,
    batch_id: &str,
    custom_id: &str,
    why: Unanswered<'_>,
) -> serde_json::Result<Vec<u8>> {
    line(ids, batch_id, custom_id, None, why.error())
}

fn line(
    ids: &Ids,
    batch_id: &str,
    custom_id: &str,
    response: Option<Response<'_>>,
    error: Value,
) -> serde_json::Result<Vec<u8>> {
    let id = ids.of("batch_req_", &[batch_id, custom_id]);
    let mut bytes = serde_json::to_vec(&ResultLine { id, custom_id, response, error })?;
    bytes.push(b'\n');
    Ok(bytes)
}
