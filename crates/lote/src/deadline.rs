//! The instant by which work has to be done, over all its steps.

use std::{
    future::Future,
    pin::pin,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, timeout};

use crate::{Error, run::wall};

/// How often the wall clock is looked at: the other one stands still while a machine sleeps.
const LOOK: Duration = Duration::from_secs(2);

/// An instant after which nothing more is done; by default none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline(Option<End>);

/// The end of the work by both clocks: the first that gets there counts.
#[derive(Clone, Copy, Debug)]
struct End {
    at: Instant,
    /// None beyond that clock's reach.
    wall: Option<SystemTime>,
    time: Duration,
}

impl Deadline {
    /// So far from now. One beyond the clock's reach is none.
    pub(crate) fn after(time: Option<Duration>) -> Self {
        Self(time.and_then(|time| {
            let at = Instant::now().checked_add(time)?;
            Some(End { at, wall: wall().checked_add(time), time })
        }))
    }

    /// So far from when the work was begun, if that is not now.
    pub(crate) fn since(time: Option<Duration>, begun: Option<std::time::Instant>) -> Self {
        let Some(passed) = begun.map(|begun| begun.elapsed()) else { return Self::after(time) };
        let Self(end) = Self::after(time.map(|time| time.saturating_sub(passed)));
        // What is said of it is what was asked for.
        Self(end.zip(time).map(|(end, time)| End { time, ..end }))
    }

    /// How long there is left, if there is an end.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|End { at, wall: end, .. }| {
            let left = at.saturating_duration_since(Instant::now());
            // A clock that was set back gives no more time.
            end.map_or(left, |end| left.min(end.duration_since(wall()).unwrap_or_default()))
        })
    }

    /// Whether it has passed.
    pub(crate) fn is_over(self) -> bool {
        self.left() == Some(Duration::ZERO)
    }

    /// An error when it has passed.
    pub(crate) fn check(self) -> Result<(), Error> {
        if self.is_over() { Err(self.error()) } else { Ok(()) }
    }

    /// The work, dropped when the deadline passes first; an error then.
    pub(crate) async fn within<T>(self, work: impl Future<Output = T>) -> Result<T, Error> {
        let mut work = pin!(work);
        loop {
            self.check()?;
            let Some(left) = self.left() else { return Ok(work.await) };
            if let Ok(done) = timeout(left.min(LOOK), &mut work).await {
                return Ok(done);
            }
        }
    }

    /// As [`within`](Self::within), of work that has errors of its own.
    pub(crate) async fn bound<T>(self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.within(work).await?
    }

    fn error(self) -> Error {
        let asked = self.0.map(|End { time, .. }| Duration::from_millis(time.as_millis() as u64));
        Error::deadline(match asked.filter(|time| *time >= Duration::from_secs(1)) {
            Some(time) => format!("the deadline of {time:?} has passed"),
            None => "the deadline has passed".to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn all_steps_have_one_end() {
        let deadline = Deadline::after(Some(Duration::from_secs(10)));
        let step = |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            Ok::<_, Error>(())
        };
        deadline.bound(step(6)).await.unwrap();
        let error = deadline.bound(step(6)).await.unwrap_err();
        assert!(error.is_deadline() && error.is_timeout() && !error.is_transient(), "{error}");
        assert_eq!(error.to_string(), "the deadline of 10s has passed");
        // What would be done at once is not begun.
        assert!(deadline.bound(async { Ok::<(), Error>(()) }).await.is_err());
        for none in [None, Some(Duration::MAX)] {
            assert!(Deadline::after(none).left().is_none());
        }
    }
}
