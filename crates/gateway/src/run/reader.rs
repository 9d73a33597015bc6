//! Owns the reading of an input file line by line. Never holds more than one line.

use std::io;
use std::sync::Arc;

use tokio::fs::File;
use tokio::io::{AsyncBufReadExt, BufReader};

use crate::store::Blob;

/// Bytes read from disk at a time.
const BUFFER: usize = 128 * 1024;

/// The lines of one input file.
#[derive(Debug)]
pub(super) struct LineReader {
    input: BufReader<File>,
    /// What has been read of the line that is not whole yet.
    partial: Vec<u8>,
    number: u64,
    /// Keeps the bytes on disk, should the file be deleted meanwhile.
    _blob: Arc<Blob>,
}

/// One line, without its line break.
#[derive(Debug)]
pub(super) struct NumberedLine {
    /// From 1, counting blank lines as well.
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
}

impl LineReader {
    pub(super) async fn open(blob: &Arc<Blob>) -> io::Result<LineReader> {
        Ok(LineReader {
            input: BufReader::with_capacity(BUFFER, blob.open(0).await?),
            partial: Vec::new(),
            number: 0,
            _blob: Arc::clone(blob),
        })
    }

    /// The next line that is not blank. Dropping the future loses nothing.
    pub(super) async fn next(&mut self) -> io::Result<Option<NumberedLine>> {
        loop {
            let chunk = self.input.fill_buf().await?;
            let at_end = chunk.is_empty();
            let (taken, ended) = match memchr::memchr(b'\n', chunk) {
                Some(at) => (at + 1, true),
                None => (chunk.len(), at_end),
            };
            self.partial.extend_from_slice(&chunk[..taken]);
            self.input.consume(taken);
            if !ended {
                continue;
            }
            let bytes = std::mem::take(&mut self.partial);
            self.number += 1;
            if !bytes.trim_ascii().is_empty() {
                let bytes = if bytes.len() == bytes.trim_ascii().len() { bytes } else { bytes.trim_ascii().to_vec() };
                return Ok(Some(NumberedLine { number: self.number, bytes }));
            }
            if at_end {
                return Ok(None);
            }
        }
    }
}
