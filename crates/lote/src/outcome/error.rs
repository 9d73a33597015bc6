//! The error of the views of an outcome, which keeps the outcome.

use std::{error::Error as StdError, fmt};

use super::Outcome;
use crate::{OutcomeKind, Usage, text::shortened};

/// Why an answer could not be read as what was asked for. It keeps the outcome: the answer may have been paid for.
///
/// ```
/// # use lote::Outcome;
/// # let line = r#"{"custom_id":"row-1","response":{"status_code":200,"body":{"choices":[{"finish_reason":"stop","message":{"content":null,"refusal":"I cannot say."}}],"usage":{"total_tokens":9}}}}"#;
/// # let outcome = Outcome::from_line(line)?;
/// let error = outcome.text().unwrap_err();
/// assert!(error.is_refusal());
/// assert_eq!(
///     error.to_string(),
///     r#"outcome "row-1": wanted a text, but found a refusal: "I cannot say.""#
/// );
/// assert_eq!(error.outcome().usage().map(|usage| usage.total_tokens), Some(9));
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone)]
pub struct OutcomeError(Box<Repr>);

#[derive(Clone)]
struct Repr {
    outcome: Outcome,
    kind: Kind,
    message: String,
}

/// What there was instead. Private: the predicates are the interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The line did not succeed.
    Unanswered,
    /// The model refused.
    Refusal,
    /// The answer ends before its end.
    CutOff,
    /// The service held the answer back.
    Filtered,
    /// The model called tools.
    ToolCalls,
    /// There are so many of what was wanted once.
    Several(usize),
    /// There is text, but no JSON of the type.
    NotTheType,
    /// Anything else.
    Other,
}

impl OutcomeError {
    pub(super) fn new(outcome: &Outcome, wanted: &str, kind: Kind, found: impl fmt::Display) -> Self {
        let message = format!("outcome {:?}: wanted {wanted}, but {found}", shortened(outcome.custom_id(), 100));
        Self(Box::new(Repr { outcome: outcome.clone(), kind, message }))
    }

    pub(super) fn other(outcome: &Outcome, wanted: &str, found: impl fmt::Display) -> Self {
        Self::new(outcome, wanted, Kind::Other, format_args!("found {found}"))
    }

    /// The error of a line that has nothing to be read.
    pub(super) fn unanswered(outcome: &Outcome, wanted: &str) -> Self {
        if outcome.is_succeeded() {
            return Self::other(outcome, wanted, "no body");
        }
        let mut found = match outcome.kind() {
            OutcomeKind::Missing => "the request line has no answer",
            OutcomeKind::Unreadable => "the answer to the request line cannot be read",
            OutcomeKind::Expired => "the request line expired",
            OutcomeKind::Cancelled => "the request line was cancelled",
            OutcomeKind::Failed | OutcomeKind::Succeeded => "the request line failed",
        }
        .to_owned();
        if let Some(status) = outcome.status_code() {
            found.push_str(&format!(", with status {status}"));
        }
        let words = [outcome.error_code(), outcome.error_message()];
        for word in words.into_iter().flatten() {
            found.push_str(&format!(": {}", clip(word)));
        }
        Self::new(outcome, wanted, Kind::Unanswered, found)
    }

    /// The request line did not succeed: there is nothing to read. Its [`kind`](Outcome::kind) tells more.
    pub fn is_unanswered(&self) -> bool {
        self.0.kind == Kind::Unanswered
    }

    /// The model refused to answer.
    pub fn is_refusal(&self) -> bool {
        self.0.kind == Kind::Refusal
    }

    /// The answer was cut off at a limit of tokens: ask again with a higher one.
    pub fn is_cut_off(&self) -> bool {
        self.0.kind == Kind::CutOff
    }

    /// The service held the answer back because of its content.
    pub fn is_filtered(&self) -> bool {
        self.0.kind == Kind::Filtered
    }

    /// The model called tools instead: see [`Outcome::tool_calls`].
    pub fn is_tool_calls(&self) -> bool {
        self.0.kind == Kind::ToolCalls
    }

    /// There are several of what was asked for once: [`count`](Self::count) says how many. [`Outcome::texts`] gives each
    /// text, [`Outcome::embeddings`] each vector.
    pub fn is_several(&self) -> bool {
        self.count().is_some()
    }

    /// How many there are of what was asked for once, when there are several: answers or messages of the model, parts of
    /// a text that is to be JSON, or vectors.
    pub fn count(&self) -> Option<usize> {
        match self.0.kind {
            Kind::Several(count) => Some(count),
            _ => None,
        }
    }

    /// The answer is whole, but is no JSON of the type that was asked for.
    pub fn is_not_the_type(&self) -> bool {
        self.0.kind == Kind::NotTheType
    }

    /// What there was instead, in words.
    #[cfg(feature = "expect")]
    pub(crate) fn found(&self) -> &str {
        self.0.message.split_once(", but ").map_or(self.0.message.as_str(), |(_, found)| found)
    }

    /// The outcome, with the raw answer and its usage.
    pub fn outcome(&self) -> &Outcome {
        &self.0.outcome
    }

    /// The outcome, taken out of the error.
    pub fn into_outcome(self) -> Outcome {
        self.0.outcome
    }

    /// The tokens that were paid for all the same.
    pub fn usage(&self) -> Option<Usage> {
        self.outcome().usage()
    }
}

impl fmt::Debug for OutcomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OutcomeError")
            .field("kind", &self.0.kind)
            .field("message", &self.0.message)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for OutcomeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl StdError for OutcomeError {}

/// The first words of a text, on one line.
pub(super) fn clip(text: &str) -> String {
    const LONGEST: usize = 200;
    let mut clipped: String = text.chars().take(LONGEST).map(|c| if c.is_control() { ' ' } else { c }).collect();
    if text.chars().nth(LONGEST).is_some() {
        clipped.push('…');
    }
    clipped
}
