//! An object store as the tests in `tests/cluster` see it: they know none of our types.

use std::fmt;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use crate::blobs::object::open_with;
use crate::blobs::{Blobs, conformance};

/// Where durable bytes are kept.
#[derive(Clone)]
pub struct Store(Arc<dyn Blobs>);

impl Store {
    /// Opens it, with this environment in place of the process's.
    ///
    /// # Errors
    ///
    /// When the URL names no store.
    pub fn open(url: &str, environment: &[(&str, &str)]) -> io::Result<Store> {
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Ok(Store(open_with(url, environment)?))
    }

    pub(crate) fn blobs(&self) -> Arc<dyn Blobs> {
        Arc::clone(&self.0)
    }

    /// Runs all checks on an empty store. They leave the blob `kept`.
    pub async fn check(&self) {
        conformance::check(&self.0).await;
    }

    /// Reads a blob from a place to its end.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub async fn read(&self, key: &str, from: u64) -> io::Result<Vec<u8>> {
        conformance::read(&self.0, key, from).await
    }

    /// Writes a blob at once.
    ///
    /// # Errors
    ///
    /// When it is not kept.
    pub async fn write(&self, key: &str, bytes: Vec<u8>) -> io::Result<()> {
        let mut sink = self.0.begin(key).await?;
        sink.write(Bytes::from(bytes)).await?;
        sink.finish().await
    }

    /// Writes a part of a blob, and stops.
    ///
    /// # Errors
    ///
    /// When not even that is possible.
    pub async fn begin(&self, key: &str, bytes: Vec<u8>) -> io::Result<()> {
        self.0.begin(key).await?.write(Bytes::from(bytes)).await
    }
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").finish_non_exhaustive()
    }
}
