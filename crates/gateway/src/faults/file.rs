//! Reads a faults file: TOML, every key known, every refusal naming its line and its key.

use std::fmt;
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use crate::faults::{
    Effect, ErrorBody, Fault, Faults, HasMore, Lag, OddTime, Operation, Refusal, RetryAfter, Takes, When,
};

/// Why a faults file cannot be used; says in which line, and by which key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaultsFileError {
    line: usize,
    key: Option<String>,
    problem: String,
}

impl FaultsFileError {
    /// The line, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The key, if it is about one.
    pub fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }
}

impl fmt::Display for FaultsFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}", self.line)?;
        if let Some(key) = &self.key {
            write!(f, ", key '{key}'")?;
        }
        write!(f, ": {}", self.problem)
    }
}

impl std::error::Error for FaultsFileError {}

type Read<T> = Result<T, FaultsFileError>;

pub(super) fn read(text: &str) -> Read<Faults> {
    let table = DeTable::parse(text).map_err(|error| FaultsFileError {
        line: line_of(text, error.span().map_or(0, |span| span.start)),
        key: None,
        problem: format!("this is no TOML: {}", error.message()),
    })?;
    let mut top = Keys::new(text, 1, table.get_ref());
    let mut faults = Faults { seed: top.integer("seed")?, faults: Vec::new() };
    if let Some((line, value)) = top.take("fault") {
        let wrong = || problem(line, "fault", "expected tables, each begun with [[fault]]");
        for entry in value.as_array().ok_or_else(wrong)?.iter() {
            let table = entry.get_ref().as_table().ok_or_else(wrong)?;
            faults.faults.push(fault(Keys::new(text, line_of(text, entry.span().start), table))?);
        }
    }
    top.end()?;
    Ok(faults)
}

fn fault(mut keys: Keys<'_>) -> Read<Fault> {
    let on = keys.on()?;
    let (line, name) = keys.required("effect", Keys::text)?;
    let effect = keys.effect(line, name)?;
    let lines = keys.lines.clone();
    let fault = Fault { line: Some(keys.line), ..on.then(effect) };
    keys.end()?;
    match fault.wrong() {
        None => Ok(fault),
        Some((key, what)) => {
            let line = lines.iter().find(|(known, _)| *known == key).map_or(line, |(_, line)| *line);
            Err(problem(line, key, what))
        }
    }
}

/// The keys of one table that nobody has asked for yet.
struct Keys<'a> {
    line: usize,
    left: Vec<(&'a str, usize, &'a DeValue<'a>)>,
    /// Every key's line.
    lines: Vec<(&'a str, usize)>,
    /// What was asked for.
    known: Vec<&'static str>,
}

impl<'a> Keys<'a> {
    fn new(text: &str, line: usize, table: &'a DeTable<'a>) -> Keys<'a> {
        let mut left: Vec<_> = table
            .iter()
            .map(|(key, value)| (key.get_ref().as_ref(), line_of(text, key.span().start), value.get_ref()))
            .collect();
        left.sort_by_key(|(_, line, _)| *line);
        let lines = left.iter().map(|(key, line, _)| (*key, *line)).collect();
        Keys { line, left, lines, known: Vec::new() }
    }

    fn take(&mut self, name: &'static str) -> Option<(usize, &'a DeValue<'a>)> {
        self.known.push(name);
        let at = self.left.iter().position(|(key, ..)| *key == name)?;
        let (_, line, value) = self.left.remove(at);
        Some((line, value))
    }

    fn text(&mut self, name: &'static str) -> Read<Option<(usize, &'a str)>> {
        let Some((line, value)) = self.take(name) else { return Ok(None) };
        match value.as_str() {
            Some(text) if !text.is_empty() => Ok(Some((line, text))),
            _ => Err(problem(line, name, "expected a text that is not empty")),
        }
    }

    fn integer(&mut self, name: &'static str) -> Read<Option<u64>> {
        let Some((line, value)) = self.take(name) else { return Ok(None) };
        number(value).map(Some).ok_or_else(|| problem(line, name, "expected an integer of at least 0"))
    }

    fn float(&mut self, name: &'static str) -> Read<Option<(usize, f64)>> {
        let Some((line, value)) = self.take(name) else { return Ok(None) };
        let float = match value {
            DeValue::Float(float) => float.as_str().parse().ok(),
            value => number(value).map(|number| number as f64),
        };
        match float {
            Some(float) if float >= 0.0 => Ok(Some((line, float))),
            _ => Err(problem(line, name, "expected a number of at least 0")),
        }
    }

    fn seconds(&mut self, name: &'static str) -> Read<Option<Duration>> {
        let Some((line, seconds)) = self.float(name)? else { return Ok(None) };
        match Duration::try_from_secs_f64(seconds) {
            Ok(length) => Ok(Some(length)),
            Err(_) => Err(problem(line, name, "expected a number of seconds; this one is too large")),
        }
    }

    fn required<T>(&mut self, name: &'static str, read: fn(&mut Self, &'static str) -> Read<Option<T>>) -> Read<T> {
        read(self, name)?.ok_or_else(|| problem(self.line, name, "this fault lacks it"))
    }

    fn named<T: Copy>(&mut self, name: &'static str, known: &[(&'static str, T)]) -> Read<Option<T>> {
        let Some((line, text)) = self.text(name)? else { return Ok(None) };
        match known.iter().find(|(known, _)| *known == text) {
            Some((_, value)) => Ok(Some(*value)),
            None => {
                let known: Vec<&str> = known.iter().map(|(known, _)| *known).collect();
                Err(problem(line, name, format!("'{text}' is not known; known are: {}", known.join(", "))))
            }
        }
    }

    fn on(&mut self) -> Read<When> {
        let operations = Operation::ALL.map(|operation| (operation.name(), operation));
        let Some(operation) = self.named("on", &operations)? else {
            return Err(problem(self.line, "on", "this fault lacks it"));
        };
        let mut on = Fault::on(operation);
        if let Some((line, value)) = self.take("nth") {
            let nth = number(value).filter(|nth| *nth > 0);
            on = on.nth(nth.ok_or_else(|| problem(line, "nth", "expected an integer of at least 1"))?);
        }
        if let Some((line, value)) = self.take("calls") {
            if self.lines.iter().any(|(key, _)| *key == "nth") {
                return Err(problem(line, "calls", "'nth' is there as well; leave one of them out"));
            }
            let wrong = || problem(line, "calls", "expected the first and the last call, such as [2, 4]");
            let bounds: Option<Vec<u64>> =
                value.as_array().and_then(|bounds| bounds.iter().map(|bound| number(bound.get_ref())).collect());
            let [first, last] = bounds.ok_or_else(wrong)?[..] else { return Err(wrong()) };
            on = on.calls(first..=last);
        }
        if let Some((_, probability)) = self.float("probability")? {
            on = on.probability(probability);
        }
        if let Some(times) = self.integer("times")? {
            on = on.times(times);
        }
        Ok(on)
    }

    fn effect(&mut self, line: usize, name: &str) -> Read<Effect> {
        Ok(match name {
            "status" => Effect::Status(self.refusal()?),
            "delay" => Effect::Delay(self.required("seconds", Keys::seconds)?),
            "reset" => Effect::Reset,
            "answer-lost" => Effect::AnswerLost,
            "answer-replaced" => Effect::AnswerReplaced(self.refusal()?),
            "late" => {
                let after = self.required("seconds", Keys::seconds)?;
                let answered = self.left.iter().any(|(key, ..)| *key == "status");
                self.known.push("status");
                Effect::Late { after, answer: answered.then(|| self.refusal()).transpose()? }
            }
            "reset-in-body" => Effect::ResetInBody { after: self.required("after", Keys::integer)? },
            "truncated-body" => Effect::TruncatedBody { after: self.required("after", Keys::integer)? },
            "truncated-chunks" => Effect::TruncatedChunks { after: self.required("after", Keys::integer)? },
            "slow-body" => Effect::SlowBody { bytes_per_second: self.required("bytes_per_second", Keys::integer)? },
            "unlisted" => Effect::Unlisted(self.lag()?),
            "not-found" => Effect::NotFound(self.lag()?),
            "token-limit" => Effect::TokenLimit,
            "deduplicated" => Effect::Deduplicated,
            "cancelling-for-ever" => Effect::CancellingForEver,
            "named-late" => Effect::NamedLate(self.lag()?),
            "unknown-status" => Effect::UnknownStatus(self.required("status", Keys::text)?.1.to_owned()),
            "timestamp" => {
                let field = self.required("field", Keys::text)?.1.to_owned();
                let Some(value) = self.named("value", &OddTime::NAMES)? else {
                    return Err(problem(self.line, "value", "this fault lacks it"));
                };
                Effect::Timestamp { field, value }
            }
            "absent-field" => Effect::AbsentField(self.required("field", Keys::text)?.1.to_owned()),
            "null-field" => Effect::NullField(self.required("field", Keys::text)?.1.to_owned()),
            "counts-backwards" => Effect::CountsBackwards,
            "counts-zero" => Effect::CountsZero,
            "cut-list" => {
                let entries = self.required("entries", Keys::integer)?;
                let has_more = self.named("has_more", &HasMore::NAMES)?.unwrap_or_default();
                Effect::CutList { entries: usize::try_from(entries).unwrap_or(usize::MAX), has_more }
            }
            "rewritten-ids" => Effect::RewrittenIds { takes: self.named("takes", &Takes::NAMES)?.unwrap_or_default() },
            "shuffled-lines" => Effect::ShuffledLines,
            "duplicated-lines" => Effect::DuplicatedLines { lines: self.how_many()? },
            "missing-lines" => Effect::MissingLines { lines: self.how_many()? },
            "foreign-lines" => Effect::ForeignLines { lines: self.how_many()? },
            "truncated-line" => Effect::TruncatedLine,
            "undecodable-lines" => Effect::UndecodableLines { lines: self.how_many()? },
            "both-set" => Effect::BothSet,
            "half-lines" => Effect::HalfLines,
            "body-as-text" => Effect::BodyAsText,
            "null-request-id" => Effect::NullRequestId,
            "no-final-newline" => Effect::NoFinalNewline,
            "no-file" => Effect::NoFile,
            "empty-file-id" => Effect::EmptyFileId,
            "empty-file" => Effect::EmptyFile,
            _ => {
                return Err(problem(line, "effect", format!("'{name}' is not known; the gateway's README lists them")));
            }
        })
    }

    fn refusal(&mut self) -> Read<Refusal> {
        let status = self.required("status", Keys::integer)?;
        // One that does not fit is none of HTTP's.
        let mut refusal = Refusal::status(u16::try_from(status).unwrap_or(0));
        for (name, retry_after) in [
            ("retry_after", RetryAfter::Seconds as fn(u64) -> RetryAfter),
            ("retry_after_ms", RetryAfter::Milliseconds),
            ("retry_after_date", RetryAfter::Date),
        ] {
            if let Some(after) = self.integer(name)? {
                refusal = refusal.retry_after(retry_after(after));
            }
        }
        if let Some(body) = self.named("body", &ErrorBody::NAMES)? {
            refusal = refusal.body(body);
        }
        Ok(refusal)
    }

    fn lag(&mut self) -> Read<Lag> {
        match (self.integer("looks")?, self.seconds("seconds")?) {
            (Some(looks), None) => Ok(Lag::Looks(looks)),
            (None, Some(length)) => Ok(Lag::Time(length)),
            _ => Err(problem(self.line, "looks", "expected one of 'looks' and 'seconds'")),
        }
    }

    fn how_many(&mut self) -> Read<usize> {
        Ok(self.integer("lines")?.map_or(1, |lines| usize::try_from(lines).unwrap_or(usize::MAX)))
    }

    /// Refuses whatever nobody asked for.
    fn end(self) -> Read<()> {
        match self.left.first() {
            None => Ok(()),
            Some((key, line, _)) => {
                Err(problem(*line, key, format!("not known here; known are: {}", self.known.join(", "))))
            }
        }
    }
}

fn number(value: &DeValue<'_>) -> Option<u64> {
    let integer = value.as_integer()?;
    u64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

fn problem(line: usize, key: &str, problem: impl Into<String>) -> FaultsFileError {
    FaultsFileError { line, key: Some(key.to_owned()), problem: problem.into() }
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes().iter().take(offset).filter(|byte| **byte == b'\n').count() + 1
}
