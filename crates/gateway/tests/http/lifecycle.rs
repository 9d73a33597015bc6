//! The life of a batch: its statuses, instants, counts and result files.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::{CHAT, Caller, MKA1, OPENAI, PREFIXES, by_id, chat, chats, in_memory, plain, start};
use lote_gateway::Gateway;
use reqwest::Method;
use serde_json::{Value, json};

#[tokio::test]
async fn a_batch_completes_under_both_prefixes() {
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        let created = caller.submit(chats(["one", "two", "three"]), CHAT).await;
        assert_eq!(created["status"], "validating");
        let batch = caller.ended(&created).await;

        assert_eq!(batch["status"], "completed", "{batch}");
        assert_eq!(batch["request_counts"], json!({"total": 3, "completed": 3, "failed": 0}));
        assert_eq!(batch["errors"], Value::Null);
        assert_eq!(batch["error_file_id"], Value::Null);
        let created_at = batch["created_at"].as_i64().unwrap();
        assert_eq!(batch["expires_at"], created_at + 86_400);
        for set in ["in_progress_at", "finalizing_at", "completed_at"] {
            assert!(batch[set].as_i64().unwrap() >= created_at, "{set}");
        }
        for unset in ["failed_at", "expired_at", "cancelling_at", "cancelled_at"] {
            assert_eq!(batch[unset], Value::Null, "{unset}");
        }

        let lines = caller.lines(&batch["output_file_id"]).await;
        let ids: BTreeSet<&str> = lines.iter().map(|line| line["custom_id"].as_str().unwrap()).collect();
        assert_eq!(ids, BTreeSet::from(["r-0", "r-1", "r-2"]));
        for line in &lines {
            assert!(line["id"].as_str().unwrap().starts_with("batch_req_"));
            assert_eq!(line["error"], Value::Null);
            assert_eq!(line["response"]["status_code"], 200);
            assert!(line["response"]["request_id"].is_string());
            assert_eq!(line["response"]["body"]["object"], "chat.completion");
        }
    }
}

#[tokio::test]
async fn what_each_prefix_shows_of_one_batch() {
    let gateway = start(Gateway::builder().line_concurrency(7)).await;
    let (mka1, openai) = (Caller::new(&gateway, MKA1, "sk-test"), Caller::new(&gateway, OPENAI, "sk-test"));
    let batch = mka1.run(chats(["What is 2 + 2?"]), CHAT).await;

    assert_eq!(batch["max_concurrency"], 7);
    assert_eq!(batch.get("model"), None);
    assert_eq!(batch.get("usage"), None);
    let seen = openai.batch(&batch).await;
    assert_eq!(seen.get("max_concurrency"), None);
    assert_eq!(seen["model"], "gpt-test");
    let usage = &seen["usage"];
    let sum = usage["input_tokens"].as_u64().unwrap() + usage["output_tokens"].as_u64().unwrap();
    assert_eq!(usage["total_tokens"], sum);
    assert!(sum > 5, "{usage}");
    let body = &openai.lines(&seen["output_file_id"]).await[0]["response"]["body"];
    assert_eq!(body["usage"]["total_tokens"], sum);

    let path = format!("/files/{}", batch["output_file_id"].as_str().unwrap());
    let (_, file) = mka1.get(&path).await;
    assert_eq!(file["purpose"], "batch_output");
    assert_eq!(file["status"], "processed");
    assert_eq!(file["sha256"].as_str().unwrap().len(), 64);
    let (_, file) = openai.get(&path).await;
    assert_eq!(file.get("sha256"), None);
}

#[tokio::test]
async fn results_come_in_order_of_completion_and_counts_are_live() {
    let gateway = in_memory(Gateway::builder()).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let batch = caller.submit(chats(["slow [[sleep=700]]", "quick"]), CHAT).await;
    let running = caller.until(&batch, |batch| batch["request_counts"]["completed"] != 0).await;
    assert_eq!(running["request_counts"]["completed"], 1);
    assert_eq!(running["request_counts"]["total"], 2);
    assert_eq!(running["status"], "in_progress");
    assert_eq!(running["output_file_id"], Value::Null);
    let batch = caller.ended(&batch).await;
    let lines = caller.lines(&batch["output_file_id"]).await;
    assert_eq!(lines[0]["custom_id"], "r-1");
    assert_eq!(lines[1]["custom_id"], "r-0");
}

#[tokio::test]
async fn every_stage_can_be_watched() {
    let gateway = start(Gateway::builder().stage_delay(Duration::from_millis(400))).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let batch = caller.submit(chats(["one [[sleep=400]]"]), CHAT).await;
    for status in ["validating", "in_progress", "finalizing", "completed"] {
        caller.until(&batch, |batch| batch["status"] == status).await;
    }
}

#[tokio::test]
async fn all_lines_failed_is_completed_without_an_output_file() {
    let (_gateway, caller) = plain(OPENAI).await;
    let batch = caller.run(chats(["[[status=400]]", "[[status=500]]"]), CHAT).await;
    assert_eq!(batch["status"], "completed");
    assert_eq!(batch["output_file_id"], Value::Null);
    assert_eq!(batch["request_counts"], json!({"total": 2, "completed": 0, "failed": 2}));
    assert_eq!(caller.lines(&batch["error_file_id"]).await.len(), 2);
}

#[tokio::test]
async fn odd_but_valid_input_is_accepted() {
    let (_gateway, caller) = plain(OPENAI).await;
    let (one, two) = (chat("a", "one"), chat("b", "two"));
    let input = format!("\r\n  \n{one}\r\n\n\t\n{two}");
    let batch = caller.run(input, CHAT).await;
    assert_eq!(batch["request_counts"], json!({"total": 2, "completed": 2, "failed": 0}));
}

#[tokio::test]
async fn one_large_line_among_small_ones() {
    // Larger than all room there is for lines.
    let gateway = start(Gateway::builder().max_line_bytes(60_000_000)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let text = "x".repeat(50_000_000);
    let input = chats(["small", text.as_str(), "also small"]);
    let batch = caller.run(input, CHAT).await;
    assert_eq!(batch["request_counts"]["completed"], 3, "{batch}");
}

#[tokio::test]
async fn thousands_of_lines_are_answered_once_each() {
    let (_gateway, caller) = plain(OPENAI).await;
    let texts: Vec<String> = (0..5_000).map(|n| format!("question {n}")).collect();
    let batch = caller.run(chats(&texts), CHAT).await;
    assert_eq!(batch["request_counts"]["completed"], 5_000);
    let lines = caller.lines(&batch["output_file_id"]).await;
    let ids: BTreeSet<String> = lines.iter().map(|line| line["custom_id"].as_str().unwrap().to_owned()).collect();
    let answers: BTreeSet<String> =
        lines.iter().map(|line| line["response"]["body"]["choices"][0]["message"]["content"].to_string()).collect();
    assert_eq!((lines.len(), ids.len(), answers.len()), (5_000, 5_000, 5_000));
}

#[tokio::test]
async fn the_window_ends_and_says_so() {
    let gateway = start(Gateway::builder().window(Duration::from_secs(1))).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let input = chats(["quick", "[[sleep=60000]]", "[[sleep=60000]]"]);
    let file = caller.upload(input).await;
    let mut body = crate::common::create_body(&file, CHAT);
    body["max_concurrency"] = json!(2);
    let (_, batch) = caller.post("/batches", &body).await;
    let batch = caller.ended(&batch).await;

    assert_eq!(batch["status"], "expired");
    assert!(batch["expired_at"].is_i64());
    assert_eq!(batch["completed_at"], Value::Null);
    assert_eq!(batch["request_counts"], json!({"total": 3, "completed": 1, "failed": 0}));
    let output = caller.lines(&batch["output_file_id"]).await;
    assert_eq!(output.len(), 1);
    let errors = caller.lines(&batch["error_file_id"]).await;
    assert_eq!(errors.len(), 2);
    for id in ["r-1", "r-2"] {
        let line = by_id(&errors, id);
        assert_eq!(line["response"], Value::Null);
        assert_eq!(line["error"]["code"], "batch_expired");
    }
}

#[tokio::test]
async fn max_concurrency_is_obeyed_and_capped() {
    let gateway = start(Gateway::builder().max_line_concurrency(50)).await;
    let caller = Caller::new(&gateway, MKA1, "sk-test");
    let file = caller.upload(chats(vec!["[[sleep=150]]"; 4])).await;
    let mut took = Vec::new();
    for (asked, given) in [(1, 1), (1000, 50)] {
        let mut body = crate::common::create_body(&file, CHAT);
        body["max_concurrency"] = json!(asked);
        let before = std::time::Instant::now();
        let (_, batch) = caller.post("/batches", &body).await;
        assert_eq!(batch["max_concurrency"], given);
        assert_eq!(caller.ended(&batch).await["status"], "completed");
        took.push(before.elapsed());
    }
    assert!(took[0] >= Duration::from_millis(600), "{took:?}");
    assert!(took[1] < took[0], "{took:?}");
}

#[tokio::test]
async fn batches_beyond_the_limit_wait_in_validating_and_can_be_cancelled_there() {
    let gateway = in_memory(Gateway::builder().max_running_batches(1)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let first = caller.submit(chats(["[[sleep=1000]]"]), CHAT).await;
    caller.until(&first, |batch| batch["status"] == "in_progress").await;
    let second = caller.submit(chats(["two"]), CHAT).await;
    let third = caller.submit(chats(["three"]), CHAT).await;
    caller.cancel(&third).await;
    assert_eq!(caller.ended(&third).await["status"], "cancelled");
    assert_eq!(caller.batch(&second).await["status"], "validating");
    assert_eq!(caller.ended(&first).await["status"], "completed");
    assert_eq!(caller.ended(&second).await["status"], "completed");
}

#[tokio::test]
async fn a_file_deleted_under_a_running_batch_is_still_read() {
    let (_gateway, caller) = plain(OPENAI).await;
    let file = caller.upload(chats(["[[sleep=200]]", "two"])).await;
    let mut body = crate::common::create_body(&file, CHAT);
    body["max_concurrency"] = json!(1);
    let (_, batch) = caller.post("/batches", &body).await;
    let deletion = caller.request(Method::DELETE, &format!("/files/{file}"));
    assert_eq!(crate::common::answer(deletion).await.1["deleted"], true);
    assert_eq!(caller.ended(&batch).await["request_counts"]["completed"], 2);
}

#[tokio::test]
async fn result_files_expire_when_asked_to() {
    let (_gateway, caller) = plain(OPENAI).await;
    for (asked, lives) in [(None, 2_592_000), (Some(7_200), 7_200)] {
        let file = caller.upload(chats(["one"])).await;
        let mut body = crate::common::create_body(&file, CHAT);
        if let Some(seconds) = asked {
            body["output_expires_after"] = json!({"anchor": "created_at", "seconds": seconds});
        }
        let (_, batch) = caller.post("/batches", &body).await;
        let batch = caller.ended(&batch).await;
        let path = format!("/files/{}", batch["output_file_id"].as_str().unwrap());
        let (_, file) = caller.get(&path).await;
        let created_at = file["created_at"].as_i64().unwrap();
        assert_eq!(file["expires_at"], created_at + lives);
    }
}

#[tokio::test]
async fn shutdown_ends_running_batches_and_frees_the_port() {
    let (gateway, caller) = plain(OPENAI).await;
    let batch = caller.submit(chats(["[[sleep=60000]]"]), CHAT).await;
    caller.until(&batch, |batch| batch["status"] == "in_progress").await;
    tokio::time::timeout(crate::common::PATIENCE, gateway.shutdown()).await.unwrap();
    tokio::time::timeout(crate::common::PATIENCE, gateway.stopped()).await.unwrap();
    let again = Gateway::builder().listen(gateway.unwatched()).start().await;
    assert!(again.is_ok(), "{again:?}");
}
