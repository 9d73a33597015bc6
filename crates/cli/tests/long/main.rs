//! Process tests that take all that the machine has, in a program of their own: those of the commands run beside each
//! other, and some have deadlines. `cargo xtask night` runs these at length.

#[cfg(target_os = "linux")]
mod cases;
#[path = "../cli/common.rs"]
#[expect(dead_code, reason = "most of it is for the tests of the commands")]
mod common;
#[cfg(target_os = "linux")]
mod full;
#[cfg(unix)]
mod kills;
#[cfg(target_os = "linux")]
mod matrix;
#[cfg(target_os = "linux")]
mod modes;
#[cfg(target_os = "linux")]
mod proxy;
#[cfg(target_os = "linux")]
mod scene;
#[path = "../cli/service.rs"]
#[expect(dead_code, reason = "most of it is for the tests of the commands")]
mod service;
#[cfg(target_os = "linux")]
mod size;
#[cfg(unix)]
mod sync;
#[cfg(target_os = "linux")]
mod trace;
