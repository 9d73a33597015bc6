//! What passes, with every kind of body that an endpoint takes.

use lote_lines::CheckOptions;
use serde_json::json;

use super::{CHAT, EMBEDDINGS, IMAGES, RESPONSES, chat, response, told};

#[test]
fn what_is_valid_passes() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]});
    let parts = json!([
        {"type": "text", "text": "x"},
        {"type": "image_url", "image_url": {"url": "https://example.org/a.png", "detail": "low"}},
        {"type": "input_audio", "input_audio": {"data": "…", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"}},
    ]);
    let function = json!({"name": "f", "description": "d", "parameters": schema, "strict": true});
    let conversation = json!([
        {"role": "developer", "content": "x"},
        {"role": "system", "content": [{"type": "text", "text": "x"}], "name": "n"},
        {"role": "user", "content": parts},
        {"role": "assistant", "content": null, "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]},
        {"role": "assistant", "tool_calls": [], "refusal": null, "audio": {"id": "a"}},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "no"}]},
        {"role": "tool", "tool_call_id": "c", "content": "x"},
        {"role": "function", "name": "f", "content": null},
    ]);
    let mut bodies = vec![
        (CHAT, chat(json!({}))),
        (CHAT, chat(json!({"model": "auto"}))),
        (CHAT, chat(json!({"messages": conversation}))),
        (CHAT, chat(json!({"response_format": {"type": "text"}}))),
        (CHAT, chat(json!({"response_format": {"type": "json_object"}}))),
        (
            CHAT,
            chat(json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s", "schema": schema}}})),
        ),
        (CHAT, chat(json!({"response_format": {"type": "json_schema", "json_schema": {"name": "s"}}}))),
        (CHAT, chat(json!({"response_format": {"type": "grammar", "grammar": "…"}}))),
        (CHAT, chat(json!({"tools": [{"type": "function", "function": function}]}))),
        (CHAT, chat(json!({"tools": [{"type": "custom", "custom": {"name": "c"}}], "parallel_tool_calls": false}))),
        (CHAT, chat(json!({"tool_choice": "auto"}))),
        (CHAT, chat(json!({"tool_choice": {"type": "function", "function": {"name": "f"}}}))),
        (CHAT, chat(json!({"tool_choice": {"type": "custom", "custom": {"name": "f"}}}))),
        (CHAT, chat(json!({"tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto", "tools": []}}}))),
        (CHAT, chat(json!({"functions": [function], "function_call": {"name": "f"}}))),
        (CHAT, chat(json!({"stop": "\n", "seed": -1, "logit_bias": {"50256": -100}}))),
        (CHAT, chat(json!({"stop": ["a", "b", "c", "d"], "n": 128, "max_tokens": 100.0}))),
        (CHAT, chat(json!({"temperature": 0, "top_p": 1, "frequency_penalty": -2, "presence_penalty": 2.0}))),
        (CHAT, chat(json!({"temperature": 2.0, "logprobs": true, "top_logprobs": 20, "max_completion_tokens": 1}))),
        (CHAT, chat(json!({"metadata": {"run": "7"}, "store": true, "user": "u", "service_tier": "flex"}))),
        (CHAT, chat(json!({"modalities": ["text", "audio"], "audio": {"voice": "v", "format": "wav"}}))),
        (CHAT, chat(json!({"prediction": {"type": "content", "content": "x"}, "web_search_options": {}}))),
        (CHAT, chat(json!({"stream": false, "stream_options": null, "reasoning_effort": "low", "verbosity": "low"}))),
        // Nobody knows these.
        (
            CHAT,
            chat(json!({"top_k": 5, "min_p": "x", "extra_body": {}, "guided_json": {}, "thinking": {"type": "on"}})),
        ),
        (RESPONSES, response(json!({}))),
        (RESPONSES, response(json!({"input": [{"role": "user", "content": "x"}]}))),
        (
            RESPONSES,
            response(json!({"input": [
                {"type": "message", "role": "user", "content": [
                    {"type": "input_text", "text": "x"}, {"type": "input_image", "image_url": "data:…"},
                    {"type": "input_file", "file_id": "file-1"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "x"}]},
                {"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"},
                {"type": "function_call_output", "call_id": "c", "output": "x"},
                {"type": "reasoning", "id": "r", "summary": [{"type": "summary_text", "text": "x"}]},
                {"type": "item_reference", "id": "i"},
                {"id": "i"},
            ]})),
        ),
        (RESPONSES, json!({"prompt": {"id": "pmpt_1", "variables": {}}})),
        (RESPONSES, json!({"model": "m", "previous_response_id": "resp_1"})),
        (RESPONSES, json!({"model": "m", "conversation": "conv_1"})),
        (RESPONSES, json!({"model": "m", "conversation": {"id": "conv_1"}})),
        (
            RESPONSES,
            response(
                json!({"text": {"format": {"type": "json_schema", "name": "s", "schema": schema, "strict": true}}}),
            ),
        ),
        (RESPONSES, response(json!({"text": {"format": {"type": "text"}, "verbosity": "low"}}))),
        (RESPONSES, response(json!({"text": {}, "instructions": null, "reasoning": {"effort": "low"}}))),
        (
            RESPONSES,
            response(json!({"tools": [
                {"type": "function", "name": "f", "parameters": schema, "strict": true},
                {"type": "web_search"}, {"type": "mcp", "server_label": "s"}, {"type": "file_search"},
                {"type": "code_interpreter", "container": {"type": "auto"}}]})),
        ),
        (RESPONSES, response(json!({"tool_choice": {"type": "function", "name": "f"}, "max_output_tokens": 16}))),
        (
            RESPONSES,
            response(json!({"tool_choice": {"type": "file_search"}, "include": ["reasoning.encrypted_content"]})),
        ),
        (EMBEDDINGS, json!({"model": "m", "input": "x", "dimensions": 1, "encoding_format": "float"})),
        (EMBEDDINGS, json!({"model": "m", "input": ["x", "y"]})),
        (EMBEDDINGS, json!({"model": "m", "input": [1, 2, 3]})),
        (EMBEDDINGS, json!({"model": "m", "input": [[1, 2], [3]]})),
        (EMBEDDINGS, json!({"model": "m", "input": vec!["x"; 2_048]})),
        (IMAGES, json!({"prompt": "a lake", "n": 10, "model": null, "size": "auto", "response_format": "url"})),
        ("/v1/completions", json!({"model": "m", "prompt": null})),
        ("/v1/completions", json!({"model": "m", "prompt": ["x", "y"], "logprobs": 5, "max_tokens": 0, "stop": null})),
        ("/v1/completions", json!({"model": "m", "prompt": [[1, 2]]})),
        ("/v1/moderations", json!({"input": "x"})),
        ("/v1/moderations", json!({"input": [{"type": "text", "text": "x"}], "model": "omni"})),
        ("/v1/images/edits", json!({"images": [{"file_id": "file-1"}], "prompt": "bluer"})),
        ("/v1/videos", json!({"prompt": "a lake", "seconds": "4"})),
    ];
    // What may be null may be.
    for name in ["temperature", "n", "stop", "logprobs", "max_tokens", "metadata", "seed", "store", "reasoning_effort"]
    {
        bodies.push((CHAT, chat(json!({ name: null }))));
    }
    for (endpoint, body) in bodies {
        assert_eq!(told(endpoint, &body, &CheckOptions::default()), [""; 0], "{endpoint} {body}");
    }
}
