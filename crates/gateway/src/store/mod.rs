//! What the gateway remembers: records of files and batches, and the trait behind which they are kept.

mod account;
mod blob;
mod disk;
mod memory;
mod record;
mod sweep;

use std::collections::HashSet;
use std::sync::Arc;

pub(crate) use account::{Account, Accounts, Bounds, Full};
pub(crate) use blob::{Blob, Spool};
pub(crate) use disk::Disk;
pub(crate) use memory::Memory;
pub(crate) use record::{BatchRecord, Counts, FileRecord, Finding, Usage};

use crate::metrics::Census;
use crate::tenant::Tenant;

/// A list was asked to continue after an id that was never in it.
#[derive(Debug)]
pub(crate) struct UnknownCursor;

/// What a listing asks for. Items come newest first unless `oldest_first`.
#[derive(Debug)]
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

/// Keeps records, tenant by tenant. In memory today; a folder on disk belongs behind it as well.
///
/// Every method is one atomic step. A file whose `expires_at` is not after `now` is gone.
pub(crate) trait Store: Send + Sync + 'static {
    fn add_file(&self, tenant: Tenant, file: FileRecord) -> Arc<FileRecord>;
    fn file(&self, tenant: Tenant, id: &str, now: i64) -> Option<Arc<FileRecord>>;
    fn files(&self, tenant: Tenant, query: &Query, now: i64) -> Page<Arc<FileRecord>>;
    /// Whether there was such a file.
    fn remove_file(&self, tenant: Tenant, id: &str, now: i64) -> bool;

    fn add_batch(&self, tenant: Tenant, batch: BatchRecord);
    fn batch(&self, tenant: Tenant, id: &str) -> Option<BatchRecord>;
    fn batches(&self, tenant: Tenant, query: &Query) -> Page<BatchRecord>;
    /// Changes one batch in place and returns it as it is afterwards.
    fn update_batch(&self, tenant: Tenant, id: &str, change: &mut dyn FnMut(&mut BatchRecord)) -> Option<BatchRecord>;

    /// How much there is, of all tenants.
    fn census(&self) -> Census;

    /// Lets the expired files of all tenants go.
    fn expire(&self, now: i64);

    /// Forgets everything, so that the last bytes on disk can go.
    fn clear(&self);
}
