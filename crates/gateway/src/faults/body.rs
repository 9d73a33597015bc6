//! The ways in which a connection or the body of an answer ends badly.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::body::{Body, BodyDataStream};
use axum::http::header;
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream};
use http_body::Body as _;
use tokio_util::sync::CancellationToken;

use crate::faults::{Effect, Strike};

/// How long a connection has for the last piece before it ends.
const FLUSH: Duration = Duration::from_millis(20);

/// Pieces of a slow body in a second.
const PIECES_PER_SECOND: u64 = 10;

/// Ends one connection. A clone is with every request on it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Abort {
    asked: CancellationToken,
    reset: Arc<AtomicBool>,
}

/// How a connection was asked to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Aborts {
    /// With a FIN, as if all had been said.
    Close,
    /// With an RST.
    Reset,
}

impl Abort {
    /// Ends the connection; never returns.
    pub(crate) async fn end(&self, how: Aborts) -> ! {
        self.reset.store(how == Aborts::Reset, Ordering::SeqCst);
        self.asked.cancel();
        std::future::pending().await
    }

    /// Resolves when the connection has to end.
    pub(crate) async fn asked(&self) -> Aborts {
        self.asked.cancelled().await;
        if self.reset.load(Ordering::SeqCst) { Aborts::Reset } else { Aborts::Close }
    }
}

/// Lets an answer end as the effect says. At least the last byte of a body is withheld.
pub(crate) fn mutilate(strike: &Strike, abort: &Abort, response: Response) -> Response {
    let (mut parts, body) = response.into_parts();
    let length = parts
        .headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok())
        .or_else(|| body.size_hint().exact());
    if let Some(length) = length {
        parts.headers.insert(header::CONTENT_LENGTH, length.into());
    }
    // An empty body cannot end early, except that it lacks its last chunk.
    if length != Some(0) || matches!(strike.effect, Effect::TruncatedChunks { .. }) {
        strike.happened();
    }
    let within = |after: u64| length.map_or(after, |length: u64| after.min(length.saturating_sub(1)));
    let pieces = body.into_data_stream();
    let body = match strike.effect {
        Effect::ResetInBody { after } => cut(pieces, within(after), abort, Aborts::Reset),
        Effect::TruncatedBody { after } => cut(pieces, within(after), abort, Aborts::Close),
        Effect::TruncatedChunks { after } => {
            parts.headers.remove(header::CONTENT_LENGTH);
            cut(pieces, within(after), abort, Aborts::Close)
        }
        Effect::SlowBody { bytes_per_second } => slow(pieces, bytes_per_second),
        _ => Body::from_stream(pieces),
    };
    Response::from_parts(parts, body)
}

/// The first bytes of a body; then the connection ends. The last byte is withheld also where nobody knew the length: so a
/// piece is sent when the next one is there.
fn cut(pieces: BodyDataStream, after: u64, abort: &Abort, how: Aborts) -> Body {
    let abort = abort.clone();
    Body::from_stream(stream::unfold((pieces, Bytes::new(), after), move |(mut pieces, mut held, left)| {
        let abort = abort.clone();
        async move {
            let mut ends = left == 0;
            while held.is_empty() && !ends {
                match pieces.next().await {
                    Some(Ok(piece)) => held = piece,
                    Some(Err(error)) => return Some((Err(error), (pieces, held, left))),
                    None => ends = true,
                }
            }
            if ends {
                tokio::time::sleep(FLUSH).await;
                abort.end(how).await;
            }
            let next = pieces.next().await;
            let mut piece = std::mem::take(&mut held);
            // All that there is would be the whole.
            let most = if next.is_none() { piece.len() - 1 } else { piece.len() };
            piece.truncate(usize::try_from(left).unwrap_or(usize::MAX).min(most));
            let left = if next.is_none() { 0 } else { left - piece.len() as u64 };
            match next {
                Some(Ok(next)) => held = next,
                Some(Err(error)) => return Some((Err(error), (pieces, held, left))),
                None => {}
            }
            Some((Ok(piece), (pieces, held, left)))
        }
    }))
}

/// All of a body, at a pace.
fn slow(pieces: BodyDataStream, bytes_per_second: u64) -> Body {
    let step = bytes_per_second.div_ceil(PIECES_PER_SECOND).max(1);
    let pause = Duration::from_secs_f64(step as f64 / bytes_per_second.max(1) as f64);
    Body::from_stream(stream::unfold((pieces, Bytes::new()), move |(mut pieces, mut held)| async move {
        while held.is_empty() {
            match pieces.next().await? {
                Ok(piece) => held = piece,
                Err(error) => return Some((Err(error), (pieces, held))),
            }
        }
        tokio::time::sleep(pause).await;
        let most = usize::try_from(step).unwrap_or(usize::MAX);
        let piece = held.split_to(most.min(held.len()));
        Some((Ok(piece), (pieces, held)))
    }))
}
