//! What two models have otherwise, as findings with ids.

pub mod change;
pub mod compare;
pub mod finding;
