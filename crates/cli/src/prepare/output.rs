//! A file that is written under its name when it is whole, or not at all: request lines, and joined results.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::exit::CliError;
use crate::out;

/// Where lines go, which is nowhere until [`Output::finish`].
pub(crate) struct Output {
    target: Target,
    bytes: u64,
    /// What is written, as errors call it.
    what: &'static str,
}

enum Target {
    /// A regular file: written beside it and renamed.
    File { temporary: BufWriter<NamedTempFile>, path: PathBuf },
    /// stdout, a pipe or a device: written at the end, from an unnamed file.
    Stream { spool: BufWriter<File>, path: Option<PathBuf> },
}

impl Output {
    /// `-` is stdout. `what` is written, such as `the results`.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn new(path: &Path, what: &'static str) -> Result<Self, CliError> {
        let spool = || spool(what);
        let target = if path == Path::new("-") {
            Target::Stream { spool: spool()?, path: None }
        } else {
            // What a link points to is replaced, not the link.
            let path = match fs::canonicalize(path) {
                Ok(path) => path,
                Err(_) if path.is_symlink() => {
                    return Err(CliError::usage(format!("{}: is a link that leads nowhere", path.display())));
                }
                Err(_) => path.to_owned(),
            };
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_dir() => {
                    return Err(CliError::usage(format!("{}: is a folder; name a file in it", path.display())));
                }
                Ok(metadata) if !metadata.is_file() => Target::Stream { spool: spool()?, path: Some(path) },
                _ => Target::File { temporary: BufWriter::new(beside(&path)?), path },
            }
        };
        Ok(Self { target, bytes: 0, what })
    }

    /// The file beside the final one, while that is not whole.
    pub(crate) fn half_made(&self) -> Option<&Path> {
        match &self.target {
            Target::File { temporary, .. } => Some(temporary.get_ref().path()),
            Target::Stream { .. } => None,
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

    /// Whether the file that will be replaced holds something, and not what was written.
    ///
    /// # Errors
    /// When either cannot be read.
    pub(crate) fn replaces_other(&mut self) -> Result<bool, CliError> {
        let what = self.what;
        let Target::File { temporary, path } = &mut self.target else { return Ok(false) };
        temporary.flush().map_err(|error| cannot_write(what, &error))?;
        let old = match fs::metadata(&*path) {
            Ok(old) => old,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(crate::input::cannot_read(path, &error)),
        };
        if old.len() == 0 {
            return Ok(false);
        }
        let same = old.len() == self.bytes
            && same_bytes(&*path, temporary.get_ref().path())
                .map_err(|error| crate::input::cannot_read(path, &error))?;
        Ok(!same)
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
            Target::File { temporary, path } => {
                let temporary = temporary.into_inner().map_err(|e| cannot_write(e.error()))?;
                temporary.as_file().sync_all().map_err(|e| cannot_write(&e))?;
                temporary.persist(&path).map_err(|error| cannot_write(&error.error))?;
                Ok(())
            }
            Target::Stream { spool, path } => {
                let mut spool = spool.into_inner().map_err(|e| cannot_write(e.error()))?;
                spool.seek(SeekFrom::Start(0)).map_err(|e| cannot_write(&e))?;
                let Some(path) = path else {
                    return out::copy(&mut spool);
                };
                OpenOptions::new()
                    .write(true)
                    .open(&path)
                    .and_then(|mut file| io::copy(&mut spool, &mut file))
                    .map_err(|error| cannot_write(&error))?;
                Ok(())
            }
        }
    }
}

fn beside(path: &Path) -> Result<NamedTempFile, CliError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let mut prefix = std::ffi::OsString::from(".");
    prefix.push(path.file_name().unwrap_or_default());
    let mut builder = tempfile::Builder::new();
    builder.prefix(&prefix).suffix(".part");
    // As a file made in the usual way: the umask decides.
    #[cfg(unix)]
    let mode = <fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666);
    #[cfg(unix)]
    builder.permissions(mode);
    builder.tempfile_in(folder).map_err(|error| {
        CliError::usage(format!(
            "{}: cannot be written: {error}; check that its folder exists and may be written",
            path.display()
        ))
    })
}

fn spool(what: &str) -> Result<BufWriter<File>, CliError> {
    tempfile::tempfile().map(BufWriter::new).map_err(|error| cannot_write(what, &error))
}

fn cannot_write(what: &str, error: &io::Error) -> CliError {
    CliError::usage(format!("{what} cannot be written: {error}; nothing was left under the final name"))
}

/// Whether two files of one length hold the same.
fn same_bytes(one: &Path, other: &Path) -> io::Result<bool> {
    let open = |path| File::open(path).map(BufReader::new);
    let (mut one, mut other) = (open(one)?, open(other)?);
    loop {
        let (left, right) = (one.fill_buf()?, other.fill_buf()?);
        let length = left.len().min(right.len());
        if length == 0 || left[..length] != right[..length] {
            return Ok(left.is_empty() && right.is_empty());
        }
        one.consume(length);
        other.consume(length);
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match &mut self.target {
            Target::File { temporary, .. } => temporary.write(bytes),
            Target::Stream { spool, .. } => spool.write(bytes),
        }?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        match &mut self.target {
            Target::File { temporary, .. } => temporary.flush(),
            Target::Stream { spool, .. } => spool.flush(),
        }
    }
}
