//! Owns the index over custom_ids: a hash of 128 bits for each, whatever its length. It never keeps an
//! id itself, so who needs certainty compares the ids again where they stand.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

/// The hash of a custom_id, in two halves.
pub(crate) type IdHash = [u64; 2];

/// A map from the hash of a custom_id to something of fixed size.
pub(crate) type IdMap<V> = HashMap<IdHash, V>;

/// Two independently keyed 64-bit hashes. The keys are random for each process, so nobody can choose
/// ids that collide.
#[derive(Debug, Clone, Default)]
pub(crate) struct IdHasher(RandomState, RandomState);

impl IdHasher {
    pub(crate) fn hash(&self, custom_id: &str) -> IdHash {
        [self.0.hash_one(custom_id), self.1.hash_one(custom_id)]
    }
}

/// The custom_ids seen so far, at 16 bytes and a little each. Two different ids are taken for the same
/// one once in about 10^38 pairs.
///
/// ```
/// let mut seen = lote_lines::CustomIds::default();
/// assert!(seen.insert("row-1") && seen.insert("row-2"));
/// assert!(!seen.insert("row-1"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct CustomIds {
    hasher: IdHasher,
    seen: IdMap<()>,
}

impl CustomIds {
    /// Adds an id; `false` when it was there.
    pub fn insert(&mut self, custom_id: &str) -> bool {
        self.seen.insert(self.hasher.hash(custom_id), ()).is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_fill_both_halves_and_find_their_entry() {
        let hasher = IdHasher::default();
        let mut map = IdMap::default();
        for number in 0..10_000_u32 {
            assert_eq!(map.insert(hasher.hash(&format!("row-{number}")), number), None);
        }
        for number in 0..10_000_u32 {
            assert_eq!(map.get(&hasher.hash(&format!("row-{number}"))), Some(&number));
        }
        let [one, other] = hasher.hash("a");
        assert_ne!(one, other);
        let mut seen = CustomIds::default();
        assert!(seen.insert("a") && seen.insert("b") && !seen.insert("a"));
    }
}
