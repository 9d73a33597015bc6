//! How fast requests are sent: how many are in flight, which is learned, what was asked for a minute, and the pauses that
//! the service wants. It reads no clock but that of tokio, so that tests let time pass.

use std::{
    collections::BTreeSet,
    num::NonZeroU32,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use governor::{
    Quota, RateLimiter,
    clock::Clock,
    middleware::NoOpMiddleware,
    nanos::Nanos,
    state::{InMemoryState, NotKeyed},
};
use tokio::{
    sync::Notify,
    time::{Instant, sleep, sleep_until},
};

use super::Pace;

/// How many are in flight before anything is known.
const FIRST: f64 = 8.0;

/// The first pause after a service has said that it is too much, and no word of how long; then twice as long, up to the
/// longest.
const PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// So few lines of which it is said again and again are to blame themselves, if others had their answers; but no more than so
/// many one after another.
const FEW: usize = 4;

/// The longest pause that a service may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(60 * 60);

/// A bucket that is filled at a steady pace.
type Limiter = RateLimiter<NotKeyed, InMemoryState, Ticks, NoOpMiddleware<Nanos>>;

/// tokio's clock, since a moment.
#[derive(Clone, Debug)]
struct Ticks(Instant);

impl Clock for Ticks {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        Nanos::from(self.0.elapsed())
    }
}

/// Lets requests through.
pub(in crate::run) struct Gate {
    state: Mutex<State>,
    changed: Notify,
    requests: Option<Limited>,
    tokens: Option<Limited>,
}

/// A limiter, and how much it lets through at once.
struct Limited {
    limiter: Limiter,
    burst: u32,
}

struct State {
    /// How many may be in flight; it grows by less than one at a time.
    window: f64,
    most: f64,
    in_flight: usize,
    /// Nothing is sent until then.
    paused_until: Option<Instant>,
    /// How often in a row the service said that it is too much.
    refused: u32,
    /// The first lines of which it said so in that row.
    refused_lines: BTreeSet<u64>,
    /// How many lines were to blame themselves since the last answer.
    blamed: usize,
    /// Which of them a request was let in after: of all that are refused together one counts.
    turn: u64,
    /// Tokens that were answered beyond what was thought.
    owed: u64,
}

/// Refusals for now, one after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::run) struct Row {
    /// How many.
    pub(in crate::run) times: u32,
    /// Whether all of them were of the same few lines, and few were to blame themselves since the last answer.
    pub(in crate::run) of_few: bool,
}

/// A request that is in flight, until this is dropped.
pub(in crate::run) struct Entered<'g> {
    gate: &'g Gate,
    turn: u64,
    tokens: u64,
}

impl Limited {
    /// So many a minute, a second's worth at once.
    fn new(a_minute: u32, clock: &Ticks) -> Self {
        let burst = NonZeroU32::new(a_minute / 60).unwrap_or(NonZeroU32::MIN);
        let a_minute = NonZeroU32::new(a_minute).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_minute(a_minute).allow_burst(burst);
        Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), burst: burst.get() }
    }

    /// Waits until so many are let through.
    async fn take(&self, mut count: u64) {
        while count > 0 {
            let some = u32::try_from(count).unwrap_or(u32::MAX).min(self.burst);
            let Some(part) = NonZeroU32::new(some) else { return };
            match self.limiter.check_n(part) {
                Ok(Ok(())) => count -= u64::from(some),
                Ok(Err(not)) => {
                    let wait = not.wait_time_from(self.limiter.clock().now());
                    sleep(wait.max(Duration::from_millis(1))).await;
                }
                // It never has room for a burst: it is one.
                Err(_) => return,
            }
        }
    }
}

impl Gate {
    pub(in crate::run) fn new(pace: &Pace) -> Self {
        let clock = Ticks(Instant::now());
        let limited = |a_minute: Option<u32>| a_minute.map(|a_minute| Limited::new(a_minute, &clock));
        #[expect(clippy::cast_precision_loss, reason = "nobody has so many in flight")]
        let most = pace.max_in_flight.max(1) as f64;
        Self {
            state: Mutex::new(State {
                window: FIRST.min(most),
                most,
                in_flight: 0,
                paused_until: None,
                refused: 0,
                refused_lines: BTreeSet::new(),
                blamed: 0,
                turn: 0,
                owed: 0,
            }),
            changed: Notify::new(),
            requests: limited(pace.requests_per_minute),
            tokens: limited(pace.tokens_per_minute),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until a request of about so many tokens may be sent.
    pub(in crate::run) async fn enter(&self, tokens: u64) -> Entered<'_> {
        let entered = loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on a change is noticed.
            changed.as_mut().enable();
            let until = {
                let mut state = self.state();
                let paused = state.paused_until.filter(|until| *until > Instant::now());
                #[expect(clippy::cast_precision_loss, reason = "nobody has so many in flight")]
                let has_room = (state.in_flight as f64) < state.window.floor().max(1.0);
                if paused.is_none() && has_room {
                    state.in_flight += 1;
                    break Entered { gate: self, turn: state.turn, tokens };
                }
                paused
            };
            match until {
                Some(until) => tokio::select! {
                    () = sleep_until(until) => {}
                    () = changed => {}
                },
                None => changed.await,
            }
        };
        if let Some(limited) = &self.tokens {
            let owed = std::mem::take(&mut self.state().owed);
            limited.take(tokens.saturating_add(owed)).await;
        }
        if let Some(limited) = &self.requests {
            limited.take(1).await;
        }
        entered
    }

    /// A line was to blame itself that it was too much for now: others are sent.
    pub(in crate::run) fn blame(&self) {
        let mut state = self.state();
        state.blamed += 1;
        state.refused = 0;
        state.refused_lines.clear();
        state.paused_until = None;
        drop(state);
        self.changed.notify_waiters();
    }

    /// How many requests are in flight, or about to be.
    #[cfg(test)]
    fn in_flight(&self) -> usize {
        self.state().in_flight
    }
}

impl Entered<'_> {
    /// The service has answered, and used so many tokens.
    pub(in crate::run) fn answered(self, tokens: Option<u64>) {
        let mut state = self.gate.state();
        state.refused = 0;
        state.refused_lines.clear();
        state.blamed = 0;
        state.window = (state.window + 1.0 / state.window.max(1.0)).min(state.most);
        if self.gate.tokens.is_some() {
            let more = tokens.unwrap_or_default().saturating_sub(self.tokens);
            state.owed = state.owed.saturating_add(more);
        }
    }

    /// The service says that this line is too much for now, and asks for a pause, or not. How often it has said so in a row.
    pub(in crate::run) fn refused(self, line: u64, asked: Option<Duration>) -> Row {
        let mut state = self.gate.state();
        if state.refused_lines.len() <= FEW {
            state.refused_lines.insert(line);
        }
        let now = Instant::now();
        // Those that were in flight together are refused together.
        if state.turn == self.turn {
            state.turn += 1;
            state.refused = state.refused.saturating_add(1);
            state.window = (state.window / 2.0).max(1.0);
            let doubled = PAUSE.saturating_mul(1 << state.refused.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
            // So that many runs do not come back at one moment.
            let pause = doubled.mul_f64(0.8 + 0.4 * fastrand::f64());
            state.paused_until = now.checked_add(asked.map_or(pause, |asked| asked.min(LONGEST_ASKED)));
        } else if let Some(until) = asked.and_then(|asked| now.checked_add(asked.min(LONGEST_ASKED))) {
            state.paused_until = state.paused_until.max(Some(until));
        }
        Row { times: state.refused, of_few: state.refused_lines.len() <= FEW && state.blamed < FEW }
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        self.gate.state().in_flight -= 1;
        self.gate.changed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures_util::{StreamExt, stream::FuturesUnordered};

    use super::*;

    async fn all(gate: &Gate, count: usize) -> Vec<Entered<'_>> {
        let mut entered = Vec::new();
        for _ in 0..count {
            entered.push(gate.enter(1).await);
        }
        entered
    }

    /// How many come in without a wait.
    fn room(gate: &Gate) -> usize {
        let mut entered = Vec::new();
        while let Some(one) = futures_util::FutureExt::now_or_never(gate.enter(1)) {
            entered.push(one);
        }
        entered.len()
    }

    #[tokio::test(start_paused = true)]
    async fn more_are_let_in_with_every_answer_and_half_as_many_after_a_refusal() {
        let gate = Gate::new(&Pace::new().max_in_flight(20));
        assert_eq!(room(&gate), 8);
        for _ in 0..1_000 {
            gate.enter(1).await.answered(None);
        }
        assert_eq!((room(&gate), gate.in_flight()), (20, 0));
        // All that were in flight together count once.
        let entered = all(&gate, 20).await;
        let begun = Instant::now();
        for one in entered {
            assert_eq!(one.refused(1, Some(Duration::from_secs(30))).times, 1);
        }
        assert_eq!(room(&gate), 0);
        let next = gate.enter(1).await;
        assert_eq!(begun.elapsed().as_secs(), 30);
        assert_eq!(room(&gate) + 1, 10);
        next.answered(None);
        assert_eq!(Gate::new(&Pace::new().max_in_flight(3)).state().window, 3.0);
    }

    #[tokio::test(start_paused = true)]
    async fn pauses_that_nobody_asked_for_grow() {
        let gate = Gate::new(&Pace::new());
        let mut before = Duration::ZERO;
        for times in 1..=12 {
            let begun = Instant::now();
            let entered = gate.enter(1).await;
            let waited = begun.elapsed();
            assert!(waited >= before && waited <= LONGEST_PAUSE.mul_f64(1.2), "{times}: {waited:?}");
            before = if times < 8 { waited.mul_f64(1.2) } else { Duration::from_secs(48) };
            assert_eq!(entered.refused(1, None).times, times);
        }
        gate.enter(1).await.answered(None);
        assert_eq!(gate.enter(1).await.refused(1, None).times, 1);
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_asked_for_a_minute_is_never_passed() {
        let pace = Pace::new().requests_per_minute(120);
        for (pace, tokens) in [(pace, 1), (Pace::new().tokens_per_minute(6_000), 50)] {
            let gate = Arc::new(Gate::new(&pace));
            let begun = Instant::now();
            let mut sent: FuturesUnordered<_> = (0..600)
                .map(|_| {
                    let gate = Arc::clone(&gate);
                    async move {
                        gate.enter(tokens).await.answered(Some(tokens));
                        begun.elapsed().as_secs()
                    }
                })
                .collect();
            let mut times = Vec::new();
            while let Some(at) = sent.next().await {
                times.push(at);
            }
            // 120 of them a minute, and what goes at once.
            for minute in 0..4 {
                let within = times.iter().filter(|at| **at / 60 == minute).count();
                assert!((115..=123).contains(&within), "{within} in minute {minute}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn tokens_beyond_what_was_thought_are_owed() {
        let gate = Gate::new(&Pace::new().tokens_per_minute(600));
        let begun = Instant::now();
        gate.enter(10).await.answered(Some(610));
        assert_eq!(begun.elapsed(), Duration::ZERO);
        // A line of more tokens than go at once is not let in never.
        gate.enter(100).await.answered(None);
        let waited = begun.elapsed().as_secs();
        assert!((68..=71).contains(&waited), "{waited}");
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_no_more_takes_no_place() {
        let gate = Gate::new(&Pace::new().max_in_flight(1));
        let first = gate.enter(1).await;
        assert!(tokio::time::timeout(Duration::from_secs(5), gate.enter(1)).await.is_err());
        drop(first);
        drop(gate.enter(1).await);
        assert_eq!(gate.in_flight(), 0);
    }
}
