//! Owns the tests of runs: that nothing is paid for twice, lost or swapped; never of the command line (crates/cli/tests).

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::common::{Odd, Reply};
use lote::{
    Cadence, Client, Dialect, Tolerance,
    lines::Limits,
    run::{Progress, Repair, Run, RunPhase, RunStatus, status},
};
use lote_gateway::Gateway;
use serde_json::{Value, json};
use tempfile::TempDir;

const FAST: Duration = Duration::from_millis(2);

fn line(id: &str, prompt: &str) -> String {
    let body = json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]});
    json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body}).to_string()
}

/// A folder with requests.jsonl in it.
struct Place(TempDir);

impl Place {
    fn new(lines: &[String]) -> Self {
        let folder = TempDir::new().expect("a folder");
        fs::write(folder.path().join("requests.jsonl"), lines.join("\n")).expect("written");
        Self(folder)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn run(&self, client: &Client) -> Run {
        Run::new(client, self.path("requests.jsonl")).cadence(Cadence::new(FAST, FAST * 10))
    }

    fn status(&self) -> RunStatus {
        status(self.path("requests.run")).expect("a run")
    }

    /// What the folder says of its only shard: how far it is, and its batch.
    fn shard(&self) -> (&'static str, Option<String>) {
        let shard = self.status().shards.remove(0);
        (shard.phase, shard.batch.map(|id| id.to_string()))
    }

    fn names(&self) -> Vec<String> {
        names(self.0.path())
    }
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("a name")).collect();
    names.sort();
    names
}

fn json_lines(path: &Path) -> Vec<Value> {
    let text = fs::read_to_string(path).expect("the file");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

async fn gateway() -> (Gateway, Client) {
    let gateway = Gateway::builder().start().await.expect("the gateway starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    (gateway, client)
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
async fn a_finished_run_makes_no_call_and_another_one_is_refused() {
    let (gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "x")]);
    let first = place.run(&client).execute().await.expect("a report");
    let calls = gateway.journal().len();
    let output = place.path("results.jsonl");
    let again = place.run(&client).output(&output).execute().await.expect("the same report");
    assert_eq!((again.run, again.batches), (first.run, first.batches.clone()));
    assert_eq!(json_lines(&output)[0]["custom_id"], "a");
    assert_eq!(gateway.journal().len(), calls);

    // Other lines, other options, another limit: each is said.
    let mut others = vec![(place.run(&client).metadata("team", "x"), "metadata was none, and is {\"team\":\"x\"} now")];
    others.push((place.run(&client).limits(Limits { max_lines: 7, ..Limits::default() }), "7 lines"));
    for (run, said) in others {
        let error = run.execute().await.expect_err("another run");
        assert!(error.is_taken() && error.to_string().contains(said), "{error}");
        assert_eq!(error.batches(), [first.batches[0].id.clone()]);
    }
    fs::write(place.path("requests.jsonl"), line("a", "another")).expect("written");
    let error = place.run(&client).execute().await.expect_err("other lines");
    assert!(
        error.is_taken() && error.to_string().contains("a finished run of something else (the request lines"),
        "{error}"
    );
    assert!(!error.to_string().contains("delete"), "{error}");
    assert_eq!(client.batches().list().page().await.expect("a page").data.len(), 1);

    fs::create_dir(place.path("mine")).expect("a folder");
    fs::write(place.path("mine/notes.txt"), "x").expect("written");
    let error = place.run(&client).folder(place.path("mine")).execute().await.expect_err("not ours");
    assert!(error.is_taken(), "{error}");
    assert_eq!(names(&place.path("mine")), ["notes.txt"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_at_once_one_makes_a_batch() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "x")]);
    let runs: Vec<_> = (0..8).map(|_| tokio::spawn(place.run(&client).execute())).collect();
    let mut reports = 0;
    for run in runs {
        match run.await.expect("no panic") {
            Ok(_) => reports += 1,
            Err(error) => {
                assert!(error.is_busy() || error.is_io(), "{error}");
                assert!(!error.to_string().contains("delete"), "{error}");
            }
        }
    }
    assert!(reports > 0);
    assert_eq!(client.batches().list().page().await.expect("a page").data.len(), 1);
    assert_eq!(place.names(), ["requests.jsonl", "requests.run"]);
}

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
async fn places_that_cannot_take_the_results_are_refused_first() {
    let odd = Odd::new([]);
    let place = Place::new(&[line("a", "x")]);
    for output in ["requests.jsonl", "absent/results.jsonl", ".", "requests.run", "requests.run/run.json"] {
        let error = place.run(&odd.client()).output(place.path(output)).execute().await.expect_err(output);
        assert!(error.is_place(), "{output}: {error}");
    }
    assert!(odd.requests().is_empty());
    assert_eq!(place.names(), ["requests.jsonl"]);
}

fn uploaded() -> Reply {
    Reply::json(200, json!({"id": "file-1", "object": "file"}))
}

fn batch(fields: Value) -> Reply {
    let mut batch = json!({"id": "batch_1", "object": "batch", "status": "in_progress"});
    batch.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    Reply::json(200, batch)
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

#[tokio::test]
async fn what_ends_before_its_create_leaves_a_folder_that_is_used_again() {
    let place = Place::new(&[line("a", "x")]);
    let odd = Odd::new([Reply::Stall(Vec::new())]);
    let upload_is_there = async {
        while odd.requests().is_empty() {
            tokio::time::sleep(FAST).await;
        }
    };
    tokio::select! {
        ended = place.run(&odd.client()).execute() => panic!("the upload stalls: {ended:?}"),
        () = upload_is_there => {}
    }
    assert_eq!(names(&place.path("requests.run")), ["lock", "log.jsonl", "reserve", "run.json", "shards"]);
    assert_eq!(place.shard(), ("planned", None));
    // Other requests, at another service.
    fs::write(place.path("requests.jsonl"), line("b", "y")).expect("written");
    let (_gateway, client) = gateway().await;
    let report = place.run(&client).execute().await.expect("a report");
    assert_eq!(json_lines(&report.results)[0]["custom_id"], "b");
    assert_eq!(place.names(), ["requests.jsonl", "requests.run"]);

    let nowhere = Run::new(&odd.client(), place.path("absent.jsonl")).execute().await.expect_err("no input");
    assert!(nowhere.is_place(), "{nowhere}");
    let folder = Run::new(&odd.client(), place.path(".")).execute().await.expect_err("a folder");
    assert!(folder.to_string().contains("name a file of requests"), "{folder}");
    assert_eq!(odd.requests().len(), 1);
}

#[cfg(unix)]
#[tokio::test]
async fn results_that_cannot_be_copied_are_in_the_folder_all_the_same() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "x")]);
    let output = place.path("out/results.jsonl");
    fs::create_dir(place.path("out")).expect("a folder");
    let gone = place.path("out");
    let run = place.run(&client).output(&output).on_progress(move |progress| {
        if let Progress::Joining = progress {
            // The shard's answers are put in order, and then those of the run.
            let _ = fs::remove_dir(&gone);
        }
    });
    let error = run.execute().await.expect_err("no folder to copy to");
    let report = error.report().expect("the results are there");
    assert_eq!(json_lines(&report.results).len(), 1);
    assert_eq!(place.status().phase, RunPhase::Finished);
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
async fn a_deadline_leaves_the_batch_and_says_where_it_is() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "[[sleep=60000]]")]);
    let error = place.run(&client).deadline(Duration::from_secs(1)).execute().await.expect_err("too slow");
    assert!(error.gave_up(), "{error}");
    assert_eq!(place.shard(), ("created", Some(error.batches()[0].to_string())));
    assert_eq!(error.folder(), Some(place.path("requests.run").as_path()));
}

/// A record of a run that has come so far.
fn record_at(stage: &str) -> Value {
    json!({
        "format": 1, "lote": "0.1.0", "stage": stage, "source": "a", "base_url": "http://x", "endpoint": "/v1/responses",
        "lines": 1, "bytes": 2, "sha256": "00", "begun_at": 5, "input_file_id": "f", "batch_id": null,
        "batch_status": null,
    })
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_refused_and_never_with_the_advice_to_delete_it() {
    let odd = Odd::new([]);
    let newer = json!({"format": 3, "lote": "9.1.0", "shards": []}).to_string();
    let torn = record_at("created").to_string();
    for (text, part) in [
        (newer.as_str(), "made by lote 9.1.0"),
        (&torn[..60], "EOF"),
        ("", "EOF"),
        ("\0\0\0\0", "expected value"),
        ("{}", "missing field"),
    ] {
        let place = Place::new(&[line("a", "x")]);
        fs::create_dir(place.path("requests.run")).expect("a folder");
        fs::write(place.path("requests.run/run.json"), text).expect("written");
        let error = place.run(&odd.client()).execute().await.expect_err("unreadable");
        assert!(error.is_unreadable(), "{error:?}");
        let said = error.to_string();
        assert!(said.contains(part) && said.contains("keep the folder") && !said.contains("delete"), "{said}");
        assert_eq!(fs::read_to_string(place.path("requests.run/run.json")).expect("kept"), text);
        assert_eq!(names(&place.path("requests.run")), ["run.json"]);
    }
}

#[tokio::test]
async fn a_run_of_an_earlier_version_is_left_alone_and_its_batch_is_named() {
    let odd = Odd::new([]);
    for (stage, batch, said) in [
        ("uploaded", Value::Null, "which has made no batch"),
        ("creating", Value::Null, "which may have made a batch"),
        ("created", json!("batch_7"), "lote batches get batch_7"),
    ] {
        let place = Place::new(&[line("a", "x")]);
        fs::create_dir(place.path("requests.run")).expect("a folder");
        let mut record = record_at(stage);
        record["batch_id"] = batch;
        fs::write(place.path("requests.run/run.json"), record.to_string()).expect("written");
        let error = place.run(&odd.client()).execute().await.expect_err("an earlier version");
        assert!(error.is_taken() && error.to_string().contains(said), "{error:?}");
        assert!(!error.to_string().contains("delete"), "{error}");
        assert_eq!(names(&place.path("requests.run")), ["run.json"], "nothing is written to it");
    }
}

#[tokio::test]
async fn a_folder_of_the_users_own_is_used_when_it_is_empty_and_stays() {
    let place = Place::new(&[line("a", "x")]);
    fs::create_dir(place.path("out")).expect("a folder");
    let odd = Odd::new([Reply::json(400, json!({"error": "no"}))]);
    place.run(&odd.client()).folder(place.path("out")).execute().await.expect_err("refused");
    assert!(names(&place.path("out")).is_empty());
    let (_gateway, client) = gateway().await;
    place.run(&client).folder(place.path("out")).execute().await.expect("a report");
    assert!(place.path("out/results.jsonl").exists());
    // A lock of another program's is not ours.
    fs::create_dir(place.path("other")).expect("a folder");
    fs::write(place.path("other/lock"), "theirs").expect("written");
    let error = place.run(&client).folder(place.path("other")).execute().await.expect_err("not ours");
    assert!(error.is_taken(), "{error}");
    assert_eq!(fs::read(place.path("other/lock")).expect("kept"), b"theirs");
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_was_replaced_at_work_is_neither_written_to_nor_removed() {
    let over = || batch(json!({"status": "completed", "output_file_id": "file-2"}));
    for (before_create, replies) in [(true, vec![uploaded()]), (false, vec![uploaded(), batch(json!({})), over()])] {
        let place = Place::new(&[line("a", "x")]);
        let odd = Odd::new(replies);
        let folder = place.path("requests.run");
        let replace = move || {
            fs::remove_dir_all(&folder).expect("removed");
            fs::create_dir(&folder).expect("made");
            fs::write(folder.join("run.json"), "another's").expect("written");
        };
        let run = place.run(&odd.client()).on_progress(move |progress| match progress {
            Progress::Uploading { .. } if before_create => replace(),
            Progress::Created(_) if !before_create => replace(),
            _ => {}
        });
        let error = run.execute().await.expect_err("lost");
        assert!(error.is_lost(), "{error:?}");
        // The upload came, and no create; or there is a batch, which is named.
        let batch = !error.batches().is_empty();
        assert_eq!((odd.requests().len(), batch), if before_create { (1, false) } else { (3, true) });
        assert_eq!(names(&place.path("requests.run")), ["run.json"]);
        assert_eq!(fs::read(place.path("requests.run/run.json")).expect("kept"), b"another's");
    }
}

#[cfg(unix)]
#[tokio::test]
async fn everything_is_as_private_as_the_input() {
    use std::os::unix::fs::PermissionsExt;
    let mode = |path: &Path| fs::metadata(path).expect("there").permissions().mode() & 0o777;
    let (_gateway, client) = gateway().await;
    for (input, folder_mode) in [(0o600, 0o700), (0o640, 0o750)] {
        let place = Place::new(&[line("a", "x"), line("b", "[[status=400]]")]);
        fs::set_permissions(place.path("requests.jsonl"), fs::Permissions::from_mode(input)).expect("set");
        fs::write(place.path("results.jsonl"), "").expect("written");
        // The same lines again, in another place.
        place.run(&client).anew(true).output(place.path("results.jsonl")).execute().await.expect("a report");
        assert_eq!(mode(&place.path("requests.run")), folder_mode);
        assert_eq!(mode(&place.path("results.jsonl")) & !input, 0);
        for folder in ["requests.run", "requests.run/shards", "requests.run/shards/0001"] {
            assert_eq!(mode(&place.path(folder)), folder_mode, "{folder}");
            for name in names(&place.path(folder)) {
                let path = place.path(folder).join(&name);
                assert!(path.is_dir() || mode(&path) & !input == 0, "{name}");
            }
        }
    }
}

#[cfg(unix)]
#[tokio::test]
async fn an_output_that_would_replace_something_is_refused_before_anything_is_sent() {
    let odd = Odd::new([]);
    let place = Place::new(&[line("a", "x")]);
    fs::create_dir(place.path("requests.run")).expect("a folder");
    fs::write(place.path("theirs.jsonl"), "theirs").expect("written");
    fs::hard_link(place.path("requests.jsonl"), place.path("again.jsonl")).expect("linked");
    std::os::unix::fs::symlink("requests.jsonl", place.path("link.jsonl")).expect("linked");
    std::os::unix::fs::symlink("requests.run", place.path("link.run")).expect("linked");
    std::os::unix::fs::symlink("nowhere", place.path("dangling.jsonl")).expect("linked");
    let long = format!("{}.jsonl", "n".repeat(260));
    for (output, part) in [
        ("requests.jsonl", "it is the input"),
        ("./requests.run/../requests.jsonl", "it is the input"),
        ("again.jsonl", "it is the input"),
        ("link.jsonl", "it is the input"),
        ("requests.run", "the folder of the run"),
        ("requests.run/mine.jsonl", "in the folder of the run"),
        ("link.run/mine.jsonl", "in the folder of the run"),
        ("results.csv", "results are JSONL"),
        ("results.Parquet", "results are JSONL"),
        ("dangling.jsonl", "leads nowhere"),
        ("absent/results.jsonl", "folder does not exist"),
        ("theirs.jsonl", "--force"),
        (&long, "too long"),
    ] {
        let error = place.run(&odd.client()).output(place.path(output)).execute().await.expect_err("refused");
        assert!(error.is_place() && error.to_string().contains(part), "{output}: {error}");
    }
    assert_eq!(fs::read(place.path("theirs.jsonl")).expect("kept"), b"theirs");
    assert!(names(&place.path("requests.run")).is_empty());

    let (_gateway, client) = gateway().await;
    let run = place.run(&client).output(place.path("theirs.jsonl")).replace_output(true);
    let report = run.execute().await.expect("a report");
    assert_eq!(json_lines(&report.results).len(), 1);
    // It is the run's own from now on.
    place.run(&client).output(place.path("theirs.jsonl")).execute().await.expect("the same report");
}

#[tokio::test]
async fn an_output_that_comes_while_the_run_is_at_work_is_not_replaced() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "x")]);
    let output = place.path("results.jsonl");
    let theirs = output.clone();
    let run = place.run(&client).output(&output).on_progress(move |progress| {
        if let Progress::Joining = progress {
            fs::write(&theirs, "theirs").expect("written");
        }
    });
    let error = run.execute().await.expect_err("not replaced");
    assert!(error.report().is_some(), "{error}");
    assert_eq!(fs::read(&output).expect("kept"), b"theirs");
}

#[tokio::test(flavor = "multi_thread")]
async fn of_many_that_find_a_folder_free_one_makes_a_batch() {
    let (_gateway, client) = gateway().await;
    let place = Place::new(&[line("a", "[[sleep=50]]")]);
    fs::create_dir(place.path("requests.run")).expect("a folder");
    let runs: Vec<_> = (0..8).map(|_| tokio::spawn(place.run(&client).execute())).collect();
    let mut reports = 0;
    for run in runs {
        match run.await.expect("no panic") {
            Ok(_) => reports += 1,
            Err(error) => assert!(error.is_busy(), "{error}"),
        }
    }
    assert!(reports > 0);
    assert_eq!(client.batches().list().page().await.expect("a page").data.len(), 1);
    assert_eq!(place.names(), ["requests.jsonl", "requests.run"]);
}

/// What a service says of a batch that is over: its counts, and the files that it names.
fn over(status: &str, [total, completed, failed]: [u64; 3], files: Value) -> Reply {
    let mut fields = json!({
        "status": status, "request_counts": {"total": total, "completed": completed, "failed": failed},
    });
    fields.as_object_mut().expect("an object").extend(files.as_object().expect("an object").clone());
    batch(fields)
}

fn succeeded(id: &str) -> String {
    let body = json!({"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 2, "completion_tokens": 1, "total_tokens": 3}});
    json!({"id": "r", "custom_id": id, "response": {"status_code": 200, "body": body}, "error": null}).to_string()
        + "\n"
}

fn failed(id: &str, code: &str) -> String {
    json!({"id": "r", "custom_id": id, "response": null, "error": {"code": code, "message": "x"}}).to_string() + "\n"
}

fn file(lines: &[String]) -> Reply {
    Reply::new(200, &[], lines.concat())
}

fn three() -> Place {
    Place::new(&["a", "b", "c"].map(|id| line(id, "x")))
}

/// The paths that were asked for after the create.
fn looked(odd: &Odd) -> Vec<String> {
    let paths = odd.requests().into_iter().skip(2);
    paths.map(|head| head.split(' ').nth(1).expect("a path").replace("/v1/", "")).collect()
}

#[tokio::test]
async fn files_that_are_named_late_are_waited_for() {
    let output = json!({"output_file_id": "o"});
    let both = json!({"output_file_id": "o", "error_file_id": "e"});
    let all = || file(&["c", "a", "b"].map(succeeded));
    let (two, one) = (|| file(&["a", "b"].map(succeeded)), || file(&[failed("c", "server_error")]));
    let (look, o, e) = ("batches/batch_1", "files/o/content", "files/e/content");
    let answered = succeeded;
    for (what, replies, asked, succeeded) in [
        (
            "nothing is named at first, or by an empty name",
            vec![
                over("completed", [3, 3, 0], json!({})),
                over("completed", [3, 3, 0], json!({"output_file_id": "", "error_file_id": ""})),
                over("completed", [3, 3, 0], output.clone()),
                all(),
            ],
            vec![look, look, look, o],
            3,
        ),
        (
            "the error file is named later than the output file",
            vec![
                over("completed", [3, 2, 1], output.clone()),
                two(),
                over("completed", [3, 2, 1], both.clone()),
                one(),
            ],
            vec![look, o, look, e],
            2,
        ),
        (
            "the output file is named later than the error file",
            vec![
                over("expired", [3, 2, 1], json!({"error_file_id": "e"})),
                one(),
                // Asked elsewhere, it knows less.
                over("in_progress", [3, 0, 0], json!({})),
                over("expired", [3, 2, 1], output.clone()),
                two(),
            ],
            vec![look, e, look, look, o],
            2,
        ),
        (
            "a file is empty just after the end",
            vec![
                over("completed", [3, 3, 0], output.clone()),
                file(&[]),
                over("completed", [3, 3, 0], output.clone()),
                all(),
            ],
            vec![look, o, look, o],
            3,
        ),
        (
            "looks that fail are survived",
            vec![
                over("completed", [3, 3, 0], json!({})),
                Reply::Nothing,
                over("completed", [3, 3, 0], output.clone()),
                all(),
            ],
            vec![look, look, look, o],
            3,
        ),
        (
            "all lines are in one file: nothing is late",
            vec![
                over("completed", [3, 2, 1], output.clone()),
                file(&[answered("a"), answered("b"), failed("c", "server_error")]),
            ],
            vec![look, o],
            2,
        ),
        (
            "all lines failed: no output file is needed",
            vec![
                over("completed", [3, 0, 3], json!({"output_file_id": null, "error_file_id": "e"})),
                file(&["a", "b", "c"].map(|id| failed(id, "server_error"))),
            ],
            vec![look, e],
            0,
        ),
        (
            "counts leave out what expired",
            vec![
                over("expired", [3, 1, 0], both.clone()),
                file(&[answered("a")]),
                file(&["b", "c"].map(|id| failed(id, "batch_expired"))),
            ],
            vec![look, o, e],
            1,
        ),
    ] {
        let place = three();
        let odd = Odd::new([uploaded(), batch(json!({}))].into_iter().chain(replies));
        let report = place.run(&odd.client()).execute().await.expect(what);
        assert_eq!(looked(&odd), asked, "{what}");
        let joined = &report.joined;
        assert_eq!((joined.succeeded, joined.missing, joined.anomalies.len()), (succeeded, 0, 0), "{what}: {joined:?}");
        let summary = fs::read(report.folder.join("shards/0001/summary.json")).expect("it");
        let batch = serde_json::from_slice::<Value>(&summary).expect("JSON")["batch"].clone();
        assert_eq!(batch["output_file_id"].as_str().is_some(), succeeded > 0, "{what}");
    }
}

#[tokio::test]
async fn files_that_are_never_named_are_told_and_nothing_is_taken_for_missing() {
    for (files, said) in [
        (json!({}), "its counts say that 3 lines succeeded, but it names no output file"),
        (json!({"output_file_id": ""}), "its counts say that 3 lines succeeded, but it names no output file"),
        (json!({"output_file_id": "o"}), "its counts say that 3 lines succeeded, but its output file o is empty"),
    ] {
        let place = three();
        let reply = || over("completed", [3, 3, 0], files.clone());
        let empty = files["output_file_id"] == "o";
        let mut replies = vec![uploaded(), batch(json!({})), reply()];
        replies.extend(empty.then(|| file(&[])));
        let odd = Odd::new(replies);
        // No time: it is not asked again.
        let run = place.run(&odd.client()).tolerance(Tolerance::default().late_files(Duration::ZERO));
        let error = run.execute().await.expect_err("late");
        let text = error.to_string();
        assert!(text.contains("batch batch_1 is completed, and ") && text.contains(said), "{text}");
        assert!(error.is_unfetched() && error.error().is_some_and(lote::Error::is_late), "{text}");
        assert!(!error.is_ambiguous(), "{text}");
        assert!(!place.path("requests.run/results.jsonl").exists());
        assert_eq!(place.shard(), ("over", Some("batch_1".to_owned())));
        // The same run asks again, and finds it there.
        odd.more([over("completed", [3, 3, 0], json!({"output_file_id": "o"})), file(&["a", "b", "c"].map(succeeded))]);
        let report = place.run(&odd.client()).execute().await.expect("a report");
        assert!(report.all_succeeded());
    }
}

#[tokio::test]
async fn what_the_batch_says_is_held_against_what_came() {
    let both = json!({"output_file_id": "o", "error_file_id": "e"});
    let usage = |tokens: u64| json!({"input_tokens": 4, "output_tokens": 2, "total_tokens": tokens});
    let with_usage = |tokens: u64| {
        let mut files = json!({"output_file_id": "o"});
        files["usage"] = usage(tokens);
        files
    };
    let two = || file(&["a", "b"].map(succeeded));
    let counts = "batch batch_1: its counts say that ";
    for (replies, lines, code, said) in [
        (
            vec![over("completed", [3, 3, 0], json!({"output_file_id": "o"})), two()],
            3,
            "counts_differ",
            format!("{counts}3 of 3 lines ended (3 completed, 0 failed), but its files hold 2"),
        ),
        (
            vec![over("completed", [2, 1, 0], both.clone()), two(), file(&[failed("c", "batch_cancelled")])],
            3,
            "counts_differ",
            format!("{counts}1 of 2 lines ended (1 completed, 0 failed), but its files hold 2"),
        ),
        (
            // The error file is never named.
            vec![over("completed", [3, 2, 1], json!({"output_file_id": "o"})), two()],
            3,
            "counts_differ",
            format!("{counts}3 of 3 lines ended (2 completed, 1 failed), but its files hold 2"),
        ),
        (
            vec![over("completed", [2, 2, 0], with_usage(60)), two()],
            2,
            "usage_differs",
            "batch batch_1: it says that it used 60 tokens (4 in, 2 out), but its lines say 6 tokens (4 in, 2 out)"
                .to_owned(),
        ),
    ] {
        let place = Place::new(&["a", "b", "c"].map(|id| line(id, "x"))[..lines]);
        let odd = Odd::new([uploaded(), batch(json!({}))].into_iter().chain(replies));
        let run = place.run(&odd.client()).tolerance(Tolerance::default().late_files(Duration::ZERO));
        let report = run.execute().await.expect("a report");
        let found: Vec<_> =
            report.joined.anomalies.iter().map(|found| (found.code.as_str(), found.to_string())).collect();
        assert_eq!(found, [(code, said.clone())]);
        let summary = fs::read_to_string(report.folder.join("summary.json")).expect("the summary");
        let summary: Value = serde_json::from_str(&summary).expect("JSON");
        assert_eq!(
            (summary["anomalies"][0]["code"].as_str(), summary["answers"].as_u64()),
            (Some(code), Some(2 + u64::from(said.contains("1 of 2"))))
        );
    }

    for (counts, files, lines) in [
        // What is not said cannot differ.
        ([0, 0, 0], with_usage(0), 2),
        // All that was used, to the token.
        ([2, 2, 0], with_usage(6), 2),
        // Failed lines that are counted as completed too.
        ([2, 2, 1], both.clone(), 2),
        // A line that expired, counted as one that failed.
        ([3, 2, 1], both, 3),
    ] {
        let place = Place::new(&["a", "b", "c"].map(|id| line(id, "x"))[..lines]);
        let mut replies = vec![uploaded(), batch(json!({})), over("expired", counts, files.clone()), two()];
        if files["error_file_id"] == "e" {
            replies.push(file(if lines == 3 { vec![failed("c", "batch_expired")] } else { Vec::new() }.as_slice()));
        }
        let odd = Odd::new(replies);
        let run = place.run(&odd.client()).tolerance(Tolerance::default().late_files(Duration::ZERO));
        let report = run.execute().await.expect("a report");
        assert_eq!(report.joined.anomalies, [], "{counts:?}");
    }
}
