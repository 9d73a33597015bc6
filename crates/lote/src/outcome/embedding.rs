//! Reads vectors, as numbers and as base64.

use std::fmt;

use base64::Engine;
use serde::{
    Deserialize, Deserializer,
    de::{self, SeqAccess, Visitor},
};

use super::image::FORGIVING;

/// A vector.
pub type Embedding = Vec<f32>;

#[derive(Deserialize)]
struct Body {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: Option<u64>,
    embedding: Vector,
}

/// What an array of something else has in its elements: to tell whether these are vectors at all.
#[derive(Deserialize)]
struct Sketch {
    data: Vec<SketchItem>,
}

#[derive(Deserialize)]
struct SketchItem {
    #[serde(default)]
    embedding: Option<de::IgnoredAny>,
}

struct Vector(Embedding);

/// The vectors of an answer, in the order of the inputs; none when it holds no vectors.
pub(super) fn read(body: &str) -> Option<Result<Vec<Embedding>, String>> {
    let body = match serde_json::from_str::<Body>(body) {
        Ok(body) => body,
        Err(error) => {
            let sketch: Sketch = serde_json::from_str(body).ok()?;
            let any = sketch.data.iter().any(|item| item.embedding.is_some());
            return any.then(|| Err(format!("vectors that cannot be read: {error}")));
        }
    };
    Some(in_order(body.data))
}

fn in_order(mut items: Vec<Item>) -> Result<Vec<Embedding>, String> {
    // A service that gives no index gives them in order.
    if items.iter().any(|item| item.index.is_some()) {
        items.sort_by_key(|item| item.index);
        if let Some((at, item)) = items.iter().enumerate().find(|(at, item)| item.index != Some(*at as u64)) {
            let index = item.index.map_or("none".to_owned(), |index| index.to_string());
            return Err(format!("vectors whose indexes are not 0, 1, 2, …: {index} in place of {at}"));
        }
    }
    Ok(items.into_iter().map(|item| item.embedding.0).collect())
}

impl<'de> Deserialize<'de> for Vector {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(VectorVisitor).map(Self)
    }
}

struct VectorVisitor;

impl<'de> Visitor<'de> for VectorVisitor {
    type Value = Embedding;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of numbers, or base64 of 32-bit floats")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut numbers: A) -> Result<Embedding, A::Error> {
        let mut vector = Vec::with_capacity(numbers.size_hint().unwrap_or(0).min(1 << 16));
        while let Some(number) = numbers.next_element::<f32>()? {
            vector.push(number);
        }
        Ok(vector)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Embedding, E> {
        let bytes = FORGIVING.decode(text).map_err(|error| E::custom(format_args!("invalid base64: {error}")))?;
        let (floats, rest) = bytes.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(E::custom(format_args!("{} bytes are no whole number of 32-bit floats", bytes.len())));
        }
        Ok(floats.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    }
}
