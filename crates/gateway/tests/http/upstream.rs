//! Requests forwarded to other servers: a gateway with the built-in model takes the place of one, and one that does as it is
//! told.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Response, Uri};
use lote_gateway::upstream::Upstream;
use lote_gateway::{Event, Gateway};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;

use crate::common::{CHAT, Caller, OPENAI, PREFIXES, answer, by_id, chat, chats, send, start};
use crate::wire::Watched;

/// What a server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    path: String,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Asked {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }
}

pub(crate) type Heard = Arc<Mutex<Vec<Asked>>>;

/// A server that answers the nth request, from 1, as it is told.
pub(crate) async fn server(
    answer: impl Fn(usize, &Asked) -> Response<Body> + Clone + Send + Sync + 'static,
) -> (Upstream, Heard) {
    let heard = Heard::default();
    let hears = Arc::clone(&heard);
    let router = Router::new().fallback(async move |uri: Uri, headers: HeaderMap, body: Bytes| {
        let asked =
            Asked { path: uri.path().to_owned(), headers, body: serde_json::from_slice(&body).unwrap_or_default() };
        let number = {
            let mut heard = hears.lock().unwrap();
            heard.push(asked.clone());
            heard.len()
        };
        answer(number, &asked)
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (Upstream::new(&url).unwrap(), heard)
}

fn said(status: u16, body: impl Into<Body>) -> Response<Body> {
    Response::builder().status(status).header("content-type", "application/json").body(body.into()).unwrap()
}

/// An answer of a chat, pretty-printed as some servers do.
fn chatted(text: &str) -> Response<Body> {
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    let choice = json!({"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"});
    let body = json!({"id": "c-1", "object": "chat.completion", "choices": [choice], "usage": usage});
    said(200, serde_json::to_string_pretty(&body).unwrap())
}

/// A gateway before these upstreams, and a caller with a key of its own.
async fn before(prefix: &str, upstreams: impl IntoIterator<Item = Upstream>) -> (Watched, Caller) {
    let builder = upstreams.into_iter().fold(Gateway::builder().journal(true), |builder, one| builder.upstream(one));
    let gateway = start(builder).await;
    let caller = Caller::new(&gateway, prefix, "sk-of-the-client");
    (gateway, caller)
}

/// The output and the error lines of a batch.
async fn results(caller: &Caller, batch: &Value) -> (Vec<Value>, Vec<Value>) {
    let mut files = [Vec::new(), Vec::new()];
    for (lines, name) in files.iter_mut().zip(["output_file_id", "error_file_id"]) {
        if batch[name].is_string() {
            *lines = caller.lines(&batch[name]).await;
        }
    }
    files.into()
}

#[tokio::test]
async fn a_server_without_batches_gets_them_and_each_line_goes_once_with_a_key_of_its_own() {
    for prefix in PREFIXES {
        let server =
            Gateway::builder().key("sk-of-the-operator").journal(true).idempotency(true).start().await.unwrap();
        let upstream = Upstream::new(&format!("{}/v1/", server.url())).unwrap().key("sk-of-the-operator").unwrap();
        let (_gateway, caller) = before(prefix, [upstream]).await;
        let batch = caller.run(chats((0..50).map(|at| format!("number {at}"))), CHAT).await;
        assert_eq!(batch["status"], "completed", "{batch}");
        assert_eq!(batch["request_counts"], json!({"total": 50, "completed": 50, "failed": 0}));
        let (output, _) = results(&caller, &batch).await;
        for at in 0..50 {
            let text = &by_id(&output, &format!("r-{at}"))["response"]["body"]["choices"][0]["message"]["content"];
            assert!(text.as_str().unwrap().contains(&format!("number {at}")), "{text}");
        }
        let keys = server.journal().into_iter().map(|entry| match entry.event {
            Event::RequestExecuted { idempotency_key, attempt: 1, .. } => idempotency_key.unwrap(),
            other => panic!("{other:?}"),
        });
        let keys: Vec<String> = keys.collect();
        assert_eq!((keys.len(), keys.iter().collect::<BTreeSet<_>>().len()), (50, 50));
        if prefix == OPENAI {
            assert!(batch["usage"]["total_tokens"].as_u64().unwrap() > 0, "{batch}");
        }
        server.shutdown().await;
    }
}

#[tokio::test]
async fn a_line_that_is_refused_is_tried_again_with_the_same_key_and_what_comes_in_the_end_is_its_result() {
    let (upstream, heard) = server(|_, asked| {
        let text = asked.body["messages"][0]["content"].as_str().unwrap().to_owned();
        let again = |status| {
            let mut answer = said(status, r#"{"error":{"message":"not now"}}"#);
            answer.headers_mut().insert("retry-after-ms", "1".parse().unwrap());
            answer
        };
        match text.as_str() {
            "busy" => again(429),
            "broken" => again(500),
            "wrong" => said(400, "{\n\"error\": {\"message\": \"no\"}\n}"),
            "page" => said(404, "<html>\nNot here"),
            _ => chatted(&text),
        }
    })
    .await;
    let (_gateway, caller) = before(OPENAI, [upstream.retries(2)]).await;
    let batch = caller.run(chats(["busy", "broken", "wrong", "page", "well"]), CHAT).await;
    assert_eq!(batch["request_counts"], json!({"total": 5, "completed": 1, "failed": 4}));
    let (output, errors) = results(&caller, &batch).await;
    assert_eq!(by_id(&output, "r-4")["response"]["body"]["choices"][0]["message"]["content"], "well");
    for (id, status, message) in [("r-0", 429, "not now"), ("r-1", 500, "not now"), ("r-2", 400, "no")] {
        let response = &by_id(&errors, id)["response"];
        assert_eq!(
            (&response["status_code"], &response["body"]["error"]["message"]),
            (&json!(status), &json!(message))
        );
    }
    assert_eq!(by_id(&errors, "r-3")["response"]["body"]["error"]["message"], "<html>\nNot here");
    let heard = heard.lock().unwrap().clone();
    for (text, tries) in [("busy", 3), ("broken", 3), ("wrong", 1), ("page", 1), ("well", 1)] {
        let of = |asked: &&Asked| asked.body["messages"][0]["content"] == text;
        let keys: Vec<_> = heard.iter().filter(of).map(|asked| asked.header("idempotency-key").unwrap()).collect();
        assert_eq!((keys.len(), keys.iter().collect::<BTreeSet<_>>().len()), (tries, 1), "{text}");
    }
}

#[tokio::test]
async fn a_model_goes_by_its_name_there_and_one_that_nobody_has_is_a_404() {
    let (first, heard) = server(|_, _| chatted("first")).await;
    let (second, also) = server(|_, asked| match asked.path.as_str() {
        "/v1/models" => said(200, r#"{"object":"list","data":[{"id":"gpt-a"},{"id":"other"}]}"#),
        _ => chatted("second"),
    })
    .await;
    let upstreams = [first.model_as("small", "qwen2.5:0.5b"), second.model("gpt-*")];
    let (_gateway, caller) = before(OPENAI, upstreams).await;
    let ask = async |model: &str| {
        let body = json!({"messages": [{"role": "user", "content": "x"}], "model": model});
        let (status, answered) = caller.post("/chat/completions", &body).await;
        (status.as_u16(), answered)
    };
    let (status, answered) = ask("small").await;
    assert_eq!((status, &answered["choices"][0]["message"]["content"]), (200, &json!("first")));
    assert_eq!(heard.lock().unwrap()[0].body["model"], "qwen2.5:0.5b");
    assert_eq!(ask("gpt-4").await.1["choices"][0]["message"]["content"], "second");
    assert_eq!(also.lock().unwrap()[0].body["model"], "gpt-4");
    let (status, answered) = ask("claude").await;
    assert_eq!((status, &answered["error"]["code"]), (404, &json!("model_not_found")));
    // As lines of a batch as well.
    for (model, counts) in [("small", [1, 0]), ("claude", [0, 1])] {
        let mut line = chat("1", "x");
        line["body"]["model"] = json!(model);
        let counted = caller.run(format!("{line}\n"), CHAT).await["request_counts"].take();
        assert_eq!(counted, json!({"total": 1, "completed": counts[0], "failed": counts[1]}), "{model}");
    }
    let (_, models) = caller.get("/models").await;
    let names: Vec<_> = models["data"].as_array().unwrap().iter().map(|model| &model["id"]).collect();
    assert_eq!(names, ["gpt-a", "small"]);
}

#[tokio::test]
async fn what_is_of_the_client_stays_with_the_gateway() {
    let (upstream, heard) = server(|_, _| chatted("x")).await;
    let (_gateway, caller) = before(OPENAI, [upstream.key("sk-of-the-operator").unwrap()]).await;
    let request = caller.request(Method::POST, "/chat/completions").json(&chat("1", "x")["body"]);
    let request = request.header("X-On-Behalf-Of", "user-1").header("Idempotency-Key", "mine").header("Cookie", "a=b");
    assert_eq!(send(request).await.status(), 200);
    let asked = heard.lock().unwrap()[0].clone();
    assert_eq!(asked.header("authorization"), Some("Bearer sk-of-the-operator"));
    let shown = format!("{:?}", asked.headers);
    assert!(!["sk-of-the-client", "user-1", "mine", "a=b"].iter().any(|secret| shown.contains(secret)), "{shown}");
    // Its key is made into another, which is always the same.
    let key = asked.header("idempotency-key").unwrap().to_owned();
    assert!(key.starts_with("lote-"), "{key}");
}

#[tokio::test]
async fn a_stream_is_passed_on_as_it_comes() {
    let text = "data: {\"choices\":[{\"delta\":{\"content\":\"a\"}}]}\n\n: still there\n\ndata: [DONE]\n\n";
    let (upstream, heard) = server(move |number, _| match number {
        1 => Response::builder().header("content-type", "text/event-stream").body(Body::from(text)).unwrap(),
        _ => said(429, r#"{"error":{"message":"later"}}"#),
    })
    .await;
    let (_gateway, caller) = before(OPENAI, [upstream]).await;
    let mut body = chat("1", "x")["body"].clone();
    body["stream"] = json!(true);
    let response = send(caller.request(Method::POST, "/chat/completions").json(&body)).await;
    assert_eq!(
        (response.status().as_u16(), response.headers()["content-type"].to_str().unwrap()),
        (200, "text/event-stream")
    );
    assert_eq!(response.text().await.unwrap(), text);
    assert_eq!(heard.lock().unwrap()[0].body["stream"], true);
    let (status, refused) = answer(caller.odd(Method::POST, "/chat/completions").json(&body)).await;
    assert_eq!((status.as_u16(), &refused["error"]["message"]), (429, &json!("later")));
}

/// Takes connections, reads a little, and closes them.
async fn hangs_up() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            drop(stream.read(&mut [0; 100]).await);
        }
    });
    Upstream::new(&url).unwrap()
}

/// Takes connections and says nothing.
async fn is_silent() -> Upstream {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/v1", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    Upstream::new(&url).unwrap().timeout(Duration::from_millis(50))
}

#[tokio::test]
async fn a_line_that_got_no_answer_says_why_and_a_client_is_told_by_a_status() {
    for (upstream, code, status) in [
        (hangs_up().await, "upstream_broke_off", StatusCode::BAD_GATEWAY),
        (is_silent().await, "upstream_timeout", StatusCode::GATEWAY_TIMEOUT),
    ] {
        let (_gateway, caller) = before(OPENAI, [upstream.retries(0)]).await;
        let batch = caller.run(chats(["x"]), CHAT).await;
        assert_eq!(batch["status"], "completed");
        let (_, errors) = results(&caller, &batch).await;
        assert_eq!((&errors[0]["response"], &errors[0]["error"]["code"]), (&Value::Null, &json!(code)));
        let body = &chat("1", "x")["body"];
        let (told, error) = caller.post("/chat/completions", body).await;
        assert_eq!((told, &error["error"]["code"]), (status, &json!(code)));
    }
}

#[tokio::test]
async fn lines_wait_for_a_server_that_is_not_there_yet_and_a_client_is_told() {
    // A port that nobody listens at.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let upstream = Upstream::new(&format!("http://{address}/v1")).unwrap().key("sk-1").unwrap().retries(0);
    let (_gateway, caller) = before(OPENAI, [upstream]).await;
    let batch = caller.submit(chats(["x"]), CHAT).await;
    let (status, error) = caller.post("/chat/completions", &chat("1", "x")["body"]).await;
    assert_eq!((status, &error["error"]["code"]), (StatusCode::BAD_GATEWAY, &json!("upstream_unreachable")));
    let server = Gateway::builder().listen(address).start().await.unwrap();
    let batch = caller.ended(&batch).await;
    assert_eq!(batch["request_counts"]["completed"], 1, "{batch}");
    server.shutdown().await;
}

#[tokio::test]
async fn of_two_servers_with_a_model_the_one_that_is_there_answers() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let gone = Upstream::new(&format!("http://{}/v1", listener.local_addr().unwrap())).unwrap();
    drop(listener);
    let (there, heard) = server(|_, _| chatted("here")).await;
    let (_gateway, caller) = before(OPENAI, [gone, there]).await;
    let batch = caller.run(chats((0..20).map(|at| at.to_string())), CHAT).await;
    assert_eq!(batch["request_counts"]["completed"], 20, "{batch}");
    assert_eq!(heard.lock().unwrap().len(), 20);
}

#[tokio::test]
async fn a_cancelled_batch_gives_back_the_places_that_its_lines_wait_for() {
    let (upstream, _) = server(|_, asked| match asked.body["messages"][0]["content"].as_str() {
        // Never ends.
        Some("slow") => said(200, Body::from_stream(futures_util::stream::pending::<std::io::Result<Bytes>>())),
        _ => chatted("x"),
    })
    .await;
    let (_gateway, caller) = before(OPENAI, [upstream.max_concurrency(2)]).await;
    let batch = caller.submit(chats(["slow", "slow", "slow", "slow"]), CHAT).await;
    caller.until(&batch, |batch| batch["status"] == "in_progress").await;
    caller.cancel(&batch).await;
    let batch = caller.ended(&batch).await;
    assert_eq!(batch["status"], "cancelled");
    let after = caller.run(chats(["quick"]), CHAT).await;
    assert_eq!(after["request_counts"]["completed"], 1, "{after}");
}

#[tokio::test]
async fn an_upstream_beside_a_virtual_clock_is_refused() {
    let upstream = Upstream::new("http://127.0.0.1:1/v1").unwrap();
    let error = Gateway::builder().upstream(upstream).virtual_clock().start().await.unwrap_err();
    assert!(error.to_string().contains("clock"), "{error}");
}
