//! The gateway seen from outside: plain HTTP, one file for each subject, without our own client. (One binary, because linking eight takes longer than running them.)

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod async_openai;
mod bodies;
mod cancel;
mod clock;
mod common;
mod content;
mod contract;
mod directives;
mod errors;
mod faults_made;
mod faults_plan;
mod faults_results;
mod faults_wire;
mod journal;
mod lifecycle;
mod limits;
mod operators;
mod page;
mod pages;
mod replay;
mod requests;
mod requests_faults;
mod requests_keys;
mod requests_stream;
mod stored;
mod tenants;
mod upstream;
mod validation;
mod webhooks;
mod wire;
