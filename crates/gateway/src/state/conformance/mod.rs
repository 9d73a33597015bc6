//! What every state has to do, whatever keeps it: one suite of named checks over memory, a folder, and databases. Each check
//! begins with an empty state of its own.

#![expect(clippy::unwrap_used, reason = "checks, where a panic is the report")]

mod bench;
mod creating;
mod ending;
mod files;
mod outbox;
mod recovery;
mod simulation;
#[cfg(test)]
mod tests;
mod working;

use std::any::Any;
use std::sync::Arc;

use futures_util::future::BoxFuture;

use crate::clock::Clock;
use crate::state::{Options, State};

/// An empty place for a state, and the way to it.
pub(crate) struct Place {
    /// A virtual one, which the state goes by: checks let time pass.
    pub(crate) clock: Clock,
    /// Opens the state there; once more, after all that was opened before is dropped, as after a kill.
    pub(crate) open: Box<dyn Fn(Options) -> BoxFuture<'static, Arc<dyn State>> + Send + Sync>,
    /// What is to last as long as the place: a folder, for example.
    pub(crate) keep: Box<dyn Any + Send + Sync>,
}

/// Does a check.
type Check = fn(Place) -> BoxFuture<'static, ()>;

/// Names the checks of a module.
macro_rules! checks {
    ($($name:ident),+ $(,)?) => {
        pub(super) const CHECKS: &[(&str, super::Check)] =
            &[$((stringify!($name), |place| Box::pin($name(super::bench::Bench::new(place))))),+];
    };
}
use checks;

const ALL: &[&[(&str, Check)]] = &[
    files::CHECKS,
    creating::CHECKS,
    working::CHECKS,
    ending::CHECKS,
    recovery::CHECKS,
    outbox::CHECKS,
    simulation::CHECKS,
];

/// Does all checks, each in a place of its own, and returns the names of those that have failed; what was wrong they have
/// printed as panics.
pub(crate) async fn failures(mut place: impl AsyncFnMut(&'static str) -> Place) -> Vec<&'static str> {
    let mut failed = Vec::new();
    for (name, check) in ALL.iter().copied().flatten() {
        let place = place(name).await;
        if tokio::spawn(check(place)).await.is_err() {
            failed.push(*name);
        }
    }
    failed
}
