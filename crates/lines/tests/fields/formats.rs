//! The format of an answer: `response_format` of a chat, `text` of a response.

use serde_json::json;

use super::{CHAT, RESPONSES, fine, wrong};

#[test]
fn the_schema_of_a_chat_stands_one_level_down() {
    let schema = json!({"type": "object", "properties": {}});
    fine(
        CHAT,
        "response_format",
        &[
            json!({"type": "text"}),
            json!({"type": "json_object", "name": "s", "schema": schema}),
            json!({"type": "grammar", "properties": {}}),
            json!({"type": "json_schema", "json_schema": {"name": "s"}}),
            json!({"type": "json_schema", "name": "s", "json_schema": {"name": "s", "schema": schema, "strict": false}}),
            json!({"type": "json_schema", "json_schema": {"name": "s", "schema": {}, "properties": {}, "strict": null}}),
        ],
    );
    let itself = "wrong_shape: response_format is a JSON Schema itself: write {\"type\": \"json_schema\", \"json_schema\": \
                  {\"name\": \"…\", \"schema\": …}} around it";
    let flat = "wrong_shape: response_format is flat, as text.format of /v1/responses: in /v1/chat/completions name, schema \
                and strict stand under response_format.json_schema";
    let inner = "wrong_shape: response_format.json_schema is a JSON Schema itself: it stands under \
                 response_format.json_schema.schema, beside a name";
    let no_type = "missing_field: response_format.type is missing: it is \"text\", \"json_object\" or \"json_schema\"";
    let is_missing = |field: &str| {
        format!(
            "missing_field: response_format.json_schema.{field} is missing: a format of type \"json_schema\" has it"
        )
    };
    let cases = [
        (json!({"type": "json_schema", "name": "s"}), flat.to_owned()),
        (json!({"schema": {}, "type": "json_schema"}), flat.to_owned()),
        (
            json!({"type": "json_schema", "strict": true}),
            "missing_field: response_format.json_schema is missing: it has the name and the schema".to_owned(),
        ),
        (
            json!({"type": "json_schema", "json_schema": "s"}),
            "wrong_type: response_format.json_schema is a string: it must be an object".to_owned(),
        ),
        (
            json!({"type": "json_schema", "json_schema": null}),
            "wrong_type: response_format.json_schema is null: it must be an object".to_owned(),
        ),
        (json!({"type": "json_schema", "json_schema": {"type": "object", "properties": {}}}), inner.to_owned()),
        (
            json!({"type": "json_schema", "json_schema": {"properties": {}, "schema": null, "name": "s"}}),
            inner.to_owned(),
        ),
        (json!({"type": "json_schema", "json_schema": {"schema": {}}}), is_missing("name")),
        (json!({"type": "json_schema", "json_schema": {"name": null}}), is_missing("name")),
        (
            json!({"type": "json_schema", "json_schema": {"name": 7}}),
            "wrong_type: response_format.json_schema.name is a number: it must be a string".to_owned(),
        ),
        (
            json!({"type": "json_schema", "json_schema": {"name": "s", "schema": "x"}}),
            "wrong_type: response_format.json_schema.schema is a string: it must be an object".to_owned(),
        ),
        (
            json!({"type": "json_schema", "json_schema": {"name": "s", "strict": "yes"}}),
            "wrong_type: response_format.json_schema.strict is a string: it must be true or false".to_owned(),
        ),
        (json!({"properties": {}}), itself.to_owned()),
        (json!({"$defs": {}, "type": null}), itself.to_owned()),
        (json!({"type": "object", "properties": {}}), itself.to_owned()),
        (json!({"type": ["object"], "properties": {}}), itself.to_owned()),
        (json!({}), no_type.to_owned()),
        (json!({"type": null, "json_schema": {"name": "s"}}), no_type.to_owned()),
        (
            json!({"type": "object"}),
            "wrong_shape: response_format.type is \"object\", as in a JSON Schema: write \"json_schema\"".to_owned(),
        ),
        (json!({"type": 7}), "wrong_type: response_format.type is a number: it must be a string".to_owned()),
    ];
    for (value, expected) in cases {
        wrong(CHAT, "response_format", &[(value, &expected)]);
    }
}

#[test]
fn the_schema_of_a_response_stands_beside_its_type() {
    let schema = json!({"type": "object", "properties": {}});
    fine(
        RESPONSES,
        "text",
        &[
            json!({}),
            json!({"format": null}),
            json!({"verbosity": "low"}),
            json!({"format": {"type": "text"}}),
            json!({"format": {"type": "json_object", "json_schema": {}}}),
            json!({"format": {"type": "grammar"}, "type": "x"}),
            json!({"type": null, "schema": null, "json_schema": null}),
            json!({"format": {"type": "json_schema", "name": "s", "schema": schema, "json_schema": {}}}),
            json!({"format": {"type": "json_schema", "name": "s", "schema": schema, "strict": null}}),
        ],
    );
    let astray = "wrong_shape: text has the format itself: it stands one level down, under text.format";
    let nested = "wrong_shape: text.format has json_schema, as response_format of /v1/chat/completions: in /v1/responses \
                  name, schema and strict stand in text.format itself";
    let no_type = "missing_field: text.format.type is missing: it is \"text\", \"json_object\" or \"json_schema\"";
    let cases = [
        (json!({"type": "json_object"}), astray),
        (json!({"schema": {}}), astray),
        (json!({"json_schema": {}, "format": null}), astray),
        (
            json!({"format": "json_object"}),
            "wrong_type: text.format is a string: it must be an object such as {\"type\": \"json_object\"}",
        ),
        (
            json!({"format": []}),
            "wrong_type: text.format is an array: it must be an object such as {\"type\": \"json_object\"}",
        ),
        (json!({"format": {"type": "json_schema", "json_schema": {"name": "s"}}}), nested),
        (json!({"format": {"json_schema": {"name": "s"}}}), nested),
        (json!({"format": {"json_schema": {"name": "s"}, "schema": {}}}), no_type),
        (json!({"format": {}}), no_type),
        (json!({"format": {"type": null, "name": "s"}}), no_type),
        (
            json!({"format": {"type": "object", "properties": {}}}),
            "wrong_shape: text.format.type is \"object\", as in a JSON Schema: write \"json_schema\"",
        ),
        (json!({"format": {"type": {}}}), "wrong_type: text.format.type is an object: it must be a string"),
        (
            json!({"format": {"type": "json_schema", "name": "s"}}),
            "missing_field: text.format.schema is missing: a format of type \"json_schema\" has it",
        ),
        (
            json!({"format": {"type": "json_schema", "schema": {}}}),
            "missing_field: text.format.name is missing: a format of type \"json_schema\" has it",
        ),
        (
            json!({"format": {"type": "json_schema", "name": [], "schema": {}}}),
            "wrong_type: text.format.name is an array: it must be a string",
        ),
        (
            json!({"format": {"type": "json_schema", "name": "s", "schema": true}}),
            "wrong_type: text.format.schema is true or false: it must be an object",
        ),
        (
            json!({"format": {"type": "json_schema", "name": "s", "schema": {}, "strict": 1}}),
            "wrong_type: text.format.strict is a number: it must be true or false",
        ),
    ];
    for (value, expected) in cases {
        wrong(RESPONSES, "text", &[(value, expected)]);
    }
}
