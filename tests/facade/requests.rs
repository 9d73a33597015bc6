//! Owns the tests of request builders: the exact bodies, and what is refused; never of schemas alone
//! (crates/lote/src/request/schema), nor of files (`request_files`).

use std::collections::BTreeMap;

use lote::{
    ToolCall,
    request::{
        AudioFormat, ChatCompletion, Embeddings, EncodingFormat, ImageDetail, ImageGeneration, Message, ModelResponse,
        Part, ReasoningEffort, Tool, ToolChoice,
    },
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

#[derive(Deserialize, schemars::JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Place {
    /// A city.
    city: String,
    country: Option<String>,
}

fn place() -> Value {
    json!({
        "type": "object",
        "properties": {
            "city": {"type": "string", "description": "A city."},
            "country": {"type": ["string", "null"]},
        },
        "required": ["city", "country"],
        "additionalProperties": false,
    })
}

fn chat() -> ChatCompletion {
    ChatCompletion::new("m")
}

fn response() -> ModelResponse {
    ModelResponse::new("m")
}

fn check(table: impl IntoIterator<Item = (Result<Map<String, Value>, lote::Error>, Value)>) {
    for (at, (made, expected)) in table.into_iter().enumerate() {
        let made = made.unwrap_or_else(|error| panic!("{at}: {error}"));
        // The text, so that the order of keys and the spelling of numbers count.
        assert_eq!(Value::Object(made).to_string(), expected.to_string(), "{at}");
    }
}

#[test]
fn chat_completions_have_the_exact_wire_form() {
    let said = json!([{"role": "user", "content": "hi"}]);
    let with = |extra: Value| {
        let mut body = json!({"model": "m", "messages": said});
        let (Value::Object(body), Value::Object(extra)) = (&mut body, extra) else { panic!("objects") };
        body.extend(extra);
        Value::Object(body.clone())
    };
    let hi = || chat().user("hi");
    let function = json!({"name": "f", "description": "d", "parameters": {"type": "object"}, "strict": false});
    check([
        (hi().body(), with(json!({}))),
        (hi().temperature(0.2).top_p(1.0).body(), with(json!({"temperature": 0.2, "top_p": 1.0}))),
        (
            hi().max_tokens(5).max_completion_tokens(6).seed(-7).n(2).body(),
            with(json!({"max_tokens": 5, "max_completion_tokens": 6, "seed": -7, "n": 2})),
        ),
        (hi().stop(["END"]).body(), with(json!({"stop": "END"}))),
        (hi().stop(["a", "b"]).body(), with(json!({"stop": ["a", "b"]}))),
        (
            hi().presence_penalty(-2.0).frequency_penalty(0.5).logit_bias([(50256, -100.0)]).body(),
            with(json!({"presence_penalty": -2.0, "frequency_penalty": 0.5, "logit_bias": {"50256": -100.0}})),
        ),
        (
            hi().logprobs(true).top_logprobs(3).store(false).body(),
            with(json!({"logprobs": true, "top_logprobs": 3, "store": false})),
        ),
        (
            hi().reasoning_effort(ReasoningEffort::Xhigh).end_user("u-1").body(),
            with(json!({"reasoning_effort": "xhigh", "user": "u-1"})),
        ),
        (hi().metadata("b", "2").metadata("a", "1").body(), with(json!({"metadata": {"a": "1", "b": "2"}}))),
        (hi().json_object().body(), with(json!({"response_format": {"type": "json_object"}}))),
        (
            hi().json_schema("s", json!({"type": "object"}), false).body(),
            with(json!({"response_format": {"type": "json_schema",
                "json_schema": {"name": "s", "schema": {"type": "object"}, "strict": false}}})),
        ),
        (
            hi().json_output::<Place>().body(),
            with(json!({"response_format": {"type": "json_schema",
                "json_schema": {"name": "Place", "schema": place(), "strict": true}}})),
        ),
        (
            hi().parallel_tool_calls(false)
                .tool(Tool::function("f").description("d").parameters(json!({"type": "object"})).strict(false))
                .tool(Tool::function("p").parameters_of::<Place>())
                .tool(Tool::function("none"))
                .tool(Tool::raw(json!({"type": "custom", "custom": {"name": "c"}})))
                .tool_choice(ToolChoice::Function("f".to_owned()))
                .body(),
            with(json!({
                "parallel_tool_calls": false,
                "tool_choice": {"type": "function", "function": {"name": "f"}},
                "tools": [
                    {"type": "function", "function": function},
                    {"type": "function", "function": {"name": "p", "parameters": place(), "strict": true}},
                    {"type": "function", "function": {"name": "none"}},
                    {"type": "custom", "custom": {"name": "c"}},
                ],
            })),
        ),
        (hi().tool_choice(ToolChoice::Auto).body(), with(json!({"tool_choice": "auto"}))),
        (hi().tool_choice(ToolChoice::None).body(), with(json!({"tool_choice": "none"}))),
        (hi().tool_choice(ToolChoice::Required).body(), with(json!({"tool_choice": "required"}))),
    ]);
}

fn conversation() -> Vec<Message> {
    vec![
        Message::system("s"),
        Message::developer("d").name("boss"),
        Message::user([
            Part::text("t"),
            Part::image_url("https://example.com/a.png").detail(ImageDetail::Low),
            Part::image("image/png", [0, 255]),
            Part::file_id("file-1"),
            Part::file("a.pdf", "application/pdf", b"%PDF"),
        ]),
        Message::tool_calls([ToolCall::new("call_1", "f", "{\"a\":1}"), ToolCall::new("call_2", "g", "{}")]),
        Message::tool("call_1", "done"),
        Message::assistant([Part::text("said")]),
        Message::raw(json!({"role": "user", "content": "as it is"})),
    ]
}

#[test]
fn parts_that_only_one_endpoint_takes_are_refused_for_the_other() {
    let sound = || Part::input_audio([1, 2, 3], AudioFormat::Wav);
    let original = || Part::image_url("u").detail(ImageDetail::Original);
    let chat = |part: Part| ChatCompletion::new("m").user(part).line("a");
    let response = |part: Part| ModelResponse::new("m").user(part).line("a");
    let audio = json!({"type": "input_audio", "input_audio": {"data": "AQID", "format": "wav"}});
    assert_eq!(chat(sound()).expect("a line").body["messages"][0]["content"][0], audio);
    assert_eq!(response(original()).expect("a line").body["input"][0]["content"][0]["detail"], "original");
    let error = response(sound()).expect_err("no sound").to_string();
    assert!(error.ends_with("input: [0]: content[0]: input_audio: responses take no sound; send a chat completion"));
    let error = chat(original()).expect_err("no such detail").to_string();
    assert!(error.ends_with("content[0]: detail: original is for responses alone; name another"), "{error}");
}

#[test]
fn messages_have_the_form_of_their_endpoint() {
    let in_chat = json!([
        {"role": "system", "content": "s"},
        {"role": "developer", "content": "d", "name": "boss"},
        {"role": "user", "content": [
            {"type": "text", "text": "t"},
            {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,AP8="}},
            {"type": "file", "file": {"file_id": "file-1"}},
            {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}},
        ]},
        {"role": "assistant", "tool_calls": [
            {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}},
            {"id": "call_2", "type": "function", "function": {"name": "g", "arguments": "{}"}},
        ]},
        {"role": "tool", "tool_call_id": "call_1", "content": "done"},
        {"role": "assistant", "content": [{"type": "text", "text": "said"}]},
        {"role": "user", "content": "as it is"},
    ]);
    let in_responses = json!([
        {"role": "system", "content": "s"},
        {"role": "user", "content": [
            {"type": "input_text", "text": "t"},
            {"type": "input_image", "image_url": "https://example.com/a.png", "detail": "low"},
            {"type": "input_image", "image_url": "data:image/png;base64,AP8=", "detail": "auto"},
            {"type": "input_file", "file_id": "file-1"},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
        ]},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": "{\"a\":1}"},
        {"type": "function_call", "call_id": "call_2", "name": "g", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "done"},
        {"role": "assistant", "content": [{"type": "output_text", "text": "said"}]},
        {"role": "user", "content": "as it is"},
    ]);
    // A name is something that responses do not know.
    let mut nameless = conversation();
    let named = nameless.remove(1);
    check([
        (chat().messages(conversation()).body(), json!({"model": "m", "messages": in_chat})),
        (response().messages(nameless).body(), json!({"model": "m", "input": in_responses})),
    ]);
    let error = response().message(named).body().unwrap_err().to_string();
    assert_eq!(error, "model response: input: [0]: name: responses know no names of speakers; say it in the text");
}

#[test]
fn the_other_endpoints_have_the_exact_wire_form() {
    let input = json!([{"role": "user", "content": "hi"}]);
    check([
        (
            response()
                .user("hi")
                .instructions("i")
                .temperature(0.1)
                .top_p(0.9)
                .max_output_tokens(9)
                .top_logprobs(1)
                .reasoning_effort(ReasoningEffort::Minimal)
                .store(true)
                .truncation("auto")
                .end_user("u")
                .metadata("k", "v")
                .body(),
            json!({"model": "m", "input": input, "instructions": "i", "temperature": 0.1, "top_p": 0.9,
                "max_output_tokens": 9, "top_logprobs": 1, "reasoning": {"effort": "minimal"}, "store": true,
                "truncation": "auto", "user": "u", "metadata": {"k": "v"}}),
        ),
        (
            response().user("hi").json_output::<Place>().body(),
            json!({"model": "m", "input": input, "text": {"format":
                {"type": "json_schema", "name": "Place", "schema": place(), "strict": true}}}),
        ),
        (
            response().user("hi").json_object().body(),
            json!({"model": "m", "input": input, "text": {"format": {"type": "json_object"}}}),
        ),
        (
            response()
                .user("hi")
                .tool(Tool::function("p").parameters_of::<Place>())
                .tool(Tool::function("q").description("d"))
                .tool(Tool::raw(json!({"type": "web_search"})))
                .tool_choice(ToolChoice::Function("p".to_owned()))
                .parallel_tool_calls(true)
                .body(),
            json!({"model": "m", "input": input, "tool_choice": {"type": "function", "name": "p"},
            "parallel_tool_calls": true,
            "tools": [
                {"type": "function", "name": "p", "parameters": place(), "strict": true},
                {"type": "function", "name": "q", "description": "d", "parameters":
                    {"type": "object", "properties": {}, "required": [], "additionalProperties": false},
                    "strict": false},
                {"type": "web_search"},
            ]}),
        ),
        (Embeddings::new("m").input("t").body(), json!({"model": "m", "input": "t"})),
        (
            Embeddings::new("m")
                .input(["a", "b"])
                .dimensions(256)
                .encoding_format(EncodingFormat::Base64)
                .end_user("u")
                .body(),
            json!({"model": "m", "input": ["a", "b"], "dimensions": 256, "encoding_format": "base64", "user": "u"}),
        ),
        (Embeddings::new("m").input(vec![1_u32, 2]).body(), json!({"model": "m", "input": [1, 2]})),
        (Embeddings::new("m").input(vec![vec![1_u32], vec![2]]).body(), json!({"model": "m", "input": [[1], [2]]})),
        (
            ImageGeneration::new("m")
                .prompt("p")
                .n(2)
                .size("1024x1024")
                .quality("high")
                .background("transparent")
                .output_format("webp")
                .output_compression(80)
                .moderation("low")
                .style("vivid")
                .response_format("b64_json")
                .end_user("u")
                .body(),
            json!({"model": "m", "prompt": "p", "n": 2, "size": "1024x1024", "quality": "high",
                "background": "transparent", "output_format": "webp", "output_compression": 80, "moderation": "low",
                "style": "vivid", "response_format": "b64_json", "user": "u"}),
        ),
    ]);
}

#[test]
fn a_field_by_name_wins_whenever_it_was_given() {
    check([
        (
            chat().field("temperature", 1).field("verbosity", "low").user("hi").temperature(0.5).body(),
            json!({"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 1, "verbosity": "low"}),
        ),
        // It makes up for what would be missing.
        (
            chat().field("messages", [json!({"role": "user", "content": "raw"})]).body(),
            json!({"model": "m", "messages": [{"role": "user", "content": "raw"}]}),
        ),
        (Embeddings::new("").field("model", "n").field("input", ["x"]).body(), json!({"model": "n", "input": ["x"]})),
        (
            response().field("input", "plain").field("text", json!({"verbosity": "low"})).json_object().body(),
            json!({"model": "m", "input": "plain", "text": {"verbosity": "low"}}),
        ),
    ]);
}

#[test]
fn what_is_wrong_is_said_when_the_line_is_made_and_all_at_once() {
    let hi = || chat().user("hi");
    let nan = BTreeMap::from([("a", [1.0, f64::NAN])]);
    for (made, expected) in [
        (hi().temperature(f64::NAN).line("a"), "chat completion: temperature: NaN is no number of JSON"),
        (hi().logit_bias([(1, f64::INFINITY)]).line("a"), "chat completion: logit_bias: 1: inf is no number of JSON"),
        (hi().field("x", &nan).line("a"), "chat completion: x: a[1]: NaN is no number of JSON"),
        (hi().field("stream", true).line("a"), "chat completion: stream: a batch cannot stream; leave it out"),
        (hi().line(""), "custom_id is empty; answers are told apart by it alone, so give each line its own"),
        (
            ChatCompletion::new("").top_p(f64::NAN).line("a"),
            "chat completion: top_p: NaN is no number of JSON; model: it is empty; name a model; \
             messages: there is none; say something with .user(…)",
        ),
        (
            hi().tool(Tool::function("a b")).line("a"),
            "chat completion: tools: [0]: function name \"a b\": it must be 1 to 64 of a-z, A-Z, 0-9, _ and -; rename it",
        ),
        (
            hi().tool(Tool::function("f").parameters_of::<Vec<u8>>()).line("a"),
            "chat completion: tools: [0]: function \"f\": Array_of_uint8: the answer must be an object; put it into a field of a struct",
        ),
        (
            hi().json_output::<Value>().line("a"),
            "chat completion: response_format: json_output: AnyValue: the answer must be an object; put it into a field of a struct",
        ),
        (
            hi().json_schema("ä", json!({}), true).line("a"),
            "chat completion: response_format: schema name \"ä\": it must be 1 to 64 of a-z, A-Z, 0-9, _ and -; rename it",
        ),
        (
            response().user("x").json_output::<String>().line("a"),
            "model response: text.format: json_output: string: the answer must be an object; put it into a field of a struct",
        ),
        (
            chat().user([Part::text("x").detail(ImageDetail::High)]).line("a"),
            "chat completion: messages: [0]: content[0]: detail: only an image has one; leave it out",
        ),
        (chat().user(Vec::new()).line("a"), "chat completion: messages: [0]: content: there is no part; add one"),
        (
            chat().message(Message::tool_calls([])).line("a"),
            "chat completion: messages: [0]: tool_calls: there is none; leave the message out",
        ),
        (chat().message(Message::raw(f64::NAN)).line("a"), "chat completion: messages: [0]: NaN is no number of JSON"),
        (Embeddings::new("m").line("a"), "embeddings: input: there is none; give one with .input(…)"),
        (
            Embeddings::new("m").input(["a", ""]).line("a"),
            "embeddings: input: [1]: the text is empty; services refuse it, so leave it out",
        ),
        (
            Embeddings::new("m").input(Vec::<String>::new()).line("a"),
            "embeddings: input: there is no text; services refuse it, so leave it out",
        ),
        (
            ImageGeneration::new("m").line("a"),
            "image generation: prompt: there is none; say what to draw with .prompt(…)",
        ),
    ] {
        let error = made.expect_err(expected);
        assert!(error.is_invalid());
        assert_eq!(error.to_string(), expected);
    }
}
