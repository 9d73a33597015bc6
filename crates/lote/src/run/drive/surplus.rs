//! Batches that were made of the same lines for nothing: stopped at once, and what they finished is fetched all the same.

use super::Driver;
use crate::{
    Batch, BatchId, Error,
    collect::Uncollected,
    heavy::blocking,
    run::{
        Progress, RunError,
        error::Kind,
        event::Event,
        folder::{ANOMALIES, REQUESTS, RESULTS, SUMMARY},
        merge::ShardSummary,
        seal,
        state::SurplusPhase,
    },
    save::{AtomicFile, Dir},
};

/// The status of a surplus batch that the service does not know any more.
const NOT_FOUND: &str = "not_found";

impl Driver {
    /// Asks the surplus batches that are at work to stop, once by each process.
    pub(super) async fn stop_surplus(&mut self) -> Result<(), RunError> {
        for (_, id) in self.folder.state.open_surplus() {
            if self.stopped.contains(&id) {
                continue;
            }
            match self.manner.deadline.bound(self.client.batches().cancel(&id)).await {
                // It is over already, or not there any more: a look at it tells.
                Err(error) if !error.is_conflict() && !error.is_not_found() => {
                    return Err(self.service(error).repeatable());
                }
                _ => self.stopped.insert(id),
            };
        }
        Ok(())
    }

    /// A surplus batch is over.
    pub(super) fn surplus_over(&mut self, shard: u32, id: BatchId, batch: Batch) -> Result<(), RunError> {
        let status = batch.status.as_str().to_owned();
        self.folder.say(Event::SurplusOver { shard, batch: id.clone(), status })?;
        self.seen.insert(id, batch);
        Ok(())
    }

    /// The service does not know a surplus batch any more: nothing can be fetched of it.
    pub(super) fn surplus_unknown(&mut self, shard: u32, id: BatchId, error: &Error) -> Result<(), RunError> {
        self.tell(Progress::Survived(error));
        self.folder.say(Event::SurplusOver { shard, batch: id.clone(), status: NOT_FOUND.to_owned() })?;
        self.folder.say(Event::SurplusSettled { shard, batch: id, results: None })
    }

    /// Fetches what a surplus batch of a shard has finished, and joins it with the requests, beside what the shard's own
    /// batch has. That there is nothing to be had is told, and stands in nobody's way.
    pub(super) async fn settle_surplus(&mut self, number: u32) -> Result<(), RunError> {
        let surplus = self.folder.state.shards.get(&number).map(|shard| shard.surplus.as_slice()).unwrap_or_default();
        let found = surplus.iter().enumerate().find(|(_, surplus)| surplus.phase == SurplusPhase::Over);
        let Some((place, id)) = found.map(|(place, surplus)| (place, surplus.batch.clone())) else { return Ok(()) };
        if let Some(error) = self.altered_requests(number).await {
            return Err(self.failed("read", &self.folder.shard(number).join(REQUESTS), error));
        }
        let batch = match self.seen.remove(&id).filter(Batch::is_terminal) {
            Some(batch) => batch,
            None => match self.manner.deadline.bound(self.client.batches().get(&id)).await {
                Ok(batch) => batch,
                Err(error) if error.is_unanswered() => return Err(self.ended(Kind::Unfetched(error)).repeatable()),
                Err(error) => return self.surplus_unfetched(number, id, error),
            },
        };
        self.folder.check()?;
        let at = self.folder.begin_surplus(number, place);
        let at = at.map_err(|error| self.failed("make a folder in", &self.folder.shard(number), error))?;
        let (batch, collected) = {
            let is_ours = || self.folder.is_ours();
            let open = |name: &'static str| AtomicFile::within(Dir::open(&at)?, name.as_ref(), self.folder.access());
            let open = &open;
            let begin = |name| move || open(name);
            let mut collect = self.collect(batch, &at, &is_ours);
            let collected = match collect.fetch().await {
                Ok(()) => {
                    let requests = self.folder.shard(number).join(REQUESTS);
                    collect.join(&requests, Some(begin(RESULTS)), Some(begin(ANOMALIES))).await
                }
                Err(error) => Err(error),
            };
            (collect.batch, collected)
        };
        let (joined, results) = match collected {
            Ok(collected) => collected,
            Err(Uncollected::NotRun) => {
                return self.folder.say(Event::SurplusSettled { shard: number, batch: id, results: None });
            }
            Err(Uncollected::Unfetched(error)) => return self.surplus_unfetched(number, id, error),
            Err(other) => return Err(self.uncollected(&at, other)),
        };
        let written = blocking(move || results.written()).await;
        let written = written.map_err(|error| self.failed("read", &at.join(RESULTS), error))?;
        self.folder.check()?;
        let summary = Dir::open(&at).and_then(|dir| AtomicFile::within(dir, SUMMARY.as_ref(), self.folder.access()));
        summary
            .and_then(|atomic| seal::write(atomic, &ShardSummary::new(Some(batch), joined)))
            .map_err(|error| self.failed("write", &at.join(SUMMARY), error))?;
        self.folder.say(Event::SurplusSettled { shard: number, batch: id, results: Some(written) })
    }

    /// What a surplus batch has could not be fetched. What is not there now will not be there later.
    fn surplus_unfetched(&mut self, number: u32, id: BatchId, error: Error) -> Result<(), RunError> {
        if !error.is_late() && !error.is_not_found() {
            return Err(self.ended(Kind::Unfetched(error)));
        }
        self.tell(Progress::Survived(&error));
        self.folder.say(Event::SurplusSettled { shard: number, batch: id, results: None })
    }
}
