//! Finds custom_ids that are used twice, of any number of lines in bounded memory: the latest ids are in a map, those
//! before them in sorted runs in a temporary file, which are merged at the end.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::PathBuf;
use std::vec;

use crate::ids::{IdHash, IdHasher, IdMap};

/// How many ids are in the map: seven eighths of 2^18, as many as fit into so many buckets of it, which take 6 MiB. A run
/// takes 6 MiB more while it is sorted.
const MOST: usize = 229_376;

/// How many runs are merged at once.
const MERGED: usize = 64;

/// A hash and the place of its line, as they stand in a run.
type Entry = (IdHash, u64);

/// An entry in the file, in bytes.
const ENTRY: usize = 24;

/// Entries that are read from a run at once.
const AHEAD: usize = 1_365;

/// The custom_ids of a file, or of several.
///
/// Memory: at most 16 MiB, however many ids there are.
#[derive(Debug)]
pub(crate) struct Uniqueness {
    hasher: IdHasher,
    /// The place in which each of the latest custom_ids stood first.
    latest: IdMap<u64>,
    most: usize,
    merged: usize,
    /// Where temporary files are made.
    folder: PathBuf,
    spilled: Option<Runs>,
}

impl Uniqueness {
    /// Keeps few ids in memory, and the others in temporary files in this folder. They have no name where the system
    /// can do that, and are gone with the process in any case.
    pub(crate) fn spilling(folder: PathBuf) -> Self {
        let (hasher, latest) = (IdHasher::default(), IdMap::default());
        Self { hasher, latest, most: MOST, merged: MERGED, folder, spilled: None }
    }

    /// Adds an id. Gives back the earlier place of it, if that is known by now; what is not is found at the end. Places
    /// are given in rising order.
    pub(crate) fn insert(&mut self, custom_id: &str, place: u64) -> io::Result<Option<u64>> {
        let earlier = *self.latest.entry(self.hasher.hash(custom_id)).or_insert(place);
        if earlier != place {
            return Ok(Some(earlier));
        }
        if self.latest.len() >= self.most {
            self.spill().map_err(|error| self.in_words(&error))?;
        }
        Ok(None)
    }

    /// Calls `twice` with the place of each id that was used before and the earliest place of that id, in no order; not
    /// with the places that [`insert`](Self::insert) answered.
    pub(crate) fn finish(mut self, twice: &mut dyn FnMut(u64, u64)) -> io::Result<()> {
        if self.spilled.is_none() {
            return Ok(());
        }
        self.merge(twice).map_err(|error| self.in_words(&error))
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut entries: Vec<Entry> = self.latest.drain().collect();
        entries.sort_unstable();
        let runs = match &mut self.spilled {
            Some(runs) => runs,
            none => none.insert(Runs::new(&self.folder)?),
        };
        runs.add(&mut entries.into_iter().map(Ok))
    }

    fn merge(&mut self, twice: &mut dyn FnMut(u64, u64)) -> io::Result<()> {
        self.spill()?;
        self.latest = IdMap::default();
        let Some(runs) = self.spilled.take() else { return Ok(()) };
        let runs = self.few_enough(runs)?;
        let mut first: Option<Entry> = None;
        for entry in runs.merged(0..runs.ends.len())? {
            let (hash, place) = entry?;
            match first {
                Some((same, earliest)) if same == hash => twice(place, earliest),
                _ => first = Some((hash, place)),
            }
        }
        Ok(())
    }

    /// As many runs as are merged at once, or fewer.
    fn few_enough(&self, mut runs: Runs) -> io::Result<Runs> {
        while runs.ends.len() > self.merged {
            let mut fewer = Runs::new(&self.folder)?;
            for first in (0..runs.ends.len()).step_by(self.merged) {
                let last = runs.ends.len().min(first + self.merged);
                fewer.add(&mut runs.merged(first..last)?)?;
            }
            runs = fewer;
        }
        Ok(runs)
    }

    fn in_words(&self, error: &io::Error) -> io::Error {
        let folder = self.folder.display();
        io::Error::new(error.kind(), format!("a temporary file of the custom_ids in {folder} cannot be used: {error}"))
    }
}

/// Sorted runs of entries, one after another in a temporary file.
#[derive(Debug)]
struct Runs {
    file: File,
    /// Where each of them ends, counted in entries.
    ends: Vec<u64>,
}

impl Runs {
    fn new(folder: &std::path::Path) -> io::Result<Self> {
        Ok(Self { file: tempfile::tempfile_in(folder)?, ends: Vec::new() })
    }

    /// Writes another run.
    fn add(&mut self, entries: &mut dyn Iterator<Item = io::Result<Entry>>) -> io::Result<()> {
        let mut end = self.ends.last().copied().unwrap_or_default();
        (&self.file).seek(SeekFrom::Start(end * ENTRY as u64))?;
        let mut file = BufWriter::with_capacity(AHEAD * ENTRY, &self.file);
        for entry in entries {
            let ([one, other], place) = entry?;
            for number in [one, other, place] {
                file.write_all(&number.to_be_bytes())?;
            }
            end += 1;
        }
        file.flush()?;
        self.ends.push(end);
        Ok(())
    }

    /// The entries of some runs, in order.
    fn merged(&self, runs: Range<usize>) -> io::Result<Merged<'_>> {
        let mut merged = Merged { readers: Vec::with_capacity(runs.len()), next: BinaryHeap::new() };
        for run in runs {
            let start = run.checked_sub(1).map_or(0, |before| self.ends[before]);
            let mut reader = RunReader { file: &self.file, left: start..self.ends[run], ahead: Vec::new().into_iter() };
            if let Some(entry) = reader.next()? {
                merged.next.push(Reverse((entry, merged.readers.len())));
            }
            merged.readers.push(reader);
        }
        Ok(merged)
    }
}

/// Merges runs: the smallest entry comes first.
struct Merged<'f> {
    readers: Vec<RunReader<'f>>,
    next: BinaryHeap<Reverse<(Entry, usize)>>,
}

impl Iterator for Merged<'_> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse((entry, run)) = self.next.pop()?;
        match self.readers[run].next() {
            Ok(Some(following)) => self.next.push(Reverse((following, run))),
            Ok(None) => {}
            Err(error) => return Some(Err(error)),
        }
        Some(Ok(entry))
    }
}

/// Reads one run, a piece at a time.
struct RunReader<'f> {
    file: &'f File,
    /// Entries in the file that were not read yet.
    left: Range<u64>,
    /// Those that were read and not given yet.
    ahead: vec::IntoIter<Entry>,
}

impl RunReader<'_> {
    fn next(&mut self) -> io::Result<Option<Entry>> {
        if let Some(entry) = self.ahead.next() {
            return Ok(Some(entry));
        }
        let count = (self.left.end - self.left.start).min(AHEAD as u64);
        let mut bytes = vec![0; count as usize * ENTRY];
        self.file.seek(SeekFrom::Start(self.left.start * ENTRY as u64))?;
        self.file.read_exact(&mut bytes)?;
        self.left.start += count;
        let numbers: Vec<_> = bytes.as_chunks().0.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect();
        let entries = numbers.as_chunks().0.iter().map(|[one, other, place]| ([*one, *other], *place));
        self.ahead = entries.collect::<Vec<_>>().into_iter();
        Ok(self.ahead.next())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet, HashMap};

    use super::*;

    fn small(folder: &std::path::Path, most: usize, merged: usize) -> Uniqueness {
        Uniqueness { most, merged, ..Uniqueness::spilling(folder.to_owned()) }
    }

    /// The places at which an id was used before, each with the place that was named for it.
    fn twice(mut ids: Uniqueness, custom_ids: &[String]) -> BTreeMap<u64, u64> {
        let mut found = BTreeMap::new();
        for (place, id) in (1..).zip(custom_ids) {
            if let Some(earlier) = ids.insert(id, place).unwrap() {
                assert_eq!(found.insert(place, earlier), None);
            }
        }
        ids.finish(&mut |place, earlier| assert_eq!(found.insert(place, earlier), None)).unwrap();
        found
    }

    #[test]
    fn what_is_used_twice_is_what_a_set_finds() {
        let folder = tempfile::tempdir().unwrap();
        // A linear congruential generator: the same numbers on every machine.
        let mut state = 7_u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        for _ in 0..300 {
            let (lines, kinds) = (below(400), 1 + below(2_000));
            let custom_ids: Vec<_> = (0..lines).map(|_| format!("row-{}", below(kinds))).collect();
            let (most, merged) = (1 + below(60) as usize, 2 + below(4) as usize);
            let mut seen: HashMap<&str, BTreeSet<u64>> = HashMap::new();
            let mut expected = BTreeMap::new();
            for (place, id) in (1..).zip(&custom_ids) {
                let before = seen.entry(id).or_default();
                if !before.is_empty() {
                    expected.insert(place, before.clone());
                }
                before.insert(place);
            }
            let found = twice(small(folder.path(), most, merged), &custom_ids);
            assert!(found.keys().eq(expected.keys()), "{most} {merged} {custom_ids:?}");
            for (place, earlier) in found {
                assert!(expected[&place].contains(&earlier), "{place} {earlier}");
            }
        }
    }

    #[test]
    fn memory_has_a_bound_and_a_folder_no_leftovers() {
        let folder = tempfile::tempdir().unwrap();
        let mut ids = small(folder.path(), 100, 4);
        for place in 0..5_000 {
            assert_eq!(ids.insert(&place.to_string(), place).unwrap(), None);
            assert!(ids.latest.len() < 100 && ids.latest.capacity() < 400);
        }
        assert_eq!(ids.spilled.as_ref().unwrap().ends.len(), 50);
        // No more runs are merged at once than may be, and no run is merged without need.
        for (count, left) in [(1, 1), (3, 3), (4, 4), (5, 2), (16, 4), (17, 2)] {
            let mut runs = Runs::new(folder.path()).unwrap();
            (0..count).for_each(|place| runs.add(&mut [Ok(([place, 0], place))].into_iter()).unwrap());
            let few = ids.few_enough(runs).unwrap();
            assert_eq!((few.ends.len(), few.ends.last()), (left, Some(&count)));
        }
        ids.finish(&mut |place, _| panic!("{place}")).unwrap();
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let mut ids = small(&gone, 1, 4);
        let error = ids.insert("a", 1).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let start = format!("a temporary file of the custom_ids in {} cannot be used: ", gone.display());
        assert!(error.to_string().starts_with(&start), "{error}");
    }
}
