//! `Idempotency-Key` of requests that are answered at once.

use std::time::Duration;

use lote_gateway::faults::{Effect, Fault, Operation};
use lote_gateway::{Entry, Event, Gateway};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};

use crate::common::{Caller, MKA1, OPENAI, PATIENCE, PREFIXES, answer, send, start};

fn asking(caller: &Caller, path: &str, key: &str, body: &Value) -> RequestBuilder {
    caller.request(Method::POST, path).header("idempotency-key", key).json(body)
}

/// How often the model was asked, and how often somebody got an answer that it had given before.
fn counts(gateway: &Gateway) -> (usize, usize) {
    let count = |of: fn(&Entry) -> bool| gateway.journal().iter().filter(|entry| of(entry)).count();
    (
        count(|entry| matches!(entry.event, Event::RequestExecuted { .. })),
        count(|entry| matches!(entry.event, Event::RequestRepeated { .. })),
    )
}

async fn executed(gateway: &Gateway, times: usize) {
    let waiting = async {
        while counts(gateway).0 < times {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test]
async fn a_key_is_answered_once_and_the_same_for_ever() {
    for prefix in PREFIXES {
        let gateway = start(Gateway::builder().idempotency(true).journal(true).virtual_clock()).await;
        let caller = Caller::new(&gateway, prefix, "sk-test");
        let body = json!({"model": "m", "input": "a", "dimensions": 4});
        let response = json!({"model": "m", "input": "a"});
        let (status, first) = answer(asking(&caller, "/embeddings", "k-1", &body)).await;
        assert_eq!(status, 200);
        let (_, told) = answer(asking(&caller, "/responses", "k-2", &response)).await;
        // Later it is the same answer, with the time of the first.
        gateway.advance(Duration::from_secs(60)).await;
        for _ in 0..2 {
            assert_eq!(answer(asking(&caller, "/embeddings", "k-1", &body)).await, (status, first.clone()));
            assert_eq!(answer(asking(&caller, "/responses", "k-2", &response)).await, (status, told.clone()));
        }
        assert_eq!(counts(&gateway), (2, 4));
        // Another body, another endpoint.
        for (path, body) in
            [("/embeddings", json!({"model": "m", "input": "b", "dimensions": 4})), ("/responses", body.clone())]
        {
            let (status, refused) = answer(asking(&caller, path, "k-1", &body)).await;
            assert_eq!((status.as_u16(), &refused["error"]["type"]), (409, &json!("invalid_request_error")));
        }
        for key in ["", &"k".repeat(256)] {
            assert_eq!(answer(asking(&caller, "/embeddings", key, &body)).await.0, 400);
        }
        let twice = asking(&caller, "/embeddings", "k-1", &body).header("idempotency-key", "k-1");
        assert_eq!(answer(twice).await.0, 400);
        assert_eq!(counts(&gateway), (2, 4));
        // Another tenant's key is another key; without one, as ever.
        let stranger = Caller::new(&gateway, prefix, "sk-stranger");
        assert_eq!(answer(asking(&stranger, "/embeddings", "k-1", &response)).await.0, 200);
        let user = asking(&caller, "/embeddings", "k-1", &response).header("x-on-behalf-of", "user-1");
        assert_eq!(answer(user).await.0, 200);
        assert_eq!(caller.post("/embeddings", &body).await.0, 200);
        assert_eq!(counts(&gateway), (5, 4));
    }
}

#[tokio::test]
async fn a_request_that_failed_leaves_its_key_free() {
    let gateway = start(Gateway::builder().idempotency(true).journal(true).virtual_clock()).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let failing = json!({"model": "m", "input": "[[fail=1:503]]"});
    let good = json!({"model": "m", "input": "a"});
    for (key, body, statuses) in [
        ("k-1", &failing, [503, 200, 200]),
        ("k-2", &json!({"model": "m", "input": "[[status=429]]"}), [429, 429, 429]),
        ("k-2", &good, [200, 200, 200]),
        ("k-3", &json!({"model": "m"}), [400, 400, 400]),
        ("k-3", &good, [200, 200, 200]),
    ] {
        for expected in statuses {
            assert_eq!(answer(asking(&caller, "/responses", key, body)).await.0, expected, "{key} {body}");
        }
    }
    assert_eq!(counts(&gateway), (2 + 3 + 1 + 3 + 1, 1 + 2 + 2));
}

#[tokio::test]
async fn whoever_comes_meanwhile_waits_for_the_one_answer() {
    let gateway = start(Gateway::builder().idempotency(true).journal(true).virtual_clock()).await;
    let caller = Caller::new(&gateway, MKA1, "sk-test");
    let body = json!({"model": "m", "input": format!("[[sleep=60000]] {}", "x".repeat(100_000))});
    let asks: Vec<_> = (0..20).map(|_| tokio::spawn(answer(asking(&caller, "/responses", "k", &body)))).collect();
    executed(&gateway, 1).await;
    let other = json!({"model": "m", "input": "b"});
    assert_eq!(answer(asking(&caller, "/responses", "k", &other)).await.0, 409);
    gateway.advance(Duration::from_secs(60)).await;
    let mut answers = Vec::new();
    for ask in asks {
        let (status, answer) = ask.await.unwrap();
        assert_eq!(status, 200);
        answers.push(answer);
    }
    answers.dedup();
    assert_eq!((answers.len(), counts(&gateway)), (1, (1, 19)));
}

/// A client that lost its patience, or its life, finds the answer when it comes again.
#[tokio::test]
async fn a_request_with_a_key_outlives_its_client() {
    let gateway = start(Gateway::builder().idempotency(true).journal(true).virtual_clock()).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let body = json!({"model": "m", "input": "[[sleep=60000]]", "dimensions": 4});
    let ask = tokio::spawn(send(asking(&caller, "/embeddings", "k", &body)));
    executed(&gateway, 1).await;
    ask.abort();
    assert!(ask.await.is_err());
    gateway.advance(Duration::from_secs(60)).await;
    let (status, _) = answer(asking(&caller, "/embeddings", "k", &body)).await;
    assert_eq!((status.as_u16(), counts(&gateway)), (200, (1, 1)));
}

/// What it asked for does not fail later, when nobody hears it: so the next one is another first attempt.
#[tokio::test]
async fn a_request_without_a_key_ends_with_its_client() {
    let gateway = start(Gateway::builder().idempotency(true).journal(true).virtual_clock().max_connections(1)).await;
    let body = json!({"model": "m", "input": "[[sleep=60000]][[fail=1:503]]", "dimensions": 4});
    for times in 1..=2 {
        let caller = Caller::new(&gateway, OPENAI, "sk-test");
        let ask = tokio::spawn(send(caller.request(Method::POST, "/embeddings").json(&body)));
        executed(&gateway, times).await;
        ask.abort();
        assert!(ask.await.is_err());
        drop(caller);
        // There is one place: whoever gets it comes after the end of that connection.
        assert_eq!(Caller::new(&gateway, OPENAI, "sk-test").get("/models").await.0, 200);
        gateway.advance(Duration::from_secs(60)).await;
    }
    let attempts: Vec<Event> = gateway.journal().into_iter().map(|entry| entry.event).collect();
    assert!(attempts.iter().all(|event| matches!(event, Event::RequestExecuted { attempt: 1, .. })), "{attempts:?}");
}

#[tokio::test]
async fn a_key_makes_it_safe_to_ask_again_after_a_lost_answer() {
    for effect in [Effect::AnswerLost, Effect::TruncatedBody { after: 20 }, Effect::ResetInBody { after: 20 }] {
        let fault = Fault::on(Operation::Embeddings).nth(1).then(effect);
        let gateway = start(Gateway::builder().idempotency(true).journal(true).fault(fault)).await;
        let caller = Caller::new(&gateway, OPENAI, "sk-test");
        let body = json!({"model": "m", "input": "a", "dimensions": 4});
        let lost = match asking(&caller, "/embeddings", "k", &body).header("x-odd", "1").send().await {
            Ok(response) => response.bytes().await.is_err(),
            Err(_) => true,
        };
        assert!(lost);
        assert_eq!(answer(asking(&caller, "/embeddings", "k", &body)).await.0, 200);
        assert_eq!(counts(&gateway), (1, 1));
    }
}

#[tokio::test]
async fn without_idempotency_the_key_is_only_told() {
    let gateway = start(Gateway::builder().journal(true)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    for input in ["a", "a", "b"] {
        let body = json!({"model": "m", "input": input, "dimensions": 4});
        assert_eq!(answer(asking(&caller, "/embeddings", "k", &body)).await.0, 200);
    }
    assert_eq!(counts(&gateway), (3, 0));
    let keys = gateway.journal().into_iter().all(|entry| match entry.event {
        Event::RequestExecuted { idempotency_key, .. } => idempotency_key.as_deref() == Some("k"),
        _ => false,
    });
    assert!(keys);
}
