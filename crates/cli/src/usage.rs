//! What is wrong with a command line, in clap's words but where those mislead.

use std::borrow::Cow;

use clap::CommandFactory;
use clap::builder::StyledStr;
use clap::error::{ContextKind, ContextValue};
use lote::text::visible;

use crate::args::Cli;
use crate::out;

/// Prints what is wrong with the command line. Its lines are clap's; the values that it repeats may be anybody's.
pub(crate) fn print(mut error: clap::Error) {
    let shown = |text: &str| visible(text).into_owned();
    let context: Vec<_> = error.context().map(|(kind, value)| (kind, value.clone())).collect();
    for (kind, value) in context {
        let value = match value {
            ContextValue::StyledStr(_) if kind == ContextKind::Usage => ContextValue::StyledStr(usage()),
            ContextValue::String(text) => ContextValue::String(shown(&text)),
            ContextValue::Strings(texts) => ContextValue::Strings(texts.iter().map(|text| shown(text)).collect()),
            ContextValue::StyledStrs(texts) => {
                // A flag that is not known is misspelt, or another tool's, and hardly the name of a file.
                let texts = texts.iter().map(ToString::to_string).filter(|text| !text.starts_with("to pass '"));
                ContextValue::StyledStrs(texts.map(|text| shown(&text).into()).collect())
            }
            // Numbers.
            other => other,
        };
        match value {
            ContextValue::StyledStrs(texts) if texts.is_empty() => drop(error.remove(kind)),
            value => drop(error.insert(kind, value)),
        }
    }
    let text = error.render().to_string();
    let mut lines = text.trim_end().lines();
    match lines.next().map(|first| first.strip_prefix("error: ").ok_or(first)) {
        Some(Ok(message)) => out::error_line(in_words(message)),
        Some(Err(line)) => out::problem(line),
        None => {}
    }
    lines.map(in_words).for_each(out::problem);
}

/// The usage of the command that was given, as its help has it. That of an error would name each flag that was given or
/// whose variable is set, as if it had to be.
fn usage() -> StyledStr {
    let mut given = Cli::command();
    given.build();
    for word in std::env::args_os().skip(1) {
        let Some(word) = word.to_str() else { break };
        if word.starts_with('-') {
            continue;
        }
        // What follows the command are its own words.
        let Some(next) = given.find_subcommand(word).cloned() else { break };
        given = next;
    }
    given.render_usage()
}

/// A line of clap's, with what Rust says of numbers in words for people.
fn in_words(line: &str) -> Cow<'_, str> {
    let said = [
        (": invalid digit found in string", "give a whole number"),
        (": cannot parse integer from empty string", "give a whole number"),
        (": number too large to fit in target type", "the number is too large"),
        (": number too small to fit in target type", "the number is too small"),
    ];
    let found = said.iter().find_map(|(rust, ours)| Some((line.strip_suffix(rust)?, ours)));
    found.map_or(Cow::Borrowed(line), |(line, ours)| Cow::Owned(format!("{line}: {ours}")))
}
