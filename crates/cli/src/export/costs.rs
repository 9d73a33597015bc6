//! What results cost, from the model and the tokens that each of them names.

use lote::Outcome;
use lote::prices::{Cost, Prices};

use crate::out;

/// By which prices results are told.
#[derive(Clone, Debug)]
pub(crate) struct Costs {
    prices: Prices,
    /// Nobody was paid: the gateway was inside the command.
    embedded: bool,
}

/// What all results cost.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    /// Of those whose price is known; none when there is no such.
    pub(crate) cost: Option<Cost>,
    /// How many results used tokens of a model whose price is not known.
    pub(crate) unpriced: u64,
    /// Nobody was paid.
    pub(crate) embedded: bool,
}

impl Costs {
    pub(crate) fn new(prices: Prices, embedded: bool) -> Self {
        Self { prices, embedded }
    }

    /// What a result cost in its batch. None when it says nothing of tokens, or its price is not known.
    pub(crate) fn of(&self, outcome: &Outcome) -> Option<Cost> {
        let usage = outcome.usage()?;
        if self.embedded {
            return Some(Cost::ZERO);
        }
        self.prices.find(outcome.model()?)?.batch_cost(&usage)
    }

    pub(crate) fn add(&self, outcome: &Outcome, sum: &mut Sum) {
        sum.embedded = self.embedded;
        if outcome.usage().is_none() {
            return;
        }
        let is_known = outcome.model().is_some_and(|model| self.prices.find(model).is_some());
        match self.of(outcome) {
            // A trial has the column that the same requests have when they are paid for.
            Some(_) if self.embedded && !is_known => {}
            Some(cost) => sum.cost = Some(sum.cost.unwrap_or_default() + cost),
            None => sum.unpriced += 1,
        }
    }
}

impl Sum {
    /// For people; none where no result says what it used.
    pub(crate) fn line(&self) -> Option<String> {
        let rows = out::count(self.unpriced, "row");
        Some(match (self.embedded, self.cost, self.unpriced) {
            (true, ..) => "cost: nothing, as the embedded gateway answered".to_owned(),
            (false, None, 0) => return None,
            (false, None, _) => format!("cost: not known for {rows}, whose models have no known price (--prices)"),
            (false, Some(cost), 0) => format!("cost: {cost}"),
            (false, Some(cost), _) => {
                format!("cost: {cost}, and {rows} with a model whose price is not known (--prices)")
            }
        })
    }
}
