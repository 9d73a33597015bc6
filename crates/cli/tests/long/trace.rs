//! Runs `lote` under a tracer (`trace.c`, built here by the C compiler that Rust links with), which sees every system call
//! by which it changes its folder, and kills it there or lets the disk be full. Nothing of that is in the product.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use tempfile::TempDir;

/// The tracer, built once for all tests of this program.
static TRACER: LazyLock<(TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let tracer = folder.path().join("trace");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/long/trace.c");
    let built = Command::new("cc").args(["-O1", "-Wall", "-Werror", "-o"]).arg(&tracer).arg(source).status();
    assert!(built.expect("a C compiler").success(), "{source} does not build");
    (folder, tracer)
});

/// A step by which a process changes its folder: what is done to what, and the how-manieth such step it is, from 1.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Step {
    /// `sync`, `name`, `write` and so on, as `trace.c` lists them.
    pub(crate) kind: String,
    /// The path in the folder; `*` stands for a temporary name.
    pub(crate) label: String,
    pub(crate) nth: u32,
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} #{}", self.kind, self.label, self.nth)
    }
}

/// What the tracer has seen.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    pub(crate) steps: Vec<Step>,
    /// Whether the plan was carried out.
    pub(crate) here: bool,
}

/// `lote` with these arguments in a folder, under the tracer. The plan is one of those that `trace.c` explains; without a
/// step it is `count`.
pub(crate) fn traced(lote: &Command, place: &Path, report: &Path, plan: &str, step: Option<&Step>) -> Command {
    let mut command = Command::new(&TRACER.1);
    command.arg(place).arg(report);
    match step {
        Some(Step { kind, label, nth }) => command.args([plan, kind, label, &nth.to_string()]),
        None => command.args(["count", "-", "-", "0"]),
    };
    command.arg("--").arg(lote.get_program()).args(lote.get_args()).current_dir(place);
    for (name, value) in lote.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

/// Reads what the tracer has reported.
pub(crate) fn seen(report: &Path) -> Seen {
    let (mut seen, mut counts) = (Seen::default(), BTreeMap::new());
    for line in fs::read_to_string(report).unwrap_or_default().lines() {
        match line.split_once(' ') {
            Some((kind, label)) => {
                let nth = counts.entry(line.to_owned()).and_modify(|nth| *nth += 1).or_insert(1);
                seen.steps.push(Step { kind: kind.to_owned(), label: label.to_owned(), nth: *nth });
            }
            None => seen.here |= line == "here",
        }
    }
    seen
}
