//! What code and documents cite of docs/facts.md is there, and nothing cites a page that the repository does not have.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

/// The files that git has, or would have.
fn files() -> Vec<String> {
    let listed = Command::new("git").args(["ls-files", "--cached", "--others", "--exclude-standard"]).output().unwrap();
    String::from_utf8(listed.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .filter(|path| Path::new(path).is_file())
        .collect()
}

#[test]
fn a_cited_section_of_the_facts_is_there() {
    let facts = fs::read_to_string("docs/facts.md").unwrap();
    let numbers =
        facts.lines().filter_map(|line| line.strip_prefix("##")?.trim_start_matches('#').trim().split(' ').next());
    let sections: BTreeSet<&str> = numbers.map(|number| number.trim_end_matches('.')).collect();
    assert!(sections.len() > 20, "{sections:?}");

    let mut cited = 0;
    for path in files() {
        let Ok(text) = fs::read_to_string(&path) else { continue };
        for (at, _) in text.match_indices("docs/facts.md, ") {
            let rest = &text[at + "docs/facts.md, ".len()..];
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
            let number = rest[..end].trim_end_matches('.');
            if path == "docs/facts.md" || path == "tests/citations.rs" {
                continue;
            }
            cited += 1;
            assert!(sections.contains(number), "{path}: docs/facts.md has no section {number:?}");
        }
        if path == "tests/citations.rs" {
            continue;
        }
        for gone in ["contract facts", "contract-facts", "field.md", "design.md", "../shared"] {
            assert!(
                !text.contains(gone),
                "{path}: {gone:?} is not in the repository; cite docs/facts.md, or say the fact"
            );
        }
    }
    assert!(cited > 20, "{cited} citations were found");
}
