//! What a run did cost, as its invoice says it, beside what it was to cost.

use lote::prices::Cost;
use lote::run::{Charge, Invoice, ModelInvoice, Quote};
use serde::Serialize;

use super::Model;
use super::words;
use crate::out;
use crate::quote;

/// An invoice, as it is shown.
#[derive(Serialize)]
pub(super) struct Bill {
    /// All that was paid.
    pub(super) total: String,
    /// In a few words, below the sum.
    pub(super) below: String,
    /// What the sum does not say.
    notes: Vec<String>,
    /// What of the sum was for what.
    parts: Vec<Model>,
    /// By model and attempt.
    pub(super) models: Vec<Model>,
    pub(super) models_left: usize,
}

impl Bill {
    /// With so many models at the most.
    pub(super) fn new(invoice: &Invoice, quoted: Option<&Quote>, most: usize) -> Self {
        let charges = &invoice.charges;
        let quoted = quoted.filter(|quote| quote.models.iter().any(|model| model.price.is_some()));
        let (total, below) = match (invoice.embedded, quoted) {
            (true, _) => ("nothing".to_owned(), "the embedded gateway answered".to_owned()),
            (false, Some(quoted)) => (amount(&charges.total), format!("quoted {}", quote::brief(quoted))),
            (false, None) => (amount(&charges.total), "of all answers".to_owned()),
        };
        let unpriced = charges.total.unpriced;
        let notes = [
            (
                unpriced,
                "with a model whose price is not known: lote report --prices tells the results by prices of yours",
            ),
            (invoice.silent, "that succeeded and say nothing of tokens: what they cost is not known"),
        ];
        let notes = notes.into_iter().filter(|(count, _)| *count > 0 && !invoice.embedded);
        let parts = [
            (&charges.succeeded, "results that succeeded"),
            (&charges.cut_off, "of those, cut off at a limit of tokens"),
            (&charges.failed, "results that failed"),
            (&charges.expired, "lines that expired or were cancelled"),
            (&charges.replaced, "answers replaced by those of another attempt"),
            (&charges.surplus, "answers of batches that were made a second time"),
            (&charges.extra, "second answers to a line, and those to none"),
        ];
        let parts: Vec<Model> = parts
            .into_iter()
            .filter(|(charge, _)| charge.answers > 0)
            .map(|(charge, what)| row(what.to_owned(), charge, invoice.embedded))
            .collect();
        let again = invoice.models.iter().any(|model| model.attempt > 1);
        let mut models: Vec<&ModelInvoice> = invoice.models.iter().collect();
        models.sort_by_key(|model| std::cmp::Reverse(model.charges.total.answers));
        let named = |model: &ModelInvoice| {
            let name = model.model.as_deref().map_or_else(|| "no model named".to_owned(), words::shown);
            if again { format!("{name}, attempt {}", model.attempt) } else { name }
        };
        let rows = models.iter().take(most);
        Self {
            total,
            below,
            notes: notes.map(|(count, what)| format!("{} {what}.", out::count(count, "answer"))).collect(),
            // One part is the sum.
            parts: if parts.len() > 1 { parts } else { Vec::new() },
            models: rows.map(|model| row(named(model), &model.charges.total, invoice.embedded)).collect(),
            models_left: models.len().saturating_sub(most),
        }
    }
}

fn row(model: String, charge: &Charge, embedded: bool) -> Model {
    Model {
        model,
        answers: words::count(charge.answers),
        input: words::count(charge.usage.input_tokens),
        output: words::count(charge.usage.output_tokens),
        cost: if embedded { "nothing".to_owned() } else { amount(charge) },
    }
}

fn amount(charge: &Charge) -> String {
    match (charge.cost, charge.unpriced) {
        (cost, 0) => cost.unwrap_or(Cost::ZERO).to_string(),
        (None, _) => "not known".to_owned(),
        (Some(cost), _) => format!("{cost} + ?"),
    }
}
