//! Owns the answers of `/v1/completions`. Never streams.

use serde_json::{Value, json};

use crate::model::prompt::tokens;
use crate::model::text::{id, reply};
use crate::model::{Ask, Refusal};

pub(super) fn answer(ask: &Ask<'_>) -> Result<Value, Refusal> {
    let limit = ask.limit(&["max_tokens"])?;
    let mut written = 0;
    let choices: Vec<Value> = ask
        .prompt
        .inputs
        .iter()
        .enumerate()
        .map(|(index, input)| {
            let (text, cut) = ask.cut(reply(input, 0), limit);
            written += tokens(&text);
            json!({
                "text": text,
                "index": index,
                "logprobs": null,
                "finish_reason": if cut { "length" } else { "stop" },
            })
        })
        .collect();
    Ok(json!({
        "id": format!("cmpl-{}", id(&ask.prompt.text, 0)),
        "object": "text_completion",
        "created": ask.now,
        "model": ask.model,
        "choices": choices,
        "usage": {
            "prompt_tokens": ask.prompt.tokens,
            "completion_tokens": written,
            "total_tokens": ask.prompt.tokens + written,
        },
    }))
}
