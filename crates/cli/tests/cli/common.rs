//! Owns the starting of the real binary for the tests; never asserts what it prints.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// What a finished `lote` left behind.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

/// `lote` with an environment in which no setting is made.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lote"));
    for name in ["LOTE_BASE_URL", "LOTE_API_KEY", "LOTE_ON_BEHALF_OF", "LOTE_DIALECT"] {
        command.env_remove(name);
    }
    // What is tried again is the library's, and tested there: here every answer counts.
    command.env("LOTE_RETRIES", "0");
    command.env("COLUMNS", "100").stdin(Stdio::null());
    command
}

pub(crate) fn lote<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>) -> Ended {
    lote_with(args, b"")
}

/// Runs `lote` with these bytes on its stdin.
pub(crate) fn lote_with<A: AsRef<OsStr>>(args: impl IntoIterator<Item = A>, stdin: &[u8]) -> Ended {
    ended(command().args(args), stdin)
}

/// Runs a command with these bytes on its stdin.
pub(crate) fn ended(command: &mut Command, stdin: &[u8]) -> Ended {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    let mut pipe = child.stdin.take().expect("stdin is a pipe");
    let stdin = stdin.to_vec();
    // A command that refuses its flags does not read stdin: a closed pipe is fine.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("stdin is written");
    Ended {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

/// A folder of its own for one test, with files in it.
pub(crate) fn folder(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).expect("the file is written");
    }
    folder
}

/// The names in a folder, sorted.
pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = std::fs::read_dir(folder)
        .expect("the folder exists")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

/// A path from the root of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path)
}

/// Waits until this holds; fails the test after half a minute.
pub(crate) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = std::time::Instant::now();
    while !holds() {
        assert!(start.elapsed().as_secs() < 30, "it never came about that {what}");
        std::thread::yield_now();
    }
}

/// Sends a signal to a process: INT, TERM, HUP or KILL.
#[cfg(unix)]
pub(crate) fn signal(child: &std::process::Child, name: &str) {
    let status = Command::new("kill").args([&format!("-{name}"), &child.id().to_string()]).status();
    assert!(status.expect("kill starts").success());
}

/// The GSM8K test questions, which are beside the repository where they are at all.
#[expect(clippy::print_stderr, reason = "a skipped test says so")]
pub(crate) fn gsm8k() -> Option<PathBuf> {
    let path = repository("../shared/data/gsm8k-test.jsonl");
    if path.exists() {
        Some(path)
    } else {
        eprintln!("skipped: {} is absent", path.display());
        None
    }
}
