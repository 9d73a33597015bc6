//! Owns the rendering of the line types as component schemas of the contract (OpenAPI 3.0). It
//! never writes a file; `cargo xtask codegen` does.

use schemars::generate::SchemaSettings;
use schemars::transform::{RecursiveTransform, Transform};
use schemars::{Schema, SchemaGenerator};
use serde_json::Value;

use crate::{RequestLine, ResultLine};

/// The component schemas of the two line formats, by name and in the order in which the contract
/// lists them. References between them are written `#/components/schemas/NAME`; properties keep
/// the order of the Rust types.
#[must_use]
pub fn schemas() -> Vec<(&'static str, Value)> {
    let mut generator = generator();
    generator.subschema_for::<RequestLine>();
    generator.subschema_for::<ResultLine>();
    let mut definitions = generator.take_definitions(true);
    ["RequestLine", "ResultLine", "ResultResponse", "ResultError"]
        .into_iter()
        .filter_map(|name| Some((name, definitions.remove(name)?)))
        .collect()
}

fn generator() -> SchemaGenerator {
    SchemaSettings::openapi3().with_transform(RecursiveTransform(Tidy)).into_generator()
}

/// Makes what schemars derives fit for people: doc comments flow as paragraphs, and what only Rust
/// cares about (a default of null, the width of an integer) is left out.
#[derive(Clone)]
struct Tidy;

impl Transform for Tidy {
    fn transform(&mut self, schema: &mut Schema) {
        if schema.get("default") == Some(&Value::Null) {
            schema.remove("default");
        }
        if schema.get("format").and_then(Value::as_str) == Some("uint16") {
            schema.remove("format");
        }
        if let Some(Value::String(text)) = schema.get_mut("description") {
            let paragraphs = text.split("\n\n").map(|p| p.replace('\n', " "));
            *text = paragraphs.collect::<Vec<_>>().join("\n\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_definition_is_listed_and_no_other() {
        let mut generator = generator();
        generator.subschema_for::<RequestLine>();
        generator.subschema_for::<ResultLine>();
        let derived: BTreeSet<String> = generator.definitions().keys().cloned().collect();
        let listed: BTreeSet<String> = schemas().iter().map(|(n, _)| (*n).to_owned()).collect();
        assert_eq!(derived, listed);
    }

    #[test]
    fn everything_is_described_and_references_stay_among_the_components() {
        let names: Vec<&str> = schemas().iter().map(|(name, _)| *name).collect();
        let mut references = 0;
        for (name, schema) in schemas() {
            let described = |schema: &Value, at: &str| {
                let text = schema["description"].as_str();
                assert!(text.is_some_and(|t| t.len() > 10), "{at}: no description");
                assert!(!text.unwrap().contains("\n"), "{at}: broken lines");
            };
            described(&schema, name);
            let properties = schema["properties"].as_object().unwrap();
            assert!(!properties.is_empty(), "{name}");
            for (property, schema) in properties {
                described(schema, &format!("{name}.{property}"));
                assert!(schema.get("default").is_none(), "{name}.{property}");
            }
            visit(&schema, &mut |key, value| {
                assert_ne!(key, "$schema", "{name}");
                if key == "$ref" {
                    let target = value.as_str().unwrap();
                    let target = target.strip_prefix("#/components/schemas/").unwrap();
                    assert!(names.contains(&target), "{name}: {target}");
                    references += 1;
                }
            });
        }
        assert_eq!(references, 2);
    }

    #[test]
    fn shapes_are_those_of_the_wire() {
        let all: std::collections::HashMap<_, _> = schemas().into_iter().collect();
        let keys = |name: &str| -> Vec<String> {
            let properties = all[name]["properties"].as_object().unwrap();
            properties.keys().cloned().collect()
        };
        assert_eq!(keys("RequestLine"), ["custom_id", "method", "url", "body"]);
        assert_eq!(keys("ResultLine"), ["id", "custom_id", "response", "error"]);
        let request = &all["RequestLine"];
        assert_eq!(request["required"], serde_json::json!(keys("RequestLine")));
        assert_eq!(request["properties"]["method"]["enum"], serde_json::json!(["POST"]));
        assert_eq!(request["properties"]["body"]["type"], "object");
        let result = &all["ResultLine"];
        assert_eq!(result["required"], serde_json::json!(["custom_id"]));
        assert_eq!(result["properties"]["id"]["nullable"], true);
        let status = &all["ResultResponse"]["properties"]["status_code"];
        assert_eq!(status["type"], "integer");
        assert!(status.get("format").is_none());
        let example: ResultLine = serde_json::from_value(result["example"].clone()).unwrap();
        assert_eq!(example.error.unwrap().code.as_deref(), Some("processing_error"));
    }

    fn visit(value: &Value, seen: &mut dyn FnMut(&str, &Value)) {
        match value {
            Value::Object(map) => {
                for (key, value) in map {
                    seen(key, value);
                    visit(value, seen);
                }
            }
            Value::Array(values) => values.iter().for_each(|value| visit(value, seen)),
            _ => {}
        }
    }
}
