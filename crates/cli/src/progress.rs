//! What a run shows while it lasts: a bar on a terminal, nothing in a pipe.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lote::Batch;
use lote::run::Progress;
use lote::text::visible;

use crate::out;

/// How often a run that is not on a terminal says that it waits.
const SAID: Duration = Duration::from_secs(5 * 60);

/// A bar on stderr.
#[derive(Clone, Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
    /// Since when nothing was said of waiting, where lines are printed in place of a bar.
    said: Option<Arc<Mutex<Instant>>>,
}

impl Bar {
    /// A bar, which draws only when stderr is a terminal.
    pub(crate) fn new() -> Self {
        Self::of_run(false)
    }

    /// The same of a run, whose steps are printed where stderr is no terminal, if so asked.
    pub(crate) fn of_run(steps: bool) -> Self {
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let said = (steps && target.is_hidden()).then(|| Arc::new(Mutex::new(Instant::now())));
        let bar = Self { bar: ProgressBar::with_draw_target(None, target), said };
        bar.say("");
        bar.bar.enable_steady_tick(Duration::from_millis(120));
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
            Progress::Resolving { shards, at_least } => self.warn(format_args!(
                "the answer to {} was lost: looking for what it made, for {} s at least, before another is sent",
                out::count(shards.len() as u64, "create"),
                at_least.as_secs(),
            )),
            Progress::Surplus { shard, batch } => self.warn(format_args!(
                "batch {} is a second one of shard {shard}: it is cancelled, and what it did may be charged",
                batch.id,
            )),
            Progress::Waiting(batch) => {
                self.waiting(batch);
                self.batch(batch);
            }
            Progress::Downloading { name } => self.say(format!("downloading {name}")),
            Progress::Trouble(error) => self.note(error),
            Progress::Joining => self.say("putting the results in order"),
            _ => {}
        }
    }

    /// A step, where there is no bar to show it.
    fn step(&self, what: impl std::fmt::Display) {
        if self.said.is_some() {
            out::note(what);
        }
    }

    /// What a person should know, on a terminal or not.
    fn warn(&self, what: impl std::fmt::Display) {
        self.bar.suspend(|| out::note(what));
    }

    /// Says now and then that it waits.
    fn waiting(&self, batch: &Batch) {
        let Some(said) = &self.said else { return };
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if said.elapsed() >= SAID {
            *said = Instant::now();
            let counts = batch.request_counts.filter(|counts| counts.total > 0).map(|counts| {
                format!(", {} of {} lines ended", counts.completed.saturating_add(counts.failed), counts.total)
            });
            out::note(format_args!("batch {}{}", shown(batch), counts.unwrap_or_default()));
        }
    }

    /// Tells of trouble that passes, on a terminal or not: a run that waits for a service must not look idle.
    fn note(&self, error: &lote::Error) {
        self.bar.suspend(|| out::note(format_args!("{error}; asking again")));
    }

    /// Shows how far a batch has come.
    pub(crate) fn batch(&self, batch: &Batch) {
        match batch.request_counts.filter(|counts| counts.total > 0) {
            None => self.say(shown(batch)),
            Some(counts) => {
                self.style("{spinner} {msg} {wide_bar} {pos}/{len} {eta}");
                self.bar.set_length(counts.total);
                self.bar.set_position(counts.completed.saturating_add(counts.failed));
                let failed = if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() };
                self.bar.set_message(format!("{}{failed}", shown(batch)));
            }
        }
    }

    /// Shows how far several batches have come: how many are over, and how many of their lines have ended.
    pub(crate) fn batches(&self, over: usize, all: usize, ended: u64, total: u64) {
        if total == 0 {
            return self.say(format!("{over} of {all} batches over"));
        }
        self.style("{spinner} {msg} {wide_bar} {pos}/{len} {eta}");
        self.bar.set_length(total);
        self.bar.set_position(ended);
        self.bar.set_message(format!("{over} of {all} batches over"));
    }

    /// Shows how many bytes have moved.
    fn bytes(&self, doing: &'static str, moved: u64, total: u64) {
        self.style("{spinner} {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}");
        self.bar.set_length(total);
        self.bar.set_position(moved);
        self.bar.set_message(doing);
    }

    fn say(&self, what: impl Into<Cow<'static, str>>) {
        self.style("{spinner} {msg}");
        self.bar.set_message(what);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn style(&self, template: &str) {
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
