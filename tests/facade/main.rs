//! Owns the list of the tests of the facade, one binary; never a test itself.

mod common;
mod good;
mod odd;
mod outcomes;
mod readme;
mod request_files;
mod requests;
mod runs;
mod views;
