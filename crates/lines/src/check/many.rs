//! Checks files whose lines are to be cut into many batches: what holds for a batch as a whole is no finding then.

use std::collections::BTreeMap;
use std::io::{self, BufRead};
use std::path::PathBuf;
use std::{error, fmt};

use sha2::{Digest, Sha256};

use super::{CheckOptions, Checked, Checker, hex};
use crate::finding::{Finding, FindingCode};
use crate::tally::count_models;
use crate::uniqueness::Uniqueness;

/// A request line without findings of its own.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct CheckedLine<'a> {
    /// The line's number in its file, from 1 with blank lines counted.
    pub number: u64,
    /// The line's custom_id.
    pub custom_id: &'a str,
    /// The endpoint that the line is for, in the contract's spelling.
    pub endpoint: &'a str,
    /// The model that its body names, if it names one.
    pub model: Option<&'a str>,
    /// Texts to embed.
    pub inputs: u64,
    /// The most tokens that the answer may have, as the body limits it (`max_completion_tokens`, `max_tokens` or
    /// `max_output_tokens`), for each of the answers that it asks for (`n` or `best_of`).
    pub output_limit: Option<u64>,
    /// The line's JSON, without an end of line.
    pub canonical: &'a [u8],
}

/// Why a [`CheckMany`] stopped. Bad content is no error but a finding.
#[derive(Debug)]
#[non_exhaustive]
pub enum CheckManyError {
    /// The file could not be read.
    Read(io::Error),
    /// The custom_ids could not be written to the folder for temporary files.
    Spill(io::Error),
    /// What `on_line` gave back.
    Line(io::Error),
}

impl fmt::Display for CheckManyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "the file cannot be read: {error}"),
            Self::Spill(error) => error.fmt(f),
            Self::Line(error) => write!(f, "a line cannot be passed on: {error}"),
        }
    }
}

impl error::Error for CheckManyError {
    fn source(&self) -> Option<&(dyn error::Error + 'static)> {
        match self {
            Self::Read(error) | Self::Spill(error) | Self::Line(error) => Some(error),
        }
    }
}

/// Checks files whose lines are to be cut into many batches.
///
/// Each line is held against the rules of its own endpoint. What holds for a batch as a whole is no finding: how many
/// lines, bytes, texts to embed and models it may have, and that it has one endpoint, unless the options give one. A
/// line that alone has more bytes or texts than a batch may have is one. No custom_id may be used twice in all files:
/// what was used lately is found at once, the rest by [`finish`](Self::finish).
///
/// Memory: the longest line, at most `limits.max_bytes`, and less than 20 MiB, however many lines there are. The
/// custom_ids beyond that are in temporary files, 24 bytes each.
///
/// ```
/// use lote_lines::{CheckMany, CheckOptions};
///
/// # let folder = tempfile::tempdir()?;
/// let line = r#"{"custom_id":"a","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x"}}"#;
/// let options = CheckOptions::default();
/// let mut check = CheckMany::new(&options, folder.path());
/// let mut findings = Vec::new();
/// for file in ["first.jsonl", "second.jsonl"] {
///     check.file(file, line.as_bytes(), &mut |finding| findings.push(finding), &mut |line| {
///         assert_eq!((line.endpoint, line.model), ("/v1/embeddings", Some("m")));
///         Ok(true)
///     })?;
/// }
/// let checked = check.finish(&mut |_, finding| findings.push(finding))?;
/// assert_eq!((checked.lines, checked.findings), (2, 1));
/// let why = r#"line 1 ("a"): custom_id was used before, in line 1 of first.jsonl: make it unique in all files"#;
/// assert_eq!(findings[0].to_string(), why);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct CheckMany<'o> {
    options: &'o CheckOptions,
    ids: Uniqueness,
    many: Many,
    total: Option<(Checked, Sha256)>,
}

impl<'o> CheckMany<'o> {
    /// A check of no file yet. Temporary files are made in the folder `spill`, once there are many lines.
    pub fn new(options: &'o CheckOptions, spill: impl Into<PathBuf>) -> Self {
        Self { options, ids: Uniqueness::spilling(spill.into()), many: Many::default(), total: None }
    }

    /// Reads only the first so many lines of all files; `None` reads them all.
    #[must_use]
    pub fn limit(mut self, lines: Option<u64>) -> Self {
        self.many.limit = lines;
        self
    }

    /// Reads a file to its end, or until the limit is reached or `on_line` gives back `false`.
    ///
    /// `name` is what findings of later files call it. `on_line` is called with each line that has no findings of its
    /// own, in order. What it received is fit to be sent only when there are no findings in any file.
    ///
    /// # Errors
    ///
    /// See [`CheckManyError`].
    pub fn file(
        &mut self,
        name: impl Into<String>,
        reader: impl BufRead,
        on_finding: &mut dyn FnMut(Finding),
        on_line: &mut dyn FnMut(CheckedLine<'_>) -> io::Result<bool>,
    ) -> Result<Checked, CheckManyError> {
        self.many.begin_file(name.into());
        let mut checker = Checker::new(self.options, &mut self.ids, on_finding);
        checker.many = Some(&mut self.many);
        let total = &mut self.total;
        let mut hash = Sha256::new();
        checker.file(reader, &mut |checker, passed| {
            for hash in [Some(&mut hash), total.as_mut().map(|(_, hash)| hash)].into_iter().flatten() {
                hash.update(passed.canonical);
                hash.update(b"\n");
            }
            match checker.many.as_mut().filter(|_| passed.clean) {
                Some(many) => on_line(many.checked(passed.number, passed.canonical)),
                None => Ok(true),
            }
        })?;
        let mut checked = checker.finish(Some(hash.clone()));
        // One that was given stands there already.
        checked.endpoint = checked.endpoint.or_else(|| self.many.in_file.one());
        self.many.lines += checked.lines;
        match &mut self.total {
            None => self.total = Some((checked.clone(), hash)),
            Some((total, _)) => {
                add(total, &checked);
                if self.options.endpoint.is_none() {
                    total.endpoint = self.many.in_all.one();
                }
            }
        }
        Ok(checked)
    }

    /// Finds the custom_ids that were used twice far apart, and gives back what all files hold. A finding comes with the
    /// number of its file, from 0 in the order in which they were read, and without the custom_id.
    ///
    /// # Errors
    ///
    /// A [`CheckManyError::Spill`].
    pub fn finish(self, on_finding: &mut dyn FnMut(usize, Finding)) -> Result<Checked, CheckManyError> {
        let Self { ids, many, total, .. } = self;
        let (mut total, hash) = total.unwrap_or_else(|| (Checked::empty(), Sha256::new()));
        let twice = &mut |place, earlier| {
            let (file, line) = many.whose(place);
            let message = many.used_before(earlier, place);
            total.findings += 1;
            let code = FindingCode::DuplicateCustomId;
            on_finding(file, Finding { line: Some(line), custom_id: None, code, message });
        };
        ids.finish(twice).map_err(CheckManyError::Spill)?;
        total.sha256 = hex(hash);
        Ok(total)
    }
}

/// Counts some of the lines that a [`CheckMany`] passes on, such as those of one part of its files.
///
/// ```
/// use lote_lines::{CheckMany, CheckOptions, CountLines};
///
/// # let folder = tempfile::tempdir()?;
/// let line = |id| format!("{{\"custom_id\":\"{id}\",\"method\":\"POST\",\"url\":\"/v1/embeddings\",\
///                          \"body\":{{\"model\":\"m\",\"input\":\"x\"}}}}\n");
/// let (options, mut even) = (CheckOptions::default(), CountLines::default());
/// let file: String = (1..=5).map(line).collect();
/// let whole = CheckMany::new(&options, folder.path()).file("a", file.as_bytes(), &mut |_| (), &mut |line| {
///     if line.number % 2 == 0 {
///         even.add(&line);
///     }
///     Ok(true)
/// })?;
/// let even = even.finish();
/// assert_eq!((whole.lines, even.lines, even.models["m"]), (5, 2, 2));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct CountLines {
    lines: u64,
    bytes: u64,
    models: BTreeMap<String, u64>,
    without_model: u64,
    endpoints: Endpoints,
    hash: Sha256,
}

impl CountLines {
    /// Counts a line.
    pub fn add(&mut self, line: &CheckedLine<'_>) {
        self.lines += 1;
        self.bytes += line.canonical.len() as u64 + 1;
        match line.model {
            Some(model) => count_models(&mut self.models, model, 1),
            None => self.without_model += 1,
        }
        self.endpoints.add(line.endpoint);
        self.hash.update(line.canonical);
        self.hash.update(b"\n");
    }

    /// What the counted lines hold.
    #[must_use]
    pub fn finish(self) -> Checked {
        let Self { lines, bytes, models, without_model, endpoints, hash } = self;
        let endpoint = endpoints.one();
        Checked { lines, bytes, endpoint, models, without_model, findings: 0, sha256: hex(hash) }
    }
}

impl Checked {
    fn empty() -> Self {
        Self {
            lines: 0,
            bytes: 0,
            endpoint: None,
            models: BTreeMap::new(),
            without_model: 0,
            findings: 0,
            sha256: String::new(),
        }
    }
}

/// Adds what another file holds, but for the endpoint and the hash.
fn add(total: &mut Checked, more: &Checked) {
    let Checked { lines, bytes, endpoint: _, models, without_model, findings, sha256: _ } = more;
    total.lines += lines;
    total.bytes += bytes;
    total.without_model += without_model;
    total.findings += findings;
    for (model, lines) in models {
        count_models(&mut total.models, model, *lines);
    }
}

/// What is remembered from file to file, and of the line that is being judged.
#[derive(Debug, Default)]
pub(super) struct Many {
    limit: Option<u64>,
    /// The files, each with the place before its first line.
    files: Vec<(String, u64)>,
    /// The place of the last line. The lines of all files have rising places.
    last: u64,
    /// Lines in the files before this one.
    lines: u64,
    /// By endpoint that has several spellings, the first one and its place.
    spelled: BTreeMap<String, (String, u64)>,
    in_file: Endpoints,
    in_all: Endpoints,
    pub(super) line: OwnLine,
}

impl Many {
    fn begin_file(&mut self, name: String) {
        self.files.push((name, self.last));
        self.in_file = Endpoints::default();
    }

    /// Whether another line is to be read after so many of this file.
    pub(super) fn goes_on(&self, lines: u64) -> bool {
        self.limit.is_none_or(|limit| self.lines.saturating_add(lines) < limit)
    }

    pub(super) fn read(&mut self, number: u64) {
        self.last = self.place(number);
    }

    /// The place of a line of the current file.
    pub(super) fn place(&self, number: u64) -> u64 {
        self.files.last().map_or(0, |(_, before)| *before) + number
    }

    /// The number of the file of a place, and of the line.
    fn whose(&self, place: u64) -> (usize, u64) {
        let file = self.files.partition_point(|(_, before)| *before < place).saturating_sub(1);
        (file, place - self.files.get(file).map_or(0, |(_, before)| *before))
    }

    /// What is said of a custom_id at a place that stood at an earlier one before.
    pub(super) fn used_before(&self, earlier: u64, place: u64) -> String {
        let ((file, line), (here, _)) = (self.whose(earlier), self.whose(place));
        used_before(line, (file != here).then(|| self.files[file].0.as_str()))
    }

    /// What is said of a url that was spelled otherwise before.
    pub(super) fn spelled_otherwise(&mut self, options: &CheckOptions, url: &str, number: u64) -> Option<String> {
        let endpoint = options.endpoint_of(url);
        if !options.spellings.values().any(|known| known == endpoint) {
            return None;
        }
        let here = self.place(number);
        let Some((first, place)) = self.spelled.get(endpoint) else {
            self.spelled.insert(endpoint.to_owned(), (url.to_owned(), here));
            return None;
        };
        if first == url {
            return None;
        }
        let ((file, line), (this, _)) = (self.whose(*place), self.whose(here));
        let of = if file == this { String::new() } else { format!(" of {}", self.files[file].0) };
        Some(format!("url is {url:?}, but {first:?} in line {line}{of}: spell it the same way everywhere"))
    }

    fn checked<'l>(&'l mut self, number: u64, canonical: &'l [u8]) -> CheckedLine<'l> {
        let OwnLine { custom_id, endpoint, model, has_model, inputs, output_limit } = &self.line;
        self.in_file.add(endpoint);
        self.in_all.add(endpoint);
        let model = has_model.then_some(model.as_str());
        let (inputs, output_limit) = (*inputs, *output_limit);
        CheckedLine { number, custom_id, endpoint, model, inputs, output_limit, canonical }
    }
}

/// What is said of a custom_id that was used before, in this file or in another.
pub(super) fn used_before(line: u64, file: Option<&str>) -> String {
    match file {
        None => format!("custom_id was used before, in line {line}: make it unique within the file"),
        Some(file) => format!("custom_id was used before, in line {line} of {file}: make it unique in all files"),
    }
}

/// The endpoint of lines, as long as it is one.
#[derive(Debug, Clone, Default)]
struct Endpoints {
    first: String,
    several: bool,
}

impl Endpoints {
    fn add(&mut self, endpoint: &str) {
        if self.first.is_empty() {
            endpoint.clone_into(&mut self.first);
        }
        self.several |= self.first != endpoint;
    }

    fn one(&self) -> Option<String> {
        (!self.several && !self.first.is_empty()).then(|| self.first.clone())
    }
}

/// What was read in the line that is being judged. Its texts are kept to be filled again.
#[derive(Debug, Default)]
pub(super) struct OwnLine {
    custom_id: String,
    endpoint: String,
    model: String,
    has_model: bool,
    pub(super) inputs: u64,
    pub(super) output_limit: Option<u64>,
}

impl OwnLine {
    pub(super) fn begin(&mut self, custom_id: Option<&str>, endpoint: Option<&str>) {
        custom_id.unwrap_or_default().clone_into(&mut self.custom_id);
        endpoint.unwrap_or_default().clone_into(&mut self.endpoint);
        (self.has_model, self.inputs, self.output_limit) = (false, 0, None);
    }

    pub(super) fn model(&mut self, model: &str) {
        model.clone_into(&mut self.model);
        self.has_model = true;
    }
}
