//! Owns the command line; never business logic.
fn main() {}
