//! What came of a run.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize, Serializer};

use super::{
    CleanedRemote, Invoice, Quote,
    folder::Folder,
    merge::{Merged, read_summary, read_surplus},
    record::surplus_folder,
    state::{Phase, Shard, State, SurplusPhase},
};
use crate::{BatchId, Error, lines::Joined};

/// What came of a run.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The name of the run, also in the metadata of its batches as `lote_run`.
    pub run: String,
    /// Its batches, each as it ended.
    pub batches: Vec<EndedBatch>,
    /// Batches that were made of the same lines for nothing, and what they may be charged for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub surplus: Vec<SurplusBatch>,
    /// Batches that a person has given up: see [`Run::no_batch`](super::Run::no_batch).
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub given_up: Vec<GivenUpBatch>,
    /// What its lines were to cost when it was begun; none of a run that was begun before that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quote: Option<Box<Quote>>,
    /// What it did cost; none of a run that was put together before that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub invoice: Option<Box<Invoice>>,
    /// Lines that were sent one by one, if any were: see [`Run::synchronous`](super::Run::synchronous).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub synchronous: Option<SynchronousLines>,
    /// How the lines ended. Its fields are those of the report where it is serialised.
    #[serde(flatten)]
    pub joined: Joined,
    /// Lines without an outcome yet, in results that were written before the run was finished: see
    /// [`Run::partial`](super::Run::partial). Their result lines are counted as failed.
    #[serde(skip_serializing_if = "is_none")]
    pub undecided: u64,
    /// Lines that were not sent, since they equal others: see [`Run::dedupe`](super::Run::dedupe).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deduplicated: Option<Deduplicated>,
    /// The folder of the run.
    #[serde(serialize_with = "shown")]
    pub folder: PathBuf,
    /// The file of results, in the order of the requests.
    #[serde(serialize_with = "shown")]
    pub results: PathBuf,
    /// How long it took on this side, in seconds: this process alone.
    pub seconds: f64,
    /// What became of its files at the service, if they were to be deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<CleanedRemote>,
}

/// A batch of a run that is over, and the shard whose lines it had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EndedBatch {
    /// The number of the shard, from 1.
    pub shard: u32,
    /// Which attempt it was, from 1.
    pub attempt: u32,
    /// The batch.
    pub id: BatchId,
    /// Its status, in the contract's words.
    pub status: String,
    /// How many request lines it had.
    pub lines: u64,
    /// What the service found wrong with it, of a batch that failed; at most 20.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<String>,
}

/// Lines of a run that were not sent, since each equals one that was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Deduplicated {
    /// How many there are. They are counted among the lines of the report by how they ended.
    pub lines: u64,
    /// The tokens of the answers that they share, as often as they do: what was not paid. They are not among those of the
    /// report.
    pub usage: crate::lines::Usage,
}

/// A batch that was made of the lines of a shard although there was one, after a create whose answer was lost. It was
/// cancelled as soon as it was seen; what it finished is among the results where it is better than what the shard's own
/// batch has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SurplusBatch {
    /// The number of the shard, from 1.
    pub shard: u32,
    /// The batch.
    pub id: BatchId,
    /// Its status, in the contract's words; `not_found` when the service did not know it any more.
    pub status: String,
    /// How many lines it has answered.
    pub answers: u64,
    /// The tokens of those, which are not among those of the report.
    pub usage: crate::lines::Usage,
}

/// What is told of request lines that were sent one by one, without a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SynchronousLines {
    /// How many lines came to an end that way.
    pub lines: u64,
    /// How many requests were sent again although one before may have been answered, its answer lost with a connection, in
    /// a crash or behind a server error: that one may be charged as well, but for services that honour idempotency keys.
    pub sent_again: u64,
}

impl SynchronousLines {
    /// Those of a run; none where no shard went that way.
    pub(super) fn of(state: &State) -> Option<Self> {
        let of = |shard: &Shard| shard.fetched.as_ref()?.synchronous;
        state.shards.values().filter_map(of).reduce(|all, one| Self {
            lines: all.lines.saturating_add(one.lines),
            sent_again: all.sent_again.saturating_add(one.sent_again),
        })
    }
}

/// A batch that a person has given up, since the service did not know it any more or its files could not be fetched: its
/// lines were bought again, or another batch counts in its place. What it did may be charged all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GivenUpBatch {
    /// The number of the shard, from 1.
    pub shard: u32,
    /// The batch.
    pub id: BatchId,
    /// How many request lines it had.
    pub lines: u64,
}

impl GivenUpBatch {
    /// All of a run.
    pub(super) fn of(state: &State) -> Vec<Self> {
        let of = |(number, shard): (&u32, &Shard)| {
            let (shard, lines, ids) = (*number, shard.plan.lines, shard.given_up.clone());
            ids.into_iter().map(move |id| Self { shard, id, lines })
        };
        state.shards.iter().flat_map(of).collect()
    }
}

pub(super) fn is_none(lines: &u64) -> bool {
    *lines == 0
}

/// A path as people see it: JSON has no other bytes than text.
pub(super) fn shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl Report {
    /// The outcomes of the run, one for each request line in the order of the input, read from
    /// [`results`](Self::results) as they are asked for. What is odd about the answers is in
    /// [`joined`](Self::joined), the field.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when the file cannot be read.
    pub fn outcomes(&self) -> Result<crate::Outcomes, Error> {
        crate::Outcomes::open(&self.results)
    }

    /// Whether every line succeeded, in whichever attempt, and no file of answers is damaged.
    pub fn all_succeeded(&self) -> bool {
        self.joined.all_succeeded()
    }
}

/// What `summary.json` holds.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Summary {
    pub(super) run: String,
    pub(super) batches: Vec<EndedBatch>,
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) undecided: u64,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) surplus: Vec<SurplusBatch>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) given_up: Vec<GivenUpBatch>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) quote: Option<Box<Quote>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) invoice: Option<Box<Invoice>>,
    pub(super) synchronous: Option<SynchronousLines>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) deduplicated: Option<Deduplicated>,
    #[serde(flatten)]
    pub(super) joined: Joined,
}

impl Summary {
    pub(super) fn new(folder: &Folder, merged: Merged) -> Self {
        let Merged { joined, undecided, deduplicated, invoice, results: _ } = merged;
        let batches = folder.state.shards.iter().filter_map(|(number, shard)| {
            let (status, errors) = match &shard.phase {
                Phase::Failed(why) => {
                    ("failed".to_owned(), why.lines().map(|why| why.trim_start().to_owned()).collect())
                }
                _ => (shard.status.clone()?, Vec::new()),
            };
            // Some services keep what was finished before a batch failed.
            let errors = match read_summary(folder.path(), *number) {
                Ok(summary) if status == "failed" && errors.is_empty() => {
                    summary.batch.iter().flat_map(|batch| &batch.errors).take(20).map(ToString::to_string).collect()
                }
                _ => errors,
            };
            Some(EndedBatch {
                shard: *number,
                attempt: shard.attempt,
                id: shard.batch()?.clone(),
                status,
                lines: shard.plan.lines,
                errors,
            })
        });
        let mut surplus = Vec::new();
        for (number, shard) in &folder.state.shards {
            for (place, found) in shard.surplus.iter().enumerate() {
                let summary = match found.phase {
                    SurplusPhase::Settled(Some(_)) => read_surplus(folder.path(), *number, &surplus_folder(place)).ok(),
                    _ => None,
                };
                let joined = summary.map(|summary| summary.joined);
                surplus.push(SurplusBatch {
                    shard: *number,
                    id: found.batch.clone(),
                    status: found.status.clone().unwrap_or_default(),
                    answers: joined.as_ref().map_or(0, |joined| joined.succeeded + joined.failed),
                    usage: joined.map(|joined| joined.usage).unwrap_or_default(),
                });
            }
        }
        let (given_up, synchronous) = (GivenUpBatch::of(&folder.state), SynchronousLines::of(&folder.state));
        Self {
            run: folder.record.run.clone(),
            batches: batches.collect(),
            undecided,
            surplus,
            given_up,
            quote: folder.record.quote.clone(),
            invoice: Some(Box::new(invoice)),
            synchronous,
            deduplicated,
            joined,
        }
    }
}
