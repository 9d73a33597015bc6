//! Owns the words for what became of a request line, and for what an answer falls short of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What became of one request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// There is an answer: the status code is 2xx, there is no error, and the body holds what was
    /// asked for. See [`Answer::shortfall`](crate::Answer::shortfall) for what is counted of it.
    Succeeded,
    /// Anything else that was answered: an error, a body without an answer, a response that failed.
    Failed,
    /// Never ran: the completion window was over (`batch_expired`).
    Expired,
    /// Never ran: the batch was cancelled (`batch_cancelled`).
    Cancelled,
    /// The service returned a line that cannot be read, or one of a shape that is not known.
    Unreadable,
    /// The service returned no line for the request.
    Missing,
}

impl OutcomeKind {
    /// The outcome as it is serialised, such as `succeeded`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Unreadable => "unreadable",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What an answer that succeeded falls short of. An answer with several choices falls short of what
/// any of them does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Shortfall {
    /// It ends at a limit of tokens (`length`, `max_tokens`), or the response is `incomplete`.
    pub cut_off: bool,
    /// The service held content back (`content_filter`).
    pub filtered: bool,
    /// The model refused.
    pub refused: bool,
}

impl Shortfall {
    /// Whether the answer falls short of nothing.
    #[must_use]
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    pub(crate) fn add(&mut self, other: Self) {
        let Self { cut_off, filtered, refused } = other;
        self.cut_off |= cut_off;
        self.filtered |= filtered;
        self.refused |= refused;
    }
}
