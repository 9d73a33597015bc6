//! Reading an object by ranges: a request has a limit on its time, body included, and a reader takes as long as it likes.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{Error, GetOptions, GetRange, ObjectStore, ObjectStoreExt};
use tokio::io::{AsyncRead, ReadBuf};
use tokio_util::io::StreamReader;

use crate::blobs::Reader;
use crate::blobs::object::failed;

/// The first range, and each further one. The first is short, since most readers want a slice.
const FIRST: u64 = 1 << 20;
const RANGE: u64 = 8 << 20;

/// How often in a row a range is asked for in vain, and the pause after the first time; it doubles.
const MOST_TRIES: u32 = 4;
const PAUSE: Duration = Duration::from_millis(100);

/// An object that is read on.
pub(super) struct Ranges {
    store: Arc<dyn ObjectStore>,
    path: Path,
    /// The next byte.
    at: u64,
    /// How many bytes there are.
    size: u64,
    /// The bytes that were asked for, and where they end.
    body: Option<(BoxStream<'static, object_store::Result<Bytes>>, u64)>,
}

impl Ranges {
    /// Asks for the first bytes, so that it is known whether there are any.
    pub(super) async fn open(store: Arc<dyn ObjectStore>, path: Path, from: u64) -> io::Result<Ranges> {
        let mut ranges = Ranges { store, path, at: from, size: 0, body: None };
        match ranges.ask(FIRST).await {
            Ok(()) => {}
            Err(error @ Error::NotFound { .. }) => return Err(failed(error)),
            // A range of nothing is an error too, and at the end there is nothing. Anything else is tried again.
            Err(_) => ranges.size = ranges.store.head(&ranges.path).await.map_err(failed)?.size,
        }
        Ok(ranges)
    }

    async fn ask(&mut self, length: u64) -> object_store::Result<()> {
        let range = self.at..self.at.saturating_add(length);
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let got = self.store.get_opts(&self.path, options).await?;
        self.size = got.meta.size;
        let until = got.range.end;
        self.body = Some((got.into_stream(), until));
        Ok(())
    }

    /// The bytes that follow; none at the end. What breaks is asked for again from there on.
    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        let mut tries = 0;
        while self.at < self.size {
            let error = match &mut self.body {
                None => match self.ask(RANGE).await {
                    Ok(()) => continue,
                    Err(error) => failed(error),
                },
                Some((body, until)) => match body.next().await {
                    Some(Ok(bytes)) if bytes.len() as u64 > *until - self.at => {
                        return Err(io::Error::new(
                            io::ErrorKind::InvalidData,
                            "the store sends more than was asked for",
                        ));
                    }
                    Some(Ok(bytes)) => {
                        self.at += bytes.len() as u64;
                        return Ok(Some(bytes));
                    }
                    Some(Err(error)) => failed(error),
                    None if self.at == *until => {
                        self.body = None;
                        continue;
                    }
                    None => io::Error::new(io::ErrorKind::UnexpectedEof, "the store has not sent all that it has"),
                },
            };
            self.body = None;
            tries += 1;
            if tries == MOST_TRIES || error.kind() == io::ErrorKind::NotFound {
                return Err(error);
            }
            tokio::time::sleep(PAUSE * (1 << tries)).await;
        }
        Ok(None)
    }

    pub(super) fn into_reader(self) -> Reader {
        let bytes =
            stream::try_unfold(self, |mut ranges| async move { Ok(ranges.next().await?.map(|bytes| (bytes, ranges))) });
        Box::pin(Shared(Mutex::new(StreamReader::new(bytes.boxed()))))
    }
}

/// A reader that may be known to several threads, as ours must; it is read by one at a time.
struct Shared(Mutex<StreamReader<BoxStream<'static, io::Result<Bytes>>, Bytes>>);

impl AsyncRead for Shared {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let reader = self.get_mut().0.get_mut().unwrap_or_else(PoisonError::into_inner);
        Pin::new(reader).poll_read(cx, buf)
    }
}
