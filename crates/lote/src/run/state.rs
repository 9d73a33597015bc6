//! How far a run has come, as its log says, and what is to be done next. Nothing here reads a clock, a disk or a
//! connection: every crash leaves a prefix of the log, and what is done after it is decided here alone.

use std::{collections::BTreeMap, fmt};

use super::{
    event::{Event, Opened},
    plan::ShardPlan,
    seam::{Rule, kept},
};
use crate::{BatchId, FileId, UnixSeconds, save::Stored};

/// Where a run stands.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) shards: BTreeMap<u32, Shard>,
    /// The number of the last attempt; the first is 1.
    pub(super) attempt: u32,
    /// No more creates.
    pub(super) cancelled: bool,
    pub(super) finished: Option<Stored>,
    /// Who worked on it last.
    pub(super) opened: Option<Opened>,
    /// Batches are to be made whatever another run has made of the same lines.
    pub(super) anew: bool,
    /// A newer version has written something that this one does not know.
    pub(super) newer: bool,
    /// The log may once have been behind the world.
    behind: bool,
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
    /// Whether the last create was refused.
    pub(super) refused: bool,
    /// Whether a lost create was ever given up: its batch may appear later.
    given_up: bool,
    /// All batches that were made for it, the one that counts last.
    pub(super) batches: Vec<BatchId>,
    /// The status of the batch when it was over.
    pub(super) status: Option<String>,
    /// Why a person must say how to go on.
    pub(super) held: Option<String>,
    /// Why the last create made no batch that counts.
    pub(super) why: Option<String>,
}

/// How far a shard has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its lines are in its folder.
    Planned,
    /// Its lines are at the service, and it is certain that no batch of them is at work.
    Uploaded,
    /// There may be a batch.
    Creating,
    /// There is a batch.
    Created,
    /// The batch is over.
    Over,
    /// Its results are in its folder.
    Settled(Stored),
    /// The batch failed at validation.
    Failed(String),
    /// No batch was made, and none will be.
    Cancelled,
}

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Find out what became of creates whose answers were lost.
    Resolve,
    /// Fetch what came of a shard, and join it.
    Settle(u32),
    /// Upload a shard, unless that is done, and create its batch.
    Submit(u32),
    /// Wait until a batch is over.
    Wait,
    /// A person must say how to go on: nothing else is left to do.
    Held,
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
            refused: false,
            given_up: false,
            batches: Vec::new(),
            status: None,
            held: None,
            why: None,
        }
    }

    /// The batch that counts.
    pub(super) fn batch(&self) -> Option<&BatchId> {
        match self.phase {
            Phase::Planned | Phase::Uploaded | Phase::Creating | Phase::Cancelled => None,
            Phase::Created | Phase::Over | Phase::Settled(_) | Phase::Failed(_) => self.batches.last(),
        }
    }

    /// Whether nothing more is to come of it.
    pub(super) fn is_ended(&self) -> bool {
        matches!(self.phase, Phase::Settled(_) | Phase::Failed(_) | Phase::Cancelled)
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

    /// The state after what a log says.
    pub(super) fn replay<'a>(
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
    pub(super) fn apply(&mut self, event: &Event) -> Result<(), Impossible> {
        use Phase::{Cancelled, Created, Creating, Failed, Over, Planned, Settled, Uploaded};
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
                    shard.phase = if shard.file.is_some() { Uploaded } else { Planned };
                }
                return Ok(());
            }
            Event::Finished { results } => {
                self.finished = Some(results.clone());
                return Ok(());
            }
            Event::Unknown => {
                self.newer = true;
                return Ok(());
            }
            _ => {}
        }
        let cancelled = self.cancelled;
        let (number, what) = of_shard(event);
        let Some(shard) = self.shards.get_mut(&number) else {
            return Err(Impossible(format!("{what} of shard {number}, which is not in the plan")));
        };
        // Where there is no batch: to be created, unless the run was cancelled.
        let free = if cancelled { Cancelled } else { Uploaded };
        let phase = match (event, &shard.phase) {
            (Event::Uploaded { file, .. }, Planned | Uploaded) => {
                shard.file = Some(file.clone());
                Uploaded
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
            (Event::Refused { why, .. } | Event::NoBatch { why, .. }, Creating) => {
                shard.why = Some(why.clone());
                free
            }
            // A person has said what became of a batch that the service does not know any more.
            (Event::NoBatch { why, .. }, Created | Over) if shard.held.is_some() => {
                shard.why = Some(why.clone());
                shard.status = None;
                free
            }
            // Or of a refused create that may have made one all the same.
            (Event::NoBatch { why, .. }, Uploaded) if shard.held.is_some() => {
                shard.why = Some(why.clone());
                Uploaded
            }
            (Event::Created { batch, adopted: true, .. }, Created | Over) if shard.held.is_some() => {
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
            (Event::Settled { results, .. }, Over | Settled(_)) => Settled(results.clone()),
            (Event::Failed { why, .. }, Over) => Failed(why.clone()),
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
        shard.refused = match event {
            Event::Refused { .. } => true,
            Event::Held { .. } | Event::Released { .. } | Event::Uploaded { .. } => shard.refused,
            _ => false,
        };
        shard.given_up |= matches!(event, Event::NoBatch { .. });
        shard.phase = phase;
        Ok(())
    }

    /// Another process goes on. Where the log may be behind the world, as in a copy or after a lost end, a batch may have
    /// been made of every shard that has none.
    fn entered(&mut self, opened: &Opened) {
        self.anew |= opened.anew;
        let before = self.opened.replace(opened.clone());
        let elsewhere = before.as_ref().is_some_and(|before| {
            (before.host.as_str(), before.folder.as_str()) != (opened.host.as_str(), opened.folder.as_str())
        });
        self.behind |= opened.cut || elsewhere;
        let another_gateway = before.is_some_and(|before| before.gateway != opened.gateway);
        for shard in self.shards.values_mut() {
            if another_gateway && kept(Rule::Embedded) {
                // What an embedded gateway did ended with it, and nothing was paid.
                if !matches!(shard.phase, Phase::Settled(_)) {
                    *shard = Shard::new(shard.plan.clone(), shard.attempt);
                }
            } else if (opened.cut || elsewhere)
                && kept(Rule::Behind)
                && matches!(shard.phase, Phase::Planned | Phase::Uploaded)
            {
                shard.phase = Phase::Creating;
            }
        }
    }

    /// What is to be done next, when so many batches may be at work at once.
    pub(super) fn next(&self, max_open: usize) -> Next {
        let find = |wanted: &dyn Fn(&Shard) -> bool| {
            self.shards.values().find(|shard| shard.held.is_none() && wanted(shard)).map(|shard| shard.plan.number)
        };
        if self.finished.is_some() {
            return Next::Done;
        }
        if find(&|shard| shard.phase == Phase::Creating).is_some() {
            return Next::Resolve;
        }
        if let Some(shard) = find(&|shard| shard.phase == Phase::Over) {
            return Next::Settle(shard);
        }
        if !self.cancelled
            && self.open() < max_open.max(1)
            && let Some(shard) = find(&|shard| matches!(shard.phase, Phase::Planned | Phase::Uploaded))
        {
            return Next::Submit(shard);
        }
        if find(&|shard| shard.phase == Phase::Created).is_some() {
            return Next::Wait;
        }
        if self.shards.values().any(|shard| !shard.is_ended()) {
            return Next::Held;
        }
        Next::Merge
    }

    /// The shards of which it is to be found out whether there is a batch.
    pub(super) fn lost(&self) -> Vec<u32> {
        let lost = self.shards.values().filter(|shard| shard.phase == Phase::Creating && shard.held.is_none());
        lost.map(|shard| shard.plan.number).collect()
    }

    /// How many batches are, or may be, at work.
    pub(super) fn open(&self) -> usize {
        self.shards.values().filter(|shard| shard.is_open()).count()
    }

    /// Whether it is certain that nobody owes or is owed anything: no create was ever begun that is not known to have
    /// been refused.
    pub(super) fn nothing_was_begun(&self) -> bool {
        self.shards.values().all(|shard| {
            shard.batches.is_empty() && matches!(shard.phase, Phase::Planned | Phase::Uploaded | Phase::Cancelled)
        })
    }

    /// Whether nothing is to be paid for it: what was created has failed at validation, and nothing else was begun.
    pub(super) fn owes_nothing(&self) -> bool {
        let nothing =
            |phase: &Phase| matches!(phase, Phase::Planned | Phase::Uploaded | Phase::Cancelled | Phase::Failed(_));
        self.shards.values().all(|shard| nothing(&shard.phase))
    }

    /// Whether all of its batches have failed at validation.
    pub(super) fn has_failed(&self) -> bool {
        self.shards.values().all(|shard| matches!(shard.phase, Phase::Failed(_)))
    }

    /// The batches of the run, those that count no more included.
    pub(super) fn batches(&self) -> Vec<BatchId> {
        self.shards.values().flat_map(|shard| shard.batches.iter().cloned()).collect()
    }

    /// Whether there may be batches of it that the log does not hold: a lost create was given up, or the log was behind.
    pub(super) fn may_have_surplus(&self) -> bool {
        self.behind || self.shards.values().any(|shard| shard.given_up)
    }

    /// Whether this batch is one of the run's already.
    pub(super) fn holds(&self, batch: &BatchId) -> bool {
        self.shards.values().any(|shard| shard.batches.contains(batch))
    }
}

/// Which shard an event is of, and what it is called.
fn of_shard(event: &Event) -> (u32, &'static str) {
    match event {
        Event::Uploaded { shard, .. } => (*shard, "the upload"),
        Event::Creating { shard, .. } => (*shard, "the intent to create a batch"),
        Event::Created { shard, .. } => (*shard, "a batch"),
        Event::Refused { shard, .. } => (*shard, "a refusal"),
        Event::NoBatch { shard, .. } => (*shard, "the absence of a batch"),
        Event::Postponed { shard, .. } => (*shard, "a postponement"),
        Event::Over { shard, .. } => (*shard, "the end of a batch"),
        Event::Settled { shard, .. } => (*shard, "the settlement"),
        Event::Failed { shard, .. } => (*shard, "the failure"),
        Event::Held { shard, .. } => (*shard, "a hold"),
        Event::Released { shard } => (*shard, "a release"),
        Event::Opened(_)
        | Event::Attempt { .. }
        | Event::Cancelled
        | Event::Resumed
        | Event::Finished { .. }
        | Event::Unknown => (0, "an event"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(number: u32) -> ShardPlan {
        serde_json::from_value(serde_json::json!({
            "number": number, "endpoint": "/v1/embeddings", "model": null, "lines": 2, "bytes": 9, "inputs": 2,
            "sha256": "00",
        }))
        .unwrap()
    }

    fn id<T: std::str::FromStr<Err: fmt::Debug>>(text: &str) -> T {
        text.parse().unwrap()
    }

    fn opened(host: &str, gateway: Option<&str>) -> Event {
        Event::Opened(Opened {
            host: host.to_owned(),
            folder: "1:2".to_owned(),
            gateway: gateway.map(str::to_owned),
            ..Opened::default()
        })
    }

    fn stored() -> Stored {
        Stored::read(&b"x"[..]).unwrap()
    }

    /// All that happens to a shard that goes well, and what is to be done after each.
    fn course(shard: u32) -> Vec<(Event, Next)> {
        let (nonce, batch): (String, BatchId) = (format!("n{shard}"), id(&format!("b{shard}")));
        vec![
            (Event::Uploaded { shard, file: id(&format!("f{shard}")) }, Next::Submit(shard)),
            (Event::Creating { shard, nonce, at: UnixSeconds::now() }, Next::Resolve),
            (Event::Created { shard, batch: batch.clone(), adopted: false }, Next::Wait),
            (Event::Over { shard, batch, status: "completed".to_owned() }, Next::Settle(shard)),
            (Event::Settled { shard, results: stored() }, Next::Merge),
        ]
    }

    #[test]
    fn a_shard_goes_from_step_to_step_and_no_other_way() {
        let mut state = State::new(&[plan(1)]);
        assert_eq!(state.next(1), Next::Submit(1));
        let steps = course(1);
        for (at, (event, next)) in steps.iter().enumerate() {
            // Whatever comes later cannot come now, and nothing that came before can come again.
            for (other, (event, _)) in steps.iter().enumerate().filter(|(other, _)| *other != at) {
                // A file may be sent again, and results written again, before what follows.
                if other + 1 != at
                    || matches!(event, Event::Creating { .. } | Event::Created { .. } | Event::Over { .. })
                {
                    assert!(state.clone().apply(event).is_err(), "{event:?} at {at}");
                }
            }
            state.apply(event).unwrap();
            assert_eq!(state.next(1), *next, "after {event:?}");
            let nothing = matches!(event, Event::Uploaded { .. });
            assert_eq!(state.nothing_was_begun(), nothing, "after {event:?}");
        }
        state.apply(&Event::Finished { results: stored() }).unwrap();
        assert_eq!(state.next(1), Next::Done);
        assert!(state.apply(&Event::Uploaded { shard: 2, file: id("f") }).is_err(), "a shard of no plan");
    }

    #[test]
    fn no_more_are_open_than_there_is_room_for() {
        let mut state = State::new(&[plan(1), plan(2), plan(3)]);
        let all: Vec<_> = (1..=3).map(course).collect();
        for (event, _) in &all[0][..3] {
            state.apply(event).unwrap();
        }
        assert_eq!((state.next(1), state.next(2)), (Next::Wait, Next::Submit(2)));
        // What is over goes before what is to be sent; what is lost goes before all.
        state.apply(&all[0][3].0).unwrap();
        assert_eq!(state.next(2), Next::Settle(1));
        for (event, _) in &all[1][..2] {
            state.apply(event).unwrap();
        }
        assert_eq!((state.next(9), state.lost()), (Next::Resolve, vec![2]));
        // One that waits for a person holds up nobody.
        state.apply(&Event::Held { shard: 2, why: "lost".to_owned() }).unwrap();
        assert_eq!((state.next(9), state.lost()), (Next::Settle(1), vec![]));
        state.apply(&all[0][4].0).unwrap();
        state.apply(&Event::Cancelled).unwrap();
        assert_eq!(state.next(9), Next::Held);
        state.apply(&Event::Released { shard: 2 }).unwrap();
        assert_eq!(state.next(9), Next::Resolve);
        state.apply(&Event::NoBatch { shard: 2, why: "none".to_owned() }).unwrap();
        // It was cancelled meanwhile, and is not created again.
        assert_eq!(state.next(9), Next::Merge);
        state.apply(&Event::Resumed).unwrap();
        assert_eq!(state.next(9), Next::Submit(2));
    }

    #[test]
    fn a_log_that_may_be_behind_leaves_open_whether_there_is_a_batch() {
        let plans = [plan(1), plan(2), plan(3)];
        let events = |last: Event| {
            let mut events = vec![opened("here", None)];
            events.extend(course(1).into_iter().take(3).map(|(event, _)| event));
            events.push(Event::Uploaded { shard: 2, file: id("f2") });
            events.push(last);
            events
        };
        let phases = |last: Event| {
            let state = State::replay(&plans, &events(last)).unwrap();
            state.shards.values().map(|shard| shard.phase.clone()).collect::<Vec<_>>()
        };
        use Phase::{Created, Creating, Planned, Uploaded};
        assert_eq!(phases(opened("here", None)), [Created, Uploaded, Planned]);
        assert_eq!(phases(opened("elsewhere", None)), [Created, Creating, Creating]);
        let Event::Opened(cut) = opened("here", None) else { unreachable!() };
        assert_eq!(phases(Event::Opened(Opened { cut: true, ..cut })), [Created, Creating, Creating]);
        // What an embedded gateway had begun ended with it.
        assert_eq!(phases(opened("here", Some("another"))), [Planned, Planned, Planned]);
    }

    #[test]
    fn a_batch_is_adopted_but_never_twice_and_never_in_place_of_another() {
        let created = |batch: &str, adopted| Event::Created { shard: 1, batch: id(batch), adopted };
        let mut state = State::new(&[plan(1)]);
        assert!(state.clone().apply(&created("b", false)).is_err(), "no create was sent");
        state.apply(&created("b", true)).unwrap();
        assert!(state.clone().apply(&created("c", true)).is_err(), "there is one");
        assert!(state.holds(&id("b")) && !state.holds(&id("c")));
        // One that failed for want of room counts no more, and is still known.
        state.apply(&Event::Postponed { shard: 1, batch: id("b"), why: "full".to_owned() }).unwrap();
        assert_eq!((state.next(1), state.holds(&id("b"))), (Next::Submit(1), true));
        assert_eq!(state.shards[&1].batch(), None);
    }

    #[test]
    fn an_attempt_adds_shards_to_a_finished_run() {
        let mut state = State::new(&[plan(1)]);
        for (event, _) in course(1) {
            state.apply(&event).unwrap();
        }
        state.apply(&Event::Finished { results: stored() }).unwrap();
        assert!(state.clone().apply(&Event::Attempt { attempt: 3, shards: vec![plan(2)] }).is_err());
        assert!(state.clone().apply(&Event::Attempt { attempt: 2, shards: vec![plan(1)] }).is_err());
        state.apply(&Event::Attempt { attempt: 2, shards: vec![plan(2)] }).unwrap();
        assert_eq!((state.next(1), state.shards[&2].attempt), (Next::Submit(2), 2));
    }
}
