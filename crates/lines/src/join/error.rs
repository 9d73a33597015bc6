//! Why a join stopped.

use std::path::{Path, PathBuf};
use std::{error, fmt, io};

/// Why a join stopped.
#[derive(Debug)]
#[non_exhaustive]
pub enum JoinError {
    /// A file could not be read.
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The input file is not what [`check`](crate::check()) accepts.
    Input {
        /// The input file.
        path: PathBuf,
        /// The number of the line, from 1.
        line: u64,
        /// What is wrong with it.
        message: String,
    },
    /// A temporary file could not be written or read; it is gone.
    Temporary {
        /// The folder in which it was made.
        folder: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The results could not be written; the cause is the writer's own error, unchanged.
    Write {
        /// How many request lines were read before.
        lines: u64,
        /// The cause.
        source: io::Error,
    },
}

impl JoinError {
    /// Whether it was the writing side that failed, as on a full disk.
    #[must_use]
    pub fn is_write(&self) -> bool {
        matches!(self, Self::Write { .. })
    }

    /// The error of the reading or the writing side; `None` when the input's content is to blame.
    #[must_use]
    pub fn io_error(&self) -> Option<&io::Error> {
        match self {
            Self::Read { source, .. } | Self::Temporary { source, .. } | Self::Write { source, .. } => Some(source),
            Self::Input { .. } => None,
        }
    }

    pub(super) fn read(path: &Path, source: io::Error) -> Self {
        Self::Read { path: path.to_owned(), source }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read { path, source } => write!(f, "cannot read {}: {source}", path.display()),
            Self::Input { path, line, message } => write!(f, "{}, line {line}: {message}", path.display()),
            Self::Temporary { folder, source } => {
                write!(f, "a temporary file in {} cannot be written: {source}", folder.display())
            }
            Self::Write { lines, source } => {
                write!(f, "cannot write the results, at request line {lines}: {source}")
            }
        }
    }
}

impl error::Error for JoinError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        self.io_error().map(|error| error as _)
    }
}
