//! The second reading of the answer files: one result line for each request line, in their order, a block at a time.

use std::io::{self, BufWriter, Write};
use std::path::Path;

use super::answers::Answers;
use super::block::{Block, Pending};
use super::facts::{Facts, Found, Plain};
use super::matching::{Duplicate, Matched, Taken};
use super::{Bounds, JoinError, Joined};
use crate::anomaly::{Anomalies, AnomalyCode, Held};
use crate::answer::{Answer, MISSING_CODE, MISSING_MESSAGE, Unreadable, write_missing, write_unreadable};
use crate::raw::{SHOWN_ID, clip};
use crate::reader::LONGEST_BROKEN;
use crate::tally::Tally;

/// Writes the results of request lines.
pub(super) struct Results<'i, 'o, 'e> {
    answers: Answers,
    bounds: Bounds,
    /// The input file, as it is called.
    input: &'i Path,
    anomalies: Anomalies<'e>,
    tally: Tally,
    /// Request lines whose results were written, or are being written.
    lines: u64,
    /// Nowhere, where they are only counted.
    out: Option<BufWriter<&'o mut dyn Write>>,
}

impl<'i, 'o, 'e> Results<'i, 'o, 'e> {
    pub(super) fn new(
        answers: Answers,
        bounds: Bounds,
        input: &'i Path,
        anomalies: Anomalies<'e>,
        out: Option<&'o mut dyn Write>,
    ) -> Self {
        let out = out.map(|out| BufWriter::with_capacity(super::AHEAD, out));
        let tally = Tally::apart(bounds.apart.clone());
        Self { answers, bounds, input, anomalies, tally, lines: 0, out }
    }

    /// Writes all of them.
    pub(super) fn write(mut self, mut matched: Matched) -> Result<Joined, JoinError> {
        if let Some(held) = self.anomalies.take_held() {
            self.tell(held, &mut matched)?;
        }
        matched.extra.drain(..).for_each(|spent| self.tally.spending.add_spent(&spent));
        let mut block = Block::default();
        let mut next = matched.request().map_err(|error| self.bounds.temporary(error))?;
        while next.is_some() {
            block.clear();
            while let Some((line, taken, facts)) = next {
                let is_read = self.is_read(taken, &facts);
                let more = if is_read { facts.found.length } else { 0 };
                let is_full =
                    block.size + more > self.bounds.block_bytes || block.pending.len() >= self.bounds.block_lines;
                if is_full && !block.pending.is_empty() {
                    break;
                }
                let read = matched.custom_ids.next(&mut block.custom_ids);
                read.map_err(|error| self.bounds.temporary(error))?;
                block.push(line, taken, facts, is_read);
                next = matched.request().map_err(|error| self.bounds.temporary(error))?;
            }
            block.read(&mut self.answers.files)?;
            self.block(&block)?;
        }
        if let Some(refused) = matched.refused.take() {
            return Err(refused);
        }
        let flushed = self.out.as_mut().map_or(Ok(()), Write::flush);
        flushed.map_err(|source| JoinError::Write { lines: self.lines, source })?;
        self.foreign(&mut matched)?;
        let Answers { lines, damaged_files, .. } = self.answers;
        let Anomalies { anomalies, anomalies_omitted, .. } = self.anomalies;
        Ok(Joined { damaged_files, ..Joined::of(self.tally, self.lines, lines, anomalies, anomalies_omitted) })
    }

    /// Tells what was found when the answer files were read, with the duplicates among it.
    fn tell(&mut self, held: Held, matched: &mut Matched) -> Result<(), JoinError> {
        let mut buffer = Vec::new();
        let mut duplicate = matched.duplicate().map_err(|error| self.bounds.temporary(error))?;
        let (held, omitted) = held.finish().map_err(|error| self.bounds.temporary(error))?;
        for held in held {
            let (at, anomaly) = held.map_err(|error| self.bounds.temporary(error))?;
            while let Some(before) = duplicate.filter(|duplicate| duplicate.at < at) {
                self.duplicate(before, &mut buffer)?;
                duplicate = matched.duplicate().map_err(|error| self.bounds.temporary(error))?;
            }
            self.anomalies.release(anomaly);
        }
        while let Some(last) = duplicate {
            self.duplicate(last, &mut buffer)?;
            duplicate = matched.duplicate().map_err(|error| self.bounds.temporary(error))?;
        }
        self.anomalies.omit(omitted);
        Ok(())
    }

    fn duplicate(&mut self, duplicate: Duplicate, buffer: &mut Vec<u8>) -> Result<(), JoinError> {
        if self.anomalies.only_counts() {
            self.anomalies.omit(1);
            return Ok(());
        }
        let Duplicate { loser, winner: (file, line), .. } = duplicate;
        let message = format!("custom_id was answered twice; taken was {}, line {line}", self.name(file));
        self.tell_of(loser, (AnomalyCode::DuplicateCustomId, message), buffer)
    }

    /// Tells of an answer that is not taken, with its custom_id.
    fn tell_of(&mut self, found: Found, what: (AnomalyCode, String), buffer: &mut Vec<u8>) -> Result<(), JoinError> {
        let Found { file, line, offset, length } = found;
        buffer.resize(length as usize, 0);
        self.answers.files.read_at(file, buffer, offset)?;
        // An object over several lines may have others between them, which were passed over.
        let parsed = Answer::parse(buffer);
        let id = parsed.as_ref().map_or_else(Unreadable::custom_id, |answer| Some(&answer.custom_id));
        self.anomalies.push_place(self.answers.files.name(file), line, id, what, (offset, length));
        Ok(())
    }

    /// Reports the answers that no request line asked for, in the order of the files.
    fn foreign(&mut self, matched: &mut Matched) -> Result<(), JoinError> {
        let mut buffer = Vec::new();
        let mut left = matched.foreign_count;
        while left > 0 {
            if self.anomalies.only_counts() {
                self.anomalies.omit(left);
                break;
            }
            let Some(found) = matched.foreign().map_err(|error| self.bounds.temporary(error))? else { break };
            let what = (AnomalyCode::ForeignCustomId, "no request line has this custom_id".to_owned());
            self.tell_of(found, what, &mut buffer)?;
            left -= 1;
        }
        Ok(())
    }

    /// Writes the results of a block, whose answers are read.
    fn block(&mut self, block: &Block) -> Result<(), JoinError> {
        let mut from = 0;
        for pending in &block.pending {
            let custom_id = &block.custom_ids[from..pending.id_end];
            from = pending.id_end;
            self.lines += 1;
            if pending.taken == Taken::Before {
                let shown = clip(custom_id, SHOWN_ID);
                let message = format!("custom_id {shown:?} was used before: make it unique within the file");
                return Err(JoinError::Input { path: self.input.to_owned(), line: pending.line, message });
            }
            self.request(block, pending, custom_id).map_err(|source| JoinError::Write { lines: self.lines, source })?;
        }
        Ok(())
    }

    /// Whether an answer is read again for its result.
    fn is_read(&self, taken: Taken, facts: &Facts) -> bool {
        let is_known = self.out.is_none() && facts.plain.is_some();
        matches!(taken, Taken::Answer | Taken::Unreadable) && !is_known && !self.is_too_long(taken, facts)
    }

    /// Writes the result of one request line.
    fn request(&mut self, block: &Block, pending: &Pending, custom_id: &str) -> io::Result<()> {
        match pending.taken {
            Taken::Before | Taken::Nothing => self.missing(custom_id),
            Taken::Doubtful => {
                let why = "it is answered twice, and the file is damaged: one of the two may be another request's";
                self.unreadable(custom_id, pending.facts.found, why)
            }
            Taken::Answer | Taken::Unreadable if self.is_too_long(pending.taken, &pending.facts) => {
                let why = Unreadable::too_long(pending.facts.found.length, &[]).to_string();
                self.unreadable(custom_id, pending.facts.found, &why)
            }
            Taken::Answer | Taken::Unreadable => match (&pending.facts.plain, self.out.is_none()) {
                (Some(plain), true) => {
                    self.count(&pending.facts, plain);
                    Ok(())
                }
                _ => self.answer(pending, block.bytes(pending), custom_id),
            },
        }
    }

    fn count(&mut self, facts: &Facts, plain: &Plain) {
        let model = facts.model.and_then(|model| self.answers.models.get(usize::from(model)));
        self.tally.add_success(plain.shortfall, facts.usage, model.map(String::as_str));
    }

    /// Writes an answer, or that it cannot be read.
    fn answer(&mut self, pending: &Pending, bytes: &[u8], custom_id: &str) -> io::Result<()> {
        let facts = &pending.facts;
        let is_same = facts.sum.is_none_or(|sum| sum == crc32fast::hash(bytes));
        if !is_same {
            return self.changed(facts.found, custom_id);
        }
        if let Some(plain) = &facts.plain {
            if plain.pieces.custom_id(bytes) != Some(custom_id.as_bytes()) {
                return self.changed(facts.found, custom_id);
            }
            self.count(facts, plain);
            return self.out.as_mut().map_or(Ok(()), |out| plain.pieces.write(bytes, out));
        }
        match Answer::parse(bytes) {
            Ok(answer) if answer.custom_id == custom_id => {
                self.tally.add(&answer);
                self.out.as_mut().map_or(Ok(()), |out| answer.write_normalised(out))
            }
            Err(error) if error.custom_id() == Some(custom_id) => {
                self.unreadable(custom_id, facts.found, &error.to_string())
            }
            _ => self.changed(facts.found, custom_id),
        }
    }

    /// Writes that an answer cannot be read, since its line is another one than when it was read first.
    fn changed(&mut self, found: Found, custom_id: &str) -> io::Result<()> {
        let message = "the line is not the one that stood here when the file was read first";
        let what = (AnomalyCode::ChangedWhileReading, message.to_owned());
        let name = self.answers.files.name(found.file);
        self.anomalies.push_place(name, found.line, Some(custom_id), what, (found.offset, found.length));
        self.unreadable(custom_id, found, message)
    }

    fn unreadable(&mut self, custom_id: &str, found: Found, why: &str) -> io::Result<()> {
        let place = format!("{}, line {}", self.name(found.file), found.line);
        self.tally.add_unreadable();
        self.out.as_mut().map_or(Ok(()), |out| write_unreadable(custom_id, &place, why, out))
    }

    fn missing(&mut self, custom_id: &str) -> io::Result<()> {
        if let Some((name, what)) = &self.answers.lost {
            self.tally.add_unreadable();
            return self.out.as_mut().map_or(Ok(()), |out| write_unreadable(custom_id, name, what, out));
        }
        self.tally.add_missing(MISSING_CODE, MISSING_MESSAGE);
        self.out.as_mut().map_or(Ok(()), |out| write_missing(custom_id, out))
    }

    /// Whether a line is longer than what is held; of one that cannot be read, and was not held, not so much is.
    fn is_too_long(&self, taken: Taken, facts: &Facts) -> bool {
        let was_held = facts.sum.is_some() || taken != Taken::Unreadable;
        let most = if was_held { self.bounds.max_line_bytes } else { self.bounds.max_line_bytes.min(LONGEST_BROKEN) };
        facts.found.length > most as u64
    }

    fn name(&self, file: u32) -> &str {
        self.answers.files.name(file)
    }
}
