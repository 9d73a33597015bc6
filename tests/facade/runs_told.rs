//! Tests of what is said of batches when a run ends early: as many go on as its log knows to be open, and no more.

use std::{fs, time::Duration};

use lote::{
    Client,
    run::{Progress, Run, RunPhase, status},
};
use serde_json::json;

use crate::{
    common::{Odd, Reply},
    runs_common::{FAST, Place, chat, gateway_with},
};

#[tokio::test]
async fn a_deadline_that_passes_while_creates_wait_for_their_hour_names_no_batch_that_goes_on() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "y")]);
    let deadline = Duration::from_millis(1_500);
    let error = place.run(&client, 1).creates_per_hour(1).deadline(deadline).execute().await.expect_err("no time");
    assert!(error.gave_up(), "{error}");
    assert_eq!(status(place.path("requests.run")).expect("a status").shards[0].phase, "settled");
    assert_eq!(error.to_string(), "gave up waiting; no batch of the run is at work");
    // What there was of batches is known all the same.
    assert_eq!(error.batches().len(), 1);
}

#[tokio::test]
async fn a_disk_that_takes_no_results_names_no_batch_that_goes_on() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "y")]);
    let in_the_way = place.path("requests.run/results.jsonl");
    let run = place.run(&client, 1).on_progress(move |progress| {
        if let Progress::Settled { .. } = progress {
            let _ = fs::create_dir(&in_the_way);
        }
    });
    let error = run.execute().await.expect_err("a folder is there");
    assert!(error.is_io(), "{error}");
    let said = error.to_string();
    assert!(said.ends_with("; no batch of the run is at work"), "{said}");
}

/// A service of which the list shows nothing, and whose creates are answered with nothing.
fn losing() -> Odd {
    Odd::answering(|head, _| match head {
        _ if head.starts_with("POST /v1/files ") => Reply::json(200, json!({"id": "file-1"})),
        _ if head.starts_with("POST /v1/batches ") => Reply::Nothing,
        _ => Reply::json(200, json!({"data": [], "has_more": false})),
    })
}

#[tokio::test]
async fn creates_whose_answers_were_lost_are_no_batches() {
    let place = Place::new(&[chat("a", "x"), chat("b", "y")]);
    let odd = losing();
    let error = place.run(&odd.client(), 1).execute().await.expect_err("held");
    assert!(error.is_held() && error.held().len() == 2, "{error}");
    let told = status(place.path("requests.run")).expect("a status");
    assert_eq!((told.open(), told.unanswered()), (0, 2));
    let again = Run::open(&odd.client(), place.path("requests.run"));
    let again = again.settle_after_loss(Duration::from_secs(600)).deadline(Duration::from_millis(300));
    let error = again.execute().await.expect_err("no time");
    assert!(error.gave_up(), "{error}");
    let said = error.to_string();
    assert!(
        said.ends_with(
            "; the answers to 2 creates were lost: there may be batches all the same, which the same run looks for"
        ),
        "{said}"
    );
    assert!(!said.contains("go on"), "{said}");
}

#[tokio::test]
async fn a_check_that_takes_too_long_has_made_no_batch() {
    let place = Place::new(&[chat("a", "x")]);
    let client = Client::builder().base_url("http://127.0.0.1:9/v1").api_key("mk-test").build().expect("a client");
    let error = place.run(&client, 1).deadline(Duration::ZERO).execute().await.expect_err("no time");
    let said = error.to_string();
    assert!(error.gave_up() && said.starts_with("gave up before the end of the check"), "{said}");
    assert!(!said.contains("there may be a batch"), "{said}");
    assert!(!place.path("requests.run").exists());
}

/// A finished run is told whatever time it may take: there is nothing left to wait for.
#[tokio::test]
async fn a_finished_run_has_no_deadline_to_pass() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x")]);
    place.run(&client, 1).execute().await.expect("a report");
    for _ in 0..2 {
        place.run(&client, 1).deadline(Duration::ZERO).execute().await.expect("it is finished");
    }
}

#[tokio::test]
async fn a_run_whose_only_place_is_held_is_held() {
    let place = Place::new(&[chat("a", "x"), chat("b", "y")]);
    let odd = losing();
    let run = || place.run(&odd.client(), 1).max_open(1);
    for _ in 0..2 {
        let error = run().execute().await.expect_err("held");
        assert!(error.is_held(), "{error}");
        assert_eq!(status(place.path("requests.run")).expect("a status").phase, RunPhase::Held);
    }
    // With more places there is something left to do without a word of a person.
    let more = Run::open(&odd.client(), place.path("requests.run")).settle_after_loss(Duration::from_secs(600));
    let error = more.deadline(FAST * 100).execute().await.expect_err("no time");
    assert!(error.gave_up(), "{error}");
    assert_eq!(status(place.path("requests.run")).expect("a status").phase, RunPhase::Stopped);
}
