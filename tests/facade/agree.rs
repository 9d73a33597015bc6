//! Holds `lote check` and the gateway's own checks of bodies against each other: both state what OpenAI's description says,
//! each from its own code (docs/facts.md, 3.4).

mod rows;

use std::{collections::BTreeMap, time::Duration};

use lote::{
    Cadence, Client, Dialect, Endpoint, UploadPurpose, Waited,
    lines::{CheckOptions, check},
};
use lote_gateway::Gateway;
use serde_json::{Value, json};

use rows::{FIELDS, Said, rows, values};

const CHAT: &str = "/v1/chat/completions";
const RESPONSES: &str = "/v1/responses";
const EMBEDDINGS: &str = "/v1/embeddings";
const COMPLETIONS: &str = "/v1/completions";
const MODERATIONS: &str = "/v1/moderations";
const IMAGES: &str = "/v1/images/generations";
const EDITS: &str = "/v1/images/edits";
const VIDEOS: &str = "/v1/videos";

/// Each dialect with the prefix under which the gateway is that service.
const SERVICES: [(&str, &str); 2] = [("openai", "/v1"), ("mka1", "/api/v1/llm")];

/// A body that the endpoint takes.
fn good(endpoint: &str) -> Value {
    match endpoint {
        CHAT => json!({"model": "m", "messages": [{"role": "user", "content": "a"}]}),
        RESPONSES | EMBEDDINGS | MODERATIONS => json!({"model": "m", "input": "a"}),
        EDITS => json!({"model": "m", "prompt": "a", "images": [{"file_id": "file-1"}]}),
        _ => json!({"model": "m", "prompt": "a"}),
    }
}

/// The same with these fields; `"ABSENT"` takes one away.
fn with(endpoint: &str, fields: &Value) -> Value {
    let mut body = good(endpoint);
    let object = body.as_object_mut().expect("an object");
    for (name, value) in fields.as_object().expect("an object") {
        if value == "ABSENT" {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    body
}

fn line(custom_id: usize, endpoint: &str, body: &Value) -> String {
    format!("{{\"custom_id\":\"{custom_id}\",\"method\":\"POST\",\"url\":\"{endpoint}\",\"body\":{body}}}\n")
}

/// The fields in which `check` finds something wrong.
fn checked(options: &CheckOptions, endpoint: &str, body: &Value) -> Vec<String> {
    let mut fields = Vec::new();
    let mut on_finding = |finding: lote::lines::Finding| fields.push(root(&finding.message));
    check(line(0, endpoint, body).as_bytes(), options, &mut on_finding, None).expect("readable");
    fields
}

/// The field that a message or a param begins with; none for the body as a whole.
fn root(text: &str) -> String {
    let text = text.strip_prefix("body.").unwrap_or(text);
    let end = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(text.len());
    text[..end].replace("body", "")
}

/// The field in which the gateway finds something wrong, by the number of the body.
async fn answered(client: &Client, endpoint: &str, bodies: &BTreeMap<usize, &Value>) -> BTreeMap<usize, String> {
    let mut wrong = BTreeMap::new();
    let mut left = bodies.clone();
    // The absence of a model fails the batch as a whole: the rest is asked again.
    loop {
        let content: String = left.iter().map(|(number, body)| line(*number, endpoint, body)).collect();
        let numbers: Vec<usize> = left.keys().copied().collect();
        let length = content.len() as u64;
        let reader = std::io::Cursor::new(content.into_bytes());
        let upload = client.files().upload_reader(reader, "in.jsonl", UploadPurpose::Batch).length(length);
        let file = upload.send().await.expect("an upload");
        let endpoint = Endpoint::ALL.iter().find(|known| known.as_str() == endpoint).expect("an endpoint");
        let batch = client.batches().create(&file.id, *endpoint).send().await.expect("a batch");
        let cadence = Cadence::new(Duration::from_millis(2), Duration::from_millis(20));
        let waiting = client.batches().wait(&batch.id).cadence(cadence).deadline(Duration::from_secs(120));
        let Waited::Ended(batch) = waiting.until_over().await else { panic!("the batch did not end") };
        if batch.errors.is_empty() {
            if let Some(file) = &batch.error_file_id {
                let content = client.files().content(file).await.expect("the error file");
                let mut bytes = Vec::new();
                content.copy_to(&mut bytes).await.expect("all of it");
                for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
                    let line: Value = serde_json::from_slice(line).expect("a result line");
                    let error = &line["response"]["body"]["error"];
                    let message = error["message"].as_str().expect("a message");
                    assert!(!message.contains(" at line "), "the words of a parser: {message}");
                    let number = line["custom_id"].as_str().and_then(|id| id.parse().ok()).expect("a number");
                    wrong.insert(number, root(error["param"].as_str().unwrap_or_default()));
                }
            }
            return wrong;
        }
        for error in &batch.errors {
            let at = error.line.and_then(|line| usize::try_from(line - 1).ok()).expect("a line");
            left.remove(&numbers[at]);
            wrong.insert(numbers[at], root(error.param.as_deref().unwrap_or_default()));
        }
        if left.is_empty() {
            return wrong;
        }
    }
}

/// The endpoints that the gateway serves under a prefix.
fn serves(prefix: &str, endpoint: &str) -> bool {
    prefix == "/v1" || [CHAT, RESPONSES, EMBEDDINGS, IMAGES].contains(&endpoint)
}

/// What the gateway says of each body, in groups that may stand in one batch.
async fn all_answered(client: &Client, bodies: &[(&'static str, Value)]) -> BTreeMap<usize, String> {
    let mut groups: BTreeMap<(&str, String), BTreeMap<usize, &Value>> = BTreeMap::new();
    for (number, (endpoint, body)) in bodies.iter().enumerate() {
        let model = body.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()).unwrap_or("m");
        groups.entry((endpoint, model.to_owned())).or_default().insert(number, body);
    }
    let mut wrong = BTreeMap::new();
    for ((endpoint, _), group) in &groups {
        wrong.extend(answered(client, endpoint, group).await);
    }
    wrong
}

#[tokio::test]
async fn check_and_the_gateway_say_the_same_of_each_row() {
    let gateway = Gateway::builder().start().await.expect("the gateway starts");
    let mut faults = Vec::new();
    for (dialect, prefix) in SERVICES {
        let client = client(&gateway, dialect, prefix);
        let options = Dialect::named(dialect).expect("a dialect").check_options();
        let rows: Vec<_> = rows().into_iter().filter(|(endpoint, ..)| serves(prefix, endpoint)).collect();
        let bodies: Vec<_> = rows.iter().map(|(endpoint, fields, _)| (*endpoint, with(endpoint, fields))).collect();
        let answered = all_answered(&client, &bodies).await;
        for (number, (endpoint, fields, said)) in rows.iter().enumerate() {
            let expected = match said {
                Said::Refused(field) => Some(*field),
                Said::RefusedByOpenAi(field) if dialect == "openai" => Some(*field),
                _ => None,
            };
            let checked = checked(&options, endpoint, &bodies[number].1);
            let right = match expected {
                None => checked.is_empty() && !answered.contains_key(&number),
                Some(fields) => {
                    let is = |field: &String| fields.split('|').any(|one| one == field);
                    checked.len() == 1 && is(&checked[0]) && answered.get(&number).is_some_and(is)
                }
            };
            if !right {
                let (fields, answered) = (fields.to_string(), answered.get(&number));
                let fields: String = fields.chars().take(200).collect();
                faults.push(format!(
                    "{dialect} {endpoint} {fields}: {expected:?}, check says {checked:?}, the gateway {answered:?}"
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Whatever stands in one field, both take it or both refuse it.
#[tokio::test]
async fn check_and_the_gateway_agree_on_every_field_and_value() {
    let gateway = Gateway::builder().start().await.expect("the gateway starts");
    let mut faults = Vec::new();
    for (dialect, prefix) in SERVICES {
        let client = client(&gateway, dialect, prefix);
        let options = Dialect::named(dialect).expect("a dialect").check_options();
        let mut bodies = Vec::new();
        for endpoint in [CHAT, RESPONSES, EMBEDDINGS, COMPLETIONS, MODERATIONS, IMAGES, EDITS, VIDEOS] {
            for field in FIELDS.iter().filter(|_| serves(prefix, endpoint)) {
                bodies.extend(values().into_iter().map(|value| (endpoint, with(endpoint, &json!({ *field: value })))));
            }
        }
        let answered = all_answered(&client, &bodies).await;
        for (number, (endpoint, body)) in bodies.iter().enumerate() {
            let checked = checked(&options, endpoint, body);
            let agree = match answered.get(&number) {
                None => checked.is_empty(),
                // Of several fields that are wrong, the gateway names the first it comes to.
                Some(field) => {
                    !checked.is_empty() && (checked.contains(field) || field == "messages" || field == "input")
                }
            };
            if !agree {
                let answered = answered.get(&number);
                faults.push(format!("{dialect} {endpoint} {body}: check says {checked:?}, the gateway {answered:?}"));
            }
        }
    }
    assert!(faults.is_empty(), "{} of them:\n{}", faults.len(), faults.join("\n"));
}

/// A file may name several models where nothing limits them.
#[tokio::test]
async fn check_and_the_gateway_say_the_same_of_several_models() {
    let gateway = Gateway::builder().start().await.expect("the gateway starts");
    for (dialect, prefix) in SERVICES {
        let bodies = [good(CHAT), with(CHAT, &json!({"model": "n"}))];
        let content: String = bodies.iter().enumerate().map(|(number, body)| line(number, CHAT, body)).collect();
        let options = Dialect::named(dialect).expect("a dialect").check_options();
        let mut checked = Vec::new();
        check(content.as_bytes(), &options, &mut |finding| checked.push(root(&finding.message)), None)
            .expect("readable");
        let bodies: BTreeMap<usize, &Value> = bodies.iter().enumerate().collect();
        let answered = answered(&client(&gateway, dialect, prefix), CHAT, &bodies).await;
        let expected: &[&str] = if dialect == "openai" { &["model"] } else { &[] };
        assert_eq!(checked, expected, "{dialect}");
        assert_eq!(answered.into_values().collect::<Vec<_>>(), expected, "{dialect}");
    }
}

fn client(gateway: &Gateway, dialect: &str, prefix: &str) -> Client {
    let url = format!("{}{prefix}", gateway.url());
    let dialect = Dialect::named(dialect).expect("a dialect");
    Client::builder().dialect(dialect).base_url(url).api_key("sk-test").build().expect("a client")
}
