//! What is said of a template that is wrong: where, what, and what to do.

use std::fmt;

use minijinja::{Error, ErrorKind};

use super::rows::Row;
use super::suggest;

/// The words of Jinja's own, which are no part of a name.
const WORDS: [&str; 12] = ["if", "else", "and", "or", "not", "in", "is", "true", "false", "none", "recursive", "loop"];

/// What to do about a field that rows may lack.
const ADVICE: &str =
    "; every row needs what the template uses; if it may be absent, write {{ field | default(\"…\") }}";

/// A template error in one line.
pub(crate) fn explain(error: &Error) -> String {
    let mut text = Located(error).to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&match cause.downcast_ref::<Error>() {
            Some(error) => Located(error).to_string(),
            None => cause.to_string(),
        });
        source = cause.source();
    }
    text
}

/// A template that cannot be read.
pub(crate) fn explain_syntax(error: &Error, source: &str) -> String {
    let text = explain_in(error, source);
    match error.line().and_then(|line| odd_name(source.lines().nth(line.saturating_sub(1))?)) {
        Some(name) => {
            format!(
                "{text}; a name that is more than letters of ASCII, digits and _ is written {{{{ row[{name:?}] }}}}"
            )
        }
        None => text,
    }
}

fn explain_in(error: &Error, source: &str) -> String {
    let text = explain(error);
    // An error of the parser does not know the template's text.
    match (error.template_source(), error.line(), column(error, Some(source))) {
        (None, Some(line), Some(column)) => {
            text.replacen(&format!(" line {line}: "), &format!(" line {line}, column {column}: "), 1)
        }
        _ => text,
    }
}

/// Adds to what is said of an expression without a value what the row has instead.
pub(crate) fn with_row(message: String, missing: &[String], row: &Row) -> String {
    let names = row.names();
    let mut message = message;
    for name in missing {
        let (name, of_row) = match name.strip_prefix("row.").or_else(|| name.strip_prefix("row[\"")) {
            Some(rest) => (rest.trim_end_matches("\"]"), true),
            None => (name.as_str(), false),
        };
        if of_row && names.iter().any(|name| name == "row") {
            message.push_str("; the rows have a field `row`, which stands in the place of the whole row: rename it");
        } else if let Some(found) = suggest::nearest(name, &names) {
            message = format!("{}; did you mean {found}?", message.replace(ADVICE, ""));
        }
    }
    message
}

/// What an error says has no value: the text between backticks before `is undefined`.
pub(crate) fn missing(error: &Error) -> Option<String> {
    let (before, _) = error.detail()?.split_once("` is undefined")?;
    let (_, name) = before.rsplit_once('`')?;
    Some(name.replace('\'', "\""))
}

/// What stands in `{{ … }}` on a line and is a name, but none that can be written so.
fn odd_name(line: &str) -> Option<String> {
    line.split("{{").skip(1).find_map(|rest| {
        let inside = rest.split("}}").next()?.split('|').next()?.trim().trim_matches('-').trim();
        let words: Vec<&str> = inside.split_whitespace().collect();
        let is_name = |word: &&str| {
            // Signs that stand in names, as in `Price €`, and in no expression.
            let is_of_name = |c: char| c.is_alphanumeric() || !c.is_ascii() || "_-/#$&@?".contains(c);
            !WORDS.contains(word) && word.chars().all(is_of_name)
        };
        let is_odd = words.len() > 1 || inside.contains(|c: char| !c.is_ascii() || "#$&@?".contains(c));
        (is_odd && !words.is_empty() && words.iter().all(is_name)).then(|| inside.to_owned())
    })
}

/// The column at which an error is, from 1, in characters.
fn column(error: &Error, source: Option<&str>) -> Option<usize> {
    let source = error.template_source().or(source)?;
    let start = error.range()?.start;
    let before = source.get(..start)?;
    let line = before.rsplit('\n').next()?;
    Some(line.chars().count() + 1)
}

struct Located<'a>(&'a Error);

impl fmt::Display for Located<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.name(), self.0.line()) {
            (Some(name), Some(line)) => {
                write!(f, "{name} line {line}")?;
                match column(self.0, None) {
                    Some(column) => write!(f, ", column {column}: ")?,
                    None => f.write_str(": ")?,
                }
            }
            (Some(name), _) => write!(f, "{name}: ")?,
            _ => {}
        }
        match (self.0.kind(), self.0.detail()) {
            (ErrorKind::BadSerialization, Some(detail)) => f.write_str(detail),
            (ErrorKind::InvalidOperation, Some(detail)) => f.write_str(detail),
            (ErrorKind::UndefinedError, Some(detail)) => write!(f, "{detail}{ADVICE}"),
            (kind, Some(detail)) => write!(f, "{kind}: {detail}"),
            (kind, None) => write!(f, "{kind}"),
        }
    }
}
