//! Owns the search for the code and the message in whatever a service calls an error: an object, a
//! text, a text that is itself JSON, an object in an object. It never decides an outcome.

use serde::de::IgnoredAny;
use serde_json::value::RawValue;

use crate::answer::is_off;
use crate::fields::{Walk, fields};
use crate::raw::{self, Kind};

/// How many objects and texts deep the search goes.
const MAX_DEPTH: u8 = 8;

/// What an error says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Said {
    pub(crate) code: Option<String>,
    pub(crate) message: Option<String>,
}

impl Said {
    /// This, and what is not said here from `other`.
    pub(crate) fn or(self, other: Self) -> Self {
        Self { code: self.code.or(other.code), message: self.message.or(other.message) }
    }
}

/// Reads an error value, which is to be valid JSON. The code is the nearest `code`, else the innermost `type`; the message is
/// found under `message`, `msg`, `error`, `error_message`, `detail`, `details`, `errors`, `reason` or `body`, in this
/// order.
pub(crate) fn read(error: &str) -> Said {
    read_at(error, MAX_DEPTH)
}

fn read_at(json: &str, depth: u8) -> Said {
    let Some(depth) = depth.checked_sub(1) else {
        return Said::default();
    };
    match Kind::of(json) {
        Kind::Object => object(json, depth),
        Kind::Array => serde_json::from_str::<Vec<&RawValue>>(json)
            .ok()
            .and_then(|values| values.first().map(|first| read_at(first.get(), depth)))
            .unwrap_or_default(),
        Kind::String => string(json, depth),
        Kind::Null => Said::default(),
        Kind::Bool | Kind::Number if is_off(json) => Said::default(),
        Kind::Bool | Kind::Number => Said { code: None, message: Some(json.to_owned()) },
    }
}

fn string(json: &str, depth: u8) -> Said {
    let Some(text) = raw::lossy_text(json) else {
        return Said::default();
    };
    let trimmed = text.trim();
    if trimmed.starts_with(['{', '[']) && serde_json::from_str::<IgnoredAny>(trimmed).is_ok() {
        let inner = read_at(trimmed, depth);
        if inner != Said::default() {
            return inner;
        }
    }
    Said { code: None, message: (!trimmed.is_empty()).then(|| text.into_owned()) }
}

fn object(json: &str, depth: u8) -> Said {
    const PLACES: [&str; 9] =
        ["message", "msg", "error", "error_message", "detail", "details", "errors", "reason", "body"];
    let mut found: [Option<&str>; PLACES.len()] = [None; PLACES.len()];
    let (mut code, mut kind) = (None, None);
    fields(json, &mut |key, value| match key.as_ref() {
        "code" => code = non_empty(value),
        "type" => kind = non_empty(value),
        other => {
            if let Some(place) = PLACES.iter().position(|name| *name == other) {
                found[place] = Some(value);
            }
        }
    });
    let mut message = None;
    let mut inner_code = None;
    for value in found.into_iter().flatten() {
        let inner = read_at(value, depth);
        inner_code = inner_code.or(inner.code);
        message = inner.message;
        if message.is_some() {
            break;
        }
    }
    Said { code: code.or(inner_code).or(kind), message }
}

/// What stands beside the body in a response.
pub(crate) fn beside_body(response: &str) -> Said {
    let mut said = Said::default();
    fields(response, &mut |key, value| match key.as_ref() {
        "code" => said.code = non_empty(value),
        "message" | "msg" | "error" | "detail" | "reason" => {
            let inner = read(value);
            said.message = said.message.take().or(inner.message);
            said.code = said.code.take().or(inner.code);
        }
        _ => {}
    });
    said
}

/// What the first choice that has an error says of it, in the body of a completion.
pub(crate) fn of_choices(body: &str) -> Said {
    let mut said = Said::default();
    Walk::new(body).fields(&mut |key, walk| {
        if key == "choices" {
            walk.items(&mut |walk| {
                walk.fields(&mut |key, walk| {
                    if key == "error" && said == Said::default() {
                        said = read(walk.value());
                    }
                });
            });
        }
    });
    said
}

fn non_empty(value: &str) -> Option<String> {
    let text = raw::loose_text(value)?;
    (!text.is_empty()).then(|| text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_code_and_message_in_every_shape() {
        let dwctl = r#"{"code":null,"message":"{\"type\":\"NonRetriableHttpStatus\",\"details\":{\"status\":400,\"body\":\"{\\\"error\\\": {\\\"message\\\": \\\"injected 400\\\", \\\"type\\\": \\\"invalid_request_error\\\", \\\"param\\\": null, \\\"code\\\": null}}\"}}"}"#;
        for (json, code, message) in [
            (r#"{"code":"a","message":"b"}"#, Some("a"), Some("b")),
            (r#"{"type":"request_failed","message":"b"}"#, Some("request_failed"), Some("b")),
            (r#"{"code":429,"type":"t","message":"b"}"#, Some("429"), Some("b")),
            (r#"{"error":{"code":null,"type":"t","message":"b"}}"#, Some("t"), Some("b")),
            (r#"{"error":"Rate limit exceeded"}"#, None, Some("Rate limit exceeded")),
            (r#""plain""#, None, Some("plain")),
            (r#""{not json""#, None, Some("{not json")),
            (r#""{\"x\":1}""#, None, Some("{\"x\":1}")),
            // Read as JSON only when all of it is an object or a list.
            (r#""{\"message\":\"m\", and""#, None, Some("{\"message\":\"m\", and")),
            (r#""\"quoted\"""#, None, Some("\"quoted\"")),
            (dwctl, Some("invalid_request_error"), Some("injected 400")),
            (
                r#"{"detail":[{"loc":["a"],"msg":"field required","type":"missing"}]}"#,
                Some("missing"),
                Some("field required"),
            ),
            (r#"{"message":"m","details":{"message":"d"}}"#, None, Some("m")),
            (r#"{"message":"[{\"error\":{\"code\":400,\"message\":\"m\"}}]"}"#, Some("400"), Some("m")),
            (r#"{"message":"[1, 2"}"#, None, Some("[1, 2")),
            (r#"{"errors":[{"code":"c","detail":"d"}]}"#, Some("c"), Some("d")),
            (r#"{"error_message":"m","error_code":1}"#, None, Some("m")),
            (r#"{"reason":"r"}"#, None, Some("r")),
            (r#""cut \ud83d""#, None, Some("cut \u{fffd}")),
            (r#"{"code":"","message":""}"#, None, None),
            ("{}", None, None),
            ("null", None, None),
            ("[]", None, None),
            ("7", None, Some("7")),
        ] {
            let said = read(json);
            assert_eq!((said.code.as_deref(), said.message.as_deref()), (code, message), "{json}");
        }
    }

    #[test]
    fn a_choice_may_hold_the_error() {
        for (json, code, message) in [
            (
                r#"{"choices":[{"x":1},{"error":{"code":502,"message":"gone"}},{"error":"b"}]}"#,
                Some("502"),
                Some("gone"),
            ),
            (r#"{"choices":[{"error":null},{"error":"b"}]}"#, None, Some("b")),
            (r#"{"choices":{"error":"b"},"error":"c"}"#, None, None),
            ("[]", None, None),
        ] {
            let said = of_choices(json);
            assert_eq!((said.code.as_deref(), said.message.as_deref()), (code, message), "{json}");
        }
    }

    #[test]
    fn depth_is_bounded() {
        let json = format!("{}1{}", "{\"error\":".repeat(50_000), "}".repeat(50_000));
        assert_eq!(read(&json), Said::default());
        let json = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read(&json), Said::default());
    }
}
