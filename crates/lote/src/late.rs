//! What the counts of a batch that is over say of files that it does not name.

use std::fmt;

use crate::{Batch, RequestCounts, Status};

/// Files that a batch which is over does not name, although its counts say that there is something in them. Some services
/// name them a moment after they say that the batch is over. See [`Batch::late_files`].
///
/// Displays as what the counts say and what is not there, such as `its counts say that 3 lines succeeded, but it names no
/// output file`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LateFiles {
    /// How many lines succeeded, when no output file is named for them; else 0.
    pub succeeded: u64,
    /// How many lines failed, when no error file is named for them; else 0.
    pub failed: u64,
}

impl LateFiles {
    /// Whether it is the output file that is late, the one with what was paid for.
    pub fn is_output(&self) -> bool {
        self.succeeded > 0
    }
}

impl fmt::Display for LateFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = |lines| count(lines, "line");
        match (self.succeeded, self.failed) {
            (succeeded, 0) => {
                write!(f, "its counts say that {} succeeded, but it names no output file", lines(succeeded))
            }
            (0, failed) => write!(f, "its counts say that {} failed, but it names no error file", lines(failed)),
            (succeeded, failed) => write!(
                f,
                "its counts say that {} succeeded and {failed} failed, but it names no file of them",
                lines(succeeded)
            ),
        }
    }
}

impl Batch {
    /// The files that a batch which is over does not name, although its counts say that lines succeeded (output file) or
    /// failed (error file). None while it is not over, and when all is there that the counts speak of: a batch all of
    /// whose lines failed needs no output file.
    ///
    /// Waits and everything that fetches ask again for a while when there are some: see
    /// [`Tolerance::late_files`](crate::Tolerance::late_files).
    pub fn late_files(&self) -> Option<LateFiles> {
        let counts = self.request_counts.filter(|_| self.is_terminal())?;
        // Lines that a validation refused were not run: there is no file of them.
        let refused = self.status == Status::Failed && !self.errors.is_empty();
        let failed = if self.error_file_id.is_some() || refused { 0 } else { counts.failed };
        let succeeded = if self.output_file_id.is_some() { 0 } else { succeeded(counts) };
        (succeeded > 0 || failed > 0).then_some(LateFiles { succeeded, failed })
    }
}

/// So many of something, in words.
pub(crate) fn count(number: u64, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The lines that have ended. Where a service counts the failed ones as completed too, each once.
pub(crate) fn ended(RequestCounts { total, completed, failed }: RequestCounts) -> u64 {
    let both = completed.saturating_add(failed);
    if total > 0 { both.min(total) } else { both }
}

fn succeeded(counts: RequestCounts) -> u64 {
    ended(counts).saturating_sub(counts.failed)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn late(fields: Value, counts: [u64; 3]) -> Option<String> {
        let [total, completed, failed] = counts;
        let mut batch = json!({"id": "b", "status": "completed"});
        batch["request_counts"] = json!({"total": total, "completed": completed, "failed": failed});
        batch.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let batch = Batch::read("batch", serde_json::from_value(batch).unwrap()).unwrap();
        batch.late_files().map(|late| late.to_string())
    }

    #[test]
    fn what_the_counts_speak_of_and_nobody_names() {
        let output = json!({"output_file_id": "o"});
        let errors = json!({"error_file_id": "e", "output_file_id": ""});
        for (fields, counts, expected) in [
            (json!({}), [3, 3, 0], Some("its counts say that 3 lines succeeded, but it names no output file")),
            (
                json!({"output_file_id": ""}),
                [1, 1, 0],
                Some("its counts say that 1 line succeeded, but it names no output file"),
            ),
            (json!({}), [3, 0, 2], Some("its counts say that 2 lines failed, but it names no error file")),
            (
                json!({}),
                [3, 1, 2],
                Some("its counts say that 1 line succeeded and 2 failed, but it names no file of them"),
            ),
            (output.clone(), [3, 2, 1], Some("its counts say that 1 line failed, but it names no error file")),
            (errors.clone(), [3, 2, 1], Some("its counts say that 2 lines succeeded, but it names no output file")),
            // All failed; here and there they are counted as completed as well.
            (errors.clone(), [3, 0, 3], None),
            (errors, [3, 3, 3], None),
            (output.clone(), [3, 3, 0], None),
            (output, [0, 3, 0], None),
            (json!({}), [3, 0, 0], None),
            (json!({"status": "in_progress"}), [3, 3, 0], None),
            (
                json!({"status": "expired"}),
                [3, 2, 0],
                Some("its counts say that 2 lines succeeded, but it names no output file"),
            ),
            (json!({"status": "failed", "errors": {"data": [{"message": "bad"}]}}), [3, 0, 3], None),
        ] {
            assert_eq!(late(fields.clone(), counts).as_deref(), expected, "{fields} {counts:?}");
        }
    }
}
