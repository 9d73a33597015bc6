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
use crate::http::{Caller, Id, Kept, Params, json_object};
use crate::idempotency::{self, Parameters};
use crate::journal::Event;
use crate::run;
use crate::state::{BatchRecord, Cause, Created, NewBatch, Query, State as Keeper, StateError, Withdrawn};

use body::CreateBody;

/// How long is found out whether a batch was made, before the client is left without an answer.
const DOUBT: Duration = Duration::from_secs(5);

const ASK_AGAIN: Duration = Duration::from_millis(100);

/// `POST /batches`
pub(crate) async fn create(
    State(app): State<Arc<App>>,
    Kept(state): Kept,
    caller: Caller,
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
    match app.to_its_end(async move { make(&*state, &new).await }).await? {
        Created::Made(batch) => {
            begin(&app, caller, &batch, key);
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
async fn make(state: &dyn Keeper, new: &NewBatch) -> Result<Created, StateError> {
    match state.create_batch(new).await {
        Err(StateError::Unknown(cause)) => settle(state, new, cause).await,
        created => created,
    }
}

/// Asks until it is known whether a batch was made, or long enough.
async fn settle(state: &dyn Keeper, new: &NewBatch, cause: Cause) -> Result<Created, StateError> {
    let until = tokio::time::Instant::now() + DOUBT;
    loop {
        match state.withdraw(new).await {
            Ok(Withdrawn::Never) => return Err(StateError::NotDone(cause)),
            Ok(Withdrawn::Exists(batch)) => return Ok(Created::Made(batch)),
            Err(_) if tokio::time::Instant::now() < until => tokio::time::sleep(ASK_AGAIN).await,
            Err(_) => return Err(StateError::Unknown(cause)),
        }
    }
}

/// Lets a batch run that was made just now.
fn begin(app: &Arc<App>, caller: Caller, batch: &BatchRecord, idempotency_key: Option<String>) {
    app.journal.record(caller.tenant, batch.created_at, || Event::BatchCreated {
        batch_id: batch.id.clone(),
        input_file_id: batch.input_file_id.clone(),
        idempotency_key,
    });
    app.changed(caller.tenant, batch);
    run::launch(app, &batch.id);
}

/// `GET /batches`, newest first.
pub(crate) async fn list(Kept(state): Kept, caller: Caller, params: Params) -> Result<Json<Value>, ApiError> {
    let query =
        Query { after: params.get("after").map(str::to_owned), limit: params.limit(1..=100, 20)?, ..Query::default() };
    let (page, more) = state.batches(caller.tenant, &query).await?.map_err(|unknown| params.unknown_cursor(unknown))?;
    Ok(Json(View::list(page.iter().map(|batch| caller.view.batch(batch)).collect(), more)))
}

/// `GET /batches/{batch_id}`
pub(crate) async fn get(Kept(state): Kept, caller: Caller, Id(id): Id) -> Result<Json<Value>, ApiError> {
    let batch = state.batch(caller.tenant, &id).await?.ok_or_else(|| ApiError::no_batch(&id))?;
    Ok(Json(shown(caller.view, &batch, &id)))
}

/// The Batch object under the id by which it was asked for.
fn shown(view: View, batch: &BatchRecord, named: &str) -> Value {
    let mut body = view.batch(batch);
    body["id"] = json!(named);
    body
}

/// `POST /batches/{batch_id}/cancel`. A body, if there is one, is not looked at.
pub(crate) async fn cancel(
    State(app): State<Arc<App>>,
    Kept(state): Kept,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Value>, ApiError> {
    let now = app.clock.now();
    let (cancelling, tenant, asked) = (Arc::clone(&app), caller.tenant, id.clone());
    let cancel = async move {
        let cancelled = state.cancel(tenant, &asked, false).await?;
        if let Some((batch, is_changed)) = &cancelled {
            if *is_changed {
                cancelling.changed(tenant, batch);
            }
            cancelling.cancel(&batch.id);
        }
        Ok(cancelled.map(|(batch, _)| batch))
    };
    let batch = app.to_its_end(cancel).await?.ok_or_else(|| ApiError::no_batch(&id))?;
    if batch.status.is_terminal() {
        return Err(ApiError::new(
            StatusCode::CONFLICT,
            format!("Cannot cancel a batch with status '{}'.", batch.status.name()),
        ));
    }
    app.journal.record(caller.tenant, now, || Event::BatchCancelled { batch_id: batch.id.clone() });
    Ok(Json(shown(caller.view, &batch, &id)))
}
