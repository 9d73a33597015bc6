//! The last look at a rendered body: one JSON object, no key twice.

use std::collections::HashSet;
use std::fmt;

use serde::de::{self, Deserialize, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The rendered text as a body on one line, with `"model"` put in front when the
/// template gives none.
///
/// # Errors
/// Says what is wrong with the text, as a sentence of its own.
pub(crate) fn finish(text: &str, model: Option<&str>) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("the template rendered nothing; the body is one JSON object".to_owned());
    }
    let mut has_model = false;
    let mut parser = serde_json::Deserializer::from_str(text);
    let top = Top { has_model: &mut has_model };
    top.deserialize(&mut parser).and_then(|()| parser.end()).map_err(|error| fault(text, &error))?;
    let body = minify(text);
    let Some(inside) = body.strip_prefix('{') else {
        return Err("the body is no JSON object; it must start with { and end with }".to_owned());
    };
    match model {
        Some(model) if !has_model => {
            let model = serde_json::to_string(model).map_err(|error| error.to_string())?;
            let comma = if inside == "}" { "" } else { "," };
            Ok(format!("{{\"model\":{model}{comma}{inside}"))
        }
        _ => Ok(body),
    }
}

/// Any JSON as it is written, on one line.
///
/// # Errors
/// Says what is wrong with the text, and where.
pub(crate) fn compact(text: &str) -> Result<String, String> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    serde_json::from_str::<NoDuplicates>(text).map(|NoDuplicates| minify(text)).map_err(|error| error.to_string())
}

fn fault(text: &str, error: &serde_json::Error) -> String {
    let what = error.to_string();
    let what = what.rsplit_once(" at line ").map_or(what.as_str(), |(what, _)| what);
    if error.is_data() {
        return format!("the body is refused: {what}");
    }
    let mut start = 0;
    for _ in 1..error.line() {
        start += text[start..].find('\n').map_or(0, |at| at + 1);
    }
    let at = text.floor_char_boundary_compat(start + error.column().saturating_sub(1));
    let from = text.floor_char_boundary_compat(at.saturating_sub(40));
    let shown: String = text[from..].chars().take(60).collect();
    format!("the body is not valid JSON: {what}; near: {}", shown.trim())
}

/// What `str::floor_char_boundary` does, which is newer than the oldest Rust we support.
trait FloorCharBoundary {
    fn floor_char_boundary_compat(&self, at: usize) -> usize;
}

impl FloorCharBoundary for str {
    fn floor_char_boundary_compat(&self, at: usize) -> usize {
        let mut at = at.min(self.len());
        while !self.is_char_boundary(at) {
            at -= 1;
        }
        at
    }
}

/// Takes the white space between the tokens of valid JSON away.
fn minify(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut after_backslash) = (false, false);
    for c in text.chars() {
        if in_string {
            if after_backslash {
                after_backslash = false;
            } else if c == '\\' {
                after_backslash = true;
            } else if c == '"' {
                in_string = false;
            }
        } else if c == '"' {
            in_string = true;
        } else if matches!(c, ' ' | '\t' | '\r' | '\n') {
            continue;
        }
        out.push(c);
    }
    out
}

/// Reads the top of a body and notes whether it names a model.
struct Top<'a> {
    has_model: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for Top<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(Keys { model: Some(self.has_model) })
    }
}

/// Any JSON in which no object has a key twice.
struct NoDuplicates;

impl<'de> Deserialize<'de> for NoDuplicates {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Keys { model: None })?;
        Ok(Self)
    }
}

struct Keys<'a> {
    model: Option<&'a mut bool>,
}

impl<'de> Visitor<'de> for Keys<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(key) = map.next_key::<String>()? {
            map.next_value::<NoDuplicates>()?;
            if let Some(replaced) = seen.replace(key) {
                return Err(de::Error::custom(format_args!("the key {replaced:?} comes twice")));
            }
        }
        if let Some(model) = self.model {
            *model = seen.contains("model");
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        while seq.next_element::<NoDuplicates>()?.is_some() {}
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_put_on_one_line() {
        for (text, model, expected) in [
            ("{ \"a\" : [ 1 ,\n 2.50 ], \"b\": \" x \\\" y \" }", None, r#"{"a":[1,2.50],"b":" x \" y "}"#),
            ("{}", Some("m"), r#"{"model":"m"}"#),
            ("{\"a\":1}", Some("m \"1\""), r#"{"model":"m \"1\"","a":1}"#),
            ("{\"model\":\"own\"}", Some("m"), r#"{"model":"own"}"#),
            ("{\"x\":{\"model\":1}}", Some("m"), r#"{"model":"m","x":{"model":1}}"#),
        ] {
            assert_eq!(finish(text, model).as_deref(), Ok(expected));
        }
    }

    #[test]
    fn other_texts_are_refused() {
        for (text, expected) in [
            ("", "rendered nothing"),
            ("[1]", "no JSON object"),
            ("{\"a\":1} {\"b\":2}", "not valid JSON: trailing characters; near: {\"a\":1} {\"b\":2}"),
            ("{\"a\": 1 2 }", "near: {\"a\": 1 2 }"),
            ("{\"ä\":\n 1 2 }", "near: {\"ä\":\n 1 2 }"),
            ("{\"a\":1,\"a\":2}", "the key \"a\" comes twice"),
            ("{\"a\":[{\"b\":1,\"b\":2}]}", "the key \"b\" comes twice"),
            ("{\"a\":\"x\ny\"}", "not valid JSON: control character"),
        ] {
            let message = finish(text, None).expect_err(text);
            assert!(message.contains(expected), "{text:?}: {message}");
        }
    }
}
