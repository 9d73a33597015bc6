//! Owns why a line cannot be read as a result line, and what of it can be read all the same.

use std::fmt;

use memchr::memmem;

use crate::fields::{Walk, fields};
use crate::raw::{self, Broken, Kind, clip};

/// Why a line cannot be read as a result line, and whose answer it was as far as that can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    kind: UnreadableKind,
    message: String,
    custom_id: Option<String>,
    /// Where the byte stands by which the line is no JSON, if it is one.
    fault: Option<usize>,
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
    /// The line holds a list of answers, inside an object or another list.
    WrappedList,
    /// The line is a JSON object, but in no shape that is known, such as `{"custom_id", "result"}`.
    UnknownShape,
}

impl Unreadable {
    pub(super) fn new(kind: UnreadableKind, message: impl Into<String>, line: &[u8]) -> Self {
        Self { kind, message: message.into(), custom_id: legible_custom_id(line), fault: None }
    }

    /// A line of which only the beginning is known.
    pub(crate) fn too_long(length: u64, head: &[u8]) -> Self {
        Self::new(UnreadableKind::TooLong, format!("the line has {length} bytes, too many to be read"), head)
    }

    pub(super) fn not_utf8(line: &[u8], valid: usize) -> Self {
        let message = format!("invalid UTF-8 at column {}", valid + 1);
        Self { fault: Some(valid), ..Self::new(UnreadableKind::NotUtf8, message, line) }
    }

    pub(super) fn broken(line: &str, broken: &Broken) -> Self {
        let wrapped = matches!(broken, Broken::NotAnObject(Kind::Array)).then(|| wrapped(line)).flatten();
        if let Some(message) = wrapped {
            return Self::wrapped(message, line);
        }
        let fault = match broken {
            Broken::Syntax { column, .. } => column.checked_sub(1),
            Broken::Truncated { .. } | Broken::Trailing { .. } | Broken::NotAnObject(_) => None,
        };
        Self { fault, ..Self::new(UnreadableKind::NotAnObject, broken.to_string(), line.as_bytes()) }
    }

    /// A line that holds a list of answers, of which a single one is that of its request.
    fn wrapped(message: String, line: &str) -> Self {
        let custom_id = only_custom_id(line.as_bytes());
        Self { kind: UnreadableKind::WrappedList, message, custom_id, fault: None }
    }

    /// A line whose custom_id is absent or no text.
    pub(super) fn no_custom_id(line: &str) -> Self {
        if let Some(message) = wrapped(line) {
            return Self::wrapped(message, line);
        }
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

    /// A line that names several custom_ids, of which these are two. It is nobody's, unless only one of all can be that of a
    /// request: nothing says which of them it answers.
    pub(super) fn two_custom_ids(line: &str, first: &str, other: &str) -> Self {
        let mut ids = Vec::new();
        fields(line, &mut |key, value| {
            if key == "custom_id" {
                ids.extend(raw::id_text(value));
            }
        });
        ids.sort_unstable();
        ids.dedup();
        let (first, other) = (clip(first, 100), clip(other, 100));
        let mut message =
            format!("the line has the key \"custom_id\" twice, with different values: {first} and {other}");
        let custom_id = match &ids[..] {
            [only] => Some(only.clone().into_owned()),
            _ => None,
        };
        if custom_id.is_none() {
            message.push_str("; nobody can say which of them it answers");
        }
        Self { kind: UnreadableKind::TwoCustomIds, message, custom_id, fault: None }
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
        matches!(self.kind, Kind::NoCustomId | Kind::TwoCustomIds | Kind::UnknownShape | Kind::WrappedList)
    }

    /// Where in a line that was cut off the next one begins, which was glued to it: the line is no JSON from there on.
    pub(crate) fn glued_at(&self, line: &[u8]) -> Option<usize> {
        let fault = self.fault.filter(|_| line.trim_ascii_start().starts_with(b"{"))?;
        // The fault may be told behind the bracket and the first quote, and before it stand what is left of a character.
        (fault.saturating_sub(8)..=fault + 3).find(|at| *at > 0 && line.get(*at..).is_some_and(begins_an_answer))
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

/// Whether these bytes begin as an answer does.
fn begins_an_answer(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(b"{") else { return false };
    let rest = rest.trim_ascii_start();
    let key = [&b"\"custom_id\""[..], b"\"id\""].iter().find_map(|key| rest.strip_prefix(*key));
    key.is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"))
}

/// How many objects and lists may stand around a list of answers.
const WRAPPINGS: usize = 3;

/// What is said of a value that holds a list of answers; `None` of any other.
fn wrapped(json: &str) -> Option<String> {
    let path = list_of_answers(&mut Walk::new(json), WRAPPINGS).filter(|path| path != "[]")?;
    let (around, root) =
        if path.starts_with('[') { ("a list inside a list", ".") } else { ("a list inside an object", "") };
    Some(format!("a wrapped list: the answers stand in {around}: write one a line (`jq -c '{root}{path}' FILE` does)"))
}

/// The path, as jq writes it, to a list whose first value is an answer.
fn list_of_answers(walk: &mut Walk<'_>, levels: usize) -> Option<String> {
    let fewer = levels.checked_sub(1)?;
    let mut path = None;
    match walk.kind() {
        Kind::Object => walk.fields(&mut |key, walk| {
            if path.is_none() {
                let is_name = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_alphabetic() || byte == b'_');
                path = list_of_answers(walk, fewer).map(|rest| match is_name {
                    true => format!(".{key}{rest}"),
                    false => format!(".{:?}{rest}", clip(&key, 100)),
                });
            }
        }),
        Kind::Array => {
            let mut is_first = true;
            walk.items(&mut |walk| {
                if std::mem::take(&mut is_first) {
                    let is_answer = walk.rest().is_some_and(names_a_custom_id);
                    let rest = if is_answer { Some(String::new()) } else { list_of_answers(walk, fewer) };
                    path = rest.map(|rest| format!("[]{rest}"));
                }
            });
        }
        _ => {}
    }
    path
}

/// Whether the object at the beginning of this has a custom_id.
fn names_a_custom_id(json: &str) -> bool {
    let mut names = false;
    Walk::new(json).fields(&mut |key, _| names |= key == "custom_id");
    names
}

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

/// How much of a line is walked key by key in search of a custom_id, which may be long itself.
const WALKED: usize = 1 << 20;

/// How much is looked at of each custom_id that stands elsewhere in a line.
const LONGEST: usize = 1 << 16;

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
    only_custom_id(line).or(other)
}

/// The custom_id that a line names, wherever it stands, if all that it names are the same.
fn only_custom_id(line: &[u8]) -> Option<String> {
    let mut found: Option<String> = None;
    for at in memmem::find_iter(line, KEY) {
        if at > 0 && line[at - 1] == b'\\' {
            continue;
        }
        let rest = line[at + KEY.len()..].trim_ascii_start();
        let Some(rest) = rest.strip_prefix(b":") else { continue };
        let rest = String::from_utf8_lossy(&rest[..rest.len().min(LONGEST)]);
        let Some(id) = id_at(rest.trim_start_matches(raw::is_json_space)) else { continue };
        if found.as_ref().is_some_and(|known| *known != id) {
            return None;
        }
        found = Some(id);
    }
    found
}

/// Whether a key is what others call the custom_id: `customId`, Bedrock's `recordId`, Gemini's `key`.
fn is_other_name(key: &str) -> bool {
    let plain: String = key.chars().filter(char::is_ascii_alphanumeric).collect();
    ["customid", "recordid", "key"].iter().any(|name| plain.eq_ignore_ascii_case(name))
}

/// The whole text or number at the beginning of `rest`. Not one that may go on after a quote which lacks
/// its backslash: a comma or a bracket stands before the next quote, or a single wrong byte in the place of the comma and
/// then a key. One with a replaced byte or half a character is no id of anybody.
fn id_at(rest: &str) -> Option<String> {
    let mut walk = Walk::new(rest);
    let value = walk.value();
    let after = rest.get(value.len()..)?;
    if let Some(id) = unquoted(value, after) {
        return Some(id);
    }
    let (until, more) = after.split_once('"').map_or((after, None), |(until, more)| (until, Some(more)));
    let is_one_wrong = || until.trim().chars().count() == 1 && more.is_some_and(is_key);
    if more.is_some() && !until.contains([',', '}']) && !is_one_wrong() {
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

/// The text before a wrong byte that stands where its quote should end it: a comma follows, and then a key.
fn unquoted(value: &str, after: &str) -> Option<String> {
    let inner = value.strip_prefix('"')?.strip_suffix('"')?;
    let before = inner.trim_end().strip_suffix(',')?.trim_end();
    let (id, wrong) = before.split_at(before.char_indices().next_back()?.0);
    let is_wrong = wrong.contains('\u{fffd}') || wrong.chars().all(char::is_control);
    let quoted = format!("\"{id}\"");
    let id = raw::text(&quoted).filter(|id| is_wrong && !id.contains('\u{fffd}'))?;
    is_key(after).then(|| id.into_owned())
}

/// Whether this is a key behind its first quote: a name, the other quote, and a colon.
fn is_key(rest: &str) -> bool {
    rest.split_once('"').is_some_and(|(name, rest)| {
        let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        is_name && rest.trim_start_matches(raw::is_json_space).starts_with(':')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_custom_id_is_read_from_what_is_legible() {
        let long = format!("{{\"response\":{{\"body\":\"{}\"}},\"custom_id\":\"a\"", "x".repeat(2 * WALKED));
        let deep = format!("{}\"custom_id\":\"a\"", "{\"x\":[".repeat(50_000));
        let lines: [(&[u8], Option<&str>); 52] = [
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
            // One wrong byte in the place of the comma, or of the quote.
            (b"{\"custom_id\":\"a\"\xff\"response\":{}}", Some("a")),
            (b"{\"custom_id\":\"a\"\0\"response\" : {}}", Some("a")),
            (br#"{"custom_id":"a"x "response":{}}"#, Some("a")),
            (b"{\"custom_id\":17\xff\"response\":{}}", None),
            (br#"{"custom_id":"a"xy"response":{}}"#, None),
            (br#"{"custom_id":"a"x"re sponse":{}}"#, None),
            (b"{\"custom_id\":\"a\xff,\"response\":{}}", Some("a")),
            (b"{\"custom_id\":\"a\\u00e9\x02, \"response\":{}}", Some("a\u{e9}")),
            (b"{\"custom_id\":\"a\xffb,\"response\":{}}", None),
            (b"{\"custom_id\":\"\xffa\xff,\"response\":{}}", None),
            (br#"{"custom_id":"ab,"response":{}}"#, None),
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
