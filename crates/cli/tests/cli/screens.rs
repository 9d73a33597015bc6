//! What people see, as files beside this one: a change of it is a diff. Ids and times are made the same in all.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use lote_gateway::Gateway;
use serde_json::json;

use crate::common::{command, folder, lote_in, repository};
use crate::pty;
use crate::readme::words;
use crate::service::{Embedded, Odd, answer, at, requests};

const COLUMNS: u16 = 80;

/// Compares what stands on the terminal with what is kept under this name.
fn assert_screen(name: &str, screen: &str) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/cli/screens").join(format!("{name}.txt"));
    if std::env::var_os("LOTE_ACCEPT_SCREENS").is_some() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, screen).expect("written");
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == screen,
        "{} is not what is shown.\n--- kept\n{kept}--- shown\n{screen}---\nIf the new one is right, keep it: \
         LOTE_ACCEPT_SCREENS=1 cargo test --workspace --test cli screens",
        path.display()
    );
    for line in screen.lines() {
        let is_command = line.trim_start().trim_start_matches("$ ").starts_with("lote ");
        let width = line.chars().count();
        assert!(is_command || width <= COLUMNS.into(), "{name}: it wraps: {line:?}");
    }
}

/// Runs a command on a terminal of so many columns; what stands there at the end.
fn screen(mut command: Command, args: &[&str], columns: u16) -> String {
    command.args(args).env("COLUMNS", columns.to_string());
    same(&pty::screen(&pty::run(command, columns)))
}

/// The same screen whatever the ids and the time that was taken: digits of an id become x, as many as there were.
fn same(screen: &str) -> String {
    let mut same = String::new();
    for line in screen.lines() {
        let line = match line.strip_prefix("time: ") {
            Some(_) => "time: 0.1 s".to_owned(),
            None => line.to_owned(),
        };
        let mut word = String::new();
        for c in line.chars().chain(['\n']) {
            if c.is_ascii_alphanumeric() || c == '_' {
                word.push(c);
                continue;
            }
            let digits = word.rsplit('_').next().unwrap_or_default();
            let is_id = digits.len() >= 8 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
            match is_id {
                true => same.push_str(&format!("{}{}", &word[..word.len() - digits.len()], "x".repeat(digits.len()))),
                false => same.push_str(&word),
            }
            word.clear();
            same.push(c);
        }
    }
    same
}

fn questions() -> Vec<u8> {
    requests(&[
        "What is the capital of Peru, and how many people live there? Answer in one sentence.",
        "東京の人口は何人ですか。\nOne line more, with\ta tab.",
        "[[status=429]] too much",
        &"A long question. ".repeat(80),
        "[[status=429]] too much again",
    ])
}

#[test]
fn the_end_of_a_run() {
    let place = folder(&[("good.jsonl", &requests(&["one", "two", "three", "four"])), ("tickets.jsonl", &questions())]);
    for (name, requests) in [("run", "good.jsonl"), ("run_failed", "tickets.jsonl")] {
        let mut lote = command();
        lote.current_dir(&place);
        assert_screen(name, &screen(lote, &["run", requests, "--embedded"], COLUMNS));
    }
    // In a pipe there are neither answers nor commands.
    let again = lote_in(command(), place.path(), &["run", "good.jsonl", "--embedded"]);
    assert!(again.stdout.ends_with("\nresults: good.run/results.jsonl\n"), "{again:?}");
}

/// On a narrow terminal our lines end between words, and what is to be copied is whole.
#[test]
fn what_is_long_in_a_narrow_terminal() {
    let place = folder(&[("good.jsonl", &requests(&["one", "two"])), ("t.csv", b"id\n1\n")]);
    assert_eq!(lote_in(command(), place.path(), &["run", "good.jsonl", "--embedded"]).code, 0);
    for (name, args) in [
        ("narrow_no_key", &["batches", "list"][..]),
        ("narrow_table", &["run", "t.csv", "--embedded"]),
        ("narrow_runs", &["runs"]),
        ("narrow_status", &["status", "good.run"]),
    ] {
        let mut lote = command();
        lote.current_dir(&place);
        let shown = screen(lote, args, 60);
        let is_command = |line: &str| line.trim_start().starts_with("lote ");
        let long = shown.lines().find(|line| !is_command(line) && line.chars().count() > 60);
        assert_eq!(long, None, "{name}: {shown}");
        // When the run began.
        assert_screen(name, &shown.lines().map(|line| dated(line) + "\n").collect::<String>());
    }
}

/// A line with another instant at its end, if there is one.
fn dated(line: &str) -> String {
    match line.split_once("begun ") {
        Some((before, _)) => format!("{before}begun 2026-11-30T12:00:00Z"),
        None => line.to_owned(),
    }
}

#[test]
fn lines_that_are_shown() {
    let place = folder(&[("tickets.jsonl", &questions())]);
    assert_eq!(lote_in(command(), place.path(), &["run", "tickets.jsonl", "--embedded"]).code, 1);
    for (name, args) in [
        ("show", &["show", "tickets.run"][..]),
        ("show_failed", &["show", "tickets.jsonl", "--failed"]),
        ("show_ids", &["show", "tickets.run", "row-4", "row-2"]),
        ("show_missing", &["show", "tickets.run", "row-12"]),
    ] {
        let mut lote = command();
        lote.current_dir(&place);
        assert_screen(name, &screen(lote, args, COLUMNS));
    }
}

/// Batches as a service lists them: made by runs, and by others; with ids and names of all lengths.
fn batches() -> serde_json::Value {
    let now =
        i64::try_from(std::time::SystemTime::UNIX_EPOCH.elapsed().expect("after 1970").as_secs()).expect("a time");
    let batch = |id: &str, status: &str, age: i64, counts: [u64; 3], metadata: serde_json::Value| {
        let [total, completed, failed] = counts;
        let counts = json!({"total": total, "completed": completed, "failed": failed});
        json!({"id": id, "status": status, "created_at": now - age, "request_counts": counts, "metadata": metadata})
    };
    let run =
        |name: &str| json!({"lote_run": "1a2b3c4d5e6f708192a3b4c5d6e7f809", "lote_shard": "2", "lote_requests": name});
    json!({"has_more": true, "data": [
        batch("batch_68fc0123456789abcdef0123456789ab", "in_progress", 780, [60_000, 45_000, 12], run("質問.jsonl")),
        batch("batch_68fc0123456789abcdef0123456789ac", "completed", 12_300, [60, 60, 0], run("a-long-name-of-tickets-of-all-of-2026.jsonl")),
        batch("batch_68fc0123456789abcdef0123456789ad", "validating", 187_300, [0, 0, 0], json!(null)),
    ]})
}

#[test]
fn tables_of_batches_and_of_files() {
    let said = |value: &serde_json::Value| answer("200 OK", "application/json", &value.to_string());
    let list = batches();
    let now = list["data"][0]["created_at"].as_i64().expect("a time");
    let file = |id: &str, purpose: &str, bytes: u64, age: i64, name: &str| json!({"id": id, "purpose": purpose, "bytes": bytes, "created_at": now - age, "filename": name});
    let files = json!({"has_more": false, "data": [
        file("file-68fc0123456789abcdef01", "batch", 48_300_000, 0, "lote-1a2b3c4d-0001.jsonl"),
        file("file-68fc0123456789abcdef02", "batch_output", 1_200, 90_000, "日本語のファイル.jsonl"),
    ]});
    for columns in [60, 80, 200] {
        for (kind, list) in [("batches", &list), ("files", &files)] {
            let odd = Odd::answering([said(list)]);
            let mut lote = at(odd.url());
            lote.env("LOTE_DIALECT", "openai");
            let shown = screen(lote, &[kind, "list"], columns);
            for line in shown.lines() {
                assert!(line.chars().count() <= columns.into(), "{columns}: {line:?}");
            }
            if columns == COLUMNS {
                assert_screen(&format!("{kind}_list"), &shown);
            }
            // The id is whole at every width, and JSON is what it was.
            let id = list["data"][0]["id"].as_str().expect("an id");
            assert!(shown.contains(&same(&format!("{id}\n"))[..id.len()]), "{columns}: {shown}");
        }
    }
    // On a terminal, too, when that is asked for.
    let odd = Odd::answering([said(&files)]);
    let mut lote = at(odd.url());
    lote.env("LOTE_DIALECT", "openai").args(["files", "list", "--json"]);
    let printed: serde_json::Value = serde_json::from_str(&pty::run(lote, COLUMNS)).expect("JSON");
    assert_eq!(printed["data"], files["data"]);
}

/// README's first five minutes, word by word; each command's screen below it.
#[test]
fn the_first_five_minutes() {
    let readme = fs::read_to_string(repository("README.md")).expect("the page");
    let (_, section) = readme.split_once("\n## The first five minutes\n").expect("the section");
    let commands = section.split("```").nth(1).and_then(|block| block.strip_prefix("sh\n")).expect("its commands");
    let table = fs::read(repository("examples/tickets.csv")).expect("the table");
    let place = folder(&[]);
    fs::create_dir(place.path().join("examples")).expect("a folder");
    fs::write(place.path().join("examples/tickets.csv"), table).expect("the table");
    let mut screens = String::new();
    for line in commands.lines() {
        let words = words(line.strip_prefix("lote ").expect("a command of ours"));
        let mut lote = command();
        lote.current_dir(&place);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        screens.push_str(&format!("$ {line}\n{}\n", screen(lote, &words, COLUMNS)));
    }
    assert_screen("five_minutes", &screens);
    let answers = fs::read_to_string(place.path().join("tickets.answers.csv")).expect("the answers");
    assert_eq!(answers.matches(",succeeded,").count(), 20, "{answers}");
}

#[test]
fn a_bar_never_wraps() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=3000]] a", "b", "c"]))]);
    let gateway = Embedded::standing(Gateway::builder());
    for columns in [60, 80] {
        let mut lote = at(gateway.url());
        let folder = format!("{columns}.run");
        lote.args(["run", "requests.jsonl", "--dir", &folder]).current_dir(&place);
        let sent = gateway.passing(|| pty::run(lote, columns));
        let drawn = pty::without_ours(&sent);
        // What is printed for good may be longer; what is drawn over must not be.
        let bars: Vec<&str> =
            drawn.lines().filter(|line| line.starts_with(|c| ('\u{2800}'..='\u{28ff}').contains(&c))).collect();
        assert!(!bars.is_empty(), "{sent:?}");
        for bar in bars {
            let bar = bar.trim_end();
            assert!(bar.chars().count() < columns.into(), "{columns}: {bar:?}");
        }
        gateway.pass(Duration::from_secs(60));
    }
}
