//! Owns the tests of how much of a run is at work at once: by what was asked for, and by what the service was seen to take.

use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lote::{
    Client, Retry,
    run::{Progress, RunPhase, status},
};
use lote_gateway::faults::{Effect, Fault, Operation, Refusal, RetryAfter};
use serde_json::{Value, json};

use crate::{
    common::{Odd, Reply},
    runs_common::{Place, chat, gateway_with, ids, paid},
};

fn lines(count: usize) -> Vec<String> {
    (0..count).map(|at| chat(&format!("{at}"), "x")).collect()
}

#[tokio::test]
async fn creates_of_an_hour_are_bounded_over_processes() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&lines(3));
    let run = || place.run(&client, 1).creates_per_hour(2);
    let waits = "2 creates an hour, as was asked for; the next one at 2";
    for _ in 0..2 {
        // Those that are over are settled, and no other is created.
        let status = run().submit().await.expect("a status");
        assert!(status.waits.as_ref().is_some_and(|why| why.starts_with(waits)), "{:?}", status.waits);
        assert_eq!((status.to_submit(), paid(&gateway).0), (1, 2));
    }
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let waiting = run().deadline(Duration::from_millis(1_500)).on_progress(move |progress| {
        if let Progress::Waits { why } = progress {
            seen.lock().expect("words").push(why.to_owned());
        }
    });
    let error = waiting.execute().await.expect_err("not within the hour");
    assert!(error.gave_up(), "{error}");
    assert_eq!((told.lock().expect("words").len(), paid(&gateway).0), (1, 2), "{told:?}");
    assert_eq!(status(place.path("requests.run")).expect("a run").phase, RunPhase::Stopped);
    // The bound is no part of what the run is.
    let report = place.run(&client, 1).execute().await.expect("a report");
    assert!(report.all_succeeded());
    assert_eq!((paid(&gateway).0, ids(&place.results())), (3, ["0", "1", "2"].map(str::to_owned).into()));
    assert_eq!(status(&report.folder).expect("a run").waits, None);
}

#[tokio::test]
async fn tokens_at_work_are_bounded_and_what_has_more_is_halved() {
    let (gateway, client) = gateway_with(None).await;
    let lines: Vec<String> = (0..24).map(|at| chat(&format!("{at:02}"), "[[sleep=20]] x")).collect();
    let place = Place::new(&lines);
    // Each line has the same bytes: a little more than three of them may be at work.
    let a_line = (lines[0].len() as u64).div_ceil(4);
    let (folder, most) = (place.path("requests.run"), Arc::new(AtomicU64::new(0)));
    let seen = Arc::clone(&most);
    let run = place.run(&client, 6).max_enqueued_tokens(a_line * 3 + 1).on_progress(move |_| {
        let Ok(status) = status(&folder) else { return };
        let open = status.shards.iter().filter(|shard| matches!(shard.phase, "creating" | "created"));
        seen.fetch_max(open.map(|shard| shard.lines).sum(), Ordering::Relaxed);
    });
    let report = run.execute().await.expect("a report");
    assert!(report.all_succeeded(), "{report:?}");
    assert_eq!((report.batches.len(), most.load(Ordering::Relaxed)), (8, 3));
    let (batches, times) = paid(&gateway);
    assert_eq!((batches, times.len(), times.values().max()), (8, 24, Some(&1)));
    assert_eq!(ids(&place.results()), (0..24).map(|at| format!("{at:02}")).collect::<Vec<_>>());
}

fn kept(folder: &Path) -> Value {
    let files: Vec<_> = fs::read_dir(folder).expect("a folder").flatten().map(|entry| entry.path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    serde_json::from_slice(&fs::read(&files[0]).expect("a file")).expect("JSON")
}

#[tokio::test]
async fn what_a_service_takes_is_learned_and_kept_for_the_next_run() {
    // The fifth create of all is refused: four at once were too many.
    let refusal = Effect::Status(Refusal::status(429).retry_after(RetryAfter::Milliseconds(1)));
    let (gateway, _) = gateway_with(Some(Fault::on(Operation::CreateBatch).nth(5).then(refusal))).await;
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").retry(Retry::none());
    let client = client.build().expect("a client");
    let slow: Vec<String> = (0..6).map(|at| chat(&format!("{at}"), "[[sleep=60000]]")).collect();
    let place = Place::new(&slow);
    let limits = place.path("limits");
    let first = place.run(&client, 1).keep_limits_in(&limits).submit().await.expect("a status");
    assert_eq!((first.open(), first.to_submit()), (4, 2));
    assert_eq!(first.waits.as_deref(), Some("3 batches at work at once, as far as the service was seen to take"));
    assert_eq!(kept(&limits)["open"], 3);
    // Another run of the same account begins with that.
    let next = place.run(&client, 1).keep_limits_in(&limits).folder(place.path("next.run"));
    let next = next.submit().await.expect("a status");
    assert_eq!((next.open(), next.to_submit()), (3, 3));
    // One that does not ask what was kept does not know it, and one that cannot read it says so.
    let other = place.run(&client, 1).folder(place.path("other.run")).submit().await.expect("a status");
    assert_eq!(other.open(), 6);
    let file = fs::read_dir(&limits).expect("a folder").flatten().next().expect("a file").path();
    fs::write(&file, "{\"format\":1,").expect("damaged");
    let told = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&told);
    let damaged = place.run(&client, 1).keep_limits_in(&limits).folder(place.path("damaged.run"));
    let damaged = damaged.on_progress(move |progress| {
        if let Progress::LimitsUnread { file, .. } = progress {
            seen.lock().expect("files").push(file.to_owned());
        }
    });
    assert_eq!(damaged.submit().await.expect("a status").open(), 6);
    assert_eq!(*told.lock().expect("files"), [file]);
}

#[tokio::test]
async fn a_shard_that_has_more_tokens_than_a_service_allows_at_all_is_halved() {
    // The first batch is more than there may be at all, and nothing else is at work.
    let answer = json!({"custom_id": "x", "response": {"status_code": 200, "body": {"x": 1}}}).to_string();
    let odd = Odd::answering(move |head, count| {
        let json = |body: Value| Reply::json(200, body);
        match head {
            _ if head.starts_with("POST /v1/files ") => json(json!({"id": format!("file-{count}")})),
            _ if head.starts_with("POST /v1/batches ") => {
                json(json!({"id": format!("batch_{count}"), "status": "validating"}))
            }
            _ if head.starts_with("GET /v1/files/") => Reply::new(200, &[], &answer),
            _ if head.starts_with("GET /v1/batches/batch_1 ") => {
                let why = "Enqueued token limit reached for m in organization o. Limit: 60 enqueued tokens.";
                let errors = json!({"data": [{"code": "token_limit_exceeded", "message": why, "line": null}]});
                json(json!({"id": "batch_1", "status": "failed", "errors": errors}))
            }
            _ if head.starts_with("GET /v1/batches/") => {
                let id = head.split(['/', ' ']).find(|part| part.starts_with("batch_"));
                json(json!({"id": id, "status": "completed", "output_file_id": "o"}))
            }
            _ => json(json!({"object": "list", "data": [], "has_more": false})),
        }
    });
    let place = Place::new(&lines(4));
    let report = place.run(&odd.client(), 50).max_open(1).execute().await.expect("a report");
    let status = status(&report.folder).expect("a run");
    let halved = status.shards.iter().find(|shard| shard.phase == "halved").expect("one that was halved");
    assert!(halved.why.as_ref().is_some_and(|why| why.contains("Limit: 60 enqueued tokens")), "{halved:?}");
    assert_eq!(report.batches.len(), 2, "{report:?}");
}

#[tokio::test]
async fn an_upload_that_comes_too_soon_is_sent_later() {
    let soon = Effect::Status(Refusal::status(429).retry_after(RetryAfter::Milliseconds(1)));
    let (gateway, _) = gateway_with(Some(Fault::on(Operation::UploadFile).calls(1..=2).then(soon))).await;
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").retry(Retry::none());
    let place = Place::new(&lines(2));
    let report = place.run(&client.build().expect("a client"), 1).execute().await.expect("a report");
    assert!(report.all_succeeded() && paid(&gateway).0 == 2, "{report:?}");
}
