//! How much an upstream may be sent in a minute: requests, and tokens.

use std::time::Duration;

use tokio::time::Instant;

/// So long a time's worth may go at once after a pause.
const BURST: f64 = 5.0;

/// A bucket that fills with time. What is taken may be more than is in it: whoever comes next waits until that is made up for.
#[derive(Debug)]
pub(super) struct Bucket {
    per_second: f64,
    most: f64,
    level: f64,
    at: Instant,
}

impl Bucket {
    pub(super) fn per_minute(amount: u64, now: Instant) -> Bucket {
        #[expect(clippy::cast_precision_loss, reason = "2^53 tokens a minute are beyond any service")]
        let per_second = (amount.max(1) as f64) / 60.0;
        let most = (per_second * BURST).max(1.0);
        Bucket { per_second, most, level: most, at: now }
    }

    /// When something may be taken: now, or at that instant.
    pub(super) fn ready(&mut self, now: Instant) -> Result<(), Instant> {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.level = (self.level + passed * self.per_second).min(self.most);
        self.at = now;
        // A token's worth less than one is a matter of rounding.
        if self.level >= 0.999 {
            return Ok(());
        }
        let seconds = (1.0 - self.level) / self.per_second;
        Err(now
            + Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(3600)).max(Duration::from_millis(1)))
    }

    #[expect(clippy::cast_precision_loss, reason = "2^53 tokens in a request are beyond any service")]
    pub(super) fn take(&mut self, amount: u64) {
        self.level -= amount as f64;
    }

    /// What was taken was a guess: this is what it came to.
    #[expect(clippy::cast_precision_loss, reason = "2^53 tokens in a request are beyond any service")]
    pub(super) fn settle(&mut self, taken: u64, used: u64) {
        self.level = (self.level + taken as f64 - used as f64).min(self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_minute_holds_what_it_may_and_a_burst_no_more_than_five_seconds() {
        let begin = Instant::now();
        let mut bucket = Bucket::per_minute(120, begin);
        let (mut sent, mut in_burst) = (0, 0);
        while begin.elapsed() < Duration::from_secs(60) {
            match bucket.ready(Instant::now()) {
                Ok(()) => {
                    bucket.take(1);
                    sent += 1;
                    in_burst += u64::from(begin.elapsed().is_zero());
                }
                Err(at) => tokio::time::sleep_until(at).await,
            }
        }
        assert_eq!(in_burst, 10);
        assert!((129..=131).contains(&sent), "{sent}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_large_request_goes_and_the_next_waits_until_it_is_made_up_for() {
        let now = Instant::now();
        let mut bucket = Bucket::per_minute(60_000, now);
        bucket.ready(now).unwrap();
        bucket.take(65_000);
        let until = bucket.ready(now).unwrap_err();
        assert!((59..=61).contains(&(until - now).as_secs()), "{:?}", until - now);
        // It was a tenth of that.
        bucket.settle(65_000, 6_500);
        let until = bucket.ready(now).unwrap_err();
        assert!((1..=2).contains(&(until - now).as_secs()), "{:?}", until - now);
    }
}
