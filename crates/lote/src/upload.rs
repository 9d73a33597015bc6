//! Owns the upload of a file: opened late, streamed, watched for standstill; never retried here.

use std::{
    fmt, io,
    path::PathBuf,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::StreamExt;
use lote_client::types as wire;
use tokio::{
    io::{AsyncRead, AsyncReadExt},
    sync::Notify,
};
use tokio_util::io::ReaderStream;

use crate::{
    Client, Error, File, UploadPurpose, bound,
    call::{answered, understood},
};

/// How much is read at a time.
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

    pub(crate) fn wire(self) -> wire::ExpiresAfter {
        wire::ExpiresAfter { anchor: wire::ExpiresAfterAnchor::CreatedAt, seconds: self.0 }
    }
}

/// What is uploaded.
enum Source {
    Path(PathBuf),
    Reader(Pin<Box<dyn AsyncRead + Send>>),
}

type OnProgress = Box<dyn Fn(u64) + Send + Sync>;

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

    /// The name that the service is told. The default is that of the file on disk. For a batch it is made to end in
    /// `.jsonl`, which OpenAI is reported to ask for.
    pub fn file_name(mut self, name: impl Into<String>) -> Self {
        self.file_name = name.into();
        self
    }

    /// How many bytes the reader gives; more are not sent, fewer are an error. A file on disk knows its own length.
    pub fn length(mut self, bytes: u64) -> Self {
        self.length = Some(bytes);
        self
    }

    /// When the service deletes the file. OpenAI only.
    pub fn expires_after(mut self, after: ExpiresAfter) -> Self {
        self.expires_after = Some(after);
        self
    }

    /// Called with the number of bytes taken so far, often.
    pub fn on_progress(mut self, call: impl Fn(u64) + Send + Sync + 'static) -> Self {
        self.on_progress = Some(Box::new(call));
        self
    }

    /// Uploads the file. Never sent twice.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when the file cannot be read; [`is_timeout`](Error::is_timeout) when nothing
    /// moves for the client's idle timeout.
    pub async fn send(self) -> Result<File, Error> {
        let Self { client, source, purpose, file_name, length, expires_after, on_progress } = self;
        let file_name = wire_name(&file_name, purpose)?;
        let doing = match &source {
            Source::Path(path) => format!("upload {}", path.display()),
            Source::Reader(_) => format!("upload {file_name}"),
        };
        let (reader, length) = open(source, length).await.map_err(|error| error.context(&doing))?;

        let moved = Arc::new(Notify::new());
        let failure: Arc<Mutex<Option<io::Error>>> = Arc::default();
        let stream = {
            let (moved, failure, mut sent) = (Arc::clone(&moved), Arc::clone(&failure), 0);
            ReaderStream::with_capacity(reader, CHUNK).map(move |chunk| {
                moved.notify_one();
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
                        // The request only tells that its body failed: the reason is kept aside.
                        if let Ok(mut slot) = failure.lock() {
                            *slot = Some(error);
                        }
                        Err(io::Error::from(kind))
                    }
                }
            })
        };
        let upload = lote_client::Upload {
            purpose: wire_purpose(purpose),
            expires_after: expires_after.map(ExpiresAfter::wire),
            file_name,
            media_type: if purpose == UploadPurpose::Batch { "application/jsonl" } else { "application/octet-stream" },
            body: reqwest::Body::wrap_stream(stream),
            length,
        };

        let shared = client.shared();
        let sending = shared.calls().upload_file(upload);
        let result = tokio::select! {
            result = sending => result,
            () = standstill(&moved, shared.idle_timeout()) => {
                return Err(Error::timeout(format!(
                    "{doing}: {} took nothing for {} s", shared.base_url(), shared.idle_timeout().as_secs()
                )));
            }
        };
        if let Some(error) = failure.lock().ok().and_then(|mut slot| slot.take()) {
            return Err(Error::io(format_args!("{doing}: read"), error));
        }
        let answer = answered(shared, &doing, result).await?;
        understood(shared, &doing, File::read("file", answer.into_inner()))
    }
}

/// Ends when nothing has moved for `limit`.
async fn standstill(moved: &Notify, limit: Duration) {
    while tokio::time::timeout(limit, moved.notified()).await.is_ok() {}
}

async fn open(source: Source, length: Option<u64>) -> Result<(Pin<Box<dyn AsyncRead + Send>>, Option<u64>), Error> {
    let (reader, length): (Pin<Box<dyn AsyncRead + Send>>, _) = match source {
        Source::Reader(reader) => (reader, length),
        Source::Path(path) => {
            let failed = |error| Error::path("open", &path, error);
            let file = tokio::fs::File::open(&path).await.map_err(failed)?;
            let metadata = file.metadata().await.map_err(failed)?;
            if metadata.is_dir() {
                return Err(failed(io::Error::from(io::ErrorKind::IsADirectory)));
            }
            // A pipe has no length that is known before its end.
            (Box::pin(file), length.or(metadata.is_file().then_some(metadata.len())))
        }
    };
    Ok(match length {
        // A file that grows meanwhile must not send more than was announced.
        Some(length) => (Box::pin(reader.take(length)), Some(length)),
        None => (reader, None),
    })
}

/// MKA1 refuses a blank name and `blob`, OpenAI a batch file that does not end in .jsonl.
fn wire_name(name: &str, purpose: UploadPurpose) -> Result<String, Error> {
    let name = name.trim();
    if name.is_empty() {
        return Err(Error::invalid("upload: the file has no name; give one"));
    }
    let name = name.replace(char::is_control, "_");
    Ok(match purpose {
        UploadPurpose::Batch if !name.ends_with(".jsonl") => format!("{name}.jsonl"),
        _ if name == "blob" => "blob.bin".to_owned(),
        _ => name,
    })
}

fn wire_purpose(purpose: UploadPurpose) -> wire::UploadPurpose {
    match purpose {
        UploadPurpose::Assistants => wire::UploadPurpose::Assistants,
        UploadPurpose::Batch => wire::UploadPurpose::Batch,
        UploadPurpose::FineTune => wire::UploadPurpose::FineTune,
        UploadPurpose::Vision => wire::UploadPurpose::Vision,
        UploadPurpose::UserData => wire::UploadPurpose::UserData,
        UploadPurpose::Evals => wire::UploadPurpose::Evals,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_services_take() {
        for (name, purpose, expected) in [
            ("a.jsonl", UploadPurpose::Batch, "a.jsonl"),
            ("upload", UploadPurpose::Batch, "upload.jsonl"),
            ("blob", UploadPurpose::Batch, "blob.jsonl"),
            ("blob", UploadPurpose::UserData, "blob.bin"),
            ("a\r\nb", UploadPurpose::UserData, "a__b"),
        ] {
            assert_eq!(wire_name(name, purpose).unwrap(), expected);
        }
        assert!(wire_name(" ", UploadPurpose::Batch).unwrap_err().is_invalid());
    }

    #[tokio::test(start_paused = true)]
    async fn a_standstill_is_noticed_only_when_nothing_moves() {
        let moved = Notify::new();
        let watch = standstill(&moved, Duration::from_secs(10));
        let feed = async {
            for _ in 0..5 {
                tokio::time::sleep(Duration::from_secs(9)).await;
                moved.notify_one();
            }
        };
        let start = tokio::time::Instant::now();
        tokio::join!(watch, feed);
        assert_eq!(start.elapsed(), Duration::from_secs(5 * 9 + 10));
    }
}
