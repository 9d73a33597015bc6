//! What is known and decided of each upstream, and how a finding stands to it.

pub mod decide;
pub mod judge;
pub mod mapping;
