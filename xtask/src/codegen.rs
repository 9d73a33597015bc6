//! Owns `cargo xtask codegen`: which artefacts there are, in which order they are made, and what is said about each.
//! It never prints openapi.yaml from a parsed document, and in the modes that only look it writes nothing.

use std::{
    io::{self, Write},
    path::Path,
};

use serde_json::Value;
use similar::TextDiff;

use crate::{
    client, files, fragment,
    lint::{self, lint},
    report::{CODEGEN, EXIT_FRESH, EXIT_STALE, Failure, Finding},
    schemas, style, table, yaml,
};

/// The contract, from the root of the repository.
pub const CONTRACT: &str = "openapi.yaml";
/// The committed client, from the root of the repository.
pub const CLIENT: &str = "crates/client/src/generated.rs";
/// The page that says what there is, from the root of the repository.
pub const README: &str = "README.md";
/// The fragment of the contract with the schemas of the lines.
pub const LINES: &str = "lines";
/// The column at which texts in the contract are folded.
const WIDTH: usize = 80;

/// What to do with what is stale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Make it fresh.
    Write,
    /// Name it.
    Check,
    /// Show what would change.
    DryRun,
}

/// Something derived: a file, or a part of one, as it is and as it ought to be.
#[derive(Debug)]
pub struct Artefact {
    /// What it is called in the report.
    pub name: String,
    /// The file, from the root of the repository.
    pub path: &'static str,
    /// The whole file as it is; none when it is not there.
    pub old: Option<String>,
    /// The whole file as it ought to be.
    pub new: String,
}

impl Artefact {
    /// Whether the file is as it ought to be.
    #[must_use]
    pub fn is_fresh(&self) -> bool {
        self.old.as_deref() == Some(&self.new)
    }

    /// The finding, when it is not.
    #[must_use]
    pub fn finding(&self) -> Option<Finding> {
        (!self.is_fresh()).then(|| Finding::new(format!("{} is stale", self.name), CODEGEN))
    }

    fn diff(&self) -> String {
        let old = self.old.as_deref().unwrap_or_default();
        let header = (format!("a/{}", self.path), format!("b/{}", self.path));
        TextDiff::from_lines(old, &self.new).unified_diff().header(&header.0, &header.1).to_string()
    }
}

/// The contract with the schemas of the lines, as crates/lines has them, in their fragment.
///
/// # Errors
///
/// When openapi.yaml cannot be read or its markers make no sense.
pub fn fragments(root: &Path) -> Result<Artefact, Failure> {
    let old = files::read(root, CONTRACT)?;
    let region = fragment::region(&old, LINES).map_err(|error| lint::markers(&error))?;
    let schemas = lote_lines::schemas().into_iter().map(|(name, schema)| (name.to_owned(), style::house(schema)));
    let body = yaml::render(&Value::Object(schemas.collect()), WIDTH.saturating_sub(region.indent.len()));
    let new = fragment::splice(&old, LINES, &body).map_err(|error| lint::markers(&error))?;
    Ok(Artefact { name: format!("{CONTRACT} fragment {LINES}"), path: CONTRACT, old: Some(old), new })
}

/// What is made of the contract and of Rust types without the generator: the table of operations in the README, and the
/// JSON Schemas for editors.
///
/// # Errors
///
/// When a file cannot be read, the contract is not YAML, or the README has no markers.
pub fn pages(root: &Path, contract: &str) -> Result<Vec<Artefact>, Failure> {
    let old = files::read(root, README)?;
    let table = table::operations(&lint::parse(contract)?);
    let new = fragment::splice(&old, table::OPERATIONS, &table).map_err(|error| {
        let fix = "put the lines `<!-- xtask:begin operations -->` and `<!-- xtask:end operations -->` back once each";
        Failure::new(format!("{README}: {error}"), fix)
    })?;
    let mut pages =
        vec![Artefact { name: format!("{README} fragment {}", table::OPERATIONS), path: README, old: Some(old), new }];
    for (path, new) in schemas::files() {
        pages.push(Artefact { name: path.to_owned(), path, old: files::read_if_there(root, path)?, new });
    }
    Ok(pages)
}

/// The committed client, next to the one that build.rs has made of openapi.yaml.
///
/// # Errors
///
/// When the committed client is there and cannot be read.
pub fn client(root: &Path, generated: String) -> Result<Artefact, Failure> {
    let old = files::read_if_there(root, CLIENT)?;
    Ok(Artefact { name: CLIENT.to_owned(), path: CLIENT, old, new: generated })
}

/// Everything that `codegen --check` would find in the repository at `root`, where build.rs has made `generated`.
///
/// # Errors
///
/// As `codegen --check` fails: a file is missing, or openapi.yaml is not YAML.
pub fn problems(root: &Path, generated: &str) -> Result<Vec<Finding>, Failure> {
    let fragments = fragments(root)?;
    let mut findings = lint(&fragments.new)?;
    findings.extend(fragments.finding());
    findings.extend(client(root, generated.to_owned())?.finding());
    findings.extend(pages(root, &fragments.new)?.iter().filter_map(Artefact::finding));
    Ok(findings)
}

/// Runs `codegen` on the repository at `root`, reports to `out`, and returns the exit code: 0 when everything is fresh
/// or was written, 4 when something is stale or the lint has findings.
///
/// # Errors
///
/// When it cannot be known or made: a file is missing or cannot be written, openapi.yaml is not YAML, or the build of
/// the root package fails.
pub fn run(root: &Path, mode: Mode, out: &mut dyn Write) -> Result<u8, Failure> {
    let fragments = fragments(root)?;
    let pages = pages(root, &fragments.new)?;
    // Of the contract as it will be, so that what is stale in a fragment is not also a finding; and before anything is
    // written, so that a contract that does not parse is left alone.
    let findings = lint(&fragments.new)?;
    if findings.is_empty() {
        writeln!(out, "clean: {CONTRACT}")?;
    }
    for finding in &findings {
        writeln!(out, "{finding}")?;
    }
    // Fragments before the client: build.rs reads openapi.yaml.
    let mut clean = findings.is_empty();
    for artefact in std::iter::once(&fragments).chain(&pages) {
        clean &= settle(root, artefact, mode, out)?;
    }
    // The build takes a while when it is the first.
    out.flush()?;

    let client = client(root, client::generate(root, mode != Mode::Write)?)?;
    clean &= settle(root, &client, mode, out)?;
    Ok(if clean { EXIT_FRESH } else { EXIT_STALE })
}

/// Writes or reports one artefact; whether nothing is left to do.
fn settle(root: &Path, artefact: &Artefact, mode: Mode, out: &mut dyn Write) -> Result<bool, Failure> {
    let Some(finding) = artefact.finding() else {
        writeln!(out, "fresh: {}", artefact.name)?;
        return Ok(true);
    };
    let print = |out: &mut dyn Write, text: &dyn std::fmt::Display| -> io::Result<()> {
        writeln!(out, "stale: {}", artefact.name)?;
        writeln!(out, "{text}")
    };
    match mode {
        Mode::Write => {
            if let (None, Some(folder)) = (&artefact.old, root.join(artefact.path).parent()) {
                let cannot = |error| {
                    let problem = format!("the folder of {} cannot be made: {error}", artefact.path);
                    Failure::new(problem, "make it")
                };
                std::fs::create_dir_all(folder).map_err(cannot)?;
            }
            files::write(root, artefact.path, &artefact.new)?;
            writeln!(out, "wrote: {}", artefact.name)?;
        }
        Mode::Check => print(out, &finding)?,
        Mode::DryRun => print(out, &artefact.diff())?,
    }
    Ok(mode == Mode::Write)
}
