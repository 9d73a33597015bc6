//! Puts findings together that say the same of many lines.

use std::collections::HashMap;
use std::fmt;

use crate::finding::{Finding, FindingCode};

/// How many line numbers a group names beside that of its first finding.
const NAMED: usize = 5;

/// Findings that say the same of one or more lines. It prints as its first finding, and how many more lines it is said
/// of: `line 1 ("a"): method is missing: … (and in 2 more lines: 2, 5)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FindingGroup {
    /// The first of them.
    pub first: Finding,
    /// How many there are.
    pub count: u64,
    /// The lines of the next few.
    pub lines: Vec<u64>,
}

impl fmt::Display for FindingGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first)?;
        let more = self.count - 1;
        if more == 0 {
            return Ok(());
        }
        write!(f, " (and in {more} more line{}", if more == 1 { "" } else { "s" })?;
        for (index, line) in self.lines.iter().enumerate() {
            write!(f, "{}{line}", if index == 0 { ": " } else { ", " })?;
        }
        f.write_str(if more > self.lines.len() as u64 { ", …)" } else { ")" })
    }
}

/// Puts findings together as they come: those with the same code and message are one group. Columns do not count, since
/// the same fault stands at another column in each line.
///
/// ```
/// use lote_lines::{CheckOptions, FindingGroups, check};
///
/// let input = "{\"custom_id\":\"a\"}\n".repeat(3);
/// let mut groups = FindingGroups::new(100);
/// check(input.as_bytes(), &CheckOptions::default(), &mut |finding| groups.push(finding), None)?;
/// let first = groups.groups()[0].to_string();
/// assert!(first.starts_with("line 1 (\"a\"): method is missing: "), "{first}");
/// assert!(first.ends_with(" (and in 2 more lines: 2, 3)"), "{first}");
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct FindingGroups {
    most: usize,
    groups: Vec<FindingGroup>,
    places: HashMap<(FindingCode, String), usize>,
    beyond: u64,
}

impl FindingGroups {
    /// Keeps at most so many groups; the findings of others are only counted.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, ..Self::default() }
    }

    /// Adds a finding.
    pub fn push(&mut self, finding: Finding) {
        let key = (finding.code, without_columns(&finding.message));
        if let Some(place) = self.places.get(&key) {
            let group = &mut self.groups[*place];
            group.count += 1;
            group.lines.extend(finding.line.filter(|_| group.lines.len() < NAMED));
        } else if self.groups.len() < self.most {
            self.places.insert(key, self.groups.len());
            self.groups.push(FindingGroup { first: finding, count: 1, lines: Vec::new() });
        } else {
            self.beyond += 1;
        }
    }

    /// Counts findings that were not kept elsewhere, and are in none of the groups.
    pub fn omit(&mut self, findings: u64) {
        self.beyond += findings;
    }

    /// The groups, in the order of their first findings.
    pub fn groups(&self) -> &[FindingGroup] {
        &self.groups
    }

    /// How many findings are in none of the groups.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }
}

/// A message with the numbers of its columns left out.
fn without_columns(message: &str) -> String {
    const COLUMN: &str = "column ";
    let mut parts = message.split(COLUMN);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(COLUMN);
        out.push_str(part.trim_start_matches(|c: char| c.is_ascii_digit()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(line: u64, code: FindingCode, message: &str) -> Finding {
        Finding { line: Some(line), custom_id: None, code, message: message.to_owned() }
    }

    #[test]
    fn what_is_the_same_is_said_once() {
        let mut groups = FindingGroups::new(2);
        for line in 1..=8 {
            let column = 10 + line;
            groups.push(finding(line, FindingCode::InvalidJson, &format!("NaN at column {column}: no JSON")));
        }
        groups.push(finding(9, FindingCode::OutOfRange, "n is 11"));
        groups.push(finding(10, FindingCode::OutOfRange, "n is 12"));
        groups.push(finding(11, FindingCode::OutOfRange, "n is 11"));
        let printed: Vec<_> = groups.groups().iter().map(ToString::to_string).collect();
        assert_eq!(
            printed,
            [
                "line 1: NaN at column 11: no JSON (and in 7 more lines: 2, 3, 4, 5, 6, …)",
                "line 9: n is 11 (and in 1 more line: 11)",
            ]
        );
        assert_eq!(groups.beyond(), 1);
        groups.omit(3);
        assert_eq!(groups.beyond(), 4);
    }

    #[test]
    fn other_numbers_keep_findings_apart() {
        let mut groups = FindingGroups::new(9);
        groups.push(finding(3, FindingCode::DuplicateCustomId, "used before, in line 1"));
        groups.push(finding(4, FindingCode::DuplicateCustomId, "used before, in line 2"));
        assert_eq!(groups.groups().len(), 2);
    }
}
