//! Tests of what a person says of a shard: a batch that cannot be its own is refused before it is written down.

use std::{
    fs,
    sync::{Arc, Mutex},
    time::Duration,
};

use lote::{
    BatchId, Client,
    run::{Run, RunError, status},
};
use lote_gateway::Gateway;
use serde_json::{Value, json};

use crate::{
    common::{Odd, Reply},
    runs_common::{FAST, Place, chat, embedding, gateway_with, paid},
};

fn id(batch: &str) -> BatchId {
    batch.parse().expect("an id")
}

fn open(client: &Client, place: &Place) -> Run {
    Run::open(client, place.path("requests.run"))
        .settle_after_loss(FAST * 5)
        .cadence(lote::Cadence::new(FAST, FAST * 5))
}

/// Two shards whose run was lost, given again: nothing is created, since there are batches of the same lines. These.
async fn lost(gateway: &Gateway, client: &Client, place: &Place) -> Vec<BatchId> {
    let first = place.run(client, 1).folder(place.path("lost.run")).execute().await.expect("a report");
    fs::remove_dir_all(place.path("lost.run")).expect("lost");
    let error = place.run(client, 1).execute().await.expect_err("there are batches of these lines");
    assert!(error.is_twin() && paid(gateway).0 == first.batches.len(), "{error}");
    first.batches.into_iter().map(|batch| batch.id).collect()
}

fn log(place: &Place) -> String {
    fs::read_to_string(place.path("requests.run/log.jsonl")).expect("the log")
}

fn refused(error: &RunError, said: &str) {
    assert!(error.is_place() && error.to_string().contains(said), "{said}: {error}");
}

#[tokio::test]
async fn a_batch_that_cannot_be_the_shards_own_is_refused_and_not_written_down() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "y")]);
    let batches = lost(&gateway, &client, &place).await;
    // Of somebody else: of another endpoint, and of another number of lines.
    let others = Place::new(&[embedding("e"), chat("c", "x"), chat("d", "y")]);
    let others = others.run(&client, 1_000).execute().await.expect("a report").batches;
    fs::write(place.path("mine.jsonl"), [chat("c", "x"), chat("d", "y")].concat()).expect("written");
    let file =
        client.files().upload(place.path("mine.jsonl"), lote::UploadPurpose::Batch).send().await.expect("a file");
    let unmarked = client.batches().create(&file.id, lote::Endpoint::ChatCompletions).send().await.expect("a batch").id;
    client.batches().wait(&unmarked).until_over().await.ended().expect("it ends");
    for (batch, said) in [
        (
            id("batch_0123456789abcdef0123456789abcdef"),
            "the service does not know batch_0123456789abcdef0123456789abcdef",
        ),
        (batches[1].clone(), "is of other request lines, as its metadata says"),
        (others[0].id.clone(), "is for /v1/embeddings, and the shard's lines are for /v1/chat/completions"),
        (others[1].id.clone(), "is of other request lines, as its metadata says"),
        (unmarked, "has 2 lines, and the shard 1"),
    ] {
        // The other word is a right one, and is not written down either.
        let other = usize::from(batch != batches[1]);
        let error = open(&client, &place).adopt(2, batches[other].clone()).adopt(1, batch.clone()).execute().await;
        refused(&error.expect_err(said), said);
        assert!(!log(&place).contains(r#""event":"created""#), "{batch} was written down");
    }
    let report = open(&client, &place).adopt(1, batches[0].clone()).adopt(2, batches[1].clone()).execute().await;
    let report = report.expect("a report");
    assert!(report.all_succeeded());
    assert_eq!(report.batches.iter().map(|batch| batch.id.clone()).collect::<Vec<_>>(), batches);
}

#[tokio::test]
async fn words_that_contradict_each_other_are_refused() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "y")]);
    let batches = lost(&gateway, &client, &place).await;
    let before = log(&place);
    let run = || open(&client, &place);
    let (first, second) = (|| batches[0].clone(), || batches[1].clone());
    for (run, said) in [
        (run().adopt(1, first()).no_batch(1), format!("shard 1 is said to have batch {} and to have none", first())),
        (run().no_batch(1).adopt(1, first()), format!("shard 1 is said to have batch {} and to have none", first())),
        (run().adopt(1, first()).adopt(1, second()), "shard 1 is said to have two batches".to_owned()),
        (run().adopt(1, first()).adopt(2, first()), format!("batch {} is said to be that of two shards", first())),
        (run().adopt(9, first()), "the run has no shard 9".to_owned()),
    ] {
        refused(&run.execute().await.expect_err("a contradiction"), &said);
    }
    assert_eq!(log(&place), before);
    // Said twice is said once.
    let run = run().adopt(1, first()).adopt(2, second()).adopt(1, first());
    assert!(run.execute().await.expect("a report").all_succeeded());
}

/// A service that keeps no metadata, and knows the batches that are named `batch_7` and `batch_8`. What these are at.
fn keeping_nothing() -> (Odd, Arc<Mutex<Value>>) {
    let batch_7: Arc<Mutex<Value>> = Arc::new(Mutex::new(json!({"id": "batch_7", "status": "in_progress"})));
    let seen = Arc::clone(&batch_7);
    let odd = Odd::answering(move |head, _| {
        let is = |what: &str| head.starts_with(what);
        let answer = json!({"custom_id": "a", "response": {"status_code": 200, "body": {"choices": [{"index": 0, "message": {"role": "assistant", "content": "2"}}]}}});
        match head {
            _ if is("POST /v1/files ") => Reply::json(200, json!({"id": "file-1"})),
            _ if is("POST /v1/batches ") => Reply::Nothing,
            _ if is("GET /v1/batches/batch_7 ") => Reply::json(200, seen.lock().expect("a batch").clone()),
            _ if is("GET /v1/batches/batch_8 ") => {
                Reply::json(200, json!({"id": "batch_8", "status": "completed", "output_file_id": "o"}))
            }
            _ if is("GET /v1/files/o/content ") => Reply::new(200, &[], answer.to_string()),
            _ if is("GET /v1/files/o ") => Reply::json(200, json!({"id": "o"})),
            _ if is("GET /v1/batches?") => Reply::json(200, json!({"data": [], "has_more": false})),
            _ => Reply::json(404, json!({"error": {"message": "no such thing"}})),
        }
    });
    (odd, batch_7)
}

#[tokio::test]
async fn another_word_is_taken_as_long_as_the_shard_is_not_settled() {
    let place = Place::new(&[chat("a", "x")]);
    let (odd, batch_7) = keeping_nothing();
    let client = odd.client();
    assert!(place.run(&client, 1).execute().await.expect_err("held").is_held());
    let adopt = |batch: &str| open(&client, &place).adopt(1, id(batch)).deadline(Duration::from_secs(1));
    assert!(adopt("batch_7").submit().await.is_ok());
    let shard = || status(place.path("requests.run")).expect("a status").shards.remove(0);
    assert_eq!((shard().phase, shard().batch), ("created", Some(id("batch_7"))));
    // It was a wrong one, and may end at any time.
    *batch_7.lock().expect("a batch") = json!({"id": "batch_7", "status": "completed", "output_file_id": "gone"});
    // The same again is no word: the batch is looked at.
    let none = open(&client, &place).no_batch(1).execute().await.expect_err("its create is lost again");
    assert!(none.is_held(), "{none}");
    let report = adopt("batch_8").execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.batches[0].id.clone()), (1, id("batch_8")));
    // Settled is settled.
    refused(&adopt("batch_7").execute().await.expect_err("settled"), "shard 1 has its batch");
}

/// Nobody has said what its batch is: the answer to the create has.
#[tokio::test]
async fn a_batch_that_its_create_has_named_is_no_matter_of_words() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "[[sleep=60000]]")]);
    place.run(&client, 1).submit().await.expect("a status");
    for run in [open(&client, &place).no_batch(1), open(&client, &place).adopt(1, id("batch_1"))] {
        refused(&run.execute().await.expect_err("it has one"), "shard 1 has its batch");
    }
    assert_eq!(paid(&gateway).0, 1);
}
