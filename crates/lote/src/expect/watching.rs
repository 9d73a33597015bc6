//! Result lines that are held against what is expected on their way to where they are written.

use std::{
    fmt,
    io::{self, BufRead, Write},
    path::Path,
};

use super::{Expect, count};
use crate::{
    Error,
    lines::{Fit, FitTally, LineReader, open_lines},
};

/// A writer of result lines that counts how they fit what is expected. The lines are those of a
/// [join](crate::lines::Join): one for each request line, in their order.
#[must_use = "what was counted is said by `finish`"]
pub struct Watching<W> {
    expect: Expect,
    out: W,
    requests: Option<LineReader<Box<dyn BufRead + Send>>>,
    /// What was written of the line that has not ended.
    line: Vec<u8>,
    tally: FitTally,
}

impl<W> fmt::Debug for Watching<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watching").field("expect", &self.expect).finish_non_exhaustive()
    }
}

impl<W: Write> Watching<W> {
    /// One that writes to `out`.
    pub fn new(expect: &Expect, out: W) -> Self {
        Self { expect: expect.clone(), out, requests: None, line: Vec::new(), tally: expect.tally() }
    }

    /// With the file of the request lines, which is read beside what is written where those say what is
    /// expected (`Expect::requested`). Without it they ask for nothing.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when it cannot be read.
    pub fn requests(mut self, requests: &Path) -> Result<Self, Error> {
        if self.expect.is_in_requests() {
            let reader = open_lines(requests).map_err(|error| Error::path("read", requests, error))?;
            self.requests = Some(LineReader::new(reader));
        }
        Ok(self)
    }

    /// The writer, and what was counted.
    pub fn finish(self) -> (W, Fit) {
        (self.out, self.tally.finish())
    }

    fn take(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            let (line, rest) = bytes.split_at(end);
            bytes = &rest[1..];
            if self.line.is_empty() {
                self.judge(line)?;
            } else {
                let mut whole = std::mem::take(&mut self.line);
                whole.extend_from_slice(line);
                self.judge(&whole)?;
                whole.clear();
                self.line = whole;
            }
        }
        self.line.extend_from_slice(bytes);
        Ok(())
    }

    fn judge(&mut self, result: &[u8]) -> io::Result<()> {
        let request = match &mut self.requests {
            Some(requests) => next(requests)?,
            None => &[],
        };
        if let Some(verdict) = self.expect.judge(request, result) {
            count(&mut self.tally, verdict);
        }
        Ok(())
    }
}

/// The next request line; none at their end.
fn next(requests: &mut LineReader<Box<dyn BufRead + Send>>) -> io::Result<&[u8]> {
    const MARK: &[u8] = b"\xef\xbb\xbf";
    // What a join passes over: a mark of an editor alone in a line.
    let Some(line) = requests.next_line()? else { return Ok(&[]) };
    Ok(line.bytes.strip_prefix(MARK).unwrap_or(line.bytes))
}

impl<W: Write> Write for Watching<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.take(bytes.get(..written).unwrap_or_default())?;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}
