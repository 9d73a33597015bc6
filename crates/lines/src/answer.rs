//! Owns the tolerant reading of one result line of any service. It never corrects what a service
//! said, only the shape in which it said it, and never decides what to do about it.

use std::borrow::Cow;
use std::cell::Cell;
use std::io::{self, Write};

use serde_json::value::RawValue;

use crate::error_text::{self, Said};
use crate::fields::{Walk, fields};
use crate::raw::{self, Kind};
use crate::tape::Tape;
use crate::usage::Usage;

mod body;
mod doubled;
mod outcome;
mod unreadable;
mod write;

pub(crate) use body::Body;
use doubled::Doubled;
pub use outcome::{OutcomeKind, Shortfall};
pub use unreadable::{Unreadable, UnreadableKind};
pub(crate) use write::{MISSING_CODE, MISSING_MESSAGE, Pieces, UNREADABLE_CODE, UNREADABLE_MESSAGE, write_unreadable};
pub use write::{write_error, write_missing};

thread_local! {
    /// The tape of the line that is read, so that not every line asks for memory.
    static TAPE: Cell<Tape> = const { Cell::new(Tape::EMPTY) };
}

/// The code of an answer that failed although nothing says so: its body holds no answer.
const NO_ANSWER_CODE: &str = "no_answer";
const NO_ANSWER_MESSAGE: &str = "the line has neither a response nor an error";

/// One result line, read without building a tree: it borrows from the line, and neither the size
/// nor the depth of a body matters.
///
/// Fields that nobody knows are passed over, and an absent field is the same as null. Of a key that is
/// given twice the last one counts, as in nearly every JSON reader, but null never hides what is not null.
/// Two custom_ids that differ make the line unreadable: nobody can say which of the two it answers.
#[derive(Debug, Clone)]
pub struct Answer<'a> {
    /// The custom_id; one that is given as a number is taken as its digits.
    pub custom_id: Cow<'a, str>,
    /// The service's id of the answer.
    pub id: Option<Cow<'a, str>>,
    /// The response, JSON as it stands in the line; `None` when absent or null.
    pub response: Option<&'a str>,
    /// The error, JSON as it stands in the line; `None` when it is absent or says nothing: null, false, 0, a text,
    /// array or object that is empty, or an object of nothing but these.
    pub error: Option<&'a str>,
    raw_id: Option<&'a str>,
    raw_custom_id: &'a str,
    parts: Parts<'a>,
    doubled: Doubled,
    seen: Body<'a>,
    /// The JSON that the body holds as a text.
    decoded: Option<Box<RawValue>>,
}

/// What stands directly in the response.
#[derive(Debug, Clone, Copy, Default)]
struct Parts<'a> {
    status_code: Option<&'a str>,
    request_id: Option<&'a str>,
    body: Option<&'a str>,
}

impl<'a> Answer<'a> {
    /// Reads one line, without its line ending.
    ///
    /// # Errors
    ///
    /// When the line is not UTF-8, not exactly one JSON object, names no custom_id or two different ones, or has
    /// neither a response nor an error in a shape that is known.
    pub fn parse(line: &'a [u8]) -> Result<Self, Unreadable> {
        let text = raw::utf8(line).map_err(|error| Unreadable::not_utf8(line, error.valid_up_to()))?;
        let mut tape = TAPE.take();
        let (mut custom_id, mut other_id, mut id, mut response) = (None, None, None, None);
        let mut response_at = 0;
        // Of several, the last one, and the last one that says something.
        let (mut error, mut saying) = (None, None);
        let mut doubled = Doubled::default();
        let walked = raw::entries_on(text, &mut tape, &mut |key, value, place| {
            doubled.note(&key);
            match key.as_ref() {
                "custom_id" => match (custom_id, not_null(value)) {
                    (Some(first), Some(next)) if !same_id(first, next) => other_id = Some(next),
                    (first, next) => custom_id = first.or(next),
                },
                "id" => id = not_null(value),
                "response" => {
                    if let Some(value) = not_null(value) {
                        (response, response_at) = (Some(value), place);
                    }
                }
                "error" => {
                    error = Some(value).filter(|error| !is_no_error(error));
                    saying = error.or(saying);
                }
                _ => {}
            }
        });
        walked.map_err(|broken| Unreadable::broken(text, &broken))?;
        let raw_custom_id = custom_id.ok_or_else(|| Unreadable::no_custom_id(text))?;
        if let Some(other) = other_id {
            return Err(Unreadable::two_custom_ids(text, raw_custom_id, other));
        }
        let custom_id = raw::id_text(raw_custom_id).ok_or_else(|| match Kind::of(raw_custom_id) {
            Kind::String => Unreadable::half_custom_id(text, raw_custom_id),
            _ => Unreadable::no_custom_id(text),
        })?;
        let error = if response.is_some() { error } else { saying };
        let mut answer = Self {
            custom_id,
            id: id.and_then(raw::loose_text),
            response,
            error,
            raw_id: id,
            raw_custom_id,
            parts: Parts::default(),
            doubled,
            seen: Body::absent(),
            decoded: None,
        };
        let mut walk = Walk::on(tape, text, response.unwrap_or_default(), response_at);
        let known = response.is_some() && answer.read_response(&mut walk);
        TAPE.set(walk.into_tape());
        let foreign = if known || error.is_some() { None } else { Unreadable::unknown_shape(text, response) };
        foreign.map_or(Ok(answer), Err)
    }

    /// Reads the response and its body in one walk. `false` when it is in no shape that is known.
    fn read_response(&mut self, walk: &mut Walk<'a>) -> bool {
        let mut known = false;
        let Self { parts, doubled, seen, decoded, .. } = self;
        walk.fields(&mut |key, walk| match key.as_ref() {
            "status_code" => {
                known = true;
                doubled.note("response.status_code");
                parts.status_code = not_null(walk.value()).or(parts.status_code);
            }
            "request_id" => parts.request_id = not_null(walk.value()),
            "body" => {
                known = true;
                doubled.note("response.body");
                if walk.kind() == Kind::Null && parts.body.is_some() {
                    return;
                }
                let from = walk.rest().unwrap_or_default();
                (*seen, *decoded) = body::read(walk);
                let left = walk.rest().unwrap_or_default();
                parts.body = from.get(..from.len() - left.len()).and_then(not_null);
            }
            _ => {}
        });
        // What a service says without a status is its own word as likely as a model's.
        if self.seen.is_plain && self.parts.status_code.is_none() {
            self.seen.lacks = Some(body::PLAIN_TEXT);
        }
        known
    }

    /// Whether this line stands for no answer: it is what [`write_missing`] writes into joined results.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        write::is_missing(self)
    }

    /// What became of the request line. Of a line that joining wrote in place of an answer, this is
    /// [`OutcomeKind::Missing`] or [`OutcomeKind::Unreadable`].
    #[must_use]
    pub fn outcome(&self) -> OutcomeKind {
        if let Some(error) = self.error {
            return match error_text::read(error).code.as_deref().or(raw::text(error).as_deref()) {
                Some("batch_expired") => OutcomeKind::Expired,
                Some("batch_cancelled") => OutcomeKind::Cancelled,
                Some(MISSING_CODE) if self.is_missing() => OutcomeKind::Missing,
                Some(UNREADABLE_CODE) if write::is_unreadable(self) => OutcomeKind::Unreadable,
                _ => OutcomeKind::Failed,
            };
        }
        if self.is_accepted() && self.seen.lacks.is_none() { OutcomeKind::Succeeded } else { OutcomeKind::Failed }
    }

    /// Whether the status code is 2xx, or the service left it out.
    fn is_accepted(&self) -> bool {
        matches!(self.parts.status_code, None | Some("200")) || matches!(self.status_code(), Some(200..=299))
    }

    /// What an answer that succeeded falls short of; nothing, if it did not succeed.
    #[must_use]
    pub fn shortfall(&self) -> Shortfall {
        if self.outcome() == OutcomeKind::Succeeded { self.seen.shortfall } else { Shortfall::default() }
    }

    /// The keys that the line gives twice.
    pub(crate) fn doubled(&self) -> Doubled {
        self.doubled
    }

    /// Where the parts of its result line stand in the line that it was parsed of, if each is kept as it is. It is one that
    /// succeeded.
    pub(crate) fn pieces(&self, line: &[u8]) -> Option<Pieces> {
        Pieces::of(self, line)
    }

    /// What the body says.
    pub(crate) fn seen(&self) -> &Body<'a> {
        &self.seen
    }

    /// The response's status code, also when it is given as text.
    #[must_use]
    pub fn status_code(&self) -> Option<u16> {
        let text = raw::loose_text(self.parts.status_code?)?;
        let text = text.trim();
        // JSON may write a whole number as 200.0 or 2e2.
        text.parse().ok().or_else(|| {
            let number: f64 = text.parse().ok()?;
            let is_code = number.fract() == 0.0 && (0.0..=f64::from(u16::MAX)).contains(&number);
            is_code.then_some(number as u16)
        })
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
        Some(match &self.decoded {
            Some(inner) => Cow::Owned(inner.clone()),
            None => Cow::Borrowed(serde_json::from_str(body).ok()?),
        })
    }

    /// The tokens that the body says were used.
    #[must_use]
    pub fn usage(&self) -> Option<Usage> {
        self.seen.usage
    }

    /// The model that the body names.
    #[must_use]
    pub fn model(&self) -> Option<String> {
        self.seen.model.as_deref().map(str::to_owned)
    }

    /// The error's code: its `code`, else its `type`, else those of the error in the response or its
    /// body; `no_answer` when the status code is 2xx, the body holds no answer and nothing says why.
    /// `None` for an answer that succeeded.
    #[must_use]
    pub fn error_code(&self) -> Option<String> {
        self.error_words().0
    }

    /// The error's message, from wherever the service put it: the error object, the error as a
    /// text, the error in the body, in a choice or beside the body, or JSON inside a message; or why
    /// there is no answer in a body whose status code is 2xx. `None` for an answer that succeeded.
    #[must_use]
    pub fn error_message(&self) -> Option<String> {
        self.error_words().1
    }

    /// Code and message at once.
    pub(crate) fn error_words(&self) -> (Option<String>, Option<String>) {
        let accepted = self.is_accepted();
        let Said { code, message } = self.error.map(error_text::read).unwrap_or_default();
        if (code.is_some() && message.is_some()) || (accepted && self.seen.lacks.is_none()) {
            return (code, message);
        }
        let mut said = Said { code, message };
        if accepted && self.error.is_some() {
            return (said.code, said.message);
        }
        let text = self.seen.kind == Some(Kind::String) && self.seen.lacks != Some(body::PLAIN_TEXT);
        if !(accepted && text) {
            let body = self.decoded.as_deref().map(RawValue::get).or(self.parts.body);
            if let Some(body) = body {
                said = said.or(error_text::read(body)).or(error_text::of_choices(body));
            }
        }
        if let Some(response) = self.response {
            said = said.or(error_text::beside_body(response));
        }
        if accepted {
            let lacks = if self.response.is_some() { self.seen.lacks } else { Some(NO_ANSWER_MESSAGE) };
            said = said.or(Said { code: Some(NO_ANSWER_CODE.to_owned()), message: lacks.map(str::to_owned) });
        }
        (said.code, said.message)
    }
}

fn not_null(value: &str) -> Option<&str> {
    (Kind::of(value) != Kind::Null).then_some(value)
}

/// Whether two values are the same custom_id.
fn same_id(one: &str, other: &str) -> bool {
    raw::id_text(one).is_some_and(|id| raw::id_text(other) == Some(id))
}

/// Whether what stands in the place of an error is none.
fn is_no_error(error: &str) -> bool {
    if Kind::of(error) != Kind::Object {
        return is_off(error);
    }
    let mut nothing = true;
    fields(error, &mut |_, value| nothing &= is_off(value));
    nothing
}

/// Whether a value is one of those by which programs say that there is nothing.
pub(crate) fn is_off(value: &str) -> bool {
    match Kind::of(value) {
        Kind::Bool => value == "false",
        Kind::Number => value.parse::<f64>().is_ok_and(|number| number == 0.0),
        Kind::String => raw::text(value).is_some_and(|text| text.trim().is_empty()),
        Kind::Null | Kind::Array | Kind::Object => body::is_empty(value),
    }
}

/// Whether an object or text is as good as null.
fn says_nothing(error: &str) -> bool {
    let empty = |value: &str| matches!(value, "null" | "\"\"");
    if Kind::of(error) != Kind::Object {
        return empty(error);
    }
    let mut nothing = true;
    fields(error, &mut |_, value| nothing &= empty(value));
    nothing
}

impl Answer<'_> {
    /// Writes the line in the contract's shape, ended by LF: the keys `id`, `custom_id`,
    /// `response` and `error` in this order, all present, nothing else. What already has the
    /// right shape is kept byte for byte. Changed are: an error given as a text (it becomes
    /// `{"code":null,"message":…}`), an error whose code or message is absent or no text, a body
    /// given as JSON text, a status code given as text, a response and an error that are both null (the
    /// error becomes one of the code `no_answer`), an id given as a number, a key of the line or a status code or body
    /// that is given twice (only the one that counts is kept), and a line break
    /// between values (it becomes a space).
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_normalised(&self, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        write::normalised(self, out)
    }
}
