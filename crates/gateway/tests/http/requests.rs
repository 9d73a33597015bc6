//! Requests that are answered at once: the same answers as in a batch, and refusals as everywhere.

use std::time::Duration;

use lote_gateway::faults::{Effect, Fault, Operation};
use lote_gateway::{Event, Gateway};
use reqwest::Method;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::common::{
    Caller, MKA1, OPENAI, PATIENCE, PREFIXES, answer, by_id, http, in_memory, line, plain, send, start,
};

/// Below a prefix, as batches name it, and a body that it takes.
fn endpoints() -> [(&'static str, Value); 8] {
    [
        ("/chat/completions", json!({"model": "m", "n": 2, "messages": [{"role": "user", "content": "What is 6*7?"}]})),
        ("/responses", json!({"model": "m", "input": "hello", "instructions": "be short"})),
        ("/embeddings", json!({"model": "m", "input": ["a", "b"], "dimensions": 8})),
        ("/images/generations", json!({"prompt": "a house", "n": 2})),
        ("/completions", json!({"model": "m", "prompt": ["one", "two"], "max_tokens": 2})),
        ("/moderations", json!({"input": "kind words"})),
        ("/images/edits", json!({"prompt": "a roof", "images": [{"file_id": "file-1"}]})),
        ("/videos", json!({"prompt": "a walk"})),
    ]
}

/// Where a prefix has it.
fn served(prefix: &str, at: usize) -> bool {
    prefix == OPENAI || at < 4
}

/// The status and the text of an answer that says that it is JSON.
async fn post(caller: &Caller, path: &str, body: &str) -> (u16, String) {
    let request = caller.request(Method::POST, path).header("content-type", "application/json").body(body.to_owned());
    let response = send(request).await;
    assert_eq!(response.headers()["content-type"], "application/json", "{path} {body}");
    (response.status().as_u16(), response.text().await.unwrap())
}

/// To the byte: what a batch writes into its result line is what is answered at once.
#[tokio::test]
async fn a_line_of_a_batch_and_the_same_body_alone_have_the_same_answer() {
    for prefix in PREFIXES {
        let gateway = start(Gateway::builder().virtual_clock()).await;
        let caller = Caller::new(&gateway, prefix, "sk-test");
        for (at, (path, good)) in endpoints().into_iter().enumerate() {
            let endpoint = format!("/v1{path}");
            if !served(prefix, at) {
                assert_eq!(caller.post(path, &good).await.0, 404, "{prefix}{path}");
                continue;
            }
            let with = |name: &str, value: Value| {
                let mut body = good.clone();
                body[name] = value;
                body.to_string()
            };
            let prompt = ["messages", "input", "prompt"].into_iter().find(|name| good.get(*name).is_some()).unwrap();
            let asks = |directive: &str| match prompt {
                "messages" => with(prompt, json!([{"role": "user", "content": directive}])),
                _ => with(prompt, json!(directive)),
            };
            let bodies = [
                good.to_string(),
                serde_json::to_string_pretty(&good).unwrap().replace('\n', " "),
                with("colour", json!("nobody knows it")),
                with(prompt, Value::Null),
                with(prompt, json!(7)),
                with("model", json!(7)),
                with("model", json!("text-large")),
                with("user", json!("u")).replace("\"u\"", r#""\ud83d""#),
                asks("[[status=429]]"),
                asks("[[status=503]][[retry-after=2]]"),
                asks("größer 😀"),
                asks(&"long ".repeat(50_000)),
                format!(r#"{{"model":"m","deep":{}{}}}"#, "[".repeat(200), "]".repeat(200)),
            ];
            // A batch of OpenAI's wants one model for all lines.
            for (number, body) in bodies.iter().enumerate() {
                let input =
                    format!(r#"{{"custom_id":"{number}","method":"POST","url":"{endpoint}","body":{body}}}"#) + "\n";
                let (status, alone) = post(&caller, path, body).await;
                let batch = caller.run(input, &endpoint).await;
                if batch["status"] == "failed" {
                    // Its file was refused for what is wrong in this body.
                    assert_eq!(status, 400, "{prefix}{path} {body:.200}: {alone} {batch}");
                    let param = format!("body.{}", param(&alone));
                    assert_eq!(batch["errors"]["data"][0]["param"], param, "{body:.200}: {alone} {batch}");
                    continue;
                }
                let file = if status == 200 { "output_file_id" } else { "error_file_id" };
                assert!(batch[file].is_string(), "{prefix}{path} {body:.200}: {status} {alone:.200} {batch}");
                let written = String::from_utf8(caller.bytes(batch[file].as_str().unwrap()).await).unwrap();
                let response = format!(r#""status_code":{status},"#);
                let body_of = format!(r#""body":{alone}}},"error":null}}"#);
                assert!(
                    written.contains(&response) && written.trim_end().ends_with(&body_of),
                    "{prefix}{path} {body:.200}:\n{alone:.500}\n{written:.500}"
                );
            }
        }
    }
}

fn param(answer: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer["error"]["param"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn bodies_that_are_no_json_object_are_refused() {
    let gateway = start(Gateway::builder().max_line_bytes(200_000)).await;
    for prefix in PREFIXES {
        let caller = Caller::new(&gateway, prefix, "sk-test");
        for (at, (path, good)) in endpoints().into_iter().enumerate().filter(|(at, _)| served(prefix, *at)) {
            let good = good.to_string();
            let large = format!(r#"{{"colour":"{}","rest":"#, "x".repeat(100_000));
            let too_large = format!(r#"{{"colour":"{}"}}"#, "x".repeat(200_000));
            let not_utf8 = [b"{\"user\":\"", &b"\xff"[..], b"\"}"].concat();
            for (media_type, body, expected, words) in [
                ("application/json", b"".to_vec(), 400, "could not parse"),
                ("application/json", b"{".to_vec(), 400, "could not parse"),
                ("application/json", [good.as_bytes(), b"}"].concat(), 400, "could not parse"),
                ("application/json", b"[]".to_vec(), 400, "must be a JSON object"),
                ("application/json; charset=utf-8", b"null".to_vec(), 400, "must be a JSON object"),
                ("application/json", not_utf8, 400, "not valid UTF-8"),
                // As large ones, which are not held in memory.
                ("application/json", large.into_bytes(), 400, "could not parse"),
                ("application/json", too_large.into_bytes(), 413, "200000 bytes"),
                ("text/plain", good.clone().into_bytes(), 415, "application/json"),
                ("multipart/form-data; boundary=b", b"--b--".to_vec(), 415, "application/json"),
            ] {
                let request = caller.request(Method::POST, path).header("content-type", media_type).body(body);
                let (status, refused) = answer(request).await;
                assert_eq!(status, expected, "{at} {path} {media_type}: {refused}");
                let error = &refused["error"];
                assert_eq!((&error["type"], &error["param"]), (&json!("invalid_request_error"), &Value::Null));
                assert!(error["message"].as_str().unwrap().contains(words), "{refused}");
            }
            let request = caller.request(Method::GET, path);
            assert_eq!(answer(request).await.0, 405, "{path}");
            let request = http().post(format!("{}{path}", caller.url)).json(&json!({}));
            assert_eq!(answer(request).await.0, 401, "{path}");
        }
    }
    assert_eq!(gateway.journal(), []);
}

/// A body that is kept on disk counts as stored only while it is there.
#[tokio::test]
async fn large_bodies_are_answered_and_leave_nothing() {
    let gateway = in_memory(Gateway::builder().max_stored_files(1).max_stored_bytes(3_000_000)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let body = |size| json!({"model": "m", "input": "x".repeat(size), "dimensions": 4});
    let (_, small) = caller.post("/embeddings", &body(60_000)).await;
    for size in [66_000, 1_000_000, 2_500_000] {
        let (status, large) = caller.post("/embeddings", &body(size)).await;
        assert_eq!(status, 200, "{size}: {large}");
        assert_ne!(large["data"], small["data"]);
    }
    let (status, refused) = caller.post("/embeddings", &body(3_500_000)).await;
    assert_eq!((status.as_u16(), &refused["error"]["code"]), (403, &json!("storage_limit_exceeded")));
    caller.upload("x").await;
    let (status, refused) = caller.post("/embeddings", &body(66_000)).await;
    assert_eq!((status.as_u16(), &refused["error"]["code"]), (403, &json!("storage_limit_exceeded")));
    assert_eq!(caller.post("/embeddings", &body(60_000)).await.0, 200);
}

#[tokio::test]
async fn directives_are_obeyed_and_the_client_tries_again() {
    let gateway = start(Gateway::builder().virtual_clock().journal(true)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let chat = |text: &str| json!({"model": "m", "messages": [{"role": "user", "content": text}]});
    let ask = async |text: &str| {
        let response = send(caller.request(Method::POST, "/chat/completions").json(&chat(text))).await;
        let after = response.headers().get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        (response.status().as_u16(), after, response.json::<Value>().await.unwrap())
    };
    let (status, after, body) = ask("[[status=429]]").await;
    assert_eq!((status, after, &body["error"]["code"]), (429, None, &json!("rate_limit_exceeded")));
    let (status, after, _) = ask("[[status=429]][[retry-after=30]]").await;
    assert_eq!((status, after.as_deref()), (429, Some("30")));
    // Nobody but the client tries again; after the answer all begins anew. Another client's tries are his own.
    let text = "[[fail=2:503]] [[retry-after=1]] 6*7";
    for _ in 0..2 {
        for expected in [503, 503, 200] {
            let (status, after, _) = ask(text).await;
            assert_eq!((status, after.as_deref()), (expected, (expected == 503).then_some("1")));
        }
    }
    assert_eq!(ask(text).await.0, 503);
    let stranger = Caller::new(&gateway, OPENAI, "sk-stranger");
    assert_eq!(stranger.post("/chat/completions", &chat(text)).await.0, 503);
    let attempts: Vec<u32> = gateway
        .journal()
        .into_iter()
        .filter_map(|entry| match entry.event {
            Event::RequestExecuted { attempt, .. } => Some(attempt),
            _ => None,
        })
        .collect();
    assert_eq!(attempts, [1, 1, 1, 2, 3, 1, 2, 3, 1, 1]);
}

/// Waits until the journal has so many entries.
async fn journaled(gateway: &Gateway, entries: usize) {
    let waiting = async {
        while gateway.journal().len() < entries {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
}

#[tokio::test]
async fn a_pause_follows_the_clock_and_is_no_attempt() {
    let gateway = start(Gateway::builder().virtual_clock().journal(true)).await;
    let caller = Caller::new(&gateway, MKA1, "sk-test");
    let size = [10, 100_000];
    let asks: Vec<_> = size
        .map(|size| {
            let body = json!({"model": "m", "input": format!("[[sleep=3600000]] {}", "x".repeat(size))});
            tokio::spawn(answer(caller.request(Method::POST, "/responses").json(&body)))
        })
        .into();
    journaled(&gateway, size.len()).await;
    gateway.advance(Duration::from_secs(3_599)).await;
    assert!(asks.iter().all(|ask| !ask.is_finished()));
    gateway.advance(Duration::from_secs(1)).await;
    for ask in asks {
        let (status, response) = ask.await.unwrap();
        assert_eq!((status.as_u16(), &response["created_at"]), (200, &json!(1_767_225_600 + 3_600)));
    }
    assert_eq!(gateway.journal().len(), size.len());
}

#[tokio::test]
async fn whoever_waits_is_told_when_the_gateway_stops() {
    let gateway = start(Gateway::builder().journal(true)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let body = json!({"model": "m", "input": "[[sleep=86400000]]"});
    let ask = tokio::spawn(answer(caller.request(Method::POST, "/embeddings").json(&body)));
    journaled(&gateway, 1).await;
    gateway.shutdown().await;
    let (status, refused) = ask.await.unwrap();
    assert_eq!((status.as_u16(), &refused["error"]["type"]), (503, &json!("server_error")));
}

#[tokio::test]
async fn the_journal_tells_requests_and_whose_they_are() {
    let gateway =
        start(Gateway::builder().named_key("acme", "sk-secret").key("sk-other").journal(true).virtual_clock()).await;
    let caller = Caller::new(&gateway, MKA1, "sk-secret");
    let body = r#"{"model":"m","input":"a"}"#;
    let request = |caller: &Caller, path: &str| {
        let request = caller.request(Method::POST, path).header("content-type", "application/json");
        request.header("idempotency-key", "k-1").header("x-on-behalf-of", "user-1").body(body)
    };
    let mut ids = Vec::new();
    for path in ["/embeddings", "/responses"] {
        let response = send(request(&caller, path)).await;
        assert_eq!(response.status(), 200);
        ids.push(response.headers()["x-request-id"].to_str().unwrap().to_owned());
    }
    // Refused before the model had it, and refused by the model: only the latter was handed to it.
    assert_eq!(answer(request(&caller, "/embeddings").body("[]")).await.0, 400);
    let other = Caller::new(&gateway, OPENAI, "sk-other");
    assert_eq!(other.post("/embeddings", &json!({"model": "m"})).await.0, 400);

    let (_, journal) = Caller::new(&gateway, "", "sk-secret").get("/_lote/journal").await;
    let sha256: String = Sha256::digest(body).iter().map(|byte| format!("{byte:02x}")).collect();
    let entry = |endpoint: &str, id: &str| {
        json!({
            "at": 1_767_225_600, "tenant": "acme", "on_behalf_of": "user-1", "event": "request_executed",
            "endpoint": endpoint, "request_id": id, "idempotency_key": "k-1", "attempt": 1,
            "sha256": sha256,
        })
    };
    assert_eq!(journal["data"], json!([entry("/v1/embeddings", &ids[0]), entry("/v1/responses", &ids[1])]));
    assert_eq!(gateway.journal().len(), 3);
    assert_eq!(gateway.journal()[2].tenant, "key-2");
}

#[tokio::test]
async fn models_are_listed_and_found() {
    for prefix in PREFIXES {
        let (_gateway, caller) = plain(prefix).await;
        let (status, list) = caller.get("/models").await;
        assert_eq!((status.as_u16(), &list["object"]), (200, &json!("list")));
        let models = list["data"].as_array().unwrap();
        let ids: Vec<&str> = models.iter().map(|model| model["id"].as_str().unwrap()).collect();
        assert_eq!(ids, ["lote-builtin", "lote-builtin-large"]);
        for model in models {
            assert_eq!(model["object"], "model");
            assert!(model["created"].is_i64() && model["owned_by"].is_string(), "{model}");
            let (status, one) = caller.get(&format!("/models/{}", model["id"].as_str().unwrap())).await;
            assert_eq!((status.as_u16(), &one), (200, model));
            let (status, vectors) = caller.post("/embeddings", &json!({"model": model["id"], "input": "a"})).await;
            assert_eq!((status.as_u16(), &vectors["model"]), (200, &model["id"]));
        }
        let (status, refused) = caller.get("/models/m").await;
        assert_eq!((status.as_u16(), &refused["error"]["code"]), (404, &json!("model_not_found")));
        assert_eq!(answer(http().get(format!("{}/models", caller.url))).await.0, 401);
    }
}

/// Batches are at work, and large lines wait for their turn in memory: a large request does not wait with them.
#[tokio::test]
async fn requests_do_not_wait_for_the_lines_of_batches() {
    let gateway = start(Gateway::builder()).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let text = "x".repeat(8 << 20);
    let body = json!({"model": "m", "input": text, "dimensions": 4});
    let lines: String = (0..8).map(|n| line(&n.to_string(), "/v1/embeddings", &body)).collect();
    let batch = caller.submit(lines, "/v1/embeddings").await;
    assert_eq!(caller.post("/embeddings", &body).await.0, 200);
    let batch = caller.ended(&batch).await;
    let lines = caller.lines(&batch["output_file_id"]).await;
    let (_, alone) = caller.post("/embeddings", &body).await;
    assert_eq!(by_id(&lines, "0")["response"]["body"], alone);
}

/// Together their answers are larger than what all answers may take of the memory: they wait on disk for their clients.
#[tokio::test]
async fn whoever_does_not_read_is_in_nobodys_way() {
    let gateway = start(Gateway::builder().max_stored_files(3)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let body = json!({"model": "m", "input": ["a", "b"], "dimensions": 1_500_000, "encoding_format": "base64"});
    let mut unread = Vec::new();
    for _ in 0..2 {
        let response = send(caller.request(Method::POST, "/embeddings").json(&body)).await;
        assert_eq!(response.status(), 200);
        unread.push(response);
    }
    assert_eq!(caller.post("/embeddings", &json!({"model": "m", "input": "a"})).await.0, 200);
    // What they are given is whole all the same, and gone with them.
    for response in unread {
        let length = response.content_length().unwrap();
        assert!(length > 15_000_000, "{length}");
        assert_eq!(response.bytes().await.unwrap().len() as u64, length);
    }
    let mut stored = caller.post("/embeddings", &json!({"model": "m", "input": "x".repeat(70_000)})).await;
    while stored.0 == 403 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        stored = caller.post("/embeddings", &json!({"model": "m", "input": "x".repeat(70_000)})).await;
    }
    assert_eq!(stored.0, 200);
}

#[tokio::test]
async fn an_answer_that_is_lost_was_made() {
    let lost = Fault::on(Operation::Chat).nth(1).then(Effect::AnswerLost);
    let gateway = start(Gateway::builder().journal(true).fault(lost)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let body = json!({"model": "m", "messages": [{"role": "user", "content": "one"}]});
    assert!(caller.request(Method::POST, "/chat/completions").json(&body).send().await.is_err());
    assert_eq!(caller.post("/chat/completions", &body).await.0, 200);
    let executed = |entry: &&lote_gateway::Entry| matches!(entry.event, Event::RequestExecuted { .. });
    assert_eq!(gateway.journal().iter().filter(executed).count(), 2);
}
