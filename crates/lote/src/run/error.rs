//! The ways in which a run can end early, each telling what was paid for by then.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use super::{Holder, Record, Report, Stage};
use crate::{
    Batch, BatchId, Error,
    lines::{Checked, Finding, FindingGroups, JoinError},
};

/// Why a run did not end with results.
#[derive(Debug)]
#[non_exhaustive]
pub enum RunError {
    /// The request lines are not fit to be sent. Nothing was sent.
    #[non_exhaustive]
    Input {
        /// What was counted.
        checked: Box<Checked>,
        /// The first findings, up to [`MAX_FINDINGS`](Self::MAX_FINDINGS); `checked.findings` says how many there are.
        findings: Vec<Finding>,
        /// All findings, those put together that say the same of many lines; up to so many groups.
        groups: FindingGroups,
    },
    /// The folder holds a run already. Nothing was sent.
    #[non_exhaustive]
    Held {
        /// The folder.
        folder: PathBuf,
        /// The record of the run; `None` when it holds something else than a run.
        record: Option<Box<Record>>,
        /// Whether that run is finished, and was made of what is in the input now.
        same_input: bool,
    },
    /// Another process, or another run of this one, is at work in the folder. Nothing was sent.
    #[non_exhaustive]
    Busy {
        /// The folder.
        folder: PathBuf,
        /// Who is at work in it.
        holder: Holder,
    },
    /// The folder holds a run whose record cannot be read, or was made by a newer version: there may be a batch of it.
    /// Nothing was sent.
    #[non_exhaustive]
    Unreadable {
        /// The folder.
        folder: PathBuf,
        /// Why its `run.json` cannot be read.
        why: String,
    },
    /// The folder was removed or replaced while the run was at work in it. What is at its path now was not touched.
    #[non_exhaustive]
    Lost {
        /// Where the folder was.
        folder: PathBuf,
        /// The batch, when there is one: it goes on, and its files can be fetched.
        batch: Option<BatchId>,
    },
    /// A place that cannot be used. Nothing was sent.
    #[non_exhaustive]
    Place {
        /// The place.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// The service refused or could not be reached before there was a batch. Nothing is to be paid; the folder is gone.
    Refused(Error),
    /// The create failed in a way that leaves open whether there is a batch. The folder stays.
    #[non_exhaustive]
    Ambiguous {
        /// How it failed.
        error: Error,
        /// The folder.
        folder: PathBuf,
        /// The value of `lote_sha256` in the metadata of the batch, if there is one.
        sha256: String,
    },
    /// The batch failed at validation. There are no results.
    #[non_exhaustive]
    BatchFailed {
        /// The batch, with its validation errors.
        batch: Box<Batch>,
        /// The folder; the lines that the errors name are those of its `requests.jsonl`.
        folder: PathBuf,
    },
    /// The deadline passed. The batch goes on.
    #[non_exhaustive]
    GaveUp {
        /// The batch.
        id: BatchId,
        /// What was last seen of it.
        last: Option<Box<Batch>>,
        /// The folder.
        folder: PathBuf,
    },
    /// The batch exists, but it could not be followed or its files not be fetched. They can be later.
    #[non_exhaustive]
    Unfetched {
        /// The batch.
        id: BatchId,
        /// Why not.
        error: Error,
        /// The folder.
        folder: PathBuf,
    },
    /// The files of the batch are in the folder, but their results could not be put together.
    #[non_exhaustive]
    Unjoined {
        /// Why not.
        error: JoinError,
        /// The folder.
        folder: PathBuf,
    },
    /// The run ended, and its results are in its folder, but not where they were wanted as well.
    #[non_exhaustive]
    NotCopied {
        /// Where they were wanted.
        output: PathBuf,
        /// Why they are not there.
        error: io::Error,
        /// What came of the run; its `results` are those in the folder.
        report: Box<Report>,
    },
    /// A file on this side could not be read or written.
    #[non_exhaustive]
    Io {
        /// What was being done to which file.
        doing: String,
        /// Why not.
        error: io::Error,
        /// The batch, when there is one: it goes on, and its files can be fetched.
        batch: Option<BatchId>,
    },
}

impl RunError {
    /// How many findings are kept.
    pub const MAX_FINDINGS: usize = 1_000;
}

impl fmt::Display for RunError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Input { checked, groups, .. } => {
                write!(f, "the input was refused, {} findings, nothing was sent", checked.findings)?;
                match groups.groups().first() {
                    Some(first) => write!(f, "; the first: {first}"),
                    None => Ok(()),
                }
            }
            Self::Held { folder, record: None, .. } => {
                write!(f, "{} holds something else than a run; name another folder", folder.display())
            }
            Self::Held { folder, record: Some(record), same_input } => held(f, folder, record, *same_input),
            Self::Busy { folder, holder } => {
                let folder = folder.display();
                write!(f, "{folder}: {holder} is at work in it; wait until it has ended, or name another folder")
            }
            Self::Unreadable { folder, why } => write!(
                f,
                "{}: {why}; a batch of it may be at work or wait to be fetched, so keep the folder and name another one",
                folder.join("run.json").display(),
            ),
            Self::Lost { folder, batch } => {
                write!(f, "{} was removed or replaced while this run was at work in it; ", folder.display())?;
                match batch {
                    Some(id) => write!(f, "what is there now was not touched, and batch {id} goes on at the service"),
                    None => write!(f, "what is there now was not touched, and no batch was created"),
                }
            }
            Self::Place { path, why } => write!(f, "{}: {why}", path.display()),
            Self::Refused(error) => write!(f, "{error}"),
            Self::Ambiguous { error, folder, sha256 } => write!(
                f,
                "{error}; there may be a batch all the same: look for one with metadata lote_sha256 {sha256} before \
                 you run this again; {} keeps what was sent",
                folder.display()
            ),
            Self::BatchFailed { batch, folder } => {
                write!(f, "batch {} failed at validation", batch.id)?;
                for error in batch.errors.iter().take(20) {
                    write!(f, "\n  {error}")?;
                }
                if batch.errors.len() > 20 {
                    write!(f, "\n  and {} more", batch.errors.len() - 20)?;
                }
                write!(f, "\nlines are those of {}", folder.join("requests.jsonl").display())
            }
            Self::GaveUp { id, last, .. } => {
                write!(f, "gave up waiting for batch {id}")?;
                if let Some(last) = last {
                    write!(f, ", last seen {}", last.status)?;
                }
                write!(f, "; it goes on at the service")
            }
            Self::Unfetched { id, error, .. } => write!(f, "{error}; batch {id} goes on or waits at the service"),
            Self::Unjoined { error, folder } => write!(f, "{error}; what came back is in {}", folder.display()),
            Self::NotCopied { output, error, report } => {
                write!(f, "write {}: {error}; the results are in {}", output.display(), report.results.display())
            }
            Self::Io { doing, error, batch } => {
                write!(f, "{doing}: {error}")?;
                match batch {
                    Some(id) => write!(f, "; batch {id} goes on or waits at the service"),
                    None => write!(f, "; there is no batch"),
                }
            }
        }
    }
}

/// What to do about a run that a folder holds. To delete it is advised only where nobody can be owed anything: whoever
/// deletes a run that may go on pays for it unnoticed.
fn held(f: &mut fmt::Formatter<'_>, folder: &Path, record: &Record, same_input: bool) -> fmt::Result {
    let (results, folder) = (folder.join("results.jsonl"), folder.display());
    match record.stage {
        Stage::Finished if same_input => write!(
            f,
            "{folder} holds the finished run of these requests, {record}: its results are in {}; to pay for them once \
             more, name another folder",
            results.display()
        ),
        Stage::Finished => write!(
            f,
            "{folder} holds a finished run of other requests, {record}: its results are in {}; name another folder, or \
             delete this one if you need them no more",
            results.display()
        ),
        Stage::Failed => write!(
            f,
            "{folder} holds a run that failed at validation, {record}: there are no results and nothing to pay; name \
             another folder, or delete this one"
        ),
        _ => write!(f, "{folder} holds a run already, {record}; name another folder"),
    }
}

impl std::error::Error for RunError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Refused(error) | Self::Ambiguous { error, .. } | Self::Unfetched { error, .. } => Some(error),
            Self::Unjoined { error, .. } => Some(error),
            Self::NotCopied { error, .. } | Self::Io { error, .. } => Some(error),
            _ => None,
        }
    }
}
