//! What of each part of a body is an answer, one sign at a time.

use serde_json::{Value, json};

use super::{BESIDE, said};

/// Each body says this.
fn all(cases: impl IntoIterator<Item = (Value, &'static str)>) {
    for (body, expected) in cases {
        assert_eq!(said(&body), expected, "{body}");
    }
}

#[test]
fn of_choices() {
    const NOTHING: &str = "no_answer: the body has no choices that say something";
    const FAILED: &str = "no_answer: a choice ended in an error";
    let good = json!({"message": {"content": "hi"}});
    let cases = [
        (json!([good, {}]), "ok"),
        (json!([{}, good]), "ok"),
        (json!({"message": {"content": "hi"}}), NOTHING),
        // A model may say nothing, once it has ended.
        (json!([{"message": {"content": ""}, "finish_reason": "stop"}]), "ok"),
        (json!([{"message": {"content": ""}, "finish_reason": ""}]), NOTHING),
        (json!([{"message": {"content": ""}, "finish_reason": null}]), NOTHING),
        (json!([{"message": {"content": ""}, "finish_reason": 7}]), NOTHING),
        (json!([{"message": {"content": null}, "finish_reason": "stop"}]), NOTHING),
        (json!([{"message": {"content": 7}}]), "ok"),
        (json!([{"delta": {"content": "hi"}}]), "ok"),
        (json!([{"other": {"content": "hi"}}]), NOTHING),
        (json!([{"message": {"role": "assistant"}}]), NOTHING),
        (json!([{"message": {"reasoning": "hm"}}]), "ok"),
        (json!([{"message": {"reasoning": ""}}]), NOTHING),
        (json!([{"text": ""}]), "ok"),
        (json!([{"text": null}]), NOTHING),
        (json!([{"text": {}}]), NOTHING),
        (json!([{"finish_reason": "stop"}]), NOTHING),
        (json!([{"finish_reason": "length"}]), "ok cut_off"),
        // Parts of a content.
        (json!([{"message": {"content": []}}]), NOTHING),
        (json!([{"message": {"content": [null]}}]), NOTHING),
        (json!([{"message": {"content": ["hi"]}}]), "ok"),
        (json!([{"message": {"content": [{"type": "text"}]}}]), NOTHING),
        (json!([{"message": {"content": [{"type": "text", "text": ""}]}}]), "ok"),
        (json!([{"message": {"content": [{"type": "refusal"}, {"text": "hi"}]}}]), "ok refused"),
        (json!([{"message": {"content": [{"text": "hi"}, {"type": "text"}]}}]), "ok"),
        (
            json!([{"message": {"content": [{"type": "t", "id": "x", "index": 1, "annotations": [1], "logprobs": [1]}]}}]),
            NOTHING,
        ),
        // Refusals.
        (json!([{"message": {"refusal": "No."}}]), "ok refused"),
        (json!([{"message": {"refusal": ""}}]), NOTHING),
        (json!([{"message": {"refusal": 7}}]), NOTHING),
        (json!([{"message": {"refusal": "No."}}, good]), "ok refused"),
        (json!([{"message": {"refusal": "No."}, "delta": {"refusal": null}}]), "ok refused"),
        // One that failed makes all of them fail.
        (json!([{"message": {"content": "hi"}, "finish_reason": "error"}, good]), FAILED),
        (json!([good, {"message": {"content": "hi"}, "finish_reason": "error"}]), FAILED),
        (json!([good, {"finish_reason": "error", "error": null}]), FAILED),
        (json!([{"error": {"code": "c", "message": "m"}}, good]), "c: m"),
    ];
    all(cases.map(|(choices, expected)| (json!({ "choices": choices }), expected)));
}

#[test]
fn of_an_output() {
    const EMPTY: &str = "no_answer: the body has an empty output";
    const HOLLOW: &str = "no_answer: the output in the body says nothing";
    let part = |part: Value| json!([{"type": "message", "content": [part]}]);
    let cases = [
        (json!("hi"), "ok"),
        (json!({"a": 1}), "ok"),
        (json!(""), EMPTY),
        (json!({}), EMPTY),
        (json!(null), EMPTY),
        (json!([]), EMPTY),
        (json!([null]), EMPTY),
        (json!(["hi"]), "ok"),
        (json!([null, 7, null]), "ok"),
        (json!([{}]), HOLLOW),
        (json!([null, {}]), HOLLOW),
        (json!([{}, null]), HOLLOW),
        (json!([{"id": "i", "role": "assistant"}]), HOLLOW),
        (json!([{"type": "reasoning"}, {}]), "ok"),
        (json!([{"type": 7}]), HOLLOW),
        (json!([{"type": "message"}]), HOLLOW),
        (json!([{"type": "message", "phase": "x"}]), HOLLOW),
        (json!([{"phase": "x", "other": null}]), "ok"),
        (json!([{"phase": null}]), HOLLOW),
        (json!([{"type": "message", "content": "hi"}]), "ok"),
        (json!([{"type": "message", "content": ""}]), "ok"),
        (json!([{"type": "message", "content": {}}]), HOLLOW),
        (json!([{"type": "message", "content": null}]), HOLLOW),
        (json!([{"type": "message", "content": {"text": "hi"}}]), "ok"),
        (part(json!({"type": "output_text", "text": "hi"})), "ok"),
        (part(json!({"type": "output_text", "annotations": [1], "logprobs": [1], "id": "i", "index": 0})), HOLLOW),
        (part(json!({"type": "refusal", "refusal": "No."})), "ok refused"),
        (part(json!("hi")), "ok"),
        (part(json!(null)), HOLLOW),
        (json!([{"content": [{"text": "hi"}, {}]}, {"content": []}]), "ok"),
        (json!([{"type": "message", "status": "incomplete"}]), "ok cut_off"),
        (json!([{"type": "message", "status": "completed"}]), HOLLOW),
        (json!([{"status": "incomplete", "type": "message", "content": [{"text": "hi"}]}, "hi"]), "ok cut_off"),
        (json!([{"content": [{"type": "refusal"}, {"text": "hi"}]}, {"content": [{"text": "hi"}]}]), "ok refused"),
    ];
    all(cases.map(|(output, expected)| (json!({ "output": output }), expected)));
}

#[test]
fn of_data_and_results() {
    const NO_DATA: &str = "no_answer: the body has no data";
    const GAP: &str = "no_answer: an entry of the data in the body is empty";
    let data = [
        (json!("x"), "ok"),
        (json!({"a": 1}), "ok"),
        (json!({}), NO_DATA),
        (json!([]), NO_DATA),
        (json!([null]), NO_DATA),
        (json!(["x", null]), "ok"),
        (json!([{}]), GAP),
        (json!([{}, null]), GAP),
        (json!([{"index": 1, "revised_prompt": "x", "object": "image"}]), GAP),
        (json!([{"url": "u"}, {}]), "ok"),
        (json!([{"url": null}]), GAP),
        (json!([{"embedding": [1]}]), "ok"),
        (json!([{"embedding": "AP8="}, {"embedding": [1]}]), "ok"),
        (json!([{"embedding": [1]}, {"embedding": []}]), GAP),
        (json!([{"embedding": []}, {"embedding": [1]}]), GAP),
        (json!([{"object": "embedding"}, {"embedding": [1]}]), GAP),
        (json!([{"object": "embedding", "x": 1}]), GAP),
        (json!([{"object": "embedding", "embedding": [1]}, {"x": 1}]), "ok"),
    ];
    all(data.map(|(data, expected)| (json!({ "data": data }), expected)));
    const NO_RESULTS: &str = "no_answer: the body has no results";
    const NOTHING: &str = "no_answer: the results in the body say nothing";
    let results = [
        (json!("x"), "ok"),
        (json!({}), NO_RESULTS),
        (json!([]), NO_RESULTS),
        (json!([null]), NO_RESULTS),
        (json!([null, "x", null]), "ok"),
        (json!([{}]), NOTHING),
        (json!([{"x": null}, null]), NOTHING),
        (json!([{"x": null, "y": 1, "z": ""}, {}]), "ok"),
        (json!([{"flagged": false}]), "ok"),
    ];
    all(results.map(|(results, expected)| (json!({ "results": results }), expected)));
}

#[test]
fn of_the_body_as_a_whole() {
    let sent_back = "no_answer: the body is the request, sent back";
    let line_back = "no_answer: the body is the request line, sent back";
    let beside = "no_answer: the body has nothing in it but what stands beside an answer";
    assert_eq!(beside, BESIDE);
    all([
        (json!(7), "no_answer: 7"),
        (json!(false), "no_answer: the body is neither an object nor a text"),
        (json!([null, 1]), "ok"),
        (json!([1, null]), "ok"),
        // The request, unless something says that it was answered.
        (json!({"model": "m", "input": "x", "x": 1}), sent_back),
        (json!({"input": "x", "x": 1}), "ok"),
        (json!({"model": "m", "x": 1}), "ok"),
        (json!({"model": "m", "input": "x", "usage": null}), sent_back),
        (json!({"model": "m", "input": "x", "usage": {"total_tokens": 1}}), "ok"),
        (json!({"model": "m", "input": "x", "id": null}), sent_back),
        (json!({"model": "m", "input": "x", "id": "i", "created": null}), "ok"),
        (json!({"model": "m", "prompt": "x", "created_at": 1, "usage": null}), "ok"),
        (json!({"model": "m", "messages": [], "status": null}), sent_back),
        (json!({"model": "m", "messages": [], "status": "queued", "id": null}), "ok"),
        (json!({"method": "POST", "url": "u", "x": 1}), line_back),
        (json!({"method": "POST", "x": 1}), "ok"),
        (json!({"url": "u", "x": 1}), "ok"),
        // A key that holds an answer.
        (json!({"text": "x", "error": "e"}), "ok"),
        (json!({"text": {"format": {}}, "error": "e"}), "no_answer: e"),
        (json!({"output_text": "x", "text": null, "error": "e"}), "ok"),
        (json!({"content": "x", "answer": "", "error": "e"}), "ok"),
        (json!({"answer": [], "error": "e"}), "no_answer: e"),
        (json!({"x": 1, "error": "e"}), "no_answer: e"),
        // What it calls itself, and how it stands.
        (json!({"object": "text_completion", "x": 1}), "no_answer: the body is a completion without choices"),
        (json!({"object": "chat.completion.chunk", "x": 1}), "no_answer: the body is a completion without choices"),
        (json!({"object": "response", "x": 1}), "no_answer: the body is a response without output"),
        (json!({"object": "list", "x": 1}), "no_answer: the body is a list without data"),
        (json!({"object": 7, "id": "i"}), beside),
        (json!({"object": "video", "id": "v", "usage": {}}), beside),
        (json!({"object": "video", "id": "v", "usage": {}, "status": "queued"}), "ok"),
        (json!({"object": "video", "id": "v", "model": "m", "x": 1}), "ok"),
        (json!({"status": "error", "x": 1}), "no_answer: the status in the body is failed"),
        (json!({"status": "errored", "text": "x"}), "no_answer: the status in the body is failed"),
        (json!({"status": "failed", "choices": [{"text": "x"}]}), "ok"),
        (json!({"status": "failed", "data": ["x"]}), "ok"),
        (json!({"status": "canceled", "x": 1}), "no_answer: the status in the body is cancelled"),
        (json!({"status": "cancelled", "choices": [{"text": "x"}]}), "ok"),
        (json!({"status": "cancelled", "data": ["x"]}), "ok"),
        (json!({"status": "cancelled", "results": ["x"]}), "no_answer: the status in the body is cancelled"),
        // Cut off, filtered.
        (json!({"status": "incomplete"}), "ok cut_off"),
        (json!({"status": "incomplete", "error": "e"}), "no_answer: e"),
        (json!({"x": 1, "incomplete_details": {"reason": "content_filter", "more": "length"}}), "ok filtered"),
        (json!({"x": 1, "incomplete_details": {"reason": "max_output_tokens"}}), "ok cut_off"),
        (json!({"status": "incomplete", "incomplete_details": {"reason": "content_filter"}}), "ok filtered"),
        (
            json!({"output": [{"status": "incomplete"}], "incomplete_details": {"reason": "content_filter"}}),
            "ok filtered",
        ),
        (json!({"finish_reason": "model_length", "x": 1}), "ok cut_off"),
        (json!({"stop_reason": "safety", "finish_reason": "stop", "x": 1}), "ok filtered"),
        (json!({"finish_reason": "content_filtered", "stop_reason": "refusal", "x": 1}), "ok filtered refused"),
    ]);
}
