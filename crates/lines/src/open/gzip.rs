//! Owns the reading of gzip: all its members, and nothing after them but zero bytes.

use std::io::{self, BufRead, Read};

use flate2::bufread::GzDecoder;

use super::words;

const NAME: &str = "gzip";

/// Whether data with these first bytes is gzip.
pub(super) fn is(start: &[u8]) -> bool {
    start.starts_with(b"\x1f\x8b")
}

/// What is compressed in a stream of members. After an error, and after the end, there is nothing.
pub(super) struct Gzip<R> {
    member: Option<GzDecoder<R>>,
}

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { member: Some(GzDecoder::new(inner)) }
    }
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        while let Some(member) = &mut self.member {
            match member.read(buffer) {
                Ok(0) => {}
                Ok(count) => return Ok(count),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.member = None;
                    return Err(explained(error));
                }
            }
            let Some(mut inner) = self.member.take().map(GzDecoder::into_inner) else { break };
            match first_after_zeros(&mut inner)? {
                None => {}
                Some(0x1f) => self.member = Some(GzDecoder::new(inner)),
                Some(_) => return Err(words::trailing(NAME)),
            }
        }
        Ok(0)
    }
}

/// The next byte that is not zero, which is left where it is: tapes and some servers fill up with zeros.
fn first_after_zeros(inner: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let chunk = match inner.fill_buf() {
            Ok(chunk) => chunk,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if chunk.is_empty() {
            return Ok(None);
        }
        let zeros = chunk.iter().take_while(|byte| **byte == 0).count();
        let found = chunk.get(zeros).copied();
        inner.consume(zeros);
        if found.is_some() {
            return Ok(found);
        }
    }
}

fn explained(error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => words::cut_off(NAME),
        io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => words::damaged(NAME, error),
        _ => error,
    }
}
