//! Owns scripted misbehaviour: what goes wrong, where, when. Never goes wrong by itself: a gateway
//! without a plan behaves.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use lote_gateway::Gateway;
//! use lote_gateway::faults::{Effect, ErrorBody, Fault, Operation, Refusal, RetryAfter};
//!
//! # let _ = rustls::crypto::ring::default_provider().install_default();
//! let busy = Refusal::status(429).retry_after(RetryAfter::Seconds(2)).body(ErrorBody::Text);
//! let gateway = Gateway::builder()
//!     .fault(Fault::on(Operation::ListBatches).nth(1).then(Effect::Status(busy)))
//!     .start()
//!     .await?;
//!
//! let list = || reqwest::Client::new().get(format!("{}/v1/batches", gateway.url())).bearer_auth("sk-test").send();
//! let refused = list().await?;
//! assert_eq!((refused.status().as_u16(), &refused.headers()["retry-after"]), (429, &"2".parse()?));
//! assert_eq!(list().await?.status(), 200);
//! # Ok(())
//! # }
//! ```

mod body;
mod effect;
mod file;
mod hidden;
mod lines;
mod object;
mod operation;
mod refusal;
mod renamed;
mod script;
mod state;

use std::ops::{Bound, RangeBounds};

pub use effect::{Effect, HasMore, Lag, OddTime, Takes};
pub use file::FaultsFileError;
pub use operation::Operation;
pub use refusal::{ErrorBody, Refusal, RetryAfter};

pub(crate) use body::{Abort, Aborts, mutilate};
pub(crate) use effect::Stage;
pub(crate) use object::patch;
pub(crate) use script::{Fired, Script, Strike};
pub(crate) use state::Masks;

/// A plan of faults, for [`Builder::faults`](crate::Builder::faults).
///
/// ```
/// use lote_gateway::faults::{Effect, Fault, Faults, Operation, Refusal};
///
/// let faults = Faults::new()
///     .fault(Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerLost))
///     .fault(Fault::on(Operation::GetBatch).probability(0.1).then(Effect::Status(Refusal::status(503))));
/// let same = Faults::from_toml(
///     r#"
///     [[fault]]
///     on = "create-batch"
///     nth = 1
///     effect = "answer-lost"
///
///     [[fault]]
///     on = "get-batch"
///     probability = 0.1
///     effect = "status"
///     status = 503
///     "#,
/// )?;
/// assert_eq!(faults, same);
/// # Ok::<(), lote_gateway::faults::FaultsFileError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Faults {
    pub(crate) seed: Option<u64>,
    pub(crate) faults: Vec<Fault>,
}

impl Faults {
    /// A plan in which nothing goes wrong.
    pub fn new() -> Faults {
        Faults::default()
    }

    /// Adds a fault. Each counts calls by itself.
    #[must_use]
    pub fn fault(mut self, fault: Fault) -> Faults {
        self.faults.push(fault);
        self
    }

    /// What probabilities and shuffles are drawn from. Without it the gateway's own
    /// [seed](crate::Builder::seed) is, and without that one, 0: a plan always does the same.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Faults {
        self.seed = Some(seed);
        self
    }

    /// Reads a plan from TOML, as `lote gateway --faults FILE` does. The README of this crate has
    /// an example and the table of effects.
    ///
    /// # Errors
    ///
    /// When it is no TOML, when a key is unknown, missing or has a value it cannot have, when an
    /// effect cannot strike the operation; the error names the line and the key.
    pub fn from_toml(text: &str) -> Result<Faults, FaultsFileError> {
        file::read(text)
    }
}

/// One fault: where, when, what. Begins with [`Fault::on`].
///
/// It is used when its effect changes something: an object that is distorted, an answer that is
/// lost, a file that lacks lines. One that strikes a call on which it has nothing to change, such as
/// a create that is refused, is not used, and [`times`](When::times) does not count that call.
///
/// One that was not used as it was written is a leftover ([`Gateway::leftovers`](crate::Gateway::leftovers)):
/// [`nth`](When::nth) and a range of [`calls`](When::calls) with an end want every call that they name (but no more than
/// `times`), all else wants one, and [`probability`](When::probability) none.
#[derive(Clone, Debug)]
pub struct Fault {
    pub(crate) on: When,
    pub(crate) effect: Effect,
    /// The line in a faults file.
    pub(crate) line: Option<usize>,
}

/// Where it was written does not count.
impl PartialEq for Fault {
    fn eq(&self, other: &Fault) -> bool {
        self.on == other.on && self.effect == other.effect
    }
}

impl Fault {
    /// Begins a fault that strikes this operation: every call, unless a selector says otherwise.
    pub fn on(operation: Operation) -> When {
        When { operation, first: 1, last: u64::MAX, probability: None, times: None }
    }

    /// What is wrong with it, if anything is: the key and the reason.
    pub(crate) fn wrong(&self) -> Option<(&'static str, String)> {
        let When { operation, first, last, probability, times } = self.on;
        if !self.effect.fits(operation) {
            return Some(("effect", format!("'{}' cannot strike '{operation}'", self.effect.name())));
        }
        if first == 0 || last < first {
            return Some(("calls", "calls are counted from 1, and a range has to hold one".to_owned()));
        }
        if probability.is_some_and(|p| !(0.0..=1.0).contains(&p)) {
            return Some(("probability", "expected a number from 0 to 1".to_owned()));
        }
        if times == Some(0) {
            return Some(("times", "expected an integer of at least 1, got 0".to_owned()));
        }
        self.effect.wrong()
    }
}

/// Where and when a fault strikes. Ends with [`then`](When::then). Selectors narrow it down together.
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "a fault needs an effect"]
pub struct When {
    pub(crate) operation: Operation,
    /// From 1, both included.
    pub(crate) first: u64,
    pub(crate) last: u64,
    pub(crate) probability: Option<f64>,
    pub(crate) times: Option<u64>,
}

impl When {
    /// Only the nth call, from 1.
    pub fn nth(self, call: u64) -> When {
        self.calls(call..=call)
    }

    /// Only these calls, from 1: `2..=4`, `3..`. With an end it is a leftover unless it happened on each of them; a range
    /// that is only a ceiling is [`times`](When::times).
    pub fn calls(mut self, calls: impl RangeBounds<u64>) -> When {
        self.first = match calls.start_bound() {
            Bound::Included(first) => *first,
            Bound::Excluded(before) => before.saturating_add(1),
            Bound::Unbounded => 1,
        };
        self.last = match calls.end_bound() {
            Bound::Included(last) => *last,
            Bound::Excluded(after) => after.saturating_sub(1),
            Bound::Unbounded => u64::MAX,
        };
        self
    }

    /// Only so often, and perhaps never: 0.1 strikes one call in ten, drawn from the seed and the
    /// number of the call.
    pub fn probability(mut self, probability: f64) -> When {
        self.probability = Some(probability);
        self
    }

    /// At most so many times; those on which nothing happened do not count.
    pub fn times(mut self, times: u64) -> When {
        self.times = Some(times);
        self
    }

    /// The calls that it has to happen on, at least, or something is left over.
    pub(crate) fn wanted(&self) -> u64 {
        match self {
            When { probability: Some(_), .. } => 0,
            When { last: u64::MAX, .. } => 1,
            When { first, last, times, .. } => (last - first).saturating_add(1).min(times.unwrap_or(u64::MAX)),
        }
    }

    /// What happens then.
    pub fn then(self, effect: Effect) -> Fault {
        Fault { on: self, effect, line: None }
    }
}
