//! One request on its way to its answer.

use std::sync::Arc;

use axum::http::StatusCode;
use bytes::Bytes;
use serde_json::value::RawValue;

use crate::answering::{self, Held, Source};
use crate::app::App;
use crate::contract::Endpoint;
use crate::error::ApiError;
use crate::executor::{Failure, LineAnswer, LineRequest, Reply, Whose};
use crate::http::Caller;
use crate::idempotency::Asked;
use crate::journal::Event;
use crate::requests::answered::Answered;
use crate::requests::body::Received;
use crate::requests::stream::Streaming;
use crate::state::Usage;

/// A request and whose it is.
pub(super) struct Ask {
    pub(super) app: Arc<App>,
    pub(super) caller: Caller,
    pub(super) endpoint: Endpoint,
    pub(super) request_id: String,
    /// The `Idempotency-Key` that was sent.
    pub(super) key: Option<String>,
    pub(super) body: Received,
}

impl Source for Ask {
    async fn read(&self) -> Option<Held> {
        self.held().await.ok()
    }

    async fn may(&self) {}
}

impl Ask {
    /// Whether its answer is kept for those that come with the same key.
    pub(super) fn is_kept(&self) -> bool {
        self.key.is_some() && self.app.answers.is_enabled()
    }

    /// The answer, from the model or, to a key that had one, the same as before. Only a success is kept.
    pub(super) async fn answer(&self) -> Result<Answered, ApiError> {
        let held = self.held().await?;
        let streaming = Streaming::asked(self.caller.view, &held.request.body);
        let asked = Asked::of(self.caller.view.prefix(), self.endpoint.path(), &self.body.sha256);
        let Some(key) = self.key.as_deref().filter(|_| self.is_kept()) else {
            return self.run(held, asked, streaming, |_| {}).await;
        };
        // Whoever waits for others holds nothing.
        drop(held);
        let Some(turn) = self.app.answers.turn(self.caller.tenant, key, asked).await? else { return Err(broken()) };
        if let Some(body) = turn.answer() {
            self.journal(|| Event::RequestRepeated {
                endpoint: self.endpoint.path().to_owned(),
                request_id: self.request_id.clone(),
                idempotency_key: key.to_owned(),
            });
            return self.answered((200, None), body, streaming).await;
        }
        let held = self.held().await?;
        let keep = move |body: &Bytes| turn.keep(body);
        self.run(held, asked, streaming, keep).await
    }

    /// Asks the model once: whoever sent it sends it again, should that be worth it.
    /// A success is for `keep`.
    async fn run(
        &self,
        held: Held,
        asked: Asked,
        streaming: Option<Streaming>,
        keep: impl FnOnce(&Bytes) + Send,
    ) -> Result<Answered, ApiError> {
        let (app, tenant) = (&self.app, self.caller.tenant);
        let attempt = app.failures.attempt(tenant, asked);
        let handed = |attempt| {
            self.journal(|| Event::RequestExecuted {
                endpoint: self.endpoint.path().to_owned(),
                request_id: self.request_id.clone(),
                sha256: self.body.sha256.clone(),
                idempotency_key: self.key.clone(),
                attempt,
            });
        };
        if let Some(streaming) = streaming
            && let Some(streamed) = app.executor.stream(&held.request)
        {
            handed(attempt);
            return match streamed.await {
                Ok(streamed) => Ok(Answered::passed(streamed)),
                Err(Reply::Answer(LineAnswer { status_code, body, retry_after, .. })) => {
                    let body = Bytes::from(String::from(Box::<str>::from(body)));
                    self.answered((status_code, retry_after), body, Some(streaming)).await
                }
                Err(Reply::Failed(failure)) => Err(unanswered(&failure)),
                Err(Reply::Pause(_)) => Err(broken()),
            };
        }
        let answer = answering::answer(app, held, self, attempt..=attempt, handed).await;
        let answer = answer.map_err(|failure| unanswered(&failure))?;
        // The room is held until the answer is where it waits for its client.
        let LineAnswer { status_code, body, usage, _room, again_after, retry_after } = answer;
        let (input, output) = Usage::of(&usage);
        app.metrics.tokens(input, output, "client");
        match again_after {
            Some(_) => app.failures.failed(tenant, asked),
            None => app.failures.answered(tenant, asked),
        }
        let body = Bytes::from(String::from(Box::<str>::from(body)));
        if status_code == 200 {
            keep(&body);
        }
        self.answered((status_code, retry_after), body, streaming).await
    }

    async fn answered(
        &self,
        head: (u16, Option<u64>),
        body: Bytes,
        streaming: Option<Streaming>,
    ) -> Result<Answered, ApiError> {
        Answered::new(&self.app, self.caller, self.endpoint, head, body, streaming).await
    }

    /// The request in memory. What is no JSON object is a 400.
    async fn held(&self) -> Result<Held, ApiError> {
        let (bytes, room) = self.body.bytes(&self.app).await?;
        let refused = |message: String| ApiError::new(StatusCode::BAD_REQUEST, message);
        let text =
            String::from_utf8(bytes).map_err(|_| refused("The body of your request is not valid UTF-8.".to_owned()))?;
        let body = RawValue::from_string(text)
            .map_err(|error| refused(format!("We could not parse the JSON body of your request: {error}.")))?;
        if !body.get().starts_with('{') {
            return Err(refused("The body must be a JSON object.".to_owned()));
        }
        let whose = Whose::Client { tenant: self.caller.tenant, key: self.key.clone() };
        let request = LineRequest { origin: self.caller.view, endpoint: self.endpoint, whose, body };
        Ok(Held { request, _room: room })
    }

    fn journal(&self, event: impl FnOnce() -> Event) {
        self.app.journal.record(self.caller.tenant, self.app.clock.now(), event);
    }
}

/// The upstream gave no answer.
fn unanswered(failure: &Failure) -> ApiError {
    let status = match &*failure.code {
        "processing_error" => StatusCode::INTERNAL_SERVER_ERROR,
        _ if failure.is_timeout() => StatusCode::GATEWAY_TIMEOUT,
        _ => StatusCode::BAD_GATEWAY,
    };
    ApiError::new(status, failure.message.clone()).code(failure.code.clone())
}

/// The gateway's own storage failed the request.
fn broken() -> ApiError {
    ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "The request could not be read again.")
}
