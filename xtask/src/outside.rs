//! Owns the way to the scripts in tests/clients, which run tools that are not ours against the built `lote`.
//! It never installs or judges anything itself.

use std::{
    io::{Read, Seek, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::{client::cargo, report::Failure, tee};

/// The Python that is looked for.
pub const PYTHON: &str = "python3";
const SCRIPT: &str = "tests/clients/run.py";
/// What builds the command. With a test beside it, dependencies have the features that tests ask for: what the steps
/// `tests` and `full` have built is taken as it is, where else tokio and all above it would be built once more.
const BUILD: [&str; 6] = ["build", "--workspace", "--bin", BINARY, "--test", "cli"];
/// The same for the full shape.
pub(crate) const BUILD_FULL: [&str; 8] =
    ["build", "--workspace", "--features", "lote-cli/full", "--bin", BINARY, "--test", "full"];
/// The steps that need the full shape.
const FULL: [&str; 2] = ["tables", "python"];
const BINARY: &str = "lote";
/// The exit code of the script when nothing of the step can run on this machine.
const EXIT_SKIPPED: i32 = 77;
/// What a line begins with that says what was left out.
const SKIPPED: &str = "skipped: ";

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// What ran passed.
    Passed {
        /// What did not run, and why.
        left_out: Vec<String>,
    },
    /// Something did not pass; what was printed says what.
    Failed,
    /// Nothing ran.
    Skipped {
        /// Why.
        reason: String,
    },
}

/// A step as it would be typed.
#[must_use]
pub fn command(step: &str) -> String {
    format!("cargo {} && {PYTHON} {SCRIPT} {step}", words(step).join(" "))
}

/// The words of cargo that build `lote` for a step.
fn words(step: &str) -> &'static [&'static str] {
    if FULL.contains(&step) { &BUILD_FULL } else { &BUILD }
}

/// Whether a program is there and succeeds with these words.
#[must_use]
pub fn passes(root: &Path, program: &str, words: &[&str]) -> bool {
    let status = Command::new(program)
        .args(words)
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    status.is_ok_and(|status| status.success())
}

/// Builds `lote` and runs a step of the script with it. What the script prints is passed on line by line.
///
/// # Errors
///
/// When `lote` does not build, or the script cannot be run.
pub fn run(root: &Path, step: &str, out: &mut dyn Write) -> Result<Ended, Failure> {
    let cannot = |error| Failure::new(format!("{PYTHON} {SCRIPT} cannot be run: {error}"), "restore tests/clients");
    let binary = build_with(root, words(step), out)?;
    let mut command = Command::new(PYTHON);
    // No byte code in the repository.
    command.args(["-B", SCRIPT, step, "--lote"]).arg(binary).current_dir(root).stdin(Stdio::null());
    let mut text = Vec::new();
    let status = tee::run(command, None, |bytes| {
        text.extend_from_slice(bytes);
        out.write_all(bytes).and_then(|()| out.flush())
    });
    let code = status.map_err(cannot)?.code();
    if text.last().is_some_and(|byte| *byte != b'\n') {
        writeln!(out)?;
    }
    let text = String::from_utf8_lossy(&text);
    let left_out: Vec<String> = text.lines().filter_map(|line| line.strip_prefix(SKIPPED)).map(str::to_owned).collect();
    Ok(match code {
        Some(0) => Ended::Passed { left_out },
        Some(EXIT_SKIPPED) => Ended::Skipped { reason: left_out.join("; ") },
        _ => Ended::Failed,
    })
}

/// The program `lote`, built.
pub(crate) fn build(root: &Path, out: &mut dyn Write) -> Result<PathBuf, Failure> {
    build_with(root, &BUILD, out)
}

/// The program in its full shape, built.
pub(crate) fn build_full(root: &Path, out: &mut dyn Write) -> Result<PathBuf, Failure> {
    build_with(root, &BUILD_FULL, out)
}

fn build_with(root: &Path, words: &[&str], out: &mut dyn Write) -> Result<PathBuf, Failure> {
    let cannot = |error| Failure::new(format!("cargo cannot be run: {error}"), "install Rust");
    let mut command = Command::new(cargo());
    command
        .args(words)
        .args(["--quiet", "--message-format=json-render-diagnostics"])
        .current_dir(root)
        .stdin(Stdio::null());
    let mut messages = tempfile::tempfile().map_err(cannot)?;
    let pass = |bytes: &[u8]| out.write_all(bytes).and_then(|()| out.flush());
    let status = tee::run(command, Some(messages.try_clone().map_err(cannot)?), pass).map_err(cannot)?;
    let mut read = Vec::new();
    messages.rewind().and_then(|()| messages.read_to_end(&mut read)).map_err(cannot)?;
    let messages = String::from_utf8_lossy(&read);
    match messages.lines().find_map(executable) {
        Some(path) if status.success() => Ok(path),
        _ => Err(Failure::new(format!("cargo {} leaves no program", words.join(" ")), "correct what cargo says above")),
    }
}

/// The path in a message of cargo, when the message is about `lote`.
fn executable(message: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(message).ok()?;
    let ours = message["reason"] == "compiler-artifact" && message["target"]["name"] == BINARY;
    ours.then(|| message["executable"].as_str().map(PathBuf::from))?
}
