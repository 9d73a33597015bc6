//! Owns the quick walk over JSON that is already known to be valid: it looks only for quotes and
//! brackets. It never proves anything; [`raw::entries`](crate::raw::entries) does that first.

use std::borrow::Cow;

use crate::raw::{Kind, text};

/// Calls `visit` with each key (escapes undone) and value of the object in `json`, in order.
///
/// `json` is to be valid JSON. Of anything that is no object nothing is visited, and of broken JSON
/// anything may be, but it always ends and never panics.
pub(crate) fn fields<'a>(json: &'a str, visit: &mut dyn FnMut(Cow<'a, str>, &'a str)) {
    Walk::new(json).fields(&mut |key, walk| visit(key, walk.value()));
}

/// How many objects and arrays of a JSON text stand in each other where they are the most.
pub(crate) fn levels(json: &str) -> usize {
    let bytes = json.as_bytes();
    let (mut open, mut most, mut at) = (0_usize, 0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => {
                at = after_string(bytes, at);
                continue;
            }
            b'{' | b'[' => {
                open += 1;
                most = most.max(open);
            }
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        at += 1;
    }
    most
}

/// A walk through one JSON value that looks at each byte once, however deep it looks: at each value
/// it stops at, the caller takes it, steps into it, or leaves it, and then it is passed over.
///
/// Of broken JSON anything may be visited, but every walk ends and none panics.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(json: &'a str) -> Self {
        Self { json, at: after_space(json.as_bytes(), 0) }
    }

    /// What the value here is.
    pub(crate) fn kind(&self) -> Kind {
        Kind::of(self.json.get(self.at..).unwrap_or_default())
    }

    /// All that stands from here on.
    pub(crate) fn rest(&self) -> Option<&'a str> {
        self.json.get(self.at..)
    }

    /// The value here, which is passed over.
    pub(crate) fn value(&mut self) -> &'a str {
        let start = self.at;
        self.at = after_value(self.json.as_bytes(), start);
        self.json.get(start..self.at).unwrap_or_default()
    }

    /// Steps into an object: `visit` gets each key (escapes undone), with the walk at its value.
    /// What is no object is left where it is.
    pub(crate) fn fields(&mut self, visit: &mut dyn FnMut(Cow<'a, str>, &mut Self)) {
        let bytes = self.json.as_bytes();
        if bytes.get(self.at) != Some(&b'{') {
            return;
        }
        let mut at = self.at + 1;
        loop {
            at = after_space(bytes, at);
            if bytes.get(at) == Some(&b',') {
                at = after_space(bytes, at + 1);
            }
            if bytes.get(at) != Some(&b'"') {
                self.at = (at + 1).min(bytes.len());
                return;
            }
            let key_end = after_string(bytes, at);
            let colon = after_space(bytes, key_end);
            let start = after_space(bytes, colon + 1);
            let Some(key) = self.json.get(at..key_end).filter(|_| start <= bytes.len()) else {
                self.at = bytes.len();
                return;
            };
            self.at = start;
            visit(text(key).unwrap_or(Cow::Borrowed(key)), self);
            if self.at == start {
                self.value();
            }
            at = self.at;
        }
    }

    /// Steps into an array: `visit` gets the walk at each of its values. What is no array is left
    /// where it is.
    pub(crate) fn items(&mut self, visit: &mut dyn FnMut(&mut Self)) {
        let bytes = self.json.as_bytes();
        if bytes.get(self.at) != Some(&b'[') {
            return;
        }
        let mut at = self.at + 1;
        loop {
            at = after_space(bytes, at);
            if bytes.get(at) == Some(&b',') {
                at = after_space(bytes, at + 1);
            }
            self.at = at;
            if matches!(bytes.get(at), None | Some(b']')) {
                self.at = (at + 1).min(bytes.len());
                return;
            }
            visit(self);
            if self.at == at {
                self.value();
            }
            if self.at == at {
                return;
            }
            at = self.at;
        }
    }

    /// The same, with the number of each value, from 0.
    pub(crate) fn numbered(&mut self, visit: &mut dyn FnMut(usize, &mut Self)) {
        let mut index = 0;
        self.items(&mut |walk| {
            visit(index, walk);
            index += 1;
        });
    }
}

fn after_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// The place of the next quote or backslash.
#[inline]
pub(crate) fn quote_or_backslash(bytes: &[u8], at: usize) -> Option<usize> {
    match near(bytes, at, |word| with(word, b'"') | with(word, b'\\')) {
        Ok(found) => Some(found),
        Err(at) => memchr::memchr2(b'"', b'\\', bytes.get(at..)?).map(|found| at + found),
    }
}

/// The place of the next quote.
#[inline]
fn quote(bytes: &[u8], at: usize) -> Option<usize> {
    match near(bytes, at, |word| with(word, b'"')) {
        Ok(found) => Some(found),
        Err(at) => memchr::memchr(b'"', bytes.get(at..)?).map(|found| at + found),
    }
}

/// The place of the first backslash.
#[inline]
pub(crate) fn backslash(bytes: &[u8]) -> Option<usize> {
    match near(bytes, 0, |word| with(word, b'\\')) {
        Ok(found) => Some(found),
        Err(at) => memchr::memchr(b'\\', bytes.get(at..)?).map(|found| at + found),
    }
}

const ONES: u64 = u64::MAX / 0xFF;

/// The high bit of each byte that is this one; above the first of them, of some others too.
fn with(word: u64, byte: u8) -> u64 {
    let zeros = word ^ (ONES * u64::from(byte));
    zeros.wrapping_sub(ONES) & !zeros & (ONES << 7)
}

/// The place of the first byte that `found` marks among the next few, or the place behind them. Most texts are short: the
/// search that is faster in long ones takes longer to begin.
#[inline]
fn near(bytes: &[u8], at: usize, found: impl Fn(u64) -> u64) -> Result<usize, usize> {
    const WORDS: usize = 3;
    let (words, _) = bytes.get(at..).unwrap_or_default().as_chunks();
    for (number, word) in words.iter().take(WORDS).enumerate() {
        let found = found(u64::from_le_bytes(*word));
        if found != 0 {
            return Ok(at + 8 * number + (found.trailing_zeros() / 8) as usize);
        }
    }
    Err(at + 8 * words.len().min(WORDS))
}

/// The place after the string whose opening quote is at `at`.
fn after_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(found) = quote(bytes, at) {
        at = found + 1;
        let backslashes = bytes[start + 1..found].iter().rev().take_while(|byte| **byte == b'\\').count();
        if backslashes % 2 == 0 {
            return at;
        }
    }
    bytes.len()
}

/// The place after the value that begins at `at`.
fn after_value(bytes: &[u8], at: usize) -> usize {
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
                expected.push((key.into_owned(), value.to_owned()));
            });
            if walked.is_ok() {
                valid += 1;
                assert_eq!(found, expected, "{json}");
            }
        }
        assert!(valid > 10_000, "{valid}");
    }

    #[test]
    fn a_walk_steps_in_and_passes_over_the_rest() {
        let json = r#"{"a":[1,{"x":[2,3] ,"y":"]}"}, [] ,"z"], "b" : {"c":{"d":4}}, "e":5}"#;
        let mut seen = Vec::new();
        Walk::new(json).fields(&mut |key, walk| match key.as_ref() {
            "a" => walk.items(&mut |walk| match walk.kind() {
                Kind::Object => walk.fields(&mut |key, walk| {
                    if key == "x" {
                        walk.items(&mut |walk| seen.push(walk.value()));
                    }
                }),
                Kind::String => seen.push(walk.value()),
                _ => {}
            }),
            "b" => walk.fields(&mut |_, walk| walk.fields(&mut |_, walk| seen.push(walk.value()))),
            _ => seen.push(walk.value()),
        });
        assert_eq!(seen, ["2", "3", "\"z\"", "4", "5"]);
        // What is of another kind is passed over as a whole.
        let mut seen = Vec::new();
        Walk::new(r#"{"a":[1],"b":{"c":2},"d":3}"#).fields(&mut |key, walk| {
            walk.items(&mut |walk| seen.push(walk.value().to_owned()));
            seen.push(key.into_owned());
        });
        assert_eq!(seen, ["1", "a", "b", "d"]);
    }

    /// Everything that a walk sees, all the way down.
    fn seen(walk: &mut Walk<'_>) -> String {
        let mut parts = Vec::new();
        match walk.kind() {
            Kind::Object => {
                walk.fields(&mut |key, walk| parts.push(format!("{key:?}:{}", seen(walk))));
                format!("{{{}}}", parts.join(","))
            }
            Kind::Array => {
                walk.numbered(&mut |index, walk| parts.push(format!("{index}={}", seen(walk))));
                format!("[{}]", parts.join(","))
            }
            _ => walk.value().to_owned(),
        }
    }

    #[test]
    fn every_value_is_seen_once_and_in_order() {
        let json = r#"{ "a" : [ 1 , "x,]}" ,[ ] , {} ,{"b\u0062": null}],"c":-1.5e3 , "d" :{"e":[[2]]} }"#;
        assert_eq!(
            seen(&mut Walk::new(json)),
            r#"{"a":[0=1,1="x,]}",2=[],3={},4={"bb":null}],"c":-1.5e3,"d":{"e":[0=[0=2]]}}"#
        );
    }

    #[test]
    fn what_is_not_read_is_passed_over() {
        let mut keys = Vec::new();
        let mut walk = Walk::new(r#"{"a":{"x":[{"y":"}"}]},"b":[1,[2]],"c":"\"","d":1}"#);
        walk.fields(&mut |key, walk| {
            if key == "b" {
                // Half read: the rest of the values is still passed over.
                let mut first = None;
                walk.numbered(&mut |index, walk| {
                    if index == 0 {
                        first = Some(walk.value().to_owned());
                    }
                });
                assert_eq!(first.as_deref(), Some("1"));
            }
            keys.push(key.into_owned());
        });
        assert_eq!(keys, ["a", "b", "c", "d"]);
        assert_eq!(walk.value(), "");
    }

    #[test]
    fn broken_texts_end_too() {
        let whole = r#"{"a":[1,"x",{"b":[true,null]}],"c":{"d":2}}"#;
        for end in 0..whole.len() {
            seen(&mut Walk::new(&whole[..end]));
        }
        for broken in
            ["", "{,,}", "[,,]", "{\"a\"}", "{\"a\" 1}", "[1 2]", "[}", "{]", "[\"\\", "{\"a\":,\"b\":1}", "[:::]"]
        {
            seen(&mut Walk::new(broken));
        }
    }

    #[test]
    fn what_is_no_object_has_no_fields() {
        for json in ["", "[]", "17", "\"{\"", "null", " "] {
            assert!(quick(json).is_empty(), "{json}");
        }
        for broken in [
            "{",
            "{\"",
            "{\"a",
            "{\"a\"",
            "{\"a\":",
            "{\"a\":[",
            "{\"a\":\"\\",
            "{\"a\":}}",
            "{,,}",
            "[,",
            "[[",
            "[}",
            "[1 2",
        ] {
            let _ = quick(broken);
            Walk::new(broken).items(&mut |walk| walk.items(&mut |_| {}));
        }
    }

    #[test]
    fn levels_are_those_of_the_deepest_place() {
        for (json, deepest) in [
            ("", 0),
            ("1", 0),
            ("\"[{\\\"[\"", 0),
            ("{}", 1),
            ("[[],[],{},[]]", 2),
            (r#"{"a":[{"b":1}],"c":{"]":"["},"d":[[]]}"#, 3),
            ("]}[", 1),
        ] {
            assert_eq!(levels(json), deepest, "{json}");
        }
    }

    #[test]
    fn deep_nesting_needs_no_stack() {
        let json = format!("{{\"a\":{}{}, \"b\":1}}", "{\"x\":[".repeat(100_000), "]}".repeat(100_000));
        assert_eq!(quick(&json).len(), 2);
    }
}
