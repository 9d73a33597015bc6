//! The answers of `/v1/completions`.

use serde_json::{Value, json};

use crate::model::chat::MOST_CHOICES;
use crate::model::prompt::tokens;
use crate::model::text::{id, reply};
use crate::model::{Ask, Refusal};

/// Most answers to all prompts together, for the sake of memory: no source has a limit.
const MOST_ANSWERS: u64 = 50_000;

pub(super) fn answer(ask: &Ask<'_>) -> Result<Value, Refusal> {
    let limit = ask.limit(&["max_tokens"]);
    let many = ask.choices(MOST_CHOICES)?;
    let prompts = ask.prompt.inputs.len() as u64;
    if prompts.saturating_mul(many) > MOST_ANSWERS {
        let message = format!("{many} answers to {prompts} prompts are more than the {MOST_ANSWERS} of one request.");
        return Err(Refusal::param("prompt", message));
    }
    let mut written = 0;
    let choices: Vec<Value> = ask
        .prompt
        .inputs
        .iter()
        .flat_map(|input| (0..many).map(move |choice| (input, choice)))
        .enumerate()
        .map(|(index, (input, choice))| {
            let (text, cut) = ask.cut(reply(input, choice), limit);
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
