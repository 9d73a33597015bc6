//! What a simulated service is like: what it keeps, what its list shows, and when.

use std::time::Duration;

/// What a service is like.
#[derive(Clone, Debug)]
pub(super) struct Nature {
    /// Whether the metadata of a batch is kept.
    pub(super) metadata: bool,
    /// Whether an upload of bytes that it has is answered with the file that it has.
    pub(super) one_file_a_content: bool,
    /// How long it takes until the list shows a batch.
    pub(super) lag: Duration,
    /// How late a create may take effect whose answer was lost.
    pub(super) late: Duration,
    pub(super) list: List,
    /// Whether a create with a key that it has seen makes no second batch.
    pub(super) keys: bool,
    /// Whether the account has an earlier batch.
    pub(super) earlier: bool,
    /// Whether output files hold fewer lines than the counts say.
    pub(super) loses_lines: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    /// It says where it ends.
    Whole,
    /// It never says whether there is more.
    NoEnd,
    /// It shows nothing.
    Empty,
    /// It shows the youngest batch alone, and says that this is all.
    Cut,
}

impl Nature {
    pub(super) fn plain() -> Self {
        Self {
            metadata: true,
            one_file_a_content: false,
            lag: Duration::ZERO,
            late: Duration::ZERO,
            list: List::Whole,
            keys: false,
            earlier: true,
            loses_lines: false,
        }
    }

    /// Whether a batch is in the list as soon as it is made.
    pub(super) fn shows_at_once(&self) -> bool {
        self.lag == Duration::ZERO && matches!(self.list, List::Whole | List::NoEnd)
    }

    /// Drawn by lot.
    pub(super) fn drawn(rng: &mut fastrand::Rng) -> Self {
        let seconds = |rng: &mut fastrand::Rng| Duration::from_secs([0, 0, 0, 5, 50, 300][rng.usize(..6)]);
        Self {
            metadata: rng.usize(..4) > 0,
            one_file_a_content: rng.usize(..4) == 0,
            lag: seconds(rng),
            late: seconds(rng),
            list: [List::Whole, List::Whole, List::Whole, List::Whole, List::NoEnd, List::Empty, List::Cut]
                [rng.usize(..7)],
            keys: rng.usize(..4) == 0,
            earlier: rng.usize(..8) > 0,
            loses_lines: rng.usize(..6) == 0,
        }
    }
}
