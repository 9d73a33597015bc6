//! Where what is compared comes from: files, the network, pip.

pub mod document;
pub mod fetch;
pub mod package;
