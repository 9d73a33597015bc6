//! What of a run is at the service when it ends early, as its log says: in words that are printed.

use std::fmt;

use super::state::State;
use crate::BatchId;

/// What of a run is at the service.
#[derive(Clone, Debug, Default)]
pub(super) struct Standing {
    /// Batches that are not over, as far as is known.
    at_work: Vec<BatchId>,
    /// Batches that are over, and of which something is still to be fetched.
    over: Vec<BatchId>,
    /// Creates of which it is not known whether they have made a batch.
    unanswered: usize,
    cancelled: bool,
    /// Whether a batch was ever made.
    any: bool,
    /// Whether lines were sent one by one.
    synchronous: bool,
}

impl Standing {
    pub(super) fn of(state: &State) -> Self {
        Self {
            at_work: state.at_work(),
            over: state.unfetched(),
            unanswered: state.unanswered(),
            cancelled: state.cancelled,
            any: !state.batches().is_empty(),
            synchronous: state.sent_lines(),
        }
    }

    /// With a batch that was made, and could not be written down.
    pub(super) fn and(&mut self, batch: BatchId) {
        self.any = true;
        if !self.at_work.contains(&batch) {
            self.at_work.push(batch);
        }
    }

    /// Whether no batch was ever made, as is certain, and no line was sent without one.
    pub(super) fn is_nothing(&self) -> bool {
        !self.any && self.unanswered == 0 && !self.synchronous
    }

    /// Whether lines were sent one by one, and may have been charged.
    pub(super) fn has_sent_lines(&self) -> bool {
        self.synchronous
    }

    /// In words. What was not over when it was seen last may be so by now, where the service was not asked since.
    pub(super) fn said(&self, may_be_over: bool) -> String {
        let mut said = Vec::new();
        let verb = |batches: &[BatchId], one: &str, several: &str| match batches {
            [] => None,
            [id] => Some(format!("batch {id} {one}")),
            [first, .., last] => Some(format!("{} batches, {first} to {last}, {several}", batches.len())),
        };
        said.extend(match (self.cancelled, may_be_over) {
            (true, _) => {
                verb(&self.at_work, "is to stop, as the run was cancelled", "are to stop, as the run was cancelled")
            }
            (false, true) => verb(&self.at_work, "goes on or waits at the service", "go on or wait at the service"),
            (false, false) => verb(&self.at_work, "goes on at the service", "go on at the service"),
        });
        said.extend(verb(&self.over, "waits at the service to be fetched", "wait at the service to be fetched"));
        match self.unanswered {
            0 => {}
            1 => said.push(
                "the answer to a create was lost: there may be a batch all the same, which the same run looks for"
                    .to_owned(),
            ),
            lost => said.push(format!(
                "the answers to {lost} creates were lost: there may be batches all the same, which the same run looks for"
            )),
        }
        if self.synchronous {
            said.push("what was answered of the lines that are sent one by one is kept".to_owned());
        }
        if said.is_empty() { "no batch of the run is at work".to_owned() } else { said.join("; ") }
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.said(false))
    }
}
