//! A gateway whose state is in a folder: it dies and comes again, and is told to end while lines are at its server.

use std::collections::HashMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::Duration;

use lote_gateway::upstream::Upstream;
use serde_json::{Value, json};

use super::{Running, body, create, until};
use crate::common::{command, folder, lote_in, signal};

/// As many lines may be at an upstream at once.
const IN_FLIGHT: usize = 256;

/// One that keeps its state in `state` below this folder.
fn kept(folder: &Path, flags: &[&str]) -> Running {
    let mut there = command();
    there.current_dir(folder).env("SERVER_KEY", "sk-of-the-server");
    Running::run(there, &[&["--data", "state"], flags].concat())
}

fn get(gateway: &Running, path: &str) -> Value {
    body(&gateway.ask(&format!("GET {path}"), "k", "", ""))
}

/// Uploads lines with these prompts, and makes a batch of them.
fn submit(gateway: &Running, prompts: &[String], headers: &str) -> String {
    let lines: String = (0..)
        .zip(prompts)
        .map(|(at, prompt)| {
            let asked = json!({"model": "m", "messages": [{"role": "user", "content": prompt}]});
            let url = "/v1/chat/completions";
            format!("{}\n", json!({"custom_id": format!("r-{at}"), "method": "POST", "url": url, "body": asked}))
        })
        .collect();
    let part = "--b\r\ncontent-disposition: form-data; name=";
    let form =
        format!("{part}\"purpose\"\r\n\r\nbatch\r\n{part}\"file\"; filename=\"r.jsonl\"\r\n\r\n{lines}\r\n--b--\r\n");
    let kind = "content-type: multipart/form-data; boundary=b\r\n";
    let file = body(&gateway.ask("POST /v1/files", "k", kind, &form))["id"].clone();
    let batch = gateway.post("/v1/batches", headers, &create(&file));
    batch["id"].as_str().expect("a batch").to_owned()
}

fn batch(gateway: &Running, id: &str) -> Value {
    get(gateway, &format!("/v1/batches/{id}"))
}

fn ended(gateway: &Running, id: &str) -> Value {
    until("the batch ends", || !batch(gateway, id)["completed_at"].is_null());
    batch(gateway, id)
}

/// The custom_ids of the output file, sorted.
fn answered(gateway: &Running, batch: &Value) -> Vec<String> {
    let file = batch["output_file_id"].as_str().expect("an output file");
    let answer = gateway.ask(&format!("GET /v1/files/{file}/content"), "k", "", "");
    let (_, content) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let ids = content.lines().map(|line| {
        let line: Value = serde_json::from_str(line).expect("a result line");
        line["custom_id"].as_str().expect("a custom_id").to_owned()
    });
    let mut ids: Vec<String> = ids.collect();
    ids.sort();
    ids
}

fn names(lines: usize) -> Vec<String> {
    let mut names: Vec<String> = (0..lines).map(|at| format!("r-{at}")).collect();
    names.sort();
    names
}

#[test]
fn a_batch_goes_on_after_kill_9_and_no_recorded_answer_is_asked_for_again() {
    let server = Running::start(&["--journal"]);
    let url = server.ready["base_urls"][1].as_str().expect("a URL").to_owned();
    let folder = folder(&[]);
    let start = || kept(folder.path(), &["--upstream", &url, "--upstream-key-env", "SERVER_KEY"]);
    let prompts: Vec<String> = (0..400).map(|at| format!("[[sleep=30]] line {at}")).collect();
    let gateway = start();
    let id = submit(&gateway, &prompts, "Idempotency-Key: of-mine\r\n");
    let mut least = 0;
    // Killed by its drop, three times while answers come.
    let mut gateway = gateway;
    for _ in 0..3 {
        until("answers come", || {
            let done = batch(&gateway, &id)["request_counts"]["completed"].as_u64();
            done.is_some_and(|done| done > least)
        });
        least = batch(&gateway, &id)["request_counts"]["completed"].as_u64().expect("a count");
        drop(gateway);
        gateway = start();
        let known = batch(&gateway, &id);
        assert!(known["request_counts"]["completed"].as_u64() >= Some(least), "{known}");
        // Another process does not get the folder meanwhile.
        let second = lote_in(command(), folder.path(), &["gateway", "--listen", "127.0.0.1:0", "--data", "state"]);
        assert_eq!(second.code, 2);
        let said = second.stderr;
        assert!(said.contains("another process uses the folder state"), "{said}");
    }
    let done = ended(&gateway, &id);
    assert_eq!(done["request_counts"], json!({"total": 400, "completed": 400, "failed": 0}), "{done}");
    assert_eq!(answered(&gateway, &done), names(400));
    // The key that made it finds it.
    let again = gateway.post("/v1/batches", "Idempotency-Key: of-mine\r\n", &create(&done["input_file_id"]));
    assert_eq!(again["id"], done["id"]);
    // What the server was asked for: each line under a key of its own, and besides at most those that were there at a kill,
    // under the same key.
    let journal = body(&server.ask("GET /_lote/journal", "sk-of-the-server", "", ""));
    let entries = journal["data"].as_array().or(journal["entries"].as_array()).expect("a journal");
    let mut asked = HashMap::new();
    let mut times = 0;
    for entry in entries.iter().filter(|entry| entry["event"] == "request_executed") {
        let key = entry["idempotency_key"].as_str().expect("a key").to_owned();
        let line = asked.entry(key).or_insert_with(|| entry["sha256"].clone());
        assert_eq!(*line, entry["sha256"]);
        times += 1;
    }
    assert_eq!(asked.len(), 400);
    assert!(times <= 400 + 3 * IN_FLIGHT, "{times} asked");
}

#[test]
fn told_to_end_it_finishes_what_is_at_its_server_and_the_next_goes_on() {
    let server = Running::start(&[]);
    let url = server.ready["base_urls"][1].as_str().expect("a URL").to_owned();
    let folder = folder(&[]);
    let flags = ["--upstream", &url, "--upstream-key-env", "SERVER_KEY", "--grace", "60s"];
    let prompts: Vec<String> = (0..300).map(|at| format!("[[sleep=200]] line {at}")).collect();
    let mut gateway = kept(folder.path(), &flags);
    let id = submit(&gateway, &prompts, "");
    until("answers come", || batch(&gateway, &id)["request_counts"]["completed"].as_u64() > Some(0));
    signal(&gateway.child, "TERM");
    assert_eq!(gateway.child.wait().expect("it ends").code(), Some(0));
    let said = BufReader::new(gateway.child.stderr.take().expect("a pipe")).lines().next().expect("a line");
    assert!(said.expect("text").contains("finishing what is at work, for up to 60s"));
    let gateway = kept(folder.path(), &flags);
    let before = batch(&gateway, &id);
    assert_eq!(before["status"], "in_progress", "it was not to be over yet: {before}");
    let done = ended(&gateway, &id);
    assert_eq!(answered(&gateway, &done), names(300));
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let folder = folder(&[]);
    let mut gateway = kept(folder.path(), &["--grace", "1h"]);
    let id = submit(&gateway, &["[[sleep=86400000]]".to_owned()], "");
    until("it runs", || batch(&gateway, &id)["status"] == "in_progress");
    signal(&gateway.child, "TERM");
    let mut said = String::new();
    BufReader::new(gateway.child.stderr.as_mut().expect("a pipe")).read_line(&mut said).expect("a line");
    assert!(said.contains("once more to stop now"), "{said}");
    assert!(gateway.child.try_wait().expect("a status").is_none(), "it waits for the line");
    signal(&gateway.child, "TERM");
    assert_eq!(gateway.child.wait().expect("it ends").code(), Some(0));
}

#[test]
fn what_is_in_the_way_of_a_state_is_said() {
    let folder = folder(&[("file", b"no folder")]);
    for (flags, said) in [
        (&["--data", "file"][..], "the gateway cannot start"),
        (&["--data", "state", "--clock", "virtual"], "leave the virtual clock out"),
        (&["--blobs", "file:///tmp/x"], "add --database"),
        (&["--database", "postgres://x@localhost/x"], "--blobs"),
        (&["--database-env", "LOTE_NONE", "--blobs", "file:///x"], "no environment variable LOTE_NONE"),
        (&["--data", "state", "--database", "postgres://x@localhost/x"], "cannot be used with"),
        (&["--grace", "soon"], "--grace"),
    ] {
        let ended = lote_in(command(), folder.path(), &[&["gateway", "--listen", "127.0.0.1:0"], flags].concat());
        assert_eq!(ended.code, 2, "{flags:?}");
        let told = ended.stderr;
        assert!(told.contains(said), "{flags:?}: {told}");
    }
}

/// The library's own way to it, and what a restart within one process needs.
#[tokio::test]
async fn a_folder_is_free_when_its_gateway_has_stopped() {
    let folder = folder(&[]);
    let server = lote_gateway::Gateway::builder().start().await.expect("it starts");
    for _ in 0..3 {
        let upstream = Upstream::new(&format!("{}/v1", server.url())).expect("a URL");
        let builder = lote_gateway::Gateway::builder().data(folder.path().join("state")).upstream(upstream);
        let gateway = builder.grace(Duration::from_secs(1)).start().await.expect("it starts");
        gateway.shutdown().await;
    }
}
