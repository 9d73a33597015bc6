//! The blocking run.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use super::{Each, driver::Driver, mirror::mirror};
use crate::{
    BatchId, Cadence, Tolerance,
    lines::Limits,
    options,
    prices::{Cost, Prices},
    run::{self, Clean, CleanedRemote, Pace, Partition, Progress, Repair, Report, RunError, RunEvent, RunStatus},
};

mirror! {
    /// A run to be made, from a file of requests to a file of results: see [`lote::run::Run`](crate::run::Run) for its
    /// folder and its steps, and [`Client::run`](super::Client::run).
    ///
    /// As an iterator, `for event in client.run(requests)`, it gives what happens, the last one
    /// [`RunEvent::Over`](crate::run::RunEvent::Over). It begins when the first is taken, and goes on in the client's
    /// threads while the caller does something else: see [`lote::run::Run::into_stream`](crate::run::Run::into_stream).
    ///
    /// ```
    /// # fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
    /// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build_blocking()?;
    /// # let place = tempfile::tempdir()?;
    /// # let requests = place.path().join("requests.jsonl");
    /// # std::fs::write(&requests, "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n")?;
    /// use lote::run::{RunEvent, outcomes};
    ///
    /// let run = client.run(&requests);
    /// let folder = run.folder_path();
    /// # let mut texts = 0;
    /// for event in run {
    ///     match event {
    ///         // What has come is worked on while the rest runs.
    ///         RunEvent::Settled { shard, .. } => {
    ///             for outcome in outcomes(&folder)?.of_shard(shard)? {
    ///                 println!("{}", outcome?.text()?);
    /// #               texts += 1;
    ///             }
    ///         }
    ///         RunEvent::Over(ended) => println!("{} lines", ended?.joined.lines),
    ///         _ => {}
    ///     }
    /// }
    /// # assert_eq!(texts, 1);
    /// # Ok(())
    /// # }
    /// # let runtime = tokio::runtime::Runtime::new().unwrap();
    /// # let gateway = runtime.block_on(lote_gateway::Gateway::builder().start()).unwrap();
    /// # example(&gateway).unwrap();
    /// ```
    #[derive(Clone)]
    #[must_use = "nothing runs until it is executed"]
    Run of run {
        fn folder(folder: impl Into<PathBuf>);
        fn default_folder(folder: impl Into<PathBuf>);
        fn output(output: impl Into<PathBuf>);
        fn replace_output(replace: bool);
        fn endpoint(endpoint: impl Into<String>);
        fn limits(limits: Limits);
        fn first_lines(lines: u64);
        fn partition(part: Partition);
        fn dedupe(dedupe: bool);
        fn max_open(batches: usize);
        fn max_enqueued_tokens(tokens: u64);
        fn creates_per_hour(batches: u32);
        fn keep_limits_in(folder: impl Into<PathBuf>);
        fn attempts(attempts: u32);
        fn settle_after_loss(time: Duration);
        fn anew(anew: bool);
        fn clean_remote(clean: bool);
        fn partial(partial: bool);
        fn prices(prices: Prices);
        fn max_cost(cost: Cost);
        fn max_run_tokens(tokens: u64);
        fn assume_output_tokens(tokens: u64);
        fn synchronous(synchronous: bool);
        fn pace(pace: Pace);
        fn embedded(gateway: impl Into<String>);
        fn no_batch(shard: u32);
        fn adopt(shard: u32, batch: BatchId);
        fn deadline(deadline: Duration);
        fn begun(begun: Instant);
        fn cadence(cadence: Cadence);
        fn tolerance(tolerance: Tolerance);
        fn on_progress(call: impl Fn(Progress<'_>) + Send + Sync + 'static);
    }
}

options::held!(Run, inner, options);

impl Run {
    pub(super) fn new(driver: Driver, inner: crate::run::Run) -> Self {
        Self { driver, inner }
    }

    /// The folder that the run will have.
    pub fn folder_path(&self) -> PathBuf {
        self.inner.folder_path()
    }

    /// The run in the folder in which it will be.
    ///
    /// # Errors
    /// See [`RunError`]. In async code one that is refused.
    pub fn placed(self) -> Result<Self, RunError> {
        let Self { driver, inner } = self;
        let placed = driver.run(inner.placed()).unwrap_or_else(|error| Err(RunError::refused(error)))?;
        Ok(Self { driver, inner: placed })
    }

    /// Runs it.
    ///
    /// # Errors
    /// See [`RunError`], whose predicates tell what was paid for by then. In async code one that is refused.
    pub fn execute(self) -> Result<Report, RunError> {
        self.driver.run(self.inner.execute()).unwrap_or_else(|error| Err(RunError::refused(error)))
    }

    /// Goes as far as until there is nothing to do but to wait.
    ///
    /// # Errors
    /// See [`RunError`]. In async code one that is refused.
    pub fn submit(self) -> Result<RunStatus, RunError> {
        self.driver.run(self.inner.submit()).unwrap_or_else(|error| Err(RunError::refused(error)))
    }

    /// What came of a run that is finished, read from its folder: no call is made.
    ///
    /// # Errors
    /// Those of opening its folder: see [`RunError`]. In async code one that is refused.
    pub fn finished(&self) -> Result<Option<Report>, RunError> {
        self.driver.run(self.inner.finished()).unwrap_or_else(|error| Err(RunError::refused(error)))
    }

    /// Tries again what did not succeed and can.
    ///
    /// # Errors
    /// See [`RunError`]. In async code one that is refused.
    pub fn repair(self, repair: Repair) -> Result<Report, RunError> {
        self.driver.run(self.inner.repair(repair)).unwrap_or_else(|error| Err(RunError::refused(error)))
    }

    /// Deletes what it has put at the service.
    ///
    /// # Errors
    /// See [`RunError`]. In async code one that is refused.
    pub fn delete_remote(self, clean: Clean) -> Result<CleanedRemote, RunError> {
        self.driver.run(self.inner.delete_remote(clean)).unwrap_or_else(|error| Err(RunError::refused(error)))
    }

    /// Cancels it, and fetches what it finished.
    ///
    /// # Errors
    /// See [`RunError`]. In async code one that is refused.
    pub fn cancel(self) -> Result<Option<Report>, RunError> {
        self.driver.run(self.inner.cancel()).unwrap_or_else(|error| Err(RunError::refused(error)))
    }
}

impl IntoIterator for Run {
    type Item = RunEvent;
    type IntoIter = Each<'static, RunEvent>;

    fn into_iter(self) -> Self::IntoIter {
        Each::new(self.driver, self.inner.into_stream(), |error| RunEvent::Over(Err(RunError::refused(error))))
    }
}
