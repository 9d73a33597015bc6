//! Owns a request that faults strike: what happens before it, instead of it, to its answer. Never
//! decides whether one does.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::Value;

use crate::app::App;
use crate::faults::{Abort, Aborts, Effect, Fired, Stage, mutilate, patch};

/// Largest answer whose objects are distorted, in bytes; a full page of files is smaller.
const MOST: usize = 64 * 1024 * 1024;

pub(super) async fn answer(app: &Arc<App>, mut request: Request, next: Next, fired: Fired) -> Response {
    for strike in fired.at(Stage::Before) {
        if let Effect::Delay(length) = strike.effect {
            tokio::time::sleep(length).await;
        }
    }
    // Every connection has one.
    let abort = request.extensions().get::<Abort>().cloned().unwrap_or_default();
    let has_body = request.method() != Method::HEAD;
    match fired.answer() {
        Some(Effect::Status(refusal)) => refusal.response(app.clock.now_system()),
        Some(Effect::Reset) => {
            let mut body = request.into_body().into_data_stream();
            while let Some(Ok(_)) = body.next().await {}
            abort.end(Aborts::Reset).await
        }
        decides => {
            request.extensions_mut().insert(fired.clone());
            let response = next.run(request).await;
            match decides {
                Some(Effect::AnswerLost) => abort.end(Aborts::Reset).await,
                Some(Effect::AnswerReplaced(refusal)) => refusal.response(app.clock.now_system()),
                Some(effect) if has_body => mutilate(effect, &abort, distorted(&fired, response).await),
                _ => distorted(&fired, response).await,
            }
        }
    }
}

/// The answer with its objects distorted, if it has any.
async fn distorted(fired: &Fired, response: Response) -> Response {
    let is_json =
        response.headers().get(header::CONTENT_TYPE).is_some_and(|media| media.as_bytes() == b"application/json");
    if fired.at(Stage::Object).next().is_none() || !response.status().is_success() || !is_json {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    // A body that was made here can be read.
    let bytes = to_bytes(body, MOST).await.unwrap_or_default();
    let body = match serde_json::from_slice::<Value>(&bytes) {
        Ok(mut answer) => {
            patch(fired, &mut answer);
            answer.to_string().into()
        }
        Err(_) => bytes,
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}
