//! Owns everything that is printed. A closed stdout (`| head`) is no failure; never panics.

use std::fmt::Display;
use std::io::{self, ErrorKind, Write};
use std::pin::pin;

use futures_util::{Stream, TryStreamExt};
use serde::Serialize;

use crate::exit::CliError;

/// A number and what it counts, such as `1 finding` or `2 findings`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

/// Prints text for people to stdout, as [`line`] does, with control characters made visible:
/// what a service or a file says must not steer the terminal.
///
/// # Errors
/// As [`line`].
pub(crate) fn text(text: impl Display) -> Result<(), CliError> {
    line(visible(&text.to_string()))
}

fn visible(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() && c != '\n' && c != '\t' {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Prints one line to stdout, as it is.
///
/// # Errors
/// When stdout can no longer be written for another reason than that its reader left.
pub(crate) fn line(text: impl Display) -> Result<(), CliError> {
    let mut text = text.to_string();
    text.push('\n');
    bytes(text.as_bytes())
}

/// Prints bytes to stdout.
///
/// # Errors
/// As [`line`].
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    survive(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Prints one JSON document to stdout, indented.
///
/// # Errors
/// As [`line`].
pub(crate) async fn json(value: &impl Serialize) -> Result<(), CliError> {
    json_text(serde_json::to_string_pretty(value)).await.map(drop)
}

/// Prints one JSON document to stdout, on one line.
///
/// # Errors
/// As [`line`].
pub(crate) async fn json_line(value: &impl Serialize) -> Result<(), CliError> {
    json_text(serde_json::to_string(value)).await.map(drop)
}

/// Prints a JSON document a line to stdout, as they come, and stops taking them when nobody reads.
///
/// # Errors
/// As [`line`]; also when the stream fails, after what came before it was printed.
pub(crate) async fn json_lines<T: Serialize>(
    values: impl Stream<Item = Result<T, lote::Error>>,
) -> Result<(), CliError> {
    let mut values = pin!(values);
    while let Some(value) = values.try_next().await? {
        if !json_text(serde_json::to_string(&value)).await? {
            break;
        }
    }
    Ok(())
}

/// Prints JSON and a line feed; whether anybody still reads. On a thread of its own: a reader that
/// stands still must not keep the command from noticing Ctrl-C.
async fn json_text(text: serde_json::Result<String>) -> Result<bool, CliError> {
    let text = text.map_err(|error| CliError::usage(format!("the JSON cannot be printed: {error}")))?;
    let mut text = escaped(&text);
    text.push('\n');
    let write = move || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    };
    let written = tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let left = written.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
    survive(written)?;
    Ok(!left)
}

/// The same JSON without the control characters that JSON itself lets stand in a string.
fn escaped(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() && c != '\n' {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

/// Copies a reader to stdout.
///
/// # Errors
/// As [`line`]; also when the reader fails.
pub(crate) fn copy(reader: &mut impl io::Read) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    survive(io::copy(reader, &mut stdout).and_then(|_| stdout.flush()))
}

/// Prints text for people to stderr, control characters made visible.
pub(crate) fn note(text: impl Display) {
    // Nobody is left to be told when stderr itself fails.
    let _ = writeln!(io::stderr().lock(), "{}", visible(&text.to_string()));
}

/// Prints the error that ends the process to stderr.
pub(crate) fn error(error: &CliError) {
    note(format_args!("error: {error}"));
}

fn survive(result: io::Result<()>) -> Result<(), CliError> {
    match result {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(CliError::usage(format!("stdout cannot be written: {error}; what was printed is not whole")))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn printed_json_means_the_same_and_steers_no_terminal() {
        let value = serde_json::json!({"a": "\u{9b}2J\u{7f}\n\u{1b}é", "b": [1]});
        for text in [serde_json::to_string(&value), serde_json::to_string_pretty(&value)] {
            let text = escaped(&text.expect("JSON"));
            assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
        }
    }
}
