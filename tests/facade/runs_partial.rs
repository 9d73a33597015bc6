//! Tests of results that are written although shards are held: what they say of the lines that have no outcome yet, and that
//! they become whole.

use std::{fs, path::Path};

use lote::{
    Cadence, Client,
    run::{Repair, Run, RunPhase, clean, status},
};
use lote_gateway::{
    Gateway,
    faults::{Effect, Fault, Operation, Refusal},
};
use serde_json::{Value, json};

use crate::{
    common::{Odd, Reply},
    runs_common::{FAST, Place, chat, ids, json_lines, paid},
};

/// A gateway that refuses these creates, and what talks to it.
async fn refusing(creates: &[u64]) -> (Gateway, Client) {
    let refused = |nth: &u64| Fault::on(Operation::CreateBatch).nth(*nth).then(Effect::Status(Refusal::status(400)));
    let builder = creates.iter().map(refused).fold(Gateway::builder().journal(true), lote_gateway::Builder::fault);
    let gateway = builder.start().await.expect("it starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    (gateway, client)
}

fn open(place: &Place, client: &Client) -> Run {
    Run::open(client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5))
}

fn codes(results: &Path) -> Vec<Value> {
    json_lines(results).iter().map(|line| line["error"]["code"].clone()).collect()
}

#[tokio::test]
async fn results_are_written_although_a_shard_is_held_and_whole_when_it_is_released() {
    let (gateway, client) = refusing(&[2, 5, 6]).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "y"), chat("c", "[[status=400]]"), chat("d", "z")]);
    let folder = place.path("requests.run");
    let error = place.run(&client, 1).execute().await.expect_err("a shard is held");
    assert!(error.is_held() && error.report().is_none() && !folder.join("results.jsonl").exists(), "{error}");

    // Written where they are wanted as well, and written over when there are more.
    let out = place.path("out.jsonl");
    for _ in 0..2 {
        let error = open(&place, &client).partial(true).output(&out).execute().await.expect_err("it is held still");
        assert!(error.is_held() && error.held().len() == 1, "{error}");
        let report = error.report().expect("what there is");
        assert_eq!((report.joined.lines, report.joined.succeeded, report.joined.failed), (4, 2, 2));
        assert_eq!((report.undecided, report.all_succeeded()), (1, false));
        assert_eq!(ids(&json_lines(&out)), ["a", "b", "c", "d"]);
        assert_eq!(codes(&out)[1], "held");
        let message = json_lines(&out)[1]["error"]["message"].clone();
        assert!(message.as_str().is_some_and(|why| why.contains("its batch was not created")), "{message}");
        assert_eq!(fs::read(folder.join("results.jsonl")).expect("results"), fs::read(&out).expect("results"));
        // Only what has failed is fit to be sent again: the other may be paid for.
        assert_eq!(ids(&json_lines(&folder.join("failed.jsonl"))), ["c"]);
        let summary: Value =
            serde_json::from_slice(&fs::read(folder.join("summary.json")).expect("a summary")).expect("JSON");
        assert_eq!((&summary["undecided"], &summary["failed"]), (&json!(1), &json!(2)));
        let status = status(&folder).expect("a status");
        assert_eq!((status.phase, status.results.is_none()), (RunPhase::Held, true));
    }
    // It is not finished, whatever there is.
    let unfinished = open(&place, &client).repair(Repair::new()).await.expect_err("not finished");
    assert!(unfinished.is_place(), "{unfinished}");
    assert!(clean(&folder, lote::run::Clean::new()).expect_err("not finished").is_place());

    // The seventh create is not refused.
    let report = open(&place, &client).partial(true).output(&out).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.failed, report.undecided), (3, 1, 0));
    assert_eq!(codes(&out), codes(&folder.join("results.jsonl")));
    assert!(codes(&out).iter().all(|code| code != "held"));
    assert_eq!(ids(&json_lines(&folder.join("failed.jsonl"))), ["c"]);
    let (batches, times) = paid(&gateway);
    assert!(batches == 4 && times.values().all(|times| *times == 1), "{times:?}");
    // A file that the run has not written is somebody's.
    fs::write(&out, "mine").expect("written");
    assert!(open(&place, &client).output(&out).execute().await.expect_err("somebody's").is_place());
}

/// A create that nobody can tell of holds the only place for a batch: the other lines were not sent.
#[tokio::test]
async fn lines_that_were_not_sent_are_told_from_those_that_are_held() {
    let place = Place::new(&[chat("a", "x"), chat("b", "y")]);
    let odd = Odd::answering(|head, _| match head {
        _ if head.starts_with("POST /v1/files ") => Reply::json(200, json!({"id": "file-1"})),
        _ if head.starts_with("POST /v1/batches ") => Reply::Nothing,
        _ => Reply::json(200, json!({"data": [], "has_more": false})),
    });
    for detached in [false, true] {
        let run = || place.run(&odd.client(), 1).max_open(1).settle_after_loss(FAST).partial(true);
        let error = match detached {
            true => run().submit().await.expect_err("held"),
            false => run().execute().await.expect_err("held"),
        };
        assert_eq!(error.report().map(|report| (report.joined.lines, report.undecided)), Some((2, 2)), "{error}");
        assert_eq!(codes(&place.path("requests.run/results.jsonl")), ["held", "not_sent"]);
        assert_eq!(fs::read(place.path("requests.run/failed.jsonl")).expect("there"), b"");
    }
}

/// Of a line whose second attempt is held, it is not known how it ends, whatever the first one brought.
#[tokio::test]
async fn a_line_whose_next_attempt_is_held_has_no_outcome_yet() {
    let (_gateway, client) = refusing(&[3]).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "[[status=429]]")]);
    let error = place.run(&client, 1).attempts(2).partial(true).execute().await.expect_err("the attempt is held");
    let report = error.report().expect("what there is");
    assert_eq!((report.joined.succeeded, report.undecided), (1, 1), "{error}");
    assert_eq!(codes(&place.path("requests.run/results.jsonl"))[1], "held");
    assert_eq!(fs::read(place.path("requests.run/failed.jsonl")).expect("there"), b"");
}
