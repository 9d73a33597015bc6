//! A transaction of PostgreSQL, and the connection it has for itself.

use std::time::Duration;

use deadpool_postgres::{Client, Object};
use tokio::runtime::Handle;
use tokio::time::timeout;
use tokio_postgres::SimpleQueryMessage;
use tokio_postgres::types::ToSql;

use crate::state::sql::postgres::error::{Trouble, is_stale};
use crate::state::sql::{Cell, Row, Transaction};
use crate::state::{Ask, StateError};

/// How long we wait for an answer: longer than PostgreSQL itself lets a statement work (`statement_timeout`).
const STATEMENT: Duration = Duration::from_secs(20);

/// How long to wait for a rollback that nobody waits for.
const ROLLBACK: Duration = Duration::from_secs(2);

/// Two statements in one message, so that there is one round trip. What is read is what others have committed, whatever
/// the database has as its default.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SELECT (extract(epoch FROM clock_timestamp()) * 1000)::BIGINT";

/// PostgreSQL must not give up a commit that waits for its replicas: it would say that it is done. In a transaction that
/// has failed the first statement is an error, and not, as COMMIT is there, a rollback that looks like a success.
const COMMIT: &str = "SET LOCAL statement_timeout = 0; COMMIT";

/// Statements that a connection keeps prepared.
const MOST_PREPARED: usize = 500;

/// A connection in use. Dropped, it is closed; only when nothing is open on it, it goes back to the others.
pub(super) struct Connection(Option<Client>);

impl Connection {
    pub(super) fn new(client: Client) -> Connection {
        Connection(Some(client))
    }

    fn client(&self) -> Result<&Client, StateError> {
        self.0.as_ref().ok_or_else(|| StateError::NotDone("the connection is not in use".into()))
    }

    fn put_back(mut self) {
        drop(self.0.take());
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(client) = self.0.take() {
            drop(Object::take(client));
        }
    }
}

/// What may still be done with a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Open,
    /// A statement was refused: it can only be rolled back.
    Void,
    /// A statement is on its way, or its answer was lost: nobody knows what the connection is in.
    Asking,
    Over,
}

/// A transaction that has begun. Dropped, it is rolled back.
pub(super) struct Open {
    connection: Option<Connection>,
    now_ms: i64,
    phase: Phase,
}

impl Open {
    /// Begins one. The error says whether another connection is worth a try.
    pub(super) async fn begin(connection: Connection) -> Result<Open, Trouble> {
        let Some(client) = &connection.0 else { return Err(Trouble::Lost("there is no connection".into())) };
        let messages = client.simple_query(BEGIN).await.map_err(Trouble::of)?;
        let time = messages.iter().find_map(|message| match message {
            SimpleQueryMessage::Row(row) => row.get(0)?.parse().ok(),
            _ => None,
        });
        let now_ms = time.ok_or_else(|| Trouble::Lost("PostgreSQL does not tell the time".into()))?;
        Ok(Open { connection: Some(connection), now_ms, phase: Phase::Open })
    }

    /// Has another time than the database, in tests.
    pub(super) fn at(mut self, now_ms: i64) -> Open {
        self.now_ms = now_ms;
        self
    }

    /// Sends one statement.
    async fn ask(&mut self, sql: &str, cells: &[Cell], wants_rows: bool) -> Result<Answer, StateError> {
        if self.phase != Phase::Open {
            return Err(StateError::NotDone("the transaction has failed before".into()));
        }
        let client = match &self.connection {
            Some(connection) => connection.client()?,
            None => return Err(StateError::NotDone("the transaction is over".into())),
        };
        self.phase = Phase::Asking;
        let error = match timeout(STATEMENT, send(client, sql, cells, wants_rows)).await {
            Ok(Ok(answer)) => {
                self.phase = Phase::Open;
                return Ok(answer);
            }
            Ok(Err(error)) => error,
            Err(_) => return Err(StateError::NotDone("PostgreSQL has not answered in time".into())),
        };
        let is_stale = is_stale(&error);
        let trouble = Trouble::of(error);
        // A connection whose statements are old is closed, and with it they go.
        if matches!(trouble, Trouble::Refused(_)) && !is_stale {
            self.phase = Phase::Void;
        }
        Err(trouble.not_done())
    }
}

/// The rows of a statement, or how many it has changed.
enum Answer {
    Rows(Vec<Row>),
    Changed(u64),
}

async fn send(client: &Client, sql: &str, cells: &[Cell], wants_rows: bool) -> Result<Answer, tokio_postgres::Error> {
    if client.statement_cache.size() > MOST_PREPARED {
        client.statement_cache.clear();
    }
    let statement = client.prepare_cached(sql).await?;
    let parameters: Vec<&(dyn ToSql + Sync)> = cells.iter().map(|cell| cell as &(dyn ToSql + Sync)).collect();
    if !wants_rows {
        return Ok(Answer::Changed(client.execute(&statement, &parameters).await?));
    }
    let rows = client.query(&statement, &parameters).await?;
    let cells = |row: &tokio_postgres::Row| (0..row.len()).map(|column| row.try_get(column)).collect();
    Ok(Answer::Rows(rows.iter().map(cells).collect::<Result<_, _>>()?))
}

impl Transaction for Open {
    fn now_ms(&self) -> i64 {
        self.now_ms
    }

    fn query<'a>(&'a mut self, sql: &'a str, cells: &'a [Cell]) -> Ask<'a, Vec<Row>> {
        Box::pin(async move {
            match self.ask(sql, cells, true).await? {
                Answer::Rows(rows) => Ok(rows),
                Answer::Changed(_) => Ok(Vec::new()),
            }
        })
    }

    fn execute<'a>(&'a mut self, sql: &'a str, cells: &'a [Cell]) -> Ask<'a, u64> {
        Box::pin(async move {
            match self.ask(sql, cells, false).await? {
                Answer::Changed(rows) => Ok(rows),
                Answer::Rows(rows) => Ok(rows.len() as u64),
            }
        })
    }

    fn commit(mut self: Box<Self>) -> Ask<'static, ()> {
        Box::pin(async move {
            if self.phase != Phase::Open {
                return Err(StateError::NotDone("the transaction has failed before".into()));
            }
            let client = match &self.connection {
                Some(connection) => connection.client()?,
                None => return Err(StateError::NotDone("the transaction is over".into())),
            };
            // Then COMMIT is certainly not sent: PostgreSQL ended the transaction while we did something else.
            if client.is_closed() {
                self.phase = Phase::Asking;
                return Err(StateError::NotDone("PostgreSQL has closed the connection".into()));
            }
            self.phase = Phase::Asking;
            match timeout(STATEMENT, client.batch_execute(COMMIT)).await {
                Ok(Ok(())) => {
                    self.phase = Phase::Over;
                    Ok(())
                }
                Ok(Err(error)) => match Trouble::of(error) {
                    Trouble::Lost(cause) => Err(StateError::Unknown(cause)),
                    refused => {
                        self.phase = Phase::Void;
                        Err(refused.not_done())
                    }
                },
                Err(_) => Err(StateError::Unknown("PostgreSQL has not answered in time".into())),
            }
        })
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        match self.phase {
            Phase::Over => connection.put_back(),
            // Closed, which is a rollback as well.
            Phase::Asking => drop(connection),
            Phase::Open | Phase::Void => {
                if let Ok(runtime) = Handle::try_current() {
                    runtime.spawn(roll_back(connection));
                }
            }
        }
    }
}

/// To end a transaction costs less than to connect anew. Interrupted, it closes the connection.
async fn roll_back(connection: Connection) {
    let Ok(client) = connection.client() else { return };
    if let Ok(Ok(())) = timeout(ROLLBACK, client.batch_execute("ROLLBACK")).await {
        connection.put_back();
    }
}
