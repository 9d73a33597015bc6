//! Owns the question whether a body holds an answer: of chat completions, responses, completions,
//! embeddings, images, moderations and videos, and of endpoints that nobody here knows.
//!
//! A body is walked once. What is known to be no answer is named in [`Body::lacks`]; any other
//! object that holds something is taken for an answer, so that a new endpoint works at once.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::Shortfall;
use crate::fields::Walk;
use crate::raw::{self, Kind};
use crate::usage::Usage;

mod lists;
mod plain;
mod signs;

use signs::{Signs, is_bare};

/// What one body says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body<'a> {
    /// What the body is, once it is decoded; `None` when absent or null.
    pub(crate) kind: Option<Kind>,
    pub(crate) model: Option<Cow<'a, str>>,
    pub(crate) usage: Option<Usage>,
    /// Why there is no answer in the body; `None` when there is one.
    pub(crate) lacks: Option<&'static str>,
    pub(crate) shortfall: Shortfall,
    /// It is a plain text, neither JSON nor subtitles.
    pub(super) is_plain: bool,
}

impl Body<'_> {
    pub(super) fn absent() -> Self {
        Self { lacks: Some("the response has no body"), ..Self::default() }
    }

    fn into_owned(self) -> Body<'static> {
        let Self { kind, model, usage, lacks, shortfall, is_plain } = self;
        Body { kind, model: model.map(|model| Cow::Owned(model.into_owned())), usage, lacks, shortfall, is_plain }
    }
}

/// Reads the body at which `walk` stands and passes over it. A body that is a text of JSON is read
/// as that JSON, which is given back as well.
pub(super) fn read<'a>(walk: &mut Walk<'a>) -> (Body<'a>, Option<Box<RawValue>>) {
    match walk.kind() {
        Kind::String => {
            let json = walk.value();
            match decoded(json) {
                Some(inner) => (value(&mut Walk::new(inner.get())).into_owned(), Some(inner)),
                None => (plain::text(json), None),
            }
        }
        _ => (value(walk), None),
    }
}

/// Why a body that is a text is no answer: nearly all endpoints answer in JSON, and such a text is what a proxy says of
/// its troubles.
pub(super) const PLAIN_TEXT: &str = "the body is a text, not JSON";

/// The JSON object or array that a JSON string holds.
fn decoded(body: &str) -> Option<Box<RawValue>> {
    let text = raw::lossy_text(body)?;
    let inner = text.trim_matches(raw::is_json_space);
    if !inner.starts_with(['{', '[']) {
        return None;
    }
    RawValue::from_string(inner.to_owned()).ok()
}

fn value<'a>(walk: &mut Walk<'a>) -> Body<'a> {
    let kind = walk.kind();
    let mut body = match kind {
        Kind::Object => object(walk),
        Kind::Array => {
            let mut some = false;
            walk.items(&mut |walk| some |= walk.kind() != Kind::Null);
            Body { lacks: (!some).then_some("the body is an empty array"), ..Body::default() }
        }
        Kind::Null => {
            walk.value();
            return Body { lacks: Some("the body is null"), ..Body::default() };
        }
        Kind::String | Kind::Bool | Kind::Number => {
            walk.value();
            Body { lacks: Some("the body is neither an object nor a text"), ..Body::default() }
        }
    };
    body.kind = Some(kind);
    body
}

fn object<'a>(walk: &mut Walk<'a>) -> Body<'a> {
    let mut signs = Signs::default();
    let mut body = Body::default();
    walk.fields(&mut |key, walk| {
        signs.keys += 1;
        signs.bare += u32::from(is_bare(&key));
        match key.as_ref() {
            "model" => {
                let model = walk.value();
                signs.model = true;
                signs.told_cost = true;
                body.model = raw::lossy_text(model);
            }
            "usage" => {
                signs.told_cost = true;
                signs.answered |= walk.kind() != Kind::Null;
                body.usage = Usage::read(walk);
            }
            name => signs.see(name, walk),
        }
    });
    body.lacks = signs.lacks();
    body.shortfall = signs.shortfall();
    body
}

/// What a reason to stop says, in the words of all endpoints.
fn reason(json: &str) -> Shortfall {
    let is = |words: &[&str]| {
        let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        words.iter().any(|word| inner.eq_ignore_ascii_case(word))
    };
    Shortfall {
        cut_off: is(&["length", "max_tokens", "max_output_tokens", "model_length"]),
        filtered: is(&["content_filter", "content_filtered", "safety"]),
        refused: is(&["refusal"]),
    }
}

/// Whether a value is null or holds nothing.
pub(super) fn is_empty(value: &str) -> bool {
    match Kind::of(value) {
        Kind::Null => true,
        Kind::String => value == "\"\"",
        Kind::Array | Kind::Object => {
            let inner = value.get(1..value.len().saturating_sub(1));
            inner.is_none_or(|inner| inner.trim().is_empty())
        }
        Kind::Bool | Kind::Number => false,
    }
}
