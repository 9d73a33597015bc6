//! The list of what CI runs, and its report. Every step runs, also after one that failed, and what a step prints is
//! passed on. The end of what a failed one printed stands in the summary again.

use std::{
    ffi::OsStr,
    io::{self, Write},
    path::Path,
    process::{Command, Stdio},
    time::Instant,
};

use crate::{
    archive, bench,
    client::cargo,
    codegen::{self, Mode},
    outside, packages,
    report::{CODEGEN, EXIT_FRESH, EXIT_STALE, Failure, Finding},
    tee::{self, Tee},
};

/// One step of CI.
struct Step {
    name: &'static str,
    runs: Runs,
    /// Commands that must work, or else the step is skipped.
    needs: &'static [Need],
    /// What to do when it fails.
    fix: &'static str,
    /// Why CI's own machine may skip it. Any other step that is skipped there fails.
    excused: Option<&'static str>,
}

#[derive(Clone, Copy)]
enum Runs {
    /// Words of cargo, and the environment they need.
    Cargo(&'static [&'static str], &'static [(&'static str, &'static str)]),
    /// `codegen --check`, in this process.
    Codegen,
    /// Clients that are not ours, against the gateway.
    Outside(&'static str),
    /// The crates compiled from their packages.
    Packages,
    /// The archive of a release, made and looked at.
    Archive,
    /// Every work of `bench`, with little data.
    Bench,
}

/// A command, and what its failure means.
struct Need {
    program: Program,
    words: &'static [&'static str],
    otherwise: &'static str,
}

#[derive(Clone, Copy)]
enum Program {
    Cargo,
    Python,
    PkgConfig,
    Shell,
}

const DENY: Need =
    Need { program: Program::Cargo, words: &["deny", "--version"], otherwise: "cargo-deny is not installed" };

const PYTHON: [Need; 2] = [
    Need {
        program: Program::Python,
        words: &["-c", "import sys; sys.exit(sys.version_info < (3, 11))"],
        otherwise: "python3 (3.11 or newer) is not installed",
    },
    Need {
        program: Program::Python,
        words: &["-c", "import ensurepip, os, venv; os.killpg"],
        otherwise: "python3 has no module venv or ensurepip, or this is not a Unix",
    },
];

const STEPS: [Step; 22] = [
    Step {
        name: "format",
        runs: Runs::Cargo(&["fmt", "--all", "--check"], &[]),
        needs: &[Need { program: Program::Cargo, words: &["fmt", "--version"], otherwise: "rustfmt is not installed" }],
        fix: "cargo fmt --all",
        excused: None,
    },
    Step {
        name: "lints",
        runs: Runs::Cargo(&["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"], &[]),
        needs: &[Need {
            program: Program::Cargo,
            words: &["clippy", "--version"],
            otherwise: "clippy is not installed",
        }],
        fix: "correct what clippy says above",
        excused: None,
    },
    Step {
        // What the full shape adds: all else is what `lints` has looked at.
        name: "full-lints",
        runs: Runs::Cargo(
            &[
                "clippy",
                "--workspace",
                "--features",
                "lote-cli/full",
                "--lib",
                "--bin",
                "lote",
                "--test",
                "full",
                "--",
                "-D",
                "warnings",
            ],
            &[],
        ),
        needs: &[Need {
            program: Program::Cargo,
            words: &["clippy", "--version"],
            otherwise: "clippy is not installed",
        }],
        fix: "correct what clippy says above",
        excused: None,
    },
    Step {
        name: "features",
        runs: Runs::Cargo(
            &["check", "--package", "lote", "--no-default-features", "--features", "bundled-roots,webhook"],
            &[],
        ),
        needs: &[],
        fix: "correct what the compiler says above",
        excused: None,
    },
    Step {
        name: "blocking",
        runs: Runs::Cargo(&["check", "--package", "lote", "--features", "blocking"], &[]),
        needs: &[],
        fix: "correct what the compiler says above",
        excused: None,
    },
    Step {
        name: "native-tls",
        runs: Runs::Cargo(&["check", "--package", "lote", "--no-default-features", "--features", "native-tls"], &[]),
        needs: &[Need {
            program: Program::PkgConfig,
            words: &["--exists", "openssl"],
            otherwise: "OpenSSL's headers, or pkg-config, are not installed",
        }],
        fix: "correct what the compiler says above",
        excused: None,
    },
    Step {
        // With an example, so that dependencies have the features that tests ask for, and were checked by `full-lints`.
        name: "docs",
        runs: Runs::Cargo(
            &[
                "doc",
                "--workspace",
                "--no-deps",
                "--lib",
                "--example",
                "first_batch",
                "--features",
                "lote-cli/full,lote/blocking,lote/schema,lote/webhook,lote-lines/schemas",
            ],
            &[("RUSTDOC", ".ci/rustdoc"), ("RUSTDOCFLAGS", "-D warnings --cfg docsrs")],
        ),
        needs: &[Need {
            program: Program::Shell,
            words: &["-c", "command -v rustdoc"],
            otherwise: "there is no shell",
        }],
        fix: "correct what rustdoc says above",
        excused: None,
    },
    Step { name: "codegen", runs: Runs::Codegen, needs: &[], fix: CODEGEN, excused: None },
    Step {
        name: "tests",
        runs: Runs::Cargo(&["test", "--workspace"], &[]),
        needs: &[],
        fix: "correct what the tests say above",
        excused: None,
    },
    Step {
        name: "full",
        runs: Runs::Cargo(
            &["test", "--workspace", "--features", "lote-cli/full", "--bin", "lote", "--test", "full"],
            &[],
        ),
        needs: &[],
        fix: "correct what the tests say above",
        excused: None,
    },
    Step {
        // The unit tests of what the full shape adds to the crates; `tests` has run all others.
        name: "full-units",
        runs: Runs::Cargo(
            &[
                "test",
                "--workspace",
                "--features",
                "lote-cli/full",
                "--lib",
                "--",
                "blobs::",
                "expect::",
                "postgres::",
                "tokens::",
            ],
            &[],
        ),
        needs: &[],
        fix: "correct what the tests say above",
        excused: None,
    },
    Step {
        name: "schemathesis",
        runs: Runs::Outside("schemathesis"),
        needs: &PYTHON,
        fix: "correct the gateway or openapi.yaml as schemathesis says above",
        excused: None,
    },
    Step {
        name: "clients",
        runs: Runs::Outside("clients"),
        needs: &PYTHON,
        fix: "correct the gateway as the client says above",
        excused: None,
    },
    Step {
        name: "tables",
        runs: Runs::Outside("tables"),
        needs: &PYTHON,
        fix: "correct lote export as the reader says above",
        excused: None,
    },
    Step {
        // After `tables`, whose command it puts into its wheel.
        name: "python",
        runs: Runs::Outside("python"),
        needs: &PYTHON,
        fix: "correct the package in python/, or its pages, as its tests say above",
        excused: None,
    },
    Step {
        // After `tables`, which leaves the full command where this step looks for it.
        name: "cluster",
        runs: Runs::Cargo(
            &["test", "--manifest-path", "tests/cluster/Cargo.toml"],
            &[("CARGO_TARGET_DIR", "target/cluster")],
        ),
        needs: &[Need {
            program: Program::Shell,
            words: &["-c", "command -v initdb || ls /usr/lib/postgresql/*/bin/initdb"],
            otherwise: "PostgreSQL's programs are not installed",
        }],
        fix: "correct the gateway's state as the tests say above",
        excused: None,
    },
    Step {
        name: "cluster-lints",
        runs: Runs::Cargo(
            &["clippy", "--manifest-path", "tests/cluster/Cargo.toml", "--all-targets", "--", "-D", "warnings"],
            &[("CARGO_TARGET_DIR", "target/cluster")],
        ),
        needs: &[Need {
            program: Program::Cargo,
            words: &["clippy", "--version"],
            otherwise: "clippy is not installed",
        }],
        fix: "correct what clippy says above",
        excused: None,
    },
    Step {
        name: "packages",
        runs: Runs::Packages,
        needs: &[],
        fix: "let each package hold what its crate needs",
        excused: None,
    },
    Step {
        // After `tables`, which leaves the full command.
        name: "archive",
        runs: Runs::Archive,
        needs: &[Need {
            program: Program::Shell,
            words: &["-c", "command -v tar && command -v git"],
            otherwise: "tar or git is not installed",
        }],
        fix: "correct the archive, or lote man and lote completions, as is said above",
        excused: None,
    },
    Step {
        name: "bench",
        runs: Runs::Bench,
        needs: &[],
        fix: "correct what does not run, or does not say what it should",
        excused: None,
    },
    Step {
        name: "dependencies",
        runs: Runs::Cargo(
            &["deny", "--workspace", "check", "--hide-inclusion-graph", "bans", "licenses", "sources"],
            &[],
        ),
        needs: &[DENY],
        fix: "correct what cargo-deny says above, or deny.toml",
        excused: None,
    },
    Step {
        name: "advisories",
        runs: Runs::Cargo(&["deny", "--workspace", "check", "advisories"], &[]),
        needs: &[
            DENY,
            Need {
                program: Program::Cargo,
                words: &["deny", "fetch", "db"],
                otherwise: "the advisories cannot be fetched",
            },
        ],
        fix: "cargo update, or answer the advisory in deny.toml",
        excused: Some("the database of advisories is a repository that a closed network does not reach"),
    },
];

/// The names of the steps, in their order.
#[must_use]
pub fn names() -> [&'static str; STEPS.len()] {
    STEPS.map(|step| step.name)
}

enum Outcome {
    /// With what it left out, if it says so.
    Passed(Vec<String>),
    Failed(&'static str),
    Skipped(String),
}

/// Runs the steps that are named, or all of them when none is, in the repository at `root`; says how each ended; and
/// returns the exit code: 0 when none failed, otherwise 4. Steps whose tool is not on this machine are skipped; with
/// `CI=true` in the environment a skipped step has failed, unless its entry says why it may be.
///
/// # Errors
///
/// When cargo cannot be run or the report cannot be printed.
pub fn run(root: &Path, only: &[String], out: &mut dyn Write) -> Result<u8, Failure> {
    let on_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    let mut ended = Vec::new();
    for step in STEPS.iter().filter(|step| only.is_empty() || only.iter().any(|name| name == step.name)) {
        let what = match step.runs {
            Runs::Cargo(words, _) => format!("cargo {}", words.join(" ")),
            Runs::Codegen => format!("{CODEGEN} --check"),
            Runs::Outside(step) => outside::command(step),
            Runs::Packages => "cargo xtask packages".to_owned(),
            Runs::Archive => "cargo xtask archive, of the full command".to_owned(),
            Runs::Bench => "cargo xtask bench --quick".to_owned(),
        };
        writeln!(out, "== {}: {what}", step.name)?;
        out.flush()?;
        let start = Instant::now();
        let mut tee = Tee::new(out);
        let outcome = one(step, root, &mut tee)?;
        let printed = tee.into_lines();
        if let Outcome::Skipped(reason) = &outcome {
            writeln!(out, "skipped: {reason}")?;
        }
        ended.push((step, outcome, start.elapsed().as_secs_f64(), printed));
    }

    writeln!(out, "== summary")?;
    let (mut code, mut failed) = (EXIT_FRESH, Vec::new());
    for (step, outcome, seconds, printed) in ended {
        let name = step.name;
        match outcome {
            Outcome::Passed(left_out) => {
                writeln!(out, "passed: {name} ({seconds:.1} s)")?;
                for what in left_out {
                    writeln!(out, "skipped: {name}: {what}")?;
                }
            }
            Outcome::Skipped(reason) if on_ci && step.excused.is_none() => {
                code = EXIT_STALE;
                let problem = format!("step {name} was skipped on CI: {reason}");
                writeln!(out, "failed: {name}\n{}", Finding::new(problem, "let .ci/run install what the step needs"))?;
            }
            Outcome::Skipped(reason) => {
                writeln!(out, "skipped: {name} ({reason})")?;
                if let Some(why) = step.excused.filter(|_| on_ci) {
                    writeln!(out, "  allowed: {why}")?;
                }
            }
            Outcome::Failed(fix) => {
                code = EXIT_STALE;
                writeln!(out, "failed: {name} ({seconds:.1} s)\n{}", Finding::new(format!("step {name} failed"), fix))?;
                failed.push((name, printed));
            }
        }
    }
    for (name, printed) in failed.iter().filter(|(_, printed)| !printed.is_empty()) {
        writeln!(out, "-- step {name} ended with:")?;
        printed.iter().try_for_each(|line| writeln!(out, "{line}"))?;
    }
    out.flush()?;
    Ok(code)
}

fn one(step: &Step, root: &Path, out: &mut dyn Write) -> Result<Outcome, Failure> {
    for need in step.needs {
        let works = match need.program {
            Program::Cargo => {
                let status = cargo_with(root, need.words, &[]).stdout(Stdio::null()).stderr(Stdio::null()).status();
                status.map_err(no_cargo)?.success()
            }
            Program::Python => outside::passes(root, outside::PYTHON, need.words),
            Program::PkgConfig => outside::passes(root, "pkg-config", need.words),
            Program::Shell => outside::passes(root, "sh", need.words),
        };
        if !works {
            return Ok(Outcome::Skipped(need.otherwise.to_owned()));
        }
    }
    let passed = match step.runs {
        Runs::Cargo(words, environment) => {
            let pass = |bytes: &[u8]| out.write_all(bytes).and_then(|()| out.flush());
            tee::run(cargo_with(root, words, environment), None, pass).map_err(no_cargo)?.success()
        }
        // What keeps one of these from an answer fails this step, not the others.
        Runs::Codegen => match codegen::run(root, Mode::Check, out) {
            Ok(code) => code == EXIT_FRESH,
            Err(failure) => {
                writeln!(out, "{failure}")?;
                false
            }
        },
        Runs::Packages => match packages::run(root, out) {
            Ok(code) => code == EXIT_FRESH,
            Err(failure) => {
                writeln!(out, "{failure}")?;
                false
            }
        },
        Runs::Bench => match bench::run(root, &bench::Request { quick: true, ..bench::Request::default() }, out) {
            Ok(code) => code == EXIT_FRESH,
            Err(failure) => {
                writeln!(out, "{failure}")?;
                false
            }
        },
        Runs::Archive => return ended(archive::check(root, out), step, out),
        Runs::Outside(name) => return ended(outside::run(root, name, out), step, out),
    };
    Ok(if passed { Outcome::Passed(Vec::new()) } else { Outcome::Failed(step.fix) })
}

/// How a step ended that may leave something out.
fn ended(ended: Result<outside::Ended, Failure>, step: &Step, out: &mut dyn Write) -> Result<Outcome, Failure> {
    Ok(match ended {
        Ok(outside::Ended::Passed { left_out }) => Outcome::Passed(left_out),
        Ok(outside::Ended::Skipped { reason }) => Outcome::Skipped(reason),
        Ok(outside::Ended::Failed) => Outcome::Failed(step.fix),
        Err(failure) => {
            writeln!(out, "{failure}")?;
            Outcome::Failed(step.fix)
        }
    })
}

/// A command of cargo.
fn cargo_with(root: &Path, words: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(cargo());
    command
        .args(words)
        .envs(environment.iter().map(|(name, value)| (OsStr::new(name), OsStr::new(value))))
        .current_dir(root)
        .stdin(Stdio::null());
    command
}

fn no_cargo(error: io::Error) -> Failure {
    Failure::new(format!("cargo cannot be run, or what it prints cannot be passed on: {error}"), "install Rust")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steps_are_those_that_contributing_names() {
        let page = include_str!("../../CONTRIBUTING.md");
        let table = page.split_once("| step | command |\n").unwrap().1.split("\n\n").next().unwrap();
        let named: Vec<&str> =
            table.lines().skip(1).map(|row| row.trim_start_matches("| `").split('`').next().unwrap()).collect();
        assert_eq!(named, names());
    }
}
