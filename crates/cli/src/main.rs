//! The start and the end of the process.

mod again;
mod args;
mod batch_options;
mod caps;
mod cmd_batches;
mod cmd_check;
mod cmd_clean;
mod cmd_completions;
mod cmd_config;
mod cmd_export;
mod cmd_files;
mod cmd_gateway;
mod cmd_inspect;
mod cmd_join;
mod cmd_man;
mod cmd_plan;
mod cmd_prepare;
mod cmd_report;
mod cmd_resume;
mod cmd_run;
mod cmd_show;
mod cmd_status;
mod course;
mod embedded;
mod endpoint;
mod exit;
mod expect;
mod export;
mod fetch;
mod full;
#[cfg(feature = "full")]
mod guard;
mod input;
mod interrupt;
mod invoice;
mod layout;
mod listing;
mod no_batches;
mod one_by_one;
mod out;
mod place;
mod prepare;
mod prices;
mod progress;
mod quote;
mod report;
mod run_table;
mod service;
mod settings;
mod shell;
mod show;
mod spool;
mod state_dir;
mod summary;
mod table;
mod usage;
mod values;

use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};
use lote::lines;

use args::{Cli, Command, Late};

fn main() -> ExitCode {
    // Before anything is opened: see `input::output`.
    let parsed = Cli::command().try_get_matches().and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    let (command, matches) = match parsed {
        Ok((cli, matches)) => {
            if cli.quiet {
                out::be_quiet();
            }
            (cli.command, matches)
        }
        // A help and the version are no errors to clap either.
        Err(error) if !error.use_stderr() => error.exit(),
        Err(error) => {
            usage::print(error);
            return exit::Exit::Usage.into();
        }
    };
    interrupt::outlive_file_limits();
    let ended = match command {
        Command::Prepare(Late(args)) => interrupt::watch(move |flag| cmd_prepare::run(&args, flag)),
        Command::Check(Late(args)) => interrupt::watch(move |_| cmd_check::run(&args)),
        Command::Plan(Late(args)) => interrupt::watch(move |_| cmd_plan::run(&args)),
        Command::Run(Late(args)) => cmd_run::run(&args, matches.subcommand_matches("run")),
        Command::Resume(Late(args)) => cmd_resume::run(&args, matches.subcommand_matches("resume")),
        Command::Status(Late(args)) => cmd_status::run(&args),
        Command::Runs(Late(args)) => cmd_status::runs(&args),
        Command::Show(Late(args)) => interrupt::watch(move |flag| cmd_show::run(&args, flag)),
        Command::Cancel(Late(args)) => cmd_resume::cancel(&args, matches.subcommand_matches("cancel")),
        Command::Repair(Late(args)) => cmd_resume::repair(&args, matches.subcommand_matches("repair")),
        Command::Clean(Late(args)) => cmd_clean::run(&args),
        Command::Batches(Late(args)) => cmd_batches::run(args),
        Command::Files(Late(args)) => cmd_files::run(args),
        Command::Inspect(Late(args)) => interrupt::watch(move |_| cmd_inspect::run(&args)),
        Command::Join(Late(args)) => interrupt::watch(move |flag| cmd_join::run(&args, flag)),
        Command::Export(Late(args)) => interrupt::watch(move |flag| cmd_export::run(&args, flag)),
        Command::Report(Late(args)) => interrupt::watch(move |flag| cmd_report::run(&args, flag)),
        Command::Gateway(Late(args)) => cmd_gateway::run(&args),
        Command::Config(Late(args)) => cmd_config::run(&args),
        Command::Man(Late(args)) => cmd_man::run(&args),
        Command::Completions(Late(args)) => cmd_completions::run(&args),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            let error = again::with_the_same(error, std::env::args_os().skip(1));
            out::error(&error);
            error.exit().into()
        }
    }
}
