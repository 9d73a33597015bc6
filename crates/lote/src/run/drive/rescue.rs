//! Stops batches whose windows end soon, and puts what they leave unanswered into shards that are sent one by one; never
//! before they are over, and what they have is fetched.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::Driver;
use crate::{
    Batch, BatchId, UnixSeconds,
    heavy::blocking,
    run::{
        Progress, RunError,
        event::Event,
        merge::Fault,
        repair::Search,
        seam::{Rule, kept},
        state::{Phase, Shard},
    },
};

/// How long a batch may take to stop, in seconds, however soon its window ends: OpenAI says up to ten minutes
/// (docs/facts.md, 2.3).
const STOPPING: i64 = 15 * 60;

/// When the windows of batches end, as far as they were seen, and when they were seen last. Clones share it.
#[derive(Clone, Debug, Default)]
pub(super) struct Windows(Arc<Mutex<BTreeMap<BatchId, Window>>>, Arc<Notify>);

/// In seconds of the service's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    end: i64,
    seen: i64,
}

impl Windows {
    fn all(&self) -> MutexGuard<'_, BTreeMap<BatchId, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes note of what a batch says of its window, at this time of the service's.
    pub(super) fn seen(&self, batch: &Batch, now: UnixSeconds) {
        // One that is over is late for nothing.
        if batch.is_terminal() {
            self.all().remove(&batch.id);
            return;
        }
        let after = || {
            let window = seconds(batch.completion_window.as_deref()?)?;
            batch.created_at?.get().checked_add(window)
        };
        if let Some(end) = batch.expires_at.map(UnixSeconds::get).or_else(after) {
            self.all().insert(batch.id.clone(), Window { end, seen: now.get() });
            self.1.notify_one();
        }
    }

    /// Waits until a batch was seen.
    pub(super) async fn news(&self) {
        self.1.notified().await;
    }

    fn of(&self, batch: &BatchId) -> Option<Window> {
        self.all().get(batch).copied()
    }
}

/// How long a window such as `24h`, `90m` or `7d` is.
fn seconds(window: &str) -> Option<i64> {
    let (number, unit) = window.split_at_checked(window.len().checked_sub(1)?)?;
    let unit = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    number.parse::<i64>().ok().filter(|number| *number > 0)?.checked_mul(unit)
}

/// What is to be done about a batch.
enum Due {
    /// It is decided that what it leaves is sent one by one; when its window ends, if it has not ended.
    Decide(BatchId, Option<i64>),
    /// It has not stopped in time.
    Overdue(BatchId, u64),
}

impl Driver {
    /// Whether batches are looked at for that.
    pub(super) fn is_rescue_asked(&self) -> bool {
        let decided = |shard: &Shard| shard.rescued.is_some() && !shard.is_rest_known;
        self.manner.rescue_before.is_some() || self.folder.state.shards.values().any(decided)
    }

    /// Whether something is to be decided about a batch.
    pub(super) fn is_rescue_due(&self) -> bool {
        self.folder.state.shards.values().any(|shard| self.due(shard).is_some())
    }

    /// The service's time, as its answers tell it.
    pub(super) fn service_time(&self) -> UnixSeconds {
        self.client.shared().time()
    }

    fn due(&self, shard: &Shard) -> Option<Due> {
        let state = &self.folder.state;
        if state.cancelled || state.finished.is_some() || shard.held.is_some() || shard.is_rest_known {
            return None;
        }
        let (batch, now) = (shard.batch()?, self.service_time().get());
        match (shard.rescued, &shard.phase) {
            (None, Phase::Created) => {
                let (Window { end, .. }, before) = (self.windows.of(batch)?, self.manner.rescue_before?);
                let before = i64::try_from(before.as_secs()).unwrap_or(i64::MAX);
                (now >= end.saturating_sub(before)).then(|| Due::Decide(batch.clone(), Some(end)))
            }
            // Whoever wants lines in time wants those too that are late. Lines of earlier attempts are in others now.
            (None, Phase::Settled(_)) => {
                let is_late = shard.status.as_deref() == Some("expired") && shard.attempt == state.attempt;
                (is_late && self.manner.rescue_before.is_some()).then(|| Due::Decide(batch.clone(), None))
            }
            (Some(at), Phase::Created) => {
                // It was looked at after that, and was not over.
                let is_overdue = self
                    .windows
                    .of(batch)
                    .is_some_and(|Window { end, seen }| seen > end.max(at.get().saturating_add(STOPPING)));
                (is_overdue || !kept(Rule::Over)).then(|| Due::Overdue(batch.clone(), shard.plan.lines))
            }
            // One that says that it has stopped, and stops for ever: what it has finished does not come.
            (Some(_), Phase::Over) if self.manner.rescue_anyway => {
                let stops = shard.status.as_deref() == Some("cancelling");
                stops.then(|| Due::Overdue(batch.clone(), shard.plan.lines))
            }
            _ => None,
        }
    }

    /// Decides about batches whose windows end soon, and stops those of which it was decided.
    pub(super) async fn rescue(&mut self) -> Result<(), RunError> {
        let due = |(number, shard): (&u32, &Shard)| Some((*number, self.due(shard)?));
        let due: Vec<(u32, Due)> = self.folder.state.shards.iter().filter_map(due).collect();
        for (shard, due) in due {
            match due {
                Due::Decide(batch, end) => {
                    self.folder.say(Event::Rescued { shard, at: self.service_time() })?;
                    let ends_at = end.and_then(|end| UnixSeconds::new(end).ok());
                    self.tell(Progress::Rescued { shard, batch: &batch, ends_at });
                }
                Due::Overdue(batch, lines) => self.overdue(shard, &batch, lines)?,
            }
        }
        if !self.client.dialect().cancel_delivers() || self.folder.state.cancelled {
            return Ok(());
        }
        let stops = |shard: &&Shard| shard.rescued.is_some() && shard.phase == Phase::Created && shard.held.is_none();
        let ids: Vec<BatchId> =
            self.folder.state.shards.values().filter(stops).filter_map(|shard| shard.batch().cloned()).collect();
        for id in ids {
            if self.stopped.contains(&id) {
                continue;
            }
            match self.manner.deadline.bound(self.client.batches().cancel(&id)).await {
                // Over already, or not known now: whoever waits for it is told.
                Err(error) if !error.is_conflict() && !error.is_not_found() => {
                    return Err(self.service(error).repeatable());
                }
                _ => self.stopped.insert(id),
            };
        }
        Ok(())
    }

    /// A batch has not ended although its window is over: it may still answer lines, and charge them. A person must say.
    fn overdue(&mut self, shard: u32, batch: &BatchId, lines: u64) -> Result<(), RunError> {
        let why = format!(
            "its batch {batch} was to stop and has not, and its window is over: up to {lines} of its lines may be charged \
             twice when they are sent one by one (--rescue-anyway)"
        );
        if !self.manner.rescue_anyway && kept(Rule::Over) {
            return self.hold(shard, why);
        }
        self.tell(Progress::RescuedAnyway { shard, batch, lines });
        self.folder.say(Event::Held { shard, why: why.clone() })?;
        self.folder.say(Event::NoBatch { shard, why })
    }

    /// Puts the lines that a rescued batch has left unanswered into a shard of their own.
    pub(super) async fn leave(&mut self, number: u32) -> Result<(), RunError> {
        self.folder.check()?;
        let Some(search) = Search::of_rest(&self.folder, number) else { return Ok(()) };
        let found = blocking(move || search.shards()).await;
        let mut found = found.map_err(|Fault(path, error)| self.failed("look through", &path, error))?;
        let rest = found.pop();
        if rest.is_some() {
            self.folder.sync_shards()?;
        }
        let (lines, other) = (rest.as_ref().map_or(0, |rest| rest.lines), rest.as_ref().map(|rest| rest.number));
        self.folder.say(Event::Rest { shard: number, rest })?;
        self.tell(Progress::Rest { shard: number, lines, rest: other });
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_are_read_in_every_unit() {
        for (window, expected) in [
            ("24h", Some(86_400)),
            ("1d", Some(86_400)),
            ("90m", Some(5_400)),
            ("45s", Some(45)),
            ("", None),
            ("h", None),
            ("-1h", None),
            ("0h", None),
            ("24 h", None),
            ("é", None),
            ("99999999999999999999d", None),
            ("9999999999999999d", None),
        ] {
            assert_eq!(seconds(window), expected, "{window}");
        }
        let batch = |json: serde_json::Value| Batch::read("batch", serde_json::from_value(json).unwrap()).unwrap();
        let (windows, now) = (Windows::default(), UnixSeconds::new(9).unwrap());
        let id: BatchId = "b".parse().unwrap();
        windows.seen(&batch(serde_json::json!({"id": "b", "status": "in_progress"})), now);
        assert_eq!(windows.of(&id), None);
        let made =
            serde_json::json!({"id": "b", "status": "in_progress", "created_at": 100, "completion_window": "1h"});
        windows.seen(&batch(made.clone()), now);
        assert_eq!(windows.of(&id), Some(Window { end: 3_700, seen: 9 }));
        let mut said = made;
        said["expires_at"] = 5.into();
        windows.seen(&batch(said), now);
        assert_eq!(windows.of(&id), Some(Window { end: 5, seen: 9 }));
        let over = serde_json::json!({"id": "b", "status": "cancelled", "expires_at": 5});
        windows.seen(&batch(over), UnixSeconds::new(99).unwrap());
        assert_eq!(windows.of(&id), None);
    }
}
