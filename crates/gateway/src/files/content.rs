//! The download of a file: whole, one range of it, or only its head.

use std::sync::Arc;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tokio::io::AsyncReadExt;
use tokio_util::io::ReaderStream;

use crate::error::ApiError;
use crate::files::media::media_type;
use crate::http::{Caller, Id, Kept};

/// Bytes read from disk at a time.
const CHUNK: usize = 64 * 1024;

/// `GET /files/{file_id}/content`
pub(crate) async fn content(
    Kept(state): Kept,
    caller: Caller,
    Id(id): Id,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let file = state.file(caller.tenant, &id).await?.ok_or_else(|| ApiError::no_file(&id))?;
    let size = file.blob.bytes();
    let etag = format!("\"{}\"", file.blob.sha256());

    let named = |name| headers.get(name).and_then(|value: &HeaderValue| value.to_str().ok());
    let fresh = named(header::IF_RANGE).is_none_or(|tag| tag == etag);
    let range = match named(header::RANGE).filter(|_| fresh).map(|value| parse(value, size)) {
        None | Some(Range::Whole) => None,
        Some(Range::Part { from, to }) => Some((from, to)),
        Some(Range::Unsatisfiable) => {
            let error = ApiError::new(
                StatusCode::RANGE_NOT_SATISFIABLE,
                format!("The requested range is not within the {size} bytes of the file."),
            );
            let whole = [(header::CONTENT_RANGE, format!("bytes */{size}"))];
            return Ok((whole, error).into_response());
        }
    };

    let (from, length) = range.map_or((0, size), |(from, to)| (from, to - from + 1));
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let opened = file.blob.open(from).await.map_err(|error| ApiError::storage(&error))?;
        // The record is kept while its bytes are read, so that a deletion does not cut them off.
        let keep = Arc::clone(&file);
        let stream = ReaderStream::with_capacity(opened.take(length), CHUNK);
        Body::from_stream(futures_util::StreamExt::map(stream, move |chunk| {
            let _ = &keep;
            chunk
        }))
    };
    let mut response = Response::new(body);
    let answer = response.headers_mut();
    answer.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(&file, caller.view)));
    answer.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    answer.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    insert(answer, header::ETAG, &etag);
    if let Some((from, to)) = range {
        insert(answer, header::CONTENT_RANGE, &format!("bytes {from}-{to}/{size}"));
        *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    }
    Ok(response)
}

/// Inserts a value that was made here, of visible ASCII only.
fn insert(headers: &mut HeaderMap, name: header::HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// What a `Range` header asks of a file.
#[derive(Debug, PartialEq, Eq)]
enum Range {
    /// Nothing that is understood: several ranges, another unit, no range at all.
    Whole,
    /// From byte `from` to byte `to`, both included.
    Part {
        from: u64,
        to: u64,
    },
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `size` bytes (RFC 9110, section 14).
fn parse(value: &str, size: u64) -> Range {
    let Some((unit, spec)) = value.split_once('=') else { return Range::Whole };
    let Some((first, last)) = spec.trim().split_once('-') else { return Range::Whole };
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return Range::Whole;
    }
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(first) || !digits(last) || (first.is_empty() && last.is_empty()) {
        return Range::Whole;
    }
    // Digits that do not fit are beyond every file.
    let number = |text: &str| text.parse().unwrap_or(u64::MAX);
    let (from, to) = if first.is_empty() {
        match number(last) {
            0 => return Range::Unsatisfiable,
            suffix => (size.saturating_sub(suffix), u64::MAX),
        }
    } else {
        (number(first), if last.is_empty() { u64::MAX } else { number(last) })
    };
    if from > to {
        return Range::Whole;
    }
    match size.checked_sub(1) {
        Some(end) if from <= end => Range::Part { from, to: to.min(end) },
        _ => Range::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges() {
        let part = |from, to| Range::Part { from, to };
        for (value, size, expected) in [
            ("bytes=0-0", 10, part(0, 0)),
            ("bytes=2-4", 10, part(2, 4)),
            ("bytes=5-", 10, part(5, 9)),
            ("bytes=-3", 10, part(7, 9)),
            ("bytes=-30", 10, part(0, 9)),
            ("bytes=0-99999999999999999999", 10, part(0, 9)),
            ("Bytes=1-2", 10, part(1, 2)),
            ("bytes=10-", 10, Range::Unsatisfiable),
            ("bytes=-0", 10, Range::Unsatisfiable),
            ("bytes=0-", 0, Range::Unsatisfiable),
            ("bytes=-1", 0, Range::Unsatisfiable),
            ("bytes=99999999999999999999-", 10, Range::Unsatisfiable),
            ("bytes=4-2", 10, Range::Whole),
            ("bytes=0-1,3-4", 10, Range::Whole),
            ("bytes=-", 10, Range::Whole),
            ("bytes=a-b", 10, Range::Whole),
            ("bytes=+1-2", 10, Range::Whole),
            ("lines=0-1", 10, Range::Whole),
            ("", 10, Range::Whole),
        ] {
            assert_eq!(parse(value, size), expected, "{value:?} of {size}");
        }
    }
}
