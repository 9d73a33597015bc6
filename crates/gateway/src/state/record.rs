//! The records of files and batches.

mod words;

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::blobs::Blob;
use crate::contract::{Endpoint, Status, View};
use crate::state::NewBatch;

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

/// One reason why an input file was refused : an item of `errors.data` of a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Finding {
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
    pub(crate) param: Option<String>,
    /// From 1; none when the whole file is meant.
    pub(crate) line: Option<u64>,
}

/// Live counts. Lines that never ran (expired, cancelled) are in `total` only.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Counts {
    pub(crate) total: u64,
    pub(crate) completed: u64,
    pub(crate) failed: u64,
}

/// Tokens of all lines that were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    pub(in crate::state) input: u64,
    pub(in crate::state) cached: u64,
    pub(in crate::state) output: u64,
    pub(in crate::state) reasoning: u64,
}

impl Usage {
    /// The tokens of input and output that an answer reports.
    pub(crate) fn of(usage: &Value) -> (u64, u64) {
        let mut sum = Usage::default();
        sum.add(usage);
        (sum.input, sum.output)
    }

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

    pub(crate) fn merge(&mut self, other: Usage) {
        self.input += other.input;
        self.cached += other.cached;
        self.output += other.output;
        self.reasoning += other.reasoning;
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

/// One batch. What is added to it later needs a default, since databases hold batches of older versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BatchRecord {
    pub(crate) id: String,
    /// The face it was created through; it decides how its input is validated.
    #[serde(with = "words::view")]
    pub(crate) origin: View,
    #[serde(with = "words::endpoint")]
    pub(crate) endpoint: Endpoint,
    pub(crate) input_file_id: String,
    #[serde(with = "words::status")]
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
    /// A fault keeps it as it is for ever.
    pub(crate) stuck: bool,
}

impl BatchRecord {
    /// One that begins now, in milliseconds since 1970.
    pub(crate) fn new(new: &NewBatch, now_ms: i64) -> BatchRecord {
        let created_at = now_ms.div_euclid(1000);
        let window = i64::try_from(new.window.as_millis()).unwrap_or(i64::MAX);
        BatchRecord {
            id: new.id.clone(),
            origin: new.origin,
            endpoint: new.endpoint,
            input_file_id: new.input_file_id.clone(),
            status: Status::Validating,
            findings: Vec::new(),
            output_file_id: None,
            error_file_id: None,
            created_at,
            in_progress_at: None,
            expires_at: created_at.saturating_add(window.saturating_add(999) / 1000),
            finalizing_at: None,
            completed_at: None,
            failed_at: None,
            expired_at: None,
            cancelling_at: None,
            cancelled_at: None,
            counts: Counts::default(),
            metadata: new.metadata.clone(),
            max_concurrency: new.max_concurrency,
            output_expires_after: new.output_expires_after,
            model: None,
            usage: Usage::default(),
            stuck: false,
        }
    }

    /// Takes a step if it is legal, setting the instant that belongs to it. Returns whether it was.
    pub(crate) fn enter(&mut self, next: Status, now: i64) -> bool {
        if self.stuck || !self.status.may_become(next) {
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

/// A status by its name.
pub(super) fn status_named(name: &str) -> Option<Status> {
    words::status_named(name)
}

#[cfg(test)]
mod tests {
    use super::*;

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
