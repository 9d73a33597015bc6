//! Removes from the folder of a finished run what can be made again or is needed no more, and makes it again.

use std::{
    fs,
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    RunError,
    error::Kind,
    folder::{COPIES, ERRORS, Folder, NOT_FINISHED, ORDER, OUTPUT, PROGRESS, REQUESTS, RESULTS, SUMMARY},
    log::Log,
    merge::{Fault, read_summary},
    record::{Record, shard_folder},
    report::{Summary, shown},
    seal,
    state::{Phase, State},
    sync::SYNC,
};
use crate::{
    collect::join_to,
    lines::{CheckMany, CheckOptions, join, open_lines},
    save::{Access, AtomicFile, Dir, Summing, Written},
};

mod remote;

pub(super) use remote::Remote;
pub use remote::{CleanedRemote, RemoteFile, RemoteKind, RemoteState};

/// How a run is cleaned: [`clean`] and [`Run::delete_remote`](super::Run::delete_remote).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "it says how to clean"]
pub struct Clean {
    dry_run: bool,
}

impl Clean {
    /// All that may go.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only says what would go.
    pub fn dry_run(mut self, dry_run: bool) -> Self {
        self.dry_run = dry_run;
        self
    }
}

/// What was removed from the folder of a run.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Cleaned {
    /// The folder.
    #[serde(serialize_with = "shown")]
    pub folder: PathBuf,
    /// Whether it was only said what would go.
    pub dry_run: bool,
    /// How many bytes that freed.
    pub bytes: u64,
    /// The files that went.
    pub files: Vec<CleanedFile>,
}

/// A file that was removed from the folder of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct CleanedFile {
    /// Where it was, in the folder.
    #[serde(serialize_with = "shown")]
    pub path: PathBuf,
    /// How many bytes it had.
    pub bytes: u64,
}

/// Removes from the folder of a finished run what can be made again or is needed no more. Answers as they came, results,
/// summaries, `run.json` and the log always stay, and so do the request lines unless each of them has succeeded, no answer is
/// cut off or does not fit what was expected, and the input is where it was and still holds them. The results of single shards go where all lines succeeded, or where it was
/// tried that joining the answers again gives the same bytes; [`Run::repair`](super::Run::repair) does so.
///
/// Blocks until it is done.
///
/// # Errors
/// One that [`is_place`](RunError::is_place) when the run is not finished, and those of opening it: see [`RunError`].
pub fn clean(folder: impl AsRef<Path>, clean: Clean) -> Result<Cleaned, RunError> {
    let path = folder.as_ref();
    if clean.dry_run {
        return would_clean(path);
    }
    // Opening a run makes a new one where there is none.
    let had_reserve = path.join(Log::RESERVE).exists();
    let folder = Folder::open(path)?;
    if folder.state.finished.is_none() {
        if !had_reserve {
            folder.remove_file(Path::new(""), Log::RESERVE)?;
        }
        return Err(RunError::place(path, NOT_FINISHED).at(path));
    }
    let mut cleaned = Cleaned { folder: path.to_owned(), dry_run: false, bytes: 0, files: Vec::new() };
    for (within, name) in candidates(path, &folder.record, &folder.state)? {
        let file = within.join(&name);
        let found = match fs::symlink_metadata(folder.join(&file)) {
            Ok(found) if found.is_file() => found,
            _ => continue,
        };
        if name == Log::RESERVE && !had_reserve {
            folder.remove_file(&within, &name)?;
            continue;
        }
        folder.remove_file(&within, &name)?;
        cleaned.bytes += found.len();
        cleaned.files.push(CleanedFile { path: file, bytes: found.len() });
    }
    Ok(cleaned)
}

/// What would go. Nothing is written, and the lock is not taken.
fn would_clean(path: &Path) -> Result<Cleaned, RunError> {
    let seen = Folder::look(path)?;
    if let Some(holder) = seen.holder {
        return Err(RunError::new(Kind::Busy(holder)).at(path));
    }
    if !seen.is_finished(path)? {
        return Err(RunError::place(path, NOT_FINISHED).at(path));
    }
    let mut cleaned = Cleaned { folder: path.to_owned(), dry_run: true, bytes: 0, files: Vec::new() };
    for (within, name) in candidates(path, &seen.record, &seen.state)? {
        let file = within.join(name);
        if let Some(found) = fs::symlink_metadata(path.join(&file)).ok().filter(fs::Metadata::is_file) {
            cleaned.bytes += found.len();
            cleaned.files.push(CleanedFile { path: file, bytes: found.len() });
        }
    }
    Ok(cleaned)
}

/// What may go, each by the folder that it is in and its name; whether it is there is not known yet.
fn candidates(path: &Path, record: &Record, state: &State) -> Result<Vec<(PathBuf, String)>, RunError> {
    let mut all: Vec<(PathBuf, String)> = Vec::new();
    let mut add = |within: &Path, name: &str| all.push((within.to_owned(), name.to_owned()));
    let top = Path::new("");
    for name in [PROGRESS, Log::RESERVE] {
        add(top, name);
    }
    let whole = all_succeeded(path, state)?;
    let input_is_there = whole && holds_the_lines(record);
    if whole {
        add(top, ORDER);
        add(top, COPIES);
    }
    for (number, shard) in &state.shards {
        let within = shard_folder(*number);
        // What is in it is in the files of answers.
        add(&within, SYNC);
        for name in [OUTPUT, ERRORS] {
            add(&within, &format!("{name}.lote-part"));
            add(&within, &format!("{name}.lote-part.json"));
        }
        if input_is_there {
            add(&within, REQUESTS);
        }
        if let Phase::Settled(written) = &shard.phase
            && (whole || is_made_again(path, *number, written))
        {
            add(&within, RESULTS);
        }
    }
    Ok(all)
}

/// Whether each line of a finished run has succeeded, and none of the answers is known to be cut off, or not to fit: none can
/// be tried again then.
pub(super) fn all_succeeded(path: &Path, state: &State) -> Result<bool, RunError> {
    let path = path.join(SUMMARY);
    let Summary { joined, .. } = seal::read(&path).map_err(|error| RunError::io("read", &path, error).of(state))?;
    Ok(state.finished.is_some() && joined.succeeded == joined.lines && joined.cut_off == 0 && joined.unfit() == 0)
}

/// Whether the files that the lines came from are where they were, and still hold them.
pub(super) fn holds_the_lines(record: &Record) -> bool {
    let (options, spill) = (CheckOptions::default(), std::env::temp_dir());
    let mut check = CheckMany::new(&options, spill).limit(record.asked.limit);
    for source in &record.sources {
        let path = Path::new(&source.path);
        // A pipe would be waited for.
        if !path.is_file() {
            return false;
        }
        let read = open_lines(path).map(|reader| check.file(&source.path, reader, &mut |_| (), &mut |_| Ok(true)));
        if !matches!(read, Ok(Ok(_))) {
            return false;
        }
    }
    // What would be a finding by other rules is a line all the same, and in the hash.
    let expected = record.whole.as_ref().map_or(&record.asked.sha256, |whole| &whole.sha256);
    check.finish(&mut |_, _| ()).is_ok_and(|checked| checked.sha256 == *expected)
}

/// Whether joining the answers in a shard's folder with its requests gives these results, wherever the folder may be by
/// then: what is said of an unreadable line names its file.
fn is_made_again(root: &Path, number: u32, written: &Written) -> bool {
    let clear = read_summary(root, number)
        .is_ok_and(|summary| summary.joined.unreadable == 0 && summary.joined.damaged_files == 0);
    let shard = root.join(shard_folder(number));
    let joined = || join_to(&shard.join(REQUESTS), &answers(&shard), None).ok();
    clear && joined().is_some_and(|(_, made)| made.written().is_ok_and(|made| made == *written))
}

/// The files of answers in a shard's folder.
fn answers(shard: &Path) -> Vec<PathBuf> {
    [OUTPUT, ERRORS].map(|name| shard.join(name)).into_iter().filter(|path| path.is_file()).collect()
}

/// The results of settled shards that are not there any more, to be made again of the answers that are.
pub(super) struct Missing {
    root: PathBuf,
    access: Access,
    shards: Vec<(u32, Written)>,
}

impl Missing {
    /// Those in the folder of a run.
    pub(super) fn of(root: &Path, access: Access, state: &State) -> Self {
        let settled = state.shards.iter().filter_map(|(number, shard)| match &shard.phase {
            Phase::Settled(written) => Some((*number, written.clone())),
            _ => None,
        });
        let missing = settled.filter(|(number, _)| !root.join(shard_folder(*number)).join(RESULTS).exists());
        Self { root: root.to_owned(), access, shards: missing.collect() }
    }

    /// Makes them, as far as they can be made; the fault of the first that cannot. One that does not come out as it was is
    /// not written.
    pub(super) fn make(self) -> Result<(), Fault> {
        let mut made = Ok(());
        for (number, written) in &self.shards {
            made = made.and(self.make_one(*number, written));
        }
        made
    }

    fn make_one(&self, number: u32, written: &Written) -> Result<(), Fault> {
        read_summary(&self.root, number)?;
        let shard = self.root.join(shard_folder(number));
        self.join_in(&shard, written).map_err(|error| Fault(shard.join(RESULTS), error))
    }

    fn join_in(&self, shard: &Path, written: &Written) -> io::Result<()> {
        let mut results = AtomicFile::within(Dir::open(shard)?, RESULTS.as_ref(), self.access)?;
        let answers = answers(shard);
        let answers: Vec<&Path> = answers.iter().map(PathBuf::as_path).collect();
        let mut out = BufWriter::with_capacity(256 << 10, Summing::new(results.file()));
        join(&shard.join(REQUESTS), &answers, &mut out).map_err(io::Error::other)?;
        let (_, made) = out.into_inner().map_err(io::IntoInnerError::into_error)?.into_parts();
        if made != *written {
            return Err(io::Error::other("what its answers give is not what this run has written"));
        }
        results.commit()
    }
}
