//! One value of a table.

use lote::Embedding;
use serde_json::value::RawValue;

/// A value, as it is written into whatever table.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) enum Cell {
    /// There is none, or null.
    #[default]
    Empty,
    Text(String),
    /// A text of the user's own table, which stays as it is.
    Own(String),
    /// A number or a truth value, in the letters of its JSON, so that no digit is lost.
    Plain(String),
    /// A list or an object, as JSON.
    Json(String),
    /// One vector, or several.
    Vectors(Vec<Embedding>),
}

impl Cell {
    pub(crate) fn text(text: Option<impl Into<String>>) -> Self {
        text.map_or(Self::Empty, |text| Self::Text(text.into()))
    }

    pub(crate) fn number(number: Option<u64>) -> Self {
        number.map_or(Self::Empty, |number| Self::Plain(number.to_string()))
    }

    /// Of any JSON.
    pub(crate) fn of_json(raw: &RawValue) -> Self {
        let json = raw.get();
        match json.as_bytes().first() {
            Some(b'"') => serde_json::from_str(json).map_or_else(|_| Self::Json(json.to_owned()), Self::Text),
            Some(b'n') | None => Self::Empty,
            Some(b'[' | b'{') => Self::Json(json.to_owned()),
            Some(_) => Self::Plain(json.to_owned()),
        }
    }

    /// As JSON.
    pub(crate) fn json(&self) -> String {
        match self {
            Self::Empty => "null".to_owned(),
            Self::Text(text) | Self::Own(text) => serde_json::Value::from(text.as_str()).to_string(),
            Self::Plain(json) | Self::Json(json) => json.clone(),
            Self::Vectors(vectors) => match vectors.as_slice() {
                [vector] => numbers(vector),
                vectors => format!("[{}]", vectors.iter().map(|vector| numbers(vector)).collect::<Vec<_>>().join(",")),
            },
        }
    }
}

fn numbers(vector: &[f32]) -> String {
    format!("[{}]", vector.iter().map(f32::to_string).collect::<Vec<_>>().join(","))
}
