//! Answers to what is no HTTP, of which no handler hears: hyper refuses it with a bare status, and here it gets the error
//! body and the request id that all answers have.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::Instant;

use crate::app::App;
use crate::clock::http_date;
use crate::error::ApiError;
use crate::http::frame::sign;

/// What is kept of a bare answer: its status line is in it.
const KEPT: usize = 64;

/// How long, and how many bytes of, what the client still sends is thrown away, so that it sees the answer.
const LINGER: (Duration, u64) = (Duration::from_secs(1), 1024 * 1024);

/// What happens on one connection: a write while no handler answers is hyper's own.
#[derive(Clone, Debug, Default)]
pub(crate) struct Talk(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    turn: AtomicU8,
    bare: Mutex<Vec<u8>>,
    /// When it became nobody's turn.
    idle_since: Mutex<Instant>,
}

impl Default for Shared {
    fn default() -> Self {
        Shared { turn: AtomicU8::new(NOBODY), bare: Mutex::default(), idle_since: Mutex::new(Instant::now()) }
    }
}

/// Whose turn it is.
const NOBODY: u8 = 0;
const HANDLER: u8 = 1;
/// The handler's body is done; not all of it may have been sent.
const FLUSH: u8 = 2;

impl Talk {
    /// A handler answers from now on, until its body has been read.
    pub(crate) fn begin(&self) -> Answering {
        self.0.turn.store(HANDLER, Ordering::SeqCst);
        Answering(self.clone())
    }

    /// The status of the bare answer that was held back, if there was one.
    pub(crate) fn refused(&self) -> Option<StatusCode> {
        let bare = self.bare();
        // HTTP/1.1 400 …
        StatusCode::from_bytes(bare.get(9..12)?).ok()
    }

    /// Since when nobody has asked for anything on this connection; none while somebody is being answered.
    pub(crate) fn idle_since(&self) -> Option<Instant> {
        self.is_nobodys().then(|| *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// If it is idle, it is so from now on.
    pub(crate) fn touch(&self) {
        *self.0.idle_since.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// All that a handler had to say is on its way.
    fn flushed(&self) {
        if self.0.turn.load(Ordering::SeqCst) == FLUSH {
            self.touch();
            let _ = self.0.turn.compare_exchange(FLUSH, NOBODY, Ordering::SeqCst, Ordering::SeqCst);
        }
    }

    fn is_nobodys(&self) -> bool {
        self.0.turn.load(Ordering::SeqCst) == NOBODY
    }

    fn bare(&self) -> MutexGuard<'_, Vec<u8>> {
        self.0.bare.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a write of hyper's own.
    fn hold_back(&self, buf: &[u8]) -> usize {
        let mut bare = self.bare();
        let room = KEPT.saturating_sub(bare.len()).min(buf.len());
        bare.extend_from_slice(&buf[..room]);
        buf.len()
    }
}

/// A handler's turn, until this is dropped.
#[derive(Debug)]
pub(crate) struct Answering(Talk);

impl Answering {
    /// The same answer, whose turn ends with its body.
    pub(crate) fn with(self, response: Response) -> Response {
        response.map(|inner| Body::new(AnswerBody { inner, _answering: self }))
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.0.turn.store(FLUSH, Ordering::SeqCst);
    }
}

#[derive(Debug)]
struct AnswerBody {
    inner: Body,
    _answering: Answering,
}

impl HttpBody for AnswerBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.inner).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A connection on which bare answers are held back.
#[derive(Debug)]
pub(crate) struct Unheard<S> {
    inner: S,
    talk: Talk,
}

impl<S> Unheard<S> {
    pub(crate) fn new(inner: S, talk: Talk) -> Unheard<S> {
        Unheard { inner, talk }
    }

    pub(crate) fn into_inner(self) -> S {
        self.inner
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unheard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unheard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.talk.is_nobodys() {
            return Poll::Ready(Ok(self.talk.hold_back(buf)));
        }
        Pin::new(&mut self.inner).poll_write(cx, buf)
    }

    /// hyper flushes when it has written all that it had.
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.inner).poll_flush(cx);
        if matches!(flushed, Poll::Ready(Ok(()))) {
            self.talk.flushed();
        }
        flushed
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // There is something to be said yet.
        if self.talk.refused().is_some() {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.talk.is_nobodys() {
            return Poll::Ready(Ok(bufs.iter().map(|buf| self.talk.hold_back(buf)).sum()));
        }
        Pin::new(&mut self.inner).poll_write_vectored(cx, bufs)
    }
}

/// Sends the whole answer in place of the bare one, and ends the connection.
pub(crate) async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    app: &App,
    status: StatusCode,
    mut stream: S,
) -> io::Result<()> {
    let message = match status {
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE => "The head of the request is too long, or has too many headers.",
        _ => "The request is no valid HTTP/1.1.",
    };
    let mut response = ApiError::new(status, message).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    if let Ok(date) = HeaderValue::try_from(http_date(app.clock.now())) {
        headers.insert(header::DATE, date);
    }
    sign(app, &app.ids.next("req_"), &mut response);
    stream.write_all(&text(response).await).await?;
    stream.shutdown().await?;
    let (longest, most) = LINGER;
    let mut rest = stream.take(most);
    let mut nowhere = tokio::io::sink();
    // Out of patience: then the client gets a reset.
    let _ = tokio::time::timeout(longest, tokio::io::copy(&mut rest, &mut nowhere)).await;
    Ok(())
}

/// An answer as it goes over the wire.
async fn text(response: Response) -> Vec<u8> {
    let (parts, body) = response.into_parts();
    // A body that was made here can be read.
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let mut text = format!("HTTP/1.1 {}\r\n", parts.status).into_bytes();
    for (name, value) in parts.headers.iter().filter(|(name, _)| **name != header::CONTENT_LENGTH) {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    text.extend_from_slice(&body);
    text
}
