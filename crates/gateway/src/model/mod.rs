//! The built-in model: deterministic, offline, good enough to tell inputs apart.

mod body;
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
mod surrogates;
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
use crate::contract::Endpoint;
use crate::executor::{Executor, LineAnswer, LineRequest, Reply, Turn};
use crate::model::directive::Directives;
use crate::model::prompt::Prompt;
use crate::weight::{levels, weight};

/// Pause before another try of a line that a directive made fail, unless it says how long.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

/// The names by which it goes where no other is given. It answers to every name; by one that ends with `-large`, its
/// vectors are long.
const NAMES: [&str; 2] = ["lote-builtin", "lote-builtin-large"];

/// Room for all answers in memory at once: to lines of batches, and as much to other requests.
const ROOM_KIB: u32 = 64 * 1024;

/// Room for all bodies in memory at once, once they are read: of lines of batches, and as much for other requests.
const TREES_KIB: u32 = 64 * 1024;

/// The most memory that the values of one body may take, beside its texts. Enough for the 300,000 tokens that OpenAI takes
/// in one request for embeddings.
const MOST_VALUES_KIB: u32 = 64 * 1024;

/// How many objects and lists of a body may stand in each other, itself among them: as deep as most readers of JSON go.
const MOST_LEVELS: usize = 127;

/// Answers every endpoint of the contract.
#[derive(Debug)]
pub(crate) struct BuiltIn {
    clock: Clock,
    /// For the lines of batches.
    lines: Rooms,
    /// For requests that are answered at once.
    at_once: Rooms,
}

/// What requests of one kind may take of the memory together, in KiB.
#[derive(Debug)]
struct Rooms {
    /// For answers in the making, and until they are written.
    answers: Arc<Semaphore>,
    /// For the trees of bodies.
    trees: Arc<Semaphore>,
}

impl Rooms {
    fn new() -> Rooms {
        let room = |kib| Arc::new(Semaphore::new(kib as usize));
        Rooms { answers: room(ROOM_KIB), trees: room(TREES_KIB) }
    }
}

/// A request that the model does not take: OpenAI's 400 for a synchronous call.
#[derive(Debug)]
struct Refusal {
    message: String,
    param: Option<String>,
    code: Option<&'static str>,
}

impl Refusal {
    fn new(message: impl Into<String>) -> Refusal {
        Refusal { message: message.into(), param: None, code: None }
    }

    fn param(param: impl Into<String>, message: impl Into<String>) -> Refusal {
        Refusal { param: Some(param.into()), ..Refusal::new(message) }
    }

    fn missing(param: impl Into<String>) -> Refusal {
        let param = param.into();
        let message = format!("Missing required parameter: '{param}'.");
        Refusal::param(param, message).code("missing_required_parameter")
    }

    fn wrong_type(param: impl Into<String>, expected: &str) -> Refusal {
        let param = param.into();
        let message = format!("Invalid type for '{param}': expected {expected}.");
        Refusal::param(param, message).code("invalid_type")
    }

    fn code(mut self, code: &'static str) -> Refusal {
        self.code = Some(code);
        self
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
        let number = |name| self.body.get(name).and_then(whole).unwrap_or(1).min(chat::MOST_CHOICES);
        let answers = number("n").saturating_mul(self.prompt.inputs.len() as u64);
        let is_structured = self.body.contains_key("response_format") || self.body.contains_key("text");
        let structured = if is_structured { structured::MOST_TEXT } else { 0 };
        answers.saturating_mul(4).saturating_add((body + structured) as u64 / 1024 + 1)
    }
}

/// A whole number, also where it is written as 2.0.
fn whole(value: &Value) -> Option<u64> {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is whole and in range")]
    let of = |number: f64| (number.fract() == 0.0 && (0.0..=1e15).contains(&number)).then_some(number as u64);
    value.as_u64().or_else(|| value.as_f64().and_then(of))
}

/// Takes so much of a room; who wants more than all of it gets all.
async fn room(room: &Arc<Semaphore>, kib: u64) -> Option<OwnedSemaphorePermit> {
    let kib = u32::try_from(kib).unwrap_or(u32::MAX).min(ROOM_KIB.min(TREES_KIB));
    // The semaphore is never closed.
    Arc::clone(room).acquire_many_owned(kib).await.ok()
}

impl BuiltIn {
    pub(crate) fn new(clock: Clock) -> BuiltIn {
        BuiltIn { clock, lines: Rooms::new(), at_once: Rooms::new() }
    }

    async fn try_answer(&self, line: &LineRequest, turn: Turn) -> Result<Reply, Refusal> {
        let text = line.body.get();
        let kib = weight(text.as_bytes()) / 1024 + 1;
        if kib > u64::from(MOST_VALUES_KIB) {
            let message = format!(
                "The body holds too many values: in memory they take about {} MiB, and at most {} MiB may be.",
                kib / 1024,
                MOST_VALUES_KIB / 1024
            );
            return Err(Refusal::new(message));
        }
        let levels = levels(text.as_bytes());
        if levels > MOST_LEVELS {
            return Err(Refusal::new(format!(
                "The body is nested {levels} levels deep, and at most {MOST_LEVELS} may be."
            )));
        }
        let rooms = if line.whose.is_at_once() { &self.at_once } else { &self.lines };
        let _tree = room(&rooms.trees, kib + text.len() as u64 / 1024).await;
        let body: Map<String, Value> = serde_json::from_str(text).map_err(|error| unreadable(text, &error))?;
        let is_template = line.endpoint == Endpoint::Responses && body::has_template(&body);
        let model = match body.get("model") {
            Some(Value::String(model)) if !model.trim().is_empty() => model,
            None | Some(Value::Null) if !line.endpoint.needs_model() || is_template => NAMES[0],
            None | Some(Value::Null | Value::String(_)) => {
                return Err(
                    Refusal::param("model", "you must provide a model parameter").code("missing_required_parameter")
                );
            }
            Some(_) => return Err(Refusal::wrong_type("model", "a string")),
        };
        let checked = body::check(line.origin, line.endpoint, &body);
        // A directive comes first: who asks for a status gets it, whatever else is wrong.
        let prompt = match Prompt::read(line.endpoint, &body) {
            Ok(prompt) => prompt,
            Err(refusal) => return Err(checked.err().unwrap_or(refusal)),
        };
        let directives = Directives::find(&prompt.text);
        if turn.attempt == 1 && !turn.has_paused && !directives.sleep.is_zero() {
            return Ok(Reply::Pause(directives.sleep));
        }
        let retry_after = directives.retry_after;
        if let Some((times, status)) = directives.fail
            && turn.attempt <= times
        {
            let again_after = Some(retry_after.map_or(RETRY_PAUSE, Duration::from_secs));
            return Ok(Reply::Answer(LineAnswer { again_after, retry_after, ..refused(status) }));
        }
        if let Some(status) = directives.status {
            return Ok(Reply::Answer(LineAnswer { retry_after, ..refused(status) }));
        }
        checked?;
        let ask = Ask { body: &body, model, prompt: &prompt, now: self.clock.now() };
        let room = match line.endpoint {
            Endpoint::Embeddings => None,
            _ => room(&rooms.answers, ask.most_kib(line.body.get().len())).await,
        };
        let body = match line.endpoint {
            Endpoint::Embeddings => return embeddings::answer(&ask, &rooms.answers).await.map(Reply::Answer),
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
                    let body = error(&refusal.message, "invalid_request_error", refusal.param.as_deref(), refusal.code);
                    Reply::Answer(LineAnswer::new(400, &body))
                })
            })
            .boxed()
    }

    fn models(&self) -> BoxFuture<'_, Vec<String>> {
        std::future::ready(NAMES.map(str::to_owned).to_vec()).boxed()
    }
}

/// A body that is valid JSON and cannot be read all the same: half of a surrogate pair in a text is no character.
fn unreadable(text: &str, error: &serde_json::Error) -> Refusal {
    let Some(escape) = surrogates::lone(text) else {
        return Refusal::new(format!("We could not parse the body: {error}."));
    };
    let field = surrogates::field(text);
    let place = field.as_ref().map_or_else(|| "The name of a field".to_owned(), |field| format!("'{field}'"));
    let message = format!(
        "{place} has the lone surrogate {escape}: half of a pair stands for no character. Write the character itself, or \
         both halves."
    );
    Refusal { param: field, ..Refusal::new(message) }.code("invalid_value")
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
