//! A temporary file that cannot be written is told as that, with its folder and why: neither the file that is read nor the
//! one that is written is to blame.

use std::process::Command;

use crate::common::{Ended, command, ended, folder, names};
use crate::service::requests;

/// Runs `lote` in this folder, where the folder for temporary files is missing.
fn without(place: &tempfile::TempDir, args: &[&str], stdin: &[u8]) -> Ended {
    let gone = place.path().join("gone");
    ended(command().current_dir(place.path()).env("TMPDIR", gone).args(args), stdin)
}

const ANSWER: &[u8] = b"{\"custom_id\":\"row-1\",\"response\":{\"status_code\":200,\"body\":{\"x\":\"y\"}}}\n";

#[test]
fn a_missing_folder_is_told_by_whatever_keeps_something_in_it() {
    let requests = requests(&["a"]);
    let place = folder(&[
        ("requests.jsonl", &requests),
        ("output.jsonl", ANSWER),
        ("rows.jsonl", b"{\"text\":\"x\"}\n"),
        ("body.json", b"{\"model\":\"m\",\"input\":\"{{text}}\"}"),
    ]);
    let told = format!(
        "error: a temporary file in {} cannot be written: No such file or directory (os error 2); TMPDIR names another \
         folder\n",
        place.path().join("gone").display()
    );
    for args in [
        &["join", "requests.jsonl", "output.jsonl", "-o", "-"][..],
        &["prepare", "rows.jsonl", "--template", "@body.json", "--endpoint", "embeddings", "-o", "-"],
    ] {
        let ended = without(&place, args, b"");
        assert_eq!((ended.code, ended.stdout.as_str(), ended.stderr.as_str()), (2, "", told.as_str()), "{args:?}");
    }
    // Results that go to a file need no such folder.
    let joined = without(&place, &["join", "requests.jsonl", "output.jsonl", "-o", "results.jsonl"], b"");
    assert!(joined.code == 0, "{joined:?}");
    // What has a folder of its own there names it.
    let gateway = without(&place, &["run", "requests.jsonl", "--embedded"], b"");
    let told = format!("a temporary folder in {} cannot be made: ", place.path().join("gone").display());
    assert!(gateway.code == 2 && gateway.stderr.contains(&told), "{gateway:?}");
}

#[test]
fn a_check_of_more_lines_than_it_holds_says_what_failed() {
    let body = r#""method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"x"}"#;
    let many: String = (0..229_376).map(|id| format!("{{\"custom_id\":\"{id}\",{body}}}\n")).collect();
    let place = folder(&[]);
    let checked = without(&place, &["check", "-"], many.as_bytes());
    let told = format!("error: a temporary file in {} cannot be written: ", place.path().join("gone").display());
    assert!(checked.code == 2 && checked.stderr.starts_with(&told), "{checked:?}");
}

#[test]
fn a_full_disk_is_told_as_that_of_the_temporary_file() {
    let place = folder(&[("requests.jsonl", &requests(&["a"])), ("output.jsonl", ANSWER)]);
    // A limit on the size of files fails a write as a full disk does.
    let script = "ulimit -f 0; exec \"$0\" join requests.jsonl output.jsonl -o -";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, env!("CARGO_BIN_EXE_lote")]).current_dir(place.path()).env("TMPDIR", place.path());
    let joined = ended(&mut shell, b"");
    let told = format!("error: a temporary file in {} cannot be written: File too large", place.path().display());
    assert!(joined.code == 2 && joined.stderr.starts_with(&told), "{joined:?}");
    assert_eq!(names(place.path()), ["output.jsonl", "requests.jsonl"]);
}
