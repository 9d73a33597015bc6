//! Each rule of strict mode: one schema that keeps it, and one that does not, with the place that is named.

use serde_json::json;

use super::*;

fn said(schema: &Value) -> Vec<String> {
    strict_faults(schema).iter().map(ToString::to_string).collect()
}

/// An object with one property `x` that is this.
fn holding(x: Value) -> Value {
    json!({"type": "object", "properties": {"x": x}, "required": ["x"], "additionalProperties": false})
}

#[test]
fn what_can_be_said_has_no_fault() {
    let tree = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Tree",
        "type": "object",
        "properties": {
            "name": {"type": ["string", "null"], "description": "d", "pattern": "^[a-z]+$"},
            "at": {"type": "string", "format": "date-time"},
            "n": {"type": "integer", "minimum": 0, "exclusiveMaximum": 9, "multipleOf": 3},
            "kind": {"type": "string", "enum": ["leaf", "node"]},
            "one": {"type": "string", "const": "1"},
            "left": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
            "all": {"type": "array", "items": {"$ref": "#/$defs/Part~1s"}, "minItems": 1, "maxItems": 4},
            "none": {"type": "object", "properties": {}, "required": [], "additionalProperties": false},
        },
        "required": ["name", "at", "n", "kind", "one", "left", "all", "none"],
        "additionalProperties": false,
        "$defs": {"Part/s": holding(json!({"anyOf": [{"$ref": "#/$defs/Part~1s"}, {"type": "number"}]}))},
    });
    assert_eq!(said(&tree), [""; 0]);
}

#[test]
fn each_fault_is_named_at_its_place() {
    for (schema, expected) in [
        (json!([1]), "the root: the answer must be an object"),
        (json!({"type": "array", "items": {"type": "string"}}), "the root: the answer must be an object"),
        (
            json!({"$ref": "#/$defs/A", "$defs": {"A": holding(json!({"type": "null"}))}}),
            "the root: the answer must be",
        ),
        (
            json!({"type": "object", "properties": {}, "additionalProperties": false, "anyOf": [{"type": "null"}]}),
            "the root: anyOf cannot stand at the root",
        ),
        (json!({"type": "object", "properties": {}}), "the root: an object is closed"),
        (json!({"type": "object", "additionalProperties": false}), "the root: an object names its properties"),
        (
            json!({"type": "object", "properties": {}, "additionalProperties": {"type": "string"}}),
            "the root: a map with keys of its own",
        ),
        (
            json!({"type": "object", "properties": {"a": {"type": "null"}, "b": {"type": "null"}}, "required": ["a"],
                "additionalProperties": false}),
            "the root: every property is required in strict mode: add \"b\" to \"required\"",
        ),
        (
            json!({"type": "object", "properties": {}, "required": ["c"], "additionalProperties": false}),
            "/required: \"c\" is no property",
        ),
        (holding(json!({})), "/properties/x: it may be any JSON"),
        (holding(json!(true)), "/properties/x: it may be any JSON"),
        (holding(json!(3)), "/properties/x: a schema is an object"),
        (holding(json!({"enum": ["a"]})), "/properties/x: its type is missing"),
        (holding(json!({"type": "text"})), "/properties/x/type: \"text\" is no type"),
        (holding(json!({"type": "string", "enum": []})), "/properties/x/enum: it must be a list"),
        (holding(json!({"type": "string", "format": "uri"})), "/properties/x/format: strict mode does not know"),
        (holding(json!({"type": "string", "minLength": 1})), "/properties/x/minLength: strict mode does not take"),
        (
            holding(json!({"type": "string", "default": "a"})),
            "/properties/x/default: strict mode does not take default",
        ),
        (
            holding(json!({"oneOf": [{"type": "null"}]})),
            "/properties/x/oneOf: strict mode does not take oneOf: write anyOf",
        ),
        (holding(json!({"type": "string", "not": {"const": "a"}})), "/properties/x/not: strict mode does not take not"),
        (holding(json!({"allOf": [{"type": "null"}]})), "/properties/x/allOf: strict mode does not take allOf"),
        (holding(json!({"type": "string", "if": {}, "then": {}})), "/properties/x/if: strict mode does not take if"),
        (holding(json!({"type": "integer", "minimum": "1"})), "/properties/x/minimum: it must be a number"),
        (
            holding(json!({"type": "array", "items": {"type": "null"}, "minItems": -1})),
            "/properties/x/minItems: it must",
        ),
        (holding(json!({"type": "array"})), "/properties/x: an array says what is in it"),
        (holding(json!({"type": "array", "items": [{"type": "null"}]})), "/properties/x/items: a schema is an object"),
        (holding(json!({"type": "string", "items": {"type": "null"}})), "/properties/x: items is for arrays"),
        (holding(json!({"type": "null", "properties": {}})), "/properties/x: properties is for objects"),
        (holding(json!({"anyOf": []})), "/properties/x/anyOf: it must be a list of schemas"),
        (holding(json!({"anyOf": [{"type": "null"}, {}]})), "/properties/x/anyOf/1: it may be any JSON"),
        (
            holding(json!({"$ref": "#", "description": "d"})),
            "/properties/x: nothing may stand beside $ref: move description",
        ),
        (holding(json!({"$ref": "#/$defs/No"})), "/properties/x: $ref \"#/$defs/No\" leads to nothing"),
        (holding(json!({"$ref": "other.json"})), "/properties/x: $ref \"other.json\" leads out"),
        (holding(json!({"type": "null", "$defs": {}})), "/properties/x/$defs: it can only stand at the root"),
        (holding(json!({"type": "string", "a/b~": 1})), "/properties/x/a~1b~0: strict mode does not take a/b~"),
    ] {
        let said = said(&schema);
        assert!(said.iter().any(|said| said.starts_with(expected)), "{schema}: {said:?}");
    }
}

#[test]
fn references_that_lead_nowhere_are_cycles() {
    let with = |definitions: Value| {
        let mut schema = holding(json!({"$ref": "#/$defs/A"}));
        schema["$defs"] = definitions;
        said(&schema)
    };
    let cycles = with(json!({"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}));
    let expected = "$ref \"#/$defs/B\" leads back to itself without a property between";
    assert_eq!(cycles[0], format!("/$defs/A: {expected}"), "{cycles:?}");
    assert_eq!(with(json!({"A": {"$ref": "#/$defs/A"}})).len(), 1);
    let alternatives = with(json!({"A": {"anyOf": [{"type": "null"}, {"$ref": "#/$defs/A"}]}}));
    assert!(alternatives.iter().any(|said| said.starts_with("/$defs/A: it leads back to itself")), "{alternatives:?}");
    // With a property or an element between, it is a list or a tree.
    assert_eq!(with(json!({"A": holding(json!({"anyOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]}))})), [""; 0]);
    assert_eq!(with(json!({"A": {"type": "array", "items": {"$ref": "#/$defs/A"}}})), [""; 0]);
}

#[test]
fn the_limits_of_the_service_are_kept() {
    let object = |count: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("f{n}")).collect();
        let properties: Map<String, Value> = names.iter().map(|name| (name.clone(), json!({"type": "null"}))).collect();
        json!({"type": "object", "properties": properties, "required": names, "additionalProperties": false})
    };
    assert_eq!(said(&object(MOST_PROPERTIES)), [""; 0]);
    assert_eq!(
        said(&object(5_001)),
        ["the root: 5001 properties are more than the 5000 of strict mode: ask for less at once"]
    );
    let nested = |levels: usize| {
        (0..levels).fold(json!({"type": "null"}), |inner, _| holding(json!({"type": "array", "items": inner})))
    };
    assert_eq!(said(&nested(10)), [""; 0]);
    assert_eq!(said(&nested(12)).len(), 1, "{:?}", said(&nested(12)));
    let names = |count: usize, length: usize| {
        let names: Vec<String> = (0..count).map(|n| format!("{n:0length$}")).collect();
        holding(json!({"type": "string", "enum": names}))
    };
    assert_eq!(said(&names(1_000, 5)), [""; 0]);
    assert!(said(&names(1_001, 5))[0].contains("1001 values of enums are more than the 1000"));
    assert_eq!(said(&names(250, 400)), [""; 0]);
    assert!(said(&names(251, 60))[0].starts_with("/properties/x/enum: its 251 values have 15060 characters"));
    let long = holding(json!({"type": "string", "const": "x".repeat(120_000)}));
    assert_eq!(said(&long).len(), 1);
    // However deep it is, it is looked at in bounded space.
    assert!(!said(&nested(400)).is_empty());
}

#[cfg(feature = "schema")]
#[test]
fn what_is_derived_from_types_has_no_fault() {
    #[derive(schemars::JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Verdict {
        good: bool,
        why: Option<String>,
        parts: Vec<Verdict>,
    }
    let schema = crate::request::schema::strict_schema_of::<Verdict>().expect("it can be said");
    assert_eq!(said(&schema), [""; 0], "{schema}");
}
