//! Counts the tokens of answers by model and by what became of them, so that somebody can price them. It never does.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, OutcomeKind};
use crate::raw::clip;
use crate::tally::{LONGEST_NAME, MAX_NAMES, OTHER};
use crate::usage::Usage;

/// What tokens were spent on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SpentOn {
    /// Answers that succeeded, and were not cut off.
    Succeeded,
    /// Answers that succeeded and were cut off at a limit of tokens.
    CutOff,
    /// Lines that failed.
    Failed,
    /// Lines that never ran, since the completion window was over or the batch cancelled.
    Expired,
    /// Answers that no result was written of: a second one to the same line, or one that no line asked for.
    Extra,
}

impl SpentOn {
    /// What the tokens of an answer are spent on that counts.
    #[must_use]
    pub fn of(answer: &Answer<'_>) -> Self {
        match answer.outcome() {
            OutcomeKind::Succeeded if answer.shortfall().cut_off => Self::CutOff,
            OutcomeKind::Succeeded => Self::Succeeded,
            OutcomeKind::Expired | OutcomeKind::Cancelled => Self::Expired,
            OutcomeKind::Failed | OutcomeKind::Unreadable | OutcomeKind::Missing => Self::Failed,
        }
    }
}

/// The tokens of answers of one model that came to the same, and whose requests were of a similar length. Answers that say
/// nothing of tokens are in none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Spent {
    /// The model that the answers name, cut after 200 bytes; none where they name none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// What became of the answers.
    pub on: SpentOn,
    /// The fewest and the most tokens that one of them has read.
    pub input: (u64, u64),
    /// How many answers.
    pub answers: u64,
    /// Their tokens.
    pub usage: Usage,
}

/// Adds up what answers have used. No memory is asked for once every model and outcome was seen.
#[derive(Debug, Clone, Default)]
pub struct Spending {
    /// Requests with more input tokens than each of these are counted apart, the fewest first.
    apart: Vec<u64>,
    nameless: Vec<Cell>,
    named: Vec<(String, Vec<Cell>)>,
    /// Where the cells of a model are.
    places: BTreeMap<String, usize>,
}

/// The tokens of requests of one length.
#[derive(Debug, Clone)]
struct Cell {
    band: usize,
    said: Said,
    spent: Spent,
}

/// What usage says; what can be priced is not put together with what cannot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Read,
    Written,
    /// Only how many tokens there are in all.
    Sum,
}

impl Said {
    fn of(usage: &Usage) -> Self {
        match (usage.input_tokens, usage.output_tokens) {
            (0, 0) if usage.total_tokens > 0 => Self::Sum,
            (_, 0) => Self::Read,
            _ => Self::Written,
        }
    }
}

impl Spending {
    /// Nothing yet. Requests with more input tokens than each of these are counted apart, so that they can be priced apart.
    #[must_use]
    pub fn apart(mut at: Vec<u64>) -> Self {
        at.sort_unstable();
        at.dedup();
        Self { apart: at, ..Self::default() }
    }

    /// Adds one answer.
    pub fn add(&mut self, model: Option<&str>, on: SpentOn, usage: Usage) {
        let read = usage.input_tokens;
        self.put(model, on, (read, read), 1, usage);
    }

    /// Adds what was counted elsewhere.
    pub fn add_spent(&mut self, spent: &Spent) {
        self.put(spent.model.as_deref(), spent.on, spent.input, spent.answers, spent.usage);
    }

    fn put(&mut self, model: Option<&str>, on: SpentOn, input: (u64, u64), answers: u64, usage: Usage) {
        let band = |tokens: u64| self.apart.partition_point(|above| *above < tokens);
        // What was counted with other lengths apart may reach over a bound, and is of no band then.
        let band = if band(input.0) == band(input.1) { band(input.0) } else { usize::MAX };
        let said = Said::of(&usage);
        let cells = match model.map(|model| self.place(model)) {
            None => &mut self.nameless,
            Some(at) => match self.named.get_mut(at) {
                Some((_, cells)) => cells,
                None => return,
            },
        };
        match cells.iter_mut().find(|cell| (cell.band, cell.said, cell.spent.on) == (band, said, on)) {
            Some(Cell { spent, .. }) => {
                spent.input = (spent.input.0.min(input.0), spent.input.1.max(input.1));
                spent.answers = spent.answers.saturating_add(answers);
                spent.usage += usage;
            }
            None => cells.push(Cell { band, said, spent: Spent { model: None, on, input, answers, usage } }),
        }
    }

    /// Where the cells of a model are, by its name cut after 200 bytes; of models beyond the first 1,000, together.
    fn place(&mut self, model: &str) -> usize {
        if let Some(at) = self.places.get(model) {
            return *at;
        }
        let name = if self.places.len() < MAX_NAMES { clip(model, LONGEST_NAME) } else { OTHER.into() };
        if let Some(at) = self.places.get(&*name) {
            return *at;
        }
        let at = self.named.len();
        self.places.insert(name.clone().into_owned(), at);
        self.named.push((name.into_owned(), Vec::new()));
        at
    }

    /// What was added, in the order of the models; of those without a name first.
    #[must_use]
    pub fn finish(self) -> Vec<Spent> {
        let Self { nameless, named, .. } = self;
        let of = |model: &str, cell: Cell| Spent { model: Some(model.to_owned()), ..cell.spent };
        let named = named.iter().flat_map(|(model, cells)| cells.iter().map(|cell| of(model, cell.clone())));
        let mut all: Vec<Spent> = nameless.into_iter().map(|cell| cell.spent).chain(named).collect();
        all.sort_by(|one, other| (&one.model, one.on, one.input).cmp(&(&other.model, other.on, other.input)));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(input: u64, output: u64) -> Usage {
        Usage { input_tokens: input, output_tokens: output, total_tokens: input + output, ..Usage::default() }
    }

    #[test]
    fn tokens_are_counted_by_model_outcome_and_length() {
        let mut spending = Spending::apart(vec![100, 10, 100]);
        for (model, on, input) in [
            (Some("b"), SpentOn::Succeeded, 10),
            (Some("b"), SpentOn::Succeeded, 3),
            (Some("b"), SpentOn::Succeeded, 11),
            (Some("b"), SpentOn::Succeeded, 101),
            (Some("b"), SpentOn::CutOff, 3),
            (Some("a"), SpentOn::Failed, 3),
            (None, SpentOn::Extra, 3),
        ] {
            spending.add(model, on, usage(input, 1));
        }
        let came: Vec<_> = spending
            .finish()
            .into_iter()
            .map(|spent| (spent.model, spent.on, spent.input, spent.answers, spent.usage.input_tokens))
            .collect();
        let b = || Some("b".to_owned());
        let expected = [
            (None, SpentOn::Extra, (3, 3), 1, 3),
            (Some("a".to_owned()), SpentOn::Failed, (3, 3), 1, 3),
            (b(), SpentOn::Succeeded, (3, 10), 2, 13),
            (b(), SpentOn::Succeeded, (11, 11), 1, 11),
            (b(), SpentOn::Succeeded, (101, 101), 1, 101),
            (b(), SpentOn::CutOff, (3, 3), 1, 3),
        ];
        assert_eq!(came, expected);
    }

    #[test]
    fn what_was_counted_elsewhere_is_added_and_keeps_its_lengths() {
        let mut parts = Spending::apart(vec![10]);
        for input in [1, 9, 11, 12] {
            parts.add(Some("m"), SpentOn::Succeeded, usage(input, 0));
        }
        let parts = parts.finish();
        let added = |apart: Vec<u64>| {
            let mut sum = Spending::apart(apart);
            parts.iter().chain(&parts).for_each(|spent| sum.add_spent(spent));
            sum.finish().into_iter().map(|spent| (spent.input, spent.answers)).collect::<Vec<_>>()
        };
        assert_eq!(added(vec![10]), [((1, 9), 4), ((11, 12), 4)]);
        // Where the bound is another, what is on both sides of it stays apart from what is on one.
        assert_eq!(added(vec![5, 20]), [((1, 9), 4), ((11, 12), 4)]);
        assert_eq!(added(Vec::new()), [((1, 12), 8)]);
    }

    #[test]
    fn what_is_written_and_what_is_only_a_sum_stay_apart() {
        let mut sum = usage(0, 0);
        sum.total_tokens = 7;
        let mut spending = Spending::default();
        for usage in [usage(1, 0), usage(1, 1), sum, usage(2, 0), usage(0, 3), sum] {
            spending.add(Some("m"), SpentOn::Succeeded, usage);
        }
        let mut came: Vec<_> = spending
            .finish()
            .into_iter()
            .map(|Spent { answers, usage, .. }| (answers, usage.input_tokens, usage.output_tokens, usage.total_tokens))
            .collect();
        came.sort_unstable();
        assert_eq!(came, [(2, 0, 0, 14), (2, 1, 4, 5), (2, 3, 0, 3)]);
    }

    #[test]
    fn names_are_bounded() {
        let mut spending = Spending::default();
        for _ in 0..2 {
            for number in 0..3_000 {
                spending.add(Some(&format!("m{number}")), SpentOn::Succeeded, usage(1, 0));
            }
            spending.add(Some(&"x".repeat(9_000)), SpentOn::Succeeded, usage(1, 0));
        }
        let all = spending.finish();
        assert_eq!(all.len(), MAX_NAMES + 1);
        assert_eq!(all.iter().map(|spent| spent.answers).sum::<u64>(), 6_002);
        assert!(all.iter().all(|spent| spent.model.as_ref().is_some_and(|model| model.len() < 300)));
    }
}
