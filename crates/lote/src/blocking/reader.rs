//! Reads what may block on a thread of its own. A reader that panicked is an error, not the end of the file.

use std::{
    io::{self, Read},
    thread,
};

use bytes::Bytes;
use futures_util::{Stream, TryStreamExt, stream};
use tokio::{io::AsyncRead, sync::mpsc};
use tokio_util::io::StreamReader;

/// How much is read at a time.
const CHUNK: usize = 64 << 10;

/// How many chunks may have been read before they are wanted.
const AHEAD: usize = 2;

/// What the reader gives, read on a thread that begins with the first read.
pub(super) fn read_aside(reader: impl Read + Send + 'static) -> impl AsyncRead + Send {
    StreamReader::new(Box::pin(stream::once(async { start(reader) }).try_flatten()))
}

fn start(mut reader: impl Read + Send + 'static) -> io::Result<impl Stream<Item = io::Result<Bytes>> + Send> {
    let (sender, receiver) = mpsc::channel(AHEAD);
    thread::Builder::new().name("lote-upload".to_owned()).spawn(move || {
        loop {
            let mut chunk = vec![0; CHUNK];
            let read = match reader.read(&mut chunk) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                read => read.map(|length| {
                    chunk.truncate(length);
                    Bytes::from(chunk)
                }),
            };
            let last = read.as_ref().map_or(true, Bytes::is_empty);
            // The receiver is gone when the upload has ended before the reader.
            if sender.blocking_send(read).is_err() || last {
                return;
            }
        }
    })?;
    Ok(stream::unfold(receiver, async |mut receiver: mpsc::Receiver<io::Result<Bytes>>| {
        match receiver.recv().await {
            // An empty chunk marks the end.
            Some(Ok(chunk)) if chunk.is_empty() => None,
            Some(read) => Some((read, receiver)),
            None => Some((Err(io::Error::other("the reader panicked")), receiver)),
        }
    }))
}
