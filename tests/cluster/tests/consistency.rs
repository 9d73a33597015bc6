//! Kills, stops and fails real gateways at every named point, and holds what came of it against what they promise.
//!
//! A sample runs by default; `LOTE_POINTS=all` runs everything, `LOTE_POINT=record` what has that in its name, as a failure
//! prints it. `LOTE_BIN` names the command: a debug build with `--features lote-cli/full`. `LOTE_AT_ONCE=N` runs N scenarios
//! at once. `LOTE_RANDOM=N` makes N scenarios of several points at random instead, from `LOTE_SEED`.

use std::collections::BTreeMap;
use std::env;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use lote_cluster_tests::consistency::{Kind, Place, Report, Scenario, Servers, Table, lote, run};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

/// Where the state of a scenario is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum At {
    /// In a folder of one process.
    Data,
    /// In PostgreSQL and S3, which three processes share.
    Shared,
    /// The same, with files in a folder in place of S3.
    Files,
}

/// One cell of the table.
#[derive(Clone, Debug)]
struct Try {
    at: At,
    /// A point, or what is done from outside.
    point: String,
    mode: &'static str,
    kind: Kind,
    plan: Option<String>,
}

/// Scenarios that are known to be broken, with the reason. One that passes fails the run: it is to be taken from here.
const KNOWN: [(&str, &str); 0] = [];

/// Calls that only read, or that nothing hangs on.
const LEFT_OUT: [&str; 8] = ["batch.", "batches.", "file.", "files.", "ready.", "census.", "due.", "withdraw."];

/// Points that are tried by default, with what happens there.
const SAMPLE: [&str; 13] = [
    "data create_batch.commit.after kill",
    "data create_batch.commit.after lost",
    "data validated.commit.after kill",
    "data record.commit.before kill",
    "data record.commit.after lost",
    "data finish.commit.before kill",
    "data outside upstream",
    "shared create_batch.commit.after kill",
    "shared record.commit.before stop",
    "shared claim.execute kill",
    "shared finish.commit.after kill",
    "data cancel.commit.after lost",
    "shared outside cut",
];

impl At {
    fn name(self) -> &'static str {
        match self {
            At::Data => "data",
            At::Shared => "shared",
            At::Files => "files",
        }
    }
}

impl At {
    fn told(self) -> &'static str {
        match self {
            At::Data => "One process with a folder",
            At::Shared => "Three processes with PostgreSQL and S3",
            At::Files => "Three processes with PostgreSQL and files in a folder",
        }
    }
}

impl Try {
    fn name(&self) -> String {
        format!("{} {} {}", self.at.name(), self.point, self.mode)
    }
}

fn place(at: At, servers: Option<&Arc<Servers>>, folder: &Path) -> Option<Place> {
    Some(match at {
        At::Data => Place::Folder(folder.join("data")),
        At::Shared => servers?.place(None),
        At::Files => servers?.place(Some(folder.join("blobs"))),
    })
}

async fn attempt(at: At, kind: Kind, plan: Option<String>, servers: Option<&Arc<Servers>>) -> Option<Report> {
    let folder = tempfile::tempdir().unwrap();
    let place = place(at, servers, folder.path())?;
    let scenario = Scenario { place, kind, plan, folder: folder.path().to_owned(), stop_for: None };
    // A task of its own: a panic is a failure of this scenario alone.
    match tokio::spawn(run(scenario)).await {
        Ok(report) => Some(report),
        Err(error) => {
            Some(Report { violations: vec![format!("the harness broke: {error}")], is_hit: true, ..Report::default() })
        }
    }
}

/// What happens from outside, at no named point.
fn outside(at: At) -> Vec<Try> {
    let kinds: &[(&'static str, Kind)] = &[
        ("kill", Kind::Kill),
        ("stop", Kind::Stop),
        ("term", Kind::Term),
        ("term-twice", Kind::TermTwice),
        ("upstream", Kind::Upstream),
        ("expiry", Kind::Expiry),
        if at == At::Data { ("full", Kind::Full) } else { ("cut", Kind::Cut) },
    ];
    // A line kills whichever process there is.
    let poison: &[_] = if at == At::Data { &[("poison", Kind::Poison)] } else { &[] };
    let tries = kinds.iter().chain(poison).map(|(mode, kind)| Try {
        at,
        point: "outside".to_owned(),
        mode,
        kind: *kind,
        plan: None,
    });
    tries.collect()
}

/// Every point that a run passes, with what may happen there.
fn inside(at: At, kind: Kind, points: &BTreeMap<String, usize>) -> Vec<Try> {
    let mut tries = Vec::new();
    for (point, times) in points {
        if LEFT_OUT.iter().any(|left_out| point.starts_with(left_out)) {
            continue;
        }
        let mut modes = vec!["kill"];
        if at != At::Data && (point.contains("commit") || point.ends_with("begin") || point.starts_with("claim.")) {
            modes.push("stop");
        }
        if point.ends_with(".before") || point.ends_with(".begin") {
            modes.push("error");
        }
        if point.ends_with(".after") {
            modes.push("lost");
        }
        let nth = match (at, times) {
            (At::Data, ..3) | (_, ..12) => 1,
            (At::Data, ..20) => 2,
            _ => 3,
        };
        for mode in modes {
            tries.push(Try { at, point: point.clone(), mode, kind, plan: Some(format!("{point}={nth}:{mode}")) });
        }
    }
    tries
}

/// How often each point is passed when nothing happens.
fn passed(report: &Report) -> BTreeMap<String, usize> {
    let mut points = BTreeMap::new();
    for point in &report.points {
        *points.entry(point.clone()).or_default() += 1;
    }
    points
}

/// Scenarios of several points at once, where the processes are troubled from outside as well, or not.
fn random(tries: &[Try], mut seed: u64, count: usize) -> Vec<Try> {
    let mut draw = |most: usize| {
        // SplitMix64.
        seed = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = seed;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % most as u64).unwrap()
    };
    let mut drawn = Vec::new();
    while drawn.len() < count {
        let first = &tries[draw(tries.len())];
        let same: Vec<&Try> = tries.iter().filter(|one| one.at == first.at && one.plan.is_some()).collect();
        let steps: Vec<String> = (0..=draw(4))
            .map(|_| {
                let one = same[draw(same.len())];
                let nth = 1 + draw(6);
                let onwards = if one.mode == "lost" && draw(3) == 0 { "+" } else { "" };
                match draw(4) {
                    0 => format!("{}={nth}:pause:{}", one.point, 50 + draw(700)),
                    _ if one.mode == "kill" => format!("{}={nth}:kill", one.point),
                    _ if onwards == "+" => format!("{0}={nth}:lost;{0}={1}:lost", one.point, nth + 1),
                    _ => format!("{}={nth}:{}", one.point, one.mode),
                }
            })
            .collect();
        let plan = steps.join(";");
        let plan = (!plan.contains("join.") && !plan.contains("other.")).then_some(plan);
        let Some(plan) = plan else { continue };
        let kind = match (first.kind, draw(3)) {
            (Kind::Poison | Kind::Full, _) | (_, 0) => Kind::Plain,
            (kind, _) => kind,
        };
        drawn.push(Try { at: first.at, point: format!("{kind:?} {plan}"), mode: "", kind, plan: Some(plan) });
    }
    drawn
}

fn told(report: &Report) -> String {
    let Report { batches, sent, surplus, deaths, stops, refused, unknown, took, .. } = report;
    format!(
        "{batches} batches, {sent} lines sent, {surplus} again, {deaths} deaths, {stops} stops, {refused} refused, \
         {unknown} unanswered, {:.1} s",
        took.as_secs_f64()
    )
}

fn main() -> ExitCode {
    if env::args().any(|argument| argument == "--list") {
        return ExitCode::SUCCESS;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    if runtime.block_on(all()) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether everything held.
async fn all() -> bool {
    if !lote().is_file() {
        println!(
            "{} is not there: cargo build --workspace --features lote-cli/full --bin lote --test full",
            lote().display()
        );
        return env::var_os("CI").is_none();
    }
    let since = Instant::now();
    let servers = Servers::start().await;
    let is_all = env::var("LOTE_POINTS").is_ok_and(|points| points == "all");
    let only = env::var("LOTE_POINT").ok();
    let places: &[At] = if servers.is_some() { &[At::Data, At::Shared, At::Files] } else { &[At::Data] };
    let mut tries = Vec::new();
    let mut is_good = true;
    for at in places {
        for kind in [Kind::Plain, Kind::Expiry] {
            let Some(report) = attempt(*at, kind, None, servers.as_ref()).await else { continue };
            println!("{} {kind:?}, where nothing happens: {}", at.name(), told(&report));
            if !report.violations.is_empty() {
                println!("  {}\n{}", report.violations.join("\n  "), report.logs);
                is_good = false;
            }
            let mut points = passed(&report);
            if kind == Kind::Expiry {
                // What the other story does not do.
                points.retain(|point, _| point.starts_with("expire.") || point.starts_with("give_back."));
            }
            tries.extend(inside(*at, kind, &points));
        }
        tries.extend(outside(*at));
    }
    if let Some(count) = env::var("LOTE_RANDOM").ok().and_then(|count| count.parse().ok()) {
        let seed = env::var("LOTE_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = seed.unwrap_or_else(|| since.elapsed().subsec_nanos().into());
        println!("LOTE_SEED={seed}");
        let tries = random(&tries, seed, count);
        return work(tries, servers).await && is_good;
    }
    tries.retain(|one| {
        let name = one.name();
        match &only {
            Some(only) => name.contains(only.as_str()),
            None if is_all => one.at != At::Files || one.point.contains("blob") || one.point == "outside",
            None => SAMPLE.contains(&name.as_str()),
        }
    });
    is_good &= work(tries, servers).await;
    println!("{:.0} s", since.elapsed().as_secs_f64());
    is_good
}

async fn work(tries: Vec<Try>, servers: Option<Arc<Servers>>) -> bool {
    let at_once = env::var("LOTE_AT_ONCE").ok().and_then(|text| text.parse().ok()).unwrap_or(3);
    let (count, places) = (tries.len(), Arc::new(Semaphore::new(at_once)));
    let mut running = JoinSet::new();
    for one in tries {
        let (places, servers) = (Arc::clone(&places), servers.clone());
        running.spawn(async move {
            let _place = places.acquire_owned().await.unwrap();
            let report = attempt(one.at, one.kind, one.plan.clone(), servers.as_ref()).await;
            (one, report)
        });
    }
    let mut tables: BTreeMap<At, (Table, Vec<String>)> = BTreeMap::new();
    let (mut is_good, mut tried, mut missed, mut done) = (true, 0, 0, 0);
    while let Some(ended) = running.join_next().await {
        let (one, Some(report)) = ended.unwrap() else { continue };
        done += 1;
        let name = one.name();
        let known = KNOWN.iter().find(|(known, _)| *known == name);
        let holds = report.violations.is_empty();
        let cell = match (report.is_hit, holds, known) {
            (_, false, Some(_)) => "known",
            (_, false, None) => "FAILS",
            (false, true, _) => "-",
            (true, true, Some(_)) => "PASSES",
            (true, true, None) => "ok",
        };
        is_good &= !matches!(cell, "FAILS" | "PASSES");
        tried += usize::from(report.is_hit);
        missed += usize::from(!report.is_hit);
        println!("{done}/{count} {name}: {cell}: {}", told(&report));
        if let Some((_, why)) = known {
            println!("  {why}{}", if holds { "; this no longer fails: take it from KNOWN" } else { "" });
        }
        if cell == "FAILS" {
            println!("  {}\n  again: LOTE_POINT=\"{name}\"\n{}", report.violations.join("\n  "), report.logs);
        }
        let (table, outside) = tables.entry(one.at).or_default();
        if one.plan.is_some() {
            table.put(&one.point, one.mode, cell);
        } else {
            outside.push(format!("{} {cell}", one.mode));
        }
    }
    for (at, (table, mut outside)) in tables {
        outside.sort();
        println!("\n{}\n{table}from outside: {}", at.told(), outside.join(", "));
    }
    println!("\n{tried} tried, {missed} not passed (-)");
    is_good
}
