//! Owns the quick walk over JSON that is already known to be valid: it looks only for quotes and
//! brackets. It never proves anything; [`raw::entries`](crate::raw::entries) does that first.

use std::borrow::Cow;

use crate::raw::text;

/// Calls `visit` with each key (escapes undone) and value of the object in `json`, in order.
///
/// `json` is to be valid JSON. Of anything that is no object nothing is visited, and of broken JSON
/// anything may be, but it always ends and never panics.
pub(crate) fn fields<'a>(json: &'a str, visit: &mut dyn FnMut(Cow<'a, str>, &'a str)) {
    let bytes = json.as_bytes();
    let mut at = after_space(bytes, 0);
    if bytes.get(at) != Some(&b'{') {
        return;
    }
    at += 1;
    loop {
        at = after_space(bytes, at);
        if bytes.get(at) == Some(&b',') {
            at = after_space(bytes, at + 1);
        }
        if bytes.get(at) != Some(&b'"') {
            return;
        }
        let key_end = after_string(bytes, at);
        let colon = after_space(bytes, key_end);
        let start = after_space(bytes, colon + 1);
        let end = after_value(bytes, start);
        let (Some(key), Some(value)) = (json.get(at..key_end), json.get(start..end)) else {
            return;
        };
        visit(text(key).unwrap_or(Cow::Borrowed(key)), value);
        at = end;
    }
}

pub(crate) fn after_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The place after the string whose opening quote is at `at`.
pub(crate) fn after_string(bytes: &[u8], at: usize) -> usize {
    let mut at = at + 1;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if bytes[at] == b'"' {
            return at + 1;
        }
        at += 2;
    }
    bytes.len()
}

/// The place after the value that begins at `at`.
pub(crate) fn after_value(bytes: &[u8], at: usize) -> usize {
    match bytes.get(at) {
        Some(b'"') => after_string(bytes, at),
        Some(b'{') => after_brackets(bytes, at, b'{', b'}'),
        Some(b'[') => after_brackets(bytes, at, b'[', b']'),
        _ => {
            let rest = bytes.get(at..).unwrap_or_default();
            let ends = |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
            at + rest.iter().position(ends).unwrap_or(rest.len())
        }
    }
}

/// The place after the bracket that closes the one at `at`. In valid JSON brackets of the other
/// kind need no counting.
fn after_brackets(bytes: &[u8], mut at: usize, open: u8, close: u8) -> usize {
    let mut depth = 0_usize;
    while let Some(found) = bytes.get(at..).and_then(|rest| memchr::memchr3(b'"', open, close, rest)) {
        at += found;
        let byte = bytes[at];
        if byte == b'"' {
            at = after_string(bytes, at);
            continue;
        }
        at += 1;
        if byte == open {
            depth += 1;
        } else {
            depth -= 1;
            if depth == 0 {
                return at;
            }
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::raw;

    fn quick(json: &str) -> Vec<(String, String)> {
        let mut found = Vec::new();
        fields(json, &mut |key, value| found.push((key.into_owned(), value.to_owned())));
        found
    }

    #[test]
    fn agrees_with_the_thorough_walk_on_all_that_is_valid() {
        const PIECES: [&str; 24] = [
            "{",
            "}",
            "[",
            "]",
            "\"",
            "\\\"",
            "\\\\",
            "\\u0061",
            "é",
            ":",
            ",",
            " ",
            "\r",
            "1",
            "-2.5e+3",
            "null",
            "true",
            "\"a\":",
            "\"b\\n\" : ",
            "{}",
            "[]",
            "\"x\"",
            "[1,{\"k\":\"}]\"}]",
            "{\"a\":[\"]\",2]}",
        ];
        let mut state = 7_u64;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        let mut valid = 0;
        for _ in 0..60_000 {
            let mut json = "{".to_owned();
            for number in 0..below(4) {
                json.push_str(if number > 0 { ", " } else { "" });
                json.push_str(&format!("\"k{number}\":"));
                (0..1 + below(2)).for_each(|_| json.push_str(PIECES[below(PIECES.len())]));
            }
            json.push('}');
            let found = quick(&json);
            let mut expected = Vec::new();
            let walked = raw::entries(&json, &mut |key, value| {
                expected.push((key.into_owned(), value.get().to_owned()));
            });
            if walked.is_ok() {
                valid += 1;
                assert_eq!(found, expected, "{json}");
            }
        }
        assert!(valid > 10_000, "{valid}");
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for json in ["", "[]", "17", "\"{\"", "null", " "] {
            assert!(quick(json).is_empty(), "{json}");
        }
        for broken in ["{", "{\"", "{\"a", "{\"a\"", "{\"a\":", "{\"a\":[", "{\"a\":\"\\", "{\"a\":}}", "{,,}"] {
            let _ = quick(broken);
        }
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let json = format!("{{\"a\":{}{}, \"b\":1}}", "{\"x\":[".repeat(100_000), "]}".repeat(100_000));
        assert_eq!(quick(&json).len(), 2);
    }
}
