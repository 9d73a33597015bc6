//! Everything that can go wrong, and which operations it can strike.

use std::time::Duration;

use crate::faults::{Operation, Refusal};

/// What goes wrong. Each effect imitates something that a real service was seen to do; its source is
/// named, and the first word is its name in a faults file.
///
/// Of several effects that strike one call, those on the answer as a whole ([`Status`](Effect::Status),
/// [`Reset`](Effect::Reset), [`AnswerLost`](Effect::AnswerLost), [`AnswerReplaced`](Effect::AnswerReplaced),
/// [`Late`](Effect::Late) and those on its body) exclude each other: the first in the plan happens, the others stay for
/// a later call. All further effects add up.
///
/// All but `status`, `delay` and `reset` strike an operation that succeeds: a refusal is answered as it is, and the fault
/// is not used.
///
/// What happens on the wire ([`Delay`](Effect::Delay), [`SlowBody`](Effect::SlowBody)) takes real
/// time under a virtual clock too, since clients measure it with their own.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Effect {
    /// `status`: the request is refused and nothing happens. Rate limits (`{"error": "Rate limit
    /// exceeded"}` is MKA1's), overload, proxies; a 5xx for a client's mistake
    /// (litellm#37146).
    Status(Refusal),
    /// `delay`: the request is looked at only after this long: a service under load. Real time.
    Delay(Duration),
    /// `reset`: the connection is reset (TCP RST) and nothing happens; on
    /// [`Operation::Connection`] before a request is read, otherwise after all of it has been read.
    /// A pool that hands out dead connections (OGX resets the pooled connection after a 400).
    Reset,
    /// `answer-lost`: the request does what it asks for, then the connection is reset without an
    /// answer. A client that simply tries again creates a second batch and pays twice
    /// (qwen-code#11874, deltallm#232).
    AnswerLost,
    /// `answer-replaced`: the request does what it asks for and is answered with an error all the
    /// same: a gateway's 502 or 504 after the service behind it was done. The clients of MKA1 and of
    /// OpenAI try a 5xx again by themselves, and so create a second batch.
    AnswerReplaced(Refusal),
    /// `late`: the connection is reset at once, or answered with an error, and what was asked for happens only so much
    /// later, by the gateway's clock. A create, or a request to the model, that outlasts the patience of a client, or of a
    /// proxy, takes effect after both have given it up (pasqal-io/pasqal-cloud#285, HumeAI/hume-python-sdk#80). Whether it
    /// is refused then, nobody hears.
    Late {
        /// How much later.
        after: Duration,
        /// What is answered at once; without it the connection is reset.
        answer: Option<Refusal>,
    },
    /// `reset-in-body`: the connection is reset after so many bytes of the answer's body.
    ResetInBody {
        /// Bytes of the body that are sent.
        after: u64,
    },
    /// `truncated-body`: the answer's `Content-Length` is what it should be, but the connection ends
    /// properly after so many bytes of the body.
    TruncatedBody {
        /// Bytes of the body that are sent.
        after: u64,
    },
    /// `truncated-chunks`: the body comes in chunks without a length (as dwctl 8.94.2 sends it), and the
    /// connection ends after so many bytes, without the last chunk.
    TruncatedChunks {
        /// Bytes of the body that are sent.
        after: u64,
    },
    /// `slow-body`: the answer's body comes at this pace: a download that outlasts a client's total
    /// timeout (that of a client which progenitor generates is 15 s). Real time.
    SlowBody {
        /// At least 1.
        bytes_per_second: u64,
    },

    /// `unlisted`: what this create or upload makes, or this result file, is missing from lists for a while, and is there
    /// when asked for by its id. Whoever looks for a lost create in the list too early creates
    /// again: in one report 10,207 pages became 14,070 submissions.
    Unlisted(Lag),
    /// `not-found`: what this create or upload makes, or this result file, answers 404 for a while
    /// when it is read by its id (mistralai/client-python#625, anthropic-sdk-python#1432; OpenRouter's documentation says it). A
    /// batch may be created on a file that cannot be read yet.
    NotFound(Lag),
    /// `token-limit`: the batch that this create makes fails in validation with
    /// `token_limit_exceeded`, line and param null (openai-python#2084, #1643).
    TokenLimit,
    /// `deduplicated`: an upload of bytes that an earlier file of the same purpose holds makes no file: the answer is the
    /// earlier one, with its id and name. Services that know files by their hash do so (logicleai/logicle#862;
    /// laminlabs/lamindb#772), and two uploads of a client are one file then.
    Deduplicated,
    /// `cancelling-for-ever`: the batch that this cancels stays in `cancelling`, with `cancelled_at` set and without
    /// files, and never ends (dwctl 8.94.2, when no line had started).
    CancellingForEver,
    /// `named-late`: the id of this result file is null for a while after the batch has ended (litellm#37715).
    NamedLate(Lag),

    /// `unknown-status`: batches in the answer have this status, such as aibrix's `scheduling` or
    /// Novita's `PROGRESS` (async-openai#250, litellm#9189).
    UnknownStatus(String),
    /// `timestamp`: this field of the batches or files in the answer is odd. A field that is null
    /// stays null.
    Timestamp {
        /// Such as `created_at`.
        field: String,
        /// What it becomes.
        value: OddTime,
    },
    /// `absent-field`: this field of the batches or files in the answer is left out: nulls by
    /// aimock, aibrix and dwctl, `request_counts` by aibrix until it runs, a file's `status` by
    /// dwctl, `max_concurrency` by MKA1's own example of a batch.
    AbsentField(String),
    /// `null-field`: this field of the batches or files in the answer is null: `request_counts` by
    /// OGX until it runs, `expires_at` always, a file's purpose by aibrix.
    NullField(String),
    /// `counts-backwards`: the completed and failed counts in the answer are half of what they
    /// were: a client that draws progress from them goes backwards.
    CountsBackwards,
    /// `counts-zero`: all counts in the answer are 0, as while validating.
    CountsZero,
    /// `cut-list`: the list ends after so many entries, none for 0, and says of more what it is told to: a list that
    /// leaves out what is there (litellm#39810, python-genai#1250), or an empty page that ends nothing (litellm#38738,
    /// OGX). In one report 10,207 pages became 14,070 submissions, because a list had been cut.
    CutList {
        /// How many are left.
        entries: usize,
        /// What `has_more` is.
        has_more: HasMore,
    },
    /// `rewritten-ids`: the list shows other ids of its batches than their creates did, as LiteLLM's encoded and plain
    /// ones (litellm#19040, #22653). Whoever asks by one id is answered with that one.
    RewrittenIds {
        /// Which of the two a request may name, from then on.
        takes: Takes,
    },

    /// `shuffled-lines`: the result lines are in another order than they came in. None is promised
    /// (OpenAI's guide; sglang#4026).
    ShuffledLines,
    /// `duplicated-lines`: the first result lines come twice: aimock, OGX, aibrix and dwctl run
    /// doubled ids twice.
    DuplicatedLines {
        /// How many.
        lines: usize,
    },
    /// `missing-lines`: the last result lines are missing (litellm#37205: 142 finished of 2,000).
    MissingLines {
        /// How many.
        lines: usize,
    },
    /// `foreign-lines`: result lines that no request line asked for come first: another batch's rows
    /// (llm-d-batch-gateway#147, bifrost#5291).
    ForeignLines {
        /// How many.
        lines: usize,
    },
    /// `truncated-line`: the file ends in the middle of its last line: the partial content of a batch
    /// that still runs (dwctl, which says so in `X-Incomplete`).
    TruncatedLine,
    /// `undecodable-lines`: the first result lines are neither JSON nor UTF-8.
    UndecodableLines {
        /// How many.
        lines: usize,
    },
    /// `both-set`: the result lines have a response and an error (vLLM's run_batch).
    BothSet,
    /// `half-lines`: of `response` and `error`, result lines have only the one that is set (OGX 1.5.0).
    HalfLines,
    /// `body-as-text`: `response.body` is a JSON text, not an object (OGX 1.5.0).
    BodyAsText,
    /// `null-request-id`: `response.request_id` is null (dwctl 8.94.2).
    NullRequestId,
    /// `no-final-newline`: the last line does not end (OGX 1.5.0).
    NoFinalNewline,
    /// `no-file`: the id of the file is null though there were lines for it (litellm#33987,
    /// instructor#2657).
    NoFile,
    /// `empty-file-id`: the id of the file is `""` when there were no lines for it (seen in the field).
    EmptyFileId,
    /// `empty-file`: a file of 0 bytes is named when there were no lines for it (Azure, OGX).
    EmptyFile,
}

/// For how long something cannot be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lag {
    /// For so many looks: lists for [`Effect::Unlisted`], reads by id for [`Effect::NotFound`].
    Looks(u64),
    /// For so long, by the gateway's clock.
    Time(Duration),
}

/// What a list says of more after a page that was cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum HasMore {
    /// `false`: that this is the end.
    #[default]
    False,
    /// `true`: that there is more.
    True,
    /// `absent`: nothing.
    Absent,
}

impl HasMore {
    /// The names in a faults file.
    pub(crate) const NAMES: [(&'static str, HasMore); 3] =
        [("false", HasMore::False), ("true", HasMore::True), ("absent", HasMore::Absent)];
}

/// Which ids of a batch are taken, when its list and its create show different ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Takes {
    /// `both`.
    #[default]
    Both,
    /// `made`: that of the create. The listed one is a 404.
    Made,
    /// `listed`: that of the list. The one of the create is a 404 once the batch was listed.
    Listed,
}

impl Takes {
    /// The names in a faults file.
    pub(crate) const NAMES: [(&'static str, Takes); 3] =
        [("both", Takes::Both), ("made", Takes::Made), ("listed", Takes::Listed)];
}

/// What becomes of an instant. The bounds of the contract are ±9007199254740991, that is ±(2^53 − 1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OddTime {
    /// `lowest`: −9007199254740991, the least allowed.
    Lowest,
    /// `highest`: 9007199254740991, the most allowed.
    Highest,
    /// `below-lowest`: one less than allowed.
    BelowLowest,
    /// `above-highest`: one more than allowed.
    AboveHighest,
    /// `milliseconds`: the same instant in milliseconds (Novita and Bella).
    Milliseconds,
    /// `fractional`: half a second later, as 1767225600.5; MKA1's client refuses it.
    Fractional,
    /// `text`: in words, as Azure's and Together's samples have it.
    Text,
}

impl OddTime {
    /// The names in a faults file.
    pub(crate) const NAMES: [(&'static str, OddTime); 7] = [
        ("lowest", OddTime::Lowest),
        ("highest", OddTime::Highest),
        ("below-lowest", OddTime::BelowLowest),
        ("above-highest", OddTime::AboveHighest),
        ("milliseconds", OddTime::Milliseconds),
        ("fractional", OddTime::Fractional),
        ("text", OddTime::Text),
    ];
}

/// When in a call an effect happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// It decides the answer as a whole.
    Answer,
    /// Before the request is looked at.
    Before,
    /// What the call makes is affected.
    Made,
    /// The objects in the answer are.
    Object,
    /// A result file is.
    ResultFile,
}

impl Effect {
    /// Its name in a faults file.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Effect::Status(_) => "status",
            Effect::Delay(_) => "delay",
            Effect::Reset => "reset",
            Effect::AnswerLost => "answer-lost",
            Effect::AnswerReplaced(_) => "answer-replaced",
            Effect::Late { .. } => "late",
            Effect::ResetInBody { .. } => "reset-in-body",
            Effect::TruncatedBody { .. } => "truncated-body",
            Effect::TruncatedChunks { .. } => "truncated-chunks",
            Effect::SlowBody { .. } => "slow-body",
            Effect::Unlisted(_) => "unlisted",
            Effect::NotFound(_) => "not-found",
            Effect::TokenLimit => "token-limit",
            Effect::Deduplicated => "deduplicated",
            Effect::CancellingForEver => "cancelling-for-ever",
            Effect::NamedLate(_) => "named-late",
            Effect::UnknownStatus(_) => "unknown-status",
            Effect::Timestamp { .. } => "timestamp",
            Effect::AbsentField(_) => "absent-field",
            Effect::NullField(_) => "null-field",
            Effect::CountsBackwards => "counts-backwards",
            Effect::CountsZero => "counts-zero",
            Effect::CutList { .. } => "cut-list",
            Effect::RewrittenIds { .. } => "rewritten-ids",
            Effect::ShuffledLines => "shuffled-lines",
            Effect::DuplicatedLines { .. } => "duplicated-lines",
            Effect::MissingLines { .. } => "missing-lines",
            Effect::ForeignLines { .. } => "foreign-lines",
            Effect::TruncatedLine => "truncated-line",
            Effect::UndecodableLines { .. } => "undecodable-lines",
            Effect::BothSet => "both-set",
            Effect::HalfLines => "half-lines",
            Effect::BodyAsText => "body-as-text",
            Effect::NullRequestId => "null-request-id",
            Effect::NoFinalNewline => "no-final-newline",
            Effect::NoFile => "no-file",
            Effect::EmptyFileId => "empty-file-id",
            Effect::EmptyFile => "empty-file",
        }
    }

    pub(crate) fn stage(&self) -> Stage {
        match self {
            Effect::Delay(_) => Stage::Before,
            Effect::Status(_)
            | Effect::Reset
            | Effect::AnswerLost
            | Effect::AnswerReplaced(_)
            | Effect::Late { .. }
            | Effect::ResetInBody { .. }
            | Effect::TruncatedBody { .. }
            | Effect::TruncatedChunks { .. }
            | Effect::SlowBody { .. } => Stage::Answer,
            Effect::Unlisted(_)
            | Effect::NotFound(_)
            | Effect::TokenLimit
            | Effect::Deduplicated
            | Effect::CancellingForEver
            | Effect::NamedLate(_) => Stage::Made,
            Effect::UnknownStatus(_)
            | Effect::Timestamp { .. }
            | Effect::AbsentField(_)
            | Effect::NullField(_)
            | Effect::CountsBackwards
            | Effect::CountsZero
            | Effect::CutList { .. }
            | Effect::RewrittenIds { .. } => Stage::Object,
            Effect::ShuffledLines
            | Effect::DuplicatedLines { .. }
            | Effect::MissingLines { .. }
            | Effect::ForeignLines { .. }
            | Effect::TruncatedLine
            | Effect::UndecodableLines { .. }
            | Effect::BothSet
            | Effect::HalfLines
            | Effect::BodyAsText
            | Effect::NullRequestId
            | Effect::NoFinalNewline
            | Effect::NoFile
            | Effect::EmptyFileId
            | Effect::EmptyFile => Stage::ResultFile,
        }
    }

    /// Whether it can strike `operation`.
    pub(crate) fn fits(&self, operation: Operation) -> bool {
        use Operation::{CancelBatch, CreateBatch, ErrorFile, ListBatches, ListFiles, OutputFile, UploadFile};
        match (self.stage(), self) {
            // What only reads has no effect that could come later, and an upload would be held in memory.
            (_, Effect::Late { .. }) => {
                matches!(operation, CreateBatch | CancelBatch) || operation.is_answered_at_once()
            }
            (_, Effect::Deduplicated) => operation == UploadFile,
            (_, Effect::CancellingForEver) => operation == CancelBatch,
            (_, Effect::NamedLate(_)) => matches!(operation, OutputFile | ErrorFile),
            (_, Effect::CutList { .. }) => matches!(operation, ListBatches | ListFiles),
            (_, Effect::RewrittenIds { .. }) => operation == ListBatches,
            (_, Effect::Reset) => operation == Operation::Connection || operation.is_request(),
            (Stage::Answer | Stage::Before, _) => operation.is_request(),
            (Stage::Made, Effect::TokenLimit) => operation == CreateBatch,
            (Stage::Made, _) => matches!(operation, CreateBatch | UploadFile | OutputFile | ErrorFile),
            (Stage::Object, Effect::UnknownStatus(_) | Effect::CountsBackwards | Effect::CountsZero) => {
                operation.answers_batch()
            }
            (Stage::Object, _) => operation.answers_batch() || operation.answers_file(),
            (Stage::ResultFile, _) => matches!(operation, OutputFile | ErrorFile),
        }
    }

    /// What is wrong with its numbers, if anything is: the key and the reason.
    pub(crate) fn wrong(&self) -> Option<(&'static str, String)> {
        match self {
            Effect::Status(refusal) | Effect::AnswerReplaced(refusal) | Effect::Late { answer: Some(refusal), .. } => {
                refusal.wrong()
            }
            Effect::SlowBody { bytes_per_second: 0 } => {
                Some(("bytes_per_second", "expected an integer of at least 1, got 0".to_owned()))
            }
            Effect::DuplicatedLines { lines: 0 }
            | Effect::MissingLines { lines: 0 }
            | Effect::ForeignLines { lines: 0 }
            | Effect::UndecodableLines { lines: 0 } => {
                Some(("lines", "expected an integer of at least 1, got 0".to_owned()))
            }
            _ => None,
        }
    }
}
