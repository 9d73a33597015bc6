//! Owns the tests of what a run of one batch gives: one result line for each request line, in the order of the input.

use std::{fs, io::Write};

use lote::{Dialect, run::RunPhase};
use serde_json::{Value, json};

use super::{Place, batch, gateway, line, names, uploaded};
use crate::{
    common::{Odd, Reply},
    runs_common::json_lines,
};

#[tokio::test]
async fn every_request_line_has_one_result_line_in_input_order() {
    let (_gateway, client) = gateway().await;
    // The slow ones come back last, the failing ones in the other file.
    let prompts = ["[[sleep=80]] a", "b", "[[status=429]] c", "[[fail=1:503]] d", "[[sleep=40]] [[status=400]] e", "f"];
    let lines: Vec<String> = prompts.iter().enumerate().map(|(at, prompt)| line(&format!("é-{at}"), prompt)).collect();
    let place = Place::new(&lines);
    let output = place.path("results.jsonl");
    let report = place.run(&client).output(&output).metadata("note", "x").execute().await.expect("a report");

    assert!(!report.all_succeeded());
    assert_eq!((report.joined.lines, report.joined.succeeded, report.joined.failed), (6, 4, 2));
    assert!(report.joined.usage.total_tokens > 0);
    let batch = client.batches().get(&report.batches[0].id).await.expect("the batch");
    assert_eq!((batch.metadata["note"].as_str(), batch.metadata["lote_run"].as_str()), ("x", report.run.as_str()));
    let results = json_lines(&output);
    let ids: Vec<&str> = results.iter().map(|result| result["custom_id"].as_str().expect("an id")).collect();
    assert_eq!(ids, ["é-0", "é-1", "é-2", "é-3", "é-4", "é-5"]);
    for result in &results {
        let keys: Vec<&String> = result.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["id", "custom_id", "response", "error"]);
    }
    assert_eq!(results[2]["response"]["status_code"], 429);

    let folder = place.path("requests.run");
    let kept = [
        "anomalies.jsonl",
        "failed.jsonl",
        "lock",
        "log.jsonl",
        "reserve",
        "results.jsonl",
        "run.json",
        "shards",
        "summary.json",
    ];
    assert_eq!(names(&folder).into_iter().filter(|name| name != "progress.json").collect::<Vec<_>>(), kept);
    let shard = [
        "anomalies.jsonl",
        "batch.json",
        "errors.jsonl",
        "output.jsonl",
        "requests.jsonl",
        "results.jsonl",
        "summary.json",
    ];
    assert_eq!(names(&folder.join("shards/0001")), shard);
    let failed = json_lines(&folder.join("failed.jsonl"));
    assert_eq!(
        failed.iter().map(|line| line["custom_id"].as_str().expect("an id")).collect::<Vec<_>>(),
        ["é-2", "é-4"]
    );
    assert_eq!(fs::read(folder.join("results.jsonl")).expect("results"), fs::read(&output).expect("results"));
    assert_eq!(place.names(), ["requests.jsonl", "requests.run", "results.jsonl"]);
    assert_eq!(place.status().phase, RunPhase::Finished);
    assert_eq!(place.shard(), ("settled", Some(report.batches[0].id.to_string())));
}

#[tokio::test]
async fn compressed_requests_are_sent_as_lines() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "x"), line("b", "y")]);
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&fs::read(place.path("requests.jsonl")).expect("written")).expect("compressed");
    fs::write(place.path("requests.jsonl"), encoder.finish().expect("compressed")).expect("written");
    let report = place.run(&client).execute().await.expect("a report");
    assert_eq!((report.joined.lines, report.joined.succeeded), (2, 2));
    let sent = place.path("requests.run/shards/0001/requests.jsonl");
    assert!(fs::read(sent).expect("kept").starts_with(b"{\"custom_id\":\"a\""));
    // The same file again is known as the same.
    let again = place.run(&client).execute().await.expect("the same report");
    assert_eq!((again.run, again.joined), (report.run, report.joined));
}

#[tokio::test]
async fn an_endpoint_that_only_the_dialect_declares_is_run() {
    let audio = r#"{"custom_id":"a","method":"POST","url":"/v1/audio/transcriptions","body":{"model":"w","url":"u"}}"#;
    let place = Place::new(&[audio.to_owned()]);
    let groq = |odd: &Odd| odd.builder().dialect(Dialect::named("groq").expect("known")).build().expect("a client");
    let odd = Odd::new([
        uploaded(),
        batch(json!({})),
        batch(json!({"status": "completed", "output_file_id": "file-2"})),
        Reply::new(200, &[], r#"{"custom_id":"a","response":{"status_code":200,"body":{"text":"hello"}}}"#),
    ]);
    let report = place.run(&groq(&odd)).endpoint("/v1/audio/transcriptions").execute().await.expect("a report");
    assert!(report.all_succeeded());
    let created: Value = serde_json::from_slice(&odd.bodies()[1]).expect("JSON");
    assert_eq!(created["endpoint"], "/v1/audio/transcriptions");

    // Nothing that no dialect declares is ever sent.
    let odd = Odd::new([]);
    for (client, endpoint) in
        [(groq(&odd), "/v1/audio/transcription"), (groq(&odd), ""), (odd.client(), "/v1/audio/transcriptions")]
    {
        let create = client.batches().create(&"file-1".parse().expect("an id"), endpoint);
        let error = create.send().await.expect_err("not declared");
        assert!(error.is_invalid() && error.to_string().contains("does not take endpoint"), "{error}");
    }
    assert!(odd.requests().is_empty());
}

#[tokio::test]
async fn lines_that_the_service_lost_are_missing_and_what_it_added_is_named() {
    let answer = |id: &str| json!({"id": "r", "custom_id": id, "response": {"status_code": 200, "body": {"x": 1}}, "error": null});
    let place = Place::new(&[line("a", "x"), line("b", "y"), line("c", "z")]);
    let output = format!("{}\n{}\n{}\nhalf a li", answer("c"), answer("foreign"), answer("c"));
    let odd = Odd::new([
        uploaded(),
        batch(json!({})),
        batch(json!({"status": "expired", "output_file_id": "file-2", "error_file_id": ""})),
        Reply::new(404, &[], ""),
        Reply::Nothing,
        Reply::new(200, &[], output),
    ]);
    let report = place.run(&odd.client()).execute().await.expect("a report");
    assert_eq!(report.batches[0].status, "expired");
    let joined = &report.joined;
    assert_eq!((joined.lines, joined.succeeded, joined.missing), (3, 1, 2));
    let codes: Vec<&str> = joined.anomalies.iter().map(|anomaly| anomaly.code.as_str()).collect();
    assert_eq!(codes.len(), 3, "{codes:?}");
    let results = json_lines(&report.results);
    assert_eq!(results[0]["error"]["code"], "missing");
    assert_eq!((&results[2]["custom_id"], &results[2]["error"]), (&json!("c"), &Value::Null));
}

#[tokio::test]
async fn a_completed_batch_without_an_output_file_is_legal() {
    let place = Place::new(&[line("a", "x")]);
    let errors =
        json!({"id": "r", "custom_id": "a", "response": null, "error": {"code": "batch_expired", "message": "x"}});
    let odd = Odd::new([
        uploaded(),
        batch(json!({})),
        batch(json!({"status": "completed", "output_file_id": null, "error_file_id": "file-3"})),
        Reply::new(200, &[], errors.to_string()),
    ]);
    let report = place.run(&odd.client()).execute().await.expect("a report");
    assert_eq!((report.joined.lines, report.joined.expired, report.joined.missing), (1, 1, 0));
}

#[tokio::test]
async fn what_a_batch_that_failed_has_finished_is_fetched() {
    let answer =
        json!({"id": "r", "custom_id": "b", "response": {"status_code": 200, "body": {"x": 1}}, "error": null});
    let place = Place::new(&[line("a", "x"), line("b", "y")]);
    let odd = Odd::new([
        uploaded(),
        batch(json!({})),
        batch(json!({"status": "failed", "output_file_id": "file-2"})),
        Reply::new(200, &[], answer.to_string()),
    ]);
    let report = place.run(&odd.client()).execute().await.expect("a report");
    assert!(!report.all_succeeded());
    assert_eq!((report.joined.succeeded, report.joined.missing), (1, 1));
}
