//! What answers are to be: JSON of a schema, of one for all or of that which each line asks for. Whether an answer fits is
//! told by the feature `expect`; what is done with that is told everywhere.

use std::{fmt, sync::Arc};

use crate::{
    Outcome,
    lines::{FitTally, Unfit, UnfitKind},
};

#[cfg(feature = "expect")]
mod asked;
#[cfg(feature = "expect")]
mod schema;
mod watching;

pub use watching::Watching;

/// What the answers of a run are to be, for [`Run::expect`](crate::run::Run::expect): JSON of a schema. It is made with the
/// feature `expect`, by `Expect::schema`, `Expect::load` or `Expect::requested`.
#[derive(Clone)]
pub struct Expect(Arc<dyn Judge>);

/// Says whether an answer is what was expected.
trait Judge: Send + Sync {
    /// What is expected: the same for no two expectations that differ.
    fn name(&self) -> &str;

    /// Whether that is in the request lines.
    fn is_in_requests(&self) -> bool;

    /// Whether the answer to this request line, which succeeded, is that.
    fn judge(&self, request: &[u8], outcome: &Outcome) -> Verdict;
}

/// What became of an answer that was held against what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(any(feature = "expect", test)),
    expect(dead_code, reason = "nothing can be expected without the feature")
)]
pub(crate) enum Verdict {
    Fits,
    /// Nothing was expected of it.
    Unasked,
    Unfit(Unfit),
}

impl fmt::Debug for Expect {
    /// Without the schema, which may be long.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Expect").field(&self.name()).finish()
    }
}

impl Expect {
    /// What is expected, in a word: `requested`, or the SHA-256 of the schema. It is in
    /// [`Fit::expected`](crate::lines::Fit::expected).
    pub fn name(&self) -> &str {
        self.0.name()
    }

    /// Whether it is the request lines that say what is expected.
    pub(crate) fn is_in_requests(&self) -> bool {
        self.0.is_in_requests()
    }

    /// Holds an answer against what is expected of it, given its request line; that is not looked at where one schema is
    /// expected of all. An outcome without an answer, and an answer of which nothing is expected, are as good as any.
    ///
    /// # Errors
    /// What it falls short of.
    pub fn check(&self, request: &str, outcome: &Outcome) -> Result<(), Unfit> {
        match outcome.is_succeeded().then(|| self.0.judge(request.as_bytes(), outcome)) {
            Some(Verdict::Unfit(unfit)) => Err(unfit),
            _ => Ok(()),
        }
    }

    /// Holds a result line against what is expected of it; none when it has no answer.
    pub(crate) fn judge(&self, request: &[u8], result: &[u8]) -> Option<Verdict> {
        let line = std::str::from_utf8(result).ok()?;
        let outcome = Outcome::from_line(line).ok().filter(Outcome::is_succeeded)?;
        Some(self.0.judge(request, &outcome))
    }

    /// Whether a result line has an answer that may well be another one when it is asked for again. Where a schema cannot
    /// be used, no answer would be better.
    pub(crate) fn is_unfit(&self, request: &[u8], result: &[u8]) -> bool {
        match self.judge(request, result) {
            Some(Verdict::Unfit(unfit)) => unfit.kind != UnfitKind::Unusable,
            _ => false,
        }
    }

    /// A count of answers that are held against this.
    pub(crate) fn tally(&self) -> FitTally {
        FitTally::new(self.name())
    }
}

/// An expectation of tests: what an answer says.
#[cfg(test)]
impl Expect {
    pub(crate) fn that(fits: fn(&str) -> bool) -> Self {
        struct That(fn(&str) -> bool);

        impl Judge for That {
            fn name(&self) -> &str {
                "that"
            }

            fn is_in_requests(&self) -> bool {
                false
            }

            fn judge(&self, _: &[u8], outcome: &Outcome) -> Verdict {
                match outcome.text() {
                    Ok(text) if (self.0)(&text) => Verdict::Fits,
                    Ok(_) => Verdict::Unfit(Unfit::new(UnfitKind::Mismatched, outcome.custom_id(), "")),
                    Err(_) => Verdict::Unasked,
                }
            }
        }

        Self(Arc::new(That(fits)))
    }
}

/// Counts an answer.
pub(crate) fn count(tally: &mut FitTally, verdict: Verdict) {
    match verdict {
        Verdict::Fits => tally.fits(),
        Verdict::Unasked => tally.unasked(),
        Verdict::Unfit(unfit) => tally.unfit(unfit),
    }
}
