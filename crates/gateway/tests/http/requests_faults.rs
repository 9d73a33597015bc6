//! Faults of requests that are answered at once.

use std::time::{Duration, Instant};

use lote_gateway::faults::{Effect, ErrorBody, Fault, Faults, Operation, Refusal, RetryAfter};
use lote_gateway::{Event, Gateway};
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Caller, MKA1, OPENAI, PREFIXES, answer, send, start};

/// Its name in a faults file, its path, a body that it takes.
fn operations() -> [(&'static str, &'static str, Value); 8] {
    [
        ("chat", "/chat/completions", json!({"model": "m", "messages": [{"role": "user", "content": "a"}]})),
        ("responses", "/responses", json!({"model": "m", "input": "a"})),
        ("embeddings", "/embeddings", json!({"model": "m", "input": "a", "dimensions": 4})),
        ("images", "/images/generations", json!({"prompt": "a"})),
        ("completions", "/completions", json!({"model": "m", "prompt": "a"})),
        ("moderations", "/moderations", json!({"input": "a"})),
        ("image-edits", "/images/edits", json!({"prompt": "a", "images": [{"file_id": "file-1"}]})),
        ("videos", "/videos", json!({"prompt": "a"})),
    ]
}

fn executed(gateway: &Gateway) -> usize {
    gateway.journal().iter().filter(|entry| matches!(entry.event, Event::RequestExecuted { .. })).count()
}

/// By its name, by the name of all of them, and by that of everything; and nobody else's.
#[tokio::test]
async fn every_endpoint_can_be_struck_and_nothing_else_is() {
    for prefix in PREFIXES {
        for (name, path, body) in operations().into_iter().take(if prefix == MKA1 { 4 } else { 8 }) {
            for on in [name, "request", "any"] {
                let text = format!(
                    "[[fault]]\non = \"{on}\"\nnth = 1\neffect = \"status\"\nstatus = 429\nretry_after = 7\nbody = \"text\""
                );
                let faults = Faults::from_toml(&text).unwrap();
                let gateway = start(Gateway::builder().journal(true).faults(faults)).await;
                let caller = Caller::new(&gateway, prefix, "sk-test");
                if on != "any" {
                    assert_eq!(caller.get("/models").await.0, 200);
                    assert_eq!(caller.get("/batches").await.0, 200);
                    for (other, path, body) in operations().into_iter().take(if prefix == MKA1 { 4 } else { 8 }) {
                        if on == name && other != name {
                            assert_eq!(caller.post(path, &body).await.0, 200, "{on} {other}");
                        }
                    }
                }
                let before = executed(&gateway);
                let refused = send(caller.odd(Method::POST, path).json(&body)).await;
                assert_eq!(
                    (refused.status().as_u16(), &refused.headers()["retry-after"]),
                    (429, &"7".parse().unwrap())
                );
                assert_eq!(refused.json::<Value>().await.unwrap(), json!({"error": "Rate limit exceeded"}));
                assert_eq!(executed(&gateway), before, "{on}: it was refused before the model had it");
                assert_eq!(caller.post(path, &body).await.0, 200);
                assert_eq!(executed(&gateway), before + 1);
            }
        }
    }
}

#[tokio::test]
async fn lists_of_models_can_be_struck() {
    for (operation, path) in [(Operation::ListModels, "/models"), (Operation::GetModel, "/models/lote-builtin")] {
        let fault = Fault::on(operation).nth(1).then(Effect::Status(Refusal::status(503)));
        let gateway = start(Gateway::builder().fault(fault)).await;
        let caller = Caller::new(&gateway, OPENAI, "sk-test");
        assert_eq!(caller.get(path).await.0, 503);
        assert_eq!(caller.get(path).await.0, 200);
    }
}

/// What a client hears, and whether the model was asked all the same.
#[tokio::test]
async fn answers_go_wrong_in_every_way() {
    let gone = Refusal::status(504).body(ErrorBody::Html).retry_after(RetryAfter::Seconds(1));
    for (effect, status, asked) in [
        (Effect::Reset, None, 0),
        (Effect::AnswerLost, None, 1),
        (Effect::AnswerReplaced(gone), Some(504), 1),
        (Effect::ResetInBody { after: 10 }, None, 1),
        (Effect::TruncatedBody { after: 10 }, None, 1),
        (Effect::TruncatedChunks { after: 10 }, None, 1),
        (Effect::SlowBody { bytes_per_second: 100_000 }, Some(200), 1),
    ] {
        for (_, path, body) in operations() {
            let fault = Fault::on(Operation::Request).nth(1).then(effect.clone());
            let gateway = start(Gateway::builder().journal(true).fault(fault)).await;
            let caller = Caller::new(&gateway, OPENAI, "sk-test");
            let heard = match caller.odd(Method::POST, path).json(&body).send().await {
                Ok(response) => {
                    let status = response.status().as_u16();
                    response.bytes().await.is_ok().then_some(status)
                }
                Err(_) => None,
            };
            assert_eq!((heard, executed(&gateway)), (status, asked), "{effect:?} {path}");
            assert_eq!(caller.post(path, &body).await.0, 200);
        }
    }
}

#[tokio::test]
async fn a_delay_takes_its_time() {
    let delay = Duration::from_millis(200);
    let fault = Fault::on(Operation::Responses).nth(1).then(Effect::Delay(delay));
    let gateway = start(Gateway::builder().fault(fault)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let before = Instant::now();
    assert_eq!(caller.post("/responses", &json!({"model": "m", "input": "a"})).await.0, 200);
    assert!(before.elapsed() >= delay);
}

/// A proxy gives up on a model that goes on, and is paid for.
#[tokio::test]
async fn a_late_request_is_answered_for_nobody() {
    for answered in [None, Some(Refusal::status(504))] {
        let late = Effect::Late { after: Duration::from_secs(30), answer: answered.clone() };
        let fault = Fault::on(Operation::Chat).nth(1).then(late);
        let gateway = start(Gateway::builder().journal(true).virtual_clock().idempotency(true).fault(fault)).await;
        let caller = Caller::new(&gateway, OPENAI, "sk-test");
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "a"}]});
        let ask = || caller.request(Method::POST, "/chat/completions").header("idempotency-key", "k").json(&body);
        match ask().send().await {
            Ok(response) => assert_eq!(Some(response.status().as_u16()), answered.map(|_| 504)),
            Err(_) => assert_eq!(answered, None),
        }
        assert_eq!(executed(&gateway), 0);
        gateway.advance(Duration::from_secs(30)).await;
        assert_eq!(executed(&gateway), 1);
        assert_eq!(answer(ask()).await.0, 200);
        assert_eq!(executed(&gateway), 1, "the answer of the first was kept");
    }
}

#[test]
fn effects_on_objects_and_files_do_not_fit() {
    for (on, effect, fits) in [
        ("chat", "status\"\nstatus = 500\n#", true),
        ("request", "late\"\nseconds = 1\n#", true),
        ("videos", "truncated-chunks\"\nafter = 1\n#", true),
        ("list-models", "answer-lost", true),
        ("get-model", "late\"\nseconds = 1\n#", false),
        ("chat", "absent-field\"\nfield = \"id\"\n#", false),
        ("request", "unlisted\"\nlooks = 1\n#", false),
        ("embeddings", "missing-lines", false),
        ("chat-completions", "reset", false),
    ] {
        let text = format!("[[fault]]\non = \"{on}\"\neffect = \"{effect}\"\n");
        assert_eq!(Faults::from_toml(&text).is_ok(), fits, "{text}");
    }
}
