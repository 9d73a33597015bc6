//! What a service described is written as JSON and read back: the same, through the same checks as an answer.

use crate::common::{Odd, Reply};
use lote::{
    Batch, Deletion, Endpoint, File, FilePurpose, FileStatus, Order, Page, RequestCounts, Status, UnixSeconds,
    UploadPurpose, Usage, ValidationError,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// A batch with every field of the contract, and some that it does not name.
fn whole() -> Value {
    let instant = 9_007_199_254_740_991_i64;
    json!({
        "id": "batch_1", "object": "batch", "endpoint": "/v1/embeddings", "input_file_id": "file-1",
        "completion_window": "24h", "status": "scheduling", "output_file_id": "file-2", "error_file_id": "file-3",
        "errors": {"object": "list", "data": [{"code": "c", "message": "m", "param": "p", "line": -7, "hint": "own"}]},
        "created_at": -instant, "in_progress_at": 1, "expires_at": instant, "finalizing_at": 2, "completed_at": 3,
        "failed_at": 4, "expired_at": 5, "cancelling_at": 6, "cancelled_at": 7,
        "request_counts": {"total": 3, "completed": 2, "failed": 1, "skipped": 0},
        "metadata": {"k": "v"}, "max_concurrency": 8, "model": "m",
        "usage": {"input_tokens": 1, "input_tokens_details": {"cached_tokens": 1}, "output_tokens": 2,
            "output_tokens_details": {"reasoning_tokens": 2}, "total_tokens": i64::MAX},
        "x_own": {"deep": [1.5, null, "ü"]}, "x_big": u64::MAX,
    })
}

/// Reads what was printed, and prints what was read.
fn again<T: Serialize + DeserializeOwned>(value: &T) -> T {
    let printed = serde_json::to_string(value).expect("printed");
    let read: T = serde_json::from_str(&printed).expect("read back");
    assert_eq!(serde_json::to_string(&read).expect("printed again"), printed);
    read
}

#[test]
fn a_batch_is_read_back_with_all_that_it_had() {
    let batch: Batch = serde_json::from_value(whole()).expect("a batch");
    let read = again(&batch);
    assert_eq!(format!("{read:?}"), format!("{batch:?}"));
    assert_eq!(serde_json::to_value(&read).expect("JSON"), whole());
    assert_eq!(read.raw("x_own"), Some(&json!({"deep": [1.5, null, "ü"]})));
    assert_eq!((read.expires_at, read.created_at), (Some(UnixSeconds::MAX), Some(UnixSeconds::MIN)));
    assert_eq!((read.errors[0].line, read.usage.map(|usage| usage.reasoning_tokens)), (Some(-7), Some(2)));

    // Inside of something else, as programs keep it.
    #[derive(Serialize, Deserialize)]
    struct Kept {
        note: String,
        batch: Batch,
    }
    let kept = again(&Kept { note: "n".to_owned(), batch });
    assert_eq!((kept.note.as_str(), kept.batch.id.as_str()), ("n", "batch_1"));
}

#[test]
fn a_file_and_the_parts_of_a_batch_are_read_back() {
    let file = json!({
        "id": "file-1", "object": "file", "bytes": -1, "created_at": 0, "expires_at": 1, "filename": "a.jsonl",
        "purpose": "fine-tune-results", "status": "odd", "status_details": "d", "sha256": "ab", "x_own": 1,
    });
    let read: File = serde_json::from_value(file.clone()).expect("a file");
    assert_eq!(serde_json::to_value(again(&read)).expect("JSON"), file);

    let batch: Batch = serde_json::from_value(whole()).expect("a batch");
    let counts: RequestCounts = batch.request_counts.expect("counts");
    assert_eq!(again(&counts), counts);
    let error: &ValidationError = &batch.errors[0];
    assert_eq!(again(error), *error);
    let usage: Usage = batch.usage.expect("usage");
    assert_eq!(again(&usage), usage);
    assert_eq!(again(&UnixSeconds::MIN), UnixSeconds::MIN);
}

#[tokio::test]
async fn pages_and_deletions_are_read_back() {
    let odd = Odd::new([
        Reply::json(200, json!({"data": [whole()], "first_id": "batch_1", "last_id": "batch_1", "has_more": true})),
        Reply::json(200, json!({"id": "file-1", "object": "file", "deleted": true})),
    ]);
    let page: Page<Batch> = odd.client().batches().list().page().await.expect("a page");
    let read = again(&page);
    assert_eq!((read.data.len(), read.last_id.as_deref(), read.has_more), (1, Some("batch_1"), true));
    let deletion = odd.client().files().delete(&"file-1".parse().expect("an id")).await.expect("deleted");
    assert!(again::<Deletion>(&deletion).deleted);
}

#[test]
fn names_are_read_back_closed_where_we_send_them_and_open_where_we_receive_them() {
    Endpoint::ALL.iter().for_each(|name| assert_eq!(again(name), *name));
    UploadPurpose::ALL.iter().for_each(|name| assert_eq!(again(name), *name));
    Order::ALL.iter().for_each(|name| assert_eq!(again(name), *name));
    Status::KNOWN.iter().for_each(|name| assert_eq!(again(name), *name));
    FilePurpose::KNOWN.iter().for_each(|name| assert_eq!(again(name), *name));
    FileStatus::KNOWN.iter().for_each(|name| assert_eq!(again(name), *name));
    assert_eq!(again(&Status::Other("odd".to_owned())), Status::Other("odd".to_owned()));
    let error = serde_json::from_value::<Endpoint>("/v1/odd".into()).expect_err("not one that is sent");
    assert!(error.to_string().contains("\"/v1/odd\" is not one of /v1/chat/completions"), "{error}");
}

/// The error of reading this as a `T`.
fn refused<T: DeserializeOwned + std::fmt::Debug>(value: Value) -> String {
    serde_json::from_value::<T>(value).expect_err("refused").to_string()
}

#[test]
fn what_is_wrong_is_refused_as_in_an_answer_and_named() {
    let beyond = 9_007_199_254_740_992_i64;
    for (field, value, expected) in [
        ("created_at", json!(beyond), "batch.created_at: 9007199254740992 is out of range"),
        ("cancelled_at", json!(-beyond), "batch.cancelled_at: -9007199254740992 is out of range"),
        ("max_concurrency", json!(0), "batch.max_concurrency: 0 is out of range"),
        ("request_counts", json!({"failed": -1}), "batch.request_counts.failed: -1 is out of range"),
        ("usage", json!({"total_tokens": -1}), "batch.usage.total_tokens: -1 is out of range"),
        ("status", Value::Null, "batch.status: it is missing"),
        ("input_file_id", json!(".."), "batch.input_file_id: file id \"..\""),
        ("errors", json!({"data": [{"line": 1.5}]}), "batch.errors.data[0].line: 1.5 is not an integer"),
    ] {
        let mut batch = whole();
        batch[field] = value;
        let error = refused::<Batch>(batch);
        assert!(error.starts_with(expected), "{error}");
    }
    assert!(refused::<Batch>(json!([1])).contains("invalid type: sequence"));
    assert!(refused::<File>(json!({"id": "f", "bytes": beyond})).starts_with("file.bytes: 9007199254740992 is out of"));
    assert!(refused::<File>(json!({"bytes": 1})).starts_with("file.id: it is missing"));
    assert!(refused::<RequestCounts>(json!({"total": -1})).starts_with("request_counts.total: -1 is out of range"));
    assert!(refused::<RequestCounts>(json!({})).starts_with("request_counts: there is no count in it"));
    assert!(refused::<ValidationError>(json!({"line": "x"})).starts_with("error.line: \"x\" is not an integer"));
    assert!(refused::<UnixSeconds>(json!(beyond)).contains("9007199254740992 is out of range"));
}
