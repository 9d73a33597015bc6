//! Owns the built-in model: deterministic, offline, good enough to tell inputs apart. Never reads
//! files or touches a batch.

mod chat;
mod completions;
mod directive;
mod embeddings;
mod images;
mod moderations;
mod png;
mod prompt;
mod responses;
mod structured;
mod text;
mod videos;

use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use serde_json::{Map, Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::clock::Clock;
use crate::executor::{Executor, LineAnswer, LineRequest, Reply, Turn};
use crate::model::directive::Directives;
use crate::model::prompt::Prompt;
use crate::view::Endpoint;

/// Pause before another try of a line that a directive made fail.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// Room for all answers in memory at once.
const ROOM_KIB: u32 = 64 * 1024;

/// Most values in a body: as a tree each takes many times its text. More than the tokens of any real prompt.
const MOST_VALUES: usize = 1_000_000;

/// Answers every endpoint of the contract.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    clock: Clock,
    /// Room for all answers in the making, and until they are written, in KiB.
    room: Arc<Semaphore>,
}

/// A request that the model does not take: OpenAI's 400 for a synchronous call.
#[derive(Debug)]
struct Refusal {
    message: String,
    param: Option<&'static str>,
}

impl Refusal {
    fn param(param: &'static str, message: impl Into<String>) -> Refusal {
        Refusal { message: message.into(), param: Some(param) }
    }

    fn missing(param: &'static str) -> Refusal {
        Refusal::param(param, format!("Missing required parameter: '{param}'."))
    }
}

/// What an endpoint needs to know to answer.
struct Ask<'a> {
    body: &'a Map<String, Value>,
    model: &'a str,
    prompt: &'a Prompt,
    now: i64,
}

impl Ask<'_> {
    /// About the most that an answer in words takes: it may repeat parts of a body of so many bytes.
    fn most_kib(&self, body: usize) -> u64 {
        let number = |name| self.body.get(name).and_then(Value::as_u64).unwrap_or(1).min(chat::MOST_CHOICES);
        let answers = number("n").saturating_mul(self.prompt.inputs.len() as u64);
        let is_structured = self.body.contains_key("response_format") || self.body.contains_key("text");
        let structured = if is_structured { structured::MOST_TEXT } else { 0 };
        answers.saturating_mul(4).saturating_add((body + structured) as u64 / 1024 + 1)
    }
}

/// Takes so much of the room for answers; who wants more than all of it gets all.
async fn room(room: &Arc<Semaphore>, kib: u64) -> Option<OwnedSemaphorePermit> {
    let kib = u32::try_from(kib).unwrap_or(u32::MAX).min(ROOM_KIB);
    // The semaphore is never closed.
    Arc::clone(room).acquire_many_owned(kib).await.ok()
}

impl BuiltIn {
    pub(crate) fn new(clock: Clock) -> BuiltIn {
        BuiltIn { clock, room: Arc::new(Semaphore::new(ROOM_KIB as usize)) }
    }

    async fn try_answer(&self, line: &LineRequest, turn: Turn) -> Result<Reply, Refusal> {
        if values(line.body.get()) > MOST_VALUES {
            let message = format!("The body holds more than {MOST_VALUES} values.");
            return Err(Refusal { message, param: None });
        }
        let body: Map<String, Value> = serde_json::from_str(line.body.get())
            .map_err(|error| Refusal { message: format!("We could not parse the body: {error}."), param: None })?;
        let model = match body.get("model") {
            Some(Value::String(model)) if !model.is_empty() => model,
            None if !line.endpoint.needs_model() => "lote-builtin",
            None => {
                let message = "you must provide a model parameter".to_owned();
                return Err(Refusal { message, param: None });
            }
            Some(_) => return Err(Refusal::param("model", "'model' must be a string.")),
        };
        let prompt = Prompt::read(line.endpoint, &body)?;
        let directives = Directives::find(&prompt.text);
        if turn.attempt == 1 && !turn.has_paused && !directives.sleep.is_zero() {
            return Ok(Reply::Pause(directives.sleep));
        }
        if let Some((times, status)) = directives.fail
            && turn.attempt <= times
        {
            return Ok(Reply::Answer(LineAnswer { retry_after: Some(RETRY_PAUSE), ..refused(status) }));
        }
        if let Some(status) = directives.status {
            return Ok(Reply::Answer(refused(status)));
        }
        let ask = Ask { body: &body, model, prompt: &prompt, now: self.clock.now() };
        let room = match line.endpoint {
            Endpoint::Embeddings => None,
            _ => room(&self.room, ask.most_kib(line.body.get().len())).await,
        };
        let body = match line.endpoint {
            Endpoint::Embeddings => return embeddings::answer(&ask, &self.room).await.map(Reply::Answer),
            Endpoint::ChatCompletions => chat::answer(&ask),
            Endpoint::Responses => responses::answer(&ask),
            Endpoint::ImageGenerations | Endpoint::ImageEdits => images::answer(&ask),
            Endpoint::Completions => completions::answer(&ask),
            Endpoint::Moderations => moderations::answer(&ask),
            Endpoint::Videos => videos::answer(&ask),
        }?;
        Ok(Reply::Answer(LineAnswer { _room: room, ..LineAnswer::new(200, &body) }))
    }
}

impl Executor for BuiltIn {
    fn answer<'a>(&'a self, line: &'a LineRequest, turn: Turn) -> BoxFuture<'a, Reply> {
        self.try_answer(line, turn)
            .map(|reply| {
                reply.unwrap_or_else(|refusal| {
                    let body = error(&refusal.message, "invalid_request_error", refusal.param, None);
                    Reply::Answer(LineAnswer::new(400, &body))
                })
            })
            .boxed()
    }
}

/// About how many values are in a JSON text, which is valid: one, and one more for each comma and colon.
fn values(json: &str) -> usize {
    let (mut values, mut in_text, mut escaped) = (1, false, false);
    for byte in json.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            b',' | b':' if !in_text => values += 1,
            _ => {}
        }
    }
    values
}

/// The answer of a service that refuses with `status`.
fn refused(status: u16) -> LineAnswer {
    let (message, kind, code) = match status {
        401 => ("Incorrect API key provided.", "invalid_request_error", Some("invalid_api_key")),
        404 => ("The model does not exist.", "invalid_request_error", Some("model_not_found")),
        429 => ("Rate limit reached for requests.", "requests", Some("rate_limit_exceeded")),
        503 => ("The engine is currently overloaded.", "server_error", None),
        500.. => ("The server had an error while processing the request.", "server_error", None),
        _ => ("", "invalid_request_error", None),
    };
    let reason = StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
    let message = if message.is_empty() { reason.unwrap_or("Refused") } else { message };
    LineAnswer::new(status, &error(message, kind, None, code))
}

fn error(message: &str, kind: &str, param: Option<&str>, code: Option<&str>) -> Value {
    json!({"error": {"message": message, "type": kind, "param": param, "code": code}})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_counted_outside_of_texts_only() {
        for (json, expected) in [
            ("null", 1),
            ("[1,2,3]", 3),
            (r#"{"a":1,"b":[2,3]}"#, 5),
            (r#""a,b:c""#, 1),
            (r#"["\",",1]"#, 2),
            (r#"["\\",1,2]"#, 3),
        ] {
            assert_eq!(values(json), expected, "{json}");
        }
    }
}
