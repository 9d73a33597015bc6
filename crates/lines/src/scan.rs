//! Owns the reading of a whole output or error file, answer by answer. It never counts outcomes
//! and never stops at a line that it cannot read: that is an anomaly.

use std::io::{self, BufRead};

use crate::anomaly::{Anomalies, AnomalyCode};
use crate::answer::{Answer, UnreadableKind};
use crate::reader::LineReader;

pub(crate) const BOM: &[u8] = b"\xef\xbb\xbf";

/// Where a line's JSON stands in its file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) line: u64,
    pub(crate) offset: u64,
    pub(crate) length: u64,
}

/// How many lines that are not blank a file has, and how many of them nobody can read.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scanned {
    pub(crate) lines: u64,
    pub(crate) unreadable: u64,
}

/// Calls `visit` with every answer of a file.
pub(crate) fn answers(
    file: &str,
    reader: impl BufRead,
    anomalies: &mut Anomalies,
    visit: &mut dyn FnMut(Place, &Answer<'_>, &mut Anomalies),
) -> io::Result<Scanned> {
    let mut scanned = Scanned::default();
    let mut lines = LineReader::new(reader);
    while let Some(line) = lines.next_line()? {
        let (mut bytes, mut offset) = (line.bytes, line.offset);
        if line.number == 1
            && let Some(rest) = bytes.strip_prefix(BOM)
        {
            let message = "the file begins with a byte order mark";
            anomalies.push(file, 1, None, AnomalyCode::Bom, message);
            (bytes, offset) = (rest, offset + BOM.len() as u64);
            if bytes.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
        }
        scanned.lines += 1;
        if line.too_long {
            let message = format!("the line has {} bytes, too many to be read", line.length);
            anomalies.push(file, line.number, None, AnomalyCode::LineTooLong, message);
            scanned.unreadable += 1;
            continue;
        }
        let place = Place { line: line.number, offset, length: bytes.len() as u64 };
        match Answer::parse(bytes) {
            Ok(answer) => visit(place, &answer, anomalies),
            Err(error) => {
                let code = match error.kind() {
                    UnreadableKind::NoCustomId => AnomalyCode::NoCustomId,
                    _ => AnomalyCode::UnreadableLine,
                };
                anomalies.push(file, line.number, None, code, error.to_string());
                scanned.unreadable += 1;
            }
        }
    }
    Ok(scanned)
}
