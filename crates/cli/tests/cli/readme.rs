//! Owns the proof that the README's commands run as they are printed; never another command.

use std::fs;

use crate::common::{command, ended, folder, repository};

/// Runs every command of the README's sh blocks that is one of ours, in one folder, in order.
#[test]
fn the_readmes_commands_run() {
    let readme = fs::read_to_string(repository("README.md")).expect("the README");
    let place = folder(&[]);
    let examples = place.path().join("examples");
    fs::create_dir(&examples).expect("a folder");
    for entry in fs::read_dir(repository("examples")).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::copy(&path, examples.join(path.file_name().expect("a name"))).expect("copied");
        }
    }
    let mut ran = 0;
    for block in readme.split("```sh\n").skip(1) {
        for line in block.split("```").next().expect("a block").lines() {
            let Some(arguments) =
                line.strip_prefix("lote ").or_else(|| line.strip_prefix("cargo run --release -p lote-cli -- "))
            else {
                // What is left is the command that runs this test.
                assert_eq!(line, "cargo test --workspace");
                continue;
            };
            let ended = ended(command().current_dir(place.path()).args(words(arguments)), b"");
            assert_eq!(ended.code, 0, "{line}: {ended:?}");
            ran += 1;
        }
    }
    assert_eq!(ran, 5);
    assert_eq!(
        fs::read(place.path().join("requests.jsonl")).expect("prepared"),
        fs::read(examples.join("requests.jsonl")).expect("the example")
    );
}

/// The words of a command, single quotes understood.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().expect("a word").push(c),
        }
    }
    words
}
