//! Owns the pauses between two attempts: growing, varied, never shorter than a service asks for.

use std::time::Duration;

/// A longer Retry-After is cut to this, which is where openai-python stops honouring it.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(120);

/// The shortest pause, whatever is asked for.
const SHORTEST: Duration = Duration::from_millis(10);

/// The longest pause, whatever is asked for.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// Pauses that grow by half from the first to the longest, each varied by up to a fifth.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    next: Duration,
    longest: Duration,
}

impl Pace {
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        // No pause would be a storm, and one beyond a day cannot be varied without care.
        let first = first.clamp(SHORTEST, LONGEST);
        Self { next: first, longest: longest.clamp(first, LONGEST) }
    }

    /// Pauses once, for as long as `asked` at the least.
    pub(crate) async fn pause(&mut self, asked: Option<Duration>) {
        let varied = self.next.mul_f64(0.8 + 0.4 * fastrand::f64());
        self.next = (self.next + self.next / 2).min(self.longest);
        tokio::time::sleep(varied.max(asked.unwrap_or_default().min(LONGEST_RETRY_AFTER))).await;
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::Instant;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn no_setting_makes_a_storm_or_a_panic() {
        for (first, longest) in [(Duration::ZERO, Duration::ZERO), (Duration::MAX, Duration::ZERO)] {
            let mut pace = Pace::new(first, longest);
            let start = Instant::now();
            pace.pause(Some(Duration::MAX)).await;
            pace.pause(None).await;
            assert!(start.elapsed() >= SHORTEST);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_to_the_longest_and_respect_the_service() {
        let mut pace = Pace::new(Duration::from_secs(1), Duration::from_secs(10));
        let mut taken = Vec::new();
        for asked in [None, None, Some(40), None, None, None, None, Some(9_999)] {
            let start = Instant::now();
            pace.pause(asked.map(Duration::from_secs)).await;
            taken.push(start.elapsed().as_secs_f64());
        }
        let within = |at: usize, middle: f64| (taken[at] - middle).abs() <= middle * 0.2 + 0.01;
        assert!(within(0, 1.0) && within(1, 1.5) && within(6, 10.0), "{taken:?}");
        assert!((taken[2] - 40.0).abs() < 0.01 && (taken[7] - 120.0).abs() < 0.01, "{taken:?}");
    }
}
