//! A database that has been opened, and what every transaction needs of it.

use std::collections::HashSet;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::blobs::{Blob, Blobs};
use crate::ids::hex;
use crate::state::sql::schema::{self, Spelling};
use crate::state::sql::{Engine, Lane, Transaction, Words};
use crate::state::{Options, StateError};

/// The state in a database.
pub(super) struct Sql(pub(super) Arc<Database>);

/// A database, and where its bytes are.
pub(super) struct Database {
    engine: Box<dyn Engine>,
    pub(super) blobs: Arc<dyn Blobs>,
    pub(super) options: Options,
    pub(super) seed: [u8; 16],
    /// What the blobs are known by that this process writes.
    pub(super) owner: String,
    /// Keys of blobs that are files now, whose charges have nothing to give up.
    settled: Mutex<HashSet<String>>,
}

impl Sql {
    /// Makes the tables if need be. Where there is one process alone, it gives up what earlier ones have held.
    pub(super) async fn open(
        engine: Box<dyn Engine>,
        spelling: Spelling,
        blobs: Arc<dyn Blobs>,
        options: Options,
    ) -> io::Result<Sql> {
        #[cfg(debug_assertions)]
        let (engine, blobs) = (crate::state::sql::pointed::pointed(engine), crate::blobs::pointed(blobs));
        let mut tx = engine.begin(Lane::Work).await.map_err(io::Error::other)?;
        let seed = schema::prepare(&mut *tx, spelling, &hex(&random()?)).await.map_err(io::Error::other)??;
        tx.commit().await.map_err(io::Error::other)?;
        let seed = unhex(&seed).ok_or_else(|| io::Error::other("the seed of the database cannot be read"))?;
        let (owner, settled) = (hex(&random()?), Mutex::default());
        let database = Arc::new(Database { engine, blobs, options, seed, owner, settled });
        if database.engine.lease().is_none() {
            database.recover_all().await.map_err(io::Error::other)?;
            database.give_up_pending().await.map_err(io::Error::other)?;
        }
        Ok(Sql(database))
    }
}

impl Database {
    pub(super) async fn begin(&self, lane: Lane) -> Result<Box<dyn Transaction>, StateError> {
        self.engine.begin(lane).await
    }

    pub(super) fn engine(&self) -> &dyn Engine {
        &*self.engine
    }

    pub(super) fn words(&self) -> Words {
        self.engine.words()
    }

    /// ` FOR UPDATE` of a table by this name, passing over what others have locked.
    pub(super) fn free_of(&self, table: &str) -> String {
        let Words { for_update, skip_locked, .. } = self.words();
        if for_update.is_empty() { String::new() } else { format!("{for_update} OF {table}{skip_locked}") }
    }

    /// Keys that nobody has had before: half a million in one folder would be slow, so there are 256 of them.
    pub(super) fn new_key(&self) -> io::Result<String> {
        let key = hex(&random()?);
        let (folder, rest) = key.split_at(2);
        Ok(format!("{folder}/{rest}"))
    }

    pub(super) fn blob(&self, key: String, bytes: u64, sha256: String) -> Arc<Blob> {
        Arc::new(Blob::kept(Arc::clone(&self.blobs), key, bytes, sha256))
    }

    pub(super) fn settled(&self) -> MutexGuard<'_, HashSet<String>> {
        self.settled.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) fn random() -> io::Result<[u8; 16]> {
    let mut random = [0; 16];
    getrandom::fill(&mut random).map_err(io::Error::other)?;
    Ok(random)
}

fn unhex(text: &str) -> Option<[u8; 16]> {
    let digits: Option<Vec<u32>> = text.chars().map(|digit| digit.to_digit(16)).collect();
    let bytes =
        digits?.chunks_exact(2).map(|pair| u8::try_from(pair[0] * 16 + pair[1]).ok()).collect::<Option<Vec<u8>>>()?;
    bytes.try_into().ok()
}
