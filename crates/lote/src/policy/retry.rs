//! When a call is tried again, how often, and for how long. A create or an upload that may have reached the service is
//! not tried again, unless it is a create whose idempotency key the service honours.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tracing::{Instrument, debug, debug_span};

use crate::{Cadence, Error, Tolerance};

/// When a call is tried again, and how often.
///
/// Tried again is what may pass by itself: no connection, a lost one, a timeout, 408, 429 and 5xx; for calls that do the
/// same however often they are made. So is 409 for calls that look or delete, but not for a cancel: there it says that
/// the batch is over. A create is tried again like these where the dialect honours idempotency keys. Elsewhere it, and
/// the upload of a file on disk, are tried again only when no connection could be made, since nothing was sent then; the
/// upload of a reader never.
///
/// Pauses are drawn at random between the first and three times the last one ("decorrelated jitter"), and are never
/// shorter than a service asks for. A service that asks for more than two minutes is not asked again, which is what
/// openai-python does. All calls of a client share a budget of 20 tries beyond the first, to which every success gives
/// back a fifth of one: a service in trouble is not stormed by many calls at once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    retries: u32,
    first: Duration,
    longest: Duration,
}

impl Default for Retry {
    /// Three more tries, with pauses from half a second to eight seconds.
    fn default() -> Self {
        Self { retries: 3, first: Duration::from_millis(500), longest: Duration::from_secs(8) }
    }
}

/// The longest Retry-After that is waited for.
pub(crate) const LONGEST_ASKED: Duration = Duration::from_secs(120);

impl Retry {
    /// Every call is made once.
    pub fn none() -> Self {
        Self { retries: 0, ..Self::default() }
    }

    /// How often a call is tried again, beyond the first time.
    #[must_use]
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// The shortest and the longest pause. At most an hour.
    #[must_use]
    pub fn pauses(mut self, first: Duration, longest: Duration) -> Self {
        const MOST: Duration = Duration::from_secs(60 * 60);
        self.first = first.min(MOST);
        self.longest = longest.clamp(self.first, MOST);
        self
    }

    /// The same policy for a transfer that breaks off and is taken up again: which breaks are survived, and how long the
    /// pauses are.
    pub(crate) fn while_reading(&self) -> (Tolerance, Cadence) {
        let tolerance = Tolerance::default().in_a_row(self.retries).lasting(Duration::MAX);
        (tolerance, Cadence::new(self.first, self.longest))
    }

    /// How often a call is tried again, and the pause that stands before the first one.
    pub(crate) fn again(&self) -> (u32, Duration) {
        (self.retries, self.first)
    }

    /// The pause that comes after this one.
    pub(crate) fn after(&self, pause: Duration) -> Duration {
        let widest = pause.saturating_mul(3).min(self.longest);
        self.first + widest.saturating_sub(self.first).mul_f64(fastrand::f64())
    }

    /// Makes a call, and makes it again while `again` finds that its error allows it. An error after a try that may have
    /// done what was asked is ambiguous as well, even if the last try was refused, or could not reach the service.
    pub(crate) async fn run<T, F, Fut>(
        &self,
        budget: &Budget,
        again: impl Fn(&Error) -> bool,
        mut call: F,
    ) -> Result<T, Error>
    where
        F: FnMut(Try) -> Fut,
        Fut: Future<Output = Result<T, Error>>,
    {
        let (mut attempt, mut maybe_done, mut pause) = (1, false, self.first);
        loop {
            let error = match call(Try { maybe_done }).instrument(debug_span!("lote.call", attempt)).await {
                Ok(value) => {
                    budget.refund();
                    return Ok(value);
                }
                Err(error) => error,
            };
            maybe_done |= error.is_ambiguous();
            let asked = error.retry_after().unwrap_or_default();
            if attempt > self.retries || !again(&error) || asked > LONGEST_ASKED || !budget.spend() {
                return Err(if maybe_done { error.maybe_done() } else { error });
            }
            pause = self.after(pause);
            let pause_now = pause.max(asked);
            // Never the error's text, which repeats what the service said.
            debug!(attempt, status = error.status(), pause_ms = pause_now.as_secs_f64() * 1e3, "lote tries again");
            tokio::time::sleep(pause_now).await;
            attempt += 1;
        }
    }
}

/// What a try is told of those before it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Try {
    /// Whether one of them may have done what was asked, although it failed.
    pub(crate) maybe_done: bool,
}

/// The tries beyond the first that all calls of a client have together, in fifths.
#[derive(Debug)]
pub(crate) struct Budget(Mutex<u32>);

impl Budget {
    const FULL: u32 = 20 * Self::ONE;
    const ONE: u32 = 5;

    pub(crate) fn new() -> Self {
        Self(Mutex::new(Self::FULL))
    }

    fn spend(&self) -> bool {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match left.checked_sub(Self::ONE) {
            Some(rest) => {
                *left = rest;
                true
            }
            None => false,
        }
    }

    fn refund(&self) {
        let mut left = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *left = (*left + 1).min(Self::FULL);
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::ready};

    use tokio::time::Instant;

    use super::*;

    fn lost() -> Error {
        Error::timeout("lost")
    }

    #[tokio::test(start_paused = true)]
    async fn tries_again_so_often_and_with_pauses_in_range() {
        let (budget, calls, start) = (Budget::new(), Cell::new(0), Instant::now());
        let call = |_| {
            calls.set(calls.get() + 1);
            ready(Err::<(), _>(lost()))
        };
        let error = Retry::default().run(&budget, Error::is_transient, call).await.unwrap_err();
        assert!(error.is_timeout());
        assert_eq!(calls.get(), 4);
        let elapsed = start.elapsed();
        // Three pauses: at least half a second each, at most 1.5, 4.5 and 8 seconds.
        assert!((Duration::from_millis(1500)..=Duration::from_millis(14_000)).contains(&elapsed), "{elapsed:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_pass_is_not_tried_again() {
        let calls = Cell::new(0);
        let call = |_| {
            calls.set(calls.get() + 1);
            ready(Err::<(), _>(Error::invalid("no")))
        };
        assert!(Retry::default().run(&Budget::new(), Error::is_transient, call).await.is_err());
        assert_eq!(calls.get(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn many_calls_share_a_budget_that_successes_fill_again() {
        let (budget, calls) = (Budget::new(), Cell::new(0));
        let call = |_| {
            calls.set(calls.get() + 1);
            ready(Err::<(), _>(lost()))
        };
        for _ in 0..100 {
            assert!(Retry::default().run(&budget, Error::is_transient, call).await.is_err());
        }
        assert_eq!(calls.get(), 100 + 20);
        for _ in 0..5 {
            Retry::none().run(&budget, |_| true, |_| ready(Ok(()))).await.unwrap();
        }
        calls.set(0);
        assert!(Retry::default().run(&budget, Error::is_transient, call).await.is_err());
        assert_eq!(calls.get(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn what_an_earlier_try_may_have_done_is_not_forgotten() {
        let refused = || Error::invalid("no");
        let tries = Cell::new(0);
        let call = |this: Try| {
            let first = tries.replace(tries.get() + 1) == 0;
            assert_eq!(this.maybe_done, !first);
            ready(Err::<(), _>(if first { lost() } else { refused() }))
        };
        let error = Retry::default().run(&Budget::new(), |_| tries.get() == 1, call).await.unwrap_err();
        assert!(error.is_invalid() && error.is_ambiguous() && !refused().is_ambiguous());
    }

    #[tokio::test(start_paused = true)]
    async fn no_pause_overflows() {
        let retry = Retry::default().pauses(Duration::MAX, Duration::ZERO).retries(2);
        assert!(retry.run(&Budget::new(), |_| true, |_| ready(Err::<(), _>(lost()))).await.is_err());
    }
}
