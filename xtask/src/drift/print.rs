//! Owns how a comparison is printed, for people and as JSON. It never decides what is a finding.

use std::{collections::BTreeSet, io::Write};

use serde_json::{Value, json};

use super::{BY_EYE, change::Class, finding::Finding, mapping::Witness, schema::Uncompared};
use crate::report::{Failure, visible};

/// How a finding stands to what was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// Nobody decided on it.
    Open,
    /// It was decided when it looked otherwise: where, ours and theirs.
    Changed(String),
    /// It was decided, and is there no more.
    Vanished,
    /// It changed since the baseline, and openapi.yaml agrees with it or a record covers it.
    Settled,
}

impl State {
    fn word(&self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Changed(_) => "changed",
            Self::Vanished => "vanished",
            Self::Settled => "settled",
        }
    }
}

/// A line of the report.
#[derive(Debug, Clone)]
pub struct Entry {
    /// What was found.
    pub finding: Finding,
    /// How it stands to what was decided.
    pub state: State,
    /// What is wrong, in words.
    pub problem: String,
    /// What to do.
    pub fix: String,
    /// Who says so; nobody when two documents are compared.
    pub witnesses: Vec<Witness>,
}

/// All that a comparison has to say.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// What both sides are called.
    pub old: String,
    /// See `old`.
    pub new: String,
    /// What was found.
    pub entries: Vec<Entry>,
    /// The ids of the differences that are recorded and look as they did.
    pub recorded: BTreeSet<String>,
    /// What could not be compared, and in which document.
    pub uncompared: Vec<(String, Uncompared)>,
}

impl Report {
    /// Prints it for people: each finding in the words `problem:` and `fix:`.
    ///
    /// # Errors
    ///
    /// When the output is closed.
    pub fn text(&self, out: &mut dyn Write) -> Result<(), Failure> {
        let mut text = Vec::new();
        self.raw(&mut text)?;
        // Prose and names come from elsewhere.
        out.write_all(visible(&String::from_utf8_lossy(&text)).as_bytes())?;
        out.flush()?;
        Ok(())
    }

    fn raw(&self, out: &mut dyn Write) -> Result<(), Failure> {
        writeln!(out, "old: {}\nnew: {}", self.old, self.new)?;
        for Entry { finding, state, problem, fix, witnesses } in &self.entries {
            let (old, new) = finding.looks();
            writeln!(out, "\n{}: {}", finding.class.words(), finding.id)?;
            writeln!(out, "problem: {problem}")?;
            if !witnesses.is_empty() {
                let words: Vec<&str> = witnesses.iter().map(|witness| witness.word()).collect();
                writeln!(out, "  says: the {}", words.join(" and the "))?;
            }
            for place in finding.places() {
                writeln!(out, "  at: {place}")?;
            }
            if let State::Changed(before) = state {
                writeln!(out, "  decided when: {before}")?;
            }
            if *state != State::Vanished {
                writeln!(out, "  old: {old}\n  new: {new}")?;
            }
            for (label, text) in changed_words(finding) {
                writeln!(out, "  {label}: {text}")?;
            }
            writeln!(out, "fix: {fix}")?;
        }
        for (document, Uncompared { place, reason }) in &self.uncompared {
            writeln!(
                out,
                "\nnot compared: {document}{}{place}\nproblem: {reason}\nfix: {BY_EYE}",
                if place.is_empty() { "" } else { " " }
            )?;
        }
        writeln!(out, "\n{}", self.sum())?;
        Ok(())
    }

    /// How much of what there is, in one line.
    #[must_use]
    pub fn sum(&self) -> String {
        let mut counts: Vec<String> = Vec::new();
        for class in Class::ALL {
            let count = self.entries.iter().filter(|entry| entry.finding.class == class).count();
            if count > 0 {
                counts.push(format!("{count} {}", class.words()));
            }
        }
        let counts = if counts.is_empty() { "none".to_owned() } else { counts.join(", ") };
        let (recorded, uncompared) = (self.recorded.len(), self.uncompared.len());
        format!("findings: {counts}; recorded: {recorded}; not compared: {uncompared}")
    }

    /// The same as JSON, with the exit code.
    #[must_use]
    pub fn json(&self, code: u8) -> Value {
        let findings: Vec<Value> = self.entries.iter().map(entry).collect();
        let uncompared: Vec<Value> = self
            .uncompared
            .iter()
            .map(|(document, Uncompared { place, reason })| json!({ "document": document, "place": place, "problem": reason }))
            .collect();
        json!({
            "old": self.old,
            "new": self.new,
            "findings": findings,
            "recorded": self.recorded.len(),
            "not_compared": uncompared,
            "exit": code,
        })
    }
}

fn entry(Entry { finding, state, problem, fix, witnesses }: &Entry) -> Value {
    let mut value = json!({
        "id": finding.id,
        "class": finding.class,
        "kind": finding.aspect,
        "state": state.word(),
        "witnesses": witnesses,
        "side": finding.side,
        "places": finding.places(),
        "old": finding.old,
        "new": finding.new,
        "problem": problem,
        "fix": fix,
    });
    if let Some((old, new)) = finding.numbers() {
        value["numbers"] = json!({ "old": old, "new": new });
    }
    if let State::Changed(before) = state {
        value["decided_when"] = json!(before);
    }
    value
}

/// The words of two texts from a little before the first one that differs to a little after the last.
fn changed_words(finding: &Finding) -> Vec<(&'static str, String)> {
    if finding.aspect != "wording" {
        return Vec::new();
    }
    const AROUND: usize = 4;
    const MOST: usize = 60;
    let words = |text: &Option<String>| -> Vec<String> {
        text.as_deref().unwrap_or_default().split_whitespace().map(str::to_owned).collect()
    };
    let (old, new) = (words(&finding.old), words(&finding.new));
    let start = old.iter().zip(&new).take_while(|(a, b)| a == b).count();
    let shorter = old.len().min(new.len()) - start;
    let end = old.iter().rev().zip(new.iter().rev()).take(shorter).take_while(|(a, b)| a == b).count();
    let part = |words: &[String]| {
        let (from, to) = (start.saturating_sub(AROUND), (words.len() - end + AROUND).min(words.len()));
        let shown = &words[from..to.min(from + MOST)];
        let dots = |cut: bool| if cut { "… " } else { "" };
        format!("{}{}{}", dots(from > 0), shown.join(" "), if from + shown.len() < words.len() { " …" } else { "" })
    };
    if finding.old.as_deref().is_some_and(super::finding::is_kept) {
        // The baseline keeps no text.
        return vec![("new text", new[..new.len().min(MOST)].join(" "))];
    }
    vec![("old text", part(&old)), ("new text", part(&new))]
}
