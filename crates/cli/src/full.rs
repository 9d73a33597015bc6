//! The two shapes of the command: the default one, and the full one (the feature `full`).

use crate::exit::CliError;

/// What `lote --version` says of this one.
pub(crate) const VERSION: &str =
    if cfg!(feature = "full") { concat!(env!("CARGO_PKG_VERSION"), " (full)") } else { env!("CARGO_PKG_VERSION") };

/// Refuses what the default shape leaves out, such as a flag.
///
/// # Errors
/// With exit 2 in the default shape.
pub(crate) fn only(what: &str) -> Result<(), CliError> {
    if cfg!(feature = "full") { Ok(()) } else { Err(needed(what)) }
}

/// The error of what the default shape leaves out.
pub(crate) fn needed(what: &str) -> CliError {
    CliError::usage(format!(
        "{what} is in the full shape of the command: cargo install --locked --path crates/cli --features full, in the \
         repository of lote"
    ))
}
