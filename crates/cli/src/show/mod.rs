//! What is shown of a request line and of what came of it, for people to read.

mod answer;
mod request;

use lote::Outcome;
use lote::run::LedgerLine;
use lote::text::visible;
use serde::Serialize;
use serde_json::value::RawValue;

use crate::exit::CliError;
use crate::layout;
use crate::out;

/// Before each line of a text of others: no text can look like a line of ours.
const QUOTED: &str = "    │ ";

/// How many lines are shown of one text, unless all are asked for.
const SHOWN: usize = 12;

/// How much is shown of a value of JSON among others.
const SHORT: usize = 60;

/// A part of a request or an answer: what it is, and its text if it has one.
struct Block {
    head: String,
    text: Option<String>,
}

impl Block {
    fn head(head: impl Into<String>) -> Self {
        Self { head: head.into(), text: None }
    }

    fn new(head: impl Into<String>, text: impl Into<String>) -> Self {
        Self { head: head.into(), text: Some(text.into()) }
    }
}

/// How much is shown, and for which width.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Manner {
    /// The columns of the terminal; none where there is no terminal, and nothing is wrapped.
    pub(crate) columns: Option<usize>,
    /// All of each text.
    pub(crate) full: bool,
}

impl Manner {
    /// The lines to print of a request line and of what came of it.
    ///
    /// # Errors
    /// When the result line cannot be read.
    pub(crate) fn lines(self, line: &LedgerLine) -> Result<Vec<String>, CliError> {
        let outcome = line.outcome()?;
        let mut lines = vec![self.short(&format!("{}: {}", line.custom_id()?, came(outcome.as_ref())))];
        let asked = match line.request() {
            Some(request) => request::blocks(request),
            None => vec![Block::head(
                "request: not here any more: neither in the folder of the run, nor as it was in the file it came from",
            )],
        };
        let answered = match &outcome {
            Some(outcome) => answer::blocks(outcome),
            None => vec![Block::head(format!("why: {}", line.why().unwrap_or_default()))],
        };
        asked.iter().chain(&answered).for_each(|block| self.block(block, &mut lines));
        if let Some(told) = told(line, outcome.as_ref()) {
            lines.push(format!("  {told}"));
        }
        Ok(lines)
    }

    fn block(self, block: &Block, lines: &mut Vec<String>) {
        let most = self.columns.map(|columns| columns.saturating_sub(2).max(20));
        // A head is one line of ours, whatever names of others are in it.
        let mut heads = layout::wrapped(&visible(&block.head), most).into_iter();
        lines.extend(heads.next().map(|line| format!("  {line}")));
        lines.extend(heads.map(|line| format!("    {line}")));
        let Some(text) = &block.text else { return };
        let most = self.columns.map(|columns| columns.saturating_sub(layout::width(QUOTED)).max(20));
        let shown = if self.full { usize::MAX } else { SHOWN };
        let text = layout::wrapped(text, most);
        let rest = text.len().saturating_sub(shown);
        // A last line alone is shown in place of its number.
        let shown = if rest <= 1 { text.len() } else { shown };
        lines.extend(text.iter().take(shown).map(|line| format!("{QUOTED}{line}").trim_end().to_owned()));
        if rest > 1 {
            lines.push(format!("    … and {rest} more lines (--full)"));
        }
    }

    fn short(self, text: &str) -> String {
        self.columns.map_or_else(|| text.to_owned(), |columns| layout::cut(&visible(text), columns.max(20)))
    }
}

fn came(outcome: Option<&Outcome>) -> String {
    let Some(outcome) = outcome else { return "no outcome yet".to_owned() };
    let short =
        [(outcome.is_cut_off(), "cut off"), (outcome.is_filtered(), "filtered"), (outcome.is_refused(), "refused")];
    let short: Vec<&str> = short.into_iter().filter_map(|(is, what)| is.then_some(what)).collect();
    match short.as_slice() {
        [] => outcome.kind().to_string(),
        short => format!("{} ({})", outcome.kind(), short.join(", ")),
    }
}

/// What is told of a line below its answer: tokens and attempts.
fn told(line: &LedgerLine, outcome: Option<&Outcome>) -> Option<String> {
    let usage = outcome.and_then(Outcome::usage).map(|usage| {
        format!("tokens: {} in, {} out, {} in all", usage.input_tokens, usage.output_tokens, usage.total_tokens)
    });
    let attempts = line.attempts().filter(|attempts| *attempts > 1).map(|attempts| format!("{attempts} attempts"));
    let told: Vec<String> = [usage, attempts].into_iter().flatten().collect();
    (!told.is_empty()).then(|| told.join(", "))
}

/// A line for machines.
#[derive(Serialize)]
struct Shown<'a> {
    custom_id: String,
    /// None of a line that has no outcome yet.
    outcome: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<&'a str>,
    attempts: Option<u32>,
    /// None of a request line that is not here any more.
    request: Option<&'a RawValue>,
    response: Option<Box<RawValue>>,
    error: Option<Box<RawValue>>,
}

/// What came, as it is in the result line.
#[derive(Default, serde::Deserialize)]
struct FromLine {
    #[serde(default)]
    response: Option<Box<RawValue>>,
    #[serde(default)]
    error: Option<Box<RawValue>>,
}

/// A request line and what came of it, as one JSON object.
///
/// # Errors
/// When one of the lines cannot be read.
pub(crate) fn json(line: &LedgerLine) -> Result<String, CliError> {
    let outcome = line.outcome()?;
    let unreadable = |error: serde_json::Error| CliError::usage(format!("a line of the run cannot be read: {error}"));
    let result: FromLine = line.result().map(serde_json::from_str).transpose().map_err(unreadable)?.unwrap_or_default();
    let shown = Shown {
        custom_id: line.custom_id()?,
        outcome: outcome.as_ref().map(|outcome| outcome.kind().as_str()),
        why: line.why(),
        attempts: line.attempts(),
        request: line.request().map(serde_json::from_str).transpose().map_err(unreadable)?,
        response: result.response,
        error: result.error,
    };
    serde_json::to_string(&shown).map_err(unreadable)
}

/// Two or three answers of a run, each in a line: the first that succeeded.
pub(crate) fn answers(outcomes: impl Iterator<Item = Outcome>, columns: usize) -> Vec<String> {
    /// How many answers are shown, and how many lines are looked at for them.
    const ANSWERS: usize = 3;
    const LOOKED: usize = 200;
    let succeeded = outcomes.take(LOOKED).filter(Outcome::is_succeeded).take(ANSWERS);
    let line = |outcome: Outcome| {
        let id = layout::one_line(outcome.custom_id(), columns / 3);
        let said = answer::blocks(&outcome).into_iter().find_map(|block| block.text.or(Some(block.head)));
        let most = columns.saturating_sub(layout::width(&id) + 4).max(10);
        format!("  {id}: {}", layout::one_line(&said.unwrap_or_default(), most))
    };
    succeeded.map(line).collect()
}

/// A value of JSON among others: a text as it is, the rest as JSON, and of each only the beginning.
fn brief(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => beginning(text),
        other => beginning(&other.to_string()),
    }
}

fn beginning(text: &str) -> String {
    let end = text.char_indices().nth(SHORT * 2).map_or(text.len(), |(end, _)| end);
    layout::cut(&visible(text.get(..end).unwrap_or_default()), SHORT)
}

/// JSON for people to read, on several lines.
fn pretty(json: &str) -> String {
    let value = serde_json::from_str::<serde_json::Value>(json);
    value.and_then(|value| serde_json::to_string_pretty(&value)).unwrap_or_else(|_| json.to_owned())
}

/// So many numbers, which nobody reads.
fn numbers(count: usize) -> String {
    format!("[{}]", out::count(count as u64, "number"))
}
