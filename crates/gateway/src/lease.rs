//! Who this process is for the state, and until when what it holds is certainly its own.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::Notify;

use crate::state::Worker;

/// A worker and its lease. It is counted from before it was asked for, on both clocks: one may stand while the machine
/// sleeps.
#[derive(Debug)]
pub(crate) struct Lease {
    me: Mutex<Worker>,
    /// None where nobody else would take the work.
    length: Option<Duration>,
    until: Mutex<(Instant, SystemTime)>,
    renewed: Notify,
}

impl Lease {
    pub(crate) fn new(me: Worker, length: Option<Duration>, asked: (Instant, SystemTime)) -> Lease {
        let lease = Lease { me: Mutex::new(me), length, until: Mutex::new(asked), renewed: Notify::new() };
        lease.renew(asked);
        lease
    }

    pub(crate) fn me(&self) -> Worker {
        self.me.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The process is another worker from now on.
    pub(crate) fn change(&self, me: Worker) {
        *self.me.lock().unwrap_or_else(PoisonError::into_inner) = me;
    }

    pub(crate) fn renew(&self, (instant, time): (Instant, SystemTime)) {
        if let Some(length) = self.length {
            *self.until() = (instant + length, time + length);
            self.renewed.notify_waiters();
        }
    }

    fn until(&self) -> MutexGuard<'_, (Instant, SystemTime)> {
        self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_held(&self) -> bool {
        let (instant, time) = *self.until();
        self.length.is_none() || (Instant::now() < instant && SystemTime::now() < time)
    }

    /// Waits until what this worker holds is certainly its own.
    pub(crate) async fn held(&self) {
        while !self.is_held() {
            let mut renewed = std::pin::pin!(self.renewed.notified());
            renewed.as_mut().enable();
            if !self.is_held() {
                renewed.await;
            }
        }
    }
}

/// The two clocks now.
pub(crate) fn both_clocks() -> (Instant, SystemTime) {
    (Instant::now(), SystemTime::now())
}
