//! Batches in memory: their making, their lists, their cancellation.

use std::sync::Arc;

use tokio::sync::Mutex;

use crate::blobs::Spool;
use crate::contract::Status;
use crate::metrics::Census;
use crate::state::memory::files::nothing;
use crate::state::memory::{Kept, Memory};
use crate::state::{BatchRecord, Created, Input, NewBatch, Page, Query, Slice, Withdrawn};
use crate::tenant::{AccountId, Tenant};

/// What a batch has beside its record.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) tenant: Tenant,
    pub(super) account: AccountId,
    pub(super) input: Option<Input>,
    pub(super) deadline_ms: i64,
    pub(super) epoch: i64,
    pub(super) is_held: bool,
    pub(super) stage: Stage,
    /// Whether it is to end before all lines are answered.
    pub(super) is_ending: bool,
    pub(super) slice: Option<Slice>,
    pub(super) answered: Vec<bool>,
    pub(super) segments: u32,
    pub(super) written: Arc<Mutex<Written>>,
}

/// How far a batch is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Validating,
    Running,
    Finishing,
    Over,
}

/// The two result files in the making. Neither exists before its first line.
#[derive(Debug, Default)]
pub(super) struct Written {
    pub(super) output: Option<Spool>,
    pub(super) error: Option<Spool>,
}

impl Kept {
    pub(super) fn record(&mut self, tenant: Tenant, id: &str) -> Option<&mut BatchRecord> {
        self.shelves.get_mut(&tenant)?.batches.get_mut(id)
    }
}

impl Memory {
    pub(super) fn create(&self, new: &NewBatch) -> Created {
        let now_ms = self.options.clock.now_ms();
        let input = self.find(new.tenant, &new.input_file_id);
        let mut kept = self.kept();
        let place = new.idempotency.as_ref().map(|(key, asked)| ((new.tenant, key.clone()), *asked));
        if let Some((place, asked)) = &place
            && let Some((before, id)) = kept.made.get(place).cloned()
        {
            let made = kept.record(new.tenant, &id).filter(|_| before == *asked);
            return made.map_or(Created::Conflict, |batch| Created::Repeated(batch.clone()));
        }
        if new.needs_input && input.as_ref().is_none_or(|file| file.purpose != "batch") {
            return Created::NoInput(input.map(|file| file.purpose.clone()));
        }
        if let Err(full) = self.accounts.of(new.account).add_batch() {
            return Created::Full(full);
        }
        let window_ms = i64::try_from(new.window.as_millis()).unwrap_or(i64::MAX);
        let batch = BatchRecord::new(new, now_ms);
        if let Some((place, asked)) = place {
            kept.made.insert(place, (asked, new.id.clone()));
        }
        let job = Job {
            tenant: new.tenant,
            account: new.account,
            input: input.map(|file| Input { purpose: file.purpose.clone(), blob: Arc::clone(&file.blob) }),
            deadline_ms: now_ms.saturating_add(window_ms),
            epoch: 0,
            is_held: false,
            stage: Stage::Validating,
            is_ending: false,
            slice: None,
            answered: Vec::new(),
            segments: 0,
            written: Arc::default(),
        };
        kept.shelves.entry(new.tenant).or_default().batches.add(new.id.clone(), batch.clone());
        kept.jobs.insert(new.id.clone(), job);
        kept.order.push(new.id.clone());
        Created::Made(batch)
    }

    /// Nothing is ever in doubt here.
    pub(super) fn take_back(&self, new: &NewBatch) -> Withdrawn {
        self.find_batch(new.tenant, &new.id).map_or(Withdrawn::Never, Withdrawn::Exists)
    }

    pub(super) fn find_batch(&self, tenant: Tenant, id: &str) -> Option<BatchRecord> {
        self.kept().record(tenant, id).cloned()
    }

    pub(super) fn list_batches(&self, tenant: Tenant, query: &Query) -> Page<BatchRecord> {
        match self.kept().shelves.get(&tenant) {
            Some(shelf) => shelf.batches.page(query, |batch| !query.hidden.contains(&batch.id)),
            None => nothing(query),
        }
    }

    pub(super) fn begin_cancel(&self, tenant: Tenant, id: &str, stuck: bool) -> Option<(BatchRecord, bool)> {
        let now = self.now();
        let mut kept = self.kept();
        let batch = kept.record(tenant, id)?;
        let is_changed = batch.enter(Status::Cancelling, now);
        if is_changed && stuck {
            batch.stuck = true;
            batch.cancelled_at = Some(now);
        }
        let batch = batch.clone();
        if is_changed && let Some(job) = kept.jobs.get_mut(id) {
            job.is_ending = true;
            job.end_if_free();
        }
        Some((batch, is_changed))
    }

    /// Batches that are held and are to end.
    pub(super) fn ending(&self) -> Vec<String> {
        let kept = self.kept();
        let is_ending = |id: &&String| kept.jobs.get(*id).is_some_and(|job| job.is_held && job.is_ending);
        kept.order.iter().filter(is_ending).cloned().collect()
    }

    pub(super) fn count(&self) -> Census {
        let mut census = Census::default();
        for (tenant, shelf) in &self.kept().shelves {
            for batch in shelf.batches.things.values() {
                *census.batches.entry(batch.status.name()).or_default() += 1;
                if !batch.status.is_terminal() {
                    let counts = batch.counts;
                    let waiting = counts.total.saturating_sub(counts.completed + counts.failed);
                    *census.waiting.entry(*tenant).or_default() += waiting;
                }
            }
        }
        census
    }
}

impl Job {
    /// Lets go what only work needs.
    pub(super) fn forget(&mut self) {
        self.input = None;
        self.answered = Vec::new();
        self.written = Arc::default();
    }

    /// A batch that is to end and that nobody holds has only its end before it.
    pub(super) fn end_if_free(&mut self) {
        if self.is_ending && !self.is_held && self.stage != Stage::Over {
            self.stage = Stage::Finishing;
        }
    }
}
