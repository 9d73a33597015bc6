//! Things of one tenant in the order in which they were made, since two may be made in one second.

use std::collections::{BTreeMap, HashMap, VecDeque};

use crate::state::{Page, Query, UnknownCursor};

/// Places of removed things that are remembered.
const MOST_GONE: usize = 100_000;

/// Things in the order they were made. `places` keeps the place of what was removed, so that a
/// listing can continue after it, for as long as it is among the last.
#[derive(Debug)]
pub(super) struct Shelved<T> {
    made: u64,
    pub(super) things: BTreeMap<u64, T>,
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
    pub(super) fn add(&mut self, id: String, thing: T) {
        self.made += 1;
        self.places.insert(id, self.made);
        self.things.insert(self.made, thing);
    }

    /// Remembers the place of something that is no longer there.
    pub(super) fn went(&mut self, id: String) {
        self.gone.push_back(id);
        if self.gone.len() > MOST_GONE
            && let Some(forgotten) = self.gone.pop_front()
        {
            self.places.remove(&forgotten);
        }
    }

    pub(super) fn remove(&mut self, id: &str) -> Option<T> {
        let removed = self.things.remove(self.places.get(id)?)?;
        self.went(id.to_owned());
        Some(removed)
    }

    pub(super) fn get_mut(&mut self, id: &str) -> Option<&mut T> {
        self.things.get_mut(self.places.get(id)?)
    }

    pub(super) fn page(&self, query: &Query, wanted: impl Fn(&T) -> bool) -> Page<T> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
