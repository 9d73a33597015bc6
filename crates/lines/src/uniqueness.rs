//! Finds custom_ids that are used twice, of any number of lines in bounded memory: the latest ids are in an index,
//! those before them in sorted runs in a temporary file, which are merged at the end.

use std::io;
use std::path::PathBuf;

use crate::TemporaryError;
use crate::ids::IdHasher;
use crate::index::{Entry, Index};
use crate::sorter::{MERGED, Runs};

/// How many ids are held, of at most [`index::MOST`](crate::index::MOST): they take 6 MiB, and their index 2.
const MOST: usize = 229_376;

/// The custom_ids of a file, or of several, any of which may be used twice.
///
/// Memory: at most 16 MiB, however many ids there are.
///
/// ```
/// let mut ids = lote_lines::Uniqueness::spilling(std::env::temp_dir());
/// assert_eq!(ids.insert("a", 1)?, None);
/// assert_eq!(ids.insert("a", 2)?, Some(1));
/// ids.finish(&mut |place, earlier| panic!("{place} is as {earlier}, and was not told before"))?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Uniqueness {
    hasher: IdHasher,
    /// The place in which each of the latest custom_ids stood first.
    latest: Index,
    most: usize,
    merged: usize,
    /// Where temporary files are made.
    folder: PathBuf,
    spilled: Option<Runs<3>>,
}

impl Uniqueness {
    /// Keeps few ids in memory, and the others in temporary files in this folder. They have no name where the system
    /// can do that, and are gone with the process in any case.
    pub fn spilling(folder: impl Into<PathBuf>) -> Self {
        let folder = folder.into();
        let (hasher, latest) = (IdHasher::default(), Index::default());
        Self { hasher, latest, most: MOST, merged: MERGED, folder, spilled: None }
    }

    /// Adds an id. Gives back the earlier place of it, if that is known by now; what is not is found at the end. Places
    /// are given in rising order.
    ///
    /// # Errors
    /// When the temporary file cannot be written: see [`TemporaryError`].
    pub fn insert(&mut self, custom_id: &str, place: u64) -> io::Result<Option<u64>> {
        let earlier = self.latest.insert(self.hasher.hash(custom_id), place);
        if earlier.is_some_and(|earlier| earlier != place) {
            return Ok(earlier);
        }
        if self.latest.len() >= self.most {
            self.spill().map_err(|error| TemporaryError::wrap(&self.folder, error))?;
        }
        Ok(None)
    }

    /// Calls `twice` with the place of each id that was used before and the earliest place of that id, in no order; not
    /// with the places that [`insert`](Self::insert) answered.
    ///
    /// # Errors
    /// When the temporary file cannot be read.
    pub fn finish(mut self, twice: &mut dyn FnMut(u64, u64)) -> io::Result<()> {
        if self.spilled.is_none() {
            return Ok(());
        }
        self.merge(twice).map_err(|error| TemporaryError::wrap(&self.folder, error))
    }

    fn spill(&mut self) -> io::Result<()> {
        let entries = self.latest.take_sorted();
        let runs = match &mut self.spilled {
            Some(runs) => runs,
            none => none.insert(Runs::new(&self.folder)?),
        };
        runs.add(&mut entries.into_iter().map(Ok))
    }

    fn merge(&mut self, twice: &mut dyn FnMut(u64, u64)) -> io::Result<()> {
        self.spill()?;
        self.latest = Index::default();
        let Some(runs) = self.spilled.take() else { return Ok(()) };
        let mut first: Option<Entry> = None;
        for entry in runs.few_enough(self.merged, &self.folder)?.into_merged()? {
            let entry @ [one, other, place] = entry?;
            match first {
                Some([same, too, earliest]) if [same, too] == [one, other] => twice(place, earliest),
                _ => first = Some(entry),
            }
        }
        Ok(())
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
            assert!(ids.latest.len() < 100);
        }
        assert!(ids.spilled.is_some());
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
        let start = format!("a temporary file in {} cannot be written: ", gone.display());
        assert!(error.to_string().starts_with(&start), "{error}");
        assert_eq!(TemporaryError::inside(&error).map(TemporaryError::folder), Some(gone.as_path()));
    }
}
