//! Reads images that were made.

use std::fmt;

use super::json::Json;
use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};

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
pub(super) fn read(body: Json<'_>) -> Option<Result<Vec<Image>, String>> {
    let [data, output] = body.fields(["data", "output"]);
    let items: Vec<Found> = match data.and_then(Json::items) {
        Some(data) => data.into_iter().map(|item| Found::new(item, "b64_json")).collect::<Option<_>>()?,
        // Images that a model made as a tool of a response.
        None => output?
            .items()?
            .into_iter()
            .filter(|item| item.says("type", "image_generation_call"))
            .filter_map(|item| Found::new(item, "result"))
            .collect(),
    };
    (!items.is_empty()).then(|| items.into_iter().enumerate().map(|(at, item)| item.decode(at)).collect())
}

struct Found {
    base64: Option<String>,
    url: Option<String>,
    revised_prompt: Option<String>,
}

impl Found {
    fn new(item: Json<'_>, base64: &str) -> Option<Self> {
        let [base64, url, prompt] =
            item.fields([base64, "url", "revised_prompt"]).map(|field| field.and_then(Json::text));
        let (base64, url) = (base64.filter(|text| !text.is_empty()), url.filter(|text| !text.is_empty()));
        (base64.is_some() || url.is_some()).then_some(Self { base64, url, revised_prompt: prompt })
    }

    fn decode(self, at: usize) -> Result<Image, String> {
        let Self { base64, url, revised_prompt } = self;
        let url = url.unwrap_or_default();
        let inline = url.strip_prefix("data:").and_then(|url| url.split_once(";base64,"));
        let data = match base64.as_deref().or(inline.map(|(_, base64)| base64)) {
            Some(base64) => {
                let bytes = FORGIVING.decode(base64);
                ImageData::Bytes(bytes.map_err(|error| format!("image {at} in invalid base64: {error}"))?)
            }
            None => ImageData::Url(url),
        };
        Ok(Image { data, revised_prompt })
    }
}
