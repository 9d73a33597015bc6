//! Owns the writing of result lines in the contract's shape. It never reads a line itself.

use std::borrow::Cow;
use std::io::{self, Write};

use serde_json::value::RawValue;

use super::{Answer, NO_ANSWER_CODE, NO_ANSWER_MESSAGE};
use crate::fields::fields;
use crate::raw::Kind;

pub(crate) const MISSING_CODE: &str = "missing";
pub(crate) const MISSING_MESSAGE: &str = "the service returned no line for this request";

pub(crate) const UNREADABLE_CODE: &str = "unreadable";
/// How each message of an unreadable answer begins; file, line and fault follow.
pub(crate) const UNREADABLE_MESSAGE: &str = "the line that the service returned cannot be read";

/// Writes the result line of a request line that the service did not answer, ended by LF.
///
/// # Errors
///
/// Those of `out`.
pub fn write_missing(custom_id: &str, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    write_error(custom_id, MISSING_CODE, MISSING_MESSAGE, out)
}

/// Writes the result line of a request line whose answer cannot be read, ended by LF.
pub(crate) fn write_unreadable(
    custom_id: &str,
    place: &str,
    why: &str,
    out: &mut (impl Write + ?Sized),
) -> io::Result<()> {
    write_error(custom_id, UNREADABLE_CODE, &format!("{UNREADABLE_MESSAGE}: {place}: {why}"), out)
}

/// Writes a result line that has this error in place of an answer, ended by LF: for a request line that was not sent.
///
/// # Errors
///
/// Those of `out`.
pub fn write_error(custom_id: &str, code: &str, message: &str, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    out.write_all(b"{\"id\":null,\"custom_id\":")?;
    string(custom_id, out)?;
    out.write_all(b",\"response\":null,\"error\":")?;
    code_and_message(code, message, out)?;
    out.write_all(b"}\n")
}

fn code_and_message(code: &str, message: &str, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    out.write_all(b"{\"code\":")?;
    string(code, out)?;
    out.write_all(b",\"message\":")?;
    string(message, out)?;
    out.write_all(b"}")
}

/// Whether an answer is what [`write_unreadable`] writes.
pub(super) fn is_unreadable(answer: &Answer<'_>) -> bool {
    answer.id.is_none()
        && answer.response.is_none()
        && answer.error_words().1.is_some_and(|message| message.starts_with(UNREADABLE_MESSAGE))
}

/// Whether an answer is what [`write_missing`] writes, and so none.
pub(super) fn is_missing(answer: &Answer<'_>) -> bool {
    answer.id.is_none()
        && answer.response.is_none()
        && answer.error_words() == (Some(MISSING_CODE.to_owned()), Some(MISSING_MESSAGE.to_owned()))
}

/// Where in its line the parts of an answer stand of which its result line is made, when each is kept byte for byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pieces {
    pub(crate) id: Option<(u32, u16)>,
    pub(crate) custom_id: (u32, u16),
    pub(crate) response: (u32, u32),
}

impl Pieces {
    /// The pieces of an answer that succeeded, if nothing of it changes on being written. `line` is what it was
    /// parsed of.
    pub(super) fn of(answer: &Answer<'_>, line: &[u8]) -> Option<Self> {
        let response = answer.response?;
        let is_text = |json: &str| Kind::of(json) == Kind::String;
        let changes = answer.error.is_some()
            || answer.decoded.is_some()
            || answer.parts.status_code.is_some_and(is_text)
            || answer.raw_id.is_some_and(|id| !is_text(id))
            || matches!(answer.custom_id, Cow::Owned(_))
            || !is_text(answer.raw_custom_id)
            || answer.doubled.keys().next().is_some()
            || memchr::memchr2(b'\n', b'\r', response.as_bytes()).is_some();
        if changes {
            return None;
        }
        // The parts borrow from the line, so their addresses say where they stand in it.
        let start_of = |part: &str| u32::try_from((part.as_ptr() as usize).checked_sub(line.as_ptr() as usize)?).ok();
        let short = |part: &str| Some((start_of(part)?, u16::try_from(part.len()).ok()?));
        let id = match answer.raw_id {
            Some(id) => Some(short(id)?),
            None => None,
        };
        let response = (start_of(response)?, u32::try_from(response.len()).ok()?);
        Some(Self { id, custom_id: short(answer.raw_custom_id)?, response })
    }

    /// The custom_id, between its quotes, which has no escapes.
    pub(crate) fn custom_id<'l>(&self, line: &'l [u8]) -> Option<&'l [u8]> {
        let (at, length) = self.custom_id;
        part(line, at, length.into())?.get(1..usize::from(length) - 1)
    }

    /// Writes the result line, as [`Answer::write_normalised`] does.
    pub(crate) fn write(&self, line: &[u8], out: &mut (impl Write + ?Sized)) -> io::Result<()> {
        let part = |at, length| part(line, at, length).unwrap_or_default();
        out.write_all(b"{\"id\":")?;
        out.write_all(self.id.map_or(b"null", |(at, length)| part(at, length.into())))?;
        out.write_all(b",\"custom_id\":")?;
        out.write_all(part(self.custom_id.0, self.custom_id.1.into()))?;
        out.write_all(b",\"response\":")?;
        out.write_all(part(self.response.0, self.response.1))?;
        out.write_all(b",\"error\":null}\n")
    }
}

fn part(line: &[u8], at: u32, length: u32) -> Option<&[u8]> {
    line.get(at as usize..)?.get(..length as usize)
}

pub(super) fn normalised(answer: &Answer<'_>, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    out.write_all(b"{\"id\":")?;
    as_text(answer.raw_id, out)?;
    out.write_all(b",\"custom_id\":")?;
    as_text(Some(answer.raw_custom_id), out)?;
    out.write_all(b",\"response\":")?;
    match answer.response {
        Some(response) => self::response(answer, response, out)?,
        None => out.write_all(b"null")?,
    }
    out.write_all(b",\"error\":")?;
    match answer.error {
        Some(error) => self::error(error, out)?,
        None if answer.response.is_none() => code_and_message(NO_ANSWER_CODE, NO_ANSWER_MESSAGE, out)?,
        None => out.write_all(b"null")?,
    }
    out.write_all(b"}\n")
}

/// The response with each key once, where it gave its status code or body twice: a reader may take another one than we do.
fn response_once(answer: &Answer<'_>, whole: &str, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let (mut kept, mut others) = (String::new(), Vec::new());
    let status = answer.parts.status_code.map(|json| match answer.status_code() {
        Some(code) => Cow::Owned(code.to_string()),
        None => Cow::Borrowed(json),
    });
    let body = answer.parts.body.map(|json| answer.decoded.as_deref().map_or(json, RawValue::get));
    fields(whole, &mut |key, value| {
        if !matches!(key.as_ref(), "status_code" | "body") {
            others.push((key, value));
        }
    });
    kept.push_str("{\"status_code\":");
    kept.push_str(status.as_deref().unwrap_or("null"));
    for (key, value) in others {
        kept.push(',');
        kept.push_str(&serde_json::to_string(&key)?);
        kept.push(':');
        kept.push_str(value);
    }
    one_line(&kept, out)?;
    out.write_all(b",\"body\":")?;
    one_line(body.unwrap_or("null"), out)?;
    out.write_all(b"}")
}

/// The response with its status code as a number and its body as JSON, every other byte kept.
fn response(answer: &Answer<'_>, whole: &str, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    if ["response.status_code", "response.body"].iter().any(|key| answer.doubled.has(key)) {
        return response_once(answer, whole, out);
    }
    let status = answer.parts.status_code.filter(|json| Kind::of(json) == Kind::String);
    let status = status.zip(answer.status_code());
    let status = status.map(|(json, code)| (json, Cow::Owned(code.to_string())));
    let body = answer.parts.body.zip(answer.decoded.as_deref());
    let body = body.map(|(json, inner)| (json, Cow::Borrowed(inner.get())));
    let mut changes: Vec<(&str, Cow<'_, str>)> = status.into_iter().chain(body).collect();
    // Values borrow from the response, so their addresses say where they stand in it.
    let start_of = |value: &str| value.as_ptr() as usize - whole.as_ptr() as usize;
    changes.sort_by_key(|(value, _)| start_of(value));
    let mut written = 0;
    for (value, replacement) in &changes {
        let start = start_of(value);
        one_line(&whole[written..start], out)?;
        one_line(replacement, out)?;
        written = start + value.len();
    }
    one_line(&whole[written..], out)
}

/// The error as an object whose code and message are texts or null; other keys are kept.
fn error(error: &str, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    if Kind::of(error) != Kind::Object {
        out.write_all(b"{\"code\":null,\"message\":")?;
        as_text(Some(error), out)?;
        return out.write_all(b"}");
    }
    let (mut code, mut message) = (None, None);
    let mut others = Vec::new();
    fields(error, &mut |key, value| match key.as_ref() {
        "code" => code = Some(value),
        "message" => message = Some(value),
        _ => others.push((key, value)),
    });
    let right = |value: Option<&str>| value.is_some_and(|json| matches!(Kind::of(json), Kind::String | Kind::Null));
    if right(code) && right(message) {
        return one_line(error, out);
    }
    out.write_all(b"{\"code\":")?;
    as_text(code, out)?;
    out.write_all(b",\"message\":")?;
    as_text(message, out)?;
    for (key, value) in others {
        out.write_all(b",")?;
        string(&key, out)?;
        out.write_all(b":")?;
        one_line(value, out)?;
    }
    out.write_all(b"}")
}

/// A text or null as it stands, anything else as a text that holds its JSON.
fn as_text(value: Option<&str>, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    match value.map(|json| (json, Kind::of(json))) {
        None => out.write_all(b"null"),
        Some((json, Kind::String | Kind::Null)) => out.write_all(json.as_bytes()),
        Some((json, _)) => string(json, out),
    }
}

fn string(text: &str, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// JSON with every line break as a space: in valid JSON they stand only between values.
fn one_line(json: &str, out: &mut (impl Write + ?Sized)) -> io::Result<()> {
    let mut rest = json.as_bytes();
    while let Some(at) = memchr::memchr2(b'\n', b'\r', rest) {
        out.write_all(&rest[..at])?;
        out.write_all(b" ")?;
        rest = &rest[at + 1..];
    }
    out.write_all(rest)
}
