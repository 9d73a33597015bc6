//! What one model costs.

use serde::{Deserialize, Serialize};

use super::cost::Cost;
use crate::Usage;

/// What a token costs, in 1e-12 dollars: a dollar for a million tokens is a million of these for one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Rates {
    pub(super) input: u128,
    pub(super) cached_input: u128,
    /// Models that only read, such as those of embeddings, have none.
    pub(super) output: Option<u128>,
}

/// Asked for at once, and in a batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Both {
    pub(super) now: Rates,
    pub(super) batch: Rates,
}

/// What a model costs, and where that was read. [`Prices::find`](super::Prices::find) gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Price {
    pub(super) models: Vec<String>,
    pub(super) rates: Both,
    /// What a request costs that has more input tokens than this; the highest comes first.
    pub(super) tiers: Vec<(u64, Both)>,
    pub(super) source: Option<String>,
    pub(super) date: Option<String>,
}

impl Price {
    /// The names of the models that cost this, or patterns of them.
    pub fn models(&self) -> &[String] {
        &self.models
    }

    /// Where the price was read, if the table says so.
    pub fn source(&self) -> Option<&str> {
        self.source.as_deref()
    }

    /// When it was read, if the table says so, as `2026-11-05`.
    pub fn date(&self) -> Option<&str> {
        self.date.as_deref()
    }

    /// What these tokens of one request cost when it is sent by itself; [`batch_cost`](Self::batch_cost) in a batch.
    pub fn cost(&self, usage: &Usage) -> Option<Cost> {
        whole(&self.rates(usage.input_tokens).now, usage)
    }

    /// What these tokens of one request cost in a batch. None when that cannot be told: the model has no price for output
    /// and wrote some, or only the number of all tokens is known.
    ///
    /// Reasoning is output, and cached input is a part of the input. What services charge beside that, such as writing to a
    /// cache, images and calls of tools, is not counted.
    pub fn batch_cost(&self, usage: &Usage) -> Option<Cost> {
        whole(&self.rates(usage.input_tokens).batch, usage)
    }

    /// What the input of a request costs in a batch, or at once, when none of it is cached, and what so much output costs; none
    /// where the model has no price for output.
    pub(crate) fn parts(&self, input: u64, output: u64, at_once: bool) -> (Cost, Option<Cost>) {
        let Both { now, batch } = *self.rates(input);
        let rates = if at_once { now } else { batch };
        (Cost::of(input, rates.input), rates.output.map(|price| Cost::of(output, price)))
    }

    /// What the tokens of several requests cost, of which the shortest and the longest have so many input tokens; none when
    /// that cannot be told, as where they are of several tiers.
    pub(crate) fn cost_of_many(&self, input: (u64, u64), usage: &Usage, at_once: bool) -> Option<Cost> {
        let rates = self.rates(input.0);
        let is_one = std::ptr::eq(rates, self.rates(input.1));
        is_one.then_some(if at_once { &rates.now } else { &rates.batch }).and_then(|rates| whole(rates, usage))
    }

    /// Where and when it was read.
    pub(crate) fn read(&self) -> PriceRead {
        PriceRead { source: self.source.clone(), date: self.date.clone() }
    }

    fn rates(&self, input: u64) -> &Both {
        self.tiers.iter().find(|(above, _)| input > *above).map_or(&self.rates, |(_, rates)| rates)
    }
}

/// Where and when a price was read, as its table says.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PriceRead {
    /// Where.
    pub source: Option<String>,
    /// When, as `2026-11-05`.
    pub date: Option<String>,
}

fn whole(rates: &Rates, usage: &Usage) -> Option<Cost> {
    let (input, output) = (usage.input_tokens, usage.output_tokens);
    if input == 0 && output == 0 && usage.total_tokens > 0 {
        return None;
    }
    let cached = usage.cached_tokens.min(input);
    let read = Cost::of(input - cached, rates.input) + Cost::of(cached, rates.cached_input);
    match (rates.output, output) {
        (Some(price), output) => Some(read + Cost::of(output, price)),
        (None, 0) => Some(read),
        (None, _) => None,
    }
}
