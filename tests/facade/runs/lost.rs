//! Owns the tests of creates whose answer was lost, or cannot be read: the batch is found, held, or made once more.

use std::{fs, time::Duration};

use lote::{
    Cadence, Tolerance,
    run::{Progress, Repair, Run, RunPhase, status},
};
use serde_json::{Value, json};

use super::{Place, batch, file, line, succeeded, uploaded};
use crate::{
    common::{Odd, Reply},
    runs_common::FAST,
};

#[tokio::test]
async fn a_lost_create_is_looked_for_and_adopted() {
    for reply in [Reply::Nothing, Reply::new(502, &[], ""), Reply::new(200, &[], "<html>")] {
        let place = Place::new(&[line("a", "x")]);
        let odd = Odd::new([uploaded(), reply, Reply::new(500, &[], "")]);
        // The list cannot be read: the run ends, and keeps the intent.
        let run = place.run(&odd.client()).tolerance(Tolerance::none());
        let error = run.execute().await.expect_err("ambiguous");
        assert!(error.is_ambiguous() && error.batches().is_empty(), "{error}");
        assert_eq!(place.shard(), ("creating", None));
        let created: Value = serde_json::from_slice(&odd.bodies()[1]).expect("JSON");
        let metadata = created["metadata"].clone();
        assert_eq!(metadata["lote_shard"], "1");
        // The same run looks for it, among batches of others and entries that cannot be read.
        let mut other = metadata.clone();
        other["lote_run"] = json!("another");
        let entry = |id: &str, metadata: Value| json!({"id": id, "object": "batch", "status": "in_progress", "metadata": metadata});
        let entries = [entry("batch_0", other), json!({"id": 7}), entry("batch_9", metadata.clone())];
        odd.more([
            Reply::json(200, json!({"data": entries, "has_more": false})),
            batch(json!({"id": "batch_9", "status": "completed", "output_file_id": "file-2"})),
            file(&[succeeded("a")]),
        ]);
        let report = place.run(&odd.client()).execute().await.expect("a report");
        assert_eq!(report.batches[0].id.as_str(), "batch_9");
        assert!(report.all_succeeded());
        let creates = odd.requests().iter().filter(|head| head.starts_with("POST /v1/batches ")).count();
        assert_eq!(creates, 1);
    }
}

#[tokio::test]
async fn a_lost_create_that_made_no_batch_is_sent_again_after_two_whole_readings() {
    let place = Place::new(&[line("a", "x")]);
    let old = json!({"id": "batch_old", "object": "batch", "status": "completed", "input_file_id": "file-0"});
    let list = move || Reply::json(200, json!({"data": [old], "has_more": false}));
    let odd = Odd::answering(move |head, asked| match head {
        _ if head.starts_with("POST /v1/files ") => uploaded(),
        // The first create is lost.
        _ if head.starts_with("POST /v1/batches ") && asked == 1 => Reply::Nothing,
        _ if head.starts_with("POST /v1/batches ") => batch(json!({})),
        _ if head.starts_with("GET /v1/batches?") => list(),
        _ if head.starts_with("GET /v1/batches/") => batch(json!({"status": "completed", "output_file_id": "file-2"})),
        _ => file(&[succeeded("a")]),
    });
    let settle = Duration::from_millis(40);
    let report = place.run(&odd.client()).settle_after_loss(settle).execute().await.expect("a report");
    assert!(report.all_succeeded());
    let requests = odd.requests();
    let creates: Vec<usize> = (0..requests.len()).filter(|at| requests[*at].starts_with("POST /v1/batches ")).collect();
    assert_eq!(creates.len(), 2, "{requests:?}");
    assert!(creates[1] - creates[0] > 2, "the list is read twice between the two: {requests:?}");
    let nonce = |at: usize| {
        let body: Value = serde_json::from_slice(&odd.bodies()[at]).expect("JSON");
        body["metadata"]["lote_create"].as_str().expect("a nonce").to_owned()
    };
    assert_ne!(nonce(creates[0]), nonce(creates[1]));
}

#[tokio::test]
async fn what_a_list_cannot_prove_is_held_until_a_person_says() {
    for list in [
        json!({"data": [], "has_more": false}),
        json!({"data": [{"id": "batch_old", "status": "completed", "input_file_id": "file-0"}]}),
        // It may be the lost one.
        json!({"data": [{"id": "batch_old", "status": "completed"}], "has_more": false}),
    ] {
        let place = Place::new(&[line("a", "x")]);
        let listed = list.clone();
        let odd = Odd::answering(move |head, asked| match head {
            _ if head.starts_with("POST /v1/files ") => uploaded(),
            _ if head.starts_with("POST /v1/batches ") && asked == 1 => Reply::Nothing,
            _ if head.starts_with("POST /v1/batches ") => batch(json!({})),
            // The page after the last entry is empty, and says nothing.
            _ if head.contains("after=") => Reply::json(200, json!({"data": []})),
            _ if head.starts_with("GET /v1/batches?") => Reply::json(200, listed.clone()),
            _ if head.starts_with("GET /v1/batches/") => {
                batch(json!({"status": "completed", "output_file_id": "file-2"}))
            }
            _ => file(&[succeeded("a")]),
        });
        let run = || place.run(&odd.client()).settle_after_loss(FAST);
        let error = run().execute().await.expect_err("held");
        assert!(error.is_held() && error.is_ambiguous(), "{error}");
        assert_eq!(error.held()[0].0, 1, "{error}");
        assert_eq!(place.status().phase, RunPhase::Held);
        let creates = || odd.requests().iter().filter(|head| head.starts_with("POST /v1/batches ")).count();
        assert_eq!(creates(), 1);
        // A word of a person's for another shard changes nothing.
        assert!(run().no_batch(2).execute().await.expect_err("no such shard").is_place());
        let report = run().no_batch(1).execute().await.expect("a report");
        assert!(report.all_succeeded());
        assert_eq!(creates(), 2, "{list}");
    }
}

#[tokio::test]
async fn the_id_of_a_batch_survives_an_answer_that_cannot_be_read() {
    let place = Place::new(&[line("a", "x")]);
    let odd = Odd::new([
        uploaded(),
        batch(json!({"created_at": "in January"})),
        batch(json!({"status": "completed", "output_file_id": "file-2"})),
        file(&[succeeded("a")]),
    ]);
    let report = place.run(&odd.client()).execute().await.expect("a report");
    assert_eq!(report.batches[0].id.as_str(), "batch_1");
}

#[tokio::test]
async fn the_intent_is_on_disk_before_the_create_and_the_id_right_after() {
    let place = Place::new(&[line("a", "x")]);
    let odd = Odd::new([
        uploaded(),
        batch(json!({})),
        batch(json!({"status": "failed", "errors": {"data": [{"code": "empty_file", "message": "no", "line": 1}]}})),
    ]);
    let folder = place.path("requests.run");
    let run = place.run(&odd.client()).on_progress(move |progress| {
        if let Progress::Created(_) = progress {
            let shard = status(&folder).expect("a run").shards.remove(0);
            assert_eq!((shard.phase, shard.batch.map(|id| id.to_string())), ("created", Some("batch_1".into())));
        }
    });
    let error = run.execute().await.expect_err("failed at validation");
    assert!(error.is_failed() && error.batches().len() == 1, "{error}");
    assert!(error.to_string().contains("line 1: no (empty_file)"), "{error}");
    assert_eq!(place.shard(), ("failed", Some("batch_1".to_owned())));
    // It is the same the next time, without a call.
    let again = place.run(&odd.client()).execute().await.expect_err("failed");
    assert_eq!((again.to_string(), odd.requests().len()), (error.to_string(), 3));
    // It is tried again when that is asked for, and gives way to other requests: nothing is to be paid for it.
    let failed = || batch(json!({"id": "batch_2", "status": "failed", "errors": {"data": [{"message": "still no"}]}}));
    odd.more([
        uploaded(),
        Reply::json(200, json!({"data": [], "has_more": false})),
        batch(json!({"id": "batch_2"})),
        failed(),
    ]);
    let repaired = Run::open(&odd.client(), place.path("requests.run")).cadence(Cadence::new(FAST, FAST));
    let repaired = repaired.repair(Repair::new().refusals(true)).await.expect_err("failed again");
    assert!(repaired.is_failed() && repaired.to_string().contains("still no"), "{repaired}");
    fs::write(place.path("requests.jsonl"), line("b", "y")).expect("written");
    odd.more([
        uploaded(),
        Reply::json(200, json!({"data": [], "has_more": false})),
        batch(json!({"id": "batch_3"})),
        batch(json!({"id": "batch_3", "status": "completed", "output_file_id": "o"})),
        file(&[succeeded("b")]),
    ]);
    let other = place.run(&odd.client()).execute().await.expect("another run");
    assert!(other.all_succeeded() && other.batches.len() == 1);
}
