//! Owns the tests of the facade against the embedded gateway, a real one over a real socket; never a run.

use std::time::Duration;

use futures_util::TryStreamExt;
use lote::{
    Batch, BatchId, Cadence, Client, Endpoint, Error, ExpiresAfter, FileId, FilePurpose, Order, Status, Tolerance,
    UploadPurpose, Waited,
};
use lote_gateway::Gateway;
use tempfile::TempDir;

const FAST: Duration = Duration::from_millis(2);
const PREFIXES: [&str; 2] = ["", "/v1"];

async fn gateway() -> Gateway {
    Gateway::builder().start().await.expect("the gateway starts")
}

fn client(gateway: &Gateway, prefix: &str) -> Client {
    let url = format!("{}{prefix}", gateway.url());
    Client::builder().base_url(url).api_key("mk-test").build().expect("a client")
}

/// Request lines for these prompts, with the ids line-0, line-1, ….
fn requests(prompts: &[&str]) -> String {
    let line = |(at, prompt): (usize, &&str)| {
        let body = serde_json::json!({"model": "auto", "messages": [{"role": "user", "content": prompt}]});
        let (id, url) = (format!("line-{at}"), "/v1/chat/completions");
        serde_json::json!({"custom_id": id, "method": "POST", "url": url, "body": body}).to_string() + "\n"
    };
    prompts.iter().enumerate().map(line).collect()
}

async fn upload(client: &Client, content: String) -> FileId {
    let length = content.len() as u64;
    let reader = std::io::Cursor::new(content.into_bytes());
    let upload = client.files().upload_reader(reader, "in.jsonl", UploadPurpose::Batch).length(length);
    upload.send().await.expect("an upload").id
}

async fn ended(client: &Client, id: &BatchId) -> Batch {
    match client
        .batches()
        .wait(id)
        .cadence(Cadence::new(FAST, FAST * 10))
        .deadline(Duration::from_secs(30))
        .until_over()
        .await
    {
        Waited::Ended(batch) => *batch,
        other => panic!("the batch did not end: {other:?}"),
    }
}

#[tokio::test]
async fn from_an_upload_to_results_under_both_prefixes() {
    let gateway = gateway().await;
    for prefix in PREFIXES {
        let client = client(&gateway, prefix);
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("questions");
        std::fs::write(&path, requests(&["1 + 1?", "[[status=429]]", "2 + 2?"])).expect("written");

        let file = client.files().upload(&path, UploadPurpose::Batch).send().await.expect("an upload");
        assert_eq!(file.filename.as_deref(), Some("questions.jsonl"));
        assert_eq!(file.purpose, Some(FilePurpose::Batch));
        assert_eq!(file.bytes, std::fs::metadata(&path).ok().map(|found| found.len().cast_signed()));
        assert_eq!(client.files().get(&file.id).await.expect("the file").id, file.id);

        let create = client.batches().create(&file.id, Endpoint::ChatCompletions).metadata("run", "7");
        let batch = create.send().await.expect("a batch");
        assert_eq!(batch.status, Status::Validating);
        let batch = ended(&client, &batch.id).await;
        assert_eq!(batch.status, Status::Completed);
        let counts = batch.request_counts.expect("counts");
        assert_eq!((counts.total, counts.completed, counts.failed), (3, 2, 1));
        assert_eq!(batch.metadata["run"], "7");
        assert!(batch.created_at.is_some() && batch.completed_at >= batch.created_at && batch.expires_at.is_some());

        let (output, errors) = (batch.output_file_id.expect("an output"), batch.error_file_id.expect("errors"));
        let saved = folder.path().join("output.jsonl");
        let bytes = client.files().content(&output).await.expect("content").save(&saved).await.expect("saved");
        assert_eq!(bytes, std::fs::metadata(&saved).expect("it is there").len());
        let mut memory = Vec::new();
        client.files().content(&errors).await.expect("content").copy_to(&mut memory).await.expect("copied");
        let text = String::from_utf8(memory).expect("UTF-8");
        assert!(text.contains("\"custom_id\":\"line-1\"") && text.contains("429"), "{text}");

        assert!(client.files().delete(&output).await.expect("deleted").deleted);
        let gone = client.files().content(&output).await.expect_err("it is gone");
        assert!(gone.is_not_found() && gone.request_id().is_some(), "{gone}");
    }
}

#[tokio::test]
async fn a_bad_input_file_fails_the_batch_and_names_the_line() {
    let gateway = gateway().await;
    let client = client(&gateway, "");
    let input = upload(&client, format!("{}not json\n", requests(&["hello"]))).await;
    let batch = client.batches().create(&input, Endpoint::ChatCompletions).send().await.expect("a batch");
    let batch = ended(&client, &batch.id).await;
    assert_eq!(batch.status, Status::Failed);
    let error = batch.errors.first().expect("a validation error");
    assert_eq!((error.code.as_deref(), error.line), (Some("invalid_json_line"), Some(2)));
    assert!(batch.output_file_id.is_none() && batch.failed_at.is_some());
}

#[tokio::test]
async fn lists_go_over_all_pages_once() {
    let gateway = gateway().await;
    for prefix in PREFIXES {
        let client = client(&gateway, prefix);
        let input = upload(&client, requests(&["x"])).await;
        let mut created = Vec::new();
        for _ in 0..7 {
            created.push(client.batches().create(&input, Endpoint::ChatCompletions).send().await.expect("a batch").id);
        }
        let page = client.batches().list().limit(3).page().await.expect("a page");
        assert_eq!((page.data.len(), page.has_more), (3, true));
        let batches: Vec<Batch> = client.batches().list().limit(3).stream().try_collect().await.expect("all");
        let ours: Vec<&BatchId> = batches.iter().map(|batch| &batch.id).filter(|id| created.contains(id)).collect();
        assert_eq!(ours, created.iter().rev().collect::<Vec<_>>());

        let other = client.files().upload_reader(&b"x"[..], "notes.txt", UploadPurpose::UserData).length(1);
        let other = other.send().await.expect("an upload").id;
        // Batches that end meanwhile make files of their own.
        let ours = [other.clone(), input.clone()];
        let ids = async |list: lote::ListFiles| {
            let all: Vec<lote::File> = list.limit(1).stream().try_collect().await.expect("all");
            all.into_iter().map(|file| file.id).filter(|id| ours.contains(id)).collect::<Vec<FileId>>()
        };
        assert_eq!(ids(client.files().list()).await, ours);
        assert_eq!(ids(client.files().list().order(Order::Ascending)).await, [input.clone(), other.clone()]);
        assert_eq!(ids(client.files().list().purpose("batch")).await, [input]);
    }
}

#[tokio::test]
async fn cancel_ends_a_batch_and_a_second_one_is_a_conflict() {
    let gateway = gateway().await;
    let client = client(&gateway, "");
    let input = upload(&client, requests(&["[[sleep=60000]]", "[[sleep=60000]]"])).await;
    let batch = client.batches().create(&input, Endpoint::ChatCompletions).send().await.expect("a batch");
    let cancelled = client.batches().cancel(&batch.id).await.expect("cancelled");
    assert!(matches!(cancelled.status, Status::Cancelling | Status::Cancelled), "{}", cancelled.status);
    let batch = ended(&client, &batch.id).await;
    assert_eq!(batch.status, Status::Cancelled);
    assert!(client.batches().cancel(&batch.id).await.expect_err("over").is_conflict());
}

#[tokio::test]
async fn the_three_endings_of_a_wait() {
    let gateway = gateway().await;
    let client = client(&gateway, "");
    let input = upload(&client, requests(&["[[sleep=60000]]"])).await;
    let batch = client.batches().create(&input, Endpoint::ChatCompletions).send().await.expect("a batch");

    let mut looks = 0;
    let wait = client.batches().wait(&batch.id).cadence(Cadence::every(FAST)).on_progress(|_| looks += 1);
    match wait.deadline(Duration::from_secs(1)).until_over().await {
        Waited::GaveUp(Some(last)) => assert!(!last.is_terminal()),
        other => panic!("{other:?}"),
    }
    assert!(looks > 1);

    gateway.shutdown().await;
    let wait = client
        .batches()
        .wait(&batch.id)
        .cadence(Cadence::every(FAST))
        .tolerance(Tolerance::default().lasting(Duration::from_millis(50)));
    match wait.until_over().await {
        Waited::CouldNotAsk { error, last: None } => assert!(error.is_connection(), "{error}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn keys_and_end_users_see_only_their_own() {
    let gateway = Gateway::builder().key("mk-one").key("mk-two").start().await.expect("the gateway starts");
    let builder = |key: &str| Client::builder().base_url(gateway.url()).api_key(key);
    let one = builder("mk-one").build().expect("a client");
    let input = upload(&one, requests(&["x"])).await;
    let derived = one.on_behalf_of("user-1").expect("a client");
    assert!(one.on_behalf_of("").is_err() && one.on_behalf_of("a\nb").is_err());
    let built =
        [builder("mk-two"), builder("mk-one").on_behalf_of("user-1")].map(|other| other.build().expect("a client"));
    for other in built.into_iter().chain([derived.clone(), derived.on_behalf_of("user-2").expect("a client")]) {
        let error = other.files().get(&input).await.expect_err("not theirs");
        assert!(error.is_not_found(), "{error}");
    }
    let error = builder("mk-three").build().expect("a client").files().get(&input).await.expect_err("no such key");
    assert!(error.is_unauthorized() && !error.to_string().contains("mk-three"), "{error}");
    assert_eq!((error.status(), error.is_ambiguous(), error.is_transient()), (Some(401), false, false));
}

#[tokio::test]
async fn what_is_out_of_range_is_refused_before_it_is_sent() {
    // Nothing listens there: a call would be a connection error.
    let client = Client::builder().base_url("http://127.0.0.1:9").api_key("mk-test").build().expect("a client");
    let id = FileId::new("file-1").expect("an id");
    let refused: Vec<(Error, &str)> = vec![
        (client.batches().list().limit(0).page().await.expect_err("0"), "limit: 0 is out of range"),
        (client.batches().list().limit(101).page().await.expect_err("101"), "limit: 101 is out of range"),
        (client.files().list().limit(10_001).page().await.expect_err("10001"), "limit: 10001 is out of range"),
        (
            client.batches().create(&id, Endpoint::Embeddings).max_concurrency(0).send().await.expect_err("0"),
            "create a batch over file-1: max_concurrency: 0 is out of range",
        ),
        (ExpiresAfter::seconds(3_599).expect_err("3599"), "expires_after.seconds: 3599 is out of range"),
        (ExpiresAfter::seconds(2_592_001).expect_err("2592001"), "expires_after.seconds: 2592001 is out of range"),
    ];
    for (error, message) in refused {
        assert!(error.is_out_of_range() && error.is_invalid() && !error.is_ambiguous(), "{error}");
        assert!(error.to_string().starts_with(message), "{error}");
    }
}

#[test]
fn futures_may_move_between_threads() {
    fn movable<T: Send>(_: T) {}
    let client = Client::builder().base_url("http://127.0.0.1:9").api_key("mk-test").build().expect("a client");
    let (batch, file) = (BatchId::new("b").expect("an id"), FileId::new("f").expect("an id"));
    fn own<T: Send + 'static>(_: T) {}
    own(client.batches().wait(&batch).until_over());
    own(client.batches().list().stream());
    own(client.files().upload("x", UploadPurpose::Batch).send());
    movable(client.batches().create(&file, Endpoint::Embeddings).send());
    movable(client.batches().get(&batch));
    movable(client.batches().cancel(&batch));
    movable(client.batches().list().page());
    movable(client.batches().list().stream());
    movable(client.batches().wait(&batch).until_over());
    movable(client.files().upload("x", UploadPurpose::Batch).send());
    movable(client.files().get(&file));
    movable(client.files().delete(&file));
    movable(client.files().list().stream());
    movable(async { client.files().content(&file).await?.save("x").await });
    movable(lote::run::Run::new(&client, "x").execute());
}
