//! How much a run may cost at the most, and whether what is to be sent stays below that.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{
    ShardPlan,
    folder::REQUESTS,
    merge::{Fault, read_summary, read_surplus},
    plan::quote::{Manner, ModelQuote, Quote, Quoting},
    record::{shard_folder, surplus_folder},
    state::{Phase, Shard, State, SurplusPhase},
};
use crate::{
    lines::{LineReader, Spent, SpentOn, open_lines},
    prices::{Cost, Prices},
};

/// How many models are named.
const NAMED: usize = 5;

/// Why nothing is held against a cap where tokens are not counted.
pub(super) const NEEDED: &str = "it has a most that it may cost or use, which only a lote with the feature tokens can hold it \
                                 against: go on with one that has it (of the command, the full shape)";

/// How much a run may cost, and may use, at the most.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Caps {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_cost: Option<Cost>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) max_tokens: Option<u64>,
    /// What the answer to a line may have that sets no limit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) assumed: Option<u64>,
}

impl Caps {
    pub(super) fn is_none(&self) -> bool {
        self.max_cost.is_none() && self.max_tokens.is_none()
    }

    /// These, and of what they do not say what was said before.
    pub(super) fn or(&self, before: &Self) -> Self {
        Self {
            max_cost: self.max_cost.or(before.max_cost),
            max_tokens: self.max_tokens.or(before.max_tokens),
            assumed: self.assumed.or(before.assumed),
        }
    }

    /// How lines are quoted that these are held against.
    pub(super) fn manner(&self) -> Manner {
        Manner { counts: !self.is_none(), assumed: self.assumed, at_once: false }
    }

    /// Why lines of this quote may not be sent, after what was spent or is at work; none when they may.
    pub(super) fn refuse(&self, quote: &Quote, before: Committed) -> Option<String> {
        if self.is_none() || quote.models.is_empty() {
            return None;
        }
        if !cfg!(feature = "tokens") {
            return Some(NEEDED.to_owned());
        }
        let unlimited: u64 = quote.models.iter().map(|model| model.unlimited_lines).sum();
        let unpriced = |model: &&ModelQuote| model.price.is_none();
        if self.max_cost.is_some() && quote.models.iter().any(|model| unpriced(&model)) {
            let names: Vec<_> = quote.models.iter().filter(unpriced).collect();
            let shown: Vec<_> = names.iter().take(NAMED).map(|of| named(of.model.as_deref())).collect();
            let more = names.len().saturating_sub(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            return Some(format!(
                "the price of {}{more} is not known, so that nobody can say whether the run stays below the most that it \
                 may cost: put it into a table of prices, and name that (--prices)",
                shown.join(", "),
            ));
        }
        if unlimited > 0 {
            let lines = if unlimited == 1 { "1 line sets".to_owned() } else { format!("{unlimited} lines set") };
            return Some(format!(
                "{lines} no limit on the answer, so that the run has no most: give each max_completion_tokens (or \
                 max_tokens, max_output_tokens), or say what to count for it (--assume-output-tokens)",
            ));
        }
        let cost = before.cost + quote.input + quote.output_at_most;
        if let Some(most) = self.max_cost.filter(|most| cost > *most) {
            return Some(format!(
                "it may cost {cost}{}, more than the {most} that it may cost (--max-cost): about {} for input and at most \
                 {} for output",
                before.words(before.cost > Cost::ZERO, before.cost),
                quote.input,
                quote.output_at_most,
            ));
        }
        let tokens = before.tokens.saturating_add(quote.tokens).saturating_add(quote.output_tokens_at_most);
        if let Some(most) = self.max_tokens.filter(|most| tokens > *most) {
            return Some(format!(
                "it may use {tokens} tokens{}, more than the {most} that it may use (--max-run-tokens): about {} of input \
                 and at most {} of output",
                before.words(before.tokens > 0, before.tokens),
                quote.tokens,
                quote.output_tokens_at_most,
            ));
        }
        None
    }
}

fn named(model: Option<&str>) -> String {
    model.map_or_else(|| "lines that name no model".to_owned(), |model| format!("{model:?}"))
}

/// What a run has spent, or may be charged for by what is at work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Committed {
    pub(super) cost: Cost,
    pub(super) tokens: u64,
}

impl Committed {
    fn words(self, is_some: bool, amount: impl std::fmt::Display) -> String {
        if is_some { format!(" with the {amount} of what was sent before") } else { String::new() }
    }
}

/// Holds what a run has sent and is to send against its caps, from its folder.
pub(super) struct Reckoning {
    pub(super) root: PathBuf,
    pub(super) state: State,
    pub(super) prices: Prices,
    pub(super) caps: Caps,
    /// Whether lines may be asked for one by one, which costs more than in batches.
    pub(super) at_once: bool,
}

impl Reckoning {
    /// Why the run may not go on, or not with a further attempt, which has these shards and those that were never sent: by
    /// what its answers say that they did cost, and by what the lines may cost that have none yet.
    pub(super) fn refuse(&self, further: Option<&[ShardPlan]>) -> Result<Option<String>, Fault> {
        let mut quoting = Quoting::new(self.prices.clone(), Manner { at_once: self.at_once, ..self.caps.manner() });
        let mut before = Committed::default();
        for (number, shard) in &self.state.shards {
            let known = match &shard.phase {
                Phase::Halved(_) | Phase::Failed(_) => Some(Committed::default()),
                Phase::Cancelled if further.is_none() => Some(Committed::default()),
                Phase::Settled(_) => self.spent(*number, shard)?,
                _ => None,
            };
            match known {
                Some(spent) => before.add(spent),
                None => self.quote(&mut quoting, *number, &shard.plan.endpoint)?,
            }
            // What they did is known to nobody.
            for _ in &shard.given_up {
                self.quote(&mut quoting, *number, &shard.plan.endpoint)?;
            }
            for (place, surplus) in shard.surplus.iter().enumerate() {
                match &surplus.phase {
                    SurplusPhase::Settled(None) => {}
                    SurplusPhase::Settled(Some(_)) => {
                        let summary = read_surplus(&self.root, *number, &surplus_folder(place))?;
                        match self.priced(summary.spent.as_deref(), shard) {
                            Some(spent) => before.add(spent),
                            None => self.quote(&mut quoting, *number, &shard.plan.endpoint)?,
                        }
                    }
                    SurplusPhase::Open | SurplusPhase::Over => {
                        self.quote(&mut quoting, *number, &shard.plan.endpoint)?;
                    }
                }
            }
        }
        for plan in further.unwrap_or_default() {
            self.quote(&mut quoting, plan.number, &plan.endpoint)?;
        }
        Ok(self.caps.refuse(&quoting.finish(), before))
    }

    /// What a settled shard did cost, if its answers say so.
    fn spent(&self, number: u32, shard: &Shard) -> Result<Option<Committed>, Fault> {
        let summary = read_summary(&self.root, number)?;
        let said: u64 = summary.spent.iter().flatten().filter(|spent| has_succeeded(spent)).map(|of| of.answers).sum();
        // An answer that says nothing may have cost anything.
        let all_said = said >= summary.joined.succeeded;
        Ok(self.priced(summary.spent.as_deref(), shard).filter(|_| all_said))
    }

    fn priced(&self, spent: Option<&[Spent]>, shard: &Shard) -> Option<Committed> {
        let mut sum = Committed::default();
        for spent in spent? {
            sum.tokens = sum.tokens.saturating_add(spent.usage.total_tokens);
            if self.caps.max_cost.is_some() {
                let model = spent.model.as_deref().or(shard.plan.model.as_deref())?;
                sum.cost += self.prices.find(model)?.cost_of_many(spent.input, &spent.usage, shard.synchronous)?;
            }
        }
        Some(sum)
    }

    /// Quotes the lines of a shard, which are read.
    fn quote(&self, quoting: &mut Quoting, number: u32, endpoint: &str) -> Result<(), Fault> {
        let path = self.root.join(shard_folder(number)).join(REQUESTS);
        let failed = |error| Fault(path.clone(), error);
        let mut reader = LineReader::new(open_lines(&path).map_err(failed)?);
        while let Some(line) = reader.next_line().map_err(failed)? {
            quoting.sent(number, endpoint, line.bytes);
        }
        Ok(())
    }
}

/// Whether the answers are those of lines that succeeded.
fn has_succeeded(spent: &Spent) -> bool {
    matches!(spent.on, SpentOn::Succeeded | SpentOn::CutOff)
}

impl Committed {
    fn add(&mut self, other: Self) {
        self.cost += other.cost;
        self.tokens = self.tokens.saturating_add(other.tokens);
    }
}
