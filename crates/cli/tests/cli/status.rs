//! Tests of `lote status` and `lote runs`: what is said of runs from outside, from their folders alone.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use lote_gateway::Gateway;

use crate::common::{command, folder, lote_in, names, phase, signal, until};
use crate::service::{Embedded, at, json, json_lines, requests};

/// All that is in the folder of a run, but for how far its batches are.
fn content(run: &Path) -> Vec<(String, Vec<u8>)> {
    let files = names(run).into_iter().filter(|name| name != "shards" && name != "progress.json");
    files.map(|name| (name.clone(), fs::read(run.join(&name)).expect("a file"))).collect()
}

#[test]
fn a_run_is_told_while_it_is_at_work_when_it_is_stopped_and_when_it_is_finished() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=1000]] a", "[[status=400]] b", "c"]))]);
    let run = place.path().join("requests.run");
    let gateway = Embedded::standing(Gateway::builder());
    let mut lote = at(gateway.url());
    lote.current_dir(place.path()).args(["run", "requests.jsonl"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = lote.spawn().expect("lote starts");
    until("the batch is made", || phase(&run) == Some("created"));
    let before = content(&run);
    let told = lote_in(command(), place.path(), &["status", "requests.run"]);
    assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
    let holder = format!("requests.run: a lote (pid {}) is at work on it\n", child.id());
    assert!(told.stdout.starts_with(&holder) && told.stdout.contains("\n  shard 1: created, batch batch_"), "{told:?}");
    let told = json(&lote_in(command(), place.path(), &["status", "--json"]));
    assert_eq!((&told["phase"], &told["lines"]), (&"working".into(), &3.into()), "{told}");
    assert_eq!(told["holder"]["pid"], child.id());
    // Who looks on changes nothing.
    assert_eq!(content(&run), before);
    signal(&child, "KILL");
    child.wait_with_output().expect("it ends");

    let told = lote_in(command(), place.path(), &["status"]);
    assert!(told.stdout.starts_with("requests.run: stopped: the same command goes on with it\n"), "{told:?}");
    let told = json(&lote_in(command(), place.path(), &["status", "--json"]));
    assert_eq!((&told["phase"], &told["shards"][0]["phase"]), (&"stopped".into(), &"created".into()), "{told}");
    assert_eq!(told["results"], serde_json::Value::Null);

    gateway.pass(Duration::from_secs(1));
    assert_eq!(lote_in(at(gateway.url()), place.path(), &["resume", "requests.run"]).code, 1);
    let told = lote_in(command(), place.path(), &["status", "--watch"]);
    assert_eq!(told.code, 0, "{told:?}");
    assert!(
        told.stdout.starts_with("requests.run: finished\n2 of 3 lines succeeded, 1 failed, 0 missing\n"),
        "{told:?}"
    );
    let told = json(&lote_in(command(), place.path(), &["status", "--json"]));
    assert_eq!((&told["phase"], &told["results"]["failed"]), (&"finished".into(), &1.into()), "{told}");
    assert_eq!(told["shards"][0]["status"], "completed");
}

#[test]
fn runs_are_listed_and_one_is_named_where_there_are_several() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let none = lote_in(command(), place.path(), &["status"]);
    assert_eq!((none.code, none.stdout.as_str()), (2, ""), "{none:?}");
    assert!(none.stderr.contains("there is no run in this folder that can be read"), "{none:?}");
    let none = lote_in(command(), place.path(), &["runs"]);
    let said = "there is no run below .\n";
    assert_eq!((none.code, none.stdout.as_str(), none.stderr.as_str()), (0, "", said), "{none:?}");
    for run in ["one.run", "an other.run"] {
        assert_eq!(lote_in(command(), place.path(), &["run", "requests.jsonl", "--embedded", "--dir", run]).code, 0);
    }
    let several = lote_in(command(), place.path(), &["status"]);
    assert_eq!(several.code, 2, "{several:?}");
    assert!(several.stderr.contains("several runs") && several.stderr.contains("lote runs"), "{several:?}");
    let listed = lote_in(command(), place.path(), &["runs"]);
    assert_eq!((listed.code, listed.stdout.lines().count()), (0, 2), "{listed:?}");
    for run in ["one.run  finished  1 of 1 line succeeded", "'an other.run'  finished"] {
        assert!(listed.stdout.contains(run), "{run}: {listed:?}");
    }
    let listed = json_lines(&lote_in(command(), place.path(), &["runs", "--json"]));
    assert!(listed.len() == 2 && listed.iter().all(|run| run["phase"] == "finished"), "{listed:?}");
    let absent = lote_in(command(), place.path(), &["runs", "absent"]);
    assert_eq!((absent.code, absent.stdout.as_str()), (2, ""), "{absent:?}");

    // A log that says what cannot be is told, and the others are listed all the same.
    let log = place.path().join("one.run/log.jsonl");
    let text = fs::read_to_string(&log).expect("the log");
    fs::write(&log, text.replacen("creating", "creatinh", 1)).expect("written");
    for args in [&["status", "one.run"][..], &["status", "one.run", "--json"]] {
        let damaged = lote_in(command(), place.path(), args);
        assert_eq!((damaged.code, damaged.stdout.as_str()), (2, ""), "{damaged:?}");
        assert!(damaged.stderr.contains("one.run/log.jsonl: "), "{damaged:?}");
    }
    let listed = lote_in(command(), place.path(), &["runs"]);
    assert_eq!((listed.code, listed.stdout.lines().count(), listed.stderr.as_str()), (2, 2, ""), "{listed:?}");
    assert!(listed.stdout.contains("\none.run  cannot be read: log.jsonl: "), "{listed:?}");
    let resumed = lote_in(command(), place.path(), &["run", "requests.jsonl", "--embedded", "--dir", "one.run"]);
    assert_eq!(resumed.code, 2, "{resumed:?}");
    assert!(resumed.stderr.contains("keep the folder") && resumed.stderr.contains("--dir"), "{resumed:?}");
}

#[test]
fn runs_are_listed_however_deep_and_none_is_passed_over_in_silence() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    for run in ["near.run", "deep/er/far.run", "near.run/shards/0001/within.run"] {
        fs::create_dir_all(place.path().join(run).parent().expect("a folder")).expect("made");
        assert_eq!(lote_in(command(), place.path(), &["run", "requests.jsonl", "--embedded", "--dir", run]).code, 0);
    }
    std::os::unix::fs::symlink("deep", place.path().join("link")).expect("a link");
    for broken in ["b1.run", "b2.run"] {
        fs::create_dir_all(place.path().join(broken)).expect("made");
        fs::write(place.path().join(broken).join("run.json"), "{").expect("written");
    }
    let listed = lote_in(command(), place.path(), &["runs"]);
    let starts: Vec<&str> = listed.stdout.lines().filter_map(|line| line.split("  ").next()).collect();
    assert_eq!((listed.code, listed.stderr.as_str()), (2, ""), "{listed:?}");
    assert!(starts[..2].contains(&"near.run") && starts[..2].contains(&"deep/er/far.run"), "{listed:?}");
    assert_eq!(starts[2..], ["b1.run", "b2.run"], "{listed:?}");
    assert!(listed.stdout.contains("b1.run  cannot be read: run.json: "), "{listed:?}");
    let listed = lote_in(command(), place.path(), &["runs", "--json"]);
    let lines = json_lines(&listed);
    assert_eq!((listed.code, lines.len()), (2, 4), "{listed:?}");
    assert!(lines[3]["folder"] == "b2.run" && lines[3]["unreadable"].is_string(), "{listed:?}");
    let below = lote_in(command(), place.path(), &["runs", "deep"]);
    assert!(below.code == 0 && below.stdout.starts_with("deep/er/far.run  finished  "), "{below:?}");
    // The only one that can be read is told, and what was passed over.
    let only = lote_in(command(), place.path(), &["status"]);
    assert!(only.code == 0 && only.stdout.starts_with("near.run: finished\n"), "{only:?}");
    for broken in ["passed over: b1.run  cannot be read: run.json: ", "passed over: b2.run  cannot be read: "] {
        assert!(only.stderr.contains(broken), "{broken}: {only:?}");
    }
    fs::remove_dir_all(place.path().join("near.run")).expect("removed");
    let none = lote_in(command(), place.path(), &["status"]);
    assert!(none.code == 2 && none.stderr.contains("passed over: b1.run"), "{none:?}");
}

#[test]
fn why_shards_wait_is_told_and_what_a_service_takes_is_kept() {
    use lote_gateway::faults::{Effect, Fault, Operation, Refusal};
    let refused = Fault::on(Operation::CreateBatch).nth(3).then(Effect::Status(Refusal::status(429)));
    let gateway = Embedded::with(lote_gateway::Gateway::builder().fault(refused));
    let slow = ["[[sleep=60000]] a", "[[sleep=60000]] b", "[[sleep=60000]] c"];
    let place = folder(&[("requests.jsonl", &requests(&slow))]);
    let state = place.path().join("state");
    let run = |args: &[&str]| {
        let mut lote = at(gateway.url());
        lote.env("XDG_STATE_HOME", &state);
        lote_in(lote, place.path(), &[&["run", "requests.jsonl", "--shard-lines", "1", "--detach"], args].concat())
    };
    let first = run(&[]);
    assert_eq!(first.code, 5, "{first:?}");
    let waits = "no other batch is created for now: 1 batch at work at once, as far as the service was seen to take";
    assert!(first.stdout.contains(waits), "{first:?}");
    let told = lote_in(command(), place.path(), &["status", "requests.run"]);
    assert!(told.stdout.contains(waits), "{told:?}");
    let limits = state.join("lote/limits");
    let file = limits.join(names(&limits).first().expect("a file"));
    let kept = fs::read_to_string(&file).expect("a file");
    assert!(kept.contains("\"open\": 1") && !kept.contains("hunter"), "{kept}");
    // The next run begins with it, and one that cannot read it says so and begins anew.
    let next = run(&["--dir", "next.run"]);
    assert!(next.stdout.contains(waits) && next.stderr.contains("2 of 3 shards are sent by nobody"), "{next:?}");
    fs::write(&file, "x").expect("damaged");
    let anew = run(&["--dir", "anew.run", "--creates-per-hour", "2"]);
    assert!(anew.stderr.contains("what services take is learned anew"), "{anew:?}");
    assert!(anew.stdout.contains("for now: 2 creates an hour, as was asked for"), "{anew:?}");
    assert!(anew.stderr.contains("1 of 3 shards are sent by nobody"), "{anew:?}");
}

#[test]
fn lines_that_are_tried_again_have_not_ended() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "[[sleep=1000]] [[status=503]] b", "[[status=400]] c"]))]);
    let gateway = Embedded::standing(Gateway::builder());
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    assert_eq!(gateway.passing(|| lote(&["run", "requests.jsonl"])).code, 1);
    let told = lote_in(command(), place.path(), &["status"]);
    assert!(told.stdout.contains("\n1 of 3 lines succeeded, 2 failed, 0 missing\n"), "{told:?}");
    assert_eq!(lote(&["repair", "requests.run", "--deadline", "1s"]).code, 5);
    let told = lote_in(command(), place.path(), &["status"]);
    assert!(told.stdout.contains("\n2 of 3 lines ended, 1 succeeded\n"), "{told:?}");
    assert!(told.stdout.contains("shard 2, attempt 2: created, batch "), "{told:?}");
    let told = json(&lote_in(command(), place.path(), &["status", "--json"]));
    assert_eq!((&told["ended"], &told["succeeded"]), (&2.into(), &1.into()), "{told}");
    assert_eq!(gateway.passing(|| lote(&["resume", "requests.run"])).code, 1);
    let told = lote_in(command(), place.path(), &["status"]);
    assert!(told.stdout.contains("\n1 of 3 lines succeeded, 2 failed, 0 missing\n"), "{told:?}");
}

#[test]
fn what_is_refused_until_a_person_says_is_not_said_to_go_on() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    let gateway = Embedded::start();
    let lote = |args: &[&str]| lote_in(at(gateway.url()), place.path(), args);
    let run = ["run", "requests.jsonl"];
    assert_eq!(lote(&run).code, 0);
    fs::remove_dir_all(place.path().join("requests.run")).expect("lost");
    let told = || lote_in(command(), place.path(), &["status"]);
    for refused in [&run[..], &["resume", "requests.run"]] {
        assert_eq!(lote(refused).code, 2);
        let told = told();
        assert!(told.stdout.starts_with("requests.run: held: lote resume says what for\n"), "{told:?}");
        let why = "\nno batch is created: a run whose folder is lost has made batches of the same lines (batch_";
        assert!(told.stdout.contains(why) && !told.stdout.contains("goes on"), "{told:?}");
    }
    assert_eq!(lote(&["run", "requests.jsonl", "--new"]).code, 0);
    let told = told();
    assert!(told.stdout.starts_with("requests.run: finished\n") && !told.stdout.contains("lost"), "{told:?}");
}
