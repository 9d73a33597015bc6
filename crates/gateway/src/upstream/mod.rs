//! Upstreams: OpenAI-style servers that answer requests at once, and get a batch API by this gateway. Lines of batches and
//! requests of clients are forwarded to them, in the place of the built-in model.
//!
//! ```
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use lote_gateway::Gateway;
//! use lote_gateway::upstream::Upstream;
//!
//! let server = Gateway::builder().start().await?; // such as vLLM, SGLang, llama.cpp, Ollama
//! let upstream = Upstream::new(&format!("{}/v1", server.url()))?.key("its-key")?;
//! let gateway = Gateway::builder().upstream(upstream).start().await?;
//! # gateway.shutdown().await;
//! # server.shutdown().await;
//! # Ok(())
//! # }
//! ```

mod body;
mod call;
mod config;
mod gate;
mod learned;
mod rate;
mod turns;

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::http::StatusCode;
use futures_util::FutureExt;
use futures_util::future::{BoxFuture, join_all};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;
use tokio::time::Instant;

use self::body::Asked;
use self::call::{Lost, ROOM_KIB, Speaker, Whole, came, pause};
use self::gate::{Bounds, Gate, Look};
use crate::error::quote;
use crate::executor::{Executor, Failure, LineAnswer, LineRequest, Reply, Streamed, Turn, Whose};
use crate::ids::hex;
use crate::metrics::{Load, Metrics};
use crate::notices::{Notice, Notices};

pub use self::config::Upstream;

/// Lines wait so long for an upstream that cannot be reached, counted from when it was last reached: servers restart.
const PATIENCE: Duration = Duration::from_secs(15 * 60);

/// The names of models are asked for again after so long.
const NAMES_FOR: Duration = Duration::from_secs(60);

/// Answers requests by forwarding them.
#[derive(Debug)]
pub(crate) struct Upstreams {
    all: Vec<Way>,
    /// So that no other gateway makes the same idempotency keys.
    salt: [u8; 16],
    lines: Arc<Semaphore>,
    at_once: Arc<Semaphore>,
    names: Mutex<Option<(Instant, Vec<String>)>>,
    metrics: Arc<Metrics>,
    notices: Notices,
}

/// The way to one upstream.
#[derive(Debug)]
struct Way {
    speaker: Speaker,
    gate: Arc<Gate>,
    unreached: Mutex<Unreached>,
}

/// Since when an upstream could not be reached, how often it was tried since, and until when others are asked.
#[derive(Clone, Copy, Debug, Default)]
struct Unreached {
    since: Option<Instant>,
    tries: u32,
    until: Option<Instant>,
}

impl Upstreams {
    /// Lines have the same idempotency keys as long as the seed is the same; without one it is random.
    pub(crate) fn new(
        upstreams: Vec<Upstream>,
        seed: Option<[u8; 16]>,
        metrics: Arc<Metrics>,
        notices: Notices,
    ) -> io::Result<Upstreams> {
        let mut salt = seed.unwrap_or_default();
        if seed.is_none() {
            getrandom::fill(&mut salt).map_err(io::Error::other)?;
        }
        let way = |upstream: Upstream| {
            let bounds = Bounds {
                at_once: upstream.max_concurrency,
                requests_per_minute: upstream.requests_per_minute,
                tokens_per_minute: upstream.tokens_per_minute,
            };
            let unreached = Mutex::default();
            Ok(Way { gate: Gate::new(bounds), speaker: Speaker::new(upstream)?, unreached })
        };
        let room = || Arc::new(Semaphore::new(ROOM_KIB as usize));
        Ok(Upstreams {
            all: upstreams.into_iter().map(way).collect::<io::Result<_>>()?,
            salt,
            lines: room(),
            at_once: room(),
            names: Mutex::default(),
            metrics,
            notices,
        })
    }

    /// The upstream for a model, the one with the least to do of several, and what the model is called there; none when it is
    /// nowhere.
    fn way(&self, model: Option<&str>) -> Option<(&Way, Option<String>)> {
        let name = |way: &Way| model.map(|model| way.speaker.upstream().name_of(model).map(str::to_owned));
        let ways = self.all.iter().filter_map(|way| match name(way) {
            // What has a default model has it there.
            None => Some((way, None)),
            Some(there) => there.map(|there| (way, Some(there))),
        });
        ways.min_by(|(one, _), (other, _)| one.load().total_cmp(&other.load()))
    }

    /// Names a line, or the request of a client who has named it, the same in every try and to nobody else.
    fn key(&self, whose: &Whose) -> Option<String> {
        let (tenant, parts) = match whose {
            Whose::Client { tenant, key } => (tenant, ["client", key.as_deref()?, ""]),
            Whose::Batch { tenant, batch, custom_id } => (tenant, ["line", batch, custom_id]),
        };
        let mut digest = Sha256::new();
        digest.update(self.salt);
        digest.update(tenant.as_bytes());
        for part in parts {
            digest.update((part.len() as u64).to_le_bytes());
            digest.update(part.as_bytes());
        }
        Some(format!("lote-{}", hex(&digest.finalize()[..20])))
    }

    async fn try_answer(&self, request: &LineRequest, turn: Turn) -> Reply {
        let asked = match Asked::read(&request.body) {
            Ok(asked) => asked,
            Err(message) => return Reply::Answer(refused(400, &message, None, None)),
        };
        if asked.streams {
            let message = "An answer that is not sent to a client cannot be streamed: leave 'stream' out.";
            return Reply::Answer(refused(400, message, Some("stream"), None));
        }
        // One that cannot be reached is left alone for a while, so that this ends.
        loop {
            let Some((way, there)) = self.way(asked.model()) else { return Reply::Answer(unknown(asked.model())) };
            let body = there.map_or_else(|| request.body.get().to_owned(), |there| asked.with_model(&there));
            match self.ask(way, request, body, asked.tokens, turn).await {
                Ok(reply) => return reply,
                Err(_) if self.has_another(asked.model()) => {}
                // It was not received, so that this was no try; a client is told at once.
                Err(Some(pause)) if !request.whose.is_at_once() => return Reply::Pause(pause),
                Err(_) => return Reply::Failed(Failure::unreached()),
            }
        }
    }

    /// Asks one upstream. An error says that it could not be reached, and how long it is left alone, unless that has been so
    /// for too long.
    async fn ask(
        &self,
        way: &Way,
        request: &LineRequest,
        body: String,
        tokens: u64,
        turn: Turn,
    ) -> Result<Reply, Option<Duration>> {
        // The gate is there as long as the gateway.
        let Some(pass) = way.gate.enter(&request.whose, tokens).await else {
            return Ok(Reply::Failed(Failure::broken()));
        };
        let room = if request.whose.is_at_once() { &self.at_once } else { &self.lines };
        let key = self.key(&request.whose);
        let again = |after: Option<Duration>| {
            let retries = way.speaker.upstream().retries;
            (turn.attempt <= retries).then(|| after.unwrap_or_else(|| pause(turn.attempt)))
        };
        let came_of_it = way.speaker.whole(request.endpoint, body, key.as_deref(), room).await;
        let (answer, took) = match &came_of_it {
            Ok(whole) => (whole.status.to_string(), Some(pass.elapsed())),
            Err(lost) => (lost.name().to_owned(), None),
        };
        self.metrics.upstream(way.speaker.upstream().url(), &answer, took);
        match came_of_it {
            Ok(whole) => {
                way.reached(&self.notices);
                let Whole { status, body, usage, retry_after, room } = whole;
                let of = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
                pass.came(came(of, retry_after, &usage));
                let worth_it = matches!(status, 408 | 425 | 429 | 500..=599);
                Ok(Reply::Answer(LineAnswer {
                    status_code: status,
                    body,
                    usage,
                    _room: room,
                    again_after: worth_it.then(|| again(retry_after)).flatten(),
                    retry_after: retry_after.map(|after| after.as_secs().max(1)),
                }))
            }
            Err(lost) => {
                pass.came(lost.came());
                match lost {
                    Lost::Failed(failure) => {
                        way.reached(&self.notices);
                        Ok(Reply::Failed(Failure { again_after: again(None), ..failure }))
                    }
                    Lost::Unreached => Err(way.unreached(&self.notices)),
                }
            }
        }
    }

    /// Whether there is an upstream for a model that is not left alone.
    fn has_another(&self, model: Option<&str>) -> bool {
        self.way(model).is_some_and(|(way, _)| way.load().is_finite())
    }

    async fn try_stream(&self, request: &LineRequest) -> Result<Streamed, Reply> {
        let asked = Asked::read(&request.body).map_err(|message| Reply::Answer(refused(400, &message, None, None)))?;
        let (way, there) = self.way(asked.model()).ok_or_else(|| Reply::Answer(unknown(asked.model())))?;
        let body = there.map_or_else(|| request.body.get().to_owned(), |there| asked.with_model(&there));
        let pass = way.gate.enter(&request.whose, asked.tokens).await;
        let pass = pass.ok_or_else(|| Reply::Failed(Failure::broken()))?;
        let key = self.key(&request.whose);
        let came_of_it = way.speaker.streamed(request.endpoint, body, key.as_deref(), pass).await;
        let answer = match &came_of_it {
            Ok(streamed) => streamed.status.to_string(),
            Err(lost) => lost.name().to_owned(),
        };
        self.metrics.upstream(way.speaker.upstream().url(), &answer, None);
        came_of_it.map_err(|lost| {
            Reply::Failed(match lost {
                Lost::Unreached => Failure::unreached(),
                Lost::Failed(failure) => failure,
            })
        })
    }

    /// The models that were named for upstreams, and those that the others tell.
    async fn names(&self) -> Vec<String> {
        let known = self.names.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((at, names)) = known
            && at.elapsed() < NAMES_FOR
        {
            return names;
        }
        let asked = join_all(self.all.iter().map(|way| async {
            let models = &way.speaker.upstream().models;
            let is_pattern = |model: &config::Model| model.pattern.contains('*');
            let mut names: Vec<String> =
                models.iter().filter(|model| !is_pattern(model)).map(|model| model.pattern.clone()).collect();
            if models.is_empty() || models.iter().any(is_pattern) {
                let told = way.speaker.models().await.unwrap_or_default();
                names.extend(told.into_iter().filter(|name| way.speaker.upstream().name_of(name).is_some()));
            }
            names
        }))
        .await;
        let names: BTreeSet<String> = asked.into_iter().flatten().collect();
        let names: Vec<String> = names.into_iter().collect();
        *self.names.lock().unwrap_or_else(PoisonError::into_inner) = Some((Instant::now(), names.clone()));
        names
    }
}

impl Way {
    fn load(&self) -> f64 {
        // One that could not be reached just now has nothing to do.
        let until = self.unreached.lock().unwrap_or_else(PoisonError::into_inner).until;
        if until.is_some_and(|until| Instant::now() < until) { f64::INFINITY } else { self.gate.load() }
    }

    fn reached(&self, notices: &Notices) {
        let before = std::mem::take(&mut *self.unreached.lock().unwrap_or_else(PoisonError::into_inner));
        if before.since.is_some() {
            notices.tell(|| Notice::UpstreamReached { upstream: self.speaker.upstream().url().to_owned() });
        }
    }

    /// How long it is left alone; none when it could not be reached for too long.
    fn unreached(&self, notices: &Notices) -> Option<Duration> {
        let mut unreached = self.unreached.lock().unwrap_or_else(PoisonError::into_inner);
        if unreached.since.is_none() {
            notices.tell(|| Notice::UpstreamUnreachable { upstream: self.speaker.upstream().url().to_owned() });
        }
        let since = *unreached.since.get_or_insert_with(Instant::now);
        let now = Instant::now();
        // Those that were on their way together are one try.
        let until = match unreached.until.filter(|until| *until > now) {
            Some(until) => until,
            None => {
                unreached.tries = unreached.tries.saturating_add(1);
                let until = now + pause(unreached.tries);
                unreached.until = Some(until);
                until
            }
        };
        (since.elapsed() < PATIENCE).then(|| until - now)
    }
}

impl Executor for Upstreams {
    fn answer<'a>(&'a self, line: &'a LineRequest, turn: Turn) -> BoxFuture<'a, Reply> {
        self.try_answer(line, turn).boxed()
    }

    fn stream<'a>(&'a self, request: &'a LineRequest) -> Option<BoxFuture<'a, Result<Streamed, Reply>>> {
        Some(self.try_stream(request).boxed())
    }

    fn loads(&self) -> Vec<Load> {
        let load = |way: &Way| {
            let Look { limit, in_flight, waiting } = way.gate.look();
            Load { url: way.speaker.upstream().url().to_owned(), limit, in_flight, waiting }
        };
        self.all.iter().map(load).collect()
    }

    fn models(&self) -> BoxFuture<'_, Vec<String>> {
        self.names().boxed()
    }
}

/// The answer for a model that no upstream has.
fn unknown(model: Option<&str>) -> LineAnswer {
    let message = format!("The model {} does not exist.", quote(model.unwrap_or_default()));
    refused(404, &message, Some("model"), Some("model_not_found"))
}

/// What the gateway itself refuses.
fn refused(status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> LineAnswer {
    let error: Value = json!({"message": message, "type": "invalid_request_error", "param": param, "code": code});
    LineAnswer::new(status, &json!({"error": error}))
}
