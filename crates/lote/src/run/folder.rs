//! The folder of a run on disk: what is in it, and that each step is durable before the next.

use std::{
    fmt, fs,
    io::{self, BufReader, BufWriter, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use tempfile::TempDir;

use super::RunError;
use crate::{
    Batch, BatchId, FileId, Status, UnixSeconds,
    lines::{CheckOptions, Checked, Finding, FindingGroups, check},
    save,
};

/// The number of the format of `run.json`.
const FORMAT: u32 = 1;

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
}

impl Record {
    /// Whether there is, or may be, a batch whose results are not in the folder.
    pub fn may_go_on(&self) -> bool {
        matches!(self.stage, Stage::Creating | Stage::Created | Stage::Ended)
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

/// The folder of a run.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
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

    /// Checks the input while copying it, and makes the folder appear only when it is fit to be sent.
    pub(super) fn prepare(
        path: PathBuf,
        input: &Path,
        options: &CheckOptions,
        service: Service,
        wanted: impl Fn() -> bool,
    ) -> Result<(Self, Checked), RunError> {
        refuse_held(&path)?;
        let failed = |doing: &str, at: &Path| {
            let doing = format!("{doing} {}", at.display());
            move |error| RunError::Io { doing, error, batch: None }
        };
        let source = fs::File::open(input).map_err(failed("open", input))?;
        let beside = staging(&path).map_err(failed("make a folder for", &path))?;
        let requests = beside.path().join(Self::REQUESTS);
        let mut sink = BufWriter::new(fs::File::create(&requests).map_err(failed("make", &requests))?);

        let mut findings = Vec::new();
        let mut groups = FindingGroups::new(RunError::MAX_FINDINGS);
        let mut keep = |finding: Finding| {
            if findings.len() < RunError::MAX_FINDINGS {
                findings.push(finding.clone());
            }
            groups.push(finding);
        };
        let source = BufReader::with_capacity(256 << 10, source);
        let checked = check(source, options, &mut keep, Some(&mut sink)).map_err(failed("copy", input))?;
        if checked.findings > 0 {
            return Err(RunError::Input { checked: Box::new(checked), findings, groups });
        }
        let file = sink.into_inner().map_err(|error| failed("write", &requests)(error.into_error()))?;
        file.sync_all().map_err(failed("write", &requests))?;

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
        };
        let mut folder = Self { path: beside.path().to_owned(), record };
        folder.write_record().map_err(failed("write in", &path))?;
        if !wanted() {
            let error = io::Error::from(io::ErrorKind::Interrupted);
            return Err(failed("make", &path)(error));
        }
        // Of two runs at once, one gets the name: a folder is not renamed over one that is not empty.
        fs::rename(beside.path(), &path).map_err(|error| match refuse_held(&path) {
            Err(held) => held,
            Ok(()) => failed("make", &path)(error),
        })?;
        let _ = beside.keep();
        // From here on this is the folder to remove if the run ends early.
        folder.path = path;
        save::sync_folder(save::folder(&folder.path)).map_err(failed("make", &folder.path))?;
        Ok((folder, checked))
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// Writes down a step, durably.
    pub(super) fn reached(&mut self, stage: Stage) -> Result<(), RunError> {
        self.record.stage = stage;
        self.write_record().map_err(|error| self.failed("write", Self::RECORD, error))
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
        json(value)
            .and_then(|text| save::write(&self.join(name), &text))
            .map_err(|error| self.failed("write", name, error))
    }

    /// Takes the folder away again, when there is no batch. Only what a run puts there goes.
    pub(super) fn remove(&self) {
        for name in [Self::REQUESTS, Self::RECORD] {
            // What cannot be removed is refused, with its record, by the next run.
            let _ = fs::remove_file(self.join(name));
        }
        let _ = fs::remove_dir(&self.path);
    }

    pub(super) fn failed(&self, doing: &str, name: &str, error: io::Error) -> RunError {
        let doing = format!("{doing} {}", self.join(name).display());
        RunError::Io { doing, error, batch: self.record.batch_id.clone() }
    }

    fn write_record(&self) -> io::Result<()> {
        save::write(&self.join(Self::RECORD), &json(&self.record)?)
    }
}

impl Drop for Folder {
    /// A run that ends before its create was begun, by an error or because nobody waits for it, leaves nothing.
    fn drop(&mut self) {
        if self.record.stage < Stage::Creating {
            self.remove();
        }
    }
}

/// JSON for people to read.
fn json(value: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut text = serde_json::to_vec_pretty(value)?;
    text.write_all(b"\n")?;
    Ok(text)
}

/// Refuses a folder that holds a run, or anything at all.
fn refuse_held(path: &Path) -> Result<(), RunError> {
    let held = |record| Err(RunError::Held { folder: path.to_owned(), record });
    let record = fs::read(path.join(Folder::RECORD)).ok();
    match record {
        Some(text) => held(serde_json::from_slice(&text).ok().map(Box::new)),
        None => match fs::read_dir(path) {
            Ok(mut entries) => entries.next().map_or(Ok(()), |_| held(None)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(RunError::Place { path: path.to_owned(), why: error.to_string() }),
        },
    }
}

/// A folder beside the final one, on the same file system, which goes again when it is dropped.
fn staging(path: &Path) -> io::Result<TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".lote-run-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    builder.tempdir_in(save::folder(path))
}
