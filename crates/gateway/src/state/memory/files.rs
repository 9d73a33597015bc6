//! Files in memory.

use std::sync::Arc;

use crate::state::memory::{Memory, Shelf};
use crate::state::{FileRecord, NewFile, Page, Query, UnknownCursor};
use crate::tenant::Tenant;

impl Shelf {
    /// Lets expired files go.
    fn expire(&mut self, now: i64) {
        let is_over = |file: &&Arc<FileRecord>| file.expires_at.is_some_and(|at| at <= now);
        let expired: Vec<String> = self.files.things.values().filter(is_over).map(|file| file.id.clone()).collect();
        for id in expired {
            self.files.remove(&id);
        }
    }
}

impl Memory {
    pub(super) fn let_expired_go(&self) {
        let now = self.now();
        self.kept().shelves.values_mut().for_each(|shelf| shelf.expire(now));
    }

    pub(super) fn add(&self, tenant: Tenant, new: NewFile) -> Arc<FileRecord> {
        let created_at = self.now();
        let NewFile { id, filename, purpose, media_type, lives, blob } = new;
        let expires_at = lives.map(|seconds| created_at.saturating_add(seconds));
        let file = Arc::new(FileRecord { id, filename, purpose, media_type, created_at, expires_at, blob });
        let mut kept = self.kept();
        let shelf = kept.shelves.entry(tenant).or_default();
        shelf.expire(created_at);
        shelf.files.add(file.id.clone(), Arc::clone(&file));
        file
    }

    pub(super) fn find(&self, tenant: Tenant, id: &str) -> Option<Arc<FileRecord>> {
        let now = self.now();
        let mut kept = self.kept();
        let file = kept.shelves.get_mut(&tenant)?.files.get_mut(id)?;
        file.expires_at.is_none_or(|at| at > now).then(|| Arc::clone(file))
    }

    pub(super) fn list_files(&self, tenant: Tenant, query: &Query) -> Page<Arc<FileRecord>> {
        let now = self.now();
        let mut kept = self.kept();
        let Some(shelf) = kept.shelves.get_mut(&tenant) else { return nothing(query) };
        shelf.expire(now);
        shelf.files.page(query, |file| {
            !query.hidden.contains(&file.id)
                && query.purpose.as_ref().is_none_or(|purpose| *purpose == file.purpose)
                && query.sha256.as_ref().is_none_or(|sha256| sha256 == file.blob.sha256())
        })
    }

    pub(super) fn remove(&self, tenant: Tenant, id: &str) -> bool {
        let now = self.now();
        let mut kept = self.kept();
        let Some(shelf) = kept.shelves.get_mut(&tenant) else { return false };
        shelf.expire(now);
        shelf.files.remove(id).is_some()
    }
}

/// The list of a tenant who has nothing.
pub(super) fn nothing<T>(query: &Query) -> Page<T> {
    match query.after {
        Some(_) => Err(UnknownCursor),
        None => Ok((Vec::new(), false)),
    }
}
