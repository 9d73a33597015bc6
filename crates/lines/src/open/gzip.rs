//! Owns the reading of gzip: all its members, and nothing after them but zero bytes. Of a member that is damaged it gives
//! all that can be inflated, which flate2's own reader of members does not.

use std::io::{self, BufRead, Read};

use flate2::{Crc, Decompress, FlushDecompress, Status};

use super::damage::words;

const NAME: &str = "gzip";

/// Whether data with these first bytes is gzip.
pub(super) fn is(start: &[u8]) -> bool {
    start.starts_with(b"\x1f\x8b")
}

/// What is compressed in a stream of members. After an error, and after the end, there is nothing.
pub(super) struct Gzip<R> {
    inner: R,
    state: State,
}

enum State {
    Head,
    Body(Box<Member>),
    /// What is told once all before it was read.
    Damaged(io::Error),
    Over,
}

struct Member {
    inflate: Decompress,
    crc: Crc,
}

impl<R: BufRead> Gzip<R> {
    pub(super) fn new(inner: R) -> Self {
        Self { inner, state: State::Head }
    }

    /// Inflates once. What comes next, and how many bytes were written.
    fn inflate(&mut self, member: &mut Member, buffer: &mut [u8]) -> io::Result<(Next, usize)> {
        let input = filled(&mut self.inner)?;
        let before = (member.inflate.total_in(), member.inflate.total_out());
        let status = member.inflate.decompress(input, buffer, FlushDecompress::None);
        let consumed = (member.inflate.total_in() - before.0) as usize;
        let written = (member.inflate.total_out() - before.1) as usize;
        let next = match status {
            Err(_) => Next::Damaged(words::damaged(NAME, "it cannot be inflated")),
            Ok(Status::StreamEnd) => Next::Tail,
            Ok(_) if written > 0 || consumed > 0 => Next::More,
            // It stands still only where nothing more is to be read.
            Ok(_) => Next::Damaged(words::cut_off(NAME)),
        };
        self.inner.consume(consumed);
        member.crc.update(&buffer[..written]);
        Ok((next, written))
    }

    /// Compares what stands after a member, and looks for another one.
    fn end(&mut self, member: &Member) -> io::Result<State> {
        let mut tail = [0; 8];
        exactly(&mut self.inner, &mut tail)?;
        let [crc, length] =
            [&tail[..4], &tail[4..]].map(|part| u32::from_le_bytes(part.try_into().unwrap_or_default()));
        if crc != member.crc.sum() || length != member.crc.amount() {
            return Err(words::damaged(NAME, "its checksum differs"));
        }
        match first_after_zeros(&mut self.inner)? {
            None => Ok(State::Over),
            Some(0x1f) => Ok(State::Head),
            Some(_) => Err(words::trailing(NAME)),
        }
    }
}

enum Next {
    More,
    Tail,
    Damaged(io::Error),
}

impl<R: BufRead> Read for Gzip<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            match std::mem::replace(&mut self.state, State::Over) {
                State::Over => return Ok(0),
                State::Damaged(error) => return Err(error),
                State::Head => {
                    head(&mut self.inner)?;
                    let member = Member { inflate: Decompress::new(false), crc: Crc::new() };
                    self.state = State::Body(Box::new(member));
                }
                State::Body(mut member) => {
                    let (next, written) = self.inflate(&mut member, buffer)?;
                    self.state = match next {
                        Next::More => State::Body(member),
                        Next::Damaged(error) => State::Damaged(error),
                        Next::Tail => self.end(&member).unwrap_or_else(State::Damaged),
                    };
                    if written > 0 {
                        return Ok(written);
                    }
                }
            }
        }
    }
}

/// Reads the head of a member (RFC 1952, 2.3) and passes over what it says.
fn head(inner: &mut impl BufRead) -> io::Result<()> {
    let mut crc = Crc::new();
    let mut take = |inner: &mut _, count: usize| -> io::Result<[u8; 10]> {
        let mut bytes = [0; 10];
        exactly(inner, &mut bytes[..count])?;
        crc.update(&bytes[..count]);
        Ok(bytes)
    };
    let fixed = take(inner, 10)?;
    let flags = fixed[3];
    if fixed[..3] != *b"\x1f\x8b\x08" || flags & 0xe0 != 0 {
        return Err(words::damaged(NAME, "its head is none"));
    }
    if flags & 4 != 0 {
        let [low, high, ..] = take(inner, 2)?;
        for _ in 0..u16::from_le_bytes([low, high]) {
            take(inner, 1)?;
        }
    }
    // A name and a comment, each ended by a zero.
    for _ in 0..u32::from(flags & 8 != 0) + u32::from(flags & 16 != 0) {
        while take(inner, 1)?[0] != 0 {}
    }
    if flags & 2 != 0 {
        let mut wanted = [0; 2];
        exactly(inner, &mut wanted)?;
        if u32::from(u16::from_le_bytes(wanted)) != crc.sum() & 0xffff {
            return Err(words::damaged(NAME, "the checksum of its head differs"));
        }
    }
    Ok(())
}

/// What is there to be read; nothing at the end.
fn filled(inner: &mut impl BufRead) -> io::Result<&[u8]> {
    loop {
        match inner.fill_buf() {
            Ok(_) => return inner.fill_buf(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Fills `bytes`, or says that the data is cut off.
fn exactly(inner: &mut impl BufRead, bytes: &mut [u8]) -> io::Result<()> {
    let mut at = 0;
    while at < bytes.len() {
        let chunk = filled(inner)?;
        if chunk.is_empty() {
            return Err(words::cut_off(NAME));
        }
        let count = chunk.len().min(bytes.len() - at);
        bytes[at..at + count].copy_from_slice(&chunk[..count]);
        inner.consume(count);
        at += count;
    }
    Ok(())
}

/// The next byte that is not zero, which is left where it is: tapes and some servers fill up with zeros.
fn first_after_zeros(inner: &mut impl BufRead) -> io::Result<Option<u8>> {
    loop {
        let chunk = filled(inner)?;
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
