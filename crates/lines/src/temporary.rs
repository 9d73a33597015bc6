//! What a temporary file failed with: it is neither the file that is read nor the one that is written.

use std::path::{Path, PathBuf};
use std::{error, fmt, io};

/// A temporary file cannot be made, written or read: its folder is missing, or the disk is full. It stands inside the
/// [`io::Error`] that [`check`](crate::check()) and [`open_seekable`](crate::open_seekable()) fail with, and says that
/// neither the input nor the output is to blame.
#[derive(Debug)]
pub struct TemporaryError {
    folder: PathBuf,
    source: io::Error,
}

impl TemporaryError {
    /// The error of a temporary file in this folder; of the same kind as its cause.
    #[must_use]
    pub fn wrap(folder: &Path, source: io::Error) -> io::Error {
        io::Error::new(source.kind(), Self { folder: folder.to_owned(), source })
    }

    /// The temporary file's error inside this one, if it is that.
    #[must_use]
    pub fn inside(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Why it could not be written, of an error that this is; any other error as it is.
    #[must_use]
    pub fn cause(error: io::Error) -> io::Error {
        match error.downcast::<Self>() {
            Ok(Self { source, .. }) => source,
            Err(error) => error,
        }
    }

    /// The folder that temporary files are made in.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl fmt::Display for TemporaryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { folder, source } = self;
        write!(f, "a temporary file in {} cannot be written: {source}", folder.display())
    }
}

impl error::Error for TemporaryError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        Some(&self.source)
    }
}
