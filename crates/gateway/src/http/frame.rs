//! What is done around every request: patience with its body, scripted faults, the headers that every answer has.

use std::sync::Arc;
use std::time::Instant;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::Next;
use axum::response::Response;

use crate::app::App;
use crate::clock::http_date;
use crate::contract::View;
use crate::error::InDoubt;
use crate::faults::{Abort, Aborts, Operation};
use crate::http::RequestId;
use crate::http::patience::{Floor, GuardedBody};
use crate::http::struck;
use crate::notices::Notice;

/// Around every request: watches over its body, lets faults strike, names its answer.
pub(crate) async fn frame(State(app): State<Arc<App>>, request: Request, next: Next) -> Response {
    let floor = Floor { stall: app.settings.stall_timeout, rate: app.settings.min_upload_rate };
    // A client that waits for "100 Continue" sends nothing once it has the answer.
    let linger = !request.headers().contains_key(header::EXPECT);
    let mut request = request.map(|body| Body::new(GuardedBody::new(body, floor, linger)));
    let operation = operation(&request);
    if operation.is_some() {
        app.clock.quiet().await;
    }
    let id = app.ids.next("req_");
    request.extensions_mut().insert(RequestId(id.clone()));
    let fired = operation.map(|operation| app.script.fire(operation)).unwrap_or_default();
    let begun = Instant::now();
    // Every connection has one.
    let abort = request.extensions().get::<Abort>().cloned().unwrap_or_default();
    let mut response =
        if fired.is_empty() { next.run(request).await } else { struck::answer(&app, request, next, fired).await };
    if response.extensions().get::<InDoubt>().is_some() {
        abort.end(Aborts::Reset).await;
    }
    sign(&app, &id, &mut response);
    if let Some(operation) = operation {
        let status = response.status().as_u16();
        app.metrics.request(operation, status);
        app.notices.tell(|| Notice::Answered {
            request_id: id,
            operation: operation.to_string(),
            status,
            milliseconds: u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX),
        });
    }
    response
}

/// Gives an answer the headers that every answer has.
pub(super) fn sign(app: &App, id: &str, response: &mut Response) {
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

/// Which operation is asked for.
fn operation(request: &Request) -> Option<Operation> {
    let path = request.uri().path();
    [View::Mka1, View::OpenAi]
        .into_iter()
        .find_map(|view| Operation::of(view, request.method(), path.strip_prefix(view.prefix())?))
}
