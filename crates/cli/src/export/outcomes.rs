//! Results for programs: each on a line of JSON, with what became of it and its answer, in the words of the library.

use std::io::{self, ErrorKind, IsTerminal, Write};

use lote::{Outcome, Usage};
use serde::Serialize;
use serde_json::value::RawValue;

use super::answer::Answer;
use crate::out;
use crate::prepare::output::Output;

/// How many fields a line has.
pub(crate) const FIELDS: usize = 9;

/// How much is written to a pipe at once.
const PIECE: usize = 64 << 10;

/// A line. Each of its fields is always there.
#[derive(Serialize)]
struct Line<'a> {
    custom_id: &'a str,
    outcome: String,
    status_code: Option<u16>,
    model: Option<&'a str>,
    finish_reason: Option<String>,
    /// What the model said; several texts when it was asked for several answers.
    texts: &'a [String],
    /// The body of the answer as it came, of one that failed as well.
    body: Option<&'a RawValue>,
    error: Option<Why<'a>>,
    usage: Option<Usage>,
}

/// Why a line did not succeed.
#[derive(Serialize)]
struct Why<'a> {
    code: Option<&'a str>,
    message: Option<&'a str>,
}

/// The line of a result, without its end.
fn line(outcome: &Outcome, answer: &Answer) -> serde_json::Result<String> {
    let (code, message) = (outcome.error_code(), outcome.error_message());
    serde_json::to_string(&Line {
        custom_id: outcome.custom_id(),
        outcome: outcome.kind().to_string(),
        status_code: outcome.status_code(),
        model: outcome.model(),
        finish_reason: outcome.finish_reason().ok().map(|reason| reason.to_string()),
        texts: &answer.texts,
        body: outcome.body().map(serde_json::from_str).transpose()?,
        error: (!outcome.is_succeeded()).then_some(Why { code, message }),
        usage: outcome.usage(),
    })
}

/// Where lines go.
pub(crate) enum Lines {
    /// A file, which appears when it is whole.
    File(Box<Output>),
    /// Stdout, as they are made: who reads them need not wait for the last, and learns from the exit code that it was.
    Stdout { is_terminal: bool, piece: Vec<u8> },
}

impl Lines {
    /// Those that are printed.
    pub(crate) fn printed() -> Self {
        Self::Stdout { is_terminal: io::stdout().is_terminal(), piece: Vec::new() }
    }

    /// Writes the line of a result; whether anybody still reads.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn write(&mut self, outcome: &Outcome, answer: &Answer) -> io::Result<bool> {
        let line = line(outcome, answer)?;
        match self {
            Self::File(output) => writeln!(output, "{line}").map(|()| true),
            Self::Stdout { is_terminal, piece } => {
                let line = if *is_terminal { out::escaped(&line) } else { line.into() };
                piece.extend_from_slice(line.as_bytes());
                piece.push(b'\n');
                if piece.len() < PIECE && !*is_terminal { Ok(true) } else { flush(piece) }
            }
        }
    }

    /// Writes what is left; the file, which is yet to get its name.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn finish(self) -> io::Result<Option<Output>> {
        match self {
            Self::File(output) => Ok(Some(*output)),
            Self::Stdout { mut piece, .. } => flush(&mut piece).map(|_| None),
        }
    }
}

/// Prints a piece; whether there is still a reader. One that leaves is no failure.
fn flush(piece: &mut Vec<u8>) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    let written = stdout.write_all(piece).and_then(|()| stdout.flush());
    piece.clear();
    match written {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(error),
    }
}
