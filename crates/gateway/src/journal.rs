//! The record of what the gateway did, so that a test can ask the server's side. Tenants are named; it holds no key.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::Serialize;

use crate::tenant::Tenant;

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
        /// The new file; the earlier one of the same bytes, where a fault lets that stand for it.
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
    /// A request that is answered at once was handed to the model: what a real service charges for. It has no custom_id.
    RequestExecuted {
        /// As batches name it, such as `/v1/chat/completions`, under both prefixes.
        endpoint: String,
        /// The `x-request-id` of its answer.
        request_id: String,
        /// Of the bytes of its body, in lowercase hex.
        sha256: String,
        /// The `Idempotency-Key` that was sent, whether or not it is obeyed.
        idempotency_key: Option<String>,
        /// From 1; more when the same body came again after failures that a directive in it asks for.
        attempt: u32,
    },
    /// A request came again with the same `Idempotency-Key` and got the answer of the first time, without the model.
    RequestRepeated {
        /// As batches name it.
        endpoint: String,
        /// The `x-request-id` of this answer.
        request_id: String,
        /// The key of both.
        idempotency_key: String,
    },
}

/// Most tenants whose names are kept.
const MOST_TENANTS: usize = 10_000;

/// Longest text of a client that an entry repeats, in bytes; the rest is left out.
const LONGEST_TEXT: usize = 1_024;

impl Entry {
    /// About the memory it takes, in bytes.
    fn size(&self) -> usize {
        let texts = match &self.event {
            Event::BatchCreated { batch_id, input_file_id, idempotency_key } => {
                batch_id.len() + input_file_id.len() + idempotency_key.as_ref().map_or(0, String::len)
            }
            Event::CreateRepeated { batch_id, idempotency_key } => batch_id.len() + idempotency_key.len(),
            Event::BatchCancelled { batch_id } => batch_id.len(),
            Event::FileUploaded { file_id, filename, purpose, bytes: _, sha256 } => {
                file_id.len() + filename.len() + purpose.len() + sha256.len()
            }
            Event::FileDeleted { file_id } => file_id.len(),
            Event::LineExecuted { batch_id, custom_id, attempt: _ } => batch_id.len() + custom_id.len(),
            Event::RequestExecuted { endpoint, request_id, sha256, idempotency_key, attempt: _ } => {
                let key = idempotency_key.as_ref().map_or(0, String::len);
                endpoint.len() + request_id.len() + sha256.len() + key
            }
            Event::RequestRepeated { endpoint, request_id, idempotency_key } => {
                endpoint.len() + request_id.len() + idempotency_key.len()
            }
        };
        let who = self.tenant.len() + self.on_behalf_of.as_ref().map_or(0, String::len);
        size_of::<(Tenant, Entry)>() + who + texts
    }

    /// The same with no text longer than [`LONGEST_TEXT`].
    fn clipped(mut self) -> Entry {
        match &mut self.event {
            Event::BatchCreated { batch_id: _, input_file_id, idempotency_key } => {
                clip(input_file_id);
                idempotency_key.as_mut().map(clip);
            }
            Event::CreateRepeated { batch_id: _, idempotency_key }
            | Event::RequestRepeated { endpoint: _, request_id: _, idempotency_key } => clip(idempotency_key),
            Event::RequestExecuted { endpoint: _, request_id: _, sha256: _, idempotency_key, attempt: _ } => {
                idempotency_key.as_mut().map(clip);
            }
            Event::FileUploaded { file_id: _, filename, purpose, bytes: _, sha256: _ } => {
                clip(filename);
                clip(purpose);
            }
            Event::LineExecuted { batch_id: _, custom_id, attempt: _ } => clip(custom_id),
            // Both ids are the gateway's own: there is something behind them.
            Event::BatchCancelled { batch_id: _ } | Event::FileDeleted { file_id: _ } => {}
        }
        self
    }
}

fn clip(text: &mut String) {
    if text.len() > LONGEST_TEXT {
        let end = (0..=LONGEST_TEXT).rev().find(|end| text.is_char_boundary(*end));
        text.truncate(end.unwrap_or(0));
    }
}

/// The journal of one gateway: nothing, unless it is enabled. Beyond its bound the oldest entries make room, and are
/// counted.
#[derive(Debug, Default)]
pub(crate) struct Journal(Option<Mutex<Book>>);

#[derive(Debug, Default)]
struct Book {
    entries: VecDeque<(Tenant, Entry)>,
    /// The bound on the memory of the entries, and what they take.
    most: usize,
    size: usize,
    /// Entries that made room, or were made by tenants beyond [`MOST_TENANTS`].
    dropped: u64,
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

/// The part of the journal that one key may see. As JSON it is a list.
#[derive(Debug, Serialize)]
pub(crate) struct Excerpt {
    object: &'static str,
    data: Vec<Entry>,
    /// Entries of all tenants that are no longer there.
    dropped: u64,
}

impl Journal {
    /// With so many bytes of memory for its entries, if it is enabled.
    pub(crate) fn new(enabled: bool, most: usize) -> Journal {
        Journal(enabled.then(|| Mutex::new(Book { most, ..Book::default() })))
    }

    pub(crate) fn is_enabled(&self) -> bool {
        self.0.is_some()
    }

    /// Learns what to call a tenant. `key` is the digest of its key.
    pub(crate) fn meet(&self, tenant: Tenant, key: [u8; 32], name: Option<&str>, user: Option<&str>) {
        let Some(mut book) = self.book() else { return };
        if book.names.len() >= MOST_TENANTS || book.names.contains_key(&tenant) {
            return;
        }
        let name = match name {
            Some(name) => name.to_owned(),
            None => {
                let next = book.unnamed.len() + 1;
                book.unnamed.entry(key).or_insert_with(|| format!("key-{next}")).clone()
            }
        };
        let on_behalf_of = user.map(|user| {
            let mut user = user.to_owned();
            clip(&mut user);
            user
        });
        book.names.insert(tenant, Name { key, tenant: name, on_behalf_of });
    }

    pub(crate) fn record(&self, tenant: Tenant, at: i64, event: impl FnOnce() -> Event) {
        let Some(mut book) = self.book() else { return };
        let Some(name) = book.names.get(&tenant).cloned() else {
            book.dropped += 1;
            return;
        };
        let entry = Entry { at, tenant: name.tenant, on_behalf_of: name.on_behalf_of, event: event() }.clipped();
        book.size += entry.size();
        book.entries.push_back((tenant, entry));
        while book.size > book.most
            && let Some((_, oldest)) = book.entries.pop_front()
        {
            book.size -= oldest.size();
            book.dropped += 1;
        }
    }

    /// Everything that is there.
    pub(crate) fn all(&self) -> Vec<Entry> {
        self.book().map_or_else(Vec::new, |book| book.entries.iter().map(|(_, entry)| entry.clone()).collect())
    }

    /// How many entries are no longer there.
    pub(crate) fn dropped(&self) -> u64 {
        self.book().map_or(0, |book| book.dropped)
    }

    /// What was done for the key of this tenant, and for all its end users.
    pub(crate) fn of_key(&self, tenant: Tenant) -> Excerpt {
        let (data, dropped) = match self.book() {
            Some(book) => (book.of_key(tenant), book.dropped),
            None => (Vec::new(), 0),
        };
        Excerpt { object: "list", data, dropped }
    }

    fn book(&self) -> Option<MutexGuard<'_, Book>> {
        self.0.as_ref().map(|book| book.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Book {
    fn of_key(&self, tenant: Tenant) -> Vec<Entry> {
        let Some(key) = self.names.get(&tenant).map(|name| name.key) else { return Vec::new() };
        let same = |tenant: &Tenant| self.names.get(tenant).is_some_and(|name| name.key == key);
        self.entries.iter().filter(|(tenant, _)| same(tenant)).map(|(_, entry)| entry.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(custom_id: impl Into<String>) -> Event {
        Event::LineExecuted { batch_id: "batch_1".to_owned(), custom_id: custom_id.into(), attempt: 1 }
    }

    #[test]
    fn the_oldest_entries_make_room_and_are_counted() {
        let journal = Journal::new(true, 100_000);
        let tenant = Tenant::new([1; 32]);
        journal.meet(tenant, [2; 32], None, Some(&"u".repeat(60_000)));
        for n in 0..10_000 {
            journal.record(tenant, n, || line(n.to_string()));
        }
        let (all, dropped) = (journal.all(), journal.dropped());
        assert_eq!(all.len() as u64 + dropped, 10_000);
        assert!((20..100).contains(&all.len()), "{}", all.len());
        assert_eq!(all.last().unwrap().event, line("9999"));
        assert_eq!(all[0].at, i64::try_from(dropped).unwrap());
        assert!(all.iter().map(Entry::size).sum::<usize>() <= 100_000);
        assert_eq!(all[0].on_behalf_of.as_ref().unwrap().len(), LONGEST_TEXT);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let journal = Journal::new(true, 1 << 20);
        let tenant = Tenant::new([1; 32]);
        journal.meet(tenant, [2; 32], None, None);
        journal.record(tenant, 0, || line("ü".repeat(10_000)));
        let expected = line("ü".repeat(LONGEST_TEXT / 2));
        assert_eq!(journal.all()[0].event, expected);
    }

    #[test]
    fn tenants_beyond_the_bound_are_only_counted() {
        let journal = Journal::new(true, 1 << 20);
        let tenant = |n: usize| {
            let mut digest = [0; 32];
            digest[..8].copy_from_slice(&n.to_le_bytes());
            Tenant::new(digest)
        };
        for n in 0..MOST_TENANTS + 5 {
            journal.meet(tenant(n), [0; 32], None, Some("u"));
        }
        journal.record(tenant(MOST_TENANTS), 0, || line("a"));
        journal.record(tenant(0), 0, || line("b"));
        assert_eq!((journal.all().len(), journal.dropped()), (1, 1));
        assert_eq!(journal.of_key(tenant(0)).data.len(), 1);
    }
}
