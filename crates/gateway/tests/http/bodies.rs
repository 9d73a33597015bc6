//! Bodies that do not hold against their endpoint are a 400 on their line, with the param and what is right.

use serde_json::{Value, json};

use crate::common::{CHAT, Caller, MKA1, OPENAI, PREFIXES, by_id, line, plain};

const RESPONSES: &str = "/v1/responses";
const EMBEDDINGS: &str = "/v1/embeddings";
const COMPLETIONS: &str = "/v1/completions";
const MODERATIONS: &str = "/v1/moderations";
const IMAGES: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";
const VIDEOS: &str = "/v1/videos";

/// A body that the endpoint takes.
fn good(endpoint: &str) -> Value {
    match endpoint {
        CHAT => json!({"model": "m", "messages": [{"role": "user", "content": "a"}]}),
        RESPONSES | EMBEDDINGS | MODERATIONS => json!({"model": "m", "input": "a"}),
        EDITS => json!({"model": "m", "prompt": "a", "images": [{"file_id": "file-1"}]}),
        _ => json!({"model": "m", "prompt": "a"}),
    }
}

/// The same with these fields; null takes one away.
fn with(endpoint: &str, fields: &Value) -> Value {
    let mut body = good(endpoint);
    let object = body.as_object_mut().unwrap();
    for (name, value) in fields.as_object().unwrap() {
        if value.is_null() {
            object.shift_remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    body
}

/// The answer to each body: the whole response, in the order of the bodies.
async fn ask(caller: &Caller, endpoint: &str, bodies: impl IntoIterator<Item = String>) -> Vec<Value> {
    let mut count = 0;
    let mut input = String::new();
    for body in bodies {
        let line =
            format!("{{\"custom_id\":\"{count}\",\"method\":\"POST\",\"url\":\"{endpoint}\",\"body\":{body}}}\n");
        input.push_str(&line);
        count += 1;
    }
    let batch = caller.run(input, endpoint).await;
    assert_eq!(batch["status"], "completed", "{batch}");
    let mut lines = Vec::new();
    for file in ["output_file_id", "error_file_id"] {
        if batch[file].is_string() {
            lines.extend(caller.lines(&batch[file]).await);
        }
    }
    (0..count).map(|n| by_id(&lines, &n.to_string())["response"].clone()).collect()
}

/// Each body with its fields is refused for this param, and the message has these words.
async fn refused(table: &[(&str, Value, &str, &str)]) {
    let (_gateway, caller) = plain(OPENAI).await;
    for (endpoint, fields, param, words) in table {
        let body = with(endpoint, fields);
        let response = &ask(&caller, endpoint, [body.to_string()]).await[0];
        let error = &response["body"]["error"];
        assert_eq!((&response["status_code"], &error["param"]), (&json!(400), &json!(param)), "{body}: {response}");
        assert_eq!(error["type"], "invalid_request_error", "{body}");
        let message = error["message"].as_str().unwrap();
        assert!(message.contains(words), "{body}: {words:?} in {message:?}");
    }
}

#[tokio::test]
async fn what_has_to_be_there() {
    refused(&[
        (CHAT, json!({"messages": null}), "messages", "Missing required parameter: 'messages'."),
        (CHAT, json!({"messages": []}), "messages", "must not be empty"),
        (CHAT, json!({"messages": [{"content": "a"}]}), "messages[0].role", "Missing required parameter"),
        (RESPONSES, json!({"input": null}), "input", "Missing required parameter: 'input'."),
        (EMBEDDINGS, json!({"input": null}), "input", "Missing required parameter: 'input'."),
        (MODERATIONS, json!({"input": null}), "input", "Missing required parameter: 'input'."),
        (COMPLETIONS, json!({"prompt": null}), "prompt", "Missing required parameter: 'prompt'."),
        (IMAGES, json!({"prompt": null}), "prompt", "Missing required parameter: 'prompt'."),
        (EDITS, json!({"prompt": null}), "prompt", "Missing required parameter: 'prompt'."),
        (EDITS, json!({"images": null}), "images", "Missing required parameter: 'images'."),
        (CHAT, json!({"messages": [{"role": "user"}]}), "messages[0].content", "Missing required parameter"),
        (VIDEOS, json!({"prompt": null}), "prompt", "Missing required parameter: 'prompt'."),
        // Something else was given in its place.
        (CHAT, json!({"messages": null, "prompt": "x"}), "messages", "'prompt', which belongs to another endpoint"),
        (RESPONSES, json!({"input": null, "messages": []}), "input", "'messages', which belongs to another endpoint"),
        (COMPLETIONS, json!({"prompt": null, "input": "x"}), "prompt", "in /v1/completions it is 'prompt'"),
        (EMBEDDINGS, json!({"input": null, "prompt": "x"}), "input", "in /v1/embeddings it is 'input'"),
    ])
    .await;
}

#[tokio::test]
async fn a_model_has_to_be_there_and_its_absence_is_the_lines_fault_where_it_may_be() {
    let (_gateway, caller) = plain(MKA1).await;
    for endpoint in [CHAT, RESPONSES, EMBEDDINGS] {
        for model in [Value::Null, json!(""), json!(7)] {
            let mut body = good(endpoint);
            body["model"] = model;
            let response = &ask(&caller, endpoint, [body.to_string()]).await[0];
            assert_eq!((&response["status_code"], &response["body"]["error"]["param"]), (&json!(400), &json!("model")));
        }
    }
}

#[tokio::test]
async fn fields_that_belong_to_another_endpoint_are_told_their_right_names() {
    let format = json!({"type": "json_object"});
    refused(&[
        (RESPONSES, json!({"messages": [{"role": "user", "content": "a"}]}), "messages", "it is 'input'"),
        (RESPONSES, json!({"prompt": "a"}), "prompt", "it is 'input'"),
        (RESPONSES, json!({"response_format": format}), "response_format", "it is 'text.format'"),
        (RESPONSES, json!({"max_tokens": 5}), "max_tokens", "it is 'max_output_tokens'"),
        (RESPONSES, json!({"max_completion_tokens": 5}), "max_completion_tokens", "it is 'max_output_tokens'"),
        (RESPONSES, json!({"reasoning_effort": "low"}), "reasoning_effort", "it is 'reasoning.effort'"),
        (RESPONSES, json!({"verbosity": "low"}), "verbosity", "it is 'text.verbosity'"),
        (RESPONSES, json!({"functions": []}), "functions", "it is 'tools'"),
        (RESPONSES, json!({"function_call": "auto"}), "function_call", "it is 'tool_choice'"),
        (CHAT, json!({"input": "a"}), "input", "it is 'messages'"),
        (CHAT, json!({"prompt": "a"}), "prompt", "it is 'messages'"),
        (CHAT, json!({"instructions": "a"}), "instructions", "it is 'messages'"),
        (CHAT, json!({"max_output_tokens": 5}), "max_output_tokens", "it is 'max_completion_tokens'"),
        (CHAT, json!({"text": {"format": format}}), "text", "it is 'response_format'"),
        (CHAT, json!({"reasoning": {"effort": "low"}}), "reasoning", "it is 'reasoning_effort'"),
        (COMPLETIONS, json!({"messages": []}), "messages", "it is 'prompt'"),
        (COMPLETIONS, json!({"max_completion_tokens": 5}), "max_completion_tokens", "it is 'max_tokens'"),
        (COMPLETIONS, json!({"max_output_tokens": 5}), "max_output_tokens", "it is 'max_tokens'"),
        (EMBEDDINGS, json!({"messages": []}), "messages", "it is 'input'"),
        (MODERATIONS, json!({"prompt": "a"}), "prompt", "it is 'input'"),
        (IMAGES, json!({"input": "a"}), "input", "it is 'prompt'"),
        (EDITS, json!({"messages": []}), "messages", "it is 'prompt'"),
        (EDITS, json!({"image": "x"}), "image", "it is 'images'"),
        (VIDEOS, json!({"input": "a"}), "input", "it is 'prompt'"),
    ])
    .await;
}

#[tokio::test]
async fn what_asks_for_json_has_the_shape_of_its_endpoint() {
    let schema = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let inner = json!({"name": "x", "schema": schema, "strict": true});
    let flat = json!({"type": "json_schema", "name": "x", "schema": schema});
    let nested = json!({"type": "json_schema", "json_schema": inner});
    let tool = json!({"type": "function", "name": "f", "parameters": schema});
    let nested_tool = json!({"type": "function", "function": {"name": "f", "parameters": schema}});
    let chat = |format: Value| json!({"response_format": format});
    let response = |format: Value| json!({"text": {"format": format}});
    refused(&[
        (CHAT, chat(flat.clone()), "response_format.json_schema", "belong inside of it"),
        (CHAT, chat(json!({"type": "json_schema"})), "response_format.json_schema", "Missing required parameter"),
        (CHAT, chat(schema.clone()), "response_format.type", "write 'json_schema'"),
        (CHAT, chat(json!({"json_schema": inner})), "response_format.type", "Missing required parameter"),
        (
            CHAT,
            chat(json!({"type": "json_schema", "json_schema": schema})),
            "response_format.json_schema.name",
            "Missing",
        ),
        (CHAT, chat(json!({"type": "json_schema", "json_schema": "x"})), "response_format.json_schema", "an object"),
        (CHAT, chat(json!("json_object")), "response_format", "expected an object"),
        (RESPONSES, response(nested.clone()), "text.format.json_schema", "its fields stand in 'text.format' itself"),
        (RESPONSES, response(json!({"type": "json_schema", "schema": schema})), "text.format.name", "Missing"),
        (RESPONSES, response(json!({"type": "json_schema", "name": "x"})), "text.format.schema", "Missing"),
        (RESPONSES, response(json!("json_object")), "text.format", "expected an object"),
        (CHAT, json!({"tools": [nested_tool, tool]}), "tools[1].function", "belong inside of it"),
        (RESPONSES, json!({"tools": [tool, nested_tool]}), "tools[1].function", "stand in the tool itself"),
        (CHAT, json!({"tool_choice": {"type": "function", "name": "f"}}), "tool_choice.function", "inside of it"),
        (RESPONSES, json!({"tool_choice": nested_tool}), "tool_choice.function", "stand in the tool itself"),
        (RESPONSES, json!({"text": flat}), "text.format", "belong inside of it"),
    ])
    .await;
    let (_gateway, caller) = plain(OPENAI).await;
    for (endpoint, fields) in [
        (CHAT, json!({"response_format": nested, "tools": [nested_tool]})),
        (RESPONSES, json!({"text": {"format": flat}, "tools": [tool, {"type": "web_search"}]})),
    ] {
        let body = with(endpoint, &fields);
        assert_eq!(ask(&caller, endpoint, [body.to_string()]).await[0]["status_code"], 200, "{body}");
    }
}

#[tokio::test]
async fn known_fields_have_their_types() {
    refused(&[
        (CHAT, json!({"temperature": "0.2"}), "temperature", "expected a number"),
        (CHAT, json!({"max_tokens": "100"}), "max_tokens", "expected an integer"),
        (CHAT, json!({"max_completion_tokens": 1.5}), "max_completion_tokens", "expected an integer"),
        (CHAT, json!({"logprobs": 1}), "logprobs", "expected a boolean"),
        (CHAT, json!({"stop": 7}), "stop", "expected a string or an array"),
        (CHAT, json!({"tools": {}}), "tools", "expected an array"),
        (CHAT, json!({"metadata": "a"}), "metadata", "expected an object"),
        (CHAT, json!({"user": 7}), "user", "expected a string"),
        (CHAT, json!({"messages": {"role": "user"}}), "messages", "expected an array"),
        (CHAT, json!({"messages": [{"role": 1}]}), "messages[0].role", "expected a string"),
        (CHAT, json!({"messages": [{"role": "user", "content": 1}]}), "messages[0].content", "a string or an array"),
        (RESPONSES, json!({"temperature": [1]}), "temperature", "expected a number"),
        (RESPONSES, json!({"input": 7}), "input", "expected a string or an array"),
        (RESPONSES, json!({"reasoning": "low"}), "reasoning", "expected an object"),
        (RESPONSES, json!({"text": "plain"}), "text", "expected an object"),
        (EMBEDDINGS, json!({"dimensions": "8"}), "dimensions", "expected an integer"),
        (EMBEDDINGS, json!({"encoding_format": 1}), "encoding_format", "expected a string"),
        (COMPLETIONS, json!({"prompt": {"a": 1}}), "prompt", "expected a string or an array"),
        (COMPLETIONS, json!({"logprobs": true}), "logprobs", "expected an integer"),
        (MODERATIONS, json!({"input": true}), "input", "expected a string or an array"),
        (IMAGES, json!({"n": "2"}), "n", "expected an integer"),
        (IMAGES, json!({"n": 0}), "n", "from 1 to 10"),
        (IMAGES, json!({"n": 11}), "n", "from 1 to 10"),
        (EDITS, json!({"n": 11}), "n", "from 1 to 10"),
        (IMAGES, json!({"prompt": ["a"]}), "prompt", "expected a string"),
        (VIDEOS, json!({"seconds": 8}), "seconds", "expected a string"),
    ])
    .await;
}

#[tokio::test]
async fn numbers_lists_and_texts_have_their_bounds() {
    let pairs: serde_json::Map<String, Value> = (0..17).map(|n| (n.to_string(), json!("v"))).collect();
    refused(&[
        (CHAT, json!({"temperature": 2.1}), "temperature", "from 0 to 2"),
        (CHAT, json!({"top_p": -0.1}), "top_p", "from 0 to 1"),
        (CHAT, json!({"n": 0}), "n", "from 1 to 128"),
        (CHAT, json!({"top_logprobs": 21}), "top_logprobs", "from 0 to 20"),
        (CHAT, json!({"stop": []}), "stop", "from 1 to 4"),
        (CHAT, json!({"stop": ["a", "b", "c", "d", "e"]}), "stop", "from 1 to 4"),
        (CHAT, json!({"metadata": pairs}), "metadata", "at most 16 pairs; it has 17"),
        (CHAT, json!({"metadata": {"a": 1}}), "metadata", "strings as its values"),
        (RESPONSES, json!({"metadata": {"a": "x".repeat(513)}}), "metadata", "values of at most 512"),
        (RESPONSES, json!({"max_output_tokens": 15}), "max_output_tokens", "at least 16"),
        (RESPONSES, json!({"safety_identifier": "x".repeat(65)}), "safety_identifier", "at most 64 characters"),
        (EMBEDDINGS, json!({"dimensions": 0}), "dimensions", "at least 1"),
        (COMPLETIONS, json!({"logprobs": 6}), "logprobs", "from 0 to 5"),
        (EDITS, json!({"images": []}), "images", "from 1 to 16"),
        (IMAGES, json!({"output_compression": 101}), "output_compression", "from 0 to 100"),
        (VIDEOS, json!({"prompt": "x".repeat(32_001)}), "prompt", "at most 32000 characters"),
    ])
    .await;
    let (_gateway, caller) = plain(OPENAI).await;
    let fields = json!({"temperature": 2, "top_p": 0, "n": 1.0, "stop": ["a", "b"], "metadata": {"ä".repeat(64): "ä".repeat(512)}});
    let body = with(CHAT, &fields);
    assert_eq!(ask(&caller, CHAT, [body.to_string()]).await[0]["status_code"], 200, "{body}");
}

#[tokio::test]
async fn parts_of_messages_are_those_of_the_endpoint() {
    let said = |kind: &str| json!([{"role": "user", "content": [{"type": kind, "text": "a"}]}]);
    let (chat, response) = ("messages[0].content[0].type", "input[0].content[0].type");
    refused(&[
        (CHAT, json!({"messages": said("input_text")}), chat, "it is 'text'"),
        (CHAT, json!({"messages": said("input_image")}), chat, "it is 'image_url'"),
        (RESPONSES, json!({"input": said("text")}), response, "it is 'input_text'"),
        (RESPONSES, json!({"input": said("image_url")}), response, "it is 'input_image'"),
    ])
    .await;
    let (_gateway, caller) = plain(OPENAI).await;
    for (endpoint, name, kind) in
        [(CHAT, "messages", "text"), (RESPONSES, "input", "input_text"), (CHAT, "messages", "own")]
    {
        let body = with(endpoint, &json!({name: said(kind)}));
        assert_eq!(ask(&caller, endpoint, [body.to_string()]).await[0]["status_code"], 200, "{body}");
    }
}

#[tokio::test]
async fn a_directive_comes_before_what_is_wrong_with_a_body() {
    let (_gateway, caller) = plain(OPENAI).await;
    let body = with(RESPONSES, &json!({"input": "[[status=451]]", "max_tokens": "none", "temperature": "hot"}));
    assert_eq!(ask(&caller, RESPONSES, [body.to_string()]).await[0]["status_code"], 451);
}

#[tokio::test]
async fn inputs_of_embeddings_are_texts_or_tokens_and_none_is_empty() {
    refused(&[
        (EMBEDDINGS, json!({"input": ""}), "input", "must not be empty"),
        (EMBEDDINGS, json!({"input": []}), "input", "must not be empty"),
        (EMBEDDINGS, json!({"input": ["a", ""]}), "input[1]", "must not be empty"),
        (EMBEDDINGS, json!({"input": [[1], []]}), "input[1]", "must not be empty"),
        (EMBEDDINGS, json!({"input": ["a", 1]}), "input", "expected a string, an array of strings"),
        (EMBEDDINGS, json!({"input": [{"text": "a"}]}), "input", "expected a string, an array of strings"),
        (EMBEDDINGS, json!({"input": [1.5]}), "input", "expected a string, an array of strings"),
        (EMBEDDINGS, json!({"input": vec!["a"; 2_049]}), "input", "at most 2048 items; it holds 2049"),
        (EMBEDDINGS, json!({"input": vec![json!([1]); 2_049]}), "input", "at most 2048 items"),
    ])
    .await;
    let (_gateway, caller) = plain(OPENAI).await;
    for input in [json!("a"), json!([1, 2]), json!([[1, 2], [3]]), json!(vec![vec![7; 8_192]; 2])] {
        let body = json!({"model": "m", "input": input, "dimensions": 2});
        assert_eq!(ask(&caller, EMBEDDINGS, [body.to_string()]).await[0]["status_code"], 200);
    }
}

#[tokio::test]
async fn lone_surrogates_are_found_wherever_they_are() {
    let (_gateway, caller) = plain(OPENAI).await;
    for (body, param) in [
        (r#"{"model":"m","messages":[{"role":"user","content":"\ud83d?"}]}"#, json!("messages")),
        (r#"{"model":"m","messages":[{"role":"user","content":"a"}],"user":"\udc00"}"#, json!("user")),
        (r#"{"model":"m","messages":[{"role":"user","content":"a"}],"x":[{"y":["\uD800\uD800"]}]}"#, json!("x")),
        (r#"{"model":"m","messages":[{"role":"user","content":"a"}],"metadata":{"\ud800":"a"}}"#, json!("metadata")),
        (r#"{"model":"m","messages":[{"role":"user","content":"a"}],"\udfff":1}"#, Value::Null),
        (r#"{"model":"\ud800","messages":[{"role":"user","content":"a"}]}"#, json!("model")),
    ] {
        let response = &ask(&caller, CHAT, [body.to_owned()]).await[0];
        let error = &response["body"]["error"];
        assert_eq!((&response["status_code"], &error["param"]), (&json!(400), &param), "{body}: {response}");
        assert!(error["message"].as_str().unwrap().contains("lone surrogate \\u"), "{error}");
    }
    let pair = r#"{"model":"m","messages":[{"role":"user","content":"\ud83d\ude00 \\ud83d"}]}"#;
    assert_eq!(ask(&caller, CHAT, [pair.to_owned()]).await[0]["status_code"], 200);
}

#[tokio::test]
async fn what_nobody_knows_and_what_may_be_null_is_let_through() {
    for prefix in PREFIXES {
        // Only of OpenAI is it known that it refuses null in a field that is not nullable.
        let nulls: &[&str] = match prefix {
            OPENAI => &["temperature", "max_tokens", "messages", "metadata", "safety_identifier"],
            _ => &["temperature", "max_tokens", "response_format", "messages", "text", "tools", "user"],
        };
        let (_gateway, caller) = plain(prefix).await;
        let unknown = json!({"top_k": 7, "x_own": {"input": 1}, "guided_json": {}, "chat_template_kwargs": []});
        for endpoint in [CHAT, RESPONSES, EMBEDDINGS] {
            let mut body = with(endpoint, &unknown);
            for name in nulls {
                let body = body.as_object_mut().unwrap();
                body.entry(*name).or_insert(Value::Null);
            }
            assert_eq!(ask(&caller, endpoint, [body.to_string()]).await[0]["status_code"], 200, "{body}");
        }
    }
}

#[tokio::test]
async fn a_response_goes_on_without_input() {
    let (_gateway, caller) = plain(OPENAI).await;
    for fields in [
        json!({"prompt": {"id": "pmpt_1"}}),
        json!({"prompt": {"id": "pmpt_1"}, "model": null}),
        json!({"previous_response_id": "resp_1"}),
        json!({"conversation": {"id": "conv_1"}}),
    ] {
        let mut body = with(RESPONSES, &fields);
        body.as_object_mut().unwrap().remove("input");
        assert_eq!(ask(&caller, RESPONSES, [body.to_string()]).await[0]["status_code"], 200, "{body}");
    }
}

#[tokio::test]
async fn a_body_is_nested_at_most_127_levels_deep() {
    let (_gateway, caller) = plain(OPENAI).await;
    let body = |levels: usize| {
        let lists = levels - 1;
        format!(r#"{{"model":"m","input":"a [[[{{","x":{}{}}}"#, "[".repeat(lists), "]".repeat(lists))
    };
    assert_eq!(ask(&caller, RESPONSES, [body(127)]).await[0]["status_code"], 200);
    for levels in [128, 100_000] {
        let response = &ask(&caller, RESPONSES, [body(levels)]).await[0];
        let expected = format!("The body is nested {levels} levels deep, and at most 127 may be.");
        assert_eq!((&response["status_code"], &response["body"]["error"]["message"]), (&json!(400), &json!(expected)));
    }
}

#[tokio::test]
async fn an_answer_is_bounded_by_the_memory_that_it_takes() {
    let (_gateway, caller) = plain(OPENAI).await;
    for (endpoint, body, param) in [
        (EMBEDDINGS, json!({"model": "m", "input": "a", "dimensions": 1_000_000_000_000_000_u64}), "input"),
        (COMPLETIONS, json!({"model": "m", "prompt": vec!["a"; 400], "n": 128}), "prompt"),
    ] {
        let response = &ask(&caller, endpoint, [body.to_string()]).await[0];
        let error = &response["body"]["error"];
        assert_eq!((&response["status_code"], &error["param"]), (&json!(400), &json!(param)), "{response}");
    }
}

#[tokio::test]
async fn a_completion_may_begin_with_nothing() {
    let (_gateway, caller) = plain(OPENAI).await;
    let body = r#"{"model":"m","prompt":null,"max_tokens":0}"#;
    let response = &ask(&caller, COMPLETIONS, [body.to_owned()]).await[0];
    assert_eq!((&response["status_code"], &response["body"]["choices"][0]["text"]), (&json!(200), &json!("")));
}

#[tokio::test]
async fn a_batch_embeds_at_most_fifty_thousand_inputs() {
    let (_gateway, caller) = plain(OPENAI).await;
    let body = |inputs: usize| json!({"model": "m", "dimensions": 1, "input": vec!["a"; inputs]});
    let lines = |last: usize| -> String {
        let full = (0..24).map(|n| line(&n.to_string(), EMBEDDINGS, &body(2_048)));
        full.chain([line("last", EMBEDDINGS, &body(last))]).collect()
    };
    let batch = caller.run(lines(848), EMBEDDINGS).await;
    assert_eq!((&batch["status"], &batch["request_counts"]["completed"]), (&json!("completed"), &json!(25)));
    let batch = caller.run(lines(849), EMBEDDINGS).await;
    assert_eq!(batch["status"], "failed");
    let finding = &batch["errors"]["data"][0];
    assert_eq!((&finding["param"], &finding["line"]), (&json!("body.input"), &Value::Null));
    assert_eq!(finding["message"], "The input file has 50001 inputs for embeddings; at most 50000 may be.");
}

#[tokio::test]
async fn a_body_is_weighed_before_it_is_read() {
    let (_gateway, caller) = plain(OPENAI).await;
    let nested = format!("[{}{{}}]", "{\"a\":{}},".repeat(640_000));
    let bodies = [("x", nested.as_str()), ("messages", nested.as_str())];
    for (name, value) in bodies {
        let messages = if name == "x" { r#","messages":[{"role":"user","content":"a"}]"# } else { "" };
        let body = format!(r#"{{"model":"m","{name}":{value}{messages}}}"#);
        let response = &ask(&caller, CHAT, [body]).await[0];
        assert_eq!(response["status_code"], 400);
        let message = response["body"]["error"]["message"].as_str().unwrap();
        assert!(message.contains("too many values") && message.contains("at most 64 MiB"), "{message}");
    }
    // As many tokens as OpenAI takes, and a picture of 12 MB, are fine.
    let tokens = json!({"model": "m", "dimensions": 1, "input": vec![vec![100_000; 8_192]; 36]});
    assert_eq!(ask(&caller, EMBEDDINGS, [tokens.to_string()]).await[0]["status_code"], 200);
    let picture = json!([{"type": "image_url", "image_url": {"url": "x".repeat(12_000_000)}}]);
    let body = with(CHAT, &json!({"messages": [{"role": "user", "content": picture}]}));
    assert_eq!(ask(&caller, CHAT, [body.to_string()]).await[0]["status_code"], 200);
}
