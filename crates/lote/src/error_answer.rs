//! Reads a service's error answer, whatever its shape, without the key that some services send back in it.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use reqwest::header::HeaderMap;
use serde_json::Value;

use crate::{secrets::Secrets, text::shortened};

/// The most characters of an error's text that are kept.
const LONGEST: usize = 600;

/// An error answer, as far as it could be read.
#[derive(Clone, Debug, Default)]
pub(crate) struct ErrorAnswer {
    pub(crate) status: u16,
    pub(crate) message: Option<String>,
    pub(crate) code: Option<String>,
    pub(crate) param: Option<String>,
    pub(crate) location: Option<String>,
    pub(crate) request_id: Option<String>,
    pub(crate) retry_after: Option<Duration>,
}

impl ErrorAnswer {
    /// Reads an answer: OpenAI's object, MKA1's text, FastAPI's `detail`, bare text, HTML, or nothing.
    pub(crate) fn read(status: u16, headers: &HeaderMap, body: &[u8], secrets: &Secrets) -> Self {
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut answer = Self {
            status,
            location: header("location").filter(|_| (300..400).contains(&status)),
            request_id: header("x-request-id"),
            retry_after: retry_after(headers, SystemTime::now()),
            ..Self::default()
        };
        match serde_json::from_slice::<Value>(body) {
            Ok(value) => answer.take_json(&value),
            // Blanked before it is cut, or the cut could leave a part of the key.
            Err(_) => answer.message = text_of(&secrets.blanked(&String::from_utf8_lossy(body))),
        }
        for text in
            [&mut answer.message, &mut answer.code, &mut answer.param, &mut answer.location, &mut answer.request_id]
        {
            *text = text.take().map(|text| shorten(&secrets.blanked(&text)));
        }
        answer
    }

    fn take_json(&mut self, value: &Value) {
        let error = value.get("error").filter(|error| !error.is_null()).unwrap_or(value);
        let field = |name: &str| error.get(name).and_then(plain);
        self.message = match error {
            Value::String(text) => Some(text.clone()),
            _ => field("message").or_else(|| value.get("message").and_then(plain)).or_else(|| detail(value)),
        };
        if self.message.is_none() && !value.is_null() {
            self.message = Some(value.to_string());
        }
        self.code = field("code");
        self.param = field("param");
    }
}

impl fmt::Display for ErrorAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the service answered {}", self.status)?;
        if let Some(reason) = http::StatusCode::from_u16(self.status).ok().and_then(|status| status.canonical_reason())
        {
            write!(f, " {reason}")?;
        }
        if let Some(message) = &self.message {
            write!(f, ": {message}")?;
        }
        if let Some(location) = &self.location {
            write!(f, ": it points to {location}; use that as the base URL if it is the service")?;
        }
        let notes = [("code", &self.code), ("param", &self.param), ("request id", &self.request_id)];
        let notes: Vec<String> =
            notes.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name} {value}"))).collect();
        if notes.is_empty() { Ok(()) } else { write!(f, " ({})", notes.join(", ")) }
    }
}

/// A string or number as text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) if !text.is_empty() => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

/// FastAPI's `detail`: a text, or a list of `{loc, msg}`.
fn detail(value: &Value) -> Option<String> {
    match value.get("detail")? {
        Value::Array(findings) => {
            let texts: Vec<String> = findings
                .iter()
                .filter_map(|finding| {
                    let place: Vec<String> = finding.get("loc")?.as_array()?.iter().filter_map(plain).collect();
                    Some(format!("{}: {}", place.join("."), plain(finding.get("msg")?)?))
                })
                .collect();
            (!texts.is_empty()).then(|| texts.join("; "))
        }
        other => plain(other),
    }
}

/// A text for people: of an HTML page its title, of anything else its first words.
pub(crate) fn text_of(body: &str) -> Option<String> {
    let body = body.trim();
    if body.is_empty() {
        return None;
    }
    if !body.starts_with('<') {
        return Some(shorten(body));
    }
    // to_ascii_lowercase keeps byte positions.
    let lower = body.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|at| {
        let start = at + lower[at..].find('>')? + 1;
        let end = start + lower[start..].find("</title")?;
        Some(body[start..end].trim())
    });
    match title.filter(|title| !title.is_empty()) {
        Some(title) => Some(format!("an HTML page titled {:?}", shorten(title))),
        None => Some("an HTML page".to_owned()),
    }
}

fn shorten(text: &str) -> String {
    // Lines become one; what else is not seen is made visible where the error is shown.
    let blank = |c| if matches!(c, '\n' | '\r' | '\t') { ' ' } else { c };
    shortened(text, LONGEST).chars().map(blank).collect()
}

/// `retry-after-ms`, else `Retry-After` as seconds, a fraction of seconds, or an HTTP date. As in both SDKs. More than a
/// `Duration` holds is the longest one: it is not the same as no word at all.
pub(crate) fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let number = |name: &str, unit: f64| {
        let seconds = headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok()? * unit;
        (seconds >= 0.0).then(|| Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    };
    if let Some(asked) = number("retry-after-ms", 1e-3).or_else(|| number("retry-after", 1.0)) {
        return Some(asked);
    }
    let date = httpdate::parse_http_date(headers.get("retry-after")?.to_str().ok()?).ok()?;
    Some(date.duration_since(now).unwrap_or(Duration::ZERO))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> ErrorAnswer {
        ErrorAnswer::read(status, &HeaderMap::new(), body.as_bytes(), &Secrets::new("sk-secret", []))
    }

    #[test]
    fn every_shape_gives_a_message() {
        for (body, message) in [
            (r#"{"error":{"message":"no such batch","type":"x","param":null,"code":null}}"#, "no such batch"),
            (r#"{"error":"Rate limit exceeded"}"#, "Rate limit exceeded"),
            (r#"{"message":"plain"}"#, "plain"),
            (r#"{"detail":"not here"}"#, "not here"),
            (r#"{"detail":[{"loc":["body","limit"],"msg":"too small","type":"t"}]}"#, "body.limit: too small"),
            (r#"{"unknown":1}"#, r#"{"unknown":1}"#),
            (r#""just text""#, "just text"),
            ("plain text\n", "plain text"),
            ("<html><head><TITLE>502 Bad Gateway</TITLE></head></html>", r#"an HTML page titled "502 Bad Gateway""#),
            ("<html></html>", "an HTML page"),
        ] {
            assert_eq!(read(500, body).message.as_deref(), Some(message), "{body}");
        }
        for body in ["", "  \n", "null"] {
            assert_eq!(read(500, body).message, None, "{body:?}");
        }
    }

    #[test]
    fn codes_are_texts_or_integers() {
        assert_eq!(read(404, r#"{"error":{"code":404}}"#).code.as_deref(), Some("404"));
        assert_eq!(read(404, r#"{"error":{"code":"x"}}"#).code.as_deref(), Some("x"));
        assert_eq!(read(404, r#"{"error":{"code":null}}"#).code, None);
    }

    #[test]
    fn a_key_that_is_sent_back_is_blanked() {
        let answer = read(401, r#"{"error":{"message":"Incorrect API key: sk-secret.","code":"sk-secret"}}"#);
        assert_eq!(answer.message.as_deref(), Some("Incorrect API key: [key]."));
        assert!(!answer.to_string().contains("sk-secret"));
    }

    #[test]
    fn long_texts_are_cut_at_a_character() {
        let text = read(500, &"é".repeat(5000)).message.unwrap();
        assert_eq!(text.chars().count(), LONGEST + 1);
    }

    #[test]
    fn retry_after_in_every_form() {
        let now = httpdate::parse_http_date("Thu, 01 Jan 2026 00:00:00 GMT").unwrap();
        for (name, value, expected) in [
            ("retry-after", "2", Some(Duration::from_secs(2))),
            ("retry-after", "0.5", Some(Duration::from_millis(500))),
            ("retry-after-ms", "1500", Some(Duration::from_millis(1500))),
            ("retry-after", "Thu, 01 Jan 2026 00:00:30 GMT", Some(Duration::from_secs(30))),
            ("retry-after", "Wed, 31 Dec 2025 23:59:59 GMT", Some(Duration::ZERO)),
            ("retry-after", "-1", None),
            ("retry-after", "nan", None),
            ("retry-after", "soon", None),
            ("retry-after", "-inf", None),
            ("retry-after", "1e400", Some(Duration::MAX)),
            ("retry-after-ms", "99999999999999999999999999", Some(Duration::MAX)),
        ] {
            let headers =
                HeaderMap::from_iter([(http::HeaderName::from_static(name), http::HeaderValue::from_static(value))]);
            assert_eq!(retry_after(&headers, now), expected, "{name}: {value}");
        }
        let both = [("retry-after-ms", "-1"), ("retry-after", "3")]
            .map(|(name, value)| (http::HeaderName::from_static(name), http::HeaderValue::from_static(value)));
        assert_eq!(retry_after(&HeaderMap::from_iter(both), now), Some(Duration::from_secs(3)));
    }
}
