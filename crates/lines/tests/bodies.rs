//! How bodies are held against their endpoint: what is refused, what is named as near, and that nothing valid is.

use std::collections::BTreeMap;

use lote_lines::{CheckOptions, Checked, Finding, check};
use serde_json::{Value, json};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const EMBEDDINGS: &str = "/v1/embeddings";
const IMAGES: &str = "/v1/images/generations";

fn line(endpoint: &str, body: &Value) -> String {
    format!(r#"{{"custom_id":"a","method":"POST","url":"{endpoint}","body":{body}}}"#)
}

fn run(input: &str, options: &CheckOptions) -> (Checked, Vec<Finding>) {
    let mut findings = Vec::new();
    let checked = check(input.as_bytes(), options, &mut |finding| findings.push(finding), None).expect("readable");
    (checked, findings)
}

/// `CODE: MESSAGE` of each finding of a body.
fn told(endpoint: &str, body: &Value, options: &CheckOptions) -> Vec<String> {
    let (_, findings) = run(&line(endpoint, body), options);
    findings.iter().map(|finding| format!("{}: {}", finding.code, finding.message)).collect()
}

/// A chat with more fields; null takes one of the two away.
fn chat(more: Value) -> Value {
    with(json!({"model": "m", "messages": [{"role": "user", "content": "x"}]}), more)
}

fn response(more: Value) -> Value {
    with(json!({"model": "m", "input": "x"}), more)
}

fn with(mut body: Value, more: Value) -> Value {
    let Value::Object(more) = more else { panic!("an object") };
    body.as_object_mut().expect("an object").extend(more);
    body
}

fn without(mut body: Value, name: &str) -> Value {
    body.as_object_mut().expect("an object").remove(name).expect("the field");
    body
}

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

#[test]
fn what_an_endpoint_would_refuse_is_told() {
    let schema = json!({"type": "object", "properties": {}});
    let (text, file) = (json!([{"type": "input_text", "text": "x"}]), json!([{"type": "text", "text": "x"}]));
    let message = |content: Value| json!([{"role": "user", "content": "x"}, {"role": "user", "content": content}]);
    let long = "é".repeat(65);
    let pairs: BTreeMap<_, _> = (0..17).map(|number| (number.to_string(), "x")).collect();
    let cases: Vec<(&str, Value, &[&str])> = vec![
        // Needed.
        (
            CHAT,
            without(chat(json!({})), "model"),
            &["missing_field: model is missing: the body of a request to /v1/chat"],
        ),
        (CHAT, chat(json!({"model": " "})), &["missing_field: model is empty"]),
        (CHAT, chat(json!({"model": null})), &["wrong_type: model is null: it must be a string"]),
        (CHAT, without(chat(json!({})), "messages"), &["missing_field: messages is missing: "]),
        (CHAT, json!({}), &["missing_field: model", "missing_field: messages"]),
        (CHAT, chat(json!({"messages": []})), &["out_of_range: messages is empty"]),
        (
            CHAT,
            chat(json!({"messages": "x"})),
            &["wrong_type: messages is a string (\"x\"): it must be an array such as"],
        ),
        (CHAT, chat(json!({"messages": {"role": "user"}})), &["wrong_type: messages is an object"]),
        (CHAT, chat(json!({"messages": ["x", "y"]})), &["wrong_type: messages[0] is a string"]),
        (CHAT, chat(json!({"messages": [{"content": "x"}]})), &["missing_field: messages[0].role is missing"]),
        (
            CHAT,
            chat(json!({"messages": message(json!({"type": "text"}))})),
            &["wrong_type: messages[1].content is an object"],
        ),
        (
            RESPONSES,
            json!({"model": "m"}),
            &[
                "missing_field: input is missing: the body of a request to /v1/responses has input, or else prompt, previous",
            ],
        ),
        (RESPONSES, json!({"model": "m", "conversation": null}), &["missing_field: input"]),
        (RESPONSES, json!({"input": "x"}), &["missing_field: model"]),
        (RESPONSES, response(json!({"input": ["x"]})), &["wrong_type: input[0] is a string"]),
        (EMBEDDINGS, json!({}), &["missing_field: model", "missing_field: input"]),
        (IMAGES, json!({"n": 1}), &["missing_field: prompt"]),
        ("/v1/completions", json!({"model": "m"}), &["missing_field: prompt"]),
        ("/v1/moderations", json!({"model": "m"}), &["missing_field: input"]),
        ("/v1/images/edits", json!({"prompt": "x"}), &["missing_field: images"]),
        ("/v1/videos", json!({}), &["missing_field: prompt"]),
        // Near.
        (
            CHAT,
            json!({"model": "m", "Messages": []}),
            &["missing_field: messages is missing, but there is \"Messages\": write \"messages\""],
        ),
        (
            CHAT,
            json!({"model ": "m", "messages": [{"role": "user", "content": "x"}]}),
            &["missing_field: model is missing, but there is \"model \", with a blank"],
        ),
        (
            EMBEDDINGS,
            json!({"model": "m", "inputs": "x"}),
            &["missing_field: input is missing, but there is \"inputs\""],
        ),
        // Elsewhere.
        (
            CHAT,
            json!({"model": "m", "prompt": "x"}),
            &["misplaced_field: prompt is no field of /v1/chat/completions: there it is messages"],
        ),
        (CHAT, json!({"model": "m", "input": "x"}), &["misplaced_field: input"]),
        (
            CHAT,
            chat(json!({"max_output_tokens": 5})),
            &[
                "misplaced_field: max_output_tokens is no field of /v1/chat/completions: there it is max_completion_tokens",
            ],
        ),
        (CHAT, chat(json!({"text": {"format": {}}})), &["misplaced_field: text is no field"]),
        (
            RESPONSES,
            response(json!({"response_format": {"type": "json_object"}})),
            &["misplaced_field: response_format is no field of /v1/responses: there it is text.format"],
        ),
        (
            RESPONSES,
            response(json!({"max_tokens": 5})),
            &["misplaced_field: max_tokens is no field of /v1/responses: there it is max_output_tokens"],
        ),
        (RESPONSES, response(json!({"max_completion_tokens": 5})), &["misplaced_field: max_completion_tokens"]),
        (
            RESPONSES,
            json!({"model": "m", "messages": []}),
            &["misplaced_field: messages is no field of /v1/responses: there it is input"],
        ),
        (
            RESPONSES,
            response(json!({"reasoning_effort": "low"})),
            &["misplaced_field: reasoning_effort is no field of /v1/responses: there it is reasoning.effort"],
        ),
        (RESPONSES, response(json!({"functions": []})), &["misplaced_field: functions"]),
        (EMBEDDINGS, json!({"model": "m", "messages": []}), &["misplaced_field: messages"]),
        ("/v1/completions", json!({"model": "m", "messages": []}), &["misplaced_field: messages"]),
        ("/v1/moderations", json!({"prompt": "x"}), &["misplaced_field: prompt"]),
        (IMAGES, json!({"input": "x"}), &["misplaced_field: input"]),
        ("/v1/images/edits", json!({"image": "x", "prompt": "x"}), &["misplaced_field: image"]),
        // Types.
        (
            CHAT,
            chat(json!({"temperature": "0.7"})),
            &["wrong_type: temperature is a string (\"0.7\"): it must be a number"],
        ),
        (
            CHAT,
            chat(json!({"max_tokens": "100"})),
            &["wrong_type: max_tokens is a string (\"100\"): it must be a whole number"],
        ),
        (CHAT, chat(json!({"n": 1.5})), &["wrong_type: n is a number (1.5): it must be a whole number"]),
        (CHAT, chat(json!({"stop": 5})), &["wrong_type: stop is a number (5): it must be a string or an array"]),
        (CHAT, chat(json!({"stream": "false"})), &["wrong_type: stream is a string"]),
        (CHAT, chat(json!({"tools": {}})), &["wrong_type: tools is an object: it must be an array"]),
        (CHAT, chat(json!({"tools": null})), &["wrong_type: tools is null: it must be an array; or leave it out"]),
        (CHAT, chat(json!({"user": 7})), &["wrong_type: user is a number (7)"]),
        (CHAT, chat(json!({"logprobs": 5})), &["wrong_type: logprobs is a number (5): it must be true or false"]),
        (
            CHAT,
            chat(json!({"response_format": "json_object"})),
            &["wrong_type: response_format is a string (\"json_object\"): it must be an object such as"],
        ),
        (CHAT, chat(json!({"metadata": {"run": 7}})), &["wrong_type: metadata.run is a number"]),
        (CHAT, chat(json!({"tools": ["f"]})), &["wrong_type: tools[0] is a string"]),
        (RESPONSES, response(json!({"text": {"format": "json_object"}})), &["wrong_type: text.format is a string"]),
        (RESPONSES, response(json!({"reasoning": "low"})), &["wrong_type: reasoning is a string"]),
        (
            "/v1/completions",
            json!({"model": "m", "prompt": "x", "logprobs": true}),
            &["wrong_type: logprobs is true or false: it must be a whole number"],
        ),
        (
            "/v1/videos",
            json!({"prompt": "x", "seconds": 4}),
            &["wrong_type: seconds is a number (4): it must be a string"],
        ),
        (EMBEDDINGS, json!({"model": "m", "input": {"text": "x"}}), &["wrong_type: input is an object"]),
        (EMBEDDINGS, json!({"model": "m", "input": null}), &["wrong_type: input is null"]),
        (EMBEDDINGS, json!({"model": "m", "input": ["x", 1]}), &["wrong_type: input[1] is of another type"]),
        (EMBEDDINGS, json!({"model": "m", "input": ["x", null]}), &["wrong_type: input[1] is neither"]),
        (EMBEDDINGS, json!({"model": "m", "input": [["x"]]}), &["wrong_type: input[0] is an array that holds more"]),
        // Ranges.
        (IMAGES, json!({"prompt": "x", "n": 11}), &["out_of_range: n is 11: it must be from 1 to 10"]),
        (IMAGES, json!({"prompt": "x", "n": 0}), &["out_of_range: n is 0"]),
        (CHAT, chat(json!({"n": 129})), &["out_of_range: n is 129: it must be from 1 to 128"]),
        (CHAT, chat(json!({"temperature": 2.1})), &["out_of_range: temperature is 2.1: it must be from 0 to 2"]),
        (CHAT, chat(json!({"top_p": -0.1})), &["out_of_range: top_p is -0.1"]),
        (
            CHAT,
            chat(json!({"presence_penalty": -3})),
            &["out_of_range: presence_penalty is -3: it must be from -2 to 2"],
        ),
        (CHAT, chat(json!({"top_logprobs": 21})), &["out_of_range: top_logprobs"]),
        (CHAT, chat(json!({"stop": ["a", "b", "c", "d", "e"]})), &["out_of_range: stop has 5 entries"]),
        (CHAT, chat(json!({"stop": []})), &["out_of_range: stop is empty"]),
        (CHAT, chat(json!({"metadata": pairs})), &["out_of_range: metadata has 17 pairs"]),
        (CHAT, chat(json!({"metadata": {long.as_str(): "x"}})), &["out_of_range: metadata."]),
        (CHAT, chat(json!({"metadata": {"k": "x".repeat(513)}})), &["out_of_range: metadata.k: a value"]),
        (
            CHAT,
            chat(json!({"safety_identifier": long})),
            &["out_of_range: safety_identifier has 65 characters, more than 64"],
        ),
        (
            RESPONSES,
            response(json!({"max_output_tokens": 15})),
            &["out_of_range: max_output_tokens is 15: it must be at least 16"],
        ),
        ("/v1/completions", json!({"model": "m", "prompt": "x", "logprobs": 6}), &["out_of_range: logprobs"]),
        (EMBEDDINGS, json!({"model": "m", "input": "x", "dimensions": 0}), &["out_of_range: dimensions"]),
        // Shapes.
        (
            CHAT,
            chat(json!({"response_format": {"type": "json_schema", "name": "s", "schema": schema}})),
            &["wrong_shape: response_format is flat"],
        ),
        (
            CHAT,
            chat(json!({"response_format": {"type": "json_schema"}})),
            &["missing_field: response_format.json_schema is missing"],
        ),
        (
            CHAT,
            chat(json!({"response_format": {"type": "json_schema", "json_schema": {"schema": schema}}})),
            &["missing_field: response_format.json_schema.name"],
        ),
        (
            CHAT,
            chat(json!({"response_format": {"type": "json_schema", "json_schema": schema}})),
            &["wrong_shape: response_format.json_schema is a JSON Schema itself"],
        ),
        (CHAT, chat(json!({"response_format": schema})), &["wrong_shape: response_format is a JSON Schema itself"]),
        (CHAT, chat(json!({"response_format": {}})), &["missing_field: response_format.type"]),
        (
            CHAT,
            chat(json!({"tools": [{"type": "function", "name": "f", "parameters": {}}]})),
            &["wrong_shape: tools[0] is flat, as in /v1/responses"],
        ),
        (CHAT, chat(json!({"tool_choice": {"type": "function", "name": "f"}})), &["wrong_shape: tool_choice is flat"]),
        (
            CHAT,
            chat(json!({"messages": message(text)})),
            &[
                "wrong_shape: messages[1].content[0].type is \"input_text\", as /v1/responses has it: in /v1/chat/completions it is \"text\"",
            ],
        ),
        (
            RESPONSES,
            response(json!({"text": {"format": {"type": "json_schema", "json_schema": {"name": "s"}}}})),
            &["wrong_shape: text.format has json_schema"],
        ),
        (
            RESPONSES,
            response(json!({"text": {"format": {"type": "json_schema"}}})),
            &["missing_field: text.format.name", "missing_field: text.format.schema"],
        ),
        (RESPONSES, response(json!({"text": {"type": "json_object"}})), &["wrong_shape: text has the format itself"]),
        (
            RESPONSES,
            response(json!({"tools": [{"type": "function", "function": {"name": "f"}}]})),
            &["wrong_shape: tools[0] has a function one level down"],
        ),
        (
            RESPONSES,
            response(json!({"tool_choice": {"type": "function", "function": {"name": "f"}}})),
            &["wrong_shape: tool_choice"],
        ),
        (RESPONSES, response(json!({"input": message(file)})), &["wrong_shape: input[1].content[0].type is \"text\""]),
        // Nothing to embed.
        (EMBEDDINGS, json!({"model": "m", "input": ""}), &["empty_input: input is empty"]),
        (EMBEDDINGS, json!({"model": "m", "input": []}), &["empty_input: input is empty"]),
        (EMBEDDINGS, json!({"model": "m", "input": ["x", "", ""]}), &["empty_input: input[1] is empty"]),
        (EMBEDDINGS, json!({"model": "m", "input": [[1], []]}), &["empty_input: input[1] is empty"]),
        (
            EMBEDDINGS,
            json!({"model": "m", "input": vec!["x"; 2_049]}),
            &["too_many_inputs: input has 2049 texts, more than the 2048"],
        ),
        (
            EMBEDDINGS,
            json!({"model": "m", "input": vec![1; 2_049]}),
            &["too_many_inputs: input has 2049 tokens in one array"],
        ),
    ];
    for (endpoint, body, expected) in cases {
        let got = told(endpoint, &body, &CheckOptions::default());
        let right =
            got.len() == expected.len() && got.iter().zip(expected).all(|(got, begins)| got.starts_with(begins));
        assert!(right, "{endpoint} {body}\n  told: {got:#?}\n  expected: {expected:#?}");
    }
}

#[test]
fn a_body_that_was_turned_into_json_twice_is_told_as_such() {
    let body = Value::String(chat(json!({})).to_string());
    let expected = "wrong_type: body is a string: it must be an object; it was turned into JSON twice";
    assert_eq!(told(CHAT, &body, &CheckOptions::default()), [expected]);
}

#[test]
fn a_body_is_held_against_the_url_of_its_line_or_else_the_batchs_endpoint() {
    let options = |endpoint: Option<&str>| CheckOptions {
        endpoint: endpoint.map(str::to_owned),
        needs_method: false,
        needs_url: false,
        ..CheckOptions::default()
    };
    let short = |body: Value| format!(r#"{{"custom_id":"a","body":{body}}}"#);
    let codes = |input: &str, options: &CheckOptions| -> Vec<String> {
        run(input, options).1.iter().map(|finding| finding.code.to_string()).collect()
    };
    assert_eq!(codes(&short(chat(json!({}))), &options(Some(CHAT))), [""; 0]);
    assert_eq!(codes(&short(json!({"model": "m"})), &options(Some(CHAT))), ["missing_field"]);
    // Where nobody says which endpoint it is, nothing can be said of the body but what holds everywhere.
    let (checked, findings) = run(&short(json!({"stream": true})), &options(None));
    assert_eq!((checked.endpoint, findings.len()), (None, 1));
    // A url that is there is still looked at, and so is a method.
    let input = format!(
        "{}\n{}",
        line(CHAT, &chat(json!({}))),
        line(RESPONSES, &response(json!({}))).replace("\"a\"", "\"b\"")
    );
    assert_eq!(codes(&input, &options(None)), ["url_differs"]);
    assert_eq!(codes(&line(CHAT, &chat(json!({}))).replace("POST", "GET"), &options(None)), ["method_not_post"]);
    assert_eq!(codes(r#"{"custom_id":"a","url":"/v1/responses"}"#, &options(None)), ["missing_key"]);
    // Endpoints without rules take any body.
    let any = CheckOptions { known_endpoints: vec!["/v1/score".to_owned()], ..CheckOptions::default() };
    assert_eq!(told("/v1/score", &json!({"input": 7}), &any), [""; 0]);
    let (checked, findings) = run(&line("/v1/score", &json!({"x": {"model": "n"}, "model": "m"})), &any);
    assert_eq!((findings.len(), checked.models.len(), checked.models.get("m")), (0, 1, Some(&1)));
    assert_eq!(checked.without_model, 0);
}

#[test]
fn spellings_of_a_url_stand_for_their_endpoint() {
    let spellings = BTreeMap::from([("/chat/completions".to_owned(), CHAT.to_owned())]);
    let options = CheckOptions { spellings, ..CheckOptions::default() };
    let short = |id: &str| line("/chat/completions", &chat(json!({}))).replace("\"a\"", &format!("\"{id}\""));
    let (checked, findings) = run(&format!("{}\n{}", short("a"), short("b")), &options);
    assert_eq!((checked.endpoint.as_deref(), findings.len()), (Some(CHAT), 0));
    for endpoint in [CHAT, "/chat/completions"] {
        let options = CheckOptions { endpoint: Some(endpoint.to_owned()), ..options.clone() };
        let (checked, findings) = run(&short("a"), &options);
        assert_eq!((checked.endpoint.as_deref(), findings.len()), (Some(CHAT), 0));
    }
    // A body is held against what the spelling stands for.
    assert_eq!(told("/chat/completions", &json!({"model": "m"}), &options).len(), 1);
    // Two spellings in one file are not one endpoint for a service that compares urls.
    let (_, findings) = run(&format!("{}\n{}", short("b"), line(CHAT, &chat(json!({})))), &options);
    assert_eq!(findings.len(), 1);
    assert_eq!(
        findings[0].to_string(),
        "line 2 (\"a\"): url is \"/v1/chat/completions\", but \"/chat/completions\" in line 1: spell it the same way in \
         the whole file"
    );
    let plain = told("/chat/completions", &chat(json!({})), &CheckOptions::default());
    assert!(plain[0].ends_with("; write \"/v1/chat/completions\""), "{plain:?}");
}

#[test]
fn a_field_of_the_services_own_is_not_judged() {
    let fields =
        |names: &[&str]| BTreeMap::from([(CHAT.to_owned(), names.iter().copied().map(str::to_owned).collect())]);
    let body =
        chat(json!({"logprobs": 5, "input": "x", "messages": [{"role": "user", "content": [{"type": "input_text"}]}]}));
    assert_eq!(told(CHAT, &body, &CheckOptions::default()).len(), 3);
    let own =
        CheckOptions { own_fields: fields(&["logprobs", "input", "messages.content"]), ..CheckOptions::default() };
    assert_eq!(told(CHAT, &body, &own), [""; 0]);
    // An own field is needed all the same, unless that is said as well.
    let own = CheckOptions { own_fields: fields(&["model"]), ..CheckOptions::default() };
    assert_eq!(told(CHAT, &without(chat(json!({})), "model"), &own).len(), 1);
    let optional = CheckOptions { optional_fields: fields(&["model"]), ..CheckOptions::default() };
    assert_eq!(told(CHAT, &without(chat(json!({})), "model"), &optional), [""; 0]);
    assert_eq!(told(RESPONSES, &json!({"input": "x"}), &optional).len(), 1);
    // One that may be left out is not missing where it has another endpoint's name either.
    let optional = CheckOptions { optional_fields: fields(&["messages"]), ..CheckOptions::default() };
    let told = told(CHAT, &json!({"model": "m", "prompt": "x"}), &optional);
    assert!(told.len() == 1 && told[0].starts_with("misplaced_field: prompt"), "{told:?}");
}

#[test]
fn texts_to_embed_are_counted_over_the_file() {
    let lines = |bodies: &[Value]| -> String {
        let one =
            |(number, body): (usize, &Value)| line(EMBEDDINGS, body).replace("\"a\"", &format!("\"{number}\"")) + "\n";
        bodies.iter().enumerate().map(one).collect()
    };
    let body = |input: Value| json!({"model": "m", "input": input});
    let four = lines(&[body(json!("x")), body(json!([1, 2, 3])), body(json!(["x", "y"])), body(json!("x"))]);
    let options = |most| CheckOptions { max_inputs: Some(most), ..CheckOptions::default() };
    assert_eq!(run(&four, &options(5)).1.len(), 0);
    for (most, at) in [(4, 4), (3, 3), (1, 2)] {
        let (_, findings) = run(&four, &options(most));
        assert_eq!(findings.len(), 1, "{findings:?}");
        assert_eq!((findings[0].line, findings[0].code.as_str()), (Some(at), "too_many_inputs_in_file"));
    }
    let none = CheckOptions { max_inputs: None, max_line_inputs: None, ..CheckOptions::default() };
    assert_eq!(run(&lines(&vec![body(json!(vec!["x"; 3_000])); 20]), &none).1.len(), 0);
    let whole = lines(&vec![body(json!(vec!["x"; 2_000])); 26]);
    let (_, findings) = run(&whole, &CheckOptions::default());
    assert_eq!((findings.len(), findings[0].line), (1, Some(26)));
}

#[test]
fn more_models_than_the_service_takes_are_told() {
    let names = ["m", "m", "n", "o", "n"];
    let input: String = names
        .iter()
        .enumerate()
        .map(|(number, model)| {
            line(CHAT, &chat(json!({"model": model}))).replace("\"a\"", &format!("\"{number}\"")) + "\n"
        })
        .collect();
    assert_eq!(run(&input, &CheckOptions::default()).1.len(), 0);
    let lines = |most| -> Vec<_> {
        let options = CheckOptions { max_models: Some(most), ..CheckOptions::default() };
        run(&input, &options).1.into_iter().map(|finding| (finding.line, finding.code.to_string())).collect()
    };
    let several = |line| (Some(line), "several_models".to_owned());
    assert_eq!(lines(1), [several(3), several(4), several(5)]);
    assert_eq!(lines(2), [several(4)]);
    assert_eq!(lines(3), []);
    let options = CheckOptions { max_models: Some(1), ..CheckOptions::default() };
    assert_eq!(
        run(&input, &options).1[0].message,
        "model is \"n\" after \"m\" (line 1): a batch has one model here, so write a file for each model"
    );
}

#[test]
fn what_is_near_a_request_line_is_named() {
    let whole = line(CHAT, &chat(json!({})));
    let options = CheckOptions::default();
    for (input, code, expected) in [
        (
            whole.replace("\"method\"", "\" method\""),
            "missing_key",
            "method is missing, but there is \" method\", with a blank in it",
        ),
        (whole.replace("\"method\"", "\"Method\""), "missing_key", "but there is \"Method\": write \"method\""),
        (
            whole.replace("\"custom_id\"", "\"customId\""),
            "missing_key",
            "but there is \"customId\": write \"custom_id\"",
        ),
        (whole.replace("\"custom_id\"", "\"custom-id\""), "missing_key", "but there is \"custom-id\""),
        (
            whole.replace("\"method\":\"POST\",", ""),
            "missing_key",
            "method is missing: every request line has custom_id, method, url and body",
        ),
        (
            whole.replace("\"body\"", "\"params\""),
            "missing_key",
            "\"params\", as lines of Anthropic's have it: write \"body\"",
        ),
        (r#"{"custom_id":"a","params":{"model":"m"}}"#.to_owned(), "other_format", "one of Anthropic's"),
        (r#"{"key":"a","request":{"contents":[]}}"#.to_owned(), "other_format", "one of Gemini's"),
        (r#"{"recordId":"a","modelInput":{}}"#.to_owned(), "other_format", "one of Amazon Bedrock's"),
        (r#"{"model":"m","messages":[]}"#.to_owned(), "other_format", "a body without its request line"),
        (r#"{"question":"x"}"#.to_owned(), "other_format", "`lote prepare` makes request lines of rows"),
        (whole.replace("\"m\"", "NaN"), "invalid_json", "NaN is no JSON: write null"),
        (whole.replace("\"m\"", "None"), "invalid_json", "None is Python's: write null"),
        (whole.replace('"', "'"), "invalid_json", "JSON has double quotes only"),
        (whole.replace("\"m\"", "\"m\", // which one?"), "invalid_json", "JSON has no comments"),
        (whole.replace("}}", "},}"), "invalid_json", "a comma stands before the closing bracket"),
        (whole.clone() + " // first", "text_after_object", "JSON has no comments"),
        (whole.clone() + ",", "text_after_object", "a comma stands after the object"),
        (
            whole.replace(CHAT, "https://api.openai.com/v1/chat/completions"),
            "unknown_url",
            "; write \"/v1/chat/completions\"",
        ),
    ] {
        let (_, findings) = run(&input, &options);
        assert_eq!(findings.len(), 1, "{input}: {findings:?}");
        assert_eq!(findings[0].code.as_str(), code, "{input}");
        assert!(findings[0].message.contains(expected), "{input}: {}", findings[0].message);
    }
}

#[test]
fn a_csv_file_is_told_once() {
    let rows: String = (0..50).map(|number| format!("{number},\"a text, with {{braces}}\"\n")).collect();
    for (names, delimiter) in [("id,text", ','), ("id;text", ';'), ("id\ttext", '\t')] {
        let input = format!("{names}\n{}", rows.replace(',', &delimiter.to_string()));
        let (checked, findings) = run(&input, &CheckOptions::default());
        assert_eq!((checked.findings, checked.lines), (1, 51));
        assert_eq!(
            findings[0].to_string(),
            "line 1: the file has rows under a line of field names (\"id\", \"text\"), as CSV: `lote prepare` makes \
             request lines of it"
        );
    }
}

#[test]
fn what_only_a_strict_service_refuses_is_told_for_it_alone() {
    let loose = CheckOptions { strict: false, max_line_inputs: None, ..CheckOptions::default() };
    for (endpoint, body, told_first) in [
        (CHAT, chat(json!({"tools": null})), "wrong_type: tools is null"),
        (RESPONSES, response(json!({"input": null, "prompt": {"id": "p"}})), "wrong_type: input is null"),
        (
            RESPONSES,
            response(json!({"n": 2})),
            "misplaced_field: n is no field of /v1/responses: write a line for each",
        ),
        (RESPONSES, response(json!({"max_output_tokens": 15})), "out_of_range: max_output_tokens"),
        (EMBEDDINGS, json!({"model": "m", "input": vec!["x"; 2_049]}), "too_many_inputs: input has 2049"),
    ] {
        let strict = told(endpoint, &body, &CheckOptions::default());
        assert!(strict.len() == 1 && strict[0].starts_with(told_first), "{endpoint}: {strict:?}");
        assert_eq!(told(endpoint, &body, &loose), [""; 0], "{endpoint}");
    }
    // Where the field is needed, null is not there for any service.
    for (endpoint, body) in [
        (CHAT, chat(json!({"messages": null}))),
        (RESPONSES, response(json!({"input": null}))),
        (EMBEDDINGS, json!({"model": null, "input": "x"})),
    ] {
        assert_eq!(told(endpoint, &body, &loose).len(), 1, "{endpoint} {body}");
    }
}

#[test]
fn a_message_says_something_in_a_role_that_there_is() {
    let options = CheckOptions::default();
    for (message, expected) in [
        (json!({"role": "user"}), "missing_field: messages[0].content is missing"),
        (json!({"role": "user", "content": []}), "out_of_range: messages[0].content is empty"),
        (json!({"role": "user", "content": [1]}), "wrong_type: messages[0].content has an entry"),
        (json!({"role": "bot", "content": "x"}), "out_of_range: messages[0].role is \"bot\": it is one of developer"),
    ] {
        let got = told(CHAT, &chat(json!({"messages": [message]})), &options);
        assert!(got.len() == 1 && got[0].starts_with(expected), "{message}: {got:?}");
        let own = vec!["messages.role".to_owned(), "messages.content".to_owned()];
        let own = CheckOptions { own_fields: BTreeMap::from([(CHAT.to_owned(), own)]), ..CheckOptions::default() };
        assert_eq!(told(CHAT, &chat(json!({"messages": [message]})), &own), [""; 0], "{message}");
    }
}

#[test]
fn a_model_has_limits_of_its_own() {
    for (body, expected) in [
        (json!({"model": "dall-e-3", "prompt": "x", "n": 2}), "out_of_range: n is 2: with the model dall-e-3"),
        (json!({"model": "dall-e-3", "prompt": "é".repeat(4_001)}), "out_of_range: prompt has 4001 characters"),
        (json!({"n": 2, "prompt": "x", "model": "dall-e-3"}), "out_of_range: n is 2"),
        (json!({"model": "dall-e-2", "prompt": "é".repeat(1_000), "n": 10}), ""),
    ] {
        let got = told(IMAGES, &body, &CheckOptions::default()).concat();
        assert!(if expected.is_empty() { got.is_empty() } else { got.starts_with(expected) }, "{got}");
    }
}
