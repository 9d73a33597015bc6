//! The paths of a gateway and the operation behind each; the answers for unknown paths and methods.

use std::sync::Arc;

use axum::extract::{DefaultBodyLimit, Request};
use axum::http::{Method, StatusCode};
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Router};

use crate::app::App;
use crate::contract::View;
use crate::error::ApiError;
use crate::http::frame;
use crate::{batches, control, files, models, operators, requests};

/// All routes of a gateway.
pub(crate) fn router(app: Arc<App>) -> Router {
    Router::new()
        .merge(operations(View::Mka1))
        .merge(operations(View::OpenAi))
        .merge(control::routes(&app))
        .merge(operators::beside(&app))
        .merge(operators::page())
        .method_not_allowed_fallback(wrong_method)
        .fallback(unknown_path)
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(Arc::clone(&app), frame))
        .with_state(app)
}

/// The nine operations of the contract under one prefix, and those that the services have beside them.
fn operations(view: View) -> Router<Arc<App>> {
    let at = |path: &str| format!("{}{path}", view.prefix());
    Router::new()
        .route(&at("/batches"), get(batches::list).post(batches::create))
        .route(&at("/batches/{batch_id}"), get(batches::get))
        .route(&at("/batches/{batch_id}/cancel"), post(batches::cancel))
        .route(&at("/files"), get(files::list).post(files::upload))
        .route(&at("/files/{file_id}"), get(files::get).delete(files::delete))
        .route(&at("/files/{file_id}/content"), get(files::content))
        .route(&at("/models"), get(models::list))
        .route(&at("/models/{model}"), get(models::get))
        .merge(requests::routes(view))
        .layer(Extension(view))
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
