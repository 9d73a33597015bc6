//! Notes where bytes that are no UTF-8 stand, by line and by byte within it. The bytes pass unchanged.

use std::collections::VecDeque;
use std::io::{self, Read};

/// How many lines are noted that nobody has asked for yet: a reader reads ahead.
const MOST: usize = 4_096;

/// A reader that looks at the text passing through it.
pub(crate) struct Utf8Watch<R> {
    inner: R,
    /// The beginning of a character whose rest has not come.
    rest: Vec<u8>,
    line: u64,
    /// How many bytes of the line have passed.
    bytes: u64,
    /// The first byte that is none, of each line that has one.
    found: VecDeque<(u64, u64)>,
}

impl<R> Utf8Watch<R> {
    pub(super) const fn new(inner: R) -> Self {
        Self { inner, rest: Vec::new(), line: 1, bytes: 0, found: VecDeque::new() }
    }

    /// The first such place from this line on, as the numbers of a line and of a byte in it, both from 1.
    pub(super) fn first_from(&mut self, line: u64) -> Option<(u64, u64)> {
        while self.found.front().is_some_and(|(found, _)| *found < line) {
            self.found.pop_front();
        }
        self.found.pop_front()
    }

    fn follow(&mut self, piece: &[u8]) {
        let joined;
        let bytes = if self.rest.is_empty() {
            piece
        } else {
            joined = [std::mem::take(&mut self.rest).as_slice(), piece].concat();
            &joined
        };
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            self.pass(chunk.valid().as_bytes());
            let invalid = chunk.invalid();
            if invalid.is_empty() {
                continue;
            }
            let may_go_on =
                chunks.peek().is_none() && std::str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
            // At the end nothing comes any more.
            if may_go_on && !piece.is_empty() {
                self.rest = invalid.to_vec();
                continue;
            }
            if self.found.back().is_none_or(|(line, _)| *line != self.line) && self.found.len() < MOST {
                self.found.push_back((self.line, self.bytes + 1));
            }
            self.pass(invalid);
        }
    }

    fn pass(&mut self, bytes: &[u8]) {
        match bytes.iter().rposition(|byte| *byte == b'\n') {
            None => self.bytes += bytes.len() as u64,
            Some(last) => {
                self.line += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
                self.bytes = (bytes.len() - last - 1) as u64;
            }
        }
    }
}

impl<R: Read> Read for Utf8Watch<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        if n > 0 || !buffer.is_empty() {
            self.follow(&buffer[..n]);
        }
        Ok(n)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_the_same_however_the_text_is_cut() {
        let text =
            "ä\nb\u{20ac}".bytes().chain([0xff, b'\n', 0xe2, b'\n', b'x', b'\n', b'y', 0xc3]).collect::<Vec<u8>>();
        for size in 1..=text.len() {
            let mut watch = Utf8Watch::new(io::empty());
            text.chunks(size).for_each(|piece| watch.follow(piece));
            watch.follow(b"");
            assert_eq!(watch.found, [(2, 5), (3, 1), (5, 2)], "{size}");
            assert_eq!(watch.first_from(3), Some((3, 1)));
            assert_eq!((watch.first_from(4), watch.first_from(5)), (Some((5, 2)), None));
        }
    }
}
