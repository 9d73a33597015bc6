//! Tests of the ledger of a run: each request line beside what came of it, in the order of the input, whatever happened.

use std::fs;

use lote::{
    Cadence, Client,
    run::{Clean, LedgerLine, Partition, Repair, Run, clean, ledger},
};

use crate::runs_common::{FAST, Place, chat, embedding, gateway_with, passing, standing};

fn open(place: &Place, client: &Client) -> Run {
    Run::open(client, place.path("requests.run")).cadence(Cadence::new(FAST, FAST * 5))
}

fn lines(place: &Place, run: &str) -> Vec<LedgerLine> {
    let ledger = ledger(place.path(run)).expect("a ledger");
    let count = ledger.lines();
    let lines: Vec<LedgerLine> = ledger.collect::<Result<_, _>>().expect("all lines");
    assert_eq!(lines.len() as u64, count);
    lines
}

/// Each line in short: its id, what came of it, and how often it was tried. A request and its result are of one line.
fn told(lines: &[LedgerLine]) -> Vec<String> {
    let one = |line: &LedgerLine| {
        let id = line.custom_id().expect("an id");
        let outcome = line.outcome().expect("a result");
        assert!(outcome.as_ref().is_none_or(|outcome| outcome.custom_id() == id), "{line:?}");
        assert_eq!(line.why().is_some(), outcome.is_none(), "{line:?}");
        let came = outcome.map_or_else(|| "open".to_owned(), |outcome| outcome.kind().to_string());
        format!("{id} {came} {}", line.attempts().map_or("?".to_owned(), |attempts| attempts.to_string()))
    };
    lines.iter().map(one).collect()
}

#[tokio::test]
async fn requests_stand_beside_their_results_in_the_order_of_the_input() {
    let (_gateway, client) = gateway_with(None).await;
    let place =
        Place::new(&[chat("a", "x"), embedding("b"), chat("c", "[[status=400]]"), embedding("d"), chat("e", "y")]);
    place.run(&client, 2).execute().await.expect("a report");
    let found = lines(&place, "requests.run");
    assert_eq!(told(&found), ["a succeeded 1", "b succeeded 1", "c failed 1", "d succeeded 1", "e succeeded 1"]);
    let requests = fs::read_to_string(place.path("requests.jsonl")).expect("the requests");
    assert!(found.iter().map(|line| line.request().expect("a request")).eq(requests.lines()));
    let results = fs::read_to_string(place.path("requests.run/results.jsonl")).expect("the results");
    assert!(found.iter().map(|line| line.result().expect("a result")).eq(results.lines()));

    // What was tried again says so.
    open(&place, &client).repair(Repair::new().refusals(true)).await.expect("a report");
    assert_eq!(told(&lines(&place, "requests.run"))[1..3], ["b succeeded 1", "c failed 2"]);
}

#[tokio::test]
async fn of_a_run_that_is_not_finished_it_has_what_there_is() {
    let (gateway, client) = standing(None).await;
    let place = Place::new(&[chat("a", "[[sleep=1000]]"), chat("b", "[[sleep=900000]]"), chat("c", "[[sleep=1000]]")]);
    place.run(&client, 1).max_open(2).submit().await.expect("a status");
    assert_eq!(told(&lines(&place, "requests.run")), ["a open 1", "b open 1", "c open 1"]);
    gateway.advance(std::time::Duration::from_secs(5)).await;
    open(&place, &client).max_open(2).submit().await.expect("a status");
    let found = lines(&place, "requests.run");
    assert_eq!(told(&found)[..2], ["a succeeded 1", "b open 1"]);
    assert!(found[1].request().is_some_and(|request| request.contains("[[sleep=900000]]")), "{found:?}");
    passing(&gateway, open(&place, &client).execute()).await.expect("a report");
    assert_eq!(told(&lines(&place, "requests.run")), ["a succeeded 1", "b succeeded 1", "c succeeded 1"]);
}

#[tokio::test]
async fn lines_that_equal_others_and_parts_have_theirs() {
    let (_gateway, client) = gateway_with(None).await;
    let place = Place::new(&[chat("a", "x"), chat("b", "x"), chat("c", "y"), chat("d", "x")]);
    place.run(&client, 10).dedupe(true).execute().await.expect("a report");
    let found = lines(&place, "requests.run");
    assert_eq!(told(&found), ["a succeeded 1", "b succeeded 1", "c succeeded 1", "d succeeded 1"]);
    assert!(found[3].request().is_some_and(|request| request.contains("\"d\"")), "{found:?}");

    let part: Partition = "2/2".parse().expect("a part");
    place.run(&client, 10).partition(part).execute().await.expect("a report");
    assert_eq!(told(&lines(&place, "requests.2-of-2.run")), ["b succeeded 1", "d succeeded 1"]);
    // Without the lines in its folder they are read where they came from, and those of other parts passed over.
    for run in ["requests.run", "requests.2-of-2.run"] {
        let before = lines(&place, run);
        clean(place.path(run), Clean::new()).expect("cleaned");
        let after = lines(&place, run);
        let of = |lines: &[LedgerLine]| -> Vec<(String, String)> {
            let both = |line: &LedgerLine| {
                (line.request().expect("a request").to_owned(), line.result().expect("a result").to_owned())
            };
            lines.iter().map(both).collect()
        };
        assert_eq!(of(&before), of(&after), "{run}");
        assert!(after.iter().all(|line| line.attempts().is_none()), "{run}: {after:?}");
    }
    // Nor are lines that are others now taken for them.
    fs::write(place.path("requests.jsonl"), chat("a", "other")).expect("written");
    assert!(lines(&place, "requests.run").iter().all(|line| line.request().is_none() && line.result().is_some()));
}

#[tokio::test]
async fn what_is_damaged_is_an_error_and_what_is_not_asked_for_is_not_read() {
    let (_gateway, client) = gateway_with(None).await;
    let all: Vec<String> = (0..2_000).map(|at| chat(&format!("row-{at}"), "x")).collect();
    let place = Place::new(&all);
    place.run(&client, 10_000).execute().await.expect("a report");
    // Only some are taken: the thread that reads ends by itself.
    let first: Vec<_> = ledger(place.path("requests.run")).expect("a ledger").take(3).collect();
    assert!(first.iter().all(Result::is_ok), "{first:?}");
    let path = place.path("requests.run/shards/0001/requests.jsonl");
    let text = fs::read_to_string(&path).expect("the lines");
    fs::write(&path, text.replacen("row-1999", "row-1998", 1)).expect("written");
    let read: Result<Vec<_>, _> = ledger(place.path("requests.run")).expect("a ledger").collect();
    let error = read.expect_err("the lines are others");
    assert!(error.is_io() && error.to_string().contains("requests.jsonl"), "{error}");
    assert!(ledger(place.path("nowhere")).expect_err("no run").is_place());
}
