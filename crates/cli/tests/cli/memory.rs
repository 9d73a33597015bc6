//! What an answer may cost: `lote` is run with little memory, and must end with an error of its own.

use std::process::Command;

use crate::common::{Ended, command, ended};
use crate::service::{KEY, Odd, answer};

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
