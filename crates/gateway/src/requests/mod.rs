//! Requests that are answered at once: the same bodies, by the same model, as the lines of batches.

mod answered;
mod ask;
mod body;
mod stream;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::{Extension, Router};
use tokio::sync::oneshot;

use crate::app::App;
use crate::contract::{Endpoint, View};
use crate::error::ApiError;
use crate::http::{Caller, RequestId};
use crate::idempotency;
use crate::requests::ask::Ask;
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
        Ok(answered) => answered?.response().await,
        Err(_) => Err(ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "The request could not be processed.")),
    }
}

fn stopping() -> ApiError {
    ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "The gateway is stopping.")
}
