//! The border between a request line, of a batch or sent alone, and whoever answers it.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::sync::OwnedSemaphorePermit;

use crate::contract::{Endpoint, View};

/// One request line to be answered.
#[derive(Debug)]
pub(crate) struct LineRequest {
    /// Under which prefix it came, or its batch was created: the two services differ in what they are known to refuse.
    pub(crate) origin: View,
    pub(crate) endpoint: Endpoint,
    /// Whether a client waits for the answer: it is not to wait for the lines of batches.
    pub(crate) at_once: bool,
    /// A JSON object, as the client wrote it.
    pub(crate) body: Box<RawValue>,
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
}

/// Which time it is that an executor is asked to answer a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    /// From 1.
    pub(crate) attempt: u32,
    /// Whether this attempt has had its pause.
    pub(crate) has_paused: bool,
}

/// Answers request lines: the built-in model today; forwarding to a real server belongs here.
pub(crate) trait Executor: Send + Sync + 'static {
    fn answer<'a>(&'a self, line: &'a LineRequest, turn: Turn) -> BoxFuture<'a, Reply>;

    /// The models that it names when it is asked for them.
    fn models(&self) -> &[&'static str];
}
