//! What a run did cost, beside what it was to cost, in lines for people.

use lote::prices::Cost;
use lote::run::{Charge, Invoice, ModelInvoice, Quote};
use lote::text::visible;

use crate::out;
use crate::quote;

/// How many models are listed.
const SHOWN: usize = 20;

/// The sum, in a few words for a list; nothing where no price is known, or nobody was paid.
pub(crate) fn brief(invoice: &Invoice) -> Option<String> {
    let total = &invoice.charges.total;
    let cost = total.cost.filter(|_| is_told(invoice))?;
    Some(if total.unpriced + invoice.silent > 0 { format!("{cost} + ?") } else { cost.to_string() })
}

/// Whether there is anything to tell: a price is known, and somebody was paid.
pub(crate) fn is_told(invoice: &Invoice) -> bool {
    !invoice.embedded && invoice.models.iter().any(|model| model.price.is_some())
}

/// The cost, what of it was for nothing, and each model and attempt where there are several.
pub(crate) fn lines(invoice: &Invoice, quote: Option<&Quote>) -> Vec<String> {
    if !is_told(invoice) {
        return Vec::new();
    }
    let total = &invoice.charges.total;
    let dates = invoice.models.iter().filter_map(|model| model.price.as_ref()?.date.as_deref());
    let mut first = format!("cost: {}{}", amount(total), quote::read(dates));
    if let Some(quote) = quote.filter(|quote| quote.models.iter().any(|model| model.price.is_some())) {
        first.push_str(&format!("; quoted {}", quote::brief(quote)));
    }
    if invoice.silent > 0 {
        first.push_str(&format!("; {} nothing of tokens", says(invoice.silent)));
    }
    let mut lines = vec![first];
    let charges = &invoice.charges;
    let wasted: Vec<String> = [
        (&charges.cut_off, "cut off"),
        (&charges.failed, "failed"),
        (&charges.expired, "expired or cancelled"),
        (&charges.replaced, "replaced by another attempt"),
        (&charges.surplus, "sent twice after a lost answer"),
        (&charges.extra, "answered twice"),
    ]
    .into_iter()
    .filter(|(charge, _)| charge.answers > 0)
    .map(|(charge, what)| format!("{} {what} ({})", amount(charge), out::count(charge.answers, "answer")))
    .collect();
    if !wasted.is_empty() {
        lines.push(format!("  of that: {}", wasted.join(", ")));
    }
    if invoice.models.len() > 1 {
        let tried_again = invoice.models.iter().any(|model| model.attempt > 1);
        let models = invoice.models.iter().take(SHOWN);
        lines.extend(models.map(|model| format!("  {}", one(model, tried_again))));
        if invoice.models.len() > SHOWN {
            lines.push(format!("  and {} more models, in summary.json", invoice.models.len() - SHOWN));
        }
    }
    lines
}

fn one(of: &ModelInvoice, tried_again: bool) -> String {
    let name = of.model.as_deref().map_or_else(|| "no model named".into(), visible);
    let attempt = if tried_again { format!(", attempt {}", of.attempt) } else { String::new() };
    let (total, usage) = (&of.charges.total, &of.charges.total.usage);
    let tokens = format!("{} tokens in, {} out", usage.input_tokens, usage.output_tokens);
    format!("{name}{attempt}: {}, {tokens}: {}", out::count(total.answers, "answer"), amount(total))
}

fn amount(charge: &Charge) -> String {
    match (charge.cost, charge.unpriced) {
        (cost, 0) => cost.unwrap_or(Cost::ZERO).to_string(),
        (None, _) => "a price that is not known".to_owned(),
        (Some(cost), unpriced) => {
            let answers = if unpriced == charge.answers { "all".to_owned() } else { out::count(unpriced, "answer") };
            format!("{cost}, and {answers} at a price that is not known (--prices)")
        }
    }
}

fn says(answers: u64) -> String {
    out::count(answers, "answer") + if answers == 1 { " says" } else { " say" }
}
