//! Does what the state of a run says is to be done next, and writes down what happened.

mod halve;
mod noted;
mod reach;
mod rescue;
mod resolve;
mod settle;
mod submit;
mod surplus;
mod sync;
mod wait;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use tokio::time::Instant;

pub(super) use self::noted::Noted;
pub use self::noted::Unreached;
use self::{
    reach::{Reach, Unanswered},
    rescue::Windows,
};
use super::{
    OnProgress, Progress, RunError,
    error::Kind,
    event::Event,
    folder::Folder,
    limits::Kept,
    merge::put_together,
    schedule::{Bounds, Learned, Schedule},
    seam,
    state::{Next, Phase},
    stream::Queue,
    sync::{Gate, Pace},
};
use crate::{Batch, BatchId, BatchOptions, Cadence, Client, Error, Tolerance, deadline::Deadline, expect::Expect};

/// How a run is driven, whatever it is a run of.
#[derive(Clone)]
pub(super) struct Manner {
    pub(super) cadence: Cadence,
    pub(super) tolerance: Option<Tolerance>,
    pub(super) deadline: Deadline,
    pub(super) bounds: Bounds,
    /// Where it is kept what the service was seen to take.
    pub(super) limits: Option<Kept>,
    pub(super) settle_after_loss: Duration,
    /// Only so far as until there is nothing to do but wait.
    pub(super) detach: bool,
    /// Results are written although some shards have none.
    pub(super) partial: bool,
    /// What answers are to be.
    pub(super) expect: Option<Expect>,
    /// Lines are sent one by one where no batch of them was begun.
    pub(super) synchronous: bool,
    pub(super) pace: Pace,
    /// How long before its window ends a batch is stopped, if at all.
    pub(super) rescue_before: Option<Duration>,
    pub(super) rescue_anyway: bool,
    pub(super) on_progress: OnProgress,
    /// Where a reader takes what is told, and is waited for when it is far behind.
    pub(super) told: Option<Arc<Queue>>,
}

/// A run at work.
pub(super) struct Driver {
    client: Client,
    pub(super) folder: Folder,
    options: BatchOptions,
    manner: Manner,
    schedule: Schedule,
    /// Until when the service has asked for a pause.
    paused_until: Option<Instant>,
    /// How far the batches are, and why the run waits, as it was left last for who looks on.
    noted: Noted,
    /// The reasons for which shards wait that were told.
    told: BTreeSet<&'static str>,
    /// What was last seen of batches that are over.
    seen: BTreeMap<BatchId, Batch>,
    /// The batches that this process has asked to stop.
    stopped: BTreeSet<BatchId>,
    /// Whether the batches at work were looked at, and what there is was written, before lost creates are looked for.
    glanced: bool,
    interim: bool,
    /// Whether the list was looked at for batches that the log does not hold, or that another run has made.
    looked: bool,
    /// How often there was no room although none of the run's batches was at work.
    refused: u32,
    /// Whether the service can be reached.
    reach: Reach,
    unanswered: Unanswered,
    /// How often an upload of a shard was cut off.
    cut_off: BTreeMap<u32, u32>,
    /// Lets requests through that are sent one by one.
    gate: Arc<Gate>,
    /// When the windows of batches end, as far as they were seen.
    windows: Windows,
    /// The shards of which it was asked whether their file is still at the service.
    sought: BTreeSet<u32>,
}

/// Why the work stops: `Later` when there is nothing to do now but to wait, and that was not asked for; `Interim`, once, when
/// the results that there are can be written before it goes on.
pub(super) enum Stopped {
    Later,
    Interim,
    Failed(RunError),
}

impl From<RunError> for Stopped {
    fn from(error: RunError) -> Self {
        Self::Failed(error)
    }
}

impl Driver {
    pub(super) fn new(client: Client, folder: Folder, options: BatchOptions, manner: Manner) -> Self {
        let learned = match manner.limits.as_ref().map(|kept| (kept, kept.read(seam::now()))) {
            None => Learned::default(),
            Some((_, Ok(learned))) => learned,
            Some((kept, Err(why))) => {
                (manner.on_progress)(Progress::LimitsUnread { file: kept.path(), why: &why });
                Learned::default()
            }
        };
        let (reach, unanswered) =
            (Reach::new(Arc::clone(&manner.on_progress)), Unanswered::new(manner.cadence.pauses()));
        let mut schedule = Schedule::new(manner.bounds.clone(), learned);
        schedule.synchronous = manner.synchronous;
        let gate = Arc::new(Gate::new(&manner.pace));
        // What the process before has left is so until this one knows better.
        let Noted { unreached, refused, .. } = Noted::read(folder.path());
        let noted = Noted { unreached, ..Noted::default() };
        if refused.is_some() {
            folder.note(&noted);
        }
        Self {
            client,
            folder,
            options,
            manner,
            schedule,
            paused_until: None,
            noted,
            told: BTreeSet::new(),
            seen: BTreeMap::new(),
            stopped: BTreeSet::new(),
            glanced: false,
            interim: false,
            looked: false,
            refused: 0,
            reach,
            unanswered,
            cut_off: BTreeMap::new(),
            gate,
            windows: Windows::default(),
            sought: BTreeSet::new(),
        }
    }

    pub(super) fn deadline(&self) -> Deadline {
        self.manner.deadline
    }

    /// Works until the run is finished.
    pub(super) async fn drive(&mut self) -> Result<(), Stopped> {
        loop {
            match Box::pin(self.step()).await {
                Ok(true) => return Ok(()),
                Ok(false) => self.went_on(),
                Err(Stopped::Failed(error)) => {
                    self.note_refused(&error);
                    Box::pin(self.outlast(error)).await?;
                }
                Err(stopped) => return Err(stopped),
            }
        }
    }

    /// Does what is to be done next. Whether that was all. Each step is boxed: together they would be much for the stack of a
    /// thread.
    async fn step(&mut self) -> Result<bool, Stopped> {
        if let Some(told) = self.manner.told.clone() {
            told.room().await;
        }
        Box::pin(self.heed_cancel()).await?;
        Box::pin(self.stop_surplus()).await?;
        Box::pin(self.rescue()).await?;
        match self.next() {
            // What needs no looking for anything comes first: that takes minutes, which a tick may not have.
            Next::Resolve if (self.manner.detach || self.manner.partial) && !self.glanced => {
                self.glanced = true;
                Box::pin(self.glance()).await?;
            }
            Next::Resolve if self.manner.partial && !self.interim => {
                self.interim = true;
                return Err(Stopped::Interim);
            }
            Next::Resolve => Box::pin(self.resolve()).await?,
            Next::Settle(shard) => Box::pin(self.settle(shard)).await?,
            Next::Submit(shard) => Box::pin(self.submit(shard)).await?,
            Next::Answer(shard) => Box::pin(self.answer(shard)).await?,
            Next::Rest(shard) => Box::pin(self.leave(shard)).await?,
            Next::Halve(shard, than) => Box::pin(self.halve_for(shard, than)).await?,
            Next::SettleSurplus(shard) => Box::pin(self.settle_surplus(shard)).await?,
            Next::Wait if self.manner.detach => {
                if !Box::pin(self.look()).await? {
                    return Err(Stopped::Later);
                }
            }
            Next::Wait => Box::pin(self.wait()).await?,
            Next::Held => {
                self.note_held();
                return Err(self.held().into());
            }
            Next::Merge => {
                // What was found is waited for, and fetched.
                if !Box::pin(self.look_for_surplus()).await? {
                    Box::pin(self.merge()).await?;
                }
            }
            Next::Done => return Ok(true),
        }
        Ok(false)
    }

    /// What is to be done next.
    fn next(&mut self) -> Next {
        self.schedule.paused = self.is_paused();
        self.folder.state.next(&self.schedule, seam::now())
    }

    /// Whether the service has asked for a pause that is not over.
    fn is_paused(&self) -> bool {
        self.paused_until.is_some_and(|until| Instant::now() < until)
    }

    /// Keeps what the service was seen to take. That it cannot be kept is no reason to stop.
    fn keep_limits(&mut self) {
        if let Some(kept) = &self.manner.limits
            && let Err(error) = kept.write(self.schedule.learned(), seam::now())
            && self.told.insert("limits are not kept")
        {
            self.tell(Progress::LimitsUnread { file: kept.path(), why: &error.to_string() });
        }
    }

    /// Heeds a cancellation, of this process or of one that did not get the lock: no more creates, and each batch that is
    /// at work is asked to stop, once by each process.
    pub(super) async fn heed_cancel(&mut self) -> Result<(), RunError> {
        if self.folder.cancel_is_asked() {
            if !self.folder.state.cancelled {
                self.folder.say(Event::Cancelled)?;
            }
            self.folder.forget_cancel();
        }
        if !self.folder.state.cancelled {
            return Ok(());
        }
        let created = self.folder.state.shards.values().filter(|shard| shard.phase == Phase::Created);
        let ids: Vec<BatchId> = created.filter_map(|shard| shard.batch().cloned()).collect();
        let mut refused = None;
        for id in ids {
            if self.stopped.contains(&id) {
                continue;
            }
            match self.manner.deadline.bound(self.client.batches().cancel(&id)).await {
                Ok(_) => {}
                // It is over already.
                Err(error) if error.is_conflict() => {}
                // The service does not know it now: it is asked again, and whoever waits for it holds its shard.
                Err(error) if error.is_not_found() => continue,
                Err(error) if error.is_deadline() => return Err(self.service(error).repeatable()),
                // The others are asked all the same: each that goes on is charged.
                Err(error) => {
                    refused.get_or_insert(error);
                    continue;
                }
            }
            self.stopped.insert(id);
        }
        match refused {
            None => Ok(()),
            Some(error) => Err(self.service(error).repeatable()),
        }
    }

    /// A shard waits for a word of a person.
    fn hold(&mut self, shard: u32, why: String) -> Result<(), RunError> {
        self.folder.say(Event::Held { shard, why: why.clone() })?;
        self.tell(Progress::Held { shard, why: &why });
        Ok(())
    }

    fn tell(&self, progress: Progress<'_>) {
        (self.manner.on_progress)(progress);
    }

    fn service(&self, error: Error) -> RunError {
        let kind = if error.is_deadline() && !self.folder.state.batches().is_empty() {
            Kind::GaveUp
        } else {
            Kind::Service(error)
        };
        self.ended(kind)
    }

    fn ended(&self, kind: Kind) -> RunError {
        RunError::new(kind).at(self.folder.path()).of(&self.folder.state)
    }

    fn held(&self) -> RunError {
        let held = self.folder.state.shards.iter().filter_map(|(number, shard)| Some((*number, shard.held.clone()?)));
        // Where the batch is known, or no create was sent, there is none to be looked for.
        let known = |phase: &Phase| matches!(phase, Phase::Planned | Phase::Created | Phase::Over | Phase::Fetched);
        let mut shards = self.folder.state.shards.values().filter(|shard| shard.held.is_some());
        let may_have_others = shards.any(|shard| !known(&shard.phase));
        self.ended(Kind::Held { shards: held.collect(), may_have_others })
    }

    fn failed(&self, doing: &str, path: &std::path::Path, error: std::io::Error) -> RunError {
        RunError::io(doing, path, error).at(self.folder.path()).of(&self.folder.state)
    }

    /// Puts all results together.
    async fn merge(&mut self) -> Result<(), RunError> {
        if self.folder.state.has_failed() {
            let whys = self.folder.state.shards.values().filter_map(|shard| match &shard.phase {
                Phase::Failed(why) => Some(why.clone()),
                _ => None,
            });
            return Err(self.ended(Kind::Failed(whys.collect())));
        }
        self.tell(Progress::Joining);
        let results = put_together(&self.folder, &self.client, self.manner.expect.as_ref()).await;
        let results = results.map_err(|error| error.of(&self.folder.state))?;
        self.folder.say(Event::Finished { results })
    }
}
