//! How far runs have come, as their folders say: nothing is asked of a service, and nothing is written.

use std::path::{Path, PathBuf};

use serde::Serialize;

use super::{
    Holder, Invoice, Partition, Quote, RunError,
    drive::{Noted, Unreached},
    folder::{Folder, SUMMARY, Seen},
    merge::read_summary,
    report::{GivenUpBatch, Summary, is_none, shown},
    schedule::Schedule,
    seal,
    state::{Next, Phase, Shard, State},
};
use crate::{BatchId, UnixSeconds, lines::Joined};

/// What a run is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunPhase {
    /// A process is at work on it.
    Working,
    /// No process is, and there is something left to do: the same run goes on with it.
    Stopped,
    /// All that is left to do waits for a word of a person.
    Held,
    /// It is done: its results are there.
    Finished,
}

/// How far a run has come. Of a run that a process is at work on, the counts are at most some seconds old.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunStatus {
    /// Its name, also in the metadata of its batches as `lote_run`.
    pub run: String,
    /// Its folder.
    #[serde(serialize_with = "shown")]
    pub folder: PathBuf,
    /// The service; `embedded` for a gateway inside the process.
    pub base_url: String,
    /// When it was begun.
    pub begun_at: UnixSeconds,
    /// What it is at.
    pub phase: RunPhase,
    /// Who is at work on it.
    pub holder: Option<Holder>,
    /// Whether it was cancelled: no more batches are created.
    pub cancelled: bool,
    /// The part of its input that it is of, if it is not of all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub partition: Option<Partition>,
    /// How many request lines it has.
    pub lines: u64,
    /// How many of those equal others and are not sent: they end with those. See [`Run::dedupe`](super::Run::dedupe).
    #[serde(skip_serializing_if = "is_none")]
    pub deduplicated: u64,
    /// Lines that are known to have ended: those of shards that are settled, and those that batches count.
    pub ended: u64,
    /// Lines that are known to have succeeded.
    pub succeeded: u64,
    /// Why it is not gone on with until a person says what is paid for again, as when a run whose folder is lost has made
    /// batches of the same lines: see [`RunError::is_twin`] and [`RunError::is_behind`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// Why no other shard is submitted now, when some are left to be.
    pub waits: Option<String>,
    /// Batches that were made of the same lines for nothing, and are not over: see
    /// [`SurplusBatch`](super::SurplusBatch).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub surplus: Vec<BatchId>,
    /// Batches that a person has given up, whose lines were bought again.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<GivenUpBatch>,
    /// Since when no connection to the service can be made, as the process at work on it says, or as the last one did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unreached: Option<Unreached>,
    /// Its shards.
    pub shards: Vec<ShardStatus>,
    /// What its lines were to cost when it was begun.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Box<Quote>>,
    /// What it did cost, once it is finished.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice: Option<Box<Invoice>>,
    /// What came of it, once it is finished.
    pub results: Option<Joined>,
}

/// How far a shard has come.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ShardStatus {
    /// Its number, from 1.
    pub shard: u32,
    /// Which attempt it is of, from 1.
    pub attempt: u32,
    /// How many request lines it has.
    pub lines: u64,
    /// `planned`, `uploaded`, `creating`, `created`, `over`, `fetched`, `settled`, `failed`, `cancelled`, `synchronous` while its
    /// lines are sent one by one, or `halved` when it was too big and its lines are in two other shards.
    pub phase: &'static str,
    /// The shard that it is a half of.
    pub half_of: Option<u32>,
    /// Its batch.
    pub batch: Option<BatchId>,
    /// The status of that, as it was last seen.
    pub status: Option<String>,
    /// Lines that the batch has ended.
    pub ended: u64,
    /// Lines that succeeded.
    pub succeeded: u64,
    /// Batches that were made of the same lines a second time, those that are over included: what they did may be charged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub surplus: Vec<BatchId>,
    /// Whether it waits for a word of a person.
    pub held: bool,
    /// Why it does so, or failed.
    pub why: Option<String>,
}

impl RunStatus {
    /// How many of its batches are at work, as far as the folder says: those that it knows, [surplus](Self::surplus) ones
    /// among them.
    pub fn open(&self) -> usize {
        self.shards.iter().filter(|shard| shard.phase == "created").count() + self.surplus.len()
    }

    /// How many creates there are of which it is not known whether they have made a batch, as when their answers were lost.
    pub fn unanswered(&self) -> usize {
        self.shards.iter().filter(|shard| shard.phase == "creating").count()
    }

    /// How many of its shards nobody has submitted yet.
    pub fn to_submit(&self) -> usize {
        self.shards.iter().filter(|shard| matches!(shard.phase, "planned" | "uploaded")).count()
    }
}

/// How far the run in a folder has come.
///
/// # Errors
/// One that [`is_place`](RunError::is_place), [`is_taken`](RunError::is_taken) or
/// [`is_unreadable`](RunError::is_unreadable) when there is no run that can be read.
pub fn status(folder: impl AsRef<Path>) -> Result<RunStatus, RunError> {
    let path = folder.as_ref();
    let Seen { record, state, holder } = Folder::look(path)?;
    let noted = Noted::read(path);
    let summary = state.finished.as_ref().and_then(|_| seal::read::<Summary>(&path.join(SUMMARY)).ok());
    let (results, invoice) = summary.map_or((None, None), |summary| (Some(summary.joined), summary.invoice));
    let mut shards = Vec::new();
    for (number, shard) in &state.shards {
        use Phase::{Created, Fetched, Over, Synchronous};
        let is_at_work = matches!(shard.phase, Synchronous | Created | Over | Fetched);
        let noted = noted.shards.get(number).filter(|_| is_at_work);
        let (phase, failed) = match &shard.phase {
            Phase::Planned => ("planned", None),
            Phase::Uploaded => ("uploaded", None),
            Phase::Synchronous => ("synchronous", None),
            Phase::Creating => ("creating", None),
            Phase::Created => ("created", None),
            Phase::Over => ("over", None),
            Phase::Fetched => ("fetched", None),
            Phase::Settled(_) => ("settled", None),
            Phase::Failed(why) => ("failed", Some(why.clone())),
            Phase::Cancelled => ("cancelled", None),
            Phase::Halved(_) => ("halved", None),
        };
        let (ended, succeeded) = match (&shard.phase, noted) {
            (Phase::Settled(_), _) => {
                let joined = read_summary(path, *number).ok().map(|summary| summary.joined);
                (shard.plan.lines, joined.map_or(0, |joined| joined.succeeded))
            }
            (_, Some(noted)) => (noted.completed.saturating_add(noted.failed), noted.completed),
            _ => (0, 0),
        };
        shards.push(ShardStatus {
            shard: *number,
            attempt: shard.attempt,
            lines: shard.plan.lines,
            phase,
            half_of: shard.half_of,
            batch: shard.batch().cloned(),
            status: shard.status.clone().or_else(|| Some(noted?.status.clone()).filter(|_| !shard.synchronous)),
            ended,
            succeeded,
            surplus: shard.surplus.iter().map(|surplus| surplus.batch.clone()).collect(),
            held: shard.held.is_some(),
            why: shard.held.clone().or(failed).or_else(|| shard.why.clone()),
        });
    }
    let unsent = |shard: &ShardStatus| matches!(shard.phase, "planned" | "uploaded");
    let refused = noted.refused.filter(|_| holder.is_none() && shards.iter().any(unsent));
    let phase = match &holder {
        Some(_) => RunPhase::Working,
        None if state.finished.is_some() => RunPhase::Finished,
        None if state.next(&Schedule::unbounded(), UnixSeconds::now()) == Next::Held => RunPhase::Held,
        None if refused.is_some() => RunPhase::Held,
        // The others wait for a place that a held one has.
        None if noted.held && state.is_stuck() => RunPhase::Held,
        None => RunPhase::Stopped,
    };
    let (ended, succeeded) = match &results {
        Some(joined) => (joined.lines, joined.succeeded),
        None => came(&state, &shards),
    };
    Ok(RunStatus {
        run: record.run,
        folder: path.to_owned(),
        base_url: record.asked.base_url,
        begun_at: record.begun_at,
        phase,
        holder,
        cancelled: state.cancelled,
        partition: record.asked.partition,
        lines: record.lines,
        deduplicated: record.copies.map_or(0, |copies| copies.equal.lines),
        ended,
        succeeded,
        refused,
        waits: noted.waits.filter(|_| shards.iter().any(unsent)),
        unreached: noted.unreached.filter(|_| phase != RunPhase::Finished),
        given_up: GivenUpBatch::of(&state),
        surplus: state.open_surplus().into_iter().map(|(_, batch)| batch).collect(),
        shards,
        quote: record.quote,
        invoice,
        results,
    })
}

/// How many lines have ended, and how many of them succeeded. A line that is tried again has not succeeded before, and has
/// ended when its last attempt has.
fn came(state: &State, shards: &[ShardStatus]) -> (u64, u64) {
    let again = |shard: &&ShardStatus| shard.attempt > 1 && shard.phase != "halved";
    let sum = |count: fn(&ShardStatus) -> u64| -> u64 { shards.iter().map(count).sum() };
    let first =
        |count: fn(&ShardStatus) -> u64| -> u64 { shards.iter().filter(|shard| shard.attempt == 1).map(count).sum() };
    let is_ended = |number: u32| state.shards.get(&number).is_some_and(Shard::is_ended);
    let open = shards.iter().filter(again).filter(|shard| !is_ended(shard.shard));
    let open: u64 = open.map(|shard| shard.lines.saturating_sub(shard.ended)).sum();
    (first(|shard| shard.ended).saturating_sub(open), sum(|shard| shard.succeeded))
}
