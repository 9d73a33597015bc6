//! Owns the judgement of an input file before a byte of it is sent. It never changes a line, and
//! never stops at a finding: all of them are reported in one pass.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::finding::{Finding, FindingCode};
use crate::foreign;
use crate::ids::{IdHasher, IdMap};
use crate::layout::Layout;
use crate::raw::clip;
use crate::reader::{Line, LineReader};
use crate::scan::BOM;
use crate::tally::count_model;

mod line;

/// The endpoints that batches of OpenAI and MKA1 take, as OpenAI's API description of 2026-08-21
/// lists them. MKA1 takes four of them: chat completions, responses, embeddings and image
/// generations.
pub const ENDPOINTS: &[&str] = &[
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/embeddings",
    "/v1/images/generations",
    "/v1/completions",
    "/v1/moderations",
    "/v1/images/edits",
    "/v1/videos",
];

/// How much one input file may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Request lines in one file.
    pub max_lines: u64,
    /// Bytes in one file, line endings included.
    pub max_bytes: u64,
}

impl Default for Limits {
    /// OpenAI's limits: 50,000 request lines and 200 MB (taken as 200,000,000 bytes), stated in the
    /// description of `POST /batches` in its API description of 2026-08-21. MKA1 publishes none.
    fn default() -> Self {
        Self { max_lines: 50_000, max_bytes: 200_000_000 }
    }
}

/// What an input file is checked against.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckOptions {
    /// The batch's endpoint. Without one, the first url that is known is taken for it.
    pub endpoint: Option<String>,
    /// How much the file may hold.
    pub limits: Limits,
    /// The urls that the service is known to take; empty when every url is to pass.
    pub known_endpoints: Vec<String>,
    /// The characters that a custom_id may have, where the service limits them.
    pub max_custom_id: Option<u64>,
}

impl Default for CheckOptions {
    /// No endpoint, the default [`Limits`], and [`ENDPOINTS`].
    fn default() -> Self {
        Self {
            endpoint: None,
            limits: Limits::default(),
            known_endpoints: ENDPOINTS.iter().copied().map(str::to_owned).collect(),
            max_custom_id: None,
        }
    }
}

/// What an input file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checked {
    /// Request lines: all lines that are not blank.
    pub lines: u64,
    /// Bytes of the canonical lines: each ended by one LF, blank lines left out.
    pub bytes: u64,
    /// The batch's endpoint: the one given, else the first url that is known.
    pub endpoint: Option<String>,
    /// How many request lines ask for each model.
    pub models: BTreeMap<String, u64>,
    /// Request lines whose body names no model.
    pub without_model: u64,
    /// How many findings were reported.
    pub findings: u64,
    /// SHA-256 of the canonical lines, in lower-case hex.
    pub sha256: String,
}

/// Reads an input file to its end and reports every finding, in the order of the lines.
///
/// `sink` receives the canonical lines while they are read: each line's JSON unchanged and ended
/// by LF, with blank lines left out. (A CR between two values of one line becomes a space, as some
/// readers take it for a line break.) What it received is fit to be sent only when there were no
/// findings; a line that is too long is not in it.
///
/// Memory: the longest line, at most `limits.max_bytes`, and less than 100 bytes for each line. No body
/// is ever turned into a tree.
///
/// # Errors
///
/// Those of `reader`, and those of `sink`, which say that they came from the writing side and keep
/// their kind. Bad content is no error but a finding.
pub fn check(
    reader: impl BufRead,
    options: &CheckOptions,
    on_finding: &mut dyn FnMut(Finding),
    mut sink: Option<&mut dyn Write>,
) -> io::Result<Checked> {
    let (start, reader) = foreign::peek(reader)?;
    let max_line = usize::try_from(options.limits.max_bytes.saturating_sub(1));
    let mut lines = LineReader::new(reader).max_line_bytes(max_line.unwrap_or(usize::MAX));
    let mut checker = Checker::new(options, on_finding);
    let mut hash = Sha256::new();
    if let Some(foreign) = foreign::foreign(&start) {
        checker.foreign = true;
        checker.find(None, None, FindingCode::NotJsonl, foreign.to_string());
        return Ok(checker.finish(hash));
    }
    while let Some(line) = lines.next_line()? {
        let Some(canonical) = checker.line(&line) else {
            continue;
        };
        hash.update(canonical);
        hash.update(b"\n");
        if let Some(sink) = &mut sink {
            let written = sink.write_all(canonical).and_then(|()| sink.write_all(b"\n"));
            written.map_err(writing_side)?;
        }
    }
    checker.end_block();
    if let Some(sink) = &mut sink {
        sink.flush().map_err(writing_side)?;
    }
    Ok(checker.finish(hash))
}

fn writing_side(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write the canonical lines: {error}"))
}

/// Everything that is remembered from line to line.
struct Checker<'o> {
    options: &'o CheckOptions,
    on_finding: &'o mut dyn FnMut(Finding),
    lines: u64,
    bytes: u64,
    findings: u64,
    endpoint: Option<String>,
    /// The line that gave the endpoint, unless the options did.
    endpoint_line: Option<u64>,
    models: BTreeMap<String, u64>,
    without_model: u64,
    hasher: IdHasher,
    /// The line in which each custom_id stood first.
    first: IdMap<u64>,
    /// How the lines deviate from one object a line.
    layout: Layout,
    /// The file holds no lines of JSON at all.
    foreign: bool,
    /// A line whose CRs had to be replaced.
    rewritten: Vec<u8>,
}

impl<'o> Checker<'o> {
    fn new(options: &'o CheckOptions, on_finding: &'o mut dyn FnMut(Finding)) -> Self {
        Self {
            options,
            on_finding,
            lines: 0,
            bytes: 0,
            findings: 0,
            endpoint: options.endpoint.clone(),
            endpoint_line: None,
            models: BTreeMap::new(),
            without_model: 0,
            hasher: IdHasher::default(),
            first: IdMap::default(),
            layout: Layout::default(),
            foreign: false,
            rewritten: Vec::new(),
        }
    }

    /// Judges one line and gives back its canonical bytes, if it has any.
    fn line<'l>(&'l mut self, line: &Line<'l>) -> Option<&'l [u8]> {
        let mut bytes = line.bytes;
        if let Some(rest) = bytes.strip_prefix(BOM) {
            let message = "a byte order mark (EF BB BF) stands before the line: save the file as UTF-8 without it";
            self.find(line.number, None, FindingCode::Bom, message);
            bytes = rest;
            if bytes.iter().all(u8::is_ascii_whitespace) {
                return None;
            }
        }
        self.lines += 1;
        self.bytes += line.length + 1;
        self.limits(line);
        if line.too_long {
            self.end_block();
            return None;
        }
        self.request_line(line.number, bytes);
        if memchr::memchr(b'\r', line.bytes).is_none() {
            return Some(line.bytes);
        }
        self.rewritten.clear();
        let spaced = line.bytes.iter().map(|b| if *b == b'\r' { b' ' } else { *b });
        self.rewritten.extend(spaced);
        Some(&self.rewritten)
    }

    /// The limits of the file, each reported by the line that passes it.
    fn limits(&mut self, line: &Line<'_>) {
        let Limits { max_lines, max_bytes } = self.options.limits;
        if line.too_long {
            let message = format!(
                "the line has {} bytes, more than the {max_bytes} of a whole file: make it shorter",
                line.length
            );
            self.find(line.number, None, FindingCode::LineTooLong, message);
        }
        if self.lines == max_lines.saturating_add(1) {
            let message = format!("more than {max_lines} request lines, the limit of one batch: split the file");
            self.find(line.number, None, FindingCode::TooManyLines, message);
        }
        let before = self.bytes - (line.length + 1);
        if self.bytes > max_bytes && before <= max_bytes {
            let message = format!("the file passes {max_bytes} bytes, the limit of one batch: split the file");
            self.find(line.number, None, FindingCode::FileTooLarge, message);
        }
    }

    fn find(
        &mut self,
        line: impl Into<Option<u64>>,
        custom_id: Option<&str>,
        code: FindingCode,
        message: impl Into<String>,
    ) {
        self.findings += 1;
        (self.on_finding)(Finding {
            line: line.into(),
            custom_id: custom_id.map(|id| clip(id, 512).into_owned()),
            code,
            message: message.into(),
        });
    }

    fn count_model(&mut self, model: Option<&str>) {
        match model.and_then(crate::raw::text) {
            Some(model) => count_model(&mut self.models, &model),
            None => self.without_model += 1,
        }
    }

    fn finish(mut self, hash: Sha256) -> Checked {
        if self.lines == 0 && !self.foreign {
            let message = "the file holds no request line";
            self.find(None, None, FindingCode::EmptyFile, message);
        }
        let mut sha256 = String::with_capacity(64);
        for byte in hash.finalize() {
            // Writing to a String cannot fail.
            let _ = write!(sha256, "{byte:02x}");
        }
        Checked {
            lines: self.lines,
            bytes: self.bytes,
            endpoint: self.endpoint,
            models: self.models,
            without_model: self.without_model,
            findings: self.findings,
            sha256,
        }
    }
}
