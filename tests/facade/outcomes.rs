//! Owns the tests of the ways to outcomes: from files, from a run, from a batch; never of the views of one (`views`), nor
//! of the joining itself (crates/lines/tests/join.rs).

use std::{fs, time::Duration};

use lote::{
    Batch, Client, Endpoint, FinishReason, ImageData, Outcome, OutcomeKind, Outcomes, Tolerance, UploadPurpose, Waited,
    request::{
        ChatCompletion, Embeddings, EncodingFormat, ImageGeneration, ModelResponse, Request, RequestFile, RequestLines,
    },
    run::Run,
};
use lote_gateway::Gateway;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    common::{Odd, Reply},
    servers::{DWCTL, OGX},
};

const FAST: Duration = Duration::from_millis(2);

#[test]
fn answers_of_two_servers_are_read() {
    for (server, text) in [("ogx", OGX), ("dwctl", DWCTL)] {
        let folder = TempDir::new().expect("a folder");
        let (requests, mut answers, mut ids) = (folder.path().join("requests"), Vec::new(), Vec::new());
        for answer in text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
            if answer["path"].as_str().is_some_and(|path| path.ends_with("/content")) && answer["status"] == 200 {
                let path = folder.path().join(answers.len().to_string());
                let body = answer["body"].as_str().expect("a text");
                fs::write(&path, body).expect("written");
                answers.push(path);
                ids.extend(
                    body.lines().map(|line| Outcome::from_line(line).expect("an outcome").custom_id().to_owned()),
                );
            }
        }
        let line = |id: &String| {
            json!({"custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": {}}).to_string() + "\n"
        };
        fs::write(&requests, ids.iter().map(line).collect::<String>()).expect("written");
        let outcomes: Vec<Outcome> =
            Outcomes::join(&requests, &answers).expect("joined").collect::<Result<_, _>>().expect("read");
        assert_eq!(outcomes.len(), 2, "{server}");
        for outcome in outcomes {
            match outcome.kind() {
                OutcomeKind::Succeeded => {
                    assert!(!outcome.text().expect("a text").is_empty(), "{server}");
                    assert_eq!(outcome.finish_reason().expect("a reason"), FinishReason::Stop, "{server}");
                    assert_eq!(outcome.usage().map(|usage| usage.total_tokens), Some(23), "{server}");
                    // dwctl gives null, OGX an id.
                    assert_eq!(outcome.request_id().is_some(), server == "ogx");
                }
                OutcomeKind::Failed => {
                    assert!(
                        outcome.error_message().is_some_and(|text| text.contains("no such colour: octarine")),
                        "{server}"
                    );
                    assert!(outcome.text().expect_err("failed").is_unanswered());
                }
                other => panic!("{server}: {other}"),
            }
        }
    }
}

#[test]
fn a_line_that_cannot_be_read_is_an_error_in_its_place() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join("output.jsonl");
    fs::write(&path, b"\xef\xbb\xbf{\"custom_id\":\"a\",\"error\":\"x\"}\n\n{\"custom_id\nb\xff\n{\"custom_id\":\"b\",\"error\":\"x\"}")
        .expect("written");
    let found: Vec<_> = Outcomes::open(&path)
        .expect("opened")
        .map(|found| {
            found.map(|found| found.custom_id().to_owned()).map_err(|error| {
                // No service was asked for anything.
                assert!(error.is_undecodable() && !error.is_ambiguous() && !error.is_transient());
                error.to_string()
            })
        })
        .collect();
    let at = path.display();
    assert_eq!(found[0], Ok("a".to_owned()));
    assert!(
        found[1].as_ref().is_err_and(|error| error.starts_with(&format!("{at}, line 3: the line ends inside"))),
        "{found:?}"
    );
    assert_eq!(found[2], Err(format!("{at}, line 4: invalid UTF-8 at column 2")));
    assert_eq!((&found[3], found.len()), (&Ok("b".to_owned()), 4));
    assert!(Outcomes::open(folder.path().join("none")).expect_err("no file").is_io());
}

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
enum Label {
    Good,
    Bad,
}

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind")]
enum Finding {
    Typo { line: u16 },
    Praise(Praise),
}

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
struct Praise {
    words: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize, schemars::JsonSchema)]
struct Review {
    label: Label,
    #[schemars(range(min = 1, max = 5))]
    stars: u8,
    why: String,
    finding: Finding,
    next: Option<Box<Review>>,
}

async fn gateway() -> (Gateway, Client) {
    let gateway = Gateway::builder().start().await.expect("the gateway starts");
    let client = Client::builder().base_url(gateway.url()).api_key("mk-test").build().expect("a client");
    (gateway, client)
}

/// A file of these rows, a run of it, and its outcomes.
async fn run<R: Request>(client: &Client, shared: R, rows: &[(&str, &str)]) -> Vec<Outcome>
where
    R::Content: for<'a> From<&'a str>,
{
    let folder = TempDir::new().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    let mut file = RequestFile::create(&requests).expect("a file");
    for line in RequestLines::new(shared).for_rows(rows.iter().copied()) {
        file.push(&line.expect("a line")).expect("written");
    }
    file.finish().expect("finished");
    let report =
        Run::new(client, &requests).cadence(lote::Cadence::new(FAST, FAST * 10)).execute().await.expect("a report");
    report.outcomes().expect("opened").collect::<Result<_, _>>().expect("read")
}

#[tokio::test]
async fn structured_output_comes_back_as_its_type_from_both_endpoints() {
    let (_gateway, client) = gateway().await;
    let rows = [("a", "Great!"), ("b", "Never again. [[status=400]]"), ("c", "So so.")];
    let chats = run(&client, ChatCompletion::new("auto").system("Judge.").json_output::<Review>(), &rows).await;
    let responses =
        run(&client, ModelResponse::new("auto").instructions("Judge.").json_output::<Review>(), &rows).await;
    for outcomes in [chats, responses] {
        let ids: Vec<&str> = outcomes.iter().map(Outcome::custom_id).collect();
        assert_eq!(ids, ["a", "b", "c"]);
        for outcome in [&outcomes[0], &outcomes[2]] {
            let review: Review = outcome.json().expect("a review");
            assert!((1..=5).contains(&review.stars) && !review.why.is_empty());
            assert_eq!(serde_json::to_value(&review).expect("JSON"), outcome.json::<Value>().expect("JSON"));
            assert!(outcome.usage().is_some_and(|usage| usage.output_tokens > 0));
        }
        let error = outcomes[1].json::<Review>().expect_err("a failed line");
        assert!(error.is_unanswered() && outcomes[1].status_code() == Some(400), "{error}");
    }
    // Cut off in the middle, yet paid for.
    let cut =
        run(&client, ChatCompletion::new("auto").json_output::<Review>().max_completion_tokens(3), &rows[..1]).await;
    let error = cut[0].json::<Review>().expect_err("cut off");
    assert!(error.is_cut_off() && error.usage().is_some_and(|usage| usage.total_tokens > 0), "{error}");
    assert_eq!(cut[0].finish_reason().expect("a reason"), FinishReason::Length);
}

#[tokio::test]
async fn vectors_and_images_come_back_from_the_gateway() {
    let (_gateway, client) = gateway().await;
    let rows = [("a", "one text"), ("b", "another")];
    let floats = run(&client, Embeddings::new("auto").dimensions(16), &rows).await;
    let packed =
        run(&client, Embeddings::new("auto").dimensions(16).encoding_format(EncodingFormat::Base64), &rows).await;
    for (floats, packed) in floats.iter().zip(&packed) {
        let vector = floats.embedding().expect("a vector");
        assert_eq!((vector.len(), &vector), (16, &packed.embedding().expect("a vector")));
    }
    let images = run(&client, ImageGeneration::new("auto").n(2).size("256x256"), &rows[..1]).await;
    let images = images[0].images().expect("images");
    assert_eq!(images.len(), 2);
    assert!(matches!(&images[0].data, ImageData::Bytes(bytes) if bytes.starts_with(b"\x89PNG")));
}

#[tokio::test]
async fn a_batch_and_its_requests_become_outcomes() {
    let (_gateway, client) = gateway().await;
    let folder = TempDir::new().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    let mut file = RequestFile::create(&requests).expect("a file");
    for (id, prompt) in [("a", "[[sleep=30]] slow"), ("b", "[[status=429]]"), ("c", "quick")] {
        file.push(&ChatCompletion::new("auto").user(prompt).line(id).expect("a line")).expect("written");
    }
    file.finish().expect("finished");
    let input = client.files().upload(&requests, UploadPurpose::Batch).send().await.expect("an upload");
    let batch = client.batches().create(&input.id, Endpoint::ChatCompletions).send().await.expect("a batch");
    let early = client.batches().outcomes(&batch, &requests).fetch().await.expect_err("not over");
    assert!(early.is_invalid() && early.to_string().ends_with("wait until it is over, then ask again"), "{early}");
    let Waited::Ended(batch) =
        client.batches().wait(&batch.id).cadence(lote::Cadence::new(FAST, FAST * 10)).until_over().await
    else {
        panic!("the batch did not end");
    };
    let kept = folder.path().join("kept/here");
    for folder in [None, Some(&kept), Some(&kept)] {
        let mut fetch = client.batches().outcomes(&batch, &requests);
        if let Some(folder) = folder {
            fetch = fetch.folder(folder);
        }
        let outcomes = fetch.fetch().await.expect("outcomes");
        let joined = outcomes.joined().expect("joined");
        assert_eq!((joined.succeeded, joined.failed, joined.anomalies.len()), (2, 1, 0));
        let kinds: Vec<_> = outcomes.map(|outcome| outcome.expect("an outcome").kind()).collect();
        assert_eq!(kinds, [OutcomeKind::Succeeded, OutcomeKind::Failed, OutcomeKind::Succeeded]);
    }
    let mut names: Vec<_> =
        fs::read_dir(&kept).expect("a folder").map(|entry| entry.expect("an entry").file_name()).collect();
    names.sort();
    assert_eq!(names, ["errors.jsonl", "output.jsonl", "results.jsonl"]);
}

/// A batch as a service describes it.
async fn described(batch: Value) -> (Odd, Client, Batch) {
    let odd = Odd::new([Reply::json(200, &batch)]);
    let client = odd.client();
    let batch = client.batches().get(&"b".parse().expect("an id")).await.expect("a batch");
    (odd, client, batch)
}

#[tokio::test]
async fn a_file_that_changes_while_it_is_fetched_is_fetched_anew_once() {
    let folder = TempDir::new().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    fs::write(&requests, r#"{"custom_id":"a"}"#).expect("written");
    let line = |text: &str| {
        let body = json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": text}}]});
        json!({"custom_id": "a", "response": {"status_code": 200, "body": body}}).to_string() + "\n"
    };
    let (old, new) = (line("an older answer"), line("the answer"));
    let broken = || {
        let head = format!("HTTP/1.1 200 X\r\ncontent-length: {}\r\netag: \"v1\"\r\n\r\n{}", old.len(), &old[..9]);
        Reply::Bytes(head.into_bytes())
    };
    let whole = || Reply::new(200, &["etag: \"v2\""], &new);
    let batch = || Reply::json(200, json!({"id": "b", "status": "completed", "output_file_id": "o"}));
    let fetch = async |replies: Vec<Reply>| {
        let odd = Odd::new(std::iter::once(batch()).chain(replies));
        let client = odd.client();
        let batch = client.batches().get(&"b".parse().expect("an id")).await.expect("a batch");
        client.batches().outcomes(&batch, &requests).fetch().await
    };
    // The break, the rest that is of another file, and all of that file.
    let mut outcomes = fetch(vec![broken(), whole(), whole()]).await.expect("outcomes");
    let outcome = outcomes.next().expect("one").expect("read");
    assert_eq!(outcome.text().expect("a text"), "the answer");
    // What changes again is told.
    let error = fetch(vec![broken(), whole(), broken(), whole()]).await.expect_err("changed again");
    assert!(error.is_undecodable() && error.to_string().contains("has changed while it was fetched"), "{error}");
}

#[tokio::test]
async fn a_batch_without_files_has_only_missing_lines_unless_it_failed() {
    let folder = TempDir::new().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    fs::write(&requests, "{\"custom_id\":\"a\"}\n{\"custom_id\":\"b\"}\n").expect("written");
    for (status, error_file) in [("completed", json!(null)), ("cancelled", json!("")), ("expired", json!(null))] {
        let (_odd, client, batch) = described(json!({"id": "b", "status": status, "error_file_id": error_file})).await;
        let stale = folder.path().join("output.jsonl");
        fs::write(&stale, "{\"custom_id\":\"a\",\"response\":{\"status_code\":200,\"body\":{\"text\":\"x\"}}}")
            .expect("written");
        let outcomes =
            client.batches().outcomes(&batch, &requests).folder(folder.path()).fetch().await.expect("outcomes");
        let kinds: Vec<_> = outcomes.map(|outcome| outcome.expect("an outcome").kind()).collect();
        assert_eq!(kinds, [OutcomeKind::Missing; 2], "{status}");
        assert!(!stale.exists());
    }
    // What a wait takes for over is over here, too.
    for fields in [json!({"status": "cancelling", "cancelled_at": 5}), json!({"status": "done", "completed_at": 5})] {
        let mut batch = json!({"id": "b"});
        batch.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
        let (_odd, client, batch) = described(batch).await;
        assert!(batch.is_terminal() && batch.elapsed().is_none());
        let outcomes = client.batches().outcomes(&batch, &requests).fetch().await.expect("outcomes");
        assert_eq!(outcomes.count(), 2);
    }
    let (_odd, client, batch) = described(json!({"id": "b", "status": "done", "completed_at": 0})).await;
    let error = client.batches().outcomes(&batch, &requests).fetch().await.expect_err("not over");
    assert!(error.to_string().contains("is done (unrecognised): wait until it is over"), "{error}");

    let errors = json!({"data": [{"code": "duplicate_custom_id", "message": "twice", "line": 2}]});
    let (_odd, client, batch) = described(json!({"id": "b", "status": "failed", "errors": errors})).await;
    let error = client.batches().outcomes(&batch, &requests).fetch().await.expect_err("nothing was run");
    assert!(error.is_invalid());
    assert!(
        error.to_string().starts_with("batch b failed, so that no request line was run: ")
            && error.to_string().contains("twice"),
        "{error}"
    );
}

#[tokio::test]
async fn an_empty_error_file_is_none_and_two_answers_are_one() {
    let folder = TempDir::new().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    fs::write(&requests, "{\"custom_id\":\"a\"}\n").expect("written");
    let output = concat!(
        r#"{"custom_id":"a","response":{"status_code":500,"body":{}}}"#,
        "\n",
        r#"{"custom_id":"a","response":{"status_code":200,"body":"{\"choices\":[{\"message\":{\"content\":\"yes\"}}]}"}}"#,
        "\n",
    );
    let odd = Odd::new([
        Reply::json(200, json!({"id": "b", "status": "completed", "output_file_id": "o", "error_file_id": "e"})),
        Reply::new(200, &[], output),
        Reply::new(200, &[], ""),
    ]);
    let client = odd.client();
    let batch = client.batches().get(&"b".parse().expect("an id")).await.expect("a batch");
    let outcomes = client.batches().outcomes(&batch, &requests).fetch().await.expect("outcomes");
    assert_eq!(outcomes.joined().expect("joined").anomalies.len(), 1);
    let outcomes: Vec<_> = outcomes.collect::<Result<_, _>>().expect("read");
    assert_eq!((outcomes.len(), outcomes[0].text().expect("a text").as_str()), (1, "yes"));
}

#[tokio::test]
async fn the_outcomes_of_a_batch_that_names_its_files_late() {
    let folder = TempDir::new().expect("a folder");
    let requests = folder.path().join("requests.jsonl");
    fs::write(&requests, "{\"custom_id\":\"a\"}\n{\"custom_id\":\"b\"}\n").expect("written");
    let over = |files: Value| {
        let counts = json!({"total": 2, "completed": 2, "failed": 0});
        let mut batch = json!({"id": "b", "status": "completed", "request_counts": counts});
        batch.as_object_mut().expect("an object").extend(files.as_object().expect("an object").clone());
        Reply::json(200, batch)
    };
    let line = |id: &str| json!({"custom_id": id, "response": {"status_code": 200, "body": {"text": "x"}}}).to_string();
    let odd = Odd::new([
        over(json!({})),
        over(json!({"output_file_id": "o"})),
        // A file, too, may not be known in its first moment.
        Reply::json(404, json!({"error": "not yet"})),
        Reply::new(200, &[], [line("b"), line("a")].join("\n")),
    ]);
    let client = odd.client();
    let batch = client.batches().get(&"b".parse().expect("an id")).await.expect("a batch");
    assert!(batch.late_files().is_some_and(|late| late.is_output()));
    let outcomes = client.batches().outcomes(&batch, &requests).fetch().await.expect("outcomes");
    assert_eq!(outcomes.joined().map(|joined| (joined.succeeded, joined.anomalies.len())), Some((2, 0)));

    // Never named: an error that says what is there, and no results that say that it is missing.
    let (_odd, client, batch) = described(json!({
        "id": "b", "status": "completed", "request_counts": {"total": 2, "completed": 2, "failed": 0},
    }))
    .await;
    let kept = folder.path().join("kept");
    let fetch = client.batches().outcomes(&batch, &requests).folder(&kept);
    let error = fetch.tolerance(Tolerance::default().late_files(Duration::ZERO)).fetch().await.expect_err("late");
    assert!(error.is_late() && error.is_transient() && !error.is_ambiguous() && !error.is_invalid(), "{error}");
    assert_eq!(error.batch_id().map(|id| id.as_str()), Some("b"));
    let said = "batch b is completed, and its counts say that 2 lines succeeded, but it names no output file";
    assert!(error.to_string().starts_with(said), "{error}");
    assert_eq!(fs::read_dir(&kept).expect("a folder").count(), 0);
}

#[test]
fn files_that_are_joined_keep_their_results_and_name_what_cannot_be_read() {
    let folder = TempDir::new().expect("a folder");
    let [requests, output, results] = ["requests", "output", "results"].map(|name| folder.path().join(name));
    fs::write(&requests, "{\"custom_id\":\"a\"}\n{\"custom_id\":\"b\"}\n{\"custom_id\":\"c\"}\n").expect("written");
    let lines = concat!(
        r#"{"custom_id":"a","response":{"status_code":200,"body":{"choices":[{"message":{"content":"x"},"finish_reason":"length"}]}}}"#,
        "\n",
        r#"{"custom_id":"b","response":{"status_code":200,"body":{"cho"#,
    );
    fs::write(&output, lines).expect("written");
    let outcomes = Outcomes::join_to(&requests, [&output], &results).expect("joined");
    let joined = outcomes.joined().expect("joined").clone();
    assert_eq!((joined.succeeded, joined.cut_off, joined.unreadable, joined.missing, joined.answers), (1, 1, 1, 1, 2));
    let read: Vec<Outcome> = outcomes.collect::<Result<_, _>>().expect("read");
    assert_eq!(
        read.iter().map(Outcome::kind).collect::<Vec<_>>(),
        [OutcomeKind::Succeeded, OutcomeKind::Unreadable, OutcomeKind::Missing]
    );
    assert!(read[0].is_cut_off() && read[1].is_unreadable() && read[2].is_missing());
    let error = read[1].text().expect_err("unreadable");
    assert!(error.is_unanswered() && error.to_string().contains("output, line 2"), "{error}");
    let again: Vec<Outcome> = Outcomes::open(&results).expect("opened").collect::<Result<_, _>>().expect("read");
    assert_eq!(again.iter().map(Outcome::line).collect::<Vec<_>>(), read.iter().map(Outcome::line).collect::<Vec<_>>());

    // What fails leaves what was there.
    fs::write(&requests, "{\"custom_id\":\"a\"}\n{\"custom_id\":\"a\"}\n").expect("written");
    assert!(Outcomes::join_to(&requests, [&output], &results).expect_err("one id twice").is_invalid());
    assert_eq!(Outcomes::open(&results).expect("opened").count(), 3);
}
