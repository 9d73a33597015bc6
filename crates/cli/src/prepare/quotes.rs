//! Notices quoted CSV fields that are never closed. The bytes pass unchanged.
//!
//! The CSV reader takes everything up to the end of the file as one field when a closing
//! quote is missing, so rows would be lost without a word.

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
        Self { inner, delimiter, state: State::FieldStart, line: 1, opened_on: 0, quoted: 0 }
    }

    fn follow(&mut self, bytes: &[u8]) {
        for &byte in bytes {
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
            if byte == b'\n' {
                self.line += 1;
            }
        }
    }
}

impl<R: Read> Read for QuoteWatch<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.follow(&buffer[..n]);
        let open = self.state == State::Quoted;
        if open && (n == 0 && !buffer.is_empty() || self.quoted > MAX_ROW_BYTES) {
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
