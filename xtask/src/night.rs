//! What is too long for CI: `cargo xtask night` kills runs some thousand times, lets the disk be full at each of their
//! steps, gives them millions of lines, simulates them under many seeds, compiles each crate by itself from its package, and
//! runs each fuzz target for some minutes. CI does the same with a few kills, fewer lines and seeds, all packages in one
//! workspace, and a sample of inputs (`fuzz/tests/sample`).

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    outside, packages,
    report::{EXIT_FRESH, EXIT_STALE, Failure, Finding},
    tee::{self, Tail},
};

/// The fuzz targets, each with the folders of the repository whose files it begins with, beside its own corpus.
pub const TARGETS: [(&str, &[&str]); 9] = [
    ("check", &["examples", "crates/lines/tests/fixtures"]),
    ("join", &["crates/lines/tests/fixtures"]),
    ("open", &["crates/lines/tests/fixtures"]),
    ("answers", &["tests/facade/fixtures"]),
    ("dialect", &["crates/lote/src/dialect/table"]),
    ("prices", &["crates/lote/src/prices"]),
    ("webhook", &[]),
    ("drift", &[]),
    ("gateway", &[]),
];

/// What libFuzzer's count of its runs begins with.
const TRIED: &str = "stat::number_of_executed_units:";

/// How many lines of a target are shown when it has found something.
const SHOWN: usize = 300;

/// cargo-fuzz needs a nightly toolchain; `rustup run` finds it whatever toolchain runs this program.
const CARGO_FUZZ: [&str; 4] = ["run", "nightly", "cargo", "fuzz"];

/// How cargo-fuzz builds them. No crate of ours has unsafe code, so a sanitizer would only slow the search down. What
/// overflows in a fuzz target overflows for a user, unseen.
const SHAPE: [&str; 7] =
    ["--sanitizer", "none", "--debug-assertions", "--codegen-units", "16", "--features", "libfuzzer"];

/// What our releases have beyond that takes long to build, and hides where a panic came from.
const PROFILE: [(&str, &str); 3] = [
    ("CARGO_PROFILE_RELEASE_LTO", "off"),
    ("CARGO_PROFILE_RELEASE_STRIP", "none"),
    ("CARGO_PROFILE_RELEASE_DEBUG", "line-tables-only"),
];

/// The process tests of runs.
const PROCESSES: &[&str] = &["--test", "long"];

/// What only the full shape of the command can do.
const FULL: &[&str] = &["--features", "lote-cli/full", "--test", "full"];

/// The simulation of runs.
const SIMULATION: &[&str] = &["--lib"];

/// Gateways that are killed, stopped and failed, and asked by schemathesis: a crate with a workspace of its own, and the full
/// command that it runs.
const CONSISTENCY: [&str; 7] =
    ["test", "--manifest-path", "tests/cluster/Cargo.toml", "--test", "consistency", "--test", "clients"];

/// The tests of runs at length: where each is, and the variable that says how much of it, with its values.
const AT_LENGTH: [(&[&str], &str, &str, &[&str]); 7] = [
    (PROCESSES, "a_run_that_is_killed_at_any_moment_pays_nothing_twice", "LOTE_ROUNDS", &["20"]),
    (PROCESSES, "a_run_that_is_killed_at_any_point_pays_nothing_twice_in_any_mode", "LOTE_POINTS", &["all"]),
    (PROCESSES, "a_full_disk_at_any_step_loses_nothing_and_pays_nothing_twice", "LOTE_POINTS", &["all"]),
    (PROCESSES, "a_run_takes_no_more_memory_for_more_lines", "LOTE_LINES", &["1000000", "4000000"]),
    (FULL, "a_table_takes_no_more_memory_for_more_rows", "LOTE_LINES", &["1000000"]),
    (SIMULATION, "no_seed_pays_twice_or_loses_a_line", "LOTE_SEEDS", &["100000"]),
    (SIMULATION, "one_shard_is_searched_to_the_end", "LOTE_FAULTS", &["3"]),
];

/// What it is made of: the tests of runs at length, gateways that die, stop and fail, the crates compiled each by itself from
/// its package, and the fuzz targets.
pub const PARTS: [&str; 4] = ["runs", "gateways", "packages", "fuzz"];

/// The parts that are named, or all of them when none is. Exit code 0 when nothing was found, 4 otherwise.
///
/// # Errors
///
/// When something does not build.
pub fn night(root: &Path, only: &[String], seconds: u32, out: &mut dyn Write) -> Result<u8, Failure> {
    let mut found = EXIT_FRESH;
    for part in PARTS.into_iter().filter(|part| only.is_empty() || only.iter().any(|name| name == part)) {
        found = found.max(match part {
            "runs" => runs(root, out)?,
            "gateways" => consistency(root, out)?,
            "packages" => {
                writeln!(out, "== cargo package: each crate by itself")?;
                packages::verify(root, out)?
            }
            _ => fuzz(root, seconds, out)?,
        });
    }
    Ok(found)
}

/// All points and modes at which a gateway may die.
fn consistency(root: &Path, out: &mut dyn Write) -> Result<u8, Failure> {
    writeln!(out, "== gateways that die, stop and fail at every point")?;
    out.flush()?;
    let cannot = |error| Failure::new(format!("cargo cannot be run: {error}"), "install Rust");
    let mut found = EXIT_FRESH;
    for words in [&outside::BUILD_FULL[..], &CONSISTENCY] {
        let mut command = Command::new("cargo");
        command.args(words).env("LOTE_POINTS", "all").current_dir(root).stdin(Stdio::null());
        if words == CONSISTENCY {
            command.env("CARGO_TARGET_DIR", "target/cluster");
        }
        let pass = |bytes: &[u8]| out.write_all(bytes).and_then(|()| out.flush());
        if !tee::run(command, None, pass).map_err(cannot)?.success() {
            writeln!(out, "{}", Finding::new("gateways do not keep what they promise".to_owned(), "see above"))?;
            found = EXIT_STALE;
        }
    }
    Ok(found)
}

/// Runs the tests of runs at length.
fn runs(root: &Path, out: &mut dyn Write) -> Result<u8, Failure> {
    let mut found = EXIT_FRESH;
    for (place, test, variable, values) in AT_LENGTH {
        for value in values {
            writeln!(out, "== {test}: {variable}={value}")?;
            out.flush()?;
            let mut command = Command::new("cargo");
            command.args(["test", "--workspace"]).args(place).args(["--", test, "--nocapture"]);
            command.env(variable, value).current_dir(root).stdin(Stdio::null());
            let passed = tee::run(command, None, |bytes| out.write_all(bytes).and_then(|()| out.flush()))
                .map_err(|error| Failure::new(format!("cargo cannot be run: {error}"), "install Rust"))?;
            if !passed.success() {
                writeln!(out, "{}", Finding::new(format!("{test} failed with {variable}={value}"), "see above"))?;
                found = EXIT_STALE;
            }
        }
    }
    Ok(found)
}

/// Builds the fuzz targets and runs each for this many seconds. Exit code 0 when none of them found anything, 4
/// otherwise; what was found stays in `fuzz/artifacts`.
fn fuzz(root: &Path, seconds: u32, out: &mut dyn Write) -> Result<u8, Failure> {
    let pass = |bytes: &[u8]| out.write_all(bytes).and_then(|()| out.flush());
    run(root, &[&["build"], &SHAPE[..]].concat(), &[], pass)?
        .then_some(())
        .ok_or_else(|| Failure::new("the fuzz targets do not build", "correct what the compiler says above"))?;
    let mut found = Vec::new();
    for (target, seeds) in TARGETS {
        writeln!(out, "== fuzz {target}: {seconds} s")?;
        out.flush()?;
        let corpus = Path::new("fuzz/corpus").join(target);
        fs::create_dir_all(root.join(&corpus))
            .map_err(|error| Failure::new(format!("{}: {error}", corpus.display()), "make it writable"))?;
        let folders: Vec<PathBuf> = std::iter::once(corpus)
            .chain(seeds.iter().map(PathBuf::from).filter(|seed| root.join(seed).is_dir()))
            .collect();
        let folders: Vec<&str> = folders.iter().filter_map(|folder| folder.to_str()).collect();
        let words = [&["run"], &SHAPE[..], &[target], &folders].concat();
        let limit = format!("-max_total_time={seconds}");
        let options =
            [&*limit, "-timeout=20", "-rss_limit_mb=2048", "-max_len=65536", "-print_final_stats=1", "-verbosity=0"];
        let mut tail = Tail::new(SHOWN);
        let passed = run(root, &words, &options, |bytes| {
            tail.take(bytes);
            Ok(())
        })?;
        let printed = tail.into_lines();
        if passed {
            let tried =
                printed.iter().find_map(|line| line.strip_prefix(TRIED)).map_or("an unknown number of", str::trim);
            writeln!(out, "{tried} inputs, nothing found")?;
        } else {
            printed.iter().try_for_each(|line| writeln!(out, "{line}"))?;
            found.push(target);
        }
    }
    for target in &found {
        let fix = format!(
            "cargo test --workspace --test sample {target}, which tries fuzz/artifacts/{target} first; make the input a test"
        );
        writeln!(out, "{}", Finding::new(format!("the fuzz target {target} found something"), &fix))?;
    }
    Ok(if found.is_empty() { EXIT_FRESH } else { EXIT_STALE })
}

/// Runs cargo-fuzz and hands on what it prints; whether it succeeded.
fn run(
    root: &Path,
    words: &[&str],
    options: &[&str],
    pass: impl FnMut(&[u8]) -> io::Result<()>,
) -> Result<bool, Failure> {
    let mut command = Command::new("rustup");
    command.args(CARGO_FUZZ).args(words);
    if !options.is_empty() {
        command.arg("--").args(options);
    }
    // Of the toolchain that runs this program nothing is to reach the other one.
    for name in ["CARGO", "RUSTC", "RUSTDOC", "RUSTUP_TOOLCHAIN", "CARGO_TARGET_DIR"] {
        command.env_remove(name);
    }
    command.envs(PROFILE).current_dir(root).stdin(Stdio::null());
    let status = tee::run(command, None, pass)
        .map_err(|error| Failure::new(format!("rustup cannot be run: {error}"), "install rustup and cargo-fuzz"))?;
    Ok(status.success())
}
