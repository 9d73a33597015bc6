//! Process tests that take all that the machine has, in a program of their own: those of the commands run beside each
//! other, and some have deadlines. `cargo xtask night` runs these at length.

#[path = "../cli/common.rs"]
#[expect(dead_code, reason = "most of it is for the tests of the commands")]
mod common;
#[cfg(unix)]
mod kills;
#[path = "../cli/service.rs"]
#[expect(dead_code, reason = "most of it is for the tests of the commands")]
mod service;
#[cfg(target_os = "linux")]
mod size;
