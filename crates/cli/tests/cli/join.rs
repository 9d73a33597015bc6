//! `lote join`: results, summary and exit codes, from files that are here already.

use std::io::Write;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::common::{Ended, command, ended, folder, names};

const REQUESTS: &str = r#"{"custom_id":"a","method":"POST","url":"/v1/chat/completions","body":{}}
{"custom_id":"b","method":"POST","url":"/v1/chat/completions","body":{}}
{"custom_id":"c","method":"POST","url":"/v1/chat/completions","body":{}}
"#;

fn answer(id: &str, finish: &str) -> String {
    let body = json!({"model": "m", "choices": [{"message": {"content": "x"}, "finish_reason": finish}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}});
    json!({"id": "r", "custom_id": id, "response": {"status_code": 200, "body": body}, "error": null}).to_string()
        + "\n"
}

fn failed(id: &str) -> String {
    json!({"id": "r", "custom_id": id, "response": null, "error": {"code": "server_error", "message": "no"}})
        .to_string()
        + "\n"
}

/// Runs `lote join` in this folder.
fn join(place: &tempfile::TempDir, args: &[&str], stdin: &[u8]) -> Ended {
    ended(command().current_dir(place.path()).arg("join").args(args), stdin)
}

fn results(place: &tempfile::TempDir) -> Vec<(String, Value)> {
    let text = std::fs::read_to_string(place.path().join("results.jsonl")).expect("the results");
    let line = |line: &str| {
        let line: Value = serde_json::from_str(line).expect("JSON on each line");
        (line["custom_id"].as_str().expect("an id").to_owned(), line["error"]["code"].clone())
    };
    text.lines().map(line).collect()
}

#[cfg(unix)]
#[test]
fn a_summary_is_the_same_without_results() {
    let output = answer("c", "stop") + &answer("a", "length") + &answer("a", "stop") + "no JSON\n";
    let place = folder(&[
        ("requests.jsonl", REQUESTS.as_bytes()),
        ("output.jsonl", output.as_bytes()),
        ("errors.jsonl", failed("b").as_bytes()),
    ]);
    std::os::unix::fs::symlink("/dev/null", place.path().join("null")).expect("a link");
    let summary = |output: &str, code: i32| {
        let joined = join(&place, &["requests.jsonl", "output.jsonl", "errors.jsonl", "-o", output, "--json"], b"");
        assert_eq!((joined.code, joined.stderr.as_str()), (code, ""), "{joined:?}");
        let mut summary: Value = serde_json::from_str(&joined.stdout).expect("a summary");
        assert_eq!(summary["results"].take(), output);
        summary["seconds"].take();
        summary
    };
    let whole = summary("results.jsonl", 1);
    assert_eq!((whole["succeeded"].as_u64(), whole["failed"].as_u64()), (Some(2), Some(1)), "{whole}");
    for null in ["/dev/null", "null"] {
        assert_eq!(summary(null, 1), whole);
    }
}

#[test]
fn answers_come_into_the_order_of_their_requests() {
    let output = answer("c", "stop") + &answer("a", "length");
    let place = folder(&[
        ("requests.jsonl", REQUESTS.as_bytes()),
        ("output.jsonl", output.as_bytes()),
        ("errors.jsonl", failed("b").as_bytes()),
    ]);
    let joined = join(&place, &["requests.jsonl", "output.jsonl", "errors.jsonl", "-o", "results.jsonl"], b"");
    assert_eq!((joined.code, joined.stderr.as_str()), (1, ""), "{joined:?}");
    let lines: Vec<&str> = joined.stdout.lines().collect();
    assert_eq!(lines[0], "2 of 3 lines succeeded (1 cut off), 1 failed, 0 missing");
    assert_eq!(lines[1], "  1 × server_error: no");
    assert_eq!(lines[2], "tokens: 4 in, 2 out, 6 in all");
    assert_eq!(lines.last(), Some(&"results: results.jsonl"));
    let code = json!("server_error");
    assert_eq!(results(&place), [("a".to_owned(), json!(null)), ("b".to_owned(), code), ("c".to_owned(), json!(null))]);

    let again = ["requests.jsonl", "errors.jsonl", "output.jsonl", "-o", "results.jsonl", "--json"];
    let summary: Value = serde_json::from_str(&join(&place, &again, b"").stdout).expect("JSON");
    for (name, count) in [("lines", 3), ("succeeded", 2), ("failed", 1), ("cut_off", 1), ("missing", 0), ("answers", 3)]
    {
        assert_eq!(summary[name], count, "{name}: {summary}");
    }
    assert_eq!((&summary["results"], &summary["anomalies"]), (&json!("results.jsonl"), &json!([])));
}

#[test]
fn exit_codes_are_those_of_a_run() {
    let all = ["a", "b", "c"].map(|id| answer(id, "stop")).concat();
    let twice = REQUESTS.replace("\"b\"", "\"a\"");
    let cut = &all[..all.len() - 20];
    for (requests, output, code, said) in [
        (REQUESTS, all.as_str(), 0, "3 of 3 lines succeeded, 0 failed, 0 missing\n"),
        (REQUESTS, "", 1, "0 of 3 lines succeeded, 0 failed, 3 missing\n"),
        ("", all.as_str(), 3, "error: requests.jsonl: the file holds no request line\n"),
        ("\n \r\n", all.as_str(), 3, "error: requests.jsonl: the file holds no request line\n"),
        ("\u{feff}\n", &all, 3, "error: requests.jsonl: the file holds no request line, only a byte order mark\n"),
        (REQUESTS, cut, 1, "2 of 3 lines succeeded, 0 failed, 1 unreadable, 0 missing\n"),
        (twice.as_str(), all.as_str(), 3, "requests.jsonl, line 2: custom_id \"a\" was used before"),
        ("<html>", all.as_str(), 3, "requests.jsonl, line 1: "),
    ] {
        let place = folder(&[("requests.jsonl", requests.as_bytes()), ("output.jsonl", output.as_bytes())]);
        let joined = join(&place, &["requests.jsonl", "output.jsonl", "-o", "results.jsonl"], b"");
        assert_eq!(joined.code, code, "{said}: {joined:?}");
        assert!(format!("{}{}", joined.stdout, joined.stderr).contains(said), "{said}: {joined:?}");
        // Nothing is left of what ended early.
        assert_eq!(names(place.path()).len(), if code == 3 { 2 } else { 3 }, "{said}");
    }
}

#[test]
fn a_damaged_file_of_answers_is_exit_1_and_one_of_requests_is_refused() {
    // A frame of zstd with one raw block, and more after it.
    let zstd = |text: &str| {
        let length = u32::try_from(text.len()).expect("a short text");
        let block = length << 3 | 1;
        [&b"\x28\xb5\x2f\xfd\xa0"[..], &length.to_le_bytes(), &block.to_le_bytes()[..3], text.as_bytes()].concat()
    };
    let all = zstd(&["a", "b", "c"].map(|id| answer(id, "stop")).concat());
    let damaged = [&all[..], b"more"].concat();
    let requests = [&zstd(REQUESTS)[..], b"more"].concat();
    let files = [("requests.jsonl", REQUESTS.as_bytes()), ("damaged.jsonl", &damaged), ("cut.jsonl", &requests)];
    let place = folder(&files);
    assert_eq!(join(&place, &["requests.jsonl", "-", "-o", "-"], &all).code, 0);
    for (answers, stdin) in [("damaged.jsonl", &b""[..]), ("-", &damaged)] {
        let joined = join(&place, &["requests.jsonl", answers, "-o", "results.jsonl", "--force"], stdin);
        assert_eq!(joined.code, 1, "{joined:?}");
        assert!(joined.stdout.starts_with("3 of 3 lines succeeded"), "{joined:?}");
        assert!(joined.stdout.contains("after the zstd data stands something that is no zstd"), "{joined:?}");
    }
    for (requests, stdin) in [("cut.jsonl", &b""[..]), ("-", &requests)] {
        let joined = join(&place, &[requests, "damaged.jsonl", "-o", "other.jsonl"], stdin);
        assert_eq!(joined.code, 2, "{joined:?}");
        assert!(joined.stderr.contains("after the zstd data"), "{joined:?}");
    }
}

#[test]
fn stdin_may_be_one_of_the_files_and_stdout_the_output() {
    let all = ["a", "b", "c"].map(|id| answer(id, "stop")).concat();
    let place = folder(&[("requests.jsonl", REQUESTS.as_bytes()), ("output.jsonl", all.as_bytes())]);
    let from_stdin = join(&place, &["requests.jsonl", "-", "-o", "results.jsonl"], all.as_bytes());
    assert_eq!(from_stdin.code, 0, "{from_stdin:?}");
    let to_stdout = join(&place, &["-", "output.jsonl", "-o", "-"], REQUESTS.as_bytes());
    assert_eq!((to_stdout.code, to_stdout.stdout.lines().count()), (0, 3), "{to_stdout:?}");
    assert!(to_stdout.stderr.starts_with("3 of 3 lines succeeded"), "{to_stdout:?}");

    // What is odd in it is told under its name, not under that of a copy.
    let odd = join(&place, &["requests.jsonl", "-", "-o", "-", "--json"], b"{\"custom_id\":\"a\",\"resp");
    let summary: Value = serde_json::from_str(&odd.stderr).expect("JSON");
    assert_eq!((odd.code, &summary["anomalies"][0]["file"]), (1, &json!("stdin")), "{odd:?}");
    assert!(odd.stdout.contains("stdin, line 1"), "{odd:?}");
    let both = join(&place, &["-", "-", "-o", "results.jsonl"], b"");
    assert_eq!((both.code, both.stderr.as_str()), (2, "error: -: stdin can be only one of the files\n"));
}

#[test]
fn it_is_the_folder_of_the_copy_that_is_told_when_it_cannot_take_it() {
    let place = folder(&[("requests.jsonl", REQUESTS.as_bytes())]);
    let gone = place.path().join("gone");
    let args = ["join", "requests.jsonl", "-", "-o", "results.jsonl"];
    let ended =
        ended(command().current_dir(place.path()).env("TMPDIR", &gone).args(args), answer("a", "stop").as_bytes());
    let told = format!("error: {}: stdin cannot be kept there while it is joined: ", gone.display());
    assert!(ended.code == 2 && ended.stderr.starts_with(&told), "{ended:?}");
    assert_eq!(names(place.path()), ["requests.jsonl"]);
}

#[test]
fn as_many_anomalies_are_promised_as_are_listed() {
    let told = |foreign: usize| {
        let foreign: String = (0..foreign).map(|number| answer(&format!("foreign-{number}"), "stop")).collect();
        let all = ["a", "b", "c"].map(|id| answer(id, "stop")).concat() + &foreign;
        let place = folder(&[("requests.jsonl", REQUESTS.as_bytes()), ("output.jsonl", all.as_bytes())]);
        join(&place, &["requests.jsonl", "output.jsonl", "-o", "results.jsonl"], b"").stdout
    };
    assert!(told(7).contains("\n  and 2 more anomalies, list them with --json\n"));
    assert!(told(1_007).contains("\n  and 1002 more anomalies, --json lists the first 1000 of all\n"));
}

#[test]
fn no_file_is_lost_to_the_output() {
    let all = ["a", "b", "c"].map(|id| answer(id, "stop")).concat();
    let place = folder(&[
        ("requests.jsonl", REQUESTS.as_bytes()),
        ("output.jsonl", all.as_bytes()),
        ("mine.jsonl", b"mine"),
        ("empty.jsonl", b""),
    ]);
    let read = |name: &str| std::fs::read_to_string(place.path().join(name)).expect("the file");
    for output in ["requests.jsonl", "output.jsonl", "./output.jsonl"] {
        let refused = join(&place, &["requests.jsonl", "output.jsonl", "-o", output, "--force"], b"");
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
        assert!(refused.stderr.contains("it is one of the files to join"), "{refused:?}");
    }
    assert_eq!((read("requests.jsonl"), read("output.jsonl")), (REQUESTS.to_owned(), all));
    let to = |output: &str, more: &[&str]| {
        join(&place, &[&["requests.jsonl", "output.jsonl", "-o", output], more].concat(), b"")
    };
    let held = to("mine.jsonl", &[]);
    assert_eq!((held.code, read("mine.jsonl").as_str()), (2, "mine"), "{held:?}");
    assert!(held.stderr.contains("--force"), "{held:?}");
    // The second time it holds these results already.
    for (output, more) in [("mine.jsonl", &["--force"][..]), ("mine.jsonl", &[]), ("empty.jsonl", &[])] {
        assert_eq!(to(output, more).code, 0, "{output} {more:?}");
        assert_eq!(read(output).lines().count(), 3);
    }
    for (args, said) in [
        (&["absent.jsonl", "output.jsonl", "-o", "r.jsonl"][..], "absent.jsonl: cannot be read"),
        (&["requests.jsonl", "absent.jsonl", "-o", "r.jsonl"], "absent.jsonl: cannot be read"),
        (&["requests.jsonl", ".", "-o", "r.jsonl"], "is a folder; name a file in it"),
        (&["requests.jsonl", "output.jsonl", "-o", "absent/r.jsonl"], "cannot be written"),
        (&["requests.jsonl", "output.jsonl", "-o", "r.csv"], "r.csv: results are JSONL"),
        (&["requests.jsonl", "output.jsonl"], "--output"),
        (&["requests.jsonl", "-o", "r.jsonl"], "no file of answers is named"),
    ] {
        let refused = join(&place, args, b"");
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{args:?}: {refused:?}");
        assert!(refused.stderr.contains(said), "{args:?}: {refused:?}");
    }
    assert_eq!(names(place.path()), ["empty.jsonl", "mine.jsonl", "output.jsonl", "requests.jsonl"]);
}

#[test]
fn what_a_run_did_is_done_again() {
    let place = folder(&[("requests.jsonl", &crate::service::requests(&["a", "[[status=429]] b", "c"]))]);
    let run = ended(command().current_dir(place.path()).args(["run", "requests.jsonl", "--embedded", "--json"]), b"");
    let folder = "requests.run/shards/0001";
    let [requests, output, errors] =
        ["requests.jsonl", "output.jsonl", "errors.jsonl"].map(|name| format!("{folder}/{name}"));
    let joined = join(&place, &[&requests, &errors, &output, "-o", "results.jsonl", "--json"], b"");
    assert_eq!((run.code, joined.code), (1, 1), "{run:?} {joined:?}");
    let read = |name: &str| std::fs::read(place.path().join(name)).expect("the file");
    assert_eq!(read("results.jsonl"), read("requests.run/results.jsonl"));
    let [run, joined] = [run, joined].map(|ended| serde_json::from_str::<Value>(&ended.stdout).expect("JSON"));
    for name in
        ["lines", "succeeded", "failed", "missing", "unreadable", "answers", "usage", "models", "errors", "anomalies"]
    {
        assert_eq!(run[name], joined[name], "{name}");
    }
}

/// These bytes, compressed by the machine's own gzip; none where there is no such program.
fn gzipped(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut child = Command::new("gzip").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
    child.stdin.take()?.write_all(bytes).ok()?;
    child.wait_with_output().ok().map(|output| output.stdout)
}

#[test]
fn compressed_files_are_read_as_they_are() {
    let all = ["a", "b", "c"].map(|id| answer(id, "stop")).concat();
    let (Some(requests), Some(output)) = (gzipped(REQUESTS.as_bytes()), gzipped(all.as_bytes())) else { return };
    let place = folder(&[("requests.jsonl.gz", &requests), ("output.gz", &output)]);
    let joined = join(&place, &["requests.jsonl.gz", "output.gz", "-o", "results.jsonl"], b"");
    assert_eq!(joined.code, 0, "{joined:?}");
    let joined = join(&place, &["requests.jsonl.gz", "-", "-o", "-"], &output);
    assert_eq!((joined.code, joined.stdout.lines().count()), (0, 3), "{joined:?}");
}

#[cfg(unix)]
#[test]
fn more_files_are_joined_than_may_be_open_at_once() {
    let place = folder(&[]);
    let (mut requests, mut outputs) = (String::new(), Vec::new());
    for number in 0..300 {
        let (id, name) = (format!("row-{number}"), format!("output-{number}.jsonl"));
        requests += &REQUESTS[..REQUESTS.find('\n').expect("a line") + 1].replace("\"a\"", &format!("\"{id}\""));
        std::fs::write(place.path().join(&name), answer(&id, "stop")).expect("written");
        outputs.push(name);
    }
    std::fs::write(place.path().join("requests.jsonl"), requests).expect("written");
    // In no order, so that every file is needed again and again.
    outputs.sort_by_key(|name| name.bytes().rev().fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte)));
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 100; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_lote"), "join", "requests.jsonl"]);
    let joined = ended(shell.args(&outputs).args(["-o", "results.jsonl"]).current_dir(place.path()), b"");
    assert!(joined.code == 0 && joined.stdout.starts_with("300 of 300 lines succeeded"), "{joined:?}");
    assert_eq!(results(&place).len(), 300);
}

#[test]
fn a_long_custom_id_is_cut_in_what_people_read() {
    let long = "x".repeat(150_000);
    let request = REQUESTS[..REQUESTS.find('\n').expect("a line") + 1].replace("\"a\"", &format!("\"{long}\""));
    let cut = answer(&long, "stop")[..150_200].to_owned() + "\n" + &answer(&format!("{long}y"), "stop");
    let files = [("requests.jsonl", &request), ("twice.jsonl", &request.repeat(2)), ("output.jsonl", &cut)];
    let place = folder(&files.map(|(name, text)| (name, text.as_bytes())));
    for (requests, code) in [("twice.jsonl", 3), ("requests.jsonl", 1)] {
        let joined = join(&place, &[requests, "output.jsonl", "-o", "results.jsonl"], b"");
        assert_eq!(joined.code, code, "{requests}");
        let said = joined.stdout + &joined.stderr;
        assert!(said.len() < 2_000 && said.contains("xxx…\""), "{requests}: {}", said.len());
    }
    let whole = results(&place);
    assert_eq!((whole[0].0.len(), &whole[0].1), (150_000, &json!("unreadable")));
    let checked = ended(command().current_dir(place.path()).args(["check", "twice.jsonl"]), b"");
    assert!(checked.code == 3 && checked.stdout.len() < 2_000, "{}", checked.stdout.len());
}
