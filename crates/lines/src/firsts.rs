//! Finds request lines that equal an earlier one in all but their custom_id, of any number in bounded memory: what came
//! last is in an index, what came before it in a table on disk.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::TemporaryError;
use crate::check::CheckedLine;
use crate::fields::fields;
use crate::ids::IdHash;
use crate::index::{Entry, Index};
use crate::read_at::{read_exact_at, write_all_at};
use crate::skip::after_string;

/// How many lines are known in memory before they go to disk, of at most [`index::MOST`](crate::index::MOST).
const MOST: usize = 229_376;

/// How many entries a page of the table has: it is 4 KiB then.
const PER_PAGE: usize = 170;

/// Words before the entries of a page: how many there are, and none.
const HEAD: usize = 2;

/// Finds lines that ask for the same: those that equal an earlier one in all but their custom_id.
///
/// Equal are lines whose values are the same byte for byte, but for white space between the values and for the order of the
/// line's own keys. Within a body the order of keys counts, since that in a schema is the one in which a model answers.
///
/// Memory: less than 12 MiB, however many lines there are; what is known of more than 229,376 different ones is in a
/// temporary file, with 32 to 64 bytes for each. Two lines that differ are taken for equal once in about 10^38 pairs.
///
/// ```
/// use lote_lines::{CheckMany, CheckOptions, Firsts};
///
/// # let folder = tempfile::tempdir()?;
/// let line = |id, input| format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\
///                                 \"body\":{{\"model\":\"m\",\"input\":\"{input}\"}}}}\n");
/// let file = line("a", "x") + &line("b", "y") + &line("c", "y").replace(":", ": ");
/// let (options, mut firsts, mut found) = (CheckOptions::default(), Firsts::new(folder.path()), Vec::new());
/// CheckMany::new(&options, folder.path()).file("f", file.as_bytes(), &mut |_| (), &mut |line| {
///     found.push(firsts.first(&line)?);
///     Ok(true)
/// })?;
/// assert_eq!(found, [None, None, Some(2)]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Firsts {
    folder: PathBuf,
    /// Of the latest lines, and of those that were asked for lately, which is the first.
    latest: Index,
    most: usize,
    per_page: usize,
    table: Option<Table>,
    /// Lines that equal no earlier one.
    lines: u64,
}

impl Firsts {
    /// Of no line yet. A temporary file is made in the folder `spill`, once there are many lines.
    pub fn new(spill: impl Into<PathBuf>) -> Self {
        let (latest, table) = (Index::default(), None);
        Self { folder: spill.into(), latest, most: MOST, per_page: PER_PAGE, table, lines: 0 }
    }

    /// The first line that this one equals, by its number among those that equal no earlier one, from 1. `None` when there
    /// is none: the line is the next of those.
    ///
    /// # Errors
    ///
    /// A [`TemporaryError`], when the temporary file cannot be made, written or read.
    pub fn first(&mut self, line: &CheckedLine<'_>) -> io::Result<Option<u64>> {
        self.look(hash(line.canonical)).map_err(|error| TemporaryError::wrap(&self.folder, error))
    }

    fn look(&mut self, hash: IdHash) -> io::Result<Option<u64>> {
        let next = self.lines + 1;
        if let Some(first) = self.latest.insert(hash, next) {
            return Ok(Some(first));
        }
        let first = match &mut self.table {
            Some(table) => table.find(hash)?,
            None => None,
        };
        match first {
            // It may be asked for again soon.
            Some(first) => self.latest.stands_at(first),
            None => self.lines = next,
        }
        if self.latest.len() >= self.most {
            self.spill()?;
        }
        Ok(first)
    }

    fn spill(&mut self) -> io::Result<()> {
        let table = match &mut self.table {
            Some(table) => table,
            none => none.insert(Table::new(&self.folder, self.per_page, self.most)?),
        };
        // In the order of their pages.
        self.latest.take_sorted().into_iter().try_for_each(|entry| table.insert(entry, &self.folder))
    }
}

/// Entries by their hash, in pages of a file.
#[derive(Debug)]
struct Table {
    file: File,
    per_page: usize,
    pages: u64,
    entries: u64,
    /// The page that is looked at, and where it is.
    page: Vec<u64>,
    at: Option<u64>,
    changed: bool,
    /// A page as it is in the file, to be filled again.
    bytes: Vec<u8>,
}

impl Table {
    /// One with room for so many entries twice.
    fn new(folder: &Path, per_page: usize, entries: usize) -> io::Result<Self> {
        Self::of_pages(folder, per_page, (2 * entries).div_ceil(per_page) as u64)
    }

    fn of_pages(folder: &Path, per_page: usize, pages: u64) -> io::Result<Self> {
        let file = tempfile::tempfile_in(folder)?;
        let (page, bytes) = (vec![0; HEAD + 3 * per_page], vec![0; 8 * (HEAD + 3 * per_page)]);
        file.set_len(pages * bytes.len() as u64)?;
        Ok(Self { file, per_page, pages, entries: 0, page, at: None, changed: false, bytes })
    }

    /// The page on which a hash is looked for first. Hashes that rise have pages that rise.
    fn page_of(&self, [one, _]: IdHash) -> u64 {
        ((u128::from(one) * u128::from(self.pages)) >> 64) as u64
    }

    fn find(&mut self, hash: IdHash) -> io::Result<Option<u64>> {
        let mut at = self.page_of(hash);
        loop {
            self.turn_to(at)?;
            if let Some(place) = self.on_page(hash) {
                return Ok(Some(place));
            }
            if !self.is_full() {
                return Ok(None);
            }
            at = (at + 1) % self.pages;
        }
    }

    /// Adds an entry, unless there is one of its hash.
    fn insert(&mut self, entry: Entry, folder: &Path) -> io::Result<()> {
        // Three quarters of the room: a page has place then for those that happen to be its own.
        if (self.entries + 1) * 4 > self.pages * self.per_page as u64 * 3 {
            self.grow(folder)?;
        }
        let [one, other, _] = entry;
        let mut at = self.page_of([one, other]);
        loop {
            self.turn_to(at)?;
            if self.on_page([one, other]).is_some() {
                return Ok(());
            }
            if !self.is_full() {
                let end = HEAD + 3 * self.page[0] as usize;
                self.page[end..end + 3].copy_from_slice(&entry);
                self.page[0] += 1;
                self.changed = true;
                self.entries += 1;
                return Ok(());
            }
            at = (at + 1) % self.pages;
        }
    }

    fn grow(&mut self, folder: &Path) -> io::Result<()> {
        let mut larger = Self::of_pages(folder, self.per_page, 2 * self.pages)?;
        for at in 0..self.pages {
            self.turn_to(at)?;
            for entry in self.entries_of_page() {
                larger.insert([entry[0], entry[1], entry[2]], folder)?;
            }
        }
        *self = larger;
        Ok(())
    }

    fn entries_of_page(&self) -> impl Iterator<Item = &[u64]> {
        self.page[HEAD..].chunks_exact(3).take(self.page[0] as usize)
    }

    fn on_page(&self, [one, other]: IdHash) -> Option<u64> {
        self.entries_of_page().find(|entry| entry[..2] == [one, other]).map(|entry| entry[2])
    }

    fn is_full(&self) -> bool {
        self.page[0] as usize == self.per_page
    }

    /// Looks at a page. The one that was looked at is written, if it has changed.
    fn turn_to(&mut self, at: u64) -> io::Result<()> {
        if self.at == Some(at) {
            return Ok(());
        }
        let length = self.bytes.len() as u64;
        if let Some(before) = self.at.filter(|_| self.changed) {
            for (word, bytes) in self.page.iter().zip(self.bytes.chunks_exact_mut(8)) {
                bytes.copy_from_slice(&word.to_le_bytes());
            }
            write_all_at(&self.file, &self.bytes, before * length)?;
        }
        // Until it is read, there is none.
        (self.at, self.changed) = (None, false);
        read_exact_at(&self.file, &mut self.bytes, at * length)?;
        let (words, _) = self.bytes.as_chunks();
        for (word, bytes) in self.page.iter_mut().zip(words) {
            *word = u64::from_le_bytes(*bytes);
        }
        self.at = Some(at);
        Ok(())
    }
}

/// The hash of all that a line asks for.
fn hash(canonical: &[u8]) -> IdHash {
    let Ok(line) = std::str::from_utf8(canonical) else { return halves(Sha256::digest(canonical).as_slice()) };
    let (mut known, mut others) = ([None; 3], Vec::new());
    fields(line, &mut |key, value| match key.as_ref() {
        "custom_id" => {}
        "method" => known[0] = Some(value),
        "url" => known[1] = Some(value),
        "body" => known[2] = Some(value),
        _ => others.push((key, value)),
    });
    others.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut hash = Sha256::new();
    for value in known {
        add(&mut hash, value.unwrap_or_default());
    }
    for (key, value) in others {
        hash.update(key.len().to_le_bytes());
        hash.update(key.as_bytes());
        add(&mut hash, value);
    }
    halves(hash.finalize().as_slice())
}

/// Adds a JSON value to a hash, without the white space between values in it; and its end, by a byte that is in no JSON.
fn add(hash: &mut Sha256, json: &str) {
    let bytes = json.as_bytes();
    let (mut from, mut at) = (0, 0);
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'"' => at = after_string(bytes, at),
            b' ' | b'\t' | b'\r' | b'\n' => {
                hash.update(&bytes[from..at]);
                at += 1;
                from = at;
            }
            _ => at += 1,
        }
    }
    hash.update(bytes.get(from..).unwrap_or_default());
    hash.update([0]);
}

/// As many bits of a hash as are kept.
fn halves(hash: &[u8]) -> IdHash {
    let half = |at: usize| hash.get(at..at + 8).and_then(|half| half.try_into().ok()).map_or(0, u64::from_le_bytes);
    [half(0), half(8)]
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn small(folder: &Path, most: usize, per_page: usize) -> Firsts {
        Firsts { most, per_page, ..Firsts::new(folder) }
    }

    #[test]
    fn the_first_is_what_a_map_finds_whatever_is_held() {
        let folder = tempfile::tempdir().unwrap();
        // A linear congruential generator: the same numbers on every machine.
        let mut state = 7_u64;
        let mut below = |limit: u64| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % limit
        };
        for round in 0..120 {
            let kinds = 1 + below(if round % 3 == 0 { 900 } else { 90 });
            let (most, per_page) = (1 + below(60) as usize, 1 + below(6) as usize);
            let mut firsts = small(folder.path(), most, per_page);
            let (mut map, mut lines) = (HashMap::new(), 0);
            for _ in 0..below(2_000) {
                let kind = below(kinds);
                // Hashes that meet on their pages, at the last one too, and such that differ in one half alone.
                let hash = match round % 3 {
                    0 => [kind.wrapping_mul(0x9E37_79B9_7F4A_7C15), kind],
                    1 => [u64::MAX - kind % 2, kind],
                    _ => [kind << 56, kind],
                };
                let expected = map.get(&hash).copied();
                if expected.is_none() {
                    lines += 1;
                    map.insert(hash, lines);
                }
                assert_eq!(firsts.look(hash).unwrap(), expected, "{most} {per_page} {kinds}");
                assert!(firsts.latest.len() < most.max(1));
            }
            assert_eq!(firsts.lines, lines);
            if let Some(table) = &firsts.table {
                assert!(table.entries * 4 <= table.pages * table.per_page as u64 * 3);
            }
        }
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn equal_is_what_asks_for_the_same() {
        let line =
            |id: &str, body: &str| format!(r#"{{"custom_id":"{id}","method":"POST","url":"/v1/x","body":{body}}}"#);
        let plain = line("a", r#"{"model":"m","input":["a b",1]}"#);
        let same = [
            line("b", r#"{"model":"m","input":["a b",1]}"#),
            line("b", "{ \"model\" :\t\"m\" , \"input\": [\r\n\"a b\" , 1 ] }"),
            r#"{"body":{"model":"m","input":["a b",1]},"url":"/v1/x","method":"POST","custom_id":"c"}"#.to_owned(),
        ];
        let different = [
            line("a", r#"{"model":"m","input":["a  b",1]}"#),
            line("a", r#"{"model":"m","input":["ab",1]}"#),
            line("a", r#"{"model":"m","input":["a b",1.0]}"#),
            line("a", r#"{"model":"m","input":["a b",11]}"#),
            // The order of keys is the order in which a model is asked to answer.
            line("a", r#"{"input":["a b",1],"model":"m"}"#),
            line("a", r#"{"model":"m","input":["a b",1],"n":1}"#),
            line("a", r#"{"model":"m","input":["a b\" , 1]}"#),
            plain.replace("/v1/x", "/v1/y"),
            plain.replace("POST", "GET"),
            plain.replace(r#""body""#, r#""more":1,"body""#),
            plain.replace(r#""body""#, r#""other":1,"body""#),
            plain.replace(r#""body""#, r#""more":2,"body""#),
        ];
        for other in &same {
            assert_eq!(hash(plain.as_bytes()), hash(other.as_bytes()), "{other}");
        }
        let mut all: Vec<IdHash> = different.iter().chain([&plain]).map(|line| hash(line.as_bytes())).collect();
        all.sort_unstable();
        all.dedup();
        assert_eq!(all.len(), different.len() + 1);
        let more = |more: &str| plain.replace(r#""body""#, &format!(r#"{more},"body""#));
        assert_eq!(hash(more(r#""x":1,"y":2"#).as_bytes()), hash(more(r#""y":2,"x":1"#).as_bytes()));
        assert_ne!(hash(more(r#""x":1,"y":2"#).as_bytes()), hash(more(r#""x":2,"y":1"#).as_bytes()));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let gone = folder.path().join("gone");
        let line = br#"{"custom_id":"a"}"#;
        let line = CheckedLine {
            number: 1,
            custom_id: "a",
            endpoint: "",
            model: None,
            inputs: 0,
            output_limit: None,
            canonical: line,
        };
        let error = small(&gone, 1, 4).first(&line).unwrap_err();
        assert_eq!(TemporaryError::inside(&error).map(TemporaryError::folder), Some(gone.as_path()));
    }
}
