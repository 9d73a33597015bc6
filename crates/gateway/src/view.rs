//! The File, Batch, Model and list objects as clients see them: what belongs to `/api/v1/llm` (MKA1) and what to `/v1` (OpenAI).

use serde_json::{Map, Value, json};

use crate::contract::View;
use crate::state::{BatchRecord, FileRecord};

/// When the models were made: on 2026-01-01.
const MODEL_CREATED: i64 = 1_767_225_600;

/// What MKA1's registry does not say of a model is null.
const MODEL_UNRECORDED: [&str; 15] = [
    "context_window",
    "max_image_resolution",
    "min_image_resolution",
    "embedding_dimension_range",
    "parameter_count",
    "active_parameter_count",
    "release_date",
    "serving_locations",
    "developer",
    "base_model",
    "weights",
    "license",
    "languages",
    "tts",
    "limitations",
];

impl View {
    /// The File object.
    pub(crate) fn file(self, file: &FileRecord) -> Value {
        let mut body = json!({
            "id": file.id,
            "object": "file",
            "bytes": file.blob.bytes(),
            "created_at": file.created_at,
            "filename": file.filename,
            "purpose": file.purpose,
            "status": "processed",
            "expires_at": file.expires_at,
        });
        if self == View::Mka1 {
            body["sha256"] = json!(file.blob.sha256());
        }
        body
    }

    /// The Batch object: all twenty keys that OpenAI and MKA1 have in common, absent values as null. `max_concurrency` is
    /// in MKA1's client only, `model` and `usage` in OpenAI's document only.
    pub(crate) fn batch(self, batch: &BatchRecord) -> Value {
        let mut body = json!({
            "id": batch.id,
            "object": "batch",
            "endpoint": batch.endpoint.path(),
            "errors": (!batch.findings.is_empty())
                .then(|| json!({"object": "list", "data": batch.findings})),
            "input_file_id": batch.input_file_id,
            "completion_window": "24h",
            "status": batch.status.name(),
            "output_file_id": batch.output_file_id,
            "error_file_id": batch.error_file_id,
            "created_at": batch.created_at,
            "in_progress_at": batch.in_progress_at,
            "expires_at": batch.expires_at,
            "finalizing_at": batch.finalizing_at,
            "completed_at": batch.completed_at,
            "failed_at": batch.failed_at,
            "expired_at": batch.expired_at,
            "cancelling_at": batch.cancelling_at,
            "cancelled_at": batch.cancelled_at,
            "request_counts": {
                "total": batch.counts.total,
                "completed": batch.counts.completed,
                "failed": batch.counts.failed,
            },
            "metadata": batch.metadata,
        });
        match self {
            View::Mka1 => body["max_concurrency"] = json!(batch.max_concurrency),
            View::OpenAi => {
                if let Some(model) = &batch.model {
                    body["model"] = json!(model);
                }
                if batch.status.is_terminal() && batch.in_progress_at.is_some() {
                    body["usage"] = batch.usage.body();
                }
            }
        }
        body
    }

    /// The Model object. MKA1's client wants much more of it, where what is not recorded is null.
    pub(crate) fn model(self, name: &str) -> Value {
        let mut body = json!({"id": name, "object": "model", "created": MODEL_CREATED, "owned_by": "lote"});
        if self == View::Mka1 {
            body["model_type"] = json!("llm");
            body["input_modalities"] = json!(["text"]);
            body["output_modalities"] = json!(["text"]);
            for field in MODEL_UNRECORDED {
                body[field] = Value::Null;
            }
            body["lifecycle"] =
                json!({"status": "active", "deprecated_at": null, "retires_at": null, "successor": null});
            body["capabilities"] = json!({
                "supports_temperature": true,
                "supports_top_p": true,
                "supports_reasoning": false,
                "supports_reasoning_effort": false,
                "supports_structured_outputs": true,
            });
        }
        body
    }

    /// A page of a list.
    pub(crate) fn list(data: Vec<Value>, has_more: bool) -> Value {
        let id = |object: Option<&Value>| object.and_then(|object| object.get("id")).cloned();
        let (first_id, last_id) = (id(data.first()), id(data.last()));
        let mut body = Map::new();
        body.insert("object".to_owned(), json!("list"));
        body.insert("data".to_owned(), Value::Array(data));
        body.insert("first_id".to_owned(), first_id.unwrap_or(Value::Null));
        body.insert("last_id".to_owned(), last_id.unwrap_or(Value::Null));
        body.insert("has_more".to_owned(), Value::Bool(has_more));
        Value::Object(body)
    }
}
