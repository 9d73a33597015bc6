//! What a change did, in instructions that valgrind's callgrind counts, so that noise does not decide: the command as it
//! is here, and as it was at a revision.

use std::{
    fs,
    io::{self, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{
    data::{Answers, Data, Set},
    measure, programs,
    text::Style,
    work::{thousands, word},
};
use crate::{
    outside,
    report::{EXIT_FRESH, Failure},
};

/// How many lines are read: callgrind takes some fifty times as long as the command by itself.
const LINES: u64 = 10_000;

/// A change of less than this part of a thousand is none: the keys of hash tables are drawn anew by each process.
const SAME: f64 = 0.5;

/// Builds the command of both, counts, and says how they differ.
pub(super) fn against(root: &Path, place: &Path, revision: &str, out: &mut dyn Write) -> Result<u8, Failure> {
    if !outside::passes(root, "valgrind", &["--version"]) {
        writeln!(
            out,
            "skipped: valgrind is not installed, and nothing else counts instructions (apt-get install valgrind)"
        )?;
        return Ok(EXIT_FRESH);
    }
    let commit = git(root, &["rev-parse", "--verify", "--quiet", "--short=12", &format!("{revision}^{{commit}}")])?;
    let place = place.join("against");
    fs::create_dir_all(&place).map_err(|error| super::cannot(&place, &error))?;
    let data = Data::new(&place)?;
    let before = built_at(root, &place, &commit, out)?;
    let after = keep(root, root, &place.join("here"), out)?;
    writeln!(out, "instructions, in thousands\n  {:<16} {commit:>14} {:>14}", "", "here")?;
    for (name, words) in works(&data, &place)? {
        let count = |lote: &Path| instructions(lote, &words, &place.join("callgrind.log"));
        let (before, after) = (count(&before)?, count(&after)?);
        let change = change(before, after);
        writeln!(out, "  {name:<16} {:>14} {:>14}  {change}", thousands(before / 1000), thousands(after / 1000))?;
        out.flush()?;
    }
    Ok(EXIT_FRESH)
}

fn change(before: u64, after: u64) -> String {
    let part = (after as f64 / before as f64 - 1.0) * 1e3;
    if part.abs() < SAME { "the same".to_owned() } else { format!("{:+.1} %", part / 10.0) }
}

/// The commands that are counted: those that need no service, whose instructions are the same each time.
fn works(data: &Data, place: &Path) -> Result<Vec<(&'static str, Vec<String>)>, Failure> {
    let mut quiet = io::sink();
    let set = Set { lines: LINES, kilobytes: 1, style: Style::Utf8 };
    let requests = word(&data.requests(set, &mut quiet)?);
    let escaped = word(&data.requests(Set { style: Style::Escaped, ..set }, &mut quiet)?);
    let Answers { output, errors } = data.answers(set, &mut quiet)?;
    let (output, errors, results) = (word(&output), word(&errors), word(&place.join("results.jsonl")));
    let words = |words: &[&str]| words.iter().map(|&word| word.to_owned()).collect();
    Ok(vec![
        ("check", words(&["check", &requests])),
        ("check-escaped", words(&["check", &escaped])),
        ("join", words(&["join", &requests, &output, &errors, "-o", &results, "--force"])),
        ("inspect", words(&["inspect", &output, &errors])),
        ("version", words(&["--version"])),
    ])
}

/// The command as it was at a commit; built once.
fn built_at(root: &Path, place: &Path, commit: &str, out: &mut dyn Write) -> Result<PathBuf, Failure> {
    let kept = place.join(format!("lote-{commit}"));
    if kept.is_file() {
        return Ok(kept);
    }
    let tree = place.join("tree");
    let folder = word(&tree);
    // What a run that was interrupted left there.
    super::gone(&tree).map_err(|error| super::cannot(&tree, &error))?;
    git(root, &["worktree", "prune"])?;
    git(root, &["worktree", "add", "--quiet", "--detach", &folder, commit])?;
    let built = keep(root, &tree, &kept, out);
    git(root, &["worktree", "remove", "--force", &folder])?;
    built
}

/// Builds the command of a tree as it is released, among the builds of this one, so that what both depend on is built
/// once; and keeps it.
fn keep(root: &Path, tree: &Path, kept: &Path, out: &mut dyn Write) -> Result<PathBuf, Failure> {
    let target = programs::target(root);
    writeln!(out, "building lote for {}", kept.file_name().unwrap_or_default().to_string_lossy())?;
    programs::build(tree, programs::RELEASED[0], &[("CARGO_TARGET_DIR", target.as_os_str())], out)?;
    let built = programs::at(&target, "release/lote");
    fs::copy(&built, kept).map_err(|error| super::cannot(kept, &error))?;
    Ok(kept.to_owned())
}

/// How many instructions a command takes.
fn instructions(lote: &Path, words: &[String], log: &Path) -> Result<u64, Failure> {
    let mut command = Command::new("valgrind");
    command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
    command.arg(format!("--log-file={}", log.display())).arg(lote).args(words);
    measure::run(&mut command, &[0, 1])?;
    let text = fs::read_to_string(log).map_err(|error| super::cannot(log, &error))?;
    collected(&text).ok_or_else(|| Failure::new(format!("valgrind counts nothing:\n{text}"), "see whether it runs"))
}

/// The count in what callgrind says at its end.
fn collected(log: &str) -> Option<u64> {
    log.lines().rev().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

/// What git says.
fn git(root: &Path, words: &[&str]) -> Result<String, Failure> {
    let cannot =
        |why: String| Failure::new(format!("git {}: {why}", words.join(" ")), "name a revision that git knows");
    let output = Command::new("git").args(words).current_dir(root).stdin(Stdio::null()).output();
    let output = output.map_err(|error| cannot(error.to_string()))?;
    if !output.status.success() {
        return Err(cannot(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_callgrind_counts_is_read() {
        let log = "==7== Callgrind\n==7== Events    : Ir\n==7== Collected : 3204417\n==7== \n==7== I   refs:      3,204,417\n";
        assert_eq!((collected(log), collected("==7== killed\n")), (Some(3_204_417), None));
    }

    #[test]
    fn a_change_that_is_only_noise_is_none() {
        assert_eq!(
            [change(10_000, 10_004), change(10_000, 9_000), change(10_000, 10_010)],
            ["the same", "-10.0 %", "+0.1 %"]
        );
    }
}
