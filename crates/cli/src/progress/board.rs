//! What a bar says: how far lines or bytes have come, how long it took, and how long it will take at that rate. All that is
//! drawn is composed here, so that it is one line of the terminal, however narrow that is.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::BinaryBytes;

use crate::layout::{cut, span, width};

/// For how long a rate is measured at least before it is told.
const MEASURED: Duration = Duration::from_secs(10);

/// The fewest and the most columns that the bar itself takes.
const BAR: (usize, usize) = (10, 40);

/// What tells the time.
pub(super) type Clock = Arc<dyn Fn() -> Instant + Send + Sync>;

/// How far all of it has come.
pub(super) struct Board {
    clock: Clock,
    begun: Instant,
    shows: Shows,
    /// Lines that had ended before, in shards that are looked at no more; and how many lines there are in all, if that is
    /// known.
    settled: u64,
    lines: u64,
    /// Each batch, or shard that is sent line by line, as it was last seen.
    parts: BTreeMap<String, Part>,
    /// When counts were first seen, and how many lines had ended then; and when they were seen last.
    first: Option<(Instant, u64)>,
    last: Instant,
}

/// What is shown now.
enum Shows {
    Text(String),
    /// Lines, with what is said of them at length and in short.
    Lines {
        long: String,
        short: String,
    },
    Bytes {
        doing: &'static str,
        moved: u64,
        total: u64,
        since: Instant,
    },
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Part {
    pub(super) ended: u64,
    pub(super) failed: u64,
    pub(super) total: u64,
    pub(super) over: bool,
}

impl Board {
    pub(super) fn new(clock: Clock) -> Self {
        let begun = clock();
        Self {
            clock,
            begun,
            shows: Shows::Text(String::new()),
            settled: 0,
            lines: 0,
            parts: BTreeMap::new(),
            first: None,
            last: begun,
        }
    }

    /// A run of so many lines, of which so many have ended in shards that are over.
    pub(super) fn run(&mut self, lines: u64, settled: u64) {
        // Where all have ended only what is tried again is counted.
        (self.lines, self.settled) = if settled < lines { (lines, settled) } else { (0, 0) };
    }

    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.shows = Shows::Text(text.into());
    }

    pub(super) fn bytes(&mut self, doing: &'static str, moved: u64, total: u64) {
        let since = match &self.shows {
            Shows::Bytes { doing: before, moved: then, since, .. } if *before == doing && *then <= moved => *since,
            _ => (self.clock)(),
        };
        self.shows = Shows::Bytes { doing, moved, total, since };
    }

    /// How far a batch, or a shard that is sent line by line, has come, and what is said of it while it is alone.
    pub(super) fn part(&mut self, name: &str, part: Part, long: String, short: String) {
        // What a batch that is over has left is counted where it is done.
        let total = if part.over { part.ended } else { part.total };
        self.parts.insert(name.to_owned(), Part { total, ..part });
        let over = self.parts.values().filter(|part| part.over).count();
        let failed: u64 = self.parts.values().map(|part| part.failed).sum();
        self.shows = match self.parts.len() {
            1 => Shows::Lines { long, short },
            all => {
                let failed = if failed > 0 { format!(", {failed} failed") } else { String::new() };
                Shows::Lines {
                    long: format!("{over} of {all} batches over{failed}"),
                    short: format!("{over}/{all} batches{failed}"),
                }
            }
        };
        self.measure();
    }

    /// How far several batches have come together.
    pub(super) fn sum(&mut self, over: usize, all: usize, ended: u64, total: u64) {
        let part = Part { ended, total, ..Part::default() };
        self.parts = BTreeMap::from([(String::new(), part)]);
        let (long, short) = (format!("{over} of {all} batches over"), format!("{over}/{all} batches"));
        self.shows = Shows::Lines { long, short };
        self.measure();
    }

    fn measure(&mut self) {
        let ended = self.ended();
        self.last = (self.clock)();
        self.first.get_or_insert((self.last, ended));
    }

    fn ended(&self) -> u64 {
        self.parts.values().map(|part| part.ended).fold(self.settled, u64::saturating_add)
    }

    fn total(&self) -> u64 {
        let seen = self.parts.values().map(|part| part.total).fold(self.settled, u64::saturating_add);
        seen.max(self.lines).max(self.ended())
    }

    /// What is drawn now, in at most so many columns.
    pub(super) fn line(&self, columns: usize) -> String {
        let (longs, done, total, told) = match &self.shows {
            Shows::Text(text) => return cut(text, columns),
            Shows::Lines { long, short } => {
                (vec![long.as_str(), short.as_str()], self.ended(), self.total(), self.of_lines())
            }
            Shows::Bytes { doing, moved, total, since } => {
                (vec![*doing], *moved, *total, self.of_bytes(*moved, *total, *since))
            }
        };
        let numbers = match &self.shows {
            Shows::Bytes { .. } => format!("{} {}/{}", percent(done, total), BinaryBytes(done), BinaryBytes(total)),
            _ => format!("{} {done}/{total}", percent(done, total)),
        };
        // First the rate goes, then what is said at length, then the rest, from the end.
        let mut tries = vec![(0, told.len()), (1, told.len())];
        tries.extend((0..told.len()).rev().map(|count| (1, count)));
        let said = |(which, count): (usize, usize)| {
            let what = longs.get(which).or(longs.last()).copied().unwrap_or_default();
            let texts = std::iter::once(what).chain([numbers.as_str()]);
            let texts = texts.chain(told.iter().take(count).map(String::as_str));
            texts.filter(|text| !text.is_empty()).collect::<Vec<_>>()
        };
        let taken = |texts: &[&str]| texts.iter().map(|text| width(text) + 2).sum::<usize>().saturating_sub(2);
        let fits = tries.into_iter().map(said).find(|texts| taken(texts) <= columns);
        let Some(texts) = fits else { return cut(&numbers, columns) };
        let left = columns.saturating_sub(taken(&texts) + 2);
        match (texts.as_slice(), left >= BAR.0) {
            ([what, rest @ ..], true) if !rest.is_empty() => {
                format!("{what}  {}  {}", bar(done, total, left.min(BAR.1)), rest.join("  "))
            }
            (texts, _) => texts.join("  "),
        }
    }

    /// How long it took, how long it will take, and how fast it is, the most important first.
    fn of_lines(&self) -> Vec<String> {
        let now = (self.clock)();
        let elapsed = format!("elapsed {}", span(now.saturating_duration_since(self.begun)));
        let Some((since, then)) = self.first else { return vec![elapsed] };
        // Looks may be minutes apart: in between nothing is known of how fast it is, and what is left grows less.
        let time = self.last.saturating_duration_since(since);
        let (ended, total) = (self.ended(), self.total());
        let done = ended.saturating_sub(then);
        if time < MEASURED || done == 0 || ended >= total {
            return vec![elapsed];
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate for people")]
        let (rate, left) = (done as f64 / time.as_secs_f64(), total.saturating_sub(ended) as f64);
        let eta = Duration::try_from_secs_f64(left / rate).unwrap_or(Duration::MAX);
        let eta = eta.saturating_sub(now.saturating_duration_since(self.last));
        let a_minute = rate * 60.0;
        let a_minute = if a_minute >= 10.0 { format!("{a_minute:.0}") } else { format!("{a_minute:.1}") };
        vec![format!("ETA {}", span(eta)), elapsed, format!("{a_minute} lines/min")]
    }

    fn of_bytes(&self, moved: u64, total: u64, since: Instant) -> Vec<String> {
        let time = (self.clock)().saturating_duration_since(since).as_secs();
        match moved.checked_div(time) {
            Some(rate) if rate > 0 && moved < total => {
                let eta = Duration::from_secs(total.saturating_sub(moved) / rate);
                vec![format!("ETA {}", span(eta)), format!("{}/s", BinaryBytes(rate))]
            }
            _ => Vec::new(),
        }
    }
}

/// How much of it is done; all of it only when it is.
fn percent(done: u64, total: u64) -> String {
    let percent = u128::from(done).saturating_mul(100).checked_div(u128::from(total));
    format!("{}%", percent.unwrap_or(0).min(100))
}

fn bar(done: u64, total: u64, columns: usize) -> String {
    let full = u128::from(done).saturating_mul(columns as u128).checked_div(u128::from(total)).unwrap_or(0);
    let full = usize::try_from(full).unwrap_or(columns).min(columns);
    format!("{}{}", "█".repeat(full), "░".repeat(columns - full))
}
