//! The instant by which work has to be done, over all its steps.

use std::{future::Future, time::Duration};

use tokio::time::{Instant, timeout_at};

use crate::Error;

/// An instant after which nothing more is done; by default none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Deadline(Option<(Instant, Duration)>);

impl Deadline {
    /// So far from now. One beyond the clock's reach is none.
    pub(crate) fn after(time: Option<Duration>) -> Self {
        Self(time.and_then(|time| Some((Instant::now().checked_add(time)?, time))))
    }

    /// How long there is left, if there is an end.
    pub(crate) fn left(self) -> Option<Duration> {
        self.0.map(|(end, _)| end.saturating_duration_since(Instant::now()))
    }

    /// An error when it has passed.
    pub(crate) fn check(self) -> Result<(), Error> {
        match self.left() {
            Some(Duration::ZERO) => Err(self.error()),
            _ => Ok(()),
        }
    }

    /// The work, dropped when the deadline passes first; an error then.
    pub(crate) async fn within<T>(self, work: impl Future<Output = T>) -> Result<T, Error> {
        self.check()?;
        match self.0 {
            None => Ok(work.await),
            Some((end, _)) => timeout_at(end, work).await.map_err(|_| self.error()),
        }
    }

    /// As [`within`](Self::within), of work that has errors of its own.
    pub(crate) async fn bound<T>(self, work: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
        self.within(work).await?
    }

    fn error(self) -> Error {
        Error::deadline(format!("the deadline of {:?} has passed", self.0.map_or(Duration::ZERO, |(_, time)| time)))
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
