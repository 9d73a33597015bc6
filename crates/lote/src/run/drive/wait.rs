//! Looks at the batches that are at work until one of them is over.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use futures_util::StreamExt;
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::{
    Driver,
    noted::{Noted, NotedShard},
};
use crate::{
    Batch, BatchId, Error, Status, Tolerance, Waited,
    run::{
        Progress, RunError,
        error::Kind,
        event::Event,
        schedule::{Turn, Why},
        seam::{self, Rule, kept},
        state::{Next, Phase},
    },
};

/// How often a process at work looks whether it was asked to cancel, and tells how far it is.
const TICK: Duration = Duration::from_secs(1);

/// How many batches are named of those for which a run is not gone on with.
const NAMED: usize = 5;

/// The batch of several that a wait has ended for first, and how.
type Ended = Option<(BatchId, Waited)>;

impl Driver {
    /// The batches that are waited for: those of shards that wait for a person are not.
    fn at_work(&self) -> Vec<(u32, BatchId)> {
        let shards = self.folder.state.shards.iter();
        let waited_for = shards.filter(|(_, shard)| shard.phase == Phase::Created && shard.held.is_none());
        waited_for.filter_map(|(number, shard)| Some((*number, shard.batch()?.clone()))).collect()
    }

    /// Looks once at each batch that is at work. Whether any of them is over.
    pub(super) async fn look(&mut self) -> Result<bool, RunError> {
        let open = self.at_work();
        let (mut any, mut noted) = (false, Noted { at: seam::now().get(), ..Noted::default() });
        noted.waits = self.why_waiting().map(|why| why.to_string());
        for (number, id) in &open {
            match self.manner.deadline.bound(self.client.batches().get(id)).await {
                Ok(batch) => {
                    self.windows.seen(&batch, self.service_time());
                    self.tell(Progress::Waiting(&batch));
                    noted.shards.insert(*number, NotedShard::of(&batch));
                    if batch.is_terminal() {
                        any = true;
                        self.over(*number, id.clone(), batch)?;
                    }
                }
                Err(error) if error.is_deadline() => return Err(self.service(error)),
                Err(error) if error.is_not_found() => self.unknown(*number, id)?,
                Err(error) => return Err(self.ended(Kind::Unfetched(error))),
            }
        }
        for (shard, id) in self.folder.state.open_surplus() {
            match self.manner.deadline.bound(self.client.batches().get(&id)).await {
                Ok(batch) if batch.is_terminal() => {
                    any = true;
                    self.surplus_over(shard, id, batch)?;
                }
                Ok(_) => {}
                Err(error) if error.is_not_found() => self.surplus_unknown(shard, id, &error)?,
                Err(error) if error.is_deadline() => return Err(self.service(error)),
                Err(error) => return Err(self.ended(Kind::Unfetched(error))),
            }
        }
        self.folder.note(&noted);
        self.noted = noted;
        Ok(any || self.is_rescue_due())
    }

    /// Looks once at the batches that are at work for those that are over. What cannot be looked at now is looked at later.
    pub(super) async fn glance(&mut self) -> Result<(), RunError> {
        for (number, id) in self.at_work() {
            match self.manner.deadline.bound(self.client.batches().get(&id)).await {
                Ok(batch) => {
                    self.reach.answered();
                    self.windows.seen(&batch, self.service_time());
                    self.tell(Progress::Waiting(&batch));
                    if batch.is_terminal() {
                        self.over(number, id, batch)?;
                    }
                }
                Err(error) if error.is_deadline() => return Err(self.service(error)),
                Err(error) => {
                    self.tell(Progress::Trouble(&error));
                    // The others would not be answered either.
                    if error.is_connection() {
                        return Ok(());
                    }
                }
            }
        }
        Ok(())
    }

    /// A batch is over: there is room for another. Some services answer with another id than they were asked for.
    fn over(&mut self, number: u32, id: BatchId, batch: Batch) -> Result<(), RunError> {
        let status = batch.status.as_str().to_owned();
        self.folder.say(Event::Over { shard: number, batch: id.clone(), status })?;
        let well = batch.status != Status::Failed;
        self.seen.insert(id, batch);
        if let Some(shard) = self.folder.state.shards.get(&number).filter(|_| well) {
            let before = self.schedule.learned().clone();
            self.schedule.ended(&shard.plan);
            if *self.schedule.learned() != before {
                self.keep_limits();
            }
        }
        Ok(())
    }

    /// A batch is not known to the service: a person must say what becomes of its lines.
    fn unknown(&mut self, number: u32, id: &BatchId) -> Result<(), RunError> {
        let why = format!("the service does not know its batch {id} any more");
        self.hold(number, why.clone())?;
        if kept(Rule::NotFound) { Ok(()) } else { self.folder.say(Event::NoBatch { shard: number, why }) }
    }

    /// Why shards that nobody has submitted wait.
    fn why_waiting(&mut self) -> Option<Why> {
        self.schedule.paused = self.is_paused();
        match self.schedule.turn(&self.folder.state, seam::now()) {
            Turn::Wait(why) => Some(why),
            _ => None,
        }
    }

    /// Leaves for who looks on that nothing goes on without a word of a person, and why other shards wait.
    pub(super) fn note_held(&mut self) {
        self.noted.waits = self.why_waiting().map(|why| why.to_string());
        self.noted.held = true;
        self.folder.note(&self.noted);
    }

    /// Leaves that the run is not gone on with by itself, since a person must say what of it is paid for again.
    pub(super) fn note_refused(&mut self, error: &RunError) {
        let batches = |ids: Vec<&str>| ids.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
        let why = if error.is_twin() {
            let twins = batches(error.twins().iter().map(|twin| twin.batch.as_str()).collect());
            format!("a run whose folder is lost has made batches of the same lines ({twins})")
        } else if error.is_behind() {
            "this is an older copy of its folder: the service has batches of the run that it does not know".to_owned()
        } else {
            return;
        };
        self.noted.refused = Some(why);
        self.folder.note(&self.noted);
    }

    /// Leaves why shards wait for who looks on, and tells it once for each kind of reason.
    pub(super) fn note_waits(&mut self, why: Option<(Option<&'static str>, String)>) {
        if let Some((Some(kind), why)) = &why
            && self.told.insert(kind)
        {
            self.tell(Progress::Waits { why });
        }
        let waits = why.map(|(_, why)| why);
        if self.noted.waits != waits {
            self.noted.waits = waits;
            self.folder.note(&self.noted);
        }
    }

    /// Waits until one of the batches is over, or another may be created.
    pub(super) async fn wait(&mut self) -> Result<(), RunError> {
        let why = self.why_waiting();
        self.note_waits(why.map(|why| (why.kind(), why.to_string())));
        let own: BTreeMap<BatchId, u32> = self.at_work().into_iter().map(|(number, id)| (id, number)).collect();
        // The surplus is waited for when nothing else is.
        let is_surplus = own.is_empty();
        let open = match is_surplus {
            true => self.folder.state.open_surplus().into_iter().map(|(shard, id)| (id, shard)).collect(),
            false => own,
        };
        if open.is_empty() {
            return self.manner.deadline.within(sleep(TICK)).await.map_err(|late| self.service(late));
        }
        let latest: Arc<Mutex<BTreeMap<BatchId, NotedShard>>> = Arc::default();
        let (steps, noted) = (Arc::clone(&self.manner.on_progress), Arc::clone(&latest));
        let (reach, looks) = (self.reach.clone(), self.reach.clone());
        let (client, windows) = (self.client.clone(), self.windows.clone());
        let on_progress = move |batch: &Batch| {
            looks.answered();
            windows.seen(batch, client.shared().time());
            noted.lock().unwrap_or_else(PoisonError::into_inner).insert(batch.id.clone(), NotedShard::of(batch));
            steps(Progress::Waiting(batch));
        };
        let on_trouble = move |error: &Error| reach.trouble(error);
        // Files that are late are waited for where they are fetched.
        let tolerance = self.tolerance(Tolerance::default()).late_files(Duration::ZERO);
        let (batches, left, cadence) =
            (self.client.batches(), self.manner.deadline.left(), self.manner.cadence.clone());
        let one = open.keys().next().filter(|_| open.len() == 1).cloned();
        let mut next: Pin<Box<dyn Future<Output = Ended> + Send>> = match one {
            Some(id) => {
                let mut wait = batches.wait(&id).cadence(cadence).tolerance(tolerance);
                if let Some(left) = left {
                    wait = wait.deadline(left);
                }
                let wait = wait.on_progress(on_progress).on_trouble(on_trouble);
                Box::pin(async move { Some((id, wait.until_over().await)) })
            }
            None => {
                let mut wait = batches.wait_all(open.keys().cloned()).cadence(cadence).tolerance(tolerance);
                if let Some(left) = left {
                    wait = wait.deadline(left);
                }
                let wait = wait.on_progress(on_progress).on_trouble(on_trouble);
                Box::pin(async move { std::pin::pin!(wait.into_stream()).next().await })
            }
        };
        self.noted.shards.retain(|number, _| open.values().any(|open| open == number));
        let mut tick = interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = loop {
            tokio::select! {
                ended = &mut next => break ended,
                () = self.windows.news(), if self.is_rescue_asked() => {
                    if self.is_rescue_due() {
                        return Ok(());
                    }
                }
                _ = tick.tick() => {
                    let latest = std::mem::take(&mut *latest.lock().unwrap_or_else(PoisonError::into_inner));
                    if !latest.is_empty() {
                        let seen = latest.into_iter().filter_map(|(id, batch)| Some((*open.get(&id)?, batch)));
                        self.noted.shards.extend(seen.filter(|_| !is_surplus));
                        self.noted.at = seam::now().get();
                        self.folder.note(&self.noted);
                    }
                    self.note_reach();
                    // The machine may have slept, and its clock for pauses with it.
                    if self.manner.deadline.is_over() {
                        return Err(self.ended(Kind::GaveUp));
                    }
                    if self.folder.cancel_is_asked() || self.is_rescue_due() || self.next() != Next::Wait {
                        return Ok(());
                    }
                }
            }
        };
        let Some((id, waited)) = ended else { return Ok(()) };
        let Some(number) = open.get(&id).copied() else { return Ok(()) };
        match waited {
            Waited::Ended(batch) if is_surplus => self.surplus_over(number, id, *batch),
            Waited::CouldNotAsk { error, .. } if is_surplus && error.is_not_found() => {
                self.surplus_unknown(number, id, &error)
            }
            Waited::Ended(batch) => self.over(number, id, *batch),
            Waited::GaveUp(_) => Err(self.ended(Kind::GaveUp)),
            Waited::CouldNotAsk { error, .. } if error.is_not_found() => self.unknown(number, &id),
            Waited::CouldNotAsk { error, .. } => Err(self.ended(Kind::Unfetched(error))),
        }
    }
}
