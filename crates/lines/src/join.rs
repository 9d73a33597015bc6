//! Owns the putting back of answers into the order of the request lines, one result line for each
//! of them. It never holds an answer longer than it takes to write it, and never guesses: an answer
//! is taken only when its custom_id is that of the request line.

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::{error, fmt};

use serde::{Deserialize, Serialize};

use crate::anomaly::{Anomalies, Anomaly, AnomalyCode};
use crate::answer::{Answer, MISSING_CODE, MISSING_MESSAGE, Unreadable, write_missing, write_unreadable};
use crate::foreign;
use crate::open::open_lines;
use crate::raw;
use crate::reader::{DEFAULT_MAX_LINE_BYTES, Line, LineReader};
use crate::tally::{ErrorCount, Tally};
use crate::usage::Usage;

mod index;

use index::Index;

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
        let Tally { cut_off, filtered, refused, usage, models, .. } = tally;
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

/// Why a join stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// A file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The input file is not what [`check`](crate::check()) accepts.
    Input {
        /// The input file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// The results could not be written; the cause is the writer's own error, unchanged.
    Write {
        /// How many request lines were read before.
        lines: u64,
        /// The cause.
        source: io::Error,
    },
}

impl JoinError {
    /// Whether it was the writing side that failed, as on a full disk.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Write { .. })
    }

    /// The error of the reading or the writing side; `None` when the input's content is to blame.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Read { source, .. } | Self::Write { source, .. } => Some(source),
            Self::Input { .. } => None,
        }
    }

    fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Input { path, line, message } => write!(f, "{}, line {line}: {message}", path.display()),
            Self::Write { lines, source } => {
                write!(f, "cannot write the results, at request line {lines}: {source}")
            }
        }
    }
}

impl error::Error for JoinError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.io_error().map(|error| error as _)
    }
}

/// Writes one result line for each request line of `input`, in its order, taken from the files
/// `answers` (output and error files of its batch, in any order).
///
/// - A request line that is answered twice gets the first answer that succeeded and is complete, else the first that
///   succeeded although it was cut off or filtered, else the first.
/// - One that is not answered gets error code `missing`; but `unreadable` when one of the files holds no lines of
///   JSON at all, such as the page of a login, or its compressed data is cut off or damaged: its answer may have been in
///   what is lost.
/// - Of two answers to it in a file whose compressed data is damaged, not cut off, neither is taken, and it gets
///   `unreadable`: the damage may have changed the custom_id of one.
/// - One whose answer cannot be read gets error code `unreadable` and a message with file and line,
///   unless another answer to it can be read. The bytes are among the anomalies, with their place.
/// - Result lines are written as [`Answer::write_normalised`] writes them.
/// - Answers that are not taken (duplicates, unreadable lines, custom_ids that nobody asked for) are
///   anomalies.
///
/// Files may be compressed, as for [`open_lines`](crate::open_lines()). The answer files are read twice, the
/// second time in the order of the input; what is compressed is decompressed into a temporary file
/// first. Memory: the longest
/// line, and less than 200 bytes for each answer.
///
/// # Errors
///
/// When a file cannot be read, when the input's compressed data is damaged, when the input is not what [`check`](crate::check()) accepts as far as
/// custom_ids are concerned, and when `out` fails; then part of the results is written.
pub fn join(input: &Path, answers: &[&Path], out: &mut dyn Write) -> Result<Joined, JoinError> {
    let answers: Vec<Named<'_>> = answers.iter().map(|path| Named { path, name: None }).collect();
    join_named(Named { path: input, name: None }, &answers, out)
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

/// As [`join()`], of files that have other names.
///
/// # Errors
///
/// As [`join()`].
pub fn join_named(input: Named<'_>, answers: &[Named<'_>], out: &mut dyn Write) -> Result<Joined, JoinError> {
    join_all(input, answers, out, Anomalies::default())
}

/// As [`join()`], telling each anomaly as well, also those beyond the [`MAX_ANOMALIES`](crate::MAX_ANOMALIES) of the
/// list. One about a line of an answer file says where its bytes stand; a file that is compressed is told of as it is
/// decompressed: see [`open_seekable`](crate::open_seekable()).
///
/// # Errors
///
/// As [`join()`].
pub fn join_telling(
    input: &Path,
    answers: &[&Path],
    out: &mut dyn Write,
    each: &mut dyn FnMut(&Anomaly),
) -> Result<Joined, JoinError> {
    let answers: Vec<Named<'_>> = answers.iter().map(|path| Named { path, name: None }).collect();
    join_all(Named { path: input, name: None }, &answers, out, Anomalies::telling(Some(each)))
}

fn join_all(
    input: Named<'_>,
    answers: &[Named<'_>],
    out: &mut dyn Write,
    mut anomalies: Anomalies<'_>,
) -> Result<Joined, JoinError> {
    let mut index = Index::new(DEFAULT_MAX_LINE_BYTES);
    for answers in answers {
        index.add(*answers, &mut anomalies)?;
    }
    let mut join = Join {
        index,
        anomalies,
        tally: Tally::default(),
        lines: 0,
        out: BufWriter::with_capacity(1 << 16, out),
        buffer: Vec::new(),
    };
    let shown = input.shown();
    let read = |error| JoinError::read(shown, error);
    let (start, reader) = foreign::peek(open_lines(input.path).map_err(read)?).map_err(read)?;
    if let Some(foreign) = foreign::foreign(&start) {
        return Err(JoinError::Input { path: shown.to_owned(), line: 1, message: foreign.to_string() });
    }
    let mut reader = LineReader::new(reader);
    while let Some(line) = reader.next_line().map_err(read)? {
        let refuse = |message: String| JoinError::Input { path: shown.to_owned(), line: line.number, message };
        let custom_id = custom_id(&line).map_err(refuse)?;
        join.lines += 1;
        if !join.request(&custom_id)? {
            let message = format!("custom_id {custom_id:?} was used before: make it unique within the file");
            return Err(refuse(message));
        }
    }
    join.finish()
}

/// The custom_id of a request line.
fn custom_id(line: &Line<'_>) -> Result<String, String> {
    if line.too_long {
        return Err(format!("the line has {} bytes, which is too long", line.length));
    }
    let text = raw::utf8(line.bytes).map_err(|error| error.to_string())?;
    let mut custom_id = None;
    raw::entries(text, &mut |key, value| {
        if key == "custom_id" {
            custom_id = raw::text(value);
        }
    })
    .map_err(|broken| broken.to_string())?;
    let custom_id = custom_id.ok_or("the request line has no custom_id that is a text")?;
    Ok(custom_id.into_owned())
}

struct Join<'o, 'e> {
    index: Index,
    anomalies: Anomalies<'e>,
    tally: Tally,
    lines: u64,
    out: BufWriter<&'o mut dyn Write>,
    /// The answer being written.
    buffer: Vec<u8>,
}

impl Join<'_, '_> {
    /// Writes the result line of one request line; `false` when its custom_id came before.
    fn request(&mut self, custom_id: &str) -> Result<bool, JoinError> {
        let found = match self.index.take(custom_id) {
            index::Taken::Before => return Ok(false),
            index::Taken::Nothing => None,
            index::Taken::Doubtful(found) => {
                let written = self.doubtful(custom_id, found);
                written.map_err(|source| self.write_error(source))?;
                return Ok(true);
            }
            index::Taken::Answer(found) | index::Taken::Unreadable(found) => Some(found),
        };
        let written = match found {
            None => self.missing(custom_id),
            Some(found) => self.answer(custom_id, found)?,
        };
        written.map_err(|source| self.write_error(source))?;
        Ok(true)
    }

    /// Writes what stands at `found`. The inner error is that of writing.
    fn answer(&mut self, custom_id: &str, found: index::Found) -> Result<io::Result<()>, JoinError> {
        let place = format_args!("{}, line {}", self.index.name(found.file), found.line).to_string();
        let too_long = self.index.is_too_long(found);
        if too_long {
            self.buffer.clear();
        } else {
            self.index.fetch(found, &mut self.buffer)?;
        }
        let why = match Answer::parse(&self.buffer) {
            _ if too_long => Unreadable::too_long(found.length, &[]),
            Ok(answer) if answer.custom_id == custom_id => {
                self.tally.add(&answer);
                return Ok(answer.write_normalised(&mut self.out));
            }
            Err(error) if error.custom_id() == Some(custom_id) => error,
            _ => {
                let message = "the line is not the one that stood here when the file was read first";
                let code = AnomalyCode::ChangedWhileReading;
                let name = self.index.name(found.file);
                let at = (found.offset, found.length);
                self.anomalies.push_place(name, found.line, Some(custom_id), (code, message.to_owned()), at);
                return Ok(self.missing(custom_id));
            }
        };
        self.tally.add_unreadable();
        Ok(write_unreadable(custom_id, &place, &why.to_string(), &mut self.out))
    }

    /// Writes that nobody can say which of two answers it is.
    fn doubtful(&mut self, custom_id: &str, found: index::Found) -> io::Result<()> {
        let place = format!("{}, line {}", self.index.name(found.file), found.line);
        let why = "it is answered twice, and the file is damaged: one of the two may be another request's";
        self.tally.add_unreadable();
        write_unreadable(custom_id, &place, why, &mut self.out)
    }

    fn missing(&mut self, custom_id: &str) -> io::Result<()> {
        if let Some((name, what)) = self.index.lost() {
            self.tally.add_unreadable();
            return write_unreadable(custom_id, name, what, &mut self.out);
        }
        self.tally.add_missing(MISSING_CODE, MISSING_MESSAGE);
        write_missing(custom_id, &mut self.out)
    }

    fn write_error(&self, source: io::Error) -> JoinError {
        JoinError::Write { lines: self.lines, source }
    }

    fn finish(mut self) -> Result<Joined, JoinError> {
        let flushed = self.out.flush();
        flushed.map_err(|source| self.write_error(source))?;
        self.index.foreign(&mut self.anomalies, &mut self.buffer)?;
        let lines = self.index.lines();
        let Anomalies { anomalies, anomalies_omitted, .. } = self.anomalies;
        let damaged_files = self.index.damaged_files();
        Ok(Joined { damaged_files, ..Joined::of(self.tally, self.lines, lines, anomalies, anomalies_omitted) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(id: &str) -> String {
        format!("{{\"custom_id\":\"{id}\",\"response\":{{\"status_code\":200,\"body\":{{\"x\":1}}}}}}\n")
    }

    /// What comes of request lines with these custom_ids when a file of answers is another one the second time it is read.
    fn joined(max_line_bytes: usize, first: &str, second: &str, ids: &[&str]) -> (Joined, String) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("output");
        std::fs::write(&path, first).unwrap();
        let mut index = Index::new(max_line_bytes);
        let mut anomalies = Anomalies::default();
        index.add(Named::new(&path, "output"), &mut anomalies).unwrap();
        std::fs::write(&path, second).unwrap();
        let mut out = Vec::new();
        let mut join = Join {
            index,
            anomalies,
            tally: Tally::default(),
            lines: ids.len() as u64,
            out: BufWriter::new(&mut out),
            buffer: Vec::new(),
        };
        for id in ids {
            assert!(join.request(id).unwrap());
        }
        let joined = join.finish().unwrap();
        (joined, String::from_utf8(out).unwrap())
    }

    #[test]
    fn an_answer_that_changed_is_not_taken_for_another() {
        let before = line("a") + &line("b") + &line("c");
        // The second is another's, and the third as well, and cannot be read either.
        let after = line("a") + &line("a") + &line("b").replace("}}}", "}} ");
        let (joined, out) = joined(1_000, &before, &after, &["a", "b", "c"]);
        assert_eq!((joined.succeeded, joined.missing, joined.anomalies.len()), (1, 2, 2));
        for (anomaly, line) in joined.anomalies.iter().zip([2, 3]) {
            assert_eq!((anomaly.line, anomaly.code), (line, AnomalyCode::ChangedWhileReading));
        }
        let written: Vec<_> = out.lines().collect();
        assert!(written[1].starts_with("{\"id\":null,\"custom_id\":\"b\",\"response\":null,"), "{out}");
    }

    #[test]
    fn a_line_that_is_too_long_to_be_held_is_unreadable() {
        let (short, long) = (line("a"), line("bc"));
        let most = short.len() - 1;
        let file = short + &long;
        let (joined, out) = joined(most, &file, &file, &["a", "bc"]);
        assert_eq!((joined.succeeded, joined.unreadable, joined.missing), (1, 1, 0));
        assert_eq!((joined.anomalies.len(), joined.anomalies[0].code), (1, AnomalyCode::LineTooLong));
        let said = format!("cannot be read: output, line 2: the line has {} bytes, too many to be read", most + 1);
        assert!(out.lines().nth(1).unwrap().contains(&said), "{out}");
    }
}
