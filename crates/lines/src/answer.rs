//! Owns the tolerant reading of one result line of any service. It never corrects what a service
//! said, only the shape in which it said it, and never decides what to do about it.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error_text::{self, Said};
use crate::fields::fields;
use crate::raw::{self, Broken, Kind};
use crate::usage::Usage;

mod write;

pub use write::write_missing;
pub(crate) use write::{MISSING_CODE, MISSING_MESSAGE};

/// What became of one request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutcomeKind {
    /// A response is present, its status code is 2xx, and there is no error.
    Succeeded,
    /// Anything else that was answered.
    Failed,
    /// Never ran: the completion window was over (`batch_expired`).
    Expired,
    /// Never ran: the batch was cancelled (`batch_cancelled`).
    Cancelled,
    /// The service returned no line for the request.
    Missing,
}

impl OutcomeKind {
    /// The outcome as it is serialised, such as `succeeded`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Expired => "expired",
            Self::Cancelled => "cancelled",
            Self::Missing => "missing",
        }
    }
}

impl fmt::Display for OutcomeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One result line, read without building a tree: it borrows from the line, and neither the size
/// nor the depth of a body matters.
///
/// Fields that nobody knows are passed over, an absent field is the same as null, and of a key
/// that is given twice the last one counts, as in nearly every JSON reader.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// The custom_id; one that is given as a number is taken as its digits.
    pub custom_id: Cow<'a, str>,
    /// The service's id of the answer.
    pub id: Option<Cow<'a, str>>,
    /// The response as it stands in the line; `None` when absent or null.
    pub response: Option<&'a RawValue>,
    /// The error as it stands in the line; `None` when it is absent or says nothing: null, an
    /// empty text, or an object of nothing but nulls and empty texts.
    pub error: Option<&'a RawValue>,
    raw_id: Option<&'a str>,
    raw_custom_id: &'a str,
    parts: Parts<'a>,
}

/// What stands directly in the response.
#[derive(Debug, Clone, Copy, Default)]
struct Parts<'a> {
    status_code: Option<&'a str>,
    request_id: Option<&'a str>,
    body: Option<&'a str>,
}

/// What is counted of a body.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    /// What the body is, once it is decoded; `None` when absent or null.
    pub(crate) kind: Option<Kind>,
    pub(crate) model: Option<String>,
    pub(crate) usage: Option<Usage>,
}

impl<'a> Answer<'a> {
    /// Reads one line, without its line ending.
    ///
    /// # Errors
    ///
    /// When the line is not UTF-8, not exactly one JSON object, or names no custom_id.
    pub fn parse(line: &'a [u8]) -> Result<Self, Unreadable> {
        let text = std::str::from_utf8(line).map_err(|error| Unreadable {
            kind: UnreadableKind::NotUtf8,
            message: format!("invalid UTF-8 at column {}", error.valid_up_to() + 1),
        })?;
        let (mut custom_id, mut id, mut response, mut error) = (None, None, None, None);
        raw::entries(text, &mut |key, value| match key.as_ref() {
            "custom_id" => custom_id = Some(value.get()),
            "id" => id = not_null(value.get()),
            "response" => response = not_null(value.get()).map(|_| value),
            "error" => error = Some(value),
            _ => {}
        })?;
        let no_custom_id = || Unreadable {
            kind: UnreadableKind::NoCustomId,
            message: "the line has no custom_id that is a text".to_owned(),
        };
        let raw_custom_id = custom_id.ok_or_else(no_custom_id)?;
        Ok(Self {
            custom_id: raw::loose_text(raw_custom_id).ok_or_else(no_custom_id)?,
            id: id.and_then(raw::loose_text),
            response,
            error: error.filter(|error| !says_nothing(error.get())),
            raw_id: id,
            raw_custom_id,
            parts: response.map(|response| Parts::read(response.get())).unwrap_or_default(),
        })
    }

    /// Whether this line stands for no answer: it is what [`write_missing`] writes into joined results.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        write::is_missing(self)
    }

    /// What became of the request line. Never [`OutcomeKind::Missing`]; of joined results ask
    /// [`is_missing`](Self::is_missing) as well.
    #[must_use]
    pub fn outcome(&self) -> OutcomeKind {
        if let Some(error) = self.error {
            let error = error.get();
            return match error_text::read(error).code.as_deref().or(raw::text(error).as_deref()) {
                Some("batch_expired") => OutcomeKind::Expired,
                Some("batch_cancelled") => OutcomeKind::Cancelled,
                _ => OutcomeKind::Failed,
            };
        }
        match self.status_code() {
            Some(200..=299) => OutcomeKind::Succeeded,
            _ => OutcomeKind::Failed,
        }
    }

    /// The response's status code, also when it is given as text.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        let text = raw::loose_text(self.parts.status_code?)?;
        let text = text.trim();
        text.strip_suffix(".0").unwrap_or(text).parse().ok()
    }

    /// The service's id of the HTTP request.
    #[must_use]
    pub fn request_id(&self) -> Option<Cow<'a, str>> {
        raw::loose_text(self.parts.request_id?)
    }

    /// The response's body. One that is given as a text which holds a JSON object or array (OGX
    /// does) comes decoded; any other text stays the text. `None` when absent or null.
    #[must_use]
    pub fn body(&self) -> Option<Cow<'a, RawValue>> {
        let body = self.parts.body?;
        Some(match decoded(body) {
            Some(inner) => Cow::Owned(inner),
            None => Cow::Borrowed(serde_json::from_str(body).ok()?),
        })
    }

    /// The tokens that the body says were used.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.facts().usage
    }

    /// The model that the body names.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        self.facts().model
    }

    /// The error's code: its `code`, else its `type`, else those of the error in the body of a
    /// response that is not 2xx. `None` for an answer that succeeded.
    #[must_use]
    pub fn error_code(&self) -> Option<String> {
        self.error_words().0
    }

    /// The error's message, from wherever the service put it: the error object, the error as a
    /// text, the error in the body of a response that is not 2xx, or JSON inside a message.
    /// `None` for an answer that succeeded.
    #[must_use]
    pub fn error_message(&self) -> Option<String> {
        self.error_words().1
    }

    /// Code and message at once.
    pub(crate) fn error_words(&self) -> (Option<String>, Option<String>) {
        let Said { code, message } = self.error.map(|error| error_text::read(error.get())).unwrap_or_default();
        if (code.is_some() && message.is_some()) || matches!(self.status_code(), Some(200..=299)) {
            return (code, message);
        }
        let body = self.parts.body.map(error_text::read).unwrap_or_default();
        (code.or(body.code), message.or(body.message))
    }

    pub(crate) fn facts(&self) -> Facts {
        let mut facts = Facts::default();
        let Some(body) = self.parts.body else {
            return facts;
        };
        let inner = decoded(body);
        let body = inner.as_ref().map_or(body, |inner| inner.get());
        facts.kind = Some(Kind::of(body));
        fields(body, &mut |key, value| match key.as_ref() {
            "model" => facts.model = raw::text(value).map(Cow::into_owned),
            "usage" => facts.usage = Usage::read(value),
            _ => {}
        });
        facts
    }
}

impl<'a> Parts<'a> {
    fn read(response: &'a str) -> Self {
        let mut parts = Self::default();
        fields(response, &mut |key, value| match key.as_ref() {
            "status_code" => parts.status_code = not_null(value),
            "request_id" => parts.request_id = not_null(value),
            "body" => parts.body = not_null(value),
            _ => {}
        });
        parts
    }
}

fn not_null(value: &str) -> Option<&str> {
    (Kind::of(value) != Kind::Null).then_some(value)
}

/// The JSON object or array that a JSON string holds.
fn decoded(body: &str) -> Option<Box<RawValue>> {
    let text = raw::text(body)?;
    let inner = text.trim_matches(raw::is_json_space);
    if !inner.starts_with(['{', '[']) {
        return None;
    }
    RawValue::from_string(inner.to_owned()).ok()
}

/// Whether an error is as good as null.
fn says_nothing(error: &str) -> bool {
    let empty = |value: &str| matches!(value, "null" | "\"\"");
    if Kind::of(error) != Kind::Object {
        return empty(error);
    }
    let mut nothing = true;
    fields(error, &mut |_, value| nothing &= empty(value));
    nothing
}

/// Why a line cannot be read as a result line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    kind: UnreadableKind,
    message: String,
}

impl Unreadable {
    /// What kind of fault it is.
    #[must_use]
    pub fn kind(&self) -> UnreadableKind {
        self.kind
    }
}

/// What kind of fault makes a line unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnreadableKind {
    /// The line is not UTF-8.
    NotUtf8,
    /// The line is not exactly one JSON object; perhaps it was cut off.
    NotAnObject,
    /// The line names no custom_id.
    NoCustomId,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unreadable {}

impl From<Broken> for Unreadable {
    fn from(broken: Broken) -> Self {
        Self { kind: UnreadableKind::NotAnObject, message: broken.to_string() }
    }
}

impl Answer<'_> {
    /// Writes the line in the contract's shape, ended by LF: the keys `id`, `custom_id`,
    /// `response` and `error` in this order, all present, nothing else. What already has the
    /// right shape is kept byte for byte. Changed are: an error given as a text (it becomes
    /// `{"code":null,"message":…}`), an error whose code or message is absent or no text, a body
    /// given as JSON text, a status code given as text, an id given as a number, and a line break
    /// between values (it becomes a space).
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_normalised(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        write::normalised(self, out)
    }
}
