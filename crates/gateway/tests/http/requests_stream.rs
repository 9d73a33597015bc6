//! Answers as server-sent events: the whole answer, in pieces.

use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation};
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::{Caller, MKA1, OPENAI, PREFIXES, plain, send, start};

/// The name of each event, where it has one, and its data.
async fn events(caller: &Caller, path: &str, body: &Value) -> Vec<(Option<String>, String)> {
    let response = send(caller.request(Method::POST, path).json(body)).await;
    assert_eq!(response.status(), 200, "{path} {body}");
    let headers = response.headers();
    assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
    assert!(headers.contains_key("x-request-id") && !headers.contains_key("content-length"), "{headers:?}");
    let text = response.text().await.unwrap();
    let event = |event: &str| {
        let mut lines = event.lines();
        let name = event.starts_with("event: ").then(|| lines.next().unwrap()["event: ".len()..].to_owned());
        let data = lines.next().unwrap().strip_prefix("data: ").unwrap().to_owned();
        assert_eq!(lines.next(), None, "{event}");
        (name, data)
    };
    assert!(text.ends_with("\n\n"));
    text.trim_end().split("\n\n").map(event).collect()
}

/// The chunks of a stream that ends as it should.
async fn chunks(caller: &Caller, path: &str, body: &Value) -> Vec<Value> {
    let mut events = events(caller, path, body).await;
    assert_eq!(events.pop(), Some((None, "[DONE]".to_owned())));
    let chunk = |(name, data): (Option<String>, String)| {
        assert_eq!(name, None);
        serde_json::from_str(&data).unwrap()
    };
    events.into_iter().map(chunk).collect()
}

/// The same body, asking for a stream.
fn streamed(body: &Value) -> Value {
    let mut body = body.clone();
    body["stream"] = json!(true);
    body
}

#[tokio::test]
async fn chunks_add_up_to_the_answer() {
    let chat =
        json!({"model": "m", "n": 2, "max_tokens": 9, "messages": [{"role": "user", "content": "grüße 😀 und mehr"}]});
    let completion = json!({"model": "m", "n": 2, "prompt": ["one thing", "another"]});
    for (prefix, path, body, object) in [
        (PREFIXES[0], "/chat/completions", &chat, "chat.completion.chunk"),
        (PREFIXES[1], "/chat/completions", &chat, "chat.completion.chunk"),
        (OPENAI, "/completions", &completion, "text_completion"),
    ] {
        let gateway = start(Gateway::builder().virtual_clock()).await;
        let caller = Caller::new(&gateway, prefix, "sk-test");
        let (_, whole) = caller.post(path, body).await;
        let mut asked = streamed(body);
        let plain = chunks(&caller, path, &asked).await;
        asked["stream_options"] = json!({"include_usage": true});
        let mut counted = chunks(&caller, path, &asked).await;
        let last = counted.pop().unwrap();
        assert_eq!((&last["usage"], &last["choices"]), (&whole["usage"], &json!([])));
        assert!(counted.iter().all(|chunk| chunk["usage"].is_null()));
        assert_eq!(plain.len(), counted.len());
        assert!(plain.iter().all(|chunk| chunk.get("usage").is_none()));
        for chunk in &plain {
            assert_eq!(chunk["object"], object);
            for field in ["id", "created", "model"] {
                assert_eq!(chunk[field], whole[field]);
            }
        }
        for choice in whole["choices"].as_array().unwrap() {
            let parts: Vec<&Value> = plain
                .iter()
                .map(|chunk| &chunk["choices"][0])
                .filter(|part| part["index"] == choice["index"])
                .collect();
            let text = |part: &&Value| part["delta"]["content"].as_str().or(part["text"].as_str()).map(str::to_owned);
            let said: String = parts.iter().filter_map(text).collect();
            assert_eq!(json!(said), *choice.pointer("/message/content").unwrap_or(&choice["text"]));
            assert!(parts.len() > 2, "{parts:?}");
            let (last, before) = parts.split_last().unwrap();
            assert_eq!(last["finish_reason"], choice["finish_reason"]);
            assert!(before.iter().all(|part| part["finish_reason"].is_null()));
            if object != "text_completion" {
                assert_eq!(parts[0]["delta"]["role"], "assistant");
            }
        }
    }
}

#[tokio::test]
async fn a_response_comes_as_its_events() {
    for prefix in PREFIXES {
        let gateway = start(Gateway::builder().virtual_clock()).await;
        let caller = Caller::new(&gateway, prefix, "sk-test");
        for (limit, ended) in [(1_000, "response.completed"), (16, "response.incomplete")] {
            let input = "a question ".repeat(10);
            let body = json!({"model": "m", "input": input, "max_output_tokens": limit});
            let (_, whole) = caller.post("/responses", &body).await;
            let mut found = Vec::new();
            let mut said = String::new();
            for (number, (name, data)) in events(&caller, "/responses", &streamed(&body)).await.into_iter().enumerate()
            {
                let data: Value = serde_json::from_str(&data).unwrap();
                assert_eq!((&data["type"], &data["sequence_number"]), (&json!(name), &json!(number)));
                said.push_str(data["delta"].as_str().unwrap_or_default());
                found.push(data);
            }
            let mut names: Vec<&str> = found.iter().map(|event| event["type"].as_str().unwrap()).collect();
            names.dedup();
            let expected = [
                "response.created",
                "response.in_progress",
                "response.output_item.added",
                "response.content_part.added",
                "response.output_text.delta",
                "response.output_text.done",
                "response.content_part.done",
                "response.output_item.done",
                ended,
            ];
            assert_eq!(names, expected);
            let text = &whole["output"][0]["content"][0]["text"];
            assert_eq!(json!(said), *text);
            let (first, last) = (&found[0]["response"], &found[found.len() - 1]["response"]);
            assert_eq!(last, &whole);
            assert_eq!(
                (&first["status"], &first["output"], &first["id"]),
                (&json!("in_progress"), &json!([]), &whole["id"])
            );
            let tokens = |response: &Value| response["usage"]["total_tokens"].as_u64();
            assert_eq!(tokens(first), (prefix == MKA1).then_some(0));
            let item = &found[found.len() - 2]["item"];
            assert_eq!(*item, whole["output"][0]);
            assert_eq!(found[2]["item"]["id"], item["id"]);
        }
    }
}

/// So large that it waits on disk for its client.
#[tokio::test]
async fn a_large_answer_is_streamed_as_well() {
    let gateway = start(Gateway::builder().virtual_clock()).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let body = json!({"model": "m", "n": 128, "prompt": ["one", "two", "three", "four", "five", "six"]});
    let (_, whole) = caller.post("/completions", &body).await;
    assert!(whole.to_string().len() > 70_000);
    let mut said = vec![String::new(); 768];
    for chunk in chunks(&caller, "/completions", &streamed(&body)).await {
        let choice = &chunk["choices"][0];
        said[usize::try_from(choice["index"].as_u64().unwrap()).unwrap()].push_str(choice["text"].as_str().unwrap());
    }
    let texts: Vec<&str> =
        whole["choices"].as_array().unwrap().iter().map(|choice| choice["text"].as_str().unwrap()).collect();
    assert_eq!(said, texts);
}

#[tokio::test]
async fn pictures_come_one_by_one() {
    let (_gateway, caller) = plain(OPENAI).await;
    let edit = json!({"prompt": "a", "n": 2, "images": [{"file_id": "file-1"}]});
    for (path, body, name) in [
        ("/images/generations", json!({"prompt": "a", "n": 2}), "image_generation.completed"),
        ("/images/edits", edit, "image_edit.completed"),
    ] {
        let (_, whole) = caller.post(path, &body).await;
        let pictures: Vec<Value> = events(&caller, path, &streamed(&body))
            .await
            .into_iter()
            .map(|(named, data)| {
                assert_eq!(named.as_deref(), Some(name));
                serde_json::from_str::<Value>(&data).unwrap()["b64_json"].clone()
            })
            .collect();
        let expected: Vec<Value> =
            whole["data"].as_array().unwrap().iter().map(|picture| picture["b64_json"].clone()).collect();
        assert_eq!(pictures, expected);
    }
}

/// What is refused is refused as ever; what cannot be streamed is answered whole.
#[tokio::test]
async fn only_a_success_is_a_stream_and_only_where_there_is_one() {
    let (_gateway, caller) = plain(OPENAI).await;
    let chat = |stream: Value, text: &str| json!({"model": "m", "stream": stream, "messages": [{"role": "user", "content": text}]});
    for (path, body, expected) in [
        ("/chat/completions", chat(json!(true), "[[status=429]]"), 429),
        ("/chat/completions", json!({"model": "m", "stream": true}), 400),
        ("/chat/completions", chat(json!("true"), "a"), 400),
        ("/chat/completions", chat(json!(false), "a"), 200),
        ("/embeddings", json!({"model": "m", "input": "a", "dimensions": 4, "stream": true}), 200),
        ("/moderations", json!({"input": "a", "stream": true}), 200),
        ("/videos", json!({"prompt": "a", "stream": true}), 200),
    ] {
        assert_eq!(caller.post(path, &body).await.0, expected, "{path} {body}");
    }
    // Lines of a batch are never streamed.
    let line = crate::common::line("one", "/v1/chat/completions", &chat(json!(true), "a"));
    let batch = caller.run(line, "/v1/chat/completions").await;
    assert_eq!(batch["errors"]["data"][0]["code"], "streaming_unsupported");
}

/// The same key may ask for the same stream again; both are made from one answer.
#[tokio::test]
async fn a_stream_is_repeated_as_a_stream() {
    let gateway = start(Gateway::builder().idempotency(true).journal(true)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "a"}]});
    let mut texts = Vec::new();
    for _ in 0..2 {
        let request = caller.request(Method::POST, "/chat/completions").header("idempotency-key", "k").json(&body);
        texts.push(send(request).await.text().await.unwrap());
    }
    assert_eq!(texts[0], texts[1]);
    assert!(texts[0].ends_with("data: [DONE]\n\n"));
    assert_eq!(gateway.journal().len(), 2);
}

/// Also where nobody told how long it would be.
#[tokio::test]
async fn a_stream_that_is_cut_lacks_its_end() {
    for (after, effect) in [
        (40, Effect::TruncatedChunks { after: 40 }),
        (u64::MAX, Effect::TruncatedChunks { after: u64::MAX }),
        (300, Effect::TruncatedBody { after: 300 }),
        (u64::MAX, Effect::TruncatedBody { after: u64::MAX }),
        (300, Effect::ResetInBody { after: 300 }),
    ] {
        let gateway =
            start(Gateway::builder().virtual_clock().fault(Fault::on(Operation::Chat).nth(2).then(effect.clone())))
                .await;
        let caller = Caller::new(&gateway, OPENAI, "sk-test");
        let body = json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "a"}]});
        let ask = || caller.odd(Method::POST, "/chat/completions").json(&body);
        let whole = send(ask()).await.bytes().await.unwrap();
        let mut response = send(ask()).await;
        let mut found = Vec::new();
        let ended = loop {
            match response.chunk().await {
                Ok(Some(piece)) => found.extend_from_slice(&piece),
                Ok(None) => break true,
                Err(_) => break false,
            }
        };
        assert!(!ended, "{effect:?}");
        assert_eq!(found, whole[..usize::try_from(after).unwrap().min(whole.len() - 1)], "{effect:?}");
    }
}
