//! Runs: from a file of requests to a file of results in one call, through a folder that keeps every step.
//!
//! For now a run is one shard in one process: a folder that holds a run is refused, and input over the limits too.

mod error;
mod folder;
mod lock;
mod steps;

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use serde::{Serialize, Serializer};

pub use error::RunError;
pub use folder::{Record, Stage};
pub use lock::Holder;

use crate::{
    Batch, BatchOptions, Cadence, Client, Error, Tolerance,
    lines::{Checked, Joined, Limits},
    options,
    save::{self, Output, Replace},
};

/// How far a run has come.
#[derive(Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The request lines are fit to be sent.
    Checked(&'a Checked),
    /// So many bytes of the input file were taken.
    Uploading {
        /// Bytes taken so far.
        sent: u64,
        /// Bytes in all.
        total: u64,
    },
    /// The batch exists and is written down.
    Created(&'a Batch),
    /// A look at the batch.
    Waiting(&'a Batch),
    /// An error that is survived: the same is tried again.
    Trouble(&'a Error),
    /// An output or error file is being fetched.
    Downloading {
        /// Which one, by its name in the folder.
        name: &'static str,
    },
    /// The answers are put in the order of the requests.
    Joining,
}

type OnProgress = Arc<dyn Fn(Progress<'_>) + Send + Sync>;

/// A run to be made: check, upload, create, wait, download, join.
///
/// The folder keeps what was sent (`requests.jsonl`), how far it came (`run.json`), the batch (`batch.json`), what came
/// back (`output.jsonl`, `errors.jsonl`) and what came of it (`results.jsonl`, `summary.json`). It appears when the
/// check has passed, and goes again when the service has refused before a batch was made; from the create on it stays.
/// While a run is at work in it, it holds a lock there (`lock`), and never writes to a folder that has taken the place
/// of its own. A folder that an earlier run left before its create is used again. All that is written may be read only
/// by who may read the input.
///
/// ```
/// # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
/// # let client = lote::Client::builder().base_url(gateway.url()).api_key("mk-…").build()?;
/// # let folder = tempfile::tempdir()?;
/// # let requests = folder.path().join("requests.jsonl");
/// # std::fs::write(&requests, "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n")?;
/// let report = lote::run::Run::new(&client, &requests).execute().await?;
/// assert_eq!(report.joined.succeeded, report.joined.lines);
/// let tokens = report.joined.usage.total_tokens;
/// println!("{tokens} tokens, in {}", report.results.display());
/// # Ok(())
/// # }
/// # tokio::runtime::Runtime::new().unwrap().block_on(async {
/// #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
/// #     example(&gateway).await.unwrap();
/// # });
/// ```
#[derive(Clone)]
#[must_use = "nothing runs until it is executed"]
pub struct Run {
    client: Client,
    input: PathBuf,
    folder: Option<PathBuf>,
    output: Option<PathBuf>,
    replace_output: bool,
    endpoint: Option<String>,
    limits: Option<Limits>,
    pub(crate) options: BatchOptions,
    deadline: Option<Duration>,
    cadence: Cadence,
    tolerance: Option<Tolerance>,
    on_progress: OnProgress,
}

options::held!(Run, options);

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("client", &self.client).field("input", &self.input).finish_non_exhaustive()
    }
}

/// What came of a run.
#[derive(Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The batch as it ended: completed, expired or cancelled.
    pub batch: Batch,
    /// How the lines ended. Its fields are those of the report where it is serialised.
    #[serde(flatten)]
    pub joined: Joined,
    /// The folder of the run.
    #[serde(serialize_with = "shown")]
    pub folder: PathBuf,
    /// The file of results, in the order of the requests.
    #[serde(serialize_with = "shown")]
    pub results: PathBuf,
    /// How long it took on this side, in seconds.
    pub seconds: f64,
}

/// A path as people see it: JSON has no other bytes than text.
fn shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl Report {
    /// The outcomes of the run, one for each request line in the order of the input, read from
    /// [`results`](Self::results) as they are asked for. What is odd about the answers is in
    /// [`joined`](Self::joined), the field.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when the file cannot be read.
    pub fn outcomes(&self) -> Result<crate::Outcomes, Error> {
        crate::Outcomes::open(&self.results)
    }

    /// Whether the batch was completed, every line succeeded, and no file of its answers is damaged.
    pub fn all_succeeded(&self) -> bool {
        self.batch.status == crate::Status::Completed && self.joined.all_succeeded()
    }
}

impl Run {
    /// The key of the batch's metadata that holds the hash of what was sent, by which a run can find its batch: a pair
    /// of this name cannot be given.
    pub const SHA256: &'static str = "lote_sha256";

    /// A run of the request lines in `input`, a file; a pipe will do, as it is read once.
    pub fn new(client: &Client, input: impl Into<PathBuf>) -> Self {
        Self {
            client: client.clone(),
            input: input.into(),
            folder: None,
            output: None,
            replace_output: false,
            endpoint: None,
            limits: None,
            options: BatchOptions::new(),
            deadline: None,
            cadence: Cadence::default(),
            tolerance: None,
            on_progress: Arc::new(|_| ()),
        }
    }

    /// The folder of the run. The default stands beside the input and is named after it: `requests.run` for
    /// `requests.jsonl`.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Where the results are to be as well; the folder keeps its own copy. A file that is there is refused before
    /// anything is sent, but for an empty one and one that is as this run has written it; see
    /// [`replace_output`](Self::replace_output). A pipe or a device is written to at the end.
    pub fn output(mut self, output: impl Into<PathBuf>) -> Self {
        self.output = Some(output.into());
        self
    }

    /// Whether the [`output`](Self::output) may replace whatever file is there.
    pub fn replace_output(mut self, replace: bool) -> Self {
        self.replace_output = replace;
        self
    }

    /// The endpoint that every line must be for: an [`Endpoint`](crate::Endpoint), or the path of another that the
    /// dialect [declares](crate::Dialect::endpoints). The default is that of the first line.
    pub fn endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.endpoint = Some(endpoint.into());
        self
    }

    /// How much one batch takes. The default is what the client's dialect says: see
    /// [`Dialect::limits`](crate::Dialect::limits).
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = Some(limits);
        self
    }

    /// How long the run may take in all, from the check to the last download; what has been begun is dropped then. See
    /// [`RunError`] for what there is by then. Without one, until it is done.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How often to look at the batch. The default is [`Cadence::default`].
    pub fn cadence(mut self, cadence: Cadence) -> Self {
        self.cadence = cadence;
        self
    }

    /// Which errors to survive while waiting and while fetching, and for how long to ask again for files that are
    /// [late](Tolerance::late_files). The default is that of a wait, but that a fetch survives five minutes of errors.
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = Some(tolerance);
        self
    }

    /// Called with every step, and often while bytes move.
    pub fn on_progress(mut self, call: impl Fn(Progress<'_>) + Send + Sync + 'static) -> Self {
        self.on_progress = Arc::new(call);
        self
    }

    /// The folder that the run will have.
    pub fn folder_path(&self) -> PathBuf {
        self.folder.clone().unwrap_or_else(|| self.input.with_extension("run"))
    }

    /// Runs it. Dropping the future stops this side only: a batch that was created goes on.
    ///
    /// # Errors
    /// See [`RunError`], whose variants tell what was paid for by then.
    pub async fn execute(self) -> Result<Report, RunError> {
        steps::execute(self).await
    }

    /// The options of the batch over requests of this hash.
    fn batch_options(&self, sha256: &str) -> BatchOptions {
        self.options.clone().metadata(Self::SHA256, sha256)
    }

    /// Refuses, before anything is sent, options that the create would refuse.
    fn check_options(&self) -> Result<(), Error> {
        if self.options.metadata.contains_key(Self::SHA256) {
            let message = format!("metadata: {} is the run's own; name the pair otherwise", Self::SHA256);
            return Err(Error::invalid(message));
        }
        self.client.shared().dialect().check_batch(&self.batch_options(&"0".repeat(64)))
    }

    /// Refuses, before anything is sent, places that cannot be read, or cannot take the results.
    fn check_places(&self) -> Result<(), RunError> {
        let refuse = |path: &Path, why: &str| Err(RunError::Place { path: path.to_owned(), why: why.to_owned() });
        let folder = self.folder_path();
        match std::fs::metadata(&self.input) {
            Err(error) => return refuse(&self.input, &error.to_string()),
            Ok(input) if input.is_dir() => return refuse(&self.input, "it is a folder; name a file of requests"),
            Ok(input) if !input.is_file() && self.folder.is_none() => {
                return refuse(&self.input, "it is no regular file to stand beside; name the folder of the run");
            }
            Ok(_) => {}
        }
        if folder == self.input {
            return refuse(&folder, "it is the input; name another folder");
        }
        let real = std::fs::canonicalize(&folder).ok();
        if real.is_some() && real == std::env::current_dir().ok() {
            return refuse(&folder, "it is the current folder; name one that is not there yet");
        }
        match &self.output {
            Some(output) => self.check_output(output, &folder),
            None => Ok(()),
        }
    }

    /// Refuses an output that could not be written at the end, or that would replace something of the run.
    fn check_output(&self, output: &Path, folder: &Path) -> Result<(), RunError> {
        let refuse = |why: &str| Err(RunError::Place { path: output.to_owned(), why: why.to_owned() });
        let (real, real_folder) = (resolved(output), resolved(folder));
        if real == real_folder {
            return refuse("it is the folder of the run; name a file");
        }
        if real.starts_with(&real_folder) {
            return refuse("it is in the folder of the run, which keeps its own results; name another file");
        }
        if real == resolved(&self.input) || save::same_file(output, &self.input) {
            return refuse("it is the input; name another file");
        }
        if let Some(why) = Output::ending_fault(output, "results") {
            return refuse(&why);
        }
        // What can be written now can most likely be written later; nothing is left of it.
        let stored = folder::Folder::results_of(folder);
        Output::new(output, self.may_replace(stored)).try_out().or_else(|error| refuse(&error.to_string()))
    }

    /// What the output may replace, of a run that wrote these results last.
    fn may_replace(&self, stored: Option<save::Stored>) -> Replace {
        match stored {
            _ if self.replace_output => Replace::Anything,
            Some(stored) => Replace::Stored(stored),
            None => Replace::Nothing,
        }
    }
}

/// A path as far as it exists without links, and the rest as it is written.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let there = path.ancestors().find_map(|part| Some((part, std::fs::canonicalize(part).ok()?)));
    match there {
        Some((part, real)) => path.strip_prefix(part).map_or_else(
            |_| path.clone(),
            |rest| if rest.as_os_str().is_empty() { real.clone() } else { real.join(rest) },
        ),
        None => path,
    }
}
