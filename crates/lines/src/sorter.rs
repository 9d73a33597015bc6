//! Sorts any number of small entries in bounded memory: the latest are in memory, those before them in sorted runs in a
//! temporary file, which are merged at the end.

use std::borrow::Borrow;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;
use std::convert::Infallible;
use std::fs::File;
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use crate::read_at::read_exact_at;

/// How many runs are merged at once, unless told otherwise.
pub(crate) const MERGED: usize = 64;

/// How many bytes are read of a run at once, at the most.
const AHEAD: usize = 32_768;

/// How many entries are looked up together.
pub(crate) const TOGETHER: usize = 256;

/// How many words at the beginning of an entry decide where it stands. No two entries that are merged are the same in them.
const KEY: usize = 3;

/// Where a sorter keeps what it does not hold, and how much it holds.
#[derive(Debug, Clone)]
pub(crate) struct Spill {
    /// Where temporary files are made. They have no name where the system can do that, and are gone with the process in
    /// any case.
    pub(crate) folder: PathBuf,
    /// How many entries are held.
    pub(crate) most: usize,
    /// How many runs are merged at once.
    pub(crate) merged: usize,
}

/// Entries of so many words that are to be sorted.
#[derive(Debug)]
pub(crate) struct Sorter<const N: usize> {
    spill: Spill,
    latest: Vec<[u64; N]>,
    runs: Option<Runs<N>>,
}

impl<const N: usize> Sorter<N> {
    pub(crate) fn new(spill: Spill) -> Self {
        Self { spill, latest: Vec::new(), runs: None }
    }

    pub(crate) fn push(&mut self, entry: [u64; N]) -> io::Result<()> {
        self.latest.push(entry);
        if self.latest.len() >= self.spill.most {
            self.spill()?;
        }
        Ok(())
    }

    fn spill(&mut self) -> io::Result<()> {
        let runs = match &mut self.runs {
            Some(runs) => runs,
            none => none.insert(Runs::new(&self.spill.folder)?),
        };
        runs.add(&mut in_order(&self.latest).into_iter().map(|at| Ok(self.latest[at as usize])))?;
        self.latest.clear();
        Ok(())
    }

    /// The entries in their order.
    pub(crate) fn finish(mut self) -> io::Result<Sorted<N>> {
        if self.runs.is_none() {
            return Ok(Sorted::Held(Held::new(self.latest)));
        }
        if !self.latest.is_empty() {
            self.spill()?;
        }
        let Self { spill, latest, runs } = self;
        drop(latest);
        match runs {
            Some(runs) => Ok(Sorted::Merged(runs.few_enough(spill.merged, &spill.folder)?.into_merged()?)),
            None => Ok(Sorted::Held(Held::new(Vec::new()))),
        }
    }
}

/// Where the entries stand, in their order. Few words are moved, whatever the length of an entry.
fn in_order<const N: usize>(entries: &[[u64; N]]) -> Vec<u32> {
    let first = |entry: &[u64; N]| u128::from(entry[0]) << 32;
    let mut keys: Vec<u128> = entries.iter().zip(0_u32..).map(|(entry, at)| first(entry) | u128::from(at)).collect();
    keys.sort_unstable();
    let mut order: Vec<u32> = keys.into_iter().map(|key| key as u32).collect();
    // Few are the same in their first word.
    let is_same = |one: &u32, other: &u32| entries[*one as usize][0] == entries[*other as usize][0];
    for same in order.chunk_by_mut(is_same).filter(|same| same.len() > 1) {
        same.sort_unstable_by_key(|at| entries[*at as usize]);
    }
    order
}

/// Entries in their order.
#[derive(Debug)]
pub(crate) enum Sorted<const N: usize> {
    Held(Held<N>),
    Merged(Merged<File, N>),
}

impl<const N: usize> Sorted<N> {
    pub(crate) fn next(&mut self) -> io::Result<Option<[u64; N]>> {
        match self {
            Self::Held(held) => Ok(held.next().map(|(_, entry)| entry)),
            Self::Merged(merged) => merged.next().transpose(),
        }
    }
}

/// Entries of which none had to be put into a file: they stand where they were put, and are given in their order.
#[derive(Debug)]
pub(crate) struct Held<const N: usize> {
    pub(crate) entries: Vec<[u64; N]>,
    order: std::vec::IntoIter<u32>,
    /// The next ones, looked up together: else each would be waited for in memory before the next is asked for.
    ahead: Ahead<(u32, [u64; N])>,
}

/// What was looked up before it was asked for.
#[derive(Debug)]
pub(crate) struct Ahead<T> {
    found: Vec<T>,
    given: usize,
}

impl<T: Copy> Ahead<T> {
    pub(crate) const fn new() -> Self {
        Self { found: Vec::new(), given: 0 }
    }

    /// The next one. When none is left, `look` is to put more of them into the vector.
    pub(crate) fn next<E>(&mut self, look: impl FnOnce(&mut Vec<T>) -> Result<(), E>) -> Result<Option<T>, E> {
        if self.given == self.found.len() {
            self.found.clear();
            self.given = 0;
            look(&mut self.found)?;
        }
        let next = self.found.get(self.given).copied();
        self.given += usize::from(next.is_some());
        Ok(next)
    }
}

impl<const N: usize> Held<N> {
    fn new(entries: Vec<[u64; N]>) -> Self {
        let order = in_order(&entries).into_iter();
        Self { entries, order, ahead: Ahead::new() }
    }
}

/// The next entry and where it stands.
impl<const N: usize> Iterator for Held<N> {
    type Item = (u32, [u64; N]);

    fn next(&mut self) -> Option<Self::Item> {
        let Self { entries, order, ahead } = self;
        let Ok(next) = ahead.next(|found| {
            found.extend(order.take(TOGETHER).map(|at| (at, entries[at as usize])));
            Ok::<(), Infallible>(())
        });
        next
    }
}

/// Sorted runs of entries, one after another in a temporary file.
#[derive(Debug)]
pub(crate) struct Runs<const N: usize> {
    file: File,
    /// Where each of them ends, counted in entries.
    ends: Vec<u64>,
}

impl<const N: usize> Runs<N> {
    /// An entry in the file, in bytes.
    const ENTRY: usize = N * 8;

    pub(crate) fn new(folder: &Path) -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile_in(folder)?, ends: Vec::new() })
    }

    /// Writes another run, whose entries come in their order.
    pub(crate) fn add(&mut self, entries: &mut dyn Iterator<Item = io::Result<[u64; N]>>) -> io::Result<()> {
        let mut end = self.ends.last().copied().unwrap_or_default();
        (&self.file).seek(SeekFrom::Start(end * Self::ENTRY as u64))?;
        let mut file = BufWriter::with_capacity(2 * AHEAD, &self.file);
        for entry in entries {
            file.write_all(entry?.map(u64::to_le_bytes).as_flattened())?;
            end += 1;
        }
        file.flush()?;
        self.ends.push(end);
        Ok(())
    }

    /// As many runs as may be merged at once, or fewer.
    pub(crate) fn few_enough(mut self, merged: usize, folder: &Path) -> io::Result<Self> {
        while self.ends.len() > merged {
            let mut fewer = Self::new(folder)?;
            for first in (0..self.ends.len()).step_by(merged) {
                let last = self.ends.len().min(first + merged);
                fewer.add(&mut Merged::new(&self.file, self.parts(first..last))?)?;
            }
            self = fewer;
        }
        Ok(self)
    }

    /// The entries of all runs, in order.
    pub(crate) fn into_merged(self) -> io::Result<Merged<File, N>> {
        let parts: Vec<_> = self.parts(0..self.ends.len()).collect();
        Merged::new(self.file, parts.into_iter())
    }

    /// Where these runs stand, counted in entries.
    fn parts(&self, runs: Range<usize>) -> impl Iterator<Item = Range<u64>> {
        runs.map(|run| run.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[run])
    }
}

/// Merges runs: the smallest entry comes first.
#[derive(Debug)]
pub(crate) struct Merged<F, const N: usize> {
    file: F,
    readers: Vec<RunReader<N>>,
    next: BinaryHeap<Reverse<([u64; KEY], usize)>>,
}

impl<F: Borrow<File>, const N: usize> Merged<F, N> {
    fn new(file: F, parts: impl Iterator<Item = Range<u64>>) -> io::Result<Self> {
        let mut merged = Self { file, readers: Vec::new(), next: BinaryHeap::new() };
        for left in parts {
            let mut reader = RunReader { left, ahead: Vec::new(), at: 0, entry: [0; N] };
            if reader.advance(merged.file.borrow())? {
                merged.next.push(Reverse((reader.key(), merged.readers.len())));
            }
            merged.readers.push(reader);
        }
        Ok(merged)
    }
}

impl<F: Borrow<File>, const N: usize> Iterator for Merged<F, N> {
    type Item = io::Result<[u64; N]>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut first = self.next.peek_mut()?;
        let Reverse((_, run)) = *first;
        let reader = &mut self.readers[run];
        let entry = reader.entry;
        match reader.advance(self.file.borrow()) {
            Ok(true) => *first = Reverse((reader.key(), run)),
            Ok(false) => {
                PeekMut::pop(first);
            }
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(entry))
    }
}

/// Reads one run, a piece at a time.
#[derive(Debug)]
struct RunReader<const N: usize> {
    /// Entries in the file that were not read yet.
    left: Range<u64>,
    /// The bytes of those that were read.
    ahead: Vec<u8>,
    /// Where those begin that were not given yet.
    at: usize,
    /// The entry that comes next.
    entry: [u64; N],
}

impl<const N: usize> RunReader<N> {
    /// Goes on to the next entry; `false` at the end of the run.
    fn advance(&mut self, file: &File) -> io::Result<bool> {
        if self.at == self.ahead.len() && !self.refill(file)? {
            return Ok(false);
        }
        let (words, _) = self.ahead[self.at..][..N * 8].as_chunks();
        for (number, bytes) in self.entry.iter_mut().zip(words) {
            *number = u64::from_le_bytes(*bytes);
        }
        self.at += N * 8;
        Ok(true)
    }

    fn refill(&mut self, file: &File) -> io::Result<bool> {
        let count = (self.left.end - self.left.start).min((AHEAD / (N * 8)) as u64);
        if count == 0 {
            return Ok(false);
        }
        self.ahead.resize(count as usize * N * 8, 0);
        read_exact_at(file, &mut self.ahead, self.left.start * (N * 8) as u64)?;
        self.left.start += count;
        self.at = 0;
        Ok(true)
    }

    fn key(&self) -> [u64; KEY] {
        std::array::from_fn(|at| self.entry[at])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spill(folder: &Path, most: usize, merged: usize) -> Spill {
        Spill { folder: folder.to_owned(), most, merged }
    }

    fn sorted(spill: Spill, entries: &[[u64; 4]]) -> Vec<[u64; 4]> {
        let mut sorter = Sorter::new(spill);
        entries.iter().for_each(|entry| sorter.push(*entry).unwrap());
        let mut sorted = sorter.finish().unwrap();
        std::iter::from_fn(|| sorted.next().unwrap()).collect()
    }

    #[test]
    fn the_order_is_that_of_a_vector_whatever_is_held() {
        let folder = tempfile::tempdir().unwrap();
        // A linear congruential generator: the same numbers on every machine.
        let mut state = 7_u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        for _ in 0..200 {
            let entries: Vec<_> = (0..below(2_500)).map(|at| [below(40), below(3), at, below(1_000)]).collect();
            let mut expected = entries.clone();
            expected.sort_unstable();
            let (most, merged) = (1 + below(200) as usize, 2 + below(4) as usize);
            assert!(sorted(spill(folder.path(), most, merged), &entries) == expected, "{most} {merged}");
            assert!(sorted(spill(folder.path(), usize::MAX, 2), &entries) == expected);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn no_more_is_held_than_may_be() {
        let folder = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(spill(folder.path(), 100, 4));
        for place in 0..5_050 {
            sorter.push([place, 0, 0]).unwrap();
            assert!(sorter.latest.len() < 100 && sorter.latest.capacity() <= 128);
        }
        assert_eq!(sorter.runs.as_ref().unwrap().ends.len(), 50);
        // No more runs are merged at once than may be, and no run is merged without need.
        for (count, left) in [(1, 1), (3, 3), (4, 4), (5, 2), (16, 4), (17, 2)] {
            let mut runs = Runs::new(folder.path()).unwrap();
            (0..count).for_each(|place| runs.add(&mut [Ok([place, 0, place])].into_iter()).unwrap());
            let few = runs.few_enough(4, folder.path()).unwrap();
            assert_eq!((few.ends.len(), few.ends.last()), (left, Some(&count)));
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
