//! The service's time, by the Date of its answers. Windows end by that, and this machine's clock may be wrong.

use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::UNIX_EPOCH,
};

use crate::{UnixSeconds, run::wall};

/// How far the service's clock is before that of this machine, in seconds, once an answer has told it.
#[derive(Debug)]
pub(crate) struct ServiceClock(AtomicI64);

impl ServiceClock {
    /// As long as nothing is known, this machine's own.
    pub(super) fn new() -> Self {
        Self(AtomicI64::new(0))
    }

    /// Takes note of the Date of an answer. What is none says nothing.
    pub(super) fn told(&self, date: &str) {
        let Ok(told) = httpdate::parse_http_date(date) else { return };
        let seconds = |at: std::time::SystemTime| at.duration_since(UNIX_EPOCH).ok()?.as_secs().try_into().ok();
        let (Some(told), Some(own)): (Option<i64>, Option<i64>) = (seconds(told), seconds(wall())) else { return };
        self.0.store(told.saturating_sub(own), Ordering::Relaxed);
    }

    /// Its time now.
    pub(crate) fn now(&self) -> UnixSeconds {
        let own = UnixSeconds::try_from(wall()).unwrap_or(UnixSeconds::MAX);
        UnixSeconds::new(own.get().saturating_add(self.0.load(Ordering::Relaxed))).unwrap_or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_services_time_is_that_of_its_last_answer() {
        let clock = ServiceClock::new();
        let own = || UnixSeconds::try_from(wall()).unwrap().get();
        let ahead = || clock.now().get() - own();
        assert!((-1..=1).contains(&ahead()));
        clock.told("Thu, 01 Jan 2026 00:00:00 GMT");
        assert!((clock.now().get() - 1_767_225_600).abs() <= 1);
        let known = ahead();
        for none in ["", "soon", "Thu, 01 Jan 1960 00:00:00 GMT"] {
            clock.told(none);
            assert!((ahead() - known).abs() <= 1, "{none}");
        }
    }
}
