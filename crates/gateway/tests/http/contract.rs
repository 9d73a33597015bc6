//! Owns the referee: every answer that a test receives is held against openapi.yaml. Never bends
//! the contract, but for its dialect: 3.0's `nullable` becomes a type of JSON Schema.

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock};

use jsonschema::Validator;
use reqwest::Method;
use serde_json::{Value, json};

const OPENAPI: &str = include_str!("../../../../openapi.yaml");

/// Fails unless the contract allows this answer to this request.
///
/// Answers without a JSON body, and answers on paths that the contract does not have, are held
/// against what there is: the status, the media type, the shape of an error.
#[track_caller]
pub(crate) fn check(method: &Method, path: &str, status: u16, media_type: Option<&str>, body: Option<&Value>) {
    let called = format!("{method} {path}: {status}");
    let Some(operation) = operation(method, path) else {
        if let Some(body) = body.filter(|_| status >= 400) {
            valid("ErrorResponse", body, &called);
        }
        return;
    };
    let responses = &operation["responses"];
    let response = responses.get(status.to_string()).unwrap_or(&responses["default"]);
    let response = match response["$ref"].as_str() {
        Some(reference) => contract().pointer(reference.trim_start_matches('#')).unwrap(),
        None => response,
    };
    let content = response["content"].as_object().unwrap();
    assert!(
        content.contains_key("*/*") || content.keys().any(|known| Some(known.as_str()) == media_type),
        "{called}: {media_type:?} is not declared"
    );
    let schema = content.get("application/json").and_then(|content| content["schema"]["$ref"].as_str());
    if let (Some(schema), Some(body)) = (schema, body) {
        valid(schema.rsplit('/').next().unwrap(), body, &called);
    }
}

/// Fails unless `value` fits the component `schema`.
#[track_caller]
pub(crate) fn valid(schema: &'static str, value: &Value, what: &str) {
    let errors = errors(schema, value);
    assert!(errors.is_empty(), "{what} is no {schema}: {errors:?}\n{value}");
}

fn errors(schema: &'static str, value: &Value) -> Vec<String> {
    static VALIDATORS: Mutex<Option<HashMap<&str, Validator>>> = Mutex::new(None);
    let mut validators = VALIDATORS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let validator = validators.get_or_insert_default().entry(schema).or_insert_with(|| {
        let reference = format!("#/components/schemas/{schema}");
        let schema = json!({"$ref": reference, "components": contract()["components"]});
        jsonschema::draft202012::new(&schema).unwrap()
    });
    validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// The contract, in the dialect of JSON Schema.
fn contract() -> &'static Value {
    static CONTRACT: OnceLock<Value> = OnceLock::new();
    CONTRACT.get_or_init(|| translated(yaml_serde::from_str(OPENAPI).unwrap()))
}

fn translated(value: Value) -> Value {
    let mut object = match value {
        Value::Array(items) => return items.into_iter().map(translated).collect(),
        Value::Object(object) => object,
        other => return other,
    };
    object.remove("example");
    let nullable = object.remove("nullable") == Some(Value::Bool(true));
    let mut object: serde_json::Map<String, Value> =
        object.into_iter().map(|(name, value)| (name, translated(value))).collect();
    if !nullable {
        return Value::Object(object);
    }
    match object.get("type").cloned() {
        Some(kind) if !object.contains_key("enum") => {
            object.insert("type".to_owned(), json!([kind, "null"]));
            Value::Object(object)
        }
        _ => json!({"anyOf": [{"type": "null"}, object]}),
    }
}

fn operation(method: &Method, path: &str) -> Option<&'static Value> {
    let path = path.strip_prefix("/api/v1/llm").or_else(|| path.strip_prefix("/v1"))?;
    let asked: Vec<&str> = path.split('/').collect();
    let (_, operations) = contract()["paths"].as_object().unwrap().iter().find(|(template, _)| {
        let parts: Vec<&str> = template.split('/').collect();
        parts.len() == asked.len()
            && parts
                .iter()
                .zip(&asked)
                .all(|(part, asked)| part == asked || (part.starts_with('{') && !asked.is_empty()))
    })?;
    operations.get(method.as_str().to_ascii_lowercase())
}

#[test]
fn an_illegal_null_is_caught() {
    let mut batch = contract_example();
    assert_eq!(errors("Batch", &batch), Vec::<String>::new());
    batch["errors"] = Value::Null;
    batch["metadata"] = Value::Null;
    assert_eq!(errors("Batch", &batch), Vec::<String>::new());
    for field in ["id", "created_at", "status", "request_counts"] {
        let mut illegal = batch.clone();
        illegal[field] = Value::Null;
        assert_ne!(errors("Batch", &illegal), Vec::<String>::new(), "{field}");
    }
    batch["created_at"] = json!(9_007_199_254_740_992_i64);
    assert_ne!(errors("Batch", &batch), Vec::<String>::new());
}

/// The batch that openapi.yaml shows.
fn contract_example() -> Value {
    let contract: Value = yaml_serde::from_str(OPENAPI).unwrap();
    let get = &contract["paths"]["/batches/{batch_id}"]["get"]["responses"]["200"];
    get["content"]["application/json"]["example"].clone()
}

#[test]
fn paths_are_found_under_both_prefixes() {
    for (method, path, known) in [
        (Method::GET, "/v1/batches", true),
        (Method::GET, "/api/v1/llm/files/file-1/content", true),
        (Method::POST, "/v1/batches/b/cancel", true),
        (Method::PUT, "/v1/batches", false),
        (Method::GET, "/v1/files/", false),
        (Method::GET, "/v2/files", false),
    ] {
        assert_eq!(operation(&method, path).is_some(), known, "{method} {path}");
    }
}
