//! What happens to a run, step by step: the words of its log.

use serde::{Deserialize, Serialize};

use super::{caps::Caps, plan::ShardPlan, report::SynchronousLines};
use crate::{
    BatchId, FileId, UnixSeconds,
    save::{Stored, Written},
};

/// One thing that happened. Each is written and synced before the step that it announces, or right after the answer that
/// it tells of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(super) enum Event {
    /// A process began to work on the run.
    Opened(Opened),
    /// A shard's request lines are at the service.
    Uploaded { shard: u32, file: FileId },
    /// A create is about to be sent. The nonce is in its metadata, and in that of no other create.
    Creating { shard: u32, nonce: String, at: UnixSeconds },
    /// There is a batch. `adopted` when it was found in the list, and not in the answer to the create; `said` when it was a
    /// person who has named it.
    Created {
        shard: u32,
        batch: BatchId,
        adopted: bool,
        #[serde(default, skip_serializing_if = "std::ops::Not::not")]
        said: bool,
    },
    /// There is one more batch of the same lines. It is cancelled, and what it has finished is fetched.
    Surplus { shard: u32, batch: BatchId },
    /// A surplus batch is over.
    SurplusOver { shard: u32, batch: BatchId, status: String },
    /// What a surplus batch has finished is in a folder below that of the shard, if that is anything.
    SurplusSettled { shard: u32, batch: BatchId, results: Option<Written> },
    /// The service refused the create: it made no batch.
    Refused { shard: u32, nonce: String, why: String },
    /// A whole reading of the list, this long after the look for a lost create was begun, has not shown its batch: the first
    /// of the two that prove that there is none.
    Absent { shard: u32, at: UnixSeconds, after_millis: u64 },
    /// A create whose answer was lost has made no batch.
    NoBatch { shard: u32, why: String },
    /// A batch failed because the account has too much at work: it is created again later.
    Postponed { shard: u32, batch: BatchId, why: String },
    /// A batch is over.
    Over { shard: u32, batch: BatchId, status: String },
    /// What a batch that is over has is in the shard's folder: the files that it names, and the batch as it was then.
    Fetched { shard: u32, files: Fetched },
    /// What was fetched or settled is not in the folder as it was written: it is joined again from the files that were
    /// `fetched`, or those are fetched again.
    Unsettled { shard: u32, fetched: bool },
    /// Every line of a shard has its result, in the shard's own results.
    Settled { shard: u32, results: Written },
    /// A batch failed at validation, or the service takes not even one line of the shard: none of its lines was run.
    Failed { shard: u32, why: String },
    /// A shard was refused as too big, and no batch of it is at work: its lines are in two others from now on, whose files
    /// are in their folders.
    Halved { shard: u32, why: String, halves: Vec<Half> },
    /// It cannot be told what became of a shard; a person must say.
    Held { shard: u32, why: String },
    /// A person has said that a held shard is to be looked at again.
    Released { shard: u32 },
    /// Lines that did not succeed are tried again, in these shards.
    Attempt { attempt: u32, shards: Vec<ShardPlan> },
    /// No more creates; what is open is cancelled.
    Cancelled,
    /// The run is cancelled no more, since what did not succeed is to be tried again.
    Resumed,
    /// The results that there are so far are written: shards are held.
    Partial { results: Written },
    /// All results are written.
    Finished { results: Written },
    /// A file of the run is at the service no more.
    Deleted { file: FileId },
    /// The lines of a shard are sent one by one from here on, and never as a batch. The nonce is in the key of each of them.
    Synchronous { shard: u32, nonce: String },
    /// The service took none of the lines that were to be sent one by one, and was sent none that can be charged.
    Unsent { shard: u32, why: String },
    /// What the run may cost at the most from now on.
    Capped(Caps),
    /// By which prices it is told from now on what it costs: a table of the user's own, as it was written.
    Priced { table: String },
    /// What a newer version wrote.
    #[serde(other)]
    Unknown,
}

/// What was fetched of a batch, as it was written; or what came of lines that were sent one by one, in files like those.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Fetched {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) batch: Option<Stored>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) output: Option<Stored>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) errors: Option<Stored>,
    /// What is told of lines that were sent one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) synchronous: Option<SynchronousLines>,
}

/// A part of the lines of a shard, as a shard of its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Half {
    /// Its first line among those of the whole, from 1.
    pub(super) first_line: u64,
    #[serde(flatten)]
    pub(super) plan: ShardPlan,
}

/// Who works on a run, and where.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Opened {
    pub(super) lote: String,
    pub(super) pid: u32,
    pub(super) host: String,
    /// Which folder it is, whatever its path: device and inode on Unix.
    pub(super) folder: String,
    /// The first digits of the hash of the key.
    pub(super) key: String,
    /// The gateway inside that process, when the run was embedded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) gateway: Option<String>,
    /// Batches are to be made whatever another run has made of the same lines.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) anew: bool,
    /// The end of the log was cut off, so that it may be behind the world.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(super) cut: bool,
}
