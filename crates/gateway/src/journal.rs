//! Owns the record of what the gateway did, so that a test can ask the server's side. Never holds a
//! key: tenants have names.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::auth::Tenant;

/// One thing that the gateway did, as [`Gateway::journal`](crate::Gateway::journal) has it. As JSON
/// it is one flat object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// When, in seconds since 1970 by the gateway's clock.
    pub at: i64,
    /// For whom: the name of the key, never the key. Keys without a name are `key-1`, `key-2`, … in
    /// the order they were given or, when any key is let in, came.
    pub tenant: String,
    /// The end user, as `X-On-Behalf-Of` had it.
    pub on_behalf_of: Option<String>,
    /// What.
    #[serde(flatten)]
    pub event: Event,
}

/// What the gateway did. In JSON the name is the field `event`: `batch_created`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A batch was created, whatever became of the answer.
    BatchCreated {
        /// The new batch.
        batch_id: String,
        /// Its input file.
        input_file_id: String,
        /// The `Idempotency-Key` that was sent, whether or not it is obeyed.
        idempotency_key: Option<String>,
    },
    /// A create came again with the same `Idempotency-Key` and got the batch it had made.
    CreateRepeated {
        /// The batch of the first time.
        batch_id: String,
        /// The key of both.
        idempotency_key: String,
    },
    /// A batch was asked to be cancelled and could be.
    BatchCancelled {
        /// The batch.
        batch_id: String,
    },
    /// A file was uploaded.
    FileUploaded {
        /// The new file.
        file_id: String,
        /// As the client called it.
        filename: String,
        /// Such as `batch`.
        purpose: String,
        /// Its size.
        bytes: u64,
        /// Lowercase hex.
        sha256: String,
    },
    /// A file was deleted.
    FileDeleted {
        /// The file.
        file_id: String,
    },
    /// A request line was handed to the model: what a real service charges for.
    LineExecuted {
        /// The batch.
        batch_id: String,
        /// The line.
        custom_id: String,
        /// From 1; more when the line was tried again inside the batch.
        attempt: u32,
    },
}

/// The journal of one gateway: nothing, unless it is enabled. It grows until the gateway ends.
#[derive(Debug, Default)]
pub(crate) struct Journal(Option<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    entries: Vec<(Tenant, Entry)>,
    names: HashMap<Tenant, Name>,
    /// Keys that have no name, in the order they came.
    unnamed: HashMap<[u8; 32], String>,
}

#[derive(Clone, Debug)]
struct Name {
    key: [u8; 32],
    tenant: String,
    on_behalf_of: Option<String>,
}

impl Journal {
    pub(crate) fn new(enabled: bool) -> Journal {
        Journal(enabled.then(Mutex::default))
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Learns what to call a tenant. `key` is the digest of its key.
    pub(crate) fn meet(&self, tenant: Tenant, key: [u8; 32], name: Option<&str>, user: Option<&str>) {
        let Some(mut book) = self.book() else { return };
        if book.names.contains_key(&tenant) {
            return;
        }
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                let next = book.unnamed.len() + 1;
                book.unnamed.entry(key).or_insert_with(|| format!("key-{next}")).clone()
            }
        };
        book.names.insert(tenant, Name { key, tenant: name, on_behalf_of: user.map(str::to_owned) });
    }

    pub(crate) fn record(&self, tenant: Tenant, at: i64, event: impl FnOnce() -> Event) {
        let Some(mut book) = self.book() else { return };
        let Some(name) = book.names.get(&tenant).cloned() else { return };
        let entry = Entry { at, tenant: name.tenant, on_behalf_of: name.on_behalf_of, event: event() };
        book.entries.push((tenant, entry));
    }

    /// Everything so far.
    pub(crate) fn all(&self) -> Vec<Entry> {
        self.book().map_or_else(Vec::new, |book| book.entries.iter().map(|(_, entry)| entry.clone()).collect())
    }

    /// What was done for the key of this tenant, and for all its end users.
    pub(crate) fn of_key(&self, tenant: Tenant) -> Vec<Entry> {
        let Some(book) = self.book() else { return Vec::new() };
        let Some(key) = book.names.get(&tenant).map(|name| name.key) else { return Vec::new() };
        let same = |tenant: &Tenant| book.names.get(tenant).is_some_and(|name| name.key == key);
        book.entries.iter().filter(|(tenant, _)| same(tenant)).map(|(_, entry)| entry.clone()).collect()
    }

    fn book(&self) -> Option<MutexGuard<'_, Book>> {
        self.0.as_ref().map(|book| book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
