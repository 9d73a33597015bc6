//! Commands that are printed for people to run: as they stand, whatever a service called its things.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::json;

use crate::common::{Ended, ended, folder, names};
use crate::service::{Odd, answer, at, requests};

/// Legal ids, and what a shell would make of them.
const BATCH: &str = "x;touch pwned;#";
const OUTPUT: &str = "$(touch pwned) `touch pwned` ' \" \\ & | *";
const DASHED: &str = "-o ~ > pwned";

/// Gives the lines that look like commands to a shell, in which `lote` writes down its words; the words of each.
fn pasted(ended: &Ended, place: &Path) -> Vec<Vec<String>> {
    let tools = folder(&[("lote", b"#!/bin/sh\nprintf '%s\\0' \"$@\" >> words; printf '\\n' >> words\n")]);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(tools.path().join("lote"), mode).expect("the mode is set");
    }
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").expect("a PATH"));
    let commands: Vec<&str> = ended.stderr.lines().filter_map(|line| line.strip_prefix("  ")).collect();
    for command in &commands {
        let ran = Command::new("sh").arg("-c").arg(command).env("PATH", &path).current_dir(place).output();
        assert!(ran.expect("a shell").status.success(), "{command}");
    }
    let words = fs::read_to_string(place.join("words")).unwrap_or_default();
    assert!(!place.join("pwned").exists(), "{ended:?}");
    fs::remove_file(place.join("words")).expect("a command was printed");
    words.lines().map(|line| line.split_terminator('\0').map(str::to_owned).collect()).collect()
}

fn ok(body: &serde_json::Value) -> Vec<u8> {
    answer("200 OK", "application/json", &body.to_string())
}

fn run(answers: impl IntoIterator<Item = Vec<u8>>, place: &Path) -> (Ended, Vec<String>) {
    let uploaded = ok(&json!({"id": "file-1"}));
    let created = ok(&json!({"id": BATCH, "status": "in_progress"}));
    let odd = Odd::answering([uploaded, created].into_iter().chain(answers));
    let mut command = at(odd.url());
    command.env("LOTE_DIALECT", "./my own.toml").env("LOTE_ON_BEHALF_OF", "ana;touch pwned");
    let ended = ended(command.args(["run", "requests.jsonl", "--dir", "a run"]).current_dir(place), b"");
    let base_url = format!("{}/api/v1/llm", odd.url());
    let service = ["--base-url", &base_url, "--dialect", "./my own.toml", "--on-behalf-of", "ana;touch pwned"];
    (ended, service.map(str::to_owned).to_vec())
}

#[test]
fn the_commands_of_a_run_work_as_they_stand() {
    let requests = requests(&["a"]);
    let place = folder(&[("requests.jsonl", &requests), ("my own.toml", b"name = \"mine\"\nextends = \"mka1\"\n")]);
    let before = names(place.path());
    let refused = || answer("403 X", "application/json", "{}");

    // It goes on: its files are not known yet.
    let (ended, service) = run([refused()], place.path());
    assert_eq!(ended.code, 4, "{ended:?}");
    assert!(!ended.stderr.contains("FILE_ID"), "{ended:?}");
    let words = |command: &str| {
        let mut words = vec![command.to_owned(), "a run".to_owned()];
        words.extend(service_of(&service));
        words
    };
    let expected = [words("resume"), words("cancel")];
    assert_eq!(without_urls(pasted(&ended, place.path())), expected);
    fs::remove_dir_all(place.path().join("a run")).expect("the folder of the run");

    // It is over, and a file cannot be fetched: nothing is there to be stopped.
    let over = json!({"id": BATCH, "status": "completed", "output_file_id": OUTPUT, "error_file_id": DASHED});
    let (ended, _) = run([ok(&over), refused()], place.path());
    let gives_up = words("resume").into_iter().chain(["--no-batch", "1"].map(str::to_owned)).collect();
    let expected = [words("resume"), gives_up];
    assert_eq!(without_urls(pasted(&ended, place.path())), expected);
    fs::remove_dir_all(place.path().join("a run")).expect("the folder of the run");
    assert_eq!(names(place.path()), before);
}

/// The flags of the service, but for the port, which differs.
fn service_of(service: &[String]) -> Vec<String> {
    service.iter().map(|word| if word.starts_with("http") { "URL".to_owned() } else { word.clone() }).collect()
}

fn without_urls(commands: Vec<Vec<String>>) -> Vec<Vec<String>> {
    commands.iter().map(|words| service_of(words)).collect()
}

#[test]
fn an_id_that_would_need_more_than_quotes_is_no_id() {
    for id in ["x\ntouch pwned", "x\u{202e}y"] {
        let odd = Odd::saying(&json!({"id": id, "status": "completed"}));
        let ended = ended(at(odd.url()).args(["batches", "get", "batch_1"]), b"");
        assert_eq!(ended.code, 4, "{ended:?}");
        assert!(
            ended.stderr.contains("batch.id: batch id \"x\\") && ended.stderr.contains("nobody would see"),
            "{ended:?}"
        );
    }
}
