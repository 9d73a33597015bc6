//! The way from a batch that is over to its results: fetches its files, holds what came against its counts, and joins the
//! answers with the request lines.

mod differ;
mod join;

use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use tokio::time::{Instant, sleep};

use crate::{
    Batch, Cadence, Client, Error, Status, Tolerance,
    deadline::Deadline,
    fetch::{OnTrouble, fetch},
    heavy::blocking,
    late::{LateFiles, count, ended},
    lines::{Inspection, JoinError, Joined, open_lines},
    policy::Trouble,
    save::{Access, AtomicFile, Stored, Target},
    unused::Unused,
};

pub(crate) use self::join::{Results, join_all, join_to};

/// A step of a collection, as it is begun.
pub(crate) enum Step<'a> {
    /// The output or the error file is fetched.
    Downloading(&'static str),
    /// The batch was looked at again, since it lacks files.
    Looked(&'a Batch),
    /// The answers are put in the order of the requests.
    Joining,
}

/// Told of every step.
pub(crate) type OnStep = Arc<dyn Fn(Step<'_>) + Send + Sync>;

/// Why there are no results.
pub(crate) enum Uncollected {
    /// The batch failed its validation: no line was run.
    NotRun,
    /// The files could not be fetched, or are not named.
    Unfetched(Error),
    /// What was fetched could not be joined.
    Unjoined(JoinError),
    /// The results could not be written.
    Unwritten(io::Error),
    /// The folder is no longer the one that was opened.
    Lost,
}

/// A batch that is over, and where its results are to be.
pub(crate) struct Collect<'a> {
    client: Client,
    /// As it was last seen.
    pub(crate) batch: Batch,
    files: [ResultFile; 2],
    tolerance: Tolerance,
    /// How often the batch is looked at again.
    cadence: Cadence,
    deadline: Deadline,
    /// Who may read what comes.
    access: Access,
    /// Tokens of requests that read more than these are counted apart.
    apart: Vec<u64>,
    /// Whether the folder is still the one that was opened.
    is_ours: &'a (dyn Fn() -> bool + Sync),
    on_step: OnStep,
    on_trouble: OnTrouble,
}

/// The output or the error file.
struct ResultFile {
    name: &'static str,
    path: PathBuf,
    fetched: Option<Fetched>,
}

enum Fetched {
    /// By an earlier process.
    Before,
    /// As it was written.
    Now(Stored),
}

impl ResultFile {
    fn is_empty(&self) -> bool {
        matches!(&self.fetched, Some(Fetched::Now(stored)) if stored.bytes == 0)
    }
}

impl<'a> Collect<'a> {
    /// Of this batch, into this folder, under these names for the output and the error file.
    pub(crate) fn new(client: Client, batch: Batch, folder: &Path, names: [&'static str; 2]) -> Self {
        let file = |name| ResultFile { name, path: folder.join(name), fetched: None };
        Self {
            client,
            batch,
            files: names.map(file),
            tolerance: crate::fetch::patience(),
            cadence: Cadence::default(),
            deadline: Deadline::default(),
            access: Access::default(),
            apart: Vec::new(),
            is_ours: &|| true,
            on_step: Arc::new(|_| ()),
            on_trouble: Arc::new(|_| ()),
        }
    }

    pub(crate) fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    pub(crate) fn cadence(mut self, cadence: Cadence) -> Self {
        self.cadence = cadence;
        self
    }

    pub(crate) fn deadline(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    /// Nobody beyond this is to read what comes.
    pub(crate) fn access(mut self, access: Access) -> Self {
        self.access = access;
        self
    }

    /// Counts the tokens of requests apart that have more input tokens than each of these.
    pub(crate) fn apart(mut self, at: Vec<u64>) -> Self {
        self.apart = at;
        self
    }

    /// Asked before each file is written.
    pub(crate) fn while_ours(mut self, is_ours: &'a (dyn Fn() -> bool + Sync)) -> Self {
        self.is_ours = is_ours;
        self
    }

    pub(crate) fn telling(mut self, on_step: OnStep, on_trouble: OnTrouble) -> Self {
        (self.on_step, self.on_trouble) = (on_step, on_trouble);
        self
    }

    /// Fetches what there is, asking again for what is late, and joins it into `results`, a file that appears whole, or
    /// into a temporary one. The file is open at its first line.
    pub(crate) async fn collect(
        &mut self,
        requests: &Path,
        results: Option<impl FnOnce() -> io::Result<AtomicFile>>,
    ) -> Result<(Joined, Results), Uncollected> {
        self.fetch().await?;
        self.join(requests, results, None::<fn() -> io::Result<AtomicFile>>).await
    }

    /// Fetches what there is, asking again for what is late. The files are durable then, and their names.
    pub(crate) async fn fetch(&mut self) -> Result<(), Uncollected> {
        if not_run(&self.batch) && self.batch.late_files().is_none() {
            return Err(Uncollected::NotRun);
        }
        self.fetch_all().await?;
        if not_run(&self.batch) { Err(Uncollected::NotRun) } else { Ok(()) }
    }

    /// The output and the error file as they were written, if they were fetched.
    pub(crate) fn stored(&self) -> [Option<Stored>; 2] {
        self.files.each_ref().map(|file| match &file.fetched {
            Some(Fetched::Now(stored)) => Some(stored.clone()),
            _ => None,
        })
    }

    /// With these of the files, which were fetched before.
    pub(crate) fn with(mut self, here: [bool; 2]) -> Self {
        for (file, here) in self.files.iter_mut().zip(here) {
            file.fetched = here.then_some(Fetched::Before);
        }
        self
    }

    /// Joins what was fetched with the request lines. What is odd about the answers goes into `unused`, all of it, with the
    /// bytes of lines that were not used; that is there before the results.
    pub(crate) async fn join(
        &self,
        requests: &Path,
        results: Option<impl FnOnce() -> io::Result<AtomicFile>>,
        unused: Option<impl FnOnce() -> io::Result<AtomicFile>>,
    ) -> Result<(Joined, Results), Uncollected> {
        (self.on_step)(Step::Joining);
        self.still_ours()?;
        let results = results.map(|begin| begin()).transpose().map_err(Uncollected::Unwritten)?;
        let (requests, answers) = (requests.to_owned(), self.fetched());
        let secrets = self.client.shared().secrets().clone();
        let unused = unused.map(|begin| Unused::new(begin()?, &answers, secrets)).transpose();
        let unused = unused.map_err(Uncollected::Unwritten)?;
        let (batch, apart) = (self.batch.clone(), self.apart.clone());
        let joined = blocking(move || join_all(&requests, &answers, (results, apart), unused, Some(&batch))).await;
        let (mut joined, results) = joined?;
        // The words are those of the result lines.
        self.client.shared().secrets().blank_summary(&mut joined);
        Ok((joined, results))
    }

    fn still_ours(&self) -> Result<(), Uncollected> {
        if (self.is_ours)() { Ok(()) } else { Err(Uncollected::Lost) }
    }

    async fn fetch_all(&mut self) -> Result<(), Uncollected> {
        let started = Instant::now();
        let late = self.deadline.left().map_or(self.tolerance.late(), |left| left.min(self.tolerance.late()));
        let end = started.checked_add(late);
        let (mut pauses, mut trouble) = (self.cadence.pauses(), Trouble::default());
        trouble.over();
        loop {
            self.fetch_named().await?;
            let Some(late) = self.late().await.map_err(Uncollected::Unfetched)? else { return Ok(()) };
            let now = Instant::now();
            if end.is_some_and(|end| now >= end) {
                return self.lacks(late, now - started).map_err(Uncollected::Unfetched);
            }
            let pause = pauses.next(None, None);
            sleep(end.map_or(pause, |end| pause.min(end - now))).await;
            match self.deadline.bound(self.client.batches().look(&self.batch.id)).await {
                Ok(batch) => {
                    trouble.over();
                    self.seen(batch);
                    (self.on_step)(Step::Looked(&self.batch));
                }
                Err(error) if error.is_deadline() => {
                    return self.lacks(late, started.elapsed()).map_err(Uncollected::Unfetched);
                }
                Err(error) => match trouble.take(&self.tolerance, error) {
                    Ok(error) => (self.on_trouble)(&error),
                    Err(error) => return Err(Uncollected::Unfetched(error)),
                },
            }
        }
    }

    /// Takes note of a look. A service that answers from several places may know less than it did.
    fn seen(&mut self, batch: Batch) {
        if batch.is_terminal() {
            let known = std::mem::replace(&mut self.batch, batch);
            self.batch.output_file_id = self.batch.output_file_id.take().or(known.output_file_id);
            self.batch.error_file_id = self.batch.error_file_id.take().or(known.error_file_id);
        }
    }

    /// Fetches what is named and was not fetched, or was empty. A file of an earlier collection goes: it would be taken
    /// for one of this batch.
    async fn fetch_named(&mut self) -> Result<(), Uncollected> {
        let is_ours = self.is_ours;
        let ids = [&self.batch.output_file_id, &self.batch.error_file_id];
        for (file, id) in self.files.iter_mut().zip(ids) {
            match id {
                Some(id) if file.fetched.is_none() || file.is_empty() => {
                    if !is_ours() {
                        return Err(Uncollected::Lost);
                    }
                    (self.on_step)(Step::Downloading(file.name));
                    let tolerance = self.tolerance.clone().for_files();
                    let target = Target::new(&file.path).access(self.access);
                    let on_trouble = Arc::clone(&self.on_trouble);
                    let stored = fetch(&self.client, id, &target, tolerance, self.deadline, on_trouble).await;
                    file.fetched = Some(Fetched::Now(stored.map_err(Uncollected::Unfetched)?));
                }
                None if file.fetched.is_none() && is_ours() => {
                    remove_old(&file.path).map_err(Uncollected::Unfetched)?
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// What the counts speak of and is not here. Where all lines that ended are in one of the files, the other is not
    /// waited for: some services have only one.
    async fn late(&self) -> Result<Option<LateFiles>, Error> {
        let mut seen = self.batch.clone();
        let [output, errors] = &self.files;
        if output.is_empty() {
            seen.output_file_id = None;
        }
        if errors.is_empty() {
            seen.error_file_id = None;
        }
        let (Some(late), Some(counts)) = (seen.late_files(), seen.request_counts) else { return Ok(None) };
        let answers = self.fetched();
        let came = blocking(move || ended_lines(&answers)).await?;
        Ok((came < ended(counts)).then_some(late))
    }

    /// The end of the patience with files that are late. What came without an output file would tell paid lines as
    /// missing.
    fn lacks(&self, late: LateFiles, asked: std::time::Duration) -> Result<(), Error> {
        if !late.is_output() {
            return Ok(());
        }
        let Batch { id, status, output_file_id, .. } = &self.batch;
        let asked = match asked.as_secs() {
            0 => String::new(),
            seconds @ 1..=119 => format!(", after {} of asking again", count(seconds, "second")),
            seconds => format!(", after {} minutes of asking again", seconds / 60),
        };
        let what = match output_file_id {
            Some(output) => {
                let lines = count(late.succeeded, "line");
                format!("its counts say that {lines} succeeded, but its output file {output} is empty")
            }
            None => late.to_string(),
        };
        Err(Error::late(format!(
            "batch {id} is {status}, and {what}{asked}; \
             what it finished is at the service: ask for the batch and its files later"
        ))
        .about(Some(id.clone())))
    }

    /// The files that are here, with something in them or not.
    fn fetched(&self) -> Vec<PathBuf> {
        self.files.iter().filter(|file| file.fetched.is_some()).map(|file| file.path.clone()).collect()
    }
}

/// Whether a batch failed its validation. Some services keep what was finished before a batch failed.
fn not_run(batch: &Batch) -> bool {
    batch.status == Status::Failed && batch.output_file_id.is_none() && batch.error_file_id.is_none()
}

impl Uncollected {
    /// The same as the error of a call.
    pub(crate) fn into_error(self, batch: Option<&Batch>, results: Option<&Path>) -> Error {
        match self {
            Self::NotRun => {
                let (id, errors) = batch.map(|batch| (batch.id.as_str(), batch.errors.as_slice())).unwrap_or_default();
                let why: Vec<String> = errors.iter().take(3).map(ToString::to_string).collect();
                let why = if why.is_empty() { "the service does not say why".to_owned() } else { why.join("; ") };
                Error::invalid(format!("batch {id} failed, so that no request line was run: {why}"))
            }
            Self::Unfetched(error) => error,
            Self::Lost => Error::invalid("the folder is no longer the one that was opened"),
            Self::Unjoined(JoinError::Read { path, source }) => Error::path("read", &path, source),
            Self::Unjoined(JoinError::Temporary { folder, source }) => {
                Error::path("write a temporary file in", &folder, source)
            }
            Self::Unjoined(error) => Error::invalid(error.to_string()),
            Self::Unwritten(error) => match results {
                Some(results) => Error::path("write", results, error),
                None => Error::io("write the joined results", error),
            },
        }
    }
}

/// How many lines of these files are answers to lines that ended: all but those that say that a line was not run.
fn ended_lines(files: &[PathBuf]) -> Result<u64, Error> {
    let mut inspection = Inspection::default();
    for path in files {
        let failed = |error| Error::path("read", path, error);
        let reader = open_lines(path).map_err(failed)?;
        inspection.read(&path.display().to_string(), reader).map_err(failed)?;
    }
    let report = inspection.report();
    Ok(report.lines.saturating_sub(report.expired + report.cancelled))
}

/// A file of an earlier collection would be taken for one of this batch.
fn remove_old(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::path("remove", path, error)),
        _ => Ok(()),
    }
}
