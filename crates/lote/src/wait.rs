//! Owns the waiting for a batch: how often to ask, which errors to survive, when to give up; never cancels anything.

use std::{fmt, time::Duration};

use tokio::time::{Instant, timeout_at};

use crate::{Batch, BatchId, Client, Error, pace::Pace};

/// How a wait ended.
#[derive(Debug)]
#[must_use = "a wait that ended is not a batch that succeeded"]
pub enum Waited {
    /// The batch is over: completed, failed, expired or cancelled.
    Ended(Box<Batch>),
    /// The deadline passed first. The batch goes on; this is what was last seen of it.
    GaveUp(Option<Box<Batch>>),
    /// The service could not be asked, or not for longer than the patience. The batch, if there is one, goes on.
    CouldNotAsk {
        /// Why the last attempt failed.
        error: Error,
        /// What was last seen of the batch.
        last: Option<Box<Batch>>,
    },
}

type OnProgress<'a> = Box<dyn FnMut(&Batch) + Send + 'a>;
type OnTrouble<'a> = Box<dyn FnMut(&Error) + Send + 'a>;

/// A wait for the end of a batch. See [`Batches::wait`](crate::Batches::wait).
#[must_use = "nothing is waited for until it is asked to"]
pub struct Wait<'a> {
    client: Client,
    id: BatchId,
    first: Duration,
    longest: Duration,
    deadline: Option<Duration>,
    patience: Duration,
    on_progress: Option<OnProgress<'a>>,
    on_trouble: Option<OnTrouble<'a>>,
}

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("id", &self.id).field("deadline", &self.deadline).finish_non_exhaustive()
    }
}

impl<'a> Wait<'a> {
    pub(crate) fn new(client: Client, id: BatchId) -> Self {
        Self {
            client,
            id,
            first: Duration::from_millis(200),
            longest: Duration::from_secs(30),
            deadline: None,
            patience: Duration::from_secs(15 * 60),
            on_progress: None,
            on_trouble: None,
        }
    }

    /// How long the first pause between two looks is, and how long the longest. Pauses grow by half from one to the
    /// other, each varied by up to a fifth. The defaults are 0.2 and 30 seconds.
    pub fn every(mut self, first: Duration, longest: Duration) -> Self {
        self.first = first;
        self.longest = longest;
        self
    }

    /// How long to wait in all. Without one, until the batch is over.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// For how long errors in a row are survived: no connection, timeouts, 408, 429, 5xx, and a 404 while the batch was
    /// never seen. The default is 15 minutes. Any other error ends the wait at once.
    pub fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Called with the batch after every look that succeeded.
    pub fn on_progress(mut self, call: impl FnMut(&Batch) + Send + 'a) -> Self {
        self.on_progress = Some(Box::new(call));
        self
    }

    /// Called with every error that is survived.
    pub fn on_trouble(mut self, call: impl FnMut(&Error) + Send + 'a) -> Self {
        self.on_trouble = Some(Box::new(call));
        self
    }

    /// Waits until the batch is over, the deadline has passed, or the service cannot be asked. Dropping the future
    /// stops the waiting and nothing else.
    pub async fn until_over(mut self) -> Waited {
        // A deadline beyond the clock's reach is none.
        let end = self.deadline.and_then(|deadline| Instant::now().checked_add(deadline));
        let mut last = None;
        let watch = self.watch(&mut last);
        let ended = match end {
            None => Some(watch.await),
            Some(end) => timeout_at(end, watch).await.ok(),
        };
        match ended {
            None => Waited::GaveUp(last),
            Some(Ok(batch)) => Waited::Ended(batch),
            Some(Err(error)) => Waited::CouldNotAsk { error, last },
        }
    }

    async fn watch(&mut self, last: &mut Option<Box<Batch>>) -> Result<Box<Batch>, Error> {
        let mut pace = Pace::new(self.first, self.longest);
        let mut trouble_since: Option<Instant> = None;
        loop {
            let mut asked = None;
            match self.client.batches().look(&self.id).await {
                Ok(batch) => {
                    trouble_since = None;
                    if let Some(call) = &mut self.on_progress {
                        call(&batch);
                    }
                    if batch.is_terminal() {
                        return Ok(Box::new(batch));
                    }
                    *last = Some(Box::new(batch));
                }
                Err(error) => {
                    // A service may need a moment before it knows a batch that it has just created.
                    let survivable = error.is_transient() || (error.is_not_found() && last.is_none());
                    let patience = if error.is_not_found() { self.patience.min(JUST_MADE) } else { self.patience };
                    let since = *trouble_since.get_or_insert_with(Instant::now);
                    if !survivable || since.elapsed() >= patience {
                        return Err(error);
                    }
                    if let Some(call) = &mut self.on_trouble {
                        call(&error);
                    }
                    asked = error.retry_after();
                }
            }
            pace.pause(asked).await;
        }
    }
}

/// How long a batch or file may be unknown after its creation.
pub(crate) const JUST_MADE: Duration = Duration::from_secs(30);
