//! Fetches the files of a batch that is over and joins them with its request lines.

use std::{
    fmt, fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use super::Outcomes;
use crate::{
    Batch, Client, Error, Tolerance,
    collect::Collect,
    fetch::{OnTrouble, patience},
    save::{Access, AtomicFile},
};

/// The outcomes of a batch that is over, to be fetched. See [`Batches::outcomes`](crate::Batches::outcomes).
#[must_use = "nothing is fetched until .fetch() is called"]
pub struct FetchOutcomes {
    client: Client,
    batch: Batch,
    requests: PathBuf,
    folder: Option<PathBuf>,
    tolerance: Tolerance,
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
    const FILES: [&str; 2] = ["output.jsonl", "errors.jsonl"];
    const RESULTS: &str = "results.jsonl";

    pub(crate) fn new(client: Client, batch: Batch, requests: PathBuf) -> Self {
        Self { client, batch, requests, folder: None, tolerance: patience(), on_trouble: Arc::new(|_| ()) }
    }

    /// Where to keep what comes: `output.jsonl` and `errors.jsonl` as the service gave them, as far as there are any,
    /// and `results.jsonl`, one line for each request line. The folder is made if it is not there; files of these names
    /// are replaced. Without a folder all of it is in temporary files that go with the outcomes.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Which errors to survive and for how long, and for how long to ask again for files that are
    /// [late](Tolerance::late_files). The default is five minutes of errors, and two of late files.
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// Called with every error that is survived: the same is tried again, for some minutes.
    pub fn on_trouble(mut self, call: impl Fn(&Error) + Send + Sync + 'static) -> Self {
        self.on_trouble = Arc::new(call);
        self
    }

    /// Fetches the output and the error file, as far as there are any, and joins them with the request lines. A batch
    /// whose counts speak of lines that no file holds yet is looked at again first. Memory does not grow with the files
    /// beyond some 200 bytes for each answer.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when the batch is not over, or failed its validation so that no line
    /// was run; one that [`is_late`](Error::is_late) when lines succeeded and the service names no output file; those of
    /// the calls; and those of [`Outcomes::join`].
    pub async fn fetch(self) -> Result<Outcomes, Error> {
        let Self { client, batch, requests, folder, tolerance, on_trouble } = self;
        let id = &batch.id;
        if !batch.is_terminal() {
            let status = &batch.status;
            return Err(Error::invalid(format!("batch {id} is {status}: wait until it is over, then ask again")));
        }
        // Lives until the end of this call, which has read all of its files by then.
        let mut temporary = None;
        let (kept, results) = match folder {
            Some(folder) => {
                fs::create_dir_all(&folder).map_err(|error| Error::path("make the folder", &folder, error))?;
                let results = folder.join(Self::RESULTS);
                (folder, Some(results))
            }
            None => {
                let made = tempfile::tempdir().map_err(|error| Error::io("make a temporary folder", error))?;
                (temporary.insert(made).path().to_owned(), None)
            }
        };
        // Answers tell as much as the requests.
        let access = Access::of(&requests);
        let results: Option<&Path> = results.as_deref();
        let begin = results.map(|results| move || AtomicFile::with(results, access));
        let mut collect = Collect::new(client, batch, &kept, Self::FILES)
            .tolerance(tolerance)
            .access(access)
            .telling(Arc::new(|_| ()), on_trouble);
        let (joined, came) = match collect.collect(&requests, begin).await {
            Ok(collected) => collected,
            Err(error) => return Err(error.into_error(Some(&collect.batch), results)),
        };
        Ok(Outcomes::new(came.file, results.unwrap_or(Path::new("the joined results")), Some(joined)))
    }
}
