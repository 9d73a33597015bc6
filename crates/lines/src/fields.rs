//! Owns the quick walk over JSON that is already known to be valid: it looks only for quotes and
//! brackets. It never proves anything; [`raw::entries`](crate::raw::entries) does that first.

use std::borrow::Cow;

use crate::raw::{Kind, key_text, text};
use crate::skip::{after_space, after_string, after_value};
use crate::tape::{Tape, Token};

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
/// it stops at, the caller takes it, steps into it, or leaves it, and then it is passed over. Where a [`Tape`] of the line
/// is at hand, it looks at no byte but the first of each value.
///
/// Of broken JSON anything may be visited, but every walk ends and none panics.
#[derive(Debug)]
pub(crate) struct Walk<'a> {
    json: &'a str,
    at: usize,
    tape: Tape,
    /// Where the walk is on the tape, if it has one.
    place: Option<usize>,
}

impl<'a> Walk<'a> {
    pub(crate) fn new(json: &'a str) -> Self {
        Self { json, at: after_space(json.as_bytes(), 0), tape: Tape::default(), place: None }
    }

    /// A walk through a value of a line, which is at this place of the line's tape, if that is whole.
    pub(crate) fn on(tape: Tape, line: &'a str, value: &'a str, place: usize) -> Self {
        match tape.start(place) {
            Some(at) if tape.is_whole() => Self { json: line, at, tape, place: Some(place) },
            _ => Self { tape, ..Self::new(value) },
        }
    }

    /// The tape, for another walk.
    pub(crate) fn into_tape(self) -> Tape {
        self.tape
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
        match self.place {
            Some(place) => self.pass(place),
            None => self.at = after_value(self.json.as_bytes(), start),
        }
        self.json.get(start..self.at).unwrap_or_default()
    }

    /// Passes over a value on the tape.
    fn pass(&mut self, place: usize) {
        self.at = self.tape.end(place).unwrap_or(self.json.len());
        self.place = Some(self.tape.next(place));
    }

    /// Steps into an object: `visit` gets each key (escapes undone), with the walk at its value.
    /// What is no object is left where it is.
    pub(crate) fn fields(&mut self, visit: &mut dyn FnMut(Cow<'a, str>, &mut Self)) {
        let bytes = self.json.as_bytes();
        if bytes.get(self.at) != Some(&b'{') {
            return;
        }
        if let Some(place) = self.place {
            return self.fields_on_tape(place, visit);
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

    fn fields_on_tape(&mut self, place: usize, visit: &mut dyn FnMut(Cow<'a, str>, &mut Self)) {
        let (end, mut next) = (self.tape.next(place), place + 1);
        while next < end
            && let Some(Token { start, end: key_end, escapes }) = self.tape.token(next)
        {
            let key = self.json.get(start..key_end).unwrap_or_default();
            self.stop_at(next + 1);
            visit(key_text(key, escapes), self);
            next = self.past(next + 1);
        }
        self.pass(place);
    }

    /// Stops at a value on the tape.
    fn stop_at(&mut self, place: usize) {
        self.at = self.tape.start(place).unwrap_or(self.json.len());
        self.place = Some(place);
    }

    /// The place behind the value at which the walk was stopped.
    fn past(&self, place: usize) -> usize {
        match self.place {
            Some(now) if now > place => now,
            _ => self.tape.next(place),
        }
    }

    /// Steps into an array: `visit` gets the walk at each of its values. What is no array is left
    /// where it is.
    pub(crate) fn items(&mut self, visit: &mut dyn FnMut(&mut Self)) {
        let bytes = self.json.as_bytes();
        if bytes.get(self.at) != Some(&b'[') {
            return;
        }
        if let Some(place) = self.place {
            return self.items_on_tape(place, visit);
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

    fn items_on_tape(&mut self, place: usize, visit: &mut dyn FnMut(&mut Self)) {
        let (end, mut next) = (self.tape.next(place), place + 1);
        while next < end {
            self.stop_at(next);
            visit(self);
            next = self.past(next);
        }
        self.pass(place);
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
