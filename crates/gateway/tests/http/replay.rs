//! Answers that were recorded once.

use lote_gateway::upstream::Upstream;
use lote_gateway::{Gateway, Replay};
use serde_json::{Value, json};

use crate::common::{CHAT, Caller, OPENAI, PREFIXES, by_id, chat, chats, start};

fn file(text: &str) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    file
}

fn recorded(custom_id: &str, answer: &str) -> Value {
    let message = json!({"role": "assistant", "content": answer});
    let choice = json!({"index": 0, "message": message, "finish_reason": "stop"});
    let usage = json!({"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5});
    let body = json!({
        "id": "c-1", "object": "chat.completion", "created": 1, "model": "a-model", "choices": [choice], "usage": usage
    });
    json!({"id": "x", "custom_id": custom_id, "response": {"status_code": 200, "request_id": "r", "body": body}, "error": null})
}

#[tokio::test]
async fn lines_get_what_was_recorded_for_their_custom_id() {
    let failed = json!({"custom_id": "r-1", "response": {"status_code": 429, "body": {"error": {"message": "busy"}}}});
    let lost = json!({"custom_id": "r-2", "response": null, "error": {"code": "batch_expired", "message": "too late"}});
    let text = format!("{}\n\n{failed}\n{lost}\n{}", recorded("r-0", "grüße"), recorded("r-0", "not this"));
    let results = file(&text);
    for prefix in PREFIXES {
        let replay = Replay::open(results.path()).unwrap();
        let gateway = start(Gateway::builder().replay(replay).virtual_clock()).await;
        let caller = Caller::new(&gateway, prefix, "sk-test");
        let batch = caller.run(chats(["a", "b", "c", "d"]), CHAT).await;
        assert_eq!(batch["request_counts"], json!({"total": 4, "completed": 1, "failed": 3}));
        let output = caller.lines(&batch["output_file_id"]).await;
        assert_eq!(output[0]["response"]["body"], recorded("r-0", "grüße")["response"]["body"]);
        let errors = caller.lines(&batch["error_file_id"]).await;
        assert_eq!(by_id(&errors, "r-1")["response"]["body"]["error"]["message"], "busy");
        assert_eq!(by_id(&errors, "r-2")["error"], lost["error"]);
        assert_eq!(by_id(&errors, "r-3")["response"]["body"]["error"]["code"], "not_recorded");
    }
}

#[tokio::test]
async fn a_client_gets_what_was_recorded_for_the_same_body() {
    let results = file(&format!("{}\n", recorded("r-0", "of the first")));
    let requests = file(&chats(["a"]));
    let replay = Replay::open(results.path()).unwrap().requests(requests.path()).unwrap();
    let gateway = start(Gateway::builder().replay(replay)).await;
    let caller = Caller::new(&gateway, OPENAI, "sk-test");
    let mut body = chat("", "a")["body"].clone();
    let (status, answer) = caller.post("/chat/completions", &body).await;
    assert_eq!((status.as_u16(), &answer["choices"][0]["message"]["content"]), (200, &json!("of the first")));
    let (_, models) = caller.get("/models").await;
    assert_eq!(models["data"][0]["id"], "a-model");
    // A stream is made of it.
    body["stream"] = json!(true);
    let request = caller.request(reqwest::Method::POST, "/chat/completions").json(&body);
    let text = request.send().await.unwrap().text().await.unwrap();
    assert!(text.contains("of the first") && text.ends_with("data: [DONE]\n\n"), "{text}");
    // Another custom_id with the same body.
    let batch = caller.run(format!("{}\n", chat("another", "a")), CHAT).await;
    assert_eq!(batch["request_counts"]["completed"], 1);
    body["messages"][0]["content"] = json!("b");
    let (status, error) = caller
        .odd(reqwest::Method::POST, "/chat/completions")
        .json(&body)
        .send()
        .await
        .map(|answer| (answer.status(), answer.text()))
        .unwrap();
    assert_eq!((status.as_u16(), error.await.unwrap().contains("not_recorded")), (404, true));
}

#[tokio::test]
async fn only_one_can_answer() {
    let results = file(&recorded("a", "x").to_string());
    let builder = Gateway::builder().replay(Replay::open(results.path()).unwrap());
    let error = builder.upstream(Upstream::new("http://127.0.0.1:1/v1").unwrap()).start().await.unwrap_err();
    assert!(error.to_string().contains("only one"), "{error}");
}
