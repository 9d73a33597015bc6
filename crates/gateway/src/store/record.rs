//! Owns the records of files and batches and the legal steps of a batch's life. Never decides how
//! they look on the wire.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::store::Blob;
use crate::view::{Endpoint, View};

/// One stored file.
#[derive(Debug)]
pub(crate) struct FileRecord {
    pub(crate) id: String,
    pub(crate) filename: String,
    pub(crate) purpose: String,
    /// What the upload called it, if that is a type that contents are served as.
    pub(crate) media_type: Option<&'static str>,
    pub(crate) created_at: i64,
    pub(crate) expires_at: Option<i64>,
    pub(crate) blob: Arc<Blob>,
}

/// One reason why an input file was refused (contract facts 5.2).
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub(crate) code: &'static str,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    /// From 1; none when the whole file is meant.
    pub(crate) line: Option<u64>,
}

/// Live counts. Lines that never ran (expired, cancelled) are in `total` only.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

/// Tokens of all lines that were answered.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Usage {
    input: u64,
    cached: u64,
    output: u64,
    reasoning: u64,
}

impl Usage {
    /// Adds what an answer reports, in either of the two spellings; null adds nothing.
    pub(crate) fn add(&mut self, usage: &Value) {
        let either = |one: &str, two: &str| {
            let number = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
            number(one).or_else(|| number(two)).unwrap_or(0)
        };
        self.input += either("/input_tokens", "/prompt_tokens");
        self.output += either("/output_tokens", "/completion_tokens");
        self.cached += either("/input_tokens_details/cached_tokens", "/prompt_tokens_details/cached_tokens");
        self.reasoning +=
            either("/output_tokens_details/reasoning_tokens", "/completion_tokens_details/reasoning_tokens");
    }

    pub(crate) fn body(&self) -> Value {
        json!({
            "input_tokens": self.input,
            "input_tokens_details": {"cached_tokens": self.cached},
            "output_tokens": self.output,
            "output_tokens_details": {"reasoning_tokens": self.reasoning},
            "total_tokens": self.input + self.output,
        })
    }
}

/// The eight statuses of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    Validating,
    Failed,
    InProgress,
    Finalizing,
    Completed,
    Expired,
    Cancelling,
    Cancelled,
}

impl Status {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Validating => "validating",
            Status::Failed => "failed",
            Status::InProgress => "in_progress",
            Status::Finalizing => "finalizing",
            Status::Completed => "completed",
            Status::Expired => "expired",
            Status::Cancelling => "cancelling",
            Status::Cancelled => "cancelled",
        }
    }

    pub(crate) fn is_terminal(self) -> bool {
        matches!(self, Status::Failed | Status::Completed | Status::Expired | Status::Cancelled)
    }

    /// The legal steps (contract facts 2.3). A batch may be cancelled in each of its three running
    /// statuses; only one that is running or finalizing can expire, so one whose window ends while
    /// it waits in `validating` runs at that instant, and expires; a batch that fails while
    /// running (the gateway's disk, not the input) takes Azure's and OGX's step to failed.
    pub(crate) fn may_become(self, next: Status) -> bool {
        use Status::{Cancelled, Cancelling, Completed, Expired, Failed, Finalizing, InProgress, Validating};
        matches!(
            (self, next),
            (Validating, InProgress | Failed | Cancelling)
                | (InProgress, Finalizing | Expired | Failed | Cancelling)
                | (Finalizing, Completed | Expired | Failed | Cancelling)
                | (Cancelling, Cancelled)
        )
    }
}

/// One batch.
#[derive(Clone, Debug)]
pub(crate) struct BatchRecord {
    pub(crate) id: String,
    /// The face it was created through; it decides how its input is validated.
    pub(crate) origin: View,
    pub(crate) endpoint: Endpoint,
    pub(crate) input_file_id: String,
    pub(crate) status: Status,
    pub(crate) findings: Vec<Finding>,
    pub(crate) output_file_id: Option<String>,
    pub(crate) error_file_id: Option<String>,
    pub(crate) created_at: i64,
    pub(crate) in_progress_at: Option<i64>,
    pub(crate) expires_at: i64,
    pub(crate) finalizing_at: Option<i64>,
    pub(crate) completed_at: Option<i64>,
    pub(crate) failed_at: Option<i64>,
    pub(crate) expired_at: Option<i64>,
    pub(crate) cancelling_at: Option<i64>,
    pub(crate) cancelled_at: Option<i64>,
    pub(crate) counts: Counts,
    pub(crate) metadata: Option<Map<String, Value>>,
    pub(crate) max_concurrency: usize,
    /// Seconds that its result files live, if that was asked for.
    pub(crate) output_expires_after: Option<i64>,
    pub(crate) model: Option<String>,
    pub(crate) usage: Usage,
}

impl BatchRecord {
    /// Takes a step if it is legal, setting the instant that belongs to it. Returns whether it was.
    pub(crate) fn enter(&mut self, next: Status, now: i64) -> bool {
        if !self.status.may_become(next) {
            return false;
        }
        self.status = next;
        let instant = match next {
            Status::Validating => return true,
            Status::InProgress => &mut self.in_progress_at,
            Status::Finalizing => &mut self.finalizing_at,
            Status::Completed => &mut self.completed_at,
            Status::Failed => &mut self.failed_at,
            Status::Expired => &mut self.expired_at,
            Status::Cancelling => &mut self.cancelling_at,
            Status::Cancelled => &mut self.cancelled_at,
        };
        *instant = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [Status; 8] = [
        Status::Validating,
        Status::Failed,
        Status::InProgress,
        Status::Finalizing,
        Status::Completed,
        Status::Expired,
        Status::Cancelling,
        Status::Cancelled,
    ];

    #[test]
    fn terminal_statuses_have_no_way_out_and_all_others_do() {
        for from in ALL {
            let ways = ALL.iter().filter(|to| from.may_become(**to)).count();
            assert_eq!(ways == 0, from.is_terminal(), "{}", from.name());
        }
    }

    #[test]
    fn nothing_returns_to_validating_and_every_other_status_is_reached() {
        for to in ALL {
            let ways = ALL.iter().filter(|from| from.may_become(to)).count();
            assert_eq!(ways == 0, to == Status::Validating, "{}", to.name());
        }
    }

    /// Contract facts 2.3, written a second time.
    #[test]
    fn these_steps_are_legal_and_no_others() {
        let legal: Vec<String> = ALL
            .iter()
            .flat_map(|from| ALL.iter().map(move |to| (from, to)))
            .filter(|(from, to)| from.may_become(**to))
            .map(|(from, to)| format!("{} -> {}", from.name(), to.name()))
            .collect();
        let expected = [
            "validating -> failed",
            "validating -> in_progress",
            "validating -> cancelling",
            "in_progress -> failed",
            "in_progress -> finalizing",
            "in_progress -> expired",
            "in_progress -> cancelling",
            "finalizing -> failed",
            "finalizing -> completed",
            "finalizing -> expired",
            "finalizing -> cancelling",
            "cancelling -> cancelled",
        ];
        assert_eq!(legal, expected);
    }

    #[test]
    fn usage_reads_both_spellings() {
        let mut usage = Usage::default();
        usage.add(&json!({"prompt_tokens": 3, "completion_tokens": 4}));
        usage.add(&json!({
            "input_tokens": 10, "output_tokens": 20,
            "output_tokens_details": {"reasoning_tokens": 5},
        }));
        usage.add(&Value::Null);
        usage.add(&json!("none"));
        assert_eq!(usage.body()["total_tokens"], 37);
        assert_eq!(usage.body()["output_tokens_details"]["reasoning_tokens"], 5);
    }
}
