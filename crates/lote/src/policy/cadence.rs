//! How often a wait asks: the pauses between two looks at the same batch.

use std::time::Duration;

use tokio::time::Instant;

use crate::{Batch, RequestCounts, Status};

/// A longer Retry-After is cut to this, which is where openai-python stops honouring it.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

/// The shortest pause, whatever is asked for.
const SHORTEST: Duration = Duration::from_millis(10);

/// The longest pause, whatever is asked for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// How often a wait asks.
///
/// Pauses grow by half from the first to the longest, each varied by up to a fifth so that many waits do not ask at the
/// same moment. They start anew when the batch changes its status, and when its last line has ended. Before that, no
/// pause is longer than the rest is expected to take by the rate at which lines were seen to end. A service that asks
/// for a longer pause (Retry-After, up to two minutes) gets it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cadence {
    first: Duration,
    longest: Duration,
}

impl Default for Cadence {
    /// From 0.2 to 30 seconds.
    fn default() -> Self {
        Self::new(Duration::from_millis(200), Duration::from_secs(30))
    }
}

impl Cadence {
    /// Pauses from the first to the longest. Taken as 10 milliseconds where they are shorter, as a day where longer.
    pub fn new(first: Duration, longest: Duration) -> Self {
        // Shorter pauses would flood the service; longer ones could overflow when they are varied.
        let first = first.clamp(SHORTEST, LONGEST);
        Self { first, longest: longest.clamp(first, LONGEST) }
    }

    /// The same pause each time, varied by up to a fifth.
    pub fn every(pause: Duration) -> Self {
        Self::new(pause, pause)
    }

    pub(crate) fn pauses(&self) -> Pauses {
        Pauses { cadence: self.clone(), next: self.first }
    }
}

/// The pauses of one wait.
#[derive(Clone, Debug)]
pub(crate) struct Pauses {
    cadence: Cadence,
    next: Duration,
}

impl Pauses {
    /// The next pause: as long as `asked` at the least, and else no longer than what is `left`.
    pub(crate) fn next(&mut self, asked: Option<Duration>, left: Option<Duration>) -> Duration {
        let Cadence { first, longest } = self.cadence;
        let grown = self.next;
        self.next = (grown + grown / 2).min(longest);
        let pause = left.map_or(grown, |left| grown.min(left.max(first)));
        let varied = pause.mul_f64(0.8 + 0.4 * fastrand::f64());
        varied.max(asked.unwrap_or_default().min(LONGEST_RETRY_AFTER))
    }

    /// Starts with the first pause again.
    pub(crate) fn restart(&mut self) {
        self.next = self.cadence.first;
    }
}

/// What the looks at one batch tell about its pace.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rate {
    phase: Option<(Status, bool)>,
    /// When it was first seen how many lines had ended.
    start: Option<(Instant, u64)>,
}

impl Rate {
    /// Takes note of a look: whether a new phase has begun, and how long the rest is expected to take.
    pub(crate) fn observe(&mut self, batch: &Batch, now: Instant) -> (bool, Option<Duration>) {
        let counts = batch.request_counts.filter(|counts| counts.total > 0);
        let left = counts.map(|counts| counts.total.saturating_sub(ended(counts)));
        let phase = Some((batch.status.clone(), left == Some(0)));
        let new_phase = self.phase.is_some() && self.phase != phase;
        self.phase = phase;
        let (Some(counts), Some(left @ 1..)) = (counts, left) else { return (new_phase, None) };
        let (start, before) = *self.start.get_or_insert((now, ended(counts)));
        let gained = ended(counts).saturating_sub(before);
        if gained == 0 {
            return (new_phase, None);
        }
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let share = left as f64 / gained as f64;
        let rest = Duration::try_from_secs_f64(now.duration_since(start).as_secs_f64() * share).ok();
        (new_phase, rest)
    }
}

fn ended(RequestCounts { total: _, completed, failed }: RequestCounts) -> u64 {
    completed.saturating_add(failed)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn within(pause: Duration, middle: f64) -> bool {
        (pause.as_secs_f64() - middle).abs() <= middle * 0.2 + 1e-6
    }

    #[test]
    fn no_setting_makes_a_storm_or_a_panic() {
        for (first, longest) in [(Duration::ZERO, Duration::ZERO), (Duration::MAX, Duration::ZERO)] {
            let mut pauses = Cadence::new(first, longest).pauses();
            assert!(pauses.next(Some(Duration::MAX), Some(Duration::MAX)) > Duration::ZERO);
            assert!(pauses.next(None, Some(Duration::ZERO)) >= SHORTEST.mul_f64(0.8));
        }
    }

    #[test]
    fn pauses_grow_to_the_longest_and_respect_the_service() {
        let mut pauses = Cadence::new(SECOND, 10 * SECOND).pauses();
        let taken = [None, None, Some(40), None, None, None, None, Some(9_999)]
            .map(|asked| pauses.next(asked.map(Duration::from_secs), None));
        assert!(within(taken[0], 1.0) && within(taken[1], 1.5) && within(taken[6], 10.0), "{taken:?}");
        assert!(taken[2] == 40 * SECOND && taken[7] == 120 * SECOND, "{taken:?}");
        pauses.restart();
        assert!(within(pauses.next(None, None), 1.0));
    }

    #[test]
    fn no_pause_is_longer_than_the_rest_is_expected_to_take() {
        let mut pauses = Cadence::every(100 * SECOND).pauses();
        assert!(within(pauses.next(None, Some(500 * SECOND)), 100.0));
        let mut pauses = Cadence::new(SECOND, 100 * SECOND).pauses();
        for _ in 0..20 {
            pauses.next(None, None);
        }
        assert!(within(pauses.next(None, Some(7 * SECOND)), 7.0));
        assert!(within(pauses.next(None, Some(Duration::ZERO)), 1.0));
    }

    #[test]
    fn the_rest_is_told_from_the_rate_and_a_phase_from_status_and_counts() {
        let look = |status: &str, completed: u64| {
            let counts = json!({"total": 100, "completed": completed, "failed": 0});
            let batch = json!({"id": "b", "status": status, "request_counts": counts});
            Batch::read("batch", serde_json::from_value(batch).unwrap()).unwrap()
        };
        let (mut rate, start) = (Rate::default(), Instant::now());
        let mut observe =
            |status: &str, completed, seconds| rate.observe(&look(status, completed), start + seconds * SECOND);
        assert_eq!(observe("validating", 0, 0), (false, None));
        assert_eq!(observe("in_progress", 0, 1), (true, None));
        assert_eq!(observe("in_progress", 20, 10), (false, Some(40 * SECOND)));
        assert_eq!(observe("in_progress", 50, 50), (false, Some(50 * SECOND)));
        // No estimate from counts that went backwards.
        assert_eq!(observe("in_progress", 0, 60), (false, None));
        assert_eq!(observe("in_progress", 100, 90), (true, None));
        assert_eq!(observe("finalizing", 100, 91), (true, None));
    }
}
