//! Lines that are sent one by one, by real processes that are killed: no line is sent again that has its answer, and what is
//! sent again is what was in flight, which the summary tells.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

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
