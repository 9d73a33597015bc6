//! Tests of answers that succeeded and are asked for again all the same: what was paid for stays unless a better one comes.

use std::fs;

use lote::{
    Cadence, Client,
    run::{Clean, Repair, Run, clean},
};
use serde_json::{Value, json};

use crate::runs_common::{FAST, Place, chat, gateway_with, ids, paid};

/// A line whose answer is cut off at a limit of tokens.
fn short(id: &str) -> String {
    let messages = json!([{"role": "user", "content": "a long story, please, in many words"}]);
    let body = json!({"model": "auto", "messages": messages, "max_tokens": 2});
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string() + "\n"
}

fn open(place: &Place, client: &Client) -> Run {
    Run::open(client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5))
}

#[tokio::test]
async fn answers_that_were_cut_off_are_asked_for_again_where_that_is_wanted() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), short("b"), chat("c", "[[status=400]]"), short("d")]);
    let report = place.run(&client, 2).execute().await.expect("a report");
    assert_eq!((report.joined.succeeded, report.joined.cut_off, report.joined.failed), (3, 2, 1));
    let same = open(&place, &client).repair(Repair::new()).await.expect("nothing to try");
    assert_eq!((same.batches.len(), paid(&gateway).0), (2, 2));

    let again = open(&place, &client).repair(Repair::new().cut_off(true)).await.expect("a report");
    let sent: Vec<(u32, u64)> = again.batches.iter().map(|batch| (batch.attempt, batch.lines)).collect();
    assert_eq!(sent, [(1, 2), (1, 2), (2, 2)]);
    // They are cut off again, and nothing is lost by that.
    assert_eq!((again.joined.succeeded, again.joined.cut_off, again.joined.failed), (3, 2, 1));
    assert_eq!(ids(&place.results()), ["a", "b", "c", "d"]);
    let (_, times) = paid(&gateway);
    assert_eq!((times["a"], times["b"], times["c"], times["d"]), (1, 2, 1, 2));
}

#[tokio::test]
async fn further_attempts_of_a_run_take_what_they_are_told_to() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), short("b")]);
    let report = place.run(&client, 2).attempts(3).execute().await.expect("a report");
    assert_eq!((report.batches.len(), report.joined.cut_off), (1, 1));
    let other = Place::new(&[chat("e", "x"), short("f")]);
    let run = other.run(&client, 2).attempts(3).repairs(Repair::new().cut_off(true));
    let report = run.execute().await.expect("a report");
    assert_eq!((report.batches.len(), report.joined.cut_off), (3, 1));
    let (_, times) = paid(&gateway);
    assert_eq!((times["b"], times["e"], times["f"]), (1, 1, 3));
}

/// What can be asked for again keeps its request lines; of what was cleaned away it is said.
#[tokio::test]
async fn request_lines_stay_as_long_as_an_answer_may_be_asked_for_again() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), short("b")]);
    place.run(&client, 2).execute().await.expect("a report");
    clean(place.path("requests.run"), Clean::new()).expect("cleaned");
    assert!(place.path("requests.run/shards/0001/requests.jsonl").exists());
    open(&place, &client).repair(Repair::new().cut_off(true)).await.expect("a report");

    let place = Place::new(&[chat("c", "x"), chat("d", "x")]);
    place.run(&client, 2).execute().await.expect("a report");
    let none = open(&place, &client).repair(Repair::new().cut_off(true)).await.expect("nothing to try");
    assert!(none.all_succeeded() && none.batches.len() == 1);
    clean(place.path("requests.run"), Clean::new()).expect("cleaned");
    assert!(!place.path("requests.run/shards/0001/requests.jsonl").exists());
    let error = open(&place, &client).repair(Repair::new().cut_off(true)).await.expect_err("they are gone");
    assert!(error.is_place() && error.to_string().contains("cleaned away"), "{error}");
    assert_eq!(paid(&gateway).0, 3);
}

/// What is expected has to be said where it is gone by.
#[tokio::test]
async fn nothing_is_asked_for_again_for_not_fitting_what_nobody_has_said() {
    let (gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x")]);
    let unfit = || Repair::new().unfit(true);
    let refused = place.run(&client, 2).attempts(2).repairs(unfit()).execute().await.expect_err("nothing was said");
    assert!(refused.to_string().contains("say what is expected"), "{refused}");
    assert!(!place.path("requests.run").exists());
    place.run(&client, 2).execute().await.expect("a report");
    let refused = open(&place, &client).repair(unfit()).await.expect_err("nothing was said");
    assert!(refused.to_string().contains("say what is expected"), "{refused}");
    assert_eq!(paid(&gateway).0, 1);
    let summary: Value =
        serde_json::from_slice(&fs::read(place.path("requests.run/summary.json")).expect("a summary")).expect("JSON");
    assert_eq!(summary["fit"], Value::Null);
}
