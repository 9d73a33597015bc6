//! Writes request lines to a file that is whole or not there, one line at a time.

use std::{
    fmt,
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
};

use super::{RequestLine, custom_id};
use crate::{
    Error,
    lines::CustomIds,
    save::{self, AtomicFile},
    text::shortened,
};

/// A file of request lines on its way to its name: it appears, synced to disk, when it is [finished](Self::finish), and
/// leaves nothing when it is dropped before.
///
/// What every service refuses is refused here: a `custom_id` that was used before, and a second endpoint. Memory grows
/// by less than 50 bytes a line.
///
/// ```
/// use lote::request::{Embeddings, RequestFile};
///
/// # let folder = tempfile::tempdir()?;
/// # let path = folder.path().join("requests.jsonl");
/// let mut file = RequestFile::create(&path)?.portable_ids();
/// for (id, text) in [("a", "some words"), ("b", "other words")] {
///     file.push(&Embeddings::new("text-embedding-3-small").input(text).line(id)?)?;
/// }
/// let again = Embeddings::new("text-embedding-3-small").input("more").line("a")?;
/// assert!(file.push(&again).is_err());
/// assert_eq!(file.finish()?.lines, 2);
/// assert_eq!(std::fs::read_to_string(&path)?.lines().count(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct RequestFile {
    atomic: AtomicFile,
    out: BufWriter<File>,
    ids: CustomIds,
    portable: bool,
    /// A line may stand there in part: nothing may follow it.
    broken: bool,
    buffer: Vec<u8>,
    written: Written,
}

/// What a [`RequestFile`] holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Written {
    /// The file.
    pub path: PathBuf,
    /// How many request lines it has.
    pub lines: u64,
    /// How many bytes it has.
    pub bytes: u64,
    /// The endpoint that all of its lines are for; none before the first line.
    pub endpoint: Option<String>,
}

impl fmt::Debug for RequestFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestFile").field("written", &self.written).finish_non_exhaustive()
    }
}

impl RequestFile {
    /// Begins a file. One that is there is replaced at the end.
    ///
    /// # Errors
    /// One that [`is_io`](Error::is_io) when nothing can be written there.
    pub fn create(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        let failed = |error| Error::path("write request lines to", path, error);
        save::sweep(save::folder(path));
        let mut atomic = AtomicFile::new(path).map_err(failed)?;
        let out = atomic.file().try_clone().map_err(failed)?;
        Ok(Self {
            atomic,
            out: BufWriter::with_capacity(256 << 10, out),
            ids: CustomIds::default(),
            portable: false,
            broken: false,
            buffer: Vec::new(),
            written: Written { path: path.to_owned(), lines: 0, bytes: 0, endpoint: None },
        })
    }

    /// Refuses every `custom_id` that is not in the [portable form](super::CustomId), which some services ask for.
    #[must_use]
    pub fn portable_ids(mut self) -> Self {
        self.portable = true;
        self
    }

    /// Adds a line. A line that is refused leaves the file as it was.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when the `custom_id` is empty, was used before or is not portable,
    /// or the endpoint is another than that of the lines before; one that [`is_io`](Error::is_io) when the disk
    /// refuses, after which the file cannot be finished.
    pub fn push(&mut self, line: &RequestLine) -> Result<(), Error> {
        self.check(line)?;
        self.buffer.clear();
        line.write_to(&mut self.buffer).map_err(|error| self.failed(error))?;
        if !self.ids.insert(&line.custom_id) {
            let problem = "it was used before; make it unique within the file";
            return Err(Error::invalid(format!("custom_id {:?}: {problem}", shortened(&line.custom_id, 100))));
        }
        if let Err(error) = self.out.write_all(&self.buffer) {
            self.broken = true;
            return Err(self.failed(error));
        }
        self.written.lines += 1;
        self.written.bytes += self.buffer.len() as u64;
        if self.written.endpoint.is_none() {
            self.written.endpoint = Some(line.url.clone());
        }
        Ok(())
    }

    /// What was written so far.
    pub fn written(&self) -> &Written {
        &self.written
    }

    /// Makes the file durable and gives it its name.
    ///
    /// # Errors
    /// One that [`is_invalid`](Error::is_invalid) when there is no line, which every service refuses; one that
    /// [`is_io`](Error::is_io) when the disk refuses. There is no new file then.
    pub fn finish(mut self) -> Result<Written, Error> {
        if self.broken {
            return Err(self.failed(std::io::Error::other("an earlier line was written in part")));
        }
        if self.written.lines == 0 {
            let path = self.written.path.display();
            return Err(Error::invalid(format!("{path}: there is no request line; push one before the end")));
        }
        self.out.flush().map_err(|error| self.failed(error))?;
        let Self { atomic, out, written, .. } = self;
        // Renaming an open file fails on some systems.
        drop(out);
        match atomic.commit() {
            Ok(()) => Ok(written),
            Err(error) => Err(Error::path("write request lines to", &written.path, error)),
        }
    }

    fn check(&self, line: &RequestLine) -> Result<(), Error> {
        let id = &line.custom_id;
        if id.is_empty() {
            return Err(Error::invalid(
                "custom_id is empty; answers are told apart by it alone, so give each line its own",
            ));
        }
        if self.portable
            && let Some(fault) = custom_id::fault(id)
        {
            return Err(Error::invalid(format!(
                "custom_id {:?}: {fault}; derive one with CustomId::from_key",
                shortened(id, 100)
            )));
        }
        match &self.written.endpoint {
            Some(endpoint) if *endpoint != line.url => Err(Error::invalid(format!(
                "request line {id:?}: url {:?} differs from {endpoint:?} of the lines before; write one file for each endpoint",
                line.url
            ))),
            _ => Ok(()),
        }
    }

    fn failed(&self, error: std::io::Error) -> Error {
        Error::path("write request lines to", &self.written.path, error)
    }
}
