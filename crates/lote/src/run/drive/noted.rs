//! How far the batches are, as it is left for who looks on.

use std::{collections::BTreeMap, fs, path::Path};

use serde::{Deserialize, Serialize};

use crate::{Batch, RequestCounts, UnixSeconds, run::folder::PROGRESS};

/// How far the batches are, for who looks on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(in crate::run) struct Noted {
    pub(in crate::run) at: i64,
    pub(in crate::run) shards: BTreeMap<u32, NotedShard>,
    /// Why shards that nobody has submitted wait.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::run) waits: Option<String>,
    /// Whether nothing goes on without a word of a person, as many shards as wait.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub(in crate::run) held: bool,
    /// Why it was refused to go on, until a person says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::run) refused: Option<String>,
    /// Since when no connection can be made to the service, which was reached before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::run) unreached: Option<Unreached>,
}

/// No connection to the service can be made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Unreached {
    /// Since when.
    pub since: UnixSeconds,
    /// What came of the first try, fit to be shown.
    pub why: String,
}

impl Noted {
    /// What was left in a folder before.
    pub(in crate::run) fn read(folder: &Path) -> Self {
        fs::read(folder.join(PROGRESS)).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
    }
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
