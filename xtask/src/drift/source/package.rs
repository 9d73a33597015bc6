//! Owns the way to what a Python package says of our operations: the wheel from pip, and the reader in xtask/packages,
//! which prints a document of OpenAPI 3.1. Nothing that was downloaded is imported or run.

use std::{
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::Value;

use crate::drift::{document::Document, fetch::Limits, project::Ours};
use crate::{outside::PYTHON, report::Failure};

/// The reader: a folder that Python runs.
const READER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/packages");
/// pip asks its registry again when it does not answer, and downloads a few megabytes.
const DOWNLOAD: Duration = Duration::from_secs(180);
/// The wheel is for reading, so it is the newest one whatever Python runs here.
const NEWEST_PYTHON: &str = "3.14";
const LONGEST_REASON: u64 = 64 << 10;

/// Whether bytes are a wheel, or were meant to be one.
#[must_use]
pub fn is_wheel(name: &str, bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || Path::new(name).extension().is_some_and(|end| end.eq_ignore_ascii_case("whl"))
}

/// What a wheel says that is in memory, as it came from a URL or standard input.
///
/// # Errors
///
/// As [`read`].
pub fn read_bytes(name: &str, bytes: &[u8], ours: &[Ours], limits: Limits) -> Result<Document, Failure> {
    let cannot = |error| Failure::new(format!("{name} cannot be kept: {error}"), "make room in the temporary folder");
    let mut file = tempfile::NamedTempFile::new().map_err(cannot)?;
    file.write_all(bytes).and_then(|()| file.flush()).map_err(cannot)?;
    read(name, file.path(), ours, limits)
}

/// What a wheel or the folder of a package says of our operations; `name` is what it is called in messages.
///
/// # Errors
///
/// When Python is not there, or the package is of no kind that the reader knows.
pub fn read(name: &str, path: &Path, ours: &[Ours], limits: Limits) -> Result<Document, Failure> {
    let operations = ours.iter().map(|one| format!("{} {}", one.method.to_uppercase(), one.path));
    let mut command = Command::new(PYTHON);
    // Only the standard library: nothing of the environment, of this folder or of what is installed reaches the reader.
    command.args(["-I", "-S", "-B", READER]).arg(path).args(operations);
    let Ended { code, out, error } = run(&mut command, limits.time, limits.bytes)?;
    if code != Some(0) {
        let why = match code {
            Some(_) if !error.is_empty() => error,
            _ => format!("its reader ended early (code {code:?})"),
        };
        return Err(Failure::new(
            format!("{name} cannot be read as a Python package: {why}"),
            "give a wheel or a folder that Speakeasy or Stainless generated; a shape that is new is to be taught to xtask/packages",
        ));
    }
    let mut document = Document::parse(name, &out)?;
    document.is_package = true;
    document.source = format!("{name} ({})", about(&document.root["info"]));
    Ok(document)
}

/// Such as `meetkai-mka1 0.12.128 of 2026-10-27, by Speakeasy`.
fn about(info: &Value) -> String {
    let text = |key: &str| info[key].as_str().unwrap_or("unknown");
    let date =
        info["x-xtask-date"].as_str().map_or_else(|| ", its files not dated".to_owned(), |date| format!(" of {date}"));
    format!("{} {}{date}, by {}", text("title"), text("version"), text("x-xtask-generator"))
}

/// What the newest wheel of a package says of our operations.
///
/// # Errors
///
/// As [`download`] and [`read`].
pub fn newest(package: &str, ours: &[Ours], limits: Limits) -> Result<Document, Failure> {
    let wheel = download(package)?;
    let name = wheel.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    read(&name, &wheel.path, ours, limits)
}

/// A wheel in a folder that lasts as long as this.
#[derive(Debug)]
pub struct Wheel {
    /// The file.
    pub path: PathBuf,
    _folder: tempfile::TempDir,
}

/// Brings a wheel through pip: the newest one of a name, or with `==` the one of a version.
///
/// # Errors
///
/// When pip is not there, or its registry does not have the package or does not answer.
pub fn download(requirement: &str) -> Result<Wheel, Failure> {
    let fix = "check the network and pip's settings, or bring the wheel by other means and give it with --from";
    let failure = |problem: String| Failure::new(problem, fix);
    let folder = tempfile::tempdir().map_err(|error| failure(format!("there is no temporary folder: {error}")))?;
    let mut command = Command::new(PYTHON);
    // From an empty folder, as Python looks for modules where it stands.
    command.current_dir(folder.path());
    command.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-input"]);
    // A wheel is not run by this, and without dependencies nothing else comes.
    command.args(["--only-binary", ":all:", "--no-deps", "--python-version", NEWEST_PYTHON]);
    command.args(["--timeout", "15", "--retries", "2", "--dest"]).arg(folder.path()).arg("--").arg(requirement);
    let Ended { code, error, .. } = run(&mut command, DOWNLOAD, LONGEST_REASON)?;
    if code != Some(0) {
        return Err(failure(format!("pip does not bring {requirement}: {}", error.trim())));
    }
    let entries =
        std::fs::read_dir(folder.path()).map_err(|error| failure(format!("what pip brought is lost: {error}")))?;
    let wheels: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    match wheels.as_slice() {
        [path] => Ok(Wheel { path: path.clone(), _folder: folder }),
        several => Err(failure(format!("pip brought {} files for {requirement}", several.len()))),
    }
}

/// How a command ended.
struct Ended {
    code: Option<i32>,
    out: Vec<u8>,
    error: String,
}

/// Runs a command to its end, within limits on time and on what it prints.
fn run(command: &mut Command, time: Duration, bytes: u64) -> Result<Ended, Failure> {
    let failure = |problem: String| Failure::new(problem, "install Python 3.11 or newer with pip, as python3");
    let spawned = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = spawned.map_err(|error| failure(format!("{PYTHON} cannot be run: {error}")))?;
    let (send, receive) = mpsc::channel();
    collect(child.stdout.take(), bytes, "out", &send);
    collect(child.stderr.take(), LONGEST_REASON, "error", &send);
    let (mut out, mut error) = (Vec::new(), Vec::new());
    let start = std::time::Instant::now();
    for _ in 0..2 {
        match receive.recv_timeout(time.saturating_sub(start.elapsed())) {
            Ok(("out", Ok(read))) => out = read,
            Ok((_, Ok(read))) => error = read,
            Ok((_, Err(why))) => {
                end(&mut child);
                return Err(failure(format!("what {PYTHON} prints cannot be read: {why}")));
            }
            Err(_) => {
                end(&mut child);
                let fix = "check that the package is one; a network may be slow, then give the wheel with --from";
                return Err(Failure::new(
                    format!("{PYTHON} did not come to an end within {} seconds", time.as_secs_f64()),
                    fix,
                ));
            }
        }
    }
    let status = child.wait().map_err(|error| failure(format!("{PYTHON} was lost: {error}")))?;
    Ok(Ended { code: status.code(), out, error: String::from_utf8_lossy(&error).into_owned() })
}

type Read1 = (&'static str, Result<Vec<u8>, String>);

/// Reads a pipe to its end in a thread of its own, as the other pipe has to be read meanwhile.
fn collect(pipe: Option<impl Read + Send + 'static>, most: u64, name: &'static str, send: &mpsc::Sender<Read1>) {
    let send = send.clone();
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let read = pipe.map_or(Ok(0), |pipe| pipe.take(most + 1).read_to_end(&mut bytes));
        let read = match read {
            Ok(_) if bytes.len() as u64 > most => Err(format!("it is more than {most} bytes")),
            Ok(_) => Ok(bytes),
            Err(error) => Err(error.to_string()),
        };
        // Nobody listens when the time is over.
        let _ = send.send((name, read));
    });
}

fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}
