//! Owns the command line of `cargo xtask`; never what a command does.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{Parser, Subcommand};
use xtask::{
    ci, client, codegen,
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
    /// Lints openapi.yaml and makes what is derived from it: its fragments and the generated client.
    Codegen {
        /// Write nothing; name what is stale and exit 4.
        #[arg(long, conflicts_with = "dry_run")]
        check: bool,
        /// Write nothing; show what would change and exit 4.
        #[arg(long)]
        dry_run: bool,
    },
    /// Runs what CI runs: all steps, or those that are named. Exits 4 when one fails.
    Ci {
        /// The steps to run.
        #[arg(value_name = "STEP", value_parser = clap::builder::PossibleValuesParser::new(ci::names()))]
        steps: Vec<String>,
    },
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
        Command::Ci { steps } => ci::run(&root, &steps, &mut out),
    }
}
