//! Finds out what became of creates whose answers were lost.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep};

use super::Driver;
use crate::{
    Batch, BatchId, Cadence, Error, Tolerance,
    policy::Trouble,
    run::{
        Progress, RunError,
        adopt::{self, Claim, Whose, is_stray, is_surplus},
        error::Kind,
        event::Event,
        seam::{self, Rule, kept},
        state::Phase,
    },
};

impl Driver {
    /// Whether the list shows a batch of this shard that the log does not hold. Those of all shards are adopted.
    pub(super) async fn look_once(&mut self, number: u32) -> Result<bool, RunError> {
        let unsent = |phase: &Phase| matches!(phase, Phase::Planned | Phase::Uploaded);
        let shards = self.folder.state.shards.iter().filter(|(_, shard)| unsent(&shard.phase));
        let shards: Vec<u32> = shards.map(|(number, _)| *number).collect();
        let mut listed = self.read_list(&shards).await.map_err(|error| self.service(error).repeatable())?;
        let found = listed.take_found();
        let any = !found.is_empty();
        self.take(&shards, found)?;
        // What was found may explain the rest: a shard that is halved again has the lines of batches that are known then.
        if !any && !listed.strays.is_empty() {
            return Err(self.ended(Kind::Behind(listed.strays)));
        }
        let shard = self.folder.state.shards.get(&number);
        // A batch over the same file that may be the one which was refused.
        if let may_be @ [_, ..] = listed.unclear(number)
            && shard.is_some_and(|shard| unsent(&shard.phase) && shard.refused)
        {
            let why = may_be_own(may_be);
            self.hold(number, why)?;
            return Ok(true);
        }
        Ok(!self.folder.state.shards.get(&number).is_some_and(|shard| unsent(&shard.phase)))
    }

    /// Reads the list for batches that the log does not hold: those of these shards, and surplus ones of all.
    async fn read_list(&self, shards: &[u32]) -> Result<adopt::Listed, Error> {
        let (record, state, shards) = (&self.folder.record, self.folder.state.clone(), shards.to_vec());
        let (run, begun) = (record.run.clone(), record.begun_at);
        let of = move |batch: &Batch| {
            let mut unclear = Vec::new();
            for shard in shards.iter().filter_map(|number| state.shards.get(number)) {
                match adopt::claim(batch, &run, begun, shard, &state) {
                    Claim::Ours => return Whose::Shard(shard.plan.number),
                    Claim::Unclear => unclear.push(shard.plan.number),
                    Claim::NotOurs => {}
                }
            }
            match is_surplus(batch, &run, &state) {
                Some(shard) => Whose::Shard(shard),
                None if !state.anew_when_behind && is_stray(batch, &run, &state) => Whose::Stray,
                None => Whose::Unclear(unclear),
            }
        };
        let listed = self.manner.deadline.bound(adopt::list(&self.client, &self.manner.on_progress, of)).await?;
        self.reach.answered();
        Ok(listed)
    }

    /// Takes the batches that were found for those of their shards. Of several of these shards the one that is furthest
    /// counts; the others, and those of all other shards, are surplus.
    fn take(&mut self, shards: &[u32], found: Vec<(u32, Batch)>) -> Result<(), RunError> {
        let mut of: BTreeMap<u32, Vec<Batch>> = BTreeMap::new();
        for (number, batch) in found {
            of.entry(number).or_default().push(batch);
        }
        for (number, found) in of {
            let (own, surplus) = match shards.contains(&number) {
                true => adopt::furthest(found).map_or((None, Vec::new()), |(own, surplus)| (Some(own), surplus)),
                false => (None, found),
            };
            // What is surplus is known before one of them counts: it is never taken for the shard's own later.
            for batch in surplus.into_iter().filter(|_| kept(Rule::Surplus)) {
                self.folder.say(Event::Surplus { shard: number, batch: batch.id.clone() })?;
                self.tell(Progress::Surplus { shard: number, batch: &batch });
            }
            if let Some(own) = own {
                self.created(number, own, true)?;
            }
        }
        Ok(())
    }

    /// Looks at the end for batches of this run that the log does not hold: those of creates that took effect after they
    /// were given up. In a cancelled run that may be the first batch of a shard, which is to stop like the others. Whether
    /// there is one. A list that cannot be read stops nobody.
    pub(super) async fn look_for_surplus(&mut self) -> Result<bool, RunError> {
        if !self.folder.state.doubted || self.folder.is_embedded() {
            return Ok(false);
        }
        let cancelled = self.folder.state.shards.iter().filter(|(_, shard)| shard.phase == Phase::Cancelled);
        let cancelled: Vec<u32> = cancelled.map(|(number, _)| *number).collect();
        match self.read_list(&cancelled).await {
            Ok(mut listed) => {
                let mut found = listed.take_found();
                // It is asked to stop: one that does not say whose it is must be that of a create.
                let sent =
                    |number: &u32| self.folder.state.shards.get(number).is_some_and(|shard| shard.nonce.is_some());
                found.retain(|(number, batch)| !batch.metadata.is_empty() || sent(number));
                let any = !found.is_empty();
                self.take(&cancelled, found)?;
                Ok(any)
            }
            Err(error) if error.is_deadline() => Err(self.service(error)),
            Err(error) if error.is_unreached() && self.outlasts_any() => Err(self.service(error).repeatable()),
            Err(error) => {
                if !(has_no_list(&error) && self.folder.state.never_uploaded()) {
                    self.tell(Progress::Survived(&error));
                }
                Ok(false)
            }
        }
    }

    /// Finds out what became of creates whose answers were lost.
    pub(super) async fn resolve(&mut self) -> Result<(), RunError> {
        self.create_again().await?;
        if !kept(Rule::Look) {
            for shard in self.folder.state.lost() {
                self.folder.say(Event::NoBatch { shard, why: "nobody looked".to_owned() })?;
            }
            return Ok(());
        }
        let settle = if kept(Rule::Proof) { self.manner.settle_after_loss } else { Duration::ZERO };
        let pause = |part: u32| (self.manner.settle_after_loss / part).max(Duration::from_millis(1));
        let mut pauses = Cadence::new(pause(8), pause(2)).pauses();
        let (begun, mut trouble) = (Instant::now(), Trouble::default());
        let mut absent = self.absent_before(begun, settle);
        let lost = self.folder.state.lost();
        let goes_on = lost.iter().all(|shard| absent.contains_key(shard));
        self.tell(Progress::Resolving { shards: &lost, at_least: if goes_on { settle } else { settle * 2 } });
        loop {
            let lost = self.folder.state.lost();
            match self.read_list(&lost).await {
                Ok(mut listed) => {
                    trouble.over();
                    self.take(&lost, listed.take_found())?;
                    let now = (Instant::now(), seam::wall());
                    // A clock that was set back is read from then on.
                    absent.values_mut().filter(|(_, wall)| now.1 < *wall).for_each(|first| *first = now);
                    let apart = |(first, wall): (Instant, SystemTime)| {
                        now.0 - first >= settle && now.1.duration_since(wall).is_ok_and(|apart| apart >= settle)
                    };
                    let long_enough = now.0 - begun >= settle * 2;
                    for shard in self.folder.state.lost() {
                        match unproven(&listed, shard) {
                            None if absent.get(&shard).copied().is_some_and(apart) || !kept(Rule::Proof) => {
                                let why = "the list was read twice and does not show it".to_owned();
                                self.folder.say(Event::NoBatch { shard, why })?;
                            }
                            // The process that comes next need not begin anew.
                            None if now.0 - begun >= settle && !absent.contains_key(&shard) => {
                                absent.insert(shard, now);
                                let after_millis = u64::try_from(settle.as_millis()).unwrap_or(u64::MAX);
                                self.folder.say(Event::Absent { shard, at: seam::now(), after_millis })?;
                            }
                            Some(why) if long_enough => self.hold(shard, why)?,
                            _ => {}
                        }
                    }
                    if self.folder.state.lost().is_empty() {
                        return Ok(());
                    }
                }
                Err(error) if error.is_deadline() => return Err(self.service(error.maybe_done())),
                // A service that has no batches has made none; only a copy of this folder could have asked it to.
                Err(error) if has_no_list(&error) && self.folder.state.never_uploaded() => {
                    for shard in self.folder.state.lost() {
                        self.folder
                            .say(Event::NoBatch { shard, why: "the service has no list of batches".to_owned() })?;
                    }
                    return Ok(());
                }
                Err(error) => match trouble.take(&self.tolerance(Tolerance::default()), error) {
                    Ok(error) => {
                        self.reach.trouble(&error);
                        self.note_reach();
                    }
                    Err(error) => return Err(self.service(error.maybe_done())),
                },
            }
            let pause = sleep(pauses.next(None, None));
            self.manner.deadline.within(pause).await.map_err(|error| self.service(error.maybe_done()))?;
        }
    }

    /// The first readings of the list that an earlier process has made, of those that had looked as long by then as this one
    /// would. By the clock that nobody sets they count as made when this one began, which was later.
    fn absent_before(&self, begun: Instant, settle: Duration) -> BTreeMap<u32, (Instant, SystemTime)> {
        let lost = self.folder.state.shards.values().filter(|shard| shard.phase == Phase::Creating);
        let first = lost.filter_map(|shard| {
            let (at, _) = shard.absent.filter(|(_, after)| *after >= settle)?;
            // Within the second that follows.
            let at = Duration::from_secs(u64::try_from(at.get()).ok()?.checked_add(1)?);
            Some((shard.plan.number, (begun, SystemTime::UNIX_EPOCH.checked_add(at)?)))
        });
        first.collect()
    }

    /// Sends the lost creates again, with the keys that they had, for as long as the service is known to honour those: it
    /// makes no second batch of them.
    async fn create_again(&mut self) -> Result<(), RunError> {
        let how_long = self.client.dialect().idempotency_keys_kept();
        for number in self.folder.state.lost() {
            let Some(shard) = self.folder.state.shards.get(&number) else { continue };
            let (Some(file), Some(nonce)) = (shard.file.clone(), shard.nonce.clone()) else { continue };
            if !adopt::is_key_kept(shard.intent, seam::now(), how_long) {
                continue;
            }
            if shard.absent.is_some() {
                // This one may take effect later than the list was read.
                self.folder.say(Event::Absent { shard: number, at: seam::now(), after_millis: 0 })?;
            }
            match self.create(number, &file, &nonce).await {
                Ok(batch) => self.created(number, batch, true)?,
                Err(error) if error.is_deadline() => return Err(self.service(error.maybe_done())),
                // What the lost one has done, no refusal of this one undoes: the list tells.
                Err(error) => self.tell(Progress::Survived(&error)),
            }
        }
        Ok(())
    }
}

/// Whether a service answers as one that has no list of batches.
fn has_no_list(error: &Error) -> bool {
    matches!(error.status(), Some(404 | 405 | 501))
}

/// Why a list does not prove that there is no batch of a shard.
fn unproven(listed: &adopt::Listed, shard: u32) -> Option<String> {
    let lost = "the answer to its create was lost, and";
    match listed.unclear(shard) {
        may_be @ [_, ..] => Some(may_be_own(may_be)),
        [] if !kept(Rule::Proof) => None,
        [] if !listed.whole => Some(format!("{lost} the service's list does not say where it ends")),
        // Not even an old one.
        [] if !listed.any => Some(format!("{lost} the service's list shows no batch, not even an old one")),
        [] => None,
    }
}

fn may_be_own(batches: &[BatchId]) -> String {
    let ids: Vec<&str> = batches.iter().map(BatchId::as_str).collect();
    format!("the service's list shows a batch that may be its own, and nothing that tells: {}", ids.join(", "))
}
