//! One outcome: its kind, each view of its answer, and what is said instead.

use lote::{FinishReason, ImageData, Outcome, OutcomeError};
use serde::Deserialize;
use serde_json::{Value, json};

pub(crate) fn outcome(line: &Value) -> Outcome {
    Outcome::from_line(line.to_string()).expect("an outcome")
}

/// An answer with this body.
fn answered(body: Value) -> Outcome {
    outcome(
        &json!({"custom_id": "a", "response": {"status_code": 200, "request_id": "r", "body": body}, "error": null}),
    )
}

fn chat(message: Value, finish: &str) -> Outcome {
    answered(json!({"choices": [{"message": message, "finish_reason": finish}], "usage": {"total_tokens": 7}}))
}

fn response(output: Value, extra: Value) -> Outcome {
    let mut body = json!({"object": "response", "status": "completed", "output": output});
    body.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
    answered(body)
}

fn said(result: Result<impl std::fmt::Debug, OutcomeError>) -> String {
    let error = result.expect_err("an error").to_string();
    error.strip_prefix("outcome \"a\": wanted ").map_or(error.clone(), str::to_owned)
}

#[test]
fn a_body_that_is_a_text_of_json_is_decoded() {
    let body = json!({"choices": [{"message": {"content": "hi"}}], "model": "m", "usage": {"total_tokens": 3}});
    for body in [body.clone(), Value::from(body.to_string())] {
        let outcome = answered(body);
        assert_eq!(outcome.text().expect("a text"), "hi");
        assert_eq!((outcome.model(), outcome.usage().map(|usage| usage.total_tokens)), (Some("m"), Some(3)));
        assert_eq!(outcome.request_id(), Some("r"));
        assert_eq!(outcome.body_as::<Value>().expect("JSON")["model"], "m");
    }
}

#[test]
fn text_is_that_of_every_endpoint() {
    for (outcome, text) in [
        (chat(json!({"content": "é\n"}), "stop"), "é\n"),
        (
            chat(
                json!({"content": [{"type": "text", "text": "a"}, {"type": "thinking", "text": "x"}, {"text": "b"}]}),
                "stop",
            ),
            "ab",
        ),
        (answered(json!({"choices": [{"text": "legacy"}]})), "legacy"),
        (chat(json!({"content": "cut o"}), "length"), "cut o"),
        (
            response(
                json!([{"type": "reasoning", "summary": []},
                    {"type": "message", "content": [{"type": "output_text", "text": "a"}, {"type": "output_text", "text": "b"}]},
                    {"type": "message", "content": []}]),
                json!({}),
            ),
            "ab",
        ),
    ] {
        assert_eq!(outcome.text().expect("a text"), text);
    }
}

fn message(texts: &[&str], status: &str) -> Value {
    let parts: Vec<Value> = texts.iter().map(|text| json!({"type": "output_text", "text": text})).collect();
    json!({"type": "message", "role": "assistant", "status": status, "content": parts})
}

#[test]
fn several_texts_are_each_given_and_never_one() {
    let begun_twice = [message(&["{\"a\": 1"], "completed"), message(&["{\"a\": 1}"], "completed")];
    let with_call = [
        message(&["Let me look."], "completed"),
        json!({"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}),
        message(&["It", " rains."], "completed"),
    ];
    let two = answered(json!({"choices": [{"message": {"content": "1"}}, {"message": {"content": "2"}}]}));
    for (outcome, texts, what) in [
        (response(json!(begun_twice), json!({})), ["{\"a\": 1", "{\"a\": 1}"], "messages"),
        (response(json!(with_call), json!({})), ["Let me look.", "It rains."], "messages"),
        (two, ["1", "2"], "answers"),
    ] {
        assert_eq!(outcome.texts().expect("texts"), texts);
        for error in [outcome.text().expect_err("several"), outcome.json::<Value>().expect_err("several")] {
            assert!(error.is_several() && !error.is_not_the_type());
            assert_eq!(error.count(), Some(2));
            assert!(error.to_string().ends_with(&format!("but found 2 {what}; texts() gives each")), "{error}");
            assert_eq!(error.outcome().line(), outcome.line());
        }
    }
    // One text, however it is divided, is one; JSON that is no more when put together says why.
    let parts = |texts: &[&str]| response(json!([message(texts, "completed")]), json!({}));
    assert_eq!(parts(&["{\"a\"", ":1}"]).json::<Value>().expect("JSON"), json!({"a": 1}));
    let error = parts(&["{\"a\": 1", "{\"a\": 1}", ""]).json::<Value>().expect_err("two in one");
    assert_eq!((error.is_several(), error.count()), (true, Some(2)));
    assert!(error.to_string().contains("found a text of 2 parts, which do not fit together: "), "{error}");
    // A message that is not whole cuts the answer off, whatever the response says of itself.
    let error = response(json!([message(&["{\"a\""], "incomplete")]), json!({})).json::<Value>().expect_err("cut off");
    assert!(error.is_cut_off(), "{error}");
    assert!(!chat(json!({"content": ""}), "stop").text().expect_err("nothing").is_several());
}

#[test]
fn half_of_a_surrogate_pair_is_one_strange_character_in_every_view() {
    let line = |body: &str| {
        let line = format!(r#"{{"custom_id":"a","response":{{"status_code":200,"body":{body}}}}}"#);
        Outcome::from_line(line).expect("an outcome")
    };
    let chat = line(
        r#"{"choices":[{"message":{"content":"Santiago \ud83d","tool_calls":[{"id":"\udc00c","function":{"name":"f\ud800","arguments":"{\"city\":\"\\ud83d!\"}"}}]},"finish_reason":"stop"}],"note\ud83d":"\ud83d\ude00"}"#,
    );
    assert_eq!(chat.text().expect("a text"), "Santiago \u{fffd}");
    assert_eq!(chat.texts().expect("texts"), ["Santiago \u{fffd}"]);
    let calls = chat.tool_calls().expect("calls");
    assert_eq!((calls[0].id.as_str(), calls[0].name.as_str()), ("\u{fffd}c", "f\u{fffd}"));
    assert_eq!(calls[0].arguments_as::<Value>().expect("JSON"), json!({"city": "\u{fffd}!"}));
    assert_eq!(chat.body_as::<Value>().expect("JSON")["note\u{fffd}"], "\u{1f600}");
    assert!(serde_json::from_str::<Value>(chat.body().expect("a body")).is_ok());
    assert!(chat.line().contains(r"Santiago \ud83d"), "the line stays as it came");

    let structured = line(r#"{"choices":[{"message":{"content":"{\"city\":\"\\udfff\"}"}}]}"#);
    assert_eq!(structured.json::<Value>().expect("JSON"), json!({"city": "\u{fffd}"}));
    let refused = line(r#"{"output":[{"type":"message","content":[{"type":"refusal","refusal":"No \ud800."}]}]}"#);
    assert_eq!(refused.refusal().expect("a refusal"), "No \u{fffd}.");
    let image = line(r#"{"data":[{"b64_json":"AP8=","revised_prompt":"a lake \ud83d"}]}"#);
    assert_eq!(image.images().expect("images")[0].revised_prompt.as_deref(), Some("a lake \u{fffd}"));
    let vector = line(r#"{"model":"m\ud83d","data":[{"index":0,"embedding":[1.5]}]}"#);
    assert_eq!(vector.embedding().expect("a vector"), [1.5]);
}

#[test]
fn an_answer_that_succeeded_may_fall_short() {
    let incomplete = |reason: &str| {
        response(
            json!([message(&["x"], "incomplete")]),
            json!({"status": "incomplete", "incomplete_details": {"reason": reason}}),
        )
    };
    let refusal = json!([{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]);
    for (outcome, cut_off, filtered, refused) in [
        (chat(json!({"content": "x"}), "stop"), false, false, false),
        (chat(json!({"content": "x"}), "length"), true, false, false),
        (chat(json!({"content": null}), "content_filter"), false, true, false),
        (chat(json!({"content": null, "refusal": "No."}), "stop"), false, false, true),
        (incomplete("max_output_tokens"), true, false, false),
        (incomplete("content_filter"), false, true, false),
        (response(json!([message(&["x"], "incomplete")]), json!({})), true, false, false),
        (response(refusal, json!({})), false, false, true),
        // What failed is not told as something less.
        (
            outcome(
                &json!({"custom_id": "a", "response": {"status_code": 500, "body": {"choices": [{"finish_reason": "length", "message": {"content": "x"}}]}}}),
            ),
            false,
            false,
            false,
        ),
    ] {
        let told = (outcome.is_cut_off(), outcome.is_filtered(), outcome.is_refused());
        assert_eq!(told, (cut_off, filtered, refused), "{}", outcome.line());
    }
}

#[test]
fn what_a_view_does_not_need_is_not_in_its_way() {
    let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
    let line = |body: String| {
        let line = format!(r#"{{"custom_id":"a","response":{{"status_code":200,"body":{body}}}}}"#);
        Outcome::from_line(line).expect("an outcome")
    };
    let chat = line(format!(
        r#"{{"created":1e999,"choices":[{{"logprobs":{deep},"message":{{"content":"x","extra":{deep}}},"finish_reason":"stop"}}]}}"#
    ));
    assert_eq!(chat.text().expect("a text"), "x");
    assert_eq!(chat.finish_reason().expect("a reason"), FinishReason::Stop);
    let vector = line(format!(r#"{{"usage":{deep},"data":[{{"embedding":[2],"meta":{deep}}}],"n":-1e999}}"#));
    assert_eq!(vector.embedding().expect("a vector"), [2.0]);
    let image = line(format!(r#"{{"created":1e999,"data":[{{"b64_json":"AP8=","meta":{deep}}}]}}"#));
    assert_eq!(image.images().expect("images").len(), 1);
    assert_eq!(
        said(line(format!(r#"{{"a":{deep},"b":1e999}}"#)).text()),
        "a text, but found an object of another kind, with the keys a, b"
    );
}

#[test]
fn what_there_was_instead_is_said_and_the_answer_kept() {
    let call = json!({"content": null, "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]});
    let refusal = chat(json!({"content": null, "refusal": "I cannot."}), "stop");
    let refused_response =
        response(json!([{"type": "message", "content": [{"type": "refusal", "refusal": "No."}]}]), json!({}));
    let failed = outcome(
        &json!({"custom_id": "a", "response": {"status_code": 429, "body": {"error": {"code": "rate_limit", "message": "slow\ndown"}, "usage": {"total_tokens": 2}}}}),
    );
    let image = answered(json!({"data": [{"b64_json": "AP8="}]}));
    for (found, expected) in [
        (said(refusal.text()), "a text, but found a refusal: \"I cannot.\""),
        (said(refused_response.text()), "a text, but found a refusal: \"No.\""),
        (said(chat(call.clone(), "tool_calls").text()), "a text, but found calls of tools: f"),
        (said(chat(call, "tool_calls").refusal()), "a refusal, but found calls of tools: f"),
        (
            said(chat(json!({"content": null}), "content_filter").text()),
            "a text, but the service held the answer back because of its content",
        ),
        (
            said(chat(json!({"content": ""}), "length").text()),
            "a text, but the answer was cut off before its first word; raise the limit of tokens",
        ),
        (
            said(chat(json!({"content": ""}), "stop").text()),
            "a text, but found an empty answer, with finish reason stop",
        ),
        (said(chat(json!({"content": "hello"}), "stop").tool_calls()), "tool calls, but found a text of 5 characters"),
        (said(chat(json!({"content": "hello"}), "stop").refusal()), "a refusal, but found a text of 5 characters"),
        (said(chat(json!({"content": "hello"}), "stop").images()), "images, but found a text of 5 characters"),
        (
            said(answered(json!({"choices": []})).text()),
            "a text, but the request line failed, with status 200: no_answer: the body has no choices that say something",
        ),
        (
            said(answered(json!({"choices": [{"message": {"content": "x"}}]})).finish_reason()),
            "a finish reason, but found a text of 1 character",
        ),
        (
            said(response(json!([]), json!({"status": "failed", "error": {"message": "broken"}})).text()),
            "a text, but the request line failed, with status 200: no_answer: broken",
        ),
        (
            said(
                response(
                    json!([]),
                    json!({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}),
                )
                .text(),
            ),
            "a text, but the answer was cut off before its first word; raise the limit of tokens",
        ),
        (said(image.text()), "a text, but found images: 1"),
        (said(image.embeddings()), "embeddings, but found images: 1"),
        (
            said(answered(json!({"data": [{"embedding": [1]}, {"embedding": [2]}]})).text()),
            "a text, but found embeddings: 2",
        ),
        (
            said(answered(json!({"results": [{"flagged": false}], "id": "modr"})).text()),
            "a text, but found an object of another kind, with the keys results, id",
        ),
        (
            said(answered(json!("Bad gateway")).text()),
            "a text, but the request line failed, with status 200: no_answer: Bad gateway",
        ),
        (said(answered(json!("plain")).embeddings()), "embeddings, but found a text of 5 characters"),
        (
            said(answered(Value::Null).text()),
            "a text, but the request line failed, with status 200: no_answer: the body is null",
        ),
        (said(failed.text()), "a text, but the request line failed, with status 429: rate_limit: slow down"),
        (
            said(outcome(&json!({"custom_id": "a", "error": {"code": "batch_expired"}})).embedding()),
            "one embedding, but the request line expired: batch_expired",
        ),
    ] {
        assert_eq!(found, expected);
    }
    assert_eq!(answered(json!("plain")).text().expect("a transcript"), "plain");
    let error = refusal.text().expect_err("a refusal");
    assert!(error.is_refusal() && !error.is_unanswered());
    assert_eq!(error.usage().map(|usage| usage.total_tokens), Some(7));
    assert_eq!(error.into_outcome().line(), refusal.line());
    let error = failed.text().expect_err("a failure");
    assert!(error.is_unanswered());
    assert_eq!(error.usage().map(|usage| usage.total_tokens), Some(2));
    // What was answered is nobody's business in a log, but for what the message quotes.
    let secret = chat(json!({"content": "hunter2 ".repeat(100)}), "stop");
    let debug = format!("{secret:?} {:?}", secret.images());
    assert!(!debug.contains("hunter2"), "{debug}");
}

#[test]
fn refusals_tool_calls_and_reasons_are_read() {
    assert_eq!(chat(json!({"refusal": "No."}), "stop").refusal().expect("a refusal"), "No.");
    #[derive(Debug, PartialEq, Deserialize)]
    struct Place {
        city: String,
    }
    let function = json!({"name": "f", "arguments": "{\"city\":\"Lima\"}"});
    for outcome in [
        chat(
            json!({"content": "", "tool_calls": [{"id": "c", "type": "function", "function": function}]}),
            "tool_calls",
        ),
        chat(
            json!({"tool_calls": [{"id": "c", "function": {"name": "f", "arguments": {"city": "Lima"}}}]}),
            "tool_calls",
        ),
        response(
            json!([{"type": "function_call", "id": "fc", "call_id": "c", "name": "f", "arguments": "{\"city\":\"Lima\"}"}]),
            json!({}),
        ),
    ] {
        let calls = outcome.tool_calls().expect("calls");
        assert_eq!((calls.len(), calls[0].id.as_str(), calls[0].name.as_str()), (1, "c", "f"));
        assert_eq!(calls[0].arguments_as::<Place>().expect("a place"), Place { city: "Lima".to_owned() });
        let error = calls[0].arguments_as::<Vec<u8>>().expect_err("no list");
        assert!(error.is_undecodable() && error.to_string().starts_with("arguments of tool call f (c): "), "{error}");
        assert_eq!(outcome.finish_reason().expect("a reason"), FinishReason::ToolCalls);
    }
    let incomplete =
        |reason: &str| response(json!([]), json!({"status": "incomplete", "incomplete_details": {"reason": reason}}));
    for (outcome, reason) in [
        (chat(json!({"content": "x"}), "stop"), FinishReason::Stop),
        (chat(json!({"content": "x"}), "length"), FinishReason::Length),
        (chat(json!({"content": "x"}), "content_filter"), FinishReason::ContentFilter),
        (chat(json!({"content": "x"}), "eos"), FinishReason::Other("eos".to_owned())),
        (response(json!([message(&["x"], "completed")]), json!({})), FinishReason::Stop),
        (response(json!([message(&["x"], "incomplete")]), json!({})), FinishReason::Length),
        (incomplete("max_output_tokens"), FinishReason::Length),
        (incomplete("content_filter"), FinishReason::ContentFilter),
        (incomplete("tired"), FinishReason::Other("tired".to_owned())),
    ] {
        assert_eq!(outcome.finish_reason().expect("a reason"), reason);
    }
}

#[test]
fn json_is_read_or_the_answer_kept() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct Verdict {
        good: bool,
    }
    assert!(chat(json!({"content": " {\"good\":true}\n"}), "stop").json::<Verdict>().expect("a verdict").good);
    let cut = chat(json!({"content": "{\"good\":tr"}), "length");
    let error = cut.json::<Verdict>().expect_err("cut off");
    assert!(error.is_cut_off());
    assert_eq!(
        error.to_string(),
        "outcome \"a\": wanted JSON of Verdict, but the answer was cut off (EOF while parsing a value at line 1 column 10); \
         raise the limit of tokens"
    );
    assert_eq!(error.outcome().text().expect("the text"), "{\"good\":tr");
    let error = chat(json!({"content": "{\"good\":1}"}), "stop").json::<Verdict>().expect_err("another type");
    assert!(error.is_not_the_type() && error.usage().is_some());
    let expected =
        "the text does not fit: invalid type: integer `1`, expected a boolean at line 1 column 9: \"{\\\"good\\\":1}\"";
    assert!(error.to_string().ends_with(expected), "{error}");
    assert!(
        chat(json!({"content": "{\"go"}), "content_filter").json::<Verdict>().expect_err("held back").is_filtered()
    );
    assert!(chat(json!({"refusal": "No."}), "stop").json::<Vec<Verdict>>().expect_err("refused").is_refusal());
}

#[test]
fn vectors_are_read_as_numbers_and_as_base64_in_the_order_of_the_inputs() {
    // 1.0, -2.5 and 0.1 as 32-bit floats, little end first.
    let base64 = "AACAPwAAIMDNzMw9";
    let numbers =
        answered(json!({"data": [{"index": 1, "embedding": [0.5]}, {"index": 0, "embedding": [1.0, -2.5, 0.1]}]}));
    assert_eq!(numbers.embeddings().expect("vectors"), [vec![1.0, -2.5, 0.1], vec![0.5]]);
    let packed = answered(json!({"data": [{"index": 0, "embedding": base64}]}));
    assert_eq!(packed.embedding().expect("a vector"), [1.0, -2.5, 0.1]);
    let without_index = answered(json!({"data": [{"embedding": [1]}, {"embedding": [2]}]}));
    assert_eq!(without_index.embeddings().expect("vectors"), [[1.0], [2.0]]);
    for (data, expected) in [
        (
            json!([{"index": 0, "embedding": "AACA"}]),
            "vectors that cannot be read: 3 bytes are no whole number of 32-bit floats",
        ),
        (json!([{"index": 0, "embedding": "!"}]), "vectors that cannot be read: invalid base64: "),
        (json!([{"index": 0, "embedding": ["x"]}]), "vectors that cannot be read: invalid type: string"),
        (
            json!([{"index": 0, "embedding": [1]}, {"index": 2, "embedding": [1]}]),
            "vectors whose indexes are not 0, 1, 2, …: 2 in place of 1",
        ),
        (
            json!([{"index": 0, "embedding": [1]}, {"embedding": [1]}]),
            "vectors whose indexes are not 0, 1, 2, …: none in place of 0",
        ),
    ] {
        let error = said(answered(json!({"data": data})).embeddings());
        assert!(error.starts_with(&format!("embeddings, but found {expected}")), "{error}");
    }
    assert_eq!(said(numbers.embedding()), "one embedding, but found 2");
}

#[test]
fn images_are_bytes_or_a_url() {
    let outcome = answered(json!({"data": [
        {"b64_json": "AP8=", "revised_prompt": "a lake"}, {"url": "https://example.com/x.png"}, {"url": "data:image/png;base64,AP8"},
    ]}));
    let images = outcome.images().expect("images");
    let bytes = ImageData::Bytes(vec![0, 255]);
    assert_eq!((&images[0].data, images[0].revised_prompt.as_deref()), (&bytes, Some("a lake")));
    assert_eq!(images[1].data, ImageData::Url("https://example.com/x.png".to_owned()));
    assert_eq!(images[2].data, bytes);
    assert_eq!(format!("{:?}", images[0].data), "Bytes(2 bytes)");
    let made = response(json!([{"type": "image_generation_call", "result": "AP8="}]), json!({}));
    assert_eq!(made.images().expect("images")[0].data, bytes);
    assert_eq!(
        said(answered(json!({"data": [{"b64_json": "*"}]})).images()).split(": ").next(),
        Some("images, but found image 0 in invalid base64")
    );
}

/// Every view, called for its panics alone.
fn try_every_view(outcome: &Outcome) {
    let _ = (outcome.text(), outcome.texts(), outcome.json::<Value>(), outcome.tool_calls(), outcome.refusal());
    let _ = (
        outcome.finish_reason(),
        outcome.embedding(),
        outcome.embeddings(),
        outcome.images(),
        outcome.body_as::<Value>(),
    );
    let _ = (format!("{outcome:?}"), outcome.body(), outcome.usage(), outcome.kind());
}

#[test]
fn no_line_however_damaged_makes_a_panic() {
    let seeds = [
        chat(
            json!({"content": "{\"a\":1}", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{}"}}]}),
            "stop",
        ),
        response(
            json!([{"type": "message", "content": [{"type": "output_text", "text": "é\u{1F600}"}]}]),
            json!({"incomplete_details": {"reason": "x"}}),
        ),
        answered(json!({"data": [{"index": 0, "embedding": "AACAPwAAIMA="}, {"index": 1, "embedding": [1.5, -2e9]}]})),
        answered(json!({"data": [{"b64_json": "AP8=", "url": "data:x;base64,AP8="}]})),
        answered(Value::from(json!({"choices": [{"message": {"content": [{"text": "x"}]}}]}).to_string())),
        outcome(&json!({"custom_id": "a", "error": {"code": "batch_expired", "message": "{\"x\":1}"}})),
    ];
    let pieces =
        ["{", "}", "[", "]", "\"", "\\", "null", "true", "1e999", ":", ",", "é", "\\ud800", "\"data\":", "-1", "\0"];
    let mut state = 11_u64;
    let mut below = |limit: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % limit
    };
    let mut read = 0;
    for round in 0..20_000 {
        let mut line: Vec<char> = seeds[round % seeds.len()].line().chars().collect();
        for _ in 0..=below(3) {
            let (from, piece) = (below(line.len()), pieces[below(pieces.len())]);
            let to = (from + below(4)).min(line.len());
            line.splice(from..to, piece.chars());
        }
        if let Ok(outcome) = Outcome::from_line(line.iter().collect::<String>()) {
            read += 1;
            try_every_view(&outcome);
        }
    }
    assert!(read > 2_000, "{read}");
    // Values of every type in every place.
    for value in [
        json!(null),
        json!(true),
        json!(-1),
        json!(1e300),
        json!("x"),
        json!([[]]),
        json!([{"x": []}]),
        json!({"y": {}}),
    ] {
        for name in ["choices", "output", "data", "usage", "model", "error", "status", "incomplete_details"] {
            try_every_view(&answered(json!({ name: value })));
            try_every_view(&answered(
                json!({ name: [value, {"message": value, "embedding": value, "b64_json": value, "content": value, "type": value}] }),
            ));
        }
        try_every_view(&answered(value));
    }
    // Deeper than any parser recurses.
    let deep = format!("{}1{}", "[".repeat(200_000), "]".repeat(200_000));
    let line = format!(r#"{{"custom_id":"a","response":{{"status_code":200,"body":{{"choices":{deep}}}}}}}"#);
    try_every_view(&Outcome::from_line(line).expect("an outcome"));
}
