//! The way of a request to the executor, the same for a line of a batch and for a request that is answered at once. It is in
//! memory only while somebody is at work on it: it is let go for every pause, and read again after it.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::app::{App, LINE_MEMORY_KIB};
use crate::executor::{Failure, LineAnswer, LineRequest, Reply, Turn};

/// A part of the memory for requests, until it is dropped.
pub(crate) type Room = Option<OwnedSemaphorePermit>;

/// A request that is in memory, and the room that it takes there.
#[derive(Debug)]
pub(crate) struct Held {
    pub(crate) request: LineRequest,
    pub(crate) _room: Room,
}

/// Where a request is between two pauses.
pub(crate) trait Source: Sync {
    /// Reads it again; none when that fails.
    fn read(&self) -> impl Future<Output = Option<Held>> + Send;

    /// Waits until it may go out.
    fn may(&self) -> impl Future<Output = ()> + Send;
}

/// Room for so many bytes; a request larger than all room takes all of it. It is only held by who is at work, never by who
/// waits for time to pass: so nobody's slow requests are in the way of anybody else's.
pub(crate) async fn room(memory: &Arc<Semaphore>, bytes: u64) -> Room {
    let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(LINE_MEMORY_KIB);
    // The semaphore is never closed.
    Arc::clone(memory).acquire_many_owned(kib).await.ok()
}

/// Tries until the executor is content, or the last of `attempts` was made.
/// `handed` is told of each attempt before the executor has it.
pub(crate) async fn answer(
    app: &App,
    held: Held,
    source: &impl Source,
    attempts: RangeInclusive<u32>,
    handed: impl Fn(u32) + Send + Sync,
) -> Result<LineAnswer, Failure> {
    let mut held = Some(held);
    let mut turn = Turn { attempt: *attempts.start(), has_paused: false };
    loop {
        let now = match held.take() {
            Some(held) => held,
            None => source.read().await.ok_or_else(Failure::broken)?,
        };
        source.may().await;
        if !turn.has_paused {
            handed(turn.attempt);
        }
        let pause = match app.executor.answer(&now.request, turn).await {
            Reply::Pause(pause) => {
                turn.has_paused = true;
                pause
            }
            Reply::Answer(LineAnswer { again_after: Some(pause), .. })
            | Reply::Failed(Failure { again_after: Some(pause), .. })
                if turn.attempt < *attempts.end() =>
            {
                turn = Turn { attempt: turn.attempt + 1, has_paused: false };
                pause
            }
            Reply::Answer(answer) => return Ok(answer),
            Reply::Failed(failure) => return Err(failure),
        };
        drop(now);
        app.clock.sleep(pause.max(Duration::from_millis(1))).await;
    }
}
