//! Owns why a line cannot be read as a result line, and what of it can be read all the same.

use std::fmt;

use memchr::memmem;

use crate::fields::Walk;
use crate::raw::{self, Broken, Kind, clip};

/// Why a line cannot be read as a result line, and whose answer it was as far as that can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    kind: UnreadableKind,
    message: String,
    custom_id: Option<String>,
}

/// What kind of fault makes a line unreadable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum UnreadableKind {
    /// The line is not UTF-8.
    NotUtf8,
    /// The line is not exactly one JSON object; perhaps it was cut off.
    NotAnObject,
    /// The line is longer than what is read.
    TooLong,
    /// The line names no custom_id.
    NoCustomId,
    /// The line names two custom_ids that differ, so nobody can say which of them it answers.
    TwoCustomIds,
    /// The line is a JSON object, but in no shape that is known, such as `{"custom_id", "result"}`.
    UnknownShape,
}

impl Unreadable {
    pub(super) fn new(kind: UnreadableKind, message: impl Into<String>, line: &[u8]) -> Self {
        Self { kind, message: message.into(), custom_id: legible_custom_id(line) }
    }

    /// A line of which only the beginning is known.
    pub(crate) fn too_long(length: u64, head: &[u8]) -> Self {
        Self::new(UnreadableKind::TooLong, format!("the line has {length} bytes, too many to be read"), head)
    }

    pub(super) fn not_utf8(line: &[u8], valid: usize) -> Self {
        Self::new(UnreadableKind::NotUtf8, format!("invalid UTF-8 at column {}", valid + 1), line)
    }

    pub(super) fn broken(line: &str, broken: &Broken) -> Self {
        Self::new(UnreadableKind::NotAnObject, broken.to_string(), line.as_bytes())
    }

    /// A line whose custom_id is absent or no text.
    pub(super) fn no_custom_id(line: &str) -> Self {
        let message = match keys(line) {
            Some(keys) => format!("the line has no custom_id that is a text; its keys are {keys}{}", relative(line)),
            None => "the line has no custom_id that is a text".to_owned(),
        };
        Self::new(UnreadableKind::NoCustomId, message, line.as_bytes())
    }

    /// A line whose custom_id is a text with half of a character in it.
    pub(super) fn half_custom_id(line: &str, custom_id: &str) -> Self {
        let shown = raw::lossy_text(custom_id).unwrap_or_default();
        let message = format!(
            "the custom_id has half of a character in it (a lone surrogate, here \u{fffd}), so that it equals none: {:?}",
            clip(&shown, 100)
        );
        Self::new(UnreadableKind::NoCustomId, message, line.as_bytes())
    }

    /// A line that names another custom_id after the first.
    pub(super) fn two_custom_ids(first: &str, other: &str) -> Self {
        let message = format!(
            "the line has the key \"custom_id\" twice, with different values: {} and {}",
            clip(first, 100),
            clip(other, 100)
        );
        let custom_id = raw::id_text(first).or_else(|| raw::id_text(other)).map(|id| id.into_owned());
        Self { kind: UnreadableKind::TwoCustomIds, message, custom_id }
    }

    /// A line with neither a response in a shape that is known nor an error that says something, unless
    /// nothing else stands there either. `response` is what stands in the place of the response.
    pub(super) fn unknown_shape(line: &str, response: Option<&str>) -> Option<Self> {
        let what = match response {
            Some(response) if Kind::of(response) == Kind::Object => {
                let (keys, relative) = (keys(response)?, relative(response));
                format!("the response has neither a status_code nor a body; its keys are {keys}{relative}")
            }
            Some(response) => format!("the response is {}, not an object", Kind::of(response)),
            None if only_known(line) => return None,
            None => {
                let (keys, relative) = (keys(line)?, relative(line));
                format!("the line has neither a response nor an error; its keys are {keys}{relative}")
            }
        };
        let message = format!("a shape that is not known: {what}");
        Some(Self::new(UnreadableKind::UnknownShape, message, line.as_bytes()))
    }

    /// What kind of fault it is.
    #[must_use]
    pub fn kind(&self) -> UnreadableKind {
        self.kind
    }

    /// Whether the line is one whole JSON object all the same.
    pub(crate) fn is_whole(&self) -> bool {
        use UnreadableKind as Kind;
        matches!(self.kind, Kind::NoCustomId | Kind::TwoCustomIds | Kind::UnknownShape)
    }

    /// The custom_id, as far as it is legible: it stands before the fault, or is the only one in
    /// the line.
    #[must_use]
    pub fn custom_id(&self) -> Option<&str> {
        self.custom_id.as_deref()
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unreadable {}

/// The first keys of an object, for messages; `None` when it has none.
fn keys(object: &str) -> Option<String> {
    const SHOWN: usize = 8;
    let mut names = Vec::new();
    let mut count = 0_usize;
    Walk::new(object).fields(&mut |key, _| {
        count += 1;
        if count <= SHOWN {
            names.push(clip(&key, 60).into_owned());
        }
    });
    if count > SHOWN {
        names.push(format!("… ({} more)", count - SHOWN));
    }
    (count > 0).then(|| names.join(", "))
}

/// Whether a line without an answer is a result line all the same: nothing in it can be the answer.
fn only_known(line: &str) -> bool {
    let (mut has_place, mut others, mut large) = (false, false, false);
    Walk::new(line).fields(&mut |key, walk| match key.as_ref() {
        "id" | "custom_id" => {}
        "response" | "error" => has_place = true,
        _ => {
            others = true;
            large |= matches!(walk.kind(), Kind::Object | Kind::Array);
        }
    });
    !large && (has_place || !others)
}

/// Whose shape an object has, as far as we know it.
fn relative(object: &str) -> &'static str {
    let mut seen = [false; 6];
    const NAMES: [&str; 6] = ["result", "modelOutput", "recordId", "candidates", "method", "url"];
    Walk::new(object).fields(&mut |key, _| {
        if let Some(at) = NAMES.iter().position(|name| *name == key) {
            seen[at] = true;
        }
    });
    match seen {
        [true, ..] => " (so are the results of Anthropic's batches)",
        [_, true, ..] | [_, _, true, ..] => " (so are the results of Bedrock's batches)",
        [_, _, _, true, ..] => " (so are the results of Gemini's batches)",
        [.., true, true] => " (it is a request line)",
        _ => "",
    }
}

/// How much of a line is walked key by key in search of a custom_id.
const WALKED: usize = 65_536;

const KEY: &[u8] = b"\"custom_id\"";

/// The custom_id of a line that is no whole result line. Never one of several between which nothing
/// decides.
pub(crate) fn legible_custom_id(line: &[u8]) -> Option<String> {
    let start = &line[memchr::memchr(b'{', line)?..];
    let walked = String::from_utf8_lossy(&start[..start.len().min(WALKED)]);
    let (mut own, mut other) = (None, None);
    Walk::new(&walked).fields(&mut |key, walk| {
        let is_own = key == "custom_id";
        if own.is_none() && (is_own || (other.is_none() && is_other_name(&key))) {
            let id = walk.rest().and_then(id_at);
            *(if is_own { &mut own } else { &mut other }) = id;
        }
    });
    if own.is_some() {
        return own;
    }
    let mut found: Option<String> = None;
    for at in memmem::find_iter(line, KEY) {
        if at > 0 && line[at - 1] == b'\\' {
            continue;
        }
        let rest = line[at + KEY.len()..].trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b":") else { continue };
        let rest = String::from_utf8_lossy(&rest[..rest.len().min(WALKED)]);
        let Some(id) = id_at(rest.trim_start_matches(raw::is_json_space)) else { continue };
        if found.as_ref().is_some_and(|known| *known != id) {
            return None;
        }
        found = Some(id);
    }
    found.or(other)
}

/// Whether a key is what others call the custom_id: `customId`, Bedrock's `recordId`, Gemini's `key`.
fn is_other_name(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    ["customid", "recordid", "key"].iter().any(|name| plain.eq_ignore_ascii_case(name))
}

/// The whole text or number at the beginning of `rest`. Not one that may go on after a quote which lacks
/// its backslash: a comma or a bracket stands before the next quote. One with a replaced byte or half
/// a character is no id of anybody.
fn id_at(rest: &str) -> Option<String> {
    let mut walk = Walk::new(rest);
    let value = walk.value();
    let after = rest.get(value.len()..)?;
    let (until, more) = after.split_once('"').map_or((after, false), |(until, _)| (until, true));
    if more && !until.contains([',', '}']) {
        return None;
    }
    let id = match Kind::of(value) {
        Kind::String => raw::text(value)?.into_owned(),
        // A number at the end of a line that was cut off may go on.
        Kind::Number if !after.is_empty() && value.parse::<f64>().is_ok() => value.to_owned(),
        _ => return None,
    };
    (!id.contains('\u{fffd}')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_id_is_read_from_what_is_legible() {
        let long = format!("{{\"response\":{{\"body\":\"{}\"}},\"custom_id\":\"a\"", "x".repeat(2 * WALKED));
        let deep = format!("{}\"custom_id\":\"a\"", "{\"x\":[".repeat(50_000));
        let lines: [(&[u8], Option<&str>); 41] = [
            (br#"{"custom_id":"a""#, Some("a")),
            (br#"{"id":"x", "custom_id" : "a" , "response":{"body":"cut o"#, Some("a")),
            (br#"{"custom_id":"a\"\u00e9","response":{"#, Some("a\"\u{e9}")),
            (br#"{"custom_id":"a"#, None),
            (br#"{"custom_id":"a\""#, None),
            (br#"{"custom_id":"#, None),
            (br#"{"custom_id""#, None),
            (br#"{"custom_id":"a"b","x":1}"#, None),
            (br#"{"custom_id":"a"","x":1}"#, None),
            (br#"{"custom_id":"a"nul,"x":1}"#, Some("a")),
            (b"{\"custom_id\":\"a\"\x01", Some("a")),
            (b"{\"custom_id\":17 \x01,\"x\":1", Some("17")),
            (br#"{"custom_id":17,"response":"#, Some("17")),
            (br#"{"custom_id":17"#, None),
            (br#"{"custom_id":null,"response":"#, None),
            (br#"{"custom_id":tru,"response":"#, None),
            (b"{\"custom_id\":\"a\xff\",\"response\":", None),
            (b"{\"custom_id\":\"a\",\"response\":\"\xff\"}", Some("a")),
            (br#"{"custom_id":"\ud800","response":"#, None),
            // The fault stands before it, and it is the only one.
            (br#"{"id":"x" garbage "custom_id":"a","response":{}}"#, Some("a")),
            (br#"{"response":{"body":"say "hi" to"},"custom_id":"a"}"#, Some("a")),
            (b"\x00\xfe{\"id\":\"\xff\",,\"custom_id\":\"a\"}", Some("a")),
            (long.as_bytes(), Some("a")),
            (deep.as_bytes(), Some("a")),
            // Of several, the one that stands where it belongs; else none.
            (br#"{"x":{"custom_id":"inner"},"custom_id":"a","y":"#, Some("a")),
            (br#"{"custom_id":"a","x":{"custom_id":"inner"},"y":"#, Some("a")),
            (br#"{bad "custom_id":"a","x":{"custom_id":"b"}}"#, None),
            (br#"{bad "custom_id":"a","x":{"custom_id":"a"}}"#, Some("a")),
            (br#"{"text":"a \"custom_id\":\"no\" b"#, None),
            (br#"{bad "x\"custom_id":"a"}"#, None),
            (br#"{bad "x\\":1,"custom_id":"a"}"#, Some("a")),
            (br#""custom_id":"a",{"#, Some("a")),
            // What others call it.
            (br#"{"recordId":"r","modelOutput":{}}"#, Some("r")),
            (br#"{"key":"k","response":{"candidates":[]}}"#, Some("k")),
            (br#"{"customId":"c"}"#, Some("c")),
            (br#"{" custom_id ":"c"}"#, Some("c")),
            (br#"{"key":"k","custom_id":"a","#, Some("a")),
            (br#"{"key":"k","x" bad "custom_id":"a""#, Some("a")),
            (b"", None),
            (b"no object", None),
            (b"[]", None),
        ];
        for (line, expected) in lines {
            assert_eq!(legible_custom_id(line).as_deref(), expected, "{}", clip(&String::from_utf8_lossy(line), 200));
        }
    }
}
