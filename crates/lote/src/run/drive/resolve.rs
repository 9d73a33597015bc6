//! Finds out what became of creates whose answers were lost.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use tokio::time::{Instant, sleep};

use super::Driver;
use crate::{
    Batch, Cadence, Error, UnixSeconds,
    policy::Trouble,
    run::{
        Progress, RunError,
        adopt::{self, is_of, is_stray, is_surplus},
        error::Kind,
        event::Event,
        state::Phase,
    },
};

impl Driver {
    /// Whether the list shows a batch of this shard that the log does not hold. Those of all shards are adopted.
    pub(super) async fn look_once(&mut self, number: u32) -> Result<bool, RunError> {
        let unsent = |phase: &Phase| matches!(phase, Phase::Planned | Phase::Uploaded);
        let shards = self.folder.state.shards.iter().filter(|(_, shard)| unsent(&shard.phase));
        let shards: Vec<u32> = shards.map(|(number, _)| *number).collect();
        let listed = self.read_list(&shards).await.map_err(|error| self.service(error))?;
        let found = listed.found.len();
        self.take(&shards, listed.found)?;
        // What was found may explain the rest: a shard that is halved again has the lines of batches that are known then.
        if found == 0 && !listed.strays.is_empty() {
            return Err(self.ended(Kind::Behind(listed.strays.into_iter().map(|batch| batch.id).collect())));
        }
        Ok(!self.folder.state.shards.get(&number).is_some_and(|shard| unsent(&shard.phase)))
    }

    /// Reads the list once more when all is settled: a create that was taken for one without a batch may have taken effect
    /// since. That it cannot be read stops nobody.
    pub(super) async fn look_at_last(&mut self) -> Result<(), RunError> {
        self.looked_at_last = true;
        match self.read_list(&[]).await {
            Ok(listed) => self.take(&[], listed.found),
            Err(error) if error.is_deadline() => Err(self.service(error)),
            Err(error) => {
                self.tell(Progress::Trouble(&error));
                Ok(())
            }
        }
    }

    /// Reads the list for batches that the log does not hold: those of these shards, and surplus ones of all.
    async fn read_list(&self, shards: &[u32]) -> Result<adopt::Listed, Error> {
        let (run, state, shards) = (self.folder.record.run.clone(), self.folder.state.clone(), shards.to_vec());
        let (of_run, known) = (run.clone(), state.clone());
        let of = move |batch: &Batch| {
            let mut wanted = shards.iter().filter_map(|number| state.shards.get(number));
            let found = wanted.find(|shard| is_of(batch, &run, shard, &state)).map(|shard| shard.plan.number);
            found.or_else(|| is_surplus(batch, &run, &state))
        };
        let stray = move |batch: &Batch| !known.anew && is_stray(batch, &of_run, &known);
        self.manner.deadline.bound(adopt::list(&self.client, of, stray)).await
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
            for batch in surplus {
                self.folder.say(Event::Surplus { shard: number, batch: batch.id.clone() })?;
                self.tell(Progress::Surplus { shard: number, batch: &batch });
            }
            if let Some(own) = own {
                self.created(number, own, true)?;
            }
        }
        Ok(())
    }

    /// Finds out what became of creates whose answers were lost.
    pub(super) async fn resolve(&mut self) -> Result<(), RunError> {
        self.create_again().await?;
        let settle = self.manner.settle_after_loss;
        let pause = |part: u32| (settle / part).max(Duration::from_millis(1));
        let mut pauses = Cadence::new(pause(8), pause(2)).pauses();
        let (begun, mut absent, mut trouble) = (Instant::now(), None::<(Instant, SystemTime)>, Trouble::default());
        self.tell(Progress::Resolving { shards: &self.folder.state.lost(), at_least: settle * 2 });
        loop {
            let lost = self.folder.state.lost();
            match self.read_list(&lost).await {
                Ok(listed) => {
                    trouble.over();
                    self.take(&lost, listed.found)?;
                    let lost = self.folder.state.lost();
                    if lost.is_empty() {
                        return Ok(());
                    }
                    // A list that shows no batch at all, not even an old one, proves nothing.
                    let proves = listed.whole && listed.any;
                    let now = (Instant::now(), SystemTime::now());
                    let apart = |(first, wall): (Instant, SystemTime)| {
                        now.0 - first >= settle && now.1.duration_since(wall).is_ok_and(|apart| apart >= settle)
                    };
                    let said = if proves && absent.is_some_and(apart) {
                        Some("the list was read twice and does not show it")
                    } else if !proves && now.0 - begun >= settle * 2 && !listed.whole {
                        Some("the answer to its create was lost, and the service's list does not say where it ends")
                    } else if !proves && now.0 - begun >= settle * 2 {
                        Some(
                            "the answer to its create was lost, and the service's list shows no batch, not even an old one",
                        )
                    } else {
                        None
                    };
                    if let Some(why) = said {
                        for shard in lost {
                            let why = why.to_owned();
                            self.folder.say(match proves {
                                true => Event::NoBatch { shard, why },
                                false => Event::Held { shard, why },
                            })?;
                        }
                        return Ok(());
                    }
                    if proves && now.0 - begun >= settle {
                        absent.get_or_insert(now);
                    }
                }
                Err(error) if error.is_deadline() => return Err(self.service(error.maybe_done())),
                Err(error) => match trouble.take(&self.manner.tolerance.clone().unwrap_or_default(), error) {
                    Ok(error) => self.tell(Progress::Trouble(&error)),
                    Err(error) => return Err(self.service(error.maybe_done())),
                },
            }
            let pause = sleep(pauses.next(None, None));
            self.manner.deadline.within(pause).await.map_err(|error| self.service(error.maybe_done()))?;
        }
    }

    /// Sends the lost creates again, with the keys that they had, for as long as the service is known to honour those: it
    /// makes no second batch of them.
    async fn create_again(&mut self) -> Result<(), RunError> {
        let kept = self.client.dialect().idempotency_keys_kept();
        for number in self.folder.state.lost() {
            let Some(shard) = self.folder.state.shards.get(&number) else { continue };
            let (Some(file), Some(nonce)) = (shard.file.clone(), shard.nonce.clone()) else { continue };
            if !adopt::is_key_kept(shard.intent, UnixSeconds::now(), kept) {
                continue;
            }
            match self.create(number, &file, &nonce).await {
                Ok(batch) => self.created(number, batch, true)?,
                Err(error) if error.is_deadline() => return Err(self.service(error.maybe_done())),
                // What the lost one has done, no refusal of this one undoes: the list tells.
                Err(error) => self.tell(Progress::Trouble(&error)),
            }
        }
        Ok(())
    }
}
