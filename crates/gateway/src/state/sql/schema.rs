//! The tables: one schema for all databases, whose texts differ only in what each spells in its own way. Who opens a
//! database makes them, or finds them made.

use std::io;

use crate::state::StateError;
use crate::state::sql::Transaction;
use crate::state::sql::cells::{Fields, int, text};

/// What this program writes, and the newest that it reads.
const FORMAT: i64 = 1;

/// How a database spells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    #[cfg_attr(not(feature = "data"), expect(dead_code, reason = "SQLite is there with the feature"))]
    Sqlite,
    Postgres,
}

/// `BYTES` stands for the type of bytes, and `/*busy*/` for what a table with many changes gets.
///
/// - `meta`: the format of the tables (`format`), the oldest program that may read them (`min_reader`), the `seed`.
/// - `accounts`: what is stored, and the last place in a list that was given.
/// - `workers`: who works. One that is dead does nothing any more, whatever it believes.
/// - `blobs`: 0 pending, 1 live, 2 doomed. A pending one that `owner` has not told of until `due` is given up; a doomed one
///   is removed after `due`. `reserved` is on the account while it is pending; bytes of segments are on none.
/// - `files`: one that is gone stays for a while, as a place in lists.
/// - `batches`: `stage` is 0 validating, 1 running, 2 finishing, 3 over, 4 one that was withdrawn and is never to be made;
///   `ending` is 1 when its window is over, 2 when it was cancelled; the input is kept as it was, whatever becomes of the
///   file. `status` is also in the record, and here to be counted by.
/// - `slices`: `state` is 0 ready, 1 held, 2 done.
/// - `segments`: the answers of a slice, here or in a blob.
/// - `outbox`: events on their way.
const TABLES: &[&str] = &[
    "CREATE TABLE IF NOT EXISTS accounts (id BYTES PRIMARY KEY, last_seq BIGINT NOT NULL, files BIGINT NOT NULL, \
     bytes BIGINT NOT NULL, batches BIGINT NOT NULL)/*busy*/",
    "CREATE TABLE IF NOT EXISTS workers (id TEXT PRIMARY KEY, lease_until BIGINT NOT NULL, dead BIGINT NOT NULL)/*busy*/",
    "CREATE TABLE IF NOT EXISTS blobs (key TEXT PRIMARY KEY, state BIGINT NOT NULL, account BYTES, \
     reserved BIGINT NOT NULL, owner TEXT NOT NULL, due BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS blobs_due ON blobs (due) WHERE state <> 1",
    "CREATE TABLE IF NOT EXISTS files (id TEXT PRIMARY KEY, account BYTES NOT NULL, tenant BYTES NOT NULL, \
     seq BIGINT NOT NULL, blob TEXT NOT NULL, bytes BIGINT NOT NULL, sha256 TEXT NOT NULL, filename TEXT NOT NULL, \
     purpose TEXT NOT NULL, media TEXT, created BIGINT NOT NULL, expires BIGINT, gone BIGINT)",
    "CREATE UNIQUE INDEX IF NOT EXISTS files_seq ON files (tenant, seq)",
    "CREATE INDEX IF NOT EXISTS files_expires ON files (expires) WHERE gone IS NULL AND expires IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS files_gone ON files (gone) WHERE gone IS NOT NULL",
    "CREATE TABLE IF NOT EXISTS batches (id TEXT PRIMARY KEY, account BYTES NOT NULL, tenant BYTES NOT NULL, seq BIGINT, \
     made BIGINT NOT NULL, stage BIGINT NOT NULL, status TEXT NOT NULL, ending BIGINT NOT NULL, stuck BIGINT NOT NULL, \
     deadline BIGINT NOT NULL, worker TEXT, epoch BIGINT NOT NULL, attempts BIGINT NOT NULL, \
     max_concurrency BIGINT NOT NULL, input_blob TEXT, input_bytes BIGINT, input_sha256 TEXT, input_purpose TEXT, \
     record TEXT NOT NULL)/*busy*/",
    "CREATE UNIQUE INDEX IF NOT EXISTS batches_seq ON batches (tenant, seq)",
    "CREATE INDEX IF NOT EXISTS batches_free ON batches (stage, made) WHERE stage < 3 AND worker IS NULL",
    "CREATE INDEX IF NOT EXISTS batches_held ON batches (worker) WHERE stage < 3 AND worker IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS batches_running ON batches (deadline) WHERE stage = 1",
    "CREATE INDEX IF NOT EXISTS batches_input ON batches (input_blob) WHERE stage < 3 AND input_blob IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS batches_withdrawn ON batches (made) WHERE stage = 4",
    "CREATE TABLE IF NOT EXISTS idempotency (tenant BYTES NOT NULL, key TEXT NOT NULL, asked BYTES NOT NULL, \
     batch TEXT NOT NULL, PRIMARY KEY (tenant, key))",
    "CREATE TABLE IF NOT EXISTS slices (batch TEXT NOT NULL, number BIGINT NOT NULL, first_line BIGINT NOT NULL, \
     lines BIGINT NOT NULL, start_at BIGINT NOT NULL, size BIGINT NOT NULL, state BIGINT NOT NULL, worker TEXT, \
     epoch BIGINT NOT NULL, slots BIGINT NOT NULL, sent BIGINT NOT NULL, attempts BIGINT NOT NULL, ok BIGINT NOT NULL, \
     failed BIGINT NOT NULL, resent BIGINT NOT NULL, input_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL, \
     output_tokens BIGINT NOT NULL, reasoning_tokens BIGINT NOT NULL, poisoned BIGINT, PRIMARY KEY (batch, number))/*busy*/",
    "CREATE INDEX IF NOT EXISTS slices_ready ON slices (batch, number) WHERE state = 0",
    "CREATE INDEX IF NOT EXISTS slices_held ON slices (batch, slots) WHERE state = 1",
    "CREATE INDEX IF NOT EXISTS slices_worker ON slices (worker, batch) WHERE state = 1",
    "CREATE TABLE IF NOT EXISTS segments (batch TEXT NOT NULL, slice BIGINT NOT NULL, epoch BIGINT NOT NULL, \
     number BIGINT NOT NULL, answered BYTES NOT NULL, lines BYTES, blob TEXT, PRIMARY KEY (batch, slice, epoch, number))\
     /*swept*/",
    "CREATE TABLE IF NOT EXISTS outbox (id TEXT PRIMARY KEY, endpoint TEXT NOT NULL, tenant BYTES NOT NULL, \
     batch TEXT NOT NULL, status TEXT NOT NULL, created BIGINT NOT NULL, tries BIGINT NOT NULL, due BIGINT NOT NULL, \
     UNIQUE (batch, status, endpoint))",
    "CREATE INDEX IF NOT EXISTS outbox_due ON outbox (due, id)",
];

/// Makes what is not there yet, and returns the seed: the one that is kept, or this one, which is kept from now on.
pub(super) async fn prepare(
    tx: &mut dyn Transaction,
    spelling: Spelling,
    seed: &str,
) -> Result<Result<String, Newer>, StateError> {
    if spelling == Spelling::Postgres {
        // One process at a time, until the end of the transaction. Any number will do that nobody else locks.
        tx.query("SELECT CAST(1 AS BIGINT) FROM pg_advisory_xact_lock(5499017836)", &[]).await?;
    }
    tx.execute("CREATE TABLE IF NOT EXISTS meta (k TEXT PRIMARY KEY, number BIGINT, word TEXT)", &[]).await?;
    if let Err(newer) = check(tx).await? {
        return Ok(Err(newer));
    }
    // In PostgreSQL an index that is there already would still lock its table, while other processes work on it.
    let format = tx.query("SELECT number FROM meta WHERE k = $1", &[text("format")]).await?;
    let format = format.into_iter().next().map(|row| Fields::from(row).int()).transpose()?;
    if format.is_none_or(|format| format < FORMAT) {
        for table in TABLES {
            tx.execute(&spelled(table, spelling), &[]).await?;
        }
    }
    let meta = "INSERT INTO meta (k, number, word) VALUES ($1, $2, $3) ON CONFLICT (k) DO NOTHING";
    for name in ["format", "min_reader"] {
        tx.execute(meta, &[text(name), int(FORMAT), text("")]).await?;
    }
    tx.execute(meta, &[text("seed"), int(0), text(seed)]).await?;
    let kept = tx.query("SELECT word FROM meta WHERE k = $1", &[text("seed")]).await?;
    let kept = kept.into_iter().next().map(|row| Fields::from(row).text()).transpose()?;
    Ok(Ok(kept.unwrap_or_else(|| seed.to_owned())))
}

/// Whether this program may still read what is there: another process may have changed it meanwhile.
pub(super) async fn check(tx: &mut dyn Transaction) -> Result<Result<(), Newer>, StateError> {
    let rows = tx.query("SELECT number FROM meta WHERE k = $1", &[text("min_reader")]).await?;
    match rows.into_iter().next().map(|row| Fields::from(row).int()).transpose()? {
        Some(oldest) if oldest > FORMAT => Ok(Err(Newer(oldest))),
        _ => Ok(Ok(())),
    }
}

fn spelled(table: &str, spelling: Spelling) -> String {
    let (bytes, busy, swept) = match spelling {
        Spelling::Sqlite => ("BLOB", "", ""),
        // Rows that change often find room for their next version beside them; rows that come and go by the thousand
        // are swept up early.
        Spelling::Postgres => (
            "BYTEA",
            " WITH (fillfactor = 70)",
            " WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_threshold = 1000)",
        ),
    };
    table.replace("BYTES", bytes).replace("/*busy*/", busy).replace("/*swept*/", swept)
}

/// The tables are of a newer program, which says that this one may not read them.
#[derive(Debug)]
pub(super) struct Newer(i64);

impl std::fmt::Display for Newer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Newer(oldest) = self;
        write!(f, "what is stored has format {oldest}, and this program reads up to format {FORMAT}: use a newer one")
    }
}

impl std::error::Error for Newer {}

impl From<Newer> for io::Error {
    fn from(newer: Newer) -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, newer)
    }
}
