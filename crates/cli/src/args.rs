//! The shape of the command line: the commands and their order.

use clap::{ArgMatches, Args, FromArgMatches, Parser, Subcommand};

use crate::cmd_batches::BatchesArgs;
use crate::cmd_check::CheckArgs;
use crate::cmd_clean::CleanArgs;
use crate::cmd_completions::CompletionsArgs;
use crate::cmd_config::ConfigArgs;
use crate::cmd_export::ExportArgs;
use crate::cmd_files::FilesArgs;
use crate::cmd_gateway::GatewayArgs;
use crate::cmd_inspect::InspectArgs;
use crate::cmd_join::JoinArgs;
use crate::cmd_man::ManArgs;
use crate::cmd_plan::PlanArgs;
use crate::cmd_prepare::PrepareArgs;
use crate::cmd_report::ReportArgs;
use crate::cmd_resume::{CancelArgs, RepairArgs, ResumeArgs};
use crate::cmd_run::RunArgs;
use crate::cmd_show::ShowArgs;
use crate::cmd_status::{RunsArgs, StatusArgs};
use crate::exit;
use crate::full;

/// Batches of LLM requests: from a file of requests to a file of results
#[derive(Debug, Parser)]
#[command(name = "lote", version = full::VERSION, after_help = exit::HELP, max_term_width = 100)]
pub(crate) struct Cli {
    /// Say nothing but results and errors: no notes, no progress
    #[arg(short, long, global = true, display_order = 900)]
    pub(crate) quiet: bool,

    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, in the order of the help, each with the first line of its own.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make request lines from a table: one of each row
    Prepare(Late<PrepareArgs>),
    /// Check a request file before a byte of it is sent
    Check(Late<CheckArgs>),
    /// Say into which shards requests would be cut
    Plan(Late<PlanArgs>),
    /// Run files of requests, or a table, to a file of results
    Run(Late<RunArgs>),
    /// Go on with a run, without naming its requests again
    Resume(Late<ResumeArgs>),
    /// Say how far a run has come
    Status(Late<StatusArgs>),
    /// List the runs below a folder
    Runs(Late<RunsArgs>),
    /// Show requests of a run, and what came of them
    Show(Late<ShowArgs>),
    /// Cancel a run: stop its batches, and fetch what they finished
    Cancel(Late<CancelArgs>),
    /// Try again what did not succeed
    Repair(Late<RepairArgs>),
    /// Remove what a finished run needs no more
    Clean(Late<CleanArgs>),
    /// Create, look at, list, cancel and wait for batches
    Batches(Late<BatchesArgs>),
    /// Upload, look at, list, download and delete files
    Files(Late<FilesArgs>),
    /// Say what output and error files hold
    Inspect(Late<InspectArgs>),
    /// Put answers that are here into the order of their requests
    Join(Late<JoinArgs>),
    /// Make a table of the results of a run: CSV, TSV, JSON lines, Parquet, or a matrix of numpy
    Export(Late<ExportArgs>),
    /// Make a page that tells of a run: what became of its lines, and when
    Report(Late<ReportArgs>),
    /// Serve a batch API here: a built-in model for tests, or before a server of yours
    Gateway(Late<GatewayArgs>),
    /// Say where the config file is, and what is in force
    Config(Late<ConfigArgs>),
    /// Print a completion script for a shell
    Completions(Late<CompletionsArgs>),
    /// Write a manual page for each command, for packages
    #[command(hide = true)]
    Man(Late<ManArgs>),
}

/// The arguments of a command, which are spelt out when it is the one that is given: to spell out those of all takes
/// longer than what many commands do.
#[derive(Debug)]
pub(crate) struct Late<T>(pub(crate) T);

impl<T: Args> Args for Late<T> {
    fn augment_args(command: clap::Command) -> clap::Command {
        command.defer(T::augment_args)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        command.defer(T::augment_args_for_update)
    }
}

impl<T: FromArgMatches> FromArgMatches for Late<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.0.update_from_arg_matches(matches)
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn every_command_begins_as_the_list_of_them_says() {
        let about = |command: &clap::Command| command.get_about().map(ToString::to_string);
        let listed: Vec<_> =
            Cli::command().get_subcommands().map(|command| (command.get_name().to_owned(), about(command))).collect();
        let mut built = Cli::command();
        built.build();
        for (name, listed) in &listed {
            let command = built.find_subcommand(name).unwrap();
            assert!(command.get_arguments().count() > 1, "{name}");
            assert!(listed.is_some() && *listed == about(command), "{name}: {listed:?}");
        }
        built.debug_assert();
    }

    /// What stands before and after the flags is broken into lines by us: clap would break longer ones anywhere. A help as
    /// it is printed tells nothing of that, since clap has broken it then.
    #[test]
    fn the_lines_of_a_help_that_are_ours_fit_a_terminal_of_a_hundred_columns() {
        fn check(command: &clap::Command, checked: &mut usize, long: &mut Vec<String>) {
            for text in [command.get_long_about(), command.get_after_help()].into_iter().flatten() {
                let text = text.to_string();
                *checked += text.lines().count();
                let too_long = text.lines().filter(|line| line.chars().count() > 100);
                long.extend(too_long.map(|line| format!("{}: {line}", command.get_name())));
            }
            command.get_subcommands().for_each(|below| check(below, checked, long));
        }
        let mut built = Cli::command();
        built.build();
        let (mut checked, mut long) = (0, Vec::new());
        check(&built, &mut checked, &mut long);
        assert!(checked > 200, "{checked}");
        assert_eq!(long, [""; 0]);
    }
}
