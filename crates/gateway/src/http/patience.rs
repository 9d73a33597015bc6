//! Patience with clients that send a body: one that stalls, one that comes too slowly, one that is still on its way when
//! the answer is already known.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures_util::StreamExt;
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use crate::error::TooSlow;

/// How long the rest of a body is read and thrown away after the answer.
const LINGER: Duration = Duration::from_secs(10);

/// The least that a client has to send of a body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Floor {
    /// Longest wait for the next piece.
    pub(crate) stall: Duration,
    /// Bytes a second, over each such time that the gateway has waited for the client; 0 for none.
    pub(crate) rate: u64,
}

/// How fast a body comes. Only the time in which the gateway waits for the client counts.
#[derive(Debug)]
struct Pace {
    floor: Floor,
    timer: Option<Pin<Box<Sleep>>>,
    waiting_since: Option<Instant>,
    /// Waited, and bytes that came, since the rate was looked at last.
    waited: Duration,
    came: u64,
}

impl Pace {
    fn new(floor: Floor) -> Pace {
        Pace { floor, timer: None, waiting_since: None, waited: Duration::ZERO, came: 0 }
    }

    /// A piece came.
    fn take(&mut self, bytes: usize) -> Result<(), TooSlow> {
        let since = self.waiting_since.take();
        self.waited += since.map_or(Duration::ZERO, |since| since.elapsed());
        self.came = self.came.saturating_add(bytes as u64);
        self.look()
    }

    /// Looks at the rate when enough time has gone by.
    fn look(&mut self) -> Result<(), TooSlow> {
        let Floor { stall, rate } = self.floor;
        if rate == 0 || self.waited < stall {
            return Ok(());
        }
        let least = u128::from(rate) * self.waited.as_millis() / 1000;
        if u128::from(self.came) < least {
            return Err(TooSlow::Below(rate, self.waited));
        }
        (self.waited, self.came) = (Duration::ZERO, 0);
        Ok(())
    }

    /// Nothing has come: whether it is too late for that.
    fn wait(&mut self, cx: &mut Context<'_>) -> Result<(), TooSlow> {
        let stall = self.floor.stall;
        let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep(stall)));
        if self.waiting_since.is_none() {
            let now = Instant::now();
            self.waiting_since = Some(now);
            timer.as_mut().reset(now + stall);
        }
        if timer.as_mut().poll(cx).is_ready() { Err(TooSlow::Stalled(stall)) } else { Ok(()) }
    }
}

/// A request body that ends with an error when its client sends less than the [`Floor`]. Dropped before its end, it lets
/// the rest arrive in the background: closing the connection on unread data would reset it, and the
/// client would never see the answer.
#[derive(Debug)]
pub(super) struct GuardedBody {
    inner: Body,
    pace: Pace,
    linger: bool,
}

impl GuardedBody {
    pub(super) fn new(inner: Body, floor: Floor, linger: bool) -> GuardedBody {
        GuardedBody { inner, pace: Pace::new(floor), linger }
    }
}

impl HttpBody for GuardedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(cx);
        let enough = match &polled {
            Poll::Ready(Some(Ok(frame))) => self.pace.take(frame.data_ref().map_or(0, Bytes::len)),
            Poll::Ready(_) => {
                self.linger = false;
                Ok(())
            }
            Poll::Pending => self.pace.wait(cx),
        };
        if let Err(slow) = enough {
            self.linger = false;
            return Poll::Ready(Some(Err(axum::Error::new(slow))));
        }
        polled
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

#[cfg(test)]
mod tests {
    use std::io;

    use futures_util::stream;

    use super::*;

    const FLOOR: Floor = Floor { stall: Duration::from_secs(30), rate: 1_000 };

    /// What becomes of a body of so many pieces of so many bytes, each after a pause; and how long it took.
    async fn reading(pieces: u64, bytes: usize, pause: Duration) -> (Option<TooSlow>, Duration) {
        let pieces = stream::iter(0..pieces).then(move |_| async move {
            tokio::time::sleep(pause).await;
            Ok::<_, io::Error>(Bytes::from(vec![b'x'; bytes]))
        });
        let begun = Instant::now();
        let mut body = GuardedBody::new(Body::from_stream(pieces), FLOOR, false);
        let ended = loop {
            match std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
                Some(Ok(_)) => {}
                Some(Err(error)) => break TooSlow::of(&error).copied(),
                None => break None,
            }
        };
        (ended, begun.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_that_trickles_is_given_up_after_one_stall_and_not_at_its_end() {
        let second = Duration::from_secs(1);
        // One byte a second, and as many as are asked for but for one.
        for bytes in [1, 999] {
            let (ended, took) = reading(1_000_000, bytes, second).await;
            assert!(matches!(ended, Some(TooSlow::Below(1_000, _))), "{bytes}: {ended:?}");
            assert!(took <= FLOOR.stall + second, "{bytes}: {took:?}");
        }
        // Large pieces from time to time are as good as small ones.
        for (pieces, bytes, pause) in [(600, 1_010, second), (20, 29_100, second * 29), (3, 1, second * 9)] {
            let (ended, _) = reading(pieces, bytes, pause).await;
            assert_eq!(ended, None, "{pieces} times {bytes}");
        }
        let (ended, took) = reading(1, 1_000_000, second * 31).await;
        assert_eq!((ended, took), (Some(TooSlow::Stalled(FLOOR.stall)), FLOOR.stall));
    }

    #[tokio::test(start_paused = true)]
    async fn time_in_which_nobody_reads_counts_for_the_client() {
        let pieces = stream::iter((0..100).map(|_| Ok::<_, io::Error>(Bytes::from_static(b"x"))));
        let mut body = GuardedBody::new(Body::from_stream(pieces), FLOOR, false);
        while let Some(piece) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            piece.unwrap();
            tokio::time::sleep(Duration::from_secs(60)).await;
        }
    }
}
