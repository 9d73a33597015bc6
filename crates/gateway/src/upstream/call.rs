//! One request to an upstream and its answer, in bounded memory and time.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use bytes::Bytes;
use futures_util::{Stream, StreamExt, stream};
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::config::Upstream;
use super::gate::{Came, Pass};
use crate::contract::Endpoint;
use crate::executor::{Failure, Streamed};
use crate::outside::{self, CONNECT};

/// Room for all large answers in memory at once: to lines of batches, and as much to other requests.
pub(super) const ROOM_KIB: u32 = 64 * 1024;

/// The longest answer, in bytes.
const MOST_ANSWER: usize = 32 * 1024 * 1024;

/// An answer of at most so many bytes takes no room.
const SMALL: usize = 64 * 1024;

/// Of a text that is no JSON, so much is kept in the answer, in characters.
const QUOTE: usize = 1000;

/// Speaks to one upstream.
#[derive(Debug)]
pub(super) struct Speaker {
    http: reqwest::Client,
    upstream: Upstream,
}

/// An answer that came whole.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) status: u16,
    pub(super) body: Box<RawValue>,
    pub(super) usage: Value,
    pub(super) retry_after: Option<Duration>,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Lost {
    /// No connection could be made: the request was certainly not received.
    Unreached,
    /// Anything else.
    Failed(Failure),
}

impl Speaker {
    pub(super) fn new(upstream: Upstream) -> std::io::Result<Speaker> {
        Ok(Speaker { http: outside::client(&upstream.url)?, upstream })
    }

    pub(super) fn upstream(&self) -> &Upstream {
        &self.upstream
    }

    /// Sends a request, and waits for the head of its answer.
    async fn send(&self, endpoint: Endpoint, body: String, key: Option<&str>) -> Result<reqwest::Response, Lost> {
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if let Some(authorization) = &self.upstream.authorization {
            headers.insert(header::AUTHORIZATION, authorization.clone());
        }
        if let Some(key) = key.and_then(|key| HeaderValue::from_str(key).ok()) {
            headers.insert("Idempotency-Key", key);
        }
        let url = format!("{}{}", self.upstream.url, endpoint.operation());
        #[cfg(debug_assertions)]
        if crate::points::pass("send", "before").await.is_some() {
            return Err(Lost::Failed(Failure::broken_off()));
        }
        let sent = self.http.post(url).headers(headers).body(body).send().await;
        #[cfg(debug_assertions)]
        if crate::points::pass("send", "after").await.is_some() {
            return Err(Lost::Failed(Failure::broken_off()));
        }
        sent.map_err(|error| if error.is_connect() { Lost::Unreached } else { Lost::Failed(Failure::broken_off()) })
    }

    /// The answer to a request, whole.
    pub(super) async fn whole(
        &self,
        endpoint: Endpoint,
        body: String,
        key: Option<&str>,
        room: &Arc<Semaphore>,
    ) -> Result<Whole, Lost> {
        let timeout = self.upstream.timeout;
        let answered = async {
            let response = self.send(endpoint, body, key).await?;
            read(response, room).await
        };
        match tokio::time::timeout(timeout, answered).await {
            Ok(answered) => answered,
            Err(_) => Err(Lost::Failed(Failure::timed_out(timeout))),
        }
    }

    /// The answer to a request, as it comes.
    pub(super) async fn streamed(
        &self,
        endpoint: Endpoint,
        body: String,
        key: Option<&str>,
        pass: Pass,
    ) -> Result<Streamed, Lost> {
        let timeout = self.upstream.timeout;
        let response = match tokio::time::timeout(timeout, self.send(endpoint, body, key)).await {
            Ok(Ok(response)) => response,
            Ok(Err(lost)) => {
                pass.came(lost.came());
                return Err(lost);
            }
            Err(_) => {
                let lost = Lost::Failed(Failure::timed_out(timeout));
                pass.came(lost.came());
                return Err(lost);
            }
        };
        let status = response.status();
        let retry_after = retry_after(response.headers());
        let content_type = response.headers().get(header::CONTENT_TYPE).cloned();
        // How many tokens a stream has is not looked at, so that its time says nothing.
        let came = if status.is_success() { Came::Other } else { came(status, retry_after, &Value::Null) };
        let pieces = Pieces { response, pass: Some(pass), came, timeout };
        Ok(Streamed {
            status: status.as_u16(),
            retry_after: retry_after.map(|after| after.as_secs().max(1)),
            content_type,
            body: pieces.stream().boxed(),
        })
    }

    /// The names of its models, as it tells them; none when it does not.
    pub(super) async fn models(&self) -> Option<Vec<String>> {
        #[derive(Deserialize)]
        struct List {
            data: Vec<Entry>,
        }
        #[derive(Deserialize)]
        struct Entry {
            id: String,
        }
        let mut request = self.http.get(format!("{}/models", self.upstream.url));
        if let Some(authorization) = &self.upstream.authorization {
            request = request.header(header::AUTHORIZATION, authorization.clone());
        }
        let asked = async {
            let response = request.send().await.ok()?;
            let (_, bytes, _) = bytes(response, &Arc::new(Semaphore::new(ROOM_KIB as usize))).await.ok()?;
            let list: List = serde_json::from_slice(&bytes).ok()?;
            Some(list.data.into_iter().map(|entry| entry.id).collect())
        };
        tokio::time::timeout(CONNECT, asked).await.ok().flatten()
    }
}

impl Lost {
    /// As it is counted.
    pub(super) fn name(&self) -> &str {
        match self {
            Lost::Unreached => "unreachable",
            Lost::Failed(failure) => &failure.code,
        }
    }

    /// What the gate learns from it.
    pub(super) fn came(&self) -> Came {
        match self {
            Lost::Failed(failure) if failure.is_timeout() => Came::TooMuch(None),
            Lost::Unreached | Lost::Failed(_) => Came::Other,
        }
    }
}

/// What the gate learns from an answer.
pub(super) fn came(status: StatusCode, retry_after: Option<Duration>, usage: &Value) -> Came {
    match status.as_u16() {
        429 | 503 => Came::TooMuch(retry_after),
        200..=299 => {
            let number = |names: [&str; 2]| names.iter().find_map(|name| usage[*name].as_u64());
            let (input, output) =
                (number(["prompt_tokens", "input_tokens"]), number(["completion_tokens", "output_tokens"]));
            let sum = input.map(|input| input.saturating_add(output.unwrap_or(0)));
            Came::Answer { tokens: usage["total_tokens"].as_u64().or(sum), output: output.unwrap_or(0) }
        }
        _ => Came::Other,
    }
}

/// A stream on its way, whose place is taken until it is over.
struct Pieces {
    response: reqwest::Response,
    pass: Option<Pass>,
    came: Came,
    timeout: Duration,
}

impl Pieces {
    fn stream(self) -> impl Stream<Item = std::io::Result<Bytes>> + Send {
        stream::unfold(Some(self), |pieces| async {
            let mut pieces = pieces?;
            match tokio::time::timeout(pieces.timeout, pieces.response.chunk()).await {
                Ok(Ok(Some(piece))) => Some((Ok(piece), Some(pieces))),
                Ok(Ok(None)) => {
                    if let Some(pass) = pieces.pass.take() {
                        pass.came(pieces.came);
                    }
                    None
                }
                Ok(Err(_)) => Some((Err(std::io::Error::other("the upstream broke off")), None)),
                Err(_) => Some((Err(std::io::ErrorKind::TimedOut.into()), None)),
            }
        })
    }
}

/// Reads an answer, as JSON on one line.
async fn read(response: reqwest::Response, room: &Arc<Semaphore>) -> Result<Whole, Lost> {
    let status = response.status();
    let retry_after = retry_after(response.headers());
    let (_, bytes, room) = bytes(response, room).await?;
    let (body, usage) = on_one_line(status, bytes);
    Ok(Whole { status: status.as_u16(), body, usage, retry_after, room })
}

/// The bytes of an answer, and the room that they take where they are many.
async fn bytes(
    mut response: reqwest::Response,
    room: &Arc<Semaphore>,
) -> Result<(StatusCode, Vec<u8>, Option<OwnedSemaphorePermit>), Lost> {
    let status = response.status();
    let too_long = || Lost::Failed(Failure::too_long(MOST_ANSWER));
    let told = response.content_length().map(|length| usize::try_from(length).unwrap_or(usize::MAX));
    if told.is_some_and(|length| length > MOST_ANSWER) {
        return Err(too_long());
    }
    let mut bytes: Vec<u8> = Vec::new();
    let mut taken = None;
    while let Some(piece) = response.chunk().await.map_err(|_| Lost::Failed(Failure::broken_off()))? {
        let length = bytes.len() + piece.len();
        if length > MOST_ANSWER {
            return Err(too_long());
        }
        if length > SMALL && taken.is_none() {
            // All that it may become at once: who had a part and wanted more would wait for others that do the same.
            let kib = u32::try_from(told.unwrap_or(MOST_ANSWER) / 1024 + 1).unwrap_or(ROOM_KIB).min(ROOM_KIB);
            // The semaphore is never closed.
            taken = Arc::clone(room).acquire_many_owned(kib).await.ok();
        }
        bytes.extend_from_slice(&piece);
    }
    Ok((status, bytes, taken))
}

/// An answer as a result line has it, and its usage. What is no JSON becomes a text, or, where it is no success, an error
/// with its beginning: proxies answer with pages.
fn on_one_line(status: StatusCode, bytes: Vec<u8>) -> (Box<RawValue>, Value) {
    #[derive(Deserialize)]
    struct Used {
        usage: Option<Value>,
    }
    let text = String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned());
    if serde_json::from_str::<&RawValue>(&text).is_ok() {
        // Within texts a line break is written as an escape.
        let text = if text.contains(['\n', '\r']) { text.replace(['\n', '\r'], " ") } else { text };
        let usage = serde_json::from_str(&text).ok().and_then(|Used { usage }| usage).unwrap_or_default();
        if let Ok(body) = RawValue::from_string(text) {
            return (body, usage);
        }
        return (RawValue::NULL.to_owned(), Value::Null);
    }
    let body = if status.is_success() {
        Value::from(text)
    } else {
        let start: String = text.chars().take(QUOTE).collect();
        let message = if start.trim().is_empty() { "The upstream gave no reason.".to_owned() } else { start };
        json!({"error": {"message": message, "type": "upstream_error", "param": null, "code": null}})
    };
    (serde_json::value::to_raw_value(&body).unwrap_or_else(|_| RawValue::NULL.to_owned()), Value::Null)
}

/// How long an upstream wants to be left alone: `retry-after-ms`, or `Retry-After` in seconds or as a date.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok()).map(str::trim);
    let seconds = |seconds: f64| Duration::try_from_secs_f64(seconds).ok();
    if let Some(after) = text("retry-after-ms").and_then(|text| text.parse::<f64>().ok()) {
        return seconds(after / 1000.0);
    }
    let after = text("retry-after")?;
    match after.parse::<f64>() {
        Ok(after) => seconds(after),
        Err(_) => httpdate::parse_http_date(after).ok()?.duration_since(SystemTime::now()).ok(),
    }
}

/// How long one who could not be reached is left alone, when it was last tried so often.
pub(super) fn pause(tries: u32) -> Duration {
    let longest = 500_u64 << tries.min(5);
    // From half of it to all, so that not all come back at once.
    let share = Instant::now().elapsed().subsec_nanos();
    let random = std::hash::BuildHasher::hash_one(&std::hash::RandomState::new(), share) % (longest / 2);
    Duration::from_millis(longest / 2 + random)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(status: u16, text: &str) -> (String, Value) {
        let (body, usage) = on_one_line(StatusCode::from_u16(status).unwrap(), text.as_bytes().to_vec());
        (body.get().to_owned(), usage)
    }

    #[test]
    fn an_answer_stands_on_one_line_and_keeps_its_numbers() {
        let (body, usage) = line(200, "{\r\n \"a\": 1.0000000000000000001,\n \"usage\": {\"total_tokens\": 3}}\n");
        assert_eq!(body, "{   \"a\": 1.0000000000000000001,  \"usage\": {\"total_tokens\": 3}} ".trim_end());
        assert_eq!(usage["total_tokens"], 3);
        assert_eq!(line(200, "a\ntext"), ("\"a\\ntext\"".to_owned(), Value::Null));
        let (body, _) = line(502, "<html>\nBad Gateway");
        let error: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(error["error"]["message"], "<html>\nBad Gateway");
        assert!(!body.contains('\n'));
        assert!(line(500, " ").0.contains("no reason"));
        let (body, _) = line(200, "[1]");
        assert_eq!(body, "[1]");
    }

    #[test]
    fn when_to_come_back_is_read_in_every_form() {
        let after = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            retry_after(&headers)
        };
        assert_eq!(after("retry-after", "7"), Some(Duration::from_secs(7)));
        assert_eq!(after("retry-after-ms", "250"), Some(Duration::from_millis(250)));
        assert!(after("retry-after", "Fri, 31 Dec 9999 23:59:59 GMT").is_some_and(|after| after.as_secs() > 1_000_000));
        for odd in ["soon", "-1", "NaN", "inf", "1e300"] {
            assert_eq!(after("retry-after", odd), None, "{odd}");
        }
    }

    #[test]
    fn what_the_gate_learns_is_in_status_and_usage() {
        let of = |status: u16, usage: Value| came(StatusCode::from_u16(status).unwrap(), None, &usage);
        assert!(matches!(of(429, Value::Null), Came::TooMuch(None)));
        assert!(matches!(of(400, Value::Null), Came::Other));
        let chat = json!({"prompt_tokens": 2, "completion_tokens": 3});
        assert!(matches!(of(200, chat), Came::Answer { tokens: Some(5), output: 3 }));
        assert!(matches!(of(200, json!({"total_tokens": 9})), Came::Answer { tokens: Some(9), output: 0 }));
        assert!(matches!(of(200, Value::Null), Came::Answer { tokens: None, output: 0 }));
    }
}
