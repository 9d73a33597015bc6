//! The journal and idempotency: what the gateway says it did, and how often it did it.

use std::collections::BTreeMap;

use lote_gateway::faults::{Effect, Fault, Operation};
use lote_gateway::{Event, Gateway};
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{CHAT, Caller, MKA1, OPENAI, PREFIXES, answer, chats, create_body, in_memory, start};

#[tokio::test]
async fn every_line_is_executed_exactly_once_although_an_answer_was_lost() {
    let lost = Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerLost);
    let gateway = start(Gateway::builder().journal(true).fault(lost)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let texts: Vec<String> = (0..500).map(|n| format!("question {n}")).collect();
    let file = caller.upload(chats(&texts)).await;
    let create = caller.request(Method::POST, "/batches").json(&create_body(&file, CHAT));
    assert!(create.send().await.is_err());
    // A careful client looks before it creates again.
    let (_, page) = caller.get("/batches").await;
    caller.ended(&page["data"][0]).await;

    let mut executed = BTreeMap::new();
    let mut creates = 0;
    for entry in gateway.journal() {
        match entry.event {
            Event::LineExecuted { custom_id, .. } => *executed.entry(custom_id).or_insert(0) += 1,
            Event::BatchCreated { .. } => creates += 1,
            _ => {}
        }
    }
    assert_eq!((creates, executed.len()), (1, 500));
    assert!(executed.values().all(|times| *times == 1), "{executed:?}");
}

#[tokio::test]
async fn the_journal_names_everything_and_nobody_s_key() {
    let builder = Gateway::builder().named_key("acme", "sk-secret").key("sk-other").journal(true).virtual_clock();
    let gateway = start(builder).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-secret");
    let file = caller.upload(chats(["[[fail=1:503]]", "[[sleep=60000]]"])).await;
    let create = caller.request(Method::POST, "/batches").json(&create_body(&file, CHAT));
    let (_, batch) = answer(create.header("idempotency-key", "k-1")).await;
    gateway.advance(std::time::Duration::from_secs(1)).await;
    caller.cancel(&batch).await;
    answer(caller.request(Method::DELETE, &format!("/files/{file}"))).await;
    let for_user = Caller::new(&gateway, MKA1, "sk-secret").request(Method::GET, "/files");
    answer(for_user.header("x-on-behalf-of", "user-1")).await;
    let other = Caller::new(&gateway, OPENAI, "sk-other");
    other.upload("x").await;

    let id = batch["id"].as_str().unwrap();
    let (status, journal) = Caller::new(&gateway, "", "sk-secret").get("/_lote/journal").await;
    assert_eq!(status, 200);
    let at = 1_767_225_600;
    let entry = |at: i64, event: Value| {
        let mut entry = json!({"at": at, "tenant": "acme", "on_behalf_of": null});
        entry.as_object_mut().unwrap().extend(event.as_object().unwrap().clone());
        entry
    };
    let line = |at, custom_id: &str, attempt: u32| {
        entry(at, json!({"event": "line_executed", "batch_id": id, "custom_id": custom_id, "attempt": attempt}))
    };
    let data = journal["data"].as_array().unwrap();
    let (uploaded, rest) = data.split_first().unwrap();
    assert_eq!((&uploaded["event"], &uploaded["file_id"]), (&json!("file_uploaded"), &json!(file)));
    assert_eq!(uploaded["sha256"].as_str().unwrap().len(), 64);
    let expected = [
        entry(at, json!({"event": "batch_created", "batch_id": id, "input_file_id": file, "idempotency_key": "k-1"})),
        line(at, "r-0", 1),
        line(at, "r-1", 1),
        line(at, "r-0", 2),
        entry(at + 1, json!({"event": "batch_cancelled", "batch_id": id})),
        entry(at + 1, json!({"event": "file_deleted", "file_id": file})),
    ];
    assert_eq!(rest, expected);

    // From Rust all tenants are seen; over HTTP each sees its own. Keys are nowhere.
    let all = gateway.journal();
    assert_eq!(all.len(), expected.len() + 2);
    assert_eq!(all.last().unwrap().tenant, "key-2");
    let (_, others) = Caller::new(&gateway, "", "sk-other").get("/_lote/journal").await;
    assert_eq!(others["data"].as_array().unwrap().len(), 1);
    assert!(!format!("{all:?} {journal} {others}").contains("sk-"));
    assert_eq!(Caller::new(&gateway, "", "sk-none").get("/_lote/journal").await.0, 401);
}

#[tokio::test]
async fn end_users_and_unnamed_keys_are_told_apart() {
    let gateway = start(Gateway::builder().journal(true)).await;
    for (key, user) in [("sk-b", None), ("sk-a", Some("user-1")), ("sk-b", Some("user-1"))] {
        let caller = Caller::new(&gateway, OPENAI, key);
        let part = reqwest::multipart::Part::text("x").file_name("x.jsonl");
        let form = reqwest::multipart::Form::new().text("purpose", "batch").part("file", part);
        let mut request = caller.request(Method::POST, "/files").multipart(form);
        if let Some(user) = user {
            request = request.header("x-on-behalf-of", user);
        }
        assert_eq!(answer(request).await.0, 200);
    }
    let journal = gateway.journal();
    let who: Vec<_> = journal.iter().map(|entry| (entry.tenant.as_str(), entry.on_behalf_of.as_deref())).collect();
    assert_eq!(who, [("key-1", None), ("key-2", Some("user-1")), ("key-1", Some("user-1"))]);
    let own = Caller::new(&gateway, "", "sk-b").get("/_lote/journal").await.1;
    assert_eq!(own["data"].as_array().unwrap().len(), 2);
}

#[tokio::test]
async fn an_idempotency_key_creates_once() {
    let gateway = start(Gateway::builder().idempotency(true).journal(true)).await;
    for prefix in PREFIXES {
        let caller = Caller::new(&gateway, prefix, &format!("sk{}", prefix.len()));
        let file = caller.upload(chats(["one"])).await;
        let create = async |caller: &Caller, key: &str, body: &Value| {
            answer(caller.request(Method::POST, "/batches").json(body).header("idempotency-key", key)).await
        };
        let body = create_body(&file, CHAT);
        let (_, first) = create(&caller, "k-1", &body).await;
        let ended = caller.ended(&first).await;
        // The order of the fields is no parameter; the batch comes back as it is now.
        let turned = json!({"completion_window": "24h", "endpoint": CHAT, "input_file_id": file});
        let (status, again) = create(&caller, "k-1", &turned).await;
        assert_eq!((status.as_u16(), &again), (200, &ended));

        let mut other = body.clone();
        other["metadata"] = json!({"run": "2"});
        let (status, refused) = create(&caller, "k-1", &other).await;
        assert_eq!((status.as_u16(), &refused["error"]["type"]), (409, &json!("invalid_request_error")));
        // Nobody knows this field, and it makes another body all the same; so does a null.
        for (field, value) in [("colour", json!("red")), ("metadata", Value::Null)] {
            let mut other = body.clone();
            other[field] = value;
            assert_eq!(create(&caller, "k-1", &other).await.0, 409, "{field}");
        }
        assert_ne!(create(&caller, "k-2", &body).await.1["id"], first["id"]);
        // Without a key, as ever; a refused create leaves its key free; a blank key is refused.
        assert_ne!(caller.create(&file, CHAT).await["id"], first["id"]);
        assert_eq!(create(&caller, "k-3", &json!({})).await.0, 400);
        assert_eq!(create(&caller, "k-3", &body).await.0, 200);
        assert_eq!(create(&caller, "", &body).await.0, 400);
        assert_eq!(create(&caller, &"k".repeat(256), &body).await.0, 400);
        // Another tenant's key is another key.
        let stranger = Caller::new(&gateway, OPENAI, "sk-stranger");
        let (_, theirs) = create(&stranger, "k-1", &body).await;
        assert_ne!(theirs["id"], first["id"]);
        let repeated = |entry: &lote_gateway::Entry| match &entry.event {
            Event::CreateRepeated { batch_id, .. } => *batch_id == first["id"],
            _ => false,
        };
        assert_eq!(gateway.journal().iter().filter(|entry| repeated(entry)).count(), 1);
    }
}

#[tokio::test]
async fn a_key_makes_it_safe_to_try_a_lost_create_again() {
    let lost = Fault::on(Operation::CreateBatch).nth(1).then(Effect::AnswerLost);
    let gateway = start(Gateway::builder().idempotency(true).journal(true).fault(lost)).await;
    let caller = Caller::new(&gateway, MKA1, "sk-test");
    let file = caller.upload(chats(["one"])).await;
    let create =
        || caller.request(Method::POST, "/batches").json(&create_body(&file, CHAT)).header("idempotency-key", "k");
    assert!(create().send().await.is_err());
    let (_, batch) = answer(create()).await;
    caller.ended(&batch).await;
    let executed = |entry: &&lote_gateway::Entry| matches!(entry.event, Event::LineExecuted { .. });
    assert_eq!(gateway.journal().iter().filter(executed).count(), 1);
}

#[tokio::test]
async fn many_creates_at_once_with_one_key_make_one_batch() {
    let gateway = start(Gateway::builder().idempotency(true)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let file = caller.upload(chats(["one"])).await;
    let body = create_body(&file, CHAT);
    let creates = (0..20).map(|_| {
        let request = caller.request(Method::POST, "/batches").json(&body).header("idempotency-key", "k");
        tokio::spawn(answer(request))
    });
    let mut ids = Vec::new();
    for create in creates.collect::<Vec<_>>() {
        ids.push(create.await.unwrap().1["id"].clone());
    }
    ids.dedup();
    assert_eq!(ids.len(), 1);
    assert_eq!(caller.get("/batches").await.1["data"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn without_idempotency_the_key_is_ignored_as_the_services_do() {
    let gateway = in_memory(Gateway::builder()).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let file = caller.upload(chats(["one"])).await;
    let create = || caller.request(Method::POST, "/batches").json(&create_body(&file, CHAT));
    let (_, one) = answer(create().header("idempotency-key", "k")).await;
    let (_, two) = answer(create().header("idempotency-key", "k")).await;
    assert_ne!(one["id"], two["id"]);
}

#[tokio::test]
async fn a_journal_that_is_full_says_what_is_missing() {
    let gateway = start(Gateway::builder().journal(true).max_journal_bytes(50_000)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let batch = caller.run(chats((0..1_000).map(|n| n.to_string())), CHAT).await;
    assert_eq!(batch["request_counts"]["completed"], 1_000);
    let (kept, dropped) = (gateway.journal(), gateway.journal_dropped());
    // An upload and a create besides.
    assert_eq!(kept.len() as u64 + dropped, 1_002);
    assert!(dropped > 500 && kept.len() > 20, "{dropped}");
    let url = format!("{}/_lote/journal", gateway.url());
    let (status, body) = answer(caller.http.get(url).bearer_auth("sk-test")).await;
    assert_eq!((status.as_u16(), &body["dropped"]), (200, &json!(dropped)));
    assert_eq!(body["data"].as_array().unwrap().len(), kept.len());
}
