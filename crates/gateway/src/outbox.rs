//! When there are events to be sent.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

/// When there is something to do.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    wake: Notify,
    /// Instants at which an event is due again, in milliseconds since 1970.
    again: Mutex<BTreeSet<i64>>,
}

impl Outbox {
    /// There may be a new event.
    pub(crate) fn wake(&self) {
        self.wake.notify_one();
    }

    /// Waits until there may be.
    pub(crate) async fn awake(&self) {
        self.wake.notified().await;
    }

    /// An event is due again then.
    pub(crate) fn at(&self, instant_ms: i64) {
        self.again.lock().unwrap_or_else(PoisonError::into_inner).insert(instant_ms);
        self.wake();
    }

    /// The next instant after now at which an event is due again.
    pub(crate) fn next(&self, now_ms: i64) -> Option<i64> {
        let mut again = self.again.lock().unwrap_or_else(PoisonError::into_inner);
        *again = again.split_off(&(now_ms + 1));
        again.first().copied()
    }
}
