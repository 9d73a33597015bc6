//! The content of a file as it is downloaded: a stream that is taken up again where it breaks off.

mod part;
mod source;
mod sum;
mod writer;

use std::{fmt, io, path::Path, time::Duration};

use bytes::Bytes;
use lote_client::{ByteStream, ResponseValue};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use crate::{
    Cadence, Client, Error, FileId, Tolerance,
    deadline::Deadline,
    policy::{Pauses, Trouble},
    save::{self, AtomicFile, Stored, Target},
};
use part::{Label, Part};
use source::{Next, Source};
use sum::{Kind, Sum};
use writer::Writer;

type OnTrouble = dyn FnMut(&Error) + Send + Sync;

/// The bytes of a file, as they arrive.
///
/// A download that breaks off is taken up again: with a Range request, or from the start where the service does not
/// know ranges, and then what came before is compared, not given out twice. How often is the client's
/// [`Retry`](crate::Retry), counted anew whenever bytes have come, or the [`tolerance`](Self::tolerance) set here.
pub struct Content {
    client: Client,
    id: FileId,
    source: Source,
    tolerance: Tolerance,
    trouble: Trouble,
    pauses: Pauses,
    on_trouble: Option<Box<OnTrouble>>,
    expected: Expected,
    /// What is made of what was given out, but for what a [`Writer`] gets.
    sum: Sum,
    /// Whether all of it is there.
    ended: bool,
    deadline: Deadline,
}

/// What the content is verified against at its end.
enum Expected {
    Nothing,
    Sha256(String),
    /// What the service says then: a call that hangs must not hold up the bytes.
    AskService,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("id", &self.id).field("length", &self.length()).finish_non_exhaustive()
    }
}

impl Content {
    pub(crate) fn new(client: Client, id: FileId, answer: ResponseValue<ByteStream>) -> Self {
        let (tolerance, cadence) = client.shared().retry().while_reading();
        Self {
            source: Source::new(answer),
            tolerance,
            trouble: Trouble::default(),
            pauses: cadence.pauses(),
            on_trouble: None,
            expected: Expected::Nothing,
            sum: Kind::Crc32.empty(),
            ended: false,
            deadline: Deadline::default(),
            client,
            id,
        }
    }

    /// How many bytes there are, when the service says so.
    pub fn length(&self) -> Option<u64> {
        self.source.length()
    }

    /// Which breaks to survive, how many in a row and for how long.
    #[must_use]
    pub fn tolerance(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self.pauses = Cadence::new(Duration::from_millis(200), Duration::from_secs(10)).pauses();
        self
    }

    /// Called with every error that is survived.
    #[must_use]
    pub fn on_trouble(mut self, call: impl FnMut(&Error) + Send + Sync + 'static) -> Self {
        self.on_trouble = Some(Box::new(call));
        self
    }

    /// Verifies at the end that the content has this SHA-256, in hexadecimal digits, such as [`File::sha256`]. To be said
    /// before the first bytes are taken, which are not hashed else: later the end is an error.
    ///
    /// [`File::sha256`]: crate::File::sha256
    #[must_use]
    pub fn verify_sha256(mut self, sha256: &str) -> Self {
        self.hash();
        self.expected = Expected::Sha256(sha256.to_owned());
        self.source.set_hashed();
        self
    }

    /// From now on all that comes is hashed, if nothing has come yet.
    fn hash(&mut self) {
        if self.source.given() == 0 {
            self.sum = Kind::Sha256.empty();
        }
    }

    /// Gives up at this instant.
    pub(crate) fn until(mut self, deadline: Deadline) -> Self {
        self.deadline = deadline;
        self
    }

    pub(crate) fn verify_by_service(mut self) -> Self {
        self.hash();
        self.expected = Expected::AskService;
        self
    }

    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    /// One that [`is_connection`](Error::is_connection) or [`is_timeout`](Error::is_timeout) when the content breaks off
    /// before its end once too often; [`is_undecodable`](Error::is_undecodable) when the file has changed meanwhile, or
    /// has not the length or the SHA-256 that it should have.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        self.chunk_for(None).await
    }

    /// The next bytes, for this writer if there is one.
    async fn chunk_for(&mut self, writer: Option<&mut Writer>) -> Result<Option<Bytes>, Error> {
        let deadline = self.deadline;
        let next = deadline.bound(self.next(writer)).await;
        next.map_err(|error| error.context(self.doing()))
    }

    async fn next(&mut self, mut writer: Option<&mut Writer>) -> Result<Option<Bytes>, Error> {
        self.source.compare_by(writer.as_ref().map_or(self.sum.kind(), |writer| writer.kind));
        loop {
            if self.ended {
                return self.verified(writer).await.map(|()| None);
            }
            let error = match self.source.next(&self.client, &self.id).await {
                Ok(Next::Bytes(bytes)) => {
                    self.trouble.over();
                    self.pauses.restart();
                    if writer.is_none() {
                        self.sum.update(&bytes);
                    }
                    return Ok(Some(bytes));
                }
                Ok(Next::Again(sum)) => {
                    if sum.is(&self.sum_so_far(&mut writer).await?) {
                        self.source.is_same();
                        continue;
                    }
                    self.source.differs()
                }
                Ok(Next::End) => {
                    self.ended = true;
                    continue;
                }
                Err(error) => error,
            };
            let error = self.trouble.take(&self.tolerance, error)?;
            if let Some(call) = &mut self.on_trouble {
                call(&error);
            }
            tokio::time::sleep(self.pauses.next(error.retry_after(), None)).await;
            self.ask_for_a_proof().await;
        }
    }

    /// Of all that was given out.
    async fn sum_so_far(&self, writer: &mut Option<&mut Writer>) -> Result<Sum, Error> {
        match writer {
            Some(writer) => writer.sum().await.map_err(|error| Error::path("save to", writer.path(), error)),
            None => Ok(self.sum.clone()),
        }
    }

    /// Before the rest is asked for: with a hash to compare at the end, a part will do where the service gives no entity
    /// tag.
    async fn ask_for_a_proof(&mut self) {
        if matches!(self.expected, Expected::AskService)
            && !self.source.proves_parts()
            && let Some(sha256) = self.client.files().look(&self.id).await.ok().and_then(|file| file.sha256)
        {
            self.expected = Expected::Sha256(sha256);
            self.source.set_hashed();
        }
    }

    async fn verified(&self, mut writer: Option<&mut Writer>) -> Result<(), Error> {
        let expected = match &self.expected {
            Expected::Nothing => None,
            Expected::Sha256(sha256) => Some(sha256.clone()),
            // A file whose details cannot be asked for can still be downloaded.
            Expected::AskService => self.client.files().look(&self.id).await.ok().and_then(|file| file.sha256),
        };
        let Some(expected) = expected else { return Ok(()) };
        let Some(found) = self.sum_so_far(&mut writer).await?.sha256() else {
            return Err(Error::invalid("its first bytes were taken before its SHA-256 was to be verified"));
        };
        if found.eq_ignore_ascii_case(&expected) {
            Ok(())
        } else {
            Err(Error::undecodable(format!("its SHA-256 is {found}, but the service says {expected}; fetch it again")))
        }
    }

    /// Writes all of it to `writer`, flushes, and says how many bytes there were.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when the writer refuses, else of [`chunk`](Self::chunk). What was written by then
    /// stays written: [`save`](Self::save) leaves nothing half done.
    pub async fn copy_to(mut self, writer: &mut (impl AsyncWrite + Unpin + ?Sized)) -> Result<u64, Error> {
        let refused = |id: &FileId, error| Error::io(format_args!("write the content of file {id}"), error);
        let mut written = 0;
        while let Some(chunk) = self.chunk().await? {
            writer.write_all(&chunk).await.map_err(|error| refused(&self.id, error))?;
            written += chunk.len() as u64;
        }
        writer.flush().await.map_err(|error| refused(&self.id, error))?;
        Ok(written)
    }

    /// Writes all of it to a file, which appears under its name only when it is whole, and says how many bytes it has.
    /// A file that is there is replaced then.
    ///
    /// What came before the service could be asked no more is kept beside it, under the file's name with `.lote-part`
    /// behind it; the next call for the same file goes on from there, if an entity tag or a hash shows that the file is
    /// still the same, and else from the start.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when the disk refuses, else of [`chunk`](Self::chunk). There is no new file then,
    /// and the one that was there is as it was.
    pub async fn save(self, path: impl AsRef<Path>) -> Result<u64, Error> {
        self.write_as(&Target::new(path.as_ref())).await.map(|(bytes, _)| bytes)
    }

    /// As [`save`](Self::save), and says what was written.
    pub(crate) async fn save_as(mut self, target: &Target) -> Result<Stored, Error> {
        self.hash();
        let (bytes, sum) = self.write_as(target).await?;
        match sum.and_then(|sum| sum.sha256()) {
            Some(sha256) => Ok(Stored { bytes, sha256 }),
            None => Err(Error::invalid("its first bytes were taken before it was to be hashed")),
        }
    }

    async fn write_as(mut self, target: &Target) -> Result<(u64, Option<Sum>), Error> {
        let path = target.path();
        let failed = |error: io::Error| Error::path("save to", path, error);
        save::sweep(save::folder(path));
        let atomic = target.begin().map_err(failed)?;
        let part = Part::of(&atomic.target());
        let in_file = self.source.given() == 0;
        let (mut atomic, part) =
            if in_file { self.take_up(atomic, part).await.map_err(failed)? } else { (atomic, part) };
        // No checksum is made of what is in the file: it can be read again.
        let sum = (!in_file || self.sum.kind() == Kind::Sha256).then(|| self.sum.clone());
        let mut writer = Writer::new(path, atomic.file().try_clone().map_err(failed)?, sum);
        loop {
            match self.chunk_for(Some(&mut writer)).await {
                Ok(None) => break,
                Ok(Some(bytes)) => writer.write(bytes).await.map_err(failed)?,
                Err(error) => {
                    if let Err(refused) = writer.end().await {
                        // The first error of the disk is the one to tell.
                        return Err(if error.is_io() { error } else { failed(refused) });
                    }
                    return Err(self.give_up(error, atomic, part).await.context(path.display()));
                }
            }
        }
        let sum = writer.end().await.map_err(failed)?;
        let commit = move || atomic.commit().map(|()| part.remove());
        tokio::task::spawn_blocking(commit).await.map_err(io::Error::other).and_then(|done| done).map_err(failed)?;
        Ok((self.source.given(), sum))
    }

    /// Begins with what an earlier call has kept, if it is of this file as it is now.
    async fn take_up(&mut self, mut atomic: AtomicFile, part: Part) -> io::Result<(AtomicFile, Part)> {
        let Some(label) = part.label().filter(|label| self.is_of_this(label)) else { return Ok((atomic, part)) };
        self.ask_for_a_proof().await;
        if !self.source.proves_parts() {
            return Ok((atomic, part));
        }
        let bytes = label.bytes;
        let copy = move || {
            let digest = part.copy_to(&label, atomic.file());
            digest.map(|digest| (atomic, part, digest))
        };
        let (atomic, part, digest) =
            tokio::task::spawn_blocking(copy).await.map_err(io::Error::other).and_then(|done| done)?;
        if let Some(digest) = digest {
            self.source.go_on_behind(bytes);
            if self.sum.kind() == Kind::Sha256 {
                self.sum = digest;
            }
        }
        Ok((atomic, part))
    }

    fn is_of_this(&self, label: &Label) -> bool {
        let all_there = self.length().is_some_and(|length| label.bytes >= length);
        // With another entity tag it is another file; without any, the hash at the end tells.
        let same_tag = self.source.entity_tag().is_none() || self.source.entity_tag() == label.entity_tag.as_deref();
        label.base_url == self.client.base_url()
            && label.file_id == self.id.as_str()
            && label.bytes > 0
            && !all_there
            && same_tag
    }

    /// Keeps what came, if it is worth something, and tells so.
    async fn give_up(&self, error: Error, mut atomic: AtomicFile, part: Part) -> Error {
        let given = self.source.given();
        if error.is_undecodable() {
            // What is kept is not of the file that is there now.
            part.remove();
            return error;
        }
        if given == 0 {
            return error;
        }
        let of = self.length().map_or_else(|| "an unknown number of".to_owned(), |length| length.to_string());
        let (base_url, file_id) = (self.client.base_url().to_owned(), self.id.as_str().to_owned());
        let entity_tag = self.source.entity_tag().map(str::to_owned);
        let bytes = part.bytes.clone();
        let keep = move || {
            let Stored { bytes, sha256 } = atomic.stored()?;
            if bytes != given {
                return Err(io::Error::other("not all of it is in the file"));
            }
            part.keep(&Label { base_url, file_id, entity_tag, bytes, sha256 }, atomic)
        };
        match tokio::task::spawn_blocking(keep).await {
            Ok(Ok(())) => error.and(format_args!(
                "{given} of {of} bytes are kept in {}; fetch file {} to the same place again to go on",
                bytes.display(),
                self.id
            )),
            _ => error.and(format_args!("{given} of {of} bytes had come, and could not be kept")),
        }
    }

    fn doing(&self) -> String {
        format!("content of file {}", self.id)
    }
}
