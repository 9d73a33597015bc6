//! Owns patience with clients: bodies that stall, answers that are not taken, bodies that are still
//! on their way when the answer is already known. Never looks at the bytes.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

/// How long the rest of a body is read and thrown away after the answer.
const LINGER: Duration = Duration::from_secs(10);

/// A timer that runs only while something is pending.
#[derive(Debug)]
struct Stall {
    limit: Duration,
    timer: Option<Pin<Box<Sleep>>>,
    running: bool,
}

impl Stall {
    fn new(limit: Duration) -> Stall {
        Stall { limit, timer: None, running: false }
    }

    fn clear(&mut self) {
        self.running = false;
    }

    /// Whether it has been pending for too long.
    fn is_over(&mut self, cx: &mut Context<'_>) -> bool {
        let limit = self.limit;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(limit)));
        if !self.running {
            timer.as_mut().reset(Instant::now() + limit);
            self.running = true;
        }
        timer.as_mut().poll(cx).is_ready()
    }
}

/// A request body that ends with an error when its client stalls. Dropped before its end, it lets
/// the rest arrive in the background: closing the connection on unread data would reset it, and the
/// client would never see the answer.
#[derive(Debug)]
pub(super) struct GuardedBody {
    inner: Body,
    stall: Stall,
    linger: bool,
}

impl GuardedBody {
    pub(super) fn new(inner: Body, stall: Duration, linger: bool) -> GuardedBody {
        GuardedBody { inner, stall: Stall::new(stall), linger }
    }
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        match Pin::new(&mut self.inner).poll_frame(cx) {
            Poll::Ready(frame) => {
                self.stall.clear();
                if !matches!(frame, Some(Ok(_))) {
                    self.linger = false;
                }
                Poll::Ready(frame)
            }
            Poll::Pending if self.stall.is_over(cx) => {
                self.linger = false;
                let error = io::Error::new(io::ErrorKind::TimedOut, "the request body stalled");
                Poll::Ready(Some(Err(axum::Error::new(error))))
            }
            Poll::Pending => Poll::Pending,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

impl Drop for GuardedBody {
    fn drop(&mut self) {
        if !self.linger || self.inner.is_end_stream() {
            return;
        }
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut rest = std::mem::take(&mut self.inner).into_data_stream();
        runtime.spawn(async move {
            let drain = async { while let Some(Ok(_)) = rest.next().await {} };
            // Out of patience: then the client gets its reset.
            let _ = tokio::time::timeout(LINGER, drain).await;
        });
    }
}

/// A connection on which a write that makes no progress for too long is an error.
#[derive(Debug)]
pub(crate) struct StallGuard<S> {
    inner: S,
    stall: Stall,
}

impl<S> StallGuard<S> {
    pub(crate) fn new(inner: S, stall: Duration) -> StallGuard<S> {
        StallGuard { inner, stall: Stall::new(stall) }
    }

    pub(crate) fn into_inner(self) -> S {
        self.inner
    }

    fn watch<T>(&mut self, cx: &mut Context<'_>, progress: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if progress.is_ready() {
            self.stall.clear();
        } else if self.stall.is_over(cx) {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        progress
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for StallGuard<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_read(cx, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for StallGuard<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write(cx, buf);
        self.watch(cx, progress)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.inner).poll_flush(cx);
        self.watch(cx, progress)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let progress = Pin::new(&mut self.inner).poll_shutdown(cx);
        self.watch(cx, progress)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let progress = Pin::new(&mut self.inner).poll_write_vectored(cx, bufs);
        self.watch(cx, progress)
    }
}
