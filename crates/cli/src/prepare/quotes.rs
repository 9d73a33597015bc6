//! Notices quoted CSV fields that are never closed, and on which line each row begins. The bytes pass unchanged.
//!
//! The CSV reader takes everything up to the end of the file as one field when a closing
//! quote is missing, so rows would be lost without a word. Where it begins to look for a row is no line of the row's:
//! the end of the one before, and empty lines, may stand between.

use std::collections::VecDeque;
use std::io::{self, Read};

use super::rows::MAX_ROW_BYTES;

/// A reader that follows the quotes of the CSV text passing through it.
pub(crate) struct QuoteWatch<R> {
    inner: R,
    delimiter: u8,
    state: State,
    line: u64,
    opened_on: u64,
    quoted: u64,
    /// How many bytes the row has so far, and may have.
    row: u64,
    most: u64,
    /// How many bytes have passed, and whether nothing of a row has come since the last one.
    passed: u64,
    between: bool,
    /// At which byte, and on which line, rows begin that nobody has asked for yet: a reader reads a buffer ahead.
    begun: VecDeque<(u64, u64)>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    FieldStart,
    Field,
    Quoted,
    QuoteInQuoted,
}

impl<R> QuoteWatch<R> {
    pub(crate) fn new(inner: R, delimiter: u8) -> Self {
        let most = MAX_ROW_BYTES;
        Self {
            inner,
            delimiter,
            state: State::FieldStart,
            line: 1,
            opened_on: 0,
            quoted: 0,
            row: 0,
            most,
            passed: 0,
            between: true,
            begun: VecDeque::new(),
        }
    }

    /// The line of the first row that begins at this byte or later; rows before it are not asked for again.
    pub(crate) fn line_from(&mut self, byte: u64) -> Option<u64> {
        while self.begun.front().is_some_and(|(at, _)| *at < byte) {
            self.begun.pop_front();
        }
        self.begun.front().map(|(_, line)| *line)
    }

    /// What is read from.
    pub(crate) const fn inner(&mut self) -> &mut R {
        &mut self.inner
    }

    fn follow(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let ends_a_line = matches!(byte, b'\n' | b'\r');
            if self.between && !ends_a_line {
                self.begun.push_back((self.passed, self.line));
                self.between = false;
            }
            self.passed += 1;
            self.state = match (self.state, byte) {
                (State::Quoted, b'"') => State::QuoteInQuoted,
                (State::Quoted, _) => {
                    self.quoted += 1;
                    State::Quoted
                }
                (State::FieldStart, b'"') => {
                    self.opened_on = self.line;
                    self.quoted = 0;
                    State::Quoted
                }
                (State::QuoteInQuoted, b'"') => State::Quoted,
                (_, b'\n' | b'\r') => State::FieldStart,
                (_, byte) if byte == self.delimiter => State::FieldStart,
                _ => State::Field,
            };
            self.between |= ends_a_line && self.state != State::Quoted;
            self.row += 1;
            if byte == b'\n' {
                self.line += 1;
                if self.state != State::Quoted {
                    self.row = 0;
                }
            }
            if self.row > self.most {
                return;
            }
        }
    }
}

impl<R: Read> Read for QuoteWatch<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.follow(&buffer[..n]);
        let open = self.state == State::Quoted;
        if self.row > self.most && !open {
            let (line, most) = (self.line, self.most);
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the row that ends on line {line} or later has more than {most} bytes, too many for a row"),
            ));
        }
        if open && (n == 0 && !buffer.is_empty() || self.quoted > self.most || self.row > self.most) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!(
                    "the quoted field that starts on line {} is never closed; \
                     close it, or double each quote inside it",
                    self.opened_on
                ),
            ));
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_a_limit_with_quotes_and_without() {
        for (text, said) in [
            (&b"a,b\nccccccc,ddddddd\n"[..], "the row that ends on line 2 or later has more than 12 bytes"),
            (b"a,b\n\"ccccccc\nddddddd\"\n", "the quoted field that starts on line 2 is never closed"),
        ] {
            let mut watch = QuoteWatch { most: 12, ..QuoteWatch::new(text, b',') };
            let error = io::copy(&mut watch, &mut io::sink()).unwrap_err();
            assert!(error.to_string().starts_with(said), "{error}");
        }
        let rows = &b"a,b\n1,2\n\"3\n4\",5\n"[..];
        io::copy(&mut QuoteWatch { most: 12, ..QuoteWatch::new(rows, b',') }, &mut io::sink()).unwrap();
    }
}
