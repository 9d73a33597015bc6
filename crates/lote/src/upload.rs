//! The upload of a file: opened late, streamed, and given up when no byte moves.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use lote_client::types as wire;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::Notify,
};
use tokio_util::io::ReaderStream;

use crate::{
    Client, Error, File, UploadPurpose,
    blocks::{BLOCK, blocks},
    bound,
    call::{decode, map_error},
    dialect::Form,
};

/// How much is handed on at a time: what is handed on tells that something moves, also on a slow line.
const CHUNK: usize = 64 << 10;

/// When a service deletes a file, counted from when the file was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExpiresAfter(i64);

impl ExpiresAfter {
    /// So many seconds after: from 3,600 (an hour) to 2,592,000 (30 days). Azure takes 1,209,600 (14 days) at the
    /// least. Source: OpenAI's `expires_after`.
    ///
    /// # Errors
    /// One that [`is_out_of_range`](Error::is_out_of_range).
    pub fn seconds(seconds: i64) -> Result<Self, Error> {
        bound::EXPIRES_AFTER.check("expires_after.seconds", seconds).map(Self)
    }

    pub(crate) fn get(self) -> i64 {
        self.0
    }

    pub(crate) fn wire(self) -> wire::ExpiresAfter {
        wire::ExpiresAfter { anchor: wire::ExpiresAfterAnchor::CreatedAt, seconds: self.0 }
    }
}

/// What is uploaded.
enum Source {
    Path(PathBuf),
    Reader(Pin<Box<dyn AsyncRead + Send>>),
}

/// What is sent, as it is read.
type Blocks = Pin<Box<dyn Stream<Item = io::Result<Bytes>> + Send>>;

type OnProgress = Arc<dyn Fn(u64) + Send + Sync>;

/// An upload to be sent. See [`Files::upload`](crate::Files::upload).
#[must_use = "nothing is uploaded until it is sent"]
pub struct Upload {
    client: Client,
    source: Source,
    purpose: UploadPurpose,
    file_name: String,
    length: Option<u64>,
    expires_after: Option<ExpiresAfter>,
    on_progress: Option<OnProgress>,
}

impl fmt::Debug for Upload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("file_name", &self.file_name)
            .field("purpose", &self.purpose)
            .finish_non_exhaustive()
    }
}

impl Upload {
    pub(crate) fn from_path(client: Client, path: PathBuf, purpose: UploadPurpose) -> Self {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Self::new(client, Source::Path(path), name, purpose)
    }

    pub(crate) fn from_reader(
        client: Client,
        reader: Pin<Box<dyn AsyncRead + Send>>,
        file_name: String,
        purpose: UploadPurpose,
    ) -> Self {
        Self::new(client, Source::Reader(reader), file_name, purpose)
    }

    fn new(client: Client, source: Source, file_name: String, purpose: UploadPurpose) -> Self {
        Self { client, source, purpose, file_name, length: None, expires_after: None, on_progress: None }
    }

    /// The name that the service is told. The default is that of the file on disk. For a batch it is made to end as
    /// the dialect says, which is `.jsonl` for all known ones: several services take no other.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = name.into();
        self
    }

    /// How many bytes the reader gives; more are not sent, fewer are an error. A file on disk knows its own length.
    pub fn length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// When the service deletes the file. Refused for a dialect that does not know it, such as MKA1's.
    pub fn expires_after(mut self, after: ExpiresAfter) -> Self {
        self.expires_after = Some(after);
        self
    }

    /// Called with the number of bytes taken so far, often.
    pub fn on_progress(mut self, call: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Arc::new(call));
        self
    }

    /// Uploads the file. Never sent twice: that of a file on disk is tried again when no connection could be made.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when the dialect does not take the purpose, the expiry or so many
    /// bytes, and nothing was sent; [`is_io`](Error::is_io) when the file cannot be read; [`is_timeout`](Error::is_timeout)
    /// when nothing moves for the client's idle timeout. After one that [`is_ambiguous`](Error::is_ambiguous) the file may
    /// be there: a second one does no harm but takes its room.
    pub async fn send(self) -> Result<File, Error> {
        let Self { client, source, purpose, file_name, length, expires_after, on_progress } = self;
        let doing = match &source {
            Source::Path(path) => format!("upload {}", path.display()),
            Source::Reader(_) => format!("upload {}", file_name.trim()),
        };
        let form = client.shared().dialect().upload(&file_name, purpose, expires_after.map(|after| after.0));
        let form = form.map_err(|error| error.context(&doing))?;
        let attempt = Attempt { client: &client, doing: &doing, purpose, form, on_progress };
        match source {
            Source::Reader(reader) => attempt.send(of_reader(reader, length), length).await,
            Source::Path(path) => {
                let (attempt, path) = (&attempt, path.as_path());
                // A file is opened anew for each try.
                let send = |_| async move {
                    let (blocks, length) = open(path, length).await.map_err(|error| error.context(attempt.doing))?;
                    attempt.send(blocks, length).await
                };
                client.shared().retried_unsent(send).await
            }
        }
    }
}

/// What every try of an upload has in common.
struct Attempt<'a> {
    client: &'a Client,
    doing: &'a str,
    purpose: UploadPurpose,
    form: Form,
    on_progress: Option<OnProgress>,
}

impl Attempt<'_> {
    async fn send(&self, blocks: Blocks, length: Option<u64>) -> Result<File, Error> {
        let (shared, doing) = (self.client.shared(), self.doing);
        if let (UploadPurpose::Batch, Some(length)) = (self.purpose, length) {
            shared.dialect().input_bytes(length).map_err(|error| error.context(doing))?;
        }
        let watch = Arc::new(Watch::default());
        let Form { path, fields, file_name, media_type } = self.form.clone();
        let upload = lote_client::Upload {
            path,
            fields,
            file_name,
            media_type,
            body: Box::pin(watched(blocks, Arc::clone(&watch), self.on_progress.clone())),
            length,
        };
        let result = tokio::select! {
            result = shared.calls().upload_file(upload) => result,
            waited = watch.standstill(shared.idle_timeout(), shared.call_timeout()) => {
                return Err(Error::timeout(format!(
                    "{doing}: {} did nothing for {} s", shared.base_url(), waited.as_secs()
                )));
            }
        };
        if let Some(error) = watch.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(Error::io(format_args!("{doing}: read"), error));
        }
        let answer = map_error(shared, doing, result).await?;
        decode(shared, doing, File::read("file", answer.into_inner()))
    }
}

/// What is seen of a body on its way out.
#[derive(Debug, Default)]
struct Watch {
    moved: Notify,
    all_taken: AtomicBool,
    /// Why the reader failed; the request only tells that its body did.
    failure: Mutex<Option<io::Error>>,
}

impl Watch {
    /// Ends, with how long it was, when nothing has moved for `idle`, or, once all was taken, the answer has not come
    /// for `answer`.
    async fn standstill(&self, idle: Duration, answer: Duration) -> Duration {
        loop {
            let limit = if self.all_taken.load(Ordering::Relaxed) { answer.max(idle) } else { idle };
            if tokio::time::timeout(limit, self.moved.notified()).await.is_err() {
                return limit;
            }
        }
    }
}

/// The bytes of a file or reader, each step of them seen.
fn watched(
    blocks: Blocks,
    watch: Arc<Watch>,
    on_progress: Option<OnProgress>,
) -> impl Stream<Item = io::Result<Bytes>> + Send {
    let end = Arc::clone(&watch);
    let mut sent = 0;
    let chunks = blocks.flat_map(|block| stream::iter(chunks(block)));
    let chunks = chunks.map(move |chunk| {
        watch.moved.notify_one();
        match chunk {
            Ok(chunk) => {
                sent += chunk.len() as u64;
                if let Some(call) = &on_progress {
                    call(sent);
                }
                Ok(chunk)
            }
            Err(error) => {
                let kind = error.kind();
                *watch.failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                Err(io::Error::from(kind))
            }
        }
    });
    let nothing = stream::poll_fn(move |_| {
        end.all_taken.store(true, Ordering::Relaxed);
        end.moved.notify_one();
        Poll::Ready(None)
    });
    chunks.chain(nothing)
}

/// A block in pieces of at most [`CHUNK`].
fn chunks(block: io::Result<Bytes>) -> impl Iterator<Item = io::Result<Bytes>> {
    let (mut block, mut error) = match block {
        Ok(block) => (block, None),
        Err(error) => (Bytes::new(), Some(error)),
    };
    std::iter::from_fn(move || match error.take() {
        Some(error) => Some(Err(error)),
        None => (!block.is_empty()).then(|| Ok(block.split_to(block.len().min(CHUNK)))),
    })
}

/// The bytes of a reader, no more than were announced.
fn of_reader(reader: Pin<Box<dyn AsyncRead + Send>>, length: Option<u64>) -> Blocks {
    match length {
        Some(length) => Box::pin(ReaderStream::with_capacity(reader.take(length), BLOCK)),
        None => Box::pin(ReaderStream::with_capacity(reader, BLOCK)),
    }
}

/// The bytes of what is on disk, and how many there are to be. If the file grows meanwhile, no more than that are sent.
async fn open(path: &Path, length: Option<u64>) -> Result<(Blocks, Option<u64>), Error> {
    let failed = |error| Error::path("open", path, error);
    let file = tokio::fs::File::open(path).await.map_err(failed)?;
    let metadata = file.metadata().await.map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
    }
    if metadata.is_file() {
        let length = length.unwrap_or(metadata.len());
        return Ok((Box::pin(blocks(file.into_std().await, length)), Some(length)));
    }
    // A pipe has no length that is known before its end, and what comes through it is handed on as it comes.
    Ok((of_reader(Box::pin(file), length), length))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_standstill_is_noticed_only_when_nothing_moves() {
        let (watch, seconds) = (Watch::default(), Duration::from_secs);
        let feed = async {
            for _ in 0..5 {
                tokio::time::sleep(seconds(9)).await;
                watch.moved.notify_one();
            }
        };
        let start = tokio::time::Instant::now();
        tokio::join!(watch.standstill(seconds(10), seconds(100)), feed);
        assert_eq!(start.elapsed(), seconds(5 * 9 + 10));

        // Once all bytes are taken, the service has as long as for any other answer.
        watch.all_taken.store(true, Ordering::Relaxed);
        let start = tokio::time::Instant::now();
        assert_eq!(watch.standstill(seconds(10), seconds(100)).await, seconds(100));
        assert_eq!(start.elapsed(), seconds(100));
    }

    #[tokio::test]
    async fn what_is_read_in_one_go_is_handed_on_in_pieces() {
        let bytes: Vec<u8> = (0..2 * BLOCK + CHUNK / 2).map(|at| (at % 251) as u8).collect();
        let (sent, told) = (Arc::new(Mutex::new(Vec::new())), bytes.len());
        let on_progress: OnProgress = Arc::new({
            let sent = Arc::clone(&sent);
            move |so_far| sent.lock().unwrap().push(so_far)
        });
        let reader = Box::pin(io::Cursor::new(bytes.clone()));
        let chunks: Vec<_> =
            watched(of_reader(reader, None), Arc::default(), Some(on_progress)).map(Result::unwrap).collect().await;
        assert!(chunks.iter().all(|chunk| !chunk.is_empty() && chunk.len() <= CHUNK));
        assert_eq!(chunks.concat(), bytes);
        let sent = sent.lock().unwrap();
        assert_eq!((sent.len(), sent.last()), (chunks.len(), Some(&(told as u64))));
    }

    #[tokio::test]
    async fn the_end_of_the_bytes_is_seen() {
        let watch = Arc::new(Watch::default());
        let chunks: Vec<_> = watched(of_reader(Box::pin(&b"abc"[..]), None), Arc::clone(&watch), None).collect().await;
        assert_eq!(chunks.len(), 1);
        assert!(watch.all_taken.load(Ordering::Relaxed));
    }
}
