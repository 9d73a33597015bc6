//! Owns the request line: one record of an input file. It never judges one; see [`check`](crate::check()).

use std::io::{self, Write};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::to_json::{NotJson, to_json_object};

/// One line of a batch's input file: a request to one endpoint, to be sent when the service has
/// time for it. A file holds one JSON object a line, with no array around them and no byte order
/// mark.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(schemars::JsonSchema))]
pub struct RequestLine {
    /// The caller's own name for this request, unique within the file. Answers come in any order
    /// and are told apart by it alone. ASCII of at most 64 characters is accepted everywhere.
    #[cfg_attr(feature = "schemas", schemars(length(min = 1)))]
    pub custom_id: String,
    /// The HTTP method. Batches know only POST.
    #[cfg_attr(feature = "schemas", schemars(schema_with = "method_schema"))]
    pub method: Method,
    /// The endpoint that the request is for, as a path relative to the service such as
    /// `/v1/chat/completions`. It equals the batch's endpoint on every line of a file.
    pub url: String,
    /// The request itself: the same parameters that the endpoint takes outside of a batch, `model`
    /// among them. `stream` must not be true.
    pub body: Map<String, Value>,
}

impl RequestLine {
    /// A request line with method POST.
    pub fn new(custom_id: impl Into<String>, url: impl Into<String>, body: Map<String, Value>) -> Self {
        Self { custom_id: custom_id.into(), method: Method::Post, url: url.into(), body }
    }

    /// A request line of anything that serialises to an object: a struct of one's own, another
    /// crate's request type, or `serde_json::json!`.
    ///
    /// ```
    /// use lote_lines::RequestLine;
    ///
    /// let body = serde_json::json!({"model": "auto", "input": "to embed"});
    /// let line = RequestLine::raw("row-1", "/v1/embeddings", &body)?;
    /// assert_eq!(line.body["input"], "to embed");
    /// # Ok::<(), lote_lines::NotJson>(())
    /// ```
    ///
    /// # Errors
    ///
    /// When `body` is no object, and when it holds what JSON cannot, such as NaN: see
    /// [`to_json`](crate::to_json()).
    pub fn raw(
        custom_id: impl Into<String>,
        url: impl Into<String>,
        body: &(impl Serialize + ?Sized),
    ) -> Result<Self, NotJson> {
        Ok(Self::new(custom_id, url, to_json_object(body)?))
    }

    /// Writes the line as JSON with a final LF. Nothing inside it breaks the line.
    ///
    /// # Errors
    ///
    /// Those of `out`.
    pub fn write_to(&self, out: &mut impl Write) -> io::Result<()> {
        serde_json::to_writer(&mut *out, self)?;
        out.write_all(b"\n")
    }
}

/// The HTTP method of a request line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
pub enum Method {
    /// POST, the only method of batches.
    #[default]
    #[serde(rename = "POST")]
    Post,
}

#[cfg(feature = "schemas")]
fn method_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "type": "string", "enum": ["POST"] })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn is_written_as_one_line_and_read_back() {
        let Value::Object(body) = json!({"model": "m", "input": "two\nlines\r\u{2028}\u{0}", "a": 1.0}) else {
            panic!("an object");
        };
        let line = RequestLine::new("id \"1\"", "/v1/responses", body);
        let mut out = Vec::new();
        line.write_to(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(
            text,
            "{\"custom_id\":\"id \\\"1\\\"\",\"method\":\"POST\",\"url\":\"/v1/responses\",\
             \"body\":{\"model\":\"m\",\"input\":\"two\\nlines\\r\u{2028}\\u0000\",\"a\":1.0}}\n"
        );
        assert_eq!(serde_json::from_str::<RequestLine>(&text).unwrap(), line);
    }

    #[test]
    fn only_post_is_a_method() {
        assert!(serde_json::from_str::<Method>("\"post\"").is_err());
        assert!(serde_json::from_str::<Method>("\"GET\"").is_err());
    }
}
