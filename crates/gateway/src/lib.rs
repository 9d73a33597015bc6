//! An embedded gateway for tests and trials: the nine batch and file operations of an LLM service, and the endpoints that
//! its batches are for, served for real, with no account and no network. It shares no code with the client, so that a mistake of one is seen by the other.
//!
//! It is served twice from one store: under `/api/v1/llm` it behaves as MKA1 does, under `/v1` as
//! OpenAI does. A batch walks the real lifecycle and its request lines are answered by a
//! deterministic built-in model, which reads the prompt and obeys directives in it:
//!
//! | directive | effect |
//! | --- | --- |
//! | `[[status=429]]` | the line fails with that HTTP status (400 to 599) and lands in the error file |
//! | `[[sleep=1500]]` | the line takes that many milliseconds (at most a day) |
//! | `[[fail=2:503]]` | the line fails twice with 503 inside the batch, is tried again, and succeeds |
//! | `[[retry-after=2]]` | beside one that refuses: says so in `Retry-After`, where there is no batch; a batch waits as long |
//!
//! A request that is sent alone, as `POST /v1/chat/completions`, is answered at once by the same model, with the same
//! directives: it is refused where a line would fail, and for `[[fail=2:503]]` it is the client who tries again.
//!
//! Directives may be combined. One that is not spelled exactly so is plain text.
//!
//! Whole operations misbehave as a plan of [`faults`] says; time can be virtual
//! ([`Builder::virtual_clock`]), and all that was done can be looked up ([`Builder::journal`]).
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let _ = rustls::crypto::ring::default_provider().install_default();
//! let gateway = lote_gateway::Gateway::builder().key("sk-test").start().await?;
//! let batches = format!("{}/v1/batches", gateway.url());
//!
//! let refused = reqwest::get(&batches).await?;
//! assert_eq!(refused.status(), 401);
//! let listed = reqwest::Client::new().get(&batches).bearer_auth("sk-test").send().await?;
//! assert_eq!(listed.status(), 200);
//!
//! gateway.shutdown().await;
//! # Ok(())
//! # }
//! ```
//!
//! Decisions where the services differ or say nothing:
//!
//! - An input file that does not exist (or is another tenant's, deleted, expired): under
//!   `/api/v1/llm` the create is refused with 404; under `/v1` the batch is created and then fails,
//!   as was seen of OpenAI. A file whose purpose is not `batch` is a 400 under `/api/v1/llm` and a
//!   failed batch under `/v1`.
//! - Cancelling a batch in `cancelling` returns it; in any terminal status it is a 409. A cancelled
//!   batch lets lines in flight finish for a short grace; every other unanswered line is written to
//!   the error file as `batch_cancelled`. One that is cancelled before it ran leaves no files.
//! - `after` with an id that was never listed is a 400; with one of the last 100,000 that were deleted, the
//!   listing continues where it stood.
//! - `request_counts` counts lines that ran; those that expired or were cancelled are in `total`
//!   only.
//! - `max_concurrency` above the gateway's ceiling is lowered to it, and the batch says so.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod answering;
mod app;
mod auth;
mod batches;
mod blobs;
mod builder;
mod clock;
mod config;
mod contract;
mod control;
mod error;
mod executor;
mod expiry;
mod failures;
pub mod faults;
mod files;
mod http;
mod idempotency;
mod ids;
mod journal;
mod keeping;
mod lease;
mod limits;
mod metrics;
mod model;
mod models;
mod notices;
mod operators;
mod outbox;
mod outside;
mod places;
#[cfg(debug_assertions)]
mod points;
mod post;
mod recorder;
mod replay;
mod requests;
mod routes;
mod run;
mod server;
mod settings;
mod state;
mod tenant;
pub mod upstream;
mod view;
pub mod webhook;
mod weight;
mod wrong;

/// What the tests in `tests/cluster` reach of this crate, which have servers of their own. It is for nobody else.
#[cfg(all(feature = "cluster", feature = "conformance"))]
#[doc(hidden)]
pub mod trial {
    pub use crate::blobs::object::trial::Store;
    pub use crate::state::postgres::trial::{Begun, Database, Failure, Value, state_failures};
}

/// The examples of the README, run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use builder::Builder;
pub use config::Config;
pub use journal::{Entry, Event};
pub use notices::Notice;
pub use replay::Replay;
pub use server::Gateway;
pub use wrong::ConfigError;
