//! The virtual time, and who waits for which instant. Sleepers wake one by one: what each one does has come to rest
//! before the next is woken.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use crate::clock::LAST_SECOND;
use crate::clock::activity::Activity;

/// One virtual time.
#[derive(Debug)]
pub(crate) struct World {
    pub(super) activity: Activity,
    times: Mutex<Times>,
    /// Held by whoever moves the time.
    moving: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Times {
    now_ms: i64,
    slept: u64,
    /// By the instant they wait for, then by who came first.
    sleepers: BTreeMap<(i64, u64), Waker>,
}

impl World {
    pub(super) fn new(now_ms: i64) -> World {
        World {
            activity: Activity::default(),
            times: Mutex::new(Times { now_ms, slept: 0, sleepers: BTreeMap::new() }),
            moving: tokio::sync::Mutex::default(),
        }
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.times().now_ms
    }

    pub(super) fn sleep_until(&self, at_ms: i64) -> Nap<'_> {
        Nap { world: self, at_ms, place: None }
    }

    /// Moves the time on, stopping at every instant that somebody waits for.
    pub(super) async fn advance(&self, ms: i64) {
        let _moving = self.moving.lock().await;
        self.activity.quiet().await;
        let target = self.now_ms().saturating_add(ms).min(LAST_SECOND * 1000);
        while let Some(waker) = self.step(target) {
            waker.wake();
            self.activity.quiet().await;
        }
    }

    /// The first sleeper that is due by `target`; without one, it is `target` now.
    fn step(&self, target: i64) -> Option<Waker> {
        let mut times = self.times();
        match times.sleepers.first_entry() {
            Some(first) if first.key().0 <= target => {
                let ((at_ms, _), waker) = first.remove_entry();
                times.now_ms = times.now_ms.max(at_ms);
                Some(waker)
            }
            _ => {
                times.now_ms = target;
                None
            }
        }
    }

    fn times(&self) -> MutexGuard<'_, Times> {
        self.times.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A pause until an instant of virtual time.
#[derive(Debug)]
pub(super) struct Nap<'a> {
    world: &'a World,
    at_ms: i64,
    place: Option<u64>,
}

impl Future for Nap<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let at_ms = self.at_ms;
        let mut times = self.world.times();
        if times.now_ms >= at_ms {
            return Poll::Ready(());
        }
        let place = self.place.unwrap_or(times.slept);
        if self.place.is_none() {
            times.slept += 1;
        }
        times.sleepers.insert((at_ms, place), cx.waker().clone());
        drop(times);
        self.place = Some(place);
        Poll::Pending
    }
}

impl Drop for Nap<'_> {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.world.times().sleepers.remove(&(self.at_ms, place));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::Clock;

    #[tokio::test]
    async fn sleepers_wake_in_order_and_see_their_own_instant() {
        let clock = Clock::at(1_000);
        let seen = Arc::new(Mutex::new(Vec::new()));
        for (name, ms) in [("c", 3_000), ("a", 1_000), ("late", 9_001), ("b", 1_000)] {
            let (inner, seen) = (clock.clone(), Arc::clone(&seen));
            tokio::spawn(clock.watch(async move {
                inner.sleep(std::time::Duration::from_millis(ms)).await;
                let now = inner.now_ms();
                // A second pause begins at the instant the first one ended.
                inner.sleep(std::time::Duration::from_millis(ms)).await;
                seen.lock().unwrap().push((name, now, inner.now_ms()));
            }));
        }
        assert!(clock.advance(std::time::Duration::from_secs(9)).await);
        let expected = vec![("a", 1_001_000, 1_002_000), ("b", 1_001_000, 1_002_000), ("c", 1_003_000, 1_006_000)];
        assert_eq!(*seen.lock().unwrap(), expected);
        assert_eq!(clock.now_ms(), 1_009_000);
        clock.advance(std::time::Duration::from_secs(10)).await;
        assert_eq!(seen.lock().unwrap().last(), Some(&("late", 1_009_001, 1_018_002)));
    }
}
