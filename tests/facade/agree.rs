//! Holds `lote check` and the gateway's own checks of bodies against each other: both state what OpenAI's description says,
//! each from its own code (docs/facts.md, 3.4).

use std::{collections::BTreeMap, time::Duration};

use lote::{
    Cadence, Client, Dialect, Endpoint, UploadPurpose, Waited,
    lines::{CheckOptions, check},
};
use lote_gateway::Gateway;
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const EMBEDDINGS: &str = "/v1/embeddings";
const COMPLETIONS: &str = "/v1/completions";
const MODERATIONS: &str = "/v1/moderations";
const IMAGES: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";
const VIDEOS: &str = "/v1/videos";

/// Each dialect with the prefix under which the gateway is that service.
const SERVICES: [(&str, &str); 2] = [("openai", "/v1"), ("mka1", "/api/v1/llm")];

/// What both say of a body.
#[derive(Clone, Copy, Debug)]
enum Said {
    Taken,
    /// One thing is wrong, in this field; of two names either.
    Refused(&'static str),
    /// The same at OpenAI only; no source says so of MKA1, which takes it.
    RefusedByOpenAi(&'static str),
}

use Said::{Refused, RefusedByOpenAi, Taken};

/// A body that the endpoint takes.
fn good(endpoint: &str) -> Value {
    match endpoint {
        CHAT => json!({"model": "m", "messages": [{"role": "user", "content": "a"}]}),
        RESPONSES | EMBEDDINGS | MODERATIONS => json!({"model": "m", "input": "a"}),
        EDITS => json!({"model": "m", "prompt": "a", "images": [{"file_id": "file-1"}]}),
        _ => json!({"model": "m", "prompt": "a"}),
    }
}

/// The same with these fields; `"ABSENT"` takes one away.
fn with(endpoint: &str, fields: &Value) -> Value {
    let mut body = good(endpoint);
    let object = body.as_object_mut().expect("an object");
    for (name, value) in fields.as_object().expect("an object") {
        if value == "ABSENT" {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    body
}

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[rustfmt::skip]
fn rows() -> Vec<(&'static str, Value, Said)> {
    let message = |message: Value| json!({"messages": [message]});
    let item = |item: Value| json!({"input": [item]});
    let text = json!({"type": "text", "text": "a"});
    vec![
        (CHAT, json!({}), Taken),
        (CHAT, json!({"messages": "ABSENT"}), Refused("messages")),
        (CHAT, json!({"messages": null}), Refused("messages")),
        (CHAT, json!({"messages": []}), Refused("messages")),
        (CHAT, json!({"messages": "ABSENT", "prompt": "a"}), Refused("messages|prompt")),
        (CHAT, json!({"messages": null, "prompt": "a"}), Refused("messages|prompt")),
        (CHAT, json!({"model": ""}), Refused("model")),
        (CHAT, json!({"model": null}), Refused("model")),
        (CHAT, json!({"input": null, "prompt": null}), Taken),
        // No least is stated.
        (CHAT, json!({"max_tokens": 0}), Taken),
        (CHAT, json!({"max_tokens": -1, "max_completion_tokens": 0}), Taken),
        (CHAT, json!({"max_completion_tokens": 1e30}), Taken),
        (CHAT, json!({"max_tokens": 1.5}), Refused("max_tokens")),
        // Null is refused where it is known to be.
        (CHAT, json!({"functions": null}), RefusedByOpenAi("functions")),
        (CHAT, json!({"tools": null}), RefusedByOpenAi("tools")),
        (CHAT, json!({"response_format": null}), RefusedByOpenAi("response_format")),
        (CHAT, json!({"temperature": null, "stop": null, "top_logprobs": null, "moderation": null}), Taken),
        (CHAT, json!({"prompt_cache_options": 1}), Refused("prompt_cache_options")),
        (CHAT, json!({"prompt_cache_retention": 1}), Refused("prompt_cache_retention")),
        (CHAT, json!({"moderation": "low"}), Refused("moderation")),
        // Messages.
        (CHAT, message(json!({"role": "user"})), Refused("messages")),
        (CHAT, message(json!({"role": "user", "content": null})), Refused("messages")),
        (CHAT, message(json!({"role": "user", "content": []})), Refused("messages")),
        (CHAT, message(json!({"role": "user", "content": ["a"]})), Refused("messages")),
        (CHAT, message(json!({"role": "tool", "tool_call_id": "c"})), Refused("messages")),
        (CHAT, message(json!({"role": "assistant"})), Taken),
        (CHAT, message(json!({"role": "assistant", "content": null, "tool_calls": []})), Taken),
        (CHAT, message(json!({"role": "function", "name": "f", "content": null})), Taken),
        (CHAT, message(json!({"role": "function", "name": "f"})), Refused("messages")),
        (CHAT, message(json!({"role": "bot", "content": "a"})), Refused("messages")),
        (CHAT, message(json!({"role": null, "content": "a"})), Refused("messages")),
        (CHAT, message(json!({"role": "developer", "content": [text]})), Taken),
        (CHAT, message(json!({"role": "user", "content": [{"type": "own"}]})), Taken),
        (RESPONSES, item(json!({"role": "user"})), Refused("input")),
        (RESPONSES, item(json!({"role": "user", "content": []})), Taken),
        (RESPONSES, item(json!({"role": "user", "content": {}})), Refused("input")),
        (RESPONSES, item(json!({"role": "tool", "content": "a"})), Refused("input")),
        (RESPONSES, item(json!({"role": "developer", "content": "a", "type": "message"})), Taken),
        (RESPONSES, item(json!({"role": "developer", "type": "additional_tools", "tools": []})), Taken),
        (RESPONSES, item(json!({"type": "reasoning", "id": "r", "content": {}})), Taken),
        // What takes the place of an input.
        (RESPONSES, json!({"input": "ABSENT"}), Refused("input")),
        (RESPONSES, json!({"input": null}), Refused("input")),
        (RESPONSES, json!({"input": "ABSENT", "prompt": {"id": "p"}}), Taken),
        (RESPONSES, json!({"input": null, "prompt": {"id": "p"}}), RefusedByOpenAi("input")),
        (RESPONSES, json!({"input": "ABSENT", "model": "ABSENT", "prompt": {"id": "p"}}), Taken),
        (RESPONSES, json!({"model": null, "prompt": {"id": "p"}}), RefusedByOpenAi("model")),
        (RESPONSES, json!({"input": "ABSENT", "prompt": null, "conversation": null}), Refused("input")),
        (RESPONSES, json!({"max_output_tokens": 15}), RefusedByOpenAi("max_output_tokens")),
        (RESPONSES, json!({"max_output_tokens": 16}), Taken),
        (RESPONSES, json!({"context_management": []}), Refused("context_management")),
        (RESPONSES, json!({"n": 2}), RefusedByOpenAi("n")),
        (RESPONSES, json!({"stop": ["a"]}), RefusedByOpenAi("stop")),
        (RESPONSES, json!({"n": null, "stop": null}), Taken),
        (RESPONSES, json!({"messages": []}), Refused("messages")),
        // Texts and tokens.
        (EMBEDDINGS, json!({"input": [1.5]}), Refused("input")),
        (EMBEDDINGS, json!({"input": [1.0, -1]}), Taken),
        (EMBEDDINGS, json!({"input": [[1.0], [-1]]}), Taken),
        (EMBEDDINGS, json!({"input": [[1.5]]}), Refused("input")),
        (EMBEDDINGS, json!({"input": []}), Refused("input")),
        (EMBEDDINGS, json!({"input": ["a", 1]}), Refused("input")),
        (EMBEDDINGS, json!({"input": [null]}), Refused("input")),
        (EMBEDDINGS, json!({"input": vec!["a"; 2_048], "dimensions": 1}), Taken),
        (EMBEDDINGS, json!({"input": vec!["a"; 2_049], "dimensions": 1}), RefusedByOpenAi("input")),
        (EMBEDDINGS, json!({"encoding_format": "int8"}), Refused("encoding_format")),
        (EMBEDDINGS, json!({"encoding_format": "base64", "dimensions": 4_000}), Taken),
        (EMBEDDINGS, json!({"encoding_format": null}), RefusedByOpenAi("encoding_format")),
        (MODERATIONS, json!({"input": [], "model": "ABSENT"}), Taken),
        (MODERATIONS, json!({"input": ["a", ""]}), Taken),
        (MODERATIONS, json!({"input": [text]}), Taken),
        (MODERATIONS, json!({"input": [{"type": "image_url", "image_url": {"url": "data:"}}]}), Taken),
        (MODERATIONS, json!({"input": [{"type": "text"}]}), Refused("input")),
        (MODERATIONS, json!({"input": ["a", text]}), Refused("input")),
        (MODERATIONS, json!({"input": [1]}), Refused("input")),
        (MODERATIONS, json!({"input": [["a"]]}), Refused("input")),
        (MODERATIONS, json!({"model": null}), RefusedByOpenAi("model")),
        (COMPLETIONS, json!({"prompt": ["a", 1]}), Refused("prompt")),
        (COMPLETIONS, json!({"prompt": [[]]}), Refused("prompt")),
        (COMPLETIONS, json!({"prompt": ["a", [1]]}), Refused("prompt")),
        (COMPLETIONS, json!({"prompt": [{"text": "a"}]}), Refused("prompt")),
        (COMPLETIONS, json!({"prompt": []}), Taken),
        (COMPLETIONS, json!({"prompt": ["", "a"]}), Taken),
        (COMPLETIONS, json!({"prompt": [[1, 2], [3]]}), Taken),
        (COMPLETIONS, json!({"prompt": null}), Taken),
        (COMPLETIONS, json!({"prompt": "ABSENT"}), Refused("prompt")),
        (COMPLETIONS, json!({"prompt": vec!["a"; 2_049]}), Taken),
        (COMPLETIONS, json!({"response_format": {"type": "json_object"}}), RefusedByOpenAi("response_format")),
        (COMPLETIONS, json!({"best_of": 0}), Taken),
        (COMPLETIONS, json!({"best_of": 2, "n": 3}), Refused("best_of")),
        (COMPLETIONS, json!({"instructions": "a"}), Refused("instructions")),
        // Images and videos.
        (IMAGES, json!({"prompt": ""}), Taken),
        (IMAGES, json!({"model": "dall-e-3", "n": 2}), Refused("n")),
        (IMAGES, json!({"model": "dall-e-3", "n": 1}), Taken),
        (IMAGES, json!({"model": "dall-e-2", "n": 2}), Taken),
        (IMAGES, json!({"model": "dall-e-2", "prompt": "é".repeat(1_001)}), Refused("prompt")),
        (IMAGES, json!({"model": null}), Taken),
        (EDITS, json!({}), Taken),
        (EDITS, json!({"images": "ABSENT"}), Refused("images")),
        (EDITS, json!({"images": "ABSENT", "image": "a"}), Refused("images|image")),
        (EDITS, json!({"mask": "a"}), Refused("mask")),
        (EDITS, json!({"prompt": ""}), Refused("prompt")),
        (VIDEOS, json!({"prompt": ""}), Refused("prompt")),
        (VIDEOS, json!({"seconds": null}), RefusedByOpenAi("seconds")),
        // Formats and tools.
        (CHAT, json!({"response_format": {"type": "array"}}), Refused("response_format")),
        (CHAT, json!({"response_format": {"type": 1}}), Refused("response_format")),
        (CHAT, json!({"response_format": {"type": "grammar", "properties": {}}}), Taken),
        (CHAT, json!({"response_format": {"type": "json_schema", "json_schema": {"name": 1}}}), Refused("response_format")),
        (RESPONSES, json!({"text": {"format": null}}), Taken),
        (RESPONSES, json!({"text": {"format": {"type": "object"}}}), Refused("text")),
        (RESPONSES, json!({"text": {"format": {"type": "text", "json_schema": {}}}}), Taken),
        (RESPONSES, json!({"text": {"format": {"type": "json_schema", "name": "a", "schema": 1}}}), Refused("text")),
        (CHAT, json!({"tools": [{"type": "function"}]}), Refused("tools")),
        (CHAT, json!({"tools": [{"type": "function", "function": {}}]}), Refused("tools")),
        (CHAT, json!({"tools": [{"name": "f"}]}), Refused("tools")),
        (CHAT, json!({"tools": [{"function": {"name": "f"}}, {"type": "own"}]}), Taken),
        (RESPONSES, json!({"tools": [{"type": "function"}]}), Refused("tools")),
        (RESPONSES, json!({"tools": [{"type": "function", "name": "f", "function": {}}]}), Taken),
        (RESPONSES, json!({"tool_choice": {"type": "function"}}), Refused("tool_choice")),
        // 127 levels, of which the body is one.
        (CHAT, json!({"x": nested(126)}), Taken),
        (CHAT, json!({"x": nested(127)}), Refused("")),
        (EMBEDDINGS, json!({"x": nested(5_000)}), Refused("")),
    ]
}

/// Values of every kind, for every field.
fn values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-3),
        json!(0),
        json!(1),
        json!(1.0),
        json!(1.5),
        json!(15),
        json!(200),
        json!(1e30),
        json!(""),
        json!("a"),
        json!([]),
        json!(["a"]),
        json!(["a", "b", "c", "d", "e"]),
        json!([1]),
        json!([null]),
        json!([[]]),
        json!([[1]]),
        json!([{}]),
        json!([{"role": "user"}]),
        json!([{"type": "text", "text": "a"}]),
        json!([{"type": "function", "name": "f"}]),
        json!([{"type": "function", "function": {"name": "f"}}]),
        json!({}),
        json!({"type": "json_schema"}),
        json!({"type": "text"}),
        json!({"type": "function", "name": "f"}),
        json!({"format": {"type": "json_object"}}),
        json!({"id": "a"}),
        json!({"a": 1}),
    ]
}

/// The fields of all endpoints.
const FIELDS: &[&str] = &[
    "audio",
    "background",
    "best_of",
    "context_management",
    "conversation",
    "dimensions",
    "echo",
    "encoding_format",
    "frequency_penalty",
    "function_call",
    "functions",
    "image",
    "images",
    "include",
    "input",
    "input_fidelity",
    "input_reference",
    "instructions",
    "logit_bias",
    "logprobs",
    "mask",
    "max_completion_tokens",
    "max_output_tokens",
    "max_tokens",
    "max_tool_calls",
    "messages",
    "metadata",
    "modalities",
    "moderation",
    "n",
    "output_compression",
    "output_format",
    "own",
    "parallel_tool_calls",
    "partial_images",
    "prediction",
    "presence_penalty",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_options",
    "prompt_cache_retention",
    "quality",
    "reasoning",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seconds",
    "seed",
    "service_tier",
    "size",
    "stop",
    "store",
    "stream_options",
    "style",
    "suffix",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
    "verbosity",
    "web_search_options",
];

fn line(custom_id: usize, endpoint: &str, body: &Value) -> String {
    format!("{{\"custom_id\":\"{custom_id}\",\"method\":\"POST\",\"url\":\"{endpoint}\",\"body\":{body}}}\n")
}

/// The fields in which `check` finds something wrong.
fn checked(dialect: &str, endpoint: &str, body: &Value) -> Vec<String> {
    let options = Dialect::named(dialect).expect("a dialect").check_options();
    // What MKA1 takes at all is another matter.
    let options = CheckOptions { known_endpoints: Vec::new(), ..options };
    let mut fields = Vec::new();
    let mut on_finding = |finding: lote::lines::Finding| fields.push(root(&finding.message));
    check(line(0, endpoint, body).as_bytes(), &options, &mut on_finding, None).expect("readable");
    fields
}

/// The field that a message or a param begins with; none for the body as a whole.
fn root(text: &str) -> String {
    let text = text.strip_prefix("body.").unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text[..end].replace("body", "")
}

/// The field in which the gateway finds something wrong, by the number of the body.
async fn answered(client: &Client, endpoint: &str, bodies: &BTreeMap<usize, &Value>) -> BTreeMap<usize, String> {
    let mut wrong = BTreeMap::new();
    let mut left = bodies.clone();
    // The absence of a model fails the batch as a whole: the rest is asked again.
    loop {
        let content: String = left.iter().map(|(number, body)| line(*number, endpoint, body)).collect();
        let numbers: Vec<usize> = left.keys().copied().collect();
        let length = content.len() as u64;
        let reader = std::io::Cursor::new(content.into_bytes());
        let upload = client.files().upload_reader(reader, "in.jsonl", UploadPurpose::Batch).length(length);
        let file = upload.send().await.expect("an upload");
        let endpoint = Endpoint::ALL.iter().find(|known| known.as_str() == endpoint).expect("an endpoint");
        let batch = client.batches().create(&file.id, *endpoint).send().await.expect("a batch");
        let cadence = Cadence::new(Duration::from_millis(2), Duration::from_millis(20));
        let waiting = client.batches().wait(&batch.id).cadence(cadence).deadline(Duration::from_secs(120));
        let Waited::Ended(batch) = waiting.until_over().await else { panic!("the batch did not end") };
        if batch.errors.is_empty() {
            if let Some(file) = &batch.error_file_id {
                let content = client.files().content(file).await.expect("the error file");
                let mut bytes = Vec::new();
                content.copy_to(&mut bytes).await.expect("all of it");
                for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let line: Value = serde_json::from_slice(line).expect("a result line");
                    let error = &line["response"]["body"]["error"];
                    let message = error["message"].as_str().expect("a message");
                    assert!(!message.contains(" at line "), "the words of a parser: {message}");
                    let number = line["custom_id"].as_str().and_then(|id| id.parse().ok()).expect("a number");
                    wrong.insert(number, root(error["param"].as_str().unwrap_or_default()));
                }
            }
            return wrong;
        }
        for error in &batch.errors {
            let at = error.line.and_then(|line| usize::try_from(line - 1).ok()).expect("a line");
            left.remove(&numbers[at]);
            wrong.insert(numbers[at], root(error.param.as_deref().unwrap_or_default()));
        }
        if left.is_empty() {
            return wrong;
        }
    }
}

/// The endpoints that the gateway serves under a prefix.
fn serves(prefix: &str, endpoint: &str) -> bool {
    prefix == "/v1" || [CHAT, RESPONSES, EMBEDDINGS, IMAGES].contains(&endpoint)
}

/// What the gateway says of each body, in groups that may stand in one batch.
async fn all_answered(client: &Client, bodies: &[(&'static str, Value)]) -> BTreeMap<usize, String> {
    let mut groups: BTreeMap<(&str, String), BTreeMap<usize, &Value>> = BTreeMap::new();
    for (number, (endpoint, body)) in bodies.iter().enumerate() {
        let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()).unwrap_or("m");
        groups.entry((endpoint, model.to_owned())).or_default().insert(number, body);
    }
    let mut wrong = BTreeMap::new();
    for ((endpoint, _), group) in &groups {
        wrong.extend(answered(client, endpoint, group).await);
    }
    wrong
}

#[tokio::test]
async fn check_and_the_gateway_say_the_same_of_each_row() {
    let gateway = Gateway::builder().start().await.expect("the gateway starts");
    let mut faults = Vec::new();
    for (dialect, prefix) in SERVICES {
        let client = client(&gateway, dialect, prefix);
        let rows: Vec<_> = rows().into_iter().filter(|(endpoint, ..)| serves(prefix, endpoint)).collect();
        let bodies: Vec<_> = rows.iter().map(|(endpoint, fields, _)| (*endpoint, with(endpoint, fields))).collect();
        let answered = all_answered(&client, &bodies).await;
        for (number, (endpoint, fields, said)) in rows.iter().enumerate() {
            let expected = match said {
                Refused(field) => Some(*field),
                RefusedByOpenAi(field) if dialect == "openai" => Some(*field),
                _ => None,
            };
            let checked = checked(dialect, endpoint, &bodies[number].1);
            let right = match expected {
                None => checked.is_empty() && !answered.contains_key(&number),
                Some(fields) => {
                    let is = |field: &String| fields.split('|').any(|one| one == field);
                    checked.len() == 1 && is(&checked[0]) && answered.get(&number).is_some_and(is)
                }
            };
            if !right {
                let (fields, answered) = (fields.to_string(), answered.get(&number));
                let fields: String = fields.chars().take(200).collect();
                faults.push(format!(
                    "{dialect} {endpoint} {fields}: {expected:?}, check says {checked:?}, the gateway {answered:?}"
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whatever stands in one field, both take it or both refuse it.
#[tokio::test]
async fn check_and_the_gateway_agree_on_every_field_and_value() {
    let gateway = Gateway::builder().start().await.expect("the gateway starts");
    let mut faults = Vec::new();
    for (dialect, prefix) in SERVICES {
        let client = client(&gateway, dialect, prefix);
        let mut bodies = Vec::new();
        for endpoint in [CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, MODERATIONS, IMAGES, EDITS, VIDEOS] {
            for field in FIELDS.iter().filter(|_| serves(prefix, endpoint)) {
                bodies.extend(values().into_iter().map(|value| (endpoint, with(endpoint, &json!({ *field: value })))));
            }
        }
        let answered = all_answered(&client, &bodies).await;
        for (number, (endpoint, body)) in bodies.iter().enumerate() {
            let checked = checked(dialect, endpoint, body);
            let agree = match answered.get(&number) {
                None => checked.is_empty(),
                // Of several fields that are wrong, the gateway names the first it comes to.
                Some(field) => {
                    !checked.is_empty() && (checked.contains(field) || field == "messages" || field == "input")
                }
            };
            if !agree {
                let answered = answered.get(&number);
                faults.push(format!("{dialect} {endpoint} {body}: check says {checked:?}, the gateway {answered:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} of them:\n{}", faults.len(), faults.join("\n"));
}

fn client(gateway: &Gateway, dialect: &str, prefix: &str) -> Client {
    let url = format!("{}{prefix}", gateway.url());
    let dialect = Dialect::named(dialect).expect("a dialect");
    Client::builder().dialect(dialect).base_url(url).api_key("sk-test").build().expect("a client")
}
