//! What a run shows while it lasts: a bar on a terminal, nothing in a pipe.

use std::borrow::Cow;
use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use lote::Batch;
use lote::run::Progress;
use lote::text::visible;

use crate::out;

/// A bar on stderr.
#[derive(Clone, Debug)]
pub(crate) struct Bar(ProgressBar);

impl Bar {
    /// A bar, which draws only when stderr is a terminal.
    pub(crate) fn new() -> Self {
        let target =
            if std::io::stderr().is_terminal() { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = Self(ProgressBar::with_draw_target(None, target));
        bar.say("");
        bar.0.enable_steady_tick(Duration::from_millis(120));
        bar
    }

    /// Shows a step of a run.
    pub(crate) fn show(&self, progress: &Progress<'_>) {
        match progress {
            Progress::Checked(checked) => self.say(format!("checked {} request lines", checked.lines)),
            Progress::Uploading { sent, total } => self.bytes("uploading", *sent, *total),
            Progress::Created(batch) | Progress::Waiting(batch) => self.batch(batch),
            Progress::Downloading { name } => self.say(format!("downloading {name}")),
            Progress::Trouble(error) => self.note(error),
            Progress::Joining => self.say("putting the results in order"),
            _ => {}
        }
    }

    /// Tells of trouble that passes, on a terminal or not: a run that waits for a service must not look idle.
    fn note(&self, error: &lote::Error) {
        self.0.suspend(|| out::note(format_args!("{error}; asking again")));
    }

    /// Shows how far a batch has come.
    pub(crate) fn batch(&self, batch: &Batch) {
        match batch.request_counts.filter(|counts| counts.total > 0) {
            None => self.say(shown(batch)),
            Some(counts) => {
                self.style("{spinner} {msg} {wide_bar} {pos}/{len} {eta}");
                self.0.set_length(counts.total);
                self.0.set_position(counts.completed.saturating_add(counts.failed));
                let failed = if counts.failed > 0 { format!(", {} failed", counts.failed) } else { String::new() };
                self.0.set_message(format!("{}{failed}", shown(batch)));
            }
        }
    }

    /// Shows how far several batches have come: how many are over, and how many of their lines have ended.
    pub(crate) fn batches(&self, over: usize, all: usize, ended: u64, total: u64) {
        if total == 0 {
            return self.say(format!("{over} of {all} batches over"));
        }
        self.style("{spinner} {msg} {wide_bar} {pos}/{len} {eta}");
        self.0.set_length(total);
        self.0.set_position(ended);
        self.0.set_message(format!("{over} of {all} batches over"));
    }

    /// Shows how many bytes have moved.
    fn bytes(&self, doing: &'static str, moved: u64, total: u64) {
        self.style("{spinner} {msg} {wide_bar} {bytes}/{total_bytes} {bytes_per_sec}");
        self.0.set_length(total);
        self.0.set_position(moved);
        self.0.set_message(doing);
    }

    fn say(&self, what: impl Into<Cow<'static, str>>) {
        self.style("{spinner} {msg}");
        self.0.set_message(what);
    }

    /// Takes the bar away.
    pub(crate) fn clear(&self) {
        self.0.finish_and_clear();
    }

    fn style(&self, template: &str) {
        // The templates are ours; a wrong one would show as no style.
        if let Ok(style) = ProgressStyle::with_template(template) {
            self.0.set_style(style);
        }
    }
}

/// A batch and its status. That is any text of the service's, which must not make the bar longer than the terminal.
fn shown(batch: &Batch) -> String {
    let status: String = batch.status.to_string().chars().take(40).collect();
    visible(&format!("{} {status}", batch.id)).into_owned()
}
