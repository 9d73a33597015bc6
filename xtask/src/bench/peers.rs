//! What others made, beside which lote is measured: installed below the folder of builds, when that is asked for.

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::work::word;
use crate::{client::cargo, outside, report::Failure, tee};

/// Where the programs of peers are in the repository.
const SOURCES: &str = "xtask/src/bench/peers";

/// The Python packages, each with its version.
pub(super) const PACKAGES: &str = include_str!("peers/requirements.txt");

/// The peers that are there.
#[derive(Debug, Default)]
pub(super) struct Peers {
    sources: PathBuf,
    python: Option<PathBuf>,
    rust: Option<PathBuf>,
    pub(super) curl: bool,
    /// What is not there, and why.
    pub(super) absent: Vec<String>,
}

impl Peers {
    /// Installs them all; what cannot be installed is named.
    pub(super) fn install(root: &Path, place: &Path, out: &mut dyn Write) -> Result<Self, Failure> {
        let sources = root.join(SOURCES);
        let mut peers = Self { sources, curl: outside::passes(root, "curl", &["--version"]), ..Self::default() };
        if !peers.curl {
            peers.absent.push("curl is not installed".to_owned());
        }
        match virtual_environment(root, &peers.sources, &place.join("python"), out) {
            Ok(python) => peers.python = Some(python),
            Err(failure) => peers.absent.push(format!("Python's: {}", failure.0.problem)),
        }
        match build(&peers.sources.join("rust"), &place.join("rust"), out) {
            Ok(program) => peers.rust = Some(program),
            Err(failure) => peers.absent.push(format!("Rust's: {}", failure.0.problem)),
        }
        Ok(peers)
    }

    /// A script with its arguments, if Python is there.
    pub(super) fn python(&self, script: &str, arguments: &[&str]) -> Option<Vec<String>> {
        let python = self.python.as_deref()?;
        // Isolated, and without byte code in the repository.
        let words = [word(python), "-I".to_owned(), "-B".to_owned(), word(&self.sources.join(script))];
        Some(words.into_iter().chain(arguments.iter().map(|&word| word.to_owned())).collect())
    }

    /// The program of Rust's peers with its arguments, if it was built.
    pub(super) fn rust(&self, arguments: &[&str]) -> Option<Vec<String>> {
        let program = word(self.rust.as_deref()?);
        Some(std::iter::once(program).chain(arguments.iter().map(|&word| word.to_owned())).collect())
    }

    /// Python's version, and curl's.
    pub(super) fn versions(&self) -> Vec<String> {
        let first = |program: &Path| {
            let output = Command::new(program).arg("--version").output().ok()?;
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            Some(text.split_whitespace().take(2).collect::<Vec<_>>().join(" "))
        };
        let curl = self.curl.then_some(Path::new("curl"));
        self.python.as_deref().into_iter().chain(curl).filter_map(first).collect()
    }
}

/// The interpreter of a virtual environment with the packages.
fn virtual_environment(root: &Path, sources: &Path, place: &Path, out: &mut dyn Write) -> Result<PathBuf, Failure> {
    let python = place.join("bin/python");
    let stamp = place.join("installed.txt");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == PACKAGES) {
        return Ok(python);
    }
    writeln!(out, "installing {} Python packages; later runs use them again", PACKAGES.lines().count())?;
    let mut make = Command::new(outside::PYTHON);
    make.args(["-m", "venv", "--clear"]).arg(place).current_dir(root);
    must(make, out)?;
    let mut pip = Command::new(&python);
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-input",
        "--disable-pip-version-check",
        "--only-binary",
        ":all:",
    ])
    .arg("--requirement")
    .arg(sources.join("requirements.txt"));
    must(pip, out)?;
    let made = fs::write(&stamp, PACKAGES);
    made.map_err(|error| Failure::new(format!("{}: {error}", stamp.display()), "let it be written"))?;
    Ok(python)
}

/// The program of Rust's peers.
fn build(project: &Path, place: &Path, out: &mut dyn Write) -> Result<PathBuf, Failure> {
    let mut command = Command::new(cargo());
    command.args(["build", "--release", "--locked", "--quiet", "--target-dir"]).arg(place);
    // In its own folder: it is no part of this workspace.
    command.current_dir(project);
    writeln!(out, "building Rust's peers; later runs use them again")?;
    must(command, out)?;
    Ok(place.join("release").join(format!("peer{}", std::env::consts::EXE_SUFFIX)))
}

/// Runs a command whose failure is the caller's.
fn must(mut command: Command, out: &mut dyn Write) -> Result<(), Failure> {
    let what = super::measure::shown(&command);
    command.stdin(Stdio::null());
    out.flush()?;
    let pass = |bytes: &[u8]| out.write_all(bytes).and_then(|()| out.flush());
    match tee::run(command, None, pass) {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(Failure::new(format!("{what}: {status}"), "see what it says")),
        Err(error) => Err(Failure::new(format!("{what}: {error}"), "install it")),
    }
}
