//! What the gateway remembers: files, batches, who works on what, and what was answered. A trait of whole transactions
//! stands before it, so that the same rules hold in memory, in a folder, and in a database that many processes share.
//!
//! Every change can be asked for again: ids are chosen by who asks. Time belongs to the state: to a clock, or to the
//! database that all share.

#[cfg(any(test, feature = "conformance"))]
pub(crate) mod conformance;
mod memory;
#[cfg(debug_assertions)]
mod pointed;
mod record;
#[cfg(any(feature = "cluster", feature = "data"))]
mod sql;

use std::collections::HashSet;
use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use sha2::{Digest, Sha256};

pub(crate) use memory::Memory;
#[cfg(debug_assertions)]
pub(crate) use pointed::pointed;
pub(crate) use record::{BatchRecord, Counts, FileRecord, Finding, Usage};
#[cfg(feature = "cluster")]
pub(crate) use sql::postgres;
#[cfg(feature = "data")]
pub(crate) use sql::sqlite;

use crate::blobs::{Blob, Bounds, Full, Spool};
use crate::clock::Clock;
use crate::contract::{Endpoint, RESULT_PURPOSE, Status, View};
use crate::ids::{Ids, hex};
use crate::metrics::Census;
use crate::tenant::{AccountId, Tenant};

/// Why a transaction has no answer.
#[derive(Debug)]
pub(crate) enum StateError {
    /// It was certainly not done.
    NotDone(Cause),
    /// Perhaps it was done. To ask for the same again is safe.
    Unknown(Cause),
    /// What is stored cannot be read.
    Corrupt(Cause),
}

pub(crate) type Cause = Box<dyn Error + Send + Sync>;

/// A transaction on its way.
pub(crate) type Ask<'a, T> = BoxFuture<'a, Result<T, StateError>>;

/// A list was asked to continue after an id that was never in it.
#[derive(Debug)]
pub(crate) struct UnknownCursor;

/// What a listing asks for. Items come newest first unless `oldest_first`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Query {
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
    pub(crate) oldest_first: bool,
    pub(crate) purpose: Option<String>,
    pub(crate) sha256: Option<String>,
    /// Ids that are left out.
    pub(crate) hidden: HashSet<String>,
}

/// One page of a listing, and whether more follows it.
pub(crate) type Page<T> = Result<(Vec<T>, bool), UnknownCursor>;

/// A file that is to be kept.
#[derive(Clone, Debug)]
pub(crate) struct NewFile {
    pub(crate) id: String,
    pub(crate) filename: String,
    pub(crate) purpose: String,
    pub(crate) media_type: Option<&'static str>,
    /// Seconds that it lives.
    pub(crate) lives: Option<i64>,
    pub(crate) blob: Arc<Blob>,
}

/// A batch that is to be made.
#[derive(Clone, Debug)]
pub(crate) struct NewBatch {
    pub(crate) id: String,
    pub(crate) tenant: Tenant,
    pub(crate) account: AccountId,
    pub(crate) origin: View,
    pub(crate) endpoint: Endpoint,
    pub(crate) input_file_id: String,
    /// Whether it is not made at all when there is no input file that may be one.
    pub(crate) needs_input: bool,
    pub(crate) metadata: Option<serde_json::Map<String, serde_json::Value>>,
    pub(crate) max_concurrency: usize,
    pub(crate) output_expires_after: Option<i64>,
    pub(crate) window: Duration,
    /// The `Idempotency-Key`, and the digest of what was asked for with it.
    pub(crate) idempotency: Option<(String, [u8; 32])>,
}

/// What came of a create.
#[derive(Debug)]
pub(crate) enum Created {
    Made(BatchRecord),
    /// The key has made this batch before.
    Repeated(BatchRecord),
    /// The key was used for something else.
    Conflict,
    Full(Full),
    /// There is no input file, or none with this purpose.
    NoInput(Option<String>),
}

/// What came of taking back a create whose answer is not known.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few at a time, and not for long")]
pub(crate) enum Withdrawn {
    /// It was not made, and never will be.
    Never,
    /// It was made.
    Exists(BatchRecord),
}

/// A process that works.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Worker {
    pub(crate) id: String,
}

/// A batch in the hands of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) tenant: Tenant,
    pub(crate) account: AccountId,
    /// As it was when it was taken.
    pub(crate) batch: Arc<BatchRecord>,
    /// The input as it was when the batch was made; none when there was none.
    pub(crate) input: Option<Input>,
    /// When its window is over, in milliseconds since 1970.
    pub(crate) deadline_ms: i64,
    /// Rises whenever the batch is taken or its worker is given up: whoever has an older one changes nothing.
    pub(crate) epoch: i64,
    /// How many workers have died with it.
    pub(crate) attempts: u32,
}

/// An input file, which stays readable while its batch lives.
#[derive(Clone, Debug)]
pub(crate) struct Input {
    pub(crate) purpose: String,
    pub(crate) blob: Arc<Blob>,
}

/// A run of lines of an input file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Slice {
    /// From 0.
    pub(crate) number: u32,
    /// The number of its first line in the file, from 1, counting blank ones.
    pub(crate) first_line: u64,
    /// Lines that are not blank.
    pub(crate) lines: u32,
    /// Where it begins in the file, and how long it is, in bytes.
    pub(crate) start: u64,
    pub(crate) bytes: u64,
}

/// How input files are cut into slices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) most_lines: u32,
    pub(crate) most_bytes: u64,
}

/// A slice in the hands of a worker.
#[derive(Clone, Debug)]
pub(crate) struct Claim {
    pub(crate) held: Held,
    pub(crate) slice: Slice,
    /// Of the slice: the batch has its own.
    pub(crate) epoch: i64,
    /// For each line whether it is answered.
    pub(crate) answered: Vec<bool>,
    /// How many of its lines may be in flight at once.
    pub(crate) slots: u32,
    /// Lines below this, from 0, may go out. It rises with what is recorded.
    pub(crate) sent: u32,
    /// How many workers have died with it.
    pub(crate) attempts: u32,
    /// A line that was alone in flight when the last of too many workers died: it is not sent again, and fails.
    pub(crate) poisoned: Option<u32>,
}

/// What a worker knows that it holds: a batch, or one of its slices, with the epoch of that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Holding {
    pub(crate) batch: String,
    pub(crate) slice: Option<u32>,
    pub(crate) epoch: i64,
}

/// What there is to do.
#[derive(Debug)]
pub(crate) enum Work {
    Validate(Held),
    Execute(Box<Claim>),
    Finish(Held),
}

/// The answer to one line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answered {
    /// In the slice, from 0.
    pub(crate) line: u32,
    /// Whether its result line belongs in the output file.
    pub(crate) ok: bool,
    /// The length of its result line, with the line break.
    pub(crate) bytes: u32,
}

/// Answers of one slice, in the order in which they came.
#[derive(Clone, Debug)]
pub(crate) struct Segment {
    pub(crate) tenant: Tenant,
    pub(crate) batch: Arc<str>,
    pub(crate) slice: u32,
    pub(crate) epoch: i64,
    /// The first of this claim is 0.
    pub(crate) number: u32,
    pub(crate) answered: Vec<Answered>,
    /// The result lines, one after the other.
    pub(crate) lines: Bytes,
    pub(crate) usage: Usage,
    /// What [`Claim::sent`] rises to.
    pub(crate) sent: u32,
    /// Whether no line of the slice is left.
    pub(crate) is_last: bool,
}

/// What became of a segment.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few at a time, and not for long")]
pub(crate) enum Fate {
    /// It is kept. The batch is here when this was what was missing of it: it is `finalizing` now.
    Kept(Option<BatchRecord>),
    /// The worker no longer holds the slice: nothing was kept.
    Fenced,
}

/// The results of a batch that is to be finished.
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "there are few at a time, and not for long")]
pub(crate) enum Results {
    /// The two files are written already, and these lines are answered.
    Written { output: Option<Spool>, error: Option<Spool>, slice: Option<(Slice, Vec<bool>)> },
    /// They are put together of the segments of these slices.
    Slices(Vec<Slice>),
}

/// A segment as it is kept.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) answered: Vec<Answered>,
    pub(crate) lines: Bytes,
}

/// How a batch ends.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) status: Status,
    /// As the batch is to name it: a fault may have it empty.
    pub(crate) output: Option<ResultFile>,
    pub(crate) error: Option<ResultFile>,
    pub(crate) counts: Counts,
}

/// Which of the two result files of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Output,
    Error,
}

/// A result file.
#[derive(Debug)]
pub(crate) enum ResultFile {
    /// `""`, which is a fault.
    EmptyId,
    File(NewFile),
}

/// What a heartbeat tells.
#[derive(Debug)]
pub(crate) enum Beat {
    /// The worker lives, and these of the batches it holds are to end.
    Alive(Vec<String>),
    /// It was given up: all that it holds belongs to others.
    Lost,
}

/// Who wants to know when a batch has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    /// What this receiver is known by: the same after a restart.
    pub(crate) endpoint: String,
    /// The last statuses it wants to hear of.
    pub(crate) statuses: Vec<Status>,
}

/// An event on its way to one receiver. It came into being with the last step of its batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Parcel {
    pub(crate) id: String,
    pub(crate) endpoint: String,
    pub(crate) tenant: Tenant,
    pub(crate) batch: String,
    pub(crate) status: Status,
    /// Seconds since 1970.
    pub(crate) created_at: i64,
    /// How often it was tried.
    pub(crate) tries: u32,
}

/// What a state is opened with.
#[derive(Clone, Debug)]
pub(crate) struct Options {
    /// The time, where it is not a database's.
    pub(crate) clock: Clock,
    pub(crate) bounds: Bounds,
    pub(crate) subscriptions: Vec<Subscription>,
}

/// Keeps everything, tenant by tenant. Every method is one transaction. A file that has expired is gone.
pub(crate) trait State: Send + Sync + 'static {
    /// How long a worker may be silent before its work is given to others; none when there are no others.
    fn lease(&self) -> Option<Duration>;

    /// Whether it outlives the process.
    fn is_durable(&self) -> bool;

    /// What ids are made of, if that outlives the process.
    fn seed(&self) -> Option<[u8; 16]>;

    fn cut(&self) -> Cut;

    /// Whether it can be asked.
    fn ready(&self) -> Ask<'_, ()>;

    // Files.

    /// Begins a file on this account; what is never kept is not counted for long. The result is a [`Full`] when there may
    /// be no more.
    fn spool<'a>(&'a self, account: &'a AccountId) -> BoxFuture<'a, io::Result<Spool>>;
    fn add_file<'a>(&'a self, tenant: Tenant, account: AccountId, file: NewFile) -> Ask<'a, Arc<FileRecord>>;
    fn file<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, Option<Arc<FileRecord>>>;
    fn files<'a>(&'a self, tenant: Tenant, query: &'a Query) -> Ask<'a, Page<Arc<FileRecord>>>;
    /// Whether there was such a file.
    fn remove_file<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, bool>;

    // Batches.

    fn create_batch<'a>(&'a self, new: &'a NewBatch) -> Ask<'a, Created>;
    fn withdraw<'a>(&'a self, new: &'a NewBatch) -> Ask<'a, Withdrawn>;
    fn batch<'a>(&'a self, tenant: Tenant, id: &'a str) -> Ask<'a, Option<BatchRecord>>;
    fn batches<'a>(&'a self, tenant: Tenant, query: &'a Query) -> Ask<'a, Page<BatchRecord>>;
    /// Lets a batch end as cancelled, unless it has ended; returns it as it is then, and whether this has changed it. One
    /// that is `stuck` stays as it is for ever.
    fn cancel<'a>(&'a self, tenant: Tenant, id: &'a str, stuck: bool) -> Ask<'a, Option<(BatchRecord, bool)>>;

    // Work.

    /// A new worker.
    fn join(&self) -> Ask<'_, Worker>;
    /// Something to do, if there is anything: of all batches, or of this one. A slice gets so many slots at most.
    fn claim<'a>(&'a self, me: &'a Worker, slots: u32, batch: Option<&'a str>) -> Ask<'a, Option<Work>>;
    /// The input is good: these are its slices. None when the worker no longer holds the batch; it is `in_progress` then, or
    /// on its way to an end that was asked for before.
    fn validated<'a>(
        &'a self,
        me: &'a Worker,
        held: &'a Held,
        slices: &'a [Slice],
        model: Option<&'a str>,
    ) -> Ask<'a, Option<BatchRecord>>;
    /// The batch fails, or ends as cancelled if that was asked for before. None when the worker no longer holds it.
    fn fail<'a>(&'a self, me: &'a Worker, held: &'a Held, findings: &'a [Finding]) -> Ask<'a, Option<BatchRecord>>;
    /// Keeps answers, each segment once however often it is told.
    fn record<'a>(&'a self, me: &'a Worker, group: &'a [Segment]) -> Ask<'a, Vec<Fate>>;
    /// The window of a batch is over.
    fn expire<'a>(&'a self, held: &'a Held) -> Ask<'a, ()>;
    /// Gives back what is not done: a batch, or one of its slices. It is no fault of the work.
    fn give_back<'a>(&'a self, me: &'a Worker, held: &'a Held, slice: Option<(u32, i64)>) -> Ask<'a, ()>;
    /// Gives back all that this worker holds but these: claims whose answers were lost, and what it could not give back.
    fn hold_only<'a>(&'a self, me: &'a Worker, known: &'a [Holding]) -> Ask<'a, ()>;
    fn results<'a>(&'a self, held: &'a Held) -> Ask<'a, Results>;
    fn recorded<'a>(&'a self, held: &'a Held, slice: u32) -> Ask<'a, Vec<Recorded>>;
    /// The last step, whose status gives way to a cancellation that came before. None when the worker no longer holds it.
    fn finish<'a>(&'a self, me: &'a Worker, held: &'a Held, end: End) -> Ask<'a, Option<BatchRecord>>;
    fn heartbeat<'a>(&'a self, me: &'a Worker) -> Ask<'a, Beat>;
    /// What nobody else sees to: windows that are over, workers that are silent, bytes that nobody needs.
    fn sweep<'a>(&'a self, me: &'a Worker) -> Ask<'a, ()>;
    /// Gives back everything, at the end of a worker.
    fn leave<'a>(&'a self, me: &'a Worker) -> Ask<'a, ()>;

    // Webhooks.

    /// Parcels that are to be sent now: nobody else gets them for a minute.
    fn due<'a>(&'a self, me: &'a Worker, most: usize) -> Ask<'a, Vec<Parcel>>;
    /// It is sent, or given up.
    fn done<'a>(&'a self, id: &'a str) -> Ask<'a, ()>;
    /// It is to be tried again after this long; that counts as a try.
    fn put_off<'a>(&'a self, id: &'a str, pause: Duration) -> Ask<'a, ()>;

    /// How much there is, of all tenants.
    fn census(&self) -> Ask<'_, Census>;

    /// Forgets everything that does not outlive the process, so that the last bytes on disk can go; lets go of the rest, so
    /// that another process can have it. Nothing is asked afterwards.
    fn clear(&self) -> BoxFuture<'_, ()>;
}

impl NewFile {
    /// A result file of this batch.
    pub(crate) fn of_results(ids: &Ids, batch: &BatchRecord, role: Role, blob: Arc<Blob>) -> NewFile {
        let role = match role {
            Role::Output => "output",
            Role::Error => "error",
        };
        NewFile {
            id: ids.of("file-", &[&batch.id, role]),
            filename: format!("{}_{role}.jsonl", batch.id),
            purpose: RESULT_PURPOSE.to_owned(),
            media_type: None,
            lives: batch.output_expires_after.or_else(|| batch.origin.file_life(RESULT_PURPOSE)),
            blob,
        }
    }
}

impl Subscription {
    /// The id of an event: the same whoever tells of it, and how often.
    pub(crate) fn event_id(&self, batch_id: &str, status: Status) -> String {
        let mut digest = Sha256::new();
        for part in [&self.endpoint, batch_id, status.name()] {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        format!("evt_{}", hex(&digest.finalize()[..16]))
    }
}

impl StateError {
    /// What kind of error it is, in words that tell nothing of paths or addresses.
    pub(crate) fn kind(&self) -> String {
        match self {
            StateError::NotDone(cause) => match cause.downcast_ref::<io::Error>() {
                Some(error) => error.kind().to_string(),
                None => "the state could not be changed".to_owned(),
            },
            StateError::Unknown(_) => "it is not known whether the state was changed".to_owned(),
            StateError::Corrupt(_) => "what is stored cannot be read".to_owned(),
        }
    }

    /// The bound that it is about, if it is about one.
    pub(crate) fn full(&self) -> Option<&Full> {
        let (StateError::NotDone(cause) | StateError::Unknown(cause) | StateError::Corrupt(cause)) = self;
        Full::of(cause.downcast_ref::<io::Error>()?)
    }
}

impl fmt::Display for StateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StateError::NotDone(cause) => write!(f, "nothing was changed: {cause}"),
            StateError::Unknown(cause) => write!(f, "it is not known whether anything was changed: {cause}"),
            StateError::Corrupt(cause) => write!(f, "what is stored cannot be read: {cause}"),
        }
    }
}

impl Error for StateError {}
