//! The database as the tests in `tests/cluster` see it: they know none of our types, and try connections that break.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::blobs::Blobs;
use crate::blobs::object::trial::Store;
use crate::clock::Clock;
use crate::state::conformance::{Place, failures};
use crate::state::sql::again::{Collision, retried};
use crate::state::sql::postgres::Postgres;
use crate::state::sql::{Cell, Engine, Lane, Transaction};
use crate::state::{Options, State, StateError};

/// The lease of the states below, whose time is virtual.
const LEASE: Duration = Duration::from_secs(30);

/// When the time of the states begins, in seconds since 1970.
const BEGIN: i64 = 1_700_000_000;

/// Does the checks of all states in this database, which is emptied before each, with the bytes of each in the store that is
/// opened for it. Returns the names of those that have failed, which have said why as panics.
///
/// # Errors
///
/// When there is no database.
pub async fn state_failures(url: &str, store: impl Fn(&str) -> Store) -> Result<Vec<&'static str>, Failure> {
    let database = Database::connect(url).await.map_err(|error| Failure::NotDone(error.to_string()))?;
    let mut emptied = Ok(());
    let failed = failures(async |name| {
        if emptied.is_ok() {
            emptied = database.empty().await;
        }
        let (url, blobs) = (url.to_owned(), store(name).blobs());
        let open = move |options: Options| {
            let (url, blobs) = (url.clone(), Arc::clone(&blobs));
            let opening: futures_util::future::BoxFuture<'static, Arc<dyn State>> =
                Box::pin(async move { opened(&url, blobs, options).await });
            opening
        };
        Place { clock: Clock::at(BEGIN), open: Box::new(open), keep: Box::new(()) }
    })
    .await;
    emptied.map(|()| failed)
}

#[expect(clippy::unwrap_used, reason = "a check, which fails by a panic")]
async fn opened(url: &str, blobs: Arc<dyn Blobs>, options: Options) -> Arc<dyn State> {
    super::open(url, blobs, LEASE, options).await.unwrap()
}

/// PostgreSQL as the gateway uses it.
#[derive(Debug)]
pub struct Database(Postgres);

/// A transaction that has begun.
pub struct Begun(Box<dyn Transaction>);

/// One value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// NULL
    Null,
    /// BIGINT
    Int(i64),
    /// TEXT
    Text(String),
    /// BYTEA
    Bytes(Vec<u8>),
}

/// What a failed transaction has done.
#[derive(Debug)]
pub enum Failure {
    /// Nothing, and the same again may succeed.
    Collision(String),
    /// Nothing.
    NotDone(String),
    /// Perhaps all of it.
    Unknown(String),
    /// What is stored cannot be read.
    Corrupt(String),
}

impl Database {
    /// Connects.
    ///
    /// # Errors
    ///
    /// When there is no PostgreSQL that will do.
    pub async fn connect(url: &str) -> io::Result<Database> {
        Ok(Database(Postgres::connect(url, Duration::from_secs(30), Clock::System).await?))
    }

    /// Begins a transaction for a request of a client, or for the work.
    ///
    /// # Errors
    ///
    /// When there is no connection.
    pub async fn begin(&self, is_work: bool) -> Result<Begun, Failure> {
        let lane = if is_work { Lane::Work } else { Lane::Requests };
        Ok(Begun(self.0.begin(lane).await?))
    }

    /// Does a whole transaction of these statements, again when it met another.
    ///
    /// # Errors
    ///
    /// When it could not be done.
    pub async fn run(&self, statements: &[&str]) -> Result<(), Failure> {
        let whole = || async {
            let mut begun = self.0.begin(Lane::Work).await?;
            for sql in statements {
                begun.execute(sql, &[]).await?;
            }
            begun.commit().await
        };
        Ok(retried(whole).await?)
    }
}

impl Database {
    /// Deletes all rows but what the tables are known by: to make the tables takes most of a second.
    async fn empty(&self) -> Result<(), Failure> {
        let mut begun = self.begin(true).await?;
        let tables = "SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'meta'";
        for row in begun.query(tables, Vec::new()).await? {
            for value in row {
                if let Value::Text(table) = value {
                    begun.execute(&format!("DELETE FROM {table}"), Vec::new()).await?;
                }
            }
        }
        begun.commit().await
    }
}

impl Begun {
    /// The time of the database, in milliseconds since 1970.
    #[must_use]
    pub fn now_ms(&self) -> i64 {
        self.0.now_ms()
    }

    /// How many rows are changed.
    ///
    /// # Errors
    ///
    /// When they are not.
    pub async fn execute(&mut self, sql: &str, values: Vec<Value>) -> Result<u64, Failure> {
        let cells: Vec<Cell> = values.into_iter().map(Cell::from).collect();
        Ok(self.0.execute(sql, &cells).await?)
    }

    /// Rows.
    ///
    /// # Errors
    ///
    /// When there are none to be had.
    pub async fn query(&mut self, sql: &str, values: Vec<Value>) -> Result<Vec<Vec<Value>>, Failure> {
        let cells: Vec<Cell> = values.into_iter().map(Cell::from).collect();
        let rows = self.0.query(sql, &cells).await?;
        Ok(rows.into_iter().map(|row| row.into_iter().map(Value::from).collect()).collect())
    }

    /// Commits.
    ///
    /// # Errors
    ///
    /// When it is not certain that it was done.
    pub async fn commit(self) -> Result<(), Failure> {
        Ok(self.0.commit().await?)
    }
}

impl std::fmt::Debug for Begun {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Begun").finish_non_exhaustive()
    }
}

impl From<Value> for Cell {
    fn from(value: Value) -> Cell {
        match value {
            Value::Null => Cell::Null,
            Value::Int(value) => Cell::Int(value),
            Value::Text(value) => Cell::Text(value),
            Value::Bytes(value) => Cell::Bytes(value),
        }
    }
}

impl From<Cell> for Value {
    fn from(cell: Cell) -> Value {
        match cell {
            Cell::Null => Value::Null,
            Cell::Int(value) => Value::Int(value),
            Cell::Text(value) => Value::Text(value),
            Cell::Bytes(value) => Value::Bytes(value),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Failure {
        match error {
            StateError::NotDone(cause) if cause.is::<Collision>() => Failure::Collision(cause.to_string()),
            StateError::NotDone(cause) => Failure::NotDone(cause.to_string()),
            StateError::Unknown(cause) => Failure::Unknown(cause.to_string()),
            StateError::Corrupt(cause) => Failure::Corrupt(cause.to_string()),
        }
    }
}
