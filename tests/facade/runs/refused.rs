//! Owns the tests of runs that are refused, by lote before anything is sent or by the service, and leave nothing to pay.

use lote::lines::Limits;
use serde_json::json;

use super::{Place, batch, file, line, succeeded, uploaded};
use crate::common::{Odd, Reply};

#[tokio::test]
async fn a_bad_input_sends_nothing_and_leaves_nothing() {
    let odd = Odd::new([]);
    let place = Place::new(&[line("a", "x"), "{".to_owned(), line("a", "y")]);
    let error = place.run(&odd.client()).execute().await.expect_err("refused");
    assert!(error.is_input(), "{error}");
    let findings = &error.findings()[0].findings;
    assert_eq!((error.checked().expect("counted").findings, findings.len()), (2, 2));
    assert_eq!(findings[0].line, Some(2));
    // A line that no batch takes cannot be cut.
    let limits = Limits { max_bytes: 20, ..Limits::default() };
    let place_over = Place::new(&[line("a", "x"), line("b", "y")]);
    let error = place_over.run(&odd.client()).limits(limits).execute().await.expect_err("over the limit");
    assert!(error.is_input(), "{error}");
    assert!(odd.requests().is_empty());
    assert_eq!(
        (place.names(), place_over.names()),
        (vec!["requests.jsonl".to_owned()], vec!["requests.jsonl".to_owned()])
    );
}

#[tokio::test]
async fn settings_that_the_create_would_refuse_are_refused_first() {
    let odd = Odd::new([]);
    let place = Place::new(&[line("a", "x")]);
    for run in [place.run(&odd.client()).max_concurrency(0), place.run(&odd.client()).metadata("lote_sha256", "x")] {
        let error = run.execute().await.expect_err("refused");
        assert!(error.error().is_some_and(lote::Error::is_invalid), "{error}");
    }
    assert!(odd.requests().is_empty());
    assert_eq!(place.names(), ["requests.jsonl"]);
}

#[tokio::test]
async fn a_clear_refusal_leaves_nothing_to_pay() {
    let place = Place::new(&[line("a", "x")]);
    let odd = Odd::new([Reply::json(401, json!({"error": "no"}))]);
    let error = place.run(&odd.client()).execute().await.expect_err("a wrong key");
    assert!(error.is_refused() && error.error().is_some_and(lote::Error::is_unauthorized), "{error}");
    assert_eq!(place.names(), ["requests.jsonl"]);

    // A refused create is told and written down; the lines stay at the service, and are not sent again.
    let odd = Odd::new([uploaded(), Reply::json(400, json!({"error": "no"}))]);
    let error = place.run(&odd.client()).execute().await.expect_err("refused");
    assert!(error.is_refused() && !error.is_ambiguous(), "{error}");
    assert_eq!(place.shard(), ("uploaded", None));
    // Before another create the list is looked at: a refusal may not have been one.
    odd.more([
        Reply::json(200, json!({"data": [], "has_more": false})),
        batch(json!({})),
        batch(json!({"status": "completed", "output_file_id": "file-2"})),
        file(&[succeeded("a")]),
        // And once more at the end: it may show that batch later.
        Reply::json(200, json!({"data": [], "has_more": false})),
    ]);
    let report = place.run(&odd.client()).execute().await.expect("a report");
    assert!(report.all_succeeded());
    let asked: Vec<String> =
        odd.requests().into_iter().skip(2).map(|head| head.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    let list = "GET /v1/batches?limit=100";
    assert_eq!(asked, [list, "POST /v1/batches", "GET /v1/batches/batch_1", "GET /v1/files/file-2/content", list]);
}
