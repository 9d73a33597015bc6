//! Who is next: tenants take turns, then the batches of each.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;

/// What others wait in.
pub(super) trait Line {
    type Place;
    fn pop(&mut self) -> Option<Self::Place>;
    fn is_empty(&self) -> bool;
    fn len(&self) -> usize;
}

impl<T> Line for VecDeque<T> {
    type Place = T;

    fn pop(&mut self) -> Option<T> {
        self.pop_front()
    }

    fn is_empty(&self) -> bool {
        VecDeque::is_empty(self)
    }

    fn len(&self) -> usize {
        VecDeque::len(self)
    }
}

/// A line for each of several, who take turns.
#[derive(Debug)]
pub(super) struct Turns<K, L> {
    /// Those whose lines are not empty, the next one first.
    order: VecDeque<K>,
    lines: HashMap<K, L>,
}

impl<K, L> Default for Turns<K, L> {
    fn default() -> Self {
        Turns { order: VecDeque::new(), lines: HashMap::new() }
    }
}

impl<K: Clone + Eq + Hash, L: Line + Default> Turns<K, L> {
    /// The line of one of them, which is about to get longer.
    pub(super) fn of(&mut self, who: &K) -> &mut L {
        if !self.lines.contains_key(who) {
            self.order.push_back(who.clone());
        }
        self.lines.entry(who.clone()).or_default()
    }
}

impl<K: Clone + Eq + Hash, L: Line> Line for Turns<K, L> {
    type Place = L::Place;

    fn pop(&mut self) -> Option<L::Place> {
        let who = self.order.pop_front()?;
        let line = self.lines.get_mut(&who)?;
        let next = line.pop();
        if line.is_empty() {
            self.lines.remove(&who);
        } else {
            self.order.push_back(who);
        }
        next
    }

    fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    fn len(&self) -> usize {
        self.lines.values().map(Line::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenants_take_turns_and_then_their_batches() {
        let mut turns: Turns<char, Turns<u8, VecDeque<u32>>> = Turns::default();
        for (tenant, batch, places) in [('a', 1, 0..4), ('a', 2, 10..12), ('b', 3, 20..22)] {
            for place in places {
                turns.of(&tenant).of(&batch).push_back(place);
            }
        }
        let mut order = Vec::new();
        while let Some(place) = turns.pop() {
            order.push(place);
        }
        assert_eq!(order, [0, 20, 10, 21, 1, 11, 2, 3]);
        assert!(turns.is_empty());
        turns.of(&'c').of(&9).push_back(7);
        assert_eq!((turns.pop(), turns.pop()), (Some(7), None));
    }
}
