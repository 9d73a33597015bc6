//! The flag that names a table of prices.

use std::path::PathBuf;

use clap::Args;
use lote::prices::Prices;

use crate::exit::CliError;

/// By which prices costs are told.
#[derive(Debug, Args)]
pub(crate) struct PricesArgs {
    /// Prices of your own, a table in TOML, which come before the built-in ones
    #[arg(long, value_name = "FILE")]
    prices: Option<PathBuf>,
}

impl PricesArgs {
    /// Whether a table was named.
    pub(crate) fn is_given(&self) -> bool {
        self.prices.is_some()
    }

    /// # Errors
    /// When the table has a fault, which names file and line.
    pub(crate) fn load(&self) -> Result<Prices, CliError> {
        Ok(self.prices.as_ref().map_or_else(|| Ok(Prices::built_in()), Prices::from_file)?)
    }
}
