//! How far a run has come, as its log says, and what is to be done next. Nothing here reads a clock, a disk or a
//! connection: every crash leaves a prefix of the log, and what is done after it is decided here alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

use super::{
    event::{Event, Fetched, Half, Opened},
    plan::ShardPlan,
    schedule::{Schedule, Than, Turn, Why},
    seam::{Rule, kept},
};
use crate::{BatchId, FileId, UnixSeconds, save::Stored};

/// For how long it is remembered when creates were sent, in seconds: twice as long as anybody asks.
const REMEMBERED: i64 = 2 * 60 * 60;

/// Where a run stands.
#[derive(Clone, Debug, Default)]
pub(super) struct State {
    pub(super) shards: BTreeMap<u32, Shard>,
    /// The number of the last attempt; the first is 1.
    pub(super) attempt: u32,
    /// No more creates.
    pub(super) cancelled: bool,
    pub(super) finished: Option<Stored>,
    /// All results that were ever written: each file of these bytes is this run's own.
    pub(super) written: Vec<Stored>,
    /// Who worked on it last.
    pub(super) opened: Option<Opened>,
    /// Batches are to be made whatever another run has made of the same lines.
    pub(super) anew: bool,
    /// When creates were about to be sent lately.
    pub(super) creates: Vec<UnixSeconds>,
    /// There may be batches of it that the log does not hold: a lost create was given up, which may take effect later all
    /// the same, one was refused by a service that may have taken it all the same, or the log was behind.
    pub(super) doubted: bool,
    /// All files of lines that were uploaded, each with the shard that it was last uploaded for.
    pub(super) uploads: BTreeMap<FileId, u32>,
    /// Files that are at the service no more.
    pub(super) deleted: BTreeSet<FileId>,
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
    Settled(Option<Stored>),
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
    /// What the batch has is in its folder.
    Fetched,
    /// Its results are in its folder.
    Settled(Stored),
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
            said: false,
            status: None,
            fetched: None,
            held: None,
            why: None,
            half_of: None,
            surplus: Vec::new(),
        }
    }

    /// The batch that counts.
    pub(super) fn batch(&self) -> Option<&BatchId> {
        match self.phase {
            Phase::Planned | Phase::Uploaded | Phase::Creating | Phase::Cancelled | Phase::Halved(_) => None,
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
        self.doubted |= matches!(event, Event::NoBatch { .. } | Event::Refused { .. });
        let cancelled = self.cancelled;
        let (number, what) = of_shard(event);
        let Some(shard) = self.shards.get_mut(&number) else {
            return Err(Impossible(format!("{what} of shard {number}, which is not in the plan")));
        };
        // Where there is no batch: to be created, unless the run was cancelled.
        let free = if cancelled { Cancelled } else { Uploaded };
        if let Event::Created { batch, .. } = event {
            // One that a person has given up, and has found again.
            shard.batches.retain(|known| known != batch);
        }
        let phase = match (event, &shard.phase) {
            (Event::Uploaded { file, .. }, Planned | Uploaded) => {
                shard.file = Some(file.clone());
                self.uploads.insert(file.clone(), number);
                // Of a service that knows files by their hash.
                self.deleted.remove(file);
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
            (Event::Absent { .. }, Creating) => Creating,
            (Event::Refused { why, .. } | Event::NoBatch { why, .. }, Creating) => {
                shard.why = Some(why.clone());
                free
            }
            // A person has said what became of a batch that the service does not know any more, or that was named before.
            (Event::NoBatch { why, .. }, Created | Over) if shard.held.is_some() || shard.said => {
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
            (Event::Fetched { files, .. }, Over) => {
                shard.fetched = Some(files.clone());
                Phase::Fetched
            }
            (Event::Unsettled { fetched, .. }, Phase::Fetched | Settled(_)) => {
                match *fetched && shard.fetched.is_some() {
                    true => Phase::Fetched,
                    false => {
                        shard.fetched = None;
                        Over
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
        let elsewhere = before.as_ref().is_some_and(|before| {
            (before.host.as_str(), before.folder.as_str()) != (opened.host.as_str(), opened.folder.as_str())
        });
        self.doubted |= opened.cut || elsewhere;
        let another_gateway = before.is_some_and(|before| before.gateway != opened.gateway);
        for shard in self.shards.values_mut() {
            if opened.cut || elsewhere {
                // Whoever has the other folder may have sent more since.
                shard.absent = None;
            }
            if another_gateway && kept(Rule::Embedded) {
                // What an embedded gateway did ended with it, and nothing was paid.
                if !matches!(shard.phase, Phase::Fetched | Phase::Settled(_) | Phase::Halved(_)) {
                    let half_of = shard.half_of;
                    *shard = Shard { half_of, ..Shard::new(shard.plan.clone(), shard.attempt) };
                }
            } else if (opened.cut || elsewhere)
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

    /// The surplus batches that are at work, each with its shard.
    pub(super) fn open_surplus(&self) -> Vec<(u32, BatchId)> {
        let all =
            self.shards.values().flat_map(|shard| shard.surplus.iter().map(|surplus| (shard.plan.number, surplus)));
        all.filter(|(_, surplus)| surplus.phase == SurplusPhase::Open)
            .map(|(shard, surplus)| (shard, surplus.batch.clone()))
            .collect()
    }

    /// The number that the next new shard gets.
    pub(super) fn next_number(&self) -> u32 {
        self.shards.keys().last().map_or(1, |last| last.saturating_add(1))
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
        match schedule.turn(self, now) {
            Turn::Submit(shard) => return Next::Submit(shard),
            Turn::Halve(shard, than) => return Next::Halve(shard, than),
            // Room comes by itself when a pause is over; else a batch must end, and those of held shards do not.
            Turn::Wait(Why::Paused | Why::Creates { .. }) => return Next::Wait,
            Turn::Wait(Why::Open { .. } | Why::Tokens { .. }) | Turn::None => {}
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

    /// A shard that was too big, and was no larger than this one; none when the service has taken one as large.
    pub(super) fn too_big_before(&self, plan: &ShardPlan) -> Option<u32> {
        let like = |other: &&Shard| (&other.plan.endpoint, &other.plan.model) == (&plan.endpoint, &plan.model);
        let holds = |large: &ShardPlan, small: &ShardPlan| large.lines >= small.lines && large.bytes >= small.bytes;
        let mut others = self.shards.values().filter(like);
        let was_taken = |shard: &Shard| matches!(shard.phase, Phase::Settled(_)) && holds(&shard.plan, plan);
        if others.clone().any(was_taken) {
            return None;
        }
        others
            .find(|shard| matches!(shard.phase, Phase::Halved(_)) && holds(plan, &shard.plan))
            .map(|shard| shard.plan.number)
    }

    /// How many lines the service took for too big by themselves, while it has taken nothing.
    pub(super) fn lines_too_big(&self) -> usize {
        let alone = |shard: &&Shard| shard.plan.lines == 1 && shard.batches.is_empty();
        let failed = self.shards.values().filter(|shard| matches!(shard.phase, Phase::Failed(_)));
        if self.batches().is_empty() { failed.filter(alone).count() } else { 0 }
    }

    /// The shards of which it is to be found out whether there is a batch.
    pub(super) fn lost(&self) -> Vec<u32> {
        let lost = self.shards.values().filter(|shard| shard.phase == Phase::Creating && shard.held.is_none());
        lost.map(|shard| shard.plan.number).collect()
    }

    /// Whether shards are held, and of no other there is a batch, or may be one, that anything is to be done about.
    pub(super) fn is_stuck(&self) -> bool {
        let goes_on = |shard: &Shard| {
            matches!(shard.phase, Phase::Creating | Phase::Created | Phase::Over | Phase::Fetched)
                && shard.held.is_none()
        };
        let any_held = self.shards.values().any(|shard| shard.held.is_some());
        any_held && !self.shards.values().any(goes_on) && self.open_surplus().is_empty()
    }

    /// The batches that are not over, as far as the log says, the surplus ones among them.
    pub(super) fn at_work(&self) -> Vec<BatchId> {
        let created = self.shards.values().filter(|shard| shard.phase == Phase::Created);
        let surplus = self.open_surplus().into_iter().map(|(_, batch)| batch);
        created.filter_map(|shard| shard.batch().cloned()).chain(surplus).collect()
    }

    /// The batches that are over, and of which something is still to be fetched.
    pub(super) fn unfetched(&self) -> Vec<BatchId> {
        let over = self.shards.values().filter(|shard| shard.phase == Phase::Over);
        over.filter_map(|shard| shard.batch().cloned()).collect()
    }

    /// How many creates there are of which it is not known whether they have made a batch.
    pub(super) fn unanswered(&self) -> usize {
        self.shards.values().filter(|shard| shard.phase == Phase::Creating).count()
    }

    /// How many batches are, or may be, at work.
    pub(super) fn open(&self) -> usize {
        self.shards.values().filter(|shard| shard.is_open()).count()
    }

    /// Whether it is certain that nobody owes or is owed anything: no create was ever begun that is not known to have
    /// been refused.
    pub(super) fn nothing_was_begun(&self) -> bool {
        self.shards.values().all(|shard| {
            let unsent =
                |phase: &Phase| matches!(phase, Phase::Planned | Phase::Uploaded | Phase::Cancelled | Phase::Halved(_));
            shard.batches.is_empty() && shard.surplus.is_empty() && unsent(&shard.phase)
        })
    }

    /// Whether nothing is to be paid for it: what was created has failed at validation, and nothing else was begun.
    pub(super) fn owes_nothing(&self) -> bool {
        use Phase::{Cancelled, Failed, Halved, Planned, Uploaded};
        let nothing = |phase: &Phase| matches!(phase, Planned | Uploaded | Cancelled | Failed(_) | Halved(_));
        self.shards.values().all(|shard| nothing(&shard.phase) && shard.surplus.is_empty())
    }

    /// Whether all of its batches have failed at validation, or were refused to the last line. One without a line has none
    /// that could.
    pub(super) fn has_failed(&self) -> bool {
        let failed = |shard: &Shard| matches!(shard.phase, Phase::Failed(_) | Phase::Halved(_));
        let failed = |shard: &Shard| failed(shard) && shard.surplus.is_empty();
        !self.shards.is_empty() && self.shards.values().all(failed)
    }

    /// The batches of the run, those that count no more included.
    pub(super) fn batches(&self) -> Vec<BatchId> {
        let surplus = |shard: &Shard| shard.surplus.iter().map(|surplus| surplus.batch.clone()).collect::<Vec<_>>();
        self.shards.values().flat_map(|shard| shard.batches.iter().cloned().chain(surplus(shard))).collect()
    }

    /// Whether this batch is one of the run's already.
    pub(super) fn holds(&self, batch: &BatchId) -> bool {
        let is_surplus = |shard: &Shard| shard.surplus.iter().any(|surplus| surplus.batch == *batch);
        self.shards.values().any(|shard| shard.batches.contains(batch) || is_surplus(shard))
    }
}

/// Which shard an event is of, and what it is called.
fn of_shard(event: &Event) -> (u32, &'static str) {
    match event {
        Event::Uploaded { shard, .. } => (*shard, "the upload"),
        Event::Creating { shard, .. } => (*shard, "the intent to create a batch"),
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
        | Event::Unknown => (0, "an event"),
    }
}

#[cfg(test)]
mod tests;
