//! Which shard may be submitted now, by what the user allows and what the service was seen to take. Nothing here reads a
//! clock, a disk or a connection.
//!
//! What a service takes is learned as networks learn it: after a refusal three quarters of what was at work are tried, and
//! with each batch that ends well a little more.

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use super::{
    plan::ShardPlan,
    refusal::Lack,
    state::{Phase, Shard, State},
};
use crate::UnixSeconds;

/// How long a create counts among those of an hour, in seconds.
const HOUR: i64 = 60 * 60;

/// What the user allows.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    /// Batches at work at once.
    pub(super) max_open: usize,
    /// Tokens of the prompts at work, for each model.
    pub(super) max_enqueued_tokens: Option<u64>,
    pub(super) creates_per_hour: Option<u32>,
}

/// What the service was seen to take.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Learned {
    /// Batches at work at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) open: Option<u64>,
    /// Tokens of the prompts at work, by model.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) tokens: BTreeMap<String, u64>,
}

#[derive(Clone, Debug)]
pub(super) struct Schedule {
    bounds: Bounds,
    learned: Learned,
    /// The service has asked for a pause that is not over.
    pub(super) paused: bool,
}

/// What may be done with the shards that nobody has submitted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Submit this one.
    Submit(u32),
    /// Put the lines of this one into two others.
    Halve(u32, Than),
    /// There are some, and none may be submitted now.
    Wait(Why),
    /// There is none.
    None,
}

/// What a shard is too big for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Than {
    /// It is as large as this shard, which was refused.
    Shard(u32),
    /// It has more tokens than the user allows.
    Tokens(u64),
}

/// Why no shard may be submitted now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Why {
    Open { most: u64, learned: bool },
    Tokens { model: String, enqueued: u64, most: u64, learned: bool },
    Creates { most: u32, until: UnixSeconds },
    Paused,
}

impl Why {
    /// The same for all that differ in numbers alone; none of what the user has asked for and sees by itself.
    pub(super) fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Open { learned: false, .. } => None,
            Self::Open { .. } => Some("open"),
            Self::Tokens { learned: false, .. } => Some("tokens"),
            Self::Tokens { .. } => Some("learned tokens"),
            Self::Creates { .. } => Some("creates"),
            Self::Paused => Some("paused"),
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whose =
            |learned: &bool| if *learned { "as far as the service was seen to take" } else { "as was asked for" };
        match self {
            Self::Open { most, learned } => {
                let batches = if *most == 1 { "batch" } else { "batches" };
                write!(f, "{most} {batches} at work at once, {}", whose(learned))
            }
            Self::Tokens { model, enqueued, most, learned } => {
                let of = if model.is_empty() { String::new() } else { format!(" for {model}") };
                write!(f, "about {enqueued} of {most} tokens{of} at work, {}", whose(learned))
            }
            Self::Creates { most, until } => {
                write!(f, "{most} creates an hour, as was asked for; the next one at {until}")
            }
            Self::Paused => f.write_str("the service has asked for a pause"),
        }
    }
}

impl Schedule {
    pub(super) fn new(bounds: Bounds, learned: Learned) -> Self {
        Self { bounds, learned, paused: false }
    }

    /// One that allows everything.
    pub(super) fn unbounded() -> Self {
        let bounds = Bounds { max_open: usize::MAX, max_enqueued_tokens: None, creates_per_hour: None };
        Self::new(bounds, Learned::default())
    }

    pub(super) fn learned(&self) -> &Learned {
        &self.learned
    }

    /// What may be done with the shards that nobody has submitted, at this time of this side's clock.
    pub(super) fn turn(&self, state: &State, now: UnixSeconds) -> Turn {
        let mut unsent = state.unsent().peekable();
        if state.cancelled || unsent.peek().is_none() {
            return Turn::None;
        }
        if let Some(why) = self.no_more(state, now) {
            return Turn::Wait(why);
        }
        let enqueued = enqueued(state);
        let mut waits = None;
        for shard in unsent {
            let plan = &shard.plan;
            if let Some(like) = state.too_big_before(plan) {
                return Turn::Halve(plan.number, Than::Shard(like));
            }
            let (model, tokens) = (model(plan), plan.tokens());
            if let Some(most) = self.bounds.max_enqueued_tokens.filter(|most| tokens > *most && plan.lines > 1) {
                return Turn::Halve(plan.number, Than::Tokens(most));
            }
            let others = enqueued.get(model).copied().unwrap_or_default();
            let (most, learned) = self.most_tokens(model);
            // Nothing is too large to be tried alone.
            if others == 0 || others.saturating_add(tokens) <= most {
                return Turn::Submit(plan.number);
            }
            waits.get_or_insert_with(|| Why::Tokens { model: model.to_owned(), enqueued: others, most, learned });
        }
        waits.map_or(Turn::None, Turn::Wait)
    }

    /// Why no batch may be created at all.
    fn no_more(&self, state: &State, now: UnixSeconds) -> Option<Why> {
        let asked = u64::try_from(self.bounds.max_open.max(1)).unwrap_or(u64::MAX);
        let most = self.learned.open.map_or(asked, |open| open.max(1).min(asked));
        if u64::try_from(state.open()).unwrap_or(u64::MAX) >= most {
            return Some(Why::Open { most, learned: most < asked });
        }
        if self.paused {
            return Some(Why::Paused);
        }
        let most = self.bounds.creates_per_hour?.max(1);
        // A clock that was set back says nothing of what is after it.
        let lately = |at: &&UnixSeconds| **at <= now && now.get().saturating_sub(at.get()) < HOUR;
        let mut creates: Vec<UnixSeconds> = state.creates.iter().filter(lately).copied().collect();
        creates.sort_unstable();
        let first = creates.len().checked_sub(usize::try_from(most).unwrap_or(usize::MAX))?;
        let until = UnixSeconds::new(creates.get(first)?.get().saturating_add(HOUR)).unwrap_or(now);
        Some(Why::Creates { most, until })
    }

    fn most_tokens(&self, model: &str) -> (u64, bool) {
        let asked = self.bounds.max_enqueued_tokens.unwrap_or(u64::MAX);
        let most = self.learned.tokens.get(model).map_or(asked, |learned| asked.min(*learned));
        (most, most < asked)
    }

    /// The service had no room for a shard: less is tried.
    pub(super) fn refused(&mut self, state: &State, plan: &ShardPlan, lack: Lack) {
        let less = |all: u64| (all / 4).saturating_mul(3).saturating_add(all % 4 * 3 / 4).max(1);
        match lack {
            Lack::Tokens { limit } => {
                let others = enqueued(state).get(model(plan)).copied().unwrap_or_default();
                let most = less(others.saturating_add(plan.tokens()));
                let most = limit.map_or(most, |limit| limit.min(most));
                self.learned.tokens.insert(model(plan).to_owned(), most);
            }
            Lack::Batches => {
                self.learned.open = Some(less(u64::try_from(state.open()).unwrap_or(u64::MAX)));
            }
        }
    }

    /// A batch has ended well: a little more is tried.
    pub(super) fn ended(&mut self, plan: &ShardPlan) {
        if let Some(open) = &mut self.learned.open {
            *open = open.saturating_add(1);
        }
        if let Some(tokens) = self.learned.tokens.get_mut(model(plan)) {
            *tokens = tokens.saturating_add((plan.tokens() / 8).max(1));
        }
    }

    /// Whether a shard is larger than a service allows in all, so that waiting does not help.
    pub(super) fn is_over(&self, state: &State, plan: &ShardPlan, lack: Lack) -> bool {
        let Lack::Tokens { limit: Some(limit) } = lack else { return false };
        plan.lines > 1 && plan.tokens() > limit && !enqueued(state).contains_key(model(plan))
    }
}

/// The model whose tokens a shard counts among; one for all shards whose lines do not have to name the same.
fn model(plan: &ShardPlan) -> &str {
    plan.model.as_deref().unwrap_or_default()
}

/// The tokens at work, by model.
fn enqueued(state: &State) -> BTreeMap<&str, u64> {
    let mut enqueued = BTreeMap::new();
    for shard in state.shards.values().filter(|shard| matches!(shard.phase, Phase::Creating | Phase::Created)) {
        let tokens: &mut u64 = enqueued.entry(model(&shard.plan)).or_default();
        *tokens = tokens.saturating_add(shard.plan.tokens());
    }
    enqueued
}

impl State {
    /// The shards that nobody has submitted, in the order in which they are to be. Halves go first, the smallest of them
    /// before all: what a service takes is known sooner than it was asked for everything else.
    fn unsent(&self) -> impl Iterator<Item = &Shard> {
        let unsent = |shard: &&Shard| shard.held.is_none() && matches!(shard.phase, Phase::Planned | Phase::Uploaded);
        let all = self.shards.values().filter(unsent);
        let mut halves: Vec<&Shard> = all.clone().filter(|shard| shard.half_of.is_some()).collect();
        halves.sort_by_key(|shard| (shard.plan.lines, shard.plan.number));
        halves.into_iter().chain(all.filter(|shard| shard.half_of.is_none()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::event::Event;

    const NOW: i64 = 1_800_000_000;

    fn at(seconds: i64) -> UnixSeconds {
        UnixSeconds::new(NOW + seconds).unwrap()
    }

    fn plan(number: u32, model: &str, tokens: u64) -> ShardPlan {
        serde_json::from_value(serde_json::json!({
            "number": number, "endpoint": "/v1/chat/completions", "model": model, "lines": 10, "bytes": tokens.saturating_mul(4),
            "inputs": 0, "tokens": tokens, "sha256": format!("{number}"),
        }))
        .unwrap()
    }

    /// Shards of these models and tokens, numbered from 1.
    fn state(shards: &[(&str, u64)]) -> State {
        let plans = (1..).zip(shards).map(|(number, (model, tokens))| plan(number, model, *tokens));
        State::new(&plans.collect::<Vec<_>>())
    }

    fn create(state: &mut State, shard: u32, when: UnixSeconds) {
        let file = format!("f{shard}").parse().unwrap();
        let batch = format!("b{shard}").parse().unwrap();
        for event in [
            Event::Uploaded { shard, file },
            Event::Creating { shard, nonce: "n".to_owned(), at: when },
            Event::Created { shard, batch, adopted: false },
        ] {
            state.apply(&event).unwrap();
        }
    }

    fn end(state: &mut State, shard: u32) {
        let batch = format!("b{shard}").parse().unwrap();
        state.apply(&Event::Over { shard, batch, status: "completed".to_owned() }).unwrap();
    }

    fn bounds() -> Bounds {
        Bounds { max_open: usize::MAX, max_enqueued_tokens: None, creates_per_hour: None }
    }

    fn schedule(bounds: Bounds) -> Schedule {
        Schedule::new(bounds, Learned::default())
    }

    #[test]
    fn so_many_batches_are_open_and_no_more() {
        let mut state = state(&[("m", 5), ("m", 5), ("m", 5)]);
        let two = schedule(Bounds { max_open: 2, ..bounds() });
        for shard in [1, 2] {
            assert_eq!(two.turn(&state, at(0)), Turn::Submit(shard));
            create(&mut state, shard, at(0));
        }
        assert_eq!(two.turn(&state, at(0)), Turn::Wait(Why::Open { most: 2, learned: false }));
        assert_eq!(schedule(bounds()).turn(&state, at(0)), Turn::Submit(3));
        end(&mut state, 1);
        assert_eq!(two.turn(&state, at(0)), Turn::Submit(3));
        // Nothing is left.
        create(&mut state, 3, at(0));
        assert_eq!(two.turn(&state, at(0)), Turn::None);
    }

    #[test]
    fn tokens_are_bounded_for_each_model_and_one_that_waits_holds_up_no_other() {
        let mut state = state(&[("a", 60), ("a", 50), ("b", 90), ("a", 40), ("c", 101)]);
        let hundred = schedule(Bounds { max_enqueued_tokens: Some(100), ..bounds() });
        create(&mut state, 1, at(0));
        // Shard 2 has no room beside shard 1; shard 3 is of another model.
        assert_eq!(hundred.turn(&state, at(0)), Turn::Submit(3));
        create(&mut state, 3, at(0));
        assert_eq!(hundred.turn(&state, at(0)), Turn::Submit(4));
        create(&mut state, 4, at(0));
        // More by itself than may be at work.
        assert_eq!(hundred.turn(&state, at(0)), Turn::Halve(5, Than::Tokens(100)));
        state.shards.get_mut(&5).unwrap().plan.lines = 1;
        assert_eq!(hundred.turn(&state, at(0)), Turn::Submit(5), "one line goes alone");
        create(&mut state, 5, at(0));
        let why = Why::Tokens { model: "a".to_owned(), enqueued: 100, most: 100, learned: false };
        assert_eq!(hundred.turn(&state, at(0)), Turn::Wait(why.clone()));
        assert_eq!(why.to_string(), "about 100 of 100 tokens for a at work, as was asked for");
        end(&mut state, 4);
        let why = Why::Tokens { model: "a".to_owned(), enqueued: 60, most: 100, learned: false };
        assert_eq!(hundred.turn(&state, at(0)), Turn::Wait(why));
        end(&mut state, 1);
        assert_eq!(hundred.turn(&state, at(0)), Turn::Submit(2));
    }

    #[test]
    fn creates_are_counted_by_the_hour_and_by_the_log() {
        let mut state = state(&[("m", 5), ("m", 5), ("m", 5), ("m", 5)]);
        let two = schedule(Bounds { creates_per_hour: Some(2), ..bounds() });
        create(&mut state, 1, at(0));
        assert_eq!(two.turn(&state, at(60)), Turn::Submit(2));
        create(&mut state, 2, at(60));
        let until = |seconds| Turn::Wait(Why::Creates { most: 2, until: at(seconds) });
        assert_eq!(two.turn(&state, at(61)), until(HOUR));
        assert_eq!(two.turn(&state, at(HOUR - 1)), until(HOUR));
        assert_eq!(two.turn(&state, at(HOUR)), Turn::Submit(3));
        create(&mut state, 3, at(HOUR));
        assert_eq!(two.turn(&state, at(HOUR)), until(HOUR + 60));
        // A clock that was set back by a day does not stop the run for a day.
        assert_eq!(two.turn(&state, at(-24 * HOUR)), Turn::Submit(4));
        // And one that was set ahead lets go of what was before it.
        assert_eq!(two.turn(&state, at(24 * HOUR)), Turn::Submit(4));
        // A create that was refused counts as well.
        let four = schedule(Bounds { creates_per_hour: Some(4), ..bounds() });
        state.apply(&Event::Uploaded { shard: 4, file: "f".parse().unwrap() }).unwrap();
        for _ in 0..2 {
            let (nonce, why) = ("n".to_owned(), "no".to_owned());
            state.apply(&Event::Creating { shard: 4, nonce: nonce.clone(), at: at(HOUR + 5) }).unwrap();
            state.apply(&Event::Refused { shard: 4, nonce, why }).unwrap();
        }
        assert_eq!(four.turn(&state, at(HOUR + 5)), Turn::Wait(Why::Creates { most: 4, until: at(HOUR + 60) }));
        assert!(state.creates.len() <= 5, "what is long ago is forgotten");
        create(&mut state, 4, at(9 * HOUR));
        assert_eq!(state.creates, [at(9 * HOUR)]);
    }

    #[test]
    fn after_a_refusal_less_is_tried_and_then_a_little_more() {
        let mut state = state(&[("m", 100); 9]);
        let mut learning = schedule(bounds());
        for shard in 1..=4 {
            create(&mut state, shard, at(0));
        }
        learning.refused(&state, &plan(5, "m", 100), Lack::Batches);
        assert_eq!(learning.learned().open, Some(3));
        assert_eq!(learning.turn(&state, at(0)), Turn::Wait(Why::Open { most: 3, learned: true }));
        end(&mut state, 1);
        learning.ended(&plan(1, "m", 100));
        assert_eq!(learning.turn(&state, at(0)), Turn::Submit(5));
        // Refused again and again, it never tries none at all.
        for _ in 0..9 {
            learning.refused(&state, &plan(5, "m", 100), Lack::Batches);
        }
        assert_eq!(learning.learned().open, Some(2));
        for shard in 2..=4 {
            end(&mut state, shard);
        }
        learning.refused(&state, &plan(5, "m", 100), Lack::Batches);
        assert_eq!((learning.learned().open, learning.turn(&state, at(0))), (Some(1), Turn::Submit(5)));
        // What the user allows is never passed.
        let mut asked = schedule(Bounds { max_open: 1, ..bounds() });
        (0..9).for_each(|shard| asked.ended(&plan(shard, "m", 100)));
        create(&mut state, 5, at(0));
        assert_eq!(asked.turn(&state, at(0)), Turn::Wait(Why::Open { most: 1, learned: false }));
    }

    #[test]
    fn tokens_are_learned_for_the_model_that_was_refused() {
        let mut state = state(&[("m", 100), ("m", 100), ("m", 100), ("n", 100)]);
        let mut learning = schedule(bounds());
        create(&mut state, 1, at(0));
        create(&mut state, 2, at(0));
        learning.refused(&state, &plan(3, "m", 100), Lack::Tokens { limit: None });
        assert_eq!(learning.learned().tokens, [("m".to_owned(), 225)].into());
        assert_eq!(learning.turn(&state, at(0)), Turn::Submit(4), "the other model has room");
        create(&mut state, 4, at(0));
        let Turn::Wait(why) = learning.turn(&state, at(0)) else { panic!("there is no room") };
        assert_eq!(why.to_string(), "about 200 of 225 tokens for m at work, as far as the service was seen to take");
        learning.ended(&plan(1, "m", 100));
        learning.ended(&plan(4, "n", 100));
        assert_eq!(learning.learned().tokens, [("m".to_owned(), 237)].into());
        // A limit that is stated is not passed, and what is more than it by itself is not waited for.
        learning.refused(&state, &plan(3, "m", 100), Lack::Tokens { limit: Some(90) });
        assert_eq!(learning.learned().tokens["m"], 90);
        let lack = Lack::Tokens { limit: Some(90) };
        assert!(!learning.is_over(&state, &plan(3, "m", 100), lack), "others are at work");
        end(&mut state, 1);
        end(&mut state, 2);
        assert!(learning.is_over(&state, &plan(3, "m", 100), lack));
        assert!(!learning.is_over(&state, &plan(3, "m", 90), lack));
        assert!(!learning.is_over(&state, &ShardPlan { lines: 1, ..plan(3, "m", 100) }, lack));
        assert!(!learning.is_over(&state, &plan(3, "m", 100), Lack::Batches));
        // Alone it is tried all the same.
        assert_eq!(learning.turn(&state, at(0)), Turn::Submit(3));
        let mut paused = learning.clone();
        paused.paused = true;
        assert_eq!(paused.turn(&state, at(0)), Turn::Wait(Why::Paused));
    }

    #[test]
    fn numbers_at_their_bounds_do_not_wrap() {
        let mut state = state(&[("m", u64::MAX), ("m", u64::MAX)]);
        let mut learning = schedule(Bounds { creates_per_hour: Some(u32::MAX), ..bounds() });
        create(&mut state, 1, at(0));
        learning.refused(&state, &plan(2, "m", u64::MAX), Lack::Tokens { limit: None });
        learning.refused(&state, &plan(2, "m", u64::MAX), Lack::Batches);
        (0..9).for_each(|_| learning.ended(&plan(1, "m", u64::MAX)));
        assert!(matches!(learning.turn(&state, at(0)), Turn::Submit(2) | Turn::Wait(_)));
        assert!(learning.learned().tokens["m"] > u64::MAX / 2);
    }
}
