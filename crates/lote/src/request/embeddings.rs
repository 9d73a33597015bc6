//! Requests for `/v1/embeddings`.

use serde_json::{Map, Value, json};

use super::body::{Body, common, filled, names, setters};
use crate::{Endpoint, Error};

names!(
    /// How vectors are written in the answer. [`Outcome::embeddings`](crate::Outcome::embeddings) reads both.
    EncodingFormat {
        /// As numbers, the default.
        Float = "float",
        /// As base64 of 32-bit floats, little end first: about a third of the size.
        Base64 = "base64",
    }
);

/// A request for `/v1/embeddings`.
///
/// ```
/// use lote::request::Embeddings;
///
/// let line = Embeddings::new("text-embedding-3-small")
///     .input(["the first text", "the second text"])
///     .dimensions(256)
///     .line("texts-1-2")?;
/// assert_eq!(line.body["input"][1], "the second text");
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is nothing until .line(…) makes a request line of it"]
pub struct Embeddings {
    model: String,
    input: Option<Input>,
    pub(super) body: Body,
}

impl Embeddings {
    /// A request of this model.
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into(), input: None, body: Body::default() }
    }

    setters!(
        /// How many numbers a vector has, at models that can shorten theirs.
        dimensions: u32,
        /// How vectors are written in the answer.
        encoding_format: EncodingFormat,
    );

    /// What to embed: a text, several texts, or tokens. It replaces what was there. OpenAI takes at most 2,048 texts
    /// in one request and 50,000 in one batch.
    pub fn input(mut self, input: impl Into<Input>) -> Self {
        self.input = Some(input.into());
        self
    }

    /// The end user that the request is for, by a name that is stable and tells nothing: the field `user`.
    pub fn end_user(mut self, id: impl Into<String>) -> Self {
        self.body.set("user", &id.into());
        self
    }

    /// The body of the request line.
    ///
    /// # Errors
    /// Those of [`line`](Self::line).
    pub fn body(self) -> Result<Map<String, Value>, Error> {
        let Self { model, input, body } = self;
        let input = match input {
            Some(input) => input.write(),
            None => Err("there is none; give one with .input(…)".to_owned()),
        };
        body.finish("embeddings", [("model", filled(&model, "name a model")), ("input", input)])
    }
}

common!(Embeddings, Endpoint::Embeddings);

/// What to embed: made of a text, of several texts, or of the tokens of one or several.
#[derive(Clone, Debug, PartialEq)]
pub struct Input(Repr);

#[derive(Clone, Debug, PartialEq)]
enum Repr {
    Text(String),
    Texts(Vec<String>),
    Tokens(Vec<u32>),
    ManyTokens(Vec<Vec<u32>>),
}

impl Input {
    fn write(&self) -> Result<Value, String> {
        let empty = |what: &str| Err(format!("{what}; services refuse it, so leave it out"));
        match &self.0 {
            Repr::Text(text) if text.is_empty() => empty("the text is empty"),
            Repr::Texts(texts) if texts.is_empty() => empty("there is no text"),
            Repr::Texts(texts) => match texts.iter().position(String::is_empty) {
                Some(at) => empty(&format!("[{at}]: the text is empty")),
                None => Ok(json!(texts)),
            },
            Repr::Tokens(tokens) if tokens.is_empty() => empty("there is no token"),
            Repr::ManyTokens(many) if many.is_empty() || many.iter().any(Vec::is_empty) => empty("there is no token"),
            Repr::Text(text) => Ok(json!(text)),
            Repr::Tokens(tokens) => Ok(json!(tokens)),
            Repr::ManyTokens(many) => Ok(json!(many)),
        }
    }
}

impl From<&str> for Input {
    fn from(text: &str) -> Self {
        Self(Repr::Text(text.to_owned()))
    }
}

impl From<String> for Input {
    fn from(text: String) -> Self {
        Self(Repr::Text(text))
    }
}

impl From<&String> for Input {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Vec<String>> for Input {
    fn from(texts: Vec<String>) -> Self {
        Self(Repr::Texts(texts))
    }
}

impl From<Vec<&str>> for Input {
    fn from(texts: Vec<&str>) -> Self {
        Self(Repr::Texts(texts.into_iter().map(str::to_owned).collect()))
    }
}

impl<const N: usize> From<[&str; N]> for Input {
    fn from(texts: [&str; N]) -> Self {
        Vec::from(texts).into()
    }
}

impl<const N: usize> From<[String; N]> for Input {
    fn from(texts: [String; N]) -> Self {
        Vec::from(texts).into()
    }
}

impl From<Vec<u32>> for Input {
    /// The tokens of one text.
    fn from(tokens: Vec<u32>) -> Self {
        Self(Repr::Tokens(tokens))
    }
}

impl From<Vec<Vec<u32>>> for Input {
    /// The tokens of several texts.
    fn from(tokens: Vec<Vec<u32>>) -> Self {
        Self(Repr::ManyTokens(tokens))
    }
}
