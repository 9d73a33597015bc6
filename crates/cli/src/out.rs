//! Everything that is printed. Nothing that a service or a file says reaches a terminal raw. A closed stdout (`| head`)
//! is no failure.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::{self, ErrorKind, IsTerminal, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use anstream::AutoStream;
use lote::text::{is_hidden, visible};
use serde::Serialize;

use crate::exit::CliError;
use crate::layout;

/// A number and what it counts, such as `1 finding` or `2 findings`.
pub(crate) fn count(n: u64, noun: &str) -> String {
    let plural = if noun.ends_with("ch") { "es" } else { "s" };
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}{plural}") }
}

/// How much of a text of others is shown to people: a service may say anything, at any length.
const SHOWN: usize = 600;

/// A text of others for people: so much of it as anybody reads. Files and `--json` have all of it.
pub(crate) fn short(text: impl Display) -> String {
    let text = text.to_string();
    match text.char_indices().nth(SHOWN) {
        None => text,
        Some((end, _)) => {
            let (shown, rest) = text.split_at(end);
            format!("{shown}… and {} characters more", rest.chars().count())
        }
    }
}

/// Prints one line of text for people to stdout. What a service or a file says must neither steer the terminal nor look
/// like a line of ours: every character that would not be seen is made visible, ends of lines too.
///
/// # Errors
/// When stdout can no longer be written for another reason than that its reader left.
pub(crate) fn text(text: impl Display) -> Result<(), CliError> {
    bytes(format!("{}\n", visible(&text.to_string())).as_bytes())
}

/// Prints lines of text for people to stdout, as [`text`] does.
///
/// # Errors
/// As [`text`].
pub(crate) fn lines(lines: impl IntoIterator<Item: Display>) -> Result<(), CliError> {
    lines.into_iter().try_for_each(text)
}

/// Prints one line of JSON to stdout, in which characters that would not be seen become JSON's own escapes.
///
/// # Errors
/// As [`text`].
pub(crate) fn line(json: impl Display) -> Result<(), CliError> {
    bytes(format!("{}\n", escaped(&json.to_string())).as_bytes())
}

/// Prints bytes to stdout.
///
/// # Errors
/// As [`text`].
pub(crate) fn bytes(bytes: &[u8]) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    survive(stdout.write_all(bytes).and_then(|()| stdout.flush()))
}

/// Prints one JSON document to stdout, indented.
///
/// # Errors
/// As [`text`].
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

/// Prints one JSON document to stdout, on one line; whether anybody still reads.
///
/// # Errors
/// As [`line`].
pub(crate) async fn json_line_to_reader(value: &impl Serialize) -> Result<bool, CliError> {
    json_text(serde_json::to_string(value)).await
}

/// Prints JSON and a line feed; whether anybody still reads. On a thread of its own: a reader that
/// stands still must not keep the command from noticing Ctrl-C.
async fn json_text(text: serde_json::Result<String>) -> Result<bool, CliError> {
    let text = text.map_err(|error| CliError::usage(format!("the JSON cannot be printed: {error}")))?;
    let text = format!("{}\n", escaped(&text));
    let write = move || {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    };
    let written = tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| Err(io::Error::other(error)));
    let left = written.as_ref().is_err_and(|error| error.kind() == ErrorKind::BrokenPipe);
    survive(written)?;
    Ok(!left)
}

/// The same JSON without the characters that JSON lets stand in a string, but which nobody would see. Line feeds between
/// values are the layout; in a string JSON escapes them itself.
pub(crate) fn escaped(json: &str) -> Cow<'_, str> {
    if !json.contains(|c| is_hidden(c) && c != '\n') {
        return Cow::Borrowed(json);
    }
    let mut out = String::with_capacity(json.len() + 16);
    for c in json.chars() {
        if is_hidden(c) && c != '\n' {
            for unit in c.encode_utf16(&mut [0; 2]) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            out.push(c);
        }
    }
    Cow::Owned(out)
}

/// The bytes of a file as a terminal may show them, piece by piece: line feeds and tabs as they are, everything else that
/// would not be seen as escapes.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    /// The beginning of a character whose rest is in the next piece.
    rest: Vec<u8>,
}

impl Screen {
    /// What to show of the next piece.
    pub(crate) fn show(&mut self, piece: &[u8]) -> String {
        let mut bytes = std::mem::take(&mut self.rest);
        bytes.extend_from_slice(piece);
        let mut shown = String::with_capacity(bytes.len());
        let mut chunks = bytes.utf8_chunks().peekable();
        while let Some(chunk) = chunks.next() {
            for c in chunk.valid().chars() {
                if is_hidden(c) && c != '\n' && c != '\t' { shown.extend(c.escape_default()) } else { shown.push(c) }
            }
            let invalid = chunk.invalid();
            let may_go_on = chunks.peek().is_none() && str::from_utf8(invalid).is_err_and(|e| e.error_len().is_none());
            if may_go_on {
                self.rest = invalid.to_vec();
            } else {
                invalid.iter().for_each(|byte| shown.push_str(&format!("\\x{byte:02x}")));
            }
        }
        shown
    }

    /// What to show of a character that has no end.
    pub(crate) fn end(self) -> String {
        self.rest.iter().map(|byte| format!("\\x{byte:02x}")).collect()
    }
}

/// Copies a reader to stdout: as it is, but to a terminal as it may be shown there.
///
/// # Errors
/// As [`text`]; also when the reader fails.
pub(crate) fn copy(reader: &mut impl io::Read) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    if !stdout.is_terminal() {
        return survive(io::copy(reader, &mut stdout).and_then(|_| stdout.flush()));
    }
    let (mut screen, mut piece) = (Screen::default(), vec![0; 64 << 10]);
    let mut next = || -> io::Result<bool> {
        match reader.read(&mut piece) {
            Ok(0) => Ok(false),
            Ok(count) => stdout.write_all(screen.show(&piece[..count]).as_bytes()).map(|()| true),
            Err(error) if error.kind() == ErrorKind::Interrupted => Ok(true),
            Err(error) => Err(error),
        }
    };
    let copied = loop {
        match next() {
            Ok(true) => {}
            ended => break ended,
        }
    };
    survive(copied.and_then(|_| stdout.write_all(screen.end().as_bytes())).and_then(|()| stdout.flush()))
}

/// Whether nothing is said but errors and results (`--quiet`).
static QUIET: AtomicBool = AtomicBool::new(false);

/// Says nothing from now on but errors and results.
pub(crate) fn be_quiet() {
    QUIET.store(true, Ordering::Relaxed);
}

/// Whether nothing is to be said but errors and results.
pub(crate) fn is_quiet() -> bool {
    QUIET.load(Ordering::Relaxed)
}

/// Whether progress is shown: on a terminal, unless nothing is to be said.
pub(crate) fn shows_progress() -> bool {
    !is_quiet() && io::stderr().is_terminal()
}

/// Prints one line of text for people to stderr, made visible as by [`text`], unless they want to hear of errors alone.
pub(crate) fn note(text: impl Display) {
    if !is_quiet() {
        problem(text);
    }
}

/// Prints one line of text to stderr, as [`note`] does, that belongs to an error: it is never left out.
pub(crate) fn problem(text: impl Display) {
    let mut stderr = io::stderr().lock();
    for line in on_stderr(&text.to_string()) {
        // When stderr fails there is nowhere to report it.
        let _ = writeln!(stderr, "{line}");
    }
}

/// A line made visible; on a terminal that is too narrow, several of whole words, of which those that follow stand further in
/// than any line of ours begins: words of others must not look like one. A command to copy stays one line.
fn on_stderr(line: &str) -> Vec<String> {
    let text = line.trim_start_matches(' ');
    let indent = &line[..line.len() - text.len()];
    let is_command = !indent.is_empty() && text.starts_with("lote ");
    if is_command || !io::stderr().is_terminal() {
        return vec![visible(line).into_owned()];
    }
    layout::worded(line, &format!("{indent}    "), layout::columns_of_stderr())
}

/// Prints one line of JSON to stderr, as [`line`] does: a result, where stdout has another.
pub(crate) fn note_line(json: impl Display) {
    let _ = writeln!(io::stderr().lock(), "{}", escaped(&json.to_string()));
}

/// Prints the error that ends the process to stderr, and the lines that follow from it.
pub(crate) fn error(error: &CliError) {
    error_line(error);
    error.lines().iter().for_each(problem);
}

/// Prints the first line of an error. Where the terminal has colours they come and go by the rules that clap's help
/// follows too (`NO_COLOR`, `CLICOLOR`, `CLICOLOR_FORCE`, `TERM`), none in a pipe.
pub(crate) fn error_line(message: impl Display) {
    let lines = on_stderr(&format!("error: {message}"));
    let mut stderr = AutoStream::auto(io::stderr().lock());
    let _ = writeln!(stderr, "{RED}error:{PLAIN}{}", lines.join("\n").trim_start_matches("error:"));
}

/// Prints one line of text to stdout, as [`text`] does, that tells of a success: green where the terminal has colours.
///
/// # Errors
/// As [`text`].
pub(crate) fn success(text: impl Display) -> Result<(), CliError> {
    let text = text.to_string();
    let mut stdout = AutoStream::auto(io::stdout().lock());
    survive(writeln!(stdout, "{GREEN}{}{PLAIN}", visible(&text)).and_then(|()| stdout.flush()))
}

/// Prints lines of text to stdout, as [`lines`] does, that tell of a success, if it is one.
///
/// # Errors
/// As [`text`].
pub(crate) fn told(lines: impl IntoIterator<Item: Display>, is_success: bool) -> Result<(), CliError> {
    lines.into_iter().try_for_each(|line| if is_success { success(line) } else { text(line) })
}

/// What a terminal is told to change the colour: to bold red, to green, to what it was.
const RED: &str = "\x1b[1;31m";
const GREEN: &str = "\x1b[32m";
const PLAIN: &str = "\x1b[0m";

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
        let hidden = "\u{9b}2J\u{7f}\n\u{1b}é\u{202e}\u{200b}\u{2028}\u{e0041}\u{feff}";
        let value = serde_json::json!({hidden: hidden, "b": [1]});
        for text in [serde_json::to_string(&value), serde_json::to_string_pretty(&value)] {
            let text = text.expect("JSON");
            let text = escaped(&text);
            assert!(!text.contains(|c: char| is_hidden(c) && c != '\n'), "{text:?}");
            assert_eq!(serde_json::from_str::<serde_json::Value>(&text).expect("JSON"), value);
        }
    }

    #[test]
    fn a_screen_shows_each_byte_once_wherever_the_pieces_end() {
        let bytes = "a\té\u{202e}\u{1b}[2J\n€".bytes().chain([0xff, b'b', 0xe2, 0x82]).collect::<Vec<u8>>();
        let expected = "a\té\\u{202e}\\u{1b}[2J\n€\\xffb\\xe2\\x82";
        for size in 1..=bytes.len() {
            let mut screen = Screen::default();
            let mut shown: String = bytes.chunks(size).map(|piece| screen.show(piece)).collect();
            shown.push_str(&screen.end());
            assert_eq!(shown, expected, "{size}");
        }
    }
}
