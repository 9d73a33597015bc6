//! Where the state of a scenario is: a folder of one process, or a database and a store that three share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{BUCKET, Postgres, S3};

/// What is to have no rows.
const LEAKS: [(&str, &str); 4] = [
    (
        "files, bytes and batches that are counted too many",
        "SELECT * FROM (SELECT \
         a.files - (SELECT count(*) FROM files f WHERE f.account = a.id AND f.gone IS NULL) \
         - (SELECT count(*) FROM blobs b WHERE b.account = a.id AND b.state = 0) AS files, \
         a.bytes - (SELECT coalesce(sum(f.bytes), 0) FROM files f WHERE f.account = a.id AND f.gone IS NULL) \
         - (SELECT coalesce(sum(b.reserved), 0) FROM blobs b WHERE b.account = a.id AND b.state = 0) AS bytes, \
         a.batches - (SELECT count(*) FROM batches b WHERE b.account = a.id AND b.stage < 4) AS batches \
         FROM accounts a) AS counted WHERE files <> 0 OR bytes <> 0 OR batches <> 0",
    ),
    ("slices that are left", "SELECT batch, number FROM slices"),
    ("segments that are left", "SELECT batch, slice FROM segments"),
    (
        "bytes that are kept for nobody",
        "SELECT key FROM blobs b WHERE state = 1 \
         AND NOT EXISTS (SELECT 1 FROM files f WHERE f.blob = b.key AND f.gone IS NULL)",
    ),
];

/// The servers that all scenarios share; each has a database and a folder of its own there.
pub struct Servers {
    pub postgres: Postgres,
    pub s3: S3,
    made: AtomicU64,
}

/// A place for the state of one scenario.
#[derive(Clone)]
pub enum Place {
    Folder(PathBuf),
    Shared { servers: Arc<Servers>, database: String, blobs: String },
}

impl Servers {
    /// None where PostgreSQL is not installed.
    pub async fn start() -> Option<Arc<Servers>> {
        let postgres = Postgres::start()?;
        Some(Arc::new(Servers { postgres, s3: S3::start().await, made: AtomicU64::new(0) }))
    }

    /// A place with an empty database. Its files are in S3, or below this folder.
    pub fn place(self: &Arc<Self>, folder: Option<PathBuf>) -> Place {
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let database = format!("scenario_{number}");
        self.postgres.sql("postgres", &format!("CREATE DATABASE {database}"));
        let blobs = match folder {
            None => format!("s3://{BUCKET}/{database}"),
            Some(folder) => format!("file://{}", folder.display()),
        };
        Place::Shared { servers: Arc::clone(self), database, blobs }
    }
}

impl Place {
    /// How many processes there are.
    pub fn processes(&self) -> usize {
        match self {
            Place::Folder(_) => 1,
            Place::Shared { .. } => 3,
        }
    }

    pub(super) fn arguments(&self) -> Vec<String> {
        match self {
            Place::Folder(folder) => vec!["--data".to_owned(), folder.display().to_string()],
            Place::Shared { database, blobs, servers } => {
                let url = servers.postgres.url_of(database);
                ["--database", &url, "--blobs", blobs].map(str::to_owned).to_vec()
            }
        }
    }

    pub(super) fn environment(&self) -> Vec<(String, String)> {
        match self {
            Place::Folder(_) => Vec::new(),
            Place::Shared { servers, .. } => {
                S3::environment(servers.s3.port()).into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
            }
        }
    }

    /// What an account is counted to have, and has not; and what is left of work that is over. The database of one process
    /// is not asked.
    pub fn leaks(&self) -> Vec<String> {
        let Place::Shared { servers, database, .. } = self else { return Vec::new() };
        let ask = |what: &str, sql: &str| {
            let told = servers.postgres.sql(database, sql);
            (!told.is_empty()).then(|| format!("{what}: {}", told.replace('\n', ", ")))
        };
        LEAKS.iter().filter_map(|(what, sql)| ask(what, sql)).collect()
    }

    /// Lets the database crash, and come back after so long.
    pub fn crash(&self, away: Duration) {
        if let Place::Shared { servers, .. } = self {
            servers.postgres.crash();
            std::thread::sleep(away);
            servers.postgres.run();
        }
    }

    /// Ends all connections of the processes to their database.
    pub fn cut(&self) {
        if let Place::Shared { servers, database, .. } = self {
            let sql = format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database}'");
            servers.postgres.sql("postgres", &sql);
        }
    }
}
