//! From a user's rows to request lines.

pub(crate) mod body;
pub(crate) mod findings;
pub(crate) mod json;
pub(crate) mod output;
pub(crate) mod quotes;
pub(crate) mod rows;
pub(crate) mod template;
pub(crate) mod value;
