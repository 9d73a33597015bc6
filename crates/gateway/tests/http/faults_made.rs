//! Faults on what is made and on what is said of it: lagging lists, early 404s, odd objects.

use std::time::Duration;

use lote_gateway::faults::{Effect, ErrorBody, Fault, Faults, HasMore, Lag, OddTime, Operation, Refusal, Takes};
use lote_gateway::{Event, Gateway};
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{CHAT, Caller, OPENAI, chats, create_body, start};
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

#[tokio::test]
async fn a_create_takes_effect_when_its_connection_is_gone() {
    let half_a_minute = Duration::from_secs(30);
    for answer in [None, Some(Refusal::status(504))] {
        let effect = Effect::Late { after: half_a_minute, answer: answer.clone() };
        let on = Fault::on(Operation::CreateBatch).nth(1).then(effect);
        let gateway = start(Gateway::builder().virtual_clock().journal(true).fault(on)).await;
        let caller = Caller::new(&gateway, OPENAI, "sk-test");
        let file = caller.upload(chats(["one"])).await;
        let create = caller.odd(Method::POST, "/batches").json(&create_body(&file, CHAT)).send().await;
        assert_eq!(create.ok().map(|answer| answer.status().as_u16()), answer.map(|_| 504));
        assert_eq!(caller.get("/batches").await.1["data"], json!([]));
        assert_eq!(gateway.leftovers().len(), 1, "it has not happened yet");
        gateway.advance(half_a_minute - Duration::from_millis(1)).await;
        assert_eq!(caller.get("/batches").await.1["data"], json!([]));
        gateway.advance(Duration::from_millis(1)).await;
        let (_, list) = caller.get("/batches").await;
        let batch = &list["data"][0];
        assert_eq!((&batch["status"], &batch["created_at"]), (&json!("completed"), &json!(gateway.now())));
        let created =
            gateway.journal().iter().filter(|entry| matches!(entry.event, Event::BatchCreated { .. })).count();
        assert_eq!((created, gateway.leftovers()), (1, Vec::new()));
    }
}

/// A cancellation that comes late finds a batch that is over, and then it did not happen.
#[tokio::test]
async fn a_cancellation_that_comes_late_may_come_too_late() {
    let effect = Effect::Late { after: Duration::from_secs(60), answer: None };
    let on = Fault::on(Operation::CancelBatch).times(1).then(effect);
    let (gateway, caller) = with(on).await;
    for (sleep, status) in [(30_000, "completed"), (90_000, "cancelled")] {
        let batch = caller.submit(chats([format!("[[sleep={sleep}]]")]), CHAT).await;
        let path = format!("/batches/{}/cancel", batch["id"].as_str().unwrap());
        assert!(caller.request(Method::POST, &path).send().await.is_err());
        gateway.advance(Duration::from_secs(120)).await;
        assert_eq!(caller.batch(&batch).await["status"], status);
        assert_eq!(gateway.leftovers().len(), usize::from(status == "completed"));
    }
}

#[tokio::test]
async fn equal_bytes_of_one_purpose_and_tenant_are_one_file() {
    let (gateway, caller) = with(Fault::on(Operation::UploadFile).then(Effect::Deduplicated)).await;
    let first = caller.upload(chats(["one"])).await;
    assert_eq!(gateway.leftovers().len(), 1, "there was no earlier file");
    assert_eq!(caller.upload(chats(["one"])).await, first);
    assert_ne!(caller.upload(chats(["two"])).await, first);
    let other = Caller::new(&gateway, OPENAI, "sk-other");
    assert_ne!(other.upload(chats(["one"])).await, first);
    let part = reqwest::multipart::Part::text(chats(["one"])).file_name("x.jsonl");
    let form = reqwest::multipart::Form::new().text("purpose", "user_data").part("file", part);
    assert_ne!(caller.upload_form(form).await.1["id"], first.as_str());
    assert_eq!(caller.get("/files").await.1["data"].as_array().unwrap().len(), 3);
    // What is deleted is no earlier file, and the batches of one file are two.
    let (one, two) = (caller.create(&first, CHAT).await, caller.create(&first, CHAT).await);
    assert_ne!(one["id"], two["id"]);
    caller.request(Method::DELETE, &format!("/files/{first}")).send().await.unwrap();
    assert_ne!(caller.upload(chats(["one"])).await, first);
}

#[tokio::test]
async fn a_batch_is_being_cancelled_for_ever() {
    let (gateway, caller) = with(Fault::on(Operation::CancelBatch).nth(1).then(Effect::CancellingForEver)).await;
    let batch = caller.submit(chats(["one", "[[sleep=60000]]"]), CHAT).await;
    let (status, cancelled) = caller.cancel(&batch).await;
    assert_eq!((status.as_u16(), &cancelled["status"]), (200, &json!("cancelling")));
    for _ in 0..3 {
        gateway.advance(Duration::from_secs(86_400)).await;
        let batch = caller.batch(&batch).await;
        assert_eq!(batch["status"], "cancelling");
        assert!(batch["cancelled_at"].is_i64());
        assert_eq!((&batch["output_file_id"], &batch["error_file_id"]), (&Value::Null, &Value::Null));
        assert_eq!(caller.cancel(&batch).await.1["status"], "cancelling", "once more changes nothing");
    }
    let other = caller.submit(chats(["[[sleep=60000]]"]), CHAT).await;
    caller.cancel(&other).await;
    gateway.advance(Duration::from_secs(60)).await;
    assert_eq!(caller.batch(&other).await["status"], "cancelled");
}

#[tokio::test]
async fn a_result_file_is_named_late() {
    for lag in LAGS {
        let (gateway, caller) = with(Fault::on(Operation::OutputFile).nth(1).then(Effect::NamedLate(lag))).await;
        let batch = caller.submit(chats(["one", "[[status=500]]"]), CHAT).await;
        for look in 0..3 {
            // Both a list and a get are a look.
            let batch = match look {
                1 => caller.get("/batches").await.1["data"][0].clone(),
                _ => caller.batch(&batch).await,
            };
            assert_eq!(batch["status"], "completed");
            assert_eq!(batch["request_counts"], json!({"total": 2, "completed": 1, "failed": 1}));
            assert_eq!(batch["output_file_id"].is_string(), look == 2, "{lag:?}, look {look}");
            assert!(batch["error_file_id"].is_string());
            gateway.advance(Duration::from_secs(15)).await;
        }
        assert_eq!(caller.lines(&caller.batch(&batch).await["output_file_id"]).await.len(), 1);
    }
}

#[tokio::test]
async fn lists_are_cut_and_say_of_more_what_they_are_told_to() {
    for (entries, has_more, said) in [
        (0, HasMore::False, json!(false)),
        (0, HasMore::True, json!(true)),
        (0, HasMore::Absent, Value::Null),
        (2, HasMore::False, json!(false)),
        (2, HasMore::Absent, Value::Null),
        (9, HasMore::True, json!(true)),
    ] {
        for (operation, path) in [(Operation::ListBatches, "/batches"), (Operation::ListFiles, "/files")] {
            let on = Fault::on(operation).nth(1).then(Effect::CutList { entries, has_more });
            let (gateway, caller) = with(on).await;
            let mut ids: Vec<String> = Vec::new();
            for _ in 0..3 {
                ids.insert(0, make(&caller, path).await);
            }
            let cut: Value = caller.odd(Method::GET, path).send().await.unwrap().json().await.unwrap();
            ids.truncate(entries);
            let listed: Vec<&str> =
                cut["data"].as_array().unwrap().iter().map(|entry| entry["id"].as_str().unwrap()).collect();
            assert_eq!(listed, ids, "{entries} {has_more:?}");
            assert_eq!((&cut["first_id"], &cut["last_id"]), (&json!(ids.first()), &json!(ids.last())));
            assert_eq!(cut.get("has_more").cloned().unwrap_or_default(), said);
            assert_eq!(caller.get(path).await.1["data"].as_array().unwrap().len(), 3);
            assert_eq!(gateway.leftovers(), Vec::<String>::new());
        }
    }
    // A list that is short enough, and says so, is not cut.
    let (gateway, caller) =
        with(Fault::on(Operation::ListBatches).then(Effect::CutList { entries: 1, has_more: HasMore::False })).await;
    make(&caller, "/batches").await;
    caller.get("/batches").await;
    assert_eq!(gateway.leftovers().len(), 1);
    gateway.forgive_leftovers();
}

#[tokio::test]
async fn a_list_shows_other_ids_than_the_creates_did() {
    for (takes, made_is, listed_is) in [(Takes::Both, 200, 200), (Takes::Made, 200, 404), (Takes::Listed, 404, 200)] {
        let (_gateway, caller) =
            with(Fault::on(Operation::ListBatches).calls(1..=2).then(Effect::RewrittenIds { takes })).await;
        let (first, second) = (make(&caller, "/batches").await, make(&caller, "/batches").await);
        assert_eq!(caller.get(&format!("/batches/{second}")).await.0, 200, "it was not listed yet");
        let (_, page) = caller.get("/batches?limit=1").await;
        let listed = page["data"][0]["id"].as_str().unwrap().to_owned();
        assert!(listed.starts_with("batch_") && ![&first, &second].contains(&&listed), "{page}");
        assert_eq!((&page["first_id"], &page["last_id"]), (&page["data"][0]["id"], &page["data"][0]["id"]));
        for (id, expected) in [(&second, made_is), (&listed, listed_is)] {
            let path = format!("/batches/{id}");
            let (status, batch) = caller.get(&path).await;
            assert_eq!(status.as_u16(), expected, "{takes:?}");
            if expected == 200 {
                assert_eq!(batch["id"], id.as_str());
            }
            // It is over, so that only who knows it hears that it cannot be cancelled.
            let cancel = caller.request(Method::POST, &format!("{path}/cancel")).send().await.unwrap().status();
            assert_eq!(cancel.as_u16(), if expected == 200 { 409 } else { 404 }, "{takes:?}");
        }
        if takes != Takes::Made {
            let (_, next) = caller.get(&format!("/batches?limit=1&after={listed}")).await;
            assert_ne!(next["data"][0]["id"], first.as_str());
            assert_eq!(next["has_more"], false);
        } else {
            caller.get("/batches").await;
        }
        let (_, plain) = caller.get("/batches").await;
        assert_eq!(plain["data"][0]["id"], second.as_str());
    }
}

/// What other services do is one of the effects with other keys.
#[tokio::test]
async fn a_service_keeps_no_metadata_and_refuses_what_it_has_done() {
    let refusal = Refusal::status(422).body(ErrorBody::Detail);
    let mut faults =
        Faults::new().fault(Fault::on(Operation::CreateBatch).nth(2).then(Effect::AnswerReplaced(refusal)));
    for operation in [Operation::CreateBatch, Operation::GetBatch, Operation::ListBatches] {
        faults = faults.fault(Fault::on(operation).then(Effect::NullField("metadata".to_owned())));
    }
    let gateway = start(Gateway::builder().virtual_clock().faults(faults)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let file = caller.upload(chats(["one"])).await;
    let mut body = create_body(&file, CHAT);
    body["metadata"] = json!({"run": "7"});
    let (status, made) = caller.post("/batches", &body).await;
    assert_eq!((status.as_u16(), &made["metadata"]), (200, &Value::Null));
    assert_eq!(caller.batch(&made).await["metadata"], Value::Null);
    let refused = caller.odd(Method::POST, "/batches").json(&body).send().await.unwrap();
    assert_eq!(refused.status(), 422);
    let (_, list) = caller.get("/batches").await;
    assert_eq!(list["data"].as_array().unwrap().len(), 2, "it was made all the same");
    assert_eq!(list["data"][0]["metadata"], Value::Null);
}
