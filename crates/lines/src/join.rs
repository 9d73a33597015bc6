//! Owns the putting back of answers into the order of the request lines, one result line for each
//! of them. It never holds an answer longer than it takes to write it, and never guesses: an answer
//! is taken only when its custom_id is that of the request line.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::{env, fmt, panic, thread};

use serde::{Deserialize, Serialize};

use crate::anomaly::{Anomalies, Anomaly};
use crate::ids::IdHasher;
use crate::reader::DEFAULT_MAX_LINE_BYTES;
use crate::sorter::{MERGED, Spill};
use crate::spent::Spent;
use crate::tally::{ErrorCount, Tally};
use crate::usage::Usage;

mod answers;
mod block;
mod error;
mod facts;
mod files;
mod matching;
mod requests;
mod results;

use answers::Answers;
pub use error::JoinError;
use requests::Requests;
use results::Results;

/// How much is read of a file, or written, at once.
const AHEAD: usize = 1 << 18;

/// What [`join()`] wrote. Every request line has exactly one outcome: `lines` is the sum of the six.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Joined {
    /// Request lines, and so result lines written.
    pub lines: u64,
    /// Request lines that succeeded.
    pub succeeded: u64,
    /// Request lines that failed.
    pub failed: u64,
    /// Request lines that never ran because the completion window was over.
    pub expired: u64,
    /// Request lines that never ran because the batch was cancelled.
    pub cancelled: u64,
    /// Request lines whose answer cannot be read; the anomalies say where it stands.
    #[serde(default)]
    pub unreadable: u64,
    /// Request lines that the service did not answer.
    pub missing: u64,
    /// Answer files whose compressed data is cut off or damaged: what came before was taken.
    #[serde(default)]
    pub damaged_files: u64,
    /// Request lines that succeeded and whose answer was cut off at a limit of tokens.
    #[serde(default)]
    pub cut_off: u64,
    /// Request lines that succeeded and of whose answer the service held content back.
    #[serde(default)]
    pub filtered: u64,
    /// Request lines that succeeded and in whose answer the model refused.
    #[serde(default)]
    pub refused: u64,
    /// Lines of the answer files that are not blank, whatever became of them.
    #[serde(default)]
    pub answers: u64,
    /// Tokens, summed over the result lines written.
    pub usage: Usage,
    /// How many of the result lines written each model gave.
    pub models: BTreeMap<String, u64>,
    /// Tokens by model and by what became of the answers, so that they can be priced. No JSON has it.
    #[serde(skip)]
    pub spent: Vec<Spent>,
    /// The most frequent errors, missing and unreadable lines among them.
    pub errors: Vec<ErrorCount>,
    /// Answers that were not taken and why, at most [`MAX_ANOMALIES`](crate::MAX_ANOMALIES).
    pub anomalies: Vec<Anomaly>,
    /// How many anomalies there are beyond those listed.
    pub anomalies_omitted: u64,
}

impl Joined {
    /// What was counted over so many result lines and answers.
    pub(crate) fn of(tally: Tally, lines: u64, answers: u64, anomalies: Vec<Anomaly>, anomalies_omitted: u64) -> Self {
        let errors = tally.top_errors();
        let Tally { succeeded, failed, expired, cancelled, unreadable, missing, .. } = tally;
        let Tally { cut_off, filtered, refused, usage, models, spending, .. } = tally;
        Self {
            lines,
            succeeded,
            failed,
            expired,
            cancelled,
            unreadable,
            missing,
            cut_off,
            filtered,
            refused,
            damaged_files: 0,
            answers,
            usage,
            models,
            spent: spending.finish(),
            errors,
            anomalies,
            anomalies_omitted,
        }
    }

    /// Whether every request line succeeded, and no answer file is damaged.
    #[must_use]
    pub fn all_succeeded(&self) -> bool {
        self.succeeded == self.lines && self.damaged_files == 0
    }
}

/// Writes one result line for each request line of `input`, in its order, taken from the files
/// `answers` (output and error files of its batch, in any order).
///
/// - A request line that is answered twice gets the first answer that succeeded and is complete, else the first that
///   succeeded although it was cut off or filtered, else the first.
/// - One that is not answered gets error code `missing`; but `unreadable` when one of the files holds no lines of
///   JSON at all, such as the page of a login, holds a list of answers inside an object or another list, or its compressed
///   data is cut off or damaged: its answer may have been in what is lost.
/// - Of two answers to it in a file whose compressed data is damaged, not cut off, neither is taken, and it gets
///   `unreadable`: the damage may have changed the custom_id of one.
/// - One whose answer cannot be read gets error code `unreadable` and a message with file and line,
///   unless another answer to it can be read. A line that names two custom_ids is nobody's, and of lines that were glued
///   together, each cut off but the last, every one is its own. The bytes are among the anomalies, with their place.
/// - Result lines are written as [`Answer::write_normalised`](crate::Answer::write_normalised) writes them.
/// - Answers that are not taken (duplicates, unreadable lines, custom_ids that nobody asked for) are
///   anomalies.
///
/// Files may be compressed, as for [`open_lines`](crate::open_lines()). The answer files are read twice, the
/// second time in the order of the input; what is compressed is decompressed into a temporary file
/// first. Of any number of files, 64 are open at once, and another one that is read again must be as it was. A line that
/// changes in between is not taken. Memory: the longest line twice, and less than 64 MiB, however many
/// there are; what is known of more than 262,144 answers is in temporary files, with less than 300 bytes for each.
///
/// # Errors
///
/// When a file cannot be read, when a temporary file cannot be written, when the input's compressed data is damaged, when the input is not what [`check`](crate::check()) accepts as far as
/// custom_ids are concerned, and when `out` fails; then part of the results is written.
pub fn join(input: &Path, answers: &[&Path], out: &mut dyn Write) -> Result<Joined, JoinError> {
    Join::new(input, answers.iter().copied()).write(out)
}

/// A file, and what anomalies and errors call it: for one that stands for another, such as a copy of stdin.
#[derive(Debug, Clone, Copy)]
pub struct Named<'a> {
    path: &'a Path,
    name: Option<&'a str>,
}

impl<'a> Named<'a> {
    /// This file, under this name.
    #[must_use]
    pub fn new(path: &'a Path, name: &'a str) -> Self {
        Self { path, name: Some(name) }
    }

    /// The file as it is called.
    fn shown(self) -> &'a Path {
        self.name.map_or(self.path, Path::new)
    }
}

impl<'a> From<&'a Path> for Named<'a> {
    fn from(path: &'a Path) -> Self {
        Self { path, name: None }
    }
}

/// A join of answers with their request lines, as [`join()`] does it, of which more can be said.
///
/// ```
/// # let folder = tempfile::tempdir()?;
/// # let (input, output) = (folder.path().join("input"), folder.path().join("output"));
/// std::fs::write(&input, "{\"custom_id\":\"a\"}\n")?;
/// std::fs::write(&output, "{\"custom_id\":\"b\",\"response\":{\"status_code\":200,\"body\":{\"text\":\"x\"}}}\n")?;
/// let mut told = Vec::new();
/// let joined = lote_lines::Join::new(input.as_path(), [output.as_path()])
///     .folder(folder.path())
///     .telling(&mut |anomaly| told.push(anomaly.code))
///     .write(&mut std::io::sink())?;
/// assert_eq!((joined.missing, told), (1, vec![lote_lines::AnomalyCode::ForeignCustomId]));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "nothing is joined before it is written"]
pub struct Join<'a> {
    input: Named<'a>,
    answers: Vec<Named<'a>>,
    each: Option<&'a mut dyn FnMut(&Anomaly)>,
    bounds: Bounds,
}

impl fmt::Debug for Join<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { input, answers, each: _, bounds } = self;
        f.debug_struct("Join")
            .field("input", input)
            .field("answers", answers)
            .field("bounds", bounds)
            .finish_non_exhaustive()
    }
}

impl<'a> Join<'a> {
    /// Of the request lines of `input` and the answers of these files.
    pub fn new<N: Into<Named<'a>>>(input: impl Into<Named<'a>>, answers: impl IntoIterator<Item = N>) -> Self {
        let answers = answers.into_iter().map(Into::into).collect();
        Self { input: input.into(), answers, each: None, bounds: Bounds::default() }
    }

    /// Makes temporary files in this folder; else they are made where the system has its own.
    pub fn folder(mut self, folder: &Path) -> Self {
        self.bounds.folder = folder.to_owned();
        self
    }

    /// Counts the tokens of requests apart that have more input tokens than each of these, for services that price long
    /// requests higher.
    pub fn apart(mut self, at: Vec<u64>) -> Self {
        self.bounds.apart = at;
        self
    }

    /// Tells each anomaly as well, also those beyond the [`MAX_ANOMALIES`](crate::MAX_ANOMALIES) of the list. One about a
    /// line of an answer file says where its bytes stand; a file that is compressed is told of as it is decompressed: see
    /// [`open_seekable`](crate::open_seekable()).
    pub fn telling(mut self, each: &'a mut dyn FnMut(&Anomaly)) -> Self {
        self.each = Some(each);
        self
    }

    /// Writes the results.
    ///
    /// # Errors
    ///
    /// As [`join()`].
    pub fn write(self, out: &mut dyn Write) -> Result<Joined, JoinError> {
        self.join(Some(out))
    }

    /// Says what would be written. Answers that succeeded are read only once for that.
    ///
    /// # Errors
    ///
    /// As [`join()`].
    pub fn count(self) -> Result<Joined, JoinError> {
        self.join(None)
    }

    fn join(self, out: Option<&mut dyn Write>) -> Result<Joined, JoinError> {
        let Self { input, answers, each, bounds } = self;
        let mut anomalies = Anomalies::telling(each);
        let (answers, requests) = read(input, &answers, &mut anomalies, &bounds)?;
        results(input, answers, requests, anomalies, bounds, out)
    }
}

/// How much is held in memory, and where the rest is.
#[derive(Debug, Clone)]
struct Bounds {
    max_line_bytes: usize,
    /// Where temporary files are made.
    folder: PathBuf,
    /// How many answers are held.
    answers: usize,
    /// How many request lines are held.
    requests: usize,
    /// How many sorted runs are merged at once.
    merged: usize,
    /// How many answer files are open at once.
    open: usize,
    /// How many bytes of answers are read before their results are written.
    block_bytes: u64,
    /// How many request lines that are.
    block_lines: usize,
    /// Tokens of requests with more of them are counted apart.
    apart: Vec<u64>,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            max_line_bytes: DEFAULT_MAX_LINE_BYTES,
            folder: env::temp_dir(),
            answers: 1 << 18,
            requests: 1 << 18,
            merged: MERGED,
            // Some systems let a process have no more than 256.
            open: 64,
            // As much as stays in the cache of a core until it is written.
            block_bytes: 1 << 20,
            block_lines: 1 << 14,
            apart: Vec::new(),
        }
    }
}

impl Bounds {
    /// Those of so many entries that are sorted.
    fn spill(&self, most: usize) -> Spill {
        Spill { folder: self.folder.clone(), most, merged: self.merged }
    }

    /// What a temporary file failed with.
    fn temporary(&self, source: io::Error) -> JoinError {
        JoinError::Temporary { folder: self.folder.clone(), source }
    }
}

/// Reads the answers and, on a thread of its own, the request lines.
fn read(
    input: Named<'_>,
    named: &[Named<'_>],
    anomalies: &mut Anomalies<'_>,
    bounds: &Bounds,
) -> Result<(Answers, Requests), JoinError> {
    let hasher = IdHasher::default();
    let mut answers = Answers::new(bounds, hasher.clone());
    anomalies.hold(&bounds.folder);
    let read_requests = || Requests::read(input, bounds, &hasher);
    let requests = thread::scope(|scope| {
        let other = thread::Builder::new().name("lote-join".to_owned()).spawn_scoped(scope, read_requests);
        for named in named {
            answers.add(*named, anomalies)?.map_err(|error| bounds.temporary(error))?;
        }
        let requests = match other.map(thread::ScopedJoinHandle::join) {
            Ok(Ok(requests)) => requests,
            Ok(Err(panicked)) => panic::resume_unwind(panicked),
            // There is no other thread to be had.
            Err(_) => read_requests(),
        };
        requests.map_err(|error| bounds.temporary(error))
    })?;
    Ok((answers, requests))
}

/// Brings together what was read, and writes the results.
fn results(
    input: Named<'_>,
    mut answers: Answers,
    requests: Requests,
    anomalies: Anomalies<'_>,
    bounds: Bounds,
    out: Option<&mut dyn Write>,
) -> Result<Joined, JoinError> {
    let matched = matching::matched(&mut answers, requests, &bounds).map_err(|error| bounds.temporary(error))?;
    Results::new(answers, bounds, input.shown(), anomalies, out).write(matched)
}

#[cfg(test)]
mod tests;
