//! The answer files between the two times that they are read. However many there are, a bounded number is open at once:
//! the others are opened again when something of them is needed, and must be the files that they were then.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Bounds, JoinError, Named};
use crate::open::{Damage, Seekable, seekable, spool};
use crate::read_at::read_exact_at;

/// A file of answers.
pub(super) struct AnswerFile {
    /// The file, as it is called.
    pub(super) path: PathBuf,
    pub(super) name: String,
    /// Its compressed data is damaged, not cut off: bytes may be other ones than were written.
    pub(super) is_doubtful: bool,
    content: Content,
}

/// Where the content of a file stands.
enum Content {
    /// In the file itself.
    File { at: PathBuf, state: State, open: Option<File> },
    /// Decompressed, from this place on in the file that all such content is in.
    Spooled(u64),
}

/// By what a file is known again.
#[derive(Debug, Clone, PartialEq, Eq)]
struct State {
    length: u64,
    modified: Option<SystemTime>,
    identity: Option<(u64, u64)>,
}

impl State {
    fn of(found: &fs::Metadata) -> Self {
        #[cfg(unix)]
        let identity = {
            use std::os::unix::fs::MetadataExt as _;
            Some((found.dev(), found.ino()))
        };
        #[cfg(not(unix))]
        let identity = None;
        Self { length: found.len(), modified: found.modified().ok(), identity }
    }
}

/// All of them.
pub(super) struct AnswerFiles {
    files: Vec<AnswerFile>,
    /// Where temporary files are made.
    folder: PathBuf,
    /// How many files are open at once, at the most.
    most: usize,
    open: usize,
    /// The file that was opened last, which is closed for the next one: a pass over more files than may be open then finds
    /// all others open.
    last: Option<usize>,
    /// What compressed files hold, one after another, in a temporary file without a name, and how many bytes that are.
    spool: Option<(File, u64)>,
}

impl AnswerFiles {
    /// No files yet.
    pub(super) fn new(bounds: &Bounds) -> Self {
        let (folder, most) = (bounds.folder.clone(), bounds.open.max(1));
        Self { files: Vec::new(), folder, most, open: 0, last: None, spool: None }
    }

    /// Opens another file to be read from its beginning to its end; and what is wrong with its compressed data.
    pub(super) fn add(&mut self, answers: Named<'_>) -> Result<(u32, impl BufRead + use<>, Option<Damage>), JoinError> {
        let path = answers.shown();
        let read = |error| JoinError::read(path, error);
        let at = self.files.len();
        let number = u32::try_from(at).map_err(|_| read(io::Error::other("there are too many files")))?;
        let mut file = AnswerFile {
            path: path.to_owned(),
            name: path.display().to_string(),
            is_doubtful: false,
            content: Content::Spooled(0),
        };
        let (reader, length, damage) = match seekable(answers.path).map_err(read)? {
            Seekable::Itself(opened) => {
                let state = State::of(&opened.metadata().map_err(read)?);
                let reader = opened.try_clone().map_err(read)?;
                file.content = Content::File { at: answers.path.to_owned(), state, open: None };
                self.files.push(file);
                self.keep_open(at, opened);
                (reader, u64::MAX, None)
            }
            Seekable::Compressed(compressed) => {
                let (mut to, start) = match self.spool.take() {
                    Some(spool) => spool,
                    None => (tempfile::tempfile_in(&self.folder).map_err(|error| self.temporary(error))?, 0),
                };
                to.seek(SeekFrom::Start(start)).map_err(|error| self.temporary(error))?;
                let (length, damage) =
                    spool(compressed, &mut to).map_err(read)?.map_err(|error| self.temporary(error))?;
                to.seek(SeekFrom::Start(start)).map_err(|error| self.temporary(error))?;
                let reader = to.try_clone().map_err(|error| self.temporary(error))?;
                self.spool = Some((to, start + length));
                file.content = Content::Spooled(start);
                file.is_doubtful = damage.as_ref().is_some_and(|damage| !damage.is_cut());
                self.files.push(file);
                (reader, length, damage)
            }
        };
        Ok((number, BufReader::with_capacity(super::AHEAD, reader.take(length)), damage))
    }

    pub(super) fn get(&self, number: u32) -> Option<&AnswerFile> {
        self.files.get(number as usize)
    }

    /// What a file is called.
    pub(super) fn name(&self, number: u32) -> &str {
        self.get(number).map_or("", |file| &file.name)
    }

    /// Fills the buffer with what stands from this place of a file on.
    pub(super) fn read_at(&mut self, number: u32, buffer: &mut [u8], offset: u64) -> Result<(), JoinError> {
        let Some(AnswerFile { path, content, .. }) = self.files.get(number as usize) else { return Ok(()) };
        let (at, state) = match content {
            Content::Spooled(start) => {
                let read =
                    self.spool.as_ref().map_or(Ok(()), |(spool, _)| read_exact_at(spool, buffer, start + offset));
                return read.map_err(|error| self.temporary(error));
            }
            Content::File { open: Some(open), .. } => return fill(open, buffer, offset, path),
            Content::File { at, state, open: None } => (at, state),
        };
        let read = |error| JoinError::read(path, error);
        let opened = File::open(at).map_err(read)?;
        if State::of(&opened.metadata().map_err(read)?) != *state {
            return Err(changed(path, io::ErrorKind::Other));
        }
        fill(&opened, buffer, offset, path)?;
        self.keep_open(number as usize, opened);
        Ok(())
    }

    /// Leaves this file open, and closes another one if there are too many.
    fn keep_open(&mut self, at: usize, file: File) {
        if self.open == self.most
            && let Some(last) = self.last
            && let Some(Content::File { open, .. }) = self.files.get_mut(last).map(|file| &mut file.content)
        {
            *open = None;
            self.open -= 1;
        }
        if let Some(Content::File { open, .. }) = self.files.get_mut(at).map(|file| &mut file.content) {
            *open = Some(file);
            self.open += 1;
            self.last = Some(at);
        }
    }

    #[cfg(test)]
    pub(super) fn open_now(&self) -> usize {
        let is_open = |file: &&AnswerFile| matches!(file.content, Content::File { open: Some(_), .. });
        self.files.iter().filter(is_open).count()
    }

    fn temporary(&self, source: io::Error) -> JoinError {
        JoinError::Temporary { folder: self.folder.clone(), source }
    }
}

/// Fills the buffer with what stands from this place on, which was there before.
fn fill(file: &File, buffer: &mut [u8], offset: u64, path: &Path) -> Result<(), JoinError> {
    read_exact_at(file, buffer, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => changed(path, io::ErrorKind::UnexpectedEof),
        _ => JoinError::read(path, error),
    })
}

fn changed(path: &Path, kind: io::ErrorKind) -> JoinError {
    JoinError::read(path, io::Error::new(kind, "the file was changed while it was read; join again"))
}
