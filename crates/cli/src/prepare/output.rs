//! Writes the request file, under its name when whole, or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::exit::CliError;
use crate::out;

/// Where the request lines go, which is nowhere until [`Output::finish`].
pub(crate) struct Output {
    target: Target,
    bytes: u64,
}

enum Target {
    /// A regular file: written beside it and renamed.
    File { temporary: BufWriter<NamedTempFile>, path: PathBuf },
    /// stdout, a pipe or a device: written at the end, from an unnamed file.
    Stream { spool: BufWriter<File>, path: Option<PathBuf> },
}

impl Output {
    /// `-` is stdout.
    ///
    /// # Errors
    /// When the folder cannot be written to.
    pub(crate) fn new(path: &Path) -> Result<Self, CliError> {
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
        Ok(Self { target, bytes: 0 })
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
        let writer: &mut dyn Write = match &mut self.target {
            Target::File { temporary, .. } => temporary,
            Target::Stream { spool, .. } => spool,
        };
        writer
            .write_all(line.as_bytes())
            .and_then(|()| writer.write_all(b"\n"))
            .map_err(|error| cannot_write(&error))?;
        self.bytes += line.len() as u64 + 1;
        Ok(())
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

fn spool() -> Result<BufWriter<File>, CliError> {
    tempfile::tempfile().map(BufWriter::new).map_err(|error| cannot_write(&error))
}

fn cannot_write(error: &io::Error) -> CliError {
    CliError::usage(format!("the request lines cannot be written: {error}; nothing was left under the final name"))
}
