//! What each event makes of the state of a run, and which events cannot have happened.

use std::time::Duration;

use super::{Impossible, Phase, Shard, State, Surplus, SurplusPhase};
use crate::{
    BatchId, UnixSeconds,
    run::{
        event::{Event, Half, Opened},
        plan::ShardPlan,
        seam::{Rule, kept},
    },
};

/// For how long it is remembered when creates were sent, in seconds: twice as long as anybody asks.
const REMEMBERED: i64 = 2 * 60 * 60;

impl State {
    /// The state after what a log says.
    pub(in crate::run) fn replay<'a>(
        shards: &[ShardPlan],
        events: impl IntoIterator<Item = &'a Event>,
    ) -> Result<Self, Impossible> {
        let mut state = Self::new(shards);
        for event in events {
            state.apply(event)?;
        }
        Ok(state)
    }

    /// Takes note of an event.
    pub(in crate::run) fn apply(&mut self, event: &Event) -> Result<(), Impossible> {
        use Phase::{Cancelled, Created, Creating, Failed, Over, Planned, Settled, Synchronous, Uploaded};
        match event {
            Event::Opened(opened) => {
                self.entered(opened);
                return Ok(());
            }
            Event::Attempt { attempt, shards } => {
                if *attempt != self.attempt + 1 || shards.iter().any(|plan| self.shards.contains_key(&plan.number)) {
                    return Err(Impossible(format!("attempt {attempt} after attempt {}", self.attempt)));
                }
                self.attempt = *attempt;
                self.finished = None;
                self.shards.extend(shards.iter().map(|plan| (plan.number, Shard::new(plan.clone(), *attempt))));
                return Ok(());
            }
            Event::Halved { shard, why, halves } => return self.halve(*shard, why, halves),
            Event::Surplus { shard, batch } => {
                let known = self.holds(batch);
                match self.shards.get_mut(shard).filter(|_| !known) {
                    Some(shard) => {
                        let (batch, phase) = (batch.clone(), SurplusPhase::Open);
                        shard.surplus.push(Surplus { batch, status: None, phase });
                    }
                    None => return Err(Impossible(format!("a surplus batch {batch} of shard {shard}"))),
                }
                return Ok(());
            }
            Event::SurplusOver { shard, batch, .. } | Event::SurplusSettled { shard, batch, .. } => {
                return self.surplus_came(*shard, batch, event);
            }
            Event::Cancelled => {
                self.cancelled = kept(Rule::Cancelled);
                for shard in
                    self.shards.values_mut().filter(|shard| self.cancelled && matches!(shard.phase, Planned | Uploaded))
                {
                    shard.phase = Cancelled;
                }
                return Ok(());
            }
            Event::Resumed => {
                self.cancelled = false;
                self.finished = None;
                for shard in self.shards.values_mut().filter(|shard| shard.phase == Cancelled) {
                    let is_there = shard.file.as_ref().is_some_and(|file| !self.deleted.contains(file));
                    shard.phase = if is_there { Uploaded } else { Planned };
                }
                return Ok(());
            }
            Event::Finished { results } => {
                self.finished = Some(results.clone());
                self.written.push(results.clone());
                return Ok(());
            }
            Event::Partial { results } => {
                self.written.push(results.clone());
                return Ok(());
            }
            Event::Deleted { file } => {
                self.deleted.insert(file.clone());
                return Ok(());
            }
            Event::Capped(caps) => {
                self.caps = Some(caps.clone());
                return Ok(());
            }
            Event::Priced { table } => {
                self.prices = Some(table.clone());
                return Ok(());
            }
            Event::Unknown => {
                self.newer = true;
                return Ok(());
            }
            _ => {}
        }
        if let Event::Creating { at, .. } = event {
            let lately = |before: &UnixSeconds| at.get().saturating_sub(before.get()) < REMEMBERED;
            self.creates.retain(lately);
            self.creates.push(*at);
        }
        let cancelled = self.cancelled;
        let (number, what) = of_shard(event);
        let Some(shard) = self.shards.get_mut(&number) else {
            return Err(Impossible(format!("{what} of shard {number}, which is not in the plan")));
        };
        self.doubted |= matches!(event, Event::NoBatch { .. } | Event::Refused { .. }) && !shard.synchronous;
        // Where there is no batch: to be created, unless the run was cancelled.
        let free = if cancelled { Cancelled } else { Uploaded };
        if let Event::Created { batch, .. } = event {
            // One that a person has given up, and has found again.
            shard.batches.retain(|known| known != batch);
            shard.given_up.retain(|known| known != batch);
        }
        let counted = shard.batch().cloned();
        let phase = match (event, &shard.phase) {
            (Event::Uploaded { file, .. }, Planned | Uploaded) => {
                shard.file = Some(file.clone());
                self.uploads.insert(file.clone(), number);
                // Of a service that knows files by their hash.
                self.deleted.remove(file);
                Uploaded
            }
            (Event::Synchronous { nonce, .. }, Planned | Uploaded) if !cancelled => {
                shard.nonce = Some(nonce.clone());
                shard.synchronous = true;
                shard.why = None;
                Synchronous
            }
            (Event::Unsent { why, .. }, Synchronous) => {
                shard.nonce = None;
                shard.synchronous = false;
                shard.why = Some(why.clone());
                if cancelled { Cancelled } else { Planned }
            }
            // A person has said that answers which are lost are to be bought again.
            (Event::NoBatch { .. }, Synchronous) if shard.held.is_some() => {
                shard.answered = 0;
                Synchronous
            }
            (Event::Creating { nonce, at, .. }, Uploaded) => {
                shard.nonce = Some(nonce.clone());
                shard.intent = Some(*at);
                Creating
            }
            // An adopted batch may be that of a create which a copy of this folder has sent.
            (Event::Created { batch, adopted, .. }, found)
                if *found == Creating || (*adopted && matches!(found, Planned | Uploaded | Cancelled)) =>
            {
                shard.batches.push(batch.clone());
                shard.why = None;
                Created
            }
            (Event::Absent { .. }, Creating) => Creating,
            (Event::Refused { why, .. } | Event::NoBatch { why, .. }, Creating) => {
                shard.why = Some(why.clone());
                free
            }
            // A person has said what became of a batch that the service does not know any more, or that was named before.
            (Event::NoBatch { why, .. }, Created | Over) if shard.held.is_some() || shard.said => {
                shard.given_up.extend(counted);
                shard.why = Some(why.clone());
                shard.status = None;
                free
            }
            // Or of a refused create that may have made one all the same.
            (Event::NoBatch { why, .. }, Uploaded) if shard.held.is_some() => {
                shard.why = Some(why.clone());
                Uploaded
            }
            (Event::Created { batch, adopted: true, .. }, Created | Over) if shard.held.is_some() || shard.said => {
                shard.given_up.extend(counted.filter(|counted| counted != batch));
                shard.batches.push(batch.clone());
                shard.status = None;
                Created
            }
            (Event::Postponed { why, .. }, Created | Over) => {
                shard.why = Some(why.clone());
                shard.status = None;
                free
            }
            (Event::Over { batch, status, .. }, Created) if shard.batches.last() == Some(batch) => {
                shard.status = Some(status.clone());
                Over
            }
            (Event::Fetched { files, .. }, Over | Synchronous)
                if shard.synchronous == files.synchronous.is_some() && shard.synchronous == files.batch.is_none() =>
            {
                shard.answered = files.synchronous.map_or(0, |lines| lines.lines);
                shard.fetched = Some(files.clone());
                Phase::Fetched
            }
            (Event::Unsettled { fetched, .. }, Phase::Fetched | Settled(_)) => {
                match *fetched && shard.fetched.is_some() {
                    true => Phase::Fetched,
                    false => {
                        shard.fetched = None;
                        if shard.synchronous { Synchronous } else { Over }
                    }
                }
            }
            // Logs of earlier versions have no word of what was fetched, and none of what was settled again.
            (Event::Settled { results, .. }, Over | Phase::Fetched | Settled(_)) => Settled(results.clone()),
            (Event::Failed { why, .. }, Planned | Uploaded | Over) => Failed(why.clone()),
            (Event::Held { why, .. }, phase) => {
                shard.held = Some(why.clone());
                phase.clone()
            }
            (Event::Released { .. }, phase) => phase.clone(),
            (_, phase) => return Err(Impossible(format!("{what} of shard {number}, which is {phase:?}"))),
        };
        if !matches!(event, Event::Held { .. }) {
            shard.held = None;
        }
        if let Event::Created { said, .. } = event {
            shard.said = *said;
        }
        shard.absent = match event {
            Event::Absent { at, after_millis, .. } => Some((*at, Duration::from_millis(*after_millis))),
            Event::Held { .. } | Event::Released { .. } => shard.absent,
            _ => None,
        };
        shard.refused = match event {
            Event::Refused { .. } => true,
            Event::Held { .. } | Event::Released { .. } | Event::Uploaded { .. } => shard.refused,
            _ => false,
        };
        shard.phase = phase;
        Ok(())
    }

    /// Another process goes on. Where the log may be behind the world, as in a copy or after a lost end, a batch may have
    /// been made of every shard that has none.
    fn entered(&mut self, opened: &Opened) {
        self.anew |= opened.anew;
        let before = self.opened.replace(opened.clone());
        self.anew_when_behind |= opened.anew && before.is_some();
        let elsewhere = before.as_ref().is_some_and(|before| {
            (before.host.as_str(), before.folder.as_str()) != (opened.host.as_str(), opened.folder.as_str())
        });
        // Whoever sends lines one by one asks for no list, and is not known by it: without a file there can be no batch.
        let synchronous = self.uploads.is_empty() && self.shards.values().any(|shard| shard.synchronous);
        let (cut, elsewhere) = (opened.cut && !synchronous, elsewhere && !synchronous);
        self.doubted |= cut || elsewhere;
        let another_gateway = before.is_some_and(|before| before.gateway != opened.gateway);
        for shard in self.shards.values_mut() {
            if cut || elsewhere {
                // Whoever has the other folder may have sent more since.
                shard.absent = None;
            }
            if another_gateway && kept(Rule::Embedded) {
                // What an embedded gateway did ended with it, and nothing was paid.
                if !matches!(shard.phase, Phase::Fetched | Phase::Settled(_) | Phase::Halved(_)) {
                    let half_of = shard.half_of;
                    *shard = Shard { half_of, ..Shard::new(shard.plan.clone(), shard.attempt) };
                }
            } else if (cut || elsewhere)
                && kept(Rule::Behind)
                && matches!(shard.phase, Phase::Planned | Phase::Uploaded)
            {
                shard.phase = Phase::Creating;
            }
        }
    }

    /// The lines of a shard are in two others from now on.
    fn halve(&mut self, number: u32, why: &str, halves: &[Half]) -> Result<(), Impossible> {
        let impossible = |what: String| Err(Impossible(format!("the halves of shard {number}, {what}")));
        let Some(whole) = self.shards.get(&number) else { return impossible("which is not in the plan".to_owned()) };
        if !matches!(whole.phase, Phase::Planned | Phase::Uploaded | Phase::Over) {
            return impossible(format!("which is {:?}", whole.phase));
        }
        let [first, second] = halves else { return impossible(format!("of which there are {}", halves.len())) };
        let lines = [first, second].map(|half| half.plan.lines);
        if first.first_line != 1
            || lines[0].checked_add(1) != Some(second.first_line)
            || lines.contains(&0)
            || lines[0].checked_add(lines[1]) != Some(whole.plan.lines)
        {
            return impossible("which are not its lines".to_owned());
        }
        let numbers = [first.plan.number, second.plan.number];
        if numbers[0] == numbers[1] || numbers.iter().any(|new| self.shards.contains_key(new)) {
            return impossible("which are there already".to_owned());
        }
        let attempt = whole.attempt;
        let phase = if self.cancelled { Phase::Cancelled } else { Phase::Planned };
        if let Some(whole) = self.shards.get_mut(&number) {
            whole.phase = Phase::Halved(numbers);
            whole.why = Some(why.to_owned());
            whole.held = None;
        }
        for half in [first, second] {
            let shard = Shard::new(half.plan.clone(), attempt);
            let shard = Shard { phase: phase.clone(), half_of: Some(number), ..shard };
            self.shards.insert(half.plan.number, shard);
        }
        Ok(())
    }

    /// A surplus batch is over, or what it has finished is here.
    fn surplus_came(&mut self, number: u32, batch: &BatchId, event: &Event) -> Result<(), Impossible> {
        let surplus = self.shards.get_mut(&number).map(|shard| shard.surplus.iter_mut());
        let surplus = surplus.and_then(|mut surplus| surplus.find(|surplus| surplus.batch == *batch));
        let Some(surplus) = surplus else {
            return Err(Impossible(format!("the end of a surplus batch {batch} of shard {number}")));
        };
        surplus.phase = match (event, &surplus.phase) {
            // What was settled may be lost, and is fetched again.
            (Event::SurplusOver { status, .. }, SurplusPhase::Open | SurplusPhase::Settled(_)) => {
                surplus.status = Some(status.clone());
                SurplusPhase::Over
            }
            (Event::SurplusSettled { results, .. }, SurplusPhase::Over) => SurplusPhase::Settled(results.clone()),
            (_, phase) => return Err(Impossible(format!("the end of surplus batch {batch}, which is {phase:?}"))),
        };
        Ok(())
    }
}

/// Which shard an event is of, and what it is called.
fn of_shard(event: &Event) -> (u32, &'static str) {
    match event {
        Event::Uploaded { shard, .. } => (*shard, "the upload"),
        Event::Creating { shard, .. } => (*shard, "the intent to create a batch"),
        Event::Synchronous { shard, .. } => (*shard, "the intent to send lines one by one"),
        Event::Unsent { shard, .. } => (*shard, "that no line was taken"),
        Event::Created { shard, .. } => (*shard, "a batch"),
        Event::Refused { shard, .. } => (*shard, "a refusal"),
        Event::Absent { shard, .. } => (*shard, "a list without the batch"),
        Event::NoBatch { shard, .. } => (*shard, "the absence of a batch"),
        Event::Postponed { shard, .. } => (*shard, "a postponement"),
        Event::Over { shard, .. } => (*shard, "the end of a batch"),
        Event::Fetched { shard, .. } => (*shard, "the files"),
        Event::Unsettled { shard, .. } => (*shard, "the loss of files"),
        Event::Settled { shard, .. } => (*shard, "the settlement"),
        Event::Failed { shard, .. } => (*shard, "the failure"),
        Event::Held { shard, .. } => (*shard, "a hold"),
        Event::Released { shard } => (*shard, "a release"),
        Event::Halved { shard, .. } => (*shard, "the halves"),
        Event::Surplus { shard, .. } | Event::SurplusOver { shard, .. } | Event::SurplusSettled { shard, .. } => {
            (*shard, "a surplus batch")
        }
        Event::Opened(_)
        | Event::Attempt { .. }
        | Event::Cancelled
        | Event::Resumed
        | Event::Finished { .. }
        | Event::Partial { .. }
        | Event::Deleted { .. }
        | Event::Capped(_)
        | Event::Priced { .. }
        | Event::Unknown => (0, "an event"),
    }
}
