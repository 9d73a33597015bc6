//! What must not panic, whatever comes: one function for everything that reads what others wrote. libFuzzer calls them
//! for as long as one likes (`cargo xtask night`), and `tests/sample` with some thousand inputs in CI.

mod answers;
mod check;
mod dialect;
mod drift;
mod gateway;
mod join;
mod open;
mod prices;
#[cfg(feature = "webhook")]
mod webhook;

#[cfg(feature = "webhook")]
pub use self::webhook::webhook;
pub use self::{
    answers::answers, check::check, dialect::dialect, drift::drift, gateway::gateway, join::join, open::open,
    prices::prices,
};

/// The bytes as far as they are text, for what never gets anything else.
fn text(data: &[u8]) -> &str {
    data.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}
