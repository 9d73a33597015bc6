//! Owns the counting of answers: outcomes, tokens, models and errors. It never keeps more than a
//! bounded number of names, whatever a service invents.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use crate::answer::{Answer, OutcomeKind, Shortfall, UNREADABLE_CODE, UNREADABLE_MESSAGE};
use crate::join::Joined;
use crate::raw::clip;
use crate::spent::{Spending, SpentOn};
use crate::usage::Usage;

/// How many kinds of error a summary lists, the most frequent first.
pub const TOP_ERRORS: usize = 20;

/// How many different names (models, errors) are told apart; the rest is counted together.
pub(crate) const MAX_NAMES: usize = 1_000;

/// The longest name of a model that is kept.
pub(crate) const LONGEST_NAME: usize = 200;
pub(crate) const OTHER: &str = "(other)";

/// How often one kind of error happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ErrorCount {
    /// The error's code; `http_429` and the like when the service gave only a status code, and
    /// `unknown` when it gave neither.
    pub code: String,
    /// The error's message, cut after 300 bytes; absent when the service gave none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// How many answers failed with this code and message.
    pub count: u64,
}

/// Counts of answers, shared by everything that reads them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Tally {
    pub(crate) succeeded: u64,
    pub(crate) failed: u64,
    pub(crate) expired: u64,
    pub(crate) cancelled: u64,
    pub(crate) unreadable: u64,
    pub(crate) missing: u64,
    pub(crate) cut_off: u64,
    pub(crate) filtered: u64,
    pub(crate) refused: u64,
    pub(crate) usage: Usage,
    pub(crate) models: BTreeMap<String, u64>,
    /// The tokens, by model and by what became of the answers.
    pub(crate) spending: Spending,
    errors: HashMap<(String, Option<String>), u64>,
}

impl Tally {
    /// Nothing yet. Tokens of requests with more input tokens than each of these are counted apart.
    pub(crate) fn apart(at: Vec<u64>) -> Self {
        Self { spending: Spending::apart(at), ..Self::default() }
    }

    /// Counts an answer.
    pub(crate) fn add(&mut self, answer: &Answer<'_>) {
        let outcome = answer.outcome();
        let seen = answer.seen();
        match outcome {
            OutcomeKind::Succeeded => {
                return self.add_success(seen.shortfall, seen.usage, seen.model.as_deref());
            }
            OutcomeKind::Failed => self.failed += 1,
            OutcomeKind::Expired => self.expired += 1,
            OutcomeKind::Cancelled => self.cancelled += 1,
            OutcomeKind::Unreadable => return self.add_unreadable(),
            OutcomeKind::Missing => self.missing += 1,
        }
        if let Some(usage) = seen.usage {
            self.usage += usage;
            self.spending.add(seen.model.as_deref(), SpentOn::of(answer), usage);
        }
        if let Some(model) = &seen.model {
            count_model(&mut self.models, model);
        }
        let (code, message) = answer.error_words();
        let code = code.unwrap_or_else(|| match answer.status_code() {
            Some(status) => format!("http_{status}"),
            None => "unknown".to_owned(),
        });
        self.count_error(&code, message.as_deref());
    }

    /// Counts an answer that succeeded, of which this is known.
    pub(crate) fn add_success(&mut self, shortfall: Shortfall, usage: Option<Usage>, model: Option<&str>) {
        let Shortfall { cut_off, filtered, refused } = shortfall;
        self.succeeded += 1;
        self.cut_off += u64::from(cut_off);
        self.filtered += u64::from(filtered);
        self.refused += u64::from(refused);
        if let Some(usage) = usage {
            self.usage += usage;
            self.spending.add(model, if cut_off { SpentOn::CutOff } else { SpentOn::Succeeded }, usage);
        }
        if let Some(model) = model {
            count_model(&mut self.models, model);
        }
    }

    /// Counts a request line whose answer cannot be read. The messages name file and line, so they
    /// are counted as one.
    pub(crate) fn add_unreadable(&mut self) {
        self.unreadable += 1;
        self.count_error(UNREADABLE_CODE, Some(UNREADABLE_MESSAGE));
    }

    /// Counts a request line that nobody answered.
    pub(crate) fn add_missing(&mut self, code: &str, message: &str) {
        self.missing += 1;
        self.count_error(code, Some(message));
    }

    /// Counts all that a join has counted. Of its errors that is the most frequent ones.
    pub(crate) fn add_joined(&mut self, joined: &Joined) {
        self.succeeded += joined.succeeded;
        self.failed += joined.failed;
        self.expired += joined.expired;
        self.cancelled += joined.cancelled;
        self.unreadable += joined.unreadable;
        self.missing += joined.missing;
        self.cut_off += joined.cut_off;
        self.filtered += joined.filtered;
        self.refused += joined.refused;
        self.usage += joined.usage;
        joined.spent.iter().for_each(|spent| self.spending.add_spent(spent));
        for (model, count) in &joined.models {
            count_models(&mut self.models, model, *count);
        }
        for error in &joined.errors {
            self.count_errors(&error.code, error.message.as_deref(), error.count);
        }
    }

    fn count_error(&mut self, code: &str, message: Option<&str>) {
        self.count_errors(code, message, 1);
    }

    fn count_errors(&mut self, code: &str, message: Option<&str>, count: u64) {
        let message = message.map(|text| clip(text, 300).into_owned());
        let mut key = (clip(code, 100).into_owned(), message);
        if self.errors.len() >= MAX_NAMES && !self.errors.contains_key(&key) {
            key = (OTHER.to_owned(), None);
        }
        *self.errors.entry(key).or_default() += count;
    }

    /// The most frequent errors, at most [`TOP_ERRORS`].
    pub(crate) fn top_errors(&self) -> Vec<ErrorCount> {
        let mut errors: Vec<_> = self.errors.iter().collect();
        errors.sort_by_key(|(key, count)| (Reverse(**count), *key));
        let top = errors.into_iter().take(TOP_ERRORS);
        top.map(|((code, message), count)| ErrorCount { code: code.clone(), message: message.clone(), count: *count })
            .collect()
    }
}

/// Counts a model by its name, cut after 200 bytes.
pub(crate) fn count_model(models: &mut BTreeMap<String, u64>, model: &str) {
    count_models(models, model, 1);
}

/// Counts so many lines of a model.
pub(crate) fn count_models(models: &mut BTreeMap<String, u64>, model: &str, lines: u64) {
    if let Some(count) = models.get_mut(model) {
        *count += lines;
        return;
    }
    let name = if models.len() < MAX_NAMES { clip(model, LONGEST_NAME).into_owned() } else { OTHER.to_owned() };
    *models.entry(name).or_default() += lines;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(lines: &[&str]) -> Tally {
        let mut tally = Tally::default();
        for line in lines {
            let answer = Answer::parse(line.as_bytes()).unwrap();
            tally.add(&answer);
        }
        tally
    }

    #[test]
    fn counts_what_lines_say() {
        let tally = tally(&[
            r#"{"custom_id":"a","response":{"status_code":200,"body":{"model":"m","text":"x","usage":{"prompt_tokens":2,"completion_tokens":3}}}}"#,
            r#"{"custom_id":"b","response":{"status_code":201,"body":{"model":"n","text":"x","usage":{"input_tokens":1}}}}"#,
            r#"{"custom_id":"c","response":{"status_code":500}}"#,
            r#"{"custom_id":"d","response":{"status_code":500}}"#,
            r#"{"custom_id":"e","error":{"code":"batch_expired","message":"late"}}"#,
            r#"{"custom_id":"f","error":{"code":"batch_cancelled"}}"#,
            r#"{"custom_id":"g"}"#,
        ]);
        assert_eq!((tally.succeeded, tally.failed, tally.expired, tally.cancelled), (2, 3, 1, 1));
        assert_eq!(tally.usage.total_tokens, 6);
        assert_eq!(tally.models.len(), 2);
        let errors = tally.top_errors();
        let errors: Vec<_> = errors.iter().map(|e| (e.code.as_str(), e.message.as_deref(), e.count)).collect();
        assert_eq!(
            errors,
            [
                ("http_500", None, 2),
                ("batch_cancelled", None, 1),
                ("batch_expired", Some("late"), 1),
                ("no_answer", Some("the line has neither a response nor an error"), 1),
            ]
        );
    }

    #[test]
    fn names_are_bounded() {
        let mut tally = Tally::default();
        for number in 0..3_000 {
            let line = format!(
                r#"{{"custom_id":"a","response":{{"status_code":400,"body":{{"model":"m{number}","error":"e{number}"}}}}}}"#
            );
            let answer = Answer::parse(line.as_bytes()).unwrap();
            tally.add(&answer);
        }
        assert_eq!(tally.errors.len(), MAX_NAMES + 1);
        assert_eq!(tally.models.len(), MAX_NAMES + 1);
        assert_eq!(tally.models[OTHER], 2_000);
        assert_eq!(tally.top_errors()[0].count, 2_000);
        assert_eq!(tally.top_errors().len(), TOP_ERRORS);
    }
}
