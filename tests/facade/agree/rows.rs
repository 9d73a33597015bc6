//! What check and the gateway are asked: bodies with what both are to say of them, and values for every field.

use serde_json::{Value, json};

use super::{CHAT, COMPLETIONS, EDITS, EMBEDDINGS, IMAGES, MODERATIONS, RESPONSES, VIDEOS};

/// What both say of a body.
#[derive(Clone, Copy, Debug)]
pub(super) enum Said {
    Taken,
    /// One thing is wrong, in this field; of two names either.
    Refused(&'static str),
    /// The same at OpenAI only; no source says so of MKA1, which takes it.
    RefusedByOpenAi(&'static str),
}

use Said::{Refused, RefusedByOpenAi, Taken};

fn nested(levels: usize) -> Value {
    (1..levels).fold(json!([]), |inner, _| json!([inner]))
}

#[rustfmt::skip]
pub(super) fn rows() -> Vec<(&'static str, Value, Said)> {
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
        (EMBEDDINGS, json!({"x": nested(300)}), Refused("")),
    ]
}

/// Values of every kind, for every field.
pub(super) fn values() -> Vec<Value> {
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
#[rustfmt::skip]
pub(super) const FIELDS: &[&str] = &[
    "audio", "background", "best_of", "context_management", "conversation", "dimensions", "echo", "encoding_format",
    "frequency_penalty", "function_call", "functions", "image", "images", "include", "input", "input_fidelity",
    "input_reference", "instructions", "logit_bias", "logprobs", "mask", "max_completion_tokens", "max_output_tokens",
    "max_tokens", "max_tool_calls", "messages", "metadata", "modalities", "moderation", "n", "output_compression",
    "output_format", "own", "parallel_tool_calls", "partial_images", "prediction", "presence_penalty",
    "previous_response_id", "prompt", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "quality",
    "reasoning", "reasoning_effort", "response_format", "safety_identifier", "seconds", "seed", "service_tier",
    "size", "stop", "store", "stream_options", "style", "suffix", "temperature", "text", "tool_choice", "tools",
    "top_logprobs", "top_p", "truncation", "user", "verbosity", "web_search_options",
];
