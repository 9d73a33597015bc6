//! Validates an input file by the rules of the services: several findings at once, with their codes, params and line
//! numbers. It holds one line at a time, and a digest of every custom_id.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use crate::blobs::Blob;
use crate::contract::{Endpoint, View};
use crate::error::quote;
use crate::run::cut::Slices;
use crate::run::line::{Body, Line, finding, string};
use crate::run::reader::LineReader;
use crate::run::{Run, inputs};
use crate::state::{BatchRecord, Finding, Slice};

/// Most findings that a batch reports.
const MOST_FINDINGS: usize = 100;

/// Longest custom_id, in bytes: those of all lines in flight are held in memory. No service names a bound.
const LONGEST_ID: usize = 1_024;

/// Most inputs for embeddings over all lines of a batch: OpenAI's createBatch says 50,000, and no source says it of MKA1.
const MOST_INPUTS: u64 = 50_000;

/// What validation found out.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) findings: Vec<Finding>,
    pub(super) slices: Vec<Slice>,
    /// The first model that a body names.
    pub(super) model: Option<String>,
}

impl Run {
    /// Reads the whole file once, and a large line of it a second time.
    ///
    /// The codes are those that Azure's documentation and OGX list, and that OpenAI was seen to give; none of them is about
    /// long lines.
    pub(super) async fn check(&self, batch: &BatchRecord, blob: &Arc<Blob>) -> io::Result<Report> {
        let settings = &self.app.settings;
        let (most_lines, most_bytes) = (settings.max_lines, settings.max_line_bytes);
        let mut lines = LineReader::open(blob).await?;
        let mut checker = Checker::new(batch.origin, batch.endpoint);
        let mut slices = Slices::new(self.app.state.cut(), blob.bytes());
        let mut total = 0;
        while let Some(line) = lines.next().await? {
            total += 1;
            // Beyond either bound lines are only counted.
            if total > most_lines || checker.findings.len() >= MOST_FINDINGS {
                continue;
            }
            slices.add(line.place);
            let (number, bytes) = (line.place.number, line.place.bytes);
            if bytes > most_bytes {
                let message = format!("This line has {bytes} bytes; at most {most_bytes} may be.");
                checker.report(number, Err(finding("invalid_request", None, message)));
                continue;
            }
            let _room = self.room(bytes).await;
            checker.check(number, &lines.read(line).await?);
        }
        if total == 0 {
            checker.findings.push(finding("empty_file", None, "The input file has no request."));
        }
        if total > most_lines {
            let message = format!("The input file has {total} requests; at most {most_lines} may be.");
            checker.findings.insert(0, finding("too_many_tasks", None, message));
        }
        if checker.origin == View::OpenAi && checker.inputs > MOST_INPUTS {
            let (inputs, param) = (checker.inputs, Some("body.input"));
            let message = format!("The input file has {inputs} inputs for embeddings; at most {MOST_INPUTS} may be.");
            // Nobody documents a code for this one.
            checker.findings.insert(0, finding("too_many_tasks", param, message));
        }
        checker.findings.truncate(MOST_FINDINGS);
        Ok(Report { findings: checker.findings, slices: slices.end(), model: checker.model })
    }
}

/// The start of a digest: enough to tell custom_ids apart.
type IdDigest = [u8; 16];

struct Checker {
    origin: View,
    endpoint: Endpoint,
    seen: HashMap<IdDigest, u64>,
    model: Option<String>,
    /// To be embedded, over all lines.
    inputs: u64,
    findings: Vec<Finding>,
}

impl Checker {
    fn new(origin: View, endpoint: Endpoint) -> Checker {
        Checker { origin, endpoint, seen: HashMap::new(), model: None, inputs: 0, findings: Vec::new() }
    }

    fn check(&mut self, number: u64, bytes: &[u8]) {
        let line = match Line::parse(bytes) {
            Ok(line) => line,
            Err(finding) => return self.report(number, Err(finding)),
        };
        let custom_id = self.custom_id(number, &line);
        self.report(number, custom_id);
        self.report(number, method(&line));
        self.report(number, self.url(&line));
        match line.body.ok_or_else(|| missing("body")).and_then(Body::parse) {
            Ok(Some(body)) => {
                self.report(number, not_streamed(&body));
                if let (Endpoint::Embeddings, Some(input)) = (self.endpoint, body.input) {
                    self.inputs += inputs::count(input);
                }
                let model = self.model(&body);
                self.report(number, model);
            }
            Ok(None) => {}
            Err(finding) => self.report(number, Err(finding)),
        }
    }

    fn report(&mut self, number: u64, result: Result<(), Finding>) {
        if let Err(mut finding) = result {
            finding.line = Some(number);
            self.findings.push(finding);
        }
    }

    fn custom_id(&mut self, number: u64, line: &Line<'_>) -> Result<(), Finding> {
        let raw = line.custom_id.ok_or_else(|| missing("custom_id"))?;
        let custom_id = string(raw, "custom_id")?;
        if custom_id.is_empty() {
            return Err(missing("custom_id"));
        }
        if custom_id.len() > LONGEST_ID {
            let message = format!("'custom_id' has {} bytes; at most {LONGEST_ID} may be.", custom_id.len());
            return Err(finding("invalid_request", Some("custom_id"), message));
        }
        let digest = Sha256::digest(custom_id.as_bytes());
        let Some(digest) = digest.first_chunk() else { return Ok(()) };
        match self.seen.insert(*digest, number) {
            None => Ok(()),
            Some(first) => {
                self.seen.insert(*digest, first);
                let message = format!("The custom_id {} is already used in line {first}.", quote(&custom_id));
                Err(finding("duplicate_custom_id", Some("custom_id"), message))
            }
        }
    }

    fn url(&self, line: &Line<'_>) -> Result<(), Finding> {
        let url = string(line.url.ok_or_else(|| missing("url"))?, "url")?;
        let endpoint = self.endpoint.path();
        if url == endpoint {
            return Ok(());
        }
        let message = format!("The url {} does not match the batch's endpoint '{endpoint}'.", quote(&url));
        Err(finding("url_mismatch", Some("url"), message))
    }

    /// OpenAI wants a model in every body and one model per file; MKA1 says neither, and leaves
    /// the line to fail by itself.
    fn model(&mut self, body: &Body<'_>) -> Result<(), Finding> {
        let param = "body.model";
        let strict = self.origin == View::OpenAi;
        let raw = body.model.filter(|raw| raw.get() != "null");
        let model = match raw {
            // A stored prompt may have one.
            None if self.endpoint == Endpoint::Responses
                && body.prompt.is_some_and(|raw| raw.get().starts_with('{')) =>
            {
                return Ok(());
            }
            None if strict && self.endpoint.needs_model() => return Err(missing(param)),
            None => return Ok(()),
            Some(raw) => match string(raw, param) {
                Ok(model) => model,
                // A text that cannot be read is the line's own fault, as everywhere in a body.
                Err(finding) if strict && !raw.get().starts_with('"') => return Err(finding),
                Err(_) => return Ok(()),
            },
        };
        match &self.model {
            Some(first) if strict && *first != model => {
                let message = format!(
                    "The model {} differs from {}; all requests of a batch use one model.",
                    quote(&model),
                    quote(first)
                );
                Err(finding("model_mismatch", Some(param), message))
            }
            Some(_) => Ok(()),
            None => {
                self.model = Some(model);
                Ok(())
            }
        }
    }
}

fn missing(param: &str) -> Finding {
    let message = format!("Missing required parameter: '{param}'.");
    finding("missing_required_parameter", Some(param), message)
}

fn method(line: &Line<'_>) -> Result<(), Finding> {
    let method = string(line.method.ok_or_else(|| missing("method"))?, "method")?;
    if method == "POST" {
        return Ok(());
    }
    let message = format!("Invalid method {}: only 'POST' is supported.", quote(&method));
    Err(finding("invalid_request", Some("method"), message))
}

fn not_streamed(body: &Body<'_>) -> Result<(), Finding> {
    match body.stream {
        Some(stream) if !matches!(stream.get(), "false" | "null") => {
            Err(finding("streaming_unsupported", Some("body.stream"), "Streaming is not supported in a batch."))
        }
        _ => Ok(()),
    }
}
