//! Faults on what is made and on what is said of it: lagging lists, early 404s, odd objects.

use std::time::Duration;

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Lag, OddTime, Operation};
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{CHAT, Caller, OPENAI, chats, start};
use crate::wire::Watched;

const LAGS: [Lag; 2] = [Lag::Looks(2), Lag::Time(Duration::from_secs(30))];

async fn with(fault: Fault) -> (Watched, Caller) {
    let gateway = start(Gateway::builder().virtual_clock().fault(fault)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    (gateway, caller)
}

/// Makes one thing of the kind that `path` lists, and returns its id.
async fn make(caller: &Caller, path: &str) -> String {
    let file = caller.upload(chats(["one"])).await;
    match path {
        "/batches" => caller.create(&file, CHAT).await["id"].as_str().unwrap().to_owned(),
        _ => file,
    }
}

#[tokio::test]
async fn lists_lag_behind_by_looks_and_by_time() {
    for lag in LAGS {
        for (path, made_by) in [("/batches", Operation::CreateBatch), ("/files", Operation::UploadFile)] {
            let (gateway, caller) = with(Fault::on(made_by).nth(2).then(Effect::Unlisted(lag))).await;
            let (first, second) = (make(&caller, path).await, make(&caller, path).await);
            for look in 0..4 {
                let (_, page) = caller.get(&format!("{path}?purpose=batch")).await;
                let ids: Vec<&str> =
                    page["data"].as_array().unwrap().iter().map(|thing| thing["id"].as_str().unwrap()).collect();
                let expected = if look < 2 { vec![first.as_str()] } else { vec![second.as_str(), first.as_str()] };
                assert_eq!(ids, expected, "{path} {lag:?}, look {look}");
                assert_eq!(caller.get(&format!("{path}/{second}")).await.0, 200);
                // Somebody else's looks do not count.
                let other = Caller::new(&gateway, OPENAI, "sk-other");
                assert_eq!(other.get(path).await.1["data"], json!([]));
                gateway.advance(Duration::from_secs(15)).await;
            }
        }
    }
}

#[tokio::test]
async fn what_was_just_made_is_not_found_for_a_while() {
    for lag in LAGS {
        for (path, made_by) in [("/batches", Operation::CreateBatch), ("/files", Operation::UploadFile)] {
            let (gateway, caller) = with(Fault::on(made_by).nth(1).then(Effect::NotFound(lag))).await;
            let id = make(&caller, path).await;
            let reads = match path {
                "/batches" => [format!("{path}/{id}"), format!("{path}/{id}")],
                _ => [format!("{path}/{id}"), format!("{path}/{id}/content")],
            };
            for (look, read) in reads.iter().chain([&reads[0]]).enumerate() {
                let status = caller.request(Method::GET, read).send().await.unwrap().status();
                assert_eq!(status, if look < 2 { 404 } else { 200 }, "{read} {lag:?}, look {look}");
                assert_eq!(caller.get(path).await.1["data"].as_array().unwrap().last().unwrap()["id"], id.as_str());
                gateway.advance(Duration::from_secs(15)).await;
            }
        }
    }
}

#[tokio::test]
async fn a_result_file_is_not_found_for_a_while() {
    for lag in LAGS {
        let (gateway, caller) = with(Fault::on(Operation::OutputFile).nth(1).then(Effect::NotFound(lag))).await;
        let batch = caller.run(chats(["one"]), CHAT).await;
        let path = format!("/files/{}/content", batch["output_file_id"].as_str().unwrap());
        for look in 0..3 {
            let status = caller.request(Method::GET, &path).send().await.unwrap().status();
            assert_eq!(status, if look < 2 { 404 } else { 200 }, "{lag:?}, look {look}");
            gateway.advance(Duration::from_secs(15)).await;
        }
    }
}

#[tokio::test]
async fn a_batch_can_be_over_the_token_limit() {
    let (_gateway, caller) = with(Fault::on(Operation::CreateBatch).nth(1).then(Effect::TokenLimit)).await;
    let batch = caller.run(chats(["one"]), CHAT).await;
    assert_eq!(batch["status"], "failed");
    let error = &batch["errors"]["data"][0];
    assert_eq!(error["code"], "token_limit_exceeded");
    assert_eq!((&error["line"], &error["param"]), (&Value::Null, &Value::Null));
    assert_eq!(caller.run(chats(["one"]), CHAT).await["status"], "completed");
}

/// A batch that fails by itself, or is cancelled first, did not run into the limit: the fault waits for one that does.
#[tokio::test]
async fn a_token_limit_is_used_when_it_fails_a_batch() {
    let on = Fault::on(Operation::CreateBatch).times(1).then(Effect::TokenLimit);
    let minute = Duration::from_secs(60);
    let gateway = start(Gateway::builder().virtual_clock().stage_delay(minute).fault(on)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let bad = caller.submit("not json", CHAT).await;
    gateway.advance(minute).await;
    assert_eq!(caller.batch(&bad).await["errors"]["data"][0]["code"], "invalid_json_line");
    assert_eq!(gateway.leftovers().len(), 1);
    let cancelled = caller.submit(chats(["one"]), CHAT).await;
    caller.cancel(&cancelled).await;
    gateway.advance(minute).await;
    assert_eq!(caller.batch(&cancelled).await["status"], "cancelled");
    assert_eq!(gateway.leftovers().len(), 1);
    let limited = caller.submit(chats(["one"]), CHAT).await;
    assert_eq!(gateway.leftovers().len(), 1, "not before it strikes");
    gateway.advance(minute).await;
    assert_eq!(caller.batch(&limited).await["errors"]["data"][0]["code"], "token_limit_exceeded");
    assert_eq!(gateway.leftovers(), Vec::<String>::new());
}

/// What becomes of the objects in an answer: at which pointer, what.
#[tokio::test]
async fn objects_become_odd_as_scripted_and_only_then() {
    let time = |field: &str, value| Effect::Timestamp { field: field.to_owned(), value };
    let absent = |field: &str| Effect::AbsentField(field.to_owned());
    let table = [
        (Effect::UnknownStatus("scheduling".to_owned()), "/status", Some(json!("scheduling"))),
        (time("created_at", OddTime::Lowest), "/created_at", Some(json!(-9_007_199_254_740_991_i64))),
        (time("created_at", OddTime::Highest), "/created_at", Some(json!(9_007_199_254_740_991_i64))),
        (time("completed_at", OddTime::BelowLowest), "/completed_at", Some(json!(-9_007_199_254_740_992_i64))),
        (time("expires_at", OddTime::AboveHighest), "/expires_at", Some(json!(9_007_199_254_740_992_i64))),
        (time("created_at", OddTime::Milliseconds), "/created_at", Some(json!(1_767_225_600_000_i64))),
        (time("created_at", OddTime::Fractional), "/created_at", Some(json!(1_767_225_600.5))),
        (time("created_at", OddTime::Text), "/created_at", Some(json!("Thu, 01 Jan 2026 00:00:00 GMT"))),
        (time("failed_at", OddTime::Highest), "/failed_at", Some(Value::Null)),
        (absent("request_counts"), "/request_counts", None),
        (Effect::NullField("expires_at".to_owned()), "/expires_at", Some(Value::Null)),
        (Effect::CountsBackwards, "/request_counts", Some(json!({"total": 3, "completed": 1, "failed": 0}))),
        (Effect::CountsZero, "/request_counts", Some(json!({"total": 0, "completed": 0, "failed": 0}))),
    ];
    for (effect, pointer, expected) in table {
        for (operation, path) in [(Operation::GetBatch, "/batches/"), (Operation::ListBatches, "/batches")] {
            let (gateway, caller) = with(Fault::on(operation).nth(2).then(effect.clone())).await;
            let id = caller.submit(chats(["one", "two", "three"]), CHAT).await["id"].as_str().unwrap().to_owned();
            let path = if operation == Operation::GetBatch { format!("{path}{id}") } else { path.to_owned() };
            let ask = async || {
                let body: Value = caller.odd(Method::GET, &path).send().await.unwrap().json().await.unwrap();
                body.pointer("/data/0").unwrap_or(&body).clone()
            };
            let (before, struck, after) = (ask().await, ask().await, ask().await);
            assert_eq!(before["status"], "completed");
            assert_eq!(before["request_counts"]["completed"], 3);
            assert_eq!(struck.pointer(pointer), expected.as_ref(), "{effect:?}");
            assert_eq!(before, after, "{effect:?}");
            // The time that is null has stayed so.
            assert_eq!(gateway.leftovers().len(), usize::from(pointer == "/failed_at"), "{effect:?}");
            gateway.forgive_leftovers();
        }
    }
}

#[tokio::test]
async fn files_lack_fields_too() {
    let (_gateway, caller) =
        with(Fault::on(Operation::UploadFile).nth(1).then(Effect::AbsentField("status".to_owned()))).await;
    let part = reqwest::multipart::Part::text("x").file_name("x.jsonl");
    let form = reqwest::multipart::Form::new().text("purpose", "batch").part("file", part);
    let file: Value =
        caller.request(Method::POST, "/files").multipart(form).send().await.unwrap().json().await.unwrap();
    assert_eq!(file.get("status"), None, "{file}");
    let (_, file) = caller.get(&format!("/files/{}", file["id"].as_str().unwrap())).await;
    assert_eq!(file["status"], "processed");
}
