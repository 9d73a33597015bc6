//! Owns the border between a batch and whoever answers its lines. Never knows files or statuses.

use std::time::Duration;

use futures_util::future::BoxFuture;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::view::Endpoint;

/// One request line to be answered.
#[derive(Debug)]
pub(crate) struct LineRequest {
    pub(crate) custom_id: String,
    pub(crate) endpoint: Endpoint,
    /// A JSON object, as the client wrote it.
    pub(crate) body: Box<RawValue>,
}

/// What came of one try.
#[derive(Debug)]
pub(crate) struct LineAnswer {
    pub(crate) status_code: u16,
    pub(crate) body: Value,
    /// Set when another try is worth it, after this long. The batch decides how often it is.
    pub(crate) retry_after: Option<Duration>,
}

/// Answers request lines: the built-in model today; forwarding to a real server belongs here.
pub(crate) trait Executor: Send + Sync + 'static {
    /// Answers `line`; `attempt` counts from 1.
    fn answer<'a>(&'a self, line: &'a LineRequest, attempt: u32) -> BoxFuture<'a, LineAnswer>;
}
