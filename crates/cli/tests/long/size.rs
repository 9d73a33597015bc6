//! What a run takes of memory, whatever its size.

use std::fs;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use serde_json::{Value, json};

use crate::common::folder;
use crate::service::{Embedded, answer, at, read, requests};

/// How many lines a run has: `LOTE_LINES`, or so many.
const LINES: u64 = 100_000;

/// What a run may take, whatever its size, in KiB.
const MOST_OF_A_RUN: u64 = 64 << 10;

/// Runs `lote` in a folder; the summary that it prints, and what it took. It must take no more memory than a run may.
fn measured(gateway: &Embedded, place: &Path, args: &[&str]) -> (Value, String) {
    let (ended, summary, took) = taken(gateway.url(), place, args);
    assert!(ended.success(), "{args:?}: {summary}");
    (summary, took)
}

/// The same at this service, however it ends.
fn taken(url: &str, place: &Path, args: &[&str]) -> (ExitStatus, Value, String) {
    let mut child = at(url)
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
    assert!(peak > 0 && peak < MOST_OF_A_RUN, "{args:?} took {peak} KiB");
    (ended, summary, format!("{args:?}: {} MiB at the most, in {} s", peak >> 10, began.elapsed().as_secs()))
}

/// A service that sends this much of the same byte as an output file, without an end of a line.
fn junk(bytes: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let head = read(&stream).head;
            let is = |part: &str| head.lines().next().is_some_and(|line| line.contains(part));
            if is("/content") {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {bytes}\r\nconnection: close\r\n\r\n");
                let sent = stream.write_all(head.as_bytes());
                let _ = sent.and_then(|()| (0..bytes >> 16).try_for_each(|_| stream.write_all(&[b'A'; 1 << 16])));
                continue;
            }
            let said = match (head.starts_with("POST"), is("/files")) {
                (_, true) => json!({"id": "file-1", "object": "file"}),
                _ if is("/batches?") => json!({"data": [], "has_more": false}),
                _ => json!({"id": "batch_1", "status": "completed", "output_file_id": "o",
                            "request_counts": {"total": 2, "completed": 2, "failed": 0}}),
            };
            let _ = stream.write_all(&answer("200 OK", "application/json", &said.to_string()));
        }
    });
    url
}

#[test]
fn a_line_without_an_end_that_is_no_json_takes_no_memory() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let (ended, summary, took) = taken(&junk(192 << 20), place.path(), &["run", "requests.jsonl"]);
    println!("{took}");
    assert_eq!((ended.code(), &summary["missing"]), (Some(1), &2.into()), "{summary}");
    let found = fs::read_to_string(place.path().join("requests.run/anomalies.jsonl")).expect("the anomalies");
    assert!(found.contains("the line has 201326592 bytes") && found.len() < 10_000, "{}", found.len());
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

    let page = measured(&["report", "requests.run", "-o", "report.html"]);
    assert_eq!((&page["lines"], &page["finished"]), (&lines.into(), &true.into()), "{page}");
    let line = measured(&["show", "requests.run", "--sample", "1"]);
    assert_eq!((&line["outcome"], line["request"].is_object()), (&"succeeded".into(), true), "{line}");
    let table = measured(&["export", "joined.jsonl", "-o", "table.csv"]);
    assert_eq!(table["rows"], lines, "{table}");
}
