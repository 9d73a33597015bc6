//! Runs: from files of requests to a file of results, however many batches that takes and however often the process
//! ends meanwhile, through a folder that keeps every step.
//!
//! A run is a folder. What was asked is in it (`run.json`), what happened (`log.jsonl`), the lines of each batch and what
//! came of them (`shards/0001/…`), and at the end the results. Giving the same run again goes on with it: nothing is
//! created twice, since the intent to create is written down before it is sent, and a create whose answer was lost is
//! looked for in the service's list before another is sent.

mod adopt;
mod drive;
mod error;
mod event;
mod folder;
mod lock;
mod log;
mod merge;
mod plan;
mod record;
mod repair;
mod report;
mod seam;
#[cfg(test)]
mod sim;
mod state;
mod status;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

pub use error::{RunError, Twin};
pub use lock::Holder;
pub use plan::dry::{Plan, PlanOptions, plan};
pub use plan::{PlanError, ShardPlan, SourceFindings};
pub use repair::Repair;
pub use report::{EndedBatch, Report};
pub use status::{RunPhase, RunStatus, ShardStatus, list, status};

use self::{
    drive::{Driver, Manner, Stopped},
    error::Kind,
    event::{Event, Opened},
    folder::{Draft, Folder, RESULTS, SUMMARY},
    merge::Fault,
    plan::Cut,
    record::Asked,
    repair::Search,
    report::Summary,
    seam::{Rule, kept},
    state::{Phase, Shard},
};
use crate::{
    Batch, BatchId, BatchOptions, Cadence, Client, Error, Tolerance,
    deadline::Deadline,
    fetch::blocking,
    lines::{CheckOptions, Checked, Limits},
    options,
    save::{self, Output, Replace, Stored},
};

/// How long a create whose answer was lost is looked for twice, one after the other, before another is sent.
const SETTLE_AFTER_LOSS: Duration = Duration::from_secs(120);

/// How far a run has come.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The request lines are fit to be sent.
    Checked(&'a Checked),
    /// The folder holds this run already, and it is gone on with.
    GoesOn {
        /// The folder.
        folder: &'a Path,
        /// The batches that it has.
        batches: &'a [BatchId],
    },
    /// So many bytes of a shard's lines were taken.
    Uploading {
        /// Bytes taken so far.
        sent: u64,
        /// Bytes in all.
        total: u64,
    },
    /// A batch exists and is written down.
    Created(&'a Batch),
    /// Creates whose answers were lost are looked for.
    Resolving {
        /// Their shards.
        shards: &'a [u32],
        /// How long it takes to be certain that there is no batch.
        at_least: Duration,
    },
    /// A second batch was made of the same lines, after an answer that was lost; it is cancelled, and what it did may be
    /// charged.
    Surplus {
        /// The shard.
        shard: u32,
        /// That batch.
        batch: &'a Batch,
    },
    /// A look at a batch.
    Waiting(&'a Batch),
    /// An error that is survived: the same is tried again.
    Trouble(&'a Error),
    /// An output or error file is being fetched.
    Downloading {
        /// Which one, by its name in the folder.
        name: &'static str,
    },
    /// The answers are put in the order of the requests.
    Joining,
}

type OnProgress = Arc<dyn Fn(Progress<'_>) + Send + Sync>;

/// A run to be made, or to be gone on with: check, cut into shards, upload, create, wait, download, join.
///
/// The folder appears when the check has passed, and goes again when the service has refused the first upload. While a run
/// is at work in it, it holds a lock there (`lock`), and never writes to a folder that has taken the place of its own.
/// The same run given again goes on with what the folder holds; one that differs, in its lines, its service or its
/// options, is refused. All that is written may be read only by who may read the input.
///
/// ```
/// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
/// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
/// # let folder = tempfile::tempdir()?;
/// # let requests = folder.path().join("requests.jsonl");
/// # std::fs::write(&requests, "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n")?;
/// let report = lote::run::Run::new(&client, &requests).execute().await?;
/// assert_eq!(report.joined.succeeded, report.joined.lines);
/// let tokens = report.joined.usage.total_tokens;
/// println!("{tokens} tokens, in {}", report.results.display());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
/// #     example(&gateway).await.unwrap();
/// # });
/// ```
#[derive(Clone)]
#[must_use = "nothing runs until it is executed"]
pub struct Run {
    client: Client,
    /// None of a run that is there, which knows them.
    inputs: Option<Vec<PathBuf>>,
    folder: Option<PathBuf>,
    output: Option<PathBuf>,
    replace_output: bool,
    endpoint: Option<String>,
    limits: Option<Limits>,
    limit: Option<u64>,
    pub(crate) options: BatchOptions,
    deadline: Option<Duration>,
    cadence: Cadence,
    tolerance: Option<Tolerance>,
    max_open: usize,
    attempts: u32,
    settle_after_loss: Duration,
    anew: bool,
    gateway: Option<String>,
    /// What a person has said of shards that were held.
    words: Vec<Word>,
    on_progress: OnProgress,
}

/// What a person has said of a create whose answer was lost.
#[derive(Clone, Debug)]
enum Word {
    NoBatch(u32),
    Adopt(u32, BatchId),
}

options::held!(Run, options);

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("client", &self.client).field("inputs", &self.inputs).finish_non_exhaustive()
    }
}

impl Run {
    /// The key of a batch's metadata that holds the hash of its lines: a pair whose key begins with `lote_` cannot be given.
    pub const SHA256: &'static str = adopt::SHA256;

    /// A run of the request lines in `input`, a file; a pipe will do, as it is read once, but cannot be gone on with by
    /// giving the same run again: [open](Self::open) its folder.
    pub fn new(client: &Client, input: impl Into<PathBuf>) -> Self {
        Self::of(client, Some(vec![input.into()]))
    }

    /// A run of the request lines in several files, one after another.
    pub fn of_files(client: &Client, inputs: impl IntoIterator<Item = impl Into<PathBuf>>) -> Self {
        Self::of(client, Some(inputs.into_iter().map(Into::into).collect()))
    }

    /// The run that a folder holds, to be gone on with. Its lines, endpoint, limits and options are those with which it
    /// was begun: setters of those change nothing.
    pub fn open(client: &Client, folder: impl Into<PathBuf>) -> Self {
        Self { folder: Some(folder.into()), ..Self::of(client, None) }
    }

    fn of(client: &Client, inputs: Option<Vec<PathBuf>>) -> Self {
        Self {
            client: client.clone(),
            inputs,
            folder: None,
            output: None,
            replace_output: false,
            endpoint: None,
            limits: None,
            limit: None,
            options: BatchOptions::new(),
            deadline: None,
            cadence: Cadence::default(),
            tolerance: None,
            max_open: usize::MAX,
            attempts: 1,
            settle_after_loss: SETTLE_AFTER_LOSS,
            anew: false,
            gateway: None,
            words: Vec::new(),
            on_progress: Arc::new(|_| ()),
        }
    }

    /// The folder of the run. The default stands beside the input and is named after it: `requests.run` for
    /// `requests.jsonl`.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Where the results are to be as well; the folder keeps its own copy. A file that is there is refused before
    /// anything is sent, but for an empty one and one that is as this run has written it; see
    /// [`replace_output`](Self::replace_output). A pipe or a device is written to at the end.
    pub fn output(mut self, output: impl Into<PathBuf>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Whether the [`output`](Self::output) may replace whatever file is there.
    pub fn replace_output(mut self, replace: bool) -> Self {
        self.replace_output = replace;
        self
    }

    /// The endpoint that every line must be for: an [`Endpoint`](crate::Endpoint), or the path of another that the
    /// dialect [declares](crate::Dialect::endpoints). The default is that of each line, with a batch for each.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// How much one batch takes; what is more goes into further batches. The default is what the client's dialect says:
    /// see [`Dialect::limits`](crate::Dialect::limits).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// Only the first lines of the input, for a trial.
    pub fn first_lines(mut self, lines: u64) -> Self {
        self.limit = Some(lines);
        self
    }

    /// How many batches may be at work at once, at least 1. The default is as many as the service takes: when it says
    /// that there are too many, the run waits for one of its own to end.
    pub fn max_open(mut self, batches: usize) -> Self {
        self.max_open = batches.max(1);
        self
    }

    /// How often lines are tried that do not succeed and can, in all: see [`Repair`]. The default is 1.
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.attempts = attempts.max(1);
        self
    }

    /// How long a create whose answer was lost is looked for in the service's list: twice this time passes before another
    /// is sent, and no batch that the list shows later than that is found. The default is 2 minutes.
    pub fn settle_after_loss(mut self, time: Duration) -> Self {
        self.settle_after_loss = time;
        self
    }

    /// How long the run may take in all, from the check to the last download; what has been begun is dropped then. See
    /// [`RunError`] for what there is by then. Without one, until it is done.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How often to look at the batches. The default is [`Cadence::default`].
    pub fn cadence(mut self, cadence: Cadence) -> Self {
        self.cadence = cadence;
        self
    }

    /// Which errors to survive while waiting and while fetching, and for how long to ask again for files that are
    /// [late](Tolerance::late_files). The default is that of a wait, but that a fetch survives five minutes of errors.
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// The service is a gateway inside this process, of this name, which no other has: its batches end with it and are
    /// not paid for, so that a run that broke off sends again what was not settled.
    pub fn embedded(mut self, gateway: impl Into<String>) -> Self {
        self.gateway = Some(gateway.into());
        self
    }

    /// Makes batches of these lines although a run whose folder is lost has made some within a day: see
    /// [`RunError::is_twin`].
    pub fn anew(mut self, anew: bool) -> Self {
        self.anew = anew;
        self
    }

    /// A person has made sure that the lost create of a shard that was [held](RunError::held) has made no batch: it is
    /// created again.
    pub fn no_batch(mut self, shard: u32) -> Self {
        self.words.push(Word::NoBatch(shard));
        self
    }

    /// A person has found the batch of a shard that was [held](RunError::held), or takes that of another run over the same
    /// lines, whose folder is lost, for this run's own.
    pub fn adopt(mut self, shard: u32, batch: BatchId) -> Self {
        self.words.push(Word::Adopt(shard, batch));
        self
    }

    /// Called with every step, and often while bytes move.
    pub fn on_progress(mut self, call: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        self.on_progress = Arc::new(call);
        self
    }

    /// The folder that the run will have.
    pub fn folder_path(&self) -> PathBuf {
        let beside = || match self.inputs.as_deref() {
            Some([first, ..]) => first.with_extension("run"),
            _ => PathBuf::from("requests.run"),
        };
        self.folder.clone().unwrap_or_else(beside)
    }

    /// Runs it to its end, from wherever its folder is. A run that is finished makes no call. Dropping the future stops
    /// this side only: batches that were created go on, and the same run goes on with them.
    ///
    /// # Errors
    /// See [`RunError`], whose predicates tell what was paid for by then.
    pub async fn execute(self) -> Result<Report, RunError> {
        let started = Instant::now();
        let mut driver = self.begin(false).await?;
        loop {
            match driver.drive().await {
                Ok(()) if driver.folder.state.attempt < self.attempts && !driver.folder.state.cancelled => {
                    if !self.attempt(&mut driver, Repair::new()).await? {
                        return self.report(driver.folder, started).await;
                    }
                }
                Ok(()) => return self.report(driver.folder, started).await,
                Err(Stopped::Failed(error)) => return Err(self.broke_off(driver, error)),
                Err(Stopped::Later) => return Err(RunError::new(Kind::GaveUp)),
            }
        }
    }

    /// Goes as far as until there is nothing to do but to wait: creates the batches, as many as may be at work at once,
    /// and settles those that are over. How far the run is then; given again, it goes on.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn submit(self) -> Result<RunStatus, RunError> {
        let mut driver = self.begin(true).await?;
        match driver.drive().await {
            Ok(()) | Err(Stopped::Later) => {
                let path = driver.folder.path().to_owned();
                drop(driver);
                status(path)
            }
            Err(Stopped::Failed(error)) => Err(self.broke_off(driver, error)),
        }
    }

    /// Cancels it: creates no more batches, asks those at work to stop, waits until they have, and fetches what they
    /// finished. When another process is at work on it, that one is asked to do so, and this one has no report.
    ///
    /// # Errors
    /// See [`RunError`].
    pub async fn cancel(self) -> Result<Option<Report>, RunError> {
        let started = Instant::now();
        let path = self.folder_path();
        self.check_places()?;
        match Folder::open(&path) {
            Err(error) if error.is_busy() => Folder::ask_to_cancel(&path).map(|()| None),
            Err(error) => Err(error),
            Ok(folder) => {
                let mut driver = self.enter(folder, Deadline::after(self.deadline), false).await?;
                if driver.folder.state.finished.is_none() && !driver.folder.state.cancelled {
                    driver.folder.say(Event::Cancelled)?;
                }
                match driver.drive().await {
                    Ok(()) => self.report(driver.folder, started).await.map(Some),
                    Err(Stopped::Failed(error)) => Err(error),
                    Err(Stopped::Later) => Err(RunError::new(Kind::GaveUp)),
                }
            }
        }
    }

    /// Tries again what did not succeed and can, as another attempt of the run that the folder holds; lines of a run that
    /// was cancelled which were not sent are sent then. When nothing can, the report is that of the run as it is.
    ///
    /// # Errors
    /// See [`RunError`]. One that [`is_place`](RunError::is_place) when the run is not finished.
    pub async fn repair(self, repair: Repair) -> Result<Report, RunError> {
        let started = Instant::now();
        let mut driver = self.begin(false).await?;
        self.attempt(&mut driver, repair).await?;
        match driver.drive().await {
            Ok(()) => self.report(driver.folder, started).await,
            Err(Stopped::Failed(error)) => Err(error),
            Err(Stopped::Later) => Err(RunError::new(Kind::GaveUp)),
        }
    }

    /// Begins another attempt, if there is anything to be tried again.
    async fn attempt(&self, driver: &mut Driver, repair: Repair) -> Result<bool, RunError> {
        let deadline = driver.deadline();
        let folder = &mut driver.folder;
        if folder.state.finished.is_none() && !folder.state.has_failed() {
            return Err(
                RunError::place(folder.path(), "its run is not finished: go on with it first").at(folder.path())
            );
        }
        // A run that is finished was opened without that.
        self.check_account(folder, deadline).await?;
        let search = Search::new(folder, repair);
        let found = blocking(move || search.shards()).await;
        let shards =
            found.map_err(|Fault(path, error)| RunError::io("look through", &path, error).at(folder.path()))?;
        let unsent = folder.state.shards.values().any(|shard| shard.phase == Phase::Cancelled);
        if shards.is_empty() && !unsent {
            return Ok(false);
        }
        if !folder.is_fresh() {
            folder.enter(self.who())?;
        }
        // Also where a cancelled run had sent everything: what is cancelled submits nothing.
        if folder.state.cancelled {
            folder.say(Event::Resumed)?;
        }
        if !shards.is_empty() {
            let attempt = folder.state.attempt + 1;
            folder.say(Event::Attempt { attempt, shards })?;
        }
        Ok(true)
    }

    /// The folder is made or opened, and this process is at work in it.
    async fn begin(&self, detach: bool) -> Result<Driver, RunError> {
        let deadline = Deadline::after(self.deadline);
        self.check_options().map_err(RunError::refused)?;
        self.check_places()?;
        let folder = match &self.inputs {
            None => Folder::open(&self.folder_path())?,
            Some(inputs) => {
                let prepared = deadline.within(self.prepare(inputs)).await;
                prepared.map_err(|error| RunError::refused(error.context("gave up before the end of the check")))??
            }
        };
        self.enter(folder, deadline, detach).await
    }

    /// Checks and cuts the input, or finds the run of it that is there.
    async fn prepare(&self, inputs: &[PathBuf]) -> Result<Folder, RunError> {
        let (path, inputs, check, asked) = (self.folder_path(), inputs.to_vec(), self.check_rules(), self.asked());
        let who = self.who();
        // The thread does not stop when this future is dropped: it asks `wanted` whether to go on.
        let here = Arc::new(());
        let seen = Arc::downgrade(&here);
        let wanted = move || seen.strong_count() > 0;
        let prepared = blocking(move || {
            let draft = Draft { path: &path, inputs: &inputs, check: &check, asked, who };
            Folder::prepare(draft, &wanted)
        })
        .await;
        let (folder, checked) = prepared?;
        drop(here);
        if let Some(checked) = checked {
            (self.on_progress)(Progress::Checked(&checked));
        }
        let fault = folder.record.shards.iter().find_map(|shard| check_endpoint(&self.client, &shard.endpoint).err());
        match fault {
            None => Ok(folder),
            Some(error) => {
                folder.remove();
                Err(RunError::refused(error))
            }
        }
    }

    /// Writes down that this process goes on with the run, and what a person has said.
    async fn enter(&self, mut folder: Folder, deadline: Deadline, detach: bool) -> Result<Driver, RunError> {
        let fresh = folder.is_fresh();
        if !fresh && folder.state.finished.is_none() {
            self.check_account(&folder, deadline).await?;
            folder.enter(self.who())?;
            let batches = folder.state.batches();
            (self.on_progress)(Progress::GoesOn { folder: folder.path(), batches: &batches });
        }
        for word in &self.words {
            let (shard, event) = match word {
                Word::NoBatch(shard) => (*shard, Event::NoBatch { shard: *shard, why: "a person said so".to_owned() }),
                Word::Adopt(shard, batch) => {
                    (*shard, Event::Created { shard: *shard, batch: batch.clone(), adopted: true })
                }
            };
            match folder.state.shards.get(&shard) {
                Some(found) if found.phase == Phase::Creating => folder.say(event)?,
                // No create was sent: the batch is that of a run whose folder is lost.
                Some(Shard { phase: Phase::Planned | Phase::Uploaded, .. }) if matches!(word, Word::Adopt(..)) => {
                    folder.say(event)?;
                }
                // Its batch is not known to the service any more, or cannot be fetched.
                Some(found) if found.held.is_some() => folder.say(event)?,
                _ => {
                    let why = format!("shard {shard} has no create whose answer was lost");
                    return Err(RunError::place(folder.path(), why));
                }
            }
        }
        // All others are looked at again.
        let held = folder.state.shards.values().filter(|shard| shard.held.is_some());
        let held: Vec<u32> = held.map(|shard| shard.plan.number).collect();
        for shard in held {
            folder.say(Event::Released { shard })?;
        }
        let options = folder.record.options().map_err(RunError::refused)?;
        let manner = Manner {
            cadence: self.cadence.clone(),
            tolerance: self.tolerance.clone(),
            deadline,
            max_open: self.max_open,
            settle_after_loss: self.settle_after_loss,
            detach,
            on_progress: Arc::clone(&self.on_progress),
        };
        Ok(Driver::new(self.client.clone(), folder, options, manner))
    }

    /// Refuses to go on with a run of another service or end user. Another key is taken over when it knows something of
    /// the run: keys are renewed.
    async fn check_account(&self, folder: &Folder, deadline: Deadline) -> Result<(), RunError> {
        let asked = self.asked();
        let then = &folder.record.asked;
        let refuse =
            |why: String| Err(RunError::new(Kind::Taken { why }).at(folder.path()).with(folder.state.batches()));
        let elsewhere = (&then.base_url, &then.on_behalf_of) != (&asked.base_url, &asked.on_behalf_of);
        if elsewhere && kept(Rule::Account) {
            let user = |user: &Option<String>| if user.is_some() { " on behalf of an end user" } else { "" };
            return refuse(format!(
                "holds a run of {}{}, and not of {}{}",
                then.base_url,
                user(&then.on_behalf_of),
                asked.base_url,
                if then.base_url == asked.base_url {
                    " on behalf of another end user"
                } else {
                    user(&asked.on_behalf_of)
                },
            ));
        }
        let same = folder.state.opened.as_ref().is_none_or(|before| before.key == self.client.shared().account().key);
        let (Some(batch), false, None) = (folder.state.batches().pop(), same, &self.gateway) else { return Ok(()) };
        match deadline.bound(self.client.batches().get(&batch)).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() || error.is_forbidden() || error.is_unauthorized() => {
                refuse(format!("was begun with another key, and this one does not know its batch {batch} ({error})"))
            }
            Err(error) => Err(RunError::refused(error).at(folder.path()).with(folder.state.batches())),
        }
    }

    fn who(&self) -> Opened {
        Opened {
            lote: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            host: save::host(),
            folder: String::new(),
            key: match &self.gateway {
                Some(_) => Asked::EMBEDDED.to_owned(),
                None => self.client.shared().account().key.clone(),
            },
            gateway: self.gateway.clone(),
            anew: self.anew || self.gateway.is_some(),
            cut: false,
        }
    }

    /// A run that this process made, and of which nothing was begun, leaves nothing.
    fn broke_off(&self, driver: Driver, error: RunError) -> RunError {
        let nothing = driver.folder.state.nothing_was_begun()
            && driver.folder.state.shards.values().all(|shard| shard.nonce.is_none());
        if nothing && self.inputs.is_some() && error.is_refused() {
            driver.folder.remove();
        }
        error
    }

    /// The report of a finished run, and its results where they are wanted as well.
    async fn report(&self, folder: Folder, started: Instant) -> Result<Report, RunError> {
        let path = folder.join(SUMMARY);
        let read = std::fs::read(&path).and_then(|text| Ok(serde_json::from_slice::<Summary>(&text)?));
        let Summary { run, batches, joined } = read.map_err(|error| folder.failed("read", SUMMARY, error))?;
        let mut report = Report {
            run,
            batches,
            joined,
            folder: folder.path().to_owned(),
            results: folder.join(RESULTS),
            seconds: started.elapsed().as_secs_f64(),
        };
        if let Some(output) = &self.output {
            let to = Output::new(output, self.may_replace(folder.state.finished.clone())).access(folder.access());
            let output = output.clone();
            match copy_results(&report.results, to).await {
                Ok(true) => report.results = output,
                // What went into a pipe or a device cannot be read again.
                Ok(false) => {}
                Err(error) => {
                    let at = folder.path().to_owned();
                    return Err(RunError::new(Kind::NotCopied { output, error, report: Box::new(report) }).at(&at));
                }
            }
        }
        Ok(report)
    }

    /// What the input is held against.
    fn check_rules(&self) -> CheckOptions {
        let dialect = self.client.dialect().check_options();
        CheckOptions { endpoint: self.endpoint.clone(), limits: self.limits.unwrap_or(dialect.limits), ..dialect }
    }

    fn asked(&self) -> Asked {
        let cut = Cut::of(&self.check_rules());
        let asked = Asked::new(&self.client, self.gateway.is_some(), &self.options, self.endpoint.clone());
        Asked { cut, limit: self.limit, ..asked }
    }

    /// Refuses, before anything is sent, options that the create would refuse.
    fn check_options(&self) -> Result<(), Error> {
        if let Some(key) = self.options.metadata.keys().find(|key| key.starts_with("lote_")) {
            let message =
                format!("metadata: {key}: names that begin with lote_ are the run's own; name the pair otherwise");
            return Err(Error::invalid(message));
        }
        let mut marked = self.options.clone();
        for key in [adopt::RUN, adopt::SHARD, adopt::CREATE, adopt::SHA256] {
            marked = marked.metadata(key, "0".repeat(64));
        }
        self.client.shared().dialect().check_batch(&marked)
    }

    /// Refuses, before anything is sent, places that cannot be read, or cannot take the results.
    fn check_places(&self) -> Result<(), RunError> {
        let folder = self.folder_path();
        let inputs = self.inputs.as_deref().unwrap_or_default();
        if self.inputs.as_ref().is_some_and(Vec::is_empty) {
            return Err(RunError::place(&folder, "there is no file of requests to run"));
        }
        for input in inputs {
            match std::fs::metadata(input) {
                Err(error) => return Err(RunError::place(input, error.to_string())),
                Ok(found) if found.is_dir() => {
                    return Err(RunError::place(input, "it is a folder; name a file of requests"));
                }
                Ok(found) if !found.is_file() && self.folder.is_none() => {
                    let why = "it is no regular file to stand beside; name the folder of the run";
                    return Err(RunError::place(input, why));
                }
                Ok(_) => {}
            }
            if folder == *input {
                return Err(RunError::place(&folder, "it is the input; name another folder"));
            }
        }
        let real = std::fs::canonicalize(&folder).ok();
        if real.is_some() && real == std::env::current_dir().ok() && self.inputs.is_some() {
            return Err(RunError::place(&folder, "it is the current folder; name one that is not there yet"));
        }
        match &self.output {
            Some(output) => self.check_output(output, &folder),
            None => Ok(()),
        }
    }

    /// Refuses an output that could not be written at the end, or that would replace something of the run.
    fn check_output(&self, output: &Path, folder: &Path) -> Result<(), RunError> {
        let refuse = |why: &str| Err(RunError::place(output, why));
        let (real, real_folder) = (resolved(output), resolved(folder));
        if real == real_folder {
            return refuse("it is the folder of the run; name a file");
        }
        if real.starts_with(&real_folder) {
            return refuse("it is in the folder of the run, which keeps its own results; name another file");
        }
        let is_input = |input: &PathBuf| real == resolved(input) || save::same_file(output, input);
        if self.inputs.iter().flatten().any(is_input) {
            return refuse("it is the input; name another file");
        }
        if let Some(why) = Output::ending_fault(output, "results") {
            return refuse(&why);
        }
        // What can be written now can most likely be written later; nothing is left of it.
        let stored = Folder::look(folder).ok().and_then(|seen| seen.state.finished);
        Output::new(output, self.may_replace(stored)).try_out().map_err(|error| RunError::closed(output, error))
    }

    /// What the output may replace, of a run that wrote these results last.
    fn may_replace(&self, stored: Option<Stored>) -> Replace {
        match stored {
            _ if self.replace_output => Replace::Anything,
            Some(stored) => Replace::Stored(stored),
            None => Replace::Nothing,
        }
    }
}

/// Refuses, before anything is sent, an endpoint that the dialect's create would refuse.
fn check_endpoint(client: &Client, endpoint: &str) -> Result<(), Error> {
    if endpoint.is_empty() {
        let problem = "no request line has a url: say which endpoint the batch is for (--endpoint); nothing was sent";
        return Err(Error::invalid(problem));
    }
    client.shared().dialect().check_endpoint(endpoint)
}

/// Copies the results to where they are wanted as well, whole or not at all. Whether they are a file there.
async fn copy_results(results: &Path, output: Output) -> std::io::Result<bool> {
    let results = results.to_owned();
    blocking(move || {
        let mut writing = output.begin()?;
        std::io::copy(&mut std::fs::File::open(results)?, &mut writing)?;
        let file = writing.is_file();
        writing.commit().map(|()| file)
    })
    .await
}

/// A path as far as it exists without links, and the rest as it is written.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|part| Some((part, std::fs::canonicalize(part).ok()?)));
    match there {
        Some((part, real)) => path.strip_prefix(part).map_or_else(
            |_| path.clone(),
            |rest| if rest.as_os_str().is_empty() { real.clone() } else { real.join(rest) },
        ),
        None => path,
    }
}
