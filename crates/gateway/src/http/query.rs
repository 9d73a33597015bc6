//! Query strings: cursors, page sizes, order, filters.

use std::convert::Infallible;
use std::ops::RangeInclusive;

use axum::extract::FromRequestParts;
use axum::extract::Query as RawQuery;
use axum::http::request::Parts;

use crate::error::{ApiError, quote};
use crate::state::UnknownCursor;

/// The decoded pairs of a query string. Names that an operation does not know are ignored.
#[derive(Debug)]
pub(crate) struct Params(Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        // Every query string is some list of pairs.
        let pairs = RawQuery::try_from_uri(&parts.uri).map_or_else(|_| Vec::new(), |query| query.0);
        Ok(Params(pairs))
    }
}

impl Params {
    /// The value of `name`; of several, the last.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The page size.
    pub(crate) fn limit(&self, range: RangeInclusive<usize>, default: usize) -> Result<usize, ApiError> {
        let Some(text) = self.get("limit") else { return Ok(default) };
        match text.parse() {
            Ok(limit) if range.contains(&limit) => Ok(limit),
            _ => Err(ApiError::param(
                "limit",
                format!(
                    "Invalid 'limit': expected an integer from {} to {}, got {}.",
                    range.start(),
                    range.end(),
                    quote(text)
                ),
            )
            .code("invalid_value")),
        }
    }

    /// Whether `order` asks for the oldest first.
    pub(crate) fn oldest_first(&self) -> Result<bool, ApiError> {
        match self.get("order") {
            None | Some("desc") => Ok(false),
            Some("asc") => Ok(true),
            Some(other) => Err(ApiError::unsupported("order", other, &["asc", "desc"])),
        }
    }

    /// The refusal of a cursor that is none.
    pub(crate) fn unknown_cursor(&self, UnknownCursor: UnknownCursor) -> ApiError {
        let after = quote(self.get("after").unwrap_or_default());
        ApiError::param("after", format!("Invalid 'after': {after} was never in this list."))
    }
}
