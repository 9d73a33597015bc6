//! Tests of `lote clean` and of `--clean-remote`: what is printed, and the exit codes. What goes is tested with the library.

use std::fs;
use std::time::Duration;

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation, Refusal};

use crate::common::{command, folder, lote_in, names};
use crate::service::{Embedded, Unasked, at, json, requests};

fn files_at(gateway: &Embedded) -> usize {
    json(&gateway.lote(["files", "list"]))["data"].as_array().expect("a list").len()
}

#[test]
fn a_finished_run_is_cleaned_here_without_a_key() {
    let place = folder(&[("requests.jsonl", &requests(&["a", "b", "c"]))]);
    let gateway = Embedded::start();
    let run = ["run", "requests.jsonl", "--shard-lines", "2", "-o", "results.jsonl"];
    assert_eq!(lote_in(at(gateway.url()), place.path(), &run).code, 0);
    let dry = lote_in(command(), place.path(), &["clean", "requests.run", "--dry-run"]);
    assert_eq!((dry.code, dry.stderr.as_str()), (0, ""), "{dry:?}");
    assert!(dry.stdout.contains("reserve: 65536 bytes\n"), "{dry:?}");
    assert!(dry.stdout.contains("shards/0002/requests.jsonl: "), "{dry:?}");
    let cleaned = json(&lote_in(command(), place.path(), &["clean", "requests.run", "--json"]));
    let said = dry.stdout.lines().last().expect("a sum").to_owned();
    let (bytes, files) = (&cleaned["bytes"], cleaned["files"].as_array().expect("files").len());
    assert_eq!(said, format!("requests.run: {bytes} bytes would be freed, in {files} files"));
    assert_eq!((&cleaned["folder"], &cleaned["dry_run"]), (&"requests.run".into(), &false.into()));
    let shards = place.path().join("requests.run/shards");
    assert_eq!(names(&shards.join("0001")), ["anomalies.jsonl", "batch.json", "output.jsonl", "summary.json"]);
    let again = lote_in(command(), place.path(), &["clean", "requests.run"]);
    assert_eq!((again.code, again.stdout.as_str()), (0, "requests.run: 0 bytes freed, in 0 files\n"), "{again:?}");
    // Nobody is there to be called.
    drop(gateway);
    let unasked = Unasked::listen();
    let same = lote_in(command(), place.path(), &["status", "requests.run"]);
    assert!(same.stdout.contains("3 of 3 lines succeeded, 0 failed"), "{same:?}");
    let elsewhere = lote_in(at(&unasked.url()), place.path(), &["clean", "requests.run", "--remote"]);
    assert_eq!(elsewhere.code, 2, "{elsewhere:?}");
    assert!(elsewhere.stderr.contains("holds a run of "), "{elsewhere:?}");
    unasked.assert("a run of another service");
}

#[test]
fn what_is_at_the_service_goes_by_its_ids_and_what_stays_is_exit_1() {
    let refusal = Fault::on(Operation::DeleteFile).nth(2).then(Effect::Status(Refusal::status(400)));
    let gateway = Embedded::with(Gateway::builder().fault(refusal));
    let place = folder(&[("requests.jsonl", &requests(&["a", "[[status=400]] b"]))]);
    gateway.upload(b"mine");
    assert_eq!(lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--shard-lines", "1"]).code, 1);
    assert_eq!(files_at(&gateway), 5);
    let clean = ["clean", "requests.run", "--remote"];
    let dry = lote_in(at(gateway.url()), place.path(), &[&clean[..], &["--dry-run"]].concat());
    assert_eq!(dry.code, 0, "{dry:?}");
    assert!(dry.stdout.ends_with("\nrequests.run: 4 files at the service would be deleted\n"), "{dry:?}");
    assert_eq!(dry.stdout.matches(" would be deleted\n").count(), 5, "{dry:?}");
    assert_eq!(files_at(&gateway), 5);
    let first = lote_in(at(gateway.url()), place.path(), &clean);
    assert_eq!((first.code, first.stderr.as_str()), (1, ""), "{first:?}");
    assert!(first.stdout.contains(" of shard 1) deleted\n"), "{first:?}");
    assert!(first.stdout.contains(") kept: "), "{first:?}");
    assert!(first.stdout.ends_with("requests.run: 3 files at the service deleted, 1 kept\n"), "{first:?}");
    let rest = lote_in(at(gateway.url()), place.path(), &[&clean[..], &["--json"]].concat());
    assert_eq!(rest.code, 0, "{rest:?}");
    let rest = json(&rest);
    assert_eq!(rest["folder"], "requests.run");
    assert_eq!((&rest["files"][0]["state"], rest["files"].as_array().map(Vec::len)), (&"deleted".into(), Some(1)));
    assert_eq!(files_at(&gateway), 1);
    let none = lote_in(at(gateway.url()), place.path(), &clean);
    assert_eq!((none.code, none.stdout.as_str()), (0, "requests.run: 0 files at the service deleted\n"), "{none:?}");
    assert_eq!(
        fs::read_to_string(place.path().join("requests.run/results.jsonl")).expect("results").lines().count(),
        2
    );
}

#[test]
fn a_run_cleans_up_behind_itself_when_it_is_told_to() {
    let refusal = Fault::on(Operation::DeleteFile).nth(1).then(Effect::Status(Refusal::status(400)));
    let gateway = Embedded::standing(Gateway::builder().fault(refusal));
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=3000]] a", "b"]))]);
    // Not before it is finished.
    let detached = lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--detach", "--clean-remote"]);
    assert_eq!(detached.code, 5, "{detached:?}");
    gateway.pass(Duration::from_secs(3));
    let ended = lote_in(at(gateway.url()), place.path(), &["resume", "requests.run", "--clean-remote", "--json"]);
    assert_eq!(ended.code, 0, "a finished run fails for nothing in its cleaning: {ended:?}");
    assert!(ended.stderr.contains(") kept: ") && ended.stderr.contains(") deleted\n"), "{ended:?}");
    assert!(ended.stderr.contains("\n1 file at the service deleted, 1 kept\n"), "{ended:?}");
    assert!(ended.stderr.contains("\n  lote clean requests.run --base-url "), "{ended:?}");
    let states: Vec<_> =
        json(&ended)["remote"]["files"].as_array().expect("files").iter().map(|file| file["state"].clone()).collect();
    assert_eq!(states, ["kept", "deleted"]);
    assert_eq!(files_at(&gateway), 1);
    // Its own flag each time: the same run without it deletes nothing.
    let run = ["run", "requests.jsonl"];
    assert_eq!(lote_in(at(gateway.url()), place.path(), &run).code, 0);
    assert_eq!(files_at(&gateway), 1);
    let again = lote_in(at(gateway.url()), place.path(), &[&run[..], &["--clean-remote"]].concat());
    assert!(again.code == 0 && again.stderr.ends_with("\n1 file at the service deleted\n"), "{again:?}");
    assert_eq!(files_at(&gateway), 0);
}

#[test]
fn what_cannot_be_cleaned_is_told() {
    let place = folder(&[("requests.jsonl", &requests(&["[[sleep=60000]] a"])), ("quick.jsonl", &requests(&["a"]))]);
    let gateway = Embedded::start();
    assert_eq!(lote_in(at(gateway.url()), place.path(), &["run", "requests.jsonl", "--detach"]).code, 5);
    for more in [&[][..], &["--dry-run"], &["--remote"]] {
        let refused = lote_in(at(gateway.url()), place.path(), &[&["clean", "requests.run"], more].concat());
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{refused:?}");
        assert!(refused.stderr.contains("not finished: go on with it first"), "{refused:?}");
    }
    for run in [".", "absent.run", "requests.jsonl"] {
        let refused = lote_in(command(), place.path(), &["clean", run]);
        assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{run}: {refused:?}");
    }
    let unkeyed = lote_in(command(), place.path(), &["clean", "requests.run", "--remote"]);
    assert!(unkeyed.code == 2 && unkeyed.stderr.contains("no API key"), "{unkeyed:?}");
    // The files of an embedded run ended with its gateway, and no service is asked.
    let embedded = lote_in(command(), place.path(), &["run", "quick.jsonl", "--embedded", "--clean-remote"]);
    assert!(embedded.code == 0 && embedded.stderr.contains("\n2 files at the service deleted\n"), "{embedded:?}");
    let unasked = Unasked::listen();
    let nothing = lote_in(at(&unasked.url()), place.path(), &["clean", "quick.run", "--remote"]);
    assert_eq!(
        (nothing.code, nothing.stdout.as_str()),
        (0, "quick.run: 0 files at the service deleted\n"),
        "{nothing:?}"
    );
    unasked.assert("a run of an embedded gateway");
}
