//! A run as a stream of what happens to it.

use std::{
    collections::VecDeque,
    future::poll_fn,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{Stream, stream};
use tokio::{sync::Notify, task::JoinHandle};
use tracing::Instrument;

use super::{Progress, RemoteFile, Report, Run, RunError};
use crate::{
    Batch, BatchId,
    lines::{Checked, Joined},
};

/// How many events may wait to be taken before the run waits for its reader.
const MOST: usize = 64;

/// What happened to a run: the steps of [`Progress`], owned, and how it ended. See [`Run::into_stream`].
#[derive(Debug)]
#[non_exhaustive]
pub enum RunEvent {
    /// The request lines are fit to be sent.
    Checked(Box<Checked>),
    /// The folder holds this run already, and it is gone on with.
    GoesOn {
        /// The folder.
        folder: PathBuf,
        /// The batches that it has.
        batches: Vec<BatchId>,
    },
    /// So many bytes of a shard's lines were taken. Of several that were not taken in time the last one comes.
    Uploading {
        /// Bytes taken so far.
        sent: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A batch exists and is written down.
    Created(Box<Batch>),
    /// A batch that an earlier create has made, whose answer was lost or which the folder did not know of, was found and is
    /// written down.
    Found(Box<Batch>),
    /// The folder held a run of something else, of which nothing is to be paid: this one takes its place.
    Replaces {
        /// The folder.
        folder: PathBuf,
        /// How they differ.
        what: String,
    },
    /// A shard was refused as too big: its lines go into two others.
    Halved {
        /// The shard.
        shard: u32,
        /// The shards that have its lines now.
        halves: [u32; 2],
        /// What the service said.
        why: String,
    },
    /// Creates whose answers were lost are looked for.
    Resolving {
        /// Their shards.
        shards: Vec<u32>,
        /// How long it takes to be certain that there is no batch.
        at_least: Duration,
    },
    /// The service's list of batches is read, and goes on after many pages.
    Listing {
        /// The pages that were read so far.
        pages: u64,
    },
    /// Results were written although some lines have no outcome yet, before lost creates are looked for.
    Partial {
        /// Where they are.
        results: PathBuf,
        /// How many lines have no outcome yet.
        undecided: u64,
    },
    /// A second batch was made of the same lines; it is cancelled, and what it did may be charged.
    Surplus {
        /// The shard.
        shard: u32,
        /// That batch.
        batch: Box<Batch>,
    },
    /// No shard may be submitted now, and why.
    Waits {
        /// Why.
        why: String,
    },
    /// What the service was seen to take cannot be read from the file that it is kept in, or not be written to it.
    LimitsUnread {
        /// The file.
        file: PathBuf,
        /// Why.
        why: String,
    },
    /// A look at a batch, with its [counts](Batch::request_counts). Of several looks at one batch that were not taken in
    /// time the last one comes.
    Waiting(Box<Batch>),
    /// The lines of a shard are sent one by one, and so many of them have come to an end. Of several that were not taken in
    /// time the last one comes.
    Answering {
        /// The shard.
        shard: u32,
        /// How many lines it has.
        lines: u64,
        /// Lines whose answers are here and good.
        succeeded: u64,
        /// Lines that came to another end.
        failed: u64,
    },
    /// An error that is survived, in words: the same is tried again.
    Trouble(String),
    /// An error that is survived without trying the same again, in words: what is done about it is told next, or at the end.
    Survived(String),
    /// No connection to the service can be made, which was reached before: the run goes on when there is one again.
    Unreached {
        /// For how long.
        since: Duration,
        /// What came of the last try.
        why: String,
    },
    /// An output or error file is being fetched.
    Downloading {
        /// Which one, by its name in the folder.
        name: &'static str,
    },
    /// The answers are put in the order of the requests.
    Joining,
    /// Each line of a shard has its result: [`outcomes`](fn@super::outcomes) reads them while the rest runs.
    Settled {
        /// The shard.
        shard: u32,
        /// What came of its lines.
        joined: Box<Joined>,
    },
    /// A shard waits for a word of a person; the others go on.
    Held {
        /// The shard.
        shard: u32,
        /// Why.
        why: String,
    },
    /// A file that the run has put at the service was deleted there, or kept.
    Cleaned(RemoteFile),
    /// Another attempt is not begun, since the run might cost or use more than it [may](Run::max_cost) with it.
    Capped {
        /// Why.
        why: String,
    },
    /// How the run ended: the last one.
    Over(Result<Box<Report>, RunError>),
}

impl RunEvent {
    fn of(progress: &Progress<'_>) -> Self {
        match *progress {
            Progress::Checked(checked) => Self::Checked(Box::new(checked.clone())),
            Progress::GoesOn { folder, batches } => {
                Self::GoesOn { folder: folder.to_owned(), batches: batches.to_owned() }
            }
            Progress::Uploading { sent, total } => Self::Uploading { sent, total },
            Progress::Created(batch) => Self::Created(Box::new(batch.clone())),
            Progress::Found(batch) => Self::Found(Box::new(batch.clone())),
            Progress::Replaces { folder, what } => Self::Replaces { folder: folder.to_owned(), what: what.to_owned() },
            Progress::Halved { shard, halves, why } => Self::Halved { shard, halves, why: why.to_owned() },
            Progress::Resolving { shards, at_least } => Self::Resolving { shards: shards.to_owned(), at_least },
            Progress::Listing { pages } => Self::Listing { pages },
            Progress::Partial { results, undecided } => Self::Partial { results: results.to_owned(), undecided },
            Progress::Surplus { shard, batch } => Self::Surplus { shard, batch: Box::new(batch.clone()) },
            Progress::Waits { why } => Self::Waits { why: why.to_owned() },
            Progress::LimitsUnread { file, why } => Self::LimitsUnread { file: file.to_owned(), why: why.to_owned() },
            Progress::Waiting(batch) => Self::Waiting(Box::new(batch.clone())),
            Progress::Answering { shard, lines, succeeded, failed } => {
                Self::Answering { shard, lines, succeeded, failed }
            }
            Progress::Trouble(error) => Self::Trouble(error.to_string()),
            Progress::Survived(error) => Self::Survived(error.to_string()),
            Progress::Unreached { since, error } => Self::Unreached { since, why: error.to_string() },
            Progress::Downloading { name } => Self::Downloading { name },
            Progress::Joining => Self::Joining,
            Progress::Settled { shard, joined } => Self::Settled { shard, joined: Box::new(joined.clone()) },
            Progress::Held { shard, why } => Self::Held { shard, why: why.to_owned() },
            Progress::Capped { why } => Self::Capped { why: why.to_owned() },
            Progress::Cleaned(file) => Self::Cleaned(file.clone()),
        }
    }
}

/// Events on their way to a reader. What may come often is kept once, in its last state; steps are never dropped.
#[derive(Debug, Default)]
pub(super) struct Queue {
    events: Mutex<VecDeque<RunEvent>>,
    news: Notify,
    taken: Notify,
}

impl Queue {
    fn events(&self) -> MutexGuard<'_, VecDeque<RunEvent>> {
        self.events.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, event: RunEvent) {
        let mut events = self.events();
        let is_full = events.len() >= MOST;
        let older = match &event {
            RunEvent::Uploading { .. } => events.iter().rposition(|older| matches!(older, RunEvent::Uploading { .. })),
            RunEvent::Unreached { .. } => events.iter().rposition(|older| matches!(older, RunEvent::Unreached { .. })),
            RunEvent::Answering { shard, .. } => {
                let same =
                    |older: &RunEvent| matches!(older, RunEvent::Answering { shard: other, .. } if other == shard);
                events.iter().rposition(same)
            }
            RunEvent::Waiting(batch) => {
                let same = |older: &RunEvent| matches!(older, RunEvent::Waiting(older) if older.id == batch.id);
                events.iter().rposition(same)
            }
            RunEvent::Trouble(_) if is_full => events.iter().rposition(|older| matches!(older, RunEvent::Trouble(_))),
            _ => None,
        };
        if let Some(older) = older {
            events.remove(older);
        }
        events.push_back(event);
        self.news.notify_one();
    }

    fn pop(&self) -> Option<RunEvent> {
        let event = self.events().pop_front();
        if event.is_some() {
            self.taken.notify_one();
        }
        event
    }

    /// Waits until the reader has taken so much that there is room.
    pub(super) async fn room(&self) {
        while self.events().len() >= MOST {
            self.taken.notified().await;
        }
    }
}

type Work = Pin<Box<dyn Future<Output = Result<Report, RunError>> + Send>>;

/// A run at work in a task of its own, which a reader can drop at once.
struct AtWork(Mutex<Option<Work>>);

impl AtWork {
    fn work(&self) -> MutexGuard<'_, Option<Work>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How the run ended; none when it was dropped before.
    fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<Report, RunError>>> {
        let mut work = self.work();
        let Some(at_work) = work.as_mut() else { return Poll::Ready(None) };
        let ended = at_work.as_mut().poll(context);
        if ended.is_ready() {
            *work = None;
        }
        ended.map(Some)
    }
}

/// The side of the reader. When it is dropped the run is, and has let go of its folder then.
struct Reader {
    queue: Arc<Queue>,
    run: Arc<AtWork>,
    task: JoinHandle<()>,
    over: bool,
}

impl Drop for Reader {
    fn drop(&mut self) {
        *self.run.work() = None;
        self.task.abort();
    }
}

impl Reader {
    fn start(run: Run) -> Self {
        let queue = Arc::new(Queue::default());
        let (told, on_progress) = (Arc::clone(&queue), Arc::clone(&run.on_progress));
        let mut run = run.on_progress(move |progress| {
            told.push(RunEvent::of(&progress));
            on_progress(progress);
        });
        run.told = Some(Arc::clone(&queue));
        let run = Arc::new(AtWork(Mutex::new(Some(Box::pin(run.execute())))));
        let (at_work, told) = (Arc::clone(&run), Arc::clone(&queue));
        let work = async move {
            if let Some(ended) = poll_fn(|context| at_work.poll(context)).await {
                told.push(RunEvent::Over(ended.map(Box::new)));
            }
        };
        Self { queue, run, task: tokio::spawn(work.in_current_span()), over: false }
    }

    async fn next(&mut self) -> Option<RunEvent> {
        loop {
            if let Some(event) = self.queue.pop() {
                return Some(event);
            }
            if self.over {
                return None;
            }
            tokio::select! {
                () = self.queue.news.notified() => {}
                ended = &mut self.task => {
                    self.over = true;
                    if let Err(error) = ended
                        && error.is_panic()
                    {
                        std::panic::resume_unwind(error.into_panic());
                    }
                }
            }
        }
    }
}

/// Before the first event is asked for, and after.
enum State {
    Run(Box<Run>),
    Reader(Reader),
}

impl Run {
    /// The same as [`execute`](Self::execute), step by step: every event until the run is over, the last one
    /// [`RunEvent::Over`] with the report, or with why there is none.
    ///
    /// The run begins when the first event is asked for, in a task of its own, and goes on while the reader does something
    /// else. It waits for a reader that is far behind, so that memory does not grow: bytes and looks that were not taken
    /// in time are told by their last state, and every step is told. Dropping the stream stops this side only: batches
    /// that were created go on, the folder is free, and the same run goes on with it.
    ///
    /// ```
    /// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
    /// # let place = tempfile::tempdir()?;
    /// # let requests = place.path().join("requests.jsonl");
    /// # std::fs::write(&requests, "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n")?;
    /// use std::pin::pin;
    ///
    /// use futures_util::StreamExt;
    /// use lote::run::{Run, RunEvent};
    ///
    /// let mut events = pin!(Run::new(&client, &requests).into_stream());
    /// # let mut settled = 0;
    /// while let Some(event) = events.next().await {
    ///     match event {
    ///         RunEvent::Created(batch) => println!("batch {}", batch.id),
    ///         RunEvent::Waiting(batch) => println!("{:?}", batch.request_counts),
    ///         RunEvent::Settled { shard, joined } => {
    ///             println!("shard {shard}: {} of {} succeeded", joined.succeeded, joined.lines);
    /// #           settled += 1;
    ///         }
    ///         RunEvent::Over(ended) => println!("the results are in {}", ended?.results.display()),
    ///         _ => {}
    ///     }
    /// }
    /// # assert_eq!(settled, 1);
    /// # Ok(())
    /// # }
    /// # tokio::runtime::Runtime::new().unwrap().block_on(async {
    /// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
    /// #     example(&gateway).await.unwrap();
    /// # });
    /// ```
    ///
    /// # Panics
    /// When it is polled outside of a runtime of tokio.
    pub fn into_stream(self) -> impl Stream<Item = RunEvent> + Send + 'static {
        stream::unfold(State::Run(Box::new(self)), async |state| {
            let mut reader = match state {
                State::Run(run) => Reader::start(*run),
                State::Reader(reader) => reader,
            };
            Some((reader.next().await?, State::Reader(reader)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(id: &str, completed: u64) -> RunEvent {
        let counts = serde_json::json!({"total": 9, "completed": completed, "failed": 0});
        let batch = serde_json::json!({"id": id, "status": "in_progress", "request_counts": counts});
        RunEvent::Waiting(Box::new(Batch::read("batch", serde_json::from_value(batch).unwrap()).unwrap()))
    }

    fn waits(why: usize) -> RunEvent {
        RunEvent::Waits { why: why.to_string() }
    }

    #[tokio::test(start_paused = true)]
    async fn what_comes_often_is_kept_once_and_every_step_is_kept() {
        let queue = Queue::default();
        for round in 0..10_000 {
            queue.push(RunEvent::Uploading { sent: round, total: 10_000 });
            queue.push(looked("a", round));
            queue.push(looked("b", round));
            queue.push(RunEvent::Trouble(round.to_string()));
        }
        assert!(queue.events().len() <= MOST, "{}", queue.events().len());
        (0..MOST).for_each(|step| queue.push(waits(step)));
        // There is room again when enough of it was taken, and not before.
        let room = tokio::time::timeout(Duration::from_secs(60), queue.room());
        assert!(room.await.is_err());
        let (mut steps, mut looks, mut bytes, mut last) = (0, Vec::new(), Vec::new(), String::new());
        while let Some(event) = queue.pop() {
            match event {
                RunEvent::Waits { why } => {
                    assert_eq!(why, steps.to_string(), "in their order");
                    steps += 1;
                }
                RunEvent::Waiting(batch) => looks.push((batch.id.to_string(), batch.request_counts.unwrap().completed)),
                RunEvent::Uploading { sent, .. } => bytes.push(sent),
                RunEvent::Trouble(error) => last = error,
                other => panic!("{other:?}"),
            }
        }
        assert_eq!((steps, bytes, last.as_str()), (MOST, vec![9_999], "9999"));
        assert_eq!(looks, [("a".to_owned(), 9_999), ("b".to_owned(), 9_999)]);
        queue.room().await;
    }
}
