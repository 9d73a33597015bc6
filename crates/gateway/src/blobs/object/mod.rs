//! Blobs in an object store: S3 and what speaks as it does, or a folder that all gateways see.

mod place;
mod ranges;
#[cfg(feature = "conformance")]
pub(crate) mod trial;
mod upload;

use std::fmt;
use std::io;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt};

use crate::blobs::object::place::Place;
use crate::blobs::object::ranges::Ranges;
use crate::blobs::object::upload::Upload;
use crate::blobs::{Blobs, Reader, Sink};

/// Opens the store that a URL names: `file:///FOLDER` or `s3://BUCKET/PREFIX`. How S3 is reached, and with which keys, is
/// in the environment, in the variables that all its programs read (`AWS_ACCESS_KEY_ID` and others).
pub(crate) fn open(url: &str) -> io::Result<Arc<dyn Blobs>> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    open_with(url, std::env::vars_os().filter_map(text))
}

/// Opens it with this environment.
pub(crate) fn open_with(url: &str, environment: impl Iterator<Item = (String, String)>) -> io::Result<Arc<dyn Blobs>> {
    let Place { store, prefix } = place::of(url, environment)?;
    Ok(Arc::new(Objects { store, prefix }))
}

/// The objects below a prefix.
struct Objects {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
}

impl Objects {
    fn path(&self, key: &str) -> Path {
        Path::from(format!("{}/{key}", self.prefix))
    }
}

impl fmt::Debug for Objects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The store shows itself with all that it was made with.
        f.debug_struct("Objects").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Blobs for Objects {
    fn begin<'a>(&'a self, key: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Sink>>> {
        let upload = Upload::new(Arc::clone(&self.store), self.path(key));
        Box::pin(async move { Ok(Box::new(upload) as Box<dyn Sink>) })
    }

    fn read<'a>(&'a self, key: &'a str, from: u64) -> BoxFuture<'a, io::Result<Reader>> {
        Box::pin(async move {
            let ranges = Ranges::open(Arc::clone(&self.store), self.path(key), from).await?;
            Ok(ranges.into_reader())
        })
    }

    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, io::Result<()>> {
        Box::pin(async move {
            match self.store.delete(&self.path(key)).await {
                Ok(()) | Err(Error::NotFound { .. }) => Ok(()),
                Err(error) => Err(failed(error)),
            }
        })
    }
}

/// An error of the store as one of input and output.
fn failed(error: Error) -> io::Error {
    let kind = match &error {
        Error::NotFound { .. } => io::ErrorKind::NotFound,
        Error::PermissionDenied { .. } | Error::Unauthenticated { .. } => io::ErrorKind::PermissionDenied,
        _ => io::ErrorKind::Other,
    };
    io::Error::new(kind, error)
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::blobs::conformance;

    #[tokio::test(flavor = "multi_thread")]
    async fn a_folder_keeps_the_rules() {
        let folder = tempfile::tempdir().unwrap();
        let url = format!("file://{}/blobs", folder.path().display());
        conformance::check(&open(&url).unwrap()).await;
        let reopened = open(&url).unwrap();
        assert_eq!(conformance::read(&reopened, "kept", 0).await.unwrap(), b"kept");
    }

    #[tokio::test]
    async fn what_is_not_finished_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let blobs = open(&format!("file://{}", folder.path().display())).unwrap();
        let mut sink = blobs.begin("a/b").await.unwrap();
        sink.write(bytes::Bytes::from(vec![7; 9 << 20])).await.unwrap();
        let files = || walk(folder.path());
        assert_eq!(files(), 1);
        drop(sink);
        while files() > 0 {
            tokio::task::yield_now().await;
        }
    }

    /// How many files are below a folder.
    fn walk(folder: &std::path::Path) -> usize {
        let count = |entry: std::fs::DirEntry| if entry.path().is_dir() { walk(&entry.path()) } else { 1 };
        std::fs::read_dir(folder).unwrap().map(|entry| count(entry.unwrap())).sum()
    }

    #[tokio::test]
    async fn a_store_in_memory_keeps_the_rules() {
        let blobs = Objects { store: Arc::new(InMemory::new()), prefix: Path::from("pre/fix") };
        let blobs: Arc<dyn Blobs> = Arc::new(blobs);
        conformance::check(&blobs).await;
    }
}
