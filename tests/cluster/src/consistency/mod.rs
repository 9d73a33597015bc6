//! The consistency harness: real processes of the command `lote`, which die, stop and fail at named points, and a witness
//! at the upstream. What every run has to keep is in `check`.

mod acts;
mod check;
mod client;
mod place;
mod process;
mod story;
mod table;
mod trouble;
mod witness;

pub use check::Report;
pub use client::{Client, Told};
pub use place::{Place, Servers};
pub use process::{Gateways, lote};
pub use story::{Kind, Scenario, run};
pub use table::Table;
pub use witness::{Sent, Witness};
