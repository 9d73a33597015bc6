//! The flags that say how much a run may cost and use.

use clap::Args;
use lote::prices::Cost;
use lote::run::{PlanOptions, Run};

use crate::exit::CliError;
use crate::full;
use crate::values;

/// How much a run may cost, in the full shape of the command. None of it is part of what the run is: it may differ each time.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "Money")]
pub(crate) struct CapArgs {
    /// Send nothing that the run may cost more than these dollars with, all of its attempts together
    ///
    /// Held against that are what its answers did cost, and of lines without an answer about what
    /// their input costs and at most what their output does. A model whose price is not known is
    /// refused, and so is a line that sets no limit on its answer. The run keeps it until another is
    /// given; another attempt that would pass it is not begun. Needs the full shape of the command.
    #[arg(long, value_name = "USD")]
    max_cost: Option<Cost>,

    /// Send nothing that the run may use more tokens than these with, read and written, all of its attempts together
    ///
    /// As --max-cost, but no price has to be known.
    #[arg(long, value_name = "N", value_parser = values::positive::<u64>)]
    max_run_tokens: Option<u64>,

    /// For both: count so many tokens for the answer to a line that sets no limit
    ///
    /// It is an assumption, which the service does not know: answers may be longer.
    #[arg(long, value_name = "N", value_parser = values::positive::<u64>)]
    assume_output_tokens: Option<u64>,
}

impl CapArgs {
    /// A run that may cost so much.
    ///
    /// # Errors
    /// In the default shape, when any is given: it counts no tokens.
    pub(crate) fn apply(&self, mut run: Run) -> Result<Run, CliError> {
        self.check()?;
        if let Some(cost) = self.max_cost {
            run = run.max_cost(cost);
        }
        if let Some(tokens) = self.max_run_tokens {
            run = run.max_run_tokens(tokens);
        }
        if let Some(tokens) = self.assume_output_tokens {
            run = run.assume_output_tokens(tokens);
        }
        Ok(run)
    }

    /// A plan of a run that may cost so much, with its tokens counted where that can be done.
    ///
    /// # Errors
    /// In the default shape, when any is given: it counts no tokens.
    pub(crate) fn plan(&self, options: PlanOptions) -> Result<PlanOptions, CliError> {
        self.check()?;
        let mut options = options.count_tokens(true);
        if let Some(cost) = self.max_cost {
            options = options.max_cost(cost);
        }
        if let Some(tokens) = self.max_run_tokens {
            options = options.max_run_tokens(tokens);
        }
        if let Some(tokens) = self.assume_output_tokens {
            options = options.assume_output_tokens(tokens);
        }
        Ok(options)
    }

    fn check(&self) -> Result<(), CliError> {
        let Self { max_cost, max_run_tokens, assume_output_tokens } = self;
        let flags = [
            (max_cost.is_some(), "--max-cost"),
            (max_run_tokens.is_some(), "--max-run-tokens"),
            (assume_output_tokens.is_some(), "--assume-output-tokens"),
        ];
        flags.into_iter().filter(|(is_given, _)| *is_given).try_for_each(|(_, flag)| full::only(flag))
    }
}
