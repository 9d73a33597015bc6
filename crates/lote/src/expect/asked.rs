//! What a request line asks its answer to be.

use crate::outcome::json::Json;

/// What the answer is asked to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Asked<'a> {
    Nothing,
    /// Any JSON object.
    Object,
    /// JSON of this schema, if the line has it.
    Schema(Option<&'a str>),
}

/// Reads the `response_format` of a chat completion, or the `text.format` of a response.
pub(super) fn asked(request: &str) -> Asked<'_> {
    let Some(body) = Json::parse(request).ok().and_then(|line| line.get("body")) else { return Asked::Nothing };
    let [chat, text] = body.fields(["response_format", "text"]);
    let chat = chat.filter(|format| format.is_object());
    let Some(format) = chat.or_else(|| text.and_then(|text| text.get("format"))) else { return Asked::Nothing };
    if format.says("type", "json_object") {
        return Asked::Object;
    }
    if !format.says("type", "json_schema") {
        return Asked::Nothing;
    }
    // A chat completion has it one level deeper.
    let inner = format.get("json_schema").filter(|inner| inner.is_object()).unwrap_or(format);
    Asked::Schema(inner.get("schema").filter(|schema| !schema.is_null()).map(Json::as_str))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_endpoints_say_it_in_their_own_way() {
        for (body, expected) in [
            (
                r#"{"response_format":{"type":"json_schema","json_schema":{"name":"n","schema":{"a": 1}}}}"#,
                Asked::Schema(Some("{\"a\": 1}")),
            ),
            (r#"{"text":{"format":{"type":"json_schema","name":"n","schema":true}}}"#, Asked::Schema(Some("true"))),
            (r#"{"text":{"format":{"type":"json_schema","name":"n"}}}"#, Asked::Schema(None)),
            (r#"{"response_format":{"type":"json_schema","json_schema":{"schema":null}}}"#, Asked::Schema(None)),
            (r#"{"response_format":{"type":"json_object"}}"#, Asked::Object),
            (r#"{"response_format":null,"text":{"format":{"type":"json_object"}}}"#, Asked::Object),
            (r#"{"response_format":"text","text":"x"}"#, Asked::Nothing),
            (r#"{"text":{"format":{"type":"text"}}}"#, Asked::Nothing),
            (r#"{"input":"x"}"#, Asked::Nothing),
            ("[]", Asked::Nothing),
        ] {
            assert_eq!(asked(&format!(r#"{{"custom_id":"a","body":{body}}}"#)), expected, "{body}");
        }
        assert_eq!((asked("{}"), asked("no JSON"), asked("[1]")), (Asked::Nothing, Asked::Nothing, Asked::Nothing));
    }
}
