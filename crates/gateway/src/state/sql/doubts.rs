//! What this process may hold without knowing it: the answer to a claim was lost, or something could not be given back.
//! The worker lives, so that nobody else would ever take it.

use tokio::sync::MutexGuard;

use crate::state::sql::database::Database;
use crate::state::{Held, StateError, Work, Worker};

/// A batch, or one of its slices by number and epoch, that is to be given back.
#[derive(Debug)]
pub(super) struct Doubt {
    me: Worker,
    held: Held,
    slice: Option<(u32, i64)>,
}

impl Doubt {
    pub(super) fn new(me: &Worker, held: &Held, slice: Option<(u32, i64)>) -> Doubt {
        Doubt { me: me.clone(), held: held.clone(), slice }
    }

    /// Of what a claim would have got.
    pub(super) fn of(me: &Worker, work: &Work) -> Doubt {
        match work {
            Work::Validate(held) | Work::Finish(held) => Doubt::new(me, held, None),
            Work::Execute(claim) => Doubt::new(me, &claim.held, Some((claim.slice.number, claim.epoch))),
        }
    }
}

impl Database {
    /// Gives back all that is in doubt. Until the guard is dropped nothing is claimed, or the same epoch could be claimed
    /// anew before it is given back.
    pub(super) async fn settle_doubts(&self) -> Result<MutexGuard<'_, Vec<Doubt>>, StateError> {
        let mut doubts = self.doubts.lock().await;
        while let Some(Doubt { me, held, slice }) = doubts.last() {
            self.give_back_now(me, held, *slice).await?;
            doubts.pop();
        }
        Ok(doubts)
    }

    /// Gives it back, or remembers to.
    pub(super) async fn give_back(
        &self,
        me: &Worker,
        held: &Held,
        slice: Option<(u32, i64)>,
    ) -> Result<(), StateError> {
        let given = self.give_back_now(me, held, slice).await;
        if given.is_err() {
            self.doubts.lock().await.push(Doubt::new(me, held, slice));
        }
        given
    }
}
