//! Who works on which batch in memory, and what came of it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::contract::Status;
use crate::state::memory::batches::{Job, Stage, Written};
use crate::state::memory::{Kept, Memory};
use crate::state::{BatchRecord, Claim, End, Fate, Finding, Held, Parcel, ResultFile, Results, Segment, Slice, Work};
use crate::tenant::Tenant;

/// Nobody else gets a parcel for so long.
const TAKEN_MS: i64 = 60_000;

impl Kept {
    /// The batch, if this is who holds it.
    fn held(&mut self, held: &Held) -> Option<(&mut Job, &mut BatchRecord)> {
        let job = self.jobs.get_mut(&held.batch.id).filter(|job| job.is_held && job.epoch == held.epoch)?;
        let batch = self.shelves.get_mut(&held.tenant)?.batches.get_mut(&held.batch.id)?;
        Some((job, batch))
    }
}

impl Memory {
    pub(super) fn take_work(&self, slots: u32, batch: Option<&str>) -> Option<Work> {
        let mut kept = self.kept();
        let id = match batch {
            Some(id) => id.to_owned(),
            None => {
                let is_free =
                    |id: &&String| kept.jobs.get(*id).is_some_and(|job| !job.is_held && job.stage != Stage::Over);
                kept.order.iter().find(is_free)?.clone()
            }
        };
        let Kept { jobs, shelves, .. } = &mut *kept;
        let job = jobs.get_mut(&id).filter(|job| !job.is_held && job.stage != Stage::Over)?;
        let batch = shelves.get_mut(&job.tenant)?.batches.get_mut(&id).filter(|batch| !batch.stuck)?;
        job.is_held = true;
        job.epoch += 1;
        let held = Held {
            tenant: job.tenant,
            account: job.account,
            batch: Arc::new(batch.clone()),
            input: job.input.clone(),
            deadline_ms: job.deadline_ms,
            epoch: job.epoch,
            attempts: 0,
        };
        Some(match (job.stage, job.slice) {
            (Stage::Validating, _) => Work::Validate(held),
            (Stage::Running, Some(slice)) => {
                let most = u32::try_from(batch.max_concurrency).unwrap_or(u32::MAX);
                Work::Execute(Box::new(Claim {
                    epoch: held.epoch,
                    held,
                    slice,
                    answered: job.answered.clone(),
                    slots: slots.min(most),
                    sent: slice.lines,
                    attempts: 0,
                    poisoned: None,
                }))
            }
            _ => Work::Finish(held),
        })
    }

    pub(super) fn begin_lines(&self, held: &Held, slices: &[Slice], model: Option<&str>) -> Option<BatchRecord> {
        let now = self.now();
        let mut kept = self.kept();
        let (job, batch) = kept.held(held)?;
        job.is_held = false;
        if batch.enter(Status::InProgress, now) {
            job.stage = Stage::Running;
            // In memory a file is never cut.
            job.slice = slices.first().copied();
            let lines = job.slice.map_or(0, |slice| slice.lines);
            job.answered = vec![false; lines as usize];
            batch.counts.total = u64::from(lines);
            batch.model = model.map(str::to_owned);
        }
        job.end_if_free();
        Some(batch.clone())
    }

    pub(super) fn end_failed(&self, held: &Held, findings: &[Finding]) -> Option<BatchRecord> {
        let now = self.now();
        let mut kept = self.kept();
        let (job, batch) = kept.held(held)?;
        job.is_held = false;
        job.stage = Stage::Over;
        job.forget();
        if batch.enter(Status::Failed, now) {
            batch.findings = findings.to_vec();
        } else {
            batch.enter(Status::Cancelled, now);
        }
        let batch = batch.clone();
        self.tell(&mut kept, held.tenant, &batch);
        Some(batch)
    }

    /// Writes answers where the result files will be, and counts them.
    pub(super) async fn keep(&self, segment: &Segment) -> io::Result<Fate> {
        let (written, account) = {
            let kept = self.kept();
            let is_held = |job: &&Job| job.is_held && job.epoch == segment.epoch;
            let Some(job) = kept.jobs.get(&*segment.batch).filter(is_held) else { return Ok(Fate::Fenced) };
            if segment.number < job.segments {
                return Ok(Fate::Kept(None));
            }
            (Arc::clone(&job.written), job.account)
        };
        let mut files = written.lock().await;
        let mut start = 0;
        for answered in &segment.answered {
            let end = start + answered.bytes as usize;
            let line = segment.lines.get(start..end).ok_or_else(|| io::Error::other("a segment is too short"))?;
            start = end;
            let Written { output, error } = &mut *files;
            let slot = if answered.ok { output } else { error };
            let spool = match slot {
                Some(spool) => spool,
                None => slot.insert(self.disk.spool(&self.accounts.of(account)).await?),
            };
            spool.write(line).await?;
        }
        drop(files);
        Ok(self.count_answers(segment))
    }

    fn count_answers(&self, segment: &Segment) -> Fate {
        let now = self.now();
        let mut kept = self.kept();
        let Kept { jobs, shelves, .. } = &mut *kept;
        let Some(job) = jobs.get_mut(&*segment.batch) else { return Fate::Fenced };
        let Some(shelf) = shelves.get_mut(&segment.tenant) else { return Fate::Fenced };
        let Some(batch) = shelf.batches.get_mut(&segment.batch) else { return Fate::Fenced };
        job.segments = segment.number + 1;
        for answered in &segment.answered {
            if let Some(is_answered) = job.answered.get_mut(answered.line as usize) {
                *is_answered = true;
            }
            if answered.ok {
                batch.counts.completed += 1;
            } else {
                batch.counts.failed += 1;
            }
        }
        batch.usage.merge(segment.usage);
        if !segment.is_last {
            return Fate::Kept(None);
        }
        job.is_held = false;
        job.stage = Stage::Finishing;
        batch.enter(Status::Finalizing, now);
        Fate::Kept(Some(batch.clone()))
    }

    pub(super) fn begin_expiry(&self, held: &Held) {
        let mut kept = self.kept();
        if let Some(job) = kept.jobs.get_mut(&held.batch.id).filter(|job| job.stage == Stage::Running) {
            job.is_ending = true;
            job.end_if_free();
        }
    }

    /// Ends what is over; only a batch that runs can expire.
    pub(super) fn end_windows(&self) {
        let now_ms = self.options.clock.now_ms();
        for job in self.kept().jobs.values_mut() {
            if job.stage == Stage::Running && job.deadline_ms <= now_ms {
                job.is_ending = true;
                job.end_if_free();
            }
        }
    }

    pub(super) fn let_go(&self, held: &Held, slice: Option<(u32, i64)>) {
        let mut kept = self.kept();
        let epoch = slice.map_or(held.epoch, |(_, epoch)| epoch);
        if let Some(job) = kept.jobs.get_mut(&held.batch.id).filter(|job| job.is_held && job.epoch == epoch) {
            job.is_held = false;
            job.end_if_free();
        }
    }

    pub(super) async fn written(&self, held: &Held) -> Results {
        let (written, slice) = {
            let mut kept = self.kept();
            let nothing = || Results::Slices(Vec::new());
            let Some((job, _)) = kept.held(held) else { return nothing() };
            (Arc::clone(&job.written), job.slice.map(|slice| (slice, job.answered.clone())))
        };
        let Written { output, error } = std::mem::take(&mut *written.lock().await);
        Results::Written { output, error, slice }
    }

    pub(super) fn end(&self, held: &Held, end: End) -> Option<BatchRecord> {
        let now = self.now();
        let End { status, output, error, .. } = end;
        self.kept().held(held)?;
        let keep = |file: Option<ResultFile>| match file? {
            ResultFile::EmptyId => Some(String::new()),
            ResultFile::File(file) => Some(self.add(held.tenant, file).id.clone()),
        };
        let files = (keep(output), keep(error));
        let mut kept = self.kept();
        let (job, batch) = kept.held(held)?;
        job.is_held = false;
        job.stage = Stage::Over;
        job.forget();
        if batch.stuck {
            return Some(batch.clone());
        }
        (batch.output_file_id, batch.error_file_id) = files;
        if !batch.enter(status, now) {
            // Only ever refused because the batch is being cancelled, or can be.
            batch.enter(Status::Cancelling, now);
            batch.enter(Status::Cancelled, now);
        }
        let batch = batch.clone();
        self.tell(&mut kept, held.tenant, &batch);
        Some(batch)
    }

    /// Lets those know who want to.
    fn tell(&self, kept: &mut Kept, tenant: Tenant, batch: &BatchRecord) {
        let now_ms = self.options.clock.now_ms();
        for subscription in &self.options.subscriptions {
            if subscription.statuses.contains(&batch.status) {
                let parcel = Parcel {
                    id: subscription.event_id(&batch.id, batch.status),
                    endpoint: subscription.endpoint.clone(),
                    tenant,
                    batch: batch.id.clone(),
                    status: batch.status,
                    created_at: self.now(),
                    tries: 0,
                };
                kept.parcels.push((now_ms, parcel));
            }
        }
    }

    pub(super) fn take_parcels(&self, most: usize) -> Vec<Parcel> {
        let now_ms = self.options.clock.now_ms();
        let mut kept = self.kept();
        let due = kept.parcels.iter_mut().filter(|(at, _)| *at <= now_ms).take(most);
        due.map(|(at, parcel)| {
            *at = now_ms.saturating_add(TAKEN_MS);
            parcel.clone()
        })
        .collect()
    }

    pub(super) fn put_parcel_off(&self, id: &str, pause: Duration) {
        let pause_ms = i64::try_from(pause.as_millis()).unwrap_or(i64::MAX);
        let at = self.options.clock.now_ms().saturating_add(pause_ms);
        if let Some(parcel) = self.kept().parcels.iter_mut().find(|(_, parcel)| parcel.id == id) {
            parcel.0 = at;
            parcel.1.tries += 1;
        }
    }
}
