//! Puts the lines of a shard that is too big into two others.

use super::Driver;
use crate::{
    Error,
    heavy::blocking,
    run::{Progress, RunError, event::Event, halve::halve, merge::Fault, refusal::Lack, schedule::Than, state::Shard},
};

/// How many lines may be too big for a service that has taken nothing, before it is not asked any more.
const MOST_TOO_BIG: usize = 8;

impl Driver {
    /// A shard was refused as too big. A service that has taken nothing, and many a line is too big for alone, is not asked
    /// about each of the others.
    pub(super) async fn too_big(&mut self, number: u32, error: Error) -> Result<(), RunError> {
        if self.folder.state.lines_too_big() >= MOST_TOO_BIG {
            return Err(self.service(error));
        }
        self.halve(number, error.to_string()).await
    }

    /// Halves a shard before it is sent in vain.
    pub(super) async fn halve_for(&mut self, number: u32, than: Than) -> Result<(), RunError> {
        let why = match than {
            Than::Shard(like) => {
                let why = self.folder.state.shards.get(&like).and_then(|shard| shard.why.clone()).unwrap_or_default();
                format!("it is as large as shard {like}, which was too big: {why}")
            }
            Than::Tokens(most) => format!("it has more tokens than the {most} that may be at work"),
        };
        self.halve(number, why).await
    }

    /// Whether waiting for room is no help, since a shard by itself is more than the service allows.
    pub(super) fn is_over(&self, number: u32, lack: Lack) -> bool {
        let shard = self.folder.state.shards.get(&number);
        let over = |shard: &Shard| self.schedule.is_over(&self.folder.state, &shard.plan, lack);
        shard.is_some_and(over) && !self.folder.state.cancelled
    }

    /// Puts the lines of a shard that is too big into two others, unless it is one line alone.
    pub(super) async fn halve(&mut self, number: u32, why: String) -> Result<(), RunError> {
        let Some(plan) = self.folder.state.shards.get(&number).map(|shard| shard.plan.clone()) else { return Ok(()) };
        if plan.lines < 2 {
            return self.folder.say(Event::Failed { shard: number, why });
        }
        self.folder.check()?;
        let (root, access, first) =
            (self.folder.path().to_owned(), self.folder.access(), self.folder.state.next_number());
        let halved = blocking(move || halve(&root, access, &plan, first)).await;
        let halves = halved.map_err(|Fault(path, error)| self.failed("halve", &path, error))?;
        self.folder.sync_shards()?;
        let numbers = [halves[0].plan.number, halves[1].plan.number];
        self.folder.say(Event::Halved { shard: number, why: why.clone(), halves: halves.into() })?;
        // A run whose folder is lost, or that was copied, may have made batches of them.
        self.looked = false;
        self.tell(Progress::Halved { shard: number, halves: numbers, why: &why });
        Ok(())
    }
}
