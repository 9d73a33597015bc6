//! The folder of a run on disk: what is in it, who may have it, and that each step is durable before the next.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    RunError,
    error::Kind,
    event::{Event, Opened},
    lock::{Holder, Lock, NotHeld},
    log::{Log, LogError},
    record::{Found, Record, shard_folder, surplus_folder},
    seal,
    seam::{Rule, kept},
    state::State,
};
use crate::save::{self, Access, AtomicFile, Dir};

mod another;
mod appear;
mod mend;
mod verify;

pub(super) use another::is_of_a_trial;
pub(super) use appear::{Draft, Prepared, ToFolder};
use verify::are_there;

/// The names of files in the folder.
pub(super) const RESULTS: &str = "results.jsonl";
pub(super) const FAILED: &str = "failed.jsonl";
pub(super) const ANOMALIES: &str = "anomalies.jsonl";
pub(super) const SUMMARY: &str = "summary.json";
pub(super) const ORDER: &str = "order";
pub(super) const COPIES: &str = "copies";
pub(super) const PROGRESS: &str = "progress.json";
/// Asks the process at work in the folder to cancel the run.
const CANCEL: &str = "cancel";
const SHARDS: &str = "shards";

/// The names of files in the folder of a shard. Results and summary have the names of those of the run.
pub(super) const REQUESTS: &str = "requests.jsonl";
pub(super) const OUTPUT: &str = "output.jsonl";
pub(super) const ERRORS: &str = "errors.jsonl";
/// The batch as it was when its files were fetched.
pub(super) const BATCH: &str = "batch.json";

/// What is said of a run whose results are wanted and are not there.
pub(super) const NOT_FINISHED: &str =
    "its results are not there as they were written, or it is not finished: go on with it first";

/// What is said of a file in the folder that was damaged, or that somebody has changed.
pub(super) const ALTERED: &str = "it is not as this run has written it";

/// How many batches are named of a folder whose record is lost.
const NAMED: usize = 20;

/// What is in a folder before anything was paid for, in the order in which it is removed.
const BEGUN: [&str; 7] = [Record::NAME, Log::NAME, Log::RESERVE, ORDER, COPIES, PROGRESS, CANCEL];

/// The folder of a run, held by this process.
#[derive(Debug)]
pub(super) struct Folder {
    /// As the user wrote it.
    path: PathBuf,
    lock: Lock,
    access: Access,
    /// Whether this process made it, so that it may remove it while nothing was begun.
    made: bool,
    /// Whether this process has begun the run.
    fresh: bool,
    pub(super) record: Record,
    log: Log,
    pub(super) state: State,
    /// What is not in the folder as it was written, to be said by who goes on.
    unsettled: Vec<Event>,
}

/// What a folder says to who does not hold it.
#[derive(Debug)]
pub(super) struct Seen {
    pub(super) record: Record,
    pub(super) state: State,
    pub(super) holder: Option<Holder>,
}

impl Seen {
    /// Whether the run is finished, nobody is at work on it, and its results are in its folder as they were written.
    pub(super) fn is_finished(&self, path: &Path) -> Result<bool, RunError> {
        match &self.state.finished {
            Some(finished) if self.holder.is_none() && !self.state.newer => are_there(path, finished),
            _ => Ok(false),
        }
    }
}

/// What is at a path.
enum There {
    Nothing,
    /// An empty folder, or what a dead process has left before its run was whole.
    Free,
    Run(Box<Record>),
}

impl Folder {
    /// Opens the folder of a run that is there, and takes its lock.
    pub(super) fn open(path: &Path) -> Result<Self, RunError> {
        if let There::Nothing | There::Free = what_is(path)? {
            return Err(RunError::place(path, "it holds no run"));
        }
        let access = Access::of(&path.join(Record::NAME));
        let lock = Lock::take(path, access).map_err(|not| not_held(not, path))?;
        save::sweep(path);
        // It is read once nobody else can write to it.
        let There::Run(record) = what_is(path)? else {
            return Err(RunError::place(path, "it holds no run"));
        };
        let (log, written) = Log::open(lock.dir(), access).map_err(|error| log_error(error, path))?;
        let state = replay(&record, written.frames.iter().flat_map(|frame| &frame.events), path)?;
        if state.newer {
            let why = "a newer lote has written to it: go on with that".to_owned();
            return Err(unreadable(path, Log::NAME, why));
        }
        let mut folder = Self {
            path: path.to_owned(),
            lock,
            access,
            made: false,
            fresh: false,
            record: *record,
            log,
            state,
            unsettled: Vec::new(),
        };
        if written.torn {
            // What was lost may have been a create.
            folder.state.opened = folder.state.opened.take().map(|before| Opened { folder: String::new(), ..before });
        }
        folder.verify()?;
        Ok(folder)
    }

    /// Reads the folder of a run at which another process may be at work. Nothing is changed.
    pub(super) fn look(path: &Path) -> Result<Seen, RunError> {
        let There::Run(record) = what_is(path)? else { return Err(RunError::place(path, "it holds no run")) };
        let dir = Dir::open(path).map_err(|error| RunError::io("open", path, error))?;
        let written = Log::look(&dir).map_err(|error| log_error(error, path))?;
        let state = replay(&record, written.frames.iter().flat_map(|frame| &frame.events), path)?;
        Ok(Seen { record: *record, state, holder: Lock::holder(path) })
    }

    /// Asks the process at work in the folder to cancel its run.
    pub(super) fn ask_to_cancel(path: &Path) -> Result<(), RunError> {
        let asked = Dir::open(path).and_then(|dir| match dir.create_new(CANCEL.as_ref(), 0o600) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made?.sync_all(),
        });
        asked.map_err(|error| RunError::io("write", &path.join(CANCEL), error).at(path))
    }

    /// Says who works on it from now on.
    pub(super) fn enter(&mut self, who: Opened) -> Result<(), RunError> {
        let opened = self.opened(who)?;
        for event in std::mem::take(&mut self.unsettled) {
            self.say(event)?;
        }
        self.say(Event::Opened(opened))
    }

    /// The state of the run once this one works on it. Nothing is written.
    pub(super) fn state_when_entered(&self, who: Opened) -> Result<State, RunError> {
        let mut state = self.state.clone();
        let opened = Event::Opened(self.opened(who)?);
        let applied = self.unsettled.iter().chain([&opened]).try_for_each(|event| state.apply(event));
        applied.map_err(|why| self.failed("read", Log::NAME, io::Error::other(why.to_string())))?;
        Ok(state)
    }

    fn opened(&self, who: Opened) -> Result<Opened, RunError> {
        let folder = self.lock.dir().identity().map_err(|error| self.failed("look at", "", error))?;
        let cut = self.state.opened.as_ref().is_some_and(|before| before.folder.is_empty());
        Ok(Opened { folder, cut, ..who })
    }

    /// Whether the service of the run is a gateway inside the process.
    pub(super) fn is_embedded(&self) -> bool {
        self.state.opened.as_ref().is_some_and(|opened| opened.gateway.is_some())
    }

    /// Whether this process has begun the run, and no other was at work on it before.
    pub(super) fn is_fresh(&self) -> bool {
        self.fresh
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The folder of a shard.
    pub(super) fn shard(&self, number: u32) -> PathBuf {
        self.path.join(shard_folder(number))
    }

    /// Whether the folder is still the one that was opened.
    pub(super) fn is_ours(&self) -> bool {
        self.lock.is_ours().unwrap_or(false) || !kept(Rule::Place)
    }

    /// Refuses to go on in a folder that is no longer the one that was opened.
    pub(super) fn check(&self) -> Result<(), RunError> {
        match self.lock.is_ours() {
            _ if !kept(Rule::Place) => Ok(()),
            Ok(true) => Ok(()),
            Ok(false) => Err(RunError::new(Kind::Lost).at(&self.path).of(&self.state)),
            Err(error) => Err(self.failed("look at", Lock::NAME, error)),
        }
    }

    /// Writes down what happened, durably. Around it the folder is ours: one that was replaced before is not written to,
    /// and one that was replaced meanwhile is not gone on with.
    pub(super) fn say(&mut self, event: Event) -> Result<(), RunError> {
        self.check()?;
        let applied = self.state.apply(&event);
        applied.map_err(|why| self.failed("write", Log::NAME, io::Error::other(why.to_string())))?;
        let ours = self.log.is_ours().and_then(|ours| {
            if !ours && kept(Rule::Place) {
                return Err(io::Error::other("it is no longer as this process wrote it"));
            }
            self.log.append(std::slice::from_ref(&event))
        });
        ours.map_err(|error| self.failed("write", Log::NAME, error))?;
        self.check()
    }

    /// Which process of those that worked on the run this is, from 1.
    pub(super) fn epoch(&self) -> u64 {
        self.log.epoch()
    }

    /// Makes the names of the folders of shards durable.
    pub(super) fn sync_shards(&self) -> Result<(), RunError> {
        let synced = Dir::open(&self.path.join(SHARDS)).and_then(|shards| shards.sync());
        synced.map_err(|error| self.failed("sync", SHARDS, error))
    }

    /// Begins a file in the folder.
    pub(super) fn begin(&self, name: &str) -> io::Result<AtomicFile> {
        self.lock.begin(name, self.access)
    }

    /// Begins a file in the folder of a shard.
    pub(super) fn begin_in(&self, shard: u32, name: &str) -> io::Result<AtomicFile> {
        AtomicFile::within(Dir::open(&self.shard(shard))?, name.as_ref(), self.access)
    }

    /// The folder below that of a shard for what its surplus batch of this place has finished. It is made, durably.
    pub(super) fn begin_surplus(&self, shard: u32, at: usize) -> io::Result<PathBuf> {
        let shard = self.shard(shard);
        let path = shard.join(surplus_folder(at));
        appear::make_folder(&path, self.access)?;
        Dir::open(&path)?.narrow(self.access)?;
        Dir::open(&shard)?.sync()?;
        Ok(path)
    }

    /// Who may read what the run writes.
    pub(super) fn access(&self) -> Access {
        self.access
    }

    pub(super) fn write_sealed(&self, name: &str, value: &impl Serialize) -> Result<(), RunError> {
        self.check()?;
        let written = self.begin(name).and_then(|atomic| seal::write(atomic, value));
        written.map_err(|error| self.failed("write", name, error))
    }

    /// Whether another process has asked that the run be cancelled.
    pub(super) fn cancel_is_asked(&self) -> bool {
        self.lock.dir().open_file(CANCEL.as_ref(), false).is_ok()
    }

    /// The cancellation is written down: what asked for it goes.
    pub(super) fn forget_cancel(&self) {
        let _ = self.lock.dir().remove(CANCEL.as_ref());
    }

    /// Says how far the batches are, for who looks on. That is lost in a crash, and no harm.
    pub(super) fn note(&self, progress: &impl Serialize) {
        let Ok(text) = serde_json::to_vec(progress) else { return };
        let _ = self.begin(PROGRESS).and_then(|mut atomic| {
            atomic.file().write_all(&text)?;
            atomic.commit_unsynced()
        });
    }

    /// Removes what this process has put into the folder, and the folder if it made that, when nothing was begun. Only what
    /// a run puts there goes, and only if the folder is still the one that was opened.
    pub(super) fn remove(self) {
        if self.fresh && self.state.nothing_was_begun() {
            clear(&self.lock);
            self.lock.remove(&BEGUN, self.made);
        }
    }

    /// Removes a file of this folder, or of one within it. That it is not there is no error.
    pub(super) fn remove_file(&self, within: &Path, name: &str) -> Result<(), RunError> {
        self.check()?;
        let removed = match within.as_os_str().is_empty() {
            true => self.lock.dir().remove(name.as_ref()),
            false => Dir::open(&self.path.join(within)).and_then(|dir| dir.remove(name.as_ref())),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(RunError::io("remove", &self.path.join(within).join(name), error).at(&self.path))
            }
            _ => Ok(()),
        }
    }

    pub(super) fn failed(&self, doing: &str, name: &str, error: io::Error) -> RunError {
        RunError::io(doing, &self.join(name), error).at(&self.path).of(&self.state)
    }
}

/// JSON for people to read.
pub(super) fn write_json(mut atomic: AtomicFile, value: &impl Serialize) -> io::Result<()> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.write_all(b"\n")?;
    atomic.file().write_all(&text)?;
    atomic.commit()
}

fn unreadable(path: &Path, name: &'static str, why: String) -> RunError {
    RunError::new(Kind::Unreadable { name, why }).at(path)
}

pub(super) fn log_error(error: LogError, path: &Path) -> RunError {
    unreadable(path, Log::NAME, error.to_string())
}

fn replay<'a>(record: &Record, events: impl Iterator<Item = &'a Event>, path: &Path) -> Result<State, RunError> {
    State::replay(&record.shards, events).map_err(|why| unreadable(path, Log::NAME, format!("it says {why}")))
}

fn not_held(not: NotHeld, path: &Path) -> RunError {
    match not {
        NotHeld::Busy(holder) => RunError::new(Kind::Busy(holder)).at(path),
        NotHeld::Io(error) => RunError::closed(path, error),
    }
}

fn what_is(path: &Path) -> Result<There, RunError> {
    let refuse = |why: String| Err(RunError::place(path, why));
    match fs::metadata(path) {
        Ok(found) if found.is_dir() => {}
        Ok(_) => return refuse("it is not a folder; name another".to_owned()),
        Err(_) if path.is_symlink() => return refuse("it is a link that leads nowhere".to_owned()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(There::Nothing),
        Err(error) => return refuse(error.to_string()),
    }
    match Record::read(path) {
        Found::Record(record) => Ok(There::Run(record)),
        Found::Unreadable(why) => Err(unreadable(path, Record::NAME, why)),
        Found::First { batch, stage } => {
            let made = match batch {
                Some(batch) => format!("batch {batch}: see lote batches get {batch}, lote files content and lote join"),
                None if matches!(stage.as_str(), "prepared" | "uploaded") => "which has made no batch".to_owned(),
                None => "which may have made a batch: see lote batches list".to_owned(),
            };
            let why = format!("holds a run of an earlier version of lote, {made}; name another folder");
            Err(RunError::new(Kind::Taken { why }).at(path))
        }
        Found::None => {
            let names = names(path).map_err(|error| RunError::place(path, error.to_string()))?;
            if let Some(batches) = names.iter().find(|name| *name == Log::NAME).and_then(|_| may_owe(path)) {
                let why = format!("it is not there, although {} tells of {batches}", Log::NAME);
                return Err(unreadable(path, Record::NAME, why));
            }
            let ours = |name: &OsString| {
                save::is_temporary(name)
                    // Who has just taken it may not have written to it yet.
                    || (name == Lock::NAME && (Lock::is_one(path) || Lock::holder(path).is_some()))
                    || (name == SHARDS || BEGUN.iter().any(|begun| name == begun))
            };
            // A lock alone marks what a dead process has left; without it, such names may be anybody's.
            let locked = names.iter().any(|name| name == Lock::NAME);
            match names.iter().all(ours) && (locked || names.iter().all(|name| save::is_temporary(name))) {
                true => Ok(There::Free),
                // Another process has just begun a run here.
                false if matches!(Record::read(path), Found::Record(_)) => what_is(path),
                false => {
                    let why = "holds something else than a run; name another folder".to_owned();
                    Err(RunError::new(Kind::Taken { why }).at(path))
                }
            }
        }
    }
}

/// What the log in a folder that has no record tells of, when something may be owed for it: batches, or creates.
fn may_owe(path: &Path) -> Option<String> {
    let Ok(written) = Dir::open(path).map_err(LogError::from).and_then(|dir| Log::look(&dir)) else {
        return Some("what cannot be read".to_owned());
    };
    let (mut open, mut surplus) = (BTreeMap::new(), Vec::new());
    for event in written.frames.iter().flat_map(|frame| &frame.events) {
        match event {
            // What an embedded gateway did ended with it.
            Event::Opened(Opened { gateway: Some(_), .. }) => return None,
            Event::Creating { shard, .. } => drop(open.insert(*shard, None)),
            Event::Created { shard, batch, .. } | Event::Over { shard, batch, .. } => {
                open.insert(*shard, Some(batch.to_string()));
            }
            Event::Refused { shard, .. }
            | Event::NoBatch { shard, .. }
            | Event::Postponed { shard, .. }
            | Event::Failed { shard, .. }
            | Event::Halved { shard, .. } => drop(open.remove(shard)),
            Event::Synchronous { shard, .. } => surplus.push(format!("the lines of shard {shard}, sent one by one")),
            Event::Surplus { batch, .. } => surplus.push(batch.to_string()),
            Event::Unknown => surplus.push("what a newer lote has done".to_owned()),
            _ => {}
        }
    }
    let creates = open.values().any(Option::is_none).then(|| "creates whose answers are not known".to_owned());
    let batches: Vec<String> = open.into_values().flatten().chain(surplus).collect();
    let shown = batches.iter().take(NAMED).cloned().chain(creates);
    let said: Vec<String> = shown.chain((batches.len() > NAMED).then(|| "others".to_owned())).collect();
    (!said.is_empty()).then(|| said.join(", "))
}

fn names(path: &Path) -> io::Result<Vec<OsString>> {
    fs::read_dir(path)?.map(|entry| entry.map(|entry| entry.file_name())).collect()
}

/// Removes the request lines of shards of which nothing was begun.
fn clear(lock: &Lock) {
    if !lock.is_ours().unwrap_or(false) {
        return;
    }
    let shards = lock.dir().path().join(SHARDS);
    for name in names(&shards).unwrap_or_default() {
        let at = shards.join(&name);
        if let Ok(dir) = Dir::open(&at) {
            let _ = dir.remove(REQUESTS.as_ref());
            save::sweep(&at);
        }
        let _ = fs::remove_dir(&at);
    }
    let _ = fs::remove_dir(&shards);
}
