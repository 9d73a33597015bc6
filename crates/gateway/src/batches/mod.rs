//! The four batch operations. What becomes of a batch afterwards is in `run`.

mod body;

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use serde_json::{Value, json};

use crate::app::App;
use crate::contract::{Status, View};
use crate::error::{ApiError, quote};
use crate::faults::{Effect, Fired, Stage};
use crate::http::{Caller, Id, Params, json_object};
use crate::idempotency::{self, Outcome, Parameters};
use crate::journal::Event;
use crate::run;
use crate::state::{BatchRecord, Counts, FileRecord, Query, Usage};

use body::CreateBody;

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
    let mut answer = Value::Null;
    let outcome = app.idempotency.once(caller.tenant, key.as_deref(), parameters, || {
        let batch = make(&app, caller, asked, &fired, key.clone())?;
        answer = caller.view.batch(&batch);
        Ok(batch.id)
    })?;
    let Outcome::Again(batch_id) = outcome else { return Ok(Json(answer)) };
    let batch = app.store.batch(caller.tenant, &batch_id).ok_or_else(|| ApiError::no_batch(&batch_id))?;
    app.journal.record(caller.tenant, app.clock.now(), || Event::CreateRepeated {
        batch_id,
        idempotency_key: key.unwrap_or_default(),
    });
    Ok(Json(caller.view.batch(&batch)))
}

/// Makes a batch and lets it run; returns it as it is at first.
fn make(
    app: &Arc<App>,
    caller: Caller,
    asked: CreateBody,
    fired: &Fired,
    idempotency_key: Option<String>,
) -> Result<BatchRecord, ApiError> {
    let created_at = app.clock.now();
    let input = app.store.file(caller.tenant, &asked.input_file_id, created_at);
    if caller.view == View::Mka1 {
        check_input(&asked.input_file_id, input.as_deref())?;
    }
    let account = app.accounts.of(caller.account);
    account.add_batch().map_err(|full| ApiError::full(&full))?;
    let window = i64::try_from(app.settings.window.as_millis()).unwrap_or(i64::MAX);
    let settings = &app.settings;
    let max_concurrency = asked.max_concurrency.unwrap_or_else(|| settings.lines_at_once());
    let batch = BatchRecord {
        id: app.ids.next("batch_"),
        origin: caller.view,
        endpoint: asked.endpoint,
        input_file_id: asked.input_file_id,
        status: Status::Validating,
        findings: Vec::new(),
        output_file_id: None,
        error_file_id: None,
        created_at,
        in_progress_at: None,
        expires_at: created_at.saturating_add(window.saturating_add(999) / 1000),
        finalizing_at: None,
        completed_at: None,
        failed_at: None,
        expired_at: None,
        cancelling_at: None,
        cancelled_at: None,
        counts: Counts::default(),
        metadata: asked.metadata,
        max_concurrency: max_concurrency.min(settings.max_line_concurrency),
        output_expires_after: asked.output_expires_after,
        model: None,
        usage: Usage::default(),
        stuck: false,
    };
    app.hidden.hide(caller.tenant, &batch.id, fired, app.clock.now_ms());
    app.journal.record(caller.tenant, created_at, || Event::BatchCreated {
        batch_id: batch.id.clone(),
        input_file_id: batch.input_file_id.clone(),
        idempotency_key,
    });
    let order = run::Order {
        account,
        deadline_ms: app.clock.now_ms().saturating_add(window),
        token_limit: fired.at(Stage::Made).find(|strike| strike.effect == Effect::TokenLimit).cloned(),
    };
    run::launch(app, caller.tenant, batch.clone(), input, order);
    Ok(batch)
}

/// MKA1's face refuses at once what OpenAI's reports on the batch (see the crate's page).
fn check_input(id: &str, input: Option<&FileRecord>) -> Result<(), ApiError> {
    match input {
        None => Err(ApiError::no_file(id).about("input_file_id")),
        Some(file) if file.purpose != "batch" => Err(ApiError::param(
            "input_file_id",
            format!("File {} has purpose '{}', not 'batch'.", quote(id), file.purpose),
        )),
        Some(_) => Ok(()),
    }
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
    let (page, more) = app.store.batches(caller.tenant, &query).map_err(|unknown| params.unknown_cursor(unknown))?;
    let data = page.iter().map(|batch| shown(&app, caller.view, batch, &batch.id)).collect();
    Ok(Json(View::list(data, more)))
}

/// `GET /batches/{batch_id}`
pub(crate) async fn get(State(app): State<Arc<App>>, caller: Caller, Id(named): Id) -> Result<Json<Value>, ApiError> {
    let id = app.renamed.resolve(&named).ok_or_else(|| ApiError::no_batch(&named))?;
    let batch = app.store.batch(caller.tenant, &id).ok_or_else(|| ApiError::no_batch(&id))?;
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
    let batch = app
        .update_batch(caller.tenant, &id, &mut |batch| {
            if batch.enter(Status::Cancelling, now)
                && let Some(strike) = for_ever
            {
                strike.happened();
                batch.stuck = true;
                batch.cancelled_at = Some(now);
            }
        })
        .ok_or_else(|| ApiError::no_batch(&id))?;
    if batch.status.is_terminal() {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            format!("Cannot cancel a batch with status '{}'.", batch.status.name()),
        ));
    }
    app.journal.record(caller.tenant, now, || Event::BatchCancelled { batch_id: id.clone() });
    app.cancel(&id);
    Ok(Json(shown(&app, caller.view, &batch, &named)))
}
