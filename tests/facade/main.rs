//! Owns the list of the tests of the facade, one binary; never a test itself.

mod common;
mod conformance;
mod downloads;
mod environment;
mod facts;
mod good;
mod idempotency;
mod odd;
mod readme;
mod recordings;
mod runs;
mod waits;
