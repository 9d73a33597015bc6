//! Owns the rules about schemas: that each is described, and in words that OpenAPI 3.0 has.

use serde_json::Value;

use super::{
    Contract, finding,
    walk::{Node, Role, reference},
};
use crate::report::Finding;

/// What a schema of OpenAPI 3.0.3 may have (specification, "Schema Object"), but for extensions.
const KEYWORDS: [&str; 36] = [
    "$ref",
    "additionalProperties",
    "allOf",
    "anyOf",
    "default",
    "deprecated",
    "description",
    "discriminator",
    "enum",
    "example",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "externalDocs",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "nullable",
    "oneOf",
    "pattern",
    "properties",
    "readOnly",
    "required",
    "title",
    "type",
    "uniqueItems",
    "writeOnly",
    "xml",
];

/// Each component schema and each property says what it is, or is only a reference to a component, which has to.
pub(super) fn described(contract: &Contract<'_>) -> Vec<Finding> {
    let owed = |node: &&Node<'_>| node.role == Role::Property || is_component(&node.place);
    let silent = contract.nodes.iter().filter(owed).filter(|node| !says(node));
    silent.map(|node| finding(&node.place, "no description", "say in a sentence what it is")).collect()
}

fn is_component(place: &str) -> bool {
    place.strip_prefix("#/components/schemas/").is_some_and(|name| !name.contains('/'))
}

fn says(node: &Node<'_>) -> bool {
    let single = match node.object.get("allOf").and_then(Value::as_array).map(Vec::as_slice) {
        Some([one]) => reference(one),
        _ => None,
    };
    node.text("description").is_some_and(|text| !text.trim().is_empty())
        || node.text("$ref").or(single).is_some_and(is_component)
}

/// Each schema keeps to the keywords of OpenAPI 3.0: a misspelt one, or one of a later version, would be ignored.
pub(super) fn keywords(contract: &Contract<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for node in contract.nodes.iter().filter(|node| node.is_schema()) {
        for keyword in node.object.keys() {
            if !KEYWORDS.contains(&keyword.as_str()) && !keyword.starts_with("x-") {
                let problem = format!("OpenAPI 3.0 has no keyword {keyword} for schemas");
                findings.push(finding(&node.place, &problem, "correct the spelling, or say it in another way"));
            }
        }
        if node.object.contains_key("$ref") && node.object.len() > 1 {
            let fix = "put the reference into an allOf of one, which may have others beside it";
            findings.push(finding(&node.place, "what stands beside a $ref is ignored", fix));
        }
        if node.object.get("type").is_some_and(|kind| !kind.is_string()) {
            findings.push(finding(&node.place, "type is not one name", "use one type, and nullable for null"));
        }
    }
    findings
}
