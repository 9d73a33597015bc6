//! Error answers that real services were seen to give.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use serde_json::json;

use crate::clock::{LAST_SECOND, http_date};

/// An error answer: a status, perhaps a `Retry-After`, a body of some shape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    pub(crate) status: u16,
    pub(crate) retry_after: Option<RetryAfter>,
    pub(crate) body: ErrorBody,
}

/// How an answer says when to try again (the clients of MKA1 and of OpenAI read all three).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RetryAfter {
    /// `Retry-After: 2`, in seconds.
    Seconds(u64),
    /// `retry-after-ms: 250`, in milliseconds; not in any RFC, and it wins over `Retry-After`.
    Milliseconds(u64),
    /// `Retry-After: Thu, 01 Jan 2026 00:00:05 GMT`, so many seconds from the gateway's now;
    /// at most 253402300799 (checked when the gateway starts). A date after the year 9999 becomes
    /// the last of that year.
    Date(u64),
}

/// The shape of an error's body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorBody {
    /// `openai`: `{"error": {"message", "type", "param", "code"}}`.
    #[default]
    OpenAi,
    /// `text`: `{"error": "Rate limit exceeded"}`, the 429 of MKA1's own gateway, by its page on
    /// rate limiting.
    Text,
    /// `detail`: `{"detail": [{"loc", "msg", "type"}]}`, FastAPI's, seen of aibrix 0.8.0.
    Detail,
    /// `plain`: a sentence as `text/plain`, seen of dwctl 8.94.2.
    Plain,
    /// `html`: the page of a proxy in between.
    Html,
    /// `empty`: nothing at all.
    Empty,
}

impl Refusal {
    /// An error answer with this HTTP status (400 to 599; checked when the gateway starts) and a
    /// body in OpenAI's shape.
    pub fn status(status: u16) -> Refusal {
        Refusal { status, retry_after: None, body: ErrorBody::default() }
    }

    /// Adds the header that says when to try again.
    #[must_use]
    pub fn retry_after(mut self, after: RetryAfter) -> Refusal {
        self.retry_after = Some(after);
        self
    }

    /// Chooses the shape of the body.
    #[must_use]
    pub fn body(mut self, body: ErrorBody) -> Refusal {
        self.body = body;
        self
    }

    /// What is wrong with its numbers, if anything is: the key and the reason.
    pub(crate) fn wrong(&self) -> Option<(&'static str, String)> {
        if !(400..600).contains(&self.status) {
            return Some(("status", format!("expected an HTTP status from 400 to 599, got {}", self.status)));
        }
        match self.retry_after {
            Some(RetryAfter::Date(seconds)) if seconds > LAST_SECOND.unsigned_abs() => {
                let problem =
                    format!("expected at most {LAST_SECOND} seconds, since dates end with 9999, got {seconds}");
                Some(("retry_after_date", problem))
            }
            _ => None,
        }
    }

    /// The answer at `now`, in seconds since 1970.
    pub(crate) fn response(&self, now: i64) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (media_type, body) = self.body.render(status);
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = status;
        let headers = response.headers_mut();
        if let Some(media_type) = media_type {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type));
        }
        match self.retry_after {
            None => {}
            Some(RetryAfter::Seconds(seconds)) => {
                headers.insert(header::RETRY_AFTER, seconds.into());
            }
            Some(RetryAfter::Milliseconds(ms)) => {
                headers.insert("retry-after-ms", ms.into());
            }
            Some(RetryAfter::Date(seconds)) => {
                let date = http_date(now.saturating_add_unsigned(seconds));
                if let Ok(date) = HeaderValue::try_from(date) {
                    headers.insert(header::RETRY_AFTER, date);
                }
            }
        }
        response
    }
}

impl ErrorBody {
    /// The names in a faults file.
    pub(crate) const NAMES: [(&'static str, ErrorBody); 6] = [
        ("openai", ErrorBody::OpenAi),
        ("text", ErrorBody::Text),
        ("detail", ErrorBody::Detail),
        ("plain", ErrorBody::Plain),
        ("html", ErrorBody::Html),
        ("empty", ErrorBody::Empty),
    ];

    fn render(self, status: StatusCode) -> (Option<&'static str>, String) {
        let reason = status.canonical_reason().unwrap_or("Error");
        let (message, kind, code) = match status.as_u16() {
            429 => ("Rate limit exceeded", "requests", Some("rate_limit_exceeded")),
            500.. => (reason, "server_error", None),
            _ => (reason, "invalid_request_error", None),
        };
        let json = Some("application/json");
        match self {
            ErrorBody::OpenAi => {
                let error = json!({"message": message, "type": kind, "param": null, "code": code});
                (json, json!({"error": error}).to_string())
            }
            ErrorBody::Text => (json, json!({"error": message}).to_string()),
            ErrorBody::Detail => {
                let detail = json!([{"loc": ["body"], "msg": message, "type": "value_error"}]);
                (json, json!({"detail": detail}).to_string())
            }
            ErrorBody::Plain => (Some("text/plain; charset=utf-8"), message.to_owned()),
            ErrorBody::Html => (
                Some("text/html"),
                format!(
                    "<html>\r\n<head><title>{status}</title></head>\r\n<body>\r\n\
                     <center><h1>{status}</h1></center>\r\n</body>\r\n</html>\r\n"
                ),
            ),
            ErrorBody::Empty => (None, String::new()),
        }
    }
}
