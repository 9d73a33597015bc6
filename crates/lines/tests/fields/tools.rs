//! Tools, the choice among them, and metadata.

use serde_json::{Value, json};

use super::{CHAT, RESPONSES, fine, wrong};

#[test]
fn the_function_of_a_chat_stands_one_level_down() {
    let function = json!({"type": "function", "function": {"name": "f", "parameters": {}}});
    fine(
        CHAT,
        "tools",
        &[
            json!([function, function]),
            json!([{"type": "custom", "name": "f"}]),
            json!([{"type": "custom"}]),
            json!([{}]),
            json!([{"function": {}}]),
            json!([{"type": null, "function": 7}]),
            json!([{"type": "function", "name": "f", "function": {"name": "f"}}]),
        ],
    );
    let flat = "wrong_shape: tools[0] is flat, as in /v1/responses: in /v1/chat/completions it is {\"type\": \"function\", \
                \"function\": {\"name\": …}}";
    wrong(
        CHAT,
        "tools",
        &[
            (json!(["f", 7]), "wrong_type: tools[0] is a string: it must be an object"),
            (json!([function, null]), "wrong_type: tools[1] is null: it must be an object"),
            (json!([{"type": "function", "name": "f"}]), flat),
            (json!([{"name": "f"}, "x"]), flat),
            (json!([{"name": 7, "type": null, "function": null}]), flat),
            (json!([{"type": "function"}]), "missing_field: tools[0].function is missing: it has the name"),
            (
                json!([{"type": "function", "function": null, "name": null}]),
                "missing_field: tools[0].function is missing: it has the name",
            ),
            (
                json!([function, {"type": "function", "function": "f"}]),
                "wrong_type: tools[1].function is a string: it must be an object",
            ),
            (
                json!([{"type": "function", "function": {"x": "name"}}]),
                "missing_field: tools[0].function.name is missing: each function has one",
            ),
            (
                json!([{"type": "function", "function": {"name": null}}]),
                "missing_field: tools[0].function.name is missing: each function has one",
            ),
            (
                json!([{"type": "function", "function": {"name": 7}}, {"type": "function"}]),
                "wrong_type: tools[0].function.name is a number: it must be a string",
            ),
        ],
    );
    fine(CHAT, "tool_choice", &[json!("auto"), function, json!({"type": "custom", "name": "f"})]);
    wrong(
        CHAT,
        "tool_choice",
        &[
            (json!({"name": "f"}), &flat.replace("tools[0]", "tool_choice")),
            (json!({"type": "function"}), "missing_field: tool_choice.function is missing: it has the name"),
            (json!([]), "wrong_type: tool_choice is an array: it must be a string or an object"),
        ],
    );
}

#[test]
fn the_function_of_a_response_stands_beside_its_type() {
    let function = json!({"type": "function", "name": "f", "parameters": {}});
    fine(
        RESPONSES,
        "tools",
        &[
            json!([function, function]),
            json!([{"type": "mcp"}]),
            json!([{"name": "f"}]),
            json!([{"function": {"name": "f"}}]),
            json!([{"type": "function", "name": "f", "function": {}}]),
        ],
    );
    let nested = "wrong_shape: tools[0] has a function one level down, as in /v1/chat/completions: in /v1/responses name \
                  and parameters stand beside type";
    wrong(
        RESPONSES,
        "tools",
        &[
            (json!([{"type": "function", "function": {"name": "f"}}]), nested),
            (json!([{"type": "function", "function": "f", "name": null}]), nested),
            (json!([{"type": "function"}]), "missing_field: tools[0].name is missing: each function has one"),
            (
                json!([{"type": "function", "name": null, "function": null}]),
                "missing_field: tools[0].name is missing: each function has one",
            ),
            (
                json!([function, {"type": "function", "name": {}}, 7]),
                "wrong_type: tools[1].name is an object: it must be a string",
            ),
        ],
    );
    fine(RESPONSES, "tool_choice", &[json!("auto"), function, json!({"type": "mcp"})]);
    wrong(
        RESPONSES,
        "tool_choice",
        &[(json!({"type": "function", "function": {"name": "f"}}), &nested.replace("tools[0]", "tool_choice"))],
    );
}

#[test]
fn metadata_is_a_few_pairs_of_short_texts() {
    let text = |length: usize| "é".repeat(length);
    let pairs = |count: usize| (0..count).map(|number| (number.to_string(), Value::from("x"))).collect::<Value>();
    for endpoint in [CHAT, RESPONSES] {
        fine(
            endpoint,
            "metadata",
            &[json!({}), pairs(16), json!({ text(64): text(512) }), json!({"": ""}), json!(null)],
        );
        let long = text(65);
        let (shown, _) = long.split_at(64);
        wrong(
            endpoint,
            "metadata",
            &[
                (pairs(17), "out_of_range: metadata has 17 pairs: it must have at most 16"),
                (json!({"a": 7, "b": null}), "wrong_type: metadata.a is a number: it must be a string"),
                (json!({"a": "x", "b": null}), "wrong_type: metadata.b is null: it must be a string"),
                (
                    json!({ long.as_str(): "x" }),
                    &format!("out_of_range: metadata.{shown}…: a key has at most 64 characters"),
                ),
                (json!({ "k": text(513) }), "out_of_range: metadata.k: a value has at most 512 characters"),
                (json!([]), "wrong_type: metadata is an array: it must be an object"),
            ],
        );
    }
}
