//! The answers of `/v1/responses`.

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
    Ok(json!({
        "id": format!("resp_{}", id(&ask.prompt.text, 0)),
        "object": "response",
        "created_at": ask.now,
        "status": if cut { "incomplete" } else { "completed" },
        "error": null,
        "incomplete_details": cut.then(|| json!({"reason": "max_output_tokens"})),
        "instructions": given("instructions"),
        "max_output_tokens": given("max_output_tokens"),
        "model": ask.model,
        "output": [{
            "type": "message",
            "id": format!("msg_{}", id(&ask.prompt.text, 1)),
            "status": if cut { "incomplete" } else { "completed" },
            "role": "assistant",
            "content": [{"type": "output_text", "text": text, "annotations": []}],
        }],
        "parallel_tool_calls": true,
        "temperature": given("temperature"),
        "tool_choice": "auto",
        "tools": [],
        "top_p": given("top_p"),
        "metadata": given("metadata"),
        "usage": {
            "input_tokens": ask.prompt.tokens,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": ask.prompt.tokens + written,
        },
    }))
}
