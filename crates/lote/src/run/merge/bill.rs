//! What the answers did cost that results are put together of: each answer once, whatever became of it.

use std::collections::BTreeSet;

use serde::Deserialize;

use super::{Beaten, Pair, Part, Parts};
use crate::{
    lines::{Answer, OutcomeKind, Spent, SpentOn},
    prices::Prices,
    run::invoice::{Billing, Invoice, Way, Whose},
};

/// Adds up what was spent while results are put together.
pub(super) struct Bill {
    billing: Billing,
    /// The shards of which all was added as it was counted when they were joined: their lines are not looked at again.
    whole: BTreeSet<u32>,
    /// How many results have succeeded that nobody was asked for, since their lines equal others.
    copies: u64,
}

impl Bill {
    pub(super) fn new(prices: &Prices) -> Self {
        Self { billing: Billing::new(prices), whole: BTreeSet::new(), copies: 0 }
    }

    /// One to which nothing of these shards is to be added any more.
    #[cfg(test)]
    pub(super) fn of_whole(shards: impl IntoIterator<Item = u32>) -> Self {
        Self { billing: Billing::default(), whole: shards.into_iter().collect(), copies: 0 }
    }

    /// A shard that was settled. When each of its results `counts`, all of it is added, unless it is to be seen in its lines
    /// which models were asked.
    pub(super) fn shard(&mut self, number: u32, part: &Part, spent: Option<&[Spent]>, counts: bool) {
        let Some(spent) = spent else { return };
        let model = part.plan.model.as_deref();
        let is_extra = |spent: &&Spent| spent.on == SpentOn::Extra;
        let is_named = |spent: &Spent| is_extra(&spent) || spent.model.is_some() || model.is_some();
        let whole = counts && spent.iter().all(is_named);
        for spent in spent.iter().filter(|spent| whole || is_extra(spent)) {
            self.billing.add_spent(whose(part, Way::Counted), model, spent);
        }
        if whole {
            self.whole.insert(number);
        }
    }

    /// What a surplus batch has answered beside one answer to each line.
    pub(super) fn surplus(&mut self, part: &Part, spent: Option<&[Spent]>) {
        for spent in spent.unwrap_or_default().iter().filter(|spent| spent.on == SpentOn::Extra) {
            self.billing.add_spent(whose(part, Way::Surplus), part.plan.model.as_deref(), spent);
        }
    }

    /// Whether all that a shard has was added.
    pub(super) fn has(&self, shard: u32) -> bool {
        self.whole.contains(&shard)
    }

    /// The result of a line.
    pub(super) fn pair(&mut self, parts: &Parts, pair: &Pair<'_>, answer: &Answer<'_>) {
        if pair.is_copy {
            self.copies += u64::from(answer.outcome() == OutcomeKind::Succeeded);
        } else if !self.has(pair.from) {
            self.add(parts, pair.from, Way::Counted, pair.request, answer);
        }
    }

    /// A result in whose place another is.
    pub(super) fn beaten(&mut self, parts: &Parts, beaten: &Beaten<'_>) {
        let Beaten { from, way, request, result } = *beaten;
        if let Ok(answer) = Answer::parse(result) {
            self.add(parts, from, way, request, &answer);
        }
    }

    fn add(&mut self, parts: &Parts, from: u32, way: Way, request: &[u8], answer: &Answer<'_>) {
        let (Some(part), Some(usage)) = (parts.shards.get(&from), answer.usage()) else { return };
        let model = answer.model().or_else(|| part.plan.model.clone()).or_else(|| asked(request));
        self.billing.add(whose(part, way), model.as_deref(), SpentOn::of(answer), usage);
    }

    pub(super) fn finish(self, prices: &Prices, succeeded: u64, embedded: bool) -> Invoice {
        self.billing.finish(prices, succeeded.saturating_sub(self.copies), embedded)
    }
}

fn whose(part: &Part, way: Way) -> Whose {
    Whose { attempt: part.attempt, at_once: part.at_once, way }
}

/// The model that a request line asks for.
fn asked(request: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Line {
        body: Body,
    }
    #[derive(Deserialize)]
    struct Body {
        model: Option<String>,
    }
    serde_json::from_slice::<Line>(request).ok()?.body.model
}
