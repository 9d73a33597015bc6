//! Owns the contract and what the generator makes of it, as text; never anything that a user of `lote` links.

/// openapi.yaml, as committed.
pub const OPENAPI: &str = include_str!("../openapi.yaml");

/// The client that build.rs has made of it.
pub const GENERATED: &str = include_str!(concat!(env!("OUT_DIR"), "/client.rs"));
