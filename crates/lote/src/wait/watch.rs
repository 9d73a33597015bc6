//! The steps of a wait for one batch: pause, look, judge.

use std::{
    future::{Future, pending},
    pin::Pin,
};

use tokio::time::{Duration, Instant, sleep, sleep_until};

use super::Waited;
use crate::{
    Batch, BatchId, Cadence, Client, Error, Tolerance,
    policy::{Pauses, Rate, Trouble},
};

/// What tells a wait to stop.
pub(super) type Stop<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// What a step brought.
pub(super) enum Step {
    /// The batch, which is now the last one seen.
    Seen,
    /// An error that is survived.
    Trouble(Error),
    /// The end.
    Over(Waited),
}

/// A wait for one batch, on its way.
pub(super) struct Watch<'a> {
    client: Client,
    id: BatchId,
    pauses: Pauses,
    rate: Rate,
    tolerance: Tolerance,
    trouble: Trouble,
    last: Option<Box<Batch>>,
    /// Since when the batch is over.
    over: Option<Instant>,
    /// How long to pause before the next look.
    pause: Duration,
    end: Option<Instant>,
    stop: Option<Stop<'a>>,
    #[cfg(feature = "webhook")]
    bell: Option<crate::webhook::Bell>,
}

impl<'a> Watch<'a> {
    pub(super) fn new(client: Client, id: BatchId, cadence: &Cadence, tolerance: Tolerance) -> Self {
        Self {
            client,
            id,
            pauses: cadence.pauses(),
            rate: Rate::default(),
            tolerance,
            trouble: Trouble::default(),
            last: None,
            over: None,
            pause: Duration::ZERO,
            end: None,
            stop: None,
            #[cfg(feature = "webhook")]
            bell: None,
        }
    }

    pub(super) fn ending(mut self, end: Option<Instant>, stop: Option<Stop<'a>>) -> Self {
        (self.end, self.stop) = (end, stop);
        self
    }

    #[cfg(feature = "webhook")]
    pub(super) fn woken_by(mut self, bell: Option<crate::webhook::Bell>) -> Self {
        self.bell = bell;
        self
    }

    /// The batch as it was last seen.
    pub(super) fn last(&self) -> Option<&Batch> {
        self.last.as_deref()
    }

    /// Pauses, looks and judges, unless it is time to stop. A step that is dropped forgets what tells it to stop: drop the
    /// whole wait.
    pub(super) async fn step(&mut self) -> Step {
        if self.is_settled() {
            return Step::Over(self.ended(Waited::GaveUp));
        }
        let mut stop = self.stop.take();
        let end = self.end;
        let step = tokio::select! {
            biased;
            () = stopped(&mut stop, end) => None,
            step = self.look() => Some(step),
        };
        self.stop = stop;
        step.unwrap_or_else(|| Step::Over(self.ended(Waited::GaveUp)))
    }

    /// Whether the batch is over and names its files, or was asked for them long enough.
    fn is_settled(&mut self) -> bool {
        let Some(batch) = self.last.as_ref().filter(|batch| batch.is_terminal()) else { return false };
        let since = *self.over.get_or_insert_with(Instant::now);
        if batch.late_files().is_none() {
            return true;
        }
        let left = self.tolerance.late().saturating_sub(since.elapsed());
        self.pause = self.pause.min(left);
        left.is_zero()
    }

    /// How the wait ended: a batch that is over has ended, whatever became of the looks after it.
    fn ended(&mut self, otherwise: impl FnOnce(Option<Box<Batch>>) -> Waited) -> Waited {
        match self.last.take() {
            Some(batch) if batch.is_terminal() => Waited::Ended(batch),
            last => otherwise(last),
        }
    }

    async fn look(&mut self) -> Step {
        self.rest().await;
        match self.client.batches().look(&self.id).await {
            Ok(batch) => {
                self.trouble.over();
                let (new_phase, left) = self.rate.observe(&batch, Instant::now());
                if new_phase {
                    self.pauses.restart();
                }
                self.pause = self.pauses.next(None, left);
                self.last = Some(Box::new(batch));
                Step::Seen
            }
            Err(error) => match self.trouble.take(&self.tolerance, error) {
                Ok(error) => {
                    self.pause = self.pauses.next(error.retry_after(), None);
                    Step::Trouble(error)
                }
                Err(error) => Step::Over(self.ended(|last| Waited::CouldNotAsk { error, last })),
            },
        }
    }

    /// The pause, which a bell may cut short.
    async fn rest(&mut self) {
        // Reset only when it is over: a step that is dropped pauses again.
        let pause = sleep(self.pause);
        #[cfg(feature = "webhook")]
        if let Some(bell) = &mut self.bell {
            tokio::select! {
                () = pause => {}
                () = bell.rung() => {}
            }
            self.pause = Duration::ZERO;
            return;
        }
        pause.await;
        self.pause = Duration::ZERO;
    }
}

/// Done when the wait is to stop.
pub(super) async fn stopped(stop: &mut Option<Stop<'_>>, end: Option<Instant>) {
    let stop = async {
        match stop {
            Some(stop) => stop.await,
            None => pending().await,
        }
    };
    let end = async {
        match end {
            Some(end) => sleep_until(end).await,
            None => pending().await,
        }
    };
    tokio::select! {
        () = stop => {}
        () = end => {}
    }
}
