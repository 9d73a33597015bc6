//! What the gateway remembers: records of files and batches, and the trait behind which they are kept.

mod memory;

use std::sync::Arc;

pub(crate) use crate::state::{BatchRecord, FileRecord, Page, Query};
pub(crate) use memory::Memory;

use crate::metrics::Census;
use crate::tenant::Tenant;

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
