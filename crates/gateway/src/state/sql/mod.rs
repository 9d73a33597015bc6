//! The state in a database, written once for all of them: transactions in SQL that SQLite and PostgreSQL both take.
//!
//! Statements have parameters `$1`, `$2` and so on, which first appear in this order. Times are milliseconds since 1970.

mod again;
mod batches;
mod border;
mod cells;
mod charge;
mod claim;
mod create;
mod database;
mod ending;
mod files;
mod finish;
mod lists;
mod outbox;
#[cfg(debug_assertions)]
mod pointed;
#[cfg(feature = "cluster")]
pub(crate) mod postgres;
mod record;
mod recover;
mod results;
mod schema;
mod slices;
#[cfg(feature = "data")]
pub(crate) mod sqlite;
mod sweep;
mod work;

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::state::Ask;

/// One value of a row or of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// One row of a result.
pub(super) type Row = Vec<Cell>;

/// Who asks: requests of clients, or the work, which has connections of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lane {
    Requests,
    Work,
}

/// What databases spell differently. Each begins with a blank, and is empty where a database has no need of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words {
    pub(super) for_update: &'static str,
    pub(super) for_share: &'static str,
    pub(super) skip_locked: &'static str,
}

/// A database.
pub(super) trait Engine: Send + Sync + 'static {
    /// How long a worker may be silent; none when there is only one.
    fn lease(&self) -> Option<Duration>;

    fn words(&self) -> Words;

    /// Begins a transaction. What is not committed is rolled back.
    fn begin(&self, lane: Lane) -> Ask<'_, Box<dyn Transaction>>;

    /// Lets go of what no other process could have meanwhile.
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::ready(()))
    }
}

/// A transaction that has begun.
pub(super) trait Transaction: Send {
    /// The time of the database at the beginning, in milliseconds since 1970.
    fn now_ms(&self) -> i64;

    fn query<'a>(&'a mut self, sql: &'a str, cells: &'a [Cell]) -> Ask<'a, Vec<Row>>;

    /// How many rows it has changed.
    fn execute<'a>(&'a mut self, sql: &'a str, cells: &'a [Cell]) -> Ask<'a, u64>;

    /// The error is [`Unknown`](crate::state::StateError::Unknown) when it may have been done.
    fn commit(self: Box<Self>) -> Ask<'static, ()>;
}
