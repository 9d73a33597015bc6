//! The lines of a run that were not sent, since each equals one that was: put between those that were, each with the outcome
//! of the one that it equals. What is kept of that is on disk.

use std::{
    fs::File,
    io::{self, BufWriter, Seek, SeekFrom, Write},
    path::Path,
};

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Fault, Pair, Parts,
    pairs::{Beaten, Proven, Visit, altered},
};
use crate::{
    run::{folder::COPIES, record::Copies},
    save::Summed,
};

/// How many bits say which lines others equal: 1 MiB. With more lines, one bit is of several.
const BITS: u64 = 1 << 23;

/// Walks through all request lines in the order of the input. What is kept is in temporary files in `spill`.
pub(super) fn walk(
    root: &Path,
    spill: &Path,
    parts: &Parts,
    copies: &Copies,
    visit: &mut dyn Visit,
) -> Result<(), Fault> {
    walk_by(BITS, root, spill, parts, copies, visit)
}

pub(super) fn walk_by(
    bits: u64,
    root: &Path,
    spill: &Path,
    parts: &Parts,
    copies: &Copies,
    visit: &mut dyn Visit,
) -> Result<(), Fault> {
    let sent = parts.lines().0.saturating_sub(copies.equal.lines);
    let wanted = Wanted::read(bits, sent, &mut Listed::open(root, copies)?)?;
    let kept = Kept::new(spill, wanted.together).map_err(|error| Fault(spill.to_owned(), error))?;
    let mut listed = Listed::open(root, copies)?;
    let next = listed.next()?;
    let mut between = Between { visit, spill, listed, next, wanted, kept, sent: 0 };
    parts.walk_sent(root, &mut between)?;
    match between.next {
        None => Ok(()),
        // It comes after more lines than there are.
        Some(_) => Err(altered(&root.join(COPIES))),
    }
}

/// A line that was not sent.
struct Copy {
    /// It comes after so many lines that were.
    after: u64,
    /// Which of those it equals, from 1.
    first: u64,
    /// As JSON.
    custom_id: String,
}

/// The file that says which lines were not sent.
struct Listed<'a> {
    file: Proven<Summed>,
    copies: &'a Copies,
    left: u64,
    line: Vec<u8>,
}

impl<'a> Listed<'a> {
    fn open(root: &Path, copies: &'a Copies) -> Result<Self, Fault> {
        Ok(Self { file: Proven::open(root.join(COPIES))?, copies, left: copies.equal.lines, line: Vec::new() })
    }

    fn next(&mut self) -> Result<Option<Copy>, Fault> {
        if self.left == 0 {
            let Copies { file: written, .. } = self.copies;
            return self.file.end(|read| *written == read).map(|()| None);
        }
        self.left -= 1;
        self.file.next(&mut self.line)?;
        let copy = std::str::from_utf8(&self.line).ok().and_then(|line| {
            let mut words = line.splitn(3, ' ');
            let (after, first) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            let custom_id = words.next()?.to_owned();
            (first >= 1 && first <= after).then_some(Copy { after, first, custom_id })
        });
        copy.map(Some).ok_or_else(|| altered(&self.file.lines.path))
    }
}

/// Which of the lines that were sent others equal.
struct Wanted {
    /// How many lines have one bit.
    together: u64,
    bits: Vec<u64>,
}

impl Wanted {
    fn read(bits: u64, sent: u64, listed: &mut Listed<'_>) -> Result<Self, Fault> {
        let together = sent.div_ceil(bits).max(1);
        let words = usize::try_from(sent.div_ceil(together).div_ceil(64)).unwrap_or(usize::MAX);
        let mut wanted = Self { together, bits: vec![0; words] };
        while let Some(copy) = listed.next()? {
            let (word, bit) = wanted.place(copy.first);
            match wanted.bits.get_mut(word) {
                Some(word) => *word |= bit,
                None => return Err(altered(&listed.file.lines.path)),
            }
        }
        Ok(wanted)
    }

    fn place(&self, line: u64) -> (usize, u64) {
        let group = (line - 1) / self.together;
        (usize::try_from(group / 64).unwrap_or(usize::MAX), 1 << (group % 64))
    }

    fn has(&self, line: u64) -> bool {
        let (word, bit) = self.place(line);
        self.bits.get(word).is_some_and(|word| word & bit != 0)
    }
}

/// Puts the lines that were not sent between those that were.
struct Between<'a> {
    visit: &'a mut dyn Visit,
    spill: &'a Path,
    listed: Listed<'a>,
    next: Option<Copy>,
    wanted: Wanted,
    kept: Kept,
    /// Lines that were sent, so far.
    sent: u64,
}

impl Visit for Between<'_> {
    fn beaten(&mut self, beaten: Beaten<'_>) -> Result<(), Fault> {
        self.visit.beaten(beaten)
    }

    fn pair(&mut self, pair: Pair<'_>) -> Result<(), Fault> {
        self.sent += 1;
        let keeps = self.wanted.has(self.sent);
        if keeps {
            self.kept.put(self.sent, &pair).map_err(|error| Fault(self.spill.to_owned(), error))?;
        }
        self.visit.pair(pair)?;
        while let Some(copy) = self.next.take_if(|copy| copy.after == self.sent) {
            let kept = self.kept.get(copy.first).map_err(|error| Fault(self.spill.to_owned(), error))?;
            let Line { shard, from, request, result } = kept;
            let named = |line: &[u8]| renamed(line, &copy.custom_id);
            let (request, result) = named(&request)
                .and_then(|request| Ok((request, named(&result)?)))
                .map_err(|error| Fault(self.listed.file.lines.path.clone(), error))?;
            self.visit.pair(Pair { shard, from, request: &request, result: &result, is_copy: true })?;
            self.next = self.listed.next()?;
        }
        Ok(())
    }
}

/// A line with another custom_id, which is JSON; all else of it is as it was.
fn renamed(line: &[u8], custom_id: &str) -> io::Result<Vec<u8>> {
    #[derive(Deserialize)]
    struct Named<'a> {
        #[serde(borrow)]
        custom_id: &'a RawValue,
    }
    let text = std::str::from_utf8(line).map_err(io::Error::other)?;
    let before = serde_json::from_str::<Named<'_>>(text)?.custom_id.get();
    let at = before.as_ptr().addr() - text.as_ptr().addr();
    Ok([&line[..at], custom_id.as_bytes(), &line[at + before.len()..]].concat())
}

/// A line that was sent and that others equal.
#[derive(Debug)]
struct Line {
    shard: u32,
    from: u32,
    request: Vec<u8>,
    result: Vec<u8>,
}

/// Lines in a temporary file, to be read again in any order, by their numbers from 1.
struct Kept {
    /// How many lines are found together, one after another.
    together: u64,
    lines: Spool,
    /// Where the first of each group is in `lines`; of groups of which nothing is kept, anything.
    places: Spool,
}

/// Bytes before a line: its shards and the lengths of its request and its result.
const HEAD: usize = 24;

impl Kept {
    fn new(folder: &Path, together: u64) -> io::Result<Self> {
        Ok(Self { together, lines: Spool::new(folder)?, places: Spool::new(folder)? })
    }

    /// Keeps a line; the numbers rise, and all lines of a group are kept if one is.
    fn put(&mut self, number: u64, pair: &Pair<'_>) -> io::Result<()> {
        let group = (number - 1) / self.together;
        while self.places.length <= group * 8 {
            let here = self.lines.length;
            self.places.add(&here.to_le_bytes())?;
        }
        let mut head = [0; HEAD];
        head[..4].copy_from_slice(&pair.shard.to_le_bytes());
        head[4..8].copy_from_slice(&pair.from.to_le_bytes());
        head[8..16].copy_from_slice(&(pair.request.len() as u64).to_le_bytes());
        head[16..].copy_from_slice(&(pair.result.len() as u64).to_le_bytes());
        [&head, pair.request, pair.result].into_iter().try_for_each(|bytes| self.lines.add(bytes))
    }

    fn get(&mut self, number: u64) -> io::Result<Line> {
        let group = (number - 1) / self.together;
        let mut place = [0; 8];
        self.places.read(group * 8, &mut place)?;
        let mut at = u64::from_le_bytes(place);
        let mut before = (number - 1) % self.together;
        loop {
            let mut head = [0; HEAD];
            self.lines.read(at, &mut head)?;
            let word = |at: usize| u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            let long = |at: usize| u64::from(word(at)) | u64::from(word(at + 4)) << 32;
            let (request, result) = (long(8), long(16));
            if before == 0 {
                let read = |spool: &mut Spool, at: u64, length: u64| {
                    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
                    spool.read(at, &mut bytes).map(|()| bytes)
                };
                let at = at + HEAD as u64;
                let (shard, from) = (word(0), word(4));
                let (request, result) =
                    (read(&mut self.lines, at, request)?, read(&mut self.lines, at + request, result)?);
                return Ok(Line { shard, from, request, result });
            }
            before -= 1;
            at += HEAD as u64 + request + result;
        }
    }
}

/// A temporary file that is added to and read again.
struct Spool {
    file: BufWriter<File>,
    length: u64,
    /// How much of it is in the file.
    flushed: u64,
    /// The cursor of the file is not at its end.
    moved: bool,
}

impl Spool {
    fn new(folder: &Path) -> io::Result<Self> {
        let file = BufWriter::with_capacity(128 << 10, tempfile::tempfile_in(folder)?);
        Ok(Self { file, length: 0, flushed: 0, moved: false })
    }

    fn add(&mut self, bytes: &[u8]) -> io::Result<()> {
        if std::mem::take(&mut self.moved) {
            self.file.seek(SeekFrom::End(0))?;
        }
        self.length += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn read(&mut self, at: u64, bytes: &mut [u8]) -> io::Result<()> {
        if at + bytes.len() as u64 > self.flushed {
            self.file.flush()?;
            self.flushed = self.length;
        }
        #[cfg(unix)]
        {
            std::os::unix::fs::FileExt::read_exact_at(self.file.get_ref(), bytes, at)
        }
        #[cfg(not(unix))]
        {
            // What was added is in the file before its cursor moves.
            self.file.flush()?;
            (self.flushed, self.moved) = (self.length, true);
            let mut file = self.file.get_ref();
            file.seek(SeekFrom::Start(at))?;
            std::io::Read::read_exact(&mut file, bytes)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_found_whatever_stands_together() {
        let folder = tempfile::tempdir().unwrap();
        for together in [1, 2, 3, 7] {
            let mut kept = Kept::new(folder.path(), together).unwrap();
            let texts: Vec<String> = (1..=60_u64).map(|number| "x".repeat(number as usize % 11)).collect();
            // Of every second group.
            let keeps = |number: u64| ((number - 1) / together).is_multiple_of(2);
            for number in (1..=60).filter(|number| keeps(*number)) {
                let text = texts[number as usize - 1].as_bytes();
                let (shard, from) = (number as u32, 1_000_000 + number as u32);
                kept.put(number, &Pair { shard, from, request: text, result: b"r", is_copy: false }).unwrap();
                // Reading in between changes nothing.
                for earlier in (1..=number).rev().filter(|number| keeps(*number)).take(9) {
                    let Line { shard, from, request, result } = kept.get(earlier).unwrap();
                    assert_eq!((u64::from(shard), from, &result[..]), (earlier, 1_000_000 + shard, &b"r"[..]));
                    assert_eq!(request, texts[earlier as usize - 1].as_bytes());
                }
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn nothing_of_a_line_is_changed_but_its_name() {
        let long = "é".repeat(3);
        for (line, expected) in [
            (
                r#"{"id":"custom_id","custom_id":"a\u0062","x":{"custom_id":"n"}}"#,
                r#"{"id":"custom_id","custom_id":"é\"","x":{"custom_id":"n"}}"#,
            ),
            (r#" { "custom_id" : "a" , "b" : 1e999 }"#, r#" { "custom_id" : "é\"" , "b" : 1e999 }"#),
            (
                &format!(r#"{{"a":"{long}","custom\u005fid":"a"}}"#),
                &format!(r#"{{"a":"{long}","custom\u005fid":"é\""}}"#),
            ),
        ] {
            assert_eq!(String::from_utf8(renamed(line.as_bytes(), r#""é\"""#).unwrap()).unwrap(), expected);
        }
        assert!(renamed(b"{}", "1").is_err() && renamed(b"\xff", "1").is_err());
    }
}
