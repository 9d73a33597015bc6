//! The chunks of `/v1/chat/completions`.

use serde_json::{Value, json};

use crate::requests::stream::{Events, Streaming, chunks, pieces};

pub(super) fn events(answer: Value, streaming: Streaming) -> Events {
    chunks(answer, "chat.completion.chunk", streaming, choice)
}

/// Who speaks, what is said piece by piece, why it ends.
fn choice(mut choice: Value) -> impl Iterator<Item = Value> + Send + use<> {
    let content = choice["message"]["content"].take();
    let (index, reason) = (choice["index"].take(), choice["finish_reason"].take());
    let delta = |index: &Value, delta: Value, reason: Value| {
        let mut part = json!({"index": index, "delta": delta, "logprobs": null});
        part["finish_reason"] = reason;
        part
    };
    let first = delta(&index, json!({"role": "assistant", "content": "", "refusal": null}), Value::Null);
    let last = delta(&index, json!({}), reason);
    let said = pieces(content).map(move |piece| delta(&index, json!({"content": piece}), Value::Null));
    std::iter::once(first).chain(said).chain([last])
}
