//! A slow, plain model of what an answer is, over trees of JSON, and changes of such trees at random.

use serde_json::{Value, json};

/// A linear congruential generator: the same numbers on every machine.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

/// Bodies of every endpoint, good and bad.
pub(crate) fn seeds() -> Vec<Value> {
    let message = json!({"role": "assistant", "content": "hi", "refusal": null});
    let part = json!({"type": "output_text", "text": "hi"});
    let refusal = json!({"type": "refusal", "refusal": "No."});
    vec![
        json!({"id": "c", "object": "chat.completion", "model": "m", "usage": {"total_tokens": 3}, "error": null,
            "choices": [{"index": 0, "message": message, "finish_reason": "stop", "error": null}]}),
        json!({"choices": [{"message": message, "finish_reason": "length"}, {"text": "x", "finish_reason": "content_filter"}]}),
        json!({"choices": [{"message": {"content": [part, refusal], "refusal": "No."}, "finish_reason": "error"}]}),
        json!({"id": "r", "object": "response", "status": "completed", "incomplete_details": null, "error": null,
            "output": [{"type": "message", "content": [part, refusal]}]}),
        json!({"object": "response", "status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}, "output": []}),
        json!({"object": "response", "status": "failed", "error": {"code": "c", "message": "m"}, "output": []}),
        json!({"object": "list", "data": [{"embedding": [1]}], "model": "m"}),
        json!({"id": "m", "model": "m", "results": [{"flagged": false}]}),
        json!({"id": "v", "object": "video", "status": "queued", "model": "m", "prompt": "p", "error": null}),
        json!({"model": "m", "messages": [message], "temperature": 0}),
        json!({"custom_id": "a", "method": "POST", "url": "/v1/embeddings", "body": {"input": "x"}}),
        json!({"error": {"code": "c", "message": "m"}}),
        json!({"message": "m", "code": 1, "status": "error"}),
        json!({"type": "error", "detail": "m", "text": "x"}),
        json!({"content": [part], "stop_reason": "max_tokens", "type": "message"}),
        json!({"x": 1}),
        json!("a text"),
        json!("Bad gateway"),
        json!({"id": "x", "object": "thing", "model": "m", "usage": {"total_tokens": 3}}),
        json!([1]),
    ]
}

/// Changes one place.
pub(crate) fn change(value: &mut Value, random: &mut Random) {
    let small = [
        json!(0),
        json!(false),
        json!(null),
        json!({}),
        json!([]),
        json!(""),
        json!("x"),
        json!(1),
        json!("error"),
        json!("length"),
        json!("content_filter"),
        json!("failed"),
        json!("incomplete"),
        json!("refusal"),
        json!([null]),
        json!({"y": null}),
        json!("response"),
        json!("cancelled"),
        json!("chat.completion"),
    ];
    match value {
        Value::Object(object) if !object.is_empty() && random.below(8) > 0 => {
            let keys: Vec<String> = object.keys().cloned().collect();
            let key = &keys[random.below(keys.len())];
            match random.below(6) {
                0 => {
                    object.remove(key);
                }
                1 => {
                    let names = [
                        "error",
                        "choices",
                        "output",
                        "data",
                        "status",
                        "message",
                        "id",
                        "text",
                        "object",
                        "finish_reason",
                    ];
                    object
                        .insert(names[random.below(names.len())].to_owned(), small[random.below(small.len())].clone());
                }
                _ => change(&mut object[key], random),
            }
        }
        Value::Array(values) if !values.is_empty() && random.below(8) > 0 => {
            let at = random.below(values.len());
            match random.below(5) {
                0 => {
                    values.remove(at);
                }
                1 => values.push(small[random.below(small.len())].clone()),
                _ => change(&mut values[at], random),
            }
        }
        _ => *value = small[random.below(small.len())].clone(),
    }
}

fn says_nothing(value: &Value) -> bool {
    let empty = |value: &Value| value.is_null() || value == "";
    match value {
        Value::Object(object) => object.values().all(empty),
        other => empty(other),
    }
}

/// Whether what stands in the place of an error is none.
pub(crate) fn no_error(value: &Value) -> bool {
    let off = |value: &Value| match value {
        Value::Bool(on) => !on,
        Value::Number(number) => number.as_f64() == Some(0.0),
        Value::String(text) => text.trim().is_empty(),
        other => empty(other),
    };
    match value {
        Value::Object(object) => object.values().all(off),
        other => off(other),
    }
}

fn empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(values) => values.is_empty(),
        Value::Object(object) => object.is_empty(),
        _ => false,
    }
}

fn word(value: Option<&Value>) -> String {
    value.and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// Cut off, filtered, refused.
fn reason(value: Option<&Value>) -> [bool; 3] {
    match word(value).to_lowercase().as_str() {
        "length" | "max_tokens" | "max_output_tokens" | "model_length" => [true, false, false],
        "content_filter" | "content_filtered" | "safety" => [false, true, false],
        "refusal" => [false, false, true],
        _ => [false; 3],
    }
}

fn each(value: Option<&Value>) -> impl Iterator<Item = &Value> {
    value.and_then(Value::as_array).into_iter().flatten()
}

fn has_refusal(parts: Option<&Value>) -> bool {
    each(parts).any(|part| part.get("type").is_some_and(|kind| kind == "refusal"))
}

fn choice_refuses(choice: &Value) -> bool {
    ["message", "delta"]
        .iter()
        .filter_map(|name| choice.get(*name))
        .any(|message| !word(message.get("refusal")).is_empty() || has_refusal(message.get("content")))
}

fn text_or_more(value: &Value) -> bool {
    value.is_string() || !empty(value)
}

/// A part of a content that is more than marks.
fn part_says(part: &Value) -> bool {
    part.as_object().map_or(!part.is_null(), |part| {
        let marks = ["type", "id", "index", "annotations", "logprobs"];
        part.iter().any(|(key, value)| !marks.contains(&key.as_str()) && text_or_more(value))
    })
}

fn item_says(item: &Value) -> bool {
    let Some(object) = item.as_object() else { return !item.is_null() };
    let message = word(object.get("type")) == "message";
    let content = match object.get("content") {
        Some(Value::Array(parts)) => parts.iter().any(part_says),
        Some(other) => text_or_more(other),
        None => false,
    };
    let own = ["id", "role", "type", "status", "content"];
    let more = object.iter().any(|(key, value)| !own.contains(&key.as_str()) && !empty(value));
    content
        || word(object.get("status")) == "incomplete"
        || (!message && (more || object.get("type").is_some_and(Value::is_string)))
}

/// All embeddings are there, and of other lists one entry that holds something.
fn data_says(values: &[Value]) -> bool {
    let gap = values.iter().filter_map(Value::as_object).any(|entry| match entry.get("embedding") {
        Some(embedding) => empty(embedding),
        None => word(entry.get("object")) == "embedding",
    });
    let marks = ["object", "index", "revised_prompt"];
    let holds = |entry: &Value| match entry {
        Value::Object(entry) => entry.iter().any(|(key, value)| !marks.contains(&key.as_str()) && !empty(value)),
        other => !other.is_null(),
    };
    !gap && values.iter().any(holds)
}

fn result_says(result: &Value) -> bool {
    result.as_object().map_or(!result.is_null(), |result| result.values().any(|value| !empty(value)))
}

fn choice_says(choice: &Value) -> bool {
    let finished = !word(choice.get("finish_reason")).is_empty();
    let message = choice.get("message").and_then(Value::as_object);
    let says = message.is_some_and(|message| {
        (finished && message.get("content").is_some_and(Value::is_string))
            || message.iter().any(|(key, value)| match (key.as_str(), value) {
                ("role", _) => false,
                ("refusal", value) => value.as_str().is_some_and(|text| !text.is_empty()),
                ("content", Value::Array(parts)) => parts.iter().any(part_says),
                (_, value) => !empty(value),
            })
    });
    choice.get("text").is_some_and(Value::is_string) || says || reason(choice.get("finish_reason")) != [false; 3]
}

/// What a body that holds an answer falls short of.
pub(crate) fn shortfall(body: &Value) -> [bool; 3] {
    if let Some(inner) = body.as_str().and_then(|text| serde_json::from_str::<Value>(text.trim()).ok()) {
        return shortfall(&inner);
    }
    let mut all = [false; 3];
    let mut add = |more: [bool; 3]| (0..3).for_each(|at| all[at] |= more[at]);
    for choice in each(body.get("choices")) {
        add(reason(choice.get("finish_reason")));
        add([false, false, choice_refuses(choice)]);
    }
    for item in each(body.get("output")) {
        add([false, false, has_refusal(item.get("content"))]);
    }
    // One of these is there at a time in what this model is asked; the last one counts.
    let own = ["finish_reason", "stop_reason", "incomplete_details"].iter().filter_map(|name| {
        let value = body.get(*name)?;
        if *name == "incomplete_details" {
            value.get("reason").map(|_| reason(value.get("reason")))
        } else {
            Some(reason(Some(value)))
        }
    });
    own.for_each(&mut add);
    let incomplete = body.get("status").is_some_and(|status| status == "incomplete");
    all[0] |= incomplete && !all[1];
    all
}

pub(crate) fn holds_an_answer(body: &Value) -> bool {
    let object = match body {
        Value::Null | Value::Bool(_) | Value::Number(_) => return false,
        Value::String(text) => {
            let text = text.trim();
            if text.starts_with(['{', '[']) {
                return serde_json::from_str(text).is_ok_and(|inner| holds_an_answer(&inner));
            }
            // Of the texts that are asked about here.
            let plain = text.trim_start_matches(|char: char| !char.is_alphanumeric());
            let trouble = ["error", "failed", "cancelled"].iter().any(|word| plain.starts_with(word))
                || text.contains("Bad gateway");
            return !text.is_empty() && !text.starts_with('<') && text != "null" && !trouble;
        }
        Value::Array(values) => return values.iter().any(|value| !value.is_null()),
        Value::Object(object) => object,
    };
    if object.is_empty() {
        return false;
    }
    let get = |name: &str| object.get(name);
    let errs = |value: Option<&Value>| value.is_some_and(|error| !no_error(error));
    if each(get("choices"))
        .any(|choice| choice.get("finish_reason").is_some_and(|r| r == "error") || errs(choice.get("error")))
    {
        return false;
    }
    let list = |name: &str| {
        get(name).map(|value| match value {
            Value::Array(values) if name == "output" => values.iter().any(item_says),
            Value::Array(values) if name == "data" => data_says(values),
            Value::Array(values) => values.iter().any(result_says),
            other => !empty(other),
        })
    };
    let choices = get("choices").map(|_| each(get("choices")).any(choice_says));
    let lists = [choices, list("output"), list("data"), list("results")];
    let status = word(get("status"));
    let over = ["failed", "error", "errored", "cancelled", "canceled"].contains(&status.as_str());
    if over && choices != Some(true) && list("data") != Some(true) {
        return false;
    }
    let texts = ["text", "output_text"].iter().any(|name| get(name).is_some_and(Value::is_string));
    let contents = [
        "content",
        "embedding",
        "embeddings",
        "completion",
        "generated_text",
        "response",
        "responses",
        "candidates",
        "outputs",
        "result",
        "images",
        "image",
        "answer",
        "predictions",
        "score",
        "scores",
    ];
    let told = ["message", "msg", "detail", "details", "errors"];
    let said = told.iter().filter_map(|name| get(name)).any(|value| value.is_object() && !says_nothing(value));
    if lists.contains(&Some(true))
        || texts
        || said
        || contents.iter().any(|name| get(name).is_some_and(|value| !empty(value)))
    {
        return true;
    }
    let named = word(get("object"));
    let is_error = named == "error" || word(get("type")) == "error";
    if errs(get("error")) || is_error {
        return false;
    }
    if status == "incomplete" {
        return true;
    }
    if lists.contains(&Some(false)) {
        return false;
    }
    if ["chat.completion", "text_completion", "chat.completion.chunk", "response", "list"].contains(&named.as_str()) {
        return false;
    }
    let unnamed = !get("object").is_some_and(Value::is_string);
    let asked = get("model").is_some() && ["messages", "input", "prompt"].iter().any(|name| get(name).is_some());
    let answered =
        ["id", "created", "created_at", "usage"].iter().any(|name| get(name).is_some_and(|value| !value.is_null()))
            || get("status").is_some_and(Value::is_string);
    if unnamed && ((asked && !answered) || (get("method").is_some() && get("url").is_some())) {
        return false;
    }
    let bare =
        ["id", "object", "created", "created_at", "model", "usage", "service_tier", "system_fingerprint", "status"];
    let is_bare = |(key, value): (&String, &Value)| bare.contains(&key.as_str()) || (key == "error" && no_error(value));
    let costs = get("model").is_some() || get("usage").is_some();
    if object.iter().all(is_bare) && (unnamed || (costs && get("status").is_none())) {
        return false;
    }
    let words = [
        "code",
        "param",
        "title",
        "success",
        "ok",
        "request_id",
        "requestId",
        "timestamp",
        "path",
        "status_code",
        "statusCode",
        "error_code",
        "error_type",
        "instance",
        "trace_id",
        "status",
        "type",
        "error",
    ];
    let only_words = object
        .iter()
        .all(|(key, value)| words.contains(&key.as_str()) || (told.contains(&key.as_str()) && !value.is_object()));
    let says = told.iter().filter_map(|name| get(name)).any(|value| value.is_string() || value.is_array());
    !(only_words && says)
}
