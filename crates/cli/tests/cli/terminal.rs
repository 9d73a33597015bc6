//! What a hostile service, a hostile file or a hostile word on the command line can make `lote` print, on a terminal and
//! in a pipe: nothing that steers the terminal, hides, or looks like a line of ours.

use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::process::{Command, Stdio};

use lote::text::is_hidden;
use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use serde_json::{Value, json};

use crate::common::{folder, names};
use crate::service::{Odd, answer, at, requests};

/// A title, a colour, a new line that is forged, C1, bidi, no width, an end of line of Unicode, a tag, a soft hyphen.
const HOSTILE: &str = "x\u{1b}]0;pwned\u{7}\u{1b}[31m\r\nforged: all succeeded\u{9b}31m\u{85}\u{202e}\u{2066}\u{200b}\
                       \u{200d}\u{feff}\u{2028}forged\u{2029}forged\u{e0041}\u{ad}\u{2060}\u{fe0f}";

/// Runs a command with a terminal as stdin, stdout and stderr; gives back what the terminal was sent.
pub(crate) fn in_terminal(mut command: Command) -> String {
    // One that has colours, unless the test says otherwise.
    if command.get_envs().all(|(name, _)| name != "TERM") {
        command.env("TERM", "xterm-256color");
    }
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a terminal");
    grantpt(&master).and_then(|()| unlockpt(&master)).expect("a terminal of ours");
    let name = ptsname(&master, Vec::new()).expect("its name");
    let terminal = File::from(open(name, OFlags::RDWR | OFlags::NOCTTY, Mode::empty()).expect("its other end"));
    let size = Winsize { ws_row: 24, ws_col: 100, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&terminal, size).expect("a size");
    let end = || Stdio::from(terminal.try_clone().expect("the same end again"));
    let mut child = command.stdin(end()).stdout(end()).stderr(end()).spawn().expect("it starts");
    // Both hold the other end open, which would never end then.
    drop((command, terminal));
    let mut sent = Vec::new();
    // Linux says so by an error when nobody has the other end any more.
    let _ = File::from(master).read_to_end(&mut sent);
    child.wait().expect("it ends");
    String::from_utf8(sent).expect("UTF-8")
}

fn in_pipe(mut command: Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it runs");
    String::from_utf8([output.stdout, output.stderr].concat()).expect("UTF-8")
}

/// Without what we send ourselves: the progress bar's cursor up and down, erase, carriage return; the terminal's ends of
/// lines; and colours, at the beginning of an error, and around a line that tells of a success.
fn without_ours(sent: &str) -> String {
    let (mut rest, mut left) = (sent, String::new());
    while let Some(c) = rest.chars().next() {
        let sequence = rest.strip_prefix("\u{1b}[").and_then(|rest| {
            let end = rest.find(|c: char| !c.is_ascii_digit() && c != '?')?;
            let allowed = matches!(&rest[..=end], "2K" | "K" | "0J" | "J" | "?25l" | "?25h")
                || matches!(rest.as_bytes()[end], b'A' | b'B');
            allowed.then(|| &rest[end + 1..])
        });
        match sequence {
            Some(behind) => rest = behind,
            None => {
                left.push(c);
                rest = &rest[c.len_utf8()..];
            }
        }
    }
    let plain = |line: &str| {
        if let Some(rest) = line.strip_prefix("\u{1b}[1;31merror:\u{1b}[0m ") {
            return format!("error: {rest}\n");
        }
        let success = line.strip_prefix("\u{1b}[32m").and_then(|line| line.strip_suffix("\u{1b}[0m"));
        format!("{}\n", success.unwrap_or(line))
    };
    left.replace('\r', "\n").lines().map(plain).collect()
}

fn assert_harmless(what: &str, printed: &str) {
    assert!(!printed.trim().is_empty(), "{what}: nothing was printed");
    for line in printed.lines() {
        let hidden = line.find(is_hidden).map(|at| &line[at..]);
        assert_eq!(hidden, None, "{what}: {printed:?}");
        assert!(!line.trim_start().starts_with("forged"), "{what}: {printed:?}");
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
        let printed = if terminal { without_ours(&in_terminal(command)) } else { in_pipe(command) };
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
    let over = |status: &str| ok(&batch(json!({"status": status})));
    let content = answer("200 OK", "application/octet-stream", HOSTILE);
    for (answers, args) in [
        (vec![ok(&odd)], &["batches", "get", "batch_1"][..]),
        (vec![ok(&list(&odd))], &["batches", "list"]),
        (vec![ok(&list(&odd))], &["batches", "list", "--all"]),
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
            let printed = if terminal { without_ours(&in_terminal(command)) } else { in_pipe(command) };
            assert_harmless(&format!("{args:?}, terminal: {terminal}"), &printed);
        }
    }
    assert_eq!(names(place.path()), before);
}
