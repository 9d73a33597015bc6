//! Fetches what came of a batch that is over, and joins it with the requests.

use std::{path::Path, sync::Arc};

use super::Driver;
use crate::{
    Batch, BatchId, Error,
    collect::{Collect, Step, Uncollected},
    fetch::patience,
    heavy::blocking,
    lines::JoinError,
    run::{
        Progress, RunError,
        error::Kind,
        event::{Event, Fetched},
        folder::{ANOMALIES, BATCH, ERRORS, OUTPUT, REQUESTS, RESULTS, SUMMARY, write_json},
        merge::ShardSummary,
        money, refusal, seal,
        state::Phase,
    },
    save::{AtomicFile, Dir, Stored},
};

impl Driver {
    /// Fetches the files of a batch that is over, or joins those that were fetched with the requests.
    pub(super) async fn settle(&mut self, number: u32) -> Result<(), RunError> {
        let Some(shard) = self.folder.state.shards.get(&number) else { return Ok(()) };
        match (shard.batch().cloned(), shard.fetched.clone()) {
            (_, Some(files)) if shard.phase == Phase::Fetched => self.join(number, &files).await,
            (Some(id), _) => self.fetch(number, &id).await,
            (None, _) => Ok(()),
        }
    }

    /// Fetches the files of a batch that is over.
    async fn fetch(&mut self, number: u32, id: &BatchId) -> Result<(), RunError> {
        let batch = match self.seen.remove(id).filter(Batch::is_terminal) {
            Some(batch) => batch,
            None => match self.manner.deadline.bound(self.client.batches().get(id)).await {
                Ok(batch) => batch,
                Err(error) if error.is_connection() => return Err(self.ended(Kind::Unfetched(error)).repeatable()),
                Err(error) => return self.unfetched(number, error),
            },
        };
        self.folder.check()?;
        let at = self.folder.shard(number);
        let (batch, fetched) = {
            let is_ours = || self.folder.is_ours();
            let mut collect = self.collect(batch, &at, &is_ours);
            let fetched = collect.fetch().await;
            let stored = collect.stored();
            (collect.batch, fetched.map(|()| stored))
        };
        match fetched {
            Ok([output, errors]) => {
                self.reach.answered();
                let batch = Some(self.written(&at, &batch)?);
                let files = Fetched { batch, output, errors, synchronous: None };
                self.folder.say(Event::Fetched { shard: number, files })
            }
            Err(Uncollected::NotRun) => self.not_run(number, &batch).await,
            Err(Uncollected::Unfetched(error)) => self.unfetched(number, error),
            Err(other) => Err(self.uncollected(&at, other)),
        }
    }

    /// Joins the files that were fetched with the requests, into the shard's results.
    async fn join(&mut self, number: u32, files: &Fetched) -> Result<(), RunError> {
        let at = self.folder.shard(number);
        if let Some(error) = self.altered_requests(number).await {
            return self.lacks_requests(number, error);
        }
        let read = |_: &Stored| std::fs::read(at.join(BATCH)).and_then(|text| Ok(serde_json::from_slice(&text)?));
        let batch: Option<Batch> = files.batch.as_ref().map(read).transpose().map_err(|error| {
            let path = at.join(BATCH);
            self.failed("read", &path, error)
        })?;
        self.folder.check()?;
        let here = [files.output.is_some(), files.errors.is_some()];
        let joined = match &batch {
            Some(batch) => {
                let is_ours = || self.folder.is_ours();
                let collect = self.collect(batch.clone(), &at, &is_ours).with(here);
                let folder = &self.folder;
                let begin = |name| move || folder.begin_in(number, name);
                collect.join(&at.join(REQUESTS), Some(begin(RESULTS)), Some(begin(ANOMALIES))).await
            }
            None => self.join_lines(number, here).await,
        };
        let (joined, results) = joined.map_err(|error| self.uncollected(&at, error))?;
        let written = blocking(move || results.written()).await;
        let written = written.map_err(|error| self.failed("read", &at.join(RESULTS), error))?;
        self.folder.check()?;
        let summary = ShardSummary::new(batch, joined);
        let put = self.folder.begin_in(number, SUMMARY).and_then(|atomic| seal::write(atomic, &summary));
        put.map_err(|error| self.failed("write", &at.join(SUMMARY), error))?;
        self.folder.say(Event::Settled { shard: number, results: written })?;
        self.tell(Progress::Settled { shard: number, joined: &summary.joined });
        Ok(())
    }

    /// The way from a batch to its results, into this folder.
    pub(super) fn collect<'a>(&self, batch: Batch, at: &Path, is_ours: &'a (dyn Fn() -> bool + Sync)) -> Collect<'a> {
        let (steps, reach, looks) = (Arc::clone(&self.manner.on_progress), self.reach.clone(), self.reach.clone());
        let on_step = move |step: Step<'_>| match step {
            Step::Downloading(name) => steps(Progress::Downloading { name }),
            Step::Looked(batch) => {
                looks.answered();
                steps(Progress::Waiting(batch));
            }
            Step::Joining => steps(Progress::Joining),
        };
        let on_trouble = move |error: &Error| reach.trouble(error);
        Collect::new(self.client.clone(), batch, at, [OUTPUT, ERRORS])
            .access(self.folder.access())
            .apart(money::prices(&self.folder.record, &self.folder.state).tiers())
            .while_ours(is_ours)
            .tolerance(self.tolerance(patience()))
            .cadence(self.manner.cadence.clone())
            .deadline(self.manner.deadline)
            .telling(Arc::new(on_step), Arc::new(on_trouble))
    }

    /// Leaves the batch beside its files, and says how it was written.
    fn written(&self, at: &Path, batch: &Batch) -> Result<Stored, RunError> {
        let path = at.join(BATCH);
        let folder = Dir::open(at).and_then(|dir| AtomicFile::within(dir, BATCH.as_ref(), self.folder.access()));
        let batch = folder.and_then(|atomic| write_json(atomic, batch)).and_then(|()| Stored::of(&path));
        batch.map_err(|error| self.failed("write", &path, error))
    }

    pub(super) fn uncollected(&self, at: &Path, error: Uncollected) -> RunError {
        match error {
            Uncollected::Lost => self.ended(Kind::Lost),
            Uncollected::Unwritten(error) => self.failed("write", &at.join(RESULTS), error),
            Uncollected::Unjoined(JoinError::Temporary { folder, source }) => {
                self.failed("write a temporary file in", &folder, source)
            }
            error => self.failed("join", at, std::io::Error::other(error.into_error(None, None).to_string())),
        }
    }

    /// A batch failed before any of its lines was run.
    async fn not_run(&mut self, number: u32, batch: &Batch) -> Result<(), RunError> {
        let why: Vec<String> = batch.errors.iter().take(20).map(ToString::to_string).collect();
        let why = if why.is_empty() { "the service does not say why".to_owned() } else { why.join("\n  ") };
        let lines = self.folder.state.shards.get(&number).map_or(0, |shard| shard.plan.lines);
        if let Some(lack) = refusal::failed_for_room(batch, lines) {
            if self.is_over(number, lack) {
                return self.halve(number, why).await;
            }
            let error = Error::late(format!("batch {} was not run: {why}", batch.id));
            self.folder.say(Event::Postponed { shard: number, batch: batch.id.clone(), why })?;
            return self.make_room(number, lack, error).await;
        }
        if refusal::failed_as_too_big(batch) {
            return self.halve(number, why).await;
        }
        self.folder.say(Event::Failed { shard: number, why })
    }

    /// What a batch has could not be fetched, and only it is at fault: what is not there may never be, and a person can say
    /// so. The others go on, if there are any.
    fn unfetched(&mut self, number: u32, error: Error) -> Result<(), RunError> {
        if error.is_deadline() || error.is_io() || error.is_connection() {
            return Err(self.ended(Kind::Unfetched(error)));
        }
        self.tell(Progress::Survived(&error));
        self.hold(number, error.to_string())
    }
}
