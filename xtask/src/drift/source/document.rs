//! Owns reading a document: JSON or YAML into one value that keeps its order, and what version of OpenAPI it says it
//! is. It never resolves a reference and never judges what it describes.

use std::{fmt, path::Path};

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use crate::drift::{
    fetch::{Limits, fetch, name},
    node, package,
    project::Ours,
};
use crate::report::Failure;

/// A key that no document has: in an object whose text has a key twice, it holds the names of those keys. It begins
/// with `x-`, so that it means nothing wherever nobody looks for it.
pub(crate) const TWICE: &str = "x-xtask-twice";

/// What the reader of packages writes besides OpenAPI: why something could not be read.
pub(crate) const UNREAD: &str = "x-xtask-unread";
/// What such a source never says: at the top for all of it, at a schema for that one.
pub(crate) const UNSAID: &str = "x-xtask-unsaid";
/// What it writes of schemas, and the facts that these are.
pub(crate) const EXTENSIONS: &[(&str, &str)] = &[(UNSAID, node::UNSAID), ("x-xtask-absent-or-null", node::EITHER)];

/// A document of OpenAPI 3.0.x or 3.1.x.
#[derive(Debug)]
pub struct Document {
    /// What it is called in messages.
    pub source: String,
    /// What `openapi` says.
    pub version: String,
    /// All of it.
    pub root: Value,
    /// Whether this is what a package says.
    pub is_package: bool,
}

impl Document {
    /// Reads a document from a file, standard input (`-`) or a URL; or what a Python package says of these operations,
    /// from a wheel or a folder.
    ///
    /// # Errors
    ///
    /// As [`fetch`], [`Document::parse`] and [`package::read`].
    pub fn load(source: &str, ours: &[Ours], limits: Limits) -> Result<Self, Failure> {
        let name = name(source);
        if Path::new(source).is_dir() {
            return package::read(&name, Path::new(source), ours, limits);
        }
        let bytes = fetch(source, limits)?;
        if !package::is_wheel(&name, &bytes) {
            return Self::parse(&name, &bytes);
        }
        package::read_bytes(&name, &bytes, ours, limits)
    }

    /// Reads a document from its bytes; `source` is what it is called in messages.
    ///
    /// # Errors
    ///
    /// When the bytes are neither JSON nor YAML, or are not a document of OpenAPI 3.0 or 3.1.
    pub fn parse(source: &str, bytes: &[u8]) -> Result<Self, Failure> {
        let root = value(source, bytes)?;
        let failure = |problem: &str, fix: &str| Err(Failure::new(format!("{source} {problem}"), fix));
        let text = |key: &str| match &root[key] {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        };
        if let Some(version) = text("swagger") {
            let problem = format!("is Swagger {version}, which is not compared");
            return failure(&problem, "convert it to OpenAPI 3.0 or 3.1 first");
        }
        let Some(version) = text("openapi") else {
            return failure("is not an OpenAPI document: it has no `openapi` at its top", "give the document itself");
        };
        if !["3.0", "3.1"].iter().any(|known| version == *known || version.starts_with(&format!("{known}."))) {
            return failure(&format!("is OpenAPI {version}"), "give a document of OpenAPI 3.0.x or 3.1.x");
        }
        if !root["paths"].is_object() {
            return failure("has no paths", "give a document that describes operations");
        }
        Ok(Self { source: source.to_owned(), version, root, is_package: false })
    }
}

/// The value that the bytes say, as JSON when they are JSON, and as YAML otherwise.
fn value(source: &str, bytes: &[u8]) -> Result<Value, Failure> {
    if bytes.starts_with(&[0x1f, 0x8b]) {
        return Err(Failure::new(format!("{source} is compressed with gzip"), "unpack it first: gzip -dc"));
    }
    let text = std::str::from_utf8(bytes)
        .map_err(|error| Failure::new(format!("{source} is not UTF-8: {error}"), "give the document as UTF-8"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim_start().starts_with('{')
        && let Ok(Tree(value)) = serde_json::from_str(text)
    {
        return Ok(value);
    }
    if too_deep(text) {
        let problem = format!("{source} is neither JSON nor YAML that can be read: brackets in brackets without end");
        return Err(Failure::new(problem, "give an OpenAPI document"));
    }
    match yaml_serde::from_str(text) {
        Ok(Tree(value)) => Ok(value),
        Err(error) => {
            let problem = format!("{source} is neither JSON nor YAML that can be read: {error}");
            Err(Failure::new(problem, "give an OpenAPI document"))
        }
    }
}

/// Whether a thousand brackets open one after the other: the YAML reader would refuse them only after minutes.
fn too_deep(text: &str) -> bool {
    const MOST: usize = 1000;
    let mut open = 0;
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => open += 1,
            byte if byte.is_ascii_whitespace() => {}
            _ => open = 0,
        }
        if open > MOST {
            return true;
        }
    }
    false
}

/// A value as [`Value`] has it, read with less zeal: keys that are not texts become texts, `<<` is merged, and of a key
/// that is there twice the last one counts and [`TWICE`] says so.
struct Tree(Value);

impl<'de> Deserialize<'de> for Tree {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader).map(Tree)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_i128<E>(self, value: i128) -> Result<Value, E> {
        Ok(Value::String(value.to_string()))
    }

    fn visit_u128<E>(self, value: u128) -> Result<Value, E> {
        Ok(Value::String(value.to_string()))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(value.into())
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Tree(value)) = access.next_element()? {
            list.push(value);
        }
        Ok(list.into())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        let mut twice = Vec::new();
        let mut merged = Vec::new();
        while let Some((Tree(key), Tree(value))) = access.next_entry()? {
            let key = match key {
                Value::String(key) => key,
                Value::Array(_) | Value::Object(_) => return Err(A::Error::custom("a key that is a list or a map")),
                scalar => scalar.to_string(),
            };
            if key == "<<" && (value.is_object() || value.is_array()) {
                merged.push(value);
            } else if map.insert(key.clone(), value).is_some() {
                twice.push(Value::String(key));
            }
        }
        for value in merged {
            let sources = if let Value::Array(list) = value { list } else { vec![value] };
            for (key, value) in sources.into_iter().filter_map(object).flatten() {
                map.entry(key).or_insert(value);
            }
        }
        if !twice.is_empty() {
            map.insert(TWICE.to_owned(), twice.into());
        }
        Ok(map.into())
    }
}

fn object(value: Value) -> Option<Map<String, Value>> {
    if let Value::Object(map) = value { Some(map) } else { None }
}
