//! The paths under `/_lote/`, which no real service has: moving a virtual clock, reading the journal. They are there only
//! when the gateway was set up for them.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use crate::app::App;
use crate::clock::{LAST_SECOND, http_date};
use crate::error::ApiError;
use crate::http::{Caller, json_object};
use crate::journal::Excerpt;

/// Most seconds that one call moves the clock: ten years.
const MOST_SECONDS: f64 = 315_360_000.0;

/// The routes that this gateway has.
pub(crate) fn routes(app: &App) -> Router<Arc<App>> {
    let mut routes = Router::new();
    if app.clock.is_virtual() {
        routes = routes.route("/_lote/clock/advance", post(advance));
    }
    if app.journal.is_enabled() {
        routes = routes.route("/_lote/journal", get(journal));
    }
    routes
}

/// `POST /_lote/clock/advance` with `{"seconds": 86400}`; answers when all that is due by then has
/// happened, with the new time. Beyond the year 9999 it is a 400, and the clock stands.
async fn advance(
    State(app): State<Arc<App>>,
    _caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let body = json_object(&headers, body).await?;
    let seconds = body.get("seconds").ok_or_else(|| ApiError::missing("seconds"))?;
    let length = seconds.as_f64().filter(|seconds| (0.0..=MOST_SECONDS).contains(seconds));
    let expected = format!("a number of seconds from 0 to {MOST_SECONDS}");
    let length = length.ok_or_else(|| ApiError::wrong_type("seconds", &expected))?;
    let length = Duration::from_secs_f64(length);
    if app.clock.is_beyond(length) {
        let last = http_date(LAST_SECOND);
        let message = format!("Invalid 'seconds': the clock ends at {last}; move it by less.");
        return Err(ApiError::param("seconds", message).code("invalid_value"));
    }
    app.clock.advance(length).await;
    Ok(Json(json!({"object": "clock", "now": app.clock.now()})))
}

/// `GET /_lote/journal`: what was done for the caller's key and all its end users.
async fn journal(State(app): State<Arc<App>>, caller: Caller) -> Json<Excerpt> {
    app.clock.quiet().await;
    Json(app.journal.of_key(caller.tenant))
}
