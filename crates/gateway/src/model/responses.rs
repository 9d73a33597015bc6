//! The answers of `/v1/responses`, with all fields that the clients of MKA1 and OpenAI want to be there.

use serde_json::{Value, json};

use crate::model::prompt::tokens;
use crate::model::text::id;
use crate::model::{Ask, Refusal};

pub(super) fn answer(ask: &Ask<'_>) -> Result<Value, Refusal> {
    let limit = ask.limit(&["max_output_tokens"]);
    let format = ask.body.get("text").and_then(|text| text.get("format"));
    let (text, cut) = ask.cut(ask.say(format, 0, 1), limit);
    let written = tokens(&text);
    let given = |name: &str| ask.body.get(name).cloned().unwrap_or(Value::Null);
    let or = |name: &str, value: Value| ask.body.get(name).filter(|given| !given.is_null()).cloned().unwrap_or(value);
    let mut asked = or("text", json!({}));
    if asked.get("format").is_none_or(Value::is_null) {
        asked["format"] = json!({"type": "text"});
    }
    Ok(json!({
        "id": format!("resp_{}", id(&ask.prompt.text, 0)),
        "object": "response",
        "created_at": ask.now,
        "completed_at": (!cut).then_some(ask.now),
        "background": or("background", json!(false)),
        "status": if cut { "incomplete" } else { "completed" },
        "error": null,
        "incomplete_details": cut.then(|| json!({"reason": "max_output_tokens"})),
        "instructions": given("instructions"),
        "max_output_tokens": given("max_output_tokens"),
        "max_tool_calls": given("max_tool_calls"),
        "model": ask.model,
        "output": [{
            "type": "message",
            "id": format!("msg_{}", id(&ask.prompt.text, 1)),
            "status": if cut { "incomplete" } else { "completed" },
            "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }],
        "parallel_tool_calls": true,
        "previous_response_id": given("previous_response_id"),
        "store": or("store", json!(true)),
        "temperature": given("temperature"),
        "text": asked,
        "tool_choice": "auto",
        "tools": [],
        "top_p": given("top_p"),
        "truncation": or("truncation", json!("disabled")),
        "user": given("user"),
        "metadata": or("metadata", json!({})),
        "usage": {
            "input_tokens": ask.prompt.tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": ask.prompt.tokens + written,
        },
    }))
}
