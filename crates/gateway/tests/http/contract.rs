//! The referee: holds an answer against openapi.yaml. Only 3.0's `nullable` is rewritten, as a type of JSON Schema. What it is asked about is whatever goes over the wire; see `wire`.

use std::collections::HashMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use jsonschema::Validator;
use lote_gateway::Gateway;
use lote_gateway::faults::{Effect, Fault, Operation};
use serde_json::{Map, Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::common::start;
use crate::wire::{Answer, Ask};

const OPENAPI: &str = include_str!("../../../../openapi.yaml");

/// The contract, in the dialect of JSON Schema.
pub(crate) struct Contract {
    document: Value,
    /// By the pointer to their schema.
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// The one of this repository.
pub(crate) fn contract() -> &'static Contract {
    static CONTRACT: OnceLock<Contract> = OnceLock::new();
    CONTRACT.get_or_init(|| Contract::new(yaml_serde::from_str(OPENAPI).unwrap()))
}

/// Fails unless `value` fits the component `schema`.
#[track_caller]
pub(crate) fn valid(schema: &str, value: &Value, what: &str) {
    let errors = contract().misfits(&format!("/components/schemas/{schema}"), value);
    assert!(errors.is_empty(), "{what} is no {schema}: {errors:?}\n{value}");
}

impl Contract {
    fn new(document: Value) -> Contract {
        Contract { document: translated(document), validators: Mutex::default() }
    }

    /// What is wrong with an answer.
    ///
    /// One on a path that the contract does not have is held against what there is: the shape of an error. Statuses
    /// that an operation does not name are allowed by its `default` only when they are errors.
    pub(crate) fn findings(&self, ask: &Ask, answer: &Answer) -> Vec<String> {
        let has_body = ask.method != "HEAD" && answer.status != 204;
        let Some(operation) = self.operation(&ask.method, &ask.path) else {
            let error = "/components/responses/Failure/content/application~1json/schema";
            return if answer.status >= 400 && has_body { self.json(error, answer) } else { Vec::new() };
        };
        let named = format!("{operation}/responses/{}", answer.status);
        let response = match self.document.pointer(&named) {
            Some(_) => named,
            None if answer.status >= 400 => format!("{operation}/responses/default"),
            None => return vec!["this status is not declared".to_owned()],
        };
        let response = self.resolved(response);
        let content = self.document.pointer(&format!("{response}/content")).and_then(Value::as_object);
        let media_type = answer.header("content-type").unwrap_or_default();
        match content {
            None if answer.body.is_empty() => Vec::new(),
            None => vec!["no body is declared".to_owned()],
            Some(content) if content.contains_key(media_type) => {
                let schema = format!("{response}/content/{}/schema", media_type.replace('/', "~1"));
                if has_body && media_type == "application/json" { self.json(&schema, answer) } else { Vec::new() }
            }
            Some(content) if content.contains_key("*/*") && !media_type.is_empty() => Vec::new(),
            Some(_) => vec![format!("the media type '{media_type}' is not declared")],
        }
    }

    /// What is wrong with a body of JSON.
    fn json(&self, schema: &str, answer: &Answer) -> Vec<String> {
        if answer.header("content-type") != Some("application/json") {
            return vec!["this is no application/json".to_owned()];
        }
        match serde_json::from_slice(&answer.body) {
            Ok(value) => self.misfits(schema, &value),
            Err(error) => vec![format!("the body is no JSON: {error}")],
        }
    }

    /// Where `value` does not fit the schema at a pointer, inline or by reference.
    fn misfits(&self, schema: &str, value: &Value) -> Vec<String> {
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = validators.entry(schema.to_owned()).or_insert_with(|| {
            // References lead to the components.
            let schema = self.document.pointer(schema).unwrap();
            let root = json!({"allOf": [schema], "components": self.document["components"]});
            Arc::new(jsonschema::draft202012::new(&root).unwrap())
        });
        let validator = Arc::clone(validator);
        drop(validators);
        validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path())).collect()
    }

    /// The pointer itself, or where the reference there leads.
    fn resolved(&self, pointer: String) -> String {
        match self.document.pointer(&format!("{pointer}/$ref")).and_then(Value::as_str) {
            Some(reference) => reference.trim_start_matches('#').to_owned(),
            None => pointer,
        }
    }

    /// The pointer to the operation that a request asks for; HEAD is GET without its body.
    fn operation(&self, method: &str, path: &str) -> Option<String> {
        let path = path.strip_prefix("/api/v1/llm").or_else(|| path.strip_prefix("/v1"))?;
        let asked: Vec<&str> = path.split('/').collect();
        let (template, operations) = self.document["paths"].as_object()?.iter().find(|(template, _)| {
            let parts: Vec<&str> = template.split('/').collect();
            parts.len() == asked.len()
                && parts
                    .iter()
                    .zip(&asked)
                    .all(|(part, asked)| part == asked || (part.starts_with('{') && !asked.is_empty()))
        })?;
        let method = if method == "HEAD" { "get" } else { &method.to_ascii_lowercase() };
        operations.get(method)?;
        Some(format!("/paths/{}/{method}", template.replace('/', "~1")))
    }
}

fn translated(value: Value) -> Value {
    let mut object = match value {
        Value::Array(items) => return items.into_iter().map(translated).collect(),
        Value::Object(object) => object,
        other => return other,
    };
    object.remove("example");
    let nullable = object.remove("nullable") == Some(Value::Bool(true));
    let mut object: Map<String, Value> = object.into_iter().map(|(name, value)| (name, translated(value))).collect();
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

/// The batch that openapi.yaml shows.
fn example() -> Value {
    let contract: Value = yaml_serde::from_str(OPENAPI).unwrap();
    let get = &contract["paths"]["/batches/{batch_id}"]["get"]["responses"]["200"];
    get["content"]["application/json"]["example"].clone()
}

/// An answer as it goes over the wire.
fn text(status: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\n\r\n{body}")
}

/// What the referee has to find in answers that a faulty service could send, and what it has to pass.
#[tokio::test]
async fn the_referee_sees_what_is_wrong_on_the_wire() {
    let (json, id) = ("content-type: application/json\r\n", "x-request-id: req_1\r\n");
    let both = format!("{json}{id}");
    let batch = example();
    let with = |field: &str, value: Value| {
        let mut batch = example();
        batch[field] = value;
        batch
    };
    let chunked = |body: &Value| {
        let body = body.to_string();
        let length = body.len();
        format!("HTTP/1.1 200 OK\r\n{both}transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
    };
    let error = json!({"error": {"message": "m", "type": "t", "param": null, "code": null}});
    for (answer, finds) in [
        (text("200 OK", &both, &batch), ""),
        (text("200 OK", &both, &with("errors", Value::Null)), ""),
        (text("404 Not Found", &both, &error), ""),
        // By `default`, since it is an error.
        (text("503 Busy", &both, &error), ""),
        (format!("HTTP/1.1 100 Continue\r\n\r\n{}", text("200 OK", &both, &batch)), ""),
        (chunked(&with("id", Value::Null)), "/id: null"),
        (chunked(&batch), ""),
        (text("200 OK", &both, &with("id", Value::Null)), "/id: null"),
        (text("200 OK", &both, &with("created_at", Value::Null)), "/created_at: null"),
        (text("200 OK", &both, &with("status", Value::Null)), "/status"),
        (text("200 OK", &both, &with("request_counts", Value::Null)), "/request_counts"),
        (text("200 OK", &both, &with("created_at", json!(9_007_199_254_740_992_i64))), "/created_at: 9007199254740992"),
        (text("201 Created", &both, &batch), "this status is not declared"),
        ("HTTP/1.1 204 No Content\r\n".to_owned() + id + "\r\n", "this status is not declared"),
        (text("302 Found", &both, &batch), "this status is not declared"),
        (text("404 Not Found", &both, &json!({"error": 7})), "/error"),
        (text("503 Busy", &both, &json!({})), "required"),
        (text("200 OK", json, &batch), "x-request-id"),
        (text("200 OK", id, &batch), "the media type '' is not declared"),
        (text("503 Busy", &("content-type: text/html\r\n".to_owned() + id), &error), "'text/html' is not declared"),
        (format!("HTTP/1.1 200 OK\r\n{both}content-length: 3\r\n\r\n{{]}}"), "the body is no JSON"),
        (format!("HTTP/1.1 200 OK\r\n{both}content-length: 9\r\n\r\n{{}}"), "ended early"),
        ("nonsense\r\n\r\n".to_owned(), "this is no HTTP"),
    ] {
        let found = crate::wire::findings_of_one("GET /v1/batches/b HTTP/1.1\r\nHost: x\r\n\r\n", &answer).await;
        let found = found.join("; ");
        assert!(found.is_empty() == finds.is_empty() && found.contains(finds), "{finds}: {found}");
        // A test that asked for it to be odd gets it so.
        let odd = "GET /v1/batches/b HTTP/1.1\r\nHost: x\r\nX-Odd: 1\r\n\r\n";
        let found = crate::wire::findings_of_one(odd, &answer).await;
        let never = ["x-request-id", "this is no HTTP"].contains(&finds);
        assert_eq!(!found.is_empty(), never, "{found:?}");
    }
}

/// However a test speaks, and whether it looks at the answer or not.
#[tokio::test]
async fn a_gateway_that_breaks_the_contract_fails_its_test() {
    let null = Effect::NullField("filename".to_owned());
    let gateway = start(Gateway::builder().fault(Fault::on(Operation::UploadFile).then(null))).await;
    let form = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n\
                --b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\nx\r\n--b--\r\n";
    let mut stream = tokio::net::TcpStream::connect(gateway.addr()).await.unwrap();
    let request = format!(
        "POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer k\r\nConnection: close\r\n\
         Content-Type: multipart/form-data; boundary=b\r\nContent-Length: {}\r\n\r\n{form}",
        form.len()
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    stream.read_to_end(&mut Vec::new()).await.unwrap();
    let panic = catch_unwind(AssertUnwindSafe(|| drop(gateway))).unwrap_err();
    let said = panic.downcast_ref::<String>().unwrap();
    assert!(said.contains("POST /v1/files: 200: /filename: null is not of type"), "{said}");
}

#[test]
fn schemas_that_are_written_inline_count_as_well() {
    let mut document: Value = yaml_serde::from_str(OPENAPI).unwrap();
    let content = &mut document["paths"]["/files"]["get"]["responses"]["200"]["content"]["application/json"];
    content["schema"] = json!({"type": "object", "required": ["page"], "properties": {
        "page": {"type": "array", "nullable": true, "items": {"$ref": "#/components/schemas/File"}},
    }});
    let contract = Contract::new(document);
    let ask = Ask { method: "GET".to_owned(), path: "/v1/files".to_owned(), is_odd: false };
    for (body, finds) in [("{}", "required"), (r#"{"page": null}"#, ""), (r#"{"page": [{"id": 7}]}"#, "/page/0")] {
        let headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        let answer = Answer { status: 200, headers, body: body.as_bytes().to_vec() };
        let found = contract.findings(&ask, &answer).join("; ");
        assert!(found.is_empty() == finds.is_empty() && found.contains(finds), "{body}: {found}");
    }
}

#[test]
fn paths_are_found_under_both_prefixes() {
    for (method, path, known) in [
        ("GET", "/v1/batches", true),
        ("GET", "/api/v1/llm/files/file-1/content", true),
        ("HEAD", "/v1/files/file-1", true),
        ("POST", "/v1/batches/b/cancel", true),
        ("PUT", "/v1/batches", false),
        ("GET", "/v1/files/", false),
        ("GET", "/v2/files", false),
    ] {
        assert_eq!(contract().operation(method, path).is_some(), known, "{method} {path}");
    }
}
