//! Lines that are sent one by one, by real processes that are killed: no line is sent again that has its answer, and what is
//! sent again is what was in flight, which the summary tells.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use lote::save::Stored;
use lote_gateway::{Event, Gateway};
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::common::{folder, names, signal};
use crate::service::at;

/// How many moments a run is killed at.
const KILLS: usize = 20;

/// How many requests are in flight at the most.
const IN_FLIGHT: usize = 4;

const LINES: usize = 160;

fn line(number: usize) -> String {
    let prompt = format!("[[sleep={}]] {number}", number * 7 % 25);
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]});
    json!({
        "custom_id": format!("row-{number}"), "method": "POST", "url": "/v1/chat/completions", "body": body,
    })
    .to_string()
        + "\n"
}

fn run(url: &str, place: &Path) -> Command {
    let mut command = at(url);
    let in_flight = IN_FLIGHT.to_string();
    command.current_dir(place).args(["run", "requests.jsonl", "--sync", "--shard-lines", "100"]);
    command.args(["--max-in-flight", &in_flight, "--json"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// How often the model was asked with each idempotency key.
pub(crate) fn asked(gateway: &Gateway) -> BTreeMap<String, usize> {
    let mut asked = BTreeMap::new();
    for entry in gateway.journal() {
        if let Event::RequestExecuted { idempotency_key, .. } = entry.event {
            *asked.entry(idempotency_key.expect("each request has a key")).or_default() += 1;
        }
    }
    asked
}

/// Of the lines that have their answers in a folder, by the hash of their bodies: how often the model was asked for each.
pub(crate) fn finished(place: &Path, gateway: &Gateway) -> BTreeMap<String, usize> {
    let mut executed: BTreeMap<String, usize> = BTreeMap::new();
    for entry in gateway.journal() {
        if let Event::RequestExecuted { sha256, .. } = entry.event {
            *executed.entry(sha256).or_default() += 1;
        }
    }
    let mut finished = BTreeMap::new();
    for shard in fs::read_dir(place.join("requests.run/shards")).into_iter().flatten().flatten() {
        let Ok(kept) = fs::read_to_string(shard.path().join("sync.jsonl")) else { continue };
        let requests = fs::read_to_string(shard.path().join("requests.jsonl")).expect("its lines");
        let requests: Vec<Value> = requests.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
        for line in kept.split_inclusive('\n').filter(|line| line.ends_with('\n') && line.contains("\"result\"")) {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let number = usize::try_from(line["line"].as_u64().expect("a number")).expect("a number");
            let sha256 = sha256(&requests[number - 1]["body"].to_string());
            finished.insert(sha256.clone(), executed.get(&sha256).copied().unwrap_or_default());
        }
    }
    finished
}

/// The hash of a request body, by which the journal names it.
fn sha256(body: &str) -> String {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(body.as_bytes()).expect("written");
    Stored::of(file.path()).expect("read").sha256
}

#[test]
fn lines_that_are_sent_one_by_one_are_sent_again_only_when_they_were_in_flight() {
    for honours in [false, true] {
        let runtime = Runtime::new().expect("a runtime");
        let builder = Gateway::builder().journal(true).idempotency(honours);
        let gateway = runtime.block_on(builder.start()).expect("it starts");
        let requests: String = (0..LINES).map(line).collect();
        let place = folder(&[("requests.jsonl", requests.as_bytes())]);
        let mut known: BTreeMap<String, usize> = BTreeMap::new();
        for kill in 0..KILLS {
            let before: usize = asked(&gateway).values().sum();
            let mut child = run(&gateway.url(), place.path()).spawn().expect("it starts");
            // After so many more requests, and a little later each time.
            let began = Instant::now();
            while asked(&gateway).values().sum::<usize>() < before + kill % 7 {
                assert!(began.elapsed() < Duration::from_secs(120), "it sends nothing");
                assert!(child.try_wait().expect("a child").is_none(), "it has ended: there were too few lines");
                std::thread::yield_now();
            }
            let later = Instant::now() + Duration::from_micros(kill as u64 * 700);
            while Instant::now() < later {
                std::thread::yield_now();
            }
            signal(&child, "KILL");
            child.wait().expect("it is dead");
            let finished = finished(place.path(), &gateway);
            for (line, times) in &known {
                assert_eq!(finished.get(line), Some(times), "a line that had its answer was sent again, or lost it");
            }
            known = finished;
        }
        assert!(known.len() >= KILLS, "{}", known.len());
        let last = run(&gateway.url(), place.path()).output().expect("it starts");
        assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stderr));
        for (line, times) in known {
            assert_eq!(finished(place.path(), &gateway).get(&line), Some(&times), "a finished line was sent again");
        }
        let summary: Value = serde_json::from_slice(&last.stdout).expect("a summary");
        assert_eq!((&summary["succeeded"], &summary["synchronous"]["lines"]), (&LINES.into(), &LINES.into()));
        let asked = asked(&gateway);
        let surplus: usize = asked.values().map(|times| times - 1).sum();
        let told = summary["synchronous"]["sent_again"].as_u64().expect("a number");
        assert_eq!(asked.len(), LINES, "each line has one key, in every process");
        assert!(surplus as u64 <= told, "{surplus} requests were paid twice, and {told} are told");
        assert!(told <= (KILLS * IN_FLIGHT) as u64, "{told} were sent again, more than were in flight");
        if honours {
            assert_eq!(surplus, 0, "the service honours keys");
        }
        let batches = gateway.journal().iter().any(|entry| matches!(entry.event, Event::BatchCreated { .. }));
        assert!(!batches && names(place.path()) == ["requests.jsonl", "requests.run"]);
        println!("{KILLS} kills, {told} of {LINES} lines sent again, {surplus} of them paid twice");
    }
}

/// Lets a gateway's time pass as long as this is done, half a minute at a time.
fn passing<T>(runtime: &Runtime, gateway: &Arc<Gateway>, work: impl FnOnce() -> T) -> T {
    let passes = Arc::clone(gateway);
    let passes = runtime.spawn(async move {
        loop {
            passes.advance(Duration::from_secs(30)).await;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    let done = work();
    passes.abort();
    done
}

/// A line that takes half an hour, of which a batch does one after another.
fn slow(number: usize) -> String {
    line(number).replace("[[sleep=", "[[sleep=1800000]] [[was=")
}

#[test]
fn a_rescue_that_is_killed_sends_no_line_that_its_batch_has_answered_nor_one_twice() {
    let runtime = Runtime::new().expect("a runtime");
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").as_secs();
    let builder = Gateway::builder().journal(true).virtual_clock_at(now.try_into().expect("a time"));
    let builder = builder.window(Duration::from_secs(12 * 3600)).line_concurrency(1);
    let gateway = Arc::new(runtime.block_on(builder.start()).expect("it starts"));
    let lines = 80;
    let requests: String = (0..lines).map(slow).collect();
    let place = folder(&[("requests.jsonl", requests.as_bytes())]);
    let lote = |args: &[&str]| {
        let mut command = at(&gateway.url());
        command.current_dir(place.path()).args(args);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let begun = lote(&["run", "requests.jsonl", "--detach"]).output().expect("it starts");
    assert_eq!(begun.status.code(), Some(5), "{}", String::from_utf8_lossy(&begun.stderr));
    runtime.block_on(gateway.advance(Duration::from_secs(7 * 3600)));
    let run = || {
        let mut command = lote(&["resume", "requests.run", "--rescue-before", "6h", "--max-in-flight", "2", "--json"]);
        // So that its requests are not in the way of each other.
        command.env("LOTE_RETRIES", "3");
        command
    };
    let mut known: BTreeMap<String, usize> = BTreeMap::new();
    let mut phases = BTreeSet::new();
    let last = passing(&runtime, &gateway, || {
        for kill in 0..KILLS {
            let before: usize = asked(&gateway).values().sum();
            let mut child = run().spawn().expect("it starts");
            let until = Instant::now() + Duration::from_millis(30 + kill as u64 * 37 % 150);
            while Instant::now() < until || asked(&gateway).values().sum::<usize>() < before.min(1) + kill % 3 {
                if child.try_wait().expect("a child").is_some() || Instant::now() > until + Duration::from_secs(60) {
                    break;
                }
                std::thread::yield_now();
            }
            signal(&child, "KILL");
            child.wait().expect("it is dead");
            let finished = finished(place.path(), &gateway);
            for (line, times) in &known {
                assert_eq!(finished.get(line), Some(times), "a line that had its answer was sent again, or lost it");
            }
            known = finished;
            let status = lote::run::status(place.path().join("requests.run")).expect("its status");
            phases.extend(status.shards.iter().map(|shard| (shard.rest_of.is_some(), shard.phase)));
        }
        run().output().expect("it starts")
    });
    assert!(last.status.success(), "{}", String::from_utf8_lossy(&last.stderr));
    println!("killed at {phases:?}");
    assert!(phases.contains(&(true, "synchronous")), "{phases:?}");
    for (line, times) in known {
        assert_eq!(finished(place.path(), &gateway).get(&line), Some(&times), "a finished line was sent again");
    }
    let summary: Value = serde_json::from_slice(&last.stdout).expect("a summary");
    assert_eq!((&summary["succeeded"], &summary["batches"][0]["status"]), (&lines.into(), &"cancelled".into()));
    // What the batch has answered nobody else was asked for.
    let answered = fs::read_to_string(place.path().join("requests.run/shards/0001/output.jsonl")).expect("answers");
    let answered = answered.lines().count();
    let asked = asked(&gateway);
    assert!(answered > 0 && answered + asked.len() == lines, "{answered} by the batch, {} alone", asked.len());
    let surplus: usize = asked.values().map(|times| times - 1).sum();
    let told = summary["synchronous"]["sent_again"].as_u64().expect("a number");
    assert_eq!(summary["synchronous"]["lines"], asked.len());
    assert!(surplus as u64 <= told && told <= (KILLS * 2) as u64, "{surplus} paid twice, {told} told");
    let batches = gateway.journal().into_iter().filter(|entry| matches!(entry.event, Event::BatchCreated { .. }));
    assert_eq!(batches.count(), 1);
    println!("{KILLS} kills, {answered} lines by the batch, {} alone, {told} of them sent again", asked.len());
}
