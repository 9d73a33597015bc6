//! The lines of one slice that are being answered. Each is answered or broken; the rest are given up when this is dropped.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt, StreamExt};
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::executor::{Failure, LineAnswer};

/// Lines in flight, numbered in the order they began, each with what it is known by.
pub(super) struct InFlight<T> {
    lines: Lines,
    begun: u64,
    tags: BTreeMap<u64, T>,
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

impl<T> InFlight<T> {
    /// Under a virtual clock everything happens in a definite order.
    pub(super) fn new(clock: &Clock) -> InFlight<T> {
        let lines =
            if clock.is_virtual() { Lines::Inline(FuturesUnordered::new()) } else { Lines::Spawned(JoinSet::new()) };
        InFlight { lines, begun: 0, tags: BTreeMap::new() }
    }

    pub(super) fn len(&self) -> usize {
        self.tags.len()
    }

    pub(super) fn begin<F>(&mut self, tag: T, answer: F)
    where
        F: Future<Output = Came> + Send + 'static,
    {
        let number = self.begun;
        self.begun += 1;
        self.tags.insert(number, tag);
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
    pub(super) async fn next(&mut self) -> Option<(T, Came)> {
        let (number, answer) = match &mut self.lines {
            // A task that neither ends nor breaks was aborted, with the runtime.
            Lines::Spawned(tasks) => tasks.join_next().await?.ok()?,
            Lines::Inline(futures) => futures.next().await?,
        };
        self.tags.remove(&number).map(|tag| (tag, answer))
    }
}
