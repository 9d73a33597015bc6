//! How many files this process may have open, and how many of them connections and batches get: so few that the gateway
//! waits or lets idle connections go before the system refuses it a file.

/// Files that are left to the rest of the process: its own, a resolver's, a test's.
const SLACK: u64 = 16;

/// What the gateway may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shares {
    /// Each may open a file besides, to upload or to download it.
    pub(crate) connections: usize,
    /// Each reads its input, looks up a long line in it, and writes two files.
    pub(crate) batches: usize,
    /// Reads of single lines after a pause.
    pub(crate) reads: usize,
}

impl Shares {
    /// By the limit of this process and the files that are open now.
    pub(crate) fn now() -> Shares {
        most_files().map_or(Shares::UNBOUNDED, |most| Shares::of(most, open_files()))
    }

    const UNBOUNDED: Shares = Shares { connections: usize::MAX, batches: usize::MAX, reads: usize::MAX };

    /// Half of the files that are free for connections, a quarter for batches, an eighth for reads.
    fn of(most: u64, open: u64) -> Shares {
        let free = most.saturating_sub(open.saturating_add(SLACK));
        let places = |files: u64| usize::try_from(files).unwrap_or(usize::MAX).max(1);
        Shares { connections: places(free / 2 / 2), batches: places(free / 4 / 4), reads: places(free / 8) }
    }
}

/// The most files that this process may have open; none when there is no such bound.
#[cfg(unix)]
fn most_files() -> Option<u64> {
    rustix::process::getrlimit(rustix::process::Resource::Nofile).current
}

#[cfg(not(unix))]
fn most_files() -> Option<u64> {
    None
}

/// How many files this process has open; about, where the system does not tell.
fn open_files() -> u64 {
    std::fs::read_dir("/dev/fd").map_or(64, |open| open.count() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_shares_together_are_below_the_limit() {
        for most in [0, 16, 64, 256, 1_024, 65_536, u64::MAX / 2] {
            for open in [3, 12, 200] {
                let Shares { connections, batches, reads } = Shares::of(most, open);
                assert!(connections > 0 && batches > 0 && reads > 0);
                let files = connections as u128 * 2 + batches as u128 * 4 + reads as u128 + u128::from(open);
                assert!(files < u128::from(most) || most < open + 64, "{files} of {most}");
            }
        }
        assert_eq!(Shares::of(256, 12), Shares { connections: 57, batches: 14, reads: 28 });
    }
}
