//! Files being written, and files that are whole: in the gateway's own temporary folder, or where durable bytes are kept.

use std::fmt;
use std::io;
use std::io::SeekFrom;
use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest, Sha256};
use tempfile::TempPath;
use tokio::fs::File;
use tokio::io::{AsyncSeekExt, AsyncWriteExt, BufWriter};

use crate::blobs::{Blobs, Charge, Reader, Sink};
use crate::ids::hex;

/// Bytes gathered before they are written.
const BUFFER: usize = 128 * 1024;

/// A file being written. Dropped unsealed, it leaves nothing.
pub(crate) struct Spool {
    to: To,
    digest: Sha256,
    bytes: u64,
    charge: Box<dyn Charge>,
}

enum To {
    Temporary { writer: BufWriter<File>, path: TempPath },
    Kept { sink: Box<dyn Sink>, gathered: Vec<u8>, key: String, blobs: Arc<dyn Blobs> },
}

impl Spool {
    /// One that goes with the process; `tempfile` has drawn its name.
    pub(super) fn temporary(file: std::fs::File, path: TempPath, charge: Box<dyn Charge>) -> Spool {
        let writer = BufWriter::with_capacity(BUFFER, File::from_std(file));
        Spool::new(To::Temporary { writer, path }, charge)
    }

    /// One that stays.
    pub(crate) async fn kept(blobs: Arc<dyn Blobs>, key: String, charge: Box<dyn Charge>) -> io::Result<Spool> {
        let sink = blobs.begin(&key).await?;
        Ok(Spool::new(To::Kept { sink, gathered: Vec::new(), key, blobs }, charge))
    }

    fn new(to: To, charge: Box<dyn Charge>) -> Spool {
        Spool { to, digest: Sha256::new(), bytes: 0, charge }
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.charge.grow(bytes.len() as u64).await?;
        self.bytes += bytes.len() as u64;
        self.digest.update(bytes);
        match &mut self.to {
            To::Temporary { writer, .. } => writer.write_all(bytes).await,
            To::Kept { sink, gathered, .. } => {
                gathered.extend_from_slice(bytes);
                if gathered.len() >= BUFFER { sink.write(Bytes::from(std::mem::take(gathered))).await } else { Ok(()) }
            }
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Ends the file.
    pub(crate) async fn seal(self) -> io::Result<Blob> {
        let sha256 = hex(&self.digest.finalize());
        let place = match self.to {
            To::Temporary { mut writer, path } => {
                writer.flush().await?;
                Place::Temporary(path)
            }
            To::Kept { mut sink, gathered, key, blobs } => {
                sink.write(Bytes::from(gathered)).await?;
                sink.finish().await?;
                Place::Kept { key, blobs }
            }
        };
        Ok(Blob { place, bytes: self.bytes, sha256, _charge: Some(self.charge) })
    }
}

impl fmt::Debug for Spool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Spool").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

/// A whole file. If it is temporary, its bytes leave the disk with the last reference to it.
pub(crate) struct Blob {
    place: Place,
    bytes: u64,
    sha256: String,
    _charge: Option<Box<dyn Charge>>,
}

enum Place {
    Temporary(TempPath),
    Kept { key: String, blobs: Arc<dyn Blobs> },
}

impl Blob {
    /// One that is kept under this key.
    pub(crate) fn kept(blobs: Arc<dyn Blobs>, key: String, bytes: u64, sha256: String) -> Blob {
        Blob { place: Place::Kept { key, blobs }, bytes, sha256, _charge: None }
    }

    /// The key under which it is kept; none of a temporary one.
    pub(crate) fn key(&self) -> Option<&str> {
        match &self.place {
            Place::Temporary(_) => None,
            Place::Kept { key, .. } => Some(key),
        }
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Lowercase hex.
    pub(crate) fn sha256(&self) -> &str {
        &self.sha256
    }

    #[cfg(test)]
    pub(crate) fn folder(&self) -> std::path::PathBuf {
        match &self.place {
            Place::Temporary(path) => path.parent().unwrap().to_owned(),
            Place::Kept { .. } => std::path::PathBuf::new(),
        }
    }

    /// Opens it for reading from `offset` on.
    pub(crate) async fn open(&self, offset: u64) -> io::Result<Reader> {
        match &self.place {
            Place::Temporary(path) => {
                let mut file = File::open(path).await?;
                if offset > 0 {
                    file.seek(SeekFrom::Start(offset)).await?;
                }
                Ok(Box::pin(file))
            }
            Place::Kept { key, blobs } => blobs.read(key, offset).await,
        }
    }
}

impl fmt::Debug for Blob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Blob").field("bytes", &self.bytes).field("sha256", &self.sha256).finish_non_exhaustive()
    }
}
