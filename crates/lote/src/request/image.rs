//! Requests for `/v1/images/generations`.

use serde_json::{Map, Value};

use super::body::{Body, common, filled, setters, text_setters};
use crate::{Endpoint, Error};

/// A request for `/v1/images/generations`.
///
/// ```
/// use lote::request::ImageGeneration;
///
/// let image = ImageGeneration::new("gpt-image-1").prompt("A lake at dawn");
/// let line = image.size("1024x1024").quality("low").line("lake")?;
/// assert_eq!(line.body["size"], "1024x1024");
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "it is nothing until .line(…) makes a request line of it"]
pub struct ImageGeneration {
    model: String,
    prompt: Option<String>,
    pub(super) body: Body,
}

impl ImageGeneration {
    /// A request of this model.
    pub fn new(model: impl Into<String>) -> Self {
        Self { model: model.into(), prompt: None, body: Body::default() }
    }

    setters!(
        /// How many images to give, each of them paid for: 1 to 10 at OpenAI.
        n: u32,
        /// How much to compress WebP and JPEG, in percent: 0 to 100.
        output_compression: u32,
    );

    text_setters!(
        /// Width and height such as `1024x1024`, or `auto`.
        size,
        /// Such as `low`, `medium`, `high` or `auto`; models differ.
        quality,
        /// `transparent`, `opaque` or `auto`.
        background,
        /// `png`, `jpeg` or `webp`.
        output_format,
        /// How strictly contents are refused: `low` or `auto`.
        moderation,
        /// `vivid` or `natural`, for dall-e-3.
        style,
        /// `url` or `b64_json`, for models that give the choice.
        response_format,
    );

    /// What the image shows. It replaces what was there.
    pub fn prompt(mut self, prompt: impl Into<String>) -> Self {
        self.prompt = Some(prompt.into());
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
        let Self { model, prompt, body } = self;
        let prompt = match prompt {
            Some(prompt) => filled(&prompt, "say what to draw"),
            None => Err("there is none; say what to draw with .prompt(…)".to_owned()),
        };
        body.finish("image generation", [("model", filled(&model, "name a model")), ("prompt", prompt)])
    }
}

common!(ImageGeneration, Endpoint::ImagesGenerations);
