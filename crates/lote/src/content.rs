//! Owns the content of a file on its way here: a stream with a known end; never the whole of it in memory.

use std::{fmt, io, path::Path, pin::Pin};

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use lote_client::{ByteStream, ResponseValue};
use tokio::io::{AsyncWrite, AsyncWriteExt, BufWriter};

use crate::{Client, Error, FileId, call, save::Beside};

/// How much is gathered before it is written to disk.
const BUFFER: usize = 256 << 10;

/// The bytes of a file, as they arrive.
pub struct Content {
    client: Client,
    id: FileId,
    length: Option<u64>,
    stream: Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send + Sync>>,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("id", &self.id).field("length", &self.length).finish_non_exhaustive()
    }
}

impl Content {
    pub(crate) fn new(client: Client, id: FileId, answer: ResponseValue<ByteStream>) -> Self {
        let length = answer.content_length();
        Self { client, id, length, stream: answer.into_inner_stream() }
    }

    /// How many bytes there are, when the service says so.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// One that [`is_connection`](Error::is_connection) when the content breaks off before its end.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        match self.stream.next().await {
            None => Ok(None),
            Some(Ok(chunk)) => Ok(Some(chunk)),
            Some(Err(error)) => Err(call::transport(self.client.shared(), error).context(self.doing())),
        }
    }

    /// Writes all of it to `writer`, flushes, and says how many bytes there were.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when the writer refuses, else of the connection. What was written by then stays
    /// written: [`save`](Self::save) leaves nothing half done.
    pub async fn copy_to(mut self, writer: &mut (impl AsyncWrite + Unpin + ?Sized)) -> Result<u64, Error> {
        let refused = |id: &FileId, error| Error::io(format_args!("write the content of file {id}"), error);
        let mut written = 0;
        while let Some(chunk) = self.chunk().await? {
            writer.write_all(&chunk).await.map_err(|error| refused(&self.id, error))?;
            written += chunk.len() as u64;
        }
        writer.flush().await.map_err(|error| refused(&self.id, error))?;
        Ok(written)
    }

    /// Writes all of it to a file, which appears under its name only when it is whole, and says how many bytes it has.
    /// A file that is there is replaced then.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when the disk refuses, else of the connection. There is no new file then, and
    /// the one that was there is as it was.
    pub async fn save(self, path: impl AsRef<Path>) -> Result<u64, Error> {
        let path = path.as_ref();
        let failed = |error: io::Error| Error::path("save to", path, error);
        let mut beside = Beside::new(path).map_err(failed)?;
        let file = tokio::fs::File::from_std(beside.file().try_clone().map_err(failed)?);
        let mut writer = BufWriter::with_capacity(BUFFER, file);
        let bytes = self.copy_to(&mut writer).await.map_err(|error| error.context(path.display()))?;
        let committed = tokio::task::spawn_blocking(move || beside.commit()).await;
        committed.map_err(io::Error::other).and_then(|done| done).map_err(failed)?;
        Ok(bytes)
    }

    fn doing(&self) -> String {
        format!("content of file {}", self.id)
    }
}
