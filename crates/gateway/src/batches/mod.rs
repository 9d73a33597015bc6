//! The four batch operations. What becomes of a batch afterwards is in `run`.

mod body;

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::app::App;
use crate::contract::View;
use crate::error::{ApiError, quote};
use crate::faults::{Effect, Fired, Stage};
use crate::http::{Caller, Id, Params, json_object};
use crate::idempotency::{self, Parameters};
use crate::journal::Event;
use crate::run;
use crate::state::{BatchRecord, Cause, Created, NewBatch, Query, StateError, Withdrawn};

use body::CreateBody;

/// How long is found out whether a batch was made, before the client is left without an answer.
const DOUBT: Duration = Duration::from_secs(5);

const ASK_AGAIN: Duration = Duration::from_millis(100);

/// `POST /batches`
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    caller: Caller,
    fired: Fired,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, ApiError> {
    let body = json_object(&headers, body).await?;
    let parameters = Parameters::of(&body);
    let asked = CreateBody::read(caller.view, &body)?;
    let key = idempotency::key(&headers)?;
    let obeyed = key.as_deref().filter(|_| app.obeys_keys);
    if let Some(key) = obeyed {
        idempotency::checked(key)?;
    }
    let settings = &app.settings;
    let max_concurrency = asked.max_concurrency.unwrap_or_else(|| settings.lines_at_once());
    let new = NewBatch {
        id: app.ids.next("batch_"),
        tenant: caller.tenant,
        account: caller.account,
        origin: caller.view,
        endpoint: asked.endpoint,
        input_file_id: asked.input_file_id,
        // MKA1's face refuses at once what OpenAI's reports on the batch (see the crate's page).
        needs_input: caller.view == View::Mka1,
        metadata: asked.metadata,
        max_concurrency: max_concurrency.min(settings.max_line_concurrency),
        output_expires_after: asked.output_expires_after,
        window: settings.window,
        idempotency: obeyed.map(|key| (key.to_owned(), parameters.0)),
    };
    let input = new.input_file_id.clone();
    let making = Arc::clone(&app);
    match app.to_its_end(async move { make(&making, &new).await }).await? {
        Created::Made(batch) => {
            begin(&app, caller, &fired, &batch, key);
            Ok(Json(caller.view.batch(&batch)))
        }
        Created::Repeated(batch) => {
            app.journal.record(caller.tenant, app.clock.now(), || Event::CreateRepeated {
                batch_id: batch.id.clone(),
                idempotency_key: key.unwrap_or_default(),
            });
            Ok(Json(caller.view.batch(&batch)))
        }
        Created::Conflict => Err(ApiError::new(
            StatusCode::CONFLICT,
            "This Idempotency-Key was used with other parameters; use another key for another batch.",
        )),
        Created::Full(full) => Err(ApiError::full(&full)),
        Created::NoInput(None) => Err(ApiError::no_file(&input).about("input_file_id")),
        Created::NoInput(Some(purpose)) => {
            let message = format!("File {} has purpose '{purpose}', not 'batch'.", quote(&input));
            Err(ApiError::param("input_file_id", message))
        }
    }
}

/// Makes a batch. If it is not known whether that was done, it is taken back or found: a create that is answered with an
/// error has not happened.
async fn make(app: &App, new: &NewBatch) -> Result<Created, StateError> {
    match app.state.create_batch(new).await {
        Err(StateError::Unknown(cause)) => settle(app, new, cause).await,
        created => created,
    }
}

/// Asks until it is known whether a batch was made, or long enough.
async fn settle(app: &App, new: &NewBatch, cause: Cause) -> Result<Created, StateError> {
    let until = tokio::time::Instant::now() + DOUBT;
    loop {
        match app.state.withdraw(new).await {
            Ok(Withdrawn::Never) => return Err(StateError::NotDone(cause)),
            Ok(Withdrawn::Exists(batch)) => return Ok(Created::Made(batch)),
            Err(_) if tokio::time::Instant::now() < until => tokio::time::sleep(ASK_AGAIN).await,
            Err(_) => return Err(StateError::Unknown(cause)),
        }
    }
}

/// Lets a batch run that was made just now.
fn begin(app: &Arc<App>, caller: Caller, fired: &Fired, batch: &BatchRecord, idempotency_key: Option<String>) {
    app.hidden.hide(caller.tenant, &batch.id, fired, app.clock.now_ms());
    app.journal.record(caller.tenant, batch.created_at, || Event::BatchCreated {
        batch_id: batch.id.clone(),
        input_file_id: batch.input_file_id.clone(),
        idempotency_key,
    });
    if let Some(strike) = fired.at(Stage::Made).find(|strike| strike.effect == Effect::TokenLimit) {
        app.limit_tokens(&batch.id, strike.clone());
    }
    app.changed(caller.tenant, batch);
    run::launch(app, &batch.id);
}

/// `GET /batches`, newest first.
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller, params: Params) -> Result<Json<Value>, ApiError> {
    let after = params.get("after").map(|after| app.renamed.resolve(after).unwrap_or_else(|| after.to_owned()));
    let query = Query {
        after,
        limit: params.limit(1..=100, 20)?,
        oldest_first: false,
        purpose: None,
        sha256: None,
        hidden: app.hidden.unlisted(caller.tenant, "batch_", app.clock.now_ms()),
    };
    let (page, more) =
        app.state.batches(caller.tenant, &query).await?.map_err(|unknown| params.unknown_cursor(unknown))?;
    let data = page.iter().map(|batch| shown(&app, caller.view, batch, &batch.id)).collect();
    Ok(Json(View::list(data, more)))
}

/// `GET /batches/{batch_id}`
pub(crate) async fn get(State(app): State<Arc<App>>, caller: Caller, Id(named): Id) -> Result<Json<Value>, ApiError> {
    let id = app.renamed.resolve(&named).ok_or_else(|| ApiError::no_batch(&named))?;
    let batch = app.state.batch(caller.tenant, &id).await?.ok_or_else(|| ApiError::no_batch(&id))?;
    if app.hidden.is_unread(&id, app.clock.now_ms()) {
        return Err(ApiError::no_batch(&id));
    }
    Ok(Json(shown(&app, caller.view, &batch, &named)))
}

/// The Batch object under the id by which a client knows it. A result file that is named late is not named yet.
fn shown(app: &App, view: View, batch: &BatchRecord, named: &str) -> Value {
    let mut body = view.batch(batch);
    body["id"] = json!(named);
    let late = |id: &Option<String>| id.as_ref().is_some_and(|id| app.hidden.is_unnamed(id, app.clock.now_ms()));
    for (field, id) in [("output_file_id", &batch.output_file_id), ("error_file_id", &batch.error_file_id)] {
        if late(id) {
            body[field] = Value::Null;
        }
    }
    body
}

/// `POST /batches/{batch_id}/cancel`. A body, if there is one, is not looked at.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    caller: Caller,
    fired: Fired,
    Id(named): Id,
) -> Result<Json<Value>, ApiError> {
    let now = app.clock.now();
    let id = app.renamed.resolve(&named).ok_or_else(|| ApiError::no_batch(&named))?;
    let for_ever = fired.at(Stage::Made).find(|strike| strike.effect == Effect::CancellingForEver);
    let (cancelling, tenant, asked, stuck) = (Arc::clone(&app), caller.tenant, id.clone(), for_ever.is_some());
    let cancel = async move {
        let cancelled = cancelling.state.cancel(tenant, &asked, stuck).await?;
        if let Some((batch, true)) = &cancelled {
            cancelling.changed(tenant, batch);
        }
        cancelling.cancel(&asked);
        Ok(cancelled)
    };
    let (batch, is_changed) = app.to_its_end(cancel).await?.ok_or_else(|| ApiError::no_batch(&id))?;
    if is_changed {
        for_ever.inspect(|strike| strike.happened());
    }
    if batch.status.is_terminal() {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            format!("Cannot cancel a batch with status '{}'.", batch.status.name()),
        ));
    }
    app.journal.record(caller.tenant, now, || Event::BatchCancelled { batch_id: id.clone() });
    Ok(Json(shown(&app, caller.view, &batch, &named)))
}
