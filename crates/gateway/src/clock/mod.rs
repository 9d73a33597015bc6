//! The gateway's time: every instant and every pause goes through this clock, the system's or a virtual one.

mod activity;
mod world;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::clock::activity::Tracked;
use crate::clock::world::World;

/// Longest single timer; a longer wait looks at the clock again in between, so that a machine that
/// slept does not oversleep its deadlines.
const LONGEST_TIMER: Duration = Duration::from_secs(60);

/// The last second that an HTTP date can name, in seconds since 1970: 9999-12-31T23:59:59Z
/// (RFC 9110, section 5.6.7: a year has four digits).
pub(crate) const LAST_SECOND: i64 = 253_402_300_799;

/// An instant in seconds since 1970 as HTTP writes it; one that it cannot write becomes the nearest
/// that it can.
pub(crate) fn http_date(seconds: i64) -> String {
    let since = u64::try_from(seconds.clamp(0, LAST_SECOND)).unwrap_or(0);
    httpdate::fmt_http_date(UNIX_EPOCH + Duration::from_secs(since))
}

/// The clock of one gateway: the system's, or one that moves only when it is told to.
///
/// With a virtual clock all work of the batches is watched, so that time moves, and requests are
/// looked at, only when nothing is going on. That is what makes it repeatable.
#[derive(Clone, Debug, Default)]
pub(crate) enum Clock {
    #[default]
    System,
    Virtual(Arc<World>),
}

impl Clock {
    /// A virtual clock that shows `seconds` since 1970; it begins in 1970 at the earliest, and at
    /// [`LAST_SECOND`] at the latest.
    pub(crate) fn at(seconds: i64) -> Clock {
        Clock::Virtual(Arc::new(World::new(seconds.clamp(0, LAST_SECOND) * 1000)))
    }

    pub(crate) fn is_virtual(&self) -> bool {
        matches!(self, Clock::Virtual(_))
    }

    /// Now, in whole seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Now, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        match self {
            Clock::System => SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)),
            Clock::Virtual(world) => world.now_ms(),
        }
    }

    /// Pauses for `length`.
    pub(crate) async fn sleep(&self, length: Duration) {
        if length.is_zero() {
            return;
        }
        match self {
            Clock::System => tokio::time::sleep(length).await,
            Clock::Virtual(world) => world.sleep_until(world.now_ms().saturating_add(millis(length))).await,
        }
    }

    /// Pauses until `instant_ms`, milliseconds since 1970.
    pub(crate) async fn sleep_until(&self, instant_ms: i64) {
        if let Clock::Virtual(world) = self {
            return world.sleep_until(instant_ms).await;
        }
        while let Some(left) = u64::try_from(instant_ms.saturating_sub(self.now_ms())).ok().filter(|left| *left > 0) {
            self.sleep(Duration::from_millis(left).min(LONGEST_TIMER)).await;
        }
    }

    /// Whether moving it by `length` goes beyond [`LAST_SECOND`].
    pub(crate) fn is_beyond(&self, length: Duration) -> bool {
        self.now_ms().saturating_add(millis(length)) > LAST_SECOND * 1000
    }

    /// Moves a virtual clock, at most to [`LAST_SECOND`], and waits for everything that is due by
    /// then. Returns whether there was one to move.
    pub(crate) async fn advance(&self, length: Duration) -> bool {
        match self {
            Clock::System => false,
            Clock::Virtual(world) => {
                world.advance(millis(length)).await;
                true
            }
        }
    }

    /// Waits, with a virtual clock, until nothing can happen before time moves.
    pub(crate) async fn quiet(&self) {
        if let Clock::Virtual(world) = self {
            world.activity.quiet().await;
        }
    }

    /// The same task, watched by a virtual clock. All that it waits for has to be a pause of this
    /// clock, another watched task, a request, or [`working`](Clock::working).
    pub(crate) fn watch<F>(&self, task: F) -> BoxFuture<'static, ()>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        match self {
            Clock::System => task.boxed(),
            Clock::Virtual(world) => Tracked::new(&world.activity, task).boxed(),
        }
    }

    /// Does work that does not wait for the clock, such as reading a file: time stands meanwhile.
    pub(crate) async fn working<F: Future>(&self, work: F) -> F::Output {
        let _busy = match self {
            Clock::System => None,
            Clock::Virtual(world) => Some(world.activity.busy()),
        };
        work.await
    }
}

fn millis(length: Duration) -> i64 {
    i64::try_from(length.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn http_dates_end_with_the_year_9999() {
        for (seconds, date) in [
            (i64::MIN, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (-1, "Thu, 01 Jan 1970 00:00:00 GMT"),
            (1, "Thu, 01 Jan 1970 00:00:01 GMT"),
            (LAST_SECOND, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (LAST_SECOND + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
            (i64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
        ] {
            assert_eq!(http_date(seconds), date, "{seconds}");
        }
    }

    #[tokio::test]
    async fn a_virtual_clock_stays_within_http_dates() {
        assert_eq!(Clock::at(i64::MIN).now(), 0);
        assert_eq!(Clock::at(i64::MAX).now(), LAST_SECOND);
        let clock = Clock::at(LAST_SECOND - 10);
        assert!(!clock.is_beyond(Duration::from_secs(10)));
        assert!(clock.is_beyond(Duration::from_secs(11)));
        assert!(clock.is_beyond(Duration::MAX));
        assert!(clock.advance(Duration::MAX).await);
        assert_eq!(clock.now(), LAST_SECOND);
    }
}
