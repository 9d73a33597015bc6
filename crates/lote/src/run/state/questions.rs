//! What is asked of the state of a run: which batches it has, which of them are at work, and what may still be owed.

use super::{Phase, Shard, State, SurplusPhase};
use crate::{BatchId, run::plan::ShardPlan};

impl State {
    /// The surplus batches that are at work, each with its shard.
    pub(in crate::run) fn open_surplus(&self) -> Vec<(u32, BatchId)> {
        let all =
            self.shards.values().flat_map(|shard| shard.surplus.iter().map(|surplus| (shard.plan.number, surplus)));
        all.filter(|(_, surplus)| surplus.phase == SurplusPhase::Open)
            .map(|(shard, surplus)| (shard, surplus.batch.clone()))
            .collect()
    }

    /// The number that the next new shard gets.
    pub(in crate::run) fn next_number(&self) -> u32 {
        self.shards.keys().last().map_or(1, |last| last.saturating_add(1))
    }

    /// A shard that was too big, and was no larger than this one; none when the service has taken one as large.
    pub(in crate::run) fn too_big_before(&self, plan: &ShardPlan) -> Option<u32> {
        let like = |other: &&Shard| (&other.plan.endpoint, &other.plan.model) == (&plan.endpoint, &plan.model);
        let holds = |large: &ShardPlan, small: &ShardPlan| large.lines >= small.lines && large.bytes >= small.bytes;
        let mut others = self.shards.values().filter(like);
        let was_taken =
            |shard: &Shard| matches!(shard.phase, Phase::Settled(_)) && !shard.synchronous && holds(&shard.plan, plan);
        if others.clone().any(was_taken) {
            return None;
        }
        others
            .find(|shard| matches!(shard.phase, Phase::Halved(_)) && holds(plan, &shard.plan))
            .map(|shard| shard.plan.number)
    }

    /// How many lines the service took for too big by themselves, while it has taken nothing.
    pub(in crate::run) fn lines_too_big(&self) -> usize {
        let alone = |shard: &&Shard| shard.plan.lines == 1 && shard.batches.is_empty();
        let failed = self.shards.values().filter(|shard| matches!(shard.phase, Phase::Failed(_)));
        if self.batches().is_empty() { failed.filter(alone).count() } else { 0 }
    }

    /// The shards of which it is to be found out whether there is a batch.
    pub(in crate::run) fn lost(&self) -> Vec<u32> {
        let lost = self.shards.values().filter(|shard| shard.phase == Phase::Creating && shard.held.is_none());
        lost.map(|shard| shard.plan.number).collect()
    }

    /// Whether shards are held, and of no other there is a batch, or may be one, that anything is to be done about.
    pub(in crate::run) fn is_stuck(&self) -> bool {
        let goes_on = |shard: &Shard| {
            use Phase::{Created, Creating, Fetched, Over, Synchronous};
            matches!(shard.phase, Synchronous | Creating | Created | Over | Fetched) && shard.held.is_none()
        };
        let any_held = self.shards.values().any(|shard| shard.held.is_some());
        any_held && !self.shards.values().any(goes_on) && self.open_surplus().is_empty()
    }

    /// The batches that are not over, as far as the log says, the surplus ones among them.
    pub(in crate::run) fn at_work(&self) -> Vec<BatchId> {
        let created = self.shards.values().filter(|shard| shard.phase == Phase::Created);
        let surplus = self.open_surplus().into_iter().map(|(_, batch)| batch);
        created.filter_map(|shard| shard.batch().cloned()).chain(surplus).collect()
    }

    /// The batches that are over, and of which something is still to be fetched.
    pub(in crate::run) fn unfetched(&self) -> Vec<BatchId> {
        let over = self.shards.values().filter(|shard| shard.phase == Phase::Over);
        over.filter_map(|shard| shard.batch().cloned()).collect()
    }

    /// How many creates there are of which it is not known whether they have made a batch.
    pub(in crate::run) fn unanswered(&self) -> usize {
        self.shards.values().filter(|shard| shard.phase == Phase::Creating).count()
    }

    /// How many batches are, or may be, at work.
    pub(in crate::run) fn open(&self) -> usize {
        self.shards.values().filter(|shard| shard.is_open()).count()
    }

    /// Whether it is certain that nobody owes or is owed anything: no create was ever begun that is not known to have
    /// been refused.
    pub(in crate::run) fn nothing_was_begun(&self) -> bool {
        self.shards.values().all(|shard| {
            let unsent =
                |phase: &Phase| matches!(phase, Phase::Planned | Phase::Uploaded | Phase::Cancelled | Phase::Halved(_));
            shard.batches.is_empty() && shard.surplus.is_empty() && unsent(&shard.phase)
        })
    }

    /// Whether nothing is to be paid for it: what was created has failed at validation, and nothing else was begun.
    pub(in crate::run) fn owes_nothing(&self) -> bool {
        use Phase::{Cancelled, Failed, Halved, Planned, Uploaded};
        let nothing = |phase: &Phase| matches!(phase, Planned | Uploaded | Cancelled | Failed(_) | Halved(_));
        self.shards.values().all(|shard| nothing(&shard.phase) && shard.surplus.is_empty())
    }

    /// Whether all of its batches have failed at validation, or were refused to the last line. One without a line has none
    /// that could.
    pub(in crate::run) fn has_failed(&self) -> bool {
        let failed = |shard: &Shard| matches!(shard.phase, Phase::Failed(_) | Phase::Halved(_));
        let failed = |shard: &Shard| failed(shard) && shard.surplus.is_empty();
        !self.shards.is_empty() && self.shards.values().all(failed)
    }

    /// Whether lines were sent one by one, and may have been charged.
    pub(in crate::run) fn sent_lines(&self) -> bool {
        self.shards.values().any(|shard| shard.synchronous)
    }

    /// The batches of the run, those that count no more included.
    pub(in crate::run) fn batches(&self) -> Vec<BatchId> {
        let surplus = |shard: &Shard| shard.surplus.iter().map(|surplus| surplus.batch.clone()).collect::<Vec<_>>();
        self.shards.values().flat_map(|shard| shard.batches.iter().cloned().chain(surplus(shard))).collect()
    }

    /// Whether this batch is one of the run's already.
    pub(in crate::run) fn holds(&self, batch: &BatchId) -> bool {
        let is_surplus = |shard: &Shard| shard.surplus.iter().any(|surplus| surplus.batch == *batch);
        self.shards.values().any(|shard| shard.batches.contains(batch) || is_surplus(shard))
    }
}
