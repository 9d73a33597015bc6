//! Reads the lines of some answers at once, in the order in which they stand in their files.

use super::JoinError;
use super::facts::{Facts, Found};
use super::files::AnswerFiles;
use super::matching::Taken;

/// How many bytes are read at once of lines that stand beside each other.
const SPAN: u64 = 1 << 20;

/// A request line whose result is to be written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pending {
    pub(super) line: u64,
    pub(super) taken: Taken,
    pub(super) facts: Facts,
    /// Where its custom_id ends among those of the block.
    pub(super) id_end: usize,
    /// Where the bytes of its answer begin, if they are read.
    at: usize,
}

/// Request lines that follow each other, their custom_ids, and the lines of their answers. It is used again and again.
#[derive(Debug, Default)]
pub(super) struct Block {
    pub(super) pending: Vec<Pending>,
    pub(super) custom_ids: String,
    /// The file, the offset and the request line of each answer that is read, in their order.
    order: Vec<u128>,
    bytes: Vec<u8>,
    /// How many bytes the answers have that are to be read.
    pub(super) size: u64,
}

impl Block {
    pub(super) fn clear(&mut self) {
        self.pending.clear();
        self.custom_ids.clear();
        self.order.clear();
        self.size = 0;
    }

    /// Adds a request line, whose custom_id was added before. The line of the answer is read if `is_read`.
    pub(super) fn push(&mut self, line: u64, taken: Taken, facts: Facts, is_read: bool) {
        if is_read {
            let Found { file, offset, length, .. } = facts.found;
            self.order.push(u128::from(file) << 96 | u128::from(offset) << 32 | self.pending.len() as u128);
            self.size += length;
        }
        self.pending.push(Pending { line, taken, facts, id_end: self.custom_ids.len(), at: 0 });
    }

    /// The bytes of the answer to a request line.
    pub(super) fn bytes(&self, pending: &Pending) -> &[u8] {
        &self.bytes[pending.at..][..pending.facts.found.length as usize]
    }

    /// Reads the lines of the answers.
    pub(super) fn read(&mut self, files: &mut AnswerFiles) -> Result<(), JoinError> {
        let Self { pending, order, bytes, .. } = self;
        order.sort_unstable();
        // The cast leaves the number of the request line.
        let line = |key: &u128| *key as u32 as usize;
        let (mut rest, mut used) = (&order[..], 0);
        while let Some(first) = rest.first() {
            let Found { file, offset: start, length, .. } = pending[line(first)].facts.found;
            let (mut end, mut count) = (start + length, 1);
            for next in &rest[1..] {
                let next = pending[line(next)].facts.found;
                // What is longer than the line behind it is not read over.
                let is_near = next.offset.saturating_sub(end) <= next.length;
                if next.file != file || !is_near || next.offset + next.length - start > SPAN {
                    break;
                }
                end = end.max(next.offset + next.length);
                count += 1;
            }
            let span = (end - start) as usize;
            if bytes.len() < used + span {
                bytes.resize(used + span, 0);
            }
            files.read_at(file, &mut bytes[used..used + span], start)?;
            for key in &rest[..count] {
                let pending = &mut pending[line(key)];
                pending.at = used + (pending.facts.found.offset - start) as usize;
            }
            used += span;
            rest = &rest[count..];
        }
        Ok(())
    }
}
