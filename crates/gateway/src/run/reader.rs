//! Reads an input file line by line: first where a line is and how long, then its bytes.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};

use crate::blobs::{Blob, Reader};

/// Bytes read from disk at a time.
const BUFFER: usize = 128 * 1024;

/// A line of at most so many bytes is held from when it is found; a longer one is read a second time.
const SMALL: usize = 64 * 1024;

/// The lines of one input file.
pub(super) struct LineReader {
    input: BufReader<Reader>,
    /// Keeps the bytes on disk, should the file be deleted meanwhile.
    blob: Arc<Blob>,
    /// What is known of the line that is not whole yet.
    place: Place,
    is_blank: bool,
    /// All of that line so far; none once it is longer than [`SMALL`].
    held: Option<Vec<u8>>,
}

/// Where a line is in its file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    /// From 1, counting blank lines as well.
    pub(super) number: u64,
    pub(super) start: u64,
    /// Without its line break.
    pub(super) bytes: u64,
}

/// A line that has been found and, unless it is small, not been read.
#[derive(Debug)]
pub(super) struct FoundLine {
    pub(super) place: Place,
    held: Option<Vec<u8>>,
}

impl LineReader {
    pub(super) async fn open(blob: &Arc<Blob>) -> io::Result<LineReader> {
        LineReader::open_at(blob, 1, 0).await
    }

    /// From the line with this number on, which starts there.
    pub(super) async fn open_at(blob: &Arc<Blob>, number: u64, start: u64) -> io::Result<LineReader> {
        Ok(LineReader {
            input: BufReader::with_capacity(BUFFER, blob.open(start).await?),
            blob: Arc::clone(blob),
            place: Place { number, start, bytes: 0 },
            is_blank: true,
            held: Some(Vec::new()),
        })
    }

    /// Finds the next line that is not blank. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Option<FoundLine>> {
        loop {
            let chunk = self.input.fill_buf().await?;
            let at_end = chunk.is_empty();
            let line_break = memchr::memchr(b'\n', chunk);
            let piece = &chunk[..line_break.unwrap_or(chunk.len())];
            self.is_blank &= piece.trim_ascii().is_empty();
            self.held = self.held.take().filter(|held| held.len() + piece.len() <= SMALL);
            if let Some(held) = &mut self.held {
                held.extend_from_slice(piece);
            }
            let taken = piece.len() + usize::from(line_break.is_some());
            self.place.bytes += piece.len() as u64;
            self.input.consume(taken);
            if line_break.is_none() && !at_end {
                continue;
            }
            let Place { number, start, bytes } = self.place;
            self.place = Place { number: number + 1, start: start + bytes + 1, bytes: 0 };
            let held = self.held.replace(Vec::new());
            if !std::mem::replace(&mut self.is_blank, true) {
                return Ok(Some(FoundLine { place: Place { number, start, bytes }, held }));
            }
            if at_end {
                return Ok(None);
            }
        }
    }

    /// The bytes of a line, without blanks around it.
    pub(super) async fn read(&self, line: FoundLine) -> io::Result<Vec<u8>> {
        match line.held {
            Some(held) => Ok(trimmed(held)),
            None => read(&self.blob, line.place).await,
        }
    }
}

/// Reads the bytes of a line, without blanks around it.
pub(super) async fn read(blob: &Blob, place: Place) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(usize::try_from(place.bytes).map_err(io::Error::other)?);
    blob.open(place.start).await?.take(place.bytes).read_to_end(&mut bytes).await?;
    Ok(trimmed(bytes))
}

fn trimmed(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.truncate(bytes.trim_ascii_end().len());
    let blanks = bytes.len() - bytes.trim_ascii_start().len();
    bytes.drain(..blanks);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::blobs::{Account, Disk};

    #[tokio::test]
    async fn lines_are_found_whole_whatever_their_length() {
        let disk = Disk::new().unwrap();
        let lengths = [1, SMALL - 1, SMALL, SMALL + 1, 3, BUFFER, 5 * BUFFER + 7, 2];
        let mut spool = disk.spool(&Account::unbounded()).await.unwrap();
        for length in lengths {
            // A blank line and a carriage return besides.
            let text = format!(" {}\r\n{}\n", "x".repeat(length), " ".repeat(length));
            spool.write(text.as_bytes()).await.unwrap();
        }
        spool.write(b"last").await.unwrap();
        let blob = Arc::new(spool.seal().await.unwrap());
        let mut lines = LineReader::open(&blob).await.unwrap();
        for (at, length) in (0..).zip(lengths) {
            let found = lines.next().await.unwrap().unwrap();
            let place = found.place;
            assert_eq!((place.number, place.bytes), (2 * at + 1, length as u64 + 2));
            assert!(found.held.is_none_or(|held| held.len() <= SMALL), "{length}");
            assert_eq!(read(&blob, place).await.unwrap().len(), length);
        }
        let last = lines.next().await.unwrap().unwrap();
        assert_eq!(last.place.number, 2 * lengths.len() as u64 + 1);
        assert_eq!(lines.read(last).await.unwrap(), b"last");
        assert!(lines.next().await.unwrap().is_none());
        assert!(lines.next().await.unwrap().is_none());
    }
}
