//! The wait for many batches: it pages the list, and asks for a batch by its id only where the list has not shown it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    fmt,
};

use futures_util::{Stream, StreamExt, stream};
use tokio::time::{Duration, Instant, sleep};

use super::{
    Settings, Waited,
    watch::{Stop, stopped},
};
use crate::{
    Batch, BatchId, Client, Error, bound,
    policy::{Pauses, Trouble},
};

/// How many batches are asked for by their id at once.
const AT_ONCE: usize = 8;

/// A wait for the end of many batches. See [`Batches::wait_all`](crate::Batches::wait_all).
///
/// Each round of looks costs a call for each page of 100 batches of the list (newest first, and from the second round on
/// without the pages that are newer than all of these), and a call for each batch that the list does not show, as one
/// that lags.
///
/// ```
/// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
/// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
/// # let line = "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n";
/// # let upload = client.files().upload_reader(line.as_bytes(), "a.jsonl", lote::UploadPurpose::Batch);
/// # let input = upload.send().await?.id;
/// # let mut ids = Vec::new();
/// # for _ in 0..3 { ids.push(client.batches().create(&input, lote::Endpoint::ChatCompletions).send().await?.id); }
/// use lote::Waited;
///
/// for (id, waited) in client.batches().wait_all(ids).until_over().await {
///     match waited {
///         Waited::Ended(batch) => println!("{id}: {}", batch.status),
///         Waited::GaveUp(_) => println!("{id}: goes on"),
///         Waited::CouldNotAsk { error, .. } => println!("{id}: {error}"),
///     }
/// }
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
/// #     example(&gateway).await.unwrap();
/// # });
/// ```
#[must_use = "nothing is waited for until it is asked to"]
pub struct WaitAll<'a> {
    client: Client,
    ids: Vec<BatchId>,
    pub(super) settings: Settings<'a>,
}

impl fmt::Debug for WaitAll<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ids, deadline) = (self.ids.len(), self.settings.deadline);
        f.debug_struct("WaitAll").field("ids", &ids).field("deadline", &deadline).finish_non_exhaustive()
    }
}

impl<'a> WaitAll<'a> {
    pub(crate) fn new(client: Client, ids: impl IntoIterator<Item = BatchId>) -> Self {
        Self { client, ids: ids.into_iter().collect(), settings: Settings::new() }
    }

    /// Waits until each of them is over, or could not be asked for, or it is time to give up. How each wait ended, in
    /// the order in which they were given; one that is given twice comes once.
    pub async fn until_over(self) -> Vec<(BatchId, Waited)> {
        let order: HashMap<BatchId, usize> =
            self.ids.iter().enumerate().rev().map(|(place, id)| (id.clone(), place)).collect();
        let mut ended: Vec<_> = self.into_stream().collect().await;
        ended.sort_by_key(|(id, _)| order.get(id).copied());
        ended
    }

    /// How the wait for each ended, as it ends. What is not taken is not waited for.
    pub fn into_stream(self) -> impl Stream<Item = (BatchId, Waited)> + Send + 'a {
        stream::unfold(Course::new(self), async |mut course| Some((course.next().await?, course)))
    }
}

/// A wait for many batches, on its way.
struct Course<'a> {
    client: Client,
    settings: Settings<'a>,
    open: HashMap<BatchId, Followed>,
    ended: VecDeque<(BatchId, Waited)>,
    pauses: Pauses,
    /// How long to pause before the next round.
    pause: Duration,
    end: Option<Instant>,
    stop: Option<Stop<'a>>,
    /// Where the list begins to show batches that are waited for.
    after: Option<BatchId>,
    listing: Trouble,
    /// Whether the list cannot be used, so that each batch is asked for by its id.
    unlisted: bool,
}

/// What is known of one of the batches.
#[derive(Default)]
struct Followed {
    last: Option<Box<Batch>>,
    /// Since when it is over.
    over: Option<Instant>,
    trouble: Trouble,
}

impl Followed {
    /// For how long it is still asked for the files that it does not name: not at all when it names them. None while the
    /// batch is not over.
    fn left(&mut self, late: Duration) -> Option<Duration> {
        let batch = self.last.as_ref().filter(|batch| batch.is_terminal())?;
        let since = *self.over.get_or_insert_with(Instant::now);
        Some(if batch.late_files().is_some() { late.saturating_sub(since.elapsed()) } else { Duration::ZERO })
    }

    /// How the wait ended: a batch that is over has ended, whatever became of the looks after it.
    fn ended(self, otherwise: impl FnOnce(Option<Box<Batch>>) -> Waited) -> Waited {
        match self.last {
            Some(batch) if batch.is_terminal() => Waited::Ended(batch),
            last => otherwise(last),
        }
    }
}

impl<'a> Course<'a> {
    fn new(wait: WaitAll<'a>) -> Self {
        let WaitAll { client, ids, mut settings } = wait;
        Self {
            client,
            open: ids.into_iter().map(|id| (id, Followed::default())).collect(),
            ended: VecDeque::new(),
            pauses: settings.cadence.pauses(),
            pause: Duration::ZERO,
            end: settings.end(),
            stop: settings.stop.take(),
            after: None,
            listing: Trouble::default(),
            unlisted: false,
            settings,
        }
    }

    async fn next(&mut self) -> Option<(BatchId, Waited)> {
        while self.ended.is_empty() && !self.open.is_empty() {
            let (mut stop, end) = (self.stop.take(), self.end);
            let stopped = tokio::select! {
                biased;
                () = stopped(&mut stop, end) => true,
                () = self.round() => false,
            };
            self.stop = stop;
            if stopped {
                self.ended.extend(self.open.drain().map(|(id, followed)| (id, followed.ended(Waited::GaveUp))));
            }
        }
        self.ended.pop_front()
    }

    /// Pauses, and looks at each batch once.
    async fn round(&mut self) {
        // Reset only when it is over: a round that is dropped pauses again.
        sleep(self.pause).await;
        self.pause = Duration::ZERO;
        let mut unseen: HashSet<BatchId> = self.open.keys().cloned().collect();
        let mut asked = None;
        if !self.unlisted
            && let Err(error) = self.page_through(&mut unseen).await
        {
            self.settings.trouble(&error);
            asked = error.retry_after();
            for id in &unseen {
                if let Some(followed) = self.open.get_mut(id) {
                    followed.trouble.begin(&self.settings.tolerance, &error);
                }
            }
            match self.listing.take(&self.settings.tolerance, error) {
                // All of them are looked at in the next round.
                Ok(_) => unseen.clear(),
                // Each of them tells whether it can be asked for by its id.
                Err(_) => self.unlisted = true,
            }
        }
        let batches = self.client.batches();
        let looks = stream::iter(unseen).map(|id| {
            let batches = batches.clone();
            async move { (batches.look(&id).await, id) }
        });
        let mut looks = std::pin::pin!(looks.buffer_unordered(AT_ONCE));
        while let Some((look, id)) = looks.next().await {
            match look {
                Ok(batch) => self.seen(id, batch),
                Err(error) => asked = asked.max(self.failed(id, error)),
            }
        }
        self.pause = self.pauses.next(asked, None);
        self.settle();
    }

    /// Ends the waits for batches that are over and name their files, or were asked for them long enough.
    fn settle(&mut self) {
        let Self { open, ended, pause, settings, .. } = self;
        let late = settings.tolerance.late();
        let settled = open.extract_if(|_, followed| match followed.left(late) {
            None => false,
            Some(Duration::ZERO) => true,
            Some(left) => {
                *pause = (*pause).min(left);
                false
            }
        });
        ended.extend(settled.map(|(id, followed)| (id, followed.ended(Waited::GaveUp))));
    }

    /// Reads the list for as long as it is cheaper than asking for each batch, and takes what it shows out of `unseen`.
    async fn page_through(&mut self, unseen: &mut HashSet<BatchId>) -> Result<(), Error> {
        let (mut after, mut pages, mut shown) = (self.after.clone(), 0, false);
        let mut listed = HashSet::new();
        while pages < unseen.len() {
            let mut list = self.client.batches().list().limit(bound::BATCH_PAGE.max);
            if let Some(id) = &after {
                list = list.after(id);
            }
            let page = list.page().await?;
            self.listing.over();
            pages += 1;
            let before = listed.len();
            for batch in page.data {
                let id = batch.id.clone();
                listed.insert(id.clone());
                if unseen.remove(&id) {
                    if !shown {
                        (shown, self.after) = (true, after);
                    }
                    self.seen(id.clone(), batch);
                }
                after = Some(id);
            }
            // The service started the list again: the rest of it repeats what was read.
            if !page.has_more || listed.len() == before {
                break;
            }
        }
        Ok(())
    }

    /// Takes note of a batch, under the id by which it was asked for: some services answer with another.
    fn seen(&mut self, id: BatchId, batch: Batch) {
        self.settings.progress(&batch);
        if let Some(followed) = self.open.get_mut(&id) {
            followed.trouble.over();
            followed.last = Some(Box::new(batch));
        }
    }

    /// Survives the error or ends the wait for this batch. How long the service asks to wait.
    fn failed(&mut self, id: BatchId, error: Error) -> Option<Duration> {
        let followed = self.open.get_mut(&id)?;
        match followed.trouble.take(&self.settings.tolerance, error) {
            Ok(error) => {
                self.settings.trouble(&error);
                error.retry_after()
            }
            Err(error) => {
                let followed = self.open.remove(&id)?;
                self.ended.push_back((id, followed.ended(|last| Waited::CouldNotAsk { error, last })));
                None
            }
        }
    }
}
