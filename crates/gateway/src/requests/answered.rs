//! An answer on its way to its client, who may be slow: held in memory while it is small, else kept on disk, so that nobody
//! who waits to be read from holds the room of those who wait for their answers.

use std::convert::Infallible;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use futures_util::{StreamExt, stream as streams};
use tokio_util::io::ReaderStream;

use crate::app::App;
use crate::blobs::Blob;
use crate::contract::Endpoint;
use crate::error::ApiError;
use crate::executor::Streamed;
use crate::http::Caller;
use crate::requests::body::SMALL;
use crate::requests::stream::{self, Streaming};

/// What is answered.
pub(super) enum Answered {
    Whole(Whole),
    /// As it comes from elsewhere.
    Passed(Streamed),
}

/// An answer that came whole.
#[derive(Debug)]
pub(super) struct Whole {
    status: u16,
    /// Seconds.
    retry_after: Option<u64>,
    endpoint: Endpoint,
    /// Set when it is to come as events.
    streaming: Option<Streaming>,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// JSON.
    Memory(Bytes),
    /// JSON, or the events that were made of it.
    Disk(Blob),
}

impl Answered {
    /// What is on disk counts as what the key stores, for as long as its client takes.
    pub(super) async fn new(
        app: &App,
        caller: Caller,
        endpoint: Endpoint,
        (status, retry_after): (u16, Option<u64>),
        body: Bytes,
        streaming: Option<Streaming>,
    ) -> Result<Answered, ApiError> {
        let streaming = streaming.filter(|_| status == 200 && stream::has(endpoint));
        let place = if body.len() <= SMALL {
            Place::Memory(body)
        } else {
            let write = async {
                let mut spool = app.disk.spool(&app.accounts.of(caller.account)).await?;
                match streaming.and_then(|streaming| stream::events(endpoint, streaming, &body)) {
                    None => spool.write(&body).await?,
                    Some(events) => {
                        for event in events {
                            spool.write(&event).await?;
                        }
                    }
                }
                spool.seal().await
            };
            Place::Disk(app.clock.working(write).await.map_err(|error| ApiError::storage(&error))?)
        };
        Ok(Answered::Whole(Whole { status, retry_after, endpoint, streaming, place }))
    }

    /// One that comes from elsewhere, piece by piece.
    pub(super) fn passed(streamed: Streamed) -> Answered {
        Answered::Passed(streamed)
    }

    pub(super) async fn response(self) -> Result<Response, ApiError> {
        let Streamed { status, retry_after, content_type, body } = match self {
            Answered::Whole(whole) => return whole.response().await,
            Answered::Passed(streamed) => streamed,
        };
        let mut response = Response::new(Body::from_stream(body));
        *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
        let headers = response.headers_mut();
        if let Some(content_type) = content_type {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        Ok(response)
    }
}

impl Whole {
    async fn response(self) -> Result<Response, ApiError> {
        let (length, body) = match self.place {
            Place::Memory(json) => {
                let events = self.streaming.and_then(|streaming| stream::events(self.endpoint, streaming, &json));
                let length = json.len() as u64;
                let pieces = events.unwrap_or_else(|| Box::new(std::iter::once(json)));
                (length, Body::from_stream(streams::iter(pieces.map(Ok::<_, Infallible>))))
            }
            Place::Disk(blob) => {
                let file = blob.open(0).await.map_err(|error| ApiError::storage(&error))?;
                let length = blob.bytes();
                // The file is there until the last of it is sent.
                let pieces = ReaderStream::with_capacity(file, SMALL).map(move |piece| {
                    let _ = &blob;
                    piece
                });
                (length, Body::from_stream(pieces))
            }
        };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        if self.streaming.is_some() {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream; charset=utf-8"));
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        } else {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            headers.insert(header::CONTENT_LENGTH, length.into());
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        Ok(response)
    }
}
