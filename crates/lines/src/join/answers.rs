//! The first reading of the answer files: each answer is proved, and what is kept of it is sorted by the hash of its
//! custom_id. No text of an answer is kept.
//!
//! A line that cannot be read stands for the custom_id that is legible in it, until a whole one is found for the same.

use std::io;

use super::facts::{FACTS, Facts, Found, Plain, Worth, is_small};
use super::files::AnswerFiles;
use super::{Bounds, JoinError, Named};
use crate::anomaly::Anomalies;
use crate::answer::{Answer, OutcomeKind};
use crate::ids::IdHasher;
use crate::scan;
use crate::sorter::Sorter;

/// How many names of models are known; an answer of another is looked at again.
const MODELS: usize = 255;

/// The longest name of a model that is known.
const LONGEST_MODEL: usize = 200;

/// The hash of a custom_id, how many answers were read before, and what is kept of the answer.
pub(super) type Entry = [u64; 3 + FACTS];

/// The answer files, as they were read once.
pub(super) struct Answers {
    max_line_bytes: usize,
    hasher: IdHasher,
    pub(super) files: AnswerFiles,
    /// What is kept of each answer.
    pub(super) entries: Sorter<{ 3 + FACTS }>,
    pub(super) models: Vec<String>,
    /// Answers, and lines that stand for one.
    read: u64,
    /// Lines of the files that are not blank.
    pub(super) lines: u64,
    /// The first file that holds no lines of JSON at all, or not all of them, and what it is: the answer to a request may
    /// have been in what is lost.
    pub(super) lost: Option<(String, String)>,
    pub(super) damaged_files: u64,
}

impl Answers {
    /// No files yet.
    pub(super) fn new(bounds: &Bounds, hasher: IdHasher) -> Self {
        Self {
            max_line_bytes: bounds.max_line_bytes,
            hasher,
            files: AnswerFiles::new(bounds),
            entries: Sorter::new(bounds.spill(bounds.answers)),
            models: Vec::new(),
            read: 0,
            lines: 0,
            lost: None,
            damaged_files: 0,
        }
    }

    /// Reads a file of answers. What cannot be kept of them is the inner error.
    pub(super) fn add(
        &mut self,
        answers: Named<'_>,
        anomalies: &mut Anomalies<'_>,
    ) -> Result<io::Result<()>, JoinError> {
        let path = answers.shown();
        let read = |error| JoinError::read(path, error);
        let (number, reader, damage) = self.files.add(answers)?;
        let name = path.display().to_string();
        let max_line_bytes = self.max_line_bytes;
        let mut kept = Ok(());
        let mut visit =
            |place: scan::Place, bytes: Option<&[u8]>, read: scan::Read<'_, '_>, anomalies: &mut Anomalies<'_>| {
                if kept.is_ok() {
                    kept = self.keep(number, place, bytes, read);
                }
                anomalies.at(self.read);
            };
        let scanned = scan::answers(&name, reader, max_line_bytes, damage, anomalies, &mut visit);
        let scanned = scanned.map_err(read)?;
        self.lines += scanned.lines;
        self.damaged_files += u64::from(scanned.damage.is_some());
        let lost = scanned.foreign.or(scanned.damage.map(|damage| damage.to_string())).or(scanned.wrapped);
        if let (Some(what), None) = (lost, &self.lost) {
            self.lost = Some((name, what));
        }
        Ok(kept)
    }

    fn keep(
        &mut self,
        file: u32,
        place: scan::Place,
        bytes: Option<&[u8]>,
        read: scan::Read<'_, '_>,
    ) -> io::Result<()> {
        let (id, worth) = match &read {
            Ok(answer) => (Some(answer.custom_id.as_ref()), worth(answer)),
            Err(error) => (error.custom_id(), Worth::Unreadable),
        };
        let Some(id) = id else { return Ok(()) };
        let found = Found { file, line: place.line, offset: place.offset, length: place.length };
        let has_succeeded = matches!(worth, Worth::Short | Worth::Succeeded);
        let (mut usage, mut model, mut plain) = (None, None, None);
        if let Ok(answer) = read {
            let seen = answer.seen();
            let is_known;
            (model, is_known) = match seen.model.as_deref() {
                Some(name) => {
                    let number = self.model(name);
                    (number, number.is_some())
                }
                None => (None, true),
            };
            usage = seen.usage.filter(is_small);
            // What need not be read again of it.
            let is_kept = has_succeeded && is_known && usage.is_some() == seen.usage.is_some();
            let pieces = bytes.filter(|_| is_kept).and_then(|bytes| answer.pieces(bytes));
            plain = pieces.map(|pieces| Plain { pieces, shortfall: seen.shortfall });
        }
        let facts = Facts { found, worth, sum: bytes.map(crc32fast::hash), usage, model, plain };
        let mut entry: Entry = [0; _];
        entry[..2].copy_from_slice(&self.hasher.hash(id));
        entry[2] = self.read;
        entry[3..].copy_from_slice(&facts.to_words());
        self.read += 1;
        self.entries.push(entry)
    }

    /// The number of a model.
    fn model(&mut self, name: &str) -> Option<u8> {
        let known = self.models.iter().position(|model| model == name);
        let number = match known {
            Some(number) => number,
            None if self.models.len() < MODELS && name.len() <= LONGEST_MODEL => {
                self.models.push(name.to_owned());
                self.models.len() - 1
            }
            None => return None,
        };
        u8::try_from(number).ok()
    }
}

fn worth(answer: &Answer<'_>) -> Worth {
    match answer.outcome() {
        OutcomeKind::Succeeded => {
            let short = answer.seen().shortfall;
            if short.cut_off || short.filtered { Worth::Short } else { Worth::Succeeded }
        }
        // What an earlier join wrote in place of an answer gives way to one.
        OutcomeKind::Missing | OutcomeKind::Unreadable => Worth::Unreadable,
        OutcomeKind::Failed | OutcomeKind::Expired | OutcomeKind::Cancelled => Worth::Whole,
    }
}
