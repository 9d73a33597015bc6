//! Owns the command line of `cargo xtask`; never what a command does.

use std::{
    io::{self, Write},
    path::PathBuf,
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use xtask::{
    archive, bench, ci, client, codegen, drift, night, notes, packages,
    report::{EXIT_FAILED, Failure},
};

/// Keeps the contract clean and what is derived from it fresh, and runs what CI runs.
///
/// Exit codes: 0 fresh, written or passed; 4 stale, or findings; 100 it could not be done; 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Lints openapi.yaml and makes what is derived: its fragments, the generated client, the table of operations in the
    /// README, and the JSON Schemas for editors.
    Codegen {
        /// Write nothing; name what is stale and exit 4.
        #[arg(long, conflicts_with = "dry_run")]
        check: bool,
        /// Write nothing; show what would change and exit 4.
        #[arg(long)]
        dry_run: bool,
    },
    /// Compares what upstream services say of themselves with what we knew, and with openapi.yaml.
    ///
    /// Exits 0 when there is nothing to tell, 4 with any finding, 100 when something could not be compared.
    Drift(DriftArguments),
    /// Runs what CI runs: all steps, or those that are named. Exits 4 when one fails.
    Ci {
        /// The steps to run.
        #[arg(value_name = "STEP", value_parser = clap::builder::PossibleValuesParser::new(ci::names()))]
        steps: Vec<String>,
    },
    /// Measures what lote's commands take of processor, time and memory, beside peers where they are asked for. With
    /// --peers it writes docs/BENCHMARKS.md. Exits 0 whatever the figures are.
    Bench(BenchArguments),
    /// Runs what is too long for CI: kills of runs, runs of millions of lines, each fuzz target for some minutes; all of
    /// it, or the parts that are named. Exits 4 when something is found.
    Night {
        /// The parts to run.
        #[arg(value_name = "PART", value_parser = clap::builder::PossibleValuesParser::new(night::PARTS))]
        parts: Vec<String>,
        /// The minutes for each fuzz target.
        #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1440))]
        minutes: u32,
        /// The seconds for each fuzz target, to see that they run at all.
        #[arg(long, conflicts_with = "minutes", value_parser = clap::value_parser!(u32).range(1..=86400))]
        seconds: Option<u32>,
    },
    /// Compiles the crates from their packages, as they would be published. Exits 4 when one lacks something.
    Packages,
    /// Makes the archive of a release: a built command, its manual pages and completions, and what is to be read. The same
    /// command of the same commit gives the same bytes; SOURCE_DATE_EPOCH takes the place of the commit's date.
    Archive {
        /// The command, which this machine must be able to run.
        #[arg(long, value_name = "PATH")]
        command: PathBuf,
        /// What it was built for, by default what rustc builds for here.
        #[arg(long, value_name = "TARGET")]
        target: Option<String>,
        /// The folder to put it into, by default `archive` in the folder of builds.
        #[arg(short, long, value_name = "FOLDER")]
        output: Option<PathBuf>,
    },
    /// Prints the notes of a release: what CHANGELOG.md says of it.
    Notes {
        /// Which one.
        #[arg(default_value = notes::UNRELEASED)]
        version: String,
    },
}

#[derive(Debug, clap::Args)]
struct BenchArguments {
    /// Little data, few rounds, the program that tests use: whether every work runs. Its figures are no claim.
    #[arg(long)]
    quick: bool,
    /// Beside peers, which are installed from their registries into the folder of builds.
    #[arg(long)]
    peers: bool,
    /// Memory with 4,000,000 lines in place of 1,000,000, for which 20 GB of disk are needed.
    #[arg(long, conflicts_with = "quick")]
    huge: bool,
    /// Only this work, and those whose names begin with it and a hyphen; takes several.
    #[arg(long, value_name = "NAME", num_args = 1.., value_parser = clap::builder::PossibleValuesParser::new(bench::names()))]
    only: Vec<String>,
    /// So many rounds of each work; by default, as many as it takes.
    #[arg(long, value_name = "N", value_parser = rounds)]
    rounds: Option<usize>,
    /// What changed since this revision, in instructions that valgrind's callgrind counts; builds the command of both.
    #[arg(long, value_name = "REV", conflicts_with_all = ["quick", "peers", "huge", "only", "rounds", "lote"])]
    against: Option<String>,
    /// This program in place of one that is built.
    #[arg(long, value_name = "PROGRAM")]
    lote: Option<PathBuf>,
}

/// A document is a file, `-` for standard input, or an http(s) URL, in JSON or YAML, of OpenAPI 3.0 or 3.1; or a wheel or
/// the folder of a Python package that Speakeasy or Stainless generated.
#[derive(Debug, clap::Args)]
struct DriftArguments {
    /// An upstream of upstream.yaml; or, with NEW, the older document.
    #[arg(value_name = "UPSTREAM|OLD", required_unless_present = "all")]
    first: Option<String>,
    /// The newer document.
    #[arg(value_name = "NEW", conflicts_with_all = ["from", "accept", "baseline", "apply"])]
    new: Option<String>,
    /// Every upstream of upstream.yaml, with a sum at the end.
    #[arg(long, conflicts_with_all = ["first", "from", "accept", "baseline", "apply"])]
    all: bool,
    /// The document or the package of the upstream, in place of what upstream.yaml names.
    #[arg(long, value_name = "DOCUMENT")]
    from: Option<String>,
    /// Record that we live with this finding. Takes several ids for one reason.
    #[arg(long, value_name = "ID", num_args = 1.., requires = "reason", conflicts_with_all = ["baseline", "apply"])]
    accept: Vec<String>,
    /// Why.
    #[arg(long, requires = "accept")]
    reason: Option<String>,
    /// Take the document as the new baseline, when nothing is open.
    #[arg(long, conflicts_with = "apply")]
    baseline: bool,
    /// Bring this finding into openapi.yaml, when that needs no thought, and run codegen.
    #[arg(long, value_name = "ID", num_args = 1..)]
    apply: Vec<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

fn rounds(text: &str) -> Result<usize, String> {
    text.parse()
        .ok()
        .filter(|rounds| (1..=100).contains(rounds))
        .ok_or_else(|| "give a number from 1 to 100".to_owned())
}

fn main() -> ExitCode {
    let Arguments { command } = Arguments::parse();
    match run(command) {
        Ok(code) => code.into(),
        Err(failure) => {
            // Nothing is left to say when standard error is closed as well.
            let _ = writeln!(io::stderr(), "{failure}");
            EXIT_FAILED.into()
        }
    }
}

fn run(command: Command) -> Result<u8, Failure> {
    let root = client::workspace()?;
    let mut out = io::stdout();
    match command {
        Command::Codegen { check, dry_run } => {
            let mode = match (check, dry_run) {
                (true, _) => codegen::Mode::Check,
                (_, true) => codegen::Mode::DryRun,
                _ => codegen::Mode::Write,
            };
            codegen::run(&root, mode, &mut out)
        }
        Command::Drift(DriftArguments { first, new, all, from, accept, reason, baseline, apply, json }) => {
            let sources = first.into_iter().chain(new).collect();
            let limits = drift::fetch::Limits::default();
            let request = drift::Request { sources, all, from, accept, reason, baseline, apply, json, limits };
            drift::run(&root, &request, &mut out)
        }
        Command::Bench(BenchArguments { quick, peers, huge, only, rounds, against, lote }) => {
            bench::run(&root, &bench::Request { quick, peers, huge, only, rounds, against, lote }, &mut out)
        }
        Command::Ci { steps } => ci::run(&root, &steps, &mut out),
        Command::Packages => packages::run(&root, &mut out),
        Command::Archive { command, target, output } => {
            archive::run(&root, &command, target.as_deref(), output.as_deref(), &mut out)
        }
        Command::Notes { version } => notes::run(&root, &version, &mut out),
        Command::Night { parts, minutes, seconds } => {
            night::night(&root, &parts, seconds.unwrap_or(minutes * 60), &mut out)
        }
    }
}
