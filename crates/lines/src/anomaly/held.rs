//! Holds anomalies back until it is known what comes between them, in the order in which they were found and in bounded
//! memory.

use std::fs::File;
use std::io::{self, BufReader, BufWriter, Seek, Write};
use std::path::PathBuf;

use super::{Anomaly, AnomalyCode, MAX_ANOMALIES};

/// How many are in memory; others wait in a temporary file.
const MOST: usize = 1_024;

/// Anomalies that are held back, each with the number of answers that were read before it.
#[derive(Debug)]
pub(crate) struct Held {
    pub(super) at: u64,
    /// Whether each is told; else those beyond the list are only counted.
    all: bool,
    latest: Vec<(u64, Anomaly)>,
    kept: usize,
    omitted: u64,
    folder: PathBuf,
    file: Option<BufWriter<File>>,
    failed: Option<io::Error>,
}

impl Held {
    pub(super) fn new(all: bool, folder: PathBuf) -> Self {
        Self { at: 0, all, latest: Vec::new(), kept: 0, omitted: 0, folder, file: None, failed: None }
    }

    pub(super) fn only_counts(&self) -> bool {
        !self.all && self.kept >= MAX_ANOMALIES
    }

    /// Holds one back. What fails is said at the end.
    pub(super) fn push(&mut self, anomaly: Anomaly) {
        if self.failed.is_some() {
            return;
        }
        // Damage comes before all others.
        if anomaly.code != AnomalyCode::DamagedCompression {
            if self.only_counts() {
                self.omitted += 1;
                return;
            }
            self.kept += 1;
        }
        self.latest.push((self.at, anomaly));
        if self.latest.len() >= MOST
            && let Err(error) = self.spill()
        {
            self.failed = Some(error);
        }
    }

    pub(super) fn omit(&mut self, count: u64) {
        self.omitted += count;
    }

    fn spill(&mut self) -> io::Result<()> {
        let file = match &mut self.file {
            Some(file) => file,
            none => none.insert(BufWriter::with_capacity(1 << 16, tempfile::tempfile_in(&self.folder)?)),
        };
        for held in self.latest.drain(..) {
            serde_json::to_writer(&mut *file, &held)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    }

    /// What was held back, in its order, and how many more there were.
    pub(crate) fn finish(self) -> io::Result<(impl Iterator<Item = io::Result<(u64, Anomaly)>>, u64)> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        let spilled = match self.file {
            Some(file) => {
                let mut file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
                file.rewind()?;
                let file = BufReader::with_capacity(1 << 16, file);
                Some(serde_json::Deserializer::from_reader(file).into_iter().map(|held| held.map_err(io::Error::from)))
            }
            None => None,
        };
        Ok((spilled.into_iter().flatten().chain(self.latest.into_iter().map(Ok)), self.omitted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anomaly(line: u64) -> Anomaly {
        let code = if line.is_multiple_of(700) { AnomalyCode::DamagedCompression } else { AnomalyCode::Bom };
        let mut anomaly = Anomaly::new("f\u{fffd}\n", line, code, "m \"é\"");
        anomaly.excerpt = line.is_multiple_of(2).then(|| "\0\u{1}\u{2028}".to_owned());
        anomaly.offset = line.is_multiple_of(3).then_some(u64::MAX);
        anomaly
    }

    #[test]
    fn all_come_back_in_their_order() {
        let folder = tempfile::tempdir().unwrap();
        for (all, count) in [(true, 0), (true, 3), (true, 5_000), (false, 900), (false, 5_000)] {
            let mut held = Held::new(all, folder.path().to_owned());
            for line in 1..=count {
                held.at = line / 2;
                held.push(anomaly(line));
                assert!(held.latest.len() <= MOST);
            }
            let expected = (1..=count).map(|line| (line / 2, anomaly(line)));
            let mut room = if all { usize::MAX } else { MAX_ANOMALIES };
            let expected: Vec<_> = expected
                .filter(|(_, anomaly)| {
                    let damage = anomaly.code == AnomalyCode::DamagedCompression;
                    let fits = room > 0;
                    room -= usize::from(fits && !damage);
                    damage || fits
                })
                .collect();
            let (back, omitted) = held.finish().unwrap();
            assert!(back.map(Result::unwrap).collect::<Vec<_>>() == expected, "{all} {count}");
            assert_eq!(omitted, count - expected.len() as u64);
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_said_at_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let mut held = Held::new(true, folder.path().join("gone"));
        (0..3_000).for_each(|line| held.push(anomaly(line)));
        assert_eq!(held.finish().map(|_| ()).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
