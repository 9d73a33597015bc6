//! Bytes on disk: files being written, and files that are whole. `tempfile` draws their names, inside the gateway's own
//! folder.

use std::io;
use std::io::SeekFrom;

use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};

use crate::ids::hex;
use crate::store::account::Charge;

/// Bytes gathered before they are written.
const BUFFER: usize = 128 * 1024;

/// A file being written. Dropped unsealed, it leaves nothing.
#[derive(Debug)]
pub(crate) struct Spool {
    writer: BufWriter<File>,
    path: TempPath,
    digest: Sha256,
    charge: Charge,
}

impl Spool {
    pub(super) fn new(file: std::fs::File, path: TempPath, charge: Charge) -> Spool {
        let writer = BufWriter::with_capacity(BUFFER, File::from_std(file));
        Spool { writer, path, digest: Sha256::new(), charge }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.charge.grow(bytes.len() as u64)?;
        self.digest.update(bytes);
        self.writer.write_all(bytes).await
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.charge.bytes()
    }

    /// Ends the file.
    pub(crate) async fn seal(mut self) -> io::Result<Blob> {
        self.writer.flush().await?;
        Ok(Blob { path: self.path, sha256: hex(&self.digest.finalize()), charge: self.charge })
    }
}

/// A whole file. Its bytes leave the disk with the last reference to it.
#[derive(Debug)]
pub(crate) struct Blob {
    path: TempPath,
    sha256: String,
    charge: Charge,
}

impl Blob {
    pub(crate) fn bytes(&self) -> u64 {
        self.charge.bytes()
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
