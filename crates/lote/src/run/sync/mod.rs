//! The synchronous way: request lines that are sent one by one, each answered at once, without a batch. What is sent and
//! what came of it (`ask.rs`), how fast (`gate.rs`), and that what came is kept (`records.rs`); nothing here decides which
//! lines go that way.

mod ask;
mod gate;
mod records;

use std::time::Duration;

pub(super) use self::{
    ask::{Came, Line, Question, end_without_answer, result},
    gate::{Gate, Row},
    records::{Done, Records, SYNC},
};

/// How many requests are in flight at the most, unless it is said otherwise.
const MAX_IN_FLIGHT: usize = 64;

/// How long one request may take. Models that think take minutes; openai-python waits as long.
const TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// How fast request lines are sent that go the synchronous way: one by one, each answered at once. See
/// [`Run::synchronous`](super::Run::synchronous) and [`Run::rescue_before`](super::Run::rescue_before).
///
/// How many are in flight is learned: with every answer a little more, and half as many when the service says that it is too
/// much (429, 503). A pause that it asks for is kept by all. What is set here is never passed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "it says how fast to send"]
pub struct Pace {
    pub(super) max_in_flight: usize,
    pub(super) requests_per_minute: Option<u32>,
    pub(super) tokens_per_minute: Option<u32>,
    pub(super) timeout: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { max_in_flight: MAX_IN_FLIGHT, requests_per_minute: None, tokens_per_minute: None, timeout: TIMEOUT }
    }
}

impl Pace {
    /// As fast as the service takes them, with 64 in flight at the most.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many requests may be in flight at once, at least 1. Their lines and answers are in memory meanwhile.
    pub fn max_in_flight(mut self, requests: usize) -> Self {
        self.max_in_flight = requests.max(1);
        self
    }

    /// How many requests may be sent in a minute, at least 1, those that are sent again among them. They are spread over
    /// the minute, a second's worth at once.
    pub fn requests_per_minute(mut self, requests: u32) -> Self {
        self.requests_per_minute = Some(requests.max(1));
        self
    }

    /// How many tokens may be sent and answered in a minute, at least 1. A request counts as a quarter of the bytes of its
    /// line before it is sent, and as what its answer says beyond that afterwards.
    pub fn tokens_per_minute(mut self, tokens: u32) -> Self {
        self.tokens_per_minute = Some(tokens.max(1));
        self
    }

    /// How long one request may take until all of its answer is here. The default is 10 minutes.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }
}
