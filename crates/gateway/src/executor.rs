//! The border between a request line, of a batch or sent alone, and whoever answers it.

use std::borrow::Cow;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::http::HeaderValue;
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

use crate::contract::{Endpoint, View};
use crate::metrics::Load;
use crate::tenant::Tenant;

/// One request line to be answered.
#[derive(Debug)]
pub(crate) struct LineRequest {
    /// Under which prefix it came, or its batch was created: the two services differ in what they are known to refuse.
    pub(crate) origin: View,
    pub(crate) endpoint: Endpoint,
    pub(crate) whose: Whose,
    /// A JSON object, as the client wrote it.
    pub(crate) body: Box<RawValue>,
}

/// Who wants an answer.
#[derive(Clone, Debug)]
pub(crate) enum Whose {
    /// A client who waits for it, and has perhaps named the request.
    Client { tenant: Tenant, key: Option<String> },
    /// A batch.
    Batch { tenant: Tenant, batch: Arc<str>, custom_id: String },
}

impl Whose {
    /// Whether a client waits for the answer: it is not to wait for the lines of batches.
    pub(crate) fn is_at_once(&self) -> bool {
        matches!(self, Whose::Client { .. })
    }
}

/// Why there is no HTTP answer.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    /// Set when another try is worth it, after this long.
    pub(crate) again_after: Option<Duration>,
}

impl Failure {
    fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Failure {
        Failure { code: code.into(), message: message.into(), again_after: None }
    }

    /// The gateway itself broke on it.
    pub(crate) fn broken() -> Failure {
        Failure::new("processing_error", "The request could not be processed.")
    }

    /// As it was once.
    pub(crate) fn recorded(code: String, message: String) -> Failure {
        Failure::new(code, message)
    }

    pub(crate) fn unreached() -> Failure {
        Failure::new("upstream_unreachable", "The upstream server could not be reached.")
    }

    pub(crate) fn broken_off() -> Failure {
        Failure::new(
            "upstream_broke_off",
            "The connection to the upstream server broke off before the answer was whole.",
        )
    }

    pub(crate) fn too_long(bytes: usize) -> Failure {
        Failure::new(
            "upstream_answer_too_long",
            format!("The answer of the upstream server is longer than {bytes} bytes."),
        )
    }

    pub(crate) fn timed_out(after: Duration) -> Failure {
        let message = format!("The upstream server has not answered within {} s.", after.as_secs_f64());
        Failure::new("upstream_timeout", message)
    }

    pub(crate) fn is_timeout(&self) -> bool {
        self.code == "upstream_timeout"
    }
}

/// An answer that is passed on as it comes.
pub(crate) struct Streamed {
    pub(crate) status: u16,
    /// Seconds.
    pub(crate) retry_after: Option<u64>,
    pub(crate) content_type: Option<HeaderValue>,
    pub(crate) body: BoxStream<'static, io::Result<Bytes>>,
}

/// What came of one try.
#[derive(Debug)]
pub(crate) struct LineAnswer {
    pub(crate) status_code: u16,
    /// JSON, as it goes into the result file: a tree of a large answer would be many times its size.
    pub(crate) body: Box<RawValue>,
    /// The body's `usage`, or null.
    pub(crate) usage: Value,
    /// The room in memory that a large answer takes, until it is written.
    pub(crate) _room: Option<OwnedSemaphorePermit>,
    /// Set when another try is worth it, after this long. The batch decides how often it is; who sent it alone
    /// decides that.
    pub(crate) again_after: Option<Duration>,
    /// Seconds, for the header `Retry-After`. A result line has no headers.
    pub(crate) retry_after: Option<u64>,
}

impl LineAnswer {
    /// An answer that is small enough to be a tree.
    pub(crate) fn new(status_code: u16, body: &Value) -> LineAnswer {
        let usage = body.get("usage").cloned().unwrap_or_default();
        LineAnswer { status_code, body: raw(body), usage, _room: None, again_after: None, retry_after: None }
    }
}

/// A tree as text.
fn raw(body: &Value) -> Box<RawValue> {
    // A tree of JSON can always be written.
    serde_json::value::to_raw_value(body).unwrap_or_else(|_| RawValue::NULL.to_owned())
}

/// What an executor does with a line when it is asked to answer it.
#[derive(Debug)]
pub(crate) enum Reply {
    /// Nothing for this long, after which it is asked again. Nobody holds the line in memory meanwhile.
    Pause(Duration),
    Answer(LineAnswer),
    /// There is no HTTP answer.
    Failed(Failure),
}

/// Which time it is that an executor is asked to answer a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// From 1.
    pub(crate) attempt: u32,
    /// Whether this attempt has had its pause.
    pub(crate) has_paused: bool,
}

/// Answers request lines: the built-in model, or servers to which they are forwarded.
pub(crate) trait Executor: Send + Sync + 'static {
    fn answer<'a>(&'a self, line: &'a LineRequest, turn: Turn) -> BoxFuture<'a, Reply>;

    /// Passes on the answer to a client as it comes, where it has streams of its own. Else a stream is made of an answer
    /// that is whole.
    fn stream<'a>(&'a self, _request: &'a LineRequest) -> Option<BoxFuture<'a, Result<Streamed, Reply>>> {
        None
    }

    /// How much there is to do, for each server that answers.
    fn loads(&self) -> Vec<Load> {
        Vec::new()
    }

    /// The models that it names when it is asked for them.
    fn models(&self) -> BoxFuture<'_, Vec<String>>;
}
