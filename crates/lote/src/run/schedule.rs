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
    /// Lines are sent one by one where no batch of them was begun.
    pub(super) synchronous: bool,
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
        Self { bounds, learned, paused: false, synchronous: false }
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
        if state.cancelled || self.synchronous || unsent.peek().is_none() {
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
            let (model, tokens) = (model(plan), plan.weight());
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
                let most = less(others.saturating_add(plan.weight()));
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
            *tokens = tokens.saturating_add((plan.weight() / 8).max(1));
        }
    }

    /// Whether a shard is larger than a service allows in all, so that waiting does not help.
    pub(super) fn is_over(&self, state: &State, plan: &ShardPlan, lack: Lack) -> bool {
        let Lack::Tokens { limit: Some(limit) } = lack else { return false };
        plan.lines > 1 && plan.weight() > limit && !enqueued(state).contains_key(model(plan))
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
        *tokens = tokens.saturating_add(shard.plan.weight());
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
mod tests;
