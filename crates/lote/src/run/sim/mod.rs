//! Runs over a simulated service, clock and disk: whole lives of a run, with crashes at every step, under seeds.
//!
//! The code is that of the product from `Run` down to the request. Only the network ([`Wire`]), the wall clock and what a
//! crash leaves of the log are simulated; the clock of tokio is virtual, so that days pass in milliseconds.

mod away;
mod choices;
mod counts;
mod life;
mod nature;
mod service;
mod setup;
mod wire;

use std::{
    cell::{Cell, RefCell},
    collections::BTreeSet,
    fs::File,
    io,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, SystemTime},
};

use self::{
    choices::{Choices, next_scripts},
    life::Play,
    nature::Nature,
    setup::{Scenario, Setup, Way},
    wire::Wire,
};
use super::seam::Rule;

/// The stack of a thread, in bytes: without optimization a run takes more than a thread has.
const STACK: usize = 64 << 20;

/// How many seeds may pass until one misses a rule.
const SEEDS_A_RULE: u64 = 1_000;

/// What the seeds must make happen.
const EVENTS: [&str; 25] = [
    "opened",
    "uploaded",
    "creating",
    "created",
    "refused",
    "absent",
    "no_batch",
    "postponed",
    "over",
    "fetched",
    "settled",
    "unsettled",
    "failed",
    "halved",
    "held",
    "released",
    "surplus",
    "surplus_settled",
    "attempt",
    "cancelled",
    "finished",
    "synchronous",
    "unsent",
    "rescued",
    "rest",
];

/// The process ends: what is thrown through the code of the run.
struct Crash;

thread_local! {
    static OFF: Cell<Option<Rule>> = const { Cell::new(None) };
    static WIRE: RefCell<Option<Wire>> = const { RefCell::new(None) };
    /// When the simulation began by both clocks, and how far the wall clock has jumped since, in seconds.
    static WALL: Cell<Option<(tokio::time::Instant, SystemTime, i64)>> = const { Cell::new(None) };
    /// From where on the log is not synced.
    static UNSYNCED: Cell<Option<u64>> = const { Cell::new(None) };
}

pub(super) fn kept(rule: Rule) -> bool {
    OFF.get() != Some(rule)
}

pub(crate) fn wall() -> SystemTime {
    let Some((began, base, jump)) = WALL.get() else { return SystemTime::now() };
    let then = base + began.elapsed();
    let by = Duration::from_secs(jump.unsigned_abs());
    if jump < 0 { then - by } else { then + by }
}

pub(super) fn written(file: &File, before: u64) {
    let Some(wire) = WIRE.with_borrow(Clone::clone) else { return };
    let choice = wire.world().choices.take(4);
    let length = file.metadata().unwrap().len();
    match choice {
        0 => return,
        // The frame is lost, torn, or there.
        1 => file.set_len(before).unwrap(),
        2 => file.set_len(before + (length - before) / 2).unwrap(),
        _ => {}
    }
    wire.world().note(format_args!("crash at a frame ({choice})"));
    std::panic::resume_unwind(Box::new(Crash));
}

pub(super) fn synced(file: &File, before: u64, creating: bool) -> io::Result<()> {
    if creating && !kept(Rule::Intent) {
        UNSYNCED.set(Some(before));
        return Ok(());
    }
    UNSYNCED.set(None);
    file.sync_data()
}

/// What came of the lives of a run.
struct Played {
    result: Result<(), String>,
    /// Of each step, how many choices there were and which was taken.
    taken: Vec<(usize, usize)>,
    /// The names of the events in its log.
    events: BTreeSet<String>,
}

/// Plays a run under a setup, and says what was wrong.
fn play(setup: &Setup, choices: Choices, off: Option<Rule>) -> Played {
    OFF.set(off);
    let mut builder = tokio::runtime::Builder::new_current_thread();
    // The threads for files keep the same rules.
    let builder = builder.enable_time().start_paused(true).on_thread_start(move || OFF.set(off));
    let runtime = builder.build().unwrap();
    let played = runtime.block_on(async {
        let mut play = Play::new(setup, choices);
        let result = play.play().await;
        Played { result, taken: play.taken(), events: play.events() }
    });
    OFF.set(None);
    WIRE.set(None);
    WALL.set(None);
    played
}

fn of_seed(seed: u64) -> (Setup, Choices) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let setup = Setup::drawn(seed, &mut rng);
    let faults = rng.usize(1..8);
    let once_in = [3, 6, 12, 25][rng.usize(..4)];
    (setup, Choices::drawn(seed, faults, once_in))
}

/// A number of the environment, with which more is tried than in CI, or what went wrong is tried again.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

/// Does something for each, in two threads whose stacks hold what is not optimized; the first that is found, if any.
fn find<T: Sync, Found: Send>(all: &[T], look: impl Fn(&T) -> Option<Found> + Sync) -> Option<Found> {
    let next = AtomicUsize::new(0);
    let (next, look, found) = (&next, &look, &Mutex::new(None));
    std::thread::scope(|scope| {
        for _ in 0..2 {
            let worker = std::thread::Builder::new().stack_size(STACK);
            let work = move || {
                while let Some(one) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Some(one) = look(one) {
                        // Nobody begins another.
                        next.store(all.len(), Ordering::Relaxed);
                        found.lock().unwrap().get_or_insert(one);
                    }
                }
            };
            worker.spawn_scoped(scope, work).unwrap();
        }
    });
    found.lock().unwrap().take()
}

#[test]
fn no_seed_pays_twice_or_loses_a_line() {
    let (from, seeds) = (number("LOTE_SEED", 0), number("LOTE_SEEDS", 2_000));
    let seeds: Vec<u64> = (from..from + seeds).collect();
    let seen = Mutex::new(BTreeSet::new());
    let wrong = find(&seeds, |seed| {
        let (setup, choices) = of_seed(*seed);
        let played = play(&setup, choices, None);
        seen.lock().unwrap().extend(played.events);
        let wrong = played.result.err()?;
        Some(format!("{wrong}\n    as {setup:?}\n    again: LOTE_SEED={seed} LOTE_SEEDS=1"))
    });
    assert_eq!(wrong, None, "{}", wrong.as_deref().unwrap_or_default());
    // What never happens is not tested.
    let seen = seen.into_inner().unwrap();
    let unseen: Vec<_> = EVENTS.iter().filter(|event| !seen.contains(**event)).collect();
    assert!(seeds.len() < 1_000 || unseen.is_empty(), "{unseen:?}");
}

/// A setup in which a rule is needed sooner than in others.
fn needing(rule: Rule, setup: Setup) -> Setup {
    let scenario = match rule {
        Rule::Behind => [Scenario::Copy, Scenario::Restore][usize::from(setup.seed.is_multiple_of(2))],
        Rule::Missing => Scenario::Attempts,
        Rule::Checked => Scenario::Altered,
        Rule::Place => Scenario::Replace,
        Rule::Account => Scenario::Elsewhere,
        Rule::Cancelled => Scenario::Cancel,
        Rule::Twins => Scenario::Lost,
        Rule::Embedded => Scenario::Embedded,
        Rule::Over | Rule::Recorded => Scenario::Plain,
        _ => setup.scenario,
    };
    let mut nature = setup.nature.clone();
    match rule {
        // A batch that appears after it was given up.
        Rule::Surplus => nature = Nature { late: Duration::from_secs(300), keys: false, ..Nature::plain() },
        Rule::Missing => nature.loses_lines = true,
        _ => {}
    }
    let way = match rule {
        Rule::Over => Way::Rescue(30),
        Rule::Recorded => Way::OneByOne,
        _ => Way::Batches,
    };
    Setup { nature, scenario, way, ..setup }
}

#[test]
fn each_rule_of_money_is_needed() {
    let seeds: Vec<u64> = (0..SEEDS_A_RULE).collect();
    let needless = find(&Rule::ALL, |rule| {
        let missed = seeds.iter().find_map(|seed| {
            let (setup, choices) = of_seed(*seed);
            let setup = needing(*rule, setup);
            let wrong = play(&setup, choices, Some(*rule)).result.err()?;
            // It is the rule that was missed, if with it all is well.
            let kept = play(&setup, of_seed(*seed).1, None).result;
            Some((seed, wrong, kept.err()))
        });
        match missed {
            None => Some(format!("{SEEDS_A_RULE} seeds do not miss {rule:?}")),
            Some((seed, _, Some(wrong))) => Some(format!("with all rules, seed {seed}, as for {rule:?}: {wrong}")),
            Some((seed, wrong, None)) => {
                println!("without {rule:?}, seed {seed}: {}", wrong.lines().next().unwrap_or_default());
                None
            }
        }
    });
    assert_eq!(needless, None, "{}", needless.as_deref().unwrap_or_default());
}

/// One shard, its creates, the readings of the list and the log, with every combination of so many faults.
#[test]
fn one_shard_is_searched_to_the_end() {
    let most = usize::try_from(number("LOTE_FAULTS", 2)).unwrap();
    let late = Duration::from_secs(50);
    let natures = [
        Nature::plain(),
        Nature { metadata: false, ..Nature::plain() },
        Nature { late, lag: late, ..Nature::plain() },
        Nature { keys: true, late, ..Nature::plain() },
    ];
    let ways = [Way::Batches, Way::OneByOne];
    let all: Vec<_> = natures.iter().flat_map(|nature| ways.map(|way| (nature, way))).collect();
    let wrong = find(&all, |(nature, way)| {
        let setup = Setup { lines: 2, search: true, way: *way, ..Setup::plain((*nature).clone()) };
        let (mut open, mut played) = (vec![Vec::new()], 0_u64);
        while let Some(script) = open.pop() {
            let Played { result, taken, .. } = play(&setup, Choices::scripted(script.clone()), None);
            played += 1;
            if let Err(wrong) = result {
                return Some(format!("script {script:?}, {way:?}, as {nature:?}: {wrong}"));
            }
            if script.iter().filter(|choice| **choice > 0).count() < most {
                open.extend(next_scripts(&script, &taken));
            }
        }
        println!("{played} courses with up to {most} faults, {way:?}");
        None
    });
    assert_eq!(wrong, None, "{}", wrong.as_deref().unwrap_or_default());
}
