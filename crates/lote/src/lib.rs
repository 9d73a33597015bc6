//! Batches of LLM requests: a client for the batch and file endpoints of the MKA1 gateway and of the OpenAI-style
//! services that it resembles.
//!
//! ```
//! # async fn example(gateway: &lote_gateway::Gateway) -> Result<(), Box<dyn std::error::Error>> {
//! use lote::{Client, Endpoint, UploadPurpose};
//!
//! # let (url, file) = (gateway.url(), tempfile::NamedTempFile::new()?);
//! # std::fs::write(&file, "{\"custom_id\":\"a\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"auto\",\"messages\":[{\"role\":\"user\",\"content\":\"1 + 1?\"}]}}\n")?;
//! # let requests = file.path();
//! # let mut answered = 0;
//! let client = Client::builder().base_url(&url).api_key("mk-…").build()?;
//!
//! let upload = client.files().upload(requests, UploadPurpose::Batch);
//! let input = upload.send().await?;
//! let create = client.batches().create(&input.id, Endpoint::ChatCompletions);
//! let batch = create.metadata("run", "7").send().await?;
//!
//! let waited = client.batches().wait(&batch.id).until_over().await;
//! let batch = waited.ended()?.completed()?;
//! for outcome in client.batches().outcomes(&batch, requests).fetch().await? {
//!     let outcome = outcome?;
//!     match outcome.text() {
//!         Ok(text) => println!("{}: {text}", outcome.custom_id()),
//!         Err(error) => println!("{error}"),
//!     }
//! #   answered += usize::from(outcome.text().is_ok());
//! }
//! # assert_eq!(answered, 1);
//! # Ok(())
//! # }
//! # tokio::runtime::Runtime::new().unwrap().block_on(async {
//! #     let gateway = lote_gateway::Gateway::builder().start().await.unwrap();
//! #     example(&gateway).await.unwrap();
//! # });
//! ```
//!
//! From a file of requests to a file of results in one call: [`run::Run`]. Request lines from types: [`request`]. What
//! became of each of them, as types: [`Outcome`]. For scripts, without `async`: the feature `blocking`.
//!
//! # Features
//! - `rustls`, the default: TLS by rustls, which trusts the root certificates of the machine. Its cryptography is what the
//!   process has installed (`rustls::crypto::CryptoProvider`), or else ring, which is installed with the first client.
//! - `native-tls`: TLS by the operating system's library, also where `rustls` is on.
//! - `bundled-roots`: Mozilla's root certificates, compiled in, in place of the machine's.
//! - `blocking`: the same client without `async`, for scripts and threads, `lote::blocking`.
//! - `compressed`: files of lines that are compressed with gzip or zstd are read like others.
//! - `webhook`: the receiver of OpenAI's events, `lote::webhook`.
//! - `schema`, the other default: structured outputs and tools from Rust types, by schemars.
//! - `expect`: answers are held against a JSON Schema.
//! - `tokens`: the tokens of prompts are counted, by tiktoken, in place of estimated.
#![cfg_attr(docsrs, feature(doc_cfg))]

mod batch;
mod batches;
#[cfg(feature = "blocking")]
pub mod blocking;
mod blocks;
pub mod bound;
mod call;
mod client;
mod collect;
mod completed;
mod content;
mod deadline;
mod dialect;
mod error;
mod error_answer;
pub mod expect;
mod fetch;
mod field;
mod file;
mod files;
#[cfg(all(doc, not(doctest)))]
pub mod guide;
mod heavy;
mod id;
mod late;
mod names;
mod options;
mod outcome;
mod page;
mod policy;
pub mod prices;
pub mod request;
pub mod run;
#[doc(hidden)]
pub mod save;
mod secrets;
mod settings;
pub mod text;
mod time;
mod tokens;
mod unused;
mod upload;
mod wait;
#[cfg(feature = "webhook")]
pub mod webhook;

pub use batch::{Batch, RequestCounts, ValidationError};
pub use batches::{Batches, CreateBatch, ListBatches};
pub use client::{Client, ClientBuilder};
pub use completed::NotCompleted;
pub use content::Content;
pub use dialect::{Dialect, DialectChoice};
pub use error::Error;
pub use file::{Deletion, File};
pub use files::{Files, ListFiles};
pub use id::{BatchId, FileId};
pub use late::LateFiles;
/// The JSONL formats: request lines and result lines, read and checked as streams.
pub use lote_lines as lines;
pub use lote_lines::{OutcomeKind, Usage};
pub use names::{Endpoint, FilePurpose, FileStatus, Order, Status, UploadPurpose};
pub use options::BatchOptions;
pub use outcome::{
    Embedding, FetchOutcomes, FinishReason, Image, ImageData, Outcome, OutcomeError, Outcomes, ToolCall,
};
pub use page::Page;
pub use policy::{Cadence, Retry, Tolerance};
pub use time::UnixSeconds;
pub use upload::{ExpiresAfter, Upload};
pub use wait::{Look, Wait, WaitAll, WaitError, Waited};

/// The generated client, for what the facade does not do. No stability is promised here.
pub mod raw {
    pub use lote_client::*;

    /// The generated client that this client makes its calls with, with its key and its limits on time.
    pub fn client(client: &crate::Client) -> &Client {
        client.shared().calls()
    }

    /// Brings the JSON answer of an operation, such as `get_batch`, to the contract's shape, as this dialect's client does
    /// before it reads one.
    pub fn to_contract(dialect: &crate::Dialect, operation: &str, answer: &mut serde_json::Value) {
        dialect.to_contract(operation, answer);
    }
}
