//! Runs: from files of requests to a file of results, however many batches that takes and however often the process
//! ends meanwhile, through a folder that keeps every step.
//!
//! A run is a folder. What was asked is in it (`run.json`), what happened (`log.jsonl`), the lines of each batch and what
//! came of them (`shards/0001/…`), and at the end the results. Giving the same run again goes on with it: nothing is
//! created twice, since the intent to create is written down before it is sent, and a create whose answer was lost is
//! looked for in the service's list before another is sent.

mod adopt;
mod builder;
mod caps;
mod clean;
mod drive;
mod error;
mod event;
mod fit;
mod folder;
mod found;
mod halve;
mod history;
mod invoice;
mod ledger;
mod limits;
mod lock;
mod log;
mod merge;
mod money;
mod outcomes;
mod partition;
mod parts;
mod plan;
mod record;
mod refusal;
mod refuse;
mod repair;
mod report;
mod schedule;
mod seal;
mod seam;
#[cfg(test)]
mod sim;
mod standing;
mod state;
mod status;
mod stream;
mod sync;
mod words;
mod work;

use std::{path::Path, sync::Arc, time::Duration};

pub use builder::Run;
pub use clean::{Clean, Cleaned, CleanedFile, CleanedRemote, RemoteFile, RemoteKind, RemoteState, clean};
pub use drive::Unreached;
pub use error::{RunError, Twin};
pub use found::{folder_of, list, list_below};
pub use history::{RunHistory, RunInput, ShardHistory, history};
pub use invoice::{Charge, Charges, Invoice, ModelInvoice};
pub use ledger::{Ledger, LedgerLine, ledger};
pub use lock::Holder;
pub use money::prices_of;
pub use outcomes::{RunOutcomes, outcomes};
pub use partition::Partition;
pub use parts::join_parts;
pub use plan::dry::{Plan, PlanOptions, plan};
pub use plan::quote::{ModelQuote, Quote, ShardQuote};
pub use plan::{EqualLines, PlanError, ShardPlan, SourceFindings};
pub use repair::Repair;
pub use report::{Deduplicated, EndedBatch, GivenUpBatch, Report, SurplusBatch, SynchronousLines};
pub use status::{RunPhase, RunStatus, ShardStatus, status};
pub use stream::RunEvent;
pub use sync::Pace;

use self::plan::Cut;
pub(crate) use self::seam::wall;
use crate::{
    Batch, BatchId, Error, UnixSeconds,
    lines::{Checked, Joined},
};

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
    /// A batch that an earlier create has made, whose answer was lost or which the folder did not know of, was found and is
    /// written down.
    Found(&'a Batch),
    /// The folder held a run of something else, of which nothing is to be paid: this one takes its place.
    Replaces {
        /// The folder.
        folder: &'a Path,
        /// How they differ.
        what: &'a str,
    },
    /// A shard was refused as too big: its lines go into two others.
    Halved {
        /// The shard.
        shard: u32,
        /// The shards that have its lines now.
        halves: [u32; 2],
        /// What the service said.
        why: &'a str,
    },
    /// Creates whose answers were lost are looked for.
    Resolving {
        /// Their shards.
        shards: &'a [u32],
        /// How long it takes to be certain that there is no batch.
        at_least: Duration,
    },
    /// The service's list of batches is read, and goes on after many pages. Without a [deadline](Run::deadline) it is read to
    /// its end, if it has one.
    Listing {
        /// The pages that were read so far.
        pages: u64,
    },
    /// Results were written although some lines have no outcome yet, before lost creates are looked for.
    Partial {
        /// Where they are.
        results: &'a Path,
        /// How many lines have no outcome yet.
        undecided: u64,
    },
    /// A second batch was made of the same lines, after an answer that was lost; it is cancelled, and what it did may be
    /// charged. What it has finished is fetched.
    Surplus {
        /// The shard.
        shard: u32,
        /// That batch.
        batch: &'a Batch,
    },
    /// No shard may be submitted now, and why.
    Waits {
        /// Why.
        why: &'a str,
    },
    /// What the service was seen to take cannot be read from the file that it is kept in, or not be written to it. The run
    /// goes on without it.
    LimitsUnread {
        /// The file.
        file: &'a Path,
        /// Why.
        why: &'a str,
    },
    /// A look at a batch.
    Waiting(&'a Batch),
    /// The window of a batch ends soon, or is over: no more is bought of it, and what it leaves is sent one by one.
    Rescued {
        /// The shard.
        shard: u32,
        /// The batch.
        batch: &'a BatchId,
        /// When its window ends, by the service's clock; none where it has ended.
        ends_at: Option<UnixSeconds>,
    },
    /// What the batch of a rescued shard has left unanswered is known.
    Rest {
        /// The shard.
        shard: u32,
        /// How many lines that are.
        lines: u64,
        /// The shard that has them now, if there are any.
        rest: Option<u32>,
    },
    /// A rescued batch has not ended although its window is over, and its lines are sent one by one all the same: so many
    /// may be charged twice.
    RescuedAnyway {
        /// The shard.
        shard: u32,
        /// The batch.
        batch: &'a BatchId,
        /// How many lines it has.
        lines: u64,
    },
    /// The lines of a shard are sent one by one, and so many of them have come to an end.
    Answering {
        /// The shard.
        shard: u32,
        /// How many lines it has.
        lines: u64,
        /// Lines whose answers are here and good.
        succeeded: u64,
        /// Lines that came to another end.
        failed: u64,
    },
    /// An error that is survived: the same is tried again.
    Trouble(&'a Error),
    /// An error that is survived without trying the same again, such as that of a create: what is done about it is told
    /// next, or at the end.
    Survived(&'a Error),
    /// No connection to the service can be made, which was reached before: the run goes on when there is one again. Told
    /// again once in a while.
    Unreached {
        /// For how long.
        since: Duration,
        /// What came of the last try.
        error: &'a Error,
    },
    /// An output or error file is being fetched.
    Downloading {
        /// Which one, by its name in the folder.
        name: &'static str,
    },
    /// The answers are put in the order of the requests.
    Joining,
    /// Each line of a shard has its result: see [`outcomes`](fn@outcomes).
    Settled {
        /// The shard.
        shard: u32,
        /// What came of its lines.
        joined: &'a Joined,
    },
    /// A shard waits for a word of a person; the others go on. See [`RunError::is_held`].
    Held {
        /// The shard.
        shard: u32,
        /// Why.
        why: &'a str,
    },
    /// Another attempt is not begun, since the run might cost or use more than it [may](Run::max_cost) with it.
    Capped {
        /// Why.
        why: &'a str,
    },
    /// A file that the run has put at the service was deleted there, or kept: see [`Run::clean_remote`].
    Cleaned(&'a RemoteFile),
}

/// Told of every step.
type OnProgress = Arc<dyn Fn(Progress<'_>) + Send + Sync>;
