//! The shape of the command line: the commands and their order.

use clap::{Parser, Subcommand};

use crate::cmd_batches::BatchesArgs;
use crate::cmd_check::CheckArgs;
use crate::cmd_clean::CleanArgs;
use crate::cmd_completions::CompletionsArgs;
use crate::cmd_export::ExportArgs;
use crate::cmd_files::FilesArgs;
use crate::cmd_gateway::GatewayArgs;
use crate::cmd_inspect::InspectArgs;
use crate::cmd_join::JoinArgs;
use crate::cmd_plan::PlanArgs;
use crate::cmd_prepare::PrepareArgs;
use crate::cmd_resume::{CancelArgs, RepairArgs, ResumeArgs};
use crate::cmd_run::RunArgs;
use crate::cmd_status::{RunsArgs, StatusArgs};
use crate::exit;

/// Batches of LLM requests: from a file of requests to a file of results
#[derive(Debug, Parser)]
#[command(name = "lote", version, after_help = exit::HELP, max_term_width = 100)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands, in the order of the help.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Prepare(PrepareArgs),
    Check(CheckArgs),
    Plan(PlanArgs),
    Run(RunArgs),
    Resume(ResumeArgs),
    Status(StatusArgs),
    Runs(RunsArgs),
    Cancel(CancelArgs),
    Repair(RepairArgs),
    Clean(CleanArgs),
    Batches(BatchesArgs),
    Files(FilesArgs),
    Inspect(InspectArgs),
    Join(JoinArgs),
    Export(ExportArgs),
    Gateway(GatewayArgs),
    Completions(CompletionsArgs),
}
