//! Requests that are answered at once: the same bodies, by the same model, as the lines of batches.

mod ask;
mod body;
mod stream;

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::Response;
use axum::{Extension, Router};
use futures_util::stream as streams;
use tokio::sync::oneshot;

use crate::app::App;
use crate::contract::{Endpoint, View};
use crate::error::ApiError;
use crate::http::{Caller, RequestId};
use crate::idempotency;
use crate::requests::ask::{Answered, Ask};
use crate::requests::body::Received;

/// `POST` to each endpoint that batches may have under this prefix.
pub(crate) fn routes(view: View) -> Router<Arc<App>> {
    view.endpoints().iter().fold(Router::new(), |routes, endpoint| {
        let path = format!("{}{}", view.prefix(), endpoint.operation());
        routes.route(&path, axum::routing::post(answer).layer(Extension(*endpoint)))
    })
}

/// What is asked goes on in a task of its own. It ends with its client, unless it has an `Idempotency-Key` that is obeyed:
/// then the client will come again for the answer.
async fn answer(
    State(app): State<Arc<App>>,
    caller: Caller,
    Extension(endpoint): Extension<Endpoint>,
    Extension(RequestId(request_id)): Extension<RequestId>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let body = Received::read(&app, caller, &headers, body).await?;
    let key = idempotency::key(&headers)?;
    let ask = Ask { app: Arc::clone(&app), caller, endpoint, request_id, key, body };
    let (mut sender, receiver) = oneshot::channel();
    app.tasks.spawn(app.clock.watch(async move {
        let answered = tokio::select! {
            biased;
            () = ask.app.stop.cancelled() => Err(stopping()),
            () = sender.closed(), if !ask.is_kept() => return,
            answered = ask.answer() => answered,
        };
        // Nobody may be there to hear it any more.
        drop(sender.send(answered));
    }));
    match receiver.await {
        Ok(answered) => Ok(response(endpoint, answered?)),
        Err(_) => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "The request could not be processed.")),
    }
}

fn stopping() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "The gateway is stopping.")
}

fn response(endpoint: Endpoint, answered: Answered) -> Response {
    let Answered { status, body, retry_after, streaming, room } = answered;
    let length = body.len();
    let events = streaming.and_then(|streaming| stream::events(endpoint, streaming, &body));
    let is_stream = events.is_some();
    let pieces = events.unwrap_or_else(|| Box::new(std::iter::once(body)));
    // The room is held until the last of it is sent.
    let pieces = pieces.map(move |piece| {
        let _ = &room;
        Ok::<_, Infallible>(piece)
    });
    let mut response = Response::new(Body::from_stream(streams::iter(pieces)));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    if is_stream {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    } else {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CONTENT_LENGTH, length.into());
    }
    if let Some(seconds) = retry_after {
        headers.insert(header::RETRY_AFTER, seconds.into());
    }
    response
}
