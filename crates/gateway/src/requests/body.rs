//! The body of a request that is answered at once: held in memory while it is small, else kept on disk, and read while
//! somebody is at work on it.

use axum::body::Body;
use axum::http::HeaderMap;
use futures_util::StreamExt;
use sha2::{Digest, Sha256};
use tokio::io::AsyncReadExt;

use crate::answering::{Room, room};
use crate::app::App;
use crate::blobs::Blob;
use crate::error::ApiError;
use crate::http::{Caller, expect_json};
use crate::ids::hex;

/// A body of at most so many bytes is held in memory, and so is an answer.
pub(super) const SMALL: usize = 64 * 1024;

/// A body that has come whole.
#[derive(Debug)]
pub(super) struct Received {
    place: Place,
    /// Lowercase hex.
    pub(super) sha256: String,
}

#[derive(Debug)]
enum Place {
    Memory(Vec<u8>),
    Disk(Blob),
}

impl Received {
    /// Another type is a 415, a larger body than a batch's line may have a 413. What is on disk counts as what the key
    /// stores, for as long as the request takes.
    pub(super) async fn read(app: &App, caller: Caller, headers: &HeaderMap, body: Body) -> Result<Received, ApiError> {
        expect_json(headers)?;
        let limit = app.settings.max_line_bytes;
        let mut pieces = body.into_data_stream();
        let (mut held, mut spool) = (Vec::new(), None);
        let mut length = 0_u64;
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            length += piece.len() as u64;
            if length > limit {
                return Err(ApiError::too_large(limit));
            }
            if spool.is_none() && held.len() + piece.len() <= SMALL {
                held.extend_from_slice(&piece);
                continue;
            }
            let storage = |error| ApiError::storage(&error);
            let spool = match &mut spool {
                Some(spool) => spool,
                None => spool.insert(app.disk.spool(&app.accounts.of(caller.account)).await.map_err(storage)?),
            };
            if !held.is_empty() {
                spool.write(&std::mem::take(&mut held)).await.map_err(storage)?;
            }
            spool.write(&piece).await.map_err(storage)?;
        }
        Ok(match spool {
            None => Received { sha256: hex(&Sha256::digest(&held)), place: Place::Memory(held) },
            Some(spool) => {
                let blob = spool.seal().await.map_err(|error| ApiError::storage(&error))?;
                Received { sha256: blob.sha256().to_owned(), place: Place::Disk(blob) }
            }
        })
    }

    /// Its bytes, and the room that they take.
    pub(super) async fn bytes(&self, app: &App) -> Result<(Vec<u8>, Room), ApiError> {
        let blob = match &self.place {
            Place::Memory(bytes) => return Ok((bytes.clone(), None)),
            Place::Disk(blob) => blob,
        };
        let room = room(&app.request_memory, blob.bytes()).await;
        let read = async {
            // The semaphore is never closed.
            let _place = app.reads.acquire().await;
            let mut bytes = Vec::with_capacity(usize::try_from(blob.bytes()).map_err(std::io::Error::other)?);
            blob.open(0).await?.read_to_end(&mut bytes).await?;
            Ok(bytes)
        };
        let bytes = app.clock.working(read).await.map_err(|error| ApiError::storage(&error))?;
        Ok((bytes, room))
    }
}
