//! The list of works: what each is, the command of ours that does it, and the commands of peers that do the same.

use std::{
    io::Write,
    path::{Path, PathBuf},
};

use super::{
    data::{Answers, Counts, Data, Set},
    network, offline,
    peers::Peers,
    service::Needs,
};
use crate::report::Failure;

/// What all works are made of.
pub(super) struct Scene<'a> {
    pub(super) lote: &'a Path,
    /// The parse that `lote check` is held against, where it was built.
    pub(super) floor: Option<&'a Path>,
    pub(super) peers: &'a Peers,
    pub(super) data: &'a Data,
    /// Where results go.
    pub(super) scratch: &'a Path,
    pub(super) scale: Scale,
}

/// How much is read, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Scale {
    /// Lines of 1 KB.
    pub(super) lines: u64,
    /// Lines of 4 KB.
    pub(super) long_lines: u64,
    /// Lines of what memory is measured with.
    pub(super) many: u64,
    /// Lines of a run.
    pub(super) run: u64,
    pub(super) rounds: usize,
    /// Rounds of what takes long.
    pub(super) few: usize,
}

impl Scale {
    pub(super) const WHOLE: Self =
        Self { lines: 200_000, long_lines: 50_000, many: 1_000_000, run: 50_000, rounds: 7, few: 3 };
    pub(super) const HUGE: Self = Self { many: 4_000_000, ..Self::WHOLE };
    pub(super) const QUICK: Self = Self { lines: 2_000, long_lines: 500, many: 2_000, run: 200, rounds: 3, few: 1 };
}

/// One work, done by several commands in turn.
pub(super) struct Work {
    pub(super) name: &'static str,
    /// What is done, with its size.
    pub(super) title: String,
    pub(super) needs: Needs,
    pub(super) rounds: usize,
    pub(super) contenders: Vec<Contender>,
}

/// One command.
#[derive(Debug, Clone, Default)]
pub(super) struct Contender {
    pub(super) name: &'static str,
    /// What it does not do of what ours does.
    pub(super) lacks: &'static str,
    /// Program and arguments; `{url}`, `{file}` and `{batch}` are those of the service.
    pub(super) words: Vec<String>,
    /// The exit codes of success: 0 if none is named.
    pub(super) exits: &'static [i32],
    /// What it must print.
    pub(super) says: Vec<String>,
    /// What it must leave, and of how many bytes if that is known. It is removed before.
    pub(super) leaves: Option<(PathBuf, Option<u64>)>,
}

impl Contender {
    pub(super) fn new<W: Into<String>>(name: &'static str, words: impl IntoIterator<Item = W>) -> Self {
        Self { name, words: words.into_iter().map(Into::into).collect(), exits: &[0], ..Self::default() }
    }

    pub(super) fn lacks(self, lacks: &'static str) -> Self {
        Self { lacks, ..self }
    }

    pub(super) fn exits(self, exits: &'static [i32]) -> Self {
        Self { exits, ..self }
    }

    pub(super) fn says<W: Into<String>>(self, says: impl IntoIterator<Item = W>) -> Self {
        Self { says: says.into_iter().map(Into::into).collect(), ..self }
    }

    pub(super) fn leaves(self, path: PathBuf, bytes: Option<u64>) -> Self {
        Self { leaves: Some((path, bytes)), ..self }
    }
}

/// Makes a work, and with it the data that it reads.
type Make = fn(&Scene<'_>, &'static str, &mut dyn Write) -> Result<Work, Failure>;

/// All works, in the order in which they are done. Each name is a word of `--only`, alone or up to a hyphen.
const WORKS: [(&str, Make); 14] = [
    ("check", offline::check),
    ("check-escaped", offline::check),
    ("check-long", offline::check),
    ("check-many", offline::check),
    ("join", offline::join),
    ("join-escaped", offline::join),
    ("join-many", offline::join),
    ("inspect", offline::inspect),
    ("upload", network::upload),
    ("download", network::download),
    ("get", network::get),
    ("version", network::version),
    ("run", network::run),
    ("run-many", network::run),
];

/// The names of all works.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    WORKS.iter().map(|(name, _)| *name)
}

/// The works that are asked for: all, or those of these names, or of a name that begins with one of these.
pub(super) fn chosen(only: &[String]) -> impl Iterator<Item = (&'static str, Make)> {
    WORKS.into_iter().filter(|(name, _)| only.is_empty() || only.iter().any(|only| is(name, only)))
}

fn is(name: &str, only: &str) -> bool {
    name.strip_prefix(only).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
}

/// The requests of a set, as a word of a command.
pub(super) fn requests(scene: &Scene<'_>, set: Set, out: &mut dyn Write) -> Result<(String, u64), Failure> {
    let path = scene.data.requests(set, out)?;
    let bytes = size(&path)?;
    Ok((word(&path), bytes))
}

/// The size of a file.
pub(super) fn size(path: &Path) -> Result<u64, Failure> {
    let found = std::fs::metadata(path);
    Ok(found.map_err(|error| Failure::new(format!("{}: {error}", path.display()), "make it anew"))?.len())
}

/// A path as a word of a command.
pub(super) fn word(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// A set with its requests and answers.
pub(super) struct Settled {
    pub(super) requests: String,
    pub(super) output: String,
    pub(super) errors: String,
    pub(super) bytes: u64,
    pub(super) counts: Counts,
}

impl Settled {
    pub(super) fn of(scene: &Scene<'_>, set: Set, out: &mut dyn Write) -> Result<Self, Failure> {
        let (requests, asked) = requests(scene, set, out)?;
        let Answers { output, errors } = scene.data.answers(set, out)?;
        let bytes = asked + size(&output)? + size(&errors)?;
        Ok(Self { requests, output: word(&output), errors: word(&errors), bytes, counts: set.counts() })
    }
}

/// A number with its thousands apart.
pub(super) fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn works_are_chosen_by_the_beginning_of_their_names() {
        let of = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&name| name.to_owned()).collect();
            chosen(&only).map(|(name, _)| name).collect::<Vec<_>>()
        };
        assert_eq!(of(&[]).len(), WORKS.len());
        assert_eq!(of(&["join"]), ["join", "join-escaped", "join-many"]);
        assert_eq!(of(&["get", "run-many"]), ["get", "run-many"]);
        assert_eq!(of(&["ru"]), [""; 0]);
    }

    #[test]
    fn thousands_are_apart() {
        assert_eq!([7, 1_000, 12_345, 1_234_567].map(thousands), ["7", "1,000", "12,345", "1,234,567"]);
    }
}
