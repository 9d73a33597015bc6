//! Fetches the files of a batch that is over and joins them with its request lines.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::{Outcomes, read::join_into};
use crate::{
    Batch, Client, Error, Status,
    deadline::Deadline,
    fetch::{OnTrouble, blocking, fetch},
    lines::Joined,
    save::{Access, AtomicFile, Target},
};

/// The outcomes of a batch that is over, to be fetched. See [`Batches::outcomes`](crate::Batches::outcomes).
#[must_use = "nothing is fetched until .fetch() is called"]
pub struct FetchOutcomes {
    client: Client,
    batch: Batch,
    requests: PathBuf,
    folder: Option<PathBuf>,
    on_trouble: OnTrouble,
}

impl fmt::Debug for FetchOutcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FetchOutcomes")
            .field("batch", &self.batch.id)
            .field("requests", &self.requests)
            .field("folder", &self.folder)
            .finish_non_exhaustive()
    }
}

impl FetchOutcomes {
    /// The names of the files that are kept in a [`folder`](Self::folder).
    const FILES: [&str; 3] = ["output.jsonl", "errors.jsonl", "results.jsonl"];

    pub(crate) fn new(client: Client, batch: Batch, requests: PathBuf) -> Self {
        Self { client, batch, requests, folder: None, on_trouble: Arc::new(|_| ()) }
    }

    /// Where to keep what comes: `output.jsonl` and `errors.jsonl` as the service gave them, as far as there are any,
    /// and `results.jsonl`, one line for each request line. The folder is made if it is not there; files of these names
    /// are replaced. Without a folder all of it is in temporary files that go with the outcomes.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Called with every error that is survived: the same is tried again, for some minutes.
    pub fn on_trouble(mut self, call: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_trouble = Arc::new(call);
        self
    }

    /// Fetches the output and the error file, as far as there are any, and joins them with the request lines. Memory
    /// does not grow with the files beyond some 200 bytes for each answer.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when the batch is not over, or failed its validation so that no line
    /// was run; those of the calls; and those of [`Outcomes::join`].
    pub async fn fetch(self) -> Result<Outcomes, Error> {
        let id = &self.batch.id;
        if !self.batch.is_terminal() {
            let status = &self.batch.status;
            return Err(Error::invalid(format!("batch {id} is {status}: wait until it is over, then ask again")));
        }
        let files = [&self.batch.output_file_id, &self.batch.error_file_id];
        // Some services keep what was finished before a batch failed.
        if self.batch.status == Status::Failed && files.iter().all(|file| file.is_none()) {
            let why: Vec<String> = self.batch.errors.iter().take(3).map(ToString::to_string).collect();
            let why = if why.is_empty() { "the service does not say why".to_owned() } else { why.join("; ") };
            return Err(Error::invalid(format!("batch {id} failed, so that no request line was run: {why}")));
        }
        // Lives until the end of this call, which has read all of its files by then.
        let mut temporary = None;
        let folder = match &self.folder {
            Some(folder) => {
                fs::create_dir_all(folder).map_err(|error| Error::path("make the folder", folder, error))?;
                folder.clone()
            }
            None => {
                let made = tempfile::tempdir().map_err(|error| Error::io("make a temporary folder", error))?;
                temporary.insert(made).path().to_owned()
            }
        };
        // Answers tell as much as the requests.
        let access = Access::of(&self.requests);
        let mut answers = Vec::new();
        for (file, name) in files.into_iter().zip(Self::FILES) {
            let path = folder.join(name);
            match file {
                Some(file) => {
                    let target = Target::new(&path).access(access);
                    fetch(&self.client, file, &target, Deadline::default(), Arc::clone(&self.on_trouble)).await?;
                    answers.push(path);
                }
                None => remove_old(&path)?,
            }
        }
        let requests = self.requests.clone();
        if temporary.is_some() {
            return blocking(move || Outcomes::join(requests, answers)).await;
        }
        let results = folder.join(Self::FILES[2]);
        blocking(move || {
            let joined = join_to(&requests, &answers, &results)?;
            let file = fs::File::open(&results).map_err(|error| Error::path("read", &results, error))?;
            Ok(Outcomes::new(file, &results, Some(joined)))
        })
        .await
    }
}

/// A file of an earlier fetch would be taken for one of this batch.
fn remove_old(path: &Path) -> Result<(), Error> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(Error::path("remove", path, error)),
        _ => Ok(()),
    }
}

/// Joins into a file that appears whole.
fn join_to(requests: &Path, answers: &[PathBuf], results: &Path) -> Result<Joined, Error> {
    let failed = |error| Error::path("write", results, error);
    let mut atomic = AtomicFile::with(results, Access::of(requests)).map_err(failed)?;
    let joined = join_into(requests, answers, atomic.file())?;
    atomic.commit().map_err(failed)?;
    Ok(joined)
}
