//! Owns what `cargo xtask` does, as a library so that tests can call it; never linked by anything that is published.
//!
//! It depends on `lote-lines`, for the schemas of the lines, and on no other crate of the workspace: it has to work
//! while they do not compile.

pub mod archive;
pub mod bench;
pub mod ci;
pub mod client;
pub mod codegen;
pub mod drift;
pub mod files;
pub mod fragment;
pub mod lint;
pub mod night;
pub mod notes;
pub mod outside;
pub mod packages;
pub mod report;
pub mod schemas;
pub mod style;
pub mod table;
pub mod tee;
pub mod yaml;
