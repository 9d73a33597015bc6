//! What a hostile service, a hostile file or a hostile word on the command line can make `lote` print, on a terminal and
//! in a pipe: nothing that steers the terminal, hides, or looks like a line of ours.

use std::path::Path;
use std::process::{Command, Stdio};

use lote::text::is_hidden;
use serde_json::{Value, json};

use crate::common::{folder, names};
use crate::pty;
use crate::service::{Odd, answer, at, requests};

/// A title, a colour, a new line that is forged, C1, bidi, no width, an end of line of Unicode, a tag, a soft hyphen.
const HOSTILE: &str = "x\u{1b}]0;pwned\u{7}\u{1b}[31m\r\nforged: all succeeded\u{9b}31m\u{85}\u{202e}\u{2066}\u{200b}\
                       \u{200d}\u{feff}\u{2028}forged\u{2029}forged\u{e0041}\u{ad}\u{2060}\u{fe0f}";

pub(crate) fn in_terminal(command: Command) -> String {
    pty::run(command, 100)
}

fn in_pipe(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8")
}

fn assert_harmless(what: &str, printed: &str) {
    assert!(!printed.trim().is_empty(), "{what}: nothing was printed");
    for line in printed.lines() {
        let hidden = line.find(is_hidden).map(|at| &line[at..]);
        assert_eq!(hidden, None, "{what}: {printed:?}");
        // No line of ours begins with four blanks, but those that go on with one that was too long.
        assert!(line.starts_with("    ") || !line.trim_start().starts_with("forged"), "{what}: {printed:?}");
    }
}

/// Runs the same on a terminal and in a pipe, with a service of these answers.
fn both(answers: &[Vec<u8>], args: &[&str], place: &Path) {
    for terminal in [true, false] {
        // What a run has left is not there for the next.
        let folder = tempfile::tempdir_in(place).expect("a folder");
        std::fs::write(folder.path().join("requests.jsonl"), requests(&["a"])).expect("the requests");
        let odd = Odd::answering(answers.to_vec());
        let mut command = at(odd.url());
        command.env("LOTE_DIALECT", "openai").args(args).current_dir(&folder);
        let printed = if terminal { pty::without_ours(&in_terminal(command)) } else { in_pipe(command) };
        assert_harmless(&format!("{args:?}, terminal: {terminal}"), &printed);
    }
}

fn ok(body: &Value) -> Vec<u8> {
    answer("200 OK", "application/json", &body.to_string())
}

fn batch(more: Value) -> Value {
    let mut batch = json!({
        "id": "batch_1", "status": "in_progress", "endpoint": HOSTILE, "model": HOSTILE, HOSTILE: HOSTILE,
        "metadata": {HOSTILE: HOSTILE},
        "errors": {"data": [{"code": HOSTILE, "message": HOSTILE, "param": HOSTILE, "line": 1}]},
    });
    batch.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    batch
}

#[test]
fn answers_are_shown_and_steer_nothing() {
    let place = folder(&[]);
    let file = json!({"id": "file-1", "filename": HOSTILE, "purpose": HOSTILE, "status": HOSTILE, HOSTILE: [HOSTILE]});
    let list = |entry: &Value| json!({"data": [entry], "first_id": HOSTILE, "last_id": HOSTILE, "has_more": false});
    let odd = batch(json!({"status": HOSTILE}));
    let made = batch(json!({"metadata": {"lote_run": HOSTILE, "lote_shard": HOSTILE, "lote_requests": HOSTILE}}));
    let over = |status: &str| ok(&batch(json!({"status": status})));
    let content = answer("200 OK", "application/octet-stream", HOSTILE);
    for (answers, args) in [
        (vec![ok(&odd)], &["batches", "get", "batch_1"][..]),
        (vec![ok(&list(&odd))], &["batches", "list"]),
        (vec![ok(&list(&odd))], &["batches", "list", "--all"]),
        (vec![ok(&list(&odd))], &["batches", "list", "--json"]),
        (vec![ok(&list(&odd))], &["batches", "list", "--status", HOSTILE]),
        (vec![ok(&list(&made))], &["batches", "list"]),
        (vec![ok(&odd)], &["batches", "create", "file-1", "--endpoint", "chat"]),
        (vec![ok(&odd)], &["batches", "cancel", "batch_1"]),
        (vec![over("failed")], &["batches", "wait", "batch_1"]),
        (vec![over("completed")], &["batches", "wait", "batch_1"]),
        (vec![ok(&odd), over("expired")], &["batches", "wait", "batch_1"]),
        (vec![ok(&file)], &["files", "get", "file-1"]),
        (vec![ok(&list(&file))], &["files", "list"]),
        (vec![ok(&list(&file))], &["files", "list", "--all"]),
        (vec![ok(&file)], &["files", "upload", "requests.jsonl"]),
        (vec![ok(&json!({"id": "file-1", "deleted": false, HOSTILE: HOSTILE}))], &["files", "delete", "file-1"]),
    ] {
        both(&answers, args, place.path());
    }
    // The bytes of a file are its own in a pipe, and shown on a terminal.
    let odd = Odd::answering([content.clone(), content]);
    let command = || {
        let mut command = at(odd.url());
        command.args(["files", "content", "file-1", "--dialect", "openai"]);
        command
    };
    assert!(in_pipe(command()).contains(HOSTILE));
    let shown = in_terminal(command()).replace('\r', "");
    assert!(shown.contains("\\u{1b}]0;pwned") && !shown.contains(|c| is_hidden(c) && c != '\n'), "{shown:?}");
}

#[test]
fn errors_are_shown_and_steer_nothing() {
    let place = folder(&[]);
    let refused = json!({"error": {"message": HOSTILE, "code": HOSTILE, "param": HOSTILE, "type": HOSTILE}});
    let refused = answer("400 Bad Request", "application/json", &refused.to_string());
    let head =
        |line: &str| format!("HTTP/1.1 302 X\r\n{line}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n").into_bytes();
    let html = format!("<html><title>{HOSTILE}</title></html>");
    let page = |status: &str| answer(status, "text/html", &html);
    let field = |field: &str, value: Value| ok(&batch(json!({ field: value })));
    for answers in [
        refused,
        answer("500 X", "text/plain", HOSTILE),
        answer("200 OK", "text/plain", HOSTILE),
        page("200 OK"),
        page("502 X"),
        head("location: http://x/\u{1b}[31m\u{202e}"),
        head("location: http://x/\u{202e}\r\nx-request-id: a\u{202e}\u{9b}"),
        answer(&format!("404 {}", "\u{202e}\u{200b}"), "application/json", "{}"),
        field("id", HOSTILE.into()),
        field("id", json!([HOSTILE])),
        field("output_file_id", HOSTILE.into()),
        field("created_at", HOSTILE.into()),
        field("request_counts", json!({"total": HOSTILE})),
        field("errors", json!({"data": HOSTILE})),
        field("metadata", HOSTILE.into()),
    ] {
        both(&[answers], &["batches", "get", "batch_1"], place.path());
    }
    both(
        &[answer("404 X", "text/plain", HOSTILE)],
        &["batches", "wait", "batch_1", "--deadline", "50ms"],
        place.path(),
    );
    let cannot = answer("403 X", "text/plain", HOSTILE);
    for args in [
        &["files", "content", "file-1"][..],
        &["files", "content", "file-1", "-o", "f"],
        &["files", "upload", "requests.jsonl"],
        &["files", "delete", "file-1"],
        &["batches", "create", "file-1", "--endpoint", "chat"],
        &["run", "requests.jsonl"],
    ] {
        both(std::slice::from_ref(&cannot), args, place.path());
    }
}

#[test]
fn a_run_shows_what_comes_and_nothing_of_it_steers() {
    let place = folder(&[]);
    let answered = |line: Value| answer("200 OK", "application/octet-stream", &format!("{line}\n{HOSTILE}\n"));
    let output = answered(json!({
        "id": "r", "custom_id": HOSTILE, "error": null,
        "response": {"status_code": 200, "body": {"model": HOSTILE, "choices": [{"message": {"content": "x"}}]}},
    }));
    let errors = answered(json!({
        "id": "r", "custom_id": "row-1", "error": {"code": HOSTILE, "message": HOSTILE},
        "response": {"status_code": 400, "body": {"model": HOSTILE, "error": {"code": HOSTILE, "message": HOSTILE}}},
    }));
    let uploaded = ok(&json!({"id": "file-1", "filename": HOSTILE}));
    let counts = json!({"total": 1, "completed": 0, "failed": 1});
    let odd = ok(&batch(json!({"status": HOSTILE})));
    let counted = ok(&batch(json!({"status": HOSTILE, "request_counts": counts})));
    let busy = answer("503 X", "text/plain", HOSTILE);
    let over = batch(json!({
        "status": "completed", "request_counts": counts, "output_file_id": "file-2", "error_file_id": "file-3",
    }));
    for args in [&["run", "requests.jsonl"][..], &["run", "requests.jsonl", "--json"]] {
        let answers = [&uploaded, &odd, &odd, &counted, &busy, &ok(&over), &output, &errors].map(Clone::clone);
        both(&answers, args, place.path());
    }
    let failed = ok(&batch(json!({"status": "failed"})));
    both(&[uploaded.clone(), odd.clone(), failed], &["run", "requests.jsonl"], place.path());
    // The batch is followed no more, and what to do is said.
    let cannot = answer("403 X", "text/plain", HOSTILE);
    both(&[uploaded.clone(), odd.clone(), cannot.clone()], &["run", "requests.jsonl"], place.path());
    both(&[uploaded, odd, ok(&over), cannot], &["run", "requests.jsonl"], place.path());
}

#[test]
fn files_and_words_steer_nothing_either() {
    let long = json!({"custom_id": HOSTILE, "method": HOSTILE, "url": HOSTILE, "body": {"model": HOSTILE}, HOSTILE: 1});
    let line =
        json!({"custom_id": HOSTILE, "response": {"status_code": 400, "body": {"model": HOSTILE, "error": HOSTILE}}});
    let twice = format!("{line}\n{line}\n{HOSTILE}\n");
    let rows = format!("{HOSTILE},b\n1,2\n");
    let name = "requests\u{1b}[31m\n\u{202e}.jsonl";
    let place = folder(&[
        (name, requests(&["a"]).as_slice()),
        ("bad.jsonl", format!("{long}\n{HOSTILE}\n").as_bytes()),
        ("output.jsonl", twice.as_bytes()),
        ("rows.csv", rows.as_bytes()),
        ("mine.toml", format!("[auth]\n\"{HOSTILE}\" = {HOSTILE}\n").as_bytes()),
    ]);
    let before = names(place.path());
    for args in [
        &["check", "bad.jsonl"][..],
        &["check", "bad.jsonl", "--json"],
        &["check", name],
        &["check", name, "--json"],
        &["inspect", "output.jsonl"],
        &["inspect", "output.jsonl", "--json"],
        &["inspect", name],
        &["run", "bad.jsonl", "--embedded"],
        &["run", "bad.jsonl", "--embedded", "--json"],
        &["run", name, "--embedded", "--dir", "/nowhere/\u{1b}[31m"],
        &["prepare", "rows.csv", "--template", "{{ nothing }}", "--endpoint", "chat"],
        &["prepare", "rows.csv", "--template", HOSTILE, "--endpoint", "chat"],
        &["prepare", "\u{1b}[31m\u{202e}", "--template", "x", "--endpoint", "chat"],
        &["files", "get", HOSTILE],
        &["files", "list", "--order", HOSTILE],
        &["batches", "create", "file-1", "--endpoint", HOSTILE],
        &["batches", "list", "--base-url", HOSTILE],
        &["batches", "list", "--dialect", HOSTILE],
        &["batches", "list", "--dialect", "./mine.toml"],
        &["batches", "list", "--ca-cert", HOSTILE],
        &["batches", "list", "--profile", HOSTILE],
        &["batches", "wait", "batch_1", "--deadline", HOSTILE],
        &[HOSTILE],
    ] {
        for terminal in [true, false] {
            let mut command = at("http://127.0.0.1:9");
            command.args(args).current_dir(&place);
            let printed = if terminal { pty::without_ours(&in_terminal(command)) } else { in_pipe(command) };
            assert_harmless(&format!("{args:?}, terminal: {terminal}"), &printed);
        }
    }
    assert_eq!(names(place.path()), before);
}

#[test]
fn what_is_shown_of_a_run_steers_nothing() {
    let line = |id: &str, content: Value| {
        let tools = json!([{"type": "function", "function": {"name": HOSTILE}}]);
        let messages = json!([{"role": "system", "name": HOSTILE, "content": content}, {"role": "user", "content": [{"type": "text", "text": HOSTILE}]}]);
        let body = json!({"model": "auto", "user": HOSTILE, "tools": tools, "messages": messages});
        json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
    };
    let lines = [line("a", HOSTILE.into()), line(HOSTILE, HOSTILE.into())].concat();
    let place = folder(&[("requests.jsonl", lines.as_bytes())]);
    let answered = |line: Value| answer("200 OK", "application/octet-stream", &format!("{line}\n"));
    let calls = json!([{"id": HOSTILE, "type": "function", "function": {"name": HOSTILE, "arguments": HOSTILE}}]);
    let message = json!({"content": HOSTILE, "tool_calls": calls});
    let output = answered(json!({
        "id": "r", "custom_id": "a", "error": null, "response": {"status_code": 200, "body": {
            "model": HOSTILE, "choices": [{"message": message, "finish_reason": HOSTILE}],
        }},
    }));
    let errors = answered(json!({
        "id": "r", "custom_id": HOSTILE, "response": null, "error": {"code": HOSTILE, "message": HOSTILE},
    }));
    let over = batch(json!({
        "status": "completed", "request_counts": {"total": 2, "completed": 1, "failed": 1}, "output_file_id": "file-2",
        "error_file_id": "file-3",
    }));
    let odd = Odd::answering([
        ok(&json!({"id": "file-1"})),
        ok(&batch(json!({"status": HOSTILE}))),
        ok(&over),
        output,
        errors,
    ]);
    let mut run = at(odd.url());
    run.env("LOTE_DIALECT", "openai").args(["run", "requests.jsonl"]).current_dir(&place);
    assert_harmless("run", &pty::without_ours(&in_terminal(run)));
    for args in [
        &["show", "requests.run"][..],
        &["show", "requests.run", "--failed"],
        &["show", "requests.run", "--json"],
        &["show", "requests.run", HOSTILE],
        &["show", "requests.run", &HOSTILE[1..]],
        &["show", HOSTILE],
        &["run", "requests.jsonl"],
    ] {
        for terminal in [true, false] {
            let mut command = at("http://127.0.0.1:9");
            command.env("LOTE_DIALECT", "openai").args(args).current_dir(&place);
            let printed = if terminal { pty::without_ours(&in_terminal(command)) } else { in_pipe(command) };
            assert_harmless(&format!("{args:?}, terminal: {terminal}"), &printed);
        }
    }
}
