//! Checks an input file before a byte of it is sent, and reports all that is wrong with it in one pass.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, BufRead, Write};

use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::finding::{Finding, FindingCode};
use crate::foreign;
use crate::layout::Layout;
use crate::raw::clip;
use crate::reader::{Line, LineReader};
use crate::scan::BOM;
use crate::tally::count_models;
use crate::tape::Tape;
use crate::uniqueness::Uniqueness;
use body::Held;
use many::Many;
use torn::Torn;

mod body;
mod inputs;
mod line;
mod many;
mod near;
mod options;
mod rules;
mod shapes;
mod surrogates;
mod syntax;
mod torn;

pub use many::{CheckMany, CheckManyError, CheckedLine, CountLines};
pub use options::{CheckOptions, ENDPOINTS, Limits};

/// What an input file holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Checked {
    /// Request lines: all lines that are not blank.
    pub lines: u64,
    /// Bytes of the canonical lines: each ended by one LF, blank lines left out.
    pub bytes: u64,
    /// The batch's endpoint: the one given, else the first url that is known, in the contract's spelling.
    pub endpoint: Option<String>,
    /// How many request lines ask for each model.
    pub models: BTreeMap<String, u64>,
    /// Request lines whose body names no model.
    pub without_model: u64,
    /// How many findings were reported.
    pub findings: u64,
    /// SHA-256 of the canonical lines, in lower-case hex; empty where [`CheckOptions::hash`] is off.
    pub sha256: String,
}

/// Reads an input file to its end and reports every finding, in the order of the lines; but a custom_id that was used before
/// more than 200,000 lines ago is found at the end.
///
/// `sink` receives the canonical lines while they are read: each line's JSON unchanged and ended
/// by LF, with blank lines left out. (A CR between two values of one line becomes a space, as some
/// readers take it for a line break.) What it received is fit to be sent only when there were no
/// findings; a line that is too long is not in it.
///
/// Memory: the longest line, at most `limits.max_bytes`, and less than 20 MiB, however many lines there are: the custom_ids
/// beyond that are in a temporary file, in [`temp_dir`](std::env::temp_dir), 24 bytes each. No body is ever turned into a
/// tree.
///
/// # Errors
///
/// Those of `reader`, those of the temporary file, and those of `sink`, which say that they came from the writing side and
/// keep their kind. Bad content is no error but a finding.
pub fn check(
    reader: impl BufRead,
    options: &CheckOptions,
    on_finding: &mut dyn FnMut(Finding),
    mut sink: Option<&mut dyn Write>,
) -> io::Result<Checked> {
    let mut ids = Uniqueness::spilling(std::env::temp_dir());
    let mut checker = Checker::new(options, &mut ids, on_finding);
    let mut hash = Sha256::new();
    let ended = checker.file(reader, &mut |_, line| {
        if options.hash {
            hash.update(line.canonical);
            hash.update(b"\n");
        }
        if let Some(sink) = &mut sink {
            sink.write_all(line.canonical).and_then(|()| sink.write_all(b"\n"))?;
        }
        Ok(true)
    });
    ended.map_err(|error| match error {
        CheckManyError::Read(error) | CheckManyError::Spill(error) => error,
        CheckManyError::Line(error) => writing_side(error),
    })?;
    if let Some(sink) = &mut sink {
        sink.flush().map_err(writing_side)?;
    }
    let mut checked = checker.finish(options.hash.then_some(hash));
    ids.finish(&mut |line, earlier| {
        checked.findings += 1;
        let message = many::used_before(earlier, None);
        on_finding(Finding { line: Some(line), custom_id: None, code: FindingCode::DuplicateCustomId, message });
    })?;
    Ok(checked)
}

fn writing_side(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write the canonical lines: {error}"))
}

/// A line that goes on to who asked for the check.
struct Passed<'l> {
    number: u64,
    /// Nothing is wrong with the line itself.
    clean: bool,
    canonical: &'l [u8],
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
    /// The first url for the endpoint, as it is spelled, and its line.
    first_url: Option<(String, u64)>,
    /// The rules that the last body was held against.
    held: Option<Held<'o>>,
    /// The models that the file may name, with the first line of each.
    allowed_models: Vec<(String, u64)>,
    /// Texts to embed so far.
    inputs: u64,
    models: BTreeMap<String, u64>,
    without_model: u64,
    /// Where each custom_id stood first.
    ids: &'o mut Uniqueness,
    /// An error of `ids`, which ends the check.
    spill_failed: Option<io::Error>,
    /// What is remembered of several files, where the lines are cut into many batches.
    many: Option<&'o mut Many>,
    /// The line is not one whole object.
    deviates: bool,
    /// How the lines deviate from one object a line.
    layout: Layout,
    /// Lines that are held back, since a line break may stand inside a text of theirs.
    torn: Option<Torn>,
    /// The line of a byte order mark that nothing has followed yet.
    bom: Option<u64>,
    /// The file holds no lines of JSON at all.
    foreign: bool,
    /// The file has rows of a CSV file, which is said once.
    rows: bool,
    /// Finds what may be half of a character.
    escapes: Finder<'static>,
    /// A line whose CRs had to be replaced.
    rewritten: Vec<u8>,
    /// What is inside of the line.
    tape: Tape,
    /// The line may have control characters.
    controls: bool,
}

impl<'o> Checker<'o> {
    fn new(options: &'o CheckOptions, ids: &'o mut Uniqueness, on_finding: &'o mut dyn FnMut(Finding)) -> Self {
        Self {
            options,
            on_finding,
            lines: 0,
            bytes: 0,
            findings: 0,
            endpoint: options.endpoint.as_deref().map(|url| options.endpoint_of(url).to_owned()),
            endpoint_line: None,
            first_url: None,
            held: None,
            allowed_models: Vec::new(),
            inputs: 0,
            models: BTreeMap::new(),
            without_model: 0,
            ids,
            spill_failed: None,
            many: None,
            deviates: false,
            layout: Layout::default(),
            torn: None,
            bom: None,
            foreign: false,
            rows: false,
            escapes: Finder::new("\\u"),
            rewritten: Vec::new(),
            tape: Tape::default(),
            controls: true,
        }
    }

    /// Judges a file. Each canonical line is passed on; the answer to that is whether to go on.
    fn file(
        &mut self,
        reader: impl BufRead,
        pass_on: &mut dyn FnMut(&mut Self, Passed<'_>) -> io::Result<bool>,
    ) -> Result<(), CheckManyError> {
        let (start, reader) = foreign::peek(reader).map_err(CheckManyError::Read)?;
        if let Some(foreign) = foreign::foreign(&start) {
            self.foreign = true;
            self.find(None, None, FindingCode::NotJsonl, foreign.to_string());
            return Ok(());
        }
        let max_line = usize::try_from(self.options.limits.max_bytes.saturating_sub(1));
        let mut lines = LineReader::new(reader).max_line_bytes(max_line.unwrap_or(usize::MAX));
        while self.many.as_ref().is_none_or(|many| many.goes_on(self.lines))
            && let Some(line) = lines.next_line().map_err(CheckManyError::Read)?
        {
            let before = self.findings;
            self.deviates = false;
            if let Some(many) = &mut self.many {
                many.read(line.number);
            }
            let has_canonical = self.line(&line);
            if let Some(error) = self.spill_failed.take() {
                return Err(CheckManyError::Spill(error));
            }
            if !has_canonical {
                continue;
            }
            let mut rewritten = std::mem::take(&mut self.rewritten);
            let canonical = if !self.controls || memchr::memchr(b'\r', line.bytes).is_none() {
                line.bytes
            } else {
                rewritten.clear();
                rewritten.extend(line.bytes.iter().map(|b| if *b == b'\r' { b' ' } else { *b }));
                &rewritten
            };
            let clean = self.findings == before && !self.deviates;
            let passed = Passed { number: line.number, clean, canonical };
            let go_on = pass_on(self, passed).map_err(CheckManyError::Line)?;
            self.rewritten = rewritten;
            if !go_on {
                break;
            }
        }
        self.end_block();
        self.spill_failed.take().map_or(Ok(()), |error| Err(CheckManyError::Spill(error)))
    }

    /// Judges one line. Gives back whether it has canonical bytes.
    fn line(&mut self, line: &Line<'_>) -> bool {
        let mut bytes = line.bytes;
        if let Some(rest) = bytes.strip_prefix(BOM) {
            self.bom = self.bom.or(Some(line.number));
            bytes = rest;
            if bytes.iter().all(u8::is_ascii_whitespace) {
                return false;
            }
        }
        if let Some(number) = self.bom.take() {
            let message = "a byte order mark (EF BB BF) stands before the line: save the file as UTF-8 without it";
            self.find(number, None, FindingCode::Bom, message);
        }
        self.lines += 1;
        self.bytes += line.length + 1;
        self.limits(line);
        if line.too_long {
            self.end_block();
            return false;
        }
        self.request_line(line.number, bytes);
        true
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
        if self.many.is_some() {
            return;
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

    /// The rules for the bodies of an endpoint, if it has any.
    fn held(&mut self, endpoint: &str) -> Option<Held<'o>> {
        if self.held.is_none_or(|held| held.rules.endpoint != endpoint) {
            self.held = Held::of(endpoint, self.options);
        }
        self.held
    }

    /// Counts the model of a body, and reports one too many.
    fn model(&mut self, number: u64, id: Option<&str>, model: Option<&str>) {
        let Some(model) = model.and_then(crate::raw::text).filter(|model| !model.trim().is_empty()) else {
            self.without_model += 1;
            return;
        };
        count_models(&mut self.models, &model, 1);
        if let Some(many) = &mut self.many {
            return many.line.model(&model);
        }
        let Some(most) = self.options.max_models else { return };
        if self.allowed_models.iter().any(|(allowed, _)| *allowed == model) {
            return;
        }
        if (self.allowed_models.len() as u64) < most {
            self.allowed_models.push((model.into_owned(), number));
            return;
        }
        let before: Vec<_> =
            self.allowed_models.iter().take(5).map(|(model, line)| format!("{model:?} (line {line})")).collect();
        let message = format!(
            "model is {:?} after {}: {} here, so write a file for each model",
            clip(&model, 100),
            before.join(", "),
            if most == 1 { "a batch has one model".to_owned() } else { format!("a batch has at most {most} models") },
        );
        self.find(number, id, FindingCode::SeveralModels, message);
    }

    fn finish(mut self, hash: Option<Sha256>) -> Checked {
        if self.lines == 0 && !self.foreign && self.many.as_ref().is_none_or(|many| many.goes_on(0)) {
            let message = match self.bom {
                Some(_) => "the file holds no request line, only a byte order mark",
                None => "the file holds no request line",
            };
            self.find(None, None, FindingCode::EmptyFile, message);
        }
        Checked {
            lines: self.lines,
            bytes: self.bytes,
            endpoint: self.endpoint,
            models: self.models,
            without_model: self.without_model,
            findings: self.findings,
            sha256: hash.map(hex).unwrap_or_default(),
        }
    }
}

fn hex(hash: Sha256) -> String {
    let mut hex = String::with_capacity(64);
    for byte in hash.finalize() {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}
