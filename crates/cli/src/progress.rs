//! What a run shows while it lasts: a bar on a terminal, nothing in a pipe.

mod board;

use std::fmt::{Display, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle};
use lote::Batch;
use lote::run::Progress;
use lote::text::visible;

use crate::cmd_clean;
use crate::layout;
use crate::out;
use crate::shell;
use board::{Board, Clock, Part};

/// How often a run that is not on a terminal says that it waits.
const SAID: Duration = Duration::from_secs(5 * 60);

/// A bar on stderr.
#[derive(Clone)]
pub(crate) struct Bar {
    bar: ProgressBar,
    /// What it says, whenever it is drawn.
    board: Arc<Mutex<Board>>,
    /// The folder of the run, until it was asked how many lines there are.
    run: Arc<Mutex<Option<PathBuf>>>,
    /// Since when nothing was said of waiting, where lines are printed in place of a bar.
    said: Option<Arc<Mutex<Instant>>>,
}

/// What is drawn: a sign of life, and the line of the board.
const TEMPLATE: &str = "{spinner} {board}";

/// The columns that are not the board's: the sign of life, a blank, and the last one, in which some terminals wrap.
const TAKEN: usize = 3;

impl Bar {
    /// A bar as [`new`](Self::new), of a run: where stderr is no terminal its steps are printed.
    pub(crate) fn of_run() -> Self {
        let bar = Self::new();
        let said = bar.bar.is_hidden().then(|| Arc::new(Mutex::new(Instant::now())));
        Self { said, ..bar }
    }

    /// A bar, which draws only when stderr is a terminal.
    pub(crate) fn new() -> Self {
        let target = if out::shows_progress() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = Self::on(target, Arc::new(Instant::now), layout::columns_of_stderr);
        bar.bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// On this target, which has so many columns, by this clock.
    fn on(
        target: ProgressDrawTarget,
        clock: Clock,
        columns: impl Fn() -> usize + Clone + Send + Sync + 'static,
    ) -> Self {
        let bar = ProgressBar::with_draw_target(None, target);
        let board = Arc::new(Mutex::new(Board::new(clock)));
        let drawn = Arc::clone(&board);
        let line = move |_: &ProgressState, out: &mut dyn Write| {
            let board = drawn.lock().unwrap_or_else(PoisonError::into_inner);
            // The drawing of a line has no place to report that it failed.
            let _ = out.write_str(&board.line(columns().saturating_sub(TAKEN)));
        };
        // The template is ours; a wrong one would show as no style.
        if let Ok(style) = ProgressStyle::with_template(TEMPLATE) {
            bar.set_style(style.with_key("board", line));
        }
        Self { bar, board, run: Arc::default(), said: None }
    }

    /// The bar of the run in this folder: how many lines that has, and how many had ended before, is read there.
    pub(crate) fn follow(&self, folder: &Path) {
        *self.run.lock().unwrap_or_else(PoisonError::into_inner) = Some(folder.to_owned());
    }

    fn board(&self) -> MutexGuard<'_, Board> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows a step of a run.
    pub(crate) fn show(&self, progress: &Progress<'_>) {
        match progress {
            Progress::Checked(checked) => self.say(format!("checked {} request lines", checked.lines)),
            Progress::Uploading { sent, total } => self.bytes("uploading", *sent, *total),
            Progress::GoesOn { folder, batches } => {
                let batches = out::count(batches.len() as u64, "batch");
                self.step(format_args!("{}: goes on with the run in it, which has {batches}", folder.display()));
            }
            Progress::Created(batch) => {
                self.step(format_args!("batch {} created", batch.id));
                self.batch(batch);
            }
            Progress::Found(batch) => {
                self.step(format_args!("batch {} found: an earlier create of this run has made it", batch.id));
                self.batch(batch);
            }
            Progress::Replaces { folder, what } => self.note(format_args!(
                "{}: takes the place of a run of which nothing is to be paid ({})",
                folder.display(),
                visible(what),
            )),
            Progress::Halved { shard, halves: [first, second], why } => self.note(format_args!(
                "shard {shard} is too big ({}): its lines go into shards {first} and {second}",
                out::short(why),
            )),
            Progress::Resolving { shards, at_least } => {
                let lost = match shards.len() {
                    1 => "the answer to a create was lost: looking for what it made".to_owned(),
                    lost => format!("the answers to {lost} creates were lost: looking for what they made"),
                };
                let time = at_least.as_secs();
                self.note(format_args!("{lost}, for {time} s at least, before another is sent"));
            }
            Progress::Listing { pages } => self.note(format_args!(
                "the service's list of batches is read: {pages} pages so far, and it goes on (--deadline bounds it)"
            )),
            Progress::Partial { results, undecided } => self.note(format_args!(
                "results so far: {}; {} without an outcome yet",
                shell::quoted(results),
                out::count(*undecided, "line"),
            )),
            Progress::Waits { why } => {
                self.note(format_args!("no other batch is created for now: {}", out::short(why)))
            }
            Progress::LimitsUnread { file, why } => self.note(format_args!(
                "{}: {}; what services take is learned anew",
                visible(&file.display().to_string()),
                visible(why),
            )),
            Progress::Surplus { shard, batch } => self.note(format_args!(
                "batch {} is a second one of shard {shard}: it is cancelled, and what it did may be charged",
                batch.id,
            )),
            Progress::Waiting(batch) => {
                self.waiting(batch);
                self.batch(batch);
            }
            Progress::Downloading { name } => self.say(format!("downloading {name}")),
            Progress::Trouble(error) => self.note(format_args!("{}; asking again", out::short(error))),
            Progress::Survived(error) => self.note(out::short(error)),
            Progress::Unreached { since, error } => self.note(format_args!(
                "{}; not reached for {}: the run goes on when there is a connection again",
                out::short(error),
                out::count(since.as_secs() / 60, "minute"),
            )),
            Progress::Capped { why } => self.note(format_args!("no other attempt is begun: {}", visible(why))),
            Progress::Cleaned(file) => self.note(cmd_clean::told(file)),
            Progress::Rescued { shard, batch, ends_at } => self.note(match ends_at {
                Some(end) => format!(
                    "the window of batch {batch} of shard {shard} ends at {end}: what it leaves is sent one by one when it is over"
                ),
                None => format!("batch {batch} of shard {shard} has expired: what it leaves is sent one by one"),
            }),
            Progress::Rest { shard, lines, .. } => self.note(format_args!(
                "the batch of shard {shard} is over and fetched; {} left to be sent one by one",
                match lines {
                    0 => "no line is".to_owned(),
                    1 => "1 line is".to_owned(),
                    several => format!("{several} lines are"),
                }
            )),
            Progress::RescuedAnyway { shard, batch, lines } => self.note(format_args!(
                "batch {batch} of shard {shard} has not ended, and is given up: all of its lines are sent one by one, and \
                 up to {} may be charged twice",
                out::count(*lines, "line"),
            )),
            Progress::Answering { shard, lines, succeeded, failed } => {
                let ended = succeeded.saturating_add(*failed);
                self.now_and_then(|| format!("shard {shard}: {ended} of {lines} lines sent one by one have ended"));
                let part = Part { ended, failed: *failed, total: *lines, over: ended >= *lines };
                let long = format!("shard {shard}, line by line{}", told_failed(part));
                self.part(&format!("shard {shard}"), part, long, format!("shard {shard}"));
            }
            Progress::Joining => self.say("putting the results in order"),
            _ => {}
        }
    }

    /// Prints a line above the bar, on a terminal or not: what waits for a service must not look idle.
    pub(crate) fn note(&self, text: impl Display) {
        self.bar.suspend(|| out::note(text));
    }

    /// A step, where there is no bar to show it.
    fn step(&self, what: impl Display) {
        if self.said.is_some() {
            out::note(what);
        }
    }

    /// Says now and then that it waits, where there is no bar to show it.
    fn waiting(&self, batch: &Batch) {
        self.now_and_then(|| {
            let counts = batch.request_counts.filter(|counts| counts.total > 0).map(|counts| {
                format!(", {} of {} lines ended", counts.completed.saturating_add(counts.failed), counts.total)
            });
            format!("batch {}{}", shown(batch), counts.unwrap_or_default())
        });
    }

    /// Says something that is said often, now and then.
    fn now_and_then(&self, what: impl FnOnce() -> String) {
        let Some(said) = &self.said else { return };
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= SAID {
            *said = Instant::now();
            out::note(what());
        }
    }

    /// Shows how far a batch has come.
    pub(crate) fn batch(&self, batch: &Batch) {
        match batch.request_counts.filter(|counts| counts.total > 0) {
            None => self.say(shown(batch)),
            Some(counts) => {
                let ended = counts.completed.saturating_add(counts.failed);
                let part = Part { ended, failed: counts.failed, total: counts.total, over: batch.is_terminal() };
                let failed = told_failed(part);
                self.part(
                    batch.id.as_str(),
                    part,
                    format!("{}{failed}", shown(batch)),
                    format!("{}{failed}", status(batch)),
                );
            }
        }
    }

    /// Shows how far several batches have come: how many are over, and how many of their lines have ended.
    pub(crate) fn batches(&self, over: usize, all: usize, ended: u64, total: u64) {
        if total == 0 {
            return self.say(format!("{over} of {all} batches over"));
        }
        self.board().sum(over, all, ended, total);
        self.bar.tick();
    }

    fn part(&self, name: &str, part: Part, long: String, short: String) {
        if self.bar.is_hidden() {
            return;
        }
        let folder = self.run.lock().unwrap_or_else(PoisonError::into_inner).take();
        let run = folder.and_then(|folder| lote::run::status(folder).ok());
        let mut board = self.board();
        if let Some(run) = run {
            let settled = run.shards.iter().filter(|shard| shard.phase == "settled" && shard.attempt == 1);
            let settled = settled.filter(|shard| shard.rest_of.is_none()).map(|shard| shard.lines).sum();
            board.run(run.lines.saturating_sub(run.deduplicated), settled);
        }
        board.part(name, part, long, short);
        drop(board);
        self.bar.tick();
    }

    /// Shows how many bytes have moved.
    fn bytes(&self, doing: &'static str, moved: u64, total: u64) {
        self.board().bytes(doing, moved, total);
        self.bar.tick();
    }

    /// Shows what is done.
    pub(crate) fn say(&self, what: impl Into<String>) {
        self.board().say(what);
        self.bar.tick();
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

/// A batch and its status.
fn shown(batch: &Batch) -> String {
    format!("{} {}", visible(batch.id.as_str()), status(batch))
}

/// The status of a batch, which is any text of the service's.
fn status(batch: &Batch) -> String {
    let status: String = batch.status.to_string().chars().take(40).collect();
    visible(&status).into_owned()
}

fn told_failed(part: Part) -> String {
    if part.failed > 0 { format!(", {} failed", part.failed) } else { String::new() }
}

#[cfg(test)]
mod tests;
