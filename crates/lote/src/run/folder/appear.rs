//! How the folder of a run appears: its input is checked and cut beside it or in it, and it is there when it is whole.

use std::{
    fs::{self, DirBuilder, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{
    BEGUN, COPIES, Folder, ORDER, REQUESTS, SHARDS, There, clear,
    mend::{self, Mending},
    names, not_held, what_is,
};
use crate::{
    lines::{CheckOptions, Checked, CheckedLine},
    run::{
        RunError,
        caps::Committed,
        error::Kind,
        event::Opened,
        lock::{Lock, NotHeld},
        log::Log,
        money::Money,
        plan::{
            self, PlanError, Planned, Shards,
            dry::Dropped,
            quote::{Manner, Quoting},
        },
        record::{Asked, Record, shard_folder},
        seal,
        state::State,
    },
    save::{self, Access, AtomicFile, Dir, Passed, Summed, Summing, Written},
};

/// How many names of a staging folder are tried.
const TRIES: usize = 100;

/// What is asked of a folder.
pub(in crate::run) struct Draft<'a> {
    pub(in crate::run) path: &'a Path,
    pub(in crate::run) inputs: &'a [PathBuf],
    pub(in crate::run) check: &'a CheckOptions,
    pub(in crate::run) asked: Asked,
    pub(in crate::run) who: Opened,
    /// Whether lines that shards lack are written anew.
    pub(in crate::run) mends: bool,
    /// By which prices it is told what the run costs, and how much that may be.
    pub(in crate::run) money: Money,
}

/// A folder that is ready for its run.
pub(in crate::run) struct Prepared {
    pub(in crate::run) folder: Folder,
    /// What was counted of the input, if the run is new.
    pub(in crate::run) checked: Option<Checked>,
    /// How it differs from a run of which nothing is to be paid, and whose place it has taken.
    pub(in crate::run) replaces: Option<String>,
}

impl Folder {
    /// The folder of this run: a new one, which appears when the input has passed its check, or the one that is there, to
    /// be gone on with. What was counted of the input, if it is a new one, and how it differs from one whose place it takes.
    pub(in crate::run) fn prepare(draft: Draft<'_>, wanted: &dyn Fn() -> bool) -> Result<Prepared, RunError> {
        let made = |(folder, checked)| Prepared { folder, checked: Some(checked), replaces: None };
        let path = draft.path;
        save_sweep(save::folder(path));
        match what_is(path)? {
            There::Nothing => draft.beside(wanted).map(made),
            There::Free => draft.in_place(None, wanted).map(made),
            There::Run(_) => {
                let folder = Self::open(path)?;
                match draft.differs(&folder, wanted)? {
                    None => Ok(Prepared { folder, checked: None, replaces: None }),
                    // Nobody can owe or be owed anything: it gives way.
                    Some(what) if folder.state.owes_nothing() => {
                        let made = draft.in_place(Some(folder), wanted).map(made)?;
                        Ok(Prepared { replaces: Some(what), ..made })
                    }
                    Some(what) => {
                        let ended = folder.state.finished.is_some();
                        let state = if ended { "a finished run" } else { "a run that is not finished" };
                        let why = format!("holds {state} of something else ({what}); name another folder");
                        Err(RunError::new(Kind::Taken { why }).at(path).of(&folder.state))
                    }
                }
            }
        }
    }
}

impl Draft<'_> {
    /// In a folder beside the final one, which is then renamed: a refused input leaves nothing.
    fn beside(self, wanted: &dyn Fn() -> bool) -> Result<(Folder, Checked), RunError> {
        let (path, access) = (self.path, self.access());
        let io = |error| RunError::io("make a folder for", path, error);
        let (at, mut lock) = staging(path, access).map_err(io)?;
        let (record, log, checked) = match self.fill(&lock, wanted) {
            Ok(filled) => filled,
            Err(error) => {
                clear(&lock);
                lock.remove(&BEGUN, true);
                return Err(error);
            }
        };
        // Of two runs at once, one gets the name: a folder is not renamed over one that is not empty.
        if let Err(error) = fs::rename(&at, path) {
            clear(&lock);
            lock.remove(&BEGUN, true);
            return Err(match Lock::holder(path) {
                Some(holder) => RunError::new(Kind::Busy(holder)).at(path),
                None => RunError::io("make", path, error),
            });
        }
        let named = lock.moved_to(path).and_then(|()| Dir::open(save::folder(path))?.sync());
        let state = State::new(&record.shards);
        let mut folder = Folder {
            path: path.to_owned(),
            lock,
            access,
            made: true,
            fresh: true,
            record,
            log,
            state,
            unsettled: Vec::new(),
        };
        if let Err(error) = named {
            let error = folder.failed("make", "", error);
            folder.remove();
            return Err(error);
        }
        folder.enter(self.who)?;
        Ok((folder, checked))
    }

    /// In the folder that is there. What an earlier run has left in it of which nothing was begun goes, once the input
    /// has passed its check.
    fn in_place(self, before: Option<Folder>, wanted: &dyn Fn() -> bool) -> Result<(Folder, Checked), RunError> {
        let (path, access) = (self.path, self.access());
        let lock = match before {
            Some(Folder { lock, .. }) => lock,
            None => Lock::take(path, access).map_err(|not| not_held(not, path))?,
        };
        // A folder that was empty is the user's, and stays when the run ends early.
        let made = match what_is(path)? {
            There::Nothing => return Err(RunError::new(Kind::Lost).at(path)),
            There::Free => names(path).is_ok_and(|names| names.iter().any(|name| name != Lock::NAME)),
            There::Run(_) => true,
        };
        save::sweep(path);
        clear(&lock);
        for name in BEGUN {
            let _ = lock.dir().remove(name.as_ref());
        }
        // Where this is not allowed the files in it are private all the same.
        let _ = lock.dir().narrow(access);
        match self.fill(&lock, wanted) {
            Ok((record, log, checked)) => {
                let state = State::new(&record.shards);
                let mut folder = Folder {
                    path: path.to_owned(),
                    lock,
                    access,
                    made,
                    fresh: true,
                    record,
                    log,
                    state,
                    unsettled: Vec::new(),
                };
                folder.enter(self.who)?;
                Ok((folder, checked))
            }
            Err(error) => {
                clear(&lock);
                lock.remove(&BEGUN, made);
                Err(error)
            }
        }
    }

    /// Checks the input and cuts it into shards, and writes down what was asked. A refused input changes nothing.
    fn fill(&self, lock: &Lock, wanted: &dyn Fn() -> bool) -> Result<(Record, Log, Checked), RunError> {
        let (path, access, at) = (self.path, self.access(), lock.dir().path());
        let Money { prices, caps, own, at_once } = &self.money;
        let quoting = Quoting::new(prices.clone(), Manner { at_once: *at_once, ..caps.manner() });
        let failed = |name: &str, error| RunError::io("write", &path.join(name), error);
        let copies = self.asked.dedupe.then(|| lock.begin(COPIES, access)).transpose();
        let copies = copies.map_err(|error| failed(COPIES, error))?.map(Listing::new);
        let mut shards = AndCopies { to: ToFolder { at, access }, copies, quoting };
        let mut order = lock.begin(ORDER, access).map_err(|error| failed(ORDER, error))?;
        let mut sink = BufWriter::new(Summing::new(order.file()));
        let planned = plan::plan(
            self.inputs,
            self.check,
            &self.asked.cut,
            self.asked.taken(),
            at,
            &mut shards,
            &mut sink,
            wanted,
        )
        .map_err(plan_error)?;
        let mut quote = shards.quoting.finish();
        if let Some(why) = caps.refuse(&quote, Committed::default()) {
            return Err(RunError::new(Kind::Capped { why }));
        }
        // What each shard is to cost is told by a plan.
        quote.shards.clear();
        let summing = sink.into_inner().map_err(|error| failed(ORDER, error.into_error()))?;
        let (_, written) = summing.into_parts();
        if !planned.in_order {
            order.commit().map_err(|error| failed(ORDER, error))?;
        }
        let equal = shards.copies.filter(|_| planned.copies.lines > 0).map(Listing::commit).transpose();
        let equal = equal.map_err(|error| failed(COPIES, error))?;
        let log = Log::create(lock.dir(), access).map_err(|error| failed(Log::NAME, error))?;
        let record = Record::new(self.asked.clone(), &planned, written, equal);
        let record = Record { quote: Some(Box::new(quote)), caps: caps.clone(), prices: own.clone(), ..record };
        // A part without a line has no shard, and the folder all the same.
        let written = make_folder(&at.join(SHARDS), access)
            .and_then(|()| Dir::open(&at.join(SHARDS))?.sync())
            .and_then(|()| seal::write(lock.begin(Record::NAME, access)?, &record));
        written.map_err(|error| failed(Record::NAME, error))?;
        Ok((record, log, planned.checked))
    }

    /// How this run differs from the one in a folder. What shards lack of their request lines is written.
    fn differs(&self, folder: &Folder, wanted: &dyn Fn() -> bool) -> Result<Option<String>, RunError> {
        let record = &folder.record;
        let asked = Asked { sha256: record.asked.sha256.clone(), ..self.asked.clone() };
        if let Some(what) = record.asked.differs(&asked) {
            return Ok(Some(what));
        }
        let mut order =
            mend::beside(folder, ORDER, record.order.as_ref()).map_err(|error| folder.failed("write", ORDER, error))?;
        let mut mending = Mending::of(folder, self.mends).map_err(|error| folder.failed("write", COPIES, error))?;
        let sha256 = self.sha256(&mut mending, &mut order, wanted)?;
        let differs = record.asked.differs(&Asked { sha256, ..asked });
        if differs.is_none() {
            order.commit().map_err(|error| folder.failed("write", ORDER, error))?;
            mending.commit().map_err(|error| folder.failed("write", COPIES, error))?;
        }
        Ok(differs)
    }

    /// How this run differs from one of several: the hash of the lines is made once.
    pub(super) fn differs_from(
        &self,
        record: &Record,
        lines: &mut Option<String>,
        wanted: &dyn Fn() -> bool,
    ) -> Result<Option<String>, RunError> {
        let asked = Asked { sha256: record.asked.sha256.clone(), ..self.asked.clone() };
        if let Some(what) = record.asked.differs(&asked) {
            return Ok(Some(what));
        }
        let sha256 = match lines {
            Some(known) => known.clone(),
            None => lines.insert(self.sha256(&mut Dropped, &mut io::sink(), wanted)?).clone(),
        };
        Ok(record.asked.differs(&Asked { sha256, ..asked }))
    }

    /// The hash of the lines, which go into these shards.
    fn sha256(
        &self,
        shards: &mut impl Shards,
        order: &mut dyn Write,
        wanted: &dyn Fn() -> bool,
    ) -> Result<String, RunError> {
        let spill = tempfile::tempdir()
            .map_err(|error| RunError::io("make a temporary folder in", &std::env::temp_dir(), error))?;
        let planned: Planned = plan::plan(
            self.inputs,
            self.check,
            &self.asked.cut,
            self.asked.taken(),
            spill.path(),
            shards,
            order,
            wanted,
        )
        .map_err(plan_error)?;
        Ok(planned.checked.sha256)
    }

    /// Nobody is to read the folder who may not read the whole input.
    fn access(&self) -> Access {
        self.inputs.iter().map(|input| Access::of(input)).reduce(Access::and).unwrap_or_default()
    }
}

/// Puts the lines of each shard into its folder.
pub(in crate::run) struct ToFolder<'a> {
    pub(in crate::run) at: &'a Path,
    pub(in crate::run) access: Access,
}

impl Shards for ToFolder<'_> {
    type Out = File;

    fn begin(&mut self, number: u32) -> io::Result<Self::Out> {
        begin_shard(self.at, self.access, number)
    }

    fn finish(&mut self, number: u32, out: Self::Out, _: &str) -> io::Result<()> {
        self.end(number, &out)
    }
}

/// Puts the lines of a new run into its folder, and beside them what says which are equal.
struct AndCopies<'a> {
    to: ToFolder<'a>,
    copies: Option<Listing>,
    /// What the lines will cost.
    quoting: Quoting,
}

/// The file that says which lines are equal, while it is written.
struct Listing {
    file: AtomicFile,
    /// What is not in the file yet.
    text: Vec<u8>,
    sum: Summed,
}

impl Listing {
    /// How many bytes are written at once.
    const BUFFER: usize = 1 << 15;

    fn new(file: AtomicFile) -> Self {
        Self { file, text: Vec::new(), sum: Summed::default() }
    }

    fn add(&mut self, text: &[u8]) -> io::Result<()> {
        self.sum.add(text);
        self.text.extend_from_slice(text);
        if self.text.len() < Self::BUFFER {
            return Ok(());
        }
        let written = self.file.file().write_all(&self.text);
        self.text.clear();
        written
    }

    fn commit(mut self) -> io::Result<Written> {
        self.file.file().write_all(&self.text)?;
        self.file.commit()?;
        Ok(self.sum.made())
    }
}

impl Shards for AndCopies<'_> {
    type Out = File;

    fn put(&mut self, number: u32, line: &CheckedLine<'_>) {
        self.quoting.line(number, line);
    }

    fn begin(&mut self, number: u32) -> io::Result<Self::Out> {
        self.to.begin(number)
    }

    fn copy(&mut self, text: &[u8]) -> io::Result<()> {
        self.copies.as_mut().map_or(Ok(()), |copies| copies.add(text))
    }

    fn finish(&mut self, number: u32, out: Self::Out, sha256: &str) -> io::Result<()> {
        self.to.finish(number, out, sha256)
    }
}

impl ToFolder<'_> {
    /// Makes the lines of a shard durable.
    pub(in crate::run) fn end(&self, number: u32, out: &File) -> io::Result<()> {
        out.sync_all()?;
        Dir::open(&self.at.join(shard_folder(number)))?.sync()
    }
}

fn begin_shard(at: &Path, access: Access, number: u32) -> io::Result<File> {
    for folder in [at.join(SHARDS), at.join(shard_folder(number))] {
        make_folder(&folder, access)?;
    }
    let dir = Dir::open(&at.join(shard_folder(number)))?;
    dir.narrow(access)?;
    // What is there is of an attempt that was never begun.
    let _ = dir.remove(REQUESTS.as_ref());
    let file = dir.create_new(REQUESTS.as_ref(), access.file_mode())?;
    access.narrow(&file)?;
    Ok(file)
}

fn plan_error(error: PlanError) -> RunError {
    match error {
        PlanError::Input { checked, sources } => RunError::new(Kind::Input { checked, sources }),
        PlanError::Io { doing, path, error } => RunError::io(doing, &path, error),
    }
}

/// Makes a folder, unless it is there.
pub(super) fn make_folder(path: &Path, access: Access) -> io::Result<()> {
    match folder_builder(access).create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

fn folder_builder(access: Access) -> DirBuilder {
    #[cfg_attr(not(unix), expect(unused_mut, reason = "only Unix has modes"))]
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, access.folder_mode());
    builder
}

/// A folder beside the final one, on the same file system.
fn staging(path: &Path, access: Access) -> io::Result<(PathBuf, Lock)> {
    for _ in 0..TRIES {
        let at = save::folder(path).join(save::staging_name());
        match folder_builder(access).create(&at) {
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
fn save_sweep(parent: &Path) {
    for name in names(parent).unwrap_or_default().iter().filter(|name| save::is_staging(name)) {
        let at = parent.join(name);
        match Lock::take_left(&at) {
            Some(lock) => {
                clear(&lock);
                lock.remove(&BEGUN, true);
            }
            // It died before it made its lock: only an empty folder goes.
            None => drop(fs::remove_dir(&at)),
        }
    }
}
