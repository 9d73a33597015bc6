//! The fields of answers that are objects of JSON.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::cell::Cell;

/// The names that lead to a field.
pub(crate) type Path = Vec<String>;

/// An object, whose fields are in their order and not read yet.
pub(crate) struct Object(Vec<(String, Box<RawValue>)>);

impl Object {
    /// Of a text that is one object, and nothing else.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        text.trim_start().starts_with('{').then(|| serde_json::from_str(text).ok()).flatten()
    }

    /// Its fields; those of objects within it, when they are to be taken apart, by the names that lead to them. Of a field
    /// that is there twice the last one counts for who looks it up.
    pub(crate) fn fields(&self, apart: bool) -> Vec<(Path, Cell)> {
        let mut fields = Vec::new();
        self.gather(apart, &mut Vec::new(), &mut fields);
        fields
    }

    fn gather(&self, apart: bool, path: &mut Path, fields: &mut Vec<(Path, Cell)>) {
        for (name, raw) in &self.0 {
            path.push(name.clone());
            match apart.then(|| Self::parse(raw.get())).flatten().filter(|inner| !inner.0.is_empty()) {
                Some(inner) => inner.gather(apart, path, fields),
                None => fields.push((path.clone(), Cell::of_json(raw))),
            }
            path.pop();
        }
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut fields = Vec::new();
                while let Some(field) = map.next_entry()? {
                    fields.push(field);
                }
                Ok(Object(fields))
            }
        }
        deserializer.deserialize_map(Fields)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_taken_apart_and_numbers_keep_their_digits() {
        let text = r#" {"a":{"b":1.50,"c":{"d":null}},"e":[1,{"f":2}],"g":{},"h":12345678901234567890123,"a.b":true} "#;
        let fields = Object::parse(text).unwrap().fields(true);
        let said: Vec<(String, Cell)> = fields.into_iter().map(|(path, cell)| (path.join("/"), cell)).collect();
        let plain = |text: &str| Cell::Plain(text.to_owned());
        let json = |text: &str| Cell::Json(text.to_owned());
        let expected = [
            ("a/b", plain("1.50")),
            ("a/c/d", Cell::Empty),
            ("e", json(r#"[1,{"f":2}]"#)),
            ("g", json("{}")),
            ("h", plain("12345678901234567890123")),
            ("a.b", plain("true")),
        ];
        assert_eq!(said, expected.map(|(path, cell)| (path.to_owned(), cell)));
        let whole = Object::parse(text).unwrap().fields(false);
        assert_eq!(whole[0].1, json(r#"{"b":1.50,"c":{"d":null}}"#));
        for other in ["", "[]", "{", r#"{"a":1} x"#, "1", "```json\n{}\n```"] {
            assert!(Object::parse(other).is_none(), "{other}");
        }
    }
}
