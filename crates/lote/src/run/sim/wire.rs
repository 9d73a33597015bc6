//! Takes the requests of a client to the simulated services: loses answers, refuses, and ends the process around them.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use lote_client::{Carried, Carrier};
use serde_json::Value;
use tokio::{sync::Notify, time::sleep};

use super::{
    choices::Choices,
    service::{Effect, Ending, Reply, Service},
};

/// How long after it was asked for a cancellation is heeded at the latest.
const HEEDED: Duration = Duration::from_millis(1_500);

/// More requests than any run makes.
const MOST_REQUESTS: usize = 20_000;

/// All that is outside the process.
#[derive(Clone)]
pub(super) struct Wire(Arc<Shared>);

struct Shared {
    world: Mutex<World>,
    /// The process ends now.
    crash: Notify,
}

impl std::fmt::Debug for Wire {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Wire")
    }
}

pub(super) struct World {
    pub(super) choices: Choices,
    rng: fastrand::Rng,
    began: tokio::time::Instant,
    /// By host: the one that the run is of, and another.
    pub(super) services: [Service; 2],
    /// Which endings batches may have besides completion.
    pub(super) bad_endings: bool,
    /// What may go wrong with calls other than creates and readings of the list.
    pub(super) all_calls: bool,
    /// The key is refused until then.
    refused_until: Duration,
    /// When a list was last read.
    pub(super) list_read: Duration,
    /// Whether a service has refused a create that it accepted, and does not show the batch.
    pub(super) lied: bool,
    /// Whether a service has taken a shard for too big, which it may take the next time.
    pub(super) found_too_big: bool,
    requests: usize,
    /// What was wrong with a request.
    pub(super) faults: Vec<String>,
    /// Whether a create with this nonce, or a line with this prompt, was durably intended.
    pub(super) intended: Box<dyn Fn(&str) -> bool + Send>,
    /// What happened, for whoever looks for what was wrong.
    pub(super) history: Vec<String>,
    /// When somebody asked that the run be cancelled.
    pub(super) cancelled_at: Option<Duration>,
}

impl World {
    pub(super) fn new(seed: u64, choices: Choices, services: [Service; 2]) -> Self {
        Self {
            choices,
            rng: fastrand::Rng::with_seed(seed ^ 0x5eed),
            began: tokio::time::Instant::now(),
            services,
            bad_endings: true,
            all_calls: true,
            refused_until: Duration::ZERO,
            list_read: Duration::ZERO,
            lied: false,
            found_too_big: false,
            requests: 0,
            faults: Vec::new(),
            intended: Box::new(|_| true),
            history: Vec::new(),
            cancelled_at: None,
        }
    }

    pub(super) fn note(&mut self, what: impl std::fmt::Display) {
        self.history.push(format!("{:>10.2}s {what}", self.now().as_secs_f64()));
    }

    /// How long ago the simulation began.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

/// What is done with a request.
enum Way {
    /// The process ends before it is sent.
    CrashBefore,
    /// It is answered.
    Answered(Reply),
    /// It has its effect, and the connection is gone.
    Lost,
    /// It has its effect, and the process ends before the answer.
    CrashAfter,
}

impl Way {
    fn shown(&self) -> String {
        match self {
            Self::CrashBefore => "crash before it is sent".to_owned(),
            Self::CrashAfter => "crash before its answer".to_owned(),
            Self::Lost => "its answer is lost".to_owned(),
            Self::Answered(Reply::Json(status, value)) => match &value["data"] {
                Value::Array(batches) => batches.iter().map(brief).collect::<Vec<_>>().join(", "),
                _ => format!("{status} {}", brief(value)),
            },
            Self::Answered(Reply::Bytes(bytes)) => format!("{} bytes", bytes.len()),
        }
    }
}

impl Wire {
    pub(super) fn new(world: World) -> Self {
        Self(Arc::new(Shared { world: Mutex::new(world), crash: Notify::new() }))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resolves when the process ends.
    pub(super) async fn crash(&self) {
        self.0.crash.notified().await;
    }

    /// Puts another world in place of this one.
    pub(super) fn replace(&self, world: World) {
        *self.world() = world;
    }
}

impl Carrier for Wire {
    fn carry(&self, request: reqwest::Request) -> Carried {
        let wire = self.clone();
        Box::pin(async move {
            let asked = Asked::read(request).await;
            sleep(Duration::from_millis(20)).await;
            let way = wire.world().take(&asked);
            let plain = matches!(&way, Way::Answered(Reply::Json(200, _) | Reply::Bytes(_)));
            if asked.method != http::Method::GET || !plain || asked.path == "/batches" {
                wire.world().note(format_args!("{} {} -> {}", asked.method, asked.path, way.shown()));
            }
            match way {
                Way::CrashBefore | Way::CrashAfter => {
                    wire.0.crash.notify_one();
                    std::future::pending().await
                }
                Way::Answered(Reply::Json(status, value)) => Ok(response(status, value.to_string().into())),
                Way::Answered(Reply::Bytes(bytes)) => Ok(response(200, bytes.into())),
                Way::Lost => {
                    let gone: Result<Vec<u8>, _> = Err(io::Error::from(io::ErrorKind::ConnectionReset));
                    Ok(response(200, reqwest::Body::wrap_stream(futures_util::stream::iter([gone]))))
                }
            }
        })
    }
}

fn response(status: u16, body: reqwest::Body) -> reqwest::Response {
    let mut response = http::Response::new(body);
    *response.status_mut() = http::StatusCode::from_u16(status).unwrap();
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json"));
    response.into()
}

fn brief(object: &Value) -> String {
    let text = |name: &str| object[name].as_str().unwrap_or_default();
    let code = object["error"]["code"].as_str().unwrap_or_default();
    let metadata = &object["metadata"];
    let of = metadata["lote_shard"].as_str().unwrap_or_default();
    format!("{code}{} {} {} {of}", text("id"), text("status"), text("input_file_id"))
}

/// A request, as far as a service looks at it.
struct Asked {
    service: usize,
    method: http::Method,
    path: String,
    query: Vec<(String, String)>,
    key: Option<String>,
    body: Vec<u8>,
}

impl Asked {
    async fn read(mut request: reqwest::Request) -> Self {
        let url = request.url().clone();
        let boundary = request
            .headers()
            .get("content-type")
            .and_then(|kind| kind.to_str().ok()?.split_once("boundary="))
            .map(|(_, boundary)| boundary.to_owned());
        let mut body = Vec::new();
        if let Some(sent) = request.body_mut().take() {
            // A response is the one thing that reads any body.
            let mut bytes = reqwest::Response::from(http::Response::new(sent)).bytes_stream();
            while let Some(Ok(chunk)) = bytes.next().await {
                body.extend_from_slice(&chunk);
            }
        }
        if let Some(boundary) = boundary {
            body = file_part(&body, &boundary);
        }
        Self {
            service: usize::from(url.host_str() == Some("127.0.0.2")),
            method: request.method().clone(),
            path: url.path().trim_start_matches("/v1").to_owned(),
            query: url.query_pairs().into_owned().collect(),
            key: request.headers().get("idempotency-key").and_then(|key| key.to_str().ok()).map(str::to_owned),
            body,
        }
    }

    fn query(&self, name: &str) -> Option<&str> {
        self.query.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

/// The bytes of the last part of a form.
fn file_part(body: &[u8], boundary: &str) -> Vec<u8> {
    let text = String::from_utf8_lossy(body);
    let end = text.rfind(&format!("\r\n--{boundary}--")).unwrap();
    let begin = text[..end].rfind(&format!("--{boundary}\r\n")).unwrap();
    let begin = begin + text[begin..].find("\r\n\r\n").unwrap() + 4;
    text[begin..end].as_bytes().to_vec()
}

impl World {
    fn take(&mut self, asked: &Asked) -> Way {
        let now = self.now();
        self.requests += 1;
        if self.requests > MOST_REQUESTS {
            self.faults.push("it asks and asks".to_owned());
            return Way::CrashBefore;
        }
        for service in &mut self.services {
            service.advance(now);
        }
        let parts: Vec<&str> = asked.path.trim_matches('/').split('/').collect();
        match (asked.method.as_str(), parts.as_slice()) {
            ("POST", ["batches"]) => self.create(asked, now),
            ("POST", ["chat", "completions"]) => self.ask(asked, now),
            ("GET", ["batches"]) => {
                let limit = asked.query("limit").and_then(|limit| limit.parse().ok()).unwrap_or(20);
                let reply = self.services[asked.service].list(now, asked.query("after"), limit);
                let way = self.way(reply);
                if matches!(way, Way::Answered(Reply::Json(200, _))) {
                    self.list_read = now;
                }
                way
            }
            (method, parts) => {
                let service = &mut self.services[asked.service];
                // Deeds are done whether or not their answers come.
                let undone = !self.all_calls;
                let choice = if undone { 0 } else { self.choices.take(6) };
                if choice == 4 {
                    return Way::CrashBefore;
                }
                if choice == 1 {
                    return Way::Answered(Reply::error(503, "overloaded"));
                }
                let reply = match (method, parts) {
                    ("POST", ["files"]) => {
                        if asked.body.windows(8).any(|part| part == b"quackery") {
                            self.faults.push("lines were sent that nobody asked for".to_owned());
                        }
                        service.upload(asked.body.clone())
                    }
                    ("GET", ["files", id]) => service.file(id),
                    ("GET", ["files", id, "content"]) => service.content(id),
                    ("GET", ["batches", id]) => {
                        if choice == 5 {
                            // It is not known for a while.
                            if let Some(batch) = service.batches.iter_mut().find(|batch| batch.id == **id) {
                                batch.unknown_until = now + Duration::from_secs(2_000);
                            }
                        }
                        service.get(now, id)
                    }
                    ("POST", ["batches", id, "cancel"]) => service.cancel(now, id),
                    _ => {
                        self.faults.push(format!("{method} {}", asked.path));
                        Reply::error(404, "not_found")
                    }
                };
                match choice {
                    2 => Way::Lost,
                    3 => Way::CrashAfter,
                    _ => Way::Answered(reply),
                }
            }
        }
    }

    /// What may go wrong with a call that changes nothing.
    fn way(&mut self, reply: Reply) -> Way {
        match self.choices.take(4) {
            1 => Way::Answered(Reply::error(500, "broken")),
            2 => Way::Lost,
            3 => Way::CrashBefore,
            _ => Way::Answered(reply),
        }
    }

    /// A line that comes by itself.
    fn ask(&mut self, asked: &Asked, now: Duration) -> Way {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let prompt = body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
        if !(self.intended)(&prompt) {
            self.faults.push(format!("{prompt} was sent without a durable intent, after {now:?}"));
        }
        if self.cancelled_at.is_some_and(|at| now > at + HEEDED) {
            self.faults.push(format!("{prompt} at {now:?}, and the run was cancelled at {:?}", self.cancelled_at));
        }
        if now < self.refused_until {
            return Way::Answered(Reply::error(401, "invalid_api_key"));
        }
        let choice = self.choices.take(10);
        match choice {
            1 => return Way::CrashBefore,
            2 => return Way::Answered(Reply::error(503, "overloaded")),
            3 => return Way::Answered(Reply::error(429, "rate_limit_exceeded")),
            4 | 9 => {
                self.refused_until = now + Duration::from_secs(1);
                return Way::Answered(Reply::error(401, "invalid_api_key"));
            }
            5 => return Way::Answered(Reply::error(400, "invalid_request")),
            _ => {}
        }
        let reply = self.services[asked.service].ask(&asked.body, asked.key.clone());
        match choice {
            6 => Way::Lost,
            7 => Way::CrashAfter,
            8 => Way::Answered(Reply::error(502, "bad_gateway")),
            _ => Way::Answered(reply),
        }
    }

    fn create(&mut self, asked: &Asked, now: Duration) -> Way {
        let body: Value = serde_json::from_slice(&asked.body).unwrap_or_default();
        let nonce = body["metadata"]["lote_create"].as_str().unwrap_or_default().to_owned();
        if !(self.intended)(&nonce) {
            self.faults.push(format!("a create without a durable intent, after {now:?}"));
        }
        if self.cancelled_at.is_some_and(|at| now > at + HEEDED) {
            self.faults.push(format!("a create at {now:?}, and the run was cancelled at {:?}", self.cancelled_at));
        }
        let choice = self.choices.take(10);
        if choice == 8 {
            return Way::CrashBefore;
        }
        let endings = if self.bad_endings { self.choices.take(5) } else { 0 };
        let ending = [Ending::Completed, Ending::Expired, Ending::Failed, Ending::NoRoom, Ending::TooBig][endings];
        let lasts = Duration::from_secs(self.rng.u64(5..900));
        self.found_too_big |= choice == 9 || matches!(ending, Ending::NoRoom | Ending::TooBig);
        let service = &mut self.services[asked.service];
        let effect = match choice {
            2 | 5 => Effect::None,
            3 => Effect::Late,
            _ => Effect::Now,
        };
        if choice == 9 && body["input_file_id"].as_str().is_some_and(|file| service.lines(file) > 1) {
            return Way::Answered(Reply::error(413, "request_too_large"));
        }
        if choice == 5 {
            return Way::Answered(Reply::error(429, "rate_limit_exceeded"));
        }
        self.lied |= choice == 6 && !service.nature.shows_at_once();
        let reply = service.create(now, body, asked.key.clone(), ending, lasts, effect);
        match choice {
            1 => Way::Lost,
            4 => Way::Answered(Reply::error(502, "bad_gateway")),
            6 => Way::Answered(Reply::error(400, "invalid_request")),
            7 => Way::CrashAfter,
            _ => Way::Answered(reply),
        }
    }
}
