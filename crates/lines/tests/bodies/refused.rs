//! What an endpoint would refuse, each with the words in which it is told.

use std::collections::BTreeMap;

use lote_lines::CheckOptions;
use serde_json::{Value, json};

use super::{CHAT, EMBEDDINGS, IMAGES, RESPONSES, chat, response, run, told, without};

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

#[test]
fn a_field_that_is_given_twice_is_named_by_its_path() {
    let of = |endpoint: &str, body: &str| -> Vec<String> {
        let line = format!(r#"{{"custom_id":"a","method":"POST","url":"{endpoint}","body":{body}}}"#);
        let (_, findings) = run(&line, &CheckOptions::default());
        findings.iter().map(|finding| format!("{}: {}", finding.code, finding.message)).collect()
    };
    let message = r#"{"role":"user","content":"x"}"#;
    for (endpoint, body, paths) in [
        (CHAT, format!(r#"{{"model":"m","model":"n","messages":[{message}]}}"#), &["body.model"][..]),
        (CHAT, format!(r#"{{"model":"m","messages":[{message}],"n":null,"mod\u0065l":"m"}}"#), &["body.model"]),
        (CHAT, format!(r#"{{"model":"m","n":null,"messages":[{message}],"n":1}}"#), &["body.n"]),
        (EMBEDDINGS, r#"{"model":"m","input":"x","input":["x"],"input":"y"}"#.to_owned(), &["body.input"]),
        (
            CHAT,
            format!(
                r#"{{"model":"m","messages":[{message},{{"role":"user","content":"x","role":"system","content":"y"}}]}}"#
            ),
            &["body.messages[1].role", "body.messages[1].content"],
        ),
        (
            RESPONSES,
            r#"{"model":"m","input":[{"role":"user","content":"x","content":"y"}]}"#.to_owned(),
            &["body.input[0].content"],
        ),
        (CHAT, format!(r#"{{"model":"m","messages":[{message},{message}],"x":1,"x":2}}"#), &[]),
    ] {
        let expected: Vec<_> = paths
            .iter()
            .map(|path| {
                format!(
                    "duplicate_key: {path} is given twice: services take one of the two, nobody knows which: leave one"
                )
            })
            .collect();
        assert_eq!(of(endpoint, &body), expected, "{body}");
    }
}
