//! Owns the proof that the commands of the README and of the guide run as they are printed; never another command.

use std::{fs, path::Path};

use crate::common::{command, ended, folder, repository};

/// Runs every command of a page's sh blocks that is one of ours, in one folder with the examples, in order. How many
/// there were.
fn run_commands_of(page: &str, place: &Path) -> usize {
    let text = fs::read_to_string(repository(page)).expect("the page");
    let examples = place.join("examples");
    fs::create_dir(&examples).expect("a folder");
    for entry in fs::read_dir(repository("examples")).expect("the examples") {
        let path = entry.expect("an entry").path();
        if path.is_file() {
            fs::copy(&path, examples.join(path.file_name().expect("a name"))).expect("copied");
        }
    }
    let mut ran = 0;
    for block in text.split("```sh\n").skip(1) {
        for line in block.split("```").next().expect("a block").lines() {
            let Some(arguments) = line.strip_prefix("lote ").or_else(|| line.strip_prefix("cargo run -p lote-cli -- "))
            else {
                // What is left is the command that runs this test.
                assert_eq!(line, "cargo test --workspace");
                continue;
            };
            let ended = ended(command().current_dir(place).args(words(arguments)), b"");
            assert_eq!(ended.code, 0, "{page}: {line}: {ended:?}");
            ran += 1;
        }
    }
    ran
}

#[test]
fn the_readmes_commands_run() {
    let place = folder(&[]);
    assert_eq!(run_commands_of("README.md", place.path()), 12);
    assert_eq!(
        fs::read(place.path().join("requests.jsonl")).expect("prepared"),
        fs::read(repository("examples/requests.jsonl")).expect("the example")
    );
}

#[test]
fn the_guides_commands_run() {
    let mut ran = 0;
    for entry in fs::read_dir(repository("docs/guide")).expect("the guide") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name");
        ran += run_commands_of(&format!("docs/guide/{name}"), folder(&[]).path());
    }
    assert_eq!(ran, 2);
}

/// The words of a command, single quotes understood.
pub(crate) fn words(line: &str) -> Vec<String> {
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
