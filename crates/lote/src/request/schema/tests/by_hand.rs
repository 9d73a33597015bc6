//! Schemas that no derive writes, the limits, and names.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde_json::{Value, json};

use super::{super::*, Inner};

/// A type whose schema is written by hand.
struct ByHand;

thread_local! {
    static BY_HAND: std::cell::RefCell<Value> = const { std::cell::RefCell::new(Value::Null) };
}

impl JsonSchema for ByHand {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        "ByHand".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        BY_HAND.with_borrow(|schema| schema.clone().try_into().expect("a schema"))
    }
}

fn by_hand(schema: Value) -> Result<Value, String> {
    BY_HAND.set(json!({
        "type": "object",
        "properties": {"x": schema},
        "required": ["x"],
        "$defs": {"D": {"type": "string"}, "O": {"type": "object", "properties": {"o": {"type": "null"}}}},
    }));
    strict_schema_of::<ByHand>().map(|schema| schema["properties"]["x"].clone())
}

#[test]
fn schemas_written_by_hand_are_held_to_the_same() {
    for (given, expected) in [
        (json!({"const": 3}), json!({"const": 3, "type": "integer"})),
        (json!({"enum": ["a", null]}), json!({"enum": ["a", null], "type": ["string", "null"]})),
        (json!({"allOf": [{"type": "string"}]}), json!({"type": "string"})),
        (
            json!({"$ref": "#/$defs/D", "description": "d", "minLength": 2, "title": "t"}),
            json!({"anyOf": [{"$ref": "#/$defs/D"}], "description": "d (minLength: 2)"}),
        ),
        (
            json!({"format": "int32", "minimum": 1, "exclusiveMaximum": 9, "type": "integer"}),
            json!({"minimum": 1, "exclusiveMaximum": 9, "type": "integer", "maximum": i32::MAX}),
        ),
        (json!({"type": "number", "format": "double", "x-mine": 1, "default": 2}), json!({"type": "number"})),
    ] {
        assert_eq!(by_hand(given.clone()), Ok(expected), "{given}");
    }
    let check = |word: &str| {
        format!("ByHand.x: {word} is not possible in strict mode; leave it out and check the answer yourself")
    };
    for (given, expected) in [
        (json!({"type": "string", "not": {"const": "a"}}), check("not")),
        (json!({"type": "object", "properties": {"a": true}, "if": {}}), check("if")),
        (json!({"allOf": [{"type": "string"}, {"pattern": "a"}]}), check("allOf")),
        (json!({"$ref": "#/$defs/D", "pattern": "x"}), check("pattern beside a reference")),
        (json!({"$ref": "#/$defs/Nowhere"}), "ByHand.x: $ref \"#/$defs/Nowhere\" leads to no definition".to_owned()),
        (json!({"$ref": "https://example.com/s"}), "ByHand.x: $ref \"https://example.com/s\" leads to no".to_owned()),
        (
            json!({"$ref": "#/$defs/D", "type": "object", "properties": {"k": {"const": 1}}}),
            "ByHand.x: a tag stands beside what is no struct".to_owned(),
        ),
        (json!({"const": {"a": 1}}), "ByHand.x: it may be any JSON".to_owned()),
        (json!({}), "ByHand.x: it may be any JSON".to_owned()),
        (json!({"properties": {"a": {"type": "null"}}}), "ByHand.x: properties without type".to_owned()),
        (json!({"type": "array"}), "ByHand.x: the elements of an array may be anything".to_owned()),
        (json!({"anyOf": [{"type": "null"}], "oneOf": []}), "ByHand.x: it has both anyOf and oneOf".to_owned()),
    ] {
        let said = by_hand(given.clone()).expect_err("a refusal");
        assert!(said.starts_with(&expected), "{given}: {said}");
    }
}

#[test]
fn the_limits_of_the_service_are_kept() {
    let object = |properties: serde_json::Map<String, Value>| json!({"type": "object", "properties": properties});
    let fields = |count: usize| object((0..count).map(|n| (format!("f{n}"), json!({"type": "null"}))).collect());
    assert!(by_hand(fields(4_998)).is_ok());
    assert!(by_hand(fields(4_999)).unwrap_err().contains("5001 fields are more than the 5000 of strict mode"));

    let nested = |levels: usize| {
        (1..levels).fold(json!({"type": "null"}), |inner, _| {
            object([("n".to_owned(), json!({"type": "array", "items": inner}))].into_iter().collect())
        })
    };
    assert!(by_hand(nested(10)).is_ok());
    assert!(by_hand(nested(11)).unwrap_err().contains("more than 10 objects are in each other"));

    let values =
        |count: usize, length: usize| json!({"enum": (0..count).map(|n| format!("{n:0length$}")).collect::<Vec<_>>()});
    assert!(by_hand(values(1_000, 5)).is_ok());
    assert!(by_hand(values(1_001, 5)).unwrap_err().contains("1001 enum values are more than the 1000"));
    assert!(by_hand(values(250, 400)).is_ok());
    assert!(by_hand(values(251, 60)).unwrap_err().contains("an enum of more than 250 values has more than 15000"));
    let long = "x".repeat(120_000);
    assert!(by_hand(json!({"const": long})).unwrap_err().contains("characters of names and values are more than"));
}

#[test]
fn names_are_those_that_services_take() {
    #[derive(JsonSchema)]
    #[schemars(rename = "Ünsichtbar wie <das>.hier")]
    #[expect(dead_code, reason = "only its name is of interest")]
    struct Odd {
        a: u8,
    }
    #[derive(JsonSchema)]
    #[schemars(rename = "")]
    #[expect(dead_code, reason = "only its name is of interest")]
    struct Nameless {
        a: u8,
    }
    for name in
        [name_of::<Inner>(), name_of::<Odd>(), name_of::<Nameless>(), name_of::<Vec<Option<HashMap<String, Inner>>>>()]
    {
        assert!(is_name(&name), "{name:?}");
    }
    assert_eq!((name_of::<Odd>().as_str(), name_of::<Nameless>().as_str()), ("_nsichtbar_wie__das__hier", "output"));
    for name in ["", "a b", "é", &"x".repeat(65)] {
        assert!(!is_name(name), "{name:?}");
    }
}
