//! Owns the running of a batch's lines: so many at once, until they are done, the window is over or
//! the batch is cancelled. Never leaves a line without a result.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::app::LINE_MEMORY_KIB;
use crate::executor::{LineAnswer, LineRequest};
use crate::journal::Event;
use crate::run::Run;
use crate::run::in_flight::InFlight;
use crate::run::line::{Line, string};
use crate::run::reader::{LineReader, NumberedLine};
use crate::run::results::{Results, Unanswered};
use crate::store::FileRecord;

/// Most tries of one line, when its executor says that another is worth it.
const MOST_ATTEMPTS: u32 = 10;

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
        // Read, but waiting for room in the line memory.
        let mut next: Option<NumberedLine> = None;
        let ending = self.run_lines(&mut lines, &mut next, &mut in_flight, results).await?;
        let why = match ending {
            Ending::Done => return Ok(ending),
            Ending::Expired => Unanswered::Expired,
            Ending::Cancelled => Unanswered::Cancelled,
        };
        let given_up = in_flight.give_up();
        let rest = async {
            for custom_id in given_up {
                results.unanswered(&custom_id, why).await?;
            }
            while let Some(line) = match next.take() {
                Some(line) => Some(line),
                None => lines.next().await?,
            } {
                if let Some(request) = self.request(&line) {
                    results.unanswered(&request.custom_id, why).await?;
                }
            }
            Ok(ending)
        };
        clock.working(rest).await
    }

    async fn run_lines(
        &self,
        lines: &mut LineReader,
        next: &mut Option<NumberedLine>,
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
                room = Arc::clone(&app.line_memory).acquire_many_owned(kib(next)),
                    if open && next.is_some() =>
                {
                    let request = next.take().and_then(|line| self.request(&line));
                    if let Some(request) = request {
                        let custom_id = request.custom_id.clone();
                        let run = self.clone();
                        in_flight.begin(custom_id, async move {
                            let _room = room;
                            run.answer(&request).await
                        });
                    }
                }
            }
        }
    }

    /// A line that has been validated before.
    fn request(&self, line: &NumberedLine) -> Option<LineRequest> {
        let line = Line::parse(&line.bytes).ok()?;
        Some(LineRequest {
            custom_id: string(line.custom_id?, "custom_id").ok()?,
            endpoint: self.batch.endpoint,
            body: line.body?.to_owned(),
        })
    }

    /// Tries until the executor is content, or it has been tried often enough.
    async fn answer(&self, line: &LineRequest) -> LineAnswer {
        let app = &self.app;
        let mut attempt = 1;
        loop {
            app.journal.record(self.tenant, app.clock.now(), || Event::LineExecuted {
                batch_id: self.batch.id.clone(),
                custom_id: line.custom_id.clone(),
                attempt,
            });
            let answer = app.executor.answer(line, attempt).await;
            match answer.retry_after {
                Some(pause) if attempt < MOST_ATTEMPTS => {
                    app.clock.sleep(pause.max(Duration::from_millis(1))).await;
                    attempt += 1;
                }
                _ => return answer,
            }
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

/// Units of line memory that a line takes. One larger than all of it takes all of it.
fn kib(line: &Option<NumberedLine>) -> u32 {
    let bytes = line.as_ref().map_or(0, |line| line.bytes.len());
    u32::try_from(bytes / 1024 + 1).unwrap_or(u32::MAX).min(LINE_MEMORY_KIB)
}
