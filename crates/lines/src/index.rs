//! Owns an index over hashes of custom_ids that is read and written in few places of memory: the hashes stand one after
//! another as they came, and a table of small numbers says where.

use crate::ids::IdHash;

/// A hash and the place of its line.
pub(crate) type Entry = [u64; 3];

/// How many bits of a slot say which entry it is, counted from 1. The others are bits of the entry's hash, so that hardly
/// ever another entry is looked at.
const NUMBER: u32 = 18;

/// How many entries there may be.
pub(crate) const MOST: usize = (1 << NUMBER) - 1;

/// The slots to begin with; their number is a power of 2.
const SLOTS: usize = 1 << 8;

/// Slots are read and written for so many entries at once: what each of them waits for in memory then comes together.
const TOGETHER: usize = 64;

/// Bits of the filter for each slot.
const BITS: usize = 4;

/// Where each of up to [`MOST`] ids stood first.
#[derive(Debug, Default)]
pub(crate) struct Index {
    entries: Vec<Entry>,
    /// How many of them have a slot.
    placed: usize,
    /// By the hash: 0, or the number of an entry beside bits of its hash. No more than half of them are taken.
    slots: Vec<u32>,
    /// By the hash: a bit for each entry, so little that it stays in the cache. An id whose bit is not set is not there.
    filter: Vec<u64>,
}

impl Index {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Adds the place of an id, if the id is not there; else gives back the place that is.
    #[inline]
    pub(crate) fn insert(&mut self, hash: IdHash, place: u64) -> Option<u64> {
        if self.entries.len() >= self.slots.len() / 2 {
            self.grow();
        }
        if self.is_marked(hash) {
            self.place();
            if let Some(earlier) = self.find(hash) {
                return Some(earlier);
            }
        }
        self.entries.push([hash[0], hash[1], place]);
        if self.entries.len() - self.placed >= TOGETHER {
            self.place();
        }
        None
    }

    /// The id that was added last stood at this place first.
    pub(crate) fn stands_at(&mut self, place: u64) {
        if let Some(last) = self.entries.last_mut() {
            last[2] = place;
        }
    }

    /// Sets the bit of an id in the filter; whether it was set.
    fn is_marked(&mut self, [one, _]: IdHash) -> bool {
        // Other bits of the hash than those that say the slot.
        let at = (one >> 32) as usize & (64 * self.filter.len() - 1);
        let (word, bit) = (&mut self.filter[at / 64], 1 << (at % 64));
        let was = *word & bit != 0;
        *word |= bit;
        was
    }

    /// Gives a slot to each entry that has none.
    fn place(&mut self) {
        let last = self.slots.len() - 1;
        for ([one, other, _], number) in self.entries[self.placed..].iter().zip(self.placed as u32 + 1..) {
            let mut at = *one as usize & last;
            while self.slots[at] != 0 {
                at = (at + 1) & last;
            }
            self.slots[at] = slot_bits(*other) | number;
        }
        self.placed = self.entries.len();
    }

    /// The place of an id, if it has a slot.
    fn find(&self, [one, other]: IdHash) -> Option<u64> {
        let (last, bits) = (self.slots.len() - 1, slot_bits(other));
        let mut at = one as usize & last;
        loop {
            let slot = self.slots[at];
            if slot == 0 {
                return None;
            }
            if slot & !(MOST as u32) == bits {
                let [this, that, earlier] = self.entries[(slot & MOST as u32) as usize - 1];
                if [this, that] == [one, other] {
                    return Some(earlier);
                }
            }
            at = (at + 1) & last;
        }
    }

    /// Makes twice as many slots.
    #[cold]
    fn grow(&mut self) {
        let count = (2 * self.slots.len()).max(SLOTS);
        (self.slots, self.filter) = (vec![0; count], vec![0; count * BITS / 64]);
        for at in 0..self.entries.len() {
            let [one, other, _] = self.entries[at];
            self.is_marked([one, other]);
        }
        self.placed = 0;
        self.place();
    }

    /// All entries in their order; none are there then.
    pub(crate) fn take_sorted(&mut self) -> Vec<Entry> {
        self.slots.fill(0);
        self.filter.fill(0);
        self.placed = 0;
        let mut entries = std::mem::take(&mut self.entries);
        entries.sort_unstable();
        entries
    }
}

/// The bits of a hash that stand in a slot.
fn slot_bits(hash: u64) -> u32 {
    ((hash >> 32) as u32) & !(MOST as u32)
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    #[test]
    fn it_finds_what_a_map_finds() {
        // A linear congruential generator: the same numbers on every machine.
        let mut state = 7_u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        for round in 0..40 {
            let (mut index, mut map) = (Index::default(), HashMap::new());
            for place in 0..below(2_000) {
                // Hashes that meet in their slots, in the bits of slots, in one half or in both.
                let hash = match round % 4 {
                    3 => [below(1_000) | below(100) << 32, below(4)],
                    0 => [below(40) << 8, below(30) << 50],
                    1 => [below(1_000), below(4)],
                    _ => [below(3) << 40, below(500)],
                };
                let earlier = map.get(&hash).copied();
                map.entry(hash).or_insert(place);
                assert_eq!(index.insert(hash, place), earlier);
                assert_eq!(index.len(), map.len());
            }
            let mut expected: Vec<_> = map.into_iter().map(|([one, other], place)| [one, other, place]).collect();
            expected.sort_unstable();
            assert_eq!(index.take_sorted(), expected);
            assert_eq!((index.len(), index.insert([0, 0], 5), index.insert([0, 0], 6)), (0, None, Some(5)));
        }
    }

    #[test]
    fn it_can_be_full() {
        let hash = |number: u64| [number.wrapping_mul(0x9E37_79B9_7F4A_7C15), number << 40];
        let mut index = Index::default();
        for number in 0..MOST as u64 {
            assert_eq!(index.insert(hash(number), number), None);
        }
        for number in (0..MOST as u64).step_by(997) {
            assert_eq!(index.insert(hash(number), 0), Some(number));
        }
        assert_eq!(index.len(), MOST);
    }
}
