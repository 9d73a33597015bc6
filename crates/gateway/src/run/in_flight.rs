//! The lines of one batch that are being answered. Each is answered, broken, or still here when the rest are given up.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::executor::{Failure, LineAnswer};

/// Lines in flight, numbered in the order they began.
pub(super) struct InFlight {
    lines: Lines,
    begun: u64,
    custom_ids: BTreeMap<u64, String>,
}

/// What came of a line.
type Came = Result<LineAnswer, Failure>;

/// The number of a line and what came of it.
type Numbered = (u64, Came);

enum Lines {
    /// On all processors.
    Spawned(JoinSet<Numbered>),
    /// Within the batch's own task, so that they begin and end in a definite order.
    Inline(FuturesUnordered<BoxFuture<'static, Numbered>>),
}

impl InFlight {
    /// Under a virtual clock everything happens in a definite order.
    pub(super) fn new(clock: &Clock) -> InFlight {
        let lines =
            if clock.is_virtual() { Lines::Inline(FuturesUnordered::new()) } else { Lines::Spawned(JoinSet::new()) };
        InFlight { lines, begun: 0, custom_ids: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.custom_ids.len()
    }

    pub(super) fn begin<F>(&mut self, custom_id: String, answer: F)
    where
        F: Future<Output = Came> + Send + 'static,
    {
        let number = self.begun;
        self.begun += 1;
        self.custom_ids.insert(number, custom_id);
        let line = AssertUnwindSafe(answer).catch_unwind().map(move |answer| {
            let broke = |_| Err(Failure::broken());
            (number, answer.unwrap_or_else(broke))
        });
        match &mut self.lines {
            Lines::Spawned(tasks) => {
                tasks.spawn(line);
            }
            Lines::Inline(futures) => futures.push(line.boxed()),
        }
    }

    /// The next line that is done; none when there is none in flight. Dropping the future loses
    /// nothing.
    pub(super) async fn next(&mut self) -> Option<(String, Came)> {
        let (number, answer) = match &mut self.lines {
            // A task that neither ends nor breaks was aborted, with the runtime.
            Lines::Spawned(tasks) => tasks.join_next().await?.ok()?,
            Lines::Inline(futures) => futures.next().await?,
        };
        self.custom_ids.remove(&number).map(|custom_id| (custom_id, answer))
    }

    /// Gives up all that are not done, and with them what they hold; returns their custom_ids.
    pub(super) fn give_up(self) -> Vec<String> {
        self.custom_ids.into_values().collect()
    }
}
