//! The outcome of one request line, and the views of its answer.

mod embedding;
mod error;
mod fetch;
mod image;
pub(crate) mod json;
mod read;
mod reply;
mod views;

use std::{borrow::Cow, fmt, ops::Range};

use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

pub use embedding::Embedding;
pub use error::OutcomeError;
pub use fetch::FetchOutcomes;
pub use image::{Image, ImageData};
pub use read::Outcomes;
pub use reply::{FinishReason, ToolCall};

use crate::{
    Error, OutcomeKind, Usage,
    lines::{Answer, Shortfall, replace_lone_surrogates},
};

/// What became of one request line: its answer, or why there is none.
///
/// It has one of six [kinds](Self::kind). Of an answer that succeeded, [`is_cut_off`](Self::is_cut_off),
/// [`is_filtered`](Self::is_filtered) and [`is_refused`](Self::is_refused) tell whether it is less than was asked for.
///
/// The views ([`text`](Self::text), [`json`](Self::json), [`tool_calls`](Self::tool_calls),
/// [`embeddings`](Self::embeddings), [`images`](Self::images), …) read the answer of every endpoint that has such a
/// thing. Each fails with an [`OutcomeError`] that says what there was instead and keeps the outcome, which may have
/// been paid for. Each reads the answer anew: keep what it gives rather than asking twice.
///
/// ```
/// use lote::{Outcome, OutcomeKind};
///
/// let line = r#"{"id":"b1","custom_id":"row-1","response":{"status_code":200,"request_id":"r1","body":
///     {"choices":[{"message":{"content":"{\"good\":true}"},"finish_reason":"stop"}],"usage":{"total_tokens":12}}
/// },"error":null}"#.replace('\n', "");
/// let outcome = Outcome::from_line(line)?;
/// assert_eq!((outcome.custom_id(), outcome.kind()), ("row-1", OutcomeKind::Succeeded));
/// assert_eq!(outcome.usage().map(|usage| usage.total_tokens), Some(12));
///
/// #[derive(serde::Deserialize)]
/// struct Verdict { good: bool }
/// assert!(outcome.json::<Verdict>()?.good);
///
/// let error = outcome.embeddings().unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     r#"outcome "row-1": wanted embeddings, but found a text of 13 characters"#
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Outcome {
    line: String,
    kind: OutcomeKind,
    custom_id: String,
    id: Option<String>,
    status_code: Option<u16>,
    request_id: Option<String>,
    model: Option<String>,
    usage: Option<Usage>,
    error_code: Option<String>,
    error_message: Option<String>,
    shortfall: Shortfall,
    body: Body,
}

/// The body within the line, or beside it when it had to be decoded.
#[derive(Clone)]
enum Body {
    None,
    InLine(Range<usize>),
    Decoded(Box<RawValue>),
}

impl fmt::Debug for Outcome {
    /// Without the answer, which may be large and private.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Outcome")
            .field("custom_id", &self.custom_id)
            .field("kind", &self.kind)
            .field("status_code", &self.status_code)
            .field("request_id", &self.request_id)
            .field("usage", &self.usage)
            .field("error_code", &self.error_code)
            .field("error_message", &self.error_message)
            .finish_non_exhaustive()
    }
}

impl Outcome {
    /// Reads one result line, in whatever shape its service writes it. Lines of several services, odd ones among them:
    /// an error beside the response, a body that is a text of JSON, status codes as text.
    ///
    /// # Errors
    /// One that [`is_undecodable`](Error::is_undecodable) when the line is not one JSON object with a `custom_id`.
    pub fn from_line(line: impl Into<String>) -> Result<Self, Error> {
        let line = line.into();
        let answer = Answer::parse(line.as_bytes()).map_err(|error| Error::unreadable(error.to_string()))?;
        let body = match answer.body() {
            None => Body::None,
            Some(body) => match (repaired(&body), body) {
                (Some(repaired), _) => Body::Decoded(repaired),
                (None, Cow::Borrowed(body)) => {
                    // The body borrows from the line, so its address says where it stands in it.
                    let start = body.get().as_ptr() as usize - line.as_ptr() as usize;
                    Body::InLine(start..start + body.get().len())
                }
                (None, Cow::Owned(body)) => Body::Decoded(body),
            },
        };
        Ok(Self {
            kind: answer.outcome(),
            custom_id: answer.custom_id.clone().into_owned(),
            id: answer.id.clone().map(Into::into),
            status_code: answer.status_code(),
            request_id: answer.request_id().map(Into::into),
            model: answer.model(),
            usage: answer.usage(),
            error_code: answer.error_code(),
            error_message: answer.error_message(),
            shortfall: answer.shortfall(),
            body,
            line,
        })
    }

    /// Which of the six ends the request line came to.
    pub fn kind(&self) -> OutcomeKind {
        self.kind
    }

    /// Whether there is an answer: a status of 2xx, no error, and a body that holds what was asked for.
    pub fn is_succeeded(&self) -> bool {
        self.kind == OutcomeKind::Succeeded
    }

    /// Whether the service answered, but with an error or with nothing.
    pub fn is_failed(&self) -> bool {
        self.kind == OutcomeKind::Failed
    }

    /// Whether it was not run because the completion window was over.
    pub fn is_expired(&self) -> bool {
        self.kind == OutcomeKind::Expired
    }

    /// Whether it was not run because the batch was cancelled.
    pub fn is_cancelled(&self) -> bool {
        self.kind == OutcomeKind::Cancelled
    }

    /// Whether there is a line of its answer that nobody can read. [`error_message`](Self::error_message) says where.
    pub fn is_unreadable(&self) -> bool {
        self.kind == OutcomeKind::Unreadable
    }

    /// Whether the service gave no line for it.
    pub fn is_missing(&self) -> bool {
        self.kind == OutcomeKind::Missing
    }

    /// Whether it succeeded, but the answer ends at a limit of tokens.
    pub fn is_cut_off(&self) -> bool {
        self.is_succeeded() && self.shortfall.cut_off
    }

    /// Whether it succeeded, but the service held the answer, or a part of it, back because of its content.
    pub fn is_filtered(&self) -> bool {
        self.is_succeeded() && self.shortfall.filtered
    }

    /// Whether it succeeded, but the model refused: [`refusal`](Self::refusal) has its words.
    pub fn is_refused(&self) -> bool {
        self.is_succeeded() && self.shortfall.refused
    }

    /// The name that the request line was given.
    pub fn custom_id(&self) -> &str {
        &self.custom_id
    }

    /// The service's id of the answer.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The HTTP status of the answer; none when the request never got one.
    pub fn status_code(&self) -> Option<u16> {
        self.status_code
    }

    /// The service's id of the HTTP request, to name when asking its support.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// The model that answered.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// The tokens that were used, as far as the answer says: what was paid for. A failed line may have some too.
    pub fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// The error's name for programs, such as `batch_expired` or `rate_limit_exceeded`, wherever the service put it;
    /// `missing` when the service gave no line. None for an answer that succeeded.
    pub fn error_code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }

    /// The error's message, wherever the service put it. None for an answer that succeeded.
    pub fn error_message(&self) -> Option<&str> {
        self.error_message.as_deref()
    }

    /// The body of the answer as JSON: what the endpoint gives outside of a batch. Some services write it as a text of
    /// JSON, which is decoded here. Half of a surrogate pair, which no text can hold, is U+FFFD here and in every view;
    /// [`line`](Self::line) has it as it came.
    pub fn body(&self) -> Option<&str> {
        match &self.body {
            Body::None => None,
            Body::InLine(range) => self.line.get(range.clone()),
            Body::Decoded(body) => Some(body.get()),
        }
    }

    /// The body of the answer as a type of one's own, such as that of another crate.
    ///
    /// # Errors
    /// When there is no body, or it is no `T`. That the line failed is no error here: its body tells of the failure.
    pub fn body_as<T: DeserializeOwned>(&self) -> Result<T, OutcomeError> {
        let wanted = "a body";
        let body = self.body().ok_or_else(|| OutcomeError::unanswered(self, wanted))?;
        serde_json::from_str(body)
            .map_err(|error| OutcomeError::other(self, wanted, format!("one of another type: {error}")))
    }

    /// The line as it stands in the file, without its ending.
    pub fn line(&self) -> &str {
        &self.line
    }
}

/// The body with U+FFFD in place of what no text can hold, if there is any.
fn repaired(body: &RawValue) -> Option<Box<RawValue>> {
    match replace_lone_surrogates(body.get()) {
        Cow::Borrowed(_) => None,
        Cow::Owned(repaired) => RawValue::from_string(repaired).ok(),
    }
}
