//! When what happened to the shards of a run, as bars and curves.

use lote::UnixSeconds;
use lote::run::{RunHistory, RunStatus, ShardHistory, ShardStatus};
use serde::Serialize;

use super::histogram::{Histogram, SECONDS, Shown};
use super::words;
use crate::out;

/// How many shards are drawn one by one.
const DRAWN: usize = 100;

/// How many steps a curve has at the most.
const STEPS: u64 = 400;

/// The narrowest bar that is seen, in percent.
const NARROWEST: f64 = 0.5;

/// The times of a run, as they are shown.
#[derive(Serialize)]
pub(super) struct Timeline {
    pub(super) begun: String,
    pub(super) ended: String,
    pub(super) took: String,
    /// Where a time is written below the bars.
    ticks: Vec<Tick>,
    shards: Vec<Bar>,
    /// Shards that are not drawn.
    others: usize,
    /// Lines whose batch was over, and batches at work, over the time.
    over: Option<Curve>,
    at_work: Option<Curve>,
    /// Of lines that were over.
    pace: Option<String>,
    /// How long batches took.
    batches: Option<Shown>,
    /// How many did.
    timed: u64,
}

#[derive(Serialize)]
struct Tick {
    at: f64,
    label: String,
}

/// A shard, as a row of bars.
#[derive(Serialize)]
struct Bar {
    shard: u32,
    attempt: u32,
    lines: String,
    what: String,
    /// Whether it stands in somebody's way.
    is_bad: bool,
    pieces: Vec<Piece>,
}

/// What a shard was at for a while.
#[derive(Serialize)]
struct Piece {
    /// A class of the style: `waits`, `works` or `fetches`.
    class: &'static str,
    from: f64,
    width: f64,
    title: String,
}

/// A curve of steps, in a square of 1000 by 100 that is stretched.
#[derive(Serialize)]
struct Curve {
    path: String,
    most: String,
}

impl Timeline {
    /// `now` is where what goes on is drawn to.
    pub(super) fn new(history: &RunHistory, status: &RunStatus, now: UnixSeconds) -> Self {
        let scale = Scale::new(history, status, now);
        let mut shards: Vec<&ShardHistory> = history.shards.iter().collect();
        let others = shards.len().saturating_sub(DRAWN);
        if others > 0 {
            // What took longest says most.
            shards.sort_by_key(|shard| std::cmp::Reverse(scale.length(shard)));
            shards.truncate(DRAWN);
            shards.sort_by_key(|shard| shard.plan.number);
        }
        let of = |shard: &ShardHistory| status.shards.iter().find(|known| known.shard == shard.plan.number);
        let mut batches = Histogram::new(SECONDS);
        for (created, over) in history.shards.iter().filter_map(|shard| shard.created_at.zip(shard.over_at)) {
            batches.add(between(created, over));
        }
        let over = history.shards.iter().filter(|shard| shard.attempt == 1);
        let over: Vec<_> = over.filter_map(|shard| Some((ended(shard)?, shard.plan.lines))).collect();
        let lines: u64 = over.iter().map(|(_, lines)| *lines).sum();
        let last = over.iter().map(|(at, _)| between(scale.from, *at)).max().unwrap_or(0);
        let pace = |each: u64| lines.saturating_mul(each) / last.max(1);
        let at_work = history.shards.iter().filter_map(|shard| shard.created_at.map(|at| (at, shard.over_at)));
        let at_work = at_work.flat_map(|(from, to)| [Some((from, 1)), to.map(|to| (to, -1))]).flatten();
        Self {
            begun: words::instant(scale.from),
            ended: words::instant(scale.to),
            took: words::time(scale.seconds),
            ticks: scale.ticks(),
            shards: shards.iter().map(|shard| scale.bar(shard, of(shard))).collect(),
            others,
            over: scale.curve(over.iter().map(|(at, lines)| (*at, i64::try_from(*lines).unwrap_or(i64::MAX)))),
            at_work: scale.curve(at_work).filter(|_| history.shards.len() > 1),
            pace: (lines > 0).then(|| match (pace(1), pace(60)) {
                _ if last == 0 => format!("{} within a second", out::count(lines, "line")),
                (10.., _) => format!("{} lines a second", words::count(pace(1))),
                (_, 10..) => format!("{} lines a minute", words::count(pace(60))),
                _ => format!("{} an hour", out::count(pace(3_600), "line")),
            }),
            timed: batches.count(),
            batches: batches.shown(words::time, words::times).filter(|_| batches.count() > 1 && batches.most() > 0),
        }
    }
}

/// From instants to places.
struct Scale {
    from: UnixSeconds,
    to: UnixSeconds,
    seconds: u64,
    /// Whether what is not over goes on.
    goes_on: bool,
}

impl Scale {
    fn new(history: &RunHistory, status: &RunStatus, now: UnixSeconds) -> Self {
        // A clock may have been set in between.
        let from = history.opened_at.iter().copied().min().unwrap_or(history.begun_at).min(history.begun_at);
        let goes_on = history.finished_at.is_none() && (status.open() > 0 || status.unanswered() > 0);
        let to = history.finished_at.unwrap_or(if goes_on { now.max(history.last_at) } else { history.last_at });
        Self { from, to, seconds: between(from, to), goes_on }
    }

    /// In percent of the whole.
    fn place(&self, at: UnixSeconds) -> f64 {
        words::percent(between(self.from, at).min(self.seconds), self.seconds)
    }

    fn ticks(&self) -> Vec<Tick> {
        const EACH: [u64; 20] = [
            1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1_800, 3_600, 7_200, 10_800, 21_600, 43_200, 86_400, 172_800,
            604_800,
        ];
        let each = EACH.into_iter().find(|each| self.seconds / each <= 4).unwrap_or_else(|| self.seconds.div_ceil(4));
        let ticks = (0..=self.seconds / each.max(1)).map(|tick| tick * each);
        // The last one must have room for its words.
        let ticks = ticks.map(|at| Tick { at: words::percent(at, self.seconds), label: words::time(at) });
        ticks.filter(|tick| tick.at <= 90.0).collect()
    }

    fn length(&self, shard: &ShardHistory) -> u64 {
        shard.created_at.map_or(0, |created| between(created, shard.over_at.unwrap_or(self.to)))
    }

    fn bar(&self, shard: &ShardHistory, status: Option<&ShardStatus>) -> Bar {
        let is_over = ended(shard).is_some() || shard.halved_at.is_some();
        let open = || (self.goes_on && !is_over).then_some(self.to);
        let spans = [
            ("waits", "waited for its batch", shard.uploaded_at, shard.created_at.or(shard.failed_at).or_else(open)),
            ("works", "at the service", shard.created_at, shard.over_at.or(shard.failed_at).or_else(open)),
            ("fetches", "fetched and joined", shard.over_at, shard.settled_at),
        ];
        let pieces = spans.into_iter().filter_map(|(class, what, from, to)| {
            let (from, to) = (from?, to?);
            let at = self.place(from).min(100.0 - NARROWEST);
            let width = words::rounded((self.place(to) - at).max(NARROWEST));
            let title = format!("{what}: {}, from {}", words::time(between(from, to)), words::instant(from));
            Some(Piece { class, from: at, width, title })
        });
        let why = status.and_then(|status| status.why.as_deref()).map(words::shown);
        let phase = status.map_or("unknown", |status| if status.held { "held" } else { status.phase });
        let batch = status.and_then(|status| status.status.as_deref()).map(words::shown);
        let mut what = match (phase, batch) {
            ("settled", Some(batch)) => batch,
            ("created", Some(batch)) => format!("at work ({batch})"),
            (phase, _) => phase.to_owned(),
        };
        if let Some(why) = why.filter(|_| phase != "settled") {
            what = format!("{what}: {why}");
        }
        let is_bad = matches!(phase, "held" | "failed") || matches!(what.as_str(), "failed" | "expired" | "cancelled");
        Bar {
            shard: shard.plan.number,
            attempt: shard.attempt,
            lines: out::count(shard.plan.lines, "line"),
            what,
            is_bad,
            pieces: pieces.collect(),
        }
    }

    /// The sum of these changes over the time; none where there is none, or no time.
    fn curve(&self, changes: impl Iterator<Item = (UnixSeconds, i64)>) -> Option<Curve> {
        let mut changes: Vec<_> = changes.map(|(at, by)| (between(self.from, at).min(self.seconds), by)).collect();
        if changes.is_empty() || self.seconds == 0 {
            return None;
        }
        changes.sort_unstable();
        // At each place that is drawn, the most that there was, and what there was in the end.
        let (mut sum, mut most, mut steps): (i64, i64, Vec<(u64, i64, i64)>) = (0, 0, Vec::new());
        for (at, by) in changes {
            sum += by;
            most = most.max(sum);
            let at = at * STEPS / self.seconds;
            match steps.last_mut() {
                Some((last, drawn, now)) if *last == at => (*drawn, *now) = ((*drawn).max(sum), sum),
                _ => steps.push((at, sum, sum)),
            }
        }
        let height = |sum: i64| 100 - 98 * sum.max(0) / most.max(1);
        let mut path = "M0 100".to_owned();
        for (at, drawn, now) in steps {
            path.push_str(&format!("H{}V{}V{}", at * 1_000 / STEPS, height(drawn), height(now)));
        }
        path.push_str("H1000");
        Some(Curve { path, most: words::count(most.unsigned_abs()) })
    }
}

/// When the lines of a shard had ended.
fn ended(shard: &ShardHistory) -> Option<UnixSeconds> {
    shard.over_at.or(shard.settled_at).or(shard.failed_at)
}

fn between(from: UnixSeconds, to: UnixSeconds) -> u64 {
    to.since(from).as_secs()
}
