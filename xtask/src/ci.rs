//! Owns the list of what CI runs, and its report. It never stops at the first step that fails, and never keeps back
//! what a step prints.

use std::{
    ffi::OsStr,
    io::Write,
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    client::cargo,
    codegen::{self, Mode},
    report::{CODEGEN, EXIT_FRESH, EXIT_STALE, Failure, Finding},
};

/// One step of CI.
struct Step {
    name: &'static str,
    /// What it runs; none is `codegen --check`, in this process.
    cargo: Option<&'static [&'static str]>,
    environment: &'static [(&'static str, &'static str)],
    /// Commands of cargo that must work, or else the step is skipped.
    needs: &'static [Need],
    /// What to do when it fails.
    fix: &'static str,
}

/// A command of cargo, and what its failure means.
struct Need {
    cargo: &'static [&'static str],
    otherwise: &'static str,
}

const DENY: Need = Need { cargo: &["deny", "--version"], otherwise: "cargo-deny is not installed" };

const STEPS: [Step; 7] = [
    Step {
        name: "format",
        cargo: Some(&["fmt", "--all", "--check"]),
        environment: &[],
        needs: &[Need { cargo: &["fmt", "--version"], otherwise: "rustfmt is not installed" }],
        fix: "cargo fmt --all",
    },
    Step {
        name: "lints",
        cargo: Some(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]),
        environment: &[],
        needs: &[Need { cargo: &["clippy", "--version"], otherwise: "clippy is not installed" }],
        fix: "correct what clippy says above",
    },
    Step {
        name: "docs",
        cargo: Some(&["doc", "--workspace", "--no-deps"]),
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
        needs: &[],
        fix: "correct what rustdoc says above",
    },
    Step { name: "codegen", cargo: None, environment: &[], needs: &[], fix: CODEGEN },
    Step {
        name: "tests",
        cargo: Some(&["test", "--workspace"]),
        environment: &[],
        needs: &[],
        fix: "correct what the tests say above",
    },
    Step {
        name: "dependencies",
        cargo: Some(&["deny", "--workspace", "check", "bans", "licenses", "sources"]),
        environment: &[],
        needs: &[DENY],
        fix: "correct what cargo-deny says above, or deny.toml",
    },
    Step {
        name: "advisories",
        cargo: Some(&["deny", "--workspace", "check", "advisories"]),
        environment: &[],
        needs: &[DENY, Need { cargo: &["deny", "fetch", "db"], otherwise: "the advisories cannot be fetched" }],
        fix: "cargo update, or answer the advisory in deny.toml",
    },
];

/// The names of the steps, in their order.
#[must_use]
pub fn names() -> [&'static str; STEPS.len()] {
    STEPS.map(|step| step.name)
}

enum Outcome {
    Passed,
    Failed(&'static str),
    Skipped(&'static str),
}

/// Runs the steps that are named, or all of them when none is, in the repository at `root`; says how each ended; and
/// returns the exit code: 0 when none failed, otherwise 4. Steps whose tool is not on this machine are skipped.
///
/// # Errors
///
/// When cargo cannot be run or the report cannot be printed.
pub fn run(root: &Path, only: &[String], out: &mut dyn Write) -> Result<u8, Failure> {
    let mut ended = Vec::new();
    for step in STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)) {
        let what =
            step.cargo.map_or_else(|| format!("{CODEGEN} --check"), |words| format!("cargo {}", words.join(" ")));
        writeln!(out, "== {}: {what}", step.name)?;
        out.flush()?;
        let start = Instant::now();
        let outcome = one(step, root, out)?;
        if let Outcome::Skipped(reason) = outcome {
            writeln!(out, "skipped: {reason}")?;
        }
        ended.push((step, outcome, start.elapsed().as_secs_f64()));
    }

    writeln!(out, "== summary")?;
    let mut code = EXIT_FRESH;
    for (step, outcome, seconds) in ended {
        let name = step.name;
        match outcome {
            Outcome::Passed => writeln!(out, "passed: {name} ({seconds:.1} s)")?,
            Outcome::Skipped(reason) => writeln!(out, "skipped: {name} ({reason})")?,
            Outcome::Failed(fix) => {
                code = EXIT_STALE;
                writeln!(out, "failed: {name} ({seconds:.1} s)\n{}", Finding::new(format!("step {name} failed"), fix))?;
            }
        }
    }
    out.flush()?;
    Ok(code)
}

fn one(step: &Step, root: &Path, out: &mut dyn Write) -> Result<Outcome, Failure> {
    for need in step.needs {
        if !cargo_passes(root, need.cargo, &[], &Stdio::null)? {
            return Ok(Outcome::Skipped(need.otherwise));
        }
    }
    let passed = match step.cargo {
        Some(words) => cargo_passes(root, words, step.environment, &Stdio::inherit)?,
        // What keeps codegen from an answer fails this step, not the others.
        None => match codegen::run(root, Mode::Check, out) {
            Ok(code) => code == EXIT_FRESH,
            Err(failure) => {
                writeln!(out, "{failure}")?;
                false
            }
        },
    };
    Ok(if passed { Outcome::Passed } else { Outcome::Failed(step.fix) })
}

/// Whether a command of cargo succeeds.
fn cargo_passes(
    root: &Path,
    words: &[&str],
    environment: &[(&str, &str)],
    output: &dyn Fn() -> Stdio,
) -> Result<bool, Failure> {
    let status = Command::new(cargo())
        .args(words)
        .envs(environment.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))))
        .current_dir(root)
        .stdin(Stdio::null())
        .stdout(output())
        .stderr(output())
        .status()
        .map_err(|error| Failure::new(format!("cargo cannot be run: {error}"), "install Rust"))?;
    Ok(status.success())
}
