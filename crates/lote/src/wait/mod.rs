//! Waiting for batches: the settings of a wait, and its three endings.

mod all;
mod error;
mod watch;

use std::{fmt, future::Future, time::Duration};

use futures_util::{Stream, stream};
use tokio::time::Instant;

pub use all::WaitAll;
pub use error::WaitError;
use watch::{Step, Stop, Watch};

use crate::{Batch, BatchId, Cadence, Client, Error, Tolerance};

/// How a wait ended. Where the three endings are one success and two failures: [`ended`](Self::ended).
#[derive(Debug)]
#[must_use = "a wait that ended is not a batch that succeeded"]
pub enum Waited {
    /// The batch is over: completed, failed, expired or cancelled. It names its files, unless they were late for longer
    /// than is [tolerated](Tolerance::late_files): see [`Batch::late_files`].
    Ended(Box<Batch>),
    /// The deadline passed first, or the wait was told to stop. The batch goes on; this is what was last seen of it.
    GaveUp(Option<Box<Batch>>),
    /// The service could not be asked, or not for longer than is tolerated. The batch, if there is one, goes on.
    CouldNotAsk {
        /// Why the last attempt failed.
        error: Error,
        /// What was last seen of the batch.
        last: Option<Box<Batch>>,
    },
}

/// What a look at a batch brought. See [`Wait::into_stream`].
#[derive(Debug)]
pub enum Look {
    /// The batch as it stands; it may be over, and then [`Over`](Self::Over) follows, once it names its files.
    Seen(Box<Batch>),
    /// An error that is survived: the service is asked again.
    Trouble(Error),
    /// How the wait ended: the last one.
    Over(Waited),
}

type OnProgress<'a> = Box<dyn FnMut(&Batch) + Send + 'a>;
type OnTrouble<'a> = Box<dyn FnMut(&Error) + Send + 'a>;

/// A wait for the end of a batch. See [`Batches::wait`](crate::Batches::wait).
///
/// ```
/// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
/// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
/// # let line = "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n";
/// # let upload = client.files().upload_reader(line.as_bytes(), "a.jsonl", lote::UploadPurpose::Batch);
/// # let id = client.batches().create(&upload.send().await?.id, lote::Endpoint::ChatCompletions).send().await?.id;
/// use lote::Cadence;
/// use std::time::Duration;
///
/// let wait = client
///     .batches()
///     .wait(&id)
///     .cadence(Cadence::new(Duration::from_secs(1), Duration::from_secs(60)))
///     .deadline(Duration::from_secs(26 * 60 * 60))
///     .on_progress(|batch| println!("{}: {:?}", batch.status, batch.progress()));
/// // Over may be failed, expired or cancelled as well.
/// let batch = wait.until_over().await.ended()?.completed()?;
/// println!("{:?}", batch.request_counts);
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
/// #     example(&gateway).await.unwrap();
/// # });
/// ```
#[must_use = "nothing is waited for until it is asked to"]
pub struct Wait<'a> {
    client: Client,
    id: BatchId,
    settings: Settings<'a>,
    #[cfg(feature = "webhook")]
    woken_by: Option<crate::webhook::Bell>,
}

/// What a wait for one batch and a wait for many have in common.
struct Settings<'a> {
    cadence: Cadence,
    tolerance: Tolerance,
    deadline: Option<Duration>,
    stop: Option<Stop<'a>>,
    on_progress: Option<OnProgress<'a>>,
    on_trouble: Option<OnTrouble<'a>>,
}

impl Settings<'_> {
    fn new() -> Self {
        Self {
            cadence: Cadence::default(),
            tolerance: Tolerance::default(),
            deadline: None,
            stop: None,
            on_progress: None,
            on_trouble: None,
        }
    }

    /// When to give up. A deadline beyond the clock's reach is none.
    fn end(&self) -> Option<Instant> {
        self.deadline.and_then(|deadline| Instant::now().checked_add(deadline))
    }

    fn progress(&mut self, batch: &Batch) {
        if let Some(call) = &mut self.on_progress {
            call(batch);
        }
    }

    fn trouble(&mut self, error: &Error) {
        if let Some(call) = &mut self.on_trouble {
            call(error);
        }
    }
}

/// The setters that both kinds of wait have.
macro_rules! setters {
    ($wait:ident) => {
        impl<'a> $wait<'a> {
            /// How often to ask. The default is [`Cadence::default`].
            pub fn cadence(mut self, cadence: Cadence) -> Self {
                self.settings.cadence = cadence;
                self
            }

            /// Which errors to survive, how many and for how long. The default is [`Tolerance::default`].
            pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
                self.settings.tolerance = tolerance;
                self
            }

            /// How long to wait in all. Without one, until the end.
            pub fn deadline(mut self, deadline: Duration) -> Self {
                self.settings.deadline = Some(deadline);
                self
            }

            /// Stops waiting when this future is done, as when a deadline has passed: for a cancellation token, a signal
            /// or a channel. Dropping the wait's own future stops it too, but tells nothing of what was last seen.
            pub fn stop_when(mut self, stop: impl Future<Output = ()> + Send + 'a) -> Self {
                self.settings.stop = Some(Box::pin(stop));
                self
            }

            /// Called with a batch after every look that succeeded.
            pub fn on_progress(mut self, call: impl FnMut(&Batch) + Send + 'a) -> Self {
                self.settings.on_progress = Some(Box::new(call));
                self
            }

            /// Called with every error that is survived.
            pub fn on_trouble(mut self, call: impl FnMut(&Error) + Send + 'a) -> Self {
                self.settings.on_trouble = Some(Box::new(call));
                self
            }
        }
    };
}

setters!(Wait);
setters!(WaitAll);

impl fmt::Debug for Wait<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wait").field("id", &self.id).field("deadline", &self.settings.deadline).finish_non_exhaustive()
    }
}

impl<'a> Wait<'a> {
    pub(crate) fn new(client: Client, id: BatchId) -> Self {
        Self {
            client,
            id,
            settings: Settings::new(),
            #[cfg(feature = "webhook")]
            woken_by: None,
        }
    }

    /// Asks at once when this receiver of webhooks hears of the batch. Polling goes on: an event may be lost, and what
    /// the service answers is the truth.
    #[cfg(feature = "webhook")]
    pub fn woken_by(mut self, receiver: &crate::webhook::Receiver) -> Self {
        self.woken_by = Some(receiver.bell(&self.id));
        self
    }

    /// Waits until the batch is over, the deadline has passed, or the service cannot be asked. Dropping the future
    /// stops the waiting and nothing else.
    pub async fn until_over(self) -> Waited {
        let (mut watch, mut settings) = self.start();
        loop {
            match watch.step().await {
                Step::Seen => watch.last().into_iter().for_each(|batch| settings.progress(batch)),
                Step::Trouble(error) => settings.trouble(&error),
                Step::Over(waited) => return waited,
            }
        }
    }

    /// The looks as they are made, the first at once and the last one [`Look::Over`]. What is not taken is not asked.
    pub fn into_stream(self) -> impl Stream<Item = Look> + Send + 'a {
        stream::unfold(Some(self.start()), async |state| {
            let (mut watch, mut settings) = state?;
            Some(match watch.step().await {
                Step::Over(waited) => (Look::Over(waited), None),
                Step::Trouble(error) => {
                    settings.trouble(&error);
                    (Look::Trouble(error), Some((watch, settings)))
                }
                Step::Seen => {
                    // After Step::Seen there is always a last batch.
                    let batch = watch.last().cloned()?;
                    settings.progress(&batch);
                    (Look::Seen(Box::new(batch)), Some((watch, settings)))
                }
            })
        })
    }

    fn start(self) -> (Watch<'a>, Settings<'a>) {
        let Self { client, id, mut settings, .. } = self;
        let watch = Watch::new(client, id, &settings.cadence, settings.tolerance.clone())
            .ending(settings.end(), settings.stop.take());
        #[cfg(feature = "webhook")]
        let watch = watch.woken_by(self.woken_by);
        (watch, settings)
    }
}
