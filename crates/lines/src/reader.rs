//! Owns the splitting of a stream into lines. A line is given where it stands in the buffer of the stream, or else in one
//! buffer that is reused; never is more than one line held, or looked into.

use std::io::{self, BufRead};

/// The longest line that [`LineReader`] buffers unless told otherwise: 512 MiB. Input files end at
/// 200 MB everywhere; result lines with images in base64 stay far below this.
pub const DEFAULT_MAX_LINE_BYTES: usize = 536_870_912;

/// The longest line that is held of answers although it can be no JSON, as that of a service that sends anything: what is
/// wrong with a longer one is not looked for.
pub(crate) const LONGEST_BROKEN: usize = 16 << 20;

/// How much is kept of a line that is too long: enough to say whose it was.
const HEAD: usize = 16_384;

/// One line of a file, without its line ending (LF, CR LF, or none at the end of the file).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Line<'a> {
    /// The line's number, from 1; blank lines are counted, as an editor counts them.
    pub number: u64,
    /// Where the line begins, in bytes from the start of the stream.
    pub offset: u64,
    /// The line's bytes; empty when [`too_long`](Self::too_long).
    pub bytes: &'a [u8],
    /// The length of the line in bytes, also of one that is too long.
    pub length: u64,
    /// The line is longer than the limit, of all lines or of those that can be no JSON, and was skipped without being
    /// buffered.
    pub too_long: bool,
    /// The first kilobytes of a line that is too long; empty for any other.
    pub head: &'a [u8],
}

/// Reads lines one by one and passes over blank ones (nothing but spaces, tabs and CR).
#[derive(Debug)]
pub struct LineReader<R> {
    inner: R,
    /// A line that is not whole in the buffer of `inner`.
    buffer: Vec<u8>,
    /// How much of the buffer of `inner` the last line takes, which was given there.
    given: usize,
    max_line_bytes: usize,
    max_broken_bytes: usize,
    number: u64,
    offset: u64,
    /// The last line had no end.
    unended: bool,
}

/// How much a reader has passed over: lines that are ended, and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Passed {
    pub(crate) lines: u64,
    pub(crate) bytes: u64,
}

impl<R: BufRead> LineReader<R> {
    /// Reads from `inner`, with lines of at most [`DEFAULT_MAX_LINE_BYTES`]. A line is taken from `inner` when the next one
    /// is asked for.
    pub fn new(inner: R) -> Self {
        let (buffer, max_line_bytes) = (Vec::new(), DEFAULT_MAX_LINE_BYTES);
        let max_broken_bytes = usize::MAX;
        Self { inner, buffer, given: 0, max_line_bytes, max_broken_bytes, number: 0, offset: 0, unended: false }
    }

    /// Sets the longest line, in bytes without its ending. A longer one is reported, not buffered.
    #[must_use]
    pub fn max_line_bytes(mut self, bytes: usize) -> Self {
        self.max_line_bytes = bytes;
        self
    }

    /// Sets the longest line that can be no JSON, as far as its texts and what stands between them tell.
    #[must_use]
    pub(crate) fn max_broken_bytes(mut self, bytes: usize) -> Self {
        self.max_broken_bytes = bytes;
        self
    }

    /// How much was read so far.
    pub(crate) fn passed(&self) -> Passed {
        Passed { lines: self.number - u64::from(self.unended), bytes: self.offset }
    }

    /// The next line that is not blank; `None` at the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of the underlying reader, except interruptions, which are tried again.
    pub fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        loop {
            self.inner.consume(std::mem::take(&mut self.given));
            let offset = self.offset;
            let Some(read) = self.read_one()? else {
                return Ok(None);
            };
            if read.blank {
                continue;
            }
            if self.given > 0 {
                // What is there already, and nothing is read for it.
                let bytes = &self.inner.fill_buf()?[..read.length as usize];
                return Ok(Some(Line {
                    number: self.number,
                    offset,
                    bytes,
                    length: read.length,
                    too_long: false,
                    head: &[],
                }));
            }
            let (bytes, head) = if read.too_long { (&[][..], &self.buffer[..]) } else { (&self.buffer[..], &[][..]) };
            return Ok(Some(Line {
                number: self.number,
                offset,
                bytes,
                length: read.length,
                too_long: read.too_long,
                head,
            }));
        }
    }

    /// Reads one line, blank or not, and strips its ending. It is in the buffer, or given where it stands.
    fn read_one(&mut self) -> io::Result<Option<Read>> {
        self.buffer.clear();
        // One byte more than the limit may be a CR that belongs to the ending.
        let room = self.max_line_bytes.saturating_add(1);
        let mut read = Read { length: 0, too_long: false, blank: true };
        let mut last = None;
        let mut any = false;
        let mut texts: Option<Texts> = None;
        loop {
            let chunk = match self.inner.fill_buf() {
                Ok(chunk) => chunk,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if chunk.is_empty() {
                break;
            }
            let end = memchr::memchr(b'\n', chunk);
            if let (false, Some(end)) = (any, end)
                && let line = chunk[..end].strip_suffix(b"\r").unwrap_or(&chunk[..end])
                && line.len() <= self.max_line_bytes
            {
                let blank = chunk[..end].iter().all(is_blank);
                let read = Read { length: line.len() as u64, too_long: false, blank };
                self.given = end + 1;
                self.offset += self.given as u64;
                self.number += 1;
                self.unended = false;
                return Ok(Some(read));
            }
            any = true;
            let part = &chunk[..end.unwrap_or(chunk.len())];
            read.blank = read.blank && part.iter().all(is_blank);
            read.length += part.len() as u64;
            last = part.last().copied().or(last);
            if !read.too_long && self.buffer.len() + part.len() > self.max_broken_bytes {
                let texts = texts.get_or_insert_with(|| Texts::default().and(&self.buffer));
                *texts = std::mem::take(texts).and(part);
                read.too_long = texts.broken;
            }
            if read.too_long || part.len() > room - self.buffer.len() {
                read.too_long = true;
                let more = HEAD.saturating_sub(self.buffer.len()).min(part.len());
                self.buffer.extend_from_slice(&part[..more]);
                self.buffer.truncate(HEAD);
                self.buffer.shrink_to(HEAD);
            } else {
                self.buffer.extend_from_slice(part);
            }
            let taken = part.len() + usize::from(end.is_some());
            self.inner.consume(taken);
            self.offset += taken as u64;
            self.unended = end.is_none();
            if end.is_some() {
                break;
            }
        }
        if !any {
            return Ok(None);
        }
        self.number += 1;
        if last == Some(b'\r') {
            read.length -= 1;
            if !read.too_long {
                self.buffer.pop();
            }
        }
        if !read.too_long && self.buffer.len() > self.max_line_bytes {
            read.too_long = true;
            self.buffer.truncate(HEAD);
        }
        Ok(Some(read))
    }
}

/// Whether bytes may be JSON, as far as that is told by what stands outside of its texts: brackets, numbers, names of values
/// and white space, and the byte order mark and the separator that may stand before.
#[derive(Debug, Default)]
struct Texts {
    /// In a text, and behind a backslash in it.
    inside: bool,
    escaped: bool,
    broken: bool,
}

impl Texts {
    /// With the bytes that follow.
    fn and(mut self, mut bytes: &[u8]) -> Self {
        while let (Some((first, rest)), false) = (bytes.split_first(), self.broken) {
            if std::mem::take(&mut self.escaped) {
                bytes = rest;
            } else if self.inside {
                let Some(at) = memchr::memchr2(b'"', b'\\', bytes) else { break };
                (self.inside, self.escaped) = (bytes[at] != b'"', bytes[at] == b'\\');
                bytes = &bytes[at + 1..];
            } else {
                self.inside = *first == b'"';
                self.broken = !(self.inside || is_outside(*first));
                bytes = rest;
            }
        }
        self
    }
}

fn is_outside(byte: u8) -> bool {
    matches!(byte, b'{' | b'}' | b'[' | b']' | b':' | b',' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'E' | b' ' | b'\t' | b'\r')
        // Of true, false and null, and of numbers.
        || b"truefalsn".contains(&byte)
        || matches!(byte, 0xEF | 0xBB | 0xBF | 0x1E)
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\r')
}

struct Read {
    length: u64,
    too_long: bool,
    blank: bool,
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::BufReader;

    /// Number, offset, text and whether too long, of every line.
    fn lines(input: &[u8], capacity: usize, max: usize) -> Vec<(u64, u64, String, bool)> {
        let mut reader = LineReader::new(BufReader::with_capacity(capacity, input)).max_line_bytes(max);
        let mut lines = Vec::new();
        while let Some(line) = reader.next_line().unwrap() {
            let text = String::from_utf8_lossy(line.bytes).into_owned();
            if !line.too_long {
                assert_eq!(line.length, line.bytes.len() as u64);
            }
            lines.push((line.number, line.offset, text, line.too_long));
        }
        lines
    }

    #[test]
    fn splits_the_same_at_every_buffer_size() {
        let input = b"one\r\n\n \t\r\ntwo\nthree\r\rend\r\n\xff\r";
        for capacity in [1, 2, 3, 5, 64] {
            let expected = [
                (1, 0, "one", false),
                (4, 10, "two", false),
                (5, 14, "three\r\rend", false),
                (6, 26, "\u{fffd}", false),
            ];
            let expected = expected.map(|(n, o, t, l)| (n, o, t.to_owned(), l));
            assert_eq!(lines(input, capacity, 100), expected, "{capacity}");
        }
        assert!(lines(b"", 8, 8).is_empty());
        assert!(lines(b"\n\n", 8, 8).is_empty());
    }

    #[test]
    fn skips_a_line_over_the_limit_without_holding_it() {
        for capacity in [1, 4, 64] {
            let got = lines(b"12345\r\n123456\n1234567890\r\n     \t  \nok", capacity, 5);
            let expected = [(1, 0, "12345", false), (2, 7, "", true), (3, 14, "", true), (5, 35, "ok", false)];
            let expected = expected.map(|(n, o, t, l)| (n, o, t.to_owned(), l));
            assert_eq!(got, expected, "{capacity}");
        }
        for (max, head) in [(10, HEAD), (HEAD - 1, HEAD), (1 << 19, HEAD)] {
            let mut reader = LineReader::new(BufReader::with_capacity(999, &[b'x'; 1 << 20][..])).max_line_bytes(max);
            let line = reader.next_line().unwrap().unwrap();
            assert!(line.too_long && line.bytes.is_empty());
            assert_eq!((line.length, line.head), (1 << 20, &vec![b'x'; head][..]), "{max}");
            assert!(reader.buffer.capacity() <= 2 * HEAD);
        }
        let mut reader = LineReader::new(&b"12345\n12"[..]).max_line_bytes(4);
        assert_eq!(reader.next_line().unwrap().unwrap().head, b"12345");
        assert_eq!(reader.next_line().unwrap().unwrap().head, b"");
    }

    #[test]
    fn a_line_that_can_be_no_json_is_held_so_far_and_no_further() {
        const MOST: usize = 1 << 16;
        let long = "x".repeat(8 * MOST);
        for (line, held) in [
            (long.clone(), false),
            (format!("{{\"a\":\"\\\"\"{long}"), false),
            (format!("{{\"a\":\"{long}\", b{long}"), false),
            (format!("<html>{long}"), false),
            (format!("{{\"a\":\"\\\"{long}"), true),
            (format!("\u{feff}{{\"a\":[{}null,-1.5E+3],\"b\":\"{long}\\\\\"}}", "true,false,".repeat(MOST)), true),
            (format!("\"b64\": \"{long}\","), true),
            (long[..MOST].to_owned(), true),
        ] {
            for capacity in [999, MOST - 1, MOST + 1] {
                let text = format!("{line}\n{{}}\n");
                let mut reader = LineReader::new(BufReader::with_capacity(capacity, text.as_bytes()));
                reader = reader.max_broken_bytes(MOST);
                let read = reader.next_line().unwrap().unwrap();
                let what = &line[..line.len().min(30)];
                assert_eq!((read.too_long, read.length), (!held, line.len() as u64), "{what}, {capacity}");
                assert_eq!(read.head.len(), if held { 0 } else { HEAD }, "{what}, {capacity}");
                assert!(held || reader.buffer.capacity() <= 2 * HEAD, "{what}, {capacity}");
                assert_eq!(reader.next_line().unwrap().unwrap().bytes, b"{}", "{what}, {capacity}");
            }
        }
    }

    #[test]
    fn passes_errors_on_and_repeats_interruptions() {
        struct Flaky(u8);
        impl io::Read for Flaky {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 += 1;
                match self.0 {
                    1 => Err(io::ErrorKind::Interrupted.into()),
                    2 => {
                        buffer[..3].copy_from_slice(b"ab\n");
                        Ok(3)
                    }
                    _ => Err(io::ErrorKind::ConnectionReset.into()),
                }
            }
        }
        let mut reader = LineReader::new(BufReader::new(Flaky(0)));
        assert_eq!(reader.next_line().unwrap().unwrap().bytes, b"ab");
        let error = reader.next_line().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    }
}
