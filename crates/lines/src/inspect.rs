//! Owns the account of output and error files: outcomes, tokens, models, errors, anomalies. It
//! never compares them with an input file; see [`join`](crate::join()).

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use serde::{Deserialize, Serialize, Serializer};

use crate::anomaly::{Anomalies, Anomaly, AnomalyCode};
use crate::answer::{Answer, Body, OutcomeKind};
use crate::ids::{IdHasher, IdMap};
use crate::raw::Kind;
use crate::reader::DEFAULT_MAX_LINE_BYTES;
use crate::scan;
use crate::tally::{ErrorCount, Tally};
use crate::usage::Usage;

/// Reads output and error files one after the other and counts what they say. It keeps less
/// than 100 bytes for each line, whatever the line holds.
///
/// ```
/// let mut inspection = lote_lines::Inspection::default();
/// let line = br#"{"custom_id":"a","response":{"status_code":200,"body":{"text":"hi"}}}"#;
/// inspection.read("output.jsonl", &line[..])?;
/// assert!(inspection.all_readable());
/// assert_eq!(inspection.report().succeeded, 1);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Inspection {
    files: Vec<String>,
    lines: u64,
    unreadable: u64,
    damaged_files: u64,
    tally: Tally,
    anomalies: Anomalies<'static>,
    hasher: IdHasher,
    /// File and line in which each custom_id stood first.
    first: IdMap<(usize, u64)>,
}

/// What an [`Inspection`] has found so far; also the form in which it is serialised.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Inspected {
    /// Lines that are not blank: the sum of the six outcomes. An object over several lines is one,
    /// and so is a whole file that holds no lines of JSON.
    pub lines: u64,
    /// Answers that succeeded.
    pub succeeded: u64,
    /// Answers that failed.
    pub failed: u64,
    /// Requests that never ran because the completion window was over.
    pub expired: u64,
    /// Requests that never ran because the batch was cancelled.
    pub cancelled: u64,
    /// Lines of joined results that stand for no answer.
    #[serde(default)]
    pub missing: u64,
    /// Lines that are no JSON object, are too long, name no custom_id, or are in no shape that is
    /// known, and lines of joined results that stand for such.
    pub unreadable: u64,
    /// Files whose compressed data is cut off or damaged: what came before was read, and is counted.
    #[serde(default)]
    pub damaged_files: u64,
    /// Answers that succeeded and were cut off at a limit of tokens.
    #[serde(default)]
    pub cut_off: u64,
    /// Answers that succeeded and of which the service held content back.
    #[serde(default)]
    pub filtered: u64,
    /// Answers that succeeded and in which the model refused.
    #[serde(default)]
    pub refused: u64,
    /// Tokens, summed over all answers that say.
    pub usage: Usage,
    /// How many answers each model gave.
    pub models: BTreeMap<String, u64>,
    /// The most frequent errors.
    pub errors: Vec<ErrorCount>,
    /// What is odd, at most [`MAX_ANOMALIES`](crate::MAX_ANOMALIES).
    pub anomalies: Vec<Anomaly>,
    /// How many anomalies there are beyond those listed.
    pub anomalies_omitted: u64,
}

impl Inspection {
    /// Reads one more file. `name` is what anomalies call it.
    ///
    /// # Errors
    ///
    /// Those of `reader`; what was read before the error stays counted. Bad content is no error, and neither is
    /// damage of what [`open_lines`](crate::open_lines()) decompresses.
    pub fn read(&mut self, name: &str, reader: impl BufRead) -> io::Result<()> {
        let file = self.files.len();
        self.files.push(name.to_owned());
        let Self { files, lines, unreadable, damaged_files, tally, anomalies, hasher, first } = self;
        let scanned =
            scan::answers(name, reader, DEFAULT_MAX_LINE_BYTES, None, anomalies, &mut |place, _, read, anomalies| {
                let Ok(answer) = read else { return };
                tally.add(answer);
                let id = Some(answer.custom_id.as_ref());
                for (code, message) in oddities(answer, answer.seen()) {
                    anomalies.push(name, place.line, id, code, message);
                }
                let here = (file, place.line);
                let known = *first.entry(hasher.hash(&answer.custom_id)).or_insert(here);
                if known != here {
                    let message = format!("custom_id was answered before, in {}, line {}", files[known.0], known.1);
                    anomalies.push(name, place.line, id, AnomalyCode::DuplicateCustomId, message);
                }
            });
        let scanned = scanned?;
        *lines += scanned.lines;
        *unreadable += scanned.unreadable;
        *damaged_files += u64::from(scanned.damage.is_some());
        Ok(())
    }

    /// Whether every line so far was an answer in a shape that is known, and no file is damaged.
    #[must_use]
    pub fn all_readable(&self) -> bool {
        self.damaged_files == 0 && self.unreadable == 0 && self.tally.unreadable == 0
    }

    /// What was found so far.
    #[must_use]
    pub fn report(&self) -> Inspected {
        let tally = &self.tally;
        Inspected {
            lines: self.lines,
            succeeded: tally.succeeded,
            failed: tally.failed,
            expired: tally.expired,
            cancelled: tally.cancelled,
            missing: tally.missing,
            unreadable: self.unreadable + tally.unreadable,
            damaged_files: self.damaged_files,
            cut_off: tally.cut_off,
            filtered: tally.filtered,
            refused: tally.refused,
            usage: tally.usage,
            models: tally.models.clone(),
            errors: tally.top_errors(),
            anomalies: self.anomalies.anomalies.clone(),
            anomalies_omitted: self.anomalies.anomalies_omitted,
        }
    }
}

impl Serialize for Inspection {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.report().serialize(serializer)
    }
}

/// What is odd about an answer, taken alone.
fn oddities(answer: &Answer<'_>, body: &Body<'_>) -> Vec<(AnomalyCode, String)> {
    let mut found = Vec::new();
    if answer.response.is_none() {
        if answer.error.is_none() {
            let message = "the line has neither a response nor an error";
            found.push((AnomalyCode::EmptyAnswer, message.to_owned()));
        }
        return found;
    }
    if answer.error.is_some() {
        let message = "the line has both a response and an error";
        found.push((AnomalyCode::ResponseAndError, message.to_owned()));
    }
    if answer.status_code().is_none() {
        let message = "the response has no status code";
        found.push((AnomalyCode::NoStatusCode, message.to_owned()));
    }
    match body.kind {
        Some(Kind::Object) => {}
        // What was transcribed.
        Some(Kind::String) if answer.outcome() == OutcomeKind::Succeeded => {}
        // Services that set both leave the body out, and that was said already.
        None if answer.error.is_some() => {}
        None => {
            let message = "the response has no body";
            found.push((AnomalyCode::BodyNotObject, message.to_owned()));
        }
        Some(kind) => {
            let message = format!("the response's body is {kind}, not an object");
            found.push((AnomalyCode::BodyNotObject, message));
        }
    }
    found
}
