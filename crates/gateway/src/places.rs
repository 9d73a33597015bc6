//! The places that connections take: so many at once. When all are taken, a new connection gets the place of the one that
//! has been idle for longest, so that clients which only hold connections open keep nobody else out.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::http::Talk;

/// How long a connection must have been idle before its place can be taken: a client whose connection was accepted a
/// moment ago is about to ask.
const IDLE: Duration = Duration::from_millis(100);

/// How often idle connections are looked for while all are busy and somebody waits.
const LOOK: Duration = Duration::from_millis(100);

/// All places.
#[derive(Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    taken: Mutex<Taken>,
}

#[derive(Debug, Default)]
struct Taken {
    last: u64,
    holders: BTreeMap<u64, Holder>,
}

/// A connection that has a place and has not been asked to leave.
#[derive(Debug)]
struct Holder {
    talk: Talk,
    leave: CancellationToken,
}

/// The place of one connection, until it is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    number: u64,
    leave: CancellationToken,
    _permit: OwnedSemaphorePermit,
}

impl Places {
    pub(crate) fn new(places: usize) -> Arc<Places> {
        let free = Arc::new(Semaphore::new(places.min(Semaphore::MAX_PERMITS)));
        Arc::new(Places { free, taken: Mutex::default() })
    }

    /// Waits for a place, asking an idle connection to leave if there is none; nothing once the gateway is gone.
    pub(crate) async fn take(self: &Arc<Self>, talk: &Talk) -> Option<Place> {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            let pause = self.shed();
            tokio::select! {
                biased;
                permit = Arc::clone(&self.free).acquire_owned() => break permit.ok()?,
                () = tokio::time::sleep(pause) => {}
            }
        };
        // The wait for the place was not its own idleness.
        talk.touch();
        let leave = CancellationToken::new();
        let mut taken = self.taken();
        taken.last += 1;
        let number = taken.last;
        taken.holders.insert(number, Holder { talk: talk.clone(), leave: leave.clone() });
        Some(Place { places: Arc::clone(self), number, leave, _permit: permit })
    }

    /// Asks the connection that has been idle for longest to leave, if it has been for long enough; returns when to look
    /// again, should that not have helped.
    pub(crate) fn shed(&self) -> Duration {
        let mut taken = self.taken();
        let idle = taken.holders.iter().filter_map(|(number, holder)| Some((holder.talk.idle_since()?, *number)));
        let Some((since, number)) = idle.min() else { return LOOK };
        let early = IDLE.saturating_sub(since.elapsed());
        if early.is_zero()
            && let Some(holder) = taken.holders.remove(&number)
        {
            holder.leave.cancel();
        }
        if early.is_zero() { LOOK } else { early }
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Resolves when the place is wanted for somebody else.
    pub(crate) async fn wanted(&self) {
        self.leave.cancelled().await;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken().holders.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_place_of_the_longest_idle_goes_to_the_next() {
        let places = Places::new(2);
        let (busy, idle) = (Talk::default(), Talk::default());
        let first = places.take(&busy).await.unwrap();
        let answering = busy.begin();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let second = places.take(&idle).await.unwrap();

        let waits = Talk::default();
        let begun = tokio::time::Instant::now();
        let mut third = std::pin::pin!(places.take(&waits));
        tokio::select! {
            _ = &mut third => panic!("there is no place"),
            () = first.wanted() => panic!("it is busy"),
            () = second.wanted() => {}
        }
        assert_eq!(begun.elapsed(), IDLE, "not at once, and not much later");
        drop(second);
        let third = third.await.unwrap();
        drop((first, answering, third));
        assert!(places.taken().holders.is_empty());
        assert_eq!(places.free.available_permits(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_who_is_busy_leaves() {
        let places = Places::new(1);
        let busy = Talk::default();
        let first = places.take(&busy).await.unwrap();
        let _answering = busy.begin();
        let waits = Talk::default();
        let hour = Duration::from_secs(3_600);
        assert!(tokio::time::timeout(hour, places.take(&waits)).await.is_err());
        assert!(!first.leave.is_cancelled());
    }
}
