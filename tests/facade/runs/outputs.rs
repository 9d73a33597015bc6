//! Owns the tests of where the results go (`-o`): what may be replaced by them, and what may not.

use std::fs;

use lote::run::Progress;
#[cfg(unix)]
use lote::run::RunPhase;

#[cfg(unix)]
use super::names;
use super::{Place, gateway, line};
use crate::common::Odd;
#[cfg(unix)]
use crate::runs_common::json_lines;

#[tokio::test]
async fn places_that_cannot_take_the_results_are_refused_first() {
    let odd = Odd::new([]);
    let place = Place::new(&[line("a", "x")]);
    for output in ["requests.jsonl", "absent/results.jsonl", ".", "requests.run", "requests.run/run.json"] {
        let error = place.run(&odd.client()).output(place.path(output)).execute().await.expect_err(output);
        assert!(error.is_place(), "{output}: {error}");
    }
    assert!(odd.requests().is_empty());
    assert_eq!(place.names(), ["requests.jsonl"]);
}

#[cfg(unix)]
#[tokio::test]
async fn results_that_cannot_be_copied_are_in_the_folder_all_the_same() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "x")]);
    let output = place.path("out/results.jsonl");
    fs::create_dir(place.path("out")).expect("a folder");
    let gone = place.path("out");
    let run = place.run(&client).output(&output).on_progress(move |progress| {
        if let Progress::Joining = progress {
            // The shard's answers are put in order, and then those of the run.
            let _ = fs::remove_dir(&gone);
        }
    });
    let error = run.execute().await.expect_err("no folder to copy to");
    let report = error.report().expect("the results are there");
    assert_eq!(json_lines(&report.results).len(), 1);
    assert_eq!(place.status().phase, RunPhase::Finished);
}

#[cfg(unix)]
#[tokio::test]
async fn an_output_that_would_replace_something_is_refused_before_anything_is_sent() {
    let odd = Odd::new([]);
    let place = Place::new(&[line("a", "x")]);
    fs::create_dir(place.path("requests.run")).expect("a folder");
    fs::write(place.path("theirs.jsonl"), "theirs").expect("written");
    fs::hard_link(place.path("requests.jsonl"), place.path("again.jsonl")).expect("linked");
    std::os::unix::fs::symlink("requests.jsonl", place.path("link.jsonl")).expect("linked");
    std::os::unix::fs::symlink("requests.run", place.path("link.run")).expect("linked");
    std::os::unix::fs::symlink("nowhere", place.path("dangling.jsonl")).expect("linked");
    let long = format!("{}.jsonl", "n".repeat(260));
    for (output, part) in [
        ("requests.jsonl", "it is the input"),
        ("./requests.run/../requests.jsonl", "it is the input"),
        ("again.jsonl", "it is the input"),
        ("link.jsonl", "it is the input"),
        ("requests.run", "the folder of the run"),
        ("requests.run/mine.jsonl", "in the folder of the run"),
        ("link.run/mine.jsonl", "in the folder of the run"),
        ("results.csv", "results are JSONL"),
        ("results.Parquet", "results are JSONL"),
        ("dangling.jsonl", "leads nowhere"),
        ("absent/results.jsonl", "folder does not exist"),
        ("theirs.jsonl", "--force"),
        (&long, "too long"),
    ] {
        let error = place.run(&odd.client()).output(place.path(output)).execute().await.expect_err("refused");
        assert!(error.is_place() && error.to_string().contains(part), "{output}: {error}");
    }
    assert_eq!(fs::read(place.path("theirs.jsonl")).expect("kept"), b"theirs");
    assert!(names(&place.path("requests.run")).is_empty());

    let (_gateway, client) = gateway().await;
    let run = place.run(&client).output(place.path("theirs.jsonl")).replace_output(true);
    let report = run.execute().await.expect("a report");
    assert_eq!(json_lines(&report.results).len(), 1);
    // It is the run's own from now on.
    place.run(&client).output(place.path("theirs.jsonl")).execute().await.expect("the same report");
}

#[tokio::test]
async fn an_output_that_comes_while_the_run_is_at_work_is_not_replaced() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "x")]);
    let output = place.path("results.jsonl");
    let theirs = output.clone();
    let run = place.run(&client).output(&output).on_progress(move |progress| {
        if let Progress::Joining = progress {
            fs::write(&theirs, "theirs").expect("written");
        }
    });
    let error = run.execute().await.expect_err("not replaced");
    assert!(error.report().is_some(), "{error}");
    assert_eq!(fs::read(&output).expect("kept"), b"theirs");
}
