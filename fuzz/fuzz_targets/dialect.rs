//! Any table is a dialect or an error, and a dialect can be asked everything.

#![no_main]

use libfuzzer_sys::fuzz_target;
use lote::Dialect;

fuzz_target!(|text: &str| {
    match Dialect::from_toml(text) {
        Err(error) => assert!(!error.to_string().is_empty()),
        Ok(dialect) => {
            let _ = (dialect.name(), dialect.endpoints(), dialect.windows(), dialect.limits(), dialect.check_options());
            let _ = format!("{dialect:?}");
        }
    }
});
