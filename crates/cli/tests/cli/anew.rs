//! Tests of `lote run --new`: it goes on with what is not finished, and begins another run beside one that is.

use std::fs;

use crate::common::{Ended, command, folder, lote_in, names};
use crate::service::{Embedded, at, json, json_lines, requests};

fn batches(gateway: &Embedded) -> usize {
    json_lines(&gateway.lote(["batches", "list", "--all"])).len()
}

#[test]
fn another_run_begins_beside_a_finished_one_in_the_first_free_folder() {
    let place = folder(&[("requests.jsonl", &requests(&["a"])), ("other.jsonl", &requests(&["b"]))]);
    let gateway = Embedded::start();
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    let run = ["run", "requests.jsonl"];
    let anew = ["run", "requests.jsonl", "--new"];
    // The first is its own.
    let first = lote(&anew);
    assert_eq!((first.code, batches(&gateway)), (0, 1), "{first:?}");
    assert!(!first.stderr.contains("another"), "{first:?}");
    // What is not free, or is a run of something else, is passed over and left as it is.
    fs::create_dir(place.path().join("requests.2.run")).expect("a folder");
    fs::write(place.path().join("requests.2.run/mine.txt"), "mine").expect("a file");
    assert_eq!(lote(&["run", "other.jsonl", "--dir", "requests.3.run"]).code, 0);
    let second = lote(&anew);
    assert_eq!((second.code, batches(&gateway)), (0, 3), "{second:?}");
    let said = "requests.run: its run is finished; this is another one, in requests.4.run\n";
    assert!(second.stderr.contains(said) && second.stdout.contains("requests.4.run/results.jsonl"), "{second:?}");
    assert_eq!(fs::read(place.path().join("requests.2.run/mine.txt")).expect("it"), b"mine");
    // So with a key or without one: what is asked for is not what came of the first.
    let mut keyless = command();
    keyless.env("LOTE_BASE_URL", gateway.url());
    let keyless = lote_in(keyless, place.path(), &anew);
    assert!(keyless.code == 2 && keyless.stderr.contains("no API key"), "{keyless:?}");
    // Without the flag nothing is bought.
    let same = lote(&run);
    assert_eq!((same.code, batches(&gateway)), (0, 3), "{same:?}");
    assert!(same.stdout.contains("requests.run/results.jsonl"), "{same:?}");
    let third = json(&lote(&["run", "requests.jsonl", "--new", "--json"]));
    assert_eq!((third["folder"].as_str(), batches(&gateway)), (Some("requests.5.run"), 4), "{third}");
}

#[test]
fn what_was_tried_with_an_embedded_gateway_is_run_beside_the_trial() {
    let table = b"q\none\ntwo\n";
    let place = folder(&[("requests.jsonl", &requests(&["a"])), ("table.csv", table)]);
    let gateway = Embedded::start();
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    let of_table = ["run", "table.csv", "--user", "{{ q }}", "--model", "auto"];
    for (run, name) in [(&["run", "requests.jsonl"][..], "requests"), (&of_table, "table")] {
        let before = batches(&gateway);
        let trial = lote_in(command(), place.path(), &[run, &["--embedded"]].concat());
        assert_eq!((trial.code, batches(&gateway)), (0, before), "{trial:?}");
        // Without a key nothing is sent, and the trial is not what came of it.
        let mut keyless = command();
        keyless.env("LOTE_BASE_URL", gateway.url());
        let keyless = lote_in(keyless, place.path(), run);
        assert!(keyless.code == 2 && keyless.stderr.contains("no API key"), "{keyless:?}");
        let said = format!("{name}.run: its run was a trial with --embedded; this is another one, in {name}.2.run\n");
        let first = lote(run);
        assert_eq!((first.code, batches(&gateway)), (0, before + 1), "{first:?}");
        assert!(first.stderr.contains(&said), "{first:?}");
        // The same again tells of that one, with a key or without, and pays for nothing.
        let again = lote(run);
        assert!(again.stderr.contains("finished before, and nothing is sent"), "{again:?}");
        let keyless = lote_in(command(), place.path(), &[run, &["--base-url", gateway.url()]].concat());
        assert_eq!((again.code, keyless.code, batches(&gateway)), (0, 0, before + 1), "{again:?} {keyless:?}");
        assert!(keyless.stdout.contains(&format!("{name}.2.run/results.jsonl")), "{keyless:?}");
        // And so does the trial.
        let trial = lote_in(command(), place.path(), &[run, &["--embedded"]].concat());
        assert!(trial.code == 0 && trial.stdout.contains(&format!("{name}.run/results.jsonl")), "{trial:?}");
        // A folder that is named is that one alone.
        let named = lote(&[run, &["--dir", &format!("{name}.run")]].concat());
        assert_eq!((named.code, batches(&gateway)), (2, before + 1), "{named:?}");
    }
    // With --new what is finished in the folder may also be something else; what is not finished is in its way.
    fs::write(place.path().join("requests.jsonl"), requests(&["b"])).expect("written");
    let before = batches(&gateway);
    assert_eq!((lote(&["run", "requests.jsonl", "--new"]).code, batches(&gateway)), (0, before + 1));
    let names = names(place.path());
    assert!(names.contains(&"requests.3.run".to_owned()), "{names:?}");
}

#[test]
fn what_is_not_finished_is_gone_on_with_although_another_was_asked_for() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=1000]] a"]))]);
    let gateway = Embedded::standing(lote_gateway::Gateway::builder());
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    let anew = ["run", "requests.jsonl", "--new", "--detach"];
    let ended = |ended: Ended, code: i32, made: usize| {
        assert_eq!((ended.code, batches(&gateway)), (code, made), "{ended:?}");
        ended
    };
    ended(lote(&anew), 5, 1);
    ended(lote(&anew), 5, 1);
    gateway.pass(std::time::Duration::from_secs(2));
    ended(lote(&["run", "requests.jsonl"]), 0, 1);
    ended(lote(&anew), 5, 2);
    let goes_on = ended(lote(&anew), 5, 2);
    assert!(goes_on.stderr.contains("requests.2.run: goes on with the run in it"), "{goes_on:?}");
    // Also when a folder before it is free again.
    fs::rename(place.path().join("requests.2.run"), place.path().join("requests.7.run")).expect("renamed");
    ended(lote(&anew), 5, 2);
    gateway.pass(std::time::Duration::from_secs(2));
    ended(lote(&["resume", "requests.7.run"]), 0, 2);
    ended(lote(&anew), 5, 3);
    assert!(place.path().join("requests.2.run/run.json").exists(), "{:?}", names(place.path()));
}

#[test]
fn a_folder_that_was_named_is_the_folder_or_none_is() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let gateway = Embedded::start();
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    let named = ["run", "requests.jsonl", "--dir", "mine.run", "--new"];
    assert_eq!((lote(&named).code, batches(&gateway)), (0, 1));
    let refused = lote(&named);
    assert_eq!((refused.code, refused.stdout.as_str(), batches(&gateway)), (2, "", 1), "{refused:?}");
    assert!(refused.stderr.contains("mine.run holds a finished run, and another one needs a folder"), "{refused:?}");
    assert_eq!(names(place.path()), ["mine.run", "requests.jsonl"]);
    // What is not there is told as always, and what can be read once has no other folder either.
    fs::rename(place.path().join("requests.jsonl"), place.path().join("gone.jsonl")).expect("renamed");
    let gone = lote(&named);
    assert!(gone.code == 2 && gone.stderr.contains("requests.jsonl: No such file"), "{gone:?}");
    fs::rename(place.path().join("gone.jsonl"), place.path().join("requests.jsonl")).expect("renamed");
    // Lines from stdin have a folder of their own each time.
    for made in [2, 3] {
        let piped = crate::common::ended(
            at(gateway.url()).current_dir(place.path()).args(["run", "-", "--new"]),
            &requests(&["a"]),
        );
        assert_eq!((piped.code, batches(&gateway)), (0, made), "{piped:?}");
    }
    assert_eq!(names(place.path()).iter().filter(|name| name.starts_with("stdin-")).count(), 2);
}

#[test]
fn each_part_has_its_own_next_folder() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b", "c"]))]);
    let gateway = Embedded::start();
    for made in [1, 2] {
        let part = ["run", "requests.jsonl", "--partition", "1/2", "--new"];
        let ended = lote_in(at(gateway.url()), place.path(), &part);
        assert_eq!((ended.code, batches(&gateway)), (0, made), "{ended:?}");
    }
    assert_eq!(names(place.path()), ["requests.1-of-2.2.run", "requests.1-of-2.run", "requests.jsonl"]);
}
