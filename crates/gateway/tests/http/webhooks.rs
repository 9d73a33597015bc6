//! Servers that are told when a batch has ended.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use lote_gateway::webhook::Webhook;
use lote_gateway::{Builder, Gateway, Notice};
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::common::{CHAT, Caller, OPENAI, PATIENCE, chats, start};

const SECRET: &str = "whsec_MDEyMzQ1Njc4OWFiY2RlZg==";

type Told = Arc<Mutex<Vec<(HeaderMap, Bytes)>>>;

/// A receiver that answers the nth event, from 1, with a status.
async fn receiver(status: impl Fn(usize) -> u16 + Clone + Send + Sync + 'static) -> (Webhook, Told) {
    let told = Told::default();
    let hears = Arc::clone(&told);
    let router = Router::new().fallback(async move |headers: HeaderMap, body: Bytes| {
        let mut told = hears.lock().unwrap();
        told.push((headers, body));
        StatusCode::from_u16(status(told.len())).unwrap()
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/hooks", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (Webhook::new(&url, SECRET).unwrap(), told)
}

/// Waits until so many were told.
async fn told(told: &Told, count: usize) -> Vec<(HeaderMap, Bytes)> {
    let waiting = async {
        while told.lock().unwrap().len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    told.lock().unwrap().clone()
}

/// A gateway whose notices are kept.
fn listening(builder: Builder) -> (Builder, Arc<Mutex<Vec<Notice>>>) {
    let notices = Arc::<Mutex<Vec<Notice>>>::default();
    let keep = Arc::clone(&notices);
    (builder.notices(move |notice| keep.lock().unwrap().push(notice.clone())), notices)
}

#[tokio::test]
async fn an_event_is_signed_and_is_as_openai_s() {
    let (webhook, heard) = receiver(|_| 200).await;
    let gateway = start(Gateway::builder().webhook(webhook)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let batch = caller.run(chats(["a"]), CHAT).await;
    let (headers, body) = told(&heard, 1).await.remove(0);
    standardwebhooks::Webhook::new(SECRET).unwrap().verify(&body, &headers).unwrap();
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&event["object"], &event["type"]), (&json!("event"), &json!("batch.completed")));
    assert_eq!(event["data"], json!({"id": batch["id"]}));
    assert_eq!(event["id"], headers["webhook-id"].to_str().unwrap());
    assert!(event["created_at"].is_i64() && headers["content-type"] == "application/json");
}

#[tokio::test]
async fn each_end_is_an_event_and_only_the_wanted_ones_are_sent() {
    let (all, every) = receiver(|_| 204).await;
    let (some, few) = receiver(|_| 204).await;
    let builder = Gateway::builder().webhook(all).webhook(some.only("batch.failed").unwrap()).virtual_clock();
    let gateway = start(builder).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    caller.run(chats(["a"]), CHAT).await;
    caller.run("no JSON", CHAT).await;
    let slow = caller.submit(chats(["[[sleep=80000000]]"]), CHAT).await;
    caller.until(&slow, |batch| batch["status"] == "in_progress").await;
    caller.cancel(&slow).await;
    gateway.advance(Duration::from_secs(2)).await;
    caller.submit(chats(["[[sleep=86400000]]"]), CHAT).await;
    gateway.advance(Duration::from_secs(86_400)).await;
    let kind = |(_, body): &(HeaderMap, Bytes)| -> String {
        serde_json::from_slice::<Value>(body).unwrap()["type"].as_str().unwrap().to_owned()
    };
    let kinds: BTreeSet<_> = told(&every, 4).await.iter().map(kind).collect();
    assert_eq!(kinds.len(), 4, "{kinds:?}");
    let kinds: Vec<_> = few.lock().unwrap().iter().map(kind).collect();
    assert_eq!(kinds, ["batch.failed"]);
}

#[tokio::test]
async fn what_is_not_taken_is_sent_again_under_the_same_id_for_a_day() {
    let (webhook, heard) = receiver(|number| if number < 4 { 503 } else { 200 }).await;
    let gateway = start(Gateway::builder().webhook(webhook).virtual_clock()).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    caller.run(chats(["a"]), CHAT).await;
    gateway.advance(Duration::from_secs(2 * 86_400)).await;
    let events = told(&heard, 4).await;
    let ids: BTreeSet<_> =
        events.iter().map(|(headers, _)| headers["webhook-id"].clone().to_str().unwrap().to_owned()).collect();
    assert_eq!((events.len(), ids.len()), (4, 1));
    for (headers, body) in &events {
        standardwebhooks::Webhook::new(SECRET).unwrap().verify(body, headers).unwrap();
    }

    // Nobody ever takes it: in the end somebody is told.
    let (webhook, heard) = receiver(|_| 500).await;
    let (builder, notices) = listening(Gateway::builder().webhook(webhook).virtual_clock());
    let gateway = start(builder).await;
    Caller::new(&gateway, OPENAI, "sk-test").run(chats(["a"]), CHAT).await;
    gateway.advance(Duration::from_secs(2 * 86_400)).await;
    assert_eq!(told(&heard, 13).await.len(), 13);
    let given_up = |notice: &Notice| matches!(notice, Notice::WebhookGivenUp { status: Some(500), .. });
    assert!(notices.lock().unwrap().iter().any(given_up));
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_not_asked_again() {
    let (webhook, heard) = receiver(|_| 410).await;
    let (builder, notices) = listening(Gateway::builder().webhook(webhook).virtual_clock());
    let gateway = start(builder).await;
    Caller::new(&gateway, OPENAI, "sk-test").run(chats(["a"]), CHAT).await;
    gateway.advance(Duration::from_secs(86_400)).await;
    assert_eq!(told(&heard, 1).await.len(), 1);
    let given_up = |notice: &Notice| matches!(notice, Notice::WebhookGivenUp { status: Some(410), .. });
    assert!(notices.lock().unwrap().iter().any(given_up));
}

#[tokio::test]
async fn a_gateway_stops_although_a_receiver_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let webhook = Webhook::new(&format!("http://{}/", listener.local_addr().unwrap()), SECRET).unwrap();
    let gateway = start(Gateway::builder().webhook(webhook)).await;
    Caller::new(&gateway, OPENAI, "sk-test").run(chats(["a"]), CHAT).await;
    let held = listener.accept().await.unwrap();
    tokio::time::timeout(PATIENCE, gateway.shutdown()).await.unwrap();
    drop(held);
}

#[tokio::test]
async fn what_happens_is_told_without_prompts_or_keys() {
    let (builder, notices) = listening(Gateway::builder().named_key("acme", "sk-secret"));
    let gateway = start(builder).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-secret");
    let batch = caller.run(chats(["a prompt of mine"]), CHAT).await;
    let notices = notices.lock().unwrap().clone();
    let statuses: Vec<_> = notices
        .iter()
        .filter_map(|notice| match notice {
            Notice::BatchChanged { batch_id, status, tenant, .. } => {
                assert_eq!((batch["id"].as_str(), tenant.as_deref()), (Some(batch_id.as_str()), Some("acme")));
                Some(*status)
            }
            _ => None,
        })
        .collect();
    assert_eq!(statuses, ["validating", "in_progress", "finalizing", "completed"]);
    let upload = |notice: &Notice| matches!(notice, Notice::Answered { operation, status: 200, .. } if operation == "upload-file");
    assert!(notices.iter().any(upload), "{notices:?}");
    let text = serde_json::to_string(&notices).unwrap();
    assert!(!text.contains("sk-secret") && !text.contains("prompt"), "{text}");
}
