//! Owns what every call carries besides its parameters: key, end user, limits on time and size; never logs any of it.

use std::{fmt, time::Duration};

use bytes::{Bytes, BytesMut};
use progenitor_client::{ClientHooks, ClientInfo, OperationInfo};
use reqwest::header::{AUTHORIZATION, HeaderName, HeaderValue};

use crate::generated::{Client, Error};

/// The most bytes of an answer that are read into memory: 64 MiB. File content is streamed and has no such limit.
///
/// A page of 10,000 files, the longest answer of the contract, is about 5 MiB.
pub const MAX_ANSWER_BYTES: usize = 64 << 20;

const ON_BEHALF_OF: HeaderName = HeaderName::from_static("x-on-behalf-of");

/// What a [`Client`] adds to every request.
#[derive(Clone)]
pub struct Inner {
    /// The whole value of the Authorization header. Mark it sensitive.
    pub authorization: HeaderValue,
    /// The value of X-On-Behalf-Of, when there is an end user.
    pub on_behalf_of: Option<HeaderValue>,
    /// How long a call may take as a whole. Transfers of files have no such limit.
    pub call_timeout: Option<Duration>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("authorization", &"…")
            .field("on_behalf_of", &self.on_behalf_of)
            .field("call_timeout", &self.call_timeout)
            .finish()
    }
}

impl ClientHooks<Inner> for Client {
    async fn pre<E>(&self, request: &mut reqwest::Request, info: &OperationInfo) -> Result<(), Error<E>> {
        let inner = self.inner();
        let headers = request.headers_mut();
        // The generator sends the version of our own document, which means nothing to a service.
        headers.remove("api-version");
        headers.insert(AUTHORIZATION, inner.authorization.clone());
        if let Some(user) = &inner.on_behalf_of {
            headers.insert(ON_BEHALF_OF, user.clone());
        }
        if !is_transfer(info) {
            *request.timeout_mut() = inner.call_timeout;
        }
        Ok(())
    }

    async fn exec(&self, request: reqwest::Request, info: &OperationInfo) -> reqwest::Result<reqwest::Response> {
        let response = self.client().execute(request).await?;
        if info.operation_id == "get_file_content" && response.status().is_success() {
            return Ok(response);
        }
        bounded(response).await
    }
}

/// Whether an operation moves a file, which takes as long as it takes.
fn is_transfer(info: &OperationInfo) -> bool {
    matches!(info.operation_id, "upload_file" | "get_file_content")
}

/// The same response with its body read, up to [`MAX_ANSWER_BYTES`].
async fn bounded(mut response: reqwest::Response) -> reqwest::Result<reqwest::Response> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await? {
        let room = MAX_ANSWER_BYTES - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if chunk.len() >= room {
            break;
        }
    }
    let mut whole = http::Response::new(Bytes::from(body));
    *whole.status_mut() = response.status();
    std::mem::swap(whole.headers_mut(), response.headers_mut());
    Ok(whole.into())
}
