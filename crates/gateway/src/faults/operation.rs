//! The names of what a fault can strike.

use std::fmt;

use axum::http::Method;

/// What a fault strikes: one of the nine operations, or something the gateway does by itself.
///
/// In a faults file the names are those of [`Display`](fmt::Display): `create-batch`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Operation {
    /// `connection`: a connection that is being made, before anything is read from it.
    Connection,
    /// `any`: each of the nine operations.
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
    /// `output-file`: the making of an output file, once for each batch that ran.
    OutputFile,
    /// `error-file`: the making of an error file, once for each batch that ran, also when there is
    /// nothing to put into it.
    ErrorFile,
}

impl Operation {
    pub(crate) const ALL: [Operation; 13] = [
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
            Operation::OutputFile => "output-file",
            Operation::ErrorFile => "error-file",
        }
    }

    /// The operation that a request asks for, if it is one of the nine. `path` is without prefix.
    pub(crate) fn of(method: &Method, path: &str) -> Option<Operation> {
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
            _ => return None,
        })
    }

    /// Whether it is one of the nine, or all of them.
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
        self == other || (self == Operation::Any && other.is_request())
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
