//! A request that faults strike: what happens before it, instead of it, and to its answer.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::Request;
use axum::http::{Method, header};
use axum::middleware::Next;
use axum::response::Response;
use futures_util::StreamExt;
use serde_json::Value;

use crate::app::App;
use crate::faults::{Abort, Aborts, Effect, Fired, Stage, Strike, mutilate, patch};

/// Largest answer whose objects are distorted, in bytes; a full page of files is smaller.
const MOST: usize = 64 * 1024 * 1024;

pub(super) async fn answer(app: &Arc<App>, mut request: Request, next: Next, fired: Fired) -> Response {
    for strike in fired.at(Stage::Before) {
        if let Effect::Delay(length) = strike.effect {
            tokio::time::sleep(length).await;
            strike.happened();
        }
    }
    // Every connection has one.
    let abort = request.extensions().get::<Abort>().cloned().unwrap_or_default();
    let has_body = request.method() != Method::HEAD;
    let decides = fired.answer();
    match decides.map(|strike| (strike, &strike.effect)) {
        Some((strike, Effect::Status(refusal))) => {
            strike.happened();
            refusal.response(app.clock.now())
        }
        Some((strike, Effect::Reset)) => {
            let mut body = request.into_body().into_data_stream();
            while let Some(Ok(_)) = body.next().await {}
            strike.happened();
            abort.end(Aborts::Reset).await
        }
        Some((strike, Effect::Late { after, answer })) => {
            later(app, request, next, &fired, strike, *after).await;
            match answer {
                Some(refusal) => refusal.response(app.clock.now()),
                None => abort.end(Aborts::Reset).await,
            }
        }
        decides => {
            request.extensions_mut().insert(fired.clone());
            let response = next.run(request).await;
            match decides {
                // What was refused has no effect whose answer could be lost, and no body that anyone waits for.
                _ if !response.status().is_success() => response,
                Some((strike, Effect::AnswerLost)) => {
                    strike.happened();
                    abort.end(Aborts::Reset).await
                }
                Some((strike, Effect::AnswerReplaced(refusal))) => {
                    strike.happened();
                    refusal.response(app.clock.now())
                }
                Some((strike, _)) if has_body => mutilate(strike, &abort, distorted(app, &fired, response).await),
                _ => distorted(app, &fired, response).await,
            }
        }
    }
}

/// Lets a request do what it asks for so much later. Nobody hears what came of it.
async fn later(app: &Arc<App>, request: Request, next: Next, fired: &Fired, strike: &Strike, after: Duration) {
    let (mut parts, body) = request.into_parts();
    // A body that does not come whole asks for nothing.
    let Ok(body) = to_bytes(body, MOST).await else { return };
    parts.extensions.insert(fired.clone());
    let request = Request::from_parts(parts, Body::from(body));
    let (task, strike) = (Arc::clone(app), strike.clone());
    app.tasks.spawn(app.clock.watch(async move {
        tokio::select! {
            biased;
            () = task.stop.cancelled() => return,
            () = task.clock.sleep(after) => {}
        }
        if next.run(request).await.status().is_success() {
            strike.happened();
        }
    }));
}

/// The answer with its objects distorted, if it has any.
async fn distorted(app: &App, fired: &Fired, response: Response) -> Response {
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
            if let Some(masks) = &app.masks {
                masks.rename(fired, &mut answer);
            }
            answer.to_string().into()
        }
        Err(_) => bytes,
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(body))
}
