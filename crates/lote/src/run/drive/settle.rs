//! Fetches what came of a batch that is over, and joins it with the requests.

use std::sync::Arc;

use super::Driver;
use crate::{
    Batch, Error,
    collect::{Collect, Step, Uncollected},
    fetch::{blocking, patience},
    run::{
        Progress, RunError,
        error::Kind,
        event::Event,
        folder::{ERRORS, OUTPUT, REQUESTS, RESULTS, SUMMARY, write_json},
        merge::ShardSummary,
        refusal,
    },
    save::Stored,
};

impl Driver {
    /// Fetches the files of a batch that is over, and joins them with the requests into the shard's results.
    pub(super) async fn settle(&mut self, number: u32) -> Result<(), RunError> {
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

    /// What a batch has could not be fetched. One of several is left for later when only it is at fault.
    fn unfetched(&mut self, number: u32, error: Error) -> Result<(), RunError> {
        let alone = self.folder.state.shards.len() == 1;
        if error.is_deadline() || error.is_io() || alone || error.is_connection() {
            return Err(self.ended(Kind::Unfetched(error)));
        }
        self.tell(Progress::Trouble(&error));
        self.folder.say(Event::Held { shard: number, why: error.to_string() })
    }
}
