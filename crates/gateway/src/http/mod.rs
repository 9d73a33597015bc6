//! Owns the way of every request: routes, request ids, who is asking, the answers for unknown paths
//! and methods. Never knows what an operation does.

mod guard;
mod json;
mod query;
mod struck;
mod unheard;

use std::sync::Arc;

use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, FromRequestParts, Path, Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

use crate::app::App;
use crate::auth::Tenant;
use crate::clock::http_date;
use crate::error::ApiError;
use crate::faults::Operation;
use crate::view::View;
use crate::{batches, control, files};

pub(crate) use guard::StallGuard;
pub(crate) use json::{json_object, text};
pub(crate) use query::Params;
pub(crate) use unheard::{Talk, Unheard, refuse};

/// All routes of a gateway.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(operations(View::Mka1))
        .merge(operations(View::OpenAi))
        .merge(control::routes(&app))
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), frame))
        .with_state(app)
}

/// The nine operations under one prefix.
fn operations(view: View) -> Router<Arc<App>> {
    let at = |path: &str| format!("{}{path}", view.prefix());
    Router::new()
        .route(&at("/batches"), get(batches::list).post(batches::create))
        .route(&at("/batches/{batch_id}"), get(batches::get))
        .route(&at("/batches/{batch_id}/cancel"), post(batches::cancel))
        .route(&at("/files"), get(files::list).post(files::upload))
        .route(&at("/files/{file_id}"), get(files::get).delete(files::delete))
        .route(&at("/files/{file_id}/content"), get(files::content))
        .layer(Extension(view))
}

/// Around every request: watches over its body, lets faults strike, names its answer.
async fn frame(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let stall = app.settings.stall_timeout;
    // A client that waits for "100 Continue" sends nothing once it has the answer.
    let linger = !request.headers().contains_key(header::EXPECT);
    let request = request.map(|body| Body::new(guard::GuardedBody::new(body, stall, linger)));
    let operation = operation(&request);
    if operation.is_some() {
        app.clock.quiet().await;
    }
    let id = app.ids.next("req_");
    let fired = operation.map(|operation| app.script.fire(operation)).unwrap_or_default();
    let mut response =
        if fired.is_empty() { next.run(request).await } else { struck::answer(&app, request, next, fired).await };
    sign(&app, &id, &mut response);
    response
}

/// Gives an answer the headers that every answer has.
fn sign(app: &App, id: &str, response: &mut Response) {
    let headers = response.headers_mut();
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert("x-request-id", id);
    }
    if app.clock.is_virtual()
        && let Ok(date) = HeaderValue::try_from(http_date(app.clock.now()))
    {
        headers.insert(header::DATE, date);
    }
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
}

/// Which of the nine operations is asked for.
fn operation(request: &Request) -> Option<Operation> {
    let path = request.uri().path();
    let path = [View::Mka1, View::OpenAi].iter().find_map(|view| path.strip_prefix(view.prefix()))?;
    Operation::of(request.method(), path)
}

async fn unknown_path(request: Request) -> ApiError {
    ApiError::new(StatusCode::NOT_FOUND, format!("Invalid URL ({} {})", request.method(), request.uri().path()))
}

/// The header `Allow` is added by the router.
async fn wrong_method(request: Request) -> Response {
    if request.method() == Method::OPTIONS {
        return StatusCode::NO_CONTENT.into_response();
    }
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("Not allowed to {} on {}.", request.method(), request.uri().path()),
    )
    .into_response()
}

/// Who is asking, and through which face.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Caller {
    pub(crate) tenant: Tenant,
    /// The digest of the key alone.
    pub(crate) key: [u8; 32],
    pub(crate) view: View,
}

impl FromRequestParts<Arc<App>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<App>) -> Result<Self, ApiError> {
        let who = app.keys.identify(&parts.headers)?;
        let (tenant, key) = (who.tenant, who.key);
        app.journal.meet(tenant, key, who.name, who.user.as_deref());
        // Every route has one.
        let view = parts.extensions.get::<View>().copied().unwrap_or(View::OpenAi);
        Ok(Caller { tenant, key, view })
    }
}

/// The id in the path, whatever a client put there.
#[derive(Debug)]
pub(crate) struct Id(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        match Path::<String>::from_request_parts(parts, state).await {
            Ok(Path(id)) => Ok(Id(id)),
            Err(PathRejection::FailedToDeserializePathParams(_)) => {
                Err(ApiError::new(StatusCode::NOT_FOUND, "No such object: the id is not valid UTF-8."))
            }
            Err(_) => Err(ApiError::new(StatusCode::NOT_FOUND, "No such object.")),
        }
    }
}
