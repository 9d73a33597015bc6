//! The way from a batch that is over to its results: fetches its files, holds what came against its counts, and joins the
//! answers with the request lines.

use std::{
    fs,
    io::{self, BufWriter, Seek, Write},
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
    lines::{Anomaly, AnomalyCode, Inspection, Join, JoinError, Joined, MAX_ANOMALIES, TemporaryError, open_lines},
    policy::Trouble,
    save::{Access, AtomicFile, Stored, Summing, Target, Written},
    unused::Unused,
};

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

/// Joins answers with their requests, and holds the counts of their batch against them, if they have one.
pub(crate) fn join_all(
    requests: &Path,
    answers: &[PathBuf],
    (results, apart): (Option<AtomicFile>, Vec<u64>),
    mut unused: Option<Unused>,
    batch: Option<&Batch>,
) -> Result<(Joined, Results), Uncollected> {
    let each = |anomaly: &Anomaly| unused.iter_mut().for_each(|unused| unused.add(anomaly));
    let (mut joined, results) = join_into(requests, answers, (results, apart), each)?;
    let found = batch.map_or(0, |batch| hold_against(batch, &mut joined));
    if let Some(mut unused) = unused {
        joined.anomalies.iter().take(found).for_each(|anomaly| unused.add(anomaly));
        unused.commit().map_err(Uncollected::Unwritten)?;
    }
    Ok((joined, results.commit()?))
}

/// Joins answers with their requests, into results that appear whole, or into a temporary file.
pub(crate) fn join_to(
    requests: &Path,
    answers: &[PathBuf],
    results: Option<AtomicFile>,
) -> Result<(Joined, Results), Uncollected> {
    let (joined, results) = join_into(requests, answers, (results, Vec::new()), |_| ())?;
    Ok((joined, results.commit()?))
}

/// Results that were written, open at their first line.
pub(crate) struct Results {
    pub(crate) file: fs::File,
    /// As they were written, where they have a name: the checksum was taken on their way.
    written: Option<Written>,
}

impl Results {
    /// As they were written.
    pub(crate) fn written(self) -> io::Result<Written> {
        self.written.map_or_else(|| Written::read(self.file), Ok)
    }
}

/// Results that are written and have no name yet.
enum Unnamed {
    Atomic(AtomicFile, Written),
    Temporary(fs::File),
}

impl Unnamed {
    /// Gives them their name, if they are to have one.
    fn commit(self) -> Result<Results, Uncollected> {
        let committed = match self {
            Self::Atomic(mut atomic, written) => {
                atomic.file().try_clone().and_then(|file| atomic.commit().map(|()| (file, Some(written))))
            }
            Self::Temporary(file) => Ok((file, None)),
        };
        let opened = committed.and_then(|(mut file, written)| file.rewind().map(|()| Results { file, written }));
        opened.map_err(Uncollected::Unwritten)
    }
}

fn join_into(
    requests: &Path,
    answers: &[PathBuf],
    (results, apart): (Option<AtomicFile>, Vec<u64>),
    mut each: impl FnMut(&Anomaly),
) -> Result<(Joined, Unnamed), Uncollected> {
    let join = Join::new(requests, answers.iter().map(PathBuf::as_path)).telling(&mut each).apart(apart);
    let Some(mut results) = results else {
        let folder = std::env::temp_dir();
        let temporary = |error| Uncollected::Unwritten(TemporaryError::wrap(&folder, error));
        let mut file = tempfile::tempfile().map_err(temporary)?;
        let (joined, _) = written(join, &mut file).map_err(|error| match error {
            Uncollected::Unwritten(error) => temporary(error),
            error => error,
        })?;
        return Ok((joined, Unnamed::Temporary(file)));
    };
    // Beside the results there is room, or they are not written either.
    let join = match results.temporary_path().parent() {
        Some(folder) => join.folder(folder),
        None => join,
    };
    let (joined, summing) = written(join, Summing::new(results.file()))?;
    let (_, written) = summing.into_parts();
    Ok((joined, Unnamed::Atomic(results, written)))
}

/// Writes all results of a join.
fn written<W: Write>(join: Join<'_>, to: W) -> Result<(Joined, W), Uncollected> {
    let mut out = BufWriter::with_capacity(256 << 10, to);
    let joined = join.write(&mut out).map_err(|error| match error {
        JoinError::Write { source, .. } => Uncollected::Unwritten(source),
        error => Uncollected::Unjoined(error),
    })?;
    let to = out.into_inner().map_err(|error| Uncollected::Unwritten(error.into_error()))?;
    Ok((joined, to))
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

/// Holds the counts and the usage of a batch against what came, and names what differs before all other anomalies. How many
/// those are.
fn hold_against(batch: &Batch, joined: &mut Joined) -> usize {
    let differing = [counts_differ(batch, joined), usage_differs(batch, joined)];
    let place = format!("batch {}", batch.id);
    let mut found = 0;
    for (code, message) in differing.into_iter().flatten() {
        joined.anomalies.insert(found, Anomaly::new(&place, 0, code, message));
        found += 1;
    }
    let kept = joined.anomalies.len().min(MAX_ANOMALIES);
    joined.anomalies_omitted += (joined.anomalies.len() - kept) as u64;
    joined.anomalies.truncate(kept);
    found
}

fn counts_differ(batch: &Batch, joined: &Joined) -> Option<(AnomalyCode, String)> {
    // Counts of nothing are no counts: some services never fill them in.
    let counts = batch.request_counts.filter(|counts| counts.total > 0 || ended(*counts) > 0)?;
    let unrun = joined.expired + joined.cancelled;
    let came = joined.answers.saturating_sub(unrun);
    // Some services count a line that expired as one that failed.
    let unrun_failed = counts.failed >= unrun && ended(counts) == came.saturating_add(unrun);
    if ended(counts) == came || unrun_failed {
        return None;
    }
    let message = format!(
        "its counts say that {} of {} lines ended ({} completed, {} failed), but its files hold {came}",
        ended(counts),
        counts.total.max(ended(counts)),
        counts.completed,
        counts.failed,
    );
    Some((AnomalyCode::CountsDiffer, message))
}

fn usage_differs(batch: &Batch, joined: &Joined) -> Option<(AnomalyCode, String)> {
    let (all, sum) = (batch.usage?, joined.usage);
    let pairs = [
        (all.input_tokens, sum.input_tokens),
        (all.output_tokens, sum.output_tokens),
        (all.total_tokens, sum.total_tokens),
    ];
    // 0 is what a batch says that does not say.
    if pairs.iter().all(|(all, sum)| *all == 0 || all == sum) {
        return None;
    }
    let tokens = |usage: crate::Usage| {
        format!("{} tokens ({} in, {} out)", usage.total_tokens, usage.input_tokens, usage.output_tokens)
    };
    let message = format!("it says that it used {}, but its lines say {}", tokens(all), tokens(sum));
    Some((AnomalyCode::UsageDiffers, message))
}
