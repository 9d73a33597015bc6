//! How many requests an upstream takes at once, learned from what comes of them: more while that goes well, fewer when it
//! refuses or slows down.

use std::time::Duration;

use tokio::time::Instant;

/// What is tried first.
const FIRST: f64 = 8.0;

/// What is left of the limit when the upstream has too much to do.
const CUT: f64 = 0.7;

/// So many times the pace at its best is enough: more at once would only wait longer, and with them who waits for a
/// single answer.
const ENOUGH_SLOWER: f64 = 1.5;

/// So many times means that the upstream only queues what it is sent.
const SLOW: f64 = 2.0;

/// After so many windows in which it was enough, that is tried anew with fewer: it may be the work that is slower.
const TRIED_ANEW: u32 = 50;

/// A cut that leaves more than this of the pace was in vain: the work itself is slower.
const IN_VAIN: f64 = 0.85;

/// So much slower the best pace is taken to be then.
const FORGETS: f64 = 1.5;

/// Fewer answers say nothing about the pace.
const ENOUGH: u64 = 16;

/// The overhead of an answer, in tokens of output.
const OVERHEAD: u64 = 16;

/// A window is as long as an answer takes, but not shorter.
const SHORTEST_WINDOW: Duration = Duration::from_millis(100);

/// What is known of one upstream.
#[derive(Debug)]
pub(super) struct Learned {
    limit: f64,
    most: f64,
    /// Whether it was never too much: until then the limit doubles.
    is_untried: bool,
    /// Whether somebody had to wait for the limit in this window.
    pub(super) saturated: bool,
    window_from: Instant,
    /// No second cut before that: what was on its way is refused as well.
    cut_until: Instant,
    /// How long an answer takes.
    latency: Duration,
    answers: u64,
    milliseconds: f64,
    tokens: u64,
    /// Milliseconds a token of output, in the best window.
    best: Option<f64>,
    /// Windows in a row in which as much was there as is enough.
    enough_for: u32,
    /// The pace before a cut that was for it.
    cut_at: Option<f64>,
}

impl Learned {
    pub(super) fn new(most: usize, now: Instant) -> Learned {
        #[expect(clippy::cast_precision_loss, reason = "nobody sends 2^53 requests at once")]
        let most = most.max(1) as f64;
        Learned {
            limit: FIRST.min(most),
            most,
            is_untried: true,
            saturated: false,
            window_from: now,
            cut_until: now,
            latency: Duration::ZERO,
            answers: 0,
            milliseconds: 0.0,
            tokens: 0,
            best: None,
            enough_for: 0,
            cut_at: None,
        }
    }

    /// At least 1.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 1 to a number of requests")]
    pub(super) fn limit(&self) -> usize {
        self.limit as usize
    }

    fn window(&self) -> Duration {
        self.latency.max(SHORTEST_WINDOW)
    }

    /// An answer came, with so many tokens of output.
    pub(super) fn answered(&mut self, took: Duration, output: u64, now: Instant) {
        self.latency = if self.latency.is_zero() { took } else { (self.latency * 7 + took) / 8 };
        // Embeddings have no output, and their pace is not that of a model that writes.
        if output > 0 {
            self.answers += 1;
            self.milliseconds += took.as_secs_f64() * 1000.0;
            self.tokens = self.tokens.saturating_add(output).saturating_add(OVERHEAD);
        }
        if now.saturating_duration_since(self.window_from) < self.window() {
            return;
        }
        #[expect(clippy::cast_precision_loss, reason = "a pace needs no more digits")]
        let pace = (self.answers >= ENOUGH).then(|| self.milliseconds / self.tokens as f64);
        let is_enough = pace.is_some_and(|pace| self.is_enough(pace, now));
        if self.saturated && !is_enough && now >= self.cut_until {
            self.limit = if self.is_untried { self.limit * 2.0 } else { self.limit + 1.0 }.min(self.most);
        }
        (self.saturated, self.window_from) = (false, now);
        (self.answers, self.milliseconds, self.tokens) = (0, 0.0, 0);
    }

    /// Whether no more should be there at once, by the pace of a window; cuts the limit if it is too much.
    fn is_enough(&mut self, pace: f64, now: Instant) -> bool {
        let mut best = self.best.map_or(pace, |best| best.min(pace));
        let is_enough = pace > best * ENOUGH_SLOWER;
        self.is_untried &= !is_enough;
        self.enough_for = if is_enough { self.enough_for + 1 } else { 0 };
        let is_too_much = pace > best * SLOW || self.enough_for > TRIED_ANEW;
        if now >= self.cut_until && self.cut_at.take().is_some_and(|before| pace > before * IN_VAIN) {
            best *= FORGETS;
        }
        if is_too_much && self.too_much(now) {
            (self.cut_at, self.enough_for) = (Some(pace), 0);
        }
        self.best = Some(best);
        is_enough
    }

    /// The upstream refused because it has too much to do, or did not answer in time. Returns whether that is news.
    pub(super) fn too_much(&mut self, now: Instant) -> bool {
        if now < self.cut_until {
            return false;
        }
        self.is_untried = false;
        self.limit = (self.limit * CUT).max(1.0);
        self.cut_until = now + self.window();
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TICK: Duration = Duration::from_millis(200);

    /// A window in which all that may be at work is, and each takes so long for 100 tokens.
    async fn window(learned: &mut Learned, took: Duration) {
        learned.saturated = true;
        for _ in 0..20 {
            learned.answered(took, 100, Instant::now());
        }
        tokio::time::advance(TICK).await;
        learned.saturated = true;
        learned.answered(took, 100, Instant::now());
    }

    #[tokio::test(start_paused = true)]
    async fn the_limit_doubles_until_it_is_too_much_and_then_grows_by_one() {
        let mut learned = Learned::new(100, Instant::now());
        assert_eq!(learned.limit(), 8);
        window(&mut learned, TICK / 2).await;
        window(&mut learned, TICK / 2).await;
        assert_eq!(learned.limit(), 32);
        learned.too_much(Instant::now());
        // Those that were on their way are refused as well, which says nothing new.
        learned.too_much(Instant::now());
        assert_eq!(learned.limit(), 22);
        window(&mut learned, TICK / 2).await;
        window(&mut learned, TICK / 2).await;
        assert_eq!(learned.limit(), 24);
        for _ in 0..200 {
            window(&mut learned, TICK / 2).await;
        }
        assert_eq!(learned.limit(), 100);
        for _ in 0..50 {
            tokio::time::advance(TICK).await;
            learned.too_much(Instant::now());
        }
        assert_eq!(learned.limit(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_learned_from_an_upstream_that_has_little_to_do() {
        let mut learned = Learned::new(100, Instant::now());
        for _ in 0..10 {
            tokio::time::advance(TICK).await;
            learned.answered(TICK / 2, 100, Instant::now());
        }
        assert_eq!(learned.limit(), 8);
    }

    #[tokio::test(start_paused = true)]
    async fn other_work_is_not_taken_for_a_slow_upstream() {
        let mut learned = Learned::new(100, Instant::now());
        for _ in 0..10 {
            window(&mut learned, TICK / 2).await;
            // Embeddings take a hundredth of that.
            for _ in 0..50 {
                learned.answered(TICK / 200, 0, Instant::now());
            }
        }
        assert_eq!(learned.limit(), 100);
        // Requests that take longer, for ever, cost a few cuts and not all.
        for (times, rounds) in [(10, 200), (16, 400)] {
            let mut least = 100;
            for _ in 0..rounds {
                window(&mut learned, TICK * times / 2).await;
                tokio::time::advance(TICK * times).await;
                least = least.min(learned.limit());
            }
            assert!(least >= 12 && learned.limit() == 100, "{times}: {least}, {}", learned.limit());
        }
    }

    /// An upstream that does so much at once, and lets the rest wait.
    #[tokio::test(start_paused = true)]
    async fn no_more_are_sent_than_an_upstream_does_at_once_and_half_as_many() {
        for at_once in [12_u32, 40, 100] {
            let mut learned = Learned::new(512, Instant::now());
            let mut highest = 0;
            for round in 0..400 {
                let sent = u32::try_from(learned.limit()).unwrap();
                let took = TICK * sent.max(at_once) / at_once;
                for _ in 0..sent.max(20) {
                    learned.answered(took, 100, Instant::now());
                }
                tokio::time::advance(took).await;
                learned.saturated = true;
                learned.answered(took, 100, Instant::now());
                if round > 20 {
                    highest = highest.max(sent);
                }
            }
            let limit = u32::try_from(learned.limit()).unwrap();
            assert!(limit >= at_once && highest <= at_once * 2, "{at_once} at once: {limit}, up to {highest}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_slows_down_gets_less() {
        let mut learned = Learned::new(100, Instant::now());
        window(&mut learned, TICK / 8).await;
        window(&mut learned, TICK / 8).await;
        let before = learned.limit();
        tokio::time::advance(TICK).await;
        window(&mut learned, TICK).await;
        window(&mut learned, TICK).await;
        assert!(learned.limit() < before, "{} to {}", before, learned.limit());
    }
}
