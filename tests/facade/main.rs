//! Owns the list of the tests of the facade, one binary; never a test itself.

mod blocking;
mod common;
mod conformance;
mod connections;
mod downloads;
mod environment;
mod facts;
mod good;
mod guide;
mod idempotency;
mod mirror;
mod odd;
mod options;
mod outcomes;
mod read_back;
mod readme;
mod recordings;
mod request_files;
mod requests;
mod runs;
mod semver;
mod tracing;
mod views;
mod waits;
