//! Of a great many cases some are tried, always the same ones, two at a time; all of them at night.

use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Runtime;

use crate::modes::Mode;
use crate::scene::Scene;

/// How many runs are tried at once.
const AT_ONCE: usize = 2;

/// After how many cases it is said how far it is.
const SAID_EACH: usize = 250;

/// A point at which a run is disturbed, beside a service that behaves in some way.
pub(crate) struct Case<'a, P> {
    pub(crate) mode: &'a Mode,
    pub(crate) name: String,
    pub(crate) point: P,
}

/// What came of the cases that were tried.
pub(crate) struct Tried {
    all: usize,
    tried: usize,
    /// How many runs came to their point.
    came: usize,
    /// The name of each that failed, and what was printed in it.
    failed: Vec<String>,
}

impl fmt::Display for Tried {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "disturbed at {} of {} points; there are {}", self.came, self.tried, self.all)
    }
}

impl Tried {
    /// Fails the test when any of them failed, or when hardly any was disturbed.
    pub(crate) fn assert(&self) {
        assert!(self.failed.is_empty(), "{} failed:\n{}", self.failed.len(), self.failed.join("\n"));
        // How often a batch is asked for differs from run to run.
        assert!(self.came * 10 >= self.tried * 9, "{self}");
    }
}

/// Tries so many of the cases, or as many as `LOTE_POINTS` says, which may be `all`; with `LOTE_POINT` only those in whose
/// name it is, and with `LOTE_FROM` those after so many, to go on where it was broken off. Each says whether its run came to
/// its point.
#[expect(clippy::print_stdout, reason = "how far it is, for who waits an hour")]
pub(crate) fn try_some<P: Sync>(
    runtime: &Runtime,
    mut cases: Vec<Case<'_, P>>,
    most: usize,
    tried: impl Fn(&mut Scene<'_>, &P) -> bool + Sync,
) -> Tried {
    let most = match std::env::var("LOTE_POINTS").ok().as_deref() {
        Some("all") => usize::MAX,
        Some(count) => count.parse().expect("LOTE_POINTS is a number, or all"),
        None => most,
    };
    let all = cases.len();
    if let Ok(only) = std::env::var("LOTE_POINT") {
        cases.retain(|case| case.name.contains(&only));
    }
    cases.sort_by_key(|case| shuffled(&case.name));
    let from = std::env::var("LOTE_FROM").map_or(0, |from| from.parse().expect("LOTE_FROM is a number"));
    cases.truncate(most);
    cases.drain(..from.min(cases.len()));
    let (next, came, failed) = (AtomicUsize::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(at) else { break };
                    if at % SAID_EACH == 0 && at > 0 {
                        println!("{at} of {} begun; to go on from here: LOTE_FROM={}", cases.len(), from + at);
                    }
                    let mut scene = Scene::new(runtime, case.mode);
                    match catch_unwind(AssertUnwindSafe(|| tried(&mut scene, &case.point))) {
                        Ok(here) => drop(came.fetch_add(usize::from(here), Ordering::Relaxed)),
                        Err(_) => {
                            let failure = format!("{}\n{}", case.name, scene.said);
                            println!("FAILED: {failure}");
                            failed.lock().expect("not poisoned").push(failure);
                        }
                    }
                    scene.gateway.forgive_leftovers();
                }
            });
        }
    });
    Tried { all, tried: cases.len(), came: came.into_inner(), failed: failed.into_inner().expect("not poisoned") }
}

/// A number that is the same in each run of the tests, and has nothing to do with the order of the points.
fn shuffled(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// A number below `many` that this text draws, the same in each run of the tests.
pub(crate) fn drawn(text: &str, many: usize) -> usize {
    let below = u64::try_from(many.max(1)).expect("a number of points");
    usize::try_from(shuffled(text) % below).expect("less than it")
}
