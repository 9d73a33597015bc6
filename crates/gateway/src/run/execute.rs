//! Runs the lines of a slice: so many at once, until they are done, the window is over, the batch is cancelled, or the
//! gateway is to stop.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, OptionFuture};
use tokio::sync::mpsc;

use crate::answering::{self, Held as InMemory, Room, Source};
use crate::blobs::Blob;
use crate::executor::{Failure, LineAnswer, LineRequest, Whose};
use crate::journal::Event;
use crate::recorder::{Ack, Entry};
use crate::run::in_flight::InFlight;
use crate::run::line::{Line as RequestLine, string};
use crate::run::reader::{self, FoundLine, LineReader, Place};
use crate::run::results::{self, Unanswered};
use crate::run::{Run, Trouble};
use crate::state::{Answered, BatchRecord, Claim, Fate, Held, Segment, Usage};
use crate::tenant::Tenant;

/// Most tries of one line, when its executor says that another is worth it.
const MOST_ATTEMPTS: u32 = 10;

/// So many times the lines that may be in flight may be sent before what was answered is recorded: a bound on what is sent
/// again after a crash.
const AHEAD: u32 = 2;

/// From so many deaths on, the lines of a slice run one by one: one of them may be why.
const SINGLY: u32 = 3;

/// The pause before a slice is given back whose window is over: the clock of the state may say something else.
const CLOCKS_DIFFER: Duration = Duration::from_secs(1);

/// A line in its input file.
struct InFile<'a> {
    run: &'a Run,
    whose: &'a Asker,
    blob: &'a Blob,
    place: Place,
}

/// The batch that a line is of.
#[derive(Clone)]
struct Asker {
    tenant: Tenant,
    batch: Arc<BatchRecord>,
    id: Arc<str>,
}

/// A line in flight: its place in the slice and its custom_id.
type Tag = (u32, String);

/// A line that was found, and its place in the slice.
type Next = (u32, FoundLine);

impl Source for InFile<'_> {
    async fn read(&self) -> Option<InMemory> {
        let app = &self.run.app;
        let room = self.run.room(self.place.bytes).await;
        let read = async {
            // The semaphore is never closed.
            let _place = app.reads.acquire().await;
            reader::read(self.blob, self.place).await
        };
        let bytes = app.clock.working(read).await.ok()?;
        let (_, request) = self.whose.request(&bytes)?;
        Some(InMemory { request, _room: room })
    }

    async fn may(&self) {
        self.run.app.lease.held().await;
    }
}

impl Asker {
    fn new(held: &Held) -> Asker {
        Asker { tenant: held.tenant, batch: Arc::clone(&held.batch), id: Arc::from(held.batch.id.as_str()) }
    }

    /// The custom_id and the request of a line that has been validated before.
    fn request(&self, bytes: &[u8]) -> Option<(String, LineRequest)> {
        let line = RequestLine::parse(bytes).ok()?;
        let custom_id = string(line.custom_id?, "custom_id").ok()?;
        let (origin, endpoint) = (self.batch.origin, self.batch.endpoint);
        let whose = Whose::Batch { tenant: self.tenant, batch: Arc::clone(&self.id), custom_id: custom_id.clone() };
        Some((custom_id, LineRequest { origin, endpoint, whose, body: line.body?.to_owned() }))
    }
}

/// The slice as far as this worker has come with it.
struct Progress {
    claim: Claim,
    asker: Asker,
    /// Lines that nobody has answered.
    left: usize,
    /// Lines below this may go out.
    sent: u32,
    /// What `sent` is to become: below it are so many lines without an answer as may be sent ahead.
    reach: u32,
    ahead: u32,
    segments: u32,
    /// Answers that are on their way to the state.
    unrecorded: u32,
    acks: (mpsc::UnboundedSender<Ack>, mpsc::UnboundedReceiver<Ack>),
}

impl Progress {
    fn new(claim: Claim) -> Progress {
        let left = claim.answered.iter().filter(|is_answered| !**is_answered).count();
        let window = if claim.attempts >= SINGLY { 1 } else { claim.slots.saturating_mul(AHEAD) };
        let unanswered = claim.answered.iter().take(claim.sent as usize).filter(|is_answered| !**is_answered).count();
        Progress {
            asker: Asker::new(&claim.held),
            left,
            sent: claim.sent,
            reach: claim.sent,
            ahead: window.saturating_sub(u32::try_from(unanswered).unwrap_or(u32::MAX)),
            segments: 0,
            unrecorded: 0,
            acks: mpsc::unbounded_channel(),
            claim,
        }
    }

    fn is_answered(&self, line: u32) -> bool {
        self.claim.answered.get(line as usize).copied().unwrap_or(true)
    }

    /// A line is answered: another may go out for it, once that is recorded.
    fn answer(&mut self, line: u32) {
        if let Some(is_answered) = self.claim.answered.get_mut(line as usize) {
            *is_answered = true;
        }
        self.left -= 1;
        if line < self.reach {
            self.ahead += 1;
        }
        while self.ahead > 0 && self.reach < self.claim.slice.lines {
            if !self.is_answered(self.reach) {
                self.ahead -= 1;
            }
            self.reach += 1;
        }
    }
}

/// Why a worker lets a slice be before it is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Done,
    Expired,
    Cancelled,
    Stopped,
}

impl Run {
    pub(super) async fn execute(&self, claim: Claim) -> Result<(), Trouble> {
        let held = claim.held.clone();
        let place = (claim.slice.number, claim.epoch);
        let mut progress = Progress::new(claim);
        let ending = self.run_lines(&mut progress).await?;
        while progress.unrecorded > 0 {
            self.hear(&mut progress).await?;
        }
        if ending == Ending::Done {
            return Ok(());
        }
        if ending == Ending::Expired {
            self.app.state.expire(&held).await?;
            if self.app.state.is_durable() {
                // By the state's time it may not be over yet: then this slice comes again.
                tokio::time::sleep(CLOCKS_DIFFER).await;
            }
        }
        Ok(self.app.state.give_back(&self.me, &held, Some(place)).await?)
    }

    async fn run_lines(&self, progress: &mut Progress) -> Result<Ending, Trouble> {
        let app = &self.app;
        let (slice, slots) = (progress.claim.slice, progress.claim.slots as usize);
        let input = progress.claim.held.input.as_ref().ok_or_else(|| io::Error::other("a batch has no input"))?;
        let blob = Arc::clone(&input.blob);
        let mut lines = app.clock.working(LineReader::open_at(&blob, slice.first_line, slice.start)).await?;
        let mut in_flight: InFlight<Tag> = InFlight::new(&app.clock);
        // Found, but waiting for room in the line memory, or for what was sent before it to be recorded.
        let mut next: Option<Next> = None;
        let mut found = 0;
        let mut deadline = std::pin::pin!(app.clock.sleep_until(progress.claim.held.deadline_ms));
        let mut grace = std::pin::pin!(async {
            self.cancel.cancelled().await;
            app.clock.sleep(app.settings.cancel_grace).await;
        });
        // Kept from turn to turn, so that a large line keeps its place in the queue.
        let mut room: Option<BoxFuture<'_, Room>> = None;
        loop {
            let cancelling = self.cancel.is_cancelled();
            let draining = app.drain.is_cancelled();
            let open = !cancelling && !draining && in_flight.len() < slots;
            if in_flight.len() == 0 {
                if progress.left == 0 {
                    return Ok(Ending::Done);
                }
                if cancelling || draining {
                    return Ok(if cancelling { Ending::Cancelled } else { Ending::Stopped });
                }
            }
            // What is asked for and not taken would be lost to everybody.
            room = match &next {
                Some((line, found)) if open && *line < progress.sent => {
                    room.or_else(|| Some(self.room(found.place.bytes).boxed()))
                }
                _ => None,
            };
            tokio::select! {
                biased;
                // What is done is done, even when the time is over as well.
                Some(((line, custom_id), answer)) = in_flight.next() => {
                    app.clock.working(self.record(progress, line, &custom_id, answer)).await?;
                }
                heard = self.hear(progress), if progress.unrecorded > 0 => heard?,
                () = &mut grace => return Ok(Ending::Cancelled),
                () = self.cancel.cancelled(), if !cancelling => {}
                () = app.drain.cancelled(), if !draining => {}
                () = &mut deadline, if !cancelling => return Ok(Ending::Expired),
                line = app.clock.working(lines.next()), if open && next.is_none() && found < slice.lines => {
                    let line = line?.ok_or_else(|| io::Error::other("an input file has become shorter"))?;
                    if !progress.is_answered(found) {
                        next = Some((found, line));
                    }
                    found += 1;
                }
                Some(taken) = OptionFuture::from(room.as_mut()) => {
                    room = None;
                    let Some((line, found)) = next.take() else { continue };
                    let place = found.place;
                    let bytes = app.clock.working(lines.read(found)).await?;
                    let Some((custom_id, request)) = progress.asker.request(&bytes) else {
                        return Err(io::Error::other("an input file has changed").into());
                    };
                    drop(bytes);
                    if progress.claim.poisoned == Some(line) {
                        let broken = Err(Failure::broken());
                        app.clock.working(self.record(progress, line, &custom_id, broken)).await?;
                        continue;
                    }
                    let (run, blob, asker) = (self.clone(), Arc::clone(&blob), progress.asker.clone());
                    let (tag, held) = ((line, custom_id.clone()), InMemory { request, _room: taken });
                    in_flight.begin(tag, async move { run.answer(&blob, &asker, place, custom_id, held).await });
                }
            }
        }
    }

    /// Room for a line of so many bytes.
    pub(super) async fn room(&self, bytes: u64) -> Room {
        answering::room(&self.app.line_memory, bytes).await
    }

    /// The answer to a line.
    async fn answer(
        &self,
        blob: &Blob,
        asker: &Asker,
        place: Place,
        custom_id: String,
        held: InMemory,
    ) -> Result<LineAnswer, Failure> {
        let handed = |attempt| {
            self.app.journal.record(asker.tenant, self.app.clock.now(), || Event::LineExecuted {
                batch_id: asker.batch.id.clone(),
                custom_id: custom_id.clone(),
                attempt,
            });
        };
        let source = InFile { run: self, whose: asker, blob, place };
        answering::answer(&self.app, held, &source, 1..=MOST_ATTEMPTS, handed).await
    }

    /// Lets the state have the result of a line, and counts it.
    async fn record(
        &self,
        progress: &mut Progress,
        line: u32,
        custom_id: &str,
        answer: Result<LineAnswer, Failure>,
    ) -> Result<(), Trouble> {
        let (ids, batch) = (&self.app.ids, &progress.asker.batch.id);
        let mut usage = Usage::default();
        let (ok, bytes) = match &answer {
            Ok(answer) => {
                usage.add(&answer.usage);
                let (input, output) = Usage::of(&answer.usage);
                self.app.metrics.tokens(input, output, "batch");
                results::answered(ids, batch, custom_id, answer).map_err(io::Error::from)?
            }
            Err(failure) => {
                let why = Unanswered::Failed(failure);
                (false, results::unanswered(ids, batch, custom_id, why).map_err(io::Error::from)?)
            }
        };
        self.app.metrics.line(if ok { "succeeded" } else { "failed" });
        progress.answer(line);
        let answered = Answered { line, ok, bytes: u32::try_from(bytes.len()).map_err(io::Error::other)? };
        let mut segment = Segment {
            tenant: progress.asker.tenant,
            batch: Arc::clone(&progress.asker.id),
            slice: progress.claim.slice.number,
            epoch: progress.claim.epoch,
            number: progress.segments,
            answered: vec![answered],
            lines: Bytes::from(bytes),
            usage,
            sent: progress.reach,
            is_last: progress.left == 0,
        };
        let Some(recorder) = &self.app.recorder else {
            progress.segments += 1;
            let fates = self.app.state.record(&self.me, std::slice::from_ref(&segment)).await?;
            progress.sent = progress.reach;
            return self.kept(progress, fates.into_iter().next().unwrap_or(Fate::Fenced));
        };
        progress.unrecorded += 1;
        // The recorder numbers what it keeps.
        segment.number = 0;
        let room = answer.ok().and_then(|answer| answer._room);
        recorder.push(Entry { segment, room, ack: progress.acks.0.clone(), me: self.me.clone() });
        Ok(())
    }

    /// Waits for the state to have kept something.
    async fn hear(&self, progress: &mut Progress) -> Result<(), Trouble> {
        let Some(Ack { fate, sent, entries }) = progress.acks.1.recv().await else { return Err(Trouble::Lost) };
        progress.unrecorded = progress.unrecorded.saturating_sub(entries);
        progress.sent = progress.sent.max(sent);
        self.kept(progress, fate)
    }

    fn kept(&self, progress: &Progress, fate: Fate) -> Result<(), Trouble> {
        match fate {
            Fate::Fenced => Err(Trouble::Lost),
            Fate::Kept(None) => Ok(()),
            Fate::Kept(Some(batch)) => {
                let held = &progress.claim.held;
                self.app.changed_from(held.batch.status, held.tenant, &batch);
                Ok(())
            }
        }
    }
}
