//! A walk through the values of a JSON text that is known to be valid, one step at a time and without a tree: what
//! nobody looks into is passed over by its quotes and brackets alone.

use std::borrow::Cow;

use crate::fields::{after_space, after_string, after_value};
use crate::raw::{Kind, text};

/// Stands at the beginning of a value, or behind it once it was read.
pub(super) struct Cursor<'a> {
    json: &'a str,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// At the beginning of `json`, which is one valid value without white space around it. Of a broken one anything may
    /// be read, but the walk always ends and never panics.
    pub(super) fn new(json: &'a str) -> Self {
        Self { json, at: 0 }
    }

    /// What the value is.
    pub(super) fn kind(&self) -> Kind {
        Kind::of(self.json.get(self.at..).unwrap_or_default())
    }

    /// Passes over the value and gives it back as it is written.
    pub(super) fn skip(&mut self) -> &'a str {
        let start = self.at;
        self.at = after_value(self.json.as_bytes(), start);
        self.json.get(start..self.at).unwrap_or_default()
    }

    /// Calls `visit` with each key (escapes undone) of the object, the cursor at its value; a value that `visit` does
    /// not read is passed over. Any other value is only passed over.
    pub(super) fn fields(&mut self, visit: &mut dyn FnMut(&mut Self, Cow<'a, str>)) {
        let bytes = self.json.as_bytes();
        if !self.enter(b'{') {
            return;
        }
        while let Some(b'"') = bytes.get(self.at) {
            let key_end = after_string(bytes, self.at);
            let Some(key) = self.json.get(self.at..key_end) else { break };
            let colon = after_space(bytes, key_end);
            self.at = after_space(bytes, colon + 1);
            let before = self.at;
            visit(self, text(key).unwrap_or(Cow::Borrowed(key)));
            self.next(before);
        }
        self.leave();
    }

    /// Calls `visit` with the number of each element of the array, from 0, the cursor at the element; one that `visit`
    /// does not read is passed over. Any other value is only passed over.
    pub(super) fn elements(&mut self, visit: &mut dyn FnMut(&mut Self, usize)) {
        let bytes = self.json.as_bytes();
        if !self.enter(b'[') {
            return;
        }
        let mut index = 0;
        while !matches!(bytes.get(self.at), Some(b']') | None) {
            let before = self.at;
            visit(self, index);
            self.next(before);
            index += 1;
        }
        self.leave();
    }

    fn enter(&mut self, open: u8) -> bool {
        if self.json.as_bytes().get(self.at) == Some(&open) {
            self.at = after_space(self.json.as_bytes(), self.at + 1);
            return true;
        }
        self.skip();
        false
    }

    /// To the next key or element, or to the closing bracket.
    fn next(&mut self, before: usize) {
        if self.at == before {
            self.skip();
        }
        let bytes = self.json.as_bytes();
        let comma = after_space(bytes, self.at);
        // Valid JSON has a comma or the bracket here; on anything else the walk moves on all the same.
        let moved = usize::from(bytes.get(comma) == Some(&b',') || comma == before);
        self.at = after_space(bytes, comma + moved);
    }

    fn leave(&mut self) {
        self.at = (self.at + 1).min(self.json.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Everything that a walk sees, all the way down.
    fn seen(cursor: &mut Cursor<'_>) -> String {
        let mut parts = Vec::new();
        match cursor.kind() {
            Kind::Object => {
                cursor.fields(&mut |cursor, key| parts.push(format!("{key:?}:{}", seen(cursor))));
                format!("{{{}}}", parts.join(","))
            }
            Kind::Array => {
                cursor.elements(&mut |cursor, index| parts.push(format!("{index}={}", seen(cursor))));
                format!("[{}]", parts.join(","))
            }
            _ => cursor.skip().to_owned(),
        }
    }

    #[test]
    fn every_value_is_seen_once_and_in_order() {
        let json = r#"{ "a" : [ 1 , "x,]}" ,[ ] , {} ,{"b\u0062": null}],"c":-1.5e3 , "d" :{"e":[[2]]} }"#;
        assert_eq!(
            seen(&mut Cursor::new(json)),
            r#"{"a":[0=1,1="x,]}",2=[],3={},4={"bb":null}],"c":-1.5e3,"d":{"e":[0=[0=2]]}}"#
        );
    }

    #[test]
    fn what_is_not_read_is_passed_over() {
        let mut keys = Vec::new();
        let mut cursor = Cursor::new(r#"{"a":{"x":[{"y":"}"}]},"b":[1,[2]],"c":"\"","d":1}"#);
        cursor.fields(&mut |cursor, key| {
            if key == "b" {
                // Half read: the rest of the element list is still passed over.
                let mut first = None;
                cursor.elements(&mut |cursor, index| {
                    if index == 0 {
                        first = Some(cursor.skip().to_owned());
                    }
                });
                assert_eq!(first.as_deref(), Some("1"));
            }
            keys.push(key.into_owned());
        });
        assert_eq!(keys, ["a", "b", "c", "d"]);
        assert_eq!(cursor.skip(), "");
    }

    #[test]
    fn broken_texts_end_too() {
        let whole = r#"{"a":[1,"x",{"b":[true,null]}],"c":{"d":2}}"#;
        for end in 0..whole.len() {
            seen(&mut Cursor::new(&whole[..end]));
        }
        for broken in
            ["", "{,,}", "[,,]", "{\"a\"}", "{\"a\" 1}", "[1 2]", "[}", "{]", "[\"\\", "{\"a\":,\"b\":1}", "[:::]"]
        {
            seen(&mut Cursor::new(broken));
        }
    }
}
