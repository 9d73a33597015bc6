//! What a run takes of memory, whatever its size.

use std::fs;
use std::io::{BufWriter, Write};
use std::process::Stdio;

use crate::common::folder;
use crate::service::{Embedded, at};

/// How many lines a run has: `LOTE_LINES`, or so many.
const LINES: u64 = 100_000;

/// What a run may take, whatever its size, in KiB.
const MOST_OF_A_RUN: u64 = 64 << 10;

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
    let mut child = at(gateway.url())
        .current_dir(place.path())
        .args(["run", "requests.jsonl", "--json"])
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
    let report: serde_json::Value = serde_json::from_reader(child.stdout.take().expect("a pipe")).expect("a report");
    assert!(ended.success() && report["succeeded"] == lines, "{report}");
    println!("{lines} lines: {} MiB at the most, in {} s", peak >> 10, began.elapsed().as_secs());
    assert!(peak > 0 && peak < MOST_OF_A_RUN, "{lines} lines took {peak} KiB");
}
