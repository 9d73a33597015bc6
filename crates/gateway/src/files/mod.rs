//! The five file operations.

mod content;
mod media;
mod name;
mod paced;
mod upload;

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use crate::app::App;
use crate::contract::{RESULT_PURPOSE, UPLOAD_PURPOSES, View};
use crate::error::ApiError;
use crate::http::{Caller, Id, Kept, Params};
use crate::journal::Event;
use crate::state::Query;

pub(crate) use content::content;
pub(crate) use upload::upload;

/// `GET /files`
pub(crate) async fn list(Kept(state): Kept, caller: Caller, params: Params) -> Result<Json<Value>, ApiError> {
    let purpose = params.get("purpose");
    if let (View::Mka1, Some(purpose)) = (caller.view, purpose) {
        // The enum of MKA1 has the six of uploads; ours also lists what the gateway itself makes.
        if !UPLOAD_PURPOSES.contains(&purpose) && purpose != RESULT_PURPOSE {
            return Err(ApiError::unsupported("purpose", purpose, &UPLOAD_PURPOSES));
        }
    }
    let sha256 = match caller.view {
        View::Mka1 => params.get("sha256"),
        View::OpenAi => None,
    };
    let query = Query {
        after: params.get("after").map(str::to_owned),
        limit: params.limit(1..=10_000, 10_000)?,
        oldest_first: params.oldest_first()?,
        purpose: purpose.map(str::to_owned),
        sha256: sha256.map(str::to_owned),
        ..Query::default()
    };
    let (page, more) = state.files(caller.tenant, &query).await?.map_err(|unknown| params.unknown_cursor(unknown))?;
    let data = page.iter().map(|file| caller.view.file(file)).collect();
    Ok(Json(View::list(data, more)))
}

/// `GET /files/{file_id}`
pub(crate) async fn get(Kept(state): Kept, caller: Caller, Id(id): Id) -> Result<Json<Value>, ApiError> {
    let file = state.file(caller.tenant, &id).await?.ok_or_else(|| ApiError::no_file(&id))?;
    Ok(Json(caller.view.file(&file)))
}

/// `DELETE /files/{file_id}`. A batch that already reads the file keeps what it needs.
pub(crate) async fn delete(
    State(app): State<Arc<App>>,
    Kept(state): Kept,
    caller: Caller,
    Id(id): Id,
) -> Result<Json<Value>, ApiError> {
    let (tenant, asked) = (caller.tenant, id.clone());
    if !app.to_its_end(async move { state.remove_file(tenant, &asked).await }).await? {
        return Err(ApiError::no_file(&id));
    }
    app.journal.record(caller.tenant, app.clock.now(), || Event::FileDeleted { file_id: id.clone() });
    Ok(Json(json!({"id": id, "object": "file", "deleted": true})))
}
