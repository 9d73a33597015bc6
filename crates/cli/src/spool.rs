//! Request lines that are in no file of the user's: they are kept in a private one while their run is at work.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use lote::run::Partition;
use lote::save::Stored;
use tempfile::NamedTempFile;
use tokio::sync::oneshot;

use crate::exit::{CliError, Exit};
use crate::interrupt::Stop;

/// How much of the hash names the folder of the run.
const DIGITS: usize = 8;

/// Request lines from stdin, or of a table, in a file that goes when this is dropped.
#[derive(Debug)]
pub(crate) struct Spooled {
    file: NamedTempFile,
    /// What the folder of their run is named after.
    named: PathBuf,
    /// What messages call them.
    shown: String,
}

impl Spooled {
    /// Reads stdin to its end, within this time if there is a limit.
    ///
    /// # Errors
    /// With exit 2 when it cannot be read or kept; exit 5 when that takes too long; exit 130 when the command was interrupted.
    pub(crate) async fn read(stop: &mut Stop, within: Option<Duration>) -> Result<Self, CliError> {
        let file = Self::file("lote-stdin-")?;
        let to = file.reopen().map_err(|error| cannot_keep(file.path(), &error))?;
        let (send, copied) = oneshot::channel();
        // A thread of its own: a blocked read of stdin cannot be cancelled, and nothing is to wait for it.
        std::thread::spawn(move || send.send(copy(to)));
        let too_long = async {
            match within {
                Some(time) => tokio::time::sleep(time).await,
                None => std::future::pending().await,
            }
        };
        let copied = tokio::select! {
            biased;
            copied = copied => copied.unwrap_or_else(|_| Err(NotCopied::Read(io::Error::other("it was not read to its end")))),
            () = stop.asked() => return Err(CliError::interrupted()),
            () = too_long => {
                return Err(CliError::new(Exit::GaveUp, "gave up before the end of stdin; nothing was sent"));
            }
        };
        copied.map_err(|error| match error {
            NotCopied::Read(error) => CliError::usage(format!("stdin: {error}; nothing was sent")),
            NotCopied::Write(error) => cannot_keep(file.path(), &error),
        })?;
        Self::of_stdin(file)
    }

    /// A file for such lines. On Unix only its owner may read it, and so it is with the folder of the run.
    ///
    /// # Errors
    /// With exit 2 when it cannot be made.
    pub(crate) fn file(prefix: &str) -> Result<NamedTempFile, CliError> {
        let made = tempfile::Builder::new().prefix(prefix).suffix(".jsonl").tempfile();
        made.map_err(|error| cannot_keep(&std::env::temp_dir(), &error))
    }

    /// Lines that came from stdin.
    ///
    /// # Errors
    /// With exit 2 when they cannot be read again.
    pub(crate) fn of_stdin(file: NamedTempFile) -> Result<Self, CliError> {
        let stored = Stored::of(file.path()).map_err(|error| cannot_keep(file.path(), &error))?;
        let digits = stored.sha256.get(..DIGITS).unwrap_or_default();
        Ok(Self::of(file, format!("stdin-{digits}").into(), "stdin".to_owned()))
    }

    /// Lines in this file, whose run is in a folder named after another.
    pub(crate) const fn of(file: NamedTempFile, named: PathBuf, shown: String) -> Self {
        Self { file, named, shown }
    }

    /// The file that the requests are in.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The folder of their run, or of that of a part of them: another for other requests.
    pub(crate) fn folder(&self, partition: Option<Partition>) -> PathBuf {
        self.named.with_extension(match partition {
            Some(part) => format!("{}-of-{}.run", part.part(), part.of()),
            None => "run".to_owned(),
        })
    }

    /// A message in which the file is called what the user knows.
    pub(crate) fn in_words(&self, message: &str) -> String {
        message.replace(&*self.path().to_string_lossy(), &self.shown)
    }
}

fn copy(mut to: File) -> Result<(), NotCopied> {
    copy_all(&mut io::stdin().lock(), &mut to)?;
    to.sync_all().map_err(NotCopied::Write)
}

/// Which side of a copy failed.
pub(crate) enum NotCopied {
    /// What was to be copied cannot be read.
    Read(io::Error),
    /// It cannot be written where it is kept.
    Write(io::Error),
}

/// Copies all of it.
pub(crate) fn copy_all(from: &mut impl Read, to: &mut impl Write) -> Result<(), NotCopied> {
    let mut buffer = vec![0; 256 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(read) => to.write_all(&buffer[..read]).map_err(NotCopied::Write)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(NotCopied::Read(error)),
        }
    }
}

fn cannot_keep(path: &Path, error: &io::Error) -> CliError {
    CliError::usage(format!("{}: requests from stdin cannot be kept there: {error}; nothing was sent", path.display()))
}
