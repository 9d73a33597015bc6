//! Owns the tests of the folder of a run: whose it is, what is in it already, and what becomes of it.

use std::{fs, time::Duration};

#[cfg(unix)]
use lote::run::Progress;
use lote::{lines::Limits, run::Run};
use serde_json::{Value, json};

use super::{Place, batch, gateway, line, names, uploaded};
use crate::{
    common::{Odd, Reply},
    runs_common::{FAST, json_lines},
};

#[tokio::test]
async fn a_finished_run_makes_no_call_and_another_one_is_refused() {
    let (gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "x")]);
    let first = place.run(&client).execute().await.expect("a report");
    let calls = gateway.journal().len();
    let output = place.path("results.jsonl");
    let again = place.run(&client).output(&output).execute().await.expect("the same report");
    assert_eq!((again.run, again.batches), (first.run, first.batches.clone()));
    assert_eq!(json_lines(&output)[0]["custom_id"], "a");
    assert_eq!(gateway.journal().len(), calls);

    // Other lines, other options, another limit: each is said.
    let mut others = vec![(place.run(&client).metadata("team", "x"), "metadata was none, and is {\"team\":\"x\"} now")];
    others.push((place.run(&client).limits(Limits { max_lines: 7, ..Limits::default() }), "7 lines"));
    for (run, said) in others {
        let error = run.execute().await.expect_err("another run");
        assert!(error.is_taken() && error.to_string().contains(said), "{error}");
        assert_eq!(error.batches(), [first.batches[0].id.clone()]);
    }
    fs::write(place.path("requests.jsonl"), line("a", "another")).expect("written");
    let error = place.run(&client).execute().await.expect_err("other lines");
    assert!(
        error.is_taken() && error.to_string().contains("a finished run of something else (the request lines"),
        "{error}"
    );
    assert!(!error.to_string().contains("delete"), "{error}");
    assert_eq!(client.batches().list().page().await.expect("a page").data.len(), 1);

    fs::create_dir(place.path("mine")).expect("a folder");
    fs::write(place.path("mine/notes.txt"), "x").expect("written");
    let error = place.run(&client).folder(place.path("mine")).execute().await.expect_err("not ours");
    assert!(error.is_taken(), "{error}");
    assert_eq!(names(&place.path("mine")), ["notes.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_makes_a_batch() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "x")]);
    let runs: Vec<_> = (0..8).map(|_| tokio::spawn(place.run(&client).execute())).collect();
    let mut reports = 0;
    for run in runs {
        match run.await.expect("no panic") {
            Ok(_) => reports += 1,
            Err(error) => {
                assert!(error.is_busy() || error.is_io(), "{error}");
                assert!(!error.to_string().contains("delete"), "{error}");
            }
        }
    }
    assert!(reports > 0);
    assert_eq!(client.batches().list().page().await.expect("a page").data.len(), 1);
    assert_eq!(place.names(), ["requests.jsonl", "requests.run"]);
}

#[tokio::test]
async fn what_ends_before_its_create_leaves_a_folder_that_is_used_again() {
    let place = Place::new(&[line("a", "x")]);
    let odd = Odd::new([Reply::Stall(Vec::new())]);
    let upload_is_there = async {
        while odd.requests().is_empty() {
            tokio::time::sleep(FAST).await;
        }
    };
    tokio::select! {
        ended = place.run(&odd.client()).execute() => panic!("the upload stalls: {ended:?}"),
        () = upload_is_there => {}
    }
    assert_eq!(names(&place.path("requests.run")), ["lock", "log.jsonl", "reserve", "run.json", "shards"]);
    assert_eq!(place.shard(), ("planned", None));
    // Other requests, at another service.
    fs::write(place.path("requests.jsonl"), line("b", "y")).expect("written");
    let (_gateway, client) = gateway().await;
    let report = place.run(&client).execute().await.expect("a report");
    assert_eq!(json_lines(&report.results)[0]["custom_id"], "b");
    assert_eq!(place.names(), ["requests.jsonl", "requests.run"]);

    let nowhere = Run::new(&odd.client(), place.path("absent.jsonl")).execute().await.expect_err("no input");
    assert!(nowhere.is_place(), "{nowhere}");
    let folder = Run::new(&odd.client(), place.path(".")).execute().await.expect_err("a folder");
    assert!(folder.to_string().contains("name a file of requests"), "{folder}");
    assert_eq!(odd.requests().len(), 1);
}

#[tokio::test]
async fn a_deadline_leaves_the_batch_and_says_where_it_is() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "[[sleep=60000]]")]);
    let error = place.run(&client).deadline(Duration::from_secs(1)).execute().await.expect_err("too slow");
    assert!(error.gave_up(), "{error}");
    assert_eq!(place.shard(), ("created", Some(error.batches()[0].to_string())));
    assert_eq!(error.folder(), Some(place.path("requests.run").as_path()));
}

/// A record of a run that has come so far.
fn record_at(stage: &str) -> Value {
    json!({
        "format": 1, "lote": "0.1.0", "stage": stage, "source": "a", "base_url": "http://x", "endpoint": "/v1/responses",
        "lines": 1, "bytes": 2, "sha256": "00", "begun_at": 5, "input_file_id": "f", "batch_id": null,
        "batch_status": null,
    })
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_refused_and_never_with_the_advice_to_delete_it() {
    let odd = Odd::new([]);
    let newer = json!({"format": 4, "lote": "9.1.0", "shards": []}).to_string();
    let torn = record_at("created").to_string();
    for (text, part) in [
        (newer.as_str(), "made by lote 9.1.0"),
        (&torn[..60], "EOF"),
        ("", "EOF"),
        ("\0\0\0\0", "expected value"),
        ("{}", "missing field"),
    ] {
        let place = Place::new(&[line("a", "x")]);
        fs::create_dir(place.path("requests.run")).expect("a folder");
        fs::write(place.path("requests.run/run.json"), text).expect("written");
        let error = place.run(&odd.client()).execute().await.expect_err("unreadable");
        assert!(error.is_unreadable(), "{error:?}");
        let said = error.to_string();
        assert!(said.contains(part) && said.contains("keep the folder") && !said.contains("delete"), "{said}");
        assert_eq!(fs::read_to_string(place.path("requests.run/run.json")).expect("kept"), text);
        assert_eq!(names(&place.path("requests.run")), ["run.json"]);
    }
}

#[tokio::test]
async fn a_run_of_an_earlier_version_is_left_alone_and_its_batch_is_named() {
    let odd = Odd::new([]);
    for (stage, batch, said) in [
        ("uploaded", Value::Null, "which has made no batch"),
        ("creating", Value::Null, "which may have made a batch"),
        ("created", json!("batch_7"), "lote batches get batch_7"),
    ] {
        let place = Place::new(&[line("a", "x")]);
        fs::create_dir(place.path("requests.run")).expect("a folder");
        let mut record = record_at(stage);
        record["batch_id"] = batch;
        fs::write(place.path("requests.run/run.json"), record.to_string()).expect("written");
        let error = place.run(&odd.client()).execute().await.expect_err("an earlier version");
        assert!(error.is_taken() && error.to_string().contains(said), "{error:?}");
        assert!(!error.to_string().contains("delete"), "{error}");
        assert_eq!(names(&place.path("requests.run")), ["run.json"], "nothing is written to it");
    }
}

#[tokio::test]
async fn a_folder_of_the_users_own_is_used_when_it_is_empty_and_stays() {
    let place = Place::new(&[line("a", "x")]);
    fs::create_dir(place.path("out")).expect("a folder");
    let odd = Odd::new([Reply::json(400, json!({"error": "no"}))]);
    place.run(&odd.client()).folder(place.path("out")).execute().await.expect_err("refused");
    assert!(names(&place.path("out")).is_empty());
    let (_gateway, client) = gateway().await;
    place.run(&client).folder(place.path("out")).execute().await.expect("a report");
    assert!(place.path("out/results.jsonl").exists());
    // A lock of another program's is not ours.
    fs::create_dir(place.path("other")).expect("a folder");
    fs::write(place.path("other/lock"), "theirs").expect("written");
    let error = place.run(&client).folder(place.path("other")).execute().await.expect_err("not ours");
    assert!(error.is_taken(), "{error}");
    assert_eq!(fs::read(place.path("other/lock")).expect("kept"), b"theirs");
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_was_replaced_at_work_is_neither_written_to_nor_removed() {
    let over = || batch(json!({"status": "completed", "output_file_id": "file-2"}));
    for (before_create, replies) in [(true, vec![uploaded()]), (false, vec![uploaded(), batch(json!({})), over()])] {
        let place = Place::new(&[line("a", "x")]);
        let odd = Odd::new(replies);
        let folder = place.path("requests.run");
        let replace = move || {
            fs::remove_dir_all(&folder).expect("removed");
            fs::create_dir(&folder).expect("made");
            fs::write(folder.join("run.json"), "another's").expect("written");
        };
        let run = place.run(&odd.client()).on_progress(move |progress| match progress {
            Progress::Uploading { .. } if before_create => replace(),
            Progress::Created(_) if !before_create => replace(),
            _ => {}
        });
        let error = run.execute().await.expect_err("lost");
        assert!(error.is_lost(), "{error:?}");
        // The upload came, and no create; or there is a batch, which is named.
        let batch = !error.batches().is_empty();
        assert_eq!((odd.requests().len(), batch), if before_create { (1, false) } else { (3, true) });
        assert_eq!(names(&place.path("requests.run")), ["run.json"]);
        assert_eq!(fs::read(place.path("requests.run/run.json")).expect("kept"), b"another's");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn everything_is_as_private_as_the_input() {
    use std::{os::unix::fs::PermissionsExt, path::Path};
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let (_gateway, client) = gateway().await;
    for (input, folder_mode) in [(0o600, 0o700), (0o640, 0o750)] {
        let place = Place::new(&[line("a", "x"), line("b", "[[status=400]]")]);
        fs::set_permissions(place.path("requests.jsonl"), fs::Permissions::from_mode(input)).expect("set");
        fs::write(place.path("results.jsonl"), "").expect("written");
        // The same lines again, in another place.
        place.run(&client).anew(true).output(place.path("results.jsonl")).execute().await.expect("a report");
        assert_eq!(mode(&place.path("requests.run")), folder_mode);
        assert_eq!(mode(&place.path("results.jsonl")) & !input, 0);
        for folder in ["requests.run", "requests.run/shards", "requests.run/shards/0001"] {
            assert_eq!(mode(&place.path(folder)), folder_mode, "{folder}");
            for name in names(&place.path(folder)) {
                let path = place.path(folder).join(&name);
                assert!(path.is_dir() || mode(&path) & !input == 0, "{name}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_find_a_folder_free_one_makes_a_batch() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "[[sleep=50]]")]);
    fs::create_dir(place.path("requests.run")).expect("a folder");
    let runs: Vec<_> = (0..8).map(|_| tokio::spawn(place.run(&client).execute())).collect();
    let mut reports = 0;
    for run in runs {
        match run.await.expect("no panic") {
            Ok(_) => reports += 1,
            Err(error) => assert!(error.is_busy(), "{error}"),
        }
    }
    assert!(reports > 0);
    assert_eq!(client.batches().list().page().await.expect("a page").data.len(), 1);
    assert_eq!(place.names(), ["requests.jsonl", "requests.run"]);
}
