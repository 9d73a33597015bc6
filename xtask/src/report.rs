//! Owns the words and the exit codes of the tool: a finding, a failure, and how each is printed. It never looks for
//! one.

use std::fmt::{self, Display};

/// Everything is fresh, was written, or passed.
pub const EXIT_FRESH: u8 = 0;
/// Something is stale, or the lint or a step of `ci` has findings.
pub const EXIT_STALE: u8 = 4;
/// The question could not be answered: a file is missing, is not YAML, or does not build.
pub const EXIT_FAILED: u8 = 100;

/// The command that makes everything derived fresh.
pub const CODEGEN: &str = "cargo xtask codegen";

/// A text without what would move the cursor of a terminal or turn the direction of writing; lines stay lines.
#[must_use]
pub fn visible(text: &str) -> String {
    let odd = |one: char| {
        (one.is_control() && one != '\n' && one != '\t')
            || matches!(one, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|one| if odd(one) { one.escape_unicode().to_string() } else { one.to_string() }).collect()
}

/// Something that is wrong and what to do about it. Prints as two lines, `problem: …` and `fix: …`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What is wrong, and where.
    pub problem: String,
    /// What to do.
    pub fix: String,
}

impl Finding {
    /// A finding from its two lines, without their labels.
    pub fn new(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self { problem: problem.into(), fix: fix.into() }
    }
}

impl Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "problem: {}\nfix: {}", visible(&self.problem), visible(&self.fix))
    }
}

/// Why a question could not be answered, in the same two lines as a [`Finding`].
#[derive(Debug)]
pub struct Failure(pub Finding);

impl Failure {
    /// A failure from its two lines, without their labels.
    pub fn new(problem: impl Into<String>, fix: impl Into<String>) -> Self {
        Self(Finding::new(problem, fix))
    }
}

impl Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for Failure {}

impl From<std::io::Error> for Failure {
    /// Of what the tool prints: errors of files carry their path and are made where the file is named.
    fn from(error: std::io::Error) -> Self {
        Self::new(format!("the report could not be printed: {error}"), "run it again with an output that stays open")
    }
}
