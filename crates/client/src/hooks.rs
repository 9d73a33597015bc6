//! Owns what every call carries besides its parameters: key, end user, limits on time and size; never logs any of it.

use std::{fmt, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use progenitor_client::{ClientHooks, ClientInfo, OperationInfo};
use reqwest::{
    StatusCode,
    header::{HeaderMap, HeaderName, HeaderValue},
};
use serde_json::Value;
use tracing::{Instrument, Span, debug, debug_span, field::Empty};

use crate::generated::{Client, Error};

/// The most bytes of an answer that are read into memory: 64 MiB. File content is streamed and has no such limit.
///
/// A page of 10,000 files, the longest answer of the contract, is about 5 MiB.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

/// The header that names the end user.
pub const ON_BEHALF_OF: HeaderName = HeaderName::from_static("x-on-behalf-of");

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What turns the answers of a service into those of the contract.
pub trait Answers: fmt::Debug + Send + Sync {
    /// Changes the JSON answer of a successful operation, such as `get_batch`, where it is not of the contract's shape,
    /// and says whether it has. Never called for the content of a file.
    fn to_contract(&self, operation: &str, answer: &mut Value) -> bool;
}

/// What a [`Client`] adds to every request, and does to every answer.
#[derive(Clone)]
pub struct Inner {
    /// The header with the key, and its whole value. Mark it sensitive.
    pub authorization: (HeaderName, HeaderValue),
    /// The headers of every call beside it, such as [`ON_BEHALF_OF`].
    pub headers: HeaderMap,
    /// The pairs that every URL ends in.
    pub query: Vec<(String, String)>,
    /// How long a call may take as a whole. Transfers of files have no such limit.
    pub call_timeout: Option<Duration>,
    /// What is done to every JSON answer.
    pub answers: Arc<dyn Answers>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("authorization", &"…")
            .field("on_behalf_of", &self.headers.get(ON_BEHALF_OF))
            .field("call_timeout", &self.call_timeout)
            .field("answers", &self.answers)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// The same client over the same connections, whose calls carry these headers as well.
    #[must_use]
    pub fn with(&self, headers: HeaderMap) -> Self {
        let mut client = self.clone();
        client.inner.headers.extend(headers);
        client
    }
}

impl ClientHooks<Inner> for Client {
    async fn pre<E>(&self, request: &mut reqwest::Request, info: &OperationInfo) -> Result<(), Error<E>> {
        let inner = self.inner();
        let headers = request.headers_mut();
        // The generator sends the version of our own document, which means nothing to a service.
        headers.remove("api-version");
        for (name, value) in &inner.headers {
            headers.insert(name.clone(), value.clone());
        }
        // Last, so that nothing else takes its place.
        let (name, value) = &inner.authorization;
        headers.insert(name.clone(), value.clone());
        if !inner.query.is_empty() {
            request.url_mut().query_pairs_mut().extend_pairs(&inner.query);
        }
        if !is_transfer(info) {
            *request.timeout_mut() = inner.call_timeout;
        }
        Ok(())
    }

    async fn exec(&self, request: reqwest::Request, info: &OperationInfo) -> reqwest::Result<reqwest::Response> {
        let span = debug_span!("lote.request", operation = info.operation_id, status = Empty, request_id = Empty);
        let sent = self.client().execute(request).instrument(span.clone()).await;
        let response = sent.inspect_err(|error| tell_failure(&span, error))?;
        span.record("status", response.status().as_u16());
        if let Some(id) = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()) {
            span.record("request_id", id);
        }
        if info.operation_id == "get_file_content" && response.status().is_success() {
            return Ok(response);
        }
        let success = response.status().is_success();
        let read = bounded(response).instrument(span.clone()).await;
        let (status, headers, mut body) = read.inspect_err(|error| tell_failure(&span, error))?;
        if success {
            to_contract(self.inner().answers.as_ref(), info.operation_id, &mut body);
        }
        let mut whole = http::Response::new(body);
        (*whole.status_mut(), *whole.headers_mut()) = (status, headers);
        Ok(whole.into())
    }
}

/// Says what kind of failure it was: its text might hold a URL, and in it what a dialect puts there.
fn tell_failure(span: &Span, error: &reqwest::Error) {
    let kind = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "no connection"
    } else {
        "connection lost"
    };
    debug!(parent: span, failure = kind);
}

/// Lets a JSON answer be changed. What is no JSON, and what was right already, stays byte for byte what came.
fn to_contract(answers: &dyn Answers, operation: &str, body: &mut Bytes) {
    if let Ok(mut answer) = serde_json::from_slice::<Value>(body)
        && answers.to_contract(operation, &mut answer)
    {
        *body = answer.to_string().into();
    }
}

/// Whether an operation moves a file, which takes as long as it takes.
fn is_transfer(info: &OperationInfo) -> bool {
    matches!(info.operation_id, "upload_file" | "get_file_content")
}

/// A response with its body read, up to [`MAX_ANSWER_BYTES`].
async fn bounded(mut response: reqwest::Response) -> reqwest::Result<(StatusCode, HeaderMap, Bytes)> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    Ok((response.status(), std::mem::take(response.headers_mut()), body.freeze()))
}
