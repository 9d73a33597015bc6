//! The exit codes and the one error type of the command line.

use std::fmt;
use std::process::ExitCode;

/// The documented exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// 0: all succeeded.
    Success,
    /// 1: some lines did not succeed.
    Incomplete,
    /// 2: usage, or a file or port of this machine cannot be used.
    Usage,
    /// 3: the input was refused.
    Refused,
    /// 4: the service refused, could not be reached, or failed the batch at validation.
    Service,
    /// 5: gave up waiting.
    GaveUp,
    /// 6: a person must say what became of a create or of a batch.
    Held,
    /// 130: interrupted.
    Interrupted,
}

impl Exit {
    /// The number that the shell sees.
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Incomplete => 1,
            Self::Usage => 2,
            Self::Refused => 3,
            Self::Service => 4,
            Self::GaveUp => 5,
            Self::Held => 6,
            Self::Interrupted => 130,
        }
    }
}

impl Exit {
    /// The worse of two ends, of several things that were done: the one that asks for more to be done about it.
    pub(crate) fn worse(self, other: Self) -> Self {
        const ORDER: [Exit; 8] = [
            Exit::Success,
            Exit::Incomplete,
            Exit::GaveUp,
            Exit::Held,
            Exit::Service,
            Exit::Refused,
            Exit::Usage,
            Exit::Interrupted,
        ];
        let place = |exit| ORDER.iter().position(|known| *known == exit);
        if place(other) > place(self) { other } else { self }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

/// The end of `lote --help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0    all succeeded
  1    some lines did not succeed, or the batch expired or was cancelled
  2    usage: a wrong flag or value, or a file or port here that cannot be used
  3    the input was refused
  4    the service refused, could not be reached, or failed the batch at validation
  5    gave up waiting, or detached work goes on
  6    a person must say what became of a create whose answer was lost, or of a batch
  130  interrupted

Examples:
  lote run tickets.csv --user '{{ subject }}: {{ body }}' --model auto
  lote prepare tickets.csv --user '{{ body }}' --model auto -o requests.jsonl
  lote check requests.jsonl
  lote plan requests.jsonl
  lote run requests.jsonl -o results.jsonl
  lote status requests.run
  lote show requests.run --failed
  lote export requests.run -o answers.csv
  lote report requests.run -o report.html
  lote inspect output.jsonl error.jsonl
  lote join requests.jsonl output.jsonl error.jsonl -o results.jsonl
  lote gateway --listen 127.0.0.1:8787";

/// Why a command ended early: an exit code, and a message in lower case that
/// says where, what, and what to do.
#[derive(Debug)]
pub(crate) struct CliError {
    exit: Exit,
    message: String,
    lines: Vec<String>,
}

impl CliError {
    /// Exit 2.
    pub(crate) fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Exit 3.
    pub(crate) fn refused(message: impl Into<String>) -> Self {
        Self::new(Exit::Refused, message)
    }

    /// Exit 130.
    pub(crate) fn interrupted() -> Self {
        Self::new(Exit::Interrupted, "interrupted")
    }

    /// Any exit code.
    pub(crate) fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), lines: Vec::new() }
    }

    /// The same error with lines to follow, such as the commands that go on from there.
    pub(crate) fn with(mut self, lines: impl IntoIterator<Item = String>) -> Self {
        self.lines.extend(lines);
        self
    }

    /// What is printed below the message.
    pub(crate) fn lines(&self) -> &[String] {
        &self.lines
    }

    /// The exit code this error ends the process with.
    pub(crate) const fn exit(&self) -> Exit {
        self.exit
    }
}

impl fmt::Display for CliError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for CliError {}
