//! Any table is a dialect or an error, and a dialect can be asked everything.

use lote::Dialect;

use crate::text;

/// One trial.
pub fn dialect(data: &[u8]) {
    let text = text(data);
    match Dialect::from_toml(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(dialect) => {
            let _ = (dialect.name(), dialect.endpoints(), dialect.windows(), dialect.limits(), dialect.check_options());
            let _ = format!("{dialect:?}");
        }
    }
}
