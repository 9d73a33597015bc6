//! Owns the index over the answer files: for each custom_id, where its best answer stands. It keeps
//! no text of any answer, and proves nothing: who fetches an answer compares its custom_id.
//!
//! A line that cannot be read stands for the custom_id that is legible in it, until a whole one is
//! found for the same.

use std::collections::hash_map;
use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::PathBuf;

use super::{JoinError, Named};
use crate::anomaly::{Anomalies, AnomalyCode};
use crate::answer::{Answer, OutcomeKind};
use crate::ids::{IdHasher, IdMap};
use crate::open::open_seekable;
use crate::scan;

/// Where an answer stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    pub(super) file: u32,
    pub(super) line: u64,
    offset: u64,
    pub(super) length: u64,
}

/// What is preferred of two lines for one custom_id: the later in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Worth {
    Unreadable,
    /// A whole line without an answer.
    Whole,
    /// An answer that was cut off, or of which content was held back.
    Short,
    Succeeded,
}

/// What is known of a custom_id.
#[derive(Debug, Clone, Copy)]
struct Entry {
    found: Found,
    worth: Worth,
    /// Whether a request line has asked for it.
    asked: bool,
    /// Whether several whole lines answer it.
    twice: bool,
}

/// What there is for a request line.
pub(super) enum Taken {
    /// Another request line had the same custom_id.
    Before,
    /// No answer.
    Nothing,
    /// An answer.
    Answer(Found),
    /// Several answers, one of which may be that to another request.
    Doubtful(Found),
    /// A line that cannot be read.
    Unreadable(Found),
}

pub(super) struct Index {
    max_line_bytes: usize,
    files: Vec<AnswerFile>,
    hasher: IdHasher,
    entries: IdMap<Entry>,
    /// Lines of the files that are not blank.
    lines: u64,
    /// The first file that holds no lines of JSON at all, or not all of them, and what it is.
    lost: Option<(String, String)>,
    damaged_files: u64,
}

struct AnswerFile {
    path: PathBuf,
    name: String,
    /// The file, or what it holds decompressed. Not buffered: answers stand in another order than the requests, so nearly
    /// every read jumps.
    reader: File,
    /// Its compressed data is damaged, not cut off: bytes may be other ones than were written.
    doubtful: bool,
}

impl AnswerFile {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.reader.seek(SeekFrom::Start(offset))?;
        self.reader.read_exact(buffer)
    }
}

impl Index {
    /// An index of no files yet. A line that is longer than this is unreadable, and is not held.
    pub(super) fn new(max_line_bytes: usize) -> Self {
        Self {
            max_line_bytes,
            files: Vec::new(),
            hasher: IdHasher::default(),
            entries: IdMap::default(),
            lines: 0,
            lost: None,
            damaged_files: 0,
        }
    }

    /// Reads a file of answers and keeps where the best answer to each custom_id stands.
    pub(super) fn add(&mut self, answers: Named<'_>, anomalies: &mut Anomalies) -> Result<(), JoinError> {
        let path = answers.shown();
        let (reader, damage) = open_seekable(answers.path).map_err(|error| JoinError::read(path, error))?;
        let name = path.display().to_string();
        let file = self.files.len() as u32;
        let scanned = reader.try_clone().map_err(|error| JoinError::read(path, error))?;
        let scanned = BufReader::with_capacity(1 << 16, scanned);
        let doubtful = damage.as_ref().is_some_and(|damage| !damage.is_cut());
        let path_of = path.to_owned();
        self.files.push(AnswerFile { path: path_of, name: name.clone(), reader, doubtful });
        let Self { files, hasher, entries, max_line_bytes, .. } = self;
        let max_line_bytes = *max_line_bytes;
        let duplicate = |loser: Found, winner: Found, id: &str, anomalies: &mut Anomalies| {
            let message = format!(
                "custom_id was answered twice; taken was {}, line {}",
                files[winner.file as usize].name, winner.line
            );
            let code = AnomalyCode::DuplicateCustomId;
            let name = &files[loser.file as usize].name;
            anomalies.push(name, loser.line, Some(id), code, message);
        };
        let mut visit = |place: scan::Place, read: scan::Read<'_, '_>, anomalies: &mut Anomalies| {
            let found = Found { file, line: place.line, offset: place.offset, length: place.length };
            let (id, worth) = match read {
                Ok(answer) if answer.outcome() == OutcomeKind::Succeeded => {
                    let short = answer.shortfall();
                    let worth = if short.cut_off || short.filtered { Worth::Short } else { Worth::Succeeded };
                    (answer.custom_id.as_ref(), worth)
                }
                // What an earlier join wrote in place of an answer gives way to one.
                Ok(answer) if matches!(answer.outcome(), OutcomeKind::Missing | OutcomeKind::Unreadable) => {
                    (answer.custom_id.as_ref(), Worth::Unreadable)
                }
                Ok(answer) => (answer.custom_id.as_ref(), Worth::Whole),
                Err(error) => match error.custom_id() {
                    Some(id) => (id, Worth::Unreadable),
                    None => return,
                },
            };
            let entry = Entry { found, worth, asked: false, twice: false };
            let known = match entries.entry(hasher.hash(id)) {
                hash_map::Entry::Vacant(vacant) => {
                    vacant.insert(entry);
                    return;
                }
                hash_map::Entry::Occupied(occupied) => occupied.into_mut(),
            };
            let twice = known.twice;
            let loser = if worth > known.worth { std::mem::replace(known, entry) } else { entry };
            known.twice = twice || loser.worth != Worth::Unreadable;
            // An unreadable line is among the anomalies already.
            if loser.worth != Worth::Unreadable {
                duplicate(loser.found, known.found, id, anomalies);
            }
        };
        let scanned = scan::answers(&name, scanned, max_line_bytes, damage, anomalies, &mut visit);
        let scanned = scanned.map_err(|error| JoinError::read(path, error))?;
        self.lines += scanned.lines;
        self.damaged_files += u64::from(scanned.damage.is_some());
        let lost = scanned.foreign.or(scanned.damage.map(|damage| damage.to_string()));
        if let (Some(what), None) = (lost, &self.lost) {
            self.lost = Some((name, what));
        }
        Ok(())
    }

    /// The first file that holds no lines of JSON at all or whose compressed data is damaged, and what it is: the answer to
    /// a request may have been in what is lost.
    pub(super) fn lost(&self) -> Option<&(String, String)> {
        self.lost.as_ref()
    }

    pub(super) fn damaged_files(&self) -> u64 {
        self.damaged_files
    }

    /// The answer to a custom_id, marked as asked for.
    pub(super) fn take(&mut self, custom_id: &str) -> Taken {
        let nothing = Found { file: u32::MAX, line: 0, offset: 0, length: 0 };
        let hash = self.hasher.hash(custom_id);
        match self.entries.get_mut(&hash) {
            Some(entry) if entry.asked => Taken::Before,
            Some(entry) => {
                entry.asked = true;
                match entry.worth {
                    Worth::Unreadable => Taken::Unreadable(entry.found),
                    _ if entry.twice && self.files[entry.found.file as usize].doubtful => Taken::Doubtful(entry.found),
                    Worth::Whole | Worth::Short | Worth::Succeeded => Taken::Answer(entry.found),
                }
            }
            None => {
                let entry = Entry { found: nothing, worth: Worth::Unreadable, asked: true, twice: false };
                self.entries.insert(hash, entry);
                Taken::Nothing
            }
        }
    }

    /// Whether a line is longer than what is held.
    pub(super) fn is_too_long(&self, found: Found) -> bool {
        found.length > self.max_line_bytes as u64
    }

    /// Reads the bytes of an answer into `buffer`.
    pub(super) fn fetch(&mut self, found: Found, buffer: &mut Vec<u8>) -> Result<(), JoinError> {
        let file = &mut self.files[found.file as usize];
        buffer.resize(found.length as usize, 0);
        let read = file.read_at(found.offset, buffer);
        read.map_err(|error| JoinError::read(&file.path, error))
    }

    /// How many lines the files have that are not blank.
    pub(super) fn lines(&self) -> u64 {
        self.lines
    }

    pub(super) fn name(&self, file: u32) -> &str {
        &self.files[file as usize].name
    }

    /// Reports the answers that no request line asked for, in the order of the files.
    pub(super) fn foreign(&mut self, anomalies: &mut Anomalies, buffer: &mut Vec<u8>) -> Result<(), JoinError> {
        let entries = self.entries.values().filter(|entry| !entry.asked && entry.worth != Worth::Unreadable);
        let mut foreign: Vec<Found> = entries.map(|entry| entry.found).collect();
        foreign.sort_by_key(|found| (found.file, found.line));
        for (index, found) in foreign.iter().enumerate() {
            if anomalies.is_full() {
                anomalies.omit((foreign.len() - index) as u64);
                break;
            }
            self.fetch(*found, buffer)?;
            let id = Answer::parse(buffer).ok().map(|answer| answer.custom_id);
            let message = "no request line has this custom_id";
            let code = AnomalyCode::ForeignCustomId;
            let (file, line) = (self.name(found.file), found.line);
            anomalies.push(file, line, id.as_deref(), code, message);
        }
        Ok(())
    }
}
