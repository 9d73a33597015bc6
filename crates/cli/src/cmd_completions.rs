//! `lote completions`.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::args::Cli;
use crate::exit::{CliError, Exit};
use crate::out;

/// Print a completion script for a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  lote completions bash > ~/.local/share/bash-completion/completions/lote
  lote completions zsh > ~/.zfunc/_lote
  lote completions fish > ~/.config/fish/completions/lote.fish

Manual pages:
  lote man ~/.local/share/man/man1")]
pub(crate) struct CompletionsArgs {
    /// The shell that will read the script
    shell: Shell,
}

/// # Errors
/// When stdout cannot be written.
pub(crate) fn run(args: &CompletionsArgs) -> Result<Exit, CliError> {
    // Into memory first: the generator panics when its writer fails.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lote", &mut script);
    out::bytes(&script)?;
    Ok(Exit::Success)
}
