//! A file that is written under its name when it is whole, or not at all: request lines, and joined results.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::{Path, PathBuf};

use lote::save::{self, Replace, Writing};

use crate::exit::CliError;
use crate::input;
use crate::lines::TemporaryError;
use crate::out;

/// Where lines go, which is nowhere until [`Output::finish`].
pub(crate) struct Output {
    target: Target,
    bytes: u64,
    what: &'static str,
}

enum Target {
    Stdout(BufWriter<File>),
    Path(BufWriter<Writing>),
}

impl Output {
    /// `-` is stdout. `what` is written, such as `request lines`, and replaces only what it may. Nobody is to read the
    /// lines who may not read the inputs.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn new(path: &Path, what: &'static str, replace: Replace, inputs: &[&Path]) -> Result<Self, CliError> {
        if let Some(why) = save::Output::ending_fault(path, what).filter(|_| !input::is_dash(path)) {
            return Err(CliError::usage(format!("{}: {why}", path.display())));
        }
        Self::of_any_kind(path, what, replace, inputs)
    }

    /// As [`new`](Self::new), for what is not made of lines of JSON.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn of_any_kind(
        path: &Path,
        what: &'static str,
        replace: Replace,
        inputs: &[&Path],
    ) -> Result<Self, CliError> {
        let target = if input::is_dash(path) {
            let spool = tempfile::tempfile().map_err(spooled);
            Target::Stdout(BufWriter::new(spool.map_err(|error| cannot_write(what, &error))?))
        } else {
            let output = inputs.iter().fold(save::Output::new(path, replace), |output, input| output.private_as(input));
            let begun = output.try_out().and_then(|()| output.begin());
            let cannot = |error: io::Error| CliError::usage(format!("{}: cannot be written: {error}", path.display()));
            Target::Path(BufWriter::new(begun.map_err(cannot)?))
        };
        Ok(Self { target, bytes: 0, what })
    }

    /// The file beside the final one, while that is not whole.
    pub(crate) fn half_made(&self) -> Option<PathBuf> {
        match &self.target {
            Target::Path(writing) => writing.get_ref().half_made(),
            Target::Stdout(_) => None,
        }
    }

    /// Writes one line and its end.
    ///
    /// # Errors
    /// When the disk does not take it.
    pub(crate) fn line(&mut self, line: &str) -> Result<(), CliError> {
        let what = self.what;
        self.write_all(line.as_bytes()).and_then(|()| self.write_all(b"\n")).map_err(|error| cannot_write(what, &error))
    }

    /// The bytes written so far.
    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Puts everything under the final name.
    ///
    /// # Errors
    /// When the disk, or stdout, does not take it; a file's old content is then untouched.
    pub(crate) fn finish(self) -> Result<(), CliError> {
        let what = self.what;
        let cannot_write = |error: &io::Error| cannot_write(what, error);
        match self.target {
            Target::Path(writing) => {
                let writing = writing.into_inner().map_err(|error| cannot_write(error.error()))?;
                writing.commit().map_err(|error| cannot_write(&error))
            }
            Target::Stdout(spool) => {
                let flushed = spool.into_inner().map_err(io::IntoInnerError::into_error);
                let rewound = flushed.and_then(|mut spool| spool.rewind().map(|()| spool));
                let mut spool = rewound.map_err(|error| cannot_write(&spooled(error)))?;
                out::copy(&mut spool)
            }
        }
    }
}

/// The error of the file in which what goes to stdout is kept until it is whole.
fn spooled(error: io::Error) -> io::Error {
    TemporaryError::wrap(&std::env::temp_dir(), error)
}

fn cannot_write(what: &str, error: &io::Error) -> CliError {
    if let Some(temporary) = TemporaryError::inside(error) {
        return input::temporary(temporary, temporary.folder());
    }
    CliError::usage(format!("the {what} cannot be written: {error}; nothing was left under the final name"))
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.target {
            Target::Path(writing) => writing.write(bytes),
            Target::Stdout(spool) => spool.write(bytes).map_err(spooled),
        }?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::Path(writing) => writing.flush(),
            Target::Stdout(spool) => spool.flush().map_err(spooled),
        }
    }
}
