//! Owns the reading of a whole output or error file, answer by answer. It never counts outcomes
//! and never stops at a line that it cannot read: that is an anomaly.

use std::io::{self, BufRead};
use std::ops::Range;

use crate::anomaly::{Anomalies, Anomaly, AnomalyCode, Bytes};
use crate::answer::{Answer, Unreadable, UnreadableKind};
use crate::foreign;
use crate::layout::{Block, Deviation, Layout, Part};
use crate::open::{Damage, Salvage};
use crate::reader::{LONGEST_BROKEN, Line, LineReader, Passed};

pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Where an answer's JSON stands in its file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    /// The line in which it begins.
    pub(crate) line: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// How many answers a file has, and how many of its lines nobody can read.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scanned {
    /// Lines that are not blank, with an object over several lines as one.
    pub(crate) lines: u64,
    pub(crate) unreadable: u64,
    /// What the file is, when it holds no lines of JSON at all.
    pub(crate) foreign: Option<String>,
    /// What is said of answers that stand in a list inside a line, where they are not read.
    pub(crate) wrapped: Option<String>,
    /// What is wrong with its compression.
    pub(crate) damage: Option<Damage>,
}

/// An answer, or a line that is none.
pub(crate) type Read<'r, 'a> = Result<&'r Answer<'a>, &'r Unreadable>;

/// Whoever is told of the answers. The bytes are those of the file; there are none of an object over several lines, which
/// is put together of them, and of a line that is too long to be held.
pub(crate) type Visit<'v> = dyn FnMut(Place, Option<&[u8]>, Read<'_, '_>, &mut Anomalies<'_>) + 'v;

/// Calls `visit` with every answer of a file, and with every line that cannot be read, which is
/// among the anomalies then. `damage` is what was come to already when the file was decompressed.
pub(crate) fn answers(
    file: &str,
    reader: impl BufRead,
    max_line_bytes: usize,
    damage: Option<Damage>,
    anomalies: &mut Anomalies<'_>,
    visit: &mut Visit<'_>,
) -> io::Result<Scanned> {
    let mut salvage = Salvage::new(reader);
    let (start, reader) = foreign::peek(&mut salvage)?;
    let mut scan =
        Scan { file, anomalies, visit, scanned: Scanned::default(), layout: Layout::default(), told_mark: false };
    if let Some(foreign) = foreign::foreign(&start) {
        scan.anomalies.push(file, 1, None, AnomalyCode::NotJsonl, foreign.to_string());
        return Ok(Scanned { lines: 1, unreadable: 1, foreign: Some(foreign.to_string()), wrapped: None, damage });
    }
    let mut lines = LineReader::new(reader).max_line_bytes(max_line_bytes).max_broken_bytes(LONGEST_BROKEN);
    while let Some(line) = lines.next_line()? {
        scan.line(&line);
    }
    scan.end_block();
    let (passed, mut scanned) = (lines.passed(), scan.scanned);
    scanned.damage = damage.or(salvage.into_damage());
    if let Some(damage) = &scanned.damage {
        damaged(file, damage, passed, anomalies);
    }
    Ok(scanned)
}

/// Names damage before all other anomalies of the files.
fn damaged(file: &str, damage: &Damage, passed: Passed, anomalies: &mut Anomalies<'_>) {
    let Passed { lines, bytes } = passed;
    let worth = match damage.is_cut() {
        true => "",
        false => ", but no checksum says that it is what was written",
    };
    let plural = if lines == 1 { "line" } else { "lines" };
    let message = format!("{damage}; read before it: {lines} whole {plural}, {bytes} bytes{worth}");
    let mut anomaly = Anomaly::new(file, lines + 1, AnomalyCode::DamagedCompression, message);
    anomaly.offset = Some(bytes);
    anomalies.push_first(anomaly);
}

struct Scan<'s, 'e> {
    file: &'s str,
    anomalies: &'s mut Anomalies<'e>,
    visit: &'s mut Visit<'s>,
    scanned: Scanned,
    layout: Layout,
    /// A byte order mark was told that is not at the beginning.
    told_mark: bool,
}

impl Scan<'_, '_> {
    fn line(&mut self, line: &Line<'_>) {
        let (mut bytes, mut offset) = (line.bytes, line.offset);
        if let Some(rest) = bytes.strip_prefix(BOM) {
            self.mark(line.number);
            (bytes, offset) = (rest, offset + BOM.len() as u64);
            if bytes.iter().all(u8::is_ascii_whitespace) {
                return;
            }
        }
        if line.too_long {
            self.end_block();
            let place = Place { line: line.number, offset, length: line.length };
            return self.unreadable(place, None, &Unreadable::too_long(line.length, line.head), line.head);
        }
        self.bytes(Place { line: line.number, offset, length: bytes.len() as u64 }, bytes);
    }

    /// Tells of a byte order mark, which is passed over.
    fn mark(&mut self, line: u64) {
        let message = match line {
            1 => "the file begins with a byte order mark",
            _ if self.told_mark => return,
            _ => "a byte order mark stands before the line, as where files were put together (this is told once)",
        };
        self.told_mark |= line > 1;
        self.anomalies.push(self.file, line, None, AnomalyCode::Bom, message);
    }

    /// A line, or what begins on one behind the end of an object over several lines.
    fn bytes(&mut self, place: Place, bytes: &[u8]) {
        if self.layout.is_open() && self.goes_on(place, bytes) {
            return;
        }
        match Answer::parse(bytes) {
            Ok(answer) => {
                self.end_block();
                self.answer(place, Some(bytes), &answer);
            }
            Err(error)
                if error.is_whole() && !(self.layout.is_open() && error.kind() == UnreadableKind::NoCustomId) =>
            {
                self.end_block();
                self.unreadable(place, Some(bytes), &error, bytes);
            }
            Err(error) => self.faulty(place, bytes, &error),
        }
    }

    /// Whether a line without a quote, which names no custom_id, goes on with an object over several lines. Such a line is
    /// not parsed: there may be very many.
    fn goes_on(&mut self, place: Place, bytes: &[u8]) -> bool {
        if memchr::memchr(b'"', bytes).is_some() {
            return false;
        }
        let part = self.layout.judge(place.line, place.offset, bytes);
        self.tell();
        match part {
            Part::Nothing => true,
            Part::Record(block) => {
                self.record(block, place, bytes);
                true
            }
            Part::Faulty | Part::Objects(_) => false,
        }
    }

    /// A line that is not one whole object, or a part of an object over several lines.
    fn faulty(&mut self, place: Place, bytes: &[u8], error: &Unreadable) {
        // What begins as another record is one, however it ends.
        if self.layout.is_open() && error.custom_id().is_some() && bytes.trim_ascii_start().starts_with(b"{") {
            self.end_block();
        }
        let mut part = Part::Faulty;
        if self.layout.is_open() {
            part = self.layout.judge(place.line, place.offset, bytes);
        }
        if part == Part::Faulty {
            let was_open = self.layout.is_open();
            self.end_block();
            if self.glued(place, bytes, error) {
                return self.tell();
            }
            if !(was_open && error.is_whole()) {
                part = self.layout.judge(place.line, place.offset, bytes);
            }
        }
        self.tell();
        match part {
            Part::Nothing => {}
            Part::Faulty => self.unreadable(place, Some(bytes), error, bytes),
            Part::Record(block) => self.record(block, place, bytes),
            Part::Objects(objects) => {
                for range in objects.whole {
                    self.object(part_of(place, &range), &bytes[range], true);
                }
                if let Some(range) = objects.rest {
                    self.object(part_of(place, &range), &bytes[range], true);
                }
            }
        }
    }

    /// Whether the line is of answers that were glued together, each of which is taken on its own.
    fn glued(&mut self, place: Place, bytes: &[u8], error: &Unreadable) -> bool {
        let mut start = 0;
        for end in glued(bytes, error) {
            self.object(part_of(place, &(start..end)), &bytes[start..end], true);
            start = end;
        }
        if start > 0 {
            self.object(part_of(place, &(start..bytes.len())), &bytes[start..], true);
        }
        start > 0
    }

    /// An object, or what seems to be one, that was taken out of its surroundings.
    fn object(&mut self, place: Place, bytes: &[u8], as_in_file: bool) {
        let in_file = as_in_file.then_some(bytes);
        match Answer::parse(bytes) {
            Ok(answer) => self.answer(place, in_file, &answer),
            Err(error) => self.unreadable(place, in_file, &error, bytes),
        }
    }

    /// An object over several lines, and what begins on the last of them.
    fn record(&mut self, block: Block, place: Place, last: &[u8]) {
        let rest = block.rest;
        self.block(block);
        if let Some(rest) = rest.map(|rest| rest..last.len()) {
            self.bytes(part_of(place, &rest), &last[rest]);
        }
    }

    fn block(&mut self, block: Block) {
        let place = Place { line: block.first, offset: block.offset, length: block.end - block.offset };
        self.object(place, &block.bytes, false);
    }

    /// The lines that were held back are not one object.
    fn end_block(&mut self) {
        if let Some(block) = self.layout.take_block() {
            self.block(block);
        }
    }

    fn answer(&mut self, place: Place, in_file: Option<&[u8]>, answer: &Answer<'_>) {
        self.scanned.lines += 1;
        for key in answer.doubled().keys() {
            let message = format!("the line has the key {key:?} twice: taken was the last that is not null");
            let id = Some(answer.custom_id.as_ref());
            let at = (place.offset, place.length);
            self.anomalies.push_place(self.file, place.line, id, (AnomalyCode::DoubledKey, message), at);
        }
        (self.visit)(place, in_file, Ok(answer), self.anomalies);
    }

    fn unreadable(&mut self, place: Place, in_file: Option<&[u8]>, error: &Unreadable, bytes: &[u8]) {
        self.scanned.lines += 1;
        self.scanned.unreadable += 1;
        let code = match error.kind() {
            UnreadableKind::NotUtf8 | UnreadableKind::NotAnObject => AnomalyCode::UnreadableLine,
            UnreadableKind::TooLong => AnomalyCode::LineTooLong,
            UnreadableKind::NoCustomId => AnomalyCode::NoCustomId,
            UnreadableKind::TwoCustomIds => AnomalyCode::DoubledKey,
            UnreadableKind::UnknownShape => AnomalyCode::UnknownShape,
            UnreadableKind::WrappedList => AnomalyCode::WrappedList,
        };
        let bytes = Bytes { offset: place.offset, length: place.length, known: bytes };
        let message = error.to_string();
        if error.kind() == UnreadableKind::WrappedList && error.custom_id().is_none() {
            self.scanned.wrapped.get_or_insert_with(|| message.clone());
        }
        self.anomalies.push_bytes(self.file, place.line, error.custom_id(), code, message, Some(bytes));
        (self.visit)(place, in_file, Err(error), self.anomalies);
    }

    /// Tells how the file deviates. Conflict markers leave open what the answers are.
    fn tell(&mut self) {
        for (line, deviation) in self.layout.news() {
            let code = match deviation {
                Deviation::Array => AnomalyCode::ArrayAroundLines,
                Deviation::OverLines(..) => AnomalyCode::ObjectOverLines,
                Deviation::AfterObject(..) | Deviation::CommaBefore => AnomalyCode::TextAfterObject,
                Deviation::CarriageReturns => AnomalyCode::CarriageReturns,
                Deviation::Markers => AnomalyCode::ConflictMarkers,
            };
            if deviation == Deviation::Markers {
                self.scanned.lines += 1;
                self.scanned.unreadable += 1;
            }
            self.anomalies.push(self.file, line, None, code, deviation.message());
        }
    }
}

/// A part of what stands at a place.
fn part_of(place: Place, range: &Range<usize>) -> Place {
    Place { line: place.line, offset: place.offset + range.start as u64, length: range.len() as u64 }
}

/// How many answers are told apart that were glued into one line.
const GLUED: usize = 64;

/// Where the next answer begins in a line that was cut off and to which others were glued. Nowhere, unless the last of them
/// is whole: what else stands in the line may be a text of the first.
fn glued(line: &[u8], error: &Unreadable) -> Vec<usize> {
    let (mut ends, mut next) = (Vec::new(), error.glued_at(line));
    while let Some(end) = next.filter(|_| ends.len() < GLUED) {
        ends.push(end);
        next = match Answer::parse(&line[end..]) {
            Ok(_) => return ends,
            Err(error) => error.glued_at(&line[end..]).map(|at| end + at),
        };
    }
    Vec::new()
}
