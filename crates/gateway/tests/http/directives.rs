//! The built-in model and the directives that make it misbehave.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::common::{CHAT, OPENAI, by_id, chats, line, plain};
use serde_json::{Value, json};

#[tokio::test]
async fn directives_decide_where_a_line_ends() {
    let (_gateway, caller) = plain(OPENAI).await;
    // What is asked, the status code it ends with.
    let table = [
        ("plain", 200),
        ("[[status=429]]", 429),
        ("please [[status=503]] now", 503),
        ("[[fail=2:503]]", 200),
        ("[[fail=1:429]][[sleep=1]]", 200),
        ("[[fail=2:503]][[status=404]]", 404),
        ("[[fail=99:500]]", 500),
        ("[[status=200]]", 200),
        ("[[status=abc]]", 200),
        ("[[sleep=]] [[fail=2]] [[", 200),
    ];
    let batch = caller.run(chats(table.map(|(text, _)| text)), CHAT).await;
    let output = caller.lines(&batch["output_file_id"]).await;
    let errors = caller.lines(&batch["error_file_id"]).await;
    assert_eq!(output.len() + errors.len(), table.len());
    for (at, (text, status)) in table.into_iter().enumerate() {
        let lines = if status == 200 { &output } else { &errors };
        let line = by_id(lines, &format!("r-{at}"));
        assert_eq!(line["response"]["status_code"], status, "{text}");
        assert_eq!(line["error"], Value::Null, "{text}");
        let error = &line["response"]["body"]["error"];
        assert_eq!(error["message"].is_string(), status != 200, "{text}: {line}");
    }
    let completed = output.len() as u64;
    assert_eq!(batch["request_counts"]["completed"], completed);
}

#[tokio::test]
async fn sleep_takes_its_time() {
    let (_gateway, caller) = plain(OPENAI).await;
    let before = Instant::now();
    caller.run(chats(["[[sleep=300]]"]), CHAT).await;
    assert!(before.elapsed() >= Duration::from_millis(300));
}

#[tokio::test]
async fn directives_are_read_wherever_the_prompt_is() {
    let part = |text: &str| json!([{"type": "text", "text": text}]);
    let message = |content: Value| {
        json!([
            {"role": "system", "content": "[[status=418]] is not for the system to say"},
            {"role": "user", "content": "earlier [[status=418]]"},
            {"role": "assistant", "content": "no"},
            {"role": "user", "content": content},
        ])
    };
    let bad = "[[status=451]]";
    for (endpoint, body) in [
        (CHAT, json!({"messages": message(json!(bad))})),
        (CHAT, json!({"messages": message(part(bad))})),
        ("/v1/responses", json!({"input": bad})),
        ("/v1/responses", json!({"input": message(json!(bad))})),
        ("/v1/responses", json!({"input": message(part(bad))})),
        ("/v1/embeddings", json!({"input": bad})),
        ("/v1/embeddings", json!({"input": ["a", bad]})),
        ("/v1/images/generations", json!({"prompt": bad})),
        ("/v1/images/edits", json!({"prompt": bad})),
        ("/v1/completions", json!({"prompt": bad})),
        ("/v1/moderations", json!({"input": bad})),
        ("/v1/videos", json!({"prompt": bad})),
    ] {
        let (_gateway, caller) = plain(OPENAI).await;
        let mut body = body;
        body["model"] = json!("m");
        let batch = caller.run(line("one", endpoint, &body), endpoint).await;
        let errors = caller.lines(&batch["error_file_id"]).await;
        assert_eq!(errors[0]["response"]["status_code"], 451, "{endpoint} {body}");
    }
}

/// Runs one body and returns the body of the answer.
async fn ask(endpoint: &str, body: Value) -> Value {
    let (_gateway, caller) = plain(OPENAI).await;
    let batch = caller.run(line("one", endpoint, &body), endpoint).await;
    let file = if batch["output_file_id"].is_null() { "error_file_id" } else { "output_file_id" };
    assert_eq!(batch["status"], "completed", "{batch}");
    caller.lines(&batch[file]).await[0]["response"]["body"].clone()
}

#[tokio::test]
async fn every_endpoint_has_its_shape() {
    let chat = ask(
        CHAT,
        json!({"model": "m", "n": 2, "messages": [
            {"role": "user", "content": "What is 6*7?"},
        ]}),
    )
    .await;
    assert_eq!(chat["choices"].as_array().unwrap().len(), 2);
    let content = chat["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(content.starts_with("42"), "{content}");
    assert_eq!(chat["model"], "m");

    let response = ask("/v1/responses", json!({"model": "m", "input": "hello"})).await;
    assert_eq!(response["object"], "response");
    assert_eq!(response["status"], "completed");
    assert_eq!(response["output"][0]["type"], "message");
    assert_eq!(response["output"][0]["content"][0]["type"], "output_text");
    assert!(response["output"][0]["content"][0]["text"].as_str().unwrap().contains("hello"));
    assert!(response["usage"]["total_tokens"].as_u64().unwrap() > 0);

    let embeddings = ask("/v1/embeddings", json!({"model": "m", "input": ["a", "b"], "dimensions": 8})).await;
    let vectors = embeddings["data"].as_array().unwrap();
    assert_eq!(vectors.len(), 2);
    assert_eq!(vectors[1]["index"], 1);
    let numbers: Vec<f64> = vectors[0]["embedding"].as_array().unwrap().iter().map(|x| x.as_f64().unwrap()).collect();
    assert_eq!(numbers.len(), 8);
    assert!((numbers.iter().map(|x| x * x).sum::<f64>() - 1.0).abs() < 1e-6);

    let packed = ask(
        "/v1/embeddings",
        json!({
            "model": "m", "input": "a", "dimensions": 8, "encoding_format": "base64",
        }),
    )
    .await;
    // 8 floats of 4 bytes are 32 bytes are 44 characters.
    assert_eq!(packed["data"][0]["embedding"].as_str().unwrap().len(), 44);

    let image = ask("/v1/images/generations", json!({"prompt": "a cat"})).await;
    assert!(image["data"][0]["b64_json"].as_str().unwrap().starts_with("iVBORw0KGgo"));

    let completion = ask("/v1/completions", json!({"model": "m", "prompt": "Once"})).await;
    assert_eq!(completion["object"], "text_completion");
    let body = json!({"model": "m", "prompt": ["One", "Two"], "n": 3, "best_of": 20});
    let completion = ask("/v1/completions", body).await;
    let choices = completion["choices"].as_array().unwrap();
    let texts: BTreeSet<&str> = choices.iter().map(|choice| choice["text"].as_str().unwrap()).collect();
    assert_eq!((choices.len(), texts.len(), &choices[5]["index"]), (6, 6, &json!(5)));
    assert!(choices[..3].iter().all(|choice| choice["text"].as_str().unwrap().contains("One")), "{completion}");
    let moderation = ask("/v1/moderations", json!({"input": "kind words"})).await;
    assert_eq!(moderation["results"][0]["flagged"], false);
    let video = ask("/v1/videos", json!({"prompt": "a cat"})).await;
    assert_eq!(video["object"], "video");
    let edit = ask("/v1/images/edits", json!({"prompt": "a dog", "images": [{"file_id": "file-1"}]})).await;
    assert!(edit["data"][0]["b64_json"].is_string());
}

#[tokio::test]
async fn a_body_that_a_model_would_refuse_is_a_400_on_its_line() {
    for (endpoint, body, param) in [
        (CHAT, json!({"model": "m"}), json!("messages")),
        (CHAT, json!({"model": "m", "messages": []}), json!("messages")),
        (CHAT, json!({"model": "m", "messages": "hello"}), json!("messages")),
        (CHAT, json!({"model": "m", "messages": ["hello"]}), json!("messages[0]")),
        (CHAT, json!({"model": "m", "messages": [{}], "n": 0}), json!("n")),
        ("/v1/embeddings", json!({"model": "m"}), json!("input")),
        ("/v1/embeddings", json!({"model": "m", "input": []}), json!("input")),
        ("/v1/embeddings", json!({"model": "m", "input": "a", "dimensions": 0}), json!("dimensions")),
        ("/v1/embeddings", json!({"model": "m", "input": vec!["x"; 2_049]}), json!("input")),
        ("/v1/responses", json!({"model": "m", "input": 7}), json!("input")),
        (CHAT, json!({"model": "m", "messages": [{}], "n": 129}), json!("n")),
        (CHAT, json!({"model": "m", "messages": [{}], "n": "2"}), json!("n")),
        ("/v1/images/generations", json!({"prompt": "a", "n": 0}), json!("n")),
        ("/v1/images/edits", json!({"prompt": "a", "images": [{}], "n": 11}), json!("n")),
        ("/v1/completions", json!({"model": "m", "prompt": "a", "n": 0}), json!("n")),
        ("/v1/completions", json!({"model": "m", "prompt": "a", "n": 129}), json!("n")),
        ("/v1/completions", json!({"model": "m", "prompt": vec!["a"; 400], "n": 128}), json!("prompt")),
        ("/v1/completions", json!({"model": "m", "prompt": "a", "n": 3, "best_of": 2}), json!("best_of")),
        ("/v1/completions", json!({"model": "m", "prompt": "a", "best_of": 21}), json!("best_of")),
        ("/v1/moderations", json!({"input": "a", "metadata": vec![0; 1_000_001]}), Value::Null),
        ("/v1/images/generations", json!({"prompt": null}), json!("prompt")),
    ] {
        let answer = ask(endpoint, body.clone()).await;
        assert_eq!(answer["error"]["param"], param, "{endpoint} {body}: {answer}");
        assert_eq!(answer["error"]["type"], "invalid_request_error");
    }
}

#[tokio::test]
async fn as_many_inputs_as_are_allowed_are_answered_each() {
    let body = json!({"model": "m", "input": vec!["x"; 2_048], "dimensions": 2});
    let answer = ask("/v1/embeddings", body).await;
    let data = answer["data"].as_array().unwrap();
    assert_eq!((data.len(), &data[2_047]["index"]), (2_048, &json!(2_047)));
    assert_eq!(answer["usage"]["prompt_tokens"], 2_048);
}

#[tokio::test]
async fn an_answer_is_cut_at_the_limit() {
    let chat = ask(
        CHAT,
        json!({"model": "m", "max_completion_tokens": 2, "messages": [
            {"role": "user", "content": "tell me a long story"},
        ]}),
    )
    .await;
    assert_eq!(chat["choices"][0]["finish_reason"], "length");
    assert_eq!(chat["usage"]["completion_tokens"], 2);
}

#[tokio::test]
async fn structured_output_fits_the_schema() {
    let schema = json!({"type": "object", "properties": {"value": {"type": "integer"}}});
    let format = json!({"type": "json_schema", "name": "n", "schema": schema});
    let chat = ask(
        CHAT,
        json!({
            "model": "m", "messages": [{"role": "user", "content": "hello"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}},
        }),
    )
    .await;
    let response = ask("/v1/responses", json!({"model": "m", "input": "a", "text": {"format": format}})).await;
    for text in [&chat["choices"][0]["message"]["content"], &response["output"][0]["content"][0]["text"]] {
        let value: Value = serde_json::from_str(text.as_str().unwrap()).unwrap();
        assert!(value["value"].is_i64(), "{value}");
    }
}
