//! The models by name: `GET /models` and `GET /models/{model}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use serde_json::{Value, json};

use crate::app::App;
use crate::error::{ApiError, quote};
use crate::http::{Caller, Id};

/// `GET /models`
pub(crate) async fn list(State(app): State<Arc<App>>, caller: Caller) -> Json<Value> {
    let data: Vec<Value> = app.executor.models().await.iter().map(|name| caller.view.model(name)).collect();
    Json(json!({"object": "list", "data": data}))
}

/// `GET /models/{model}`
pub(crate) async fn get(State(app): State<Arc<App>>, caller: Caller, Id(id): Id) -> Result<Json<Value>, ApiError> {
    match app.executor.models().await.iter().find(|name| **name == id) {
        Some(name) => Ok(Json(caller.view.model(name))),
        None => {
            let message = format!("The model {} does not exist.", quote(&id));
            Err(ApiError::new(StatusCode::NOT_FOUND, message).about("model").code("model_not_found"))
        }
    }
}
