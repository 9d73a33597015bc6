//! The gate before an upstream: how many requests are there at once, how many in a minute, who goes next. Requests that a
//! client waits for go before lines of batches, and a tenth of the places is kept for them.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::learned::Learned;
use super::rate::Bucket;
use super::turns::{Line, Turns};
use crate::executor::Whose;
use crate::tenant::Tenant;

/// What an upstream may be sent.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub(super) at_once: usize,
    pub(super) requests_per_minute: Option<u64>,
    pub(super) tokens_per_minute: Option<u64>,
}

/// How much there is at one instant.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    pub(super) limit: usize,
    pub(super) in_flight: usize,
    pub(super) waiting: usize,
}

/// No pause that an upstream asks for is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

#[derive(Debug)]
pub(super) struct Gate {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    learned: Learned,
    in_flight: usize,
    at_once: VecDeque<Waiting>,
    lines: Turns<Tenant, Turns<Arc<str>, VecDeque<Waiting>>>,
    requests: Option<Bucket>,
    tokens: Option<Bucket>,
    paused_until: Option<Instant>,
    /// When somebody will look again.
    alarm: Option<Instant>,
}

#[derive(Debug)]
struct Waiting {
    tokens: u64,
    sender: oneshot::Sender<Pass>,
}

/// One request at the upstream. Its place is free when this is dropped.
#[derive(Debug)]
pub(super) struct Pass {
    gate: Arc<Gate>,
    since: Instant,
    tokens: u64,
}

/// What came of a request, as far as the gate learns from it.
#[derive(Clone, Copy, Debug)]
pub(super) enum Came {
    /// An answer, with so many tokens in all and in its output, where it says so.
    Answer { tokens: Option<u64>, output: u64 },
    /// The upstream has too much to do, and may say when it is to be asked again.
    TooMuch(Option<Duration>),
    /// Something else, which says nothing of how much there is to do.
    Other,
}

impl Gate {
    pub(super) fn new(bounds: Bounds) -> Arc<Gate> {
        let now = Instant::now();
        let bucket = |amount: Option<u64>| amount.map(|amount| Bucket::per_minute(amount, now));
        Arc::new(Gate {
            state: Mutex::new(State {
                learned: Learned::new(bounds.at_once, now),
                in_flight: 0,
                at_once: VecDeque::new(),
                lines: Turns::default(),
                requests: bucket(bounds.requests_per_minute),
                tokens: bucket(bounds.tokens_per_minute),
                paused_until: None,
                alarm: None,
            }),
        })
    }

    /// Waits for a place for a request of about so many tokens. Whoever drops the future has waited for nothing.
    pub(super) async fn enter(self: &Arc<Self>, whose: &Whose, tokens: u64) -> Option<Pass> {
        let (sender, receiver) = oneshot::channel();
        let waiting = Waiting { tokens, sender };
        match whose {
            Whose::Client { .. } => self.state().at_once.push_back(waiting),
            Whose::Batch { tenant, batch, .. } => self.state().lines.of(tenant).of(batch).push_back(waiting),
        }
        self.admit();
        receiver.await.ok()
    }

    /// How much is there, and how much waits.
    pub(super) fn look(&self) -> Look {
        let state = self.state();
        let waiting = state.at_once.len() + state.lines.len();
        Look { limit: state.learned.limit(), in_flight: state.in_flight, waiting }
    }

    /// How much there is to do for each place.
    pub(super) fn load(&self) -> f64 {
        let state = self.state();
        #[expect(clippy::cast_precision_loss, reason = "it is compared with that of others")]
        let load = (state.in_flight + state.at_once.len()) as f64 / state.learned.limit() as f64;
        load
    }

    /// Lets in who may go now, and looks again when time alone is in the way.
    fn admit(self: &Arc<Self>) {
        let mut gone = Vec::new();
        let mut state = self.state();
        if let Some(at) = state.admit(self, &mut gone)
            && state.alarm.is_none_or(|alarm| at < alarm)
        {
            state.alarm = Some(at);
            let gate = Arc::downgrade(self);
            tokio::spawn(async move {
                tokio::time::sleep_until(at).await;
                if let Some(gate) = gate.upgrade() {
                    gate.state().alarm = None;
                    gate.admit();
                }
            });
        }
        drop(state);
        // The places of those who went away meanwhile are free again, which needs the state.
        drop(gone);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Lets in who may go now; the instant from which more may, unless that is when a place is free. Those who are there no
    /// more are in `gone`, with their places.
    fn admit(&mut self, gate: &Arc<Gate>, gone: &mut Vec<Pass>) -> Option<Instant> {
        let now = Instant::now();
        while !self.at_once.is_empty() || !self.lines.is_empty() {
            if let Some(until) = self.paused_until.filter(|until| *until > now) {
                return Some(until);
            }
            for bucket in [&mut self.requests, &mut self.tokens].into_iter().flatten() {
                if let Err(at) = bucket.ready(now) {
                    return Some(at);
                }
            }
            let limit = self.learned.limit();
            let kept = if self.at_once.is_empty() { (limit / 10).max(1) } else { 0 };
            if self.in_flight >= limit.saturating_sub(kept).max(1) {
                self.learned.saturated = true;
                return None;
            }
            let next = self.at_once.pop_front().or_else(|| self.lines.pop());
            let Some(Waiting { tokens, sender }) = next.filter(|waiting| !waiting.sender.is_closed()) else { continue };
            self.in_flight += 1;
            if let Some(requests) = &mut self.requests {
                requests.take(1);
            }
            if let Some(bucket) = &mut self.tokens {
                bucket.take(tokens);
            }
            gone.extend(sender.send(Pass { gate: Arc::clone(gate), since: now, tokens }).err());
        }
        None
    }
}

impl Pass {
    /// How long the request has been at the upstream.
    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// Says what came of it, and frees the place.
    pub(super) fn came(self, came: Came) {
        let now = Instant::now();
        let mut state = self.gate.state();
        match came {
            Came::Answer { tokens, output } => {
                state.learned.answered(self.elapsed(), output, now);
                if let (Some(bucket), Some(used)) = (&mut state.tokens, tokens) {
                    bucket.settle(self.tokens, used);
                }
            }
            Came::TooMuch(pause) => {
                state.learned.too_much(now);
                if let Some(pause) = pause {
                    let until = now + pause.min(LONGEST_PAUSE);
                    state.paused_until = Some(state.paused_until.map_or(until, |before| before.max(until)));
                }
            }
            Came::Other => {}
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.in_flight = state.in_flight.saturating_sub(1);
        drop(state);
        self.gate.admit();
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    const WIDE: Bounds = Bounds { at_once: 100, requests_per_minute: None, tokens_per_minute: None };

    fn line(tenant: u8, batch: &str) -> Whose {
        let (tenant, batch) = (Tenant::new([tenant; 32]), Arc::from(batch));
        Whose::Batch { tenant, batch, custom_id: "1".to_owned() }
    }

    fn client() -> Whose {
        Whose::Client { tenant: Tenant::new([0; 32]), key: None }
    }

    /// Enters if that can be at once.
    fn try_enter(gate: &Arc<Gate>, whose: &Whose) -> Option<Pass> {
        gate.enter(whose, 1).now_or_never().flatten()
    }

    #[tokio::test(start_paused = true)]
    async fn a_tenth_of_the_places_is_kept_for_clients_who_wait() {
        let gate = Gate::new(WIDE);
        let lines: Vec<_> = (0..10).map_while(|_| try_enter(&gate, &line(1, "a"))).collect();
        assert_eq!(lines.len(), 7, "of eight that are tried first");
        let at_once = try_enter(&gate, &client());
        assert!(at_once.is_some() && try_enter(&gate, &client()).is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn one_place_is_for_whoever_comes_and_clients_are_first() {
        let gate = Gate::new(Bounds { at_once: 1, ..WIDE });
        let first = try_enter(&gate, &line(1, "a")).unwrap();
        let (batch, alone) = (line(1, "a"), client());
        let (mut line, mut at_once) = (Box::pin(gate.enter(&batch, 1)), Box::pin(gate.enter(&alone, 1)));
        assert!((&mut line).now_or_never().is_none() && (&mut at_once).now_or_never().is_none());
        drop(first);
        assert!((&mut line).now_or_never().is_none());
        let second = (&mut at_once).now_or_never().flatten().unwrap();
        drop(second);
        assert!(line.now_or_never().flatten().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn those_who_go_away_leave_their_places() {
        let gate = Gate::new(Bounds { at_once: 1, ..WIDE });
        let first = try_enter(&gate, &client()).unwrap();
        let alone = client();
        let (mut gone, mut stays) = (Box::pin(gate.enter(&alone, 1)), Box::pin(gate.enter(&alone, 1)));
        assert!((&mut gone).now_or_never().is_none() && (&mut stays).now_or_never().is_none());
        drop(gone);
        // This one has its place already, and does not take it.
        let given = Box::pin(gate.enter(&alone, 1));
        drop(first);
        drop(given);
        let place = stays.now_or_never().flatten();
        assert!(place.is_some());
        drop(place);
        assert!(try_enter(&gate, &client()).is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_that_the_upstream_asks_for_is_for_all_and_ends_by_itself() {
        let gate = Gate::new(WIDE);
        let begin = Instant::now();
        try_enter(&gate, &client()).unwrap().came(Came::TooMuch(Some(Duration::from_secs(7))));
        let (line, alone) = (line(1, "a"), client());
        let (line, at_once) = tokio::join!(gate.enter(&line, 1), gate.enter(&alone, 1));
        assert!(line.is_some() && at_once.is_some());
        assert_eq!(begin.elapsed().as_secs(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_go_in_a_minute_than_may() {
        let gate = Gate::new(Bounds { requests_per_minute: Some(60), ..WIDE });
        let begin = Instant::now();
        for _ in 0..65 {
            gate.enter(&client(), 1).await.unwrap().came(Came::Other);
        }
        assert!((59..=61).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
        let gate = Gate::new(Bounds { tokens_per_minute: Some(6_000), ..WIDE });
        let begin = Instant::now();
        for _ in 0..13 {
            let pass = gate.enter(&client(), 1_000).await.unwrap();
            pass.came(Came::Answer { tokens: Some(500), output: 0 });
        }
        assert!((54..=66).contains(&begin.elapsed().as_secs()), "{:?}", begin.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn an_upstream_that_refuses_gets_fewer_at_once() {
        let gate = Gate::new(WIDE);
        try_enter(&gate, &client()).unwrap().came(Came::TooMuch(None));
        let held: Vec<_> = (0..10).map_while(|_| try_enter(&gate, &client())).collect();
        assert_eq!(held.len(), 5);
    }
}
