//! What the results of a run come to, counted in one pass, in memory that does not grow with them.

use std::collections::BTreeMap;

use lote::prices::Cost;
use lote::{Outcome, OutcomeKind};

use super::histogram::{Histogram, TOKENS};
use crate::export::costs::{Costs, Sum};

/// How many models, and how many errors, are told apart.
const MOST: usize = 500;

/// How many lines are named for each error.
const NAMED: usize = 3;

/// What was counted.
pub(super) struct Tally {
    pub(super) lines: u64,
    kinds: [u64; 6],
    pub(super) cut_off: u64,
    pub(super) filtered: u64,
    pub(super) refused: u64,
    /// Result lines that cannot be read.
    pub(super) damaged: u64,
    pub(super) input: Histogram,
    pub(super) output: Histogram,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    pub(super) cached_tokens: u64,
    pub(super) reasoning_tokens: u64,
    pub(super) models: BTreeMap<String, OfModel>,
    /// By kind and code.
    errors: BTreeMap<(OutcomeOf, String), OfError>,
    costs: Costs,
    pub(super) sum: Sum,
}

/// The place of an outcome among the six.
type OutcomeOf = usize;

/// The six, in the order in which they are shown.
pub(super) const KINDS: [OutcomeKind; 6] = [
    OutcomeKind::Succeeded,
    OutcomeKind::Failed,
    OutcomeKind::Expired,
    OutcomeKind::Cancelled,
    OutcomeKind::Unreadable,
    OutcomeKind::Missing,
];

/// What the answers of a model come to.
#[derive(Clone, Copy, Default)]
pub(super) struct OfModel {
    pub(super) answers: u64,
    pub(super) input_tokens: u64,
    pub(super) output_tokens: u64,
    /// None where the price of none is known.
    pub(super) cost: Option<Cost>,
}

/// What is known of an error.
pub(super) struct OfError {
    pub(super) count: u64,
    /// What the first of them says.
    pub(super) message: Option<String>,
    /// Whether others say something else.
    pub(super) differs: bool,
    /// The lines of the first of them.
    pub(super) named: Vec<String>,
}

impl Tally {
    pub(super) fn new(costs: Costs) -> Self {
        Self {
            lines: 0,
            kinds: [0; 6],
            cut_off: 0,
            filtered: 0,
            refused: 0,
            damaged: 0,
            input: Histogram::new(TOKENS),
            output: Histogram::new(TOKENS),
            input_tokens: 0,
            output_tokens: 0,
            cached_tokens: 0,
            reasoning_tokens: 0,
            models: BTreeMap::new(),
            errors: BTreeMap::new(),
            costs,
            sum: Sum::default(),
        }
    }

    pub(super) fn add(&mut self, outcome: &Outcome) {
        let kind = KINDS.iter().position(|kind| *kind == outcome.kind()).unwrap_or_default();
        self.lines += 1;
        self.kinds[kind] += 1;
        self.cut_off += u64::from(outcome.is_cut_off());
        self.filtered += u64::from(outcome.is_filtered());
        self.refused += u64::from(outcome.is_refused());
        self.costs.add(outcome, &mut self.sum);
        self.spent(outcome);
        if !outcome.is_succeeded() {
            self.failed(kind, outcome);
        }
    }

    /// How many lines came to this end.
    pub(super) fn of(&self, kind: OutcomeKind) -> u64 {
        KINDS.iter().position(|known| *known == kind).map_or(0, |at| self.kinds[at])
    }

    /// The most frequent errors first, with their outcome and code.
    pub(super) fn errors(&self) -> Vec<(OutcomeKind, &str, &OfError)> {
        let mut errors: Vec<_> =
            self.errors.iter().map(|((kind, code), error)| (KINDS[*kind], code.as_str(), error)).collect();
        errors.sort_by_key(|(.., error)| std::cmp::Reverse(error.count));
        errors
    }

    fn spent(&mut self, outcome: &Outcome) {
        let Some(usage) = outcome.usage() else { return };
        self.input.add(usage.input_tokens);
        self.output.add(usage.output_tokens);
        for (sum, more) in [
            (&mut self.input_tokens, usage.input_tokens),
            (&mut self.output_tokens, usage.output_tokens),
            (&mut self.cached_tokens, usage.cached_tokens),
            (&mut self.reasoning_tokens, usage.reasoning_tokens),
        ] {
            *sum = sum.saturating_add(more);
        }
        let model = bounded(&self.models, outcome.model().unwrap_or("no model named"));
        let of_model = self.models.entry(model).or_default();
        of_model.answers += 1;
        of_model.input_tokens = of_model.input_tokens.saturating_add(usage.input_tokens);
        of_model.output_tokens = of_model.output_tokens.saturating_add(usage.output_tokens);
        if let Some(cost) = self.costs.of(outcome) {
            of_model.cost = Some(of_model.cost.unwrap_or_default() + cost);
        }
    }

    fn failed(&mut self, kind: OutcomeOf, outcome: &Outcome) {
        let code = match (outcome.error_code(), outcome.status_code()) {
            (Some(code), _) => code.to_owned(),
            (None, Some(status)) => format!("HTTP {status}"),
            (None, None) => "no code".to_owned(),
        };
        let key = match self.errors.len() < MOST || self.errors.contains_key(&(kind, code.clone())) {
            true => (kind, code),
            false => (kind, "others".to_owned()),
        };
        let message = outcome.error_message();
        let error = self.errors.entry(key).or_insert_with(|| OfError {
            count: 0,
            message: message.map(str::to_owned),
            differs: false,
            named: Vec::new(),
        });
        error.count += 1;
        error.differs |= error.message.as_deref() != message;
        if error.named.len() < NAMED {
            error.named.push(outcome.custom_id().to_owned());
        }
    }
}

/// The key under which something is counted: its own, as long as there are not too many.
fn bounded<T>(known: &BTreeMap<String, T>, key: &str) -> String {
    if known.len() < MOST || known.contains_key(key) { key.to_owned() } else { "others".to_owned() }
}

#[cfg(test)]
mod tests {
    use lote::prices::Prices;
    use serde_json::json;

    use super::*;

    fn add(tally: &mut Tally, line: &serde_json::Value) {
        tally.add(&Outcome::from_line(line.to_string()).unwrap());
    }

    #[test]
    fn what_others_name_is_bounded() {
        let mut tally = Tally::new(Costs::new(Prices::built_in(), false));
        for at in 0..2 * MOST {
            let (id, error) = (format!("e{at}"), json!({"code": format!("code {at}"), "message": format!("{at}")}));
            add(&mut tally, &json!({"custom_id": id, "response": null, "error": error}));
            let body = json!({"model": format!("m{at}"), "choices": [{"message": {"content": "x"}}],
                "usage": {"prompt_tokens": 2, "completion_tokens": 3}});
            add(&mut tally, &json!({"custom_id": at.to_string(), "response": {"status_code": 200, "body": body}}));
        }
        let half = MOST as u64;
        assert_eq!((tally.lines, tally.of(OutcomeKind::Failed)), (4 * half, 2 * half));
        assert_eq!((tally.models.len(), tally.models["others"].answers), (MOST + 1, half));
        let (kind, code, most) = tally.errors()[0];
        assert_eq!((kind, code, most.count, most.differs), (OutcomeKind::Failed, "others", half, true));
        assert_eq!(most.named, ["e500", "e501", "e502"]);
        assert_eq!((tally.input_tokens, tally.output.count()), (4 * half, 2 * half));
    }
}
