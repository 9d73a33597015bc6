//! What a run shows while it lasts: a bar on a terminal, nothing in a pipe.

use std::borrow::Cow;
use std::fmt::Display;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lote::Batch;
use lote::run::Progress;
use lote::text::visible;

use crate::cmd_clean;
use crate::out;
use crate::shell;

/// How often a run that is not on a terminal says that it waits.
const SAID: Duration = Duration::from_secs(5 * 60);

/// A bar on stderr.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    style: Arc<Mutex<&'static str>>,
    /// Since when nothing was said of waiting, where lines are printed in place of a bar.
    said: Option<Arc<Mutex<Instant>>>,
}

/// The styles of a bar: a message alone, or with numbers of lines or bytes.
const PLAIN: &str = "{spinner} {msg}";
const LINES: &str = "{spinner} {msg} {wide_bar} {pos}/{len} {eta}";
const BYTES: &str = "{spinner} {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}";

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
        let bar = Self::on(target);
        bar.bar.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    fn on(target: ProgressDrawTarget) -> Self {
        let bar =
            Self { bar: ProgressBar::with_draw_target(None, target), style: Arc::new(Mutex::new("")), said: None };
        bar.say("");
        bar
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
                let failed = if *failed > 0 { format!(", {failed} failed") } else { String::new() };
                self.now_and_then(|| format!("shard {shard}: {ended} of {lines} lines sent one by one have ended"));
                self.counting(LINES, ended, *lines, format!("shard {shard}, line by line{failed}"));
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
                let failed = if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() };
                let ended = counts.completed.saturating_add(counts.failed);
                self.counting(LINES, ended, counts.total, format!("{}{failed}", shown(batch)));
            }
        }
    }

    /// Shows how far several batches have come: how many are over, and how many of their lines have ended.
    pub(crate) fn batches(&self, over: usize, all: usize, ended: u64, total: u64) {
        if total == 0 {
            return self.say(format!("{over} of {all} batches over"));
        }
        self.counting(LINES, ended, total, format!("{over} of {all} batches over"));
    }

    /// Shows how many bytes have moved.
    fn bytes(&self, doing: &'static str, moved: u64, total: u64) {
        self.counting(BYTES, moved, total, doing);
    }

    /// Shows numbers in this style. Each change of the bar may be drawn: numbers of another kind go before the style
    /// comes, or bytes would be seen as lines.
    fn counting(&self, style: &'static str, done: u64, total: u64, what: impl Into<Cow<'static, str>>) {
        if self.shows(style) {
            self.set(PLAIN);
            self.bar.set_length(total);
            self.bar.set_position(done);
            self.bar.reset_eta();
            self.bar.set_message(what);
            self.set(style);
        } else {
            self.bar.set_length(total);
            self.bar.set_position(done);
            self.bar.set_message(what);
        }
    }

    fn say(&self, what: impl Into<Cow<'static, str>>) {
        if self.shows(PLAIN) {
            self.set(PLAIN);
        }
        self.bar.set_message(what);
    }

    /// Takes note of the style that is to be shown; whether it is another.
    fn shows(&self, style: &'static str) -> bool {
        let mut shown = self.style.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *shown, style) != style
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn set(&self, template: &str) {
        // The templates are ours; a wrong one would show as no style.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.bar.set_style(style);
        }
    }
}

/// A batch and its status. That is any text of the service's, which must not make the bar longer than the terminal.
fn shown(batch: &Batch) -> String {
    let status: String = batch.status.to_string().chars().take(40).collect();
    visible(&format!("{} {status}", batch.id)).into_owned()
}

#[cfg(test)]
mod tests {
    use std::io;

    use indicatif::TermLike;

    use super::*;

    /// A terminal that keeps all that was ever drawn.
    #[derive(Clone, Debug, Default)]
    struct Paper(Arc<Mutex<String>>);

    impl TermLike for Paper {
        fn width(&self) -> u16 {
            100
        }
        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }
        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(&format!("{text}\n"))
        }
        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().expect("no test panicked with it").push_str(text);
            Ok(())
        }
        fn clear_line(&self) -> io::Result<()> {
            self.write_str("\n")
        }
        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn bytes_are_never_shown_as_lines_nor_lines_as_bytes() {
        let paper = Paper::default();
        let bar = Bar::on(ProgressDrawTarget::term_like_with_hz(Box::new(paper.clone()), 255));
        // Between any two changes the bar may be drawn by its own clock.
        for round in 1..4 {
            bar.show(&Progress::Uploading { sent: 7_340_032, total: 7_340_032 });
            bar.bar.force_draw();
            bar.batches(round, 4, 11, 13);
            bar.bar.force_draw();
        }
        let drawn = paper.0.lock().expect("no test panicked with it").clone();
        assert!(drawn.contains("7.00 MiB/7.00 MiB") && drawn.contains("11/13"), "{drawn}");
        for wrong in ["7340032", "11 B/", "13 B "] {
            assert!(!drawn.contains(wrong), "{wrong}: {drawn}");
        }
    }
}
