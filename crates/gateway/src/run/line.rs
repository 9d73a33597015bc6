//! Reads one request line, and of its body only what is asked for.

use std::fmt;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::state::Finding;

/// A request line whose values have not been looked at. Absent and null are the same.
#[derive(Debug, Deserialize)]
pub(super) struct Line<'a> {
    #[serde(borrow)]
    pub(super) custom_id: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) method: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) url: Option<&'a RawValue>,
    #[serde(borrow)]
    pub(super) body: Option<&'a RawValue>,
}

/// A finding whose line number is not known here.
pub(super) fn finding(code: &'static str, param: Option<&str>, message: impl Into<String>) -> Finding {
    Finding { code: code.into(), message: message.into(), param: param.map(str::to_owned), line: None }
}

impl<'a> Line<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Line<'a>, Finding> {
        let not_json = |what: &str| finding("invalid_json_line", None, what);
        if bytes.starts_with(b"\xef\xbb\xbf") {
            return Err(not_json("The file starts with a byte order mark; save it without one."));
        }
        let Ok(text) = std::str::from_utf8(bytes) else {
            return Err(not_json("This line is not valid UTF-8."));
        };
        match text.as_bytes().first() {
            Some(b'{') => {}
            Some(b'[') => {
                return Err(finding(
                    "invalid_request",
                    None,
                    "Expected one JSON object per line, with no array around or inside.",
                ));
            }
            _ if serde_json::from_str::<IgnoredAny>(text).is_ok() => {
                return Err(finding("invalid_request", None, "This line is not a JSON object."));
            }
            _ => return Err(not_json("This line is not parseable as valid JSON.")),
        }
        serde_json::from_str(text).map_err(|error| {
            if error.is_data() {
                finding("invalid_request", None, format!("Invalid request line: {error}."))
            } else {
                not_json(&format!("This line is not parseable as valid JSON: {error}."))
            }
        })
    }
}

/// The text of a JSON string.
pub(super) fn string(value: &RawValue, param: &str) -> Result<String, Finding> {
    let is_string = value.get().starts_with('"');
    serde_json::from_str(value.get()).map_err(|error| {
        if is_string {
            let message = format!("'{param}' is not a valid JSON string: {error}.");
            finding("invalid_json_line", Some(param), message)
        } else {
            finding("invalid_request", Some(param), format!("'{param}' must be a string."))
        }
    })
}

/// What is looked at in a body before the model has it; of a repeated field, the last.
#[derive(Debug, Default)]
pub(crate) struct Body<'a> {
    pub(super) model: Option<&'a RawValue>,
    pub(crate) stream: Option<&'a RawValue>,
    pub(crate) stream_options: Option<&'a RawValue>,
    pub(super) input: Option<&'a RawValue>,
    pub(super) prompt: Option<&'a RawValue>,
}

impl<'a> Body<'a> {
    /// None when the name of a field has half a surrogate pair alone: that is the line's own fault, and it will fail.
    pub(super) fn parse(body: &'a RawValue) -> Result<Option<Body<'a>>, Finding> {
        if !body.get().starts_with('{') {
            return Err(finding("invalid_request", Some("body"), "'body' must be a JSON object."));
        }
        // Nothing else can be wrong with it: it was JSON when its line was read.
        Ok(serde_json::from_str(body.get()).ok())
    }
}

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "snake_case")]
enum BodyKey {
    Model,
    Stream,
    StreamOptions,
    Input,
    Prompt,
    #[serde(other)]
    Other,
}

/// By hand, because a derived one refuses a repeated field.
impl<'de> Deserialize<'de> for Body<'de> {
    fn deserialize<D: Deserializer<'de>>(body: D) -> Result<Self, D::Error> {
        struct Fields;
        impl<'de> Visitor<'de> for Fields {
            type Value = Body<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Body<'de>, A::Error> {
                let mut body = Body::default();
                while let Some(key) = fields.next_key()? {
                    match key {
                        BodyKey::Model => body.model = Some(fields.next_value()?),
                        BodyKey::Stream => body.stream = Some(fields.next_value()?),
                        BodyKey::StreamOptions => body.stream_options = Some(fields.next_value()?),
                        BodyKey::Input => body.input = Some(fields.next_value()?),
                        BodyKey::Prompt => body.prompt = Some(fields.next_value()?),
                        BodyKey::Other => {
                            fields.next_value::<IgnoredAny>()?;
                        }
                    }
                }
                Ok(body)
            }
        }
        body.deserialize_map(Fields)
    }
}
