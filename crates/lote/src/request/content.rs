//! The content of a message: a text, or parts of several kinds.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::{Wire, body::names};

names!(
    /// How closely a model looks at an image, which decides what the image costs.
    ImageDetail {
        /// Coarsely, at the lowest price.
        Low = "low",
        /// Closely.
        High = "high",
        /// As the service thinks best, which is its default.
        Auto = "auto",
        /// As large as it came. Only for responses: in a chat completion it is an error when the line is made.
        Original = "original",
    }

    /// The format of sound that is sent.
    AudioFormat {
        /// WAV.
        Wav = "wav",
        /// MP3.
        Mp3 = "mp3",
    }
);

/// What a message says: made of a text, or of [parts](Part).
#[derive(Clone, Debug, PartialEq)]
pub struct Content(Repr);

#[derive(Clone, Debug, PartialEq)]
enum Repr {
    Text(String),
    Parts(Vec<Part>),
}

impl From<&str> for Content {
    fn from(text: &str) -> Self {
        Self(Repr::Text(text.to_owned()))
    }
}

impl From<String> for Content {
    fn from(text: String) -> Self {
        Self(Repr::Text(text))
    }
}

impl From<&String> for Content {
    fn from(text: &String) -> Self {
        text.as_str().into()
    }
}

impl From<Part> for Content {
    fn from(part: Part) -> Self {
        Self(Repr::Parts(vec![part]))
    }
}

impl From<Vec<Part>> for Content {
    fn from(parts: Vec<Part>) -> Self {
        Self(Repr::Parts(parts))
    }
}

impl<const N: usize> From<[Part; N]> for Content {
    fn from(parts: [Part; N]) -> Self {
        Self(Repr::Parts(parts.into()))
    }
}

impl Content {
    pub(super) fn write(&self, wire: Wire, by_model: bool) -> Result<Value, String> {
        match &self.0 {
            Repr::Text(text) => Ok(Value::from(text.as_str())),
            Repr::Parts(parts) if parts.is_empty() => Err("content: there is no part; add one".to_owned()),
            Repr::Parts(parts) => parts
                .iter()
                .enumerate()
                .map(|(at, part)| part.write(wire, by_model).map_err(|problem| format!("content[{at}]: {problem}")))
                .collect(),
        }
    }
}

/// A part of a message: text, an image, sound or a file.
///
/// ```
/// use lote::request::{ImageDetail, ModelResponse, Part};
///
/// # let png = b"\x89PNG";
/// let line = ModelResponse::new("gpt-5-mini")
///     .user([
///         Part::text("What is this?"),
///         Part::image("image/png", png).detail(ImageDetail::Low),
///     ])
///     .line("row-1")?;
/// assert_eq!(line.body["input"][0]["content"][1]["detail"], "low");
/// # Ok::<(), lote::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Part {
    kind: Kind,
    detail: Option<ImageDetail>,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Text(String),
    Image(String),
    Audio { data: String, format: AudioFormat },
    File { filename: String, file_data: String },
    FileId(String),
}

impl Part {
    /// Words.
    pub fn text(text: impl Into<String>) -> Self {
        Kind::Text(text.into()).into()
    }

    /// An image at a URL that the service can reach, or a `data:` URL.
    pub fn image_url(url: impl Into<String>) -> Self {
        Kind::Image(url.into()).into()
    }

    /// An image that travels within the request, of a media type such as `image/png`.
    pub fn image(media_type: &str, bytes: impl AsRef<[u8]>) -> Self {
        Self::image_url(data_url(media_type, bytes.as_ref()))
    }

    /// How closely the model is to look at the image. On any other part it is an error when the line is made.
    pub fn detail(mut self, detail: ImageDetail) -> Self {
        self.detail = Some(detail);
        self
    }

    /// Sound that travels within the request. Only chat completions take it; in a response it is an error when the line
    /// is made.
    pub fn input_audio(bytes: impl AsRef<[u8]>, format: AudioFormat) -> Self {
        Kind::Audio { data: STANDARD.encode(bytes), format }.into()
    }

    /// A file that was uploaded before.
    pub fn file_id(file_id: impl Into<String>) -> Self {
        Kind::FileId(file_id.into()).into()
    }

    /// A file that travels within the request, of a media type such as `application/pdf`.
    pub fn file(filename: impl Into<String>, media_type: &str, bytes: impl AsRef<[u8]>) -> Self {
        Kind::File { filename: filename.into(), file_data: data_url(media_type, bytes.as_ref()) }.into()
    }

    fn write(&self, wire: Wire, by_model: bool) -> Result<Value, String> {
        if self.detail.is_some() && !matches!(self.kind, Kind::Image(_)) {
            return Err("detail: only an image has one; leave it out".to_owned());
        }
        if self.detail == Some(ImageDetail::Original) && wire == Wire::Chat {
            return Err("detail: original is for responses alone; name another".to_owned());
        }
        Ok(match (&self.kind, wire) {
            (Kind::Text(text), Wire::Chat) => json!({"type": "text", "text": text}),
            (Kind::Text(text), Wire::Responses) if by_model => json!({"type": "output_text", "text": text}),
            (Kind::Text(text), Wire::Responses) => json!({"type": "input_text", "text": text}),
            (Kind::Image(url), Wire::Chat) => {
                let mut image = Map::from_iter([("url".to_owned(), json!(url))]);
                if let Some(detail) = self.detail {
                    image.insert("detail".to_owned(), json!(detail));
                }
                json!({"type": "image_url", "image_url": image})
            }
            // OpenAI's document of 2026-08-21 requires the detail here, and not in chat completions.
            (Kind::Image(url), Wire::Responses) => {
                let detail = self.detail.unwrap_or(ImageDetail::Auto);
                json!({"type": "input_image", "image_url": url, "detail": detail})
            }
            // OpenAI's document of 2026-08-21 knows text, images and files here, and vLLM refuses it, too.
            (Kind::Audio { .. }, Wire::Responses) => {
                return Err("input_audio: responses take no sound; send a chat completion".to_owned());
            }
            (Kind::Audio { data, format }, Wire::Chat) => {
                json!({"type": "input_audio", "input_audio": {"data": data, "format": format}})
            }
            (Kind::FileId(file_id), Wire::Chat) => json!({"type": "file", "file": {"file_id": file_id}}),
            (Kind::FileId(file_id), Wire::Responses) => json!({"type": "input_file", "file_id": file_id}),
            (Kind::File { filename, file_data }, Wire::Chat) => {
                json!({"type": "file", "file": {"filename": filename, "file_data": file_data}})
            }
            (Kind::File { filename, file_data }, Wire::Responses) => {
                json!({"type": "input_file", "filename": filename, "file_data": file_data})
            }
        })
    }
}

impl From<Kind> for Part {
    fn from(kind: Kind) -> Self {
        Self { kind, detail: None }
    }
}

fn data_url(media_type: &str, bytes: &[u8]) -> String {
    let mut url = format!("data:{media_type};base64,");
    STANDARD.encode_string(bytes, &mut url);
    url
}
