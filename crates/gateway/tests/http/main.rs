//! The gateway seen from outside: plain HTTP, one file for each subject. Never uses our own client,
//! so that the two can disagree. (One binary, because linking eight takes longer than running them.)

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod cancel;
mod common;
mod content;
mod contract;
mod directives;
mod errors;
mod lifecycle;
mod limits;
mod pages;
mod tenants;
mod validation;
