//! How to go on after an interrupt, in lines to copy; where a command has none of its own, it is that command again.

use std::ffi::OsString;

use crate::exit::{CliError, Exit};
use crate::shell::{self, CommandLine};

/// A command was interrupted, may have done this all the same, and the line tells whether it has.
pub(crate) fn interrupted(may_have: &str, line: CommandLine, tells: &str) -> CliError {
    let error = CliError::new(Exit::Interrupted, format!("interrupted; {may_have}"));
    error.with([format!("  {line}  # {tells}")])
}

/// The error, and below it how to go on: the command as it was given, where it has said nothing of its own.
pub(crate) fn with_the_same(error: CliError, args: impl IntoIterator<Item = OsString>) -> CliError {
    if error.exit() != Exit::Interrupted || !error.lines().is_empty() {
        return error;
    }
    let line = line(args);
    error.with(line.map(|(line, reads_stdin)| {
        let input = if reads_stdin { ", with the same on stdin" } else { "" };
        format!("  {line}  # begins again{input}")
    }))
}

/// The command line, quoted for a shell, and whether it reads stdin; none where a word of it may hold a secret.
fn line(args: impl IntoIterator<Item = OsString>) -> Option<(String, bool)> {
    let (mut line, mut reads_stdin) = ("lote".to_owned(), false);
    let mut args = args.into_iter();
    while let Some(word) = args.next() {
        let text = word.to_string_lossy();
        if text == "--api-key" {
            // Its value: the key is better in the environment, and is not repeated.
            args.next();
            continue;
        }
        if text.starts_with("--api-key=") {
            continue;
        }
        // A URL may hold a password, or a token in its query; and the keys of a gateway are as secret as others.
        if (text.contains("://") && text.contains(['@', '?', '#'])) || text == "--key" || text.starts_with("--key=") {
            return None;
        }
        reads_stdin |= text == "-";
        line.push(' ');
        line.push_str(&shell::quoted(&word));
    }
    Some((line, reads_stdin))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(error: CliError, words: &[&str]) -> Vec<String> {
        with_the_same(error, words.iter().map(OsString::from)).lines().to_vec()
    }

    #[test]
    fn the_same_command_is_told_without_a_secret() {
        for (words, expected) in [
            (&["inspect", "a b.jsonl"][..], "  lote inspect 'a b.jsonl'  # begins again"),
            (&["join", "-", "x"], "  lote join - x  # begins again, with the same on stdin"),
            (&["files", "list", "--api-key", "hunter22", "--all"], "  lote files list --all  # begins again"),
            (&["files", "list", "--api-key=hunter22"], "  lote files list  # begins again"),
        ] {
            assert_eq!(said(CliError::interrupted(), words), [expected], "{words:?}");
        }
        for url in ["http://me:hunter22@x/", "http://x/?k=hunter22", "--base-url=http://x/#hunter22", "--key=hunter22"]
        {
            assert_eq!(said(CliError::interrupted(), &["files", "list", url]), [""; 0], "{url}");
        }
    }

    #[test]
    fn who_says_how_to_go_on_or_was_not_interrupted_says_no_more() {
        let said_more = CliError::interrupted().with(["  lote resume x.run".to_owned()]);
        assert_eq!(said(said_more, &["run", "x"]), ["  lote resume x.run"]);
        assert_eq!(said(CliError::usage("x"), &["run", "x"]), [""; 0]);
    }
}
