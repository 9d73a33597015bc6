//! Runs the lines of a batch: so many at once, until they are done, the window is over or the batch is cancelled. Every
//! line gets a result.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use tokio::sync::OwnedSemaphorePermit;

use crate::app::LINE_MEMORY_KIB;
use crate::executor::{LineAnswer, LineRequest, Reply, Turn};
use crate::journal::Event;
use crate::run::Run;
use crate::run::in_flight::InFlight;
use crate::run::line::{Line, string};
use crate::run::reader::{self, FoundLine, LineReader, Place};
use crate::run::results::{Results, Unanswered};
use crate::store::{Blob, FileRecord};

/// Most tries of one line, when its executor says that another is worth it.
const MOST_ATTEMPTS: u32 = 10;

/// A part of the line memory, until it is dropped.
type Room = Option<OwnedSemaphorePermit>;

/// Why the running of lines ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    Expired,
    Cancelled,
}

impl Run {
    pub(super) async fn execute(&self, input: &FileRecord, results: &mut Results) -> io::Result<Ending> {
        let clock = &self.app.clock;
        let mut lines = clock.working(LineReader::open(&input.blob)).await?;
        let mut in_flight = InFlight::new(clock);
        // Found, but waiting for room in the line memory.
        let mut next: Option<FoundLine> = None;
        let ending = self.run_lines(&mut lines, &mut next, &mut in_flight, results).await?;
        let why = match ending {
            Ending::Done => return Ok(ending),
            Ending::Expired => Unanswered::Expired,
            Ending::Cancelled => Unanswered::Cancelled,
        };
        for custom_id in in_flight.give_up() {
            clock.working(results.unanswered(&custom_id, why)).await?;
        }
        while let Some(line) = match next.take() {
            Some(line) => Some(line),
            None => clock.working(lines.next()).await?,
        } {
            let _room = self.room(line.place.bytes).await;
            if let Some(request) = self.request(&clock.working(lines.read(line)).await?) {
                clock.working(results.unanswered(&request.custom_id, why)).await?;
            }
        }
        Ok(ending)
    }

    async fn run_lines(
        &self,
        lines: &mut LineReader,
        next: &mut Option<FoundLine>,
        in_flight: &mut InFlight,
        results: &mut Results,
    ) -> io::Result<Ending> {
        let app = &self.app;
        let mut deadline = std::pin::pin!(app.clock.sleep_until(self.order.deadline_ms));
        let mut grace = std::pin::pin!(async {
            self.cancel.cancelled().await;
            app.clock.sleep(app.settings.cancel_grace).await;
        });
        let mut at_end = false;
        // Kept from turn to turn, so that a large line keeps its place in the queue.
        let mut room: Option<BoxFuture<'_, Room>> = None;
        loop {
            let cancelling = self.cancel.is_cancelled();
            let open = !cancelling && in_flight.len() < self.batch.max_concurrency;
            if in_flight.len() == 0 {
                if cancelling {
                    return Ok(Ending::Cancelled);
                }
                if at_end && next.is_none() {
                    return Ok(Ending::Done);
                }
            }
            // What is asked for and not taken would be lost to everybody.
            room = match next {
                Some(line) if open => room.or_else(|| Some(self.room(line.place.bytes).boxed())),
                _ => None,
            };
            tokio::select! {
                biased;
                // What is done is done, even when the time is over as well.
                Some((custom_id, answer)) = in_flight.next() => {
                    app.clock.working(self.record(&custom_id, answer, results)).await?;
                }
                () = &mut grace => return Ok(Ending::Cancelled),
                () = self.cancel.cancelled(), if !cancelling => {}
                () = &mut deadline, if !cancelling => return Ok(Ending::Expired),
                line = app.clock.working(lines.next()), if open && next.is_none() && !at_end => {
                    *next = line?;
                    at_end = next.is_none();
                }
                Some(taken) = OptionFuture::from(room.as_mut()) => {
                    room = None;
                    let Some(line) = next.take() else { continue };
                    let place = line.place;
                    if let Some(request) = self.request(&app.clock.working(lines.read(line)).await?) {
                        let (run, blob) = (self.clone(), Arc::clone(lines.blob()));
                        in_flight.begin(request.custom_id.clone(), async move {
                            run.answer(&blob, place, (request, taken)).await
                        });
                    }
                }
            }
        }
    }

    /// Room for a line of so many bytes; one larger than all room takes all of it. It is only held by who is at work,
    /// never by who waits for time to pass: so nobody's slow lines are in the way of anybody else's.
    pub(super) async fn room(&self, bytes: u64) -> Room {
        let kib = u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(LINE_MEMORY_KIB);
        // The semaphore is never closed.
        Arc::clone(&self.app.line_memory).acquire_many_owned(kib).await.ok()
    }

    /// A line that has been validated before.
    fn request(&self, bytes: &[u8]) -> Option<LineRequest> {
        let line = Line::parse(bytes).ok()?;
        Some(LineRequest {
            custom_id: string(line.custom_id?, "custom_id").ok()?,
            origin: self.batch.origin,
            endpoint: self.batch.endpoint,
            body: line.body?.to_owned(),
        })
    }

    /// Tries until the executor is content, or it has been tried often enough. The line is let go for every pause, and
    /// read again after it; none when that fails.
    async fn answer(&self, blob: &Blob, place: Place, line: (LineRequest, Room)) -> Option<LineAnswer> {
        let app = &self.app;
        let mut line = Some(line);
        let mut turn = Turn { attempt: 1, has_paused: false };
        loop {
            let (request, room) = match line.take() {
                Some(line) => line,
                None => {
                    let room = self.room(place.bytes).await;
                    let read = async {
                        // The semaphore is never closed.
                        let _place = app.reads.acquire().await;
                        reader::read(blob, place).await
                    };
                    let bytes = app.clock.working(read).await.ok()?;
                    (self.request(&bytes)?, room)
                }
            };
            if !turn.has_paused {
                app.journal.record(self.tenant, app.clock.now(), || Event::LineExecuted {
                    batch_id: self.batch.id.clone(),
                    custom_id: request.custom_id.clone(),
                    attempt: turn.attempt,
                });
            }
            let pause = match app.executor.answer(&request, turn).await {
                Reply::Pause(pause) => {
                    turn.has_paused = true;
                    pause
                }
                Reply::Answer(LineAnswer { retry_after: Some(pause), .. }) if turn.attempt < MOST_ATTEMPTS => {
                    turn = Turn { attempt: turn.attempt + 1, has_paused: false };
                    pause
                }
                Reply::Answer(answer) => return Some(answer),
            };
            drop((request, room));
            app.clock.sleep(pause.max(Duration::from_millis(1))).await;
        }
    }

    /// Writes the result of a line and counts it.
    async fn record(&self, custom_id: &str, answer: Option<LineAnswer>, results: &mut Results) -> io::Result<()> {
        let success = match &answer {
            Some(answer) => results.answered(custom_id, answer).await?,
            None => {
                results.unanswered(custom_id, Unanswered::Broken).await?;
                false
            }
        };
        self.update(|batch, _| {
            if let Some(answer) = &answer {
                batch.usage.add(&answer.usage);
            }
            if success {
                batch.counts.completed += 1;
            } else {
                batch.counts.failed += 1;
            }
        });
        Ok(())
    }
}
