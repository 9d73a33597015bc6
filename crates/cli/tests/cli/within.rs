//! Tests that no command writes into the folder of a run what a user has named, whichever run that is.

use std::fs;

use crate::common::{folder, lote_in, names};
use crate::service::{Embedded, at, requests};

#[test]
fn what_a_run_keeps_is_replaced_by_no_command() {
    let place = folder(&[
        ("requests.jsonl", &requests(&["a", "[[status=503]] b"])),
        ("other.jsonl", &requests(&["c"])),
        ("rows.jsonl", b"{\"q\": \"x\"}\n"),
    ]);
    let gateway = Embedded::start();
    let file = gateway.upload(&requests(&["a"]));
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    for part in ["1/2", "2/2"] {
        assert!(lote(&["run", "requests.jsonl", "--partition", part]).code <= 1);
    }
    assert_eq!(lote(&["run", "requests.jsonl"]).code, 1);
    assert_eq!(lote(&["run", "other.jsonl"]).code, 0);
    // Also one of which only the log is left.
    fs::create_dir_all(place.path().join("damaged/shards")).expect("a folder");
    fs::copy(place.path().join("other.run/log.jsonl"), place.path().join("damaged/log.jsonl")).expect("copied");
    #[cfg(unix)]
    std::os::unix::fs::symlink("other.run/run.json", place.path().join("link.jsonl")).expect("a link");
    let commands: [&[&str]; 9] = [
        &["run", "requests.jsonl", "--force"],
        &["run", "rows.jsonl", "--force"],
        &["resume", "requests.run", "--force"],
        &["repair", "requests.run", "--force"],
        &["cancel", "requests.run", "--force"],
        &["join", "requests.jsonl", "requests.run/results.jsonl", "--force"],
        &["join", "requests.1-of-2.run", "requests.2-of-2.run", "--force"],
        &["export", "requests.run", "--force"],
        &["files", "content", &file, "--force"],
    ];
    let record = fs::read(place.path().join("other.run/run.json")).expect("the record");
    let before = names(place.path());
    let outputs = ["other.run/run.json", "other.run/new.jsonl", "other.run/shards/0001/new.jsonl", "damaged/log.jsonl"];
    for output in outputs.into_iter().chain(cfg!(unix).then_some("link.jsonl")) {
        for command in commands {
            let refused = lote(&[command, &["-o", output]].concat());
            assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{command:?} {output}: {refused:?}");
            let said = "it is in the folder of a run, ";
            assert!(refused.stderr.contains(said), "{command:?} {output}: {refused:?}");
        }
        let prepare = ["prepare", "rows.jsonl", "--template", "{}", "--endpoint", "chat", "--force", "-o", output];
        let refused = lote(&prepare);
        assert!(refused.code == 2 && refused.stderr.contains("it is in the folder of a run, "), "{refused:?}");
    }
    assert_eq!(fs::read(place.path().join("other.run/run.json")).expect("the record"), record);
    assert_eq!(names(place.path()), before);
    // Beside them, everything goes on.
    assert_eq!(lote(&["export", "other.run", "-o", "other.run.csv"]).code, 0);
}
