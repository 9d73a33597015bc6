//! What those who run a gateway ask it: whether it lives, whether it is ready, what it counts.

use std::io;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::get;
use tokio::net::TcpListener;

use crate::app::App;

/// The type of what Prometheus reads.
const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// What the page may do: nothing but ask this gateway.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
                      form-action 'none'; frame-ancestors 'none'";

/// The paths beside those of clients. What is counted tells of all tenants: it is shown there only when any key is let in,
/// and else at an address of its own.
pub(crate) fn beside(app: &App) -> Router<Arc<App>> {
    if app.keys.is_empty() { all() } else { health() }
}

/// The page for a person: it asks the API with a key that is typed, so that nobody sees what is not theirs.
pub(crate) fn page() -> Router<Arc<App>> {
    let file = |kind: &'static str, text: &'static str| {
        get(async move || {
            let headers = [(header::CONTENT_TYPE, kind), (header::CONTENT_SECURITY_POLICY, POLICY)];
            (headers, [(header::REFERRER_POLICY, "no-referrer"), (header::CACHE_CONTROL, "no-cache")], text)
        })
    };
    Router::new()
        .route("/", file("text/html; charset=utf-8", include_str!("page/status.html")))
        .route("/_lote/status.css", file("text/css; charset=utf-8", include_str!("page/status.css")))
        .route("/_lote/status.js", file("text/javascript; charset=utf-8", include_str!("page/status.js")))
}

fn health() -> Router<Arc<App>> {
    Router::new().route("/healthz", get(healthy)).route("/readyz", get(ready))
}

fn all() -> Router<Arc<App>> {
    health().route("/metrics", get(metrics))
}

/// Answers at an address that is for operators alone, until the gateway stops.
pub(crate) async fn serve(app: Arc<App>, listener: TcpListener) -> io::Result<()> {
    let stop = app.stop.clone();
    let router = all().with_state(app);
    axum::serve(listener, router).with_graceful_shutdown(async move { stop.cancelled().await }).await
}

/// `GET /healthz`: the process answers.
async fn healthy() -> &'static str {
    "ok\n"
}

/// `GET /readyz`: new requests are taken. A 503 when the gateway stops, or cannot ask its state.
async fn ready(State(app): State<Arc<App>>) -> (StatusCode, &'static str) {
    if app.drain.is_cancelled() || app.stop.is_cancelled() {
        (StatusCode::SERVICE_UNAVAILABLE, "stopping\n")
    } else if app.state.ready().await.is_err() {
        (StatusCode::SERVICE_UNAVAILABLE, "the state cannot be asked\n")
    } else {
        (StatusCode::OK, "ok\n")
    }
}

/// `GET /metrics`
async fn metrics(State(app): State<Arc<App>>) -> impl IntoResponse {
    // What cannot be counted now is left out.
    let census = app.state.census().await.unwrap_or_default();
    ([(header::CONTENT_TYPE, TEXT)], app.metrics.text(census, app.executor.loads()))
}
