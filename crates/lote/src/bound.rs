//! The range of every number of the contract, each with what it counts.
//!
//! The numbers are those of openapi.yaml, which a test compares with these.

use crate::Error;

/// An inclusive range of integers, and what it is a range of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bound {
    /// What is counted, in words: `seconds since the Unix epoch`.
    pub what: &'static str,
    /// The least value.
    pub min: i64,
    /// The greatest value.
    pub max: i64,
}

impl Bound {
    const fn new(what: &'static str, min: i64, max: i64) -> Self {
        Self { what, min, max }
    }

    /// Gives the value back if it is in the range.
    ///
    /// # Errors
    /// One that [`is_out_of_range`](Error::is_out_of_range) and names the field, the value and the range.
    pub fn check(&self, field: &str, value: i64) -> Result<i64, Error> {
        if self.min <= value && value <= self.max { Ok(value) } else { Err(self.refuse(field, &value.to_string())) }
    }

    /// The error for a value that is no i64 at all, or not in the range.
    pub(crate) fn refuse(&self, field: &str, value: &str) -> Error {
        let Self { what, min, max } = self;
        let range = match *max {
            i64::MAX => format!("{min} or more"),
            _ => format!("from {min} to {max}"),
        };
        Error::out_of_range(format!("{field}: {value} is out of range: {what}, {range}"))
    }
}

/// 2^53 - 1, the greatest integer that every JSON reader keeps exactly.
const SAFE: i64 = 9_007_199_254_740_991;

/// Every instant of a batch or file. Source: MKA1's pages "create a batch" and "get a batch".
pub const UNIX_SECONDS: Bound = Bound::new("seconds since the Unix epoch", -SAFE, SAFE);
/// The size of a file. Source: MKA1's page "upload a file".
pub const FILE_BYTES: Bound = Bound::new("bytes", -SAFE, SAFE);
/// The batches that a page holds. Source: MKA1's page "list batches".
pub const BATCH_PAGE: Bound = Bound::new("batches on a page", 1, 100);
/// The files that a page holds. Source: MKA1's page "list files".
pub const FILE_PAGE: Bound = Bound::new("files on a page", 1, 10_000);
/// The lines of a batch that may be in flight at once. The ceiling is a setting of the gateway that no source gives.
pub const MAX_CONCURRENCY: Bound = Bound::new("lines in flight", 1, i64::MAX);
/// How long a file is kept. Source: OpenAI's `expires_after` and `output_expires_after`.
pub const EXPIRES_AFTER: Bound = Bound::new("seconds after the file was made", 3_600, 2_592_000);
/// The lines of a batch, in all or with one outcome.
pub const LINES: Bound = Bound::new("request lines", 0, i64::MAX);
/// The tokens of a batch.
pub const TOKENS: Bound = Bound::new("tokens", 0, i64::MAX);
/// A line of a file, counted from 1. The contract states no range.
pub(crate) const LINE_NUMBER: Bound = Bound::new("a line number", i64::MIN, i64::MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_pass_and_one_beyond_is_refused() {
        for bound in [UNIX_SECONDS, FILE_BYTES, BATCH_PAGE, FILE_PAGE, EXPIRES_AFTER] {
            assert_eq!(bound.check("x", bound.min).unwrap(), bound.min);
            assert_eq!(bound.check("x", bound.max).unwrap(), bound.max);
            for value in [bound.min - 1, bound.max + 1] {
                let error = bound.check("the_field", value).unwrap_err();
                assert!(error.is_out_of_range());
                assert!(error.to_string().starts_with(&format!("the_field: {value} is out of range")), "{error}");
            }
        }
        assert!(MAX_CONCURRENCY.check("x", 0).unwrap_err().to_string().ends_with("lines in flight, 1 or more"));
    }
}
