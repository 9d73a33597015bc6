//! From a user's rows to request lines.

pub(crate) mod args;
pub(crate) mod ask;
pub(crate) mod body;
pub(crate) mod candidates;
mod explain;
pub(crate) mod fields;
pub(crate) mod findings;
pub(crate) mod json;
pub(crate) mod make;
pub(crate) mod output;
pub(crate) mod quotes;
pub(crate) mod rows;
pub(crate) mod schema;
mod suggest;
pub(crate) mod template;
pub(crate) mod text;
pub(crate) mod value;
