//! The error answers of the API: status, message, param, code, in OpenAI's shape. None holds a key, a path on disk or an
//! operating system's message.

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::blobs::Full;
use crate::state::StateError;

/// Longest piece of a client's text that an error message repeats, in characters.
const QUOTE: usize = 80;

/// One refusal. Becomes `{"error": {"message", "type", "param", "code"}}`.
#[derive(Debug)]
pub(crate) struct ApiError {
    status: StatusCode,
    message: String,
    param: Option<String>,
    code: Option<Cow<'static, str>>,
    in_doubt: bool,
}

/// In the extensions of an answer which nobody may hear, since it is not known what has happened: an error would say that
/// nothing has.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InDoubt;

impl ApiError {
    pub(crate) fn new(status: StatusCode, message: impl Into<String>) -> ApiError {
        ApiError { status, message: message.into(), param: None, code: None, in_doubt: false }
    }

    /// A 400 about one parameter.
    pub(crate) fn param(param: &str, message: impl Into<String>) -> ApiError {
        ApiError { param: Some(clip(param)), ..ApiError::new(StatusCode::BAD_REQUEST, message) }
    }

    /// A 400 about a parameter that is absent.
    pub(crate) fn missing(param: &str) -> ApiError {
        ApiError::param(param, format!("Missing required parameter: '{param}'.")).code("missing_required_parameter")
    }

    /// A 400 about a parameter whose value is none of the known ones.
    pub(crate) fn unsupported(param: &str, got: &str, known: &[&str]) -> ApiError {
        ApiError::param(
            param,
            format!("Invalid value: {}. Supported values are: '{}'.", quote(got), known.join("', '")),
        )
        .code("invalid_value")
    }

    /// A 400 about a parameter of another type than it has.
    pub(crate) fn wrong_type(param: &str, expected: &str) -> ApiError {
        ApiError::param(param, format!("Invalid type for '{param}': expected {expected}.")).code("invalid_type")
    }

    /// No usable bearer key. The code is null: MKA1's client declares it an integer in the errors of file contents,
    /// OpenAI's client a text, and both take null.
    pub(crate) fn unauthorized() -> ApiError {
        ApiError::new(StatusCode::UNAUTHORIZED, "Incorrect or missing API key. Send it as 'Authorization: Bearer KEY'.")
    }

    pub(crate) fn no_file(id: &str) -> ApiError {
        ApiError {
            param: Some("id".to_owned()),
            ..ApiError::new(StatusCode::NOT_FOUND, format!("No such File object: {}", clip(id)))
        }
    }

    pub(crate) fn no_batch(id: &str) -> ApiError {
        ApiError::new(StatusCode::NOT_FOUND, format!("No batch found with id {}.", quote(id)))
    }

    pub(crate) fn too_large(limit: u64) -> ApiError {
        ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, format!("Maximum content size limit of {limit} bytes exceeded."))
    }

    /// A body could not be read to its end, for this reason.
    pub(crate) fn broken_body(cause: &(dyn Error + 'static)) -> ApiError {
        let message = match TooSlow::of(cause) {
            Some(slow) => slow.to_string(),
            None => "The request body ended early or could not be read.".to_owned(),
        };
        ApiError::new(StatusCode::BAD_REQUEST, message)
    }

    /// The key may store no more. Not a 429: trying again does not help.
    pub(crate) fn full(full: &Full) -> ApiError {
        ApiError::new(StatusCode::FORBIDDEN, full.to_string()).code("storage_limit_exceeded")
    }

    /// The gateway's own disk failed it, or the bounds of the key did.
    pub(crate) fn storage(error: &io::Error) -> ApiError {
        if let Some(full) = Full::of(error) {
            return ApiError::full(full);
        }
        ApiError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("The gateway could not use its temporary storage: {}.", error.kind()),
        )
    }

    /// The state could not be asked, or did not answer.
    pub(crate) fn state(error: &StateError) -> ApiError {
        match (error.full(), error) {
            (Some(full), _) => ApiError::full(full),
            // Nothing has happened: the same again is worth it.
            (None, StateError::NotDone(_)) => {
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "The gateway cannot use its state just now.")
            }
            (None, StateError::Unknown(_)) => {
                let message = "The gateway does not know whether its state was changed.";
                ApiError { in_doubt: true, ..ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, message) }
            }
            (None, StateError::Corrupt(_)) => {
                ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "What the gateway has stored cannot be read.")
            }
        }
    }

    /// A header that may come once came several times: nobody can say which one is meant.
    pub(crate) fn repeated_header(name: &str) -> ApiError {
        ApiError::new(StatusCode::BAD_REQUEST, format!("The header '{name}' came more than once; send it once."))
    }

    /// The same refusal, naming another param.
    pub(crate) fn about(mut self, param: &str) -> ApiError {
        self.param = Some(param.to_owned());
        self
    }

    pub(crate) fn code(mut self, code: impl Into<Cow<'static, str>>) -> ApiError {
        self.code = Some(code.into());
        self
    }

    fn kind(&self) -> &'static str {
        if self.status.is_server_error() { "server_error" } else { "invalid_request_error" }
    }

    fn body(&self) -> Value {
        json!({"error": {
            "message": self.message,
            "type": self.kind(),
            "param": self.param,
            "code": self.code,
        }})
    }
}

/// Why the gateway gave a body up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TooSlow {
    /// Nothing came for so long.
    Stalled(Duration),
    /// Fewer bytes a second came, over so long.
    Below(u64, Duration),
}

impl fmt::Display for TooSlow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TooSlow::Stalled(stall) => write!(f, "The request body stalled: nothing came for {stall:?}."),
            TooSlow::Below(rate, time) => {
                write!(f, "The request body came too slowly: below {rate} bytes a second for {time:?}.")
            }
        }
    }
}

impl Error for TooSlow {}

impl TooSlow {
    /// Why an error came about, if it was for this.
    pub(crate) fn of<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a TooSlow> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(slow) = error.downcast_ref() {
                return Some(slow);
            }
            next = error.source();
        }
        None
    }
}

/// A body that could not be read.
impl From<axum::Error> for ApiError {
    fn from(error: axum::Error) -> ApiError {
        ApiError::broken_body(&error)
    }
}

impl From<StateError> for ApiError {
    fn from(error: StateError) -> ApiError {
        ApiError::state(&error)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, axum::Json(self.body())).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.in_doubt {
            response.extensions_mut().insert(InDoubt);
        }
        response
    }
}

/// `text` in single quotes, cut short when it is long.
pub(crate) fn quote(text: &str) -> String {
    format!("'{}'", clip(text))
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(QUOTE) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
