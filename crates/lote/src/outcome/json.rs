//! JSON of which no more is read than what is asked for, so that nothing beside it (its depth, a number beyond every
//! range, half of a surrogate pair) is in the way.

use std::{borrow::Cow, fmt};

use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, MapAccess, Visitor},
};
use serde_json::value::RawValue;

use crate::lines::replace_lone_surrogates;

/// A JSON value that is not read yet.
#[derive(Clone, Copy)]
pub(crate) struct Json<'a>(&'a str);

impl<'a> Json<'a> {
    pub(crate) fn parse(text: &'a str) -> serde_json::Result<Self> {
        serde_json::from_str::<&RawValue>(text).map(|raw| Self(raw.get()))
    }

    /// The JSON itself.
    pub(crate) fn as_str(self) -> &'a str {
        self.0
    }

    /// These fields of an object; none of anything else.
    pub(crate) fn fields<const N: usize>(self, names: [&str; N]) -> [Option<Self>; N] {
        let mut found = [None; N];
        self.each(&mut |key, value| {
            // Of a field that is given twice the last one counts, as in nearly every reader.
            if let Some(at) = names.iter().position(|name| *name == key) {
                found[at] = Some(value);
            }
        });
        found
    }

    pub(crate) fn get(self, name: &str) -> Option<Self> {
        let [found] = self.fields([name]);
        found
    }

    /// The names of the fields of an object.
    pub(crate) fn keys(self) -> Vec<String> {
        let mut keys = Vec::new();
        self.each(&mut |key, _| keys.push(key.to_owned()));
        keys
    }

    fn each(self, visit: &mut dyn FnMut(&str, Self)) {
        if self.is_object() {
            // What was parsed once is valid.
            let _ = serde_json::Deserializer::from_str(self.0).deserialize_map(Fields(visit));
        }
    }

    /// The values of an array; none of anything else.
    pub(crate) fn items(self) -> Option<Vec<Self>> {
        if !self.0.starts_with('[') {
            return None;
        }
        let values: Vec<&RawValue> = serde_json::from_str(self.0).ok()?;
        Some(values.into_iter().map(|raw| Self(raw.get())).collect())
    }

    /// The text of a string.
    pub(crate) fn text(self) -> Option<String> {
        if !self.0.starts_with('"') {
            return None;
        }
        parse(self.0).ok()
    }

    /// The text of a field, if it is one that is not empty.
    pub(crate) fn text_of(self, name: &str) -> Option<String> {
        self.get(name).and_then(Self::text).filter(|text| !text.is_empty())
    }

    /// Whether the field is this text.
    pub(crate) fn says(self, name: &str, text: &str) -> bool {
        self.get(name).and_then(Self::text).is_some_and(|found| found == text)
    }

    pub(crate) fn is_null(self) -> bool {
        self.0 == "null"
    }

    pub(crate) fn is_object(self) -> bool {
        self.0.starts_with('{')
    }

    pub(crate) fn is_array(self) -> bool {
        self.0.starts_with('[')
    }
}

struct Fields<'f, 'a>(&'f mut dyn FnMut(&str, Json<'a>));

impl<'a> Visitor<'a> for Fields<'_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((Key(key), value)) = map.next_entry::<Key<'a>, &'a RawValue>()? {
            (self.0)(&key, Json(value.get()));
        }
        Ok(())
    }
}

/// A key, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Key<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?.get();
        let inner = raw.get(1..raw.len().saturating_sub(1)).unwrap_or_default();
        Ok(Self(match inner.contains('\\') {
            false => Cow::Borrowed(inner),
            true => parse(raw).map_or(Cow::Borrowed(inner), Cow::Owned),
        }))
    }
}

/// Reads JSON as a type; half of a surrogate pair, which no text of ours can hold, reads as U+FFFD.
pub(crate) fn parse<T: DeserializeOwned>(json: &str) -> serde_json::Result<T> {
    serde_json::from_str(json).or_else(|error| match replace_lone_surrogates(json) {
        Cow::Borrowed(_) => Err(error),
        Cow::Owned(repaired) => serde_json::from_str(&repaired),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_a_pair_takes_nothing_but_itself() {
        for (json, text) in [
            (r#""a\ud83d""#, "a\u{fffd}"),
            (r#""\udc00b""#, "\u{fffd}b"),
            (r#""\ud83d\ude00""#, "\u{1f600}"),
            (r#""\ud83d\ud83d\ude00""#, "\u{fffd}\u{1f600}"),
            (r#""\ud83d\n\ude00""#, "\u{fffd}\n\u{fffd}"),
            (r#""\\ud83d""#, "\\ud83d"),
            (r#""\\\ud83d\\""#, "\\\u{fffd}\\"),
            (r#""é\uD83Dé""#, "é\u{fffd}é"),
        ] {
            assert_eq!(parse::<String>(json).unwrap(), text, "{json}");
            assert_eq!(Json::parse(json).unwrap().text().unwrap(), text, "{json}");
        }
    }

    #[test]
    fn what_is_not_asked_for_is_not_in_the_way() {
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        let json = format!(r#" {{"far":1e999,"deep":{deep},"\ud800":1,"n\u0061me":"x","list":[{deep},null]}} "#);
        let json = Json::parse(&json).unwrap();
        assert_eq!(json.text_of("name").as_deref(), Some("x"));
        let items = json.get("list").and_then(Json::items).unwrap();
        assert!(items[0].is_array() && items[1].is_null());
        assert_eq!(json.keys()[3..], ["name", "list"]);
        assert!(json.items().is_none() && json.text().is_none() && json.get("x").is_none());
        assert!(Json::parse("{} {}").is_err());
    }
}
