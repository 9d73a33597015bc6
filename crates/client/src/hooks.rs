//! Owns what every call carries besides its parameters: key, end user, limits on time and size; never logs any of it.

use std::{fmt, pin::Pin, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use progenitor_client::{ClientHooks, ClientInfo, OperationInfo};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tracing::{Instrument, Span, debug, debug_span, field::Empty};

use crate::{
    answer::{self, Limit},
    generated::{Client, Error},
};

/// The most bytes of an error answer that are read. Of longer ones the beginning is shown.
const MAX_ERROR_BYTES: usize = 256 << 10;

/// The header that names the end user.
pub const ON_BEHALF_OF: HeaderName = HeaderName::from_static("x-on-behalf-of");

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What a request that is answered at once is called among the operations.
pub(crate) const ASK: &str = "ask";

/// What is done to the answers of a service before anybody sees them.
pub trait Answers: fmt::Debug + Send + Sync {
    /// Changes the JSON answer of a successful operation, such as `get_batch`, where it is not of the contract's shape,
    /// or holds a secret. Never called for the content of a file.
    fn to_contract(&self, operation: &str, answer: &mut Value);

    /// A text of a header without secrets, for a span.
    fn without_secrets(&self, text: &str) -> String;
}

/// Takes requests to a service in place of the network: for a service that is simulated inside the process.
pub trait Carrier: fmt::Debug + Send + Sync {
    /// What comes of a request.
    fn carry(&self, request: reqwest::Request) -> Carried;
}

/// What comes of a request, when it comes.
pub type Carried = Pin<Box<dyn Future<Output = reqwest::Result<reqwest::Response>> + Send>>;

/// What a [`Client`] adds to every request, and does to every answer.
#[derive(Clone)]
pub struct Inner {
    /// The header with the key, and its whole value. Mark it sensitive.
    pub authorization: (HeaderName, HeaderValue),
    /// The headers of every call beside it, such as [`ON_BEHALF_OF`].
    pub headers: HeaderMap,
    /// The pairs that every URL ends in.
    pub query: Vec<(String, String)>,
    /// How long a call may take as a whole. Transfers of files have no such limit.
    pub call_timeout: Option<Duration>,
    /// What is done to every JSON answer.
    pub answers: Arc<dyn Answers>,
    /// What takes the requests to the service, if not the network.
    pub carrier: Option<Arc<dyn Carrier>>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("authorization", &"…")
            .field("call_timeout", &self.call_timeout)
            .field("answers", &self.answers)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// The same client over the same connections, whose calls carry these headers as well.
    #[must_use]
    pub fn with(&self, headers: HeaderMap) -> Self {
        let mut client = self.clone();
        client.inner.headers.extend(headers);
        client
    }
}

impl Client {
    /// The same client over other connections.
    #[must_use]
    pub fn over(&self, connections: reqwest::Client) -> Self {
        let mut client = self.clone();
        client.client = connections;
        client
    }
}

impl ClientHooks<Inner> for Client {
    async fn pre<E>(&self, request: &mut reqwest::Request, info: &OperationInfo) -> Result<(), Error<E>> {
        let inner = self.inner();
        let headers = request.headers_mut();
        // The generator sends the version of our own document, which means nothing to a service.
        headers.remove("api-version");
        for (name, value) in &inner.headers {
            headers.insert(name.clone(), value.clone());
        }
        // Last, so that nothing else takes its place.
        let (name, value) = &inner.authorization;
        headers.insert(name.clone(), value.clone());
        if !inner.query.is_empty() {
            request.url_mut().query_pairs_mut().extend_pairs(&inner.query);
        }
        if !is_transfer(info) {
            *request.timeout_mut() = inner.call_timeout;
        }
        Ok(())
    }

    async fn exec(&self, request: reqwest::Request, info: &OperationInfo) -> reqwest::Result<reqwest::Response> {
        let span = debug_span!("lote.request", operation = info.operation_id, status = Empty, request_id = Empty);
        let sent = match &self.inner().carrier {
            None => self.client().execute(request).instrument(span.clone()).await,
            Some(carrier) => carrier.carry(request).instrument(span.clone()).await,
        };
        let response = sent.inspect_err(|error| tell_failure(&span, error))?;
        span.record("status", response.status().as_u16());
        if let Some(id) = response.headers().get(REQUEST_ID).and_then(|id| id.to_str().ok()) {
            span.record("request_id", self.inner().answers.without_secrets(id));
        }
        let success = response.status().is_success();
        if matches!(info.operation_id, "get_file_content" | ASK) && success {
            return Ok(response);
        }
        let most = if success { Limit::of(info.operation_id).bytes() } else { MAX_ERROR_BYTES };
        let (status, headers) = (response.status(), response.headers().clone());
        let body = Body::read(response, most).instrument(span.clone()).await;
        let body = body.inspect_err(|error| tell_failure(&span, error))?;
        let mut answer = http::Response::new(Bytes::new());
        (*answer.status_mut(), *answer.headers_mut()) = (status, headers);
        if success {
            answer::read(info.operation_id, &body, self.inner().answers.as_ref(), &mut answer);
        } else {
            *answer.body_mut() = body.bytes;
        }
        Ok(answer.into())
    }
}

/// Says what kind of failure it was: its text might hold a URL, and in it what a dialect puts there.
fn tell_failure(span: &Span, error: &reqwest::Error) {
    let kind = if error.is_timeout() {
        "timeout"
    } else if error.is_connect() {
        "no connection"
    } else {
        "connection lost"
    };
    debug!(parent: span, failure = kind);
}

/// Whether an operation moves a file, which takes as long as it takes.
fn is_transfer(info: &OperationInfo) -> bool {
    matches!(info.operation_id, "upload_file" | "get_file_content")
}

/// The body of an answer, as far as it may be read.
pub(crate) struct Body {
    pub(crate) bytes: Bytes,
    /// Whether that is all of it.
    pub(crate) is_whole: bool,
}

impl Body {
    async fn read(mut response: reqwest::Response, most: usize) -> reqwest::Result<Self> {
        let (mut body, mut is_whole) = (BytesMut::new(), true);
        while let Some(chunk) = response.chunk().await? {
            let room = most - body.len();
            body.extend_from_slice(&chunk[..chunk.len().min(room)]);
            if chunk.len() > room {
                is_whole = false;
                break;
            }
        }
        Ok(Self { bytes: body.freeze(), is_whole })
    }
}
