//! Sends the lines of a shard one by one, and keeps what comes.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::PathBuf,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{Driver, noted::NotedShard};
use crate::{
    Error, Retry,
    collect::{Results, Uncollected, join_all},
    heavy::blocking,
    lines::{Answer, Joined, write_error},
    policy::LONGEST_ASKED,
    run::{
        Progress, RunError,
        event::{Event, Fetched},
        folder::{ANOMALIES, ERRORS, OUTPUT, REQUESTS, RESULTS},
        merge::custom_id,
        money,
        plan::{ShardPlan, tokens},
        record::random_name,
        report::SynchronousLines,
        seam::{self, Rule, kept},
        state::Phase,
        sync::{Came, Done, Gate, Line, Question, Records, Row, SYNC, end_without_answer, result},
    },
    save::{AtomicFile, Dir, Stored},
    unused::Unused,
};

/// How many answers are made durable together at the most, and how long one waits for others at the most.
const GROUP: usize = 64;
const GROUP_TIME: Duration = Duration::from_millis(200);

/// How often it is looked whether something else is to be done, and told how far it is.
const TICK: Duration = Duration::from_secs(1);

/// How often in a row a service may say that it is too much, with a pause each time, before the run ends with its words.
const MOST_REFUSED: u32 = 12;

/// Codes of refusals that no pause helps with (docs/facts.md, 5.5).
const NOT_PAID: [&str; 3] = ["insufficient_quota", "billing_hard_limit_reached", "billing_not_active"];

/// What all lines of a shard share while they are sent.
struct Sending {
    question: Question,
    gate: Arc<Gate>,
    retry: Retry,
    records: Mutex<Records>,
    /// Whether the service has answered anything: what it refuses then is the line's fault.
    answered: AtomicBool,
    /// No other request is to be sent.
    halt: CancellationToken,
}

/// What became of a line.
enum Ended {
    /// What came is kept.
    Kept,
    /// It was not sent, or came to nothing: it is sent later.
    NotNow,
    /// The service takes no line: that is no fault of this one.
    Stopped(Error),
    /// What came cannot be kept, or the line not be read.
    Broken(io::Error),
}

/// What an answer that is a refusal says.
enum Verdict {
    /// It is too much for now.
    Busy,
    /// It may pass by itself.
    Again,
    /// No line would fare better.
    Stop,
    /// It is what came of the line.
    OfTheLine,
}

impl Verdict {
    /// Of a service that has answered before, or not.
    fn of(refusal: &Error, answered: bool) -> Self {
        let code = refusal.code().unwrap_or_default();
        match refusal.status() {
            Some(401 | 402) => Self::Stop,
            Some(429) if NOT_PAID.contains(&code) => Self::Stop,
            Some(429 | 503 | 529) => Self::Busy,
            Some(408 | 409 | 425 | 500..) => Self::Again,
            // A wrong address or key answers all lines like that; a line that names a model which is not there, only itself.
            Some(300..=399 | 403 | 404 | 405) if !answered && !code.contains("model") => Self::Stop,
            _ => Self::OfTheLine,
        }
    }
}

impl Driver {
    /// Sends the lines of a shard one by one, but for those that have their answers, and makes files of all that came, as
    /// those of a batch are. In a cancelled run nothing more is sent.
    pub(super) async fn answer(&mut self, number: u32) -> Result<(), RunError> {
        if let Some(error) = self.altered_requests(number).await {
            return self.lacks_requests(number, error);
        }
        self.manner.deadline.check().map_err(|error| self.service(error))?;
        let phase = self.folder.state.shards.get(&number).map(|shard| shard.phase.clone());
        if phase.is_some_and(|phase| phase != Phase::Synchronous) {
            self.folder.say(Event::Synchronous { shard: number, nonce: random_name() })?;
        }
        let Some(shard) = self.folder.state.shards.get(&number).cloned() else { return Ok(()) };
        self.folder.check()?;
        let at = self.folder.shard(number);
        let failed = |driver: &Self, error| driver.failed("write", &at.join(SYNC), error);
        let (access, lines) = (self.folder.access(), shard.plan.lines);
        let opened = match Dir::open(&at) {
            Ok(dir) => blocking(move || Records::open(&dir, access, lines)).await,
            Err(error) => Err(error),
        };
        let records = opened.map_err(|error| failed(self, error))?;
        let lost = shard.answered.saturating_sub(records.done.count());
        if lost > 0 {
            let (s, are) = if lost == 1 { ("", "is") } else { ("s", "are") };
            let why = format!("{lost} answer{s} that had come {are} damaged or gone in {}", at.display());
            return self.hold(number, why);
        }
        let nonce = shard.nonce.as_deref().unwrap_or_default();
        let question = Question::new(
            &self.client,
            &self.folder.record.run,
            &shard.plan,
            shard.attempt,
            nonce,
            self.manner.pace.timeout,
        );
        let sending = Sending {
            question,
            gate: Arc::clone(&self.gate),
            retry: self.client.shared().retry().clone(),
            answered: AtomicBool::new(records.done.count() > 0),
            records: Mutex::new(records),
            halt: CancellationToken::new(),
        };
        let all = self.folder.state.cancelled || self.send_lines(&shard.plan, &sending).await?;
        match all {
            true => self.keep_answers(&shard.plan, sending).await,
            false => Ok(()),
        }
    }

    /// Sends all lines of a shard that have no answer. Whether each of them has come to an end; if not, there is something
    /// else to be done first.
    async fn send_lines(&mut self, plan: &ShardPlan, sending: &Sending) -> Result<bool, RunError> {
        let path = self.folder.shard(plan.number).join(REQUESTS);
        let file = File::open(&path).map_err(|error| self.failed("read", &path, error))?;
        let mut source = Source { reader: BufReader::with_capacity(128 << 10, file), number: 0 };
        let done = if kept(Rule::Recorded) { sending.records().done.clone() } else { Done::default() };
        let mut at_work: FuturesUnordered<Pin<Box<dyn Future<Output = Ended> + Send + '_>>> = FuturesUnordered::new();
        let (mut stopped, mut broken, mut other) = (None, None, false);
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut group: Option<Instant> = None;
        loop {
            while at_work.len() < self.manner.pace.max_in_flight && !sending.halt.is_cancelled() {
                let next = source.next(&done).map_err(|error| self.failed("read", &path, error))?;
                // Who does not hold the folder sends nothing.
                self.folder.check()?;
                match next {
                    Some((number, line)) => at_work.push(Box::pin(sending.answer(number, line))),
                    None => break,
                }
            }
            if at_work.is_empty() {
                break;
            }
            let left = self.manner.deadline.left().unwrap_or(TICK).min(TICK);
            tokio::select! {
                Some(ended) = at_work.next() => match ended {
                    Ended::Kept => self.reach.answered(),
                    Ended::NotNow => {}
                    Ended::Stopped(error) => {
                        stopped.get_or_insert(error);
                        sending.halt.cancel();
                    }
                    Ended::Broken(error) => {
                        broken.get_or_insert(error);
                        sending.halt.cancel();
                    }
                },
                () = sleep_until(group.unwrap_or_else(Instant::now)), if group.is_some() => {}
                _ = tick.tick() => {
                    self.tell_answering(plan, sending);
                    self.note_reach();
                    // What is in flight is paid for, and waited for.
                    if !other && self.is_called_away() {
                        other = true;
                        sending.halt.cancel();
                    }
                }
                () = sleep(left) => {}
            }
            if self.manner.deadline.is_over() {
                break;
            }
            let loose = sending.records().loose;
            let is_due = group.is_some_and(|group| group <= Instant::now());
            match loose {
                0 => group = None,
                loose if loose >= GROUP || is_due || at_work.is_empty() => {
                    self.make_durable(plan.number, sending).await?;
                    group = None;
                }
                _ => group = group.or_else(|| Instant::now().checked_add(GROUP_TIME)),
            }
        }
        let is_late = !at_work.is_empty();
        // What the deadline cuts off is sent again by whoever goes on.
        drop(at_work);
        self.make_durable(plan.number, sending).await?;
        self.tell_answering(plan, sending);
        if let Some(error) = broken {
            return Err(self.failed("write", &self.folder.shard(plan.number).join(SYNC), error));
        }
        if let Some(error) = stopped {
            return Err(self.not_taken(plan.number, sending, error)?);
        }
        if is_late {
            let late = self.manner.deadline.check().err().unwrap_or_else(|| Error::deadline("the deadline has passed"));
            let came = sending.records().done.count();
            return Err(self.service(late.and(format_args!("{came} of {} lines have their answers", plan.lines))));
        }
        Ok(!other && !sending.halt.is_cancelled())
    }

    /// Whether something else is to be done before other lines are sent.
    fn is_called_away(&self) -> bool {
        self.folder.cancel_is_asked() || self.is_rescue_due()
    }

    /// The service takes no line. Of a shard of which nothing was sent that can be charged nothing is left.
    fn not_taken(&mut self, number: u32, sending: &Sending, error: Error) -> Result<RunError, RunError> {
        // While the network is away it is tried again and again.
        let is_away = error.is_unreached() && self.outlasts_any();
        if sending.records().is_untouched() && !self.folder.state.cancelled && !is_away {
            self.folder.remove_file(&crate::run::record::shard_folder(number), SYNC)?;
            self.folder.say(Event::Unsent { shard: number, why: error.to_string() })?;
        }
        Ok(self.service(error))
    }

    /// Makes all answers durable that have come.
    async fn make_durable(&self, number: u32, sending: &Sending) -> Result<(), RunError> {
        if sending.records().loose == 0 {
            return Ok(());
        }
        let Some(file) = sending.records().settle() else { return Ok(()) };
        self.folder.check()?;
        let synced = blocking(move || file.sync_data()).await;
        synced.map_err(|error| self.failed("sync", &self.folder.shard(number).join(SYNC), error))
    }

    /// Tells how far a shard is, and leaves it for who looks on.
    fn tell_answering(&mut self, plan: &ShardPlan, sending: &Sending) {
        let (succeeded, failed) = {
            let records = sending.records();
            (records.succeeded, records.done.count().saturating_sub(records.succeeded))
        };
        self.tell(Progress::Answering { shard: plan.number, lines: plan.lines, succeeded, failed });
        let noted = NotedShard { status: "synchronous".to_owned(), total: plan.lines, completed: succeeded, failed };
        self.noted.shards.insert(plan.number, noted);
        self.noted.at = seam::now().get();
        self.folder.note(&self.noted);
    }

    /// Makes an output and an error file of what came of a shard, as those of a batch are.
    async fn keep_answers(&mut self, plan: &ShardPlan, sending: Sending) -> Result<(), RunError> {
        let number = plan.number;
        let at = self.folder.shard(number);
        let records = sending.records.into_inner().unwrap_or_else(PoisonError::into_inner);
        let synchronous = SynchronousLines { lines: records.done.count(), sent_again: records.sent_again };
        drop(records);
        self.folder.check()?;
        let files = [self.folder.begin_in(number, OUTPUT), self.folder.begin_in(number, ERRORS)];
        let made = match (files, Dir::open(&at)) {
            ([Ok(output), Ok(errors)], Ok(dir)) => {
                let (requests, lines) = (at.join(REQUESTS), plan.lines);
                blocking(move || Files { output, errors, dir }.make(&requests, lines)).await
            }
            ([Err(error), _] | [_, Err(error)], _) | (_, Err(error)) => Err(error),
        };
        let [output, errors] = made.map_err(|error| self.failed("write", &at.join(OUTPUT), error))?;
        let files = Fetched { batch: None, output, errors, synchronous: Some(synchronous) };
        self.folder.say(Event::Fetched { shard: number, files })
    }

    /// Joins what came of lines that were sent one by one with the requests.
    pub(super) async fn join_lines(&self, number: u32, here: [bool; 2]) -> Result<(Joined, Results), Uncollected> {
        self.tell(Progress::Joining);
        let at = self.folder.shard(number);
        let answers: Vec<PathBuf> =
            [OUTPUT, ERRORS].iter().zip(here).filter(|(_, here)| *here).map(|(name, _)| at.join(name)).collect();
        let begin = |name| self.folder.begin_in(number, name).map_err(Uncollected::Unwritten);
        let results = begin(RESULTS)?;
        let secrets = self.client.shared().secrets();
        let unused = Unused::new(begin(ANOMALIES)?, &answers, secrets.clone()).map_err(Uncollected::Unwritten)?;
        let requests = at.join(REQUESTS);
        let apart = money::prices(&self.folder.record, &self.folder.state).tiers();
        let results = (Some(results), apart);
        let joined = blocking(move || join_all(&requests, &answers, results, Some(unused), None)).await;
        let (mut joined, results) = joined?;
        secrets.blank_summary(&mut joined);
        Ok((joined, results))
    }
}

impl Sending {
    fn records(&self) -> MutexGuard<'_, Records> {
        self.records.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a line until something comes of it, if nothing stops it before.
    async fn answer(&self, number: u64, text: Vec<u8>) -> Ended {
        let line: Line<'_> = match serde_json::from_slice(&text) {
            Ok(line) => line,
            Err(error) => return Ended::Broken(error.into()),
        };
        let (retries, mut pause) = self.retry.again();
        let mut failed = 0;
        loop {
            let may = self.halt.run_until_cancelled(self.gate.enter(tokens(text.len() as u64))).await;
            let Some(entered) = may.filter(|_| !self.halt.is_cancelled()) else { return Ended::NotNow };
            if let Err(error) = self.records().sent(number) {
                return Ended::Broken(error);
            }
            let error = match self.question.ask(&line).await {
                Came::Answer { status, request_id, body, refusal } => {
                    let made = match result(&line, status, request_id.as_deref(), &body) {
                        Ok(made) => made,
                        Err(error) => return Ended::Broken(error),
                    };
                    let Some(refusal) = refusal else {
                        self.answered.store(true, Ordering::Relaxed);
                        let usage = Answer::parse(&made).ok().and_then(|answer| answer.usage());
                        entered.answered(usage.map(|usage| usage.total_tokens));
                        return self.keep(number, &made);
                    };
                    let verdict = Verdict::of(&refusal, self.answered.load(Ordering::Relaxed));
                    // A server error may have come after the model's answer.
                    if (matches!(verdict, Verdict::Busy) || !refusal.is_ambiguous())
                        && let Err(error) = self.records().undone(number)
                    {
                        return Ended::Broken(error);
                    }
                    let asked = refusal.retry_after();
                    match verdict {
                        Verdict::Stop => return Ended::Stopped(refusal),
                        Verdict::Busy => match entered.refused(number, asked) {
                            // The gate is closed for a while.
                            Row { times, .. } if times <= MOST_REFUSED => continue,
                            // Such as one that is larger than all that may be used in a minute.
                            Row { of_few: true, .. } if self.answered.load(Ordering::Relaxed) => {
                                self.gate.blame();
                                return self.keep(number, &made);
                            }
                            Row { .. } => return Ended::Stopped(refusal),
                        },
                        Verdict::Again if failed < retries && asked.is_none_or(|asked| asked <= LONGEST_ASKED) => {
                            refusal
                        }
                        Verdict::Again | Verdict::OfTheLine => {
                            self.answered.store(true, Ordering::Relaxed);
                            entered.answered(None);
                            return self.keep(number, &made);
                        }
                    }
                }
                Came::Nothing(error) if error.is_unreached() || error.is_invalid() => {
                    return match self.records().undone(number) {
                        Ok(()) => Ended::Stopped(error),
                        Err(error) => Ended::Broken(error),
                    };
                }
                Came::Nothing(error) if failed < retries && !error.is_undecodable() => error,
                Came::Nothing(error) => {
                    return match end_without_answer(&line, &error) {
                        Ok(made) => self.keep(number, &made),
                        Err(error) => Ended::Broken(error),
                    };
                }
            };
            failed += 1;
            pause = self.retry.after(pause);
            let pause = sleep(pause.max(error.retry_after().unwrap_or_default()));
            if self.halt.run_until_cancelled(pause).await.is_none() {
                return Ended::NotNow;
            }
        }
    }

    fn keep(&self, number: u64, made: &[u8]) -> Ended {
        match self.records().came(number, made) {
            Ok(()) => Ended::Kept,
            Err(error) => Ended::Broken(error),
        }
    }
}

/// The request lines of a shard, one after another.
struct Source {
    reader: BufReader<File>,
    /// That of the line which was read last.
    number: u64,
}

impl Source {
    /// The next line that has no answer, with its number.
    fn next(&mut self, done: &Done) -> io::Result<Option<(u64, Vec<u8>)>> {
        loop {
            let mut line = Vec::new();
            if self.reader.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            self.number += 1;
            if !done.has(self.number) {
                return Ok(Some((self.number, line)));
            }
        }
    }
}

/// The files that are made of what came of a shard.
struct Files {
    output: AtomicFile,
    errors: AtomicFile,
    dir: Dir,
}

impl Files {
    /// Puts answers into the one and refusals into the other, and says there too which lines were not sent. A file that
    /// would be empty is not made, and one of before goes.
    fn make(mut self, requests: &std::path::Path, lines: u64) -> io::Result<[Option<Stored>; 2]> {
        let mut any = [false, false];
        {
            let mut output = BufWriter::with_capacity(256 << 10, self.output.file());
            let mut errors = BufWriter::with_capacity(64 << 10, self.errors.file());
            let done = Records::walk(&self.dir, lines, &mut |_, result| {
                let good = Answer::parse(result.as_bytes())
                    .is_ok_and(|answer| answer.error.is_none() && matches!(answer.status_code(), Some(200..=299)));
                any[usize::from(!good)] = true;
                let to: &mut dyn Write = if good { &mut output } else { &mut errors };
                to.write_all(result.as_bytes())?;
                to.write_all(b"\n")
            })?;
            if done.count() < lines {
                any[1] = true;
                let mut source =
                    Source { reader: BufReader::with_capacity(128 << 10, File::open(requests)?), number: 0 };
                while let Some((_, line)) = source.next(&done)? {
                    let custom_id = custom_id(&line)?;
                    let why = "the run was cancelled before this line was sent";
                    write_error(&custom_id, "batch_cancelled", why, &mut errors)?;
                }
            }
            output.flush()?;
            errors.flush()?;
        }
        let mut made = [None, None];
        for ((mut file, name), (any, made)) in
            [(self.output, OUTPUT), (self.errors, ERRORS)].into_iter().zip(any.into_iter().zip(&mut made))
        {
            if any {
                *made = Some(file.stored()?);
                file.commit()?;
                continue;
            }
            match self.dir.remove(name.as_ref()) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(made)
    }
}
