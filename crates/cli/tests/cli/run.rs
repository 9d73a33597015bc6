//! Owns the tests of `lote run`: its results, its exit codes, and what an early end leaves behind.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use lote_gateway::Gateway;
use serde_json::Value;

use crate::common::{
    Ended, PROBLEMS, command, ended, folder, lote, names, phase, repository, signal, status, until, word_problems,
};
use crate::service::{Embedded, Odd, Steady, answer, ask, at, json, requests};

/// `lote run requests.jsonl` in this folder, with these arguments.
fn run_in<A: AsRef<OsStr>>(mut command: Command, folder: &Path, args: impl IntoIterator<Item = A>) -> Ended {
    ended(command.current_dir(folder).args(["run", "requests.jsonl"]).args(args), b"")
}

fn results(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the results");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON on each line")).collect()
}

fn ids(lines: &[Value]) -> Vec<String> {
    lines.iter().map(|line| line["custom_id"].as_str().expect("an id").to_owned()).collect()
}

#[test]
fn the_example_of_the_readme() {
    let place = folder(&[]);
    let run = place.path().join("run");
    let example = repository("examples/requests.jsonl");
    let ended = lote(["run", &example.to_string_lossy(), "--embedded", "--dir", &run.to_string_lossy()]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    assert!(ended.stdout.starts_with("60 of 60 lines succeeded, 0 failed, 0 missing; batch batch_"), "{ended:?}");
    assert_eq!(ids(&results(&run.join("results.jsonl"))), ids(&results(&example)));
}

#[test]
fn a_thousand_questions_in_their_order() {
    let place = folder(&[("rows.jsonl", word_problems().as_bytes())]);
    let rows = place.path().join("rows.jsonl");
    let requests = place.path().join("requests.jsonl");
    let template = r#"{"model": "auto", "messages": [{"role": "user", "content": {{ question }}}]}"#;
    let prepared = lote(
        [
            rows.as_os_str(),
            "--template".as_ref(),
            template.as_ref(),
            "--endpoint".as_ref(),
            "chat".as_ref(),
            "-o".as_ref(),
            requests.as_os_str(),
        ]
        .into_iter()
        .fold(vec!["prepare".as_ref()], |mut args: Vec<&OsStr>, arg| {
            args.push(arg);
            args
        }),
    );
    assert_eq!(prepared.code, 0, "{prepared:?}");
    let checked = lote([OsStr::new("check"), requests.as_os_str()]);
    assert_eq!(checked.code, 0, "{checked:?}");

    let ended = run_in(command(), place.path(), ["--embedded", "--json", "-o", "results.jsonl"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (0, ""), "{ended:?}");
    let summary = json(&ended);
    assert_eq!((&summary["lines"], &summary["succeeded"]), (&PROBLEMS.into(), &PROBLEMS.into()));
    assert_eq!((&summary["failed"], &summary["missing"]), (&0.into(), &0.into()));
    assert_eq!(summary["anomalies"], serde_json::json!([]));
    let expected: Vec<String> = (1..=PROBLEMS).map(|number| format!("row-{number}")).collect();
    assert_eq!(ids(&results(&place.path().join("results.jsonl"))), expected);
}

#[test]
fn lines_that_fail_are_exit_1_and_named() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "[[status=429]] b", "[[fail=2:503]] c"]))]);
    let ended = run_in(command(), place.path(), ["--embedded"]);
    assert_eq!((ended.code, ended.stderr.as_str()), (1, ""), "{ended:?}");
    assert!(ended.stdout.starts_with("2 of 3 lines succeeded, 1 failed, 0 missing"), "{ended:?}");
    assert!(ended.stdout.contains("  1 × "), "{ended:?}");
    let results = results(&place.path().join("requests.run/results.jsonl"));
    assert_eq!(results[1]["response"]["status_code"], 429);
    assert_eq!(ids(&results), ["row-1", "row-2", "row-3"]);
}

#[test]
fn a_second_run_in_the_same_folder_is_the_first_again_or_is_refused() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let gateway = Embedded::start();
    let first = run_in(at(gateway.url()), place.path(), ["--json"]);
    assert_eq!(first.code, 0, "{first:?}");
    let second = run_in(at(gateway.url()), place.path(), ["--json"]);
    assert_eq!((second.code, &json(&second)["batches"]), (0, &json(&first)["batches"]), "{second:?}");
    let batches = json(&gateway.lote(["batches", "list"]));
    assert_eq!(batches["data"].as_array().map(Vec::len), Some(1), "{batches}");
    let other = run_in(at(&gateway.openai()), place.path(), ["--json"]);
    assert_eq!((other.code, other.stdout.as_str()), (2, ""), "{other:?}");
    assert!(other.stderr.contains("a finished run of something else (the service was "), "{other:?}");
    let third = run_in(at(&gateway.openai()), place.path(), ["--dir", "other", "-o", "results.jsonl"]);
    assert_eq!(third.code, 0, "{third:?}");
    assert_eq!(names(place.path()), ["other", "requests.jsonl", "requests.run", "results.jsonl"]);
}

#[test]
fn odd_input_is_accepted_and_bad_input_is_exit_3() {
    let good = String::from_utf8(requests(&["a", "b"])).expect("UTF-8");
    let (a, b) = good.trim_end().split_once('\n').expect("two lines");
    for (what, input) in [
        ("crlf", format!("{a}\r\n{b}\r\n")),
        ("no final newline", format!("{a}\n{b}")),
        ("blank lines", format!("\n{a}\n  \n\n{b}\n\n")),
    ] {
        let place = folder(&[("requests.jsonl", input.as_bytes())]);
        let ended = run_in(command(), place.path(), ["--embedded"]);
        assert_eq!(ended.code, 0, "{what}: {ended:?}");
    }
    let lone = a.replace("row-1", "\\ud800");
    let wrong: [(&str, Vec<u8>, &str); 8] = [
        ("empty", Vec::new(), ""),
        ("bom", format!("\u{feff}{a}\n").into(), "line 1"),
        ("invalid UTF-8", [a.as_bytes(), b"\n{\"\xff\"}\n"].concat(), "line 2"),
        ("truncated", format!("{a}\n{}", &b[..b.len() - 4]).into(), "line 2"),
        ("array", format!("[{a},\n{b}]\n").into(), "line 1"),
        ("lone surrogate", format!("{lone}\n").into(), "line 1"),
        ("duplicate", format!("{a}\n{b}\n{a}\n").into(), "line 3 (\"row-1\")"),
        ("stream", format!("{}\n", a.replace("{\"model\"", "{\"stream\":true,\"model\"")).into(), "line 1"),
    ];
    for (what, input, place_of) in wrong {
        let place = folder(&[("requests.jsonl", &input)]);
        let ended = run_in(command(), place.path(), ["--embedded"]);
        assert_eq!((ended.code, ended.stdout.as_str()), (3, ""), "{what}: {ended:?}");
        assert!(ended.stderr.contains(place_of) && ended.stderr.contains("nothing was sent"), "{what}: {ended:?}");
        assert_eq!(names(place.path()), ["requests.jsonl"], "{what}");
    }
}

#[test]
fn what_cannot_be_asked_is_exit_4_and_without_a_key_nothing_is_sent() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let odd = Odd::answering([]);
    let mut keyless = command();
    keyless.env("LOTE_BASE_URL", odd.url());
    let ended = run_in(keyless, place.path(), [] as [&str; 0]);
    assert_eq!(ended.code, 2, "{ended:?}");
    assert!(ended.stderr.contains("no API key"), "{ended:?}");

    let gateway = Embedded::with(lote_gateway::Gateway::builder().key("another-key"));
    for (url, part) in [(gateway.url(), "401"), ("http://127.0.0.1:9", "could not reach http://127.0.0.1:9/")] {
        let ended = run_in(at(url), place.path(), [] as [&str; 0]);
        assert_eq!((ended.code, ended.stdout.as_str()), (4, ""), "{ended:?}");
        assert!(ended.stderr.contains(part), "{ended:?}");
        assert_eq!(names(place.path()), ["requests.jsonl"]);
    }
    // The gateway's own check of the lines is not the client's: its limit is lower here.
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let gateway = Embedded::with(lote_gateway::Gateway::builder().max_line_bytes(20));
    let ended = run_in(at(gateway.url()), place.path(), [] as [&str; 0]);
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(ended.stderr.contains("failed at validation") && ended.stderr.contains("invalid_request"), "{ended:?}");
}

#[test]
fn a_shard_that_is_too_big_is_halved_and_told() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let gateway = Embedded::with(lote_gateway::Gateway::builder().max_lines(1));
    let ended = run_in(at(gateway.url()), place.path(), [] as [&str; 0]);
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(
        ended.stderr.contains("its lines go into shards 2 and 3") && ended.stderr.contains("at most 1"),
        "{ended:?}"
    );
    let mut status = command();
    status.args(["status", "requests.run"]).current_dir(place.path());
    let said = String::from_utf8(status.output().expect("it runs").stdout).expect("text");
    assert!(said.contains("shard 1: halved, 0 of 2 lines ended") && said.contains("shard 3: settled"), "{said}");
}

#[test]
fn embedded_or_a_service_but_not_both() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let both = run_in(command(), place.path(), ["--embedded", "--base-url", "http://127.0.0.1:9"]);
    assert_eq!(both.code, 2, "{both:?}");
    assert!(both.stderr.contains("--embedded and --base-url"), "{both:?}");
    let stdout = run_in(command(), place.path(), ["--embedded", "-o", "-"]);
    assert_eq!(stdout.code, 2, "{stdout:?}");
    let environment = run_in(at("http://127.0.0.1:9"), place.path(), ["--embedded"]);
    assert_eq!(environment.code, 0, "{environment:?}");
}

#[test]
fn a_deadline_is_exit_5_and_says_how_to_go_on() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]]"]))]);
    let gateway = Embedded::start();
    let ended = run_in(at(gateway.url()), place.path(), ["--deadline", "3s"]);
    assert_eq!(ended.code, 5, "{ended:?}");
    assert!(ended.stderr.contains("gave up waiting; batch batch_"), "{ended:?}");
    for command in ["resume", "cancel"] {
        let line = format!("\n  lote {command} requests.run --base-url {}/api/v1/llm  # ", gateway.url());
        assert!(ended.stderr.contains(&line), "{ended:?}");
    }
    let embedded = run_in(command(), place.path(), ["--embedded", "--deadline", "3s", "--dir", "other"]);
    assert_eq!(embedded.code, 5, "{embedded:?}");
    assert!(!embedded.stderr.contains("lote resume"), "{embedded:?}");
}

/// A run that waits for its batch, and the id of the batch.
fn waiting(gateway: &Embedded, folder: &Path) -> (Child, String) {
    let child = at(gateway.url())
        .current_dir(folder)
        .args(["run", "requests.jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("lote starts");
    let mut id = None;
    until("the run writes its batch down", || {
        id = status(&folder.join("requests.run")).and_then(|status| status.shards[0].batch.clone());
        id.is_some()
    });
    (child, id.expect("an id").to_string())
}

#[cfg(unix)]
#[test]
fn an_interrupt_is_exit_130_and_names_the_batch() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]]"]))]);
    let gateway = Embedded::start();
    let (child, id) = waiting(&gateway, place.path());
    signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(130));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.contains(&format!("batch {id} at work goes on, and will be charged")), "{stderr}");
    assert!(stderr.contains("\n  lote cancel requests.run "), "{stderr}");
}

#[test]
fn a_killed_run_is_found_by_its_folder() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=2000]] a", "b"]))]);
    let gateway = Embedded::standing(Gateway::builder());
    let (mut child, id) = waiting(&gateway, place.path());
    child.kill().expect("killed");
    child.wait().expect("gone");
    gateway.pass(Duration::from_secs(2));
    let again = run_in(at(gateway.url()), place.path(), [] as [&str; 0]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stderr.contains("goes on with the run in it") && again.stdout.contains(&id), "{again:?}");
    assert_eq!(ids(&results(&place.path().join("requests.run/results.jsonl"))), ["row-1", "row-2"]);
    let batches = json(&gateway.lote(["batches", "list"]));
    assert_eq!(batches["data"].as_array().map(Vec::len), Some(1));
}

#[cfg(unix)]
#[test]
fn a_full_disk_while_downloading_leaves_no_half_file() {
    // The answers are more than 160 KiB; of what is written before them no file is more than 80 KiB.
    let prompts: Vec<String> = (0..500).map(|at| format!("{at}")).collect();
    let prompts: Vec<&str> = prompts.iter().map(String::as_str).collect();
    let place = folder(&[("requests.jsonl", &requests(&prompts))]);
    let gateway = Embedded::start();
    let lote = at(gateway.url());
    let mut shell = Command::new("sh");
    shell.envs(lote.get_envs().filter_map(|(name, value)| Some((name, value?))));
    // In units of 512 or 1024 bytes, by the shell.
    shell.args(["-c", "ulimit -f 160; exec \"$0\" run requests.jsonl"]).arg(lote.get_program());
    let ended = ended(shell.current_dir(place.path()), b"");
    assert_eq!(ended.code, 2, "{ended:?}");
    for part in ["output.jsonl", "ulimit -f", "\n  lote resume requests.run "] {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
    assert_eq!(names(&place.path().join("requests.run/shards/0001")), ["requests.jsonl"]);
    assert_eq!(phase(&place.path().join("requests.run")), Some("over"));
    // Where there is room it goes on, and pays for nothing again.
    let again = run_in(at(gateway.url()), place.path(), [] as [&str; 0]);
    assert_eq!(again.code, 0, "{again:?}");
    let batches = json(&gateway.lote(["batches", "list"]));
    assert_eq!(batches["data"].as_array().map(Vec::len), Some(1));
}

/// A service whose batch is this one, and whose output file holds one answer.
fn ending_as(batch: serde_json::Value, looks: &Arc<AtomicUsize>) -> Steady {
    let looks = Arc::clone(looks);
    Steady::answering(move |head| match head.split(' ').next() {
        Some("POST") if head.contains("/files") => serde_json::json!({"id": "file-1"}),
        Some("POST") => serde_json::json!({"id": "batch_1", "status": "validating"}),
        _ if head.contains("/content") => {
            let message = serde_json::json!({"role": "assistant", "content": "2"});
            let body = serde_json::json!({"choices": [{"index": 0, "message": message}]});
            serde_json::json!({"custom_id": "row-1", "response": {"status_code": 200, "body": body}})
        }
        _ if head.contains("/files") => serde_json::json!({"id": "o"}),
        _ => {
            looks.fetch_add(1, Ordering::Relaxed);
            batch.clone()
        }
    })
}

#[test]
fn files_that_cannot_be_fetched_are_told_with_the_command_that_goes_on() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let said = |status: &str, json: serde_json::Value| answer(status, "application/json", &json.to_string());
    let odd = Odd::answering([
        said("200 OK", serde_json::json!({"id": "file-1"})),
        said("200 OK", serde_json::json!({"id": "batch_1", "status": "validating"})),
        said("200 OK", serde_json::json!({"id": "batch_1", "status": "completed", "output_file_id": "o"})),
        said("403 Forbidden", serde_json::json!({"error": {"message": "not today"}})),
    ]);
    let ended = run_in(at(odd.url()), place.path(), [] as [&str; 0]);
    assert_eq!(ended.code, 6, "{ended:?}");
    let lines: Vec<&str> = ended.stderr.lines().collect();
    let [.., why, resume, _] = lines.as_slice() else { panic!("{ended:?}") };
    assert!(why.starts_with("- shard 1: ") && why.contains("not today"), "{ended:?}");
    assert!(resume.starts_with("  lote resume requests.run ") && resume.ends_with("  # looks again"), "{ended:?}");
    // There is nothing to stop.
    assert!(!ended.stderr.contains("lote cancel"), "{ended:?}");
}

#[test]
fn what_failed_a_batch_is_told_beside_what_it_finished() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b"]))]);
    let batch = serde_json::json!({
        "id": "batch_1", "status": "failed", "output_file_id": "o",
        "errors": {"data": [{"code": "token_limit", "message": "no tokens are left", "line": 2}]},
    });
    let service = ending_as(batch, &Arc::default());
    let ended = run_in(at(service.url()), place.path(), [] as [&str; 0]);
    assert_eq!(ended.code, 1, "{ended:?}");
    assert!(
        ended.stderr.contains("no tokens are left") && ended.stdout.contains("1 of 2 lines succeeded"),
        "{ended:?}"
    );
    let waited = ask(service.url(), ["batches", "wait", "batch_1"]);
    assert_eq!(waited.code, 4, "{waited:?}");
    assert!(waited.stderr.contains("no tokens are left") && waited.stderr.contains("in its files"), "{waited:?}");
}

#[cfg(unix)]
#[test]
fn a_run_that_is_stopped_when_its_batch_is_over_says_how_to_go_on() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let counts = serde_json::json!({"total": 1, "completed": 1, "failed": 0});
    let batch = serde_json::json!({"id": "batch_1", "status": "completed", "request_counts": counts});
    let looks = Arc::default();
    let service = ending_as(batch, &looks);
    let child = at(service.url())
        .current_dir(place.path())
        .args(["run", "requests.jsonl"])
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("it starts");
    // The list is read once before the create. The second look is made when the first was understood.
    crate::common::until("it asks again", || looks.load(Ordering::Relaxed) > 2);
    crate::common::signal(&child, "INT");
    let output = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(130), "{stderr}");
    assert!(stderr.contains("its batch is over") && !stderr.contains("charged"), "{stderr}");
    assert!(stderr.contains("\n  lote resume requests.run ") && !stderr.contains("lote cancel"), "{stderr}");
}

#[test]
fn files_that_are_never_named_are_exit_6_with_the_command_that_asks_again() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b", "c"]))]);
    let counts = serde_json::json!({"total": 3, "completed": 3, "failed": 0});
    let over = serde_json::json!({"id": "batch_1", "status": "completed", "request_counts": counts});
    let service = Steady::answering(move |head| match head.split(' ').next() {
        Some("POST") if head.contains("/files") => serde_json::json!({"id": "file-1"}),
        Some("POST") => serde_json::json!({"id": "batch_1", "status": "validating"}),
        _ => over.clone(),
    });
    // The deadline ends the looks for the files too.
    let ended = run_in(at(service.url()), place.path(), ["--deadline", "6s"]);
    assert_eq!((ended.code, ended.stdout.as_str()), (6, ""), "{ended:?}");
    for part in ["its counts say that 3 lines succeeded, but it names no output file", "\n  lote resume requests.run "]
    {
        assert!(ended.stderr.contains(part), "{part}: {ended:?}");
    }
    assert!(!place.path().join("requests.run/results.jsonl").exists());
}
