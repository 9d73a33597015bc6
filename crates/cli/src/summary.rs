//! What commands print in sum: of results, how the lines ended, what is odd, and what was used; of requests, the models.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use crate::expect;
use crate::lines::{Joined, MAX_ANOMALIES};
use crate::out;
use crate::shell;

/// How many errors, and how many anomalies, are named.
const SHOWN: usize = 5;

/// How many models are named.
const SHOWN_MODELS: usize = 5;

/// The models that request lines ask for, the most frequent first, and how many lines name none.
pub(crate) fn models(models: &BTreeMap<String, u64>, without: u64) -> Option<String> {
    let mut sorted: Vec<_> = models.iter().collect();
    sorted.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    let mut shown: Vec<_> =
        sorted.iter().take(SHOWN_MODELS).map(|(model, count)| format!("{model} ({count})")).collect();
    if sorted.len() > SHOWN_MODELS {
        shown.push(format!("{} others", sorted.len() - SHOWN_MODELS));
    }
    if without > 0 {
        shown.push(format!("none ({without})"));
    }
    (!shown.is_empty()).then(|| shown.join(", "))
}

/// The summary for people, line by line. `of` ends its first line; `whole` is where all anomalies are, if not in the JSON
/// alone.
pub(crate) fn lines(joined: &Joined, of: &str, whole: Option<&Path>) -> Vec<String> {
    let mut lines = vec![counts(joined) + of];
    lines.extend(joined.errors.iter().take(SHOWN).map(|error| {
        let message = error.message.as_deref().unwrap_or("no message");
        format!("  {} × {}: {message}", error.count, error.code)
    }));
    lines.extend(joined.anomalies.iter().take(SHOWN).map(|anomaly| format!("  anomaly: {anomaly}")));
    let rest = joined.anomalies.len().saturating_sub(SHOWN) as u64 + joined.anomalies_omitted;
    if rest > 0 {
        let place = match whole {
            Some(path) => format!("see {}", shell::quoted(path)),
            None if joined.anomalies_omitted == 0 => "list them with --json".to_owned(),
            None => format!("--json lists the first {MAX_ANOMALIES} of all"),
        };
        lines.push(format!("  and {rest} more anomalies, {place}"));
    }
    lines.extend(joined.fit.iter().flat_map(expect::lines));
    let usage = &joined.usage;
    let (input, output, all) = (usage.input_tokens, usage.output_tokens, usage.total_tokens);
    lines.push(format!("tokens: {input} in, {output} out, {all} in all"));
    lines
}

/// How the lines ended, in one line.
pub(crate) fn counts(joined: &Joined) -> String {
    let mut text = format!("{} of {} succeeded", joined.succeeded, out::count(joined.lines, "line"));
    let short: Vec<String> = [(joined.cut_off, "cut off"), (joined.filtered, "filtered"), (joined.refused, "refused")]
        .into_iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
    if !short.is_empty() {
        let _ = write!(text, " ({})", short.join(", "));
    }
    for (count, what) in [
        (joined.failed, "failed"),
        (joined.expired, "expired"),
        (joined.cancelled, "cancelled"),
        (joined.unreadable, "unreadable"),
        (joined.missing, "missing"),
    ] {
        if count > 0 || what == "failed" || what == "missing" {
            let _ = write!(text, ", {count} {what}");
        }
    }
    text
}
