//! Owns bytes on disk: spools being written, blobs that are whole. Never derives a path from
//! anything a client sent; every name is drawn by `tempfile` inside the gateway's own folder.

use std::io;
use std::io::SeekFrom;
use std::sync::{Mutex, PoisonError};

use sha2::{Digest, Sha256};
use tempfile::{NamedTempFile, TempDir, TempPath};
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};

use crate::ids::hex;

/// Bytes gathered before they are written.
const BUFFER: usize = 128 * 1024;

/// The gateway's own temporary folder; it goes with everything in it when the gateway ends.
#[derive(Debug)]
pub(crate) struct Disk(Mutex<Option<TempDir>>);

impl Disk {
    pub(crate) fn new() -> io::Result<Disk> {
        let folder = tempfile::Builder::new().prefix("lote-gateway-").tempdir()?;
        Ok(Disk(Mutex::new(Some(folder))))
    }

    /// Starts a new file.
    pub(crate) async fn spool(&self) -> io::Result<Spool> {
        let folder = match self.folder().as_ref() {
            Some(folder) => folder.path().to_owned(),
            None => return Err(io::Error::other("the gateway has stopped")),
        };
        let file =
            tokio::task::spawn_blocking(move || NamedTempFile::new_in(folder)).await.map_err(io::Error::other)??;
        let (file, path) = file.into_parts();
        Ok(Spool {
            writer: BufWriter::with_capacity(BUFFER, File::from_std(file)),
            path,
            digest: Sha256::new(),
            bytes: 0,
        })
    }

    /// Removes the folder. Nothing can be spooled afterwards.
    pub(crate) fn close(&self) {
        // An error would mean that something inside is already gone or still being removed.
        drop(self.folder().take().map(TempDir::close));
    }

    fn folder(&self) -> std::sync::MutexGuard<'_, Option<TempDir>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A file being written. Dropped unsealed, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Spool {
    writer: BufWriter<File>,
    path: TempPath,
    digest: Sha256,
    bytes: u64,
}

impl Spool {
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digest.update(bytes);
        self.bytes += bytes.len() as u64;
        self.writer.write_all(bytes).await
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the file.
    pub(crate) async fn seal(mut self) -> io::Result<Blob> {
        self.writer.flush().await?;
        Ok(Blob { path: self.path, bytes: self.bytes, sha256: hex(&self.digest.finalize()) })
    }
}

/// A whole file. Its bytes leave the disk with the last reference to it.
#[derive(Debug)]
pub(crate) struct Blob {
    path: TempPath,
    bytes: u64,
    sha256: String,
}

impl Blob {
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Lowercase hex.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    #[cfg(test)]
    pub(crate) fn folder(&self) -> std::path::PathBuf {
        self.path.parent().unwrap().to_owned()
    }

    /// Opens it for reading from `offset` on.
    pub(crate) async fn open(&self, offset: u64) -> io::Result<File> {
        let mut file = File::open(&self.path).await?;
        if offset > 0 {
            file.seek(SeekFrom::Start(offset)).await?;
        }
        Ok(file)
    }
}
