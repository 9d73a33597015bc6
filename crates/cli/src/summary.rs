//! What a run and a join print of their results: how the lines ended, what is odd, and what was used.

use std::fmt::Write;
use std::path::Path;

use crate::lines::Joined;
use crate::out;
use crate::shell;

/// How many errors, and how many anomalies, are named.
const SHOWN: usize = 5;

/// The summary for people. `of` ends its first line; `whole` is where all anomalies are, if not in the JSON alone.
pub(crate) fn text(joined: &Joined, of: &str, whole: Option<&Path>) -> String {
    let mut text = counts(joined);
    // Writing to a String cannot fail.
    let _ = write!(text, "{of}");
    for error in joined.errors.iter().take(SHOWN) {
        let message = error.message.as_deref().unwrap_or("no message");
        let _ = write!(text, "\n  {} × {}: {message}", error.count, error.code);
    }
    for anomaly in joined.anomalies.iter().take(SHOWN) {
        let _ = write!(text, "\n  anomaly: {anomaly}");
    }
    let rest = joined.anomalies.len().saturating_sub(SHOWN) as u64 + joined.anomalies_omitted;
    if rest > 0 {
        let place =
            whole.map_or_else(|| "list them with --json".to_owned(), |path| format!("see {}", shell::quoted(path)));
        let _ = write!(text, "\n  and {rest} more anomalies, {place}");
    }
    let usage = &joined.usage;
    let (input, output, all) = (usage.input_tokens, usage.output_tokens, usage.total_tokens);
    let _ = write!(text, "\ntokens: {input} in, {output} out, {all} in all");
    text
}

/// How the lines ended, in one line.
fn counts(joined: &Joined) -> String {
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
