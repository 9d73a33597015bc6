//! What code and documents cite of docs/facts.md is there, and nothing cites a page that the repository does not have.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// The files that git has, or would have, in the repository.
fn files() -> Vec<String> {
    let listed = Command::new("git")
        .args(["ls-files", "--cached", "--others", "--exclude-standard"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .expect("git lists files");
    String::from_utf8(listed.stdout).expect("names are UTF-8").lines().map(str::to_owned).collect()
}

/// The text of a file, unless it is none, or is deleted.
fn text(path: &str) -> Option<String> {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).ok()
}

/// The sections that a text cites: `docs/facts.md, 2.3`, `[facts.md](facts.md), 6 and 10`, also where the line ends in
/// between.
fn cited(text: &str) -> Vec<String> {
    let mut cited = Vec::new();
    for (at, name) in text.match_indices("facts.md") {
        let rest = text[at + name.len()..].trim_start_matches(')');
        let Some(mut rest) = rest.strip_prefix(',') else { continue };
        loop {
            // Past the end of a line, and what begins the next one in a comment.
            rest = rest.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '/' | '!' | '#' | '*'));
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let number = rest[..end].trim_end_matches('.');
            if number.is_empty() {
                break;
            }
            cited.push(number.to_owned());
            rest = &rest[number.len()..];
            match rest.strip_prefix(',').or_else(|| rest.strip_prefix(" and")) {
                Some(more) => rest = more,
                None => break,
            }
        }
    }
    cited
}

#[test]
fn a_cited_section_of_the_facts_is_there() {
    let facts = text("docs/facts.md").expect("docs/facts.md");
    let numbers =
        facts.lines().filter_map(|line| line.strip_prefix("##")?.trim_start_matches('#').trim().split(' ').next());
    let sections: BTreeSet<&str> = numbers.map(|number| number.trim_end_matches('.')).collect();
    assert!(sections.len() > 20, "{sections:?}");

    let (mut count, mut wrong) = (0, Vec::new());
    // CI looks whether large documents are beside the repository, and says so.
    for path in files().iter().filter(|path| !["tests/citations.rs", ".ci/run"].contains(&path.as_str())) {
        let Some(text) = text(path) else { continue };
        for number in cited(&text) {
            count += 1;
            if !sections.contains(number.as_str()) {
                wrong.push(format!("{path}: docs/facts.md has no section {number:?}"));
            }
        }
        for gone in ["contract facts", "contract-facts", "field.md", "design.md", "../shared"] {
            if text.contains(gone) {
                wrong.push(format!("{path}: {gone:?} is not in the repository; cite docs/facts.md, or say the fact"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(count > 10, "{count} citations were found");
}

#[test]
fn a_citation_is_found_however_it_is_written() {
    for (text, sections) in [
        ("(docs/facts.md, 2.3)", &["2.3"][..]),
        ("[facts.md](facts.md), 6 and 10.", &["6", "10"]),
        ("docs/facts.md, 9, is the list", &["9"]),
        ("//! of docs/facts.md,\n    //! 10, 12.1 and 12.2.", &["10", "12.1", "12.2"]),
        ("docs/facts.md says", &[]),
    ] {
        assert_eq!(cited(text), sections, "{text}");
    }
}
