//! The answers of `/v1/chat/completions`.

use serde_json::{Value, json};

use crate::model::prompt::tokens;
use crate::model::structured;
use crate::model::text::{id, reply};
use crate::model::{Ask, Refusal, whole};

/// Most answers to one prompt (`n`).
pub(super) const MOST_CHOICES: u64 = 128;

pub(super) fn answer(ask: &Ask<'_>) -> Result<Value, Refusal> {
    let limit = ask.limit(&["max_completion_tokens", "max_tokens"]);
    let mut written = 0;
    let many = ask.choices(MOST_CHOICES)?;
    let choices: Vec<Value> = (0..many)
        .map(|index| {
            let (content, cut) = ask.cut(ask.say(ask.body.get("response_format"), index, many), limit);
            written += tokens(&content);
            json!({
                "index": index,
                "message": {"role": "assistant", "content": content, "refusal": null},
                "logprobs": null,
                "finish_reason": if cut { "length" } else { "stop" },
            })
        })
        .collect();
    Ok(json!({
        "id": format!("chatcmpl-{}", id(&ask.prompt.text, 0)),
        "object": "chat.completion",
        "created": ask.now,
        "model": ask.model,
        "choices": choices,
        "usage": {
            "prompt_tokens": ask.prompt.tokens,
            "completion_tokens": written,
            "total_tokens": ask.prompt.tokens + written,
            "prompt_tokens_details": {"cached_tokens": 0},
            "completion_tokens_details": {"reasoning_tokens": 0},
        },
    }))
}

impl Ask<'_> {
    /// What the model says, as one of `many` answers: words, or the JSON text that `format` asks for.
    pub(super) fn say(&self, format: Option<&Value>, choice: u64, many: u64) -> String {
        let text = &self.prompt.text;
        structured::answer(format, text, choice, many).map_or_else(|| reply(text, choice), |value| value.to_string())
    }

    /// How many answers are wanted.
    pub(super) fn choices(&self, most: u64) -> Result<u64, Refusal> {
        self.count("n", 1, most)
    }

    /// An integer from 1 to `most`.
    pub(super) fn count(&self, name: &'static str, default: u64, most: u64) -> Result<u64, Refusal> {
        match self.body.get(name) {
            None | Some(Value::Null) => Ok(default),
            Some(count) => whole(count)
                .filter(|count| (1..=most).contains(count))
                .ok_or_else(|| Refusal::param(name, format!("'{name}' must be an integer from 1 to {most}."))),
        }
    }

    /// The tokens that an answer may have, by the first of `names` that is there. No source says what fewer than none are:
    /// they are no limit.
    pub(super) fn limit(&self, names: &[&'static str]) -> Option<u64> {
        let given = |name: &&&str| self.body.get(**name).is_some_and(|value| !value.is_null());
        names.iter().find(given).and_then(|name| self.body.get(*name)).and_then(whole)
    }

    /// `text` within a limit of tokens, and whether it had to be cut.
    pub(super) fn cut(&self, text: String, limit: Option<u64>) -> (String, bool) {
        match limit {
            Some(limit) if tokens(&text) > limit => {
                let characters = usize::try_from(limit.saturating_mul(4)).unwrap_or(usize::MAX);
                (text.chars().take(characters).collect(), true)
            }
            _ => (text, false),
        }
    }
}
