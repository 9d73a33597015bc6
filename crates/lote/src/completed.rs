//! The step from a batch that is over to one that is completed.

use std::{error::Error as StdError, fmt};

use crate::{Batch, Status};

/// How many validation errors the message names; the batch has all of them.
const SHOWN: usize = 3;

/// A batch that is not completed: it failed, expired or was cancelled, or it is not over. See [`Batch::completed`].
#[derive(Debug)]
pub struct NotCompleted(Box<Batch>);

impl Batch {
    /// The batch again, if it is completed.
    ///
    /// Completed says nothing of single request lines: any of them may have failed. Their outcomes tell: see
    /// [`Batches::outcomes`](crate::Batches::outcomes), which gives those of an expired or cancelled batch as well.
    ///
    /// # Errors
    /// [`NotCompleted`], which keeps the batch.
    pub fn completed(self) -> Result<Self, NotCompleted> {
        match self.status {
            Status::Completed => Ok(self),
            _ => Err(NotCompleted(Box::new(self))),
        }
    }
}

impl NotCompleted {
    /// The batch.
    pub fn batch(&self) -> &Batch {
        &self.0
    }

    /// The batch, for what was finished before it ended.
    pub fn into_batch(self) -> Batch {
        *self.0
    }
}

impl fmt::Display for NotCompleted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let batch = self.batch();
        write!(f, "batch {} is {}", batch.id, batch.status)?;
        if let Some(counts) = batch.request_counts.filter(|counts| counts.total > 0) {
            write!(f, ", {} of {} request lines completed", counts.completed, counts.total)?;
        }
        for error in batch.errors.iter().take(SHOWN) {
            write!(f, "; {error}")?;
        }
        match batch.errors.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            more => write!(f, "; and {more} more errors"),
        }
    }
}

impl StdError for NotCompleted {}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn batch(value: serde_json::Value) -> Batch {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn only_a_completed_batch_is_taken_for_one() {
        assert_eq!(batch(json!({"id": "b", "status": "completed"})).completed().unwrap().id.as_str(), "b");
        for status in ["failed", "expired", "cancelled", "cancelling", "in_progress", "odd"] {
            let refused = batch(json!({"id": "b", "status": status, "output_file_id": "f"})).completed().unwrap_err();
            assert_eq!(refused.batch().status.as_str(), status);
            assert_eq!(refused.into_batch().output_file_id.unwrap().as_str(), "f");
        }
    }

    #[test]
    fn the_message_says_how_far_it_came_and_why() {
        let message = |value| batch(value).completed().unwrap_err().to_string();
        assert_eq!(
            message(json!({"id": "b", "status": "expired", "request_counts": {"total": 4, "completed": 3}})),
            "batch b is expired, 3 of 4 request lines completed"
        );
        let errors: Vec<_> = (1..6).map(|line| json!({"line": line, "message": "no url", "code": "url"})).collect();
        assert_eq!(
            message(json!({"id": "b", "status": "failed", "request_counts": {"total": 0}, "errors": {"data": errors}})),
            "batch b is failed; line 1: no url (url); line 2: no url (url); line 3: no url (url); and 2 more errors"
        );
    }
}
