//! From results to tables.

pub(crate) mod answer;
pub(crate) mod beside;
pub(crate) mod cell;
pub(crate) mod columns;
pub(crate) mod costs;
pub(crate) mod npy;
pub(crate) mod object;
pub(crate) mod outcomes;
#[cfg(feature = "full")]
pub(crate) mod parquet;
pub(crate) mod results;
pub(crate) mod table;
pub(crate) mod walk;
