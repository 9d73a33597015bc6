//! Owns what is told of a file as a whole, in the same words by [`check`](crate::check()),
//! [`Inspection`](crate::Inspection) and [`join`](crate::join()): files that hold no lines of JSON at
//! all, told from their first bytes.

use std::fmt;
use std::io::{self, BufRead, Chain, Cursor, Read};

use memchr::memmem;

use crate::layout::{Depth, Deviation};
use crate::scan::BOM;

/// How many bytes of a file are looked at.
pub(crate) const START: usize = 1_024;

/// What a file is that holds no lines of JSON, as [`foreign()`] tells it. It prints with what to do about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Foreign {
    what: &'static str,
    advice: &'static str,
}

impl Foreign {
    /// The same, of a file that was to hold this in place of lines of JSON, such as `CSV`.
    #[must_use]
    pub fn in_place_of(&self, expected: &str) -> String {
        format!("the file is {}, not {expected}: {}", self.what, self.advice)
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.in_place_of("lines of JSON"))
    }
}

const DECOMPRESS: &str = "decompress it first, or build lote with the feature `compressed`";
const UNPACK: &str = "unpack it, and give the file of lines that it holds";
const EXPORT: &str = "export it as JSONL, one JSON object a line";
const FETCH: &str = "fetch the file again; this is what came in its place";
const WRONG: &str = "is it the right file?";
const SEP: &str = "take that line out; `lote prepare` with --delimiter makes request lines of the rest";
const UTF8: &str = "save it as UTF-8 without a byte order mark";

/// The first bytes of kinds of files, and what they are.
#[rustfmt::skip]
const MAGIC: [(&[u8], &str, &str); 37] = [
    (b"\x1f\x8b", "compressed with gzip", DECOMPRESS),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd", DECOMPRESS),
    (b"\xfd7zXZ\0", "compressed with xz", "decompress it first"),
    (b"\x04\x22\x4d\x18", "compressed with lz4", "decompress it first"),
    (b"\xff\x06\0\0sNaPpY", "compressed with snappy", "decompress it first"),
    (b"\x1f\x9d", "compressed with compress", "decompress it first"),
    (b"LZIP\x01", "compressed with lzip", "decompress it first"),
    (b"PK\x03\x04", "a zip archive or an Office document (.xlsx)", UNPACK),
    (b"PK\x05\x06", "an empty zip archive", UNPACK),
    (b"PK\x07\x08", "a zip archive", UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", UNPACK),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Office document (.xls, .doc)", EXPORT),
    (b"PAR1", "a Parquet file", EXPORT),
    (b"PARE", "an encrypted Parquet file", EXPORT),
    (b"ARROW1", "an Arrow file", EXPORT),
    (b"FEA1", "a Feather file", EXPORT),
    (b"Obj\x01", "an Avro file", EXPORT),
    (b"ORC", "an ORC file", EXPORT),
    (b"SQLite format 3\0", "a SQLite database", EXPORT),
    (b"\x93NUMPY", "a NumPy array", EXPORT),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file", EXPORT),
    (b"\x80\x02", "a Python pickle", EXPORT),
    (b"\x80\x03", "a Python pickle", EXPORT),
    (b"\x80\x04", "a Python pickle", EXPORT),
    (b"\x80\x05", "a Python pickle", EXPORT),
    (b"%PDF-", "a PDF document", WRONG),
    (b"{\\rtf", "an RTF document", EXPORT),
    (b"\x89PNG\r\n\x1a\n", "a PNG image", WRONG),
    (b"\xff\xd8\xff", "a JPEG image", WRONG),
    (b"GIF8", "a GIF image", WRONG),
    (b"RIFF", "a media file (RIFF)", WRONG),
    (b"ID3", "a sound (MP3)", WRONG),
    (b"OggS", "a sound (Ogg)", WRONG),
    (b"\x7fELF", "a program (ELF)", WRONG),
    (b"MZ\x90\0", "a program (Windows)", WRONG),
    (b"version https://git-lfs.github.com/spec/", "a pointer of Git LFS", "fetch its content with `git lfs pull`"),
];

/// The byte order marks of encodings that are not UTF-8, the longer ones first.
const MARKS: [(&[u8], &str); 4] = [
    (b"\xff\xfe\0\0", "in UTF-32 (little-endian)"),
    (b"\0\0\xfe\xff", "in UTF-32 (big-endian)"),
    (b"\xff\xfe", "in UTF-16 (little-endian)"),
    (b"\xfe\xff", "in UTF-16 (big-endian)"),
];

/// What a file with these first bytes is, if it is none of lines of JSON. A thousand bytes are enough; whoever reads rows of
/// another kind, such as CSV, tells the same files with them.
///
/// ```
/// let page = lote_lines::foreign(b"<!DOCTYPE html><html>").expect("a page");
/// assert!(page.to_string().starts_with("the file is an HTML page"));
/// assert_eq!(lote_lines::foreign(b"{\"custom_id\":\"a\"}"), None);
/// ```
#[must_use]
pub fn foreign(start: &[u8]) -> Option<Foreign> {
    for (bytes, what) in MARKS {
        if start.starts_with(bytes) {
            return Some(Foreign { what, advice: UTF8 });
        }
    }
    // Four letters may as well begin a line of field names.
    let is_text =
        std::str::from_utf8(start).is_ok_and(|text| !text.contains(|c: char| c.is_control() && !c.is_whitespace()));
    for (bytes, what, advice) in MAGIC {
        if start.starts_with(bytes) && !(is_text && bytes.len() <= 4) {
            return Some(Foreign { what, advice });
        }
    }
    if start.starts_with(b"BZh") && start.get(4..10) == Some(b"1AY&SY") {
        return Some(Foreign { what: "compressed with bzip2", advice: "decompress it first" });
    }
    if let Some(rest) = start.strip_prefix(BOM).unwrap_or(start).strip_prefix(b"sep=")
        && matches!(rest, [_, b'\r' | b'\n', ..])
    {
        return Some(Foreign { what: "CSV under a line `sep=` of Excel", advice: SEP });
    }
    // A skippable frame of zstd, as pzstd writes it before the first.
    if matches!(start, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..]) {
        return Some(Foreign { what: "compressed with zstd", advice: DECOMPRESS });
    }
    if start.get(257..262) == Some(b"ustar") {
        return Some(Foreign { what: "a tar archive", advice: UNPACK });
    }
    without_mark(start).or_else(|| markup(start))
}

/// Encodings and binary files that have no mark: text has no zero bytes.
fn without_mark(start: &[u8]) -> Option<Foreign> {
    if let [a, b, c, d, ..] = *start {
        let what = match [a == 0, b == 0, c == 0, d == 0] {
            [false, true, true, true] if a.is_ascii() => Some("in UTF-32 (little-endian)"),
            [true, true, true, false] if d.is_ascii() => Some("in UTF-32 (big-endian)"),
            [false, true, false, true] if a.is_ascii() && c.is_ascii() => Some("in UTF-16 (little-endian)"),
            [true, false, true, false] if b.is_ascii() && d.is_ascii() => Some("in UTF-16 (big-endian)"),
            _ => None,
        };
        if let Some(what) = what {
            return Some(Foreign { what, advice: UTF8 });
        }
    }
    if start.len() >= 8 && start.iter().all(|byte| *byte == 0) {
        return Some(Foreign { what: "full of zero bytes", advice: "was its writing cut off? Fetch it again" });
    }
    let begun = start.trim_ascii_start();
    let is_json = begun.starts_with(b"{") || begun.starts_with(b"[") || begun.starts_with(b"\xef\xbb\xbf");
    if !is_json && memchr::memchr(0, start).is_some() {
        return Some(Foreign { what: "no text", advice: WRONG });
    }
    None
}

/// A page in the place of lines: of a login, a proxy, or a store of files.
fn markup(start: &[u8]) -> Option<Foreign> {
    let text = start.strip_prefix(b"\xef\xbb\xbf").unwrap_or(start).trim_ascii_start();
    // Git writes seven, and those are told with their line.
    if !text.starts_with(b"<") || text.starts_with(b"<<") {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let html = [&b"<!doctype html"[..], b"<html", b"<head", b"<body", b"<title", b"<script", b"<div", b"<p>", b"<h1"];
    if html.iter().any(|tag| lower.starts_with(tag)) || memmem::find(&lower, b"<html").is_some() {
        return Some(Foreign { what: "an HTML page, such as that of a login or of an error", advice: FETCH });
    }
    Some(Foreign { what: "XML, such as the error of a store of files", advice: FETCH })
}

/// How the rows of JSON lines with these first bytes are laid out, if not one object a line, in the words of
/// [`check`](crate::check()): in an array, or over several lines.
#[must_use]
pub fn misplaced_rows(start: &[u8]) -> Option<String> {
    let text = start.strip_prefix(BOM).unwrap_or(start).trim_ascii_start();
    let line = text.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if text.starts_with(b"[") {
        return Some(Deviation::Array.message());
    }
    let mut depth = Depth::default();
    let is_open = text.starts_with(b"{") && depth.closes(line).is_none() && !depth.in_string;
    // What was looked at may end before the line does; a comma or a bracket says that the line goes on below.
    let goes_on = line.len() < text.len() && matches!(line.trim_ascii_end().last(), Some(b',' | b'{' | b'['));
    (is_open && goes_on).then(|| Deviation::some_lines().to_owned())
}

/// A reader whose first bytes were looked at.
pub(crate) type Peeked<R> = Chain<Cursor<Vec<u8>>, R>;

/// The first bytes of a stream, and the stream with them.
pub(crate) fn peek<R: BufRead>(mut reader: R) -> io::Result<(Vec<u8>, Peeked<R>)> {
    let mut start = Vec::new();
    reader.by_ref().take(START as u64).read_to_end(&mut start)?;
    Ok((start.clone(), Cursor::new(start).chain(reader)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(start: &[u8]) -> String {
        foreign(start).map(|foreign| foreign.to_string()).unwrap_or_default()
    }

    #[test]
    fn what_is_no_jsonl_is_told_from_its_first_bytes() {
        let utf16 = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>();
        let utf16_be = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<_>>();
        let utf32 = |text: &str| text.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect::<Vec<_>>();
        let utf32_be = |text: &str| text.chars().flat_map(|c| u32::from(c).to_be_bytes()).collect::<Vec<_>>();
        let tar = [&b"output.jsonl"[..], &[0; 245], b"ustar\0"].concat();
        for (start, expected) in [
            (b"\x1f\x8b\x08\0".to_vec(), "compressed with gzip"),
            (b"\x28\xb5\x2f\xfd\x04".to_vec(), "compressed with zstd"),
            (b"\x53\x2a\x4d\x18\x04".to_vec(), "compressed with zstd"),
            (b"PK\x03\x04\x14".to_vec(), "a zip archive"),
            (b"\xfd7zXZ\0\0".to_vec(), "compressed with xz"),
            (b"BZh91AY&SY".to_vec(), "compressed with bzip2"),
            (b"%PDF-1.7".to_vec(), "a PDF document"),
            (b"PAR1\x15".to_vec(), "a Parquet file"),
            (b"SQLite format 3\0\x10".to_vec(), "a SQLite database"),
            (b"\x89PNG\r\n\x1a\n\0".to_vec(), "a PNG image"),
            (b"\x80\x04\x95\x1c\0".to_vec(), "a Python pickle"),
            (tar, "a tar archive"),
            (b"version https://git-lfs.github.com/spec/v1\noid".to_vec(), "a pointer of Git LFS"),
            (b" \r\n<!DOCTYPE html>\n<html>".to_vec(), "an HTML page"),
            (b"\xef\xbb\xbf<HTML lang=en>".to_vec(), "an HTML page"),
            (b"<?xml version='1.0'?>\n<html xmlns=''>".to_vec(), "an HTML page"),
            (b"<?xml version='1.0'?><Error><Code>AccessDenied".to_vec(), "XML"),
            (utf16("\u{feff}{\"custom_id\""), "in UTF-16 (little-endian)"),
            (utf16("{\"custom_id\""), "in UTF-16 (little-endian)"),
            (utf16_be("\u{feff}{\"custom_id\""), "in UTF-16 (big-endian)"),
            (utf16_be("\r\n{\"custom_id\""), "in UTF-16 (big-endian)"),
            (utf32("\u{feff}{\"custom_id\""), "in UTF-32 (little-endian)"),
            (utf32("{\"custom_id\""), "in UTF-32 (little-endian)"),
            (utf32_be("\u{feff}{\"custom_id\""), "in UTF-32 (big-endian)"),
            (utf32_be("[{\"custom_id\""), "in UTF-32 (big-endian)"),
            (b"sep=;\r\nid;text\r\n".to_vec(), "CSV under a line `sep=` of Excel"),
            (b"\xef\xbb\xbfsep=,\nid,text".to_vec(), "CSV under a line `sep=` of Excel"),
            (b"PARE\x15\x04".to_vec(), "an encrypted Parquet file"),
            (vec![0; 512], "full of zero bytes"),
            (b"a\0".to_vec(), "no text"),
            // As many zero bytes as in text of another encoding, but no letters.
            (b"\xca\0\0\0".to_vec(), "no text"),
            (b"\0\0\0\xca".to_vec(), "no text"),
            (b"\xca\0a\0".to_vec(), "no text"),
            (b"a\0\xca\0".to_vec(), "no text"),
            (b"\0\xca\0a".to_vec(), "no text"),
            (b"\0a\0\xca".to_vec(), "no text"),
            (b"\xca\xfe\xba\xbe\0\0\0\x34".to_vec(), "no text"),
        ] {
            let text = said(&start);
            assert!(text.starts_with(&format!("the file is {expected}")), "{start:?}: {text}");
            assert!(text.contains(", not lines of JSON: "), "{text}");
        }
    }

    #[test]
    fn what_may_be_jsonl_is_left_to_its_lines() {
        for start in [
            &b""[..],
            b"{",
            b"[",
            b"{\"custom_id\":\"a\"}",
            b"\xef\xbb\xbf{\"custom_id\":\"a\"}",
            b"{\"custom_id\":\"a\0b\"}",
            b"\n\n  {\"a\":1}",
            b"garbage\n{}",
            b"id,prompt\n1,hello\n",
            b"<<<<<<< HEAD\n{\"custom_id\":\"a\"}",
            b"\xff\n{\"custom_id\":\"a\"}",
            b"\xef\xbb\xbf\0",
            // Field names, not the letters that begin a file of another kind.
            b"PARENT,CHILD\n1,2\n",
            b"ID3;name\n",
            b"BZh,x\n",
            b"RIFF\n",
            b"sep=1,2\n",
            "é".as_bytes(),
        ] {
            assert_eq!(foreign(start), None, "{start:?}");
        }
    }

    #[test]
    fn rows_that_are_laid_out_otherwise_are_told() {
        for (start, expected) in [
            (&b"[{\"a\":1}]"[..], "the lines stand in a JSON array"),
            (b"\xef\xbb\xbf \n[\n  {", "the lines stand in a JSON array"),
            (b"{\n  \"a\": 1\n}", "an object stands over several lines"),
            (b"{\"a\": {\r\n  \"b\": 1}}", "an object stands over several lines"),
        ] {
            let said = misplaced_rows(start).unwrap_or_default();
            assert!(said.starts_with(expected), "{said}");
        }
        for start in [
            &b""[..],
            b"{\"a\":1}\n{\"a\":2}\n",
            b"{\"a\":\"[\"}",
            b"{\"a\": [1, 2,",
            b"a,b\n[1,2\n",
            b"{\"a\":\"x\ny\"}",
            b"{\"a\":\"x,\ny\"}",
            b"{\"a\":1},\n{\"a\":2}\n",
            b"a [\n1\n",
        ] {
            assert_eq!(misplaced_rows(start), None, "{}", String::from_utf8_lossy(start));
        }
    }

    #[test]
    fn looking_takes_nothing_away() {
        for length in [0, 3, START - 1, START, 3 * START] {
            let content: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            let (start, mut all) = peek(io::BufReader::with_capacity(7, &content[..])).unwrap();
            assert_eq!(start, content[..length.min(START)]);
            let mut read = Vec::new();
            all.read_to_end(&mut read).unwrap();
            assert_eq!(read, content);
        }
    }
}
