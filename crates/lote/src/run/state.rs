//! How far a run has come, as its log says, and what is to be done next. Nothing here reads a clock, a disk or a
//! connection: every crash leaves a prefix of the log, and what is done after it is decided here alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::{
    caps::Caps,
    event::{Fetched, Opened},
    plan::ShardPlan,
    schedule::{Schedule, Than, Turn, Why},
};
use crate::{BatchId, FileId, UnixSeconds, save::Written};

mod apply;
mod questions;
#[cfg(test)]
mod tests;

/// Where a run stands.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) shards: BTreeMap<u32, Shard>,
    /// The number of the last attempt; the first is 1.
    pub(super) attempt: u32,
    /// No more creates.
    pub(super) cancelled: bool,
    pub(super) finished: Option<Written>,
    /// All results that were ever written: each file of these bytes is this run's own.
    pub(super) written: Vec<Written>,
    /// Who worked on it last.
    pub(super) opened: Option<Opened>,
    /// Batches are to be made whatever another run has made of the same lines.
    pub(super) anew: bool,
    /// So is what the run itself has made and its log does not know: a person has said so of a run that was begun before.
    pub(super) anew_when_behind: bool,
    /// When creates were about to be sent lately.
    pub(super) creates: Vec<UnixSeconds>,
    /// There may be batches of it that the log does not hold: a lost create was given up, which may take effect later all
    /// the same, one was refused by a service that may have taken it all the same, or the log was behind.
    pub(super) doubted: bool,
    /// All files of lines that were uploaded, each with the shard that it was last uploaded for.
    pub(super) uploads: BTreeMap<FileId, u32>,
    /// Files that are at the service no more.
    pub(super) deleted: BTreeSet<FileId>,
    /// What it may cost, and by which prices that is told, if that was said after it was begun.
    pub(super) caps: Option<Caps>,
    pub(super) prices: Option<String>,
    /// A newer version has written something that this one does not know.
    pub(super) newer: bool,
}

/// One shard: the lines of one batch.
#[derive(Clone, Debug)]
pub(super) struct Shard {
    pub(super) plan: ShardPlan,
    pub(super) attempt: u32,
    pub(super) phase: Phase,
    /// Its lines at the service.
    pub(super) file: Option<FileId>,
    /// The nonce of the last create.
    pub(super) nonce: Option<String>,
    /// When that create was about to be sent.
    pub(super) intent: Option<UnixSeconds>,
    /// The first reading of the list that did not show the batch of that create, and how long the look for it had been
    /// going on by then.
    pub(super) absent: Option<(UnixSeconds, Duration)>,
    /// Whether the last create was refused.
    pub(super) refused: bool,
    /// All batches that were made for it, the one that counts last.
    pub(super) batches: Vec<BatchId>,
    /// Those of them that a person has given up: what they did may be charged.
    pub(super) given_up: Vec<BatchId>,
    /// Whether a person has said which batch counts.
    pub(super) said: bool,
    /// The status of the batch when it was over.
    pub(super) status: Option<String>,
    /// What was fetched of that batch.
    pub(super) fetched: Option<Fetched>,
    /// Why a person must say how to go on.
    pub(super) held: Option<String>,
    /// Why the last create made no batch that counts.
    pub(super) why: Option<String>,
    /// The shard whose lines it has a part of.
    pub(super) half_of: Option<u32>,
    /// Batches that were made of the same lines for nothing.
    pub(super) surplus: Vec<Surplus>,
    /// Whether its lines are sent one by one.
    pub(super) synchronous: bool,
    /// How many of those had their answers in its folder when all had come: what is not there any more was lost here.
    pub(super) answered: u64,
}

/// A batch that was made of the lines of a shard although there was one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Surplus {
    pub(super) batch: BatchId,
    /// Its status when it was over.
    pub(super) status: Option<String>,
    pub(super) phase: SurplusPhase,
}

/// How far a surplus batch has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SurplusPhase {
    /// It is at work, or about to stop.
    Open,
    Over,
    /// The results of what it has finished, if it has.
    Settled(Option<Written>),
}

/// How far a shard has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its lines are in its folder.
    Planned,
    /// Its lines are at the service, and it is certain that no batch of them is at work.
    Uploaded,
    /// Its lines are sent one by one, and some of them may have their answers.
    Synchronous,
    /// There may be a batch.
    Creating,
    /// There is a batch.
    Created,
    /// The batch is over.
    Over,
    /// What the batch has is in its folder.
    Fetched,
    /// Its results are in its folder.
    Settled(Written),
    /// The batch failed at validation, or the service does not take the one line that there is.
    Failed(String),
    /// It was too big: these two have its lines, one after the other.
    Halved([u32; 2]),
    /// No batch was made, and none will be.
    Cancelled,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Find out what became of creates whose answers were lost.
    Resolve,
    /// Fetch what came of a shard, or join what was fetched.
    Settle(u32),
    /// Upload a shard, unless that is done, and create its batch.
    Submit(u32),
    /// Send the lines of a shard one by one.
    Answer(u32),
    /// Put the lines of a shard into two others: it is too big for this.
    Halve(u32, Than),
    /// Wait until a batch is over, or another may be created.
    Wait,
    /// A person must say how to go on: nothing else is left to do.
    Held,
    /// Fetch what a surplus batch of a shard has finished.
    SettleSurplus(u32),
    /// Put all results together.
    Merge,
    /// It is done.
    Done,
}

/// Why an event cannot have happened.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Impossible(String);

impl fmt::Display for Impossible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Shard {
    fn new(plan: ShardPlan, attempt: u32) -> Self {
        Self {
            plan,
            attempt,
            phase: Phase::Planned,
            file: None,
            nonce: None,
            intent: None,
            absent: None,
            refused: false,
            batches: Vec::new(),
            given_up: Vec::new(),
            said: false,
            status: None,
            fetched: None,
            held: None,
            why: None,
            half_of: None,
            surplus: Vec::new(),
            synchronous: false,
            answered: 0,
        }
    }

    /// The batch that counts.
    pub(super) fn batch(&self) -> Option<&BatchId> {
        match self.phase {
            _ if self.synchronous => None,
            Phase::Planned | Phase::Uploaded | Phase::Synchronous | Phase::Creating => None,
            Phase::Cancelled | Phase::Halved(_) => None,
            Phase::Created | Phase::Over | Phase::Fetched | Phase::Settled(_) | Phase::Failed(_) => self.batches.last(),
        }
    }

    /// Whether nothing more is to come of it.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Settled(_) | Phase::Failed(_) | Phase::Cancelled | Phase::Halved(_))
    }

    /// Whether a batch of it is, or may be, at work.
    fn is_open(&self) -> bool {
        matches!(self.phase, Phase::Creating | Phase::Created)
    }
}

impl State {
    /// The state of a run of these shards of which nothing was done yet.
    pub(super) fn new(shards: &[ShardPlan]) -> Self {
        let shards = shards.iter().map(|plan| (plan.number, Shard::new(plan.clone(), 1))).collect();
        Self { shards, attempt: 1, ..Self::default() }
    }

    /// What is to be done next, by this schedule and at this time of this side's clock.
    pub(super) fn next(&self, schedule: &Schedule, now: UnixSeconds) -> Next {
        let find = |wanted: &dyn Fn(&Shard) -> bool| {
            self.shards.values().find(|shard| shard.held.is_none() && wanted(shard)).map(|shard| shard.plan.number)
        };
        if self.finished.is_some() {
            return Next::Done;
        }
        // What is over waits for nothing, and a look for lost creates takes minutes.
        if let Some(shard) = find(&|shard| matches!(shard.phase, Phase::Over | Phase::Fetched)) {
            return Next::Settle(shard);
        }
        if find(&|shard| shard.phase == Phase::Creating).is_some() {
            return Next::Resolve;
        }
        // One that was begun goes before those that were not.
        let unsent = |shard: &Shard| matches!(shard.phase, Phase::Planned | Phase::Uploaded);
        let answering = find(&|shard| shard.phase == Phase::Synchronous);
        let begins = || find(&unsent).filter(|_| schedule.synchronous && !self.cancelled);
        match schedule.turn(self, now) {
            Turn::Submit(shard) => return Next::Submit(shard),
            Turn::Halve(shard, than) => return Next::Halve(shard, than),
            // Batches are at work meanwhile.
            _ if answering.is_some() => {}
            // Room comes by itself when a pause is over; else a batch must end, and those of held shards do not.
            Turn::Wait(Why::Paused | Why::Creates { .. }) => return Next::Wait,
            Turn::Wait(Why::Open { .. } | Why::Tokens { .. }) | Turn::None => {}
        }
        if let Some(shard) = answering.or_else(begins) {
            return Next::Answer(shard);
        }
        if find(&|shard| shard.phase == Phase::Created).is_some() {
            return Next::Wait;
        }
        // Last of all, so that no other shard waits for it.
        let surplus = |phase: &SurplusPhase| {
            let has = |shard: &&Shard| shard.surplus.iter().any(|surplus| surplus.phase == *phase);
            self.shards.values().find(has).map(|shard| shard.plan.number)
        };
        if let Some(shard) = surplus(&SurplusPhase::Over) {
            return Next::SettleSurplus(shard);
        }
        if surplus(&SurplusPhase::Open).is_some() {
            return Next::Wait;
        }
        if self.shards.values().any(|shard| !shard.is_ended()) {
            return Next::Held;
        }
        Next::Merge
    }
}
