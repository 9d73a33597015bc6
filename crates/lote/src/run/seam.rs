//! Where a test takes the place of the world: the wall clock, the disk at the moment of a frame, and the rules of money,
//! each of which the simulation can switch off to see that it notices. Outside tests nothing here does anything.

#[cfg(not(test))]
use std::{fs::File, io, time::SystemTime};

use crate::UnixSeconds;

/// A rule of money: see docs/runs.md.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(not(test), expect(dead_code, reason = "the rules are told apart by the simulation alone"))]
pub(super) enum Rule {
    /// 1: the intent to create a batch is durable before the create is sent.
    Intent,
    /// 2: a create whose answer was lost is looked for before another is sent.
    Look,
    /// 3: only two whole readings of the list, far enough apart, prove that there is no batch.
    Proof,
    /// 4: whose batch it is, is told by the run and the shard; what the log holds already is not the lost one.
    Whose,
    /// 5: of several batches of a shard the others are cancelled, and told.
    Surplus,
    /// 6: after a refusal, in a copy and after a lost end of the log, the list is looked at first.
    Behind,
    /// 7: what the service does not find is never bought again.
    NotFound,
    /// 8: missing lines are tried again only when the files hold what the counts say.
    Missing,
    /// 9: what is sent is what was checked.
    Checked,
    /// 10: a folder that has taken the place of the one that was opened is not the run's.
    Place,
    /// 11: another service or end user is refused.
    Account,
    /// 12: a cancelled run creates no more batches.
    Cancelled,
    /// 13: batches of a run whose folder is lost stop another of the same lines.
    Twins,
    /// 14: what an embedded gateway did ended with it.
    Embedded,
    /// 15: what a batch may still answer is not sent one by one.
    Over,
    /// 16: a line that was sent by itself and has its answer is not sent again.
    Recorded,
}

#[cfg(test)]
impl Rule {
    /// All of them.
    pub(super) const ALL: [Self; 16] = [
        Self::Intent,
        Self::Look,
        Self::Proof,
        Self::Whose,
        Self::Surplus,
        Self::Behind,
        Self::NotFound,
        Self::Missing,
        Self::Checked,
        Self::Place,
        Self::Account,
        Self::Cancelled,
        Self::Twins,
        Self::Embedded,
        Self::Over,
        Self::Recorded,
    ];
}

/// Whether a rule is kept: always, but where the simulation has switched it off.
#[cfg(not(test))]
pub(super) fn kept(_: Rule) -> bool {
    true
}

/// The time by the wall clock, which may jump.
#[cfg(not(test))]
pub(crate) fn wall() -> SystemTime {
    SystemTime::now()
}

/// A frame is in the file, and not synced.
#[cfg(not(test))]
pub(super) fn written(_: &File, _before: u64) {}

/// Makes what was written durable.
#[cfg(not(test))]
pub(super) fn synced(file: &File, _before: u64, _creating: bool) -> io::Result<()> {
    file.sync_data()
}

#[cfg(test)]
pub(crate) use super::sim::wall;
#[cfg(test)]
pub(super) use super::sim::{kept, synced, written};

/// The wall clock's time as a timestamp.
pub(super) fn now() -> UnixSeconds {
    UnixSeconds::try_from(wall()).unwrap_or(UnixSeconds::MAX)
}
