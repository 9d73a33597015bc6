//! Joins the answers of a batch with its request lines, into results that appear whole or have no name.

use std::{
    fs,
    io::{self, BufWriter, Seek, Write},
    path::{Path, PathBuf},
};

use super::{Uncollected, differ::hold_against};
use crate::{
    Batch,
    lines::{Anomaly, Join, JoinError, Joined, TemporaryError},
    save::{AtomicFile, Summing, Written},
    unused::Unused,
};

/// Joins answers with their requests, and holds the counts of their batch against them, if they have one.
pub(crate) fn join_all(
    requests: &Path,
    answers: &[PathBuf],
    (results, apart): (Option<AtomicFile>, Vec<u64>),
    mut unused: Option<Unused>,
    batch: Option<&Batch>,
) -> Result<(Joined, Results), Uncollected> {
    let each = |anomaly: &Anomaly| unused.iter_mut().for_each(|unused| unused.add(anomaly));
    let (mut joined, results) = join_into(requests, answers, (results, apart), each)?;
    let found = batch.map_or(0, |batch| hold_against(batch, &mut joined));
    if let Some(mut unused) = unused {
        joined.anomalies.iter().take(found).for_each(|anomaly| unused.add(anomaly));
        unused.commit().map_err(Uncollected::Unwritten)?;
    }
    Ok((joined, results.commit()?))
}

/// Joins answers with their requests, into results that appear whole, or into a temporary file.
pub(crate) fn join_to(
    requests: &Path,
    answers: &[PathBuf],
    results: Option<AtomicFile>,
) -> Result<(Joined, Results), Uncollected> {
    let (joined, results) = join_into(requests, answers, (results, Vec::new()), |_| ())?;
    Ok((joined, results.commit()?))
}

/// Results that were written, open at their first line.
pub(crate) struct Results {
    pub(crate) file: fs::File,
    /// As they were written, where they have a name: the checksum was taken on their way.
    written: Option<Written>,
}

impl Results {
    /// As they were written.
    pub(crate) fn written(self) -> io::Result<Written> {
        self.written.map_or_else(|| Written::read(self.file), Ok)
    }
}

/// Results that are written and have no name yet.
enum Unnamed {
    Atomic(AtomicFile, Written),
    Temporary(fs::File),
}

impl Unnamed {
    /// Gives them their name, if they are to have one.
    fn commit(self) -> Result<Results, Uncollected> {
        let committed = match self {
            Self::Atomic(mut atomic, written) => {
                atomic.file().try_clone().and_then(|file| atomic.commit().map(|()| (file, Some(written))))
            }
            Self::Temporary(file) => Ok((file, None)),
        };
        let opened = committed.and_then(|(mut file, written)| file.rewind().map(|()| Results { file, written }));
        opened.map_err(Uncollected::Unwritten)
    }
}

fn join_into(
    requests: &Path,
    answers: &[PathBuf],
    (results, apart): (Option<AtomicFile>, Vec<u64>),
    mut each: impl FnMut(&Anomaly),
) -> Result<(Joined, Unnamed), Uncollected> {
    let join = Join::new(requests, answers.iter().map(PathBuf::as_path)).telling(&mut each).apart(apart);
    let Some(mut results) = results else {
        let folder = std::env::temp_dir();
        let temporary = |error| Uncollected::Unwritten(TemporaryError::wrap(&folder, error));
        let mut file = tempfile::tempfile().map_err(temporary)?;
        let (joined, _) = written(join, &mut file).map_err(|error| match error {
            Uncollected::Unwritten(error) => temporary(error),
            error => error,
        })?;
        return Ok((joined, Unnamed::Temporary(file)));
    };
    // Beside the results there is room, or they are not written either.
    let join = match results.temporary_path().parent() {
        Some(folder) => join.folder(folder),
        None => join,
    };
    let (joined, summing) = written(join, Summing::new(results.file()))?;
    let (_, written) = summing.into_parts();
    Ok((joined, Unnamed::Atomic(results, written)))
}

/// Writes all results of a join.
fn written<W: Write>(join: Join<'_>, to: W) -> Result<(Joined, W), Uncollected> {
    let mut out = BufWriter::with_capacity(256 << 10, to);
    let joined = join.write(&mut out).map_err(|error| match error {
        JoinError::Write { source, .. } => Uncollected::Unwritten(source),
        error => Uncollected::Unjoined(error),
    })?;
    let to = out.into_inner().map_err(|error| Uncollected::Unwritten(error.into_error()))?;
    Ok((joined, to))
}
