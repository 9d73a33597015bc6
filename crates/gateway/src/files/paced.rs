//! Hands a form to its parser piece by piece, since the parser gathers whatever is there: without that, a whole body or
//! an endless head of a part would be in memory.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::Stream;

/// Most bytes that are taken while looking for the head of a part. Far more than a head needs,
/// because the parser takes several pieces of the body for each step it makes.
const HEAD_LIMIT: u64 = 1024 * 1024;

/// The head of a part does not end.
#[derive(Debug)]
pub(super) struct HeadTooLong;

impl fmt::Display for HeadTooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the head of a part is too long")
    }
}

impl std::error::Error for HeadTooLong {}

/// Tells [`Paced`] where in the form its reader is: how many bytes it may still yield.
#[derive(Clone, Debug, Default)]
pub(super) struct Pacer(Arc<AtomicU64>);

impl Pacer {
    /// The head of a part comes next.
    pub(super) fn expect_head(&self) {
        self.0.store(HEAD_LIMIT, Ordering::Relaxed);
    }

    /// Data comes next; whoever takes it counts it.
    pub(super) fn expect_data(&self) {
        self.0.store(u64::MAX, Ordering::Relaxed);
    }

    fn is_spent(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    fn spend(&self, bytes: usize) {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(bytes as u64), Ordering::Relaxed);
    }
}

/// A body that yields one piece at a time: the parser takes whatever is ready before it looks at
/// any of it, so after each piece this stream claims once that nothing is.
#[derive(Debug)]
pub(super) struct Paced<S> {
    inner: S,
    pacer: Pacer,
    pause: bool,
}

impl<S> Paced<S> {
    pub(super) fn new(inner: S, pacer: Pacer) -> Paced<S> {
        Paced { inner, pacer, pause: false }
    }
}

impl<S: Stream<Item = Result<Bytes, axum::Error>> + Unpin> Stream for Paced<S> {
    type Item = Result<Bytes, Box<dyn std::error::Error + Send + Sync>>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if std::mem::take(&mut self.pause) {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.pacer.is_spent() {
            return Poll::Ready(Some(Err(HeadTooLong.into())));
        }
        let next = Pin::new(&mut self.inner).poll_next(cx);
        if let Poll::Ready(Some(Ok(piece))) = &next {
            self.pause = true;
            self.pacer.spend(piece.len());
        }
        next.map(|piece| piece.map(|piece| piece.map_err(Into::into)))
    }
}
