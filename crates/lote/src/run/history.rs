//! What a run was asked, and when what happened to it, as its folder says: for people who look back at it.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Serialize;
use serde_json::{Map, Value};

use super::{
    RunError, ShardPlan, SynchronousLines,
    event::Event,
    folder::Folder,
    log::{Frame, Log},
    record::known_as,
    report::shown,
    state::Shard,
};
use crate::{UnixSeconds, save::Dir};

/// What a run was asked, and when what happened. Instants are by the clock of the machine at work on it.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunHistory {
    /// The version of lote that began it.
    pub lote: String,
    /// The dialect of the service.
    pub dialect: String,
    /// The options of its batches, as they are sent.
    pub options: Map<String, Value>,
    /// The files that its request lines came from.
    pub inputs: Vec<RunInput>,
    /// The bytes of its request lines.
    pub bytes: u64,
    /// How many request lines ask for each model.
    pub models: BTreeMap<String, u64>,
    /// When it was begun.
    pub begun_at: UnixSeconds,
    /// When each process began to work on it.
    pub opened_at: Vec<UnixSeconds>,
    /// When something was written down last.
    pub last_at: UnixSeconds,
    /// When its results were all there, if they are.
    pub finished_at: Option<UnixSeconds>,
    /// Lines that were sent one by one and have ended, if any were.
    pub synchronous: Option<SynchronousLines>,
    /// Its shards.
    pub shards: Vec<ShardHistory>,
}

/// A file that request lines came from.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct RunInput {
    /// Where it was; of what the command makes of a table or reads from stdin, what that is called.
    #[serde(serialize_with = "shown")]
    pub path: PathBuf,
    /// How many request lines it had.
    pub lines: u64,
    /// The bytes of those.
    pub bytes: u64,
    /// SHA-256 of those, in lower-case hex.
    pub sha256: String,
}

/// When what happened to a shard. Of what happened more than once, such as a create, it is the last time.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct ShardHistory {
    /// What was planned of it, its number among that.
    #[serde(flatten)]
    pub plan: ShardPlan,
    /// Which attempt it is of, from 1.
    pub attempt: u32,
    /// When its lines were at the service.
    pub uploaded_at: Option<UnixSeconds>,
    /// When its batch was created, or found.
    pub created_at: Option<UnixSeconds>,
    /// When its lines began to be sent one by one, in place of a batch.
    pub synchronous_at: Option<UnixSeconds>,
    /// When its batch was seen to be over.
    pub over_at: Option<UnixSeconds>,
    /// When what its batch has was here, or each line that was sent one by one had an answer.
    pub fetched_at: Option<UnixSeconds>,
    /// When each of its lines had a result.
    pub settled_at: Option<UnixSeconds>,
    /// When it was certain that none of its lines was run.
    pub failed_at: Option<UnixSeconds>,
    /// When its lines went into two others.
    pub halved_at: Option<UnixSeconds>,
}

/// What the run in a folder was asked, and when what happened to it. Nothing is asked of a service, and nothing is written:
/// another process may be at work on the run meanwhile.
///
/// # Errors
/// One that [`is_place`](RunError::is_place), [`is_taken`](RunError::is_taken) or
/// [`is_unreadable`](RunError::is_unreadable) when there is no run that can be read.
pub fn history(folder: impl AsRef<Path>) -> Result<RunHistory, RunError> {
    let path = folder.as_ref();
    let seen = Folder::look(path)?;
    let dir = Dir::open(path).map_err(|error| RunError::io("open", path, error).at(path))?;
    let frames = Log::look(&dir).map_err(|error| super::folder::log_error(error, path))?.frames;
    let record = seen.record;
    let mut shards: BTreeMap<u32, ShardHistory> =
        seen.state.shards.iter().map(|(number, shard)| (*number, ShardHistory::new(shard))).collect();
    let (mut opened_at, mut finished_at) = (Vec::new(), None);
    for Frame { wall, events, .. } in &frames {
        for event in events {
            match event {
                Event::Opened(_) => opened_at.push(*wall),
                Event::Finished { .. } => finished_at = Some(*wall),
                _ => {}
            }
            if let Some(shard) = number(event).and_then(|number| shards.get_mut(&number)) {
                shard.add(event, *wall);
            }
        }
    }
    let last = frames.last().map_or(record.begun_at, |frame| frame.wall);
    Ok(RunHistory {
        lote: record.lote,
        dialect: record.asked.dialect,
        options: record.asked.options,
        inputs: record.sources.into_iter().map(RunInput::from).collect(),
        bytes: record.bytes,
        models: record.models,
        begun_at: record.begun_at,
        opened_at,
        last_at: last,
        synchronous: SynchronousLines::of(&seen.state),
        finished_at: finished_at.filter(|_| seen.state.finished.is_some()),
        shards: shards.into_values().collect(),
    })
}

impl From<super::record::Source> for RunInput {
    fn from(source: super::record::Source) -> Self {
        let super::record::Source { path, lines, bytes, sha256 } = source;
        let path = PathBuf::from(path);
        // What the command kept meanwhile of a table, or of stdin, is gone.
        let made_of = path.file_name().and_then(|name| name.to_str()).filter(|name| known_as(name) != *name);
        let path = made_of.map(|name| known_as(name).into()).unwrap_or(path);
        Self { path, lines, bytes, sha256 }
    }
}

impl ShardHistory {
    fn new(shard: &Shard) -> Self {
        Self {
            plan: shard.plan.clone(),
            attempt: shard.attempt,
            uploaded_at: None,
            created_at: None,
            synchronous_at: None,
            over_at: None,
            fetched_at: None,
            settled_at: None,
            failed_at: None,
            halved_at: None,
        }
    }

    fn add(&mut self, event: &Event, at: UnixSeconds) {
        match event {
            Event::Uploaded { .. } => self.uploaded_at = Some(at),
            // A batch that counts no more has taken its time with it, and so have lines of which none was taken.
            Event::Creating { .. }
            | Event::Refused { .. }
            | Event::NoBatch { .. }
            | Event::Postponed { .. }
            | Event::Unsent { .. } => {
                (self.created_at, self.synchronous_at) = (None, None);
                (self.over_at, self.fetched_at, self.settled_at) = (None, None, None);
            }
            Event::Synchronous { .. } => self.synchronous_at = Some(at),
            Event::Created { .. } => self.created_at = Some(at),
            Event::Over { .. } => self.over_at = Some(at),
            Event::Fetched { .. } => self.fetched_at = Some(at),
            Event::Unsettled { fetched, .. } => {
                self.settled_at = None;
                self.fetched_at = self.fetched_at.filter(|_| *fetched);
            }
            Event::Settled { .. } => self.settled_at = Some(at),
            Event::Failed { .. } => self.failed_at = Some(at),
            Event::Halved { .. } => self.halved_at = Some(at),
            _ => {}
        }
    }
}

/// Which shard an event is of, of those that have their instants here.
fn number(event: &Event) -> Option<u32> {
    match event {
        Event::Uploaded { shard, .. }
        | Event::Creating { shard, .. }
        | Event::Created { shard, .. }
        | Event::Refused { shard, .. }
        | Event::NoBatch { shard, .. }
        | Event::Postponed { shard, .. }
        | Event::Synchronous { shard, .. }
        | Event::Unsent { shard, .. }
        | Event::Over { shard, .. }
        | Event::Fetched { shard, .. }
        | Event::Unsettled { shard, .. }
        | Event::Settled { shard, .. }
        | Event::Failed { shard, .. }
        | Event::Halved { shard, .. } => Some(*shard),
        _ => None,
    }
}
