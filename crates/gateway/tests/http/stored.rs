//! What one key may store, and what makes room again.

use std::time::Duration;

use lote_gateway::Gateway;
use reqwest::multipart::{Form, Part};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::common::{CHAT, Caller, MKA1, OPENAI, PREFIXES, answer, chats, create_body, line, start};

/// Uploads so many bytes for an end user.
async fn upload(caller: &Caller, bytes: usize, user: &str) -> (StatusCode, Value) {
    let part = Part::bytes(vec![b'x'; bytes]).file_name("a.jsonl");
    let form = Form::new().text("purpose", "user_data").part("file", part);
    answer(caller.request(Method::POST, "/files").header("x-on-behalf-of", user).multipart(form)).await
}

#[track_caller]
fn is_full(answer: &(StatusCode, Value), what: &str) {
    let (status, body) = answer;
    assert_eq!((status.as_u16(), &body["error"]["code"]), (403, &json!("storage_limit_exceeded")), "{body}");
    assert_eq!(body["error"]["message"], format!("This key may store at most {what}."));
}

#[tokio::test]
async fn a_key_and_its_end_users_share_what_may_be_stored() {
    for prefix in PREFIXES {
        let gateway = start(Gateway::builder().max_stored_bytes(100_000).max_stored_files(3)).await;
        let caller = Caller::new(&gateway, prefix, "sk-test");
        let (_, first) = upload(&caller, 60_000, "user-1").await;
        is_full(&upload(&caller, 40_001, "user-2").await, "100000 bytes");
        assert_eq!(upload(&caller, 40_000, "user-2").await.0, 200);
        is_full(&upload(&caller, 1, "").await, "100000 bytes");
        assert_eq!(upload(&Caller::new(&gateway, prefix, "sk-other"), 100_000, "user-1").await.0, 200);

        let path = format!("/files/{}", first["id"].as_str().unwrap());
        let delete = caller.request(Method::DELETE, &path).header("x-on-behalf-of", "user-1");
        assert_eq!(answer(delete).await.0, 200);
        assert_eq!(upload(&caller, 60_000, "user-1").await.0, 200);
        assert_eq!(upload(&caller, 0, "user-1").await.0, 200);
        is_full(&upload(&caller, 0, "user-1").await, "3 files");
        // What was refused is not there.
        assert_eq!(caller.get("/files").await.1["data"], json!([]));
    }
}

#[tokio::test]
async fn expired_files_make_room() {
    let gateway = start(Gateway::builder().virtual_clock().max_stored_files(2)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let input = caller.upload(chats(["one"])).await;
    assert_eq!(upload(&caller, 1, "user-1").await.0, 200);
    is_full(&upload(&caller, 1, "user-2").await, "2 files");
    gateway.advance(Duration::from_secs(30 * 86_400)).await;
    assert_eq!(upload(&caller, 1, "user-2").await.0, 200);
    assert_eq!(caller.get(&format!("/files/{input}")).await.0, 404);
}

#[tokio::test]
async fn a_batch_whose_results_have_no_room_fails() {
    for (builder, what) in [
        (Gateway::builder().max_stored_bytes(50_000), "50000 bytes"),
        (Gateway::builder().max_stored_files(1), "1 files"),
    ] {
        let gateway = start(builder).await;
        let caller = Caller::new(&gateway, MKA1, "sk-test");
        let body = json!({"model": "m", "input": ["a", "b", "c", "d"]});
        let input = line("one", "/v1/embeddings", &body);
        let batch = caller.run(input.clone(), "/v1/embeddings").await;
        assert_eq!(batch["status"], "failed");
        let error = &batch["errors"]["data"][0];
        assert_eq!(error["code"], "output_failed");
        let message = format!("There is no room for the results. This key may store at most {what}.");
        assert_eq!(error["message"], message);
        // Nothing of it is left.
        let path = format!("/files/{}", batch["input_file_id"].as_str().unwrap());
        answer(caller.request(Method::DELETE, &path)).await;
        assert_eq!(upload(&caller, 50_000, "").await.0, 200);
    }
}

#[tokio::test]
async fn batches_are_counted_for_good() {
    let gateway = start(Gateway::builder().max_stored_batches(2).idempotency(true)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let file = caller.upload(chats(["one"])).await;
    let body = create_body(&file, CHAT);
    let with_key = || caller.request(Method::POST, "/batches").header("idempotency-key", "k").json(&body);
    let (_, first) = answer(with_key()).await;
    // Neither a refused create nor a repeated one is counted.
    assert_eq!(caller.post("/batches", &json!({})).await.0, 400);
    assert_eq!(answer(with_key()).await.1["id"], first["id"]);
    caller.ended(&first).await;
    assert_eq!(caller.post("/batches", &body).await.0, 200);
    is_full(&caller.post("/batches", &body).await, "2 batches");
    assert_eq!(answer(with_key()).await.0, 200);
    assert_eq!(caller.get("/batches").await.1["data"].as_array().unwrap().len(), 2);
}
