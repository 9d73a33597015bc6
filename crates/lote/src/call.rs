//! Turns the generated client's errors into ours.

use std::error::Error as StdError;

use lote_client::{Error as RawError, ResponseValue};

use crate::{
    Error,
    client::Shared,
    error::Kind,
    error_answer::{ErrorAnswer, text_of},
};

/// The answer of a call, or our error with what was being done.
pub(crate) async fn map_error<T>(
    shared: &Shared,
    doing: &str,
    result: Result<ResponseValue<T>, RawError<()>>,
) -> Result<ResponseValue<T>, Error> {
    match result {
        Ok(value) => Ok(value),
        Err(error) => Err(convert(shared, error).await.context(doing)),
    }
}

/// What was read from an answer, or our error with what was being done, secrets blanked.
pub(crate) fn decode<T>(shared: &Shared, doing: &str, read: Result<T, Error>) -> Result<T, Error> {
    read.map_err(|error| error.context(doing).without(shared.secrets()))
}

async fn convert(shared: &Shared, error: RawError<()>) -> Error {
    match error {
        RawError::UnexpectedResponse(response) => refusal(shared, response).await,
        RawError::CommunicationError(error) | RawError::ResponseBodyError(error) | RawError::InvalidUpgrade(error) => {
            transport(shared, error)
        }
        RawError::InvalidResponsePayload(body, error) => undecodable(shared, &body, &error),
        RawError::ErrorResponse(response) => Error::undecodable(format!("an answer of status {}", response.status())),
        RawError::InvalidRequest(message) | RawError::Custom(message) => Error::invalid(message),
    }
}

/// The error for an answer whose status is no success.
async fn refusal(shared: &Shared, response: reqwest::Response) -> Error {
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    // The hooks have read the body already, so this neither waits nor fails.
    let body = response.bytes().await.unwrap_or_default();
    Error::service(ErrorAnswer::read(status, &headers, &body, shared.secrets()))
}

/// A success whose body is not what the contract says.
fn undecodable(shared: &Shared, body: &[u8], error: &serde_json::Error) -> Error {
    let text = shared.secrets().blanked(&String::from_utf8_lossy(body));
    let found = match text_of(&text) {
        None => "the answer is empty".to_owned(),
        // Nobody asked for it: no call says that it takes compressed answers.
        Some(_) if body.starts_with(&[0x1f, 0x8b]) => "the answer is compressed, with gzip".to_owned(),
        // JSON of another shape: say where. Anything else: say what it is.
        Some(_) if matches!(error.classify(), serde_json::error::Category::Data) => {
            format!("the answer is not what the contract says: {error}")
        }
        Some(text) => format!("the answer is not JSON but {text}"),
    };
    Error::undecodable(format!("{found}; is {} the base URL of the service?", shared.base_url()))
}

/// An error of the connection, told by its innermost cause, which names what the operating system said.
pub(crate) fn transport(shared: &Shared, error: reqwest::Error) -> Error {
    let error = error.without_url();
    let base_url = shared.base_url();
    if error.is_timeout() && !error.is_connect() {
        return Error::connection(Kind::Timeout, format!("{base_url} did not answer in time"), error);
    }
    let mut causes = Vec::new();
    let mut cause: Option<&(dyn StdError + 'static)> = Some(&error);
    while let Some(error) = cause {
        causes.push(error.to_string());
        cause = error.source();
    }
    // Each error of the chain repeats the one below it: the last is the cause.
    let last = causes.pop().unwrap_or_default();
    let (kind, message) = if error.is_connect() {
        (Kind::Connect, format!("could not reach {base_url}: {last}"))
    } else if error.is_builder() {
        (Kind::Invalid, format!("the request could not be made: {last}"))
    } else {
        (Kind::Connection, format!("the connection to {base_url} was lost: {last}"))
    };
    Error::connection(kind, message, error)
}
