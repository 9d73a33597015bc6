//! The policies: how often a wait asks, which errors it survives, and which calls are tried again.

mod cadence;
mod retry;
mod tolerance;

pub use cadence::Cadence;
pub(crate) use cadence::{Pauses, Rate};
pub use retry::Retry;
pub(crate) use retry::{Budget, LONGEST_ASKED, Try};
pub use tolerance::Tolerance;
pub(crate) use tolerance::Trouble;
