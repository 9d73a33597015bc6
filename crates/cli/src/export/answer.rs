//! What an answer says, whatever endpoint it is from.

use lote::{Embedding, Image, ImageData, Outcome};

use super::cell::Cell;
use super::object::Object;

/// What was answered to one request line. Each part that is there is shown.
#[derive(Default)]
pub(crate) struct Answer {
    /// What the model said; several texts when it was asked for several answers.
    pub(crate) texts: Vec<String>,
    pub(crate) refusal: Option<String>,
    /// The tools that it calls, as JSON.
    pub(crate) calls: Option<String>,
    pub(crate) vectors: Vec<Embedding>,
    pub(crate) images: Vec<Image>,
    /// The body of an answer that is none of these.
    pub(crate) other: Option<String>,
}

impl Answer {
    /// Of a line that succeeded; of others there is none.
    pub(crate) fn of(outcome: &Outcome) -> Self {
        let mut answer = Self::default();
        if !outcome.is_succeeded() {
            return answer;
        }
        answer.texts = outcome.texts().unwrap_or_default();
        answer.refusal = outcome.is_refused().then(|| outcome.refusal().ok()).flatten();
        let calls = outcome.tool_calls().ok();
        answer.calls = calls.and_then(|calls| serde_json::to_string(&calls).ok());
        if !answer.texts.is_empty() || answer.refusal.is_some() || answer.calls.is_some() {
            return answer;
        }
        match (outcome.embeddings(), outcome.images()) {
            (Ok(vectors), _) => answer.vectors = vectors,
            (_, Ok(images)) => answer.images = images,
            _ => answer.other = outcome.body().map(str::to_owned),
        }
        answer
    }

    /// The one text, if it is an object of JSON.
    pub(crate) fn object(&self) -> Option<Object> {
        match self.texts.as_slice() {
            [text] => Object::parse(text),
            _ => None,
        }
    }

    /// What was said, in one cell.
    pub(crate) fn text(&self) -> Cell {
        match self.texts.as_slice() {
            [] => Cell::Empty,
            [text] => Cell::Text(text.clone()),
            texts => Cell::Json(serde_json::Value::from(texts).to_string()),
        }
    }

    /// The vector, or a list of them.
    pub(crate) fn vector(&self) -> Cell {
        if self.vectors.is_empty() { Cell::Empty } else { Cell::Vectors(self.vectors.clone()) }
    }

    /// Where images are, and how large those are that came in the answer.
    pub(crate) fn image(&self) -> Cell {
        let shown = |image: &Image| match &image.data {
            ImageData::Url(url) => url.clone(),
            ImageData::Bytes(bytes) => format!("{} bytes", bytes.len()),
            _ => "of another kind".to_owned(),
        };
        match self.images.as_slice() {
            [] => Cell::Empty,
            [image] => Cell::Text(shown(image)),
            images => Cell::Json(serde_json::Value::from(images.iter().map(shown).collect::<Vec<_>>()).to_string()),
        }
    }
}
