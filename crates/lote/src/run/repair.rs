//! Another attempt at what did not succeed and can: which lines are worth it, and the shards that they make.

use std::{collections::BTreeMap, fs::File, io::BufWriter, io::Write, path::PathBuf};

use sha2::{Digest, Sha256};

use super::{
    Cut,
    folder::{Folder, ToFolder},
    merge::{Fault, Pair, Parts, read_summary},
    plan::{ShardPlan, Shards, hex, tokens},
    record::shard_folder,
    seam::{Rule, kept},
};
use crate::{
    Status,
    lines::{AnomalyCode, Answer, OutcomeKind},
    save::Access,
};

/// Which lines are tried again, of those that did not succeed.
///
/// Always those that expired or were cancelled, and those that failed with 408, 409, 425, 429, 5xx, or an error in a 2xx.
/// Lines that are missing or unreadable only when the batch's files hold as many lines as its counts say: otherwise they
/// may have been answered, and would be paid for twice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use = "it says what to try again"]
pub struct Repair {
    refusals: bool,
    missing: bool,
}

impl Repair {
    /// What can well succeed the next time.
    pub fn new() -> Self {
        Self::default()
    }

    /// Refusals as well: other 4xx, and the lines of batches that failed at validation.
    pub fn refusals(mut self, refusals: bool) -> Self {
        self.refusals = refusals;
        self
    }

    /// Lines that are missing or unreadable as well, whatever the counts say: some may have been paid for.
    pub fn missing(mut self, missing: bool) -> Self {
        self.missing = missing;
        self
    }

    /// Whether a line with this result is tried again. `trusted` when the files of its batch hold what its counts say.
    fn takes(self, result: &[u8], trusted: bool) -> bool {
        let Ok(answer) = Answer::parse(result) else { return false };
        match answer.outcome() {
            OutcomeKind::Succeeded => false,
            OutcomeKind::Expired | OutcomeKind::Cancelled => true,
            OutcomeKind::Missing | OutcomeKind::Unreadable => trusted || self.missing,
            _ => match answer.status_code() {
                Some(408 | 409 | 425 | 429 | 500..=599 | 200..=299) => true,
                Some(_) => self.refusals,
                None => self.refusals || answer.error_code().as_deref() != Some("batch_failed"),
            },
        }
    }
}

/// What is looked through for lines to try again.
pub(super) struct Search {
    root: PathBuf,
    access: Access,
    cut: Cut,
    parts: Parts,
    repair: Repair,
    /// Of each shard, whether its files hold what its counts say.
    trusted: BTreeMap<u32, bool>,
    /// The number that the next shard gets.
    next: u32,
}

/// A shard that is being filled.
struct Filling {
    plan: ShardPlan,
    hash: Sha256,
    out: BufWriter<File>,
}

impl Search {
    pub(super) fn new(folder: &Folder, repair: Repair) -> Self {
        Self {
            root: folder.path().to_owned(),
            access: folder.access(),
            cut: folder.record.asked.cut.clone(),
            parts: Parts::of(folder),
            repair: repair.missing(repair.missing || !kept(Rule::Missing)),
            trusted: BTreeMap::new(),
            next: folder.state.next_number(),
        }
    }

    /// Writes the lines to be tried again into shards of their own.
    pub(super) fn shards(mut self) -> Result<Vec<ShardPlan>, Fault> {
        let parts = std::mem::take(&mut self.parts);
        let mut open: BTreeMap<(String, Option<String>, u32), Filling> = BTreeMap::new();
        let mut done = Vec::new();
        let root = self.root.clone();
        // Of equal lines the one that was sent is sent again, for all of them.
        parts.walk_sent(&root, &mut |pair: Pair<'_>| {
            let Some(plan) = parts.plan(pair.shard) else { return Ok(()) };
            if parts.was_never_sent(pair.from) || !self.repair.takes(pair.result, self.is_trusted(pair.from)) {
                return Ok(());
            }
            // How many texts a line embeds is known of the whole shard alone: lines of several are not put together.
            let apart = if self.cut.inputs.is_some() { pair.shard } else { 0 };
            let key = (plan.endpoint.clone(), plan.model.clone(), apart);
            let bytes = pair.request.len() as u64 + 1;
            let full =
                |filling: &Filling| filling.plan.lines >= self.cut.lines || filling.plan.bytes + bytes > self.cut.bytes;
            if open.get(&key).is_some_and(full)
                && let Some(filling) = open.remove(&key)
            {
                done.push(self.finish(filling)?);
            }
            if !open.contains_key(&key) {
                let filling = self.begin(plan)?;
                open.insert(key.clone(), filling);
            }
            let Some(filling) = open.get_mut(&key) else { return Ok(()) };
            filling.plan.lines += 1;
            filling.plan.bytes += bytes;
            filling.plan.tokens = filling.plan.tokens.saturating_add(tokens(bytes));
            for bytes in [pair.request, b"\n"] {
                filling.hash.update(bytes);
                let path = || root.join(shard_folder(filling.plan.number));
                filling.out.write_all(bytes).map_err(|error| Fault(path(), error))?;
            }
            Ok(())
        })?;
        for filling in open.into_values() {
            done.push(self.finish(filling)?);
        }
        done.sort_by_key(|plan| plan.number);
        Ok(done)
    }

    fn begin(&mut self, like: &ShardPlan) -> Result<Filling, Fault> {
        let number = self.next;
        self.next += 1;
        let out = ToFolder { at: &self.root, access: self.access }.begin(number);
        let out = out.map_err(|error| Fault(self.root.join(shard_folder(number)), error))?;
        let out = BufWriter::new(out);
        let plan = ShardPlan { number, lines: 0, bytes: 0, tokens: 0, sha256: String::new(), ..like.clone() };
        Ok(Filling { plan, hash: Sha256::new(), out })
    }

    fn finish(&self, filling: Filling) -> Result<ShardPlan, Fault> {
        let Filling { plan, hash, out } = filling;
        let out = out.into_inner().map_err(std::io::IntoInnerError::into_error);
        let written = out.and_then(|out| ToFolder { at: &self.root, access: self.access }.end(plan.number, &out));
        written.map_err(|error| Fault(self.root.join(shard_folder(plan.number)), error))?;
        Ok(ShardPlan { sha256: hex(hash), ..plan })
    }

    /// Whether the files of a shard's batch hold as many lines as its counts say.
    fn is_trusted(&mut self, shard: u32) -> bool {
        if let Some(known) = self.trusted.get(&shard) {
            return *known;
        }
        let trusted = read_summary(&self.root, shard).is_ok_and(|summary| {
            // What was sent line by line has left nothing anywhere else.
            let Some(batch) = summary.batch else { return true };
            let counted = batch.request_counts.is_some_and(|counts| counts.total > 0);
            let ended_early = matches!(batch.status, Status::Expired | Status::Cancelled);
            let differs = summary.joined.anomalies.iter().any(|anomaly| anomaly.code == AnomalyCode::CountsDiffer);
            !differs && (counted || ended_early)
        });
        self.trusted.insert(shard, trusted);
        trusted
    }
}
