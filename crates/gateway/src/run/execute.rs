//! Owns the running of a batch's lines: so many at once, until they are done, the window is over or
//! the batch is cancelled. Never leaves a line without a result.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::{Id, JoinError, JoinSet};

use crate::app::{App, LINE_MEMORY_KIB};
use crate::executor::{LineAnswer, LineRequest};
use crate::run::Run;
use crate::run::line::{Line, string};
use crate::run::reader::{LineReader, NumberedLine};
use crate::run::results::{Results, Unanswered};
use crate::store::FileRecord;
use crate::view::Endpoint;

/// Most tries of one line, when its executor says that another is worth it.
const MOST_ATTEMPTS: u32 = 10;

/// Why the running of lines ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Done,
    Expired,
    Cancelled,
}

/// Lines in flight: their tasks and whose they are.
#[derive(Default)]
struct InFlight {
    tasks: JoinSet<LineAnswer>,
    custom_ids: HashMap<Id, String>,
}

type Joined = Result<(Id, LineAnswer), JoinError>;

impl Run {
    pub(super) async fn execute(&self, input: &FileRecord, results: &mut Results) -> io::Result<Ending> {
        let mut lines = LineReader::open(&input.blob).await?;
        let mut in_flight = InFlight::default();
        // Read, but waiting for room in the line memory.
        let mut next: Option<NumberedLine> = None;
        let ending = self.run_lines(&mut lines, &mut next, &mut in_flight, results).await?;
        let why = match ending {
            Ending::Done => return Ok(ending),
            Ending::Expired => Unanswered::Expired,
            Ending::Cancelled => Unanswered::Cancelled,
        };
        in_flight.tasks.abort_all();
        for custom_id in in_flight.custom_ids.values() {
            results.unanswered(custom_id, why).await?;
        }
        while let Some(line) = match next.take() {
            Some(line) => Some(line),
            None => lines.next().await?,
        } {
            if let Some(request) = request(self.batch.endpoint, &line.bytes) {
                results.unanswered(&request.custom_id, why).await?;
            }
        }
        Ok(ending)
    }

    async fn run_lines(
        &self,
        lines: &mut LineReader,
        next: &mut Option<NumberedLine>,
        in_flight: &mut InFlight,
        results: &mut Results,
    ) -> io::Result<Ending> {
        let app = &self.app;
        let mut deadline = std::pin::pin!(app.clock.sleep_until(self.deadline_ms));
        let mut grace = std::pin::pin!(async {
            self.cancel.cancelled().await;
            app.clock.sleep(app.settings.cancel_grace).await;
        });
        let mut at_end = false;
        loop {
            let cancelling = self.cancel.is_cancelled();
            let open = !cancelling && in_flight.tasks.len() < self.batch.max_concurrency;
            if in_flight.tasks.is_empty() {
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
                Some(joined) = in_flight.tasks.join_next_with_id() => {
                    self.record(in_flight, joined, results).await?;
                }
                () = &mut grace => return Ok(Ending::Cancelled),
                () = self.cancel.cancelled(), if !cancelling => {}
                () = &mut deadline => return Ok(Ending::Expired),
                line = lines.next(), if open && next.is_none() && !at_end => {
                    *next = line?;
                    at_end = next.is_none();
                }
                room = Arc::clone(&app.line_memory).acquire_many_owned(kib(next)),
                    if open && next.is_some() =>
                {
                    let request = next.take().and_then(|line| self.request(&line));
                    if let Some(request) = request {
                        let custom_id = request.custom_id.clone();
                        let app = Arc::clone(app);
                        let task = in_flight.tasks.spawn(async move {
                            let _room = room;
                            answer(&app, &request).await
                        });
                        in_flight.custom_ids.insert(task.id(), custom_id);
                    }
                }
            }
        }
    }

    fn request(&self, line: &NumberedLine) -> Option<LineRequest> {
        request(self.batch.endpoint, &line.bytes)
    }

    /// Writes the result of a line and counts it.
    async fn record(&self, in_flight: &mut InFlight, joined: Joined, results: &mut Results) -> io::Result<()> {
        let id = joined.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(custom_id) = in_flight.custom_ids.remove(&id) else { return Ok(()) };
        let answer = match joined {
            Ok((_, answer)) => answer,
            Err(_) => {
                results.unanswered(&custom_id, Unanswered::Broken).await?;
                self.update(|batch, _| batch.counts.failed += 1);
                return Ok(());
            }
        };
        let success = results.answered(&custom_id, &answer).await?;
        self.update(|batch, _| {
            batch.usage.add(&answer.body);
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

/// A line that has been validated before.
fn request(endpoint: Endpoint, bytes: &[u8]) -> Option<LineRequest> {
    let line = Line::parse(bytes).ok()?;
    Some(LineRequest { custom_id: string(line.custom_id?, "custom_id").ok()?, endpoint, body: line.body?.to_owned() })
}

/// Tries until the executor is content, or it has been tried often enough.
async fn answer(app: &App, line: &LineRequest) -> LineAnswer {
    let mut attempt = 1;
    loop {
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
