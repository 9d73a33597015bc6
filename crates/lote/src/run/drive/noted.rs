//! How far the batches are, as it is left for who looks on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{Batch, RequestCounts};

/// How far the batches are, for who looks on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::run) struct Noted {
    pub(in crate::run) at: i64,
    pub(in crate::run) shards: BTreeMap<u32, NotedShard>,
    /// Why shards that nobody has submitted wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::run) waits: Option<String>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(in crate::run) struct NotedShard {
    pub(in crate::run) status: String,
    pub(in crate::run) total: u64,
    pub(in crate::run) completed: u64,
    pub(in crate::run) failed: u64,
}

impl NotedShard {
    pub(super) fn of(batch: &Batch) -> Self {
        let RequestCounts { total, completed, failed } = batch.request_counts.unwrap_or_default();
        Self { status: batch.status.as_str().to_owned(), total, completed, failed }
    }
}
