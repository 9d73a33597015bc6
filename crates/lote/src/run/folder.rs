//! The folder of a run on disk: what is in it, who may have it, and that each step is durable before the next.

use std::{
    ffi::OsString,
    fmt,
    fs::{self, DirBuilder},
    io::{self, BufWriter, Read, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    RunError,
    lock::{Lock, NotHeld},
};
use crate::{
    Batch, BatchId, FileId, Status, UnixSeconds,
    lines::{CheckOptions, Checked, Finding, FindingGroups, check, open_lines},
    save::{self, Access, AtomicFile, Stored},
};

/// The number of the format of `run.json`.
const FORMAT: u32 = 1;

/// More bytes than any `run.json` has.
const RECORD_BYTES: u64 = 1 << 20;

/// How many names of a staging folder are tried.
const TRIES: usize = 100;

/// How far a run has come, in the order of the steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Stage {
    /// The request lines are in the folder.
    Prepared,
    /// The input file is at the service.
    Uploaded,
    /// The create is about to be sent, or was sent without a clear answer.
    Creating,
    /// There is a batch.
    Created,
    /// The batch is over.
    Ended,
    /// The results are in the folder.
    Finished,
    /// The batch failed at validation: there are no results, and nothing is to be paid.
    Failed,
}

/// What `run.json` says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The format of this record.
    pub format: u32,
    /// The version of lote that made it.
    pub lote: String,
    /// How far the run has come.
    pub stage: Stage,
    /// The file that the requests came from.
    pub source: String,
    /// The service.
    pub base_url: String,
    /// The name of the dialect that it was taken to speak; empty in records of versions before this was kept.
    #[serde(default)]
    pub dialect: String,
    /// The endpoint of every line.
    pub endpoint: String,
    /// How many request lines there are.
    pub lines: u64,
    /// How many bytes they are, line endings included.
    pub bytes: u64,
    /// The SHA-256 of what is sent, in lowercase hexadecimal digits, also in the metadata of the batch as `lote_sha256`.
    pub sha256: String,
    /// When the run was begun.
    pub begun_at: UnixSeconds,
    /// The input file at the service.
    pub input_file_id: Option<FileId>,
    /// The batch.
    pub batch_id: Option<BatchId>,
    /// The status of the batch when it was last written down.
    pub batch_status: Option<String>,
    /// The results as they were written last: a copy elsewhere that is the same is this run's own.
    #[serde(default)]
    pub results: Option<Stored>,
}

impl Record {
    /// The record of the run in a folder; none when there is none that can be read.
    pub fn read(folder: &Path) -> Option<Self> {
        read_record(folder).ok()?
    }

    /// Whether there is, or may be, a batch whose results are not in the folder.
    pub fn may_go_on(&self) -> bool {
        matches!(self.stage, Stage::Creating | Stage::Created | Stage::Ended)
    }

    /// Whether it is certain that no create was begun, so that nobody can owe or be owed anything.
    pub fn nothing_was_begun(&self) -> bool {
        self.stage < Stage::Creating
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.batch_id, self.stage) {
            (Some(id), _) => {
                write!(f, "batch {id}")?;
                self.batch_status.as_ref().map_or(Ok(()), |status| write!(f, " ({})", Status::from(status.as_str())))
            }
            (None, Stage::Creating) => {
                write!(f, "whose batch, if there is one, has the metadata lote_sha256 {}", self.sha256)
            }
            (None, _) => write!(f, "which has made no batch"),
        }
    }
}

/// The service of a run, and its dialect.
pub(super) struct Service {
    pub(super) base_url: String,
    pub(super) dialect: String,
}

/// The folder of a run, held by this process.
#[derive(Debug)]
pub(super) struct Folder {
    /// As the user wrote it.
    path: PathBuf,
    lock: Lock,
    access: Access,
    /// Whether a run made it, and not the user.
    made: bool,
    pub(super) record: Record,
}

impl Folder {
    pub(super) const REQUESTS: &'static str = "requests.jsonl";
    pub(super) const OUTPUT: &'static str = "output.jsonl";
    pub(super) const ERRORS: &'static str = "errors.jsonl";
    pub(super) const RESULTS: &'static str = "results.jsonl";
    const RECORD: &'static str = "run.json";
    const BATCH: &'static str = "batch.json";
    const SUMMARY: &'static str = "summary.json";

    /// What is in a folder before there is a batch, in the order in which it is removed.
    const BEGUN: [&'static str; 2] = [Self::REQUESTS, Self::RECORD];
    /// What only a run that has a batch leaves.
    const PAID: [&'static str; 5] = [Self::BATCH, Self::OUTPUT, Self::ERRORS, Self::RESULTS, Self::SUMMARY];

    /// Checks the input while copying it, and makes the folder appear only when it is fit to be sent. A folder that a
    /// run has left which certainly began no create is used again.
    pub(super) fn prepare(
        path: PathBuf,
        input: &Path,
        options: &CheckOptions,
        service: Service,
        wanted: impl Fn() -> bool,
    ) -> Result<(Self, Checked), RunError> {
        sweep_staging(save::folder(&path));
        let draft = Draft { path: &path, input, options, service, access: Access::of(input) };
        if is_there(&path)? {
            refuse_held(&path, Some((input, options)))?;
            draft.in_place(wanted)
        } else {
            draft.beside(wanted)
        }
    }

    /// The results that the run in a folder has written last, if there is such a run.
    pub(super) fn results_of(path: &Path) -> Option<Stored> {
        Record::read(path)?.results
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Refuses to go on in a folder that is no longer the one that was opened.
    pub(super) fn check(&self) -> Result<(), RunError> {
        match self.lock.is_ours() {
            Ok(true) => Ok(()),
            Ok(false) => Err(RunError::Lost { folder: self.path.clone(), batch: self.record.batch_id.clone() }),
            Err(error) => Err(self.failed("look at", Lock::NAME, error)),
        }
    }

    /// Begins a file in the folder.
    pub(super) fn begin(&self, name: &str) -> io::Result<AtomicFile> {
        self.lock.begin(name, self.access)
    }

    /// Who may read what the run writes.
    pub(super) fn access(&self) -> Access {
        self.access
    }

    /// Writes down a step, durably. Around it the folder is ours: one that was replaced before is not written to, and
    /// one that was replaced meanwhile is not gone on with.
    pub(super) fn reached(&mut self, stage: Stage) -> Result<(), RunError> {
        self.record.stage = stage;
        self.check()?;
        self.write_record().map_err(|error| self.failed("write", Self::RECORD, error))?;
        self.check()
    }

    /// Writes down what is known of the batch: its id first, then all of it.
    pub(super) fn seen(&mut self, batch: &Batch, stage: Stage) -> Result<(), RunError> {
        self.record.batch_id = Some(batch.id.clone());
        self.record.batch_status = Some(batch.status.as_str().to_owned());
        self.reached(stage)?;
        self.write_json(Self::BATCH, batch)
    }

    pub(super) fn write_summary(&self, summary: &impl Serialize) -> Result<(), RunError> {
        self.write_json(Self::SUMMARY, summary)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), RunError> {
        self.check()?;
        json(value).and_then(|text| self.write(name, &text)).map_err(|error| self.failed("write", name, error))
    }

    /// Removes the folder, when there is certainly no batch. Only what a run puts there goes, and only if the folder is
    /// still the one that was opened.
    pub(super) fn remove(self) {
        self.lock.remove(&Self::BEGUN, self.made);
    }

    pub(super) fn failed(&self, doing: &str, name: &str, error: io::Error) -> RunError {
        let doing = format!("{doing} {}", self.join(name).display());
        RunError::Io { doing, error, batch: self.record.batch_id.clone() }
    }

    fn write_record(&self) -> io::Result<()> {
        self.write(Self::RECORD, &json(&self.record)?)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut atomic = self.begin(name)?;
        atomic.file().write_all(bytes)?;
        atomic.commit()
    }
}

/// JSON for people to read.
fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.write_all(b"\n")?;
    Ok(text)
}

/// A folder that is to be made, or used again.
struct Draft<'a> {
    path: &'a Path,
    input: &'a Path,
    options: &'a CheckOptions,
    service: Service,
    access: Access,
}

impl Draft<'_> {
    /// In a folder beside the final one, which is then renamed: a refused input leaves nothing.
    fn beside(self, wanted: impl Fn() -> bool) -> Result<(Folder, Checked), RunError> {
        let (path, access) = (self.path, self.access);
        let io = |error| failed("make a folder for", path, error);
        let (at, mut lock) = staging(path, access).map_err(io)?;
        let filled = self.fill(&lock).and_then(|filled| {
            if wanted() { Ok(filled) } else { Err(io(io::Error::from(io::ErrorKind::Interrupted))) }
        });
        let (record, checked) = match filled {
            Ok(filled) => filled,
            Err(error) => {
                lock.remove(&Folder::BEGUN, true);
                return Err(error);
            }
        };
        // Of two runs at once, one gets the name: a folder is not renamed over one that is not empty.
        if let Err(error) = fs::rename(&at, path) {
            lock.remove(&Folder::BEGUN, true);
            return Err(match refuse_held(path, None) {
                Err(held) => held,
                Ok(_) => match Lock::holder(path) {
                    Some(holder) => RunError::Busy { folder: path.to_owned(), holder },
                    None => failed("make", path, error),
                },
            });
        }
        let named = lock.moved_to(path).and_then(|()| save::Dir::open(save::folder(path))?.sync());
        if let Err(error) = named {
            lock.remove(&Folder::BEGUN, true);
            return Err(failed("make", path, error));
        }
        Ok((Folder { path: path.to_owned(), lock, access, made: true, record }, checked))
    }

    /// In the folder that is there, which is looked at again once no other process can be at work in it.
    fn in_place(self, wanted: impl Fn() -> bool) -> Result<(Folder, Checked), RunError> {
        let (path, access) = (self.path, self.access);
        let lock = Lock::take(path, access).map_err(|not| match not {
            NotHeld::Busy(holder) => RunError::Busy { folder: path.to_owned(), holder },
            NotHeld::Io(error) => RunError::Place { path: path.to_owned(), why: error.to_string() },
        })?;
        // A folder that was empty is the user's, and stays when the run ends early.
        let made = refuse_held(path, None)?.is_some();
        save::sweep(path);
        // Where this is not allowed the files in it are private all the same.
        let _ = lock.dir().narrow(access);
        let filled = self.fill(&lock).and_then(|filled| {
            let interrupted = || failed("make", path, io::Error::from(io::ErrorKind::Interrupted));
            if wanted() { Ok(filled) } else { Err(interrupted()) }
        });
        match filled {
            Ok((record, checked)) => Ok((Folder { path: path.to_owned(), lock, access, made, record }, checked)),
            Err(error) => {
                if !made {
                    lock.remove(&Folder::BEGUN, false);
                }
                Err(error)
            }
        }
    }

    /// Checks and copies the input, and writes the record. A refused input changes nothing.
    fn fill(self, lock: &Lock) -> Result<(Record, Checked), RunError> {
        let Self { path, input, options, service, access } = self;
        let requests = path.join(Folder::REQUESTS);
        let source = open_lines(input).map_err(|error| failed("open", input, error))?;
        let mut atomic = lock.begin(Folder::REQUESTS, access).map_err(|error| failed("make", &requests, error))?;
        let mut findings = Vec::new();
        let mut groups = FindingGroups::new(RunError::MAX_FINDINGS);
        let mut keep = |finding: Finding| {
            if findings.len() < RunError::MAX_FINDINGS {
                findings.push(finding.clone());
            }
            groups.push(finding);
        };
        let mut sink = BufWriter::new(atomic.file());
        let checked =
            check(source, options, &mut keep, Some(&mut sink)).map_err(|error| failed("copy", input, error))?;
        if checked.findings > 0 {
            return Err(RunError::Input { checked: Box::new(checked), findings, groups });
        }
        let flushed = sink.into_inner().map(drop).map_err(|error| error.into_error());
        flushed.and_then(|()| atomic.commit()).map_err(|error| failed("write", &requests, error))?;
        let record = Record {
            format: FORMAT,
            lote: env!("CARGO_PKG_VERSION").to_owned(),
            stage: Stage::Prepared,
            source: input.to_string_lossy().into_owned(),
            base_url: service.base_url,
            dialect: service.dialect,
            endpoint: checked.endpoint.clone().unwrap_or_default(),
            lines: checked.lines,
            bytes: checked.bytes,
            sha256: checked.sha256.clone(),
            begun_at: UnixSeconds::now(),
            input_file_id: None,
            batch_id: None,
            batch_status: None,
            results: None,
        };
        let written = json(&record).and_then(|text| {
            let mut atomic = lock.begin(Folder::RECORD, access)?;
            atomic.file().write_all(&text)?;
            atomic.commit()
        });
        written.map_err(|error| failed("write", &path.join(Folder::RECORD), error))?;
        Ok((record, checked))
    }
}

fn failed(doing: &str, at: &Path, error: io::Error) -> RunError {
    RunError::Io { doing: format!("{doing} {}", at.display()), error, batch: None }
}

/// Whether there is a folder.
fn is_there(path: &Path) -> Result<bool, RunError> {
    let refuse = |why: String| Err(RunError::Place { path: path.to_owned(), why });
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => Ok(true),
        Ok(_) => refuse("it is not a folder; name another".to_owned()),
        Err(_) if path.is_symlink() => refuse("it is a link that leads nowhere".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => refuse(error.to_string()),
    }
}

/// Refuses a folder that holds anything but what a run has left which certainly began no create. That run's record, if
/// there is one. Whether a run in it is of this input is said where that is asked for.
fn refuse_held(path: &Path, input: Option<(&Path, &CheckOptions)>) -> Result<Option<Record>, RunError> {
    let folder = || path.to_owned();
    let unreadable = |why| Err(RunError::Unreadable { folder: folder(), why });
    let record = match read_record(path) {
        Ok(Some(record)) => record,
        Ok(None) => {
            let names = match names(path) {
                Ok(names) => names,
                Err(error) => return Err(RunError::Place { path: folder(), why: error.to_string() }),
            };
            let ours = |name: &OsString| save::is_temporary(name) || (name == Lock::NAME && Lock::is_one(path));
            return if names.iter().all(ours) {
                Ok(None)
            } else {
                Err(RunError::Held { folder: folder(), record: None, same_input: false })
            };
        }
        Err(why) => return unreadable(why),
    };
    if record.nothing_was_begun() {
        return match Folder::PAID.iter().find(|name| path.join(name).symlink_metadata().is_ok()) {
            Some(name) => unreadable(format!("it says that no batch was begun, but {name} is there")),
            None => Ok(Some(record)),
        };
    }
    if let Some(holder) = Lock::holder(path) {
        return Err(RunError::Busy { folder: folder(), holder });
    }
    let same_input = record.stage == Stage::Finished
        && input.is_some_and(|(input, options)| hash(input, options).is_some_and(|sha256| sha256 == record.sha256));
    Err(RunError::Held { folder: folder(), record: Some(Box::new(record)), same_input })
}

fn names(path: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

/// The record in a folder, if there is one.
///
/// # Errors
/// Why it cannot be read.
fn read_record(folder: &Path) -> Result<Option<Record>, String> {
    let path = folder.join(Folder::RECORD);
    let mut text = Vec::new();
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.to_string()),
        Ok(found) if !found.is_file() => return Err("it is not a regular file".to_owned()),
        Ok(_) => {}
    }
    let read = fs::File::open(&path).and_then(|file| file.take(RECORD_BYTES).read_to_end(&mut text));
    read.map_err(|error| error.to_string())?;
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
    match value.get("format").and_then(serde_json::Value::as_u64) {
        Some(format) if format > u64::from(FORMAT) => {
            let made_by = value.get("lote").and_then(serde_json::Value::as_str).unwrap_or("of unknown version");
            let ours = env!("CARGO_PKG_VERSION");
            Err(format!(
                "it has format {format}, made by lote {made_by}; this is lote {ours}, which knows formats up to {FORMAT}: \
                 go on with the newer lote"
            ))
        }
        _ => serde_json::from_value(value).map(Some).map_err(|error| error.to_string()),
    }
}

/// The hash of what would be sent of this input.
fn hash(input: &Path, options: &CheckOptions) -> Option<String> {
    // What is no file can be read but once.
    let source = fs::metadata(input).ok()?.is_file().then(|| open_lines(input).ok())??;
    let checked = check(source, options, &mut |_| (), Some(&mut io::sink())).ok()?;
    (checked.findings == 0).then_some(checked.sha256)
}

/// A folder beside the final one, on the same file system.
fn staging(path: &Path, access: Access) -> io::Result<(PathBuf, Lock)> {
    for _ in 0..TRIES {
        let at = save::folder(path).join(save::staging_name());
        #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
        let mut builder = DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, access.folder_mode());
        match builder.create(&at) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made?,
        }
        match Lock::take(&at, access) {
            Ok(lock) => {
                lock.dir().narrow(access)?;
                return Ok((at, lock));
            }
            // Another process has taken it for a dead one's and removed it, before it could be locked.
            Err(NotHeld::Busy(_)) => {}
            Err(NotHeld::Io(error)) if error.kind() == io::ErrorKind::NotFound => {}
            Err(NotHeld::Io(error)) => {
                let _ = fs::remove_file(at.join(Lock::NAME));
                let _ = fs::remove_dir(&at);
                return Err(error);
            }
        }
    }
    Err(io::Error::other("no folder could be made that stays"))
}

/// Removes the staging folders that dead processes of this host have left in a folder.
fn sweep_staging(parent: &Path) {
    for name in names(parent).unwrap_or_default().iter().filter(|name| save::is_staging(name)) {
        let at = parent.join(name);
        match Lock::take_left(&at) {
            Some(lock) => lock.remove(&Folder::BEGUN, true),
            // It died before it made its lock: only an empty folder goes.
            None => drop(fs::remove_dir(&at)),
        }
    }
}
