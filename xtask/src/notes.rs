//! The notes of a release: the part of CHANGELOG.md that tells of it.

use std::{fs, io::Write, path::Path};

use crate::report::{EXIT_FRESH, Failure};

/// What a version's part begins with.
const HEAD: &str = "## ";

/// The part that tells of what is not released yet.
pub const UNRELEASED: &str = "Unreleased";

/// Prints the notes of this version. Exit code 0.
///
/// # Errors
///
/// When the changelog cannot be read or tells nothing of that version.
pub fn run(root: &Path, version: &str, out: &mut dyn Write) -> Result<u8, Failure> {
    let path = root.join("CHANGELOG.md");
    let text = fs::read_to_string(&path)
        .map_err(|error| Failure::new(format!("{}: {error}", path.display()), "run it inside the repository"))?;
    let Some(notes) = notes(&text, version) else {
        let known = versions(&text).collect::<Vec<_>>().join(", ");
        return Err(Failure::new(
            format!("CHANGELOG.md tells nothing of {version}"),
            format!("name one of these: {known}"),
        ));
    };
    writeln!(out, "{notes}")?;
    Ok(EXIT_FRESH)
}

/// The name of the version that a head is of: `## 0.2.0 - 2026-12-01`, or with brackets around the number.
fn version_of(head: &str) -> &str {
    head.split_whitespace().next().unwrap_or_default().trim_matches(['[', ']'])
}

fn versions(text: &str) -> impl Iterator<Item = &str> {
    text.lines().filter_map(|line| line.strip_prefix(HEAD)).map(version_of)
}

/// What stands below the head of this version; none when there is no such head, or nothing below it.
fn notes(text: &str, version: &str) -> Option<String> {
    let mut lines =
        text.lines().skip_while(|line| line.strip_prefix(HEAD).is_none_or(|head| version_of(head) != version));
    lines.next()?;
    let notes: Vec<&str> = lines.take_while(|line| !line.starts_with(HEAD)).collect();
    let notes = notes.join("\n").trim().to_owned();
    (!notes.is_empty()).then_some(notes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str =
        "# Changelog\n\n## Unreleased\n\n### Added\n\n- one\n\n## [0.2.0] - 2026-12-01\n\n- two\n\n## 0.1.0\n";

    #[test]
    fn the_notes_are_what_stands_below_the_version() {
        assert_eq!(notes(TEXT, UNRELEASED).unwrap(), "### Added\n\n- one");
        assert_eq!(notes(TEXT, "0.2.0").unwrap(), "- two");
        for nothing in ["0.1.0", "0.3.0", "0.2", ""] {
            assert_eq!(notes(TEXT, nothing), None, "{nothing}");
        }
        assert_eq!(versions(TEXT).collect::<Vec<_>>(), ["Unreleased", "0.2.0", "0.1.0"]);
    }

    #[test]
    fn our_changelog_tells_of_what_comes() {
        assert!(notes(include_str!("../../CHANGELOG.md"), UNRELEASED).is_some());
    }
}
