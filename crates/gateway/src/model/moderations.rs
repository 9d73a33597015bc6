//! The answers of `/v1/moderations`: nothing is flagged, and the scores differ by input.

use serde_json::{Map, Value, json};

use crate::model::text::{digest, id};
use crate::model::{Ask, Refusal};

const CATEGORIES: [&str; 13] = [
    "harassment",
    "harassment/threatening",
    "hate",
    "hate/threatening",
    "illicit",
    "illicit/violent",
    "self-harm",
    "self-harm/instructions",
    "self-harm/intent",
    "sexual",
    "sexual/minors",
    "violence",
    "violence/graphic",
];

pub(super) fn answer(ask: &Ask<'_>) -> Result<Value, Refusal> {
    let results: Vec<Value> = ask.prompt.inputs.iter().map(|input| result(input)).collect();
    Ok(json!({
        "id": format!("modr-{}", id(&ask.prompt.text, 0)),
        "model": ask.model,
        "results": results,
    }))
}

fn result(input: &str) -> Value {
    let of = |value: &dyn Fn(u8) -> Value| -> Map<String, Value> {
        CATEGORIES.iter().zip(digest(input, 0)).map(|(category, byte)| ((*category).to_owned(), value(byte))).collect()
    };
    json!({
        "flagged": false,
        "categories": of(&|_| json!(false)),
        "category_scores": of(&|byte| json!(f64::from(byte) / 100_000.0)),
        "category_applied_input_types": of(&|_| json!(["text"])),
    })
}
