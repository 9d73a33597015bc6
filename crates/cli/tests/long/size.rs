//! What a run takes of memory, whatever its size.

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use crate::common::folder;
use crate::service::{Embedded, at};

/// How many lines a run has: `LOTE_LINES`, or so many.
const LINES: u64 = 100_000;

/// What a run may take, whatever its size, in KiB.
const MOST_OF_A_RUN: u64 = 64 << 10;

/// Runs `lote` in a folder; the summary that it prints, and what it took. It must take no more memory than a run may.
fn measured(gateway: &Embedded, place: &Path, args: &[&str]) -> (Value, String) {
    let mut child = at(gateway.url())
        .current_dir(place)
        .args(args)
        .arg("--json")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("it starts");
    let status = format!("/proc/{}/status", child.id());
    let (mut peak, began) = (0, std::time::Instant::now());
    let ended = loop {
        // The most that it has taken so far; it is gone with the process.
        let text = fs::read_to_string(&status).unwrap_or_default();
        let now = text.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(now.unwrap_or(0));
        if let Some(ended) = child.try_wait().expect("a child") {
            break ended;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    };
    let summary: Value = serde_json::from_reader(child.stdout.take().expect("a pipe")).expect("a summary");
    assert!(ended.success(), "{args:?}: {summary}");
    assert!(peak > 0 && peak < MOST_OF_A_RUN, "{args:?} took {peak} KiB");
    (summary, format!("{args:?}: {} MiB at the most, in {} s", peak >> 10, began.elapsed().as_secs()))
}

#[test]
fn a_run_takes_no_more_memory_for_more_lines() {
    let lines: u64 = std::env::var("LOTE_LINES").ok().and_then(|lines| lines.parse().ok()).unwrap_or(LINES);
    let place = folder(&[]);
    let mut requests = BufWriter::new(fs::File::create(place.path().join("requests.jsonl")).expect("a file"));
    for at in 0..lines {
        let body =
            format!(r#"{{"model":"auto","messages":[{{"role":"user","content":"What is {at} + 1? The number."}}]}}"#);
        let line = format!(r#"{{"custom_id":"row-{at}","method":"POST","url":"/v1/chat/completions","body":{body}}}"#);
        writeln!(requests, "{line}").expect("written");
    }
    requests.into_inner().expect("written");
    let gateway = Embedded::start();
    let measured = |args: &[&str]| {
        let (summary, took) = measured(&gateway, place.path(), args);
        println!("{took}");
        summary
    };
    let summary = measured(&["run", "requests.jsonl"]);
    assert_eq!(summary["succeeded"], lines, "{summary}");

    // The same in two parts, and together again in the order of the input.
    for part in ["1/2", "2/2"] {
        measured(&["run", "requests.jsonl", "--partition", part]);
    }
    let joined = ["join", "requests.2-of-2.run", "requests.1-of-2.run", "-o", "joined.jsonl"];
    let summary = measured(&joined);
    assert_eq!(summary["succeeded"], lines, "{summary}");
    let joined = BufReader::new(fs::File::open(place.path().join("joined.jsonl")).expect("the results"));
    let mut count = 0;
    for (at, line) in joined.lines().enumerate() {
        let line = line.expect("a line");
        assert!(line.contains(&format!(r#""custom_id":"row-{at}","#)), "line {at}: {line}");
        count += 1;
    }
    assert_eq!(count, lines);

    let table = measured(&["export", "joined.jsonl", "-o", "table.csv"]);
    assert_eq!(table["rows"], lines, "{table}");
}
