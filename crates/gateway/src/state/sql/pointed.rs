//! A database with named points within its transactions: when one has begun, and before and after its commit. Each is
//! called by the call of the state that it is of.

use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::points::{self, Ill};
use crate::state::sql::{Cell, Engine, Lane, Row, Transaction, Words};
use crate::state::{Ask, StateError};

struct Pointed(Box<dyn Engine>);

/// Puts points into every transaction of a database, if there is a plan for any.
pub(super) fn pointed(engine: Box<dyn Engine>) -> Box<dyn Engine> {
    if points::are_watched() { Box::new(Pointed(engine)) } else { engine }
}

impl Engine for Pointed {
    fn lease(&self) -> Option<Duration> {
        self.0.lease()
    }

    fn words(&self) -> Words {
        self.0.words()
    }

    fn begin(&self, lane: Lane) -> Ask<'_, Box<dyn Transaction>> {
        async move {
            let name = points::name();
            let transaction = self.0.begin(lane).await?;
            if points::pass(name, "begin").await.is_some() {
                return Err(StateError::NotDone("a point lets it fail".into()));
            }
            let begun: Box<dyn Transaction> = Box::new(Begun { name, transaction });
            Ok(begun)
        }
        .boxed()
    }

    fn close(&self) -> BoxFuture<'_, ()> {
        self.0.close()
    }
}

struct Begun {
    name: &'static str,
    transaction: Box<dyn Transaction>,
}

impl Transaction for Begun {
    fn now_ms(&self) -> i64 {
        self.transaction.now_ms()
    }

    fn query<'a>(&'a mut self, sql: &'a str, cells: &'a [Cell]) -> Ask<'a, Vec<Row>> {
        self.transaction.query(sql, cells)
    }

    fn execute<'a>(&'a mut self, sql: &'a str, cells: &'a [Cell]) -> Ask<'a, u64> {
        self.transaction.execute(sql, cells)
    }

    fn commit(self: Box<Self>) -> Ask<'static, ()> {
        let Begun { name, transaction } = *self;
        async move {
            let before = points::pass(name, "commit.before").await;
            if before == Some(Ill::Error) {
                return Err(StateError::NotDone("a point lets it fail".into()));
            }
            let told = transaction.commit().await;
            if before.or(points::pass(name, "commit.after").await).is_some() && told.is_ok() {
                return Err(StateError::Unknown("a point loses the answer".into()));
            }
            told
        }
        .boxed()
    }
}
