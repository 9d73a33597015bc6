//! Owns the walk over the keys of one JSON object without building a tree. It never recurses, so
//! the depth of what it walks over is of no concern. Nearly every line is proven by the quick proof; of the others serde_json
//! says what is wrong.

use std::borrow::Cow;
use std::fmt;
use std::str::Utf8Error;

use serde::de::{Deserializer as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::fields::backslash;
use crate::proof::{self, Seen};

/// What a JSON value is, told by its first byte.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    String,
    Bool,
    Null,
    Number,
}

impl Kind {
    /// The kind of a valid JSON value without white space around it.
    pub(crate) fn of(json: &str) -> Self {
        match json.as_bytes().first() {
            Some(b'{') => Self::Object,
            Some(b'[') => Self::Array,
            Some(b'"') => Self::String,
            Some(b't' | b'f') => Self::Bool,
            Some(b'n') => Self::Null,
            _ => Self::Number,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Bool => "true or false",
            Self::Null => "null",
            Self::Number => "a number",
        })
    }
}

/// Why a text is not exactly one JSON object. Columns count bytes from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The text ends inside the object.
    Truncated { column: usize },
    /// The text is no JSON.
    Syntax { column: usize, why: String },
    /// Something follows the object.
    Trailing { column: usize },
    /// The text is JSON or the beginning of it, but no object.
    NotAnObject(Kind),
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated { column } => {
                write!(f, "the line ends inside the JSON object, at column {column}")
            }
            Self::Syntax { column, why } => write!(f, "no valid JSON: {why} at column {column}"),
            Self::Trailing { column } => write!(f, "text after the object, at column {column}"),
            Self::NotAnObject(kind) => write!(f, "the line is {kind}, not a JSON object"),
        }
    }
}

/// Calls `visit` with each key (escapes undone) and value of the object in `json`, in order, and
/// proves on the way that `json` is exactly one valid JSON object.
///
/// A key that no Unicode text can hold (a lone surrogate) is passed as it was written, between its
/// quotes, so that it equals no key that anybody looks for.
pub(crate) fn entries<'a>(json: &'a str, visit: &mut dyn FnMut(Cow<'a, str>, &'a str)) -> Result<Seen, Broken> {
    let key_text = |key: &'a str| text(key).unwrap_or(Cow::Borrowed(key));
    let mut visited = match proof::object(json, &mut |key, value| visit(key_text(key), value)) {
        Ok(seen) => return Ok(seen),
        Err(visited) => visited,
    };
    let mut visit = |key: &'a str, value: &'a str| match visited.checked_sub(1) {
        Some(fewer) => visited = fewer,
        None => visit(key_text(key), value),
    };
    let trimmed = json.trim_start_matches(is_json_space);
    let skipped = json.len() - trimmed.len();
    if !trimmed.starts_with('{') {
        return Err(not_an_object(json, trimmed, skipped));
    }
    let mut deserializer = serde_json::Deserializer::from_str(trimmed);
    if let Err(error) = deserializer.deserialize_map(Entries { visit: &mut visit }) {
        return Err(broken(&error, skipped));
    }
    let end = deserializer.end();
    end.map(|()| Seen::anything()).map_err(|error| Broken::Trailing { column: skipped + error.column() })
}

/// The text of a JSON string with its escapes undone and a lone surrogate as U+FFFD; `None` for any
/// other value.
pub(crate) fn lossy_text(json: &str) -> Option<Cow<'_, str>> {
    text(json).or_else(|| match replace_lone_surrogates(json) {
        Cow::Borrowed(_) => None,
        Cow::Owned(whole) => text(&whole).map(|text| Cow::Owned(text.into_owned())),
    })
}

/// The same JSON with each lone surrogate, such as `\ud83d` without its other half, written as
/// `\ufffd`, which is as long. JSON of any depth, valid but for them; other bytes stay as they are.
///
/// Services cut answers in the middle of a character, and most JSON readers then refuse all of it.
///
/// ```
/// use lote_lines::replace_lone_surrogates;
///
/// let cut = r#"{"content":"Santiago \ud83d"}"#;
/// assert!(serde_json::from_str::<serde_json::Value>(cut).is_err());
/// let value: serde_json::Value = serde_json::from_str(&replace_lone_surrogates(cut))?;
/// assert_eq!(value["content"], "Santiago \u{fffd}");
/// # Ok::<(), serde_json::Error>(())
/// ```
#[must_use]
pub fn replace_lone_surrogates(json: &str) -> Cow<'_, str> {
    let bytes = json.as_bytes();
    let mut lone = Vec::new();
    let mut at = 0;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found;
        match surrogate(bytes, at) {
            None => at += 2,
            Some(Surrogate::High) if surrogate(bytes, at + 6) == Some(Surrogate::Low) => at += 12,
            Some(_) => {
                lone.push(at);
                at += 6;
            }
        }
    }
    if lone.is_empty() {
        return Cow::Borrowed(json);
    }
    let mut whole = String::with_capacity(json.len());
    let mut from = 0;
    for at in lone {
        // An escape is ASCII, so both ends are those of characters.
        whole.push_str(json.get(from..at).unwrap_or_default());
        whole.push_str("\\ufffd");
        from = at + 6;
    }
    whole.push_str(json.get(from..).unwrap_or_default());
    Cow::Owned(whole)
}

#[derive(Debug, PartialEq, Eq)]
enum Surrogate {
    High,
    Low,
}

/// Which half of a character the escape at `at` is, if it is one.
fn surrogate(bytes: &[u8], at: usize) -> Option<Surrogate> {
    let &[b'\\', b'u', b'd' | b'D', second, third, fourth] = bytes.get(at..at + 6)? else {
        return None;
    };
    if !third.is_ascii_hexdigit() || !fourth.is_ascii_hexdigit() {
        return None;
    }
    match second {
        b'8' | b'9' | b'a' | b'b' | b'A' | b'B' => Some(Surrogate::High),
        b'c'..=b'f' | b'C'..=b'F' => Some(Surrogate::Low),
        _ => None,
    }
}

/// The text of a JSON string with its escapes undone; `None` for any other value, and for a string
/// that no Unicode text can hold (a lone surrogate).
pub(crate) fn text(json: &str) -> Option<Cow<'_, str>> {
    let inner = json.strip_prefix('"')?.strip_suffix('"')?;
    if backslash(inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str::<String>(json).ok().map(Cow::Owned)
}

/// A JSON string or number as text, as services use both for codes. A lone surrogate is U+FFFD.
pub(crate) fn loose_text(json: &str) -> Option<Cow<'_, str>> {
    match Kind::of(json) {
        Kind::String => lossy_text(json),
        Kind::Number => Some(Cow::Borrowed(json)),
        _ => None,
    }
}

/// A custom_id: a string, or a number as its digits. Not one with a lone surrogate: no text equals it.
pub(crate) fn id_text(json: &str) -> Option<Cow<'_, str>> {
    match Kind::of(json) {
        Kind::String => text(json),
        Kind::Number => Some(Cow::Borrowed(json)),
        _ => None,
    }
}

/// The text of a line.
pub(crate) fn utf8(bytes: &[u8]) -> Result<&str, Utf8Error> {
    // The quick one does not say where the fault is.
    simdutf8::basic::from_utf8(bytes).or_else(|_| std::str::from_utf8(bytes))
}

/// White space by the rules of JSON.
pub(crate) fn is_json_space(character: char) -> bool {
    matches!(character, ' ' | '\t' | '\r' | '\n')
}

/// How many bytes of a custom_id are shown to people.
pub(crate) const SHOWN_ID: usize = 100;

/// At most `limit` bytes of a text, for messages.
pub(crate) fn clip(text: &str, limit: usize) -> Cow<'_, str> {
    if text.len() <= limit {
        return Cow::Borrowed(text);
    }
    Cow::Owned(format!("{}…", &text[..text.floor_char_boundary(limit)]))
}

fn not_an_object(json: &str, trimmed: &str, skipped: usize) -> Broken {
    if trimmed.is_empty() {
        return Broken::Truncated { column: json.len().max(1) };
    }
    if trimmed.starts_with('[') {
        return Broken::NotAnObject(Kind::Array);
    }
    match serde_json::from_str::<&RawValue>(trimmed) {
        Ok(value) => Broken::NotAnObject(Kind::of(value.get())),
        Err(error) => broken(&error, skipped),
    }
}

fn broken(error: &serde_json::Error, skipped: usize) -> Broken {
    let column = skipped + error.column().max(1);
    if error.is_eof() {
        return Broken::Truncated { column };
    }
    let why = error.to_string();
    let mut why = why.split(" at line ").next().unwrap_or_default().to_owned();
    if error.line() > 1 {
        why.push_str(&format!(" in its line {},", error.line()));
    }
    Broken::Syntax { column, why }
}

struct Entries<'v, 'a> {
    visit: &'v mut dyn FnMut(&'a str, &'a str),
}

impl<'a> Visitor<'a> for Entries<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<&'a RawValue>()? {
            let value = map.next_value::<&'a RawValue>()?;
            (self.visit)(key.get(), value.get());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(json: &str) -> Result<Vec<String>, Broken> {
        let mut keys = Vec::new();
        entries(json, &mut |key, value| {
            keys.push(format!("{key}={value}"));
        })?;
        Ok(keys)
    }

    #[test]
    fn walks_keys_in_order_with_escapes_undone() {
        assert_eq!(
            keys(r#" { "a" : 1 , "\u0061":[ {} ], "\ud800": "x" , "é":null } "#).unwrap(),
            [r"a=1", r"a=[ {} ]", r#""\ud800"="x""#, "é=null"]
        );
        assert_eq!(keys("{}").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn says_what_is_broken_and_where() {
        let syntax = |column, why: &str| Broken::Syntax { column, why: why.to_owned() };
        for (json, expected) in [
            ("", Broken::Truncated { column: 1 }),
            (r#"{"a":"#, Broken::Truncated { column: 5 }),
            (r#"{"a":"x"#, Broken::Truncated { column: 7 }),
            (r#"{"a":1} x"#, Broken::Trailing { column: 9 }),
            (r#"  {"a":1}{"#, Broken::Trailing { column: 10 }),
            ("[{", Broken::NotAnObject(Kind::Array)),
            ("17", Broken::NotAnObject(Kind::Number)),
            ("\"x\"", Broken::NotAnObject(Kind::String)),
            (" nul", Broken::Truncated { column: 4 }),
            ("hello", syntax(1, "expected value")),
            (r#"{"a":01}"#, syntax(7, "invalid number")),
            ("{'a':1}", syntax(2, "key must be a string")),
            ("{\n\"a\" 1}", syntax(5, "expected `:` in its line 2,")),
        ] {
            assert_eq!(keys(json).unwrap_err(), expected, "{json}");
        }
    }

    #[test]
    fn what_is_no_object_is_said_to_be_none() {
        let walk = Entries { visit: &mut |_, _| {} };
        let error = serde_json::Deserializer::from_str("7").deserialize_map(walk).unwrap_err();
        assert_eq!(error.to_string(), "invalid type: integer `7`, expected a JSON object at line 1 column 1");
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let json = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(keys(&json).unwrap().len(), 1);
        assert!(keys(&json[..150_000]).is_err());
    }

    #[test]
    fn a_lone_surrogate_takes_nothing_but_itself() {
        for (json, expected) in [
            (r#""\ud83d""#, r#""\ufffd""#),
            (r#""a\uD83Db\uDe00c""#, r#""a\ufffdb\ufffdc""#),
            (r#""\ud83d\ude00""#, r#""\ud83d\ude00""#),
            (r#""\ud83d\ud83d\ude00\ude00""#, r#""\ufffd\ud83d\ude00\ufffd""#),
            (r#""\ude00\ud83d""#, r#""\ufffd\ufffd""#),
            (r#""\ud83d\u0041\ud7ff\ue000""#, r#""\ufffd\u0041\ud7ff\ue000""#),
            (r#""\\ud83d \\\ud83d""#, r#""\\ud83d \\\ufffd""#),
            (r#""\ud8""#, r#""\ud8""#),
            (r#""\ud83g \udcag""#, r#""\ud83g \udcag""#),
            ("é\\", "é\\"),
        ] {
            assert_eq!(replace_lone_surrogates(json), expected, "{json}");
        }
        assert_eq!(lossy_text(r#""é\n\udc00!""#).unwrap(), "é\n\u{fffd}!");
        assert_eq!(text(r#""\udc00""#), None);
        for json in ["7", "\"\\ud8\"", "null"] {
            assert_eq!(lossy_text(json), None, "{json}");
        }
    }

    #[test]
    fn clips_at_a_character() {
        assert_eq!(clip("abc", 3), "abc");
        assert_eq!(clip("aéé", 2), "a…");
    }
}
