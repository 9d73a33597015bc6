//! Where the bytes of a file come from, and the proof that what comes after a break belongs to what came before.

use std::{mem, pin::Pin};

use bytes::{Buf, Bytes};
use futures_util::{Stream, StreamExt};
use lote_client::{ByteStream, ResponseValue};
use reqwest::{
    StatusCode,
    header::{CONTENT_RANGE, ETAG, HeaderMap, HeaderValue},
};

use super::sum::{Kind, Sum};
use crate::{Client, Error, FileId, call};

type Bodies = Pin<Box<dyn Stream<Item = reqwest::Result<Bytes>> + Send + Sync>>;

/// What came next.
pub(super) enum Next {
    Bytes(Bytes),
    /// The sum of what was given out before, as it came again. It comes once more, and nothing else, until
    /// [`Source::is_same`] or [`Source::differs`].
    Again(Sum),
    End,
}

/// The bytes of one file, over as many answers as it takes.
pub(super) struct Source {
    /// The body of the present answer; `None` after a break.
    body: Option<Bodies>,
    length: Option<u64>,
    entity_tag: Option<HeaderValue>,
    given: u64,
    /// What is made of bytes that come again, to be compared with what was made of them before.
    kind: Kind,
    /// What an answer from the start repeats.
    repeated: Option<Repeated>,
    /// What came with the last of that.
    rest: Bytes,
    /// Whether the service was seen not to know ranges, or not to say of which file a part is.
    whole_only: bool,
    /// Whether the hash of all of it is compared at the end, so that a part needs no other proof.
    hashed: bool,
}

/// Bytes that were given out before, and come again.
struct Repeated {
    left: u64,
    sum: Sum,
}

impl Repeated {
    /// Takes what was given out before off the beginning of these bytes.
    fn take(&mut self, mut bytes: Bytes) -> Bytes {
        let old = bytes.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.sum.update(&bytes[..old]);
        self.left -= old as u64;
        bytes.advance(old);
        bytes
    }
}

impl Source {
    pub(super) fn new(answer: ResponseValue<ByteStream>) -> Self {
        Self {
            length: answer.content_length(),
            entity_tag: entity_tag(answer.headers()),
            body: Some(answer.into_inner_stream()),
            given: 0,
            kind: Kind::Crc32,
            repeated: None,
            rest: Bytes::new(),
            whole_only: false,
            hashed: false,
        }
    }

    /// The hash of all of it is known, and compared at the end.
    pub(super) fn set_hashed(&mut self) {
        self.hashed = true;
    }

    /// Whether a part could be shown to be one of this file.
    pub(super) fn proves_parts(&self) -> bool {
        self.entity_tag.is_some() || self.hashed
    }

    /// The strong entity tag of the file.
    pub(super) fn entity_tag(&self) -> Option<&str> {
        self.entity_tag.as_ref().and_then(|tag| tag.to_str().ok())
    }

    /// How many bytes were given out.
    pub(super) fn given(&self) -> u64 {
        self.given
    }

    /// Which sum is made of what comes again.
    pub(super) fn compare_by(&mut self, kind: Kind) {
        if self.kind != kind && self.repeated.is_some() {
            // It is begun with the other one.
            self.leave();
        }
        self.kind = kind;
    }

    /// Goes on behind bytes that were given out by another call.
    pub(super) fn go_on_behind(&mut self, given: u64) {
        self.leave();
        self.given = given;
    }

    /// What came again is what was given out before.
    pub(super) fn is_same(&mut self) {
        self.repeated = None;
    }

    /// It is not.
    pub(super) fn differs(&mut self) -> Error {
        self.leave();
        changed("what it began with is not the same as before")
    }

    /// Leaves the present answer: the next call takes the content up again.
    fn leave(&mut self) {
        (self.body, self.repeated, self.rest) = (None, None, Bytes::new());
    }

    pub(super) fn length(&self) -> Option<u64> {
        self.length
    }

    /// The next bytes or the end. After an error the next call takes the content up again where it broke off, also when
    /// a call was dropped in the middle.
    pub(super) async fn next(&mut self, client: &Client, id: &FileId) -> Result<Next, Error> {
        loop {
            if let Some(Repeated { left: 0, sum }) = &self.repeated {
                return Ok(Next::Again(sum.clone()));
            }
            if !self.rest.is_empty() {
                let rest = mem::take(&mut self.rest);
                return Ok(self.give(rest));
            }
            let body = match &mut self.body {
                Some(body) => body,
                None => {
                    let answer = self.reopen(client, id).await?;
                    self.body.insert(answer)
                }
            };
            match body.next().await {
                Some(Ok(bytes)) => match &mut self.repeated {
                    Some(repeated) => self.rest = repeated.take(bytes),
                    None if bytes.is_empty() => {}
                    None => return Ok(self.give(bytes)),
                },
                Some(Err(error)) => return Err(self.broken(call::transport(client.shared(), error))),
                None => return self.end().map_err(|error| self.broken(error)),
            }
        }
    }

    fn broken(&mut self, error: Error) -> Error {
        self.leave();
        error
    }

    fn give(&mut self, bytes: Bytes) -> Next {
        self.given += bytes.len() as u64;
        Next::Bytes(bytes)
    }

    fn end(&self) -> Result<Next, Error> {
        match self.length {
            Some(length) if length != self.given => {
                Err(Error::undecodable(format!("it has {} bytes, but the service announced {length}", self.given)))
            }
            _ if self.repeated.is_some() => Err(changed("it has become shorter")),
            _ => Ok(Next::End),
        }
    }

    async fn reopen(&mut self, client: &Client, id: &FileId) -> Result<Bodies, Error> {
        let shared = client.shared();
        // With neither entity tag nor hash a rest could be another file's: read from the start and compare.
        let ranged = self.given > 0 && !self.whole_only && self.proves_parts();
        let (given, doing) = (self.given, "go on where it broke off");
        let mut answer = None;
        if ranged {
            let rest = shared.downloads()?.get_file_content_from(id.as_str(), given, self.entity_tag.as_ref()).await;
            match call::map_error(shared, doing, rest).await {
                Err(error) if error.status() == Some(416) => self.whole_only = true,
                rest => {
                    let rest = rest?;
                    let is_part = rest.status() == StatusCode::PARTIAL_CONTENT;
                    // A service may ignore If-Range, and then sends a part of whatever the file is by now.
                    if is_part && !self.hashed && entity_tag(rest.headers()).is_none() {
                        self.whole_only = true;
                    } else {
                        answer = Some(rest);
                    }
                }
            }
        }
        let answer = match answer {
            Some(answer) => answer,
            None => {
                let whole = shared.downloads()?.get_file_content(id.as_str()).await;
                call::map_error(shared, doing, whole).await?
            }
        };
        let (status, headers) = (answer.status(), answer.headers());
        let new_tag = entity_tag(headers);
        if self.entity_tag.is_some() && new_tag.is_some() && self.entity_tag != new_tag {
            return Err(changed("its entity tag is another"));
        }
        self.repeated = None;
        if status == StatusCode::PARTIAL_CONTENT {
            let (first, total) = range_of(headers).unwrap_or_default();
            if first != Some(given) || (total.is_some() && self.length.is_some() && total != self.length) {
                return Err(changed("the service sent another part than was asked for"));
            }
        } else {
            let length = answer.content_length();
            if length.is_some() && self.length.is_some() && length != self.length {
                return Err(changed("its length is another"));
            }
            if given > 0 {
                self.repeated = Some(Repeated { left: given, sum: self.kind.empty() });
            }
        }
        Ok(answer.into_inner_stream())
    }
}

fn changed(how: &str) -> Error {
    Error::changed(format!("the file has changed while it was fetched: {how}; fetch it again"))
}

/// A strong entity tag: a weak one does not vouch for bytes.
fn entity_tag(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(ETAG).filter(|tag| tag.as_bytes().starts_with(b"\"")).cloned()
}

/// The first byte and the whole length of `bytes 5-9/10`, of which either may be unknown.
fn range_of(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let (part, whole) = headers.get(CONTENT_RANGE)?.to_str().ok()?.trim().strip_prefix("bytes ")?.split_once('/')?;
    Some((part.split('-').next()?.trim().parse().ok(), whole.trim().parse().ok()))
}
