//! The blocking waits for batches.

use std::{collections::HashSet, fmt, future::Future, pin::Pin, time::Duration};

use futures_util::{Stream, StreamExt};

use super::{
    Each,
    driver::{Driver, refusal},
    mirror::mirror,
};
use crate as lote;
use crate::{Batch, BatchId, Cadence, Error, Look, Tolerance, Waited};

mirror! {
    /// A wait for the end of a batch. See [`Batches::wait`](super::Batches::wait).
    ///
    /// As an iterator, `for look in client.batches().wait(&id)`, it gives the looks as they are made, the first at once
    /// and the last one [`Look::Over`]; what is not taken is not asked.
    #[must_use = "nothing is waited for until it is asked to"]
    Wait<'a> of lote {
        fn cadence(cadence: Cadence);
        fn tolerance(tolerance: Tolerance);
        fn deadline(deadline: Duration);
        /// For a signal, `async { tokio::signal::ctrl_c().await.ok(); }`; for another thread, a channel of tokio's.
        ///
        fn stop_when(stop: impl Future<Output = ()> + Send + 'a);
        fn on_progress(call: impl FnMut(&Batch) + Send + 'a);
        fn on_trouble(call: impl FnMut(&Error) + Send + 'a);
        #[cfg(feature = "webhook")]
        fn woken_by(receiver: &crate::webhook::Receiver);
    }
}

impl<'a> Wait<'a> {
    pub(super) fn new(driver: Driver, inner: crate::Wait<'a>) -> Self {
        Self { driver, inner }
    }

    /// Waits until the batch is over, the deadline has passed, or the service cannot be asked. In async code it ends at
    /// once with [`Waited::CouldNotAsk`].
    pub fn until_over(self) -> Waited {
        self.driver.run(self.inner.until_over()).unwrap_or_else(could_not_ask)
    }
}

impl<'a> IntoIterator for Wait<'a> {
    type Item = Look;
    type IntoIter = Each<'a, Look>;

    fn into_iter(self) -> Self::IntoIter {
        Each::new(self.driver, self.inner.into_stream(), |error| Look::Over(could_not_ask(error)))
    }
}

mirror! {
    /// A wait for the end of many batches. See [`Batches::wait_all`](super::Batches::wait_all), and
    /// [`lote::WaitAll`](crate::WaitAll) for what it costs.
    ///
    /// As an iterator, `for (id, waited) in client.batches().wait_all(ids)`, it gives how the wait for each ended, as it
    /// ends; what is not taken is not waited for.
    #[must_use = "nothing is waited for until it is asked to"]
    WaitAll<'a> (ids: Vec<BatchId>) of lote {
        fn cadence(cadence: Cadence);
        fn tolerance(tolerance: Tolerance);
        fn deadline(deadline: Duration);
        /// For a signal, `async { tokio::signal::ctrl_c().await.ok(); }`; for another thread, a channel of tokio's.
        ///
        fn stop_when(stop: impl Future<Output = ()> + Send + 'a);
        fn on_progress(call: impl FnMut(&Batch) + Send + 'a);
        fn on_trouble(call: impl FnMut(&Error) + Send + 'a);
    }
}

impl<'a> WaitAll<'a> {
    pub(super) fn new(driver: Driver, batches: &crate::Batches, ids: impl IntoIterator<Item = BatchId>) -> Self {
        let mut known = HashSet::new();
        let ids: Vec<BatchId> = ids.into_iter().filter(|id| known.insert(id.clone())).collect();
        Self { driver, inner: batches.wait_all(ids.iter().cloned()), ids }
    }

    /// Waits until each of them is over, or could not be asked for, or it is time to give up. How each wait ended, in
    /// the order in which they were given; one that is given twice comes once. In async code each ends at once with
    /// [`Waited::CouldNotAsk`].
    pub fn until_over(self) -> Vec<(BatchId, Waited)> {
        let Self { driver, inner, ids } = self;
        driver
            .run(inner.until_over())
            .unwrap_or_else(|_| ids.into_iter().map(|id| (id, could_not_ask(refusal()))).collect())
    }
}

impl<'a> IntoIterator for WaitAll<'a> {
    type Item = (BatchId, Waited);
    type IntoIter = EachWaited<'a>;

    fn into_iter(self) -> Self::IntoIter {
        EachWaited { driver: self.driver, stream: Box::pin(self.inner.into_stream().fuse()), open: self.ids }
    }
}

/// How the waits for many batches ended, as they end. See [`WaitAll`].
#[must_use = "nothing is waited for until the first is taken"]
pub struct EachWaited<'a> {
    driver: Driver,
    stream: Pin<Box<dyn Stream<Item = (BatchId, Waited)> + Send + 'a>>,
    /// Those that were not given out yet.
    open: Vec<BatchId>,
}

impl fmt::Debug for EachWaited<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EachWaited").field("open", &self.open).finish_non_exhaustive()
    }
}

impl Iterator for EachWaited<'_> {
    type Item = (BatchId, Waited);

    fn next(&mut self) -> Option<Self::Item> {
        let next = match self.driver.run(self.stream.next()) {
            Ok(next) => next?,
            Err(error) => (self.open.first()?.clone(), could_not_ask(error)),
        };
        self.open.retain(|id| *id != next.0);
        Some(next)
    }
}

fn could_not_ask(error: Error) -> Waited {
    Waited::CouldNotAsk { error, last: None }
}
