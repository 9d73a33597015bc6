//! What an answer may cost: `lote` is run with little memory, and must end with an error of its own.

use std::fs;
use std::io::{BufWriter, Write};
use std::process::{Command, Stdio};

use crate::common::{Ended, command, ended, folder};
use crate::service::{Embedded, KEY, Odd, answer, at};

/// How much a process may reserve, in KiB. Threads reserve much more than they use.
const MOST: u32 = 900 << 10;

/// Runs `lote` with so little memory, on a service that gives this answer.
fn ask(body: &str, args: &[&str]) -> Ended {
    let odd = Odd::answering([answer("200 OK", "application/json", body)]);
    let mut shell = Command::new("sh");
    shell.arg("-c").arg(format!("ulimit -v {MOST} && exec \"$0\" \"$@\"")).arg(command().get_program());
    for name in ["LOTE_ON_BEHALF_OF", "LOTE_DIALECT"] {
        shell.env_remove(name);
    }
    // One place for all threads to take memory from: each would reserve 64 MiB.
    shell.env("MALLOC_ARENA_MAX", "1").env("TOKIO_WORKER_THREADS", "2");
    shell.env("LOTE_BASE_URL", odd.url()).env("LOTE_API_KEY", KEY).env("LOTE_RETRIES", "0");
    ended(shell.args(args), b"")
}

#[test]
fn an_answer_of_many_values_takes_no_memory() {
    // Each of these took gigabytes: a few bytes of text are hundreds of a tree.
    for unit in ["{\"\":{}},", "[[]],", "{\"a\":{\"a\":{\"a\":[{}]}}},", "\"\",", "0,"] {
        let many = unit.repeat((60 << 20) / unit.len());
        let many = many.trim_end_matches(',');
        let page = format!(r#"{{"data":[],"has_more":false,"more":[{many}]}}"#);
        for args in [&["files", "list"][..], &["batches", "list", "--all"]] {
            let ended = ask(&page, args);
            assert_eq!(ended.code, 4, "{unit} {args:?}: {ended:?}");
            assert!(ended.stderr.contains("would take more than 128 MiB of memory"), "{ended:?}");
        }
        let batch = format!(r#"{{"id":"b","status":"completed","more":[{many}]}}"#);
        let ended = ask(&batch, &["batches", "get", "b"]);
        assert_eq!(ended.code, 4, "{unit}: {ended:?}");
        assert!(ended.stderr.contains("it is longer than 1 MiB"), "{ended:?}");
    }
}

#[test]
fn the_longest_page_that_is_taken_has_room() {
    // One text, and as many objects as are let through.
    let text = format!(r#"{{"data":[],"has_more":false,"more":"{}"}}"#, "x".repeat(50 << 20));
    let objects = format!(r#"{{"data":[],"has_more":false,"more":[{}{{}}]}}"#, "{},".repeat(190_000));
    for page in [text, objects] {
        let ended = ask(&page, &["files", "list"]);
        assert_eq!(ended.code, 0, "{}", ended.stderr);
    }
}

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
