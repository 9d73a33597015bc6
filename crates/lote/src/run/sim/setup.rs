//! What a simulated run is: how many lines it has, what its service is like, how they are sold, and what happens to it.

use std::time::Duration;

use super::{
    life::SETTLE,
    nature::{List, Nature},
};

/// What happens to a run besides what goes wrong by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scenario {
    Plain,
    /// Lines that did not succeed are tried again.
    Attempts,
    /// It is cancelled while it is at work.
    Cancel,
    /// After a crash a copy of its folder is gone on with.
    Copy,
    /// After a crash an older copy takes the place of its folder.
    Restore,
    /// While it is at work an older copy takes the place of its folder, and is gone on with.
    Replace,
    /// Somebody tries to go on with it at another service.
    Elsewhere,
    /// The lines of a shard are changed in its folder.
    Altered,
    /// Its folder is lost, and it is begun again.
    Lost,
    /// Its service ends with its process.
    Embedded,
    /// The wall clock jumps.
    Jump,
    /// What came of its shards is damaged in its folder.
    Damaged,
    /// Another process wants to go on with it.
    Two,
    /// It is gone on with tick by tick, by processes that do not wait.
    Ticks,
}

impl Scenario {
    const ALL: [Self; 14] = [
        Self::Plain,
        Self::Attempts,
        Self::Cancel,
        Self::Copy,
        Self::Restore,
        Self::Replace,
        Self::Elsewhere,
        Self::Altered,
        Self::Lost,
        Self::Embedded,
        Self::Jump,
        Self::Damaged,
        Self::Two,
        Self::Ticks,
    ];
}

/// How the lines are sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Batches,
    /// One by one, in most of its lives: what is begun in one way is gone on with in the other.
    OneByOne,
    /// In batches, whose windows are over so many seconds after they were made.
    Rescue(u64),
}

impl Way {
    fn drawn(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x0eda);
        match rng.usize(..5) {
            0 => Self::OneByOne,
            1 => Self::Rescue([1, 30, 200, 600][rng.usize(..4)]),
            _ => Self::Batches,
        }
    }
}

#[derive(Clone, Debug)]
pub(super) struct Setup {
    pub(super) seed: u64,
    pub(super) nature: Nature,
    pub(super) lines: usize,
    pub(super) max_open: usize,
    pub(super) scenario: Scenario,
    pub(super) way: Way,
    /// Faults strike creates, readings of the list and the log alone.
    pub(super) search: bool,
}

impl Setup {
    pub(super) fn plain(nature: Nature) -> Self {
        Self { seed: 0, nature, lines: 4, max_open: 9, scenario: Scenario::Plain, way: Way::Batches, search: false }
    }

    pub(super) fn drawn(seed: u64, rng: &mut fastrand::Rng) -> Self {
        Self {
            seed,
            nature: Nature::drawn(rng),
            lines: rng.usize(1..7),
            max_open: rng.usize(1..4),
            scenario: Scenario::ALL[rng.usize(..Scenario::ALL.len())],
            way: Way::drawn(seed),
            search: false,
        }
    }

    /// Whether lines equal others, and are sent once.
    pub(super) fn repeats(&self) -> bool {
        self.lines % 2 == 1
    }

    /// The request lines: the custom_id of each, and what it asks. Of one that equals another the custom_id ends with that
    /// one's.
    pub(super) fn requests(&self) -> Vec<(String, usize)> {
        let mut requests = Vec::new();
        for number in 0..self.lines {
            requests.push((format!("r{number}"), number));
            let earlier = (0..=number).filter(|earlier| self.repeats() && (number + earlier) % 3 == 0);
            requests.extend(earlier.map(|earlier| (format!("again-{number}=r{earlier}"), earlier)));
        }
        requests
    }

    /// Whether all that the promises rest on holds: then nothing is paid twice. Otherwise what is, is told.
    pub(super) fn is_within(&self) -> bool {
        let nature = &self.nature;
        let found_again = nature.lag + nature.late < SETTLE && nature.list != List::Cut;
        // A folder that is lost is noticed by what the list shows at that moment.
        let noticed = nature.metadata && nature.shows_at_once() && nature.late == Duration::ZERO;
        found_again && (noticed || self.scenario != Scenario::Lost) && !self.forgets()
    }

    /// Whether what was sent one by one is forgotten with the folder that has it: no list shows it.
    pub(super) fn forgets(&self) -> bool {
        let forgotten = matches!(self.scenario, Scenario::Lost | Scenario::Restore | Scenario::Replace);
        forgotten && self.way != Way::Batches
    }
}
