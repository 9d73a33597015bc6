//! Owns the two faces of the one store: which endpoints, purposes and fields belong to
//! `/api/v1/llm` (MKA1) and which to `/v1` (OpenAI). Never holds state.

use serde_json::{Map, Value, json};

use crate::store::{BatchRecord, FileRecord};

/// The face a request came in through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum View {
    /// `/api/v1/llm`
    Mka1,
    /// `/v1`
    OpenAi,
}

/// Purposes an upload may have, on both sides (contract facts 1.3).
pub(crate) const UPLOAD_PURPOSES: [&str; 6] = ["assistants", "batch", "fine-tune", "vision", "user_data", "evals"];

/// The purpose of result files, under both prefixes.
pub(crate) const RESULT_PURPOSE: &str = "batch_output";

/// A batch endpoint. The spelling is OpenAI's on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Endpoint {
    ChatCompletions,
    Responses,
    Embeddings,
    ImageGenerations,
    Completions,
    Moderations,
    ImageEdits,
    Videos,
}

impl Endpoint {
    pub(crate) const ALL: [Endpoint; 8] = [
        Endpoint::ChatCompletions,
        Endpoint::Responses,
        Endpoint::Embeddings,
        Endpoint::ImageGenerations,
        Endpoint::Completions,
        Endpoint::Moderations,
        Endpoint::ImageEdits,
        Endpoint::Videos,
    ];

    pub(crate) fn path(self) -> &'static str {
        match self {
            Endpoint::ChatCompletions => "/v1/chat/completions",
            Endpoint::Responses => "/v1/responses",
            Endpoint::Embeddings => "/v1/embeddings",
            Endpoint::ImageGenerations => "/v1/images/generations",
            Endpoint::Completions => "/v1/completions",
            Endpoint::Moderations => "/v1/moderations",
            Endpoint::ImageEdits => "/v1/images/edits",
            Endpoint::Videos => "/v1/videos",
        }
    }

    /// Whether a body must name a model there. Moderations, images and videos have defaults.
    pub(crate) fn needs_model(self) -> bool {
        matches!(self, Endpoint::ChatCompletions | Endpoint::Responses | Endpoint::Embeddings | Endpoint::Completions)
    }
}

impl View {
    /// Where this face is served.
    pub(crate) fn prefix(self) -> &'static str {
        match self {
            View::Mka1 => "/api/v1/llm",
            View::OpenAi => "/v1",
        }
    }

    /// Endpoints a batch may be created for: MKA1's four, OpenAI's eight (contract facts 1.2).
    pub(crate) fn endpoints(self) -> &'static [Endpoint] {
        match self {
            View::Mka1 => Endpoint::ALL.first_chunk::<4>().map_or(&[], |four| four),
            View::OpenAi => &Endpoint::ALL,
        }
    }

    /// The endpoint spelled `path`, if this face takes it.
    pub(crate) fn endpoint(self, path: &str) -> Option<Endpoint> {
        self.endpoints().iter().copied().find(|endpoint| endpoint.path() == path)
    }

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

    /// The Batch object: all twenty keys of the seeds, absent values as null. `max_concurrency` is
    /// MKA1's, `model` and `usage` are OpenAI's (contract facts 2.1, 2.4).
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
