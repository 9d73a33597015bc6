//! Where the state of a scenario is: a folder of one process, or a database and a store that three share.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::{BUCKET, Postgres, S3};

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
