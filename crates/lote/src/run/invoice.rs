//! What a run did cost, as its answers say it: by model and attempt, and by what the tokens were spent on.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    lines::{Spending, Spent, SpentOn, Usage},
    prices::{Cost, PriceRead, Prices},
};

/// What a run did cost: the tokens that its answers say they used, each request at its price. What services charge beside
/// tokens is not in it, and neither is what was never fetched, as of batches that were
/// [given up](super::Report::given_up).
///
/// It is made when the results are put together, by the prices that the run was told then; see
/// [`Run::prices`](super::Run::prices). Costs are texts in JSON, in dollars with every digit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Invoice {
    /// All of it.
    #[serde(flatten)]
    pub charges: Charges,
    /// By attempt and model, in their order; answers of which nobody knows the model come before others of their attempt.
    pub models: Vec<ModelInvoice>,
    /// How many of the results that succeeded say nothing of tokens: what they cost is not known.
    pub silent: u64,
    /// Nobody was paid: the gateway was inside the command.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub embedded: bool,
}

/// What the answers of one model in one attempt did cost.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModelInvoice {
    /// The number of the attempt, from 1.
    pub attempt: u32,
    /// The model that the answers name, else that of their request lines; none where neither does.
    pub model: Option<String>,
    /// Where and when its price was read; none when its price is not known.
    pub price: Option<PriceRead>,
    /// The costs.
    #[serde(flatten)]
    pub charges: Charges,
}

/// Costs, by what they are for. `total` is the sum of all but `cut_off`, which is a part of `succeeded`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Charges {
    /// All.
    pub total: Charge,
    /// Results that succeeded.
    pub succeeded: Charge,
    /// Of those, answers that were cut off at a limit of tokens.
    pub cut_off: Charge,
    /// Results that failed.
    pub failed: Charge,
    /// Results of lines that expired or were cancelled.
    pub expired: Charge,
    /// Answers in whose place the run has that of another attempt.
    pub replaced: Charge,
    /// Answers to lines that two batches have answered, after a create whose answer was lost: those that are not used.
    pub surplus: Charge,
    /// Answers in the same batch that are not used: second ones to a line, and those to none.
    pub extra: Charge,
}

/// What some answers did cost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Charge {
    /// How many answers that say what they used.
    pub answers: u64,
    /// Their tokens.
    pub usage: Usage,
    /// What those of them cost whose price is known; none when that is none of them.
    pub cost: Option<Cost>,
    /// How many of them have a price that is not known.
    pub unpriced: u64,
}

impl Default for Charge {
    fn default() -> Self {
        Self { answers: 0, usage: Usage::default(), cost: Some(Cost::ZERO), unpriced: 0 }
    }
}

impl Charge {
    fn of(spent: &Spent, cost: Option<Cost>) -> Self {
        let unpriced = if cost.is_some() { 0 } else { spent.answers };
        Self { answers: spent.answers, usage: spent.usage, cost, unpriced }
    }

    fn add(&mut self, other: Self) {
        let known = |charge: &Self| charge.cost.filter(|_| charge.answers > charge.unpriced);
        let sum = match (known(self), known(&other)) {
            (None, None) => None,
            (one, other) => Some(one.unwrap_or_default() + other.unwrap_or_default()),
        };
        self.answers = self.answers.saturating_add(other.answers);
        self.usage += other.usage;
        self.unpriced = self.unpriced.saturating_add(other.unpriced);
        self.cost = sum.or((self.answers == 0).then_some(Cost::ZERO));
    }
}

impl Charges {
    fn add(&mut self, way: Way, on: SpentOn, charge: Charge) {
        self.total.add(charge);
        let of = match (way, on) {
            (Way::Replaced, _) => &mut self.replaced,
            (Way::Surplus, _) => &mut self.surplus,
            (Way::Counted, SpentOn::Succeeded) => &mut self.succeeded,
            (Way::Counted, SpentOn::CutOff) => {
                self.cut_off.add(charge);
                &mut self.succeeded
            }
            (Way::Counted, SpentOn::Expired) => &mut self.expired,
            (Way::Counted, SpentOn::Extra) => &mut self.extra,
            (Way::Counted, _) => &mut self.failed,
        };
        of.add(charge);
    }
}

/// What became of answers in the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Way {
    /// They are among the results, or were read with those that are.
    Counted,
    /// Another attempt's is.
    Replaced,
    /// That of another batch of the same lines is.
    Surplus,
}

/// Adds up what the answers of a run have used.
#[derive(Debug, Default)]
pub(super) struct Billing {
    /// Requests with more input tokens than these are counted apart.
    apart: Vec<u64>,
    /// By attempt; whether they were asked for one by one, not in a batch; and what became of them.
    spending: BTreeMap<(u32, bool, Way), Spending>,
}

/// Whose answers are added.
#[derive(Clone, Copy, Debug)]
pub(super) struct Whose {
    pub(super) attempt: u32,
    /// Asked for one by one, not in a batch.
    pub(super) at_once: bool,
    pub(super) way: Way,
}

impl Billing {
    /// Nothing yet, to be priced by these.
    pub(super) fn new(prices: &Prices) -> Self {
        Self { apart: prices.tiers(), spending: BTreeMap::new() }
    }

    /// Adds one answer.
    pub(super) fn add(&mut self, whose: Whose, model: Option<&str>, on: SpentOn, usage: Usage) {
        self.of(whose).add(model, on, usage);
    }

    /// Adds what was counted of many. Where they name no model it is this one.
    pub(super) fn add_spent(&mut self, whose: Whose, model: Option<&str>, spent: &Spent) {
        let mut spent = spent.clone();
        spent.model = spent.model.or_else(|| model.map(str::to_owned));
        self.of(whose).add_spent(&spent);
    }

    fn of(&mut self, Whose { attempt, at_once, way }: Whose) -> &mut Spending {
        let apart = &self.apart;
        self.spending.entry((attempt, at_once, way)).or_insert_with(|| Spending::apart(apart.clone()))
    }

    /// The invoice by these prices, of a run of which so many lines have succeeded.
    pub(super) fn finish(self, prices: &Prices, succeeded: u64, embedded: bool) -> Invoice {
        let mut models: BTreeMap<(u32, Option<String>), ModelInvoice> = BTreeMap::new();
        let mut all = Charges::default();
        for ((attempt, at_once, way), spending) in self.spending {
            for spent in spending.finish() {
                let price = spent.model.as_deref().and_then(|model| prices.find(model));
                let cost = price.and_then(|price| price.cost_of_many(spent.input, &spent.usage, at_once));
                let charge = Charge::of(&spent, cost);
                all.add(way, spent.on, charge);
                let of = models.entry((attempt, spent.model.clone())).or_insert_with(|| ModelInvoice {
                    attempt,
                    model: spent.model.clone(),
                    price: price.map(crate::prices::Price::read),
                    charges: Charges::default(),
                });
                of.charges.add(way, spent.on, charge);
            }
        }
        let silent = succeeded.saturating_sub(all.succeeded.answers);
        Invoice { charges: all, models: models.into_values().collect(), silent, embedded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PRICES: &str = "
        [[price]]
        models = ['cheap']
        input = 1
        cached_input = 0.5
        output = 10
        batch = 0.5
        source = 'our contract'
        date = 2026-11-05
        [[price.tier]]
        above = 100
        input = 2
        output = 15
        [[price]]
        models = ['embed']
        input = 4
        [[price]]
        models = ['free']
        input = 0
        output = 0";

    fn usage(input: u64, cached: u64, output: u64) -> Usage {
        let mut usage = Usage::default();
        (usage.input_tokens, usage.cached_tokens, usage.output_tokens) = (input, cached, output);
        usage.total_tokens = input + output;
        usage
    }

    fn counted(attempt: u32) -> Whose {
        Whose { attempt, at_once: false, way: Way::Counted }
    }

    fn exact(charge: Charge) -> Option<String> {
        charge.cost.map(Cost::exact)
    }

    #[test]
    fn each_request_costs_as_its_own_length_says_and_each_answer_is_counted_once() {
        let prices = Prices::from_toml(PRICES).unwrap();
        let mut billing = Billing::new(&prices);
        // 100 tokens of input are below the tier and 101 above it; half of them were cached.
        billing.add(counted(1), Some("cheap"), SpentOn::Succeeded, usage(100, 50, 1));
        billing.add(counted(1), Some("cheap"), SpentOn::Succeeded, usage(101, 0, 1));
        billing.add(counted(1), Some("cheap"), SpentOn::CutOff, usage(10, 0, 100));
        billing.add(counted(1), Some("cheap"), SpentOn::Failed, usage(2, 0, 0));
        billing.add(counted(1), Some("cheap"), SpentOn::Expired, usage(4, 0, 0));
        billing.add(counted(1), Some("cheap"), SpentOn::Extra, usage(6, 0, 0));
        billing.add(Whose { way: Way::Replaced, ..counted(1) }, Some("cheap"), SpentOn::Failed, usage(8, 0, 0));
        billing.add(Whose { way: Way::Surplus, ..counted(2) }, Some("cheap"), SpentOn::Succeeded, usage(12, 0, 0));
        // Asked for at once, the same costs twice as much.
        billing.add(Whose { at_once: true, ..counted(2) }, Some("cheap"), SpentOn::Succeeded, usage(10, 0, 0));
        billing.add(counted(2), Some("nobody"), SpentOn::Succeeded, usage(7, 0, 7));
        billing.add(counted(2), None, SpentOn::Failed, usage(1, 0, 0));
        let invoice = billing.finish(&prices, 6, false);
        let Charges { total, succeeded, cut_off, failed, expired, replaced, surplus, extra } = invoice.charges;
        assert_eq!(exact(cut_off).as_deref(), Some("0.000505"));
        // 25 + 12.5 + 5 of the first, 101 + 7.5 of the second, in millionths, and the one at once.
        assert_eq!(exact(succeeded).as_deref(), Some("0.000666"));
        assert_eq!((succeeded.answers, succeeded.unpriced), (5, 1));
        assert_eq!(
            [failed, expired, extra, replaced, surplus].map(|charge| charge.cost.unwrap().exact()),
            ["0.000001", "0.000002", "0.000003", "0.000004", "0.000006"]
        );
        assert_eq!((failed.answers, failed.unpriced), (2, 1));
        let parts = [succeeded, failed, expired, replaced, surplus, extra];
        assert_eq!(total.cost, Some(parts.iter().filter_map(|part| part.cost).sum()));
        assert_eq!((total.answers, total.unpriced), (parts.iter().map(|part| part.answers).sum::<u64>(), 2));
        assert_eq!(total.usage.input_tokens, parts.iter().map(|part| part.usage.input_tokens).sum::<u64>());
        // One of the results that succeeded says nothing.
        assert_eq!(invoice.silent, 1);
        let models: Vec<_> =
            invoice.models.iter().map(|of| (of.attempt, of.model.as_deref(), of.charges.total.answers)).collect();
        assert_eq!(models, [(1, Some("cheap"), 7), (2, None, 1), (2, Some("cheap"), 2), (2, Some("nobody"), 1)]);
        let read = invoice.models[0].price.as_ref().unwrap();
        assert_eq!((read.source.as_deref(), read.date.as_deref()), (Some("our contract"), Some("2026-11-05")));
        assert_eq!((exact(invoice.models[3].charges.total), &invoice.models[3].price), (None, &None));
    }

    #[test]
    fn what_cannot_be_priced_is_said_and_what_is_free_costs_nothing() {
        let prices = Prices::from_toml(PRICES).unwrap();
        let mut billing = Billing::new(&prices);
        billing.add(counted(1), Some("free"), SpentOn::Succeeded, usage(100, 0, 100));
        // An embedding has no price for output, and only the one that has some is not priced.
        billing.add(counted(1), Some("embed"), SpentOn::Succeeded, usage(10, 0, 0));
        billing.add(counted(1), Some("embed"), SpentOn::Succeeded, usage(10, 0, 1));
        // Of one only the sum is known.
        let mut sum = Usage::default();
        sum.total_tokens = 9;
        billing.add(counted(1), Some("cheap"), SpentOn::Succeeded, sum);
        billing.add(counted(1), Some("cheap"), SpentOn::Succeeded, usage(2, 0, 0));
        let invoice = billing.finish(&prices, 5, false);
        let of = |model: &str| {
            let of = invoice.models.iter().find(|of| of.model.as_deref() == Some(model)).unwrap();
            (exact(of.charges.total), of.charges.total.unpriced)
        };
        assert_eq!(of("free"), (Some("0".to_owned()), 0));
        assert_eq!(of("embed"), (Some("0.00004".to_owned()), 1));
        assert_eq!(of("cheap"), (Some("0.000001".to_owned()), 1));
        assert_eq!((exact(invoice.charges.total), invoice.charges.total.unpriced), (Some("0.000041".to_owned()), 2));
        let nothing = Billing::new(&prices).finish(&prices, 0, false);
        assert_eq!((nothing.charges.total, nothing.models.len()), (Charge::default(), 0));
    }

    #[test]
    fn what_was_counted_by_other_tiers_is_priced_where_that_can_be_told() {
        let (before, now) = (Prices::from_toml("").unwrap(), Prices::from_toml(PRICES).unwrap());
        let spent = |inputs: [u64; 2]| {
            let mut spending = Spending::apart(before.tiers());
            inputs.iter().for_each(|input| spending.add(Some("cheap"), SpentOn::Succeeded, usage(*input, 0, 0)));
            spending.finish()
        };
        for (inputs, cost) in [([10, 90], Some("0.00005")), ([110, 190], Some("0.0003")), ([10, 190], None)] {
            let mut billing = Billing::new(&now);
            spent(inputs).iter().for_each(|spent| billing.add_spent(counted(1), None, spent));
            let total = billing.finish(&now, 2, false).charges.total;
            assert_eq!((exact(total).as_deref(), total.unpriced), (cost, if cost.is_some() { 0 } else { 2 }));
        }
    }

    #[test]
    fn its_json_comes_back_as_it_was() {
        let prices = Prices::from_toml(PRICES).unwrap();
        let mut billing = Billing::new(&prices);
        billing.add(counted(1), Some("cheap"), SpentOn::CutOff, usage(10, 0, 100));
        billing.add(counted(2), Some("nobody"), SpentOn::Succeeded, usage(7, 0, 7));
        let invoice = billing.finish(&prices, 3, true);
        let json = serde_json::to_value(&invoice).unwrap();
        assert_eq!((json["total"]["cost"].as_str(), json["cut_off"]["answers"].as_u64()), (Some("0.000505"), Some(1)));
        assert!(json["models"][1]["price"].is_null() && json["models"][1]["total"]["cost"].is_null(), "{json}");
        assert_eq!(serde_json::from_value::<Invoice>(json).unwrap(), invoice);
    }
}
