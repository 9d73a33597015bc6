//! Owns the list of the tests of the facade, one binary; never a test itself.

mod common;
mod downloads;
mod good;
mod odd;
mod readme;
mod runs;
mod waits;
