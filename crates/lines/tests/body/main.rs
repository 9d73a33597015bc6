//! What is an answer and what is none, in the bodies of every endpoint.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panicking, as tests do")]

use lote_lines::{Answer, OutcomeKind};
use serde_json::{Value, json};

mod parts;

/// `ok`, with what it falls short of; or code and message of the failure.
fn said(body: &Value) -> String {
    let line =
        json!({"custom_id": "a", "response": {"status_code": 200, "request_id": "r", "body": body}, "error": null});
    let line = line.to_string();
    let answer = Answer::parse(line.as_bytes()).unwrap();
    if answer.outcome() == OutcomeKind::Succeeded {
        assert_eq!((answer.error_code(), answer.error_message()), (None, None), "{line}");
        let short = answer.shortfall();
        let marks = [(short.cut_off, " cut_off"), (short.filtered, " filtered"), (short.refused, " refused")];
        assert_eq!(short.is_none(), marks.iter().all(|(is, _)| !is));
        return marks.iter().filter(|(is, _)| *is).fold("ok".to_owned(), |text, (_, mark)| text + mark);
    }
    assert_eq!(answer.outcome(), OutcomeKind::Failed, "{line}");
    assert!(answer.shortfall().is_none());
    format!("{}: {}", answer.error_code().unwrap_or_default(), answer.error_message().unwrap_or_default())
}

fn chat(choice: Value) -> Value {
    json!({"id": "c", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice],
        "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}})
}

fn response(status: &str, output: Value, more: Value) -> Value {
    let mut body = json!({"id": "r", "object": "response", "status": status, "model": "m", "output": output});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn message(part: Value) -> Value {
    json!([{"type": "reasoning", "summary": []}, {"type": "message", "role": "assistant", "content": [part]}])
}

#[test]
fn answers_of_every_endpoint_succeed() {
    let text = json!({"type": "output_text", "text": "hi"});
    for body in [
        chat(
            json!({"index": 0, "message": {"role": "assistant", "content": "hi", "refusal": null}, "finish_reason": "stop"}),
        ),
        chat(json!({"message": {"role": "assistant", "content": ""}, "finish_reason": "stop"})),
        chat(json!({"message": {"content": null, "tool_calls": [{"id": "t"}]}, "finish_reason": "tool_calls"})),
        chat(json!({"message": {"content": "hi"}})),
        chat(json!({"message": {"content": [{"type": "text", "text": "hi"}]}, "finish_reason": "stop", "error": null})),
        json!({"choices": [{"text": "", "finish_reason": null}]}),
        json!({"choices": [{"text": "hi", "finish_reason": "stop"}], "error": {}}),
        json!({"error": "a part was lost", "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}]}),
        response("completed", message(text.clone()), json!({"error": null, "incomplete_details": null})),
        response("completed", json!([]), json!({"output_text": "hi"})),
        json!({"output": message(text)}),
        json!({"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}], "model": "m"}),
        json!({"created": 1, "data": [{"b64_json": "AP8="}]}),
        json!({"id": "m", "model": "m", "results": [{"flagged": false}]}),
        json!({"id": "v", "object": "video", "status": "queued", "model": "m", "prompt": "a cat", "error": null}),
        // A job that goes on.
        json!({"id": "v", "object": "video", "status": "queued", "model": "m"}),
        json!({"x": 1, "model": "m", "error": false}),
        json!({"id": "p", "object": "page"}),
        json!({"id": "v", "object": "video", "status": "completed", "model": "m", "prompt": "a cat"}),
        json!({"text": "what was said"}),
        json!({"text": ""}),
        json!({"type": "message", "role": "assistant", "content": [{"type": "text", "text": "hi"}]}),
        json!({"message": {"role": "assistant", "content": "hi"}, "model": "m"}),
        json!({"message": {"role": "", "content": "hi"}, "error": "a part was lost"}),
        json!({"prompt": "a", "model": "m", "generated_text": "b"}),
        json!({"anything": 1}),
        json!({"message": "hello", "answer": "b"}),
        json!({"status": "failed", "data": [{"url": "u"}]}),
        json!([[0.5]]),
        json!("1\n00:00 --> 00:01\nhi"),
        json!("{\"choices\":[{\"message\":{\"content\":\"hi\"}}]}"),
        json!(" [1] "),
    ] {
        assert_eq!(said(&body), "ok", "{body}");
    }
}

#[test]
fn what_an_answer_falls_short_of_is_counted() {
    let hi = json!({"role": "assistant", "content": "hi"});
    let refusal = json!({"type": "refusal", "refusal": "No."});
    let text = json!({"type": "output_text", "text": "h"});
    for (body, expected) in [
        (chat(json!({"message": hi, "finish_reason": "length"})), "ok cut_off"),
        (chat(json!({"message": hi, "finish_reason": "max_tokens"})), "ok cut_off"),
        (chat(json!({"message": hi, "finish_reason": "MAX_TOKENS"})), "ok cut_off"),
        (
            chat(json!({"message": {"role": "assistant", "content": null}, "finish_reason": "content_filter"})),
            "ok filtered",
        ),
        (chat(json!({"content_filter_results": {}, "finish_reason": "content_filter"})), "ok filtered"),
        (chat(json!({"message": {"content": null, "refusal": "No."}, "finish_reason": "stop"})), "ok refused"),
        (chat(json!({"message": {"content": [refusal]}, "finish_reason": "stop"})), "ok refused"),
        (chat(json!({"message": {"refusal": "No."}, "finish_reason": "length"})), "ok cut_off refused"),
        (json!({"choices": [{"text": "h", "finish_reason": "length"}]}), "ok cut_off"),
        (
            json!({"choices": [{"message": hi, "finish_reason": "stop"}, {"message": hi, "finish_reason": "length"},
                {"finish_reason": "content_filter"}]}),
            "ok cut_off filtered",
        ),
        (
            response(
                "incomplete",
                message(text.clone()),
                json!({"incomplete_details": {"reason": "max_output_tokens"}}),
            ),
            "ok cut_off",
        ),
        (response("incomplete", json!([]), json!({"incomplete_details": {"reason": "content_filter"}})), "ok filtered"),
        (response("incomplete", message(text), json!({"incomplete_details": null})), "ok cut_off"),
        (response("completed", message(refusal), json!({})), "ok refused"),
        (json!({"content": [{"type": "text", "text": "h"}], "stop_reason": "max_tokens"}), "ok cut_off"),
        (json!({"content": [{"type": "text", "text": "h"}], "stop_reason": "refusal"}), "ok refused"),
        (Value::from(chat(json!({"message": hi, "finish_reason": "length"})).to_string()), "ok cut_off"),
    ] {
        assert_eq!(said(&body), expected, "{body}");
    }
}

#[test]
fn a_2xx_without_an_answer_fails_in_the_words_of_its_body() {
    let error = json!({"message": "boom", "code": "server_error"});
    for (body, expected) in [
        (json!(null), "no_answer: the body is null"),
        (json!({}), "no_answer: the body is an empty object"),
        (json!("{}"), "no_answer: the body is an empty object"),
        (json!(""), "no_answer: the body is an empty text"),
        (json!("null"), "no_answer: the body is null"),
        (json!([]), "no_answer: the body is an empty array"),
        (json!([null]), "no_answer: the body is an empty array"),
        (json!("{\"choices\":[{\"mess"), "no_answer: the body is a text of JSON that is broken"),
        (json!(" <!DOCTYPE html>"), "no_answer: the body is a page of HTML or XML"),
        (json!({"error": {"message": "Provider returned error", "code": 502}}), "502: Provider returned error"),
        (json!({"error": "Rate limit exceeded"}), "no_answer: Rate limit exceeded"),
        (json!({"message": {"role": null, "content": ""}, "error": "lost"}), "no_answer: lost"),
        (json!({"id": "x", "error": error, "choices": []}), "server_error: boom"),
        (json!({"object": "error", "message": "too long", "type": "BadRequestError", "code": 400}), "400: too long"),
        (json!({"type": "error", "error": {"type": "overloaded_error", "message": "m"}}), "overloaded_error: m"),
        // What calls itself an error is one, whatever else it holds.
        (json!({"object": "error", "x": 1}), "no_answer: the body is an error"),
        (json!({"x": 1, "type": "error"}), "error: the body is an error"),
        (json!({"object": "error", "type": "t", "x": 1}), "t: the body is an error"),
        (json!({"type": "error", "object": "thing", "x": 1}), "error: the body is an error"),
        (json!({"message": "Internal server error"}), "no_answer: Internal server error"),
        (json!({"detail": "Not authenticated"}), "no_answer: Not authenticated"),
        (json!({"detail": [{"loc": ["body"], "msg": "required", "type": "missing"}]}), "missing: required"),
        (json!({"choices": []}), "no_answer: the body has no choices that say something"),
        (json!({"id": "x", "choices": null}), "no_answer: the body has no choices that say something"),
        (json!({"choices": [{}]}), "no_answer: the body has no choices that say something"),
        (
            json!({"choices": [{"message": null, "finish_reason": "stop"}]}),
            "no_answer: the body has no choices that say something",
        ),
        (
            json!({"choices": [{"message": {"role": "assistant", "content": null}, "finish_reason": null}]}),
            "no_answer: the body has no choices that say something",
        ),
        (
            chat(
                json!({"message": {"content": ""}, "finish_reason": "error", "error": {"code": 502, "message": "gone"}}),
            ),
            "502: gone",
        ),
        (chat(json!({"message": {"content": "h"}, "finish_reason": "error"})), "no_answer: a choice ended in an error"),
        (
            json!({"object": "chat.completion", "model": "m", "id": "x"}),
            "no_answer: the body is a completion without choices",
        ),
        (response("failed", json!([]), json!({"error": error})), "server_error: boom"),
        (
            response("failed", message(json!({"type": "output_text", "text": "h"})), json!({"error": error})),
            "server_error: boom",
        ),
        (response("failed", json!([]), json!({"error": null})), "no_answer: the status in the body is failed"),
        (response("cancelled", json!([]), json!({})), "no_answer: the status in the body is cancelled"),
        (response("completed", json!([]), json!({})), "no_answer: the body has an empty output"),
        (response("in_progress", json!([]), json!({})), "no_answer: the body has an empty output"),
        (json!({"object": "response", "id": "r"}), "no_answer: the body is a response without output"),
        (
            chat(json!({"message": {"content": null, "refusal": ""}, "finish_reason": "stop"})),
            "no_answer: the body has no choices that say something",
        ),
        (
            chat(json!({"message": {}, "finish_reason": "stop"})),
            "no_answer: the body has no choices that say something",
        ),
        (
            chat(json!({"message": {"role": "assistant"}, "finish_reason": "stop"})),
            "no_answer: the body has no choices that say something",
        ),
        (
            chat(json!({"message": {"content": [], "tool_calls": []}, "finish_reason": "stop"})),
            "no_answer: the body has no choices that say something",
        ),
        (
            chat(json!({"message": {"content": null, "tool_calls": null}, "finish_reason": "tool_calls"})),
            "no_answer: the body has no choices that say something",
        ),
        (response("completed", json!([{}]), json!({})), "no_answer: the output in the body says nothing"),
        (
            response("completed", json!([{"type": "message", "content": []}]), json!({})),
            "no_answer: the output in the body says nothing",
        ),
        (
            response(
                "completed",
                json!([{"type": "message", "content": [{"type": "output_text", "text": null}]}]),
                json!({}),
            ),
            "no_answer: the output in the body says nothing",
        ),
        (
            json!({"object": "list", "data": [{"embedding": []}]}),
            "no_answer: an entry of the data in the body is empty",
        ),
        (json!({"data": [{"embedding": null}]}), "no_answer: an entry of the data in the body is empty"),
        (
            json!({"data": [{"embedding": [1]}, {"embedding": []}]}),
            "no_answer: an entry of the data in the body is empty",
        ),
        (json!({"created": 1, "data": [{}]}), "no_answer: an entry of the data in the body is empty"),
        (
            json!({"created": 1, "data": [{"b64_json": null, "url": null}]}),
            "no_answer: an entry of the data in the body is empty",
        ),
        (json!({"results": [{}]}), "no_answer: the results in the body say nothing"),
        (
            json!({"usage": {"total_tokens": 3}}),
            "no_answer: the body has nothing in it but what stands beside an answer",
        ),
        (json!({"id": "x", "created": 1}), "no_answer: the body has nothing in it but what stands beside an answer"),
        (json!("upstream timed out"), "no_answer: upstream timed out"),
        (json!({"model": "m"}), BESIDE),
        (json!({"model": "m", "usage": {"prompt_tokens": 1}}), BESIDE),
        (json!({"id": "c", "created": 1, "model": "m", "usage": {"total_tokens": 3}, "error": null}), BESIDE),
        (json!({"id": "c", "object": "thing", "model": "m", "usage": {"total_tokens": 3}}), BESIDE),
        (json!({"id": "c", "object": "thing", "usage": {"total_tokens": 3}}), BESIDE),
        (json!({"id": "c", "status": "completed", "model": "m"}), BESIDE),
        (json!({"error": {}}), BESIDE),
        (json!({"error": false, "model": "m"}), BESIDE),
        (json!({"object": "list", "data": [], "model": "m"}), "no_answer: the body has no data"),
        (json!({"object": "list"}), "no_answer: the body is a list without data"),
        (json!({"created": 1, "data": []}), "no_answer: the body has no data"),
        (json!({"id": "m", "model": "m", "results": []}), "no_answer: the body has no results"),
        (
            json!({"id": "v", "object": "video", "status": "failed", "prompt": "p", "model": "m", "error": error}),
            "server_error: boom",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0}),
            "no_answer: the body is the request, sent back",
        ),
        (
            json!({"model": "m", "input": "hi", "text": {"format": {"type": "text"}}}),
            "no_answer: the body is the request, sent back",
        ),
        (json!({"model": "m", "prompt": "hi", "n": 1}), "no_answer: the body is the request, sent back"),
        (
            json!({"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"model": "m", "input": "x"}}),
            "no_answer: the body is the request line, sent back",
        ),
    ] {
        assert_eq!(said(&body), expected, "{body}");
    }
    for line in [
        r#"{"custom_id":"a","response":{"status_code":200,"request_id":"r"}}"#,
        r#"{"custom_id":"a","response":{"status_code":204,"body":null}}"#,
    ] {
        let answer = Answer::parse(line.as_bytes()).unwrap();
        assert_eq!(answer.outcome(), OutcomeKind::Failed, "{line}");
        assert_eq!(answer.error_code().as_deref(), Some("no_answer"), "{line}");
    }
}

#[test]
fn a_body_of_nothing_but_words_about_an_error_is_one() {
    let with = |more: Value| {
        let mut body = json!({"message": "boom"});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        said(&body)
    };
    for name in ["status", "type", "msg", "detail", "errors", "code", "title", "timestamp", "statusCode", "trace_id"] {
        let told = with(json!({ name: 7 }));
        assert!(told.ends_with(": boom"), "{name}: {told}");
        // Anything else may be an answer, even beside these.
        assert_eq!(with(json!({ name: 7, "x": 1 })), "ok", "{name}");
    }
    assert_eq!(with(json!({"error": null})), "no_answer: boom");
    assert_eq!(with(json!({"error": null, "x": 1})), "ok");
    // Without words it is something else.
    assert_eq!(said(&json!({"code": 7, "message": 1})), "ok");
    assert_eq!(said(&json!({"code": 7, "detail": ["x"]})), "7: x");
}

const BESIDE: &str = "no_answer: the body has nothing in it but what stands beside an answer";

#[test]
fn a_transcript_that_is_plain_text_is_an_answer() {
    let said_of = |text: &str| said(&json!(text));
    let long = "We had an error and then a timeout, said the speaker. ".repeat(9);
    let border = |length: usize| format!("Error: {}", "x".repeat(length - "Error: ".len()));
    for text in [
        "Good morning, and welcome to the show.",
        " Hola. ¿Qué tal?\n",
        "ありがとうございます。",
        "42",
        "404 people came to the meeting",
        "200 people came to the meeting",
        "4040 people came to the meeting",
        "600 people came to the meeting",
        &border(301),
        "That was my mistake.",
        "None of them did.",
        &long,
        "1\n00:00:00,000 --> 00:00:02,000\nError? Not found.\n",
    ] {
        let expected = if text.starts_with("404 ") { "no_answer: 404 people came to the meeting" } else { "ok" };
        assert_eq!(said_of(text), expected, "{text}");
    }
    for text in [
        "Bad Gateway",
        &border(300),
        "400 of it",
        "599 of it",
        "502 Bad Gateway",
        "503: try again",
        "error code: 1020",
        "(ERROR) no backend",
        "Failed to load the model",
        "HTTP/1.1 500",
        "upstream connect error or disconnect/reset before headers",
        "no healthy upstream",
        "Rate limit exceeded",
        "Unauthorized",
        "Request timed out.",
        "None",
        "undefined",
    ] {
        assert_eq!(said_of(text), format!("no_answer: {text}"));
    }
    let trace = format!("Traceback (most recent call last):\n{}", "  File \"x.py\", line 1\n".repeat(40));
    for text in [
        "",
        " \n",
        "null",
        "{\"text\":",
        "<!DOCTYPE html><p>Hello</p>",
        "[ERROR] no backend",
        "<?xml version=\"1.0\"?><Error/>",
        &trace,
    ] {
        assert!(said_of(text).starts_with("no_answer: "), "{text}");
    }
    // Without a status nobody says that it is an answer, and with another one it is none.
    for status in ["", r#""status_code":null,"#, r#""status_code":500,"#] {
        for response in
            [format!(r#"{status}"body":"Good morning.""#), format!(r#""body":"Good morning.",{status}"x":1"#)]
        {
            let line = format!(r#"{{"custom_id":"a","response":{{{response}}}}}"#);
            assert_eq!(Answer::parse(line.as_bytes()).unwrap().outcome(), OutcomeKind::Failed, "{line}");
        }
    }
    let line = r#"{"custom_id":"a","response":{"body":"Good morning.","status_code":201}}"#;
    assert_eq!(Answer::parse(line.as_bytes()).unwrap().outcome(), OutcomeKind::Succeeded);
    let mut inspection = lote_lines::Inspection::default();
    inspection.read("f", line.as_bytes()).unwrap();
    assert_eq!((inspection.report().succeeded, inspection.report().anomalies), (1, vec![]));
}

#[test]
fn an_error_that_is_empty_is_none() {
    let good = json!({"text": "hi"});
    let empty = [
        json!(null),
        json!(false),
        json!(0),
        json!(0.0),
        json!(""),
        json!(" "),
        json!([]),
        json!({}),
        json!({"code": null, "message": ""}),
        json!({"code": 0, "message": null, "details": [], "retry": false}),
    ];
    for error in &empty {
        for line in [
            json!({"custom_id": "a", "response": {"status_code": 200, "body": good}, "error": error}),
            json!({"custom_id": "a", "response": {"status_code": 200, "body": {"text": "hi", "error": error}}}),
            json!({"custom_id": "a", "response": {"status_code": 200, "body": {"x": 1, "error": error}}}),
            json!({"custom_id": "a", "response": {"status_code": 200, "body":
                {"choices": [{"message": {"content": "hi"}, "finish_reason": "stop", "error": error}]}}}),
        ] {
            let line = line.to_string();
            let answer = Answer::parse(line.as_bytes()).unwrap();
            assert_eq!(answer.outcome(), OutcomeKind::Succeeded, "{line}");
            assert!(answer.error.is_none());
        }
        // Alone, it is no answer either.
        let line = json!({"custom_id": "a", "response": null, "error": error}).to_string();
        assert_eq!(Answer::parse(line.as_bytes()).unwrap().outcome(), OutcomeKind::Failed, "{line}");
    }
    for error in [json!(true), json!(1), json!("x"), json!([1]), json!({"code": 7}), json!({"x": {"y": 1}})] {
        let line =
            json!({"custom_id": "a", "response": {"status_code": 200, "body": good}, "error": error}).to_string();
        assert_eq!(Answer::parse(line.as_bytes()).unwrap().outcome(), OutcomeKind::Failed, "{line}");
    }
}

#[test]
fn a_lone_surrogate_takes_nothing_but_itself() {
    let line = r#"{"custom_id":"a","response":{"status_code":200,"body":{"model":"m\ud83d","choices":[{"message":{"content":"Santiago \ud83d"},"finish_reason":"stop"}],"usage":{"total_tokens":3}}}}"#;
    let answer = Answer::parse(line.as_bytes()).unwrap();
    assert_eq!(answer.outcome(), OutcomeKind::Succeeded);
    assert_eq!(answer.model().as_deref(), Some("m\u{fffd}"));
    assert_eq!(answer.usage().unwrap().total_tokens, 3);
    let body = answer.body().unwrap();
    let value: Value = serde_json::from_str(&lote_lines::replace_lone_surrogates(body.get())).unwrap();
    assert_eq!(value["choices"][0]["message"]["content"], "Santiago \u{fffd}");
    // The joined line keeps the bytes as they came.
    let mut out = Vec::new();
    answer.write_normalised(&mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains(r#""content":"Santiago \ud83d""#));
    // A body that is a text of JSON, with the surrogate in the text.
    let line = r#"{"custom_id":"a","response":{"status_code":200,"body":"{\"choices\":[{\"text\":\"x\ud83d\"}]}"}}"#;
    let answer = Answer::parse(line.as_bytes()).unwrap();
    assert_eq!(answer.outcome(), OutcomeKind::Succeeded);
    assert!(answer.body().unwrap().get().contains("x\u{fffd}"));
}
