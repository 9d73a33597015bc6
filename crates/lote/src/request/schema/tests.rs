//! Derived schemas: a zoo of types, what each becomes, and what is refused.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;

mod by_hand;

fn schema<T: JsonSchema>() -> Value {
    strict_schema_of::<T>().unwrap_or_else(|problem| panic!("{problem}"))
}

fn refused<T: JsonSchema>() -> String {
    strict_schema_of::<T>().expect_err("a refusal")
}

#[derive(Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Inner {
    text: String,
    #[serde(default)]
    number: u32,
    maybe: Option<i64>,
}

fn inner(extra: Value) -> Value {
    let mut properties = json!({
        "text": {"type": "string"},
        "number": {"type": "integer", "minimum": 0, "maximum": 4_294_967_295_u32},
        "maybe": {"type": ["integer", "null"]},
    });
    let mut required = vec!["text", "number", "maybe"];
    let mut all = serde_json::Map::new();
    if let Value::Object(extra) = extra {
        for (name, value) in extra {
            required.insert(0, if name == "kind" { "kind" } else { "?" });
            all.insert(name, value);
        }
    }
    all.extend(properties.as_object_mut().map(std::mem::take).unwrap_or_default());
    json!({"type": "object", "properties": all, "required": required, "additionalProperties": false})
}

#[test]
fn every_field_is_required_and_an_option_may_be_null() {
    assert_eq!(schema::<Inner>(), inner(json!({})));
}

/// What a review says.
#[derive(Serialize, Deserialize, JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Wide {
    /// Seen from outside.
    #[schemars(length(min = 1, max = 80))]
    title: String,
    #[schemars(range(min = 1, max = 5))]
    stars: u8,
    share: f32,
    id: u64,
    letter: char,
    #[schemars(regex(pattern = r"^[A-Z]{2}$"))]
    country: String,
    #[schemars(email, extend("examples" = ["a@example.com"]))]
    mail: String,
    #[schemars(url)]
    site: String,
    tags: BTreeSet<String>,
    point: [f64; 3],
    /// The inner one.
    inner: Inner,
    /// Perhaps another.
    other: Option<Box<Inner>>,
    lists: Option<Vec<Vec<bool>>>,
    nothing: (),
    #[serde(rename = "with space")]
    renamed: i8,
    #[serde(skip)]
    skipped: u8,
}

#[test]
fn bounds_are_kept_where_they_are_known_and_told_where_not() {
    let found = schema::<Wide>();
    let expected = json!({
        "title": {"type": "string", "description": "Seen from outside. (minLength: 1, maxLength: 80)"},
        "stars": {"type": "integer", "minimum": 1, "maximum": 5},
        "share": {"type": "number"},
        "id": {"type": "integer", "minimum": 0},
        "letter": {"type": "string", "description": "(minLength: 1, maxLength: 1)"},
        "country": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "mail": {"type": "string", "format": "email", "description": "(examples: [\"a@example.com\"])"},
        "site": {"type": "string", "description": "(format: \"uri\")"},
        "tags": {"type": "array", "items": {"type": "string"}, "description": "(uniqueItems: true)"},
        "point": {"type": "array", "items": {"type": "number"}, "minItems": 3, "maxItems": 3},
        "inner": {"anyOf": [{"$ref": "#/$defs/Inner"}], "description": "The inner one."},
        "other": {"anyOf": [{"$ref": "#/$defs/Inner"}, {"type": "null"}], "description": "Perhaps another."},
        "lists": {"type": ["array", "null"], "items": {"type": "array", "items": {"type": "boolean"}}},
        "nothing": {"type": "null"},
        "with space": {"type": "integer", "minimum": -128, "maximum": 127},
    });
    for (name, property) in expected.as_object().expect("an object") {
        assert_eq!(&found["properties"][name], property, "{name}");
    }
    let names: Vec<&String> = expected.as_object().expect("an object").keys().collect();
    assert_eq!(found["required"], json!(names));
    assert_eq!(found["description"], "What a review says.");
    assert_eq!(found["$defs"], json!({"Inner": inner(json!({}))}));
    only_what_is_supported(&found);
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Tree {
    value: i32,
    /// Those below.
    children: Vec<Tree>,
    twin: Option<Box<Tree>>,
    label: Label,
}

#[derive(Serialize, Deserialize, JsonSchema)]
enum Label {
    Good,
    /// Worse than good.
    Bad,
}

#[test]
fn recursion_is_a_reference() {
    let found = schema::<Tree>();
    assert_eq!(found["properties"]["children"]["items"], json!({"$ref": "#"}));
    assert_eq!(found["properties"]["twin"], json!({"anyOf": [{"$ref": "#"}, {"type": "null"}]}));
    let label = json!({"anyOf": [
        {"type": "string", "enum": ["Good"]},
        {"type": "string", "const": "Bad", "description": "Worse than good."},
    ]});
    assert_eq!(found["$defs"]["Label"], label);
    only_what_is_supported(&found);
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
enum External {
    Holds(Inner),
    Has { x: i32 },
    Plain,
    Empty {},
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind")]
enum Internal {
    Holds(Inner),
    Has { x: i32 },
    Plain,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(tag = "t", content = "c")]
enum Adjacent {
    Holds(Inner),
    Plain,
}

#[derive(Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
enum Untagged {
    Holds(Inner),
    Text(String),
    Nothing,
}

#[derive(Serialize, Deserialize, JsonSchema)]
struct Enums {
    external: External,
    internal: Internal,
    adjacent: Adjacent,
    untagged: Option<Untagged>,
}

#[test]
fn enums_of_every_kind_are_alternatives() {
    let found = schema::<Enums>();
    let closed = |properties: Value| {
        let required: Vec<&String> = properties.as_object().expect("an object").keys().collect();
        json!({"type": "object", "properties": properties, "required": required, "additionalProperties": false})
    };
    let x = json!({"type": "integer", "minimum": i32::MIN, "maximum": i32::MAX});
    let tag = |name: &str| json!({"type": "string", "const": name});
    let definitions = &found["$defs"];
    assert_eq!(
        definitions["External"]["anyOf"],
        json!([
            {"type": "string", "enum": ["Plain"]},
            closed(json!({"Holds": {"$ref": "#/$defs/Inner"}})),
            closed(json!({"Has": closed(json!({"x": x}))})),
            closed(json!({"Empty": closed(json!({}))})),
        ])
    );
    assert_eq!(
        definitions["Internal"]["anyOf"],
        json!([
            inner(json!({"kind": tag("Holds")})),
            closed(json!({"kind": tag("Has"), "x": x})),
            closed(json!({"kind": tag("Plain")}))
        ])
    );
    assert_eq!(
        definitions["Adjacent"]["anyOf"],
        json!([closed(json!({"t": tag("Holds"), "c": {"$ref": "#/$defs/Inner"}})), closed(json!({"t": tag("Plain")}))])
    );
    assert_eq!(
        definitions["Untagged"]["anyOf"],
        json!([{"$ref": "#/$defs/Inner"}, {"type": "string"}, {"type": "null"}])
    );
    only_what_is_supported(&found);
}

/// A type with one field, so that the refusal is about that field.
macro_rules! with {
    ($type:ty) => {{
        #[derive(JsonSchema)]
        #[expect(dead_code, reason = "only its schema is of interest")]
        struct Whole {
            field: $type,
        }
        refused::<Whole>()
    }};
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct Flattened {
    own: u8,
    #[serde(flatten)]
    rest: BTreeMap<String, String>,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct FlattenedEnum {
    own: u8,
    #[serde(flatten)]
    kind: Internal,
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
struct FlattenedStruct {
    own: bool,
    #[serde(flatten)]
    inner: Inner,
}

#[derive(JsonSchema)]
struct Empty {}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
#[serde(tag = "text")]
enum Clash {
    Holds(Inner),
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is of interest")]
#[serde(tag = "kind")]
enum Around {
    Other(Box<Internal>),
    End,
}

#[test]
fn what_cannot_be_said_is_refused_by_the_path_of_its_field_with_advice() {
    let map = "a map with keys of its own is not possible in strict mode; use a Vec of a struct with a key and a value";
    let any = "it may be any JSON, which strict mode cannot say; give it a type, or let it be a String that holds JSON";
    let tuple = "a tuple is not possible in strict mode; use a struct with named fields";
    let object = "the answer must be an object; put it into a field of a struct";
    for (said, expected) in [
        (with!(HashMap<String, u8>), format!("Whole.field: {map}")),
        (with!(Option<BTreeMap<String, Value>>), format!("Whole.field: {map}")),
        (with!(serde_json::Map<String, Value>), format!("Whole.field: {map}")),
        (with!(HashMap<u8, u8>), format!("Whole.field: {map}")),
        (with!(HashMap<Label, u8>), format!("Whole.field: {map}")),
        (with!(Value), format!("Whole.field: {any}")),
        (with!(Vec<Value>), format!("Whole.field[]: {any}")),
        (with!((u8, String)), format!("Whole.field: {tuple}")),
        (with!(Vec<Option<(u8, u8)>>), format!("Whole.field[]: {tuple}")),
        (
            with!(Empty),
            "Empty: an object without fields would always be empty; add #[serde(deny_unknown_fields)] if that is meant"
                .to_owned(),
        ),
        (with!(Flattened), format!("Flattened: {map}")),
        (
            with!(FlattenedEnum),
            "FlattenedEnum: an enum is flattened into this object, which strict mode cannot say; give it a field of its own".to_owned(),
        ),
        (
            with!(Clash),
            "Clash::Holds: the tag \"text\" is a field of the struct as well; rename one of them".to_owned(),
        ),
        (
            with!(Around),
            "Around::Other: a tag stands beside what is no struct; let the variant hold a struct".to_owned(),
        ),
        (refused::<Vec<Inner>>(), format!("Array_of_Inner: {object}")),
        (refused::<Option<Inner>>(), format!("Nullable_Inner: {object}")),
        (refused::<Internal>(), format!("Internal: {object}")),
        (refused::<String>(), format!("string: {object}")),
        (refused::<Value>(), format!("AnyValue: {object}")),
    ] {
        assert_eq!(said, expected);
    }
    // All of them at once.
    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "only its schema is of interest")]
    struct Several {
        a: (u8, u8),
        b: Vec<HashMap<String, (u8, u8)>>,
    }
    assert_eq!(refused::<Several>(), format!("Several.a: {tuple}; Several.b[]: {map}"));
    assert_eq!(schema::<FlattenedStruct>()["required"], json!(["own", "text", "number", "maybe"]));
}

/// Goes through a schema as the service does, and fails at the first thing that it would refuse.
fn only_what_is_supported(schema: &Value) {
    let object = schema.as_object().expect("an object");
    let known = ["type", "description", "enum", "const", "anyOf", "$ref", "$defs", "properties", "required"];
    let bounds = ["additionalProperties", "items", "minItems", "maxItems", "pattern", "format", "minimum", "maximum"];
    for (key, value) in object {
        assert!(known.contains(&key.as_str()) || bounds.contains(&key.as_str()), "{key}: {schema}");
        match key.as_str() {
            "properties" | "$defs" => value.as_object().expect("an object").values().for_each(only_what_is_supported),
            "anyOf" => value.as_array().expect("an array").iter().for_each(only_what_is_supported),
            "items" => only_what_is_supported(value),
            "$ref" => assert_eq!(object.len(), 1, "{schema}"),
            _ => {}
        }
    }
    if let Some(properties) = object.get("properties") {
        let names: Vec<&String> = properties.as_object().expect("an object").keys().collect();
        assert_eq!(object["required"], json!(names), "{schema}");
        assert_eq!(object["additionalProperties"], false, "{schema}");
    }
}
