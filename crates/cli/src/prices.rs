//! The flag that names a table of prices.

use std::path::{Path, PathBuf};

use clap::Args;
use lote::prices::Prices;
use lote::run::{Run, RunError, prices_of, status};

use crate::embedded;
use crate::exit::CliError;

/// By which prices costs are told.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PricesArgs {
    /// Prices of your own, a table in TOML, which come before the built-in ones
    ///
    /// Built in is what OpenAI charges at api.openai.com; at another service, models of the same
    /// names have a price only in a table of yours.
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
}

impl PricesArgs {
    /// Whether a table was named.
    pub(crate) fn is_given(&self) -> bool {
        self.prices.is_some()
    }

    /// A run that is told by them what it costs.
    ///
    /// # Errors
    /// When the table has a fault, which names file and line.
    pub(crate) fn apply(&self, run: Run) -> Result<Run, CliError> {
        Ok(if self.is_given() { run.prices(self.load()?) } else { run })
    }

    /// Those of results: of a run those that it was told, at its service, unless a table is named here. What would be paid for
    /// the answers of an embedded gateway elsewhere is not left out.
    ///
    /// # Errors
    /// When the table has a fault, which names file and line, or the folder cannot be read.
    pub(crate) fn of_results(&self, results: &Path) -> Result<Prices, CliError> {
        let failed = |error: RunError| CliError::usage(error.to_string());
        let prices = self.load()?;
        if !results.is_dir() || embedded::is_run_of(results) {
            return Ok(prices);
        }
        match self.is_given() {
            true => Ok(prices.at(&status(results).map_err(failed)?.base_url)),
            false => prices_of(results).map_err(failed),
        }
    }

    /// # Errors
    /// When the table has a fault, which names file and line.
    pub(crate) fn load(&self) -> Result<Prices, CliError> {
        Ok(self.prices.as_ref().map_or_else(|| Ok(Prices::built_in()), Prices::from_file)?)
    }
}
