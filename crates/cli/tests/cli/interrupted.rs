//! What a command says that is stopped by Ctrl-C: what may have been done, and a line to copy that looks or goes on.

use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::common::{command, folder, names, signal, until};
use crate::service::{KEY, at, read, requests};

/// Starts a command at a service that never answers, and stops it once it was asked; what was printed on stderr.
fn stopped_at_its_call(place: &Path, args: &[&str]) -> (String, String) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("its address"));
    let mut lote = at(&url);
    lote.args(args).current_dir(place).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = lote.spawn().expect("lote starts");
    let (asked, _) = listener.accept().expect("a connection");
    read(&asked);
    signal(&child, "INT");
    let Output { status, stderr, .. } = child.wait_with_output().expect("it ends");
    let stderr = String::from_utf8(stderr).expect("UTF-8");
    assert!(status.code() == Some(130) && !stderr.contains(KEY), "{args:?}: {stderr}");
    (stderr, url)
}

#[test]
fn what_may_have_been_done_is_told_with_the_line_that_looks() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    for (args, said, line) in [
        (
            &["batches", "create", "file-1", "--endpoint", "chat"][..],
            "interrupted; the batch may have been made all the same: look before you create another",
            "lote batches list --base-url URL --limit 5  # whether there is one",
        ),
        (
            &["batches", "cancel", "batch_1"],
            "interrupted; the batch may have been cancelled all the same",
            "lote batches get batch_1 --base-url URL  # whether it was",
        ),
        (
            &["files", "upload", "requests.jsonl"],
            "interrupted; the file may be stored, or not: a second one does no harm but takes its room",
            "lote files list --base-url URL --limit 5  # whether it is",
        ),
        (
            &["files", "delete", "file-1"],
            "interrupted; the file may have been deleted all the same",
            "lote files get file-1 --base-url URL  # whether it is there",
        ),
        (&["batches", "get", "batch_1"], "interrupted", "lote batches get batch_1  # begins again"),
        (&["files", "list", "--all", "--api-key", KEY], "interrupted", "lote files list --all  # begins again"),
        (
            &["batches", "wait", "batch_1"],
            "interrupted; batch batch_1 goes on at the service",
            "lote batches wait batch_1 --base-url URL  # goes on waiting\n  lote batches cancel batch_1 --base-url URL  # stops it",
        ),
    ] {
        let (stderr, url) = stopped_at_its_call(place.path(), args);
        let line = line.replace("URL", &format!("{url}/api/v1/llm"));
        assert_eq!(stderr, format!("error: {said}\n  {line}\n"), "{args:?}");
    }
}

/// A run whose create has not been answered goes on by its folder.
#[test]
fn a_run_names_its_folder() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let (stderr, url) = stopped_at_its_call(place.path(), &["run", "requests.jsonl", "-o", "r.jsonl"]);
    let resume = format!("\n  lote resume requests.run --base-url {url}/api/v1/llm -o r.jsonl  # goes on\n");
    assert!(stderr.starts_with("error: interrupted; no batch was created\n") && stderr.contains(&resume), "{stderr}");
}

/// A command that only reads here begins again, whatever its words are.
#[test]
fn what_reads_is_told_as_it_was_given() {
    let place = folder(&[]);
    let mut lote: Command = command();
    lote.args(["check", "-", "--endpoint", "chat"]).current_dir(&place);
    let mut child =
        lote.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it starts");
    // It waits for lines that never come, once it listens for signals: Linux tells.
    let caught = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap_or_default();
        let mask = status.lines().find_map(|line| u64::from_str_radix(line.strip_prefix("SigCgt:")?.trim(), 16).ok());
        mask.is_some_and(|mask| mask & 2 != 0)
    };
    until("the command listens for Ctrl-C", caught);
    signal(&child, "INT");
    let mut stderr = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut stderr).expect("text");
    assert_eq!(child.wait().expect("it ends").code(), Some(130), "{stderr}");
    assert_eq!(stderr, "error: interrupted\n  lote check - --endpoint chat  # begins again, with the same on stdin\n");
    assert_eq!(names(place.path()), [""; 0]);
}
