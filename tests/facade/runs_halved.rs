//! Owns the tests of shards that are too big for a service: they are halved, however it says so, and nothing is paid twice.

use std::{
    collections::BTreeSet,
    fs,
    sync::{Arc, Mutex},
};

use lote::{
    Client,
    run::{Progress, Repair, Report, status},
};
use lote_gateway::{
    Builder, Event, Gateway,
    faults::{Effect, Fault, Operation, Refusal},
};
use serde_json::json;

use crate::{
    common::{Odd, Reply},
    runs_common::{Place, chat, embedding, ids, json_lines, paid},
};

async fn gateway(builder: Builder) -> (Gateway, Client) {
    let gateway = builder.journal(true).start().await.expect("it starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    (gateway, client)
}

/// The batches that count, whatever the numbers of their shards.
fn made(report: &Report) -> BTreeSet<&str> {
    report.batches.iter().map(|batch| batch.id.as_str()).collect()
}

fn uploads(gateway: &Gateway) -> usize {
    gateway.journal().iter().filter(|entry| matches!(entry.event, Event::FileUploaded { .. })).count()
}

/// Lines for two endpoints that take turns, so that the shards are not in the order of the input.
fn mixed(count: usize) -> Vec<String> {
    let line = |at| if at % 3 == 0 { embedding(&format!("{at}")) } else { chat(&format!("{at}"), &format!("x {at}")) };
    (0..count).map(line).collect()
}

#[tokio::test]
async fn a_batch_of_too_many_lines_is_halved_until_it_is_taken() {
    for at_once in [usize::MAX, 1] {
        too_many_lines(at_once).await;
    }
}

async fn too_many_lines(at_once: usize) {
    let (gateway, client) = gateway(Gateway::builder().max_lines(5)).await;
    let lines = mixed(37);
    let place = Place::new(&lines);
    let halved = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&halved);
    let run = place.run(&client, 100).max_open(at_once).on_progress(move |progress| {
        if let Progress::Halved { shard, halves, why } = progress {
            seen.lock().expect("steps").push((shard, halves, why.to_owned()));
        }
    });
    let report = run.execute().await.expect("a report");
    assert!(report.all_succeeded(), "{report:?}");
    assert_eq!((report.joined.lines, report.joined.anomalies.len()), (37, 0));
    assert_eq!(ids(&place.results()), (0..37).map(|at| at.to_string()).collect::<Vec<_>>());
    let (_, times) = paid(&gateway);
    assert!(times.len() == 37 && times.values().all(|times| *times == 1), "{times:?}");
    let halved = halved.lock().expect("steps").clone();
    assert!(halved.iter().any(|(_, _, why)| why.contains("at most 5 may be")), "{halved:?}");
    // What is as large as something that was refused is not sent.
    let unsent = halved.iter().any(|(_, _, why)| why.starts_with("it is as large as shard"));
    assert!(unsent || at_once > 1, "{halved:?}");
    let status = status(&report.folder).expect("a run");
    let whole = status.shards.iter().filter(|shard| shard.phase == "halved").count();
    assert_eq!((whole, report.batches.len()), (halved.len(), status.shards.len() - whole));
    assert!(status.shards.iter().all(|shard| shard.phase == "halved" || shard.lines <= 5), "{status:?}");
    let of = |shard: u32| {
        status.shards.iter().filter(|half| half.half_of == Some(shard)).map(|half| half.lines).sum::<u64>()
    };
    assert!(status.shards.iter().filter(|shard| shard.phase == "halved").all(|shard| of(shard.shard) == shard.lines));
    assert_eq!((status.ended, status.succeeded), (37, 37));
    // It is finished, and says so again without a call.
    let same = place.run(&client, 100).execute().await.expect("the same");
    assert_eq!((same.joined, same.batches), (report.joined, report.batches));
}

#[tokio::test]
async fn a_file_that_is_too_large_to_be_taken_is_halved_and_not_sent_again_and_again() {
    let lines: Vec<String> = (0..40).map(|at| chat(&format!("{at}"), "x")).collect();
    let bytes = lines.concat().len() as u64;
    let (gateway, client) = gateway(Gateway::builder().max_file_bytes(bytes / 9).max_upload_bytes(bytes / 9)).await;
    let place = Place::new(&lines);
    let report = place.run(&client, 20).execute().await.expect("a report");
    assert!(report.all_succeeded(), "{report:?}");
    assert_eq!(ids(&place.results()), (0..40).map(|at| at.to_string()).collect::<Vec<_>>());
    // 20, 20 lines; a ninth is 4: each of them becomes 10, 10, then 5 and 5, then 2 and 3.
    assert_eq!((report.batches.len(), uploads(&gateway), paid(&gateway).0), (16, 16, 16));
}

#[tokio::test]
async fn a_refused_create_is_halved_and_one_that_made_a_batch_all_the_same_is_not() {
    let lines: Vec<String> = (0..6).map(|at| chat(&format!("{at}"), "x")).collect();
    for (effect, batches) in [
        (Effect::Status(Refusal::status(413)), 2),
        // The batch is there: it is adopted, and the answer believed no more.
        (Effect::AnswerReplaced(Refusal::status(413)), 1),
        // What may have been done is never halved.
        (Effect::AnswerLost, 1),
        (Effect::AnswerReplaced(Refusal::status(500)), 1),
    ] {
        let fault = Fault::on(Operation::CreateBatch).nth(1).then(effect.clone());
        let (gateway, client) = gateway(Gateway::builder().fault(fault)).await;
        let place = Place::new(&lines);
        let report = place.run(&client, 6).execute().await.unwrap_or_else(|error| panic!("{effect:?}: {error}"));
        assert!(report.all_succeeded(), "{effect:?}");
        let (made, times) = paid(&gateway);
        assert_eq!((made, times.values().max()), (batches, Some(&1)), "{effect:?}");
        assert_eq!(ids(&place.results()), ["0", "1", "2", "3", "4", "5"], "{effect:?}");
    }
}

#[tokio::test]
async fn a_line_that_is_too_big_by_itself_has_failed_and_the_others_have_not() {
    let mut lines: Vec<String> = (0..7).map(|at| chat(&format!("{at}"), "x")).collect();
    lines[4] = chat("4", &"long ".repeat(2_000));
    let (gateway, client) = gateway(Gateway::builder().max_file_bytes(3_000).max_upload_bytes(3_000)).await;
    let place = Place::new(&lines);
    let report = place.run(&client, 50).attempts(3).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.failed), (6, 1));
    let results = place.results();
    assert_eq!(ids(&results), ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(results[4]["error"]["code"], "batch_failed");
    let why = results[4]["error"]["message"].as_str().expect("why");
    assert!(why.contains("413"), "{why}");
    assert_eq!(ids(&json_lines(&place.path("requests.run/failed.jsonl"))), ["4"]);
    let (_, times) = paid(&gateway);
    assert!(times.len() == 6 && times.values().all(|times| *times == 1), "{times:?}");
    // Asked for, it is tried again; what was answered is not.
    let again = place.run(&client, 50).repair(Repair::new().refusals(true)).await.expect("a report");
    assert_eq!((again.joined.succeeded, again.joined.failed, paid(&gateway).1), (6, 1, times));
}

#[tokio::test]
async fn a_service_that_takes_nothing_is_not_asked_about_every_line() {
    let refuse = |head: &str, _| match head.starts_with("POST /v1/files ") {
        true => Reply::json(400, json!({"error": {"message": "File is too large.", "code": null}})),
        false => Reply::json(200, json!({"object": "list", "data": [], "has_more": false})),
    };
    let few = Odd::answering(refuse);
    let place = Place::new(&[chat("a", "x"), chat("b", "x")]);
    let error = place.run(&few.client(), 50).execute().await.expect_err("nothing is taken");
    assert!(error.is_failed() && error.batches().is_empty(), "{error}");
    assert!(error.to_string().contains("no batch was made\n"), "{error}");
    assert!(error.to_string().contains("File is too large."), "{error}");

    let many = Odd::answering(refuse);
    let lines: Vec<String> = (0..1_000).map(|at| chat(&format!("{at}"), "x")).collect();
    let place = Place::new(&lines);
    let error = place.run(&many.client(), 1_000).execute().await.expect_err("nothing is taken");
    assert!(error.to_string().contains("File is too large."), "{error}");
    let asked = || many.requests().iter().filter(|head| head.starts_with("POST /v1/files ")).count();
    assert!(asked() < 40, "{} uploads", asked());
}

/// A run in which shards are halved for each of the three reasons, and every prefix of its log, with what was written later
/// there, gone, or cut in the middle.
#[tokio::test]
async fn a_run_that_ends_while_a_shard_is_halved_is_gone_on_with() {
    let lines = mixed(14);
    let (gateway, client) = gateway(Gateway::builder().max_lines(4)).await;
    let place = Place::new(&lines);
    let whole = place.run(&client, 100).execute().await.expect("a report");
    let (batches, _) = paid(&gateway);
    let (log, results) = (place.path("requests.run/log.jsonl"), place.path("requests.run/results.jsonl"));
    let (written, expected) = (fs::read_to_string(&log).expect("the log"), fs::read(&results).expect("the results"));
    let frames: Vec<&str> = written.split_inclusive('\n').collect();
    let halvings = frames.iter().filter(|frame| frame.contains("\"halved\"")).count();
    assert!(halvings > 2, "{written}");
    let originals = whole.batches.iter().map(|batch| batch.shard).min().unwrap_or_default();
    for kept in 0..frames.len() {
        let named = |number: u32| frames[..kept].concat().contains(&format!("\"number\":{number},"));
        // What the halves' files are like matters where they were being written; elsewhere one of the three will do.
        let all = ["there", "gone", "cut"];
        let some = if frames[kept].contains("\"halved\"") { &all[..] } else { &all[kept % 3..=kept % 3] };
        for &later in some {
            fs::write(&log, frames[..kept].concat()).expect("cut");
            for shard in fs::read_dir(place.path("requests.run/shards")).expect("shards").flatten() {
                let number: u32 = shard.file_name().to_string_lossy().parse().expect("a number");
                let requests = shard.path().join("requests.jsonl");
                // The first shards stand in run.json, and halves in the log once their files are synced.
                let is_kept = number < originals.min(3) || named(number);
                match later {
                    "gone" if !is_kept => fs::remove_dir_all(shard.path()).expect("removed"),
                    "cut" if !is_kept => {
                        let text = fs::read(&requests).expect("lines");
                        fs::write(&requests, &text[..text.len() / 2]).expect("cut");
                    }
                    _ => {}
                }
            }
            let report = place.run(&client, 100).execute().await;
            let report = report.unwrap_or_else(|error| panic!("{kept} {later}: {error}"));
            // The halves may get other numbers: their batches are known by their lines.
            assert_eq!((&report.run, made(&report)), (&whole.run, made(&whole)), "{kept} {later}");
            assert_eq!(fs::read(&results).expect("the results"), expected, "{kept} {later}");
            assert_eq!(paid(&gateway).0, batches, "after {kept} of {} frames, {later}", frames.len());
        }
    }
}

#[tokio::test]
async fn a_folder_that_is_behind_its_run_pays_for_nothing_again() {
    let (gateway, client) = gateway(Gateway::builder()).await;
    let place = Place::new(&(0..6).map(|at| chat(&format!("{at}"), "x")).collect::<Vec<_>>());
    // Its shards are halved since the user has asked for it, and are not in the log of the folder that was kept.
    let bytes = fs::metadata(place.path("requests.jsonl")).expect("the requests").len();
    let halved = || place.run(&client, 6).max_enqueued_tokens(bytes / 4 * 2 / 3);
    assert!(halved().execute().await.expect("a report").all_succeeded());
    let made = paid(&gateway).0;
    let log = place.path("requests.run/log.jsonl");
    let text = fs::read_to_string(&log).expect("the log");
    let frames: Vec<&str> = text.split_inclusive('\n').collect();
    fs::write(&log, frames[0]).expect("an older log");
    // Given again as it was, it would be one batch of all lines.
    for _ in 0..2 {
        let error = place.run(&client, 6).execute().await.expect_err("the list knows more");
        assert!(error.is_behind() && error.to_string().contains("is an older copy"), "{error}");
        assert_eq!(paid(&gateway).0, made);
    }
    // Halved in the same way, its batches are found by their lines.
    fs::write(&log, frames[0]).expect("an older log");
    assert!(halved().execute().await.expect("a report").all_succeeded());
    assert_eq!(paid(&gateway).0, made);
    // Who wants to pay again does.
    fs::write(&log, frames[0]).expect("an older log");
    assert!(place.run(&client, 6).anew(true).execute().await.expect("a report").all_succeeded());
    assert_eq!(paid(&gateway).0, made + 1);
}
