//! Owns the JSON Schemas under schemas/, for editors and other tools: of the two kinds of lines, and of upstream.yaml. It
//! never has a schema of its own: they are made from the Rust types.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::drift::mapping::Upstreams;

/// Each file, from the root of the repository, and the type that it describes.
const FILES: [(&str, &str); 2] =
    [("schemas/request-line.schema.json", "RequestLine"), ("schemas/result-line.schema.json", "ResultLine")];
/// The schema of upstream.yaml.
const UPSTREAM: &str = "schemas/upstream.schema.json";
/// What editors read without more ado.
const DRAFT: &str = "http://json-schema.org/draft-07/schema#";

/// Each file and its text.
#[must_use]
pub fn files() -> Vec<(&'static str, String)> {
    let components: Map<String, Value> =
        lote_lines::schemas().into_iter().map(|(name, schema)| (name.to_owned(), converted(schema))).collect();
    let mut files: Vec<(&str, String)> = FILES
        .into_iter()
        .map(|(path, name)| {
            let mut schema = Map::new();
            schema.insert("$schema".to_owned(), json!(DRAFT));
            schema.insert("title".to_owned(), json!(name));
            schema.extend(components.get(name).and_then(Value::as_object).cloned().unwrap_or_default());
            let names = used(&components, name);
            let used: Map<String, Value> =
                components.iter().filter(|(other, _)| names.contains(other.as_str())).map(own).collect();
            if !used.is_empty() {
                schema.insert("definitions".to_owned(), used.into());
            }
            (path, text(&schema.into()))
        })
        .collect();
    let upstream = schemars::generate::SchemaSettings::draft07().into_generator().into_root_schema_for::<Upstreams>();
    files.push((UPSTREAM, text(upstream.as_value())));
    files
}

fn own((name, schema): (&String, &Value)) -> (String, Value) {
    (name.clone(), schema.clone())
}

fn text(schema: &Value) -> String {
    format!("{schema:#}\n")
}

/// The schemas that a schema refers to, directly or through others.
fn used<'c>(components: &'c Map<String, Value>, name: &str) -> BTreeSet<&'c str> {
    let mut reached = BTreeSet::new();
    let mut open = vec![name];
    while let Some(from) = open.pop() {
        let text = components.get(from).map(Value::to_string).unwrap_or_default();
        for other in components.keys().filter(|other| text.contains(&format!("\"#/definitions/{other}\""))) {
            if reached.insert(other.as_str()) {
                open.push(other);
            }
        }
    }
    reached
}

/// A schema of OpenAPI 3.0 as one of draft 7.
fn converted(schema: Value) -> Value {
    match schema {
        Value::Object(mut object) => {
            let nullable = object.shift_remove("nullable") == Some(json!(true));
            if let (true, Some(kind)) = (nullable, object.get_mut("type")) {
                *kind = json!([kind.clone(), "null"]);
            }
            let entries = object.into_iter().map(|(key, value)| match (key.as_str(), value) {
                ("$ref", Value::String(target)) => {
                    (key, json!(target.replace("#/components/schemas/", "#/definitions/")))
                }
                ("example", value) => ("examples".to_owned(), json!([value])),
                ("enum" | "default" | "const", value) => (key, value),
                (_, value) => (key, converted(value)),
            });
            Value::Object(entries.collect())
        }
        Value::Array(list) => list.into_iter().map(converted).collect(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn schema(path: &str) -> Value {
        let (_, text) = files().into_iter().find(|(name, _)| *name == path).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn the_schemas_judge_lines_as_the_types_do() {
        let request = jsonschema::validator_for(&schema("schemas/request-line.schema.json")).unwrap();
        assert!(request.is_valid(&json!({ "custom_id": "a", "method": "POST", "url": "/v1/x", "body": {} })));
        assert!(!request.is_valid(&json!({ "custom_id": "", "method": "POST", "url": "/v1/x", "body": {} })));
        assert!(!request.is_valid(&json!({ "custom_id": "a", "method": "GET", "url": "/v1/x", "body": {} })));
        let result = jsonschema::validator_for(&schema("schemas/result-line.schema.json")).unwrap();
        let response = json!({ "status_code": 200, "request_id": null, "body": {} });
        assert!(result.is_valid(&json!({ "id": null, "custom_id": "a", "response": response, "error": null })));
        assert!(!result.is_valid(&json!({ "custom_id": "a", "response": { "status_code": 99 } })));
        assert!(!result.is_valid(&json!({ "response": null })));
    }

    #[test]
    fn the_schema_of_upstream_yaml_takes_the_one_that_is_there() {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../upstream.yaml");
        let text = std::fs::read_to_string(path).unwrap();
        let value: Value = yaml_serde::from_str(&text).unwrap();
        let schema = jsonschema::validator_for(&schema(UPSTREAM)).unwrap();
        assert!(schema.is_valid(&value), "{:?}", schema.iter_errors(&value).next().map(|error| error.to_string()));
        assert!(!schema.is_valid(&json!({ "upstreams": { "a": { "prefix": 7 } } })));
        assert!(!schema.is_valid(&json!({ "upstreams": { "a": { "prefix": "", "more": 1 } } })));
    }
}
