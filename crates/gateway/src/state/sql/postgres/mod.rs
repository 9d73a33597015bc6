//! PostgreSQL, which any number of gateways share. Connections are in two pools, so that requests of clients never keep
//! the work from its own: a heartbeat that waits for one loses all that its process holds.

mod cell;
mod error;
mod transaction;
#[cfg(feature = "conformance")]
pub(crate) mod trial;
mod url;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use deadpool_postgres::{Hook, HookError, Manager, ManagerConfig, Pool, PoolError, RecyclingMethod};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::NoTls;
use tokio_postgres::config::SslMode;

use crate::blobs::Blobs;
use crate::clock::Clock;
use crate::state::sql::database::Sql;
use crate::state::sql::postgres::error::{Told, Trouble};
use crate::state::sql::postgres::transaction::{Connection, Open};
use crate::state::sql::postgres::url::{CONNECT, Server};
use crate::state::sql::schema::Spelling;
use crate::state::sql::{Engine, Lane, Transaction, Words};
use crate::state::{Ask, Cause, Options, State, StateError};

/// Connections for requests of clients, and for the work.
const REQUESTS: usize = 10;
const WORK: usize = 6;

/// Of each connection. A process that stops inside a transaction holds its locks no longer than this, and nobody waits
/// longer for them. What is answered is on the disk of the database: `synchronous_commit` may be more than `on`, not less.
const SETTINGS: &str = "SET idle_in_transaction_session_timeout = '5s'; \
    SET lock_timeout = '3s'; \
    SET statement_timeout = '15s'; \
    SELECT set_config('synchronous_commit', 'on', false) \
        WHERE current_setting('synchronous_commit') IN ('off', 'local')";

/// The oldest that its authors still maintain.
const OLDEST: i64 = 140_000;

/// The state in this database, which is made if need be, with its bytes in this store. Of a worker that is silent for the
/// lease the work is given to others.
pub(crate) async fn open(
    url: &str,
    blobs: Arc<dyn Blobs>,
    lease: Duration,
    options: Options,
) -> io::Result<Arc<dyn State>> {
    let postgres = Postgres::connect(url, lease, options.clock.clone()).await?;
    Ok(Arc::new(Sql::open(Box::new(postgres), Spelling::Postgres, blobs, options).await?))
}

/// A PostgreSQL database.
pub(super) struct Postgres {
    requests: Pool,
    work: Pool,
    lease: Duration,
    /// Shows the time when it is a virtual one: tests do not wait for leases. Else the time is the database's.
    clock: Clock,
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}

impl Postgres {
    /// Connects, and looks whether it is one that will do.
    pub(super) async fn connect(url: &str, lease: Duration, clock: Clock) -> io::Result<Postgres> {
        let server = url::server(url)?;
        let (requests, work) = (pool(&server, REQUESTS)?, pool(&server, WORK)?);
        let postgres = Postgres { requests, work, lease, clock };
        postgres.check().await?;
        Ok(postgres)
    }

    async fn check(&self) -> io::Result<()> {
        let client = self.work.get().await.map_err(|error| io::Error::other(refused(error)))?;
        let asked = "SELECT current_setting('server_version_num')::BIGINT, current_setting('server_encoding')";
        let row = client.query_one(asked, &[]).await.map_err(|error| io::Error::other(Told(error)))?;
        let told = |error| io::Error::other(Told(error));
        let (version, encoding): (i64, String) = (row.try_get(0).map_err(told)?, row.try_get(1).map_err(told)?);
        if version < OLDEST {
            let message =
                format!("PostgreSQL {} or newer is needed, and this is {}", OLDEST / 10_000, version / 10_000);
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        if encoding != "UTF8" {
            let message = format!("the database has the encoding {encoding}, and UTF8 is needed");
            return Err(io::Error::new(io::ErrorKind::Unsupported, message));
        }
        Ok(())
    }

    /// Begins a transaction on a connection that lives: one that has died in its pool is noticed only now, and nothing has
    /// been done on it.
    async fn open(&self, lane: Lane) -> Result<Open, StateError> {
        let pool = match lane {
            Lane::Requests => &self.requests,
            Lane::Work => &self.work,
        };
        let until = Instant::now() + CONNECT;
        let mut last: Option<StateError> = None;
        loop {
            let begun = async {
                let client = pool.get().await.map_err(|error| (StateError::NotDone(refused(error)), false))?;
                Open::begin(Connection::new(client)).await.map_err(|trouble| {
                    let is_lost = matches!(trouble, Trouble::Lost(_));
                    (trouble.not_done(), is_lost)
                })
            };
            match timeout_at(until, begun).await {
                Ok(Ok(open)) => return Ok(open),
                Ok(Err((error, true))) => last = Some(error),
                Ok(Err((error, false))) => return Err(error),
                Err(_) => {
                    return Err(last.unwrap_or_else(|| {
                        StateError::NotDone("there was no connection to PostgreSQL in time".into())
                    }));
                }
            }
        }
    }
}

impl Engine for Postgres {
    fn lease(&self) -> Option<Duration> {
        Some(self.lease)
    }

    fn words(&self) -> Words {
        Words { for_update: " FOR UPDATE", for_share: " FOR SHARE", skip_locked: " SKIP LOCKED" }
    }

    fn begin(&self, lane: Lane) -> Ask<'_, Box<dyn Transaction>> {
        Box::pin(async move {
            let open = self.open(lane).await?;
            let open = if self.clock.is_virtual() { open.at(self.clock.now_ms()) } else { open };
            Ok(Box::new(open) as Box<dyn Transaction>)
        })
    }
}

fn pool(server: &Server, most: usize) -> io::Result<Pool> {
    // What is closed is not used again; to ask each time whether it lives would be another round trip.
    let recycling = ManagerConfig { recycling_method: RecyclingMethod::Fast };
    let config = server.config.clone();
    let manager = match config.get_ssl_mode() {
        SslMode::Disable => Manager::from_config(config, NoTls, recycling),
        _ => Manager::from_config(config, server.tls()?, recycling),
    };
    let settings = Hook::async_fn(|client, _| {
        Box::pin(async move { client.batch_execute(SETTINGS).await.map_err(HookError::Backend) })
    });
    Pool::builder(manager).max_size(most).post_create(settings).build().map_err(io::Error::other)
}

/// Why there is no connection.
fn refused(error: PoolError) -> Cause {
    match error {
        PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error)) => Box::new(Told(error)),
        other => Box::new(other),
    }
}
