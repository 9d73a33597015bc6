//! Does what the state of a run says is to be done next, and writes down what happened.

use std::{
    collections::{BTreeMap, BTreeSet},
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use futures_util::StreamExt;
use serde::Serialize;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};

use super::{
    OnProgress, Progress, RunError,
    adopt::{self, is_of},
    error::Kind,
    event::Event,
    folder::{ERRORS, Folder, OUTPUT, REQUESTS, RESULTS, SUMMARY, write_json},
    merge::{ShardSummary, put_together},
    record::random_name,
    state::{Next, Phase},
};
use crate::{
    Batch, BatchId, BatchOptions, Cadence, Client, Error, FileId, RequestCounts, Tolerance, UnixSeconds, UploadPurpose,
    Waited,
    collect::{Collect, Step, Uncollected},
    deadline::Deadline,
    fetch::{blocking, patience},
    policy::Trouble,
    save::Stored,
};

/// How often a process at work looks whether it was asked to cancel, and tells how far it is.
const TICK: Duration = Duration::from_secs(1);

/// Codes with which services say that an account has too much at work, and not that a request is wrong.
const TOO_MUCH: [&str; 4] =
    ["token_limit_exceeded", "batch_limit_exceeded", "rate_limit_exceeded", "insufficient_batch_capacity"];

/// How often in a row a service may say that there is no room, while none of the run's batches is at work.
const MOST_REFUSED: u32 = 10;

/// How a run is driven, whatever it is a run of.
#[derive(Clone)]
pub(super) struct Manner {
    pub(super) cadence: Cadence,
    pub(super) tolerance: Option<Tolerance>,
    pub(super) deadline: Deadline,
    pub(super) max_open: usize,
    pub(super) settle_after_loss: Duration,
    /// Only so far as until there is nothing to do but wait.
    pub(super) detach: bool,
    pub(super) on_progress: OnProgress,
}

/// The batch of several that a wait has ended for first, and how.
type Ended = Option<(BatchId, Waited)>;

/// A run at work.
pub(super) struct Driver {
    client: Client,
    pub(super) folder: Folder,
    options: BatchOptions,
    manner: Manner,
    /// How many batches the service has room for, as far as it has said.
    room: usize,
    /// What was last seen of each shard's batch.
    seen: BTreeMap<u32, Batch>,
    /// The batches that this process has asked to stop.
    stopped: BTreeSet<BatchId>,
    /// Whether the list was looked at for batches that the log does not hold, or that another run has made.
    looked: bool,
    /// How often there was no room although none of the run's batches was at work.
    refused: u32,
}

/// How far the batches are, for who looks on.
#[derive(Debug, Default, Serialize, serde::Deserialize)]
pub(super) struct Noted {
    pub(super) at: i64,
    pub(super) shards: BTreeMap<u32, NotedShard>,
}

#[derive(Clone, Debug, Serialize, serde::Deserialize)]
pub(super) struct NotedShard {
    pub(super) status: String,
    pub(super) total: u64,
    pub(super) completed: u64,
    pub(super) failed: u64,
}

impl NotedShard {
    fn of(batch: &Batch) -> Self {
        let RequestCounts { total, completed, failed } = batch.request_counts.unwrap_or_default();
        Self { status: batch.status.as_str().to_owned(), total, completed, failed }
    }
}

/// Why the work stops: `Later` when there is nothing to do now but to wait, and that was not asked for.
pub(super) enum Stopped {
    Later,
    Failed(RunError),
}

impl From<RunError> for Stopped {
    fn from(error: RunError) -> Self {
        Self::Failed(error)
    }
}

impl Driver {
    pub(super) fn new(client: Client, folder: Folder, options: BatchOptions, manner: Manner) -> Self {
        let room = manner.max_open;
        Self {
            client,
            folder,
            options,
            manner,
            room,
            seen: BTreeMap::new(),
            stopped: BTreeSet::new(),
            looked: false,
            refused: 0,
        }
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.manner.deadline
    }

    /// Works until the run is finished.
    pub(super) async fn drive(&mut self) -> Result<(), Stopped> {
        loop {
            self.heed_cancel().await?;
            match self.folder.state.next(self.room) {
                Next::Resolve => self.resolve().await?,
                Next::Settle(shard) => self.settle(shard).await?,
                Next::Submit(shard) => self.submit(shard).await?,
                Next::Wait if self.manner.detach => {
                    if !self.look().await? {
                        return Err(Stopped::Later);
                    }
                }
                Next::Wait => self.wait().await?,
                Next::Held => return Err(self.held().into()),
                Next::Merge => self.merge().await?,
                Next::Done => return Ok(()),
            }
        }
    }

    /// Heeds a cancellation, of this process or of one that did not get the lock: no more creates, and each batch that is
    /// at work is asked to stop, once by each process.
    pub(super) async fn heed_cancel(&mut self) -> Result<(), RunError> {
        if self.folder.cancel_is_asked() {
            if !self.folder.state.cancelled {
                self.folder.say(Event::Cancelled)?;
            }
            self.folder.forget_cancel();
        }
        if !self.folder.state.cancelled {
            return Ok(());
        }
        let created = self.folder.state.shards.values().filter(|shard| shard.phase == Phase::Created);
        let ids: Vec<BatchId> = created.filter_map(|shard| shard.batch().cloned()).collect();
        for id in ids {
            if !self.stopped.insert(id.clone()) {
                continue;
            }
            match self.manner.deadline.bound(self.client.batches().cancel(&id)).await {
                Ok(_) => {}
                // It is over already.
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(self.service(error)),
            }
        }
        Ok(())
    }

    fn tell(&self, progress: Progress<'_>) {
        (self.manner.on_progress)(progress);
    }

    fn service(&self, error: Error) -> RunError {
        let kind = if error.is_deadline() && !self.folder.state.batches().is_empty() {
            Kind::GaveUp
        } else {
            Kind::Service(error)
        };
        self.ended(kind)
    }

    fn ended(&self, kind: Kind) -> RunError {
        RunError::new(kind).at(self.folder.path()).with(self.folder.state.batches())
    }

    fn held(&self) -> RunError {
        let held = self.folder.state.shards.iter().filter_map(|(number, shard)| Some((*number, shard.held.clone()?)));
        self.ended(Kind::Held(held.collect()))
    }

    /// Uploads the lines of a shard, unless that was done, and creates its batch.
    async fn submit(&mut self, number: u32) -> Result<(), RunError> {
        let Some(shard) = self.folder.state.shards.get(&number).cloned() else { return Ok(()) };
        let file = match shard.file.filter(|_| shard.phase == Phase::Uploaded) {
            Some(file) => file,
            None => {
                let file = self.upload(number).await?;
                self.folder.say(Event::Uploaded { shard: number, file: file.clone() })?;
                file
            }
        };
        if !self.looked && !self.folder.state.anew {
            self.look_for_twins().await?;
        }
        // After a refusal that may not have been one, and once in a run that was opened again, the list is looked at first.
        let again = self.folder.epoch() > 1 && !self.looked;
        self.looked = true;
        if (again || shard.why.is_some()) && self.look_once(number).await? {
            return Ok(());
        }
        // What is not sent cannot have made a batch.
        self.manner.deadline.check().map_err(|error| self.service(before(error)))?;
        self.heed_cancel().await?;
        if self.folder.state.cancelled {
            return Ok(());
        }
        let nonce = random_name();
        self.folder.say(Event::Creating { shard: number, nonce: nonce.clone(), at: UnixSeconds::now() })?;
        match self.create(number, &file, &nonce).await {
            Ok(batch) => self.created(number, batch, false),
            Err(error) => self.not_created(number, nonce, error).await,
        }
    }

    async fn upload(&self, number: u32) -> Result<FileId, RunError> {
        let path = self.folder.shard(number).join(REQUESTS);
        let shard = self.folder.state.shards.get(&number).map(|shard| shard.plan.clone());
        let read = path.clone();
        let stored = blocking(move || Stored::of(&read)).await;
        let stored = stored.map_err(|error| RunError::io("read", &path, error).at(self.folder.path()))?;
        if shard.as_ref().is_some_and(|plan| plan.sha256 != stored.sha256) {
            let error =
                std::io::Error::other("it is not as it was written: it holds other request lines than were checked");
            return Err(RunError::io("send", &path, error).at(self.folder.path()).with(self.folder.state.batches()));
        }
        let (total, on_progress) = (stored.bytes, Arc::clone(&self.manner.on_progress));
        let run = self.folder.record.run.get(..8).unwrap_or_default();
        let upload = self
            .client
            .files()
            .upload(&path, UploadPurpose::Batch)
            .file_name(format!("lote-{run}-{number:04}.jsonl"))
            .on_progress(move |sent| on_progress(Progress::Uploading { sent, total }));
        match self.manner.deadline.bound(upload.send()).await {
            Ok(file) => Ok(file.id),
            Err(error) if error.is_deadline() => Err(self.service(before(error))),
            Err(error) => Err(self.service(error)),
        }
    }

    async fn create(&self, number: u32, file: &FileId, nonce: &str) -> Result<Batch, Error> {
        let Some(shard) = self.folder.state.shards.get(&number) else {
            return Err(Error::invalid("there is no such shard"));
        };
        let alone = self.folder.state.shards.len() == 1 && shard.batches.is_empty() && shard.why.is_none();
        let options = adopt::marked(&self.options, &self.folder.record.run, shard, nonce, alone);
        let create = self.client.batches().create(file, &shard.plan.endpoint).options(options);
        self.manner.deadline.bound(create.send()).await
    }

    fn created(&mut self, number: u32, batch: Batch, adopted: bool) -> Result<(), RunError> {
        self.folder.say(Event::Created { shard: number, batch: batch.id.clone(), adopted })?;
        self.refused = 0;
        self.tell(Progress::Created(&batch));
        Ok(())
    }

    /// A create failed: what that says of a batch is written down.
    async fn not_created(&mut self, number: u32, nonce: String, error: Error) -> Result<(), RunError> {
        if let Some(batch) = error.batch_id().cloned() {
            // There is a batch although its answer cannot be read.
            self.folder.say(Event::Created { shard: number, batch, adopted: false })?;
            self.tell(Progress::Trouble(&error));
            return Ok(());
        }
        if error.is_ambiguous() {
            if error.is_deadline() {
                return Err(self.service(error));
            }
            self.tell(Progress::Trouble(&error));
            // What became of it is looked for next.
            return Ok(());
        }
        self.folder.say(Event::Refused { shard: number, nonce, why: error.to_string() })?;
        if too_much(error.code()) || error.is_rate_limited() {
            return self.make_room(error).await;
        }
        // With other batches at work this one waits for a person, while they go on.
        if self.folder.state.batches().is_empty() {
            return Err(self.service(error));
        }
        self.tell(Progress::Trouble(&error));
        self.folder.say(Event::Held { shard: number, why: format!("its batch was not created: {error}") })
    }

    /// The account has too much at work: fewer batches at once, or a pause when none of them is ours.
    async fn make_room(&mut self, error: Error) -> Result<(), RunError> {
        self.tell(Progress::Trouble(&error));
        let open = self.folder.state.open();
        if open > 0 {
            self.room = open;
            return Ok(());
        }
        self.room = 1;
        self.refused += 1;
        if self.refused > MOST_REFUSED {
            return Err(self.service(error));
        }
        let pause = error.retry_after().unwrap_or_else(|| self.manner.cadence.pauses().next(None, None) * self.refused);
        self.manner.deadline.within(sleep(pause)).await.map_err(|late| self.service(late))
    }

    /// Stops when another run, whose folder is lost, has made a batch of the same lines. A list that cannot be read stops
    /// nobody.
    async fn look_for_twins(&mut self) -> Result<(), RunError> {
        let twins = adopt::twins(&self.client, self.folder.path(), &self.folder.record.run, &self.folder.state);
        match self.manner.deadline.bound(twins).await {
            Ok(twins) if !twins.is_empty() => Err(self.ended(Kind::Twins(twins))),
            Err(error) if error.is_deadline() => Err(self.service(before(error))),
            _ => Ok(()),
        }
    }

    /// Whether the list shows a batch of this shard that the log does not hold. Those of all shards are adopted.
    async fn look_once(&mut self, number: u32) -> Result<bool, RunError> {
        let unsent = |phase: &Phase| matches!(phase, Phase::Planned | Phase::Uploaded);
        let shards = self.folder.state.shards.iter().filter(|(_, shard)| unsent(&shard.phase));
        let shards: Vec<u32> = shards.map(|(number, _)| *number).collect();
        let listed = self.read_list(&shards).await.map_err(|error| self.service(error))?;
        for shard in shards {
            self.adopt(shard, listed.found.clone()).await?;
        }
        Ok(!self.folder.state.shards.get(&number).is_some_and(|shard| unsent(&shard.phase)))
    }

    /// Reads the list for batches of these shards that the log does not hold.
    async fn read_list(&self, shards: &[u32]) -> Result<adopt::Listed, Error> {
        let (run, state, shards) = (self.folder.record.run.clone(), self.folder.state.clone(), shards.to_vec());
        let of = move |batch: &Batch| {
            let mut wanted = shards.iter().filter_map(|number| state.shards.get(number));
            wanted.find(|shard| is_of(batch, &run, shard, &state)).map(|shard| shard.plan.number)
        };
        self.manner.deadline.bound(adopt::list(&self.client, of)).await
    }

    /// Takes the batch that was found for this shard's own. Of several the one that is furthest counts, and the others
    /// are cancelled: they were paid for in vain.
    async fn adopt(&mut self, number: u32, found: Vec<(u32, Batch)>) -> Result<bool, RunError> {
        let found = found.into_iter().filter(|(of, _)| *of == number).map(|(_, batch)| batch).collect();
        let Some((batch, surplus)) = adopt::furthest(found) else { return Ok(false) };
        for batch in surplus {
            self.tell(Progress::Surplus { shard: number, batch: &batch });
            if !batch.is_terminal() {
                match self.manner.deadline.bound(self.client.batches().cancel(&batch.id)).await {
                    Err(error) if !error.is_conflict() => return Err(self.service(error)),
                    _ => {}
                }
            }
        }
        self.created(number, batch, true)?;
        Ok(true)
    }

    /// Finds out what became of creates whose answers were lost.
    async fn resolve(&mut self) -> Result<(), RunError> {
        if self.client.dialect().honours_idempotency_keys() {
            self.create_again().await?;
        }
        let settle = self.manner.settle_after_loss;
        let pause = |part: u32| (settle / part).max(Duration::from_millis(1));
        let mut pauses = Cadence::new(pause(8), pause(2)).pauses();
        let (begun, mut absent, mut trouble) = (Instant::now(), None::<(Instant, SystemTime)>, Trouble::default());
        self.tell(Progress::Resolving { shards: &self.folder.state.lost(), at_least: settle * 2 });
        loop {
            let lost = self.folder.state.lost();
            match self.read_list(&lost).await {
                Ok(listed) => {
                    trouble.over();
                    for number in lost {
                        self.adopt(number, listed.found.clone()).await?;
                    }
                    let lost = self.folder.state.lost();
                    if lost.is_empty() {
                        return Ok(());
                    }
                    // A list that shows no batch at all, not even an old one, proves nothing.
                    let proves = listed.whole && listed.any;
                    let now = (Instant::now(), SystemTime::now());
                    let apart = |(first, wall): (Instant, SystemTime)| {
                        now.0 - first >= settle && now.1.duration_since(wall).is_ok_and(|apart| apart >= settle)
                    };
                    let said = if proves && absent.is_some_and(apart) {
                        Some("the list was read twice and does not show it")
                    } else if !proves && now.0 - begun >= settle * 2 && !listed.whole {
                        Some("the answer to its create was lost, and the service's list does not say where it ends")
                    } else if !proves && now.0 - begun >= settle * 2 {
                        Some(
                            "the answer to its create was lost, and the service's list shows no batch, not even an old one",
                        )
                    } else {
                        None
                    };
                    if let Some(why) = said {
                        for shard in lost {
                            let why = why.to_owned();
                            self.folder.say(match proves {
                                true => Event::NoBatch { shard, why },
                                false => Event::Held { shard, why },
                            })?;
                        }
                        return Ok(());
                    }
                    if proves && now.0 - begun >= settle {
                        absent.get_or_insert(now);
                    }
                }
                Err(error) if error.is_deadline() => return Err(self.service(error.maybe_done())),
                Err(error) => match trouble.take(&self.manner.tolerance.clone().unwrap_or_default(), error) {
                    Ok(error) => self.tell(Progress::Trouble(&error)),
                    Err(error) => return Err(self.service(error.maybe_done())),
                },
            }
            let pause = sleep(pauses.next(None, None));
            self.manner.deadline.within(pause).await.map_err(|error| self.service(error.maybe_done()))?;
        }
    }

    /// Sends the lost creates again, with the keys that they had: the service makes no second batch of them.
    async fn create_again(&mut self) -> Result<(), RunError> {
        for number in self.folder.state.lost() {
            let Some(shard) = self.folder.state.shards.get(&number) else { continue };
            let (Some(file), Some(nonce)) = (shard.file.clone(), shard.nonce.clone()) else { continue };
            match self.create(number, &file, &nonce).await {
                Ok(batch) => self.created(number, batch, true)?,
                Err(error) if error.is_deadline() => return Err(self.service(error.maybe_done())),
                // What the lost one has done, no refusal of this one undoes: the list tells.
                Err(error) => self.tell(Progress::Trouble(&error)),
            }
        }
        Ok(())
    }

    /// Looks once at each batch that is at work. Whether any of them is over.
    async fn look(&mut self) -> Result<bool, RunError> {
        let created = self.folder.state.shards.iter().filter(|(_, shard)| shard.phase == Phase::Created);
        let open: Vec<(u32, BatchId)> =
            created.filter_map(|(number, shard)| Some((*number, shard.batch()?.clone()))).collect();
        let (mut any, mut noted) = (false, Noted { at: UnixSeconds::now().get(), ..Noted::default() });
        for (number, id) in &open {
            match self.manner.deadline.bound(self.client.batches().get(id)).await {
                Ok(batch) => {
                    self.tell(Progress::Waiting(&batch));
                    noted.shards.insert(*number, NotedShard::of(&batch));
                    if batch.is_terminal() {
                        any = true;
                        self.over(*number, id.clone(), batch)?;
                    }
                }
                Err(error) if error.is_deadline() => return Err(self.service(error)),
                Err(error) if error.is_not_found() && open.len() > 1 => self.unknown(*number, id)?,
                Err(error) => return Err(self.ended(Kind::Unfetched(error))),
            }
        }
        self.folder.note(&noted);
        Ok(any)
    }

    /// A batch is over: there is room for another. Some services answer with another id than they were asked for.
    fn over(&mut self, number: u32, id: BatchId, batch: Batch) -> Result<(), RunError> {
        let status = batch.status.as_str().to_owned();
        self.folder.say(Event::Over { shard: number, batch: id, status })?;
        self.seen.insert(number, batch);
        self.room = (self.room.saturating_add(1)).min(self.manner.max_open);
        Ok(())
    }

    /// One of several batches is not known to the service: a person must say what becomes of its lines.
    fn unknown(&mut self, number: u32, id: &BatchId) -> Result<(), RunError> {
        let why = format!("the service does not know its batch {id} any more");
        self.folder.say(Event::Held { shard: number, why })
    }

    /// Waits until one of the batches is over.
    async fn wait(&mut self) -> Result<(), RunError> {
        let open: BTreeMap<BatchId, u32> = self
            .folder
            .state
            .shards
            .iter()
            .filter(|(_, shard)| shard.phase == Phase::Created)
            .filter_map(|(number, shard)| Some((shard.batch()?.clone(), *number)))
            .collect();
        let latest: Arc<Mutex<BTreeMap<BatchId, NotedShard>>> = Arc::default();
        let (steps, troubles, noted) =
            (Arc::clone(&self.manner.on_progress), Arc::clone(&self.manner.on_progress), Arc::clone(&latest));
        let on_progress = move |batch: &Batch| {
            noted.lock().unwrap_or_else(PoisonError::into_inner).insert(batch.id.clone(), NotedShard::of(batch));
            steps(Progress::Waiting(batch));
        };
        let on_trouble = move |error: &Error| troubles(Progress::Trouble(error));
        // Files that are late are waited for where they are fetched.
        let tolerance = self.manner.tolerance.clone().unwrap_or_default().late_files(Duration::ZERO);
        let (batches, left, cadence) =
            (self.client.batches(), self.manner.deadline.left(), self.manner.cadence.clone());
        let one = open.keys().next().filter(|_| open.len() == 1).cloned();
        let mut next: Pin<Box<dyn Future<Output = Ended> + Send>> = match one {
            Some(id) => {
                let mut wait = batches.wait(&id).cadence(cadence).tolerance(tolerance);
                if let Some(left) = left {
                    wait = wait.deadline(left);
                }
                let wait = wait.on_progress(on_progress).on_trouble(on_trouble);
                Box::pin(async move { Some((id, wait.until_over().await)) })
            }
            None => {
                let mut wait = batches.wait_all(open.keys().cloned()).cadence(cadence).tolerance(tolerance);
                if let Some(left) = left {
                    wait = wait.deadline(left);
                }
                let wait = wait.on_progress(on_progress).on_trouble(on_trouble);
                Box::pin(async move { std::pin::pin!(wait.into_stream()).next().await })
            }
        };
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut said = BTreeMap::new();
        let ended = loop {
            tokio::select! {
                ended = &mut next => break ended,
                _ = tick.tick() => {
                    let latest = std::mem::take(&mut *latest.lock().unwrap_or_else(PoisonError::into_inner));
                    if !latest.is_empty() {
                        said.extend(latest.into_iter().filter_map(|(id, batch)| Some((*open.get(&id)?, batch))));
                        self.folder.note(&Noted { at: UnixSeconds::now().get(), shards: said.clone() });
                    }
                    if self.folder.cancel_is_asked() {
                        return Ok(());
                    }
                }
            }
        };
        let Some((id, waited)) = ended else { return Ok(()) };
        let Some(number) = open.get(&id).copied() else { return Ok(()) };
        match waited {
            Waited::Ended(batch) => self.over(number, id, *batch),
            Waited::GaveUp(_) => Err(self.ended(Kind::GaveUp)),
            Waited::CouldNotAsk { error, .. } if error.is_not_found() && open.len() > 1 => self.unknown(number, &id),
            Waited::CouldNotAsk { error, .. } => Err(self.ended(Kind::Unfetched(error))),
        }
    }

    /// Fetches the files of a batch that is over, and joins them with the requests into the shard's results.
    async fn settle(&mut self, number: u32) -> Result<(), RunError> {
        let Some(id) = self.folder.state.shards.get(&number).and_then(|shard| shard.batch().cloned()) else {
            return Ok(());
        };
        let batch = match self.seen.remove(&number).filter(Batch::is_terminal) {
            Some(batch) => batch,
            None => match self.manner.deadline.bound(self.client.batches().get(&id)).await {
                Ok(batch) => batch,
                Err(error) => return self.unfetched(number, error),
            },
        };
        self.folder.check()?;
        let (steps, troubles) = (Arc::clone(&self.manner.on_progress), Arc::clone(&self.manner.on_progress));
        let on_step = move |step: Step<'_>| match step {
            Step::Downloading(name) => steps(Progress::Downloading { name }),
            Step::Looked(batch) => steps(Progress::Waiting(batch)),
            Step::Joining => steps(Progress::Joining),
        };
        let on_trouble = move |error: &Error| troubles(Progress::Trouble(error));
        let at = self.folder.shard(number);
        let folder = &self.folder;
        let is_ours = || folder.is_ours();
        let mut collect = Collect::new(self.client.clone(), batch, &at, [OUTPUT, ERRORS])
            .access(folder.access())
            .while_ours(&is_ours)
            .tolerance(self.manner.tolerance.clone().unwrap_or_else(patience))
            .cadence(self.manner.cadence.clone())
            .deadline(self.manner.deadline)
            .telling(Arc::new(on_step), Arc::new(on_trouble));
        let collected = collect.collect(&at.join(REQUESTS), Some(|| folder.begin_in(number, RESULTS))).await;
        let batch = collect.batch;
        let (joined, results) = match collected {
            Ok(collected) => collected,
            Err(Uncollected::NotRun) => return self.not_run(number, &batch).await,
            Err(Uncollected::Unfetched(error)) => return self.unfetched(number, error),
            Err(Uncollected::Lost) => return Err(self.ended(Kind::Lost)),
            Err(Uncollected::Unwritten(error)) => {
                return Err(self.failed("write", &at.join(RESULTS), error));
            }
            Err(Uncollected::Unjoined(error)) => {
                let message = error.to_string();
                return Err(self.failed("join", &at, std::io::Error::other(message)));
            }
        };
        let stored = blocking(move || Stored::read(results)).await;
        let stored = stored.map_err(|error| self.failed("read", &at.join(RESULTS), error))?;
        self.folder.check()?;
        let summary = self.folder.begin_in(number, SUMMARY);
        summary
            .and_then(|atomic| write_json(atomic, &ShardSummary { batch, joined }))
            .map_err(|error| self.failed("write", &at.join(SUMMARY), error))?;
        self.folder.say(Event::Settled { shard: number, results: stored })
    }

    fn failed(&self, doing: &str, path: &std::path::Path, error: std::io::Error) -> RunError {
        RunError::io(doing, path, error).at(self.folder.path()).with(self.folder.state.batches())
    }

    /// A batch failed before any of its lines was run.
    async fn not_run(&mut self, number: u32, batch: &Batch) -> Result<(), RunError> {
        let code = batch.errors.iter().find_map(|error| error.code.as_deref());
        let why: Vec<String> = batch.errors.iter().take(20).map(ToString::to_string).collect();
        let why = if why.is_empty() { "the service does not say why".to_owned() } else { why.join("\n  ") };
        if too_much(code) {
            let error = Error::late(format!("batch {} was not run: {why}", batch.id));
            self.folder.say(Event::Postponed { shard: number, batch: batch.id.clone(), why })?;
            return self.make_room(error).await;
        }
        self.folder.say(Event::Failed { shard: number, why })
    }

    /// What a batch has could not be fetched. One of several is left for later when only it is at fault.
    fn unfetched(&mut self, number: u32, error: Error) -> Result<(), RunError> {
        let alone = self.folder.state.shards.len() == 1;
        if error.is_deadline() || error.is_io() || alone || error.is_connection() {
            return Err(self.ended(Kind::Unfetched(error)));
        }
        self.tell(Progress::Trouble(&error));
        self.folder.say(Event::Held { shard: number, why: error.to_string() })
    }

    /// Puts all results together.
    async fn merge(&mut self) -> Result<(), RunError> {
        if self.folder.state.has_failed() {
            let whys = self.folder.state.shards.values().filter_map(|shard| match &shard.phase {
                Phase::Failed(why) => Some(why.clone()),
                _ => None,
            });
            return Err(self.ended(Kind::Failed(whys.collect())));
        }
        self.tell(Progress::Joining);
        let results = put_together(&self.folder, &self.client).await?;
        self.folder.say(Event::Finished { results })
    }
}

/// Tells that there is no batch, when the deadline has passed before the create.
fn before(error: Error) -> Error {
    error.and("nothing was created for these lines")
}

fn too_much(code: Option<&str>) -> bool {
    code.is_some_and(|code| TOO_MUCH.contains(&code))
}
