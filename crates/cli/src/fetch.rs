//! The commands with which a user fetches what a batch has when this command cannot: each can be copied as it stands.

use std::error::Error;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use lote::{Batch, FileId};

use crate::exit::{CliError, Exit};
use crate::service::ServiceArgs;
use crate::shell::CommandLine;

/// What stands for a folder that only the user knows.
const ELSEWHERE: &str = "ANOTHER_DISK";

/// Fetches the files of a batch that is over, and joins them with its requests. What is in `kept`, the folder of a run,
/// is whole and not fetched again; everything else comes into `place`. Without a folder the requests are fetched too.
pub(crate) fn lines(service: &ServiceArgs, batch: &Batch, kept: Option<&Path>, place: &Path) -> Vec<String> {
    let mut lines = Vec::new();
    let late = batch.late_files();
    if late.is_some() {
        lines.push(format!(
            "  {}  # prints the ids of its files",
            service.again("batches wait").word(batch.id.as_str())
        ));
    }
    let mut at = |name: &str, id: Option<&str>| -> Option<PathBuf> {
        if let Some(there) = kept.map(|kept| kept.join(name)).filter(|there| there.is_file()) {
            return Some(there);
        }
        let path = place.join(name);
        lines.push(format!("  {}", service.again("files content").word(id?).flag("-o", &path)));
        Some(path)
    };
    let id = |id: &Option<FileId>, late: bool, placeholder: &str| match id {
        Some(id) => Some(id.as_str().to_owned()),
        None => late.then(|| placeholder.to_owned()),
    };
    let output = id(&batch.output_file_id, late.is_some_and(|late| late.succeeded > 0), "OUTPUT_FILE_ID");
    let errors = id(&batch.error_file_id, late.is_some_and(|late| late.failed > 0), "ERROR_FILE_ID");
    let answers: Vec<PathBuf> =
        [at("output.jsonl", output.as_deref()), at("errors.jsonl", errors.as_deref())].into_iter().flatten().collect();
    if answers.is_empty() {
        return vec![format!("  {}", service.again("batches get").word(batch.id.as_str()))];
    }
    let Some(requests) = at("requests.jsonl", batch.input_file_id.as_ref().map(|id| id.as_str())) else { return lines };
    let join = answers.iter().fold(CommandLine::new("join").word(requests), |join, answers| join.word(answers));
    lines.push(format!("  {}", join.flag("-o", place.join("results.jsonl"))));
    lines
}

/// The end of a command that was stopped when the batch was over: what is said before its [`lines`].
pub(crate) fn interrupted(batch: &Batch) -> CliError {
    let Batch { id, status, .. } = batch;
    let late = batch.late_files().map_or_else(String::new, |late| format!(", and {late}"));
    let message = format!("interrupted; batch {id} is {status}{late}; what it has is at the service");
    CliError::new(Exit::Interrupted, message)
}

/// What keeps a file from being written that has room elsewhere or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoRoom {
    Disk,
    FileLimit,
}

impl NoRoom {
    /// Looks for it among the causes of an error.
    pub(crate) fn of(error: &(dyn Error + 'static)) -> Option<Self> {
        let causes = std::iter::successors(Some(error), |error| (**error).source());
        let kinds = causes.filter_map(|error| Some(error.downcast_ref::<io::Error>()?.kind()));
        kinds.into_iter().find_map(|kind| match kind {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some(Self::Disk),
            ErrorKind::FileTooLarge => Some(Self::FileLimit),
            _ => None,
        })
    }

    /// What to do about it.
    pub(crate) fn advice(self) -> String {
        match self {
            Self::Disk => format!("  the disk is full: make room, or put a folder on another disk for {ELSEWHERE}"),
            Self::FileLimit => {
                "  files may not become that large here: raise the limit, as with ulimit -f unlimited".to_owned()
            }
        }
    }

    /// Where to write instead of this folder.
    pub(crate) fn place(self, folder: &Path) -> PathBuf {
        match self {
            Self::Disk => PathBuf::from(ELSEWHERE),
            Self::FileLimit => folder.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_found_among_the_causes() {
        for (kind, expected) in [
            (ErrorKind::StorageFull, Some(NoRoom::Disk)),
            (ErrorKind::QuotaExceeded, Some(NoRoom::Disk)),
            (ErrorKind::FileTooLarge, Some(NoRoom::FileLimit)),
            (ErrorKind::PermissionDenied, None),
        ] {
            let error = io::Error::from(kind);
            assert_eq!(NoRoom::of(&error), expected);
            #[derive(Debug)]
            struct Around(io::Error);
            impl std::fmt::Display for Around {
                fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                    f.write_str("around")
                }
            }
            impl Error for Around {
                fn source(&self) -> Option<&(dyn Error + 'static)> {
                    Some(&self.0)
                }
            }
            assert_eq!(NoRoom::of(&Around(error)), expected);
        }
        let full = Path::new("requests.run");
        assert_eq!(NoRoom::Disk.place(full), Path::new("ANOTHER_DISK"));
        assert!(NoRoom::Disk.advice().contains("on another disk for ANOTHER_DISK"));
    }
}
