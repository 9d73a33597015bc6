//! The bytes of files: those that are written, those that are whole, and where they are kept.

mod account;
mod blob;
#[cfg(any(test, feature = "conformance"))]
pub(crate) mod conformance;
mod disk;
#[cfg(any(test, feature = "data"))]
mod folder;
#[cfg(feature = "cluster")]
pub(crate) mod object;
#[cfg(debug_assertions)]
mod pointed;
mod sweep;

use std::io;
use std::pin::Pin;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::io::AsyncRead;

#[cfg(test)]
pub(crate) use account::Account;
pub(crate) use account::{Accounts, Bounds, Full};
pub(crate) use blob::{Blob, Spool};
pub(crate) use disk::Disk;
#[cfg(any(test, feature = "data"))]
pub(crate) use folder::Folder;
#[cfg(debug_assertions)]
pub(crate) use pointed::pointed;

/// Bytes on their way out.
pub(crate) type Reader = Pin<Box<dyn AsyncRead + Send + Sync>>;

/// Where durable bytes are kept: a folder, or an object store. Keys are lowercase letters, digits, `-` and `/`; each is
/// written once.
pub(crate) trait Blobs: Send + Sync + 'static {
    /// Begins to write. What is not finished is never found.
    fn begin<'a>(&'a self, key: &'a str) -> BoxFuture<'a, io::Result<Box<dyn Sink>>>;

    /// Reads from a place on. The error is `NotFound` when there is no such blob.
    fn read<'a>(&'a self, key: &'a str, from: u64) -> BoxFuture<'a, io::Result<Reader>>;

    /// Lets a blob go; one that is not there has gone.
    fn remove<'a>(&'a self, key: &'a str) -> BoxFuture<'a, io::Result<()>>;
}

/// A blob that is being written. Dropped, it leaves nothing that is found.
pub(crate) trait Sink: Send {
    fn write(&mut self, bytes: Bytes) -> BoxFuture<'_, io::Result<()>>;

    /// Ends it: with this it survives a crash of the machine.
    fn finish(self: Box<Self>) -> BoxFuture<'static, io::Result<()>>;
}

/// Who pays for bytes while they are kept.
pub(crate) trait Charge: Send + Sync {
    /// So many bytes more. The error has a [`Full`] when there may be no more.
    fn grow(&mut self, bytes: u64) -> BoxFuture<'_, io::Result<()>>;
}
