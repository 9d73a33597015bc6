//! Reads outcomes from files, one at a time, and goes on after a line that cannot be read.

use std::{
    fmt,
    fs::File,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
};

use super::Outcome;
use crate::{
    Error,
    collect::join_to,
    lines::{Joined, LineReader, open_lines},
    save::{Access, AtomicFile},
};

/// The outcomes of a batch or a run, one for each request line, read from disk as they are asked for.
///
/// A line that cannot be read is an error in its place; the lines after it follow. Reading is that of a local file and
/// holds up its thread for as long as the disk takes.
///
/// ```
/// use lote::{OutcomeKind, Outcomes};
///
/// # let folder = tempfile::tempdir()?;
/// # let at = |name: &str| folder.path().join(name);
/// # let (requests, output) = (at("requests.jsonl"), at("output.jsonl"));
/// std::fs::write(&requests, concat!(
///     r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{}}"#, "\n",
///     r#"{"custom_id":"b","method":"POST","url":"/v1/embeddings","body":{}}"#, "\n",
/// ))?;
/// std::fs::write(&output, r#"{"custom_id":"b","response":{"status_code":200,"body":{"data":[{"embedding":[1]}]}}}"#)?;
///
/// let outcomes = Outcomes::join(&requests, [&output])?;
/// assert_eq!(outcomes.joined().map(|joined| joined.missing), Some(1));
/// let kinds = outcomes.map(|outcome| Ok(outcome?.kind()));
/// let kinds: Vec<_> = kinds.collect::<Result<_, lote::Error>>()?;
/// assert_eq!(kinds, [OutcomeKind::Missing, OutcomeKind::Succeeded]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Outcomes {
    reader: LineReader<Box<dyn BufRead + Send>>,
    name: PathBuf,
    joined: Option<Joined>,
    /// What is asked of a file that failed is not asked again.
    over: bool,
}

impl fmt::Debug for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcomes").field("name", &self.name).field("joined", &self.joined).finish_non_exhaustive()
    }
}

impl Outcomes {
    /// Reads a file of results: the `results.jsonl` of a run, or an output or error file as a service gave it, whose
    /// answers come in any order and may leave request lines out or answer them twice; [`join`](Self::join) mends that.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when the file cannot be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let reader = open_lines(path).map_err(|error| Error::path("read", path, error))?;
        Ok(Self { reader: LineReader::new(reader), name: path.to_owned(), joined: None, over: false })
    }

    /// Puts the answers of a batch back into the order of its request lines, one outcome for each: `answers` are its
    /// output and error file, as far as there are any, in any order.
    ///
    /// A request line that was answered twice has the answer that succeeded; what is not used is among the anomalies
    /// of [`joined`](Self::joined). The joined lines are in a temporary file. Memory: the longest line
    /// twice, and less than 64 MiB, however many there are.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when a file cannot be read or the temporary one not written, and one that
    /// [`is_invalid`](Error::is_invalid) when a request line has no `custom_id` or that of another.
    pub fn join<P: AsRef<Path>>(
        requests: impl AsRef<Path>,
        answers: impl IntoIterator<Item = P>,
    ) -> Result<Self, Error> {
        let answers: Vec<PathBuf> = answers.into_iter().map(|path| path.as_ref().to_owned()).collect();
        let (joined, came) =
            join_to(requests.as_ref(), &answers, None).map_err(|error| error.into_error(None, None))?;
        Ok(Self::new(came.file, Path::new("the joined results"), Some(joined)))
    }

    /// As [`join`](Self::join), into a file of one's own, which appears when it is whole; a file of its name is replaced.
    ///
    /// # Errors
    /// As [`join`](Self::join); there is no new file then.
    pub fn join_to<P: AsRef<Path>>(
        requests: impl AsRef<Path>,
        answers: impl IntoIterator<Item = P>,
        results: impl AsRef<Path>,
    ) -> Result<Self, Error> {
        let results = results.as_ref();
        let answers: Vec<PathBuf> = answers.into_iter().map(|path| path.as_ref().to_owned()).collect();
        let failed = |error| Error::path("write", results, error);
        let file = AtomicFile::with(results, Access::of(requests.as_ref())).map_err(failed)?;
        let joined = join_to(requests.as_ref(), &answers, Some(file));
        let (joined, came) = joined.map_err(|error| error.into_error(None, Some(results)))?;
        Ok(Self::new(came.file, results, Some(joined)))
    }

    /// Reads result lines from a file that is open.
    pub(crate) fn reading(file: File, name: &Path) -> Self {
        Self::new(file, name, None)
    }

    pub(super) fn new(file: File, name: &Path, joined: Option<Joined>) -> Self {
        let file: Box<dyn BufRead + Send> = Box::new(BufReader::with_capacity(256 << 10, file));
        let reader = LineReader::new(file);
        Self { reader, name: name.to_owned(), joined, over: false }
    }

    /// How the lines ended, what they used, and what is odd; none for a file that was [opened](Self::open).
    pub fn joined(&self) -> Option<&Joined> {
        self.joined.as_ref()
    }
}

impl Iterator for Outcomes {
    type Item = Result<Outcome, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.over {
            return None;
        }
        let line = match self.reader.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => {
                self.over = true;
                return None;
            }
            Err(error) => {
                self.over = true;
                return Some(Err(Error::path("read", &self.name, error)));
            }
        };
        let place = (self.name.display(), line.number);
        let unreadable = |error: Error| error.context(format_args!("{}, line {}", place.0, place.1));
        if line.too_long {
            let problem = format!("the line has {} bytes, too many to be read", line.length);
            return Some(Err(unreadable(Error::unreadable(problem))));
        }
        let mut bytes = line.bytes;
        if line.number == 1 {
            bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
        }
        let outcome = match str::from_utf8(bytes) {
            Ok(text) => Outcome::from_line(text),
            Err(error) => {
                let column = error.valid_up_to() + 1;
                Err(Error::unreadable(format!("invalid UTF-8 at column {column}")))
            }
        };
        Some(outcome.map_err(unreadable))
    }
}
