//! What is to hold whatever happened: the promises of the gateway, as its clients and its upstream see them.

use std::collections::{HashMap, HashSet};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::process::{Gateways, Happened, What};
use super::story::{AT_ONCE, Kind, Known};
use super::witness::{self, Sent};

/// So many lines are sent ahead of what is recorded, for each that may be at the upstream.
const AHEAD: usize = 2;

/// What came of a scenario.
#[derive(Debug, Default)]
pub struct Report {
    /// Whether what was planned has happened.
    pub is_hit: bool,
    pub violations: Vec<String>,
    pub deaths: usize,
    pub stops: usize,
    /// Lines that were sent once more than they had to be.
    pub surplus: usize,
    pub sent: usize,
    pub batches: usize,
    /// Creates that were refused, and those whose answer was lost.
    pub refused: usize,
    pub unknown: usize,
    pub took: Duration,
    /// All points that were passed.
    pub points: Vec<String>,
    /// How often a process has told that it could not use its state or its storage.
    pub troubles: usize,
    /// Of the processes, when something is wrong.
    pub logs: String,
}

/// A batch at its end.
pub(super) struct Batch {
    pub(super) key: &'static str,
    pub(super) batch: Value,
    pub(super) output: Vec<Value>,
    pub(super) error: Vec<Value>,
}

/// How many lines of a batch were recorded at an instant, at least.
pub(super) struct Seen {
    pub(super) at: Instant,
    pub(super) mark: String,
    pub(super) recorded: u64,
}

pub(super) fn check(
    known: &Known,
    ended: &[Batch],
    seen: &[Seen],
    log: &[Sent],
    gateways: &Gateways,
    kind: Kind,
    plan: Option<&str>,
) -> Report {
    let happened = gateways.happened();
    let mut wrong = known.violations.clone();
    creates(known, ended, log, &mut wrong);
    let mut answers = HashSet::new();
    for batch in ended {
        let mark = batch.batch["metadata"]["mark"].as_str().unwrap_or_default();
        let Some(made) = known.made.iter().chain(&known.unknown).find(|made| made.mark == mark) else {
            wrong.push(format!("{mark} is there, and nobody has made it"));
            continue;
        };
        let status = batch.batch["status"].as_str().unwrap_or_default();
        let is_late = kind == Kind::Expiry && status == "expired";
        if !made.ends.contains(&status) && !is_late {
            wrong.push(format!(
                "{mark} has ended as {status}: {} {}",
                batch.batch["request_counts"], batch.batch["errors"]
            ));
        }
        results(mark, batch, &made.lines, log, &mut answers, &mut wrong);
    }
    let points = gateways.points();
    let logs = gateways.logs();
    let surplus = sent(log, seen, &happened, &logs, kind, plan, &mut wrong);
    let count = |what: fn(What) -> bool| happened.iter().filter(|happened| what(happened.what)).count();
    let ends = count(|what| matches!(what, What::Ended(code) if code != 0));
    // At its start a process ends when it cannot use its state; whoever watches over it starts it again.
    let is_start = plan.is_some_and(|plan| plan.starts_with("join.") || plan.starts_with("other."));
    if ends > 0 && !matches!(kind, Kind::Full | Kind::Cut | Kind::Crash) && !is_start {
        wrong.push(format!("a process has ended by itself, {ends} times"));
    }
    wrong.sort();
    wrong.dedup();
    Report {
        is_hit: plan.is_none() || points.iter().any(|line| line.contains(' ')),
        violations: wrong,
        deaths: count(|what| what == What::Died),
        stops: count(|what| what == What::Stopped),
        surplus,
        sent: log.len(),
        batches: ended.len(),
        refused: known.refused.len(),
        unknown: known.unknown.len(),
        took: Duration::ZERO,
        points,
        troubles: logs.matches("StateTrouble").count() + logs.matches(" 503 in ").count(),
        logs: String::new(),
    }
}

/// What was promised is there, and what was refused has not happened.
fn creates(known: &Known, ended: &[Batch], log: &[Sent], wrong: &mut Vec<String>) {
    for made in known.made.iter().filter(|made| !made.id.is_empty()) {
        let found = ended
            .iter()
            .filter(|batch| batch.key.starts_with(family(made.key)) && batch.batch["id"] == made.id.as_str());
        if found.count() != 1 {
            wrong.push(format!("{} was promised and is not there", made.mark));
        }
    }
    for mark in &known.refused {
        if ended.iter().any(|batch| batch.batch["metadata"]["mark"] == mark.as_str()) {
            wrong.push(format!("{mark} was refused and is there"));
        }
        if log.iter().any(|sent| is_of(sent, mark)) {
            wrong.push(format!("{mark} was refused and has run"));
        }
    }
    let mut marks = HashSet::new();
    for batch in ended {
        if !marks.insert(batch.batch["metadata"]["mark"].as_str().unwrap_or_default()) {
            wrong.push(format!("{} was made twice", batch.batch["metadata"]["mark"]));
        }
    }
}

/// The part of a key that all keys of its account share.
fn family(key: &str) -> &str {
    key.trim_end_matches("-1").trim_end_matches("-2")
}

fn is_of(sent: &Sent, mark: &str) -> bool {
    sent.line.rsplit_once('-').is_some_and(|(begin, _)| begin == mark)
}

/// Each line has one result line, the counts are those of the files, and each answer is one that the witness gave.
fn results(
    mark: &str,
    ended: &Batch,
    lines: &[String],
    log: &[Sent],
    answers: &mut HashSet<u64>,
    wrong: &mut Vec<String>,
) {
    let Batch { batch, output, error, .. } = ended;
    if batch["status"] == "failed" {
        if log.iter().any(|sent| is_of(sent, mark)) {
            wrong.push(format!("{mark} has failed in its validation and has run"));
        }
        return;
    }
    let mut times: HashMap<&str, usize> = HashMap::new();
    for line in output.iter().chain(error) {
        *times.entry(line["custom_id"].as_str().unwrap_or_default()).or_default() += 1;
    }
    let no_files = output.is_empty() && error.is_empty();
    // One that was cancelled before it was validated has no files.
    if !(batch["status"] == "cancelled" && no_files && batch["request_counts"]["total"] == 0) {
        for line in lines {
            match times.remove(line.as_str()) {
                Some(1) => {}
                times => wrong.push(format!("{line} has {} result lines", times.unwrap_or(0))),
            }
        }
        wrong.extend(times.keys().map(|line| format!("{line} has a result and was no line of {mark}")));
        let total = batch["request_counts"]["total"].as_u64().unwrap_or(0);
        if total != lines.len() as u64 {
            wrong.push(format!("{mark} counts {total} of {} lines", lines.len()));
        }
    }
    let is_cut = |line: &&Value| {
        let code = line["error"]["code"].as_str().unwrap_or_default();
        code == "batch_expired" || code == "batch_cancelled"
    };
    let failed = error.len() - error.iter().filter(is_cut).count();
    let counts = &batch["request_counts"];
    if counts["completed"] != output.len() || counts["failed"] != failed {
        wrong.push(format!("{mark} counts {counts}, and has {} and {failed} result lines", output.len()));
    }
    let killers: Vec<&str> = log.iter().filter(|sent| sent.manner == "kills").map(|sent| sent.line.as_str()).collect();
    let is_expected = |line: &&Value| {
        killers.iter().any(|line_name| line["custom_id"] == *line_name) && line["error"]["code"] == "processing_error"
    };
    if let Some(told) = error.iter().find(|line| !is_cut(line) && !is_expected(line)) {
        wrong.push(format!("{mark}: {failed} lines have failed: {} {}", told["error"], told["response"]));
    }
    for line in output {
        let id = line["custom_id"].as_str().unwrap_or_default();
        let content = line["response"]["body"]["choices"][0]["message"]["content"].as_str().unwrap_or_default();
        let answer = content.strip_prefix(&format!("{id} answer "));
        let answer = answer.and_then(|answer| answer.split(' ').next()?.parse::<u64>().ok());
        let given = answer.and_then(|answer| log.iter().find(|sent| sent.answer == answer));
        match given {
            Some(sent) if sent.line == id && sent.answered.is_some() => {
                if !answers.insert(sent.answer) {
                    wrong.push(format!("one answer stands twice in results: {content}"));
                }
            }
            _ => wrong.push(format!("{id} has an answer that nobody gave: {content:?}")),
        }
    }
    let usage = batch["usage"]["total_tokens"].as_u64();
    if usage.is_some_and(|usage| usage != 2 * output.len() as u64) {
        wrong.push(format!("{mark} has used {usage:?} tokens for {} answers", output.len()));
    }
}

/// No line is sent again without need: keys stay, what is recorded is not sent again, the rest is bounded.
fn sent(
    log: &[Sent],
    seen: &[Seen],
    happened: &[Happened],
    logs: &str,
    kind: Kind,
    plan: Option<&str>,
    wrong: &mut Vec<String>,
) -> usize {
    let mut lines: HashMap<&str, Vec<&Sent>> = HashMap::new();
    let mut keys: HashMap<&str, &str> = HashMap::new();
    for sent in log {
        lines.entry(&sent.line).or_default().push(sent);
        if sent.key.is_empty() {
            wrong.push(format!("{} was sent without a key", sent.line));
        } else if *keys.entry(&sent.key).or_insert(&sent.line) != sent.line {
            wrong.push(format!("{} and {} have one key", sent.line, keys[sent.key.as_str()]));
        }
    }
    let mut surplus = 0;
    for (line, times) in &lines {
        if times.iter().any(|sent| sent.key != times[0].key) {
            wrong.push(format!("{line} was sent with several keys"));
        }
        let needed = if witness::is_sent_again(&times[0].manner) { 2 } else { 1 };
        surplus += times.len().saturating_sub(needed);
    }
    // What is recorded when a process dies is not sent after that.
    for event in happened.iter().filter(|event| event.what != What::Woken) {
        let mut recorded: HashMap<&str, u64> = HashMap::new();
        for seen in seen.iter().filter(|seen| seen.at < event.at) {
            let most = recorded.entry(&seen.mark).or_default();
            *most = seen.recorded.max(*most);
        }
        for (mark, recorded) in recorded {
            let of_batch = lines.iter().filter(|(_, times)| is_of(times[0], mark));
            let all = log.iter().filter(|sent| is_of(sent, mark)).map(|sent| &sent.line).collect::<HashSet<_>>().len();
            let again = of_batch
                .filter(|(_, times)| {
                    times.iter().any(|sent| sent.at < event.at) && times.iter().any(|sent| sent.at > event.at)
                })
                .count();
            if (again as u64 + recorded) > all as u64 {
                wrong.push(format!(
                    "{mark}: {recorded} of {all} lines were recorded when a process went, and {again} were sent again"
                ));
            }
        }
    }
    let lost = logs.matches("was given up").count() + logs.matches("WorkerLost").count();
    let events = happened.iter().filter(|event| event.what != What::Woken).count() + lost;
    let planned = plan.map_or(0, |plan| 2 * plan.matches("send.").count());
    let most = match kind {
        // Each process loses all of its slices when its database is away for longer than its lease.
        Kind::Cut | Kind::Crash => 3 * AHEAD * AT_ONCE,
        Kind::Full => AHEAD * AT_ONCE,
        _ => 0,
    } + events * AHEAD * AT_ONCE
        + planned;
    if surplus > most {
        wrong.push(format!("{surplus} lines were sent again; at most {most} were in doubt"));
    }
    surplus
}
