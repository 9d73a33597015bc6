//! The messages of a chat, and the items of a response's input.

use std::collections::BTreeMap;

use lote_lines::CheckOptions;
use serde_json::{Value, json};

use super::{CHAT, RESPONSES, fine, told_with, wrong};

const CHAT_ROLES: [&str; 6] = ["developer", "system", "user", "assistant", "tool", "function"];
const RESPONSE_ROLES: [&str; 4] = ["user", "assistant", "system", "developer"];

/// A list with a good message before these.
fn after_one(messages: Value) -> Value {
    let mut list = vec![json!({"role": "user", "content": "x"})];
    list.extend(messages.as_array().expect("an array").iter().cloned());
    Value::from(list)
}

#[test]
fn each_role_may_say_a_text_or_parts() {
    let part = json!([{"type": "any", "text": "x"}]);
    for (endpoint, list, roles) in [(CHAT, "messages", &CHAT_ROLES[..]), (RESPONSES, "input", &RESPONSE_ROLES[..])] {
        for role in roles {
            fine(
                endpoint,
                list,
                &[
                    json!([{"role": role, "content": "x"}]),
                    json!([{"role": role, "content": ""}]),
                    json!([{"role": role, "content": part}]),
                ],
            );
            // Only an assistant, or a function, may say nothing in a chat.
            let nothing = [
                (json!({"role": role}), *role == "assistant"),
                (json!({"role": role, "content": null}), ["assistant", "function"].contains(role)),
            ];
            for (message, may) in nothing {
                let told = told_with(endpoint, &json!({ list: [message] }), &CheckOptions::default());
                let what = match message.get("content") {
                    None => format!("missing_field: {list}[0].content is missing: a message says something"),
                    Some(_) => {
                        format!("wrong_type: {list}[0].content is null: it must be a string or an array of parts")
                    }
                };
                let expected = if may && endpoint == CHAT { vec![] } else { vec![what] };
                assert_eq!(told, expected, "{message}");
            }
        }
        let is = |role: &str| format!("out_of_range: {list}[0].role is {role}: it is one of {}", roles.join(", "));
        wrong(
            endpoint,
            list,
            &[
                (json!([{"role": "User", "content": "x"}]), &is("\"User\"")),
                (json!([{"role": "", "content": "x"}]), &is("\"\"")),
                (
                    json!([{"role": 7, "content": "x"}]),
                    &format!("wrong_type: {list}[0].role is a number: it must be a string"),
                ),
            ],
        );
    }
    wrong(
        RESPONSES,
        "input",
        &[(
            json!([{"role": "tool", "content": "x"}]),
            "out_of_range: input[0].role is \"tool\": it is one of user, assistant, system, developer",
        )],
    );
}

#[test]
fn the_first_fault_of_a_list_is_told_with_its_place() {
    let object = |list: &str, is: &str| {
        format!(
            "wrong_type: {list}[1] is {is}: it must be an object such as {{\"role\": \"user\", \"content\": \"…\"}}"
        )
    };
    for (endpoint, list) in [(CHAT, "messages"), (RESPONSES, "input")] {
        wrong(
            endpoint,
            list,
            &[
                (after_one(json!(["x", 7])), &object(list, "a string")),
                (after_one(json!([null])), &object(list, "null")),
                (after_one(json!([[]])), &object(list, "an array")),
                (
                    after_one(json!([{"role": "user", "content": 7}, "x"])),
                    &format!("wrong_type: {list}[1].content is a number: it must be a string or an array of parts"),
                ),
                (
                    after_one(json!([{"role": "user", "content": [{}, 7, {}]}])),
                    &format!("wrong_type: {list}[1].content has an entry that is no part, which is an object"),
                ),
                (
                    after_one(json!([{"role": "user", "content": [7, {}]}])),
                    &format!("wrong_type: {list}[1].content has an entry that is no part, which is an object"),
                ),
            ],
        );
    }
    // A chat says what is missing; an item of a response may be anything.
    let missing = "missing_field: messages[1].role is missing: each message has one, such as \"user\"";
    let empty = "out_of_range: messages[1].content is empty: a message says something";
    wrong(
        CHAT,
        "messages",
        &[
            (after_one(json!([{"content": "x"}])), missing),
            (after_one(json!([{"role": null, "content": "x"}, {}])), missing),
            (after_one(json!([{"role": "user", "content": []}])), empty),
        ],
    );
    fine(
        RESPONSES,
        "input",
        &[
            json!([{}]),
            json!([{"role": null, "content": 7}]),
            json!([{"role": "user", "content": []}]),
            json!([{"type": "reasoning", "role": "x", "content": 7}]),
            json!([{"type": 7, "role": "x"}]),
        ],
    );
    // A type of null, or that of a message, makes it one.
    for kind in [json!(null), json!("message")] {
        let item = json!([{"type": kind, "role": "x", "content": "x"}]);
        assert_eq!(told_with(RESPONSES, &json!({"input": item}), &CheckOptions::default()).len(), 1, "{kind}");
    }
    // In a chat a type is nothing.
    assert_eq!(told_with(CHAT, &json!({"messages": [{"type": "x", "role": "x"}]}), &CheckOptions::default()).len(), 1);
}

#[test]
fn the_parts_of_a_message_have_other_names_at_the_other_endpoint() {
    let (chat, responses) = (("messages", CHAT, RESPONSES), ("input", RESPONSES, CHAT));
    for ((list, endpoint, other), kind, right) in [
        (chat, "input_text", "text"),
        (chat, "output_text", "text"),
        (chat, "input_image", "image_url"),
        (chat, "input_file", "file"),
        (responses, "text", "input_text"),
        (responses, "image_url", "input_image"),
        (responses, "file", "input_file"),
    ] {
        let parts = json!([{"type": "x"}, {"x": 1, "type": kind}, {"type": kind}]);
        let expected = format!(
            "wrong_shape: {list}[1].content[1].type is {kind:?}, as {other} has it: in {endpoint} it is {right:?}"
        );
        wrong(endpoint, list, &[(after_one(json!([{"role": "user", "content": parts}])), &expected)]);
        // The same type is right at the other one, and anywhere else than as the type.
        let parts = json!([{"type": kind}]);
        let there = if list == "input" { "messages" } else { "input" };
        fine(other, there, &[json!([{"role": "user", "content": parts}])]);
        fine(endpoint, list, &[json!([{"role": "user", "content": [{"type": "x", "kind": kind}]}])]);
        // The service's own parts are not judged.
        let own = BTreeMap::from([(endpoint.to_owned(), vec![format!("{list}.content")])]);
        let options = CheckOptions { own_fields: own, ..CheckOptions::default() };
        let fields = json!({ list: [{"role": "user", "content": parts}, {"role": "user", "content": 7}] });
        assert_eq!(told_with(endpoint, &fields, &options), [""; 0], "{fields}");
        let fields = json!({ list: [{"role": "x", "content": "x"}] });
        assert_eq!(told_with(endpoint, &fields, &options).len(), 1, "{fields}");
        let own = BTreeMap::from([(endpoint.to_owned(), vec![format!("{list}.role")])]);
        let options = CheckOptions { own_fields: own, ..CheckOptions::default() };
        assert_eq!(told_with(endpoint, &fields, &options), [""; 0], "{fields}");
        let fields = json!({ list: [{"role": "x", "content": 7}] });
        assert_eq!(told_with(endpoint, &fields, &options).len(), 1, "{fields}");
    }
}
