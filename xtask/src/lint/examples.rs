//! Owns the rule about examples and defaults: that each is valid against its schema.

use serde_json::{Map, Value, json};

use super::{
    Contract, finding,
    walk::{Node, step},
};
use crate::report::Finding;

/// Each example and default is valid against the schema beside it.
pub(super) fn valid(contract: &Contract<'_>) -> Vec<Finding> {
    // A schema of 3.0 is one of draft 4 but for nullable, and references lead to the root of the document.
    let components = json!({ "schemas": convert_all(&contract.root["components"]["schemas"]) });
    let mut findings = Vec::new();
    for node in &contract.nodes {
        let samples = samples(contract, node);
        if samples.is_empty() {
            continue;
        }
        let schema =
            if node.is_schema() { Some(node.object) } else { node.object.get("schema").and_then(Value::as_object) };
        let Some(schema) = schema else { continue };
        // The reference is one level down, as what stands beside a $ref is ignored.
        let document = json!({ "allOf": [convert(schema)], "components": components });
        let validator = match jsonschema::draft4::new(&document) {
            Ok(validator) => validator,
            Err(error) => {
                let problem = format!("the schema cannot be used to judge examples: {error}");
                findings.push(finding(&node.place, &problem, "correct the schema"));
                continue;
            }
        };
        for (place, sample) in samples {
            for error in validator.iter_errors(sample) {
                let at = error.instance_path().to_string();
                let at = if at.is_empty() { String::new() } else { format!(" at {at}") };
                let problem = format!("not valid{at}: {error}");
                findings.push(finding(&place, &problem, "correct the example or its schema"));
            }
        }
    }
    findings
}

/// The examples of a node, and the default of a schema, each with its place.
fn samples<'a>(contract: &'a Contract<'_>, node: &Node<'a>) -> Vec<(String, &'a Value)> {
    let mut samples = Vec::new();
    let has_schema = node.is_schema() || node.object.contains_key("schema");
    for keyword in ["example", "default"] {
        if let Some(sample) = node.object.get(keyword).filter(|_| has_schema) {
            samples.push((step(&node.place, keyword), sample));
        }
    }
    let named = node.object.get("examples").and_then(Value::as_object).filter(|_| !node.is_schema());
    for (name, example) in named.into_iter().flatten() {
        if let Some(sample) = contract.follow(example).and_then(|example| example.get("value")) {
            samples.push((step(&step(&node.place, "examples"), name), sample));
        }
    }
    samples
}

/// The schemas of a map of names.
fn convert_all(schemas: &Value) -> Value {
    let entries = schemas.as_object().into_iter().flatten();
    Value::Object(
        entries.map(|(name, schema)| (name.clone(), schema.as_object().map_or(schema.clone(), convert))).collect(),
    )
}

/// A schema of OpenAPI 3.0 as one of JSON Schema draft 4.
fn convert(schema: &Map<String, Value>) -> Value {
    let mut plain = Map::new();
    for (keyword, value) in schema {
        let value = match (keyword.as_str(), value) {
            ("nullable" | "example" | "default" | "discriminator" | "xml" | "externalDocs", _) => continue,
            ("properties", value) => convert_all(value),
            ("items" | "additionalProperties" | "not", Value::Object(schema)) => convert(schema),
            ("allOf" | "anyOf" | "oneOf", Value::Array(list)) => {
                list.iter().map(|schema| schema.as_object().map_or(schema.clone(), convert)).collect()
            }
            (_, value) => value.clone(),
        };
        plain.insert(keyword.clone(), value);
    }
    if schema.get("nullable") != Some(&Value::Bool(true)) || schema.contains_key("$ref") {
        return Value::Object(plain);
    }
    match plain.get("type").cloned() {
        // The messages are plainer so than with anyOf.
        Some(Value::String(kind)) => {
            plain.insert("type".to_owned(), json!([kind, "null"]));
            if let Some(values) = plain.get_mut("enum").and_then(Value::as_array_mut)
                && !values.contains(&Value::Null)
            {
                values.push(Value::Null);
            }
            Value::Object(plain)
        }
        _ => json!({ "anyOf": [plain, { "type": "null" }] }),
    }
}
