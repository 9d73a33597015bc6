//! Owns time: every instant and every pause of the gateway goes through here. Never reads a time
//! that a client sent.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest single timer; a longer wait looks at the clock again in between, so that a machine that
/// slept does not oversleep its deadlines.
const LONGEST_TIMER: Duration = Duration::from_secs(60);

/// The clock of one gateway. Today it is the system's; a virtual one belongs here.
#[derive(Clone, Debug, Default)]
pub(crate) struct Clock;

impl Clock {
    /// Now, in whole seconds since 1970.
    pub(crate) fn now(&self) -> i64 {
        self.now_ms().div_euclid(1000)
    }

    /// Now, in milliseconds since 1970.
    pub(crate) fn now_ms(&self) -> i64 {
        SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
    }

    /// Pauses for `length`.
    pub(crate) async fn sleep(&self, length: Duration) {
        if !length.is_zero() {
            tokio::time::sleep(length).await;
        }
    }

    /// Pauses until `instant_ms`, milliseconds since 1970.
    pub(crate) async fn sleep_until(&self, instant_ms: i64) {
        while let Some(left) = u64::try_from(instant_ms.saturating_sub(self.now_ms())).ok().filter(|left| *left > 0) {
            self.sleep(Duration::from_millis(left).min(LONGEST_TIMER)).await;
        }
    }
}
