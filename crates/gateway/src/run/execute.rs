//! Runs the lines of a batch: so many at once, until they are done, the window is over or the batch is cancelled. Every
//! line gets a result.

use std::io;
use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};

use crate::answering::{self, Held, Room, Source};
use crate::blobs::Blob;
use crate::executor::{Failure, LineAnswer, LineRequest, Whose};
use crate::journal::Event;
use crate::run::Run;
use crate::run::in_flight::InFlight;
use crate::run::line::{Line as RequestLine, string};
use crate::run::reader::{self, FoundLine, LineReader, Place};
use crate::run::results::{Results, Unanswered};
use crate::state::{FileRecord, Usage};

/// Most tries of one line, when its executor says that another is worth it.
const MOST_ATTEMPTS: u32 = 10;

/// A line that is about to be answered.
struct Line {
    custom_id: String,
    held: Held,
}

/// A line in its input file.
struct InFile<'a> {
    run: &'a Run,
    blob: &'a Blob,
    place: Place,
}

impl Source for InFile<'_> {
    async fn read(&self) -> Option<Held> {
        let app = &self.run.app;
        let room = self.run.room(self.place.bytes).await;
        let read = async {
            // The semaphore is never closed.
            let _place = app.reads.acquire().await;
            reader::read(self.blob, self.place).await
        };
        let bytes = app.clock.working(read).await.ok()?;
        let (_, request) = self.run.request(&bytes)?;
        Some(Held { request, _room: room })
    }
}

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
            self.app.metrics.line(why.name());
            clock.working(results.unanswered(&custom_id, why)).await?;
        }
        while let Some(line) = match next.take() {
            Some(line) => Some(line),
            None => clock.working(lines.next()).await?,
        } {
            let _room = self.room(line.place.bytes).await;
            if let Some((custom_id, _)) = self.request(&clock.working(lines.read(line)).await?) {
                self.app.metrics.line(why.name());
                clock.working(results.unanswered(&custom_id, why)).await?;
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
                    if let Some((custom_id, request)) = self.request(&app.clock.working(lines.read(line)).await?) {
                        let (run, blob) = (self.clone(), Arc::clone(lines.blob()));
                        let line = Line { custom_id: custom_id.clone(), held: Held { request, _room: taken } };
                        in_flight.begin(custom_id, async move { run.answer(&blob, place, line).await });
                    }
                }
            }
        }
    }

    /// Room for a line of so many bytes.
    pub(super) async fn room(&self, bytes: u64) -> Room {
        answering::room(&self.app.line_memory, bytes).await
    }

    /// The custom_id and the request of a line that has been validated before.
    fn request(&self, bytes: &[u8]) -> Option<(String, LineRequest)> {
        let line = RequestLine::parse(bytes).ok()?;
        let custom_id = string(line.custom_id?, "custom_id").ok()?;
        let (origin, endpoint) = (self.batch.origin, self.batch.endpoint);
        let whose = Whose::Batch {
            tenant: self.tenant,
            batch: Arc::from(self.batch.id.as_str()),
            custom_id: custom_id.clone(),
        };
        Some((custom_id, LineRequest { origin, endpoint, whose, body: line.body?.to_owned() }))
    }

    /// The answer to a line.
    async fn answer(&self, blob: &Blob, place: Place, line: Line) -> Result<LineAnswer, Failure> {
        let Line { custom_id, held } = line;
        let handed = |attempt| {
            self.app.journal.record(self.tenant, self.app.clock.now(), || Event::LineExecuted {
                batch_id: self.batch.id.clone(),
                custom_id: custom_id.clone(),
                attempt,
            });
        };
        answering::answer(&self.app, held, &InFile { run: self, blob, place }, 1..=MOST_ATTEMPTS, handed).await
    }

    /// Writes the result of a line and counts it.
    async fn record(
        &self,
        custom_id: &str,
        answer: Result<LineAnswer, Failure>,
        results: &mut Results,
    ) -> io::Result<()> {
        let success = match &answer {
            Ok(answer) => results.answered(custom_id, answer).await?,
            Err(failure) => {
                results.unanswered(custom_id, Unanswered::Failed(failure)).await?;
                false
            }
        };
        self.app.metrics.line(if success { "succeeded" } else { "failed" });
        if let Ok(answer) = &answer {
            let (input, output) = Usage::of(&answer.usage);
            self.app.metrics.tokens(input, output, "batch");
        }
        self.update(|batch, _| {
            if let Ok(answer) = &answer {
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
