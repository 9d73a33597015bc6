//! The names of what a fault can strike.

use std::fmt;

use axum::http::Method;

use crate::contract::{Endpoint, View};

/// What a fault strikes: an operation, or something the gateway does by itself.
///
/// In a faults file the names are those of [`Display`](fmt::Display): `create-batch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `connection`: a connection that is being made, before anything is read from it.
    Connection,
    /// `any`: each of the operations that a client can ask for.
    Any,
    /// `create-batch`: `POST /batches`
    CreateBatch,
    /// `get-batch`: `GET /batches/{batch_id}`
    GetBatch,
    /// `list-batches`: `GET /batches`
    ListBatches,
    /// `cancel-batch`: `POST /batches/{batch_id}/cancel`
    CancelBatch,
    /// `upload-file`: `POST /files`
    UploadFile,
    /// `get-file`: `GET /files/{file_id}`
    GetFile,
    /// `list-files`: `GET /files`
    ListFiles,
    /// `delete-file`: `DELETE /files/{file_id}`
    DeleteFile,
    /// `file-content`: `GET /files/{file_id}/content`
    FileContent,
    /// `request`: each of the eight below, which the model answers at once.
    Request,
    /// `chat`: `POST /chat/completions`
    Chat,
    /// `responses`: `POST /responses`
    Responses,
    /// `embeddings`: `POST /embeddings`
    Embeddings,
    /// `images`: `POST /images/generations`
    Images,
    /// `completions`: `POST /completions`
    Completions,
    /// `moderations`: `POST /moderations`
    Moderations,
    /// `image-edits`: `POST /images/edits`
    ImageEdits,
    /// `videos`: `POST /videos`
    Videos,
    /// `list-models`: `GET /models`
    ListModels,
    /// `get-model`: `GET /models/{model}`
    GetModel,
    /// `output-file`: the making of an output file, once for each batch that ran.
    OutputFile,
    /// `error-file`: the making of an error file, once for each batch that ran, also when there is
    /// nothing to put into it.
    ErrorFile,
}

impl Operation {
    pub(crate) const ALL: [Operation; 24] = [
        Operation::Connection,
        Operation::Any,
        Operation::CreateBatch,
        Operation::GetBatch,
        Operation::ListBatches,
        Operation::CancelBatch,
        Operation::UploadFile,
        Operation::GetFile,
        Operation::ListFiles,
        Operation::DeleteFile,
        Operation::FileContent,
        Operation::Request,
        Operation::Chat,
        Operation::Responses,
        Operation::Embeddings,
        Operation::Images,
        Operation::Completions,
        Operation::Moderations,
        Operation::ImageEdits,
        Operation::Videos,
        Operation::ListModels,
        Operation::GetModel,
        Operation::OutputFile,
        Operation::ErrorFile,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Connection => "connection",
            Operation::Any => "any",
            Operation::CreateBatch => "create-batch",
            Operation::GetBatch => "get-batch",
            Operation::ListBatches => "list-batches",
            Operation::CancelBatch => "cancel-batch",
            Operation::UploadFile => "upload-file",
            Operation::GetFile => "get-file",
            Operation::ListFiles => "list-files",
            Operation::DeleteFile => "delete-file",
            Operation::FileContent => "file-content",
            Operation::Request => "request",
            Operation::Chat => "chat",
            Operation::Responses => "responses",
            Operation::Embeddings => "embeddings",
            Operation::Images => "images",
            Operation::Completions => "completions",
            Operation::Moderations => "moderations",
            Operation::ImageEdits => "image-edits",
            Operation::Videos => "videos",
            Operation::ListModels => "list-models",
            Operation::GetModel => "get-model",
            Operation::OutputFile => "output-file",
            Operation::ErrorFile => "error-file",
        }
    }

    /// The operation that a request asks for, if it is one. `path` is without prefix.
    pub(crate) fn of(view: View, method: &Method, path: &str) -> Option<Operation> {
        let endpoint = view.endpoints().iter().find(|endpoint| endpoint.operation() == path);
        if let Some(endpoint) = endpoint {
            return (method == Method::POST).then(|| Operation::at(*endpoint));
        }
        let parts: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
        let get = method == Method::GET || method == Method::HEAD;
        let post = method == Method::POST;
        Some(match parts[..] {
            ["batches"] if get => Operation::ListBatches,
            ["batches"] if post => Operation::CreateBatch,
            ["batches", _] if get => Operation::GetBatch,
            ["batches", _, "cancel"] if post => Operation::CancelBatch,
            ["files"] if get => Operation::ListFiles,
            ["files"] if post => Operation::UploadFile,
            ["files", _] if get => Operation::GetFile,
            ["files", _] if method == Method::DELETE => Operation::DeleteFile,
            ["files", _, "content"] if get => Operation::FileContent,
            ["models"] if get => Operation::ListModels,
            ["models", _] if get => Operation::GetModel,
            _ => return None,
        })
    }

    fn at(endpoint: Endpoint) -> Operation {
        match endpoint {
            Endpoint::ChatCompletions => Operation::Chat,
            Endpoint::Responses => Operation::Responses,
            Endpoint::Embeddings => Operation::Embeddings,
            Endpoint::ImageGenerations => Operation::Images,
            Endpoint::Completions => Operation::Completions,
            Endpoint::Moderations => Operation::Moderations,
            Endpoint::ImageEdits => Operation::ImageEdits,
            Endpoint::Videos => Operation::Videos,
        }
    }

    /// Whether the model answers it at once.
    pub(crate) fn is_answered_at_once(self) -> bool {
        self == Operation::Request || Endpoint::ALL.iter().any(|endpoint| self == Operation::at(*endpoint))
    }

    /// Whether it is what a client can ask for, or several of those.
    pub(crate) fn is_request(self) -> bool {
        !matches!(self, Operation::Connection | Operation::OutputFile | Operation::ErrorFile)
    }

    /// Whether its answer is a batch, or a list of them.
    pub(crate) fn answers_batch(self) -> bool {
        use Operation::{CancelBatch, CreateBatch, GetBatch, ListBatches};
        matches!(self, CreateBatch | GetBatch | ListBatches | CancelBatch)
    }

    /// Whether its answer is a file object, or a list of them.
    pub(crate) fn answers_file(self) -> bool {
        matches!(self, Operation::UploadFile | Operation::GetFile | Operation::ListFiles)
    }

    pub(crate) fn covers(self, other: Operation) -> bool {
        match self {
            Operation::Any => other.is_request(),
            Operation::Request => other.is_answered_at_once(),
            one => one == other,
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
