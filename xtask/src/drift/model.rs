//! What a document comes to: one normalised tree of what it covers of ours.

pub mod keywords;
pub mod node;
pub mod project;
pub mod schema;
pub mod variants;
pub mod wording;
