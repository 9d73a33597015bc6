//! The store that lives in memory. Things are kept in the order in which they were made, since two may be made in one
//! second.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::metrics::Census;
use crate::state::{BatchRecord, Counts, FileRecord, Page, Query, UnknownCursor};
use crate::store::Store;
use crate::tenant::Tenant;

/// Everything of every tenant, until the gateway ends.
#[derive(Debug, Default)]
pub(crate) struct Memory(Mutex<HashMap<Tenant, Shelf>>);

/// Everything of one tenant.
#[derive(Debug, Default)]
struct Shelf {
    files: Shelved<Arc<FileRecord>>,
    batches: Shelved<BatchRecord>,
}

/// Places of removed things that are remembered.
const MOST_GONE: usize = 100_000;

/// Things in the order they were made. `places` keeps the place of what was removed, so that a
/// listing can continue after it, for as long as it is among the last.
#[derive(Debug)]
struct Shelved<T> {
    made: u64,
    things: BTreeMap<u64, T>,
    places: HashMap<String, u64>,
    /// The ids of what was removed, in that order.
    gone: VecDeque<String>,
}

impl<T> Default for Shelved<T> {
    fn default() -> Self {
        Shelved { made: 0, things: BTreeMap::new(), places: HashMap::new(), gone: VecDeque::new() }
    }
}

impl<T: Clone> Shelved<T> {
    fn add(&mut self, id: String, thing: T) {
        self.made += 1;
        self.places.insert(id, self.made);
        self.things.insert(self.made, thing);
    }

    /// Remembers the place of something that is no longer there.
    fn went(&mut self, id: String) {
        self.gone.push_back(id);
        if self.gone.len() > MOST_GONE
            && let Some(forgotten) = self.gone.pop_front()
        {
            self.places.remove(&forgotten);
        }
    }

    fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.things.get_mut(self.places.get(id)?)
    }

    fn page(&self, query: &Query, wanted: impl Fn(&T) -> bool) -> Page<T> {
        let after = match &query.after {
            Some(id) => Some(*self.places.get(id).ok_or(UnknownCursor)?),
            None => None,
        };
        let mut page: Vec<T> = if query.oldest_first {
            let from = after.map_or(0, |place| place + 1);
            self.things
                .range(from..)
                .map(|(_, thing)| thing)
                .filter(|thing| wanted(thing))
                .take(query.limit + 1)
                .cloned()
                .collect()
        } else {
            let to = after.unwrap_or(u64::MAX);
            self.things
                .range(..to)
                .rev()
                .map(|(_, thing)| thing)
                .filter(|thing| wanted(thing))
                .take(query.limit + 1)
                .cloned()
                .collect()
        };
        let more = page.len() > query.limit;
        page.truncate(query.limit);
        Ok((page, more))
    }
}

impl Shelf {
    /// Lets expired files go.
    fn expire(&mut self, now: i64) {
        let lives = |file: &FileRecord| file.expires_at.is_none_or(|at| at > now);
        let expired = self.files.things.values().filter(|file| !lives(file)).map(|file| file.id.clone()).collect();
        self.files.things.retain(|_, file| lives(file));
        Vec::into_iter(expired).for_each(|id| self.files.went(id));
    }
}

impl Memory {
    fn shelves(&self) -> MutexGuard<'_, HashMap<Tenant, Shelf>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Memory {
    fn add_file(&self, tenant: Tenant, file: FileRecord) -> Arc<FileRecord> {
        let file = Arc::new(file);
        let mut shelves = self.shelves();
        let shelf = shelves.entry(tenant).or_default();
        shelf.expire(file.created_at);
        shelf.files.add(file.id.clone(), Arc::clone(&file));
        file
    }

    fn file(&self, tenant: Tenant, id: &str, now: i64) -> Option<Arc<FileRecord>> {
        let mut shelves = self.shelves();
        let file = shelves.get_mut(&tenant)?.files.get_mut(id)?;
        file.expires_at.is_none_or(|at| at > now).then(|| Arc::clone(file))
    }

    fn files(&self, tenant: Tenant, query: &Query, now: i64) -> Page<Arc<FileRecord>> {
        let mut shelves = self.shelves();
        let Some(shelf) = shelves.get_mut(&tenant) else { return nothing(query) };
        shelf.expire(now);
        shelf.files.page(query, |file| {
            !query.hidden.contains(&file.id)
                && query.purpose.as_ref().is_none_or(|purpose| *purpose == file.purpose)
                && query.sha256.as_ref().is_none_or(|sha256| sha256 == file.blob.sha256())
        })
    }

    fn remove_file(&self, tenant: Tenant, id: &str, now: i64) -> bool {
        let mut shelves = self.shelves();
        let Some(shelf) = shelves.get_mut(&tenant) else { return false };
        shelf.expire(now);
        let Some(place) = shelf.files.places.get(id) else { return false };
        let removed = shelf.files.things.remove(place).is_some();
        if removed {
            shelf.files.went(id.to_owned());
        }
        removed
    }

    fn add_batch(&self, tenant: Tenant, batch: BatchRecord) {
        self.shelves().entry(tenant).or_default().batches.add(batch.id.clone(), batch);
    }

    fn batch(&self, tenant: Tenant, id: &str) -> Option<BatchRecord> {
        self.shelves().get_mut(&tenant)?.batches.get_mut(id).cloned()
    }

    fn batches(&self, tenant: Tenant, query: &Query) -> Page<BatchRecord> {
        match self.shelves().get(&tenant) {
            Some(shelf) => shelf.batches.page(query, |batch| !query.hidden.contains(&batch.id)),
            None => nothing(query),
        }
    }

    fn update_batch(&self, tenant: Tenant, id: &str, change: &mut dyn FnMut(&mut BatchRecord)) -> Option<BatchRecord> {
        let mut shelves = self.shelves();
        let batch = shelves.get_mut(&tenant)?.batches.get_mut(id)?;
        change(batch);
        Some(batch.clone())
    }

    fn census(&self) -> Census {
        let mut census = Census::default();
        for (tenant, shelf) in self.shelves().iter() {
            for batch in shelf.batches.things.values() {
                *census.batches.entry(batch.status.name()).or_default() += 1;
                if !batch.status.is_terminal() {
                    let Counts { total, completed, failed } = batch.counts;
                    *census.waiting.entry(*tenant).or_default() += total.saturating_sub(completed + failed);
                }
            }
        }
        census
    }

    fn expire(&self, now: i64) {
        self.shelves().values_mut().for_each(|shelf| shelf.expire(now));
    }

    fn clear(&self) {
        self.shelves().clear();
    }
}

/// The page of a tenant that has made nothing yet.
fn nothing<T>(query: &Query) -> Page<T> {
    match query.after {
        Some(_) => Err(UnknownCursor),
        None => Ok((Vec::new(), false)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn only_the_last_that_went_are_remembered() {
        let mut shelved = Shelved::default();
        for n in 0..MOST_GONE + 2 {
            shelved.add(n.to_string(), n);
            shelved.things.clear();
            shelved.went(n.to_string());
        }
        assert_eq!((shelved.places.len(), shelved.gone.len()), (MOST_GONE, MOST_GONE));
        assert!(!shelved.places.contains_key("1") && shelved.places.contains_key("2"));
    }

    use crate::blobs::{Account, Disk};

    #[tokio::test]
    async fn files_are_gone_from_the_second_they_expire_in() {
        let tenant = Tenant::new([1; 32]);
        let disk = Disk::new().unwrap();
        let store = Memory::default();
        for (id, expires_at) in [("kept", None), ("hidden", None), ("going", Some(100))] {
            let blob = Arc::new(disk.spool(&Account::unbounded()).await.unwrap().seal().await.unwrap());
            let (filename, purpose) = ("f".to_owned(), "batch".to_owned());
            let id = id.to_owned();
            let file = FileRecord { id, filename, purpose, media_type: None, created_at: 0, expires_at, blob };
            store.add_file(tenant, file);
        }
        let query = Query {
            after: None,
            limit: 10,
            oldest_first: true,
            purpose: None,
            sha256: None,
            hidden: HashSet::from(["hidden".to_owned()]),
        };
        let listed = |now| -> Vec<String> {
            let (page, _) = store.files(tenant, &query, now).unwrap();
            page.iter().map(|file| file.id.clone()).collect()
        };
        assert!(store.file(tenant, "going", 99).is_some());
        assert_eq!(listed(99), ["kept", "going"]);
        assert!(store.file(tenant, "going", 100).is_none());
        assert_eq!(listed(100), ["kept"]);
        assert!(!store.remove_file(tenant, "going", 100));
        assert!(store.file(tenant, "kept", i64::MAX).is_some());
    }
}
