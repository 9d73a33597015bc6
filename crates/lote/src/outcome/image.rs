//! Reads images that were made.

use std::fmt;

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde_json::Value;

/// Base64 with or without its padding.
pub(super) const FORGIVING: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An image that was made.
///
/// ```
/// # let line = r#"{"custom_id":"a","response":{"status_code":200,"body":{"data":[{"b64_json":"iVBORw=="}]}}}"#;
/// # let outcome = lote::Outcome::from_line(line)?;
/// for image in outcome.images()? {
///     match image.data {
///         lote::ImageData::Bytes(bytes) => assert_eq!(bytes, b"\x89PNG"),
///         lote::ImageData::Url(url) => println!("fetch {url} soon"),
///         _ => {}
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// The image itself, or where it is.
    pub data: ImageData,
    /// The prompt as the service changed it, if it did and says so.
    pub revised_prompt: Option<String>,
}

/// The image itself, or where it is.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImageData {
    /// The bytes of the file: PNG unless another format was asked for.
    Bytes(Vec<u8>),
    /// A URL, which services let expire, often after an hour.
    Url(String),
}

impl fmt::Debug for ImageData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes(bytes) => write!(f, "Bytes({} bytes)", bytes.len()),
            Self::Url(url) => f.debug_tuple("Url").field(url).finish(),
        }
    }
}

/// The images of an answer; none when it holds no images.
pub(super) fn read(body: &Value) -> Option<Result<Vec<Image>, String>> {
    let items: Vec<Found<'_>> = match body.get("data").and_then(Value::as_array) {
        Some(data) => data.iter().map(|item| Found::new(item, "b64_json")).collect::<Option<_>>()?,
        // Images that a model made as a tool of a response.
        None => body
            .get("output")?
            .as_array()?
            .iter()
            .filter(|item| item.get("type").is_some_and(|kind| kind == "image_generation_call"))
            .filter_map(|item| Found::new(item, "result"))
            .collect(),
    };
    (!items.is_empty()).then(|| items.into_iter().enumerate().map(|(at, item)| item.decode(at)).collect())
}

struct Found<'a> {
    item: &'a Value,
    base64: Option<&'a str>,
    url: Option<&'a str>,
}

impl<'a> Found<'a> {
    fn new(item: &'a Value, base64: &str) -> Option<Self> {
        let text = |name: &str| item.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        let (base64, url) = (text(base64), text("url"));
        (base64.is_some() || url.is_some()).then_some(Self { item, base64, url })
    }

    fn decode(self, at: usize) -> Result<Image, String> {
        let inline = self.url.filter(|url| url.starts_with("data:")).and_then(|url| url.split_once(";base64,"));
        let data = match (self.base64.or(inline.map(|(_, base64)| base64)), self.url) {
            (Some(base64), _) => {
                let bytes = FORGIVING.decode(base64);
                ImageData::Bytes(bytes.map_err(|error| format!("image {at} in invalid base64: {error}"))?)
            }
            (None, url) => ImageData::Url(url.unwrap_or_default().to_owned()),
        };
        let revised_prompt = self.item.get("revised_prompt").and_then(Value::as_str).map(str::to_owned);
        Ok(Image { data, revised_prompt })
    }
}
