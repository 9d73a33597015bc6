//! Finds the halves of surrogate pairs that stand alone in a JSON text.

use std::collections::HashMap;

use serde_json::value::RawValue;

/// The first escape of half a pair whose other half is absent, such as `\ud83d`.
pub(super) fn lone(json: &str) -> Option<&str> {
    at(json).and_then(|at| json.get(at..at + 6))
}

/// Where it is.
fn at(json: &str) -> Option<usize> {
    let bytes = json.as_bytes();
    let mut at = 0;
    loop {
        at += memchr::memchr(b'\\', bytes.get(at..)?)?;
        at += match unit(json, at) {
            // Any other escape has two characters.
            None => 2,
            Some(0xd800..=0xdbff) if matches!(unit(json, at + 6), Some(0xdc00..=0xdfff)) => 12,
            Some(0xd800..=0xdfff) => return Some(at),
            Some(_) => 6,
        };
    }
}

/// The number of an escape `\uXXXX`.
fn unit(json: &str, at: usize) -> Option<u16> {
    let digits = json.get(at..at + 6)?.strip_prefix("\\u")?;
    digits.bytes().all(|digit| digit.is_ascii_hexdigit()).then(|| u16::from_str_radix(digits, 16).ok())?
}

/// The first field of an object whose value has one; none when it is in the name of a field.
pub(super) fn field(json: &str) -> Option<String> {
    let fields: HashMap<String, &RawValue> = serde_json::from_str(json).ok()?;
    let found = fields.into_iter().filter(|(_, value)| at(value.get()).is_some());
    // The values are parts of the one text.
    let place = |value: &RawValue| value.get().as_ptr().addr();
    found.min_by_key(|(_, value)| place(value)).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lone_ones_are_told_from_pairs_and_from_text() {
        for (json, expected) in [
            (r#"["\ud83d"]"#, Some(r"\ud83d")),
            (r#"["\uDC00\ud83d"]"#, Some(r"\uDC00")),
            (r#"["\ud83d\ude00 \ud83d \ude00"]"#, Some(r"\ud83d")),
            (r#"["\ud83d\ud83d\ude00"]"#, Some(r"\ud83d")),
            (r#"{"\udfff":1}"#, Some(r"\udfff")),
            (r#"["\ud83d\ude00"]"#, None),
            (r#"["\\ud83d"]"#, None),
            (r#"["\\\ud83d"]"#, Some(r"\ud83d")),
            (r#"["é\u00e9😀\n"]"#, None),
            (r#"["\ud8"#, None),
            ("\\", None),
            ("", None),
        ] {
            assert_eq!(lone(json), expected, "{json}");
        }
    }

    #[test]
    fn the_field_is_the_first_in_the_text() {
        assert_eq!(field(r#"{"a":"fine","z":[{"b":"\ud800"}],"c":"\udc00"}"#).as_deref(), Some("z"));
        assert_eq!(field(r#"{"a":1,"\ud800":2}"#), None);
    }
}
