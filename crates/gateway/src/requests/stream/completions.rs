//! The chunks of `/v1/completions`, which are completions themselves.

use serde_json::{Value, json};

use crate::requests::stream::{Events, Streaming, chunks, pieces};

pub(super) fn events(answer: Value, streaming: Streaming) -> Events {
    chunks(answer, "text_completion", streaming, choice)
}

fn choice(mut choice: Value) -> impl Iterator<Item = Value> + Send + use<> {
    let text = choice["text"].take();
    let (index, reason) = (choice["index"].take(), choice["finish_reason"].take());
    let part = |index: &Value, text: String, reason: Value| {
        let mut part = json!({"text": text, "index": index, "logprobs": null});
        part["finish_reason"] = reason;
        part
    };
    let last = part(&index, String::new(), reason);
    pieces(text).map(move |piece| part(&index, piece, Value::Null)).chain([last])
}
