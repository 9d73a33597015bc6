//! Owns the tests of the facade against services that deviate, refuse or break off; never against a good one.

use std::time::Duration;

use crate::common::{Odd, Reply};
use futures_util::TryStreamExt;
use lote::{BatchId, Cadence, Endpoint, Error, FileId, Status, UploadPurpose, Waited};
use serde_json::{Value, json};

fn batch_id() -> BatchId {
    BatchId::new("batch_1").expect("an id")
}

fn file_id() -> FileId {
    FileId::new("file-1").expect("an id")
}

async fn error_of(reply: Reply) -> Error {
    Odd::new([reply]).client().batches().get(&batch_id()).await.expect_err("an error")
}

#[tokio::test]
async fn any_2xx_is_a_success_and_little_is_enough() {
    for (status, body) in [
        (200, json!({"id": "b", "status": "completed"})),
        (201, json!({"id": "b", "status": "scheduling", "request_counts": null, "errors": null})),
        (202, json!({"id": "b", "status": "IN_PROGRESS", "created_at": "1704067200", "new": {"a": [1]}})),
    ] {
        let odd = Odd::new([Reply::json(status, &body)]);
        let batch = odd.client().batches().get(&batch_id()).await.expect("a batch");
        assert_eq!(serde_json::to_value(&batch).expect("JSON"), without_nulls(body));
    }
}

fn without_nulls(mut value: Value) -> Value {
    if let Some(map) = value.as_object_mut() {
        map.retain(|_, value| !value.is_null());
    }
    value
}

#[tokio::test]
async fn an_instant_beyond_the_range_names_field_and_value() {
    for (field, value) in [("created_at", 9_007_199_254_740_992_i64), ("cancelled_at", -9_007_199_254_740_992)] {
        let error = error_of(Reply::json(200, json!({"id": "b", "status": "completed", field: value}))).await;
        assert!(error.is_out_of_range() && !error.is_invalid() && error.is_ambiguous(), "{error}");
        assert!(error.to_string().contains(&format!("batch.{field}: {value} is out of range")), "{error}");
    }
    let list = json!({"object": "list", "has_more": false, "data": [
        {"id": "a", "status": "completed"},
        {"id": "b", "status": "completed", "completed_at": 9_007_199_254_740_992_i64},
    ]});
    let odd = Odd::new([Reply::json(200, list)]);
    let error = odd.client().batches().list().page().await.expect_err("out of range");
    assert!(error.to_string().contains("list.data[1].completed_at: 9007199254740992 is out of range"), "{error}");
}

#[tokio::test]
async fn error_answers_of_any_shape() {
    let shapes: [(Reply, &str); 7] = [
        (
            Reply::json(404, json!({"error": {"message": "No batch found", "code": null}})),
            "404 Not Found: No batch found",
        ),
        (Reply::json(429, json!({"error": "Rate limit exceeded"})), "429 Too Many Requests: Rate limit exceeded"),
        (
            Reply::json(422, json!({"detail": [{"loc": ["path", "id"], "msg": "bad"}]})),
            "422 Unprocessable Entity: path.id: bad",
        ),
        (
            Reply::new(502, &[], "<html><title>Bad Gateway</title>"),
            "502 Bad Gateway: an HTML page titled \"Bad Gateway\"",
        ),
        (Reply::new(503, &[], ""), "503 Service Unavailable"),
        (Reply::new(302, &["location: https://login.example/"], ""), "302 Found: it points to https://login.example/"),
        (Reply::new(500, &[], b"\xff\xfe\x00"), "500 Internal Server Error"),
    ];
    for (reply, message) in shapes {
        let error = error_of(reply).await;
        assert!(
            error.to_string().starts_with(&format!("get batch batch_1: the service answered {message}")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn headers_of_an_error_are_read() {
    let headers = ["retry-after: 7", "x-request-id: req_9"];
    let error = error_of(Reply::new(429, &headers, "slow down")).await;
    assert!(error.is_rate_limited() && error.is_transient());
    assert_eq!(error.retry_after(), Some(Duration::from_secs(7)));
    assert_eq!(error.request_id(), Some("req_9"));
}

#[tokio::test]
async fn a_key_that_a_service_repeats_is_not() {
    for reply in [
        Reply::json(401, json!({"error": {"message": "bad key sk-hunter22", "code": "sk-hunter22"}})),
        Reply::new(401, &["x-request-id: sk-hunter22"], "sk-hunter22"),
        Reply::new(200, &[], "your key is sk-hunter22"),
    ] {
        let error = error_of(reply).await;
        assert!(!format!("{error} {error:?}").contains("hunter22"), "{error:?}");
    }
}

#[tokio::test]
async fn a_secret_of_a_table_that_a_service_repeats_is_not() {
    let table =
        "name = \"mine\"\nheaders = { x-gateway = \"Bearer hunter33-token\" }\nquery = { code = \"hunter44-token\" }";
    for text in ["Bearer hunter33-token", "hunter33-token", "/v1/batches?code=hunter44-token"] {
        let odd = Odd::new([Reply::json(403, json!({"error": format!("refused: {text}")}))]);
        let client =
            odd.builder().dialect(lote::Dialect::from_toml(table).expect("a dialect")).build().expect("a client");
        let error = client.batches().get(&batch_id()).await.expect_err("refused");
        assert!(!format!("{error} {error:?}").contains("hunter"), "{error:?}");
        assert!(error.to_string().contains("[x-gateway]") || error.to_string().contains("[code]"), "{error}");
    }
}

#[tokio::test]
async fn a_key_is_blanked_before_a_text_is_cut_and_in_fields_as_well() {
    for filler in 570..610 {
        let body = format!("{}sk-hunter22", "x".repeat(filler));
        for reply in [Reply::new(401, &[], &body), Reply::new(200, &[], &body)] {
            let error = error_of(reply).await;
            assert!(!format!("{error} {error:?}").contains("sk-h"), "{filler}: {error:?}");
        }
    }
    for field in ["created_at", "request_counts", "usage", "errors", "input_file_id"] {
        let batch = json!({"id": "b", "status": "completed", field: ["sk-hunter22"]});
        let error = error_of(Reply::json(200, batch)).await;
        assert!(!format!("{error} {error:?}").contains("hunter22"), "{error:?}");
    }
}

#[tokio::test]
async fn every_instant_and_size_is_read_into_its_own_field_within_its_range() {
    const EDGE: i64 = 9_007_199_254_740_991;
    let names = [
        "created_at",
        "in_progress_at",
        "expires_at",
        "finalizing_at",
        "completed_at",
        "failed_at",
        "expired_at",
        "cancelling_at",
        "cancelled_at",
    ];
    let batch = |values: &[i64]| {
        let mut batch = json!({"id": "b", "status": "completed"});
        names.iter().zip(values).for_each(|(name, value)| batch[*name] = json!(value));
        batch
    };
    let seen = |batch: lote::Batch| {
        let lote::Batch { created_at, in_progress_at, expires_at, finalizing_at, completed_at, .. } = batch;
        let lote::Batch { failed_at, expired_at, cancelling_at, cancelled_at, .. } = batch;
        [
            created_at,
            in_progress_at,
            expires_at,
            finalizing_at,
            completed_at,
            failed_at,
            expired_at,
            cancelling_at,
            cancelled_at,
        ]
        .map(|instant| instant.expect("it was sent").get())
    };
    for values in [[1, 2, 3, 4, 5, 6, 7, 8, 9], [EDGE; 9], [-EDGE; 9]] {
        let odd = Odd::new([Reply::json(200, batch(&values))]);
        assert_eq!(seen(odd.client().batches().get(&batch_id()).await.expect("a batch")), values);
    }
    for name in names {
        for value in [EDGE + 1, -EDGE - 1] {
            let error = error_of(Reply::json(200, json!({"id": "b", "status": "completed", name: value}))).await;
            let message = format!("batch.{name}: {value} is out of range");
            assert!(error.is_out_of_range() && error.to_string().contains(&message), "{error}");
        }
    }

    for values in [[1, 2, 3], [EDGE; 3], [-EDGE; 3]] {
        let [bytes, created, expires] = values;
        let file = json!({"id": "f", "bytes": bytes, "created_at": created, "expires_at": expires});
        let odd = Odd::new([Reply::json(200, file)]);
        let file = odd.client().files().get(&file_id()).await.expect("a file");
        let instants = [file.created_at, file.expires_at].map(|instant| instant.expect("it was sent").get());
        assert_eq!((file.bytes, instants), (Some(bytes), [created, expires]));
    }
    for name in ["bytes", "created_at", "expires_at"] {
        let odd = Odd::new([Reply::json(200, json!({"id": "f", name: EDGE + 1}))]);
        let error = odd.client().files().get(&file_id()).await.expect_err("out of range");
        assert!(error.to_string().contains(&format!("file.{name}: {} is out of range", EDGE + 1)), "{error}");
    }
}

#[tokio::test]
async fn a_batch_that_stays_cancelling_is_over_when_it_says_when() {
    let odd = Odd::new([Reply::json(200, json!({"id": "b", "status": "cancelling", "cancelled_at": 5}))]);
    let client = odd.client();
    assert!(matches!(client.batches().wait(&batch_id()).until_over().await, Waited::Ended(_)));
}

#[tokio::test]
async fn what_is_no_service_is_told_so() {
    for (reply, part) in [
        (Reply::new(200, &["content-type: text/html"], "<html><title>Welcome</title></html>"), "an HTML page titled"),
        (Reply::new(200, &[], ""), "the answer is empty"),
        (Reply::json(200, "[1]"), "not what the contract says"),
        (Reply::json(200, "{\"id\": \"b\""), "not JSON"),
        (Reply::json(200, "{}"), "batch.id: it is missing"),
    ] {
        let error = error_of(reply).await;
        assert!(error.is_undecodable() && error.to_string().contains(part), "{error}");
    }
}

#[tokio::test]
async fn connections_that_break() {
    let error = error_of(Reply::Nothing).await;
    assert!(error.is_connection() && error.is_ambiguous() && error.is_transient(), "{error}");
    let half = b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"id\"".to_vec();
    assert!(error_of(Reply::Bytes(half)).await.is_connection());

    let nobody = lote::Client::builder()
        .base_url("http://127.0.0.1:9")
        .api_key("k")
        .retry(lote::Retry::none())
        .build()
        .expect("a client");
    let error = nobody.batches().get(&batch_id()).await.expect_err("nobody is there");
    assert!(error.is_connection() && !error.is_ambiguous(), "{error}");
    assert!(error.to_string().starts_with("get batch batch_1: could not reach http://127.0.0.1:9/"), "{error}");
}

#[tokio::test]
async fn what_stalls_is_given_up() {
    let stalled = || Reply::Stall(b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec());
    let short = Duration::from_millis(200);
    let odd = Odd::new([stalled()]);
    let client = odd.builder().call_timeout(short).build().expect("a client");
    assert!(client.batches().get(&batch_id()).await.expect_err("stalled").is_timeout());

    let odd = Odd::new([stalled()]);
    let client = odd.builder().idle_timeout(short).build().expect("a client");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.jsonl");
    let content = client.files().content(&file_id()).await.expect("a head");
    assert!(content.save(&path).await.expect_err("stalled").is_timeout());
    assert!(!path.exists());

    let odd = Odd::new([Reply::Stall(Vec::new())]);
    let client = odd.builder().idle_timeout(short).call_timeout(short).build().expect("a client");
    let upload = client.files().upload_reader(&b"x"[..], "a.jsonl", UploadPurpose::Batch).length(1);
    let error = upload.send().await.expect_err("stalled");
    assert!(error.is_timeout() && error.is_ambiguous(), "{error}");
}

#[tokio::test]
async fn content_that_breaks_off_replaces_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("out.jsonl");
    std::fs::write(&path, "what was there").expect("written");
    for half in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf"[..],
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n",
    ] {
        let odd = Odd::new([Reply::Bytes(half.to_vec())]);
        let client = odd.client();
        let content = client.files().content(&file_id()).await.expect("a head");
        assert!(content.save(&path).await.expect_err("broken off").is_connection());
        assert_eq!(std::fs::read(&path).expect("it is there"), b"what was there");
        assert_eq!(std::fs::read(folder.path().join("out.jsonl.lote-part")).expect("the part"), b"half");
    }
}

#[tokio::test]
async fn what_every_call_carries() {
    let odd = Odd::new([Reply::json(200, json!({"id": "a/b", "status": "completed"}))]);
    let dialect = lote::Dialect::named("mka1").expect("a known dialect");
    let client = odd.builder().dialect(dialect).on_behalf_of("user-1").user_agent("mine/1").build().expect("a client");
    client.batches().get(&BatchId::new("a/b c?").expect("an id")).await.expect("a batch");
    let head = odd.requests().join("").to_ascii_lowercase();
    for part in [
        "get /v1/batches/a%2fb%20c%3f http/1.1\r\n",
        "authorization: bearer sk-hunter22\r\n",
        "x-on-behalf-of: user-1\r\n",
        "user-agent: mine/1\r\n",
    ] {
        assert!(head.contains(part), "{part} is not in {head}");
    }
    assert!(!head.contains("api-version"), "{head}");
}

/// A client that tries again, almost at once.
fn stubborn(odd: &Odd) -> lote::Client {
    let retry = lote::Retry::default().pauses(Duration::from_millis(1), Duration::from_millis(2));
    odd.builder().retry(retry).build().expect("a client")
}

#[tokio::test]
async fn what_passes_is_tried_again() {
    let trouble = || [Reply::Nothing, Reply::new(503, &[], ""), Reply::new(429, &["retry-after-ms: 1"], "")];
    let good = || Reply::json(200, json!({"id": "batch_1", "status": "completed", "data": [], "has_more": false}));
    let odd = Odd::new(trouble().into_iter().chain([good()]).chain(trouble()).chain([good()]));
    let client = stubborn(&odd);
    client.batches().get(&batch_id()).await.expect("at the fourth try");
    client.batches().list().page().await.expect("at the fourth try");

    let odd = Odd::new(trouble().into_iter().chain([Reply::new(500, &[], "last")]));
    assert!(stubborn(&odd).files().get(&file_id()).await.expect_err("in vain").to_string().contains("last"));

    for (reply, tries) in [
        (Reply::new(400, &[], ""), 1),
        (Reply::new(501, &[], ""), 1),
        (Reply::new(429, &["retry-after: 121"], ""), 1),
        (Reply::new(200, &[], "<html>"), 1),
    ] {
        let odd = Odd::new([reply]);
        stubborn(&odd).files().get(&file_id()).await.expect_err("at once");
        assert_eq!(odd.requests().len(), tries);
    }
}

#[tokio::test]
async fn an_answer_that_was_lost_is_not_taken_for_a_refusal() {
    let batch = json!({"id": "batch_1", "status": "cancelled", "cancelling_at": 5});
    let odd = Odd::new([Reply::Nothing, Reply::new(409, &[], "over"), Reply::json(200, batch)]);
    let cancelled = stubborn(&odd).batches().cancel(&batch_id()).await.expect("cancelled by the first try");
    assert_eq!(cancelled.status, Status::Cancelled);
    let batch = json!({"id": "batch_1", "status": "completed"});
    let odd = Odd::new([Reply::Nothing, Reply::new(409, &[], "over"), Reply::json(200, batch)]);
    assert!(stubborn(&odd).batches().cancel(&batch_id()).await.expect_err("over before").is_conflict());

    let odd = Odd::new([Reply::Nothing, Reply::new(404, &[], "")]);
    assert!(stubborn(&odd).files().delete(&file_id()).await.expect("deleted by the first try").deleted);
    let odd = Odd::new([Reply::new(404, &[], "")]);
    assert!(stubborn(&odd).files().delete(&file_id()).await.expect_err("never there").is_not_found());
}

#[tokio::test]
async fn a_create_and_an_upload_are_sent_once() {
    let odd = Odd::new([Reply::Nothing]);
    let error = stubborn(&odd).batches().create(&file_id(), Endpoint::Embeddings).send().await.expect_err("lost");
    assert!(error.is_ambiguous(), "{error}");
    assert_eq!(odd.requests().len(), 1);

    let odd = Odd::new([Reply::new(503, &[], "")]);
    let file = tempfile::NamedTempFile::new().expect("a file");
    let upload = stubborn(&odd).files().upload(file.path(), UploadPurpose::Batch);
    assert!(upload.send().await.expect_err("refused").is_ambiguous());
    assert_eq!(odd.requests().len(), 1);
}

#[tokio::test]
async fn a_deletion_may_answer_without_a_body() {
    let odd = Odd::new([Reply::new(204, &[], "")]);
    assert!(odd.client().files().delete(&file_id()).await.expect("deleted").deleted);
}

#[tokio::test]
async fn a_list_that_starts_again_ends() {
    let page = || Reply::json(200, json!({"data": [{"id": "b", "status": "completed"}], "has_more": true}));
    let odd = Odd::new([page(), page()]);
    let error = odd.client().batches().list().stream().try_collect::<Vec<_>>().await.expect_err("a loop");
    assert!(error.to_string().contains("does not end"), "{error}");
}

#[tokio::test]
async fn a_wait_survives_what_passes_and_nothing_else() {
    let fast = Duration::from_millis(1);
    let state = |status: &str| Reply::json(200, json!({"id": "batch_1", "status": status}));
    let odd = Odd::new([
        Reply::json(404, json!({"error": "not yet"})),
        state("scheduling"),
        Reply::Nothing,
        Reply::new(500, &[], ""),
        Reply::new(429, &["retry-after-ms: 1"], ""),
        state("in_progress"),
        state("completed"),
    ]);
    let client = odd.client();
    match client.batches().wait(&batch_id()).cadence(Cadence::every(fast)).until_over().await {
        Waited::Ended(batch) => assert_eq!(batch.status, Status::Completed),
        other => panic!("{other:?}"),
    }

    for fatal in [
        Reply::new(401, &[], ""),
        Reply::new(404, &[], ""),
        Reply::json(200, json!({"id": "b", "status": "x", "created_at": "soon"})),
    ] {
        let odd = Odd::new([state("in_progress"), fatal]);
        let client = odd.client();
        match client.batches().wait(&batch_id()).cadence(Cadence::every(fast)).until_over().await {
            Waited::CouldNotAsk { last: Some(last), .. } => assert_eq!(last.status, Status::InProgress),
            other => panic!("{other:?}"),
        }
    }
}
