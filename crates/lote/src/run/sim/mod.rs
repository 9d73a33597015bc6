//! Runs over a simulated service, clock and disk: whole lives of a run, with crashes at every step, under seeds.
//!
//! The code is that of the product from `Run` down to the request. Only the network ([`Wire`]), the wall clock and what a
//! crash leaves of the log are simulated; the clock of tokio is virtual, so that days pass in milliseconds.

mod choices;
mod life;
mod service;
mod wire;

use std::{
    cell::{Cell, RefCell},
    fs::File,
    io,
    time::{Duration, SystemTime},
};

use self::{
    choices::{Choices, next_scripts},
    life::{Play, Scenario, Setup},
    service::Nature,
    wire::Wire,
};
use super::seam::Rule;

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

pub(super) fn wall() -> SystemTime {
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

/// Plays a run under a setup, and says what was wrong.
fn play(setup: &Setup, choices: Choices, off: Option<Rule>) -> (Result<(), String>, Vec<(usize, usize)>) {
    OFF.set(off);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let (result, taken) = runtime.block_on(async {
        let mut play = Play::new(setup, choices);
        let result = play.play().await;
        (result, play.taken())
    });
    OFF.set(None);
    WIRE.set(None);
    WALL.set(None);
    (result, taken)
}

fn of_seed(seed: u64) -> (Setup, Choices) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let setup = Setup::drawn(seed, &mut rng);
    let faults = rng.usize(1..8);
    let once_in = [3, 6, 12, 25][rng.usize(..4)];
    (setup, Choices::drawn(seed, faults, once_in))
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[test]
fn no_seed_pays_twice_or_loses_a_line() {
    let (from, seeds) = (number("LOTE_SEED", 0), number("LOTE_SEEDS", 300));
    let wrong: Vec<String> = (from..from + seeds)
        .filter_map(|seed| {
            let (setup, choices) = of_seed(seed);
            let wrong = play(&setup, choices, None).0.err()?;
            Some(format!("seed {seed}: {wrong}\n  {setup:?}"))
        })
        .take(3)
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn each_rule_of_money_is_needed() {
    let (most, only) = (number("LOTE_SEEDS", 3_000), std::env::var("LOTE_RULE").ok());
    let mut needless = Vec::new();
    for rule in Rule::ALL.into_iter().filter(|rule| only.as_ref().is_none_or(|only| *only == format!("{rule:?}"))) {
        let caught = (0..most).find_map(|seed| {
            let (setup, choices) = of_seed(seed);
            play(&setup, choices, Some(rule)).0.err().map(|wrong| (seed, wrong))
        });
        match caught {
            Some((seed, wrong)) => println!("without {rule:?}: seed {seed}: {wrong}"),
            None => needless.push(rule),
        }
    }
    assert!(needless.is_empty(), "{most} seeds do not miss these: {needless:?}");
}

/// One shard, its create and its lists, with every combination of so many faults.
#[test]
fn one_shard_is_searched_to_the_end() {
    let most = usize::try_from(number("LOTE_FAULTS", 2)).unwrap();
    let setup = Setup { lines: 2, scenario: Scenario::Plain, search: true, ..Setup::plain(Nature::plain()) };
    let (mut open, mut played) = (vec![Vec::new()], 0_u64);
    while let Some(script) = open.pop() {
        let (result, taken) = play(&setup, Choices::scripted(script.clone()), None);
        played += 1;
        assert!(result.is_ok(), "script {script:?}: {}", result.unwrap_err());
        if script.iter().filter(|choice| **choice > 0).count() < most {
            open.extend(next_scripts(&script, &taken));
        }
    }
    println!("{played} courses with up to {most} faults");
}
