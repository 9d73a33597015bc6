//! Real processes that are killed at any moment and given again: as many batches as shards, no line handed to the model
//! twice, and the same results as those of a run that nobody disturbed.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use lote_gateway::faults::{Effect, Fault, Lag, Operation, Refusal};
use lote_gateway::{Event, Gateway};
use tokio::runtime::Runtime;

use crate::common::{folder, signal};
use crate::service::{Embedded, at};

/// How many times a run is killed at the most before it is left alone.
const KILLS: u64 = 12;

/// How often all modes are gone through: `LOTE_ROUNDS`, or so often.
const ROUNDS: u64 = 1;

/// What the service does with creates. The account has one batch before the run: a list that shows none proves nothing.
fn modes() -> Vec<(&'static str, Option<Fault>)> {
    let first = |effect| Some(Fault::on(Operation::CreateBatch).nth(2).then(effect));
    let second = |effect| Some(Fault::on(Operation::CreateBatch).nth(3).then(effect));
    vec![
        ("no fault", None),
        ("the answer to the first create is lost", first(Effect::AnswerLost)),
        ("the second create is accepted and answered with 502", second(Effect::AnswerReplaced(Refusal::status(502)))),
        ("the list lags", first(Effect::Unlisted(Lag::Looks(2)))),
        ("the first create is reset before it is taken", first(Effect::Reset)),
    ]
}

fn run(url: &str, folder: &std::path::Path) -> Command {
    let mut command = at(url);
    command.current_dir(folder).args(["run", "requests.jsonl", "--shard-lines", "3", "--settle-after-loss", "150ms"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command
}

#[test]
fn a_run_that_is_killed_at_any_moment_pays_nothing_twice() {
    let rounds: u64 = std::env::var("LOTE_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(ROUNDS);
    let line = |at: usize| {
        let body = serde_json::json!({
            "model": "auto", "messages": [{"role": "user", "content": format!("[[sleep={}]] {at}", at * 7 % 40)}],
        });
        format!(
            "{}\n",
            serde_json::json!({
                "custom_id": format!("row-{at}"), "method": "POST", "url": "/v1/chat/completions", "body": body,
            })
        )
    };
    let requests: String = (0..10).map(line).collect();
    let undisturbed = {
        let place = folder(&[("requests.jsonl", requests.as_bytes())]);
        let gateway = Embedded::start();
        assert!(run(gateway.url(), place.path()).status().expect("it starts").success());
        answers(&place.path().join("requests.run/results.jsonl"))
    };
    let mut done = 0;
    for (round, (mode, fault)) in (0..rounds).flat_map(|round| modes().into_iter().map(move |mode| (round, mode))) {
        let builder = fault.into_iter().fold(Gateway::builder().journal(true), lote_gateway::Builder::fault);
        let runtime = Runtime::new().expect("a runtime");
        let gateway = runtime.block_on(builder.start()).expect("it starts");
        let url = gateway.url();
        let earlier = folder(&[("requests.jsonl", line(99).as_bytes())]);
        assert!(run(&url, earlier.path()).status().expect("it starts").success());
        let place = folder(&[("requests.jsonl", requests.as_bytes())]);
        // A little later each time, so that every step has its turn, and never in the same place.
        let mut ended = None;
        for kill in 0..KILLS {
            let mut child = run(&url, place.path()).spawn().expect("it starts");
            let until = Instant::now() + Duration::from_millis((kill * 17 + round * 5) % 400 + 15);
            while Instant::now() < until && ended.is_none() {
                ended = child.try_wait().expect("a child");
                std::thread::yield_now();
            }
            match ended {
                Some(_) => break,
                None => {
                    signal(&child, "KILL");
                    child.wait().expect("it is dead");
                    done += 1;
                }
            }
        }
        let last = run(&url, place.path()).output().expect("it starts");
        assert!(last.status.success(), "{mode}: {}", String::from_utf8_lossy(&last.stderr));
        assert_eq!(answers(&place.path().join("requests.run/results.jsonl")), undisturbed, "{mode}");
        let (mut batches, mut lines) = (0, BTreeMap::new());
        for entry in gateway.journal() {
            match entry.event {
                Event::BatchCreated { .. } => batches += 1,
                Event::LineExecuted { custom_id, attempt: 1, .. } => *lines.entry(custom_id).or_insert(0) += 1,
                _ => {}
            }
        }
        assert_eq!(lines.remove("row-99"), Some(1), "{mode}");
        assert_eq!(batches, 1 + 4, "{mode}: a batch for each shard");
        assert!(lines.len() == 10 && lines.values().all(|times| *times == 1), "{mode}: {lines:?}");
        assert_eq!(crate::common::names(place.path()), ["requests.jsonl", "requests.run"], "{mode}");
    }
    println!("{done} kills in {} modes, {rounds} times", modes().len());
}

/// What was answered to each request, in the order of the file. Ids and instants are the service's own.
fn answers(results: &std::path::Path) -> Vec<(String, String)> {
    let text = fs::read_to_string(results).expect("the results");
    let answer = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).expect("JSON");
        let content = &line["response"]["body"]["choices"][0]["message"]["content"];
        (line["custom_id"].to_string(), content.to_string())
    };
    text.lines().map(answer).collect()
}
