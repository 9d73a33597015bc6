//! The events of `/v1/responses`: the response as it begins, its message piece by piece, the response as it ends.

use bytes::Bytes;
use serde_json::{Value, json};

use crate::contract::View;
use crate::requests::stream::{Events, Streaming, list, named, pieces};

pub(super) fn events(mut answer: Value, streaming: Streaming) -> Events {
    let mut begun = answer.clone();
    // MKA1's client wants numbers also before there are any.
    let usage = match streaming.view {
        View::Mka1 => zeros(&answer["usage"]),
        View::OpenAi => Value::Null,
    };
    for (name, value) in [
        ("status", json!("in_progress")),
        ("incomplete_details", Value::Null),
        ("completed_at", Value::Null),
        ("output", json!([])),
        ("usage", usage),
    ] {
        begun[name] = value;
    }
    let ended = if answer["status"] == "completed" { "response.completed" } else { "response.incomplete" };
    let messages: Vec<(usize, Value)> = list(&mut answer, "output").into_iter().enumerate().collect();
    answer["output"] = messages.iter().map(|(_, message)| message.clone()).collect();
    let first = ["response.created", "response.in_progress"].map(|name| json!({"type": name, "response": begun}));
    let said = messages.into_iter().flat_map(|(index, message)| said(index, message));
    let last = json!({"type": ended, "response": answer});
    Box::new(first.into_iter().chain(said).chain([last]).enumerate().map(numbered))
}

/// The same with zero for each number.
fn zeros(value: &Value) -> Value {
    match value {
        Value::Object(fields) => fields.iter().map(|(name, value)| (name.clone(), zeros(value))).collect(),
        _ => json!(0),
    }
}

fn numbered((number, mut event): (usize, Value)) -> Bytes {
    event["sequence_number"] = json!(number);
    named(&event)
}

/// The events of one message, which has one part.
fn said(index: usize, message: Value) -> impl Iterator<Item = Value> + Send {
    let (id, part) = (message["id"].clone(), message["content"][0].clone());
    let (mut begun, mut empty) = (message.clone(), part.clone());
    begun["status"] = json!("in_progress");
    begun["content"] = json!([]);
    empty["text"] = json!("");
    let at = json!({"item_id": id, "output_index": index, "content_index": 0});
    let within = move |name: &str, field: &str, value: Value| {
        let mut event = at.clone();
        event["type"] = json!(name);
        event[field] = value;
        event
    };
    let text = part["text"].clone();
    let mut whole = within("response.output_text.done", "text", text.clone());
    whole["logprobs"] = json!([]);
    let before = [
        json!({"type": "response.output_item.added", "output_index": index, "item": begun}),
        within("response.content_part.added", "part", empty),
    ];
    let after = [
        whole,
        within("response.content_part.done", "part", part),
        json!({"type": "response.output_item.done", "output_index": index, "item": message}),
    ];
    let deltas = pieces(text).map(move |piece| {
        let mut delta = within("response.output_text.delta", "delta", json!(piece));
        delta["logprobs"] = json!([]);
        delta
    });
    before.into_iter().chain(deltas).chain(after)
}
