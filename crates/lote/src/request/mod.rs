//! Request lines from types: a builder for each endpoint that people batch, and files of their lines.
//!
//! ```
//! use lote::request::{ChatCompletion, RequestFile};
//!
//! # let folder = tempfile::tempdir()?;
//! # let path = folder.path().join("requests.jsonl");
//! let judge = ChatCompletion::new("gpt-4o-mini")
//!     .system("Is the review good? Answer yes or no.")
//!     .temperature(0.0);
//! let mut file = RequestFile::create(&path)?;
//! for (number, review) in ["Great!", "Never again."].iter().enumerate() {
//!     file.push(&judge.clone().user(*review).line(format!("review-{number}"))?)?;
//! }
//! assert_eq!(file.finish()?.lines, 2);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`ChatCompletion`], [`ModelResponse`], [`Embeddings`] and [`ImageGeneration`] cover what is often sent; each takes
//!   [`field`](ChatCompletion::field) for the rest, and [`RequestLine::raw`] takes a body of any type.
//! - [`json_output`](ChatCompletion::json_output) asks for an answer of a Rust type;
//!   [`Outcome::json`](crate::Outcome::json) reads it.
//! - [`strict_faults`] says what of a schema of your own strict mode refuses, and where.
//! - [`RequestLines`] makes many lines that differ in their content alone.
//! - [`CustomId`] derives names that every service takes.

mod body;
mod chat;
mod content;
mod custom_id;
mod embeddings;
mod file;
mod image;
mod message;
mod response;
mod rows;
mod schema;
mod tool;

pub use chat::{ChatCompletion, ReasoningEffort};
pub use content::{AudioFormat, Content, ImageDetail, Part};
pub use custom_id::CustomId;
pub use embeddings::{Embeddings, EncodingFormat, Input};
pub use file::{RequestFile, Written};
pub use image::ImageGeneration;
pub use lote_lines::RequestLine;
pub use message::{Message, Messages};
pub use response::ModelResponse;
pub use rows::{Request, RequestLines};
pub use schema::{SchemaFault, strict_faults};
pub use tool::{Tool, ToolChoice};

use serde_json::{Map, Value};

use crate::{Endpoint, Error, lines};

/// The two ways in which conversations are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wire {
    Chat,
    Responses,
}

/// A request line of a body that is made.
fn line(custom_id: String, endpoint: Endpoint, body: Map<String, Value>) -> Result<RequestLine, Error> {
    if custom_id.is_empty() {
        return Err(Error::invalid(
            "custom_id is empty; answers are told apart by it alone, so give each line its own",
        ));
    }
    Ok(RequestLine::new(custom_id, endpoint.as_str(), body))
}

impl From<lines::NotJson> for Error {
    fn from(error: lines::NotJson) -> Self {
        Self::invalid(format!("body: {error}"))
    }
}

impl From<Endpoint> for String {
    /// The spelling on the wire, as the `url` of a request line has it.
    fn from(endpoint: Endpoint) -> Self {
        endpoint.as_str().to_owned()
    }
}
