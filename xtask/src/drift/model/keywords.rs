//! Owns what each keyword of a schema comes to as a fact, and how the facts of two schemas that both hold become one.
//! It never follows a reference.

use std::collections::BTreeMap;

use serde_json::{Map, Number, Value, json};

use crate::drift::{
    node::{self, Node, Step},
    wording::Wording,
};

/// Facts by keyword.
type Facts = BTreeMap<String, Value>;

/// Keywords that decide nothing, or that are read elsewhere as places of their own.
const NOT_FACTS: [&str; 31] = [
    "$ref",
    "$id",
    "$schema",
    "$anchor",
    "$comment",
    "$defs",
    "definitions",
    "title",
    "description",
    "summary",
    "example",
    "examples",
    "externalDocs",
    "xml",
    "properties",
    "patternProperties",
    "dependentSchemas",
    "prefixItems",
    "items",
    "additionalProperties",
    "unevaluatedProperties",
    "unevaluatedItems",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "required",
    "allOf",
    "anyOf",
];
/// Lower and upper bounds, of which the tighter one holds.
pub const LOWER: [&str; 5] = ["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties"];
/// See [`LOWER`].
pub const UPPER: [&str; 5] = ["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties"];

/// The facts that the keywords of one object state; `extensions` are those that count, and the facts that they are.
#[must_use]
pub fn facts(object: &Map<String, Value>, extensions: &[(&str, &str)]) -> Facts {
    let mut facts = Facts::new();
    for (keyword, value) in object {
        let known = extensions.iter().find(|(extension, _)| extension == keyword);
        let keyword = known.map_or(keyword.as_str(), |(_, fact)| fact);
        // Nobody else says these.
        if known.is_none() && [node::UNSAID, node::UNREAD, node::EITHER].contains(&keyword) {
            continue;
        }
        if NOT_FACTS.contains(&keyword) || keyword == "oneOf" || keyword.starts_with("x-") {
            continue;
        }
        facts.insert(keyword.to_owned(), plain(value));
    }
    if let Some(value) = facts.remove("const") {
        let both = intersection(facts.get("enum"), &json!([value]));
        facts.insert("enum".to_owned(), both);
    }
    types(&mut facts);
    bounds(&mut facts);
    if let Some(discriminator) = facts.remove("discriminator") {
        let mut values: Vec<&str> =
            discriminator["mapping"].as_object().into_iter().flatten().map(|(value, _)| value.as_str()).collect();
        values.sort_unstable();
        // The names of the schemas that the values lead to mean nothing; the schemas are compared themselves.
        let values = if values.is_empty() { String::new() } else { format!(": {}", values.join(", ")) };
        let name = discriminator["propertyName"].as_str().unwrap_or_default();
        facts.insert("discriminator".to_owned(), json!(format!("{name}{values}")));
    }
    encodings(&mut facts);
    facts
}

/// `type`, `nullable` and `enum` in one form: types without null, sorted, one as a text; null as `nullable`.
fn types(facts: &mut Facts) {
    let mut types: Vec<String> = match facts.remove("type") {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    let typed = !types.is_empty();
    types.sort();
    types.dedup();
    if types.iter().any(|name| name == "number") {
        types.retain(|name| name != "integer");
    }
    let mut null = types.iter().any(|name| name == "null") || facts.get("nullable") == Some(&Value::Bool(true));
    types.retain(|name| name != "null");
    if let Some(Value::Array(values)) = facts.get_mut("enum") {
        let before = values.len();
        values.retain(|value| !value.is_null());
        null |= !typed && values.len() < before;
        values.sort_by_key(Value::to_string);
        values.dedup();
        if !typed {
            types = values.iter().filter_map(type_of).map(str::to_owned).collect();
            types.sort();
            types.dedup();
        }
        let only_null = values.is_empty() && before > 0;
        if only_null {
            // An enum of null alone.
            facts.remove("enum");
            types.clear();
            null = true;
        }
        if only_null || (typed && types.is_empty()) {
            facts.insert("null".to_owned(), json!(true));
        }
    } else if typed && types.is_empty() {
        facts.insert("null".to_owned(), json!(true));
    }
    facts.remove("nullable");
    if null {
        facts.insert("nullable".to_owned(), json!(true));
    }
    match types.as_slice() {
        [] => {}
        [one] => drop(facts.insert("type".to_owned(), json!(one))),
        several => drop(facts.insert("type".to_owned(), json!(several))),
    }
}

fn type_of(value: &Value) -> Option<&'static str> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    })
}

/// Exclusive bounds as numbers (3.1) and not as flags (3.0); of an inclusive and an exclusive one the tighter; none that
/// says nothing.
fn bounds(facts: &mut Facts) {
    for (inclusive, exclusive, lower) in [("minimum", "exclusiveMinimum", true), ("maximum", "exclusiveMaximum", false)]
    {
        match facts.get(exclusive) {
            Some(Value::Bool(true)) => {
                facts.remove(exclusive);
                if let Some(bound) = facts.remove(inclusive) {
                    facts.insert(exclusive.to_owned(), bound);
                }
            }
            Some(Value::Number(_)) => {}
            _ => drop(facts.remove(exclusive)),
        }
        if facts.get("type").and_then(Value::as_str) == Some("integer")
            && let Some(bound) = facts.get(exclusive).and_then(Value::as_i64)
        {
            facts.remove(exclusive);
            let bound = if lower { bound.saturating_add(1) } else { bound.saturating_sub(1) };
            tighten(facts, inclusive, &json!(bound), lower);
        }
        if let (Some(a), Some(b)) = (number(facts, inclusive), number(facts, exclusive)) {
            let looser = if (lower && a > b) || (!lower && a < b) { exclusive } else { inclusive };
            facts.remove(looser);
        }
    }
}

fn number(facts: &Facts, keyword: &str) -> Option<f64> {
    facts.get(keyword)?.as_f64()
}

fn tighten(facts: &mut Facts, keyword: &str, bound: &Value, lower: bool) {
    let new = bound.as_f64();
    let keeps = number(facts, keyword).zip(new).is_some_and(|(old, new)| if lower { old >= new } else { old <= new });
    if !keeps {
        facts.insert(keyword.to_owned(), bound.clone());
    }
}

/// The ways in which 3.1 says what 3.0 has formats for.
fn encodings(facts: &mut Facts) {
    if facts.contains_key("format") || facts.get("type").and_then(Value::as_str) != Some("string") {
        return;
    }
    if facts.get("contentEncoding").and_then(Value::as_str) == Some("base64") {
        facts.remove("contentEncoding");
        facts.insert("format".to_owned(), json!("byte"));
    } else if facts.get("contentMediaType").and_then(Value::as_str) == Some("application/octet-stream") {
        facts.remove("contentMediaType");
        facts.insert("format".to_owned(), json!("binary"));
    }
}

/// A value without extensions, in the one form of each number.
pub fn plain(value: &Value) -> Value {
    match value {
        Value::Number(number) => whole(number).map_or_else(|| value.clone(), |whole| json!(whole)),
        Value::Array(list) => list.iter().map(plain).collect(),
        Value::Object(map) => {
            let mut entries: Vec<(&String, &Value)> = map.iter().filter(|(key, _)| !key.starts_with("x-")).collect();
            entries.sort_by_key(|(key, _)| *key);
            Value::Object(entries.into_iter().map(|(key, value)| (key.clone(), plain(value))).collect())
        }
        other => other.clone(),
    }
}

/// The whole number that a number is, when it is written as `1.0` or `1e3`.
fn whole(number: &Number) -> Option<i64> {
    let float = number.as_f64().filter(|_| number.is_f64())?;
    let exact = float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0;
    // In range, and without a fraction: printed without one and read back.
    exact.then(|| format!("{float:.0}").parse().ok()).flatten()
}

/// Leaves out what says nothing, and states a type that the other keywords imply.
pub fn settle(node: &mut Node) {
    let has_variants = node.variants().next().is_some();
    if !node.facts.contains_key("type") && !has_variants {
        let below = |prefix: &str| {
            node.children.keys().any(|step| matches!(step, Step::Schema(pointer) if pointer.starts_with(prefix)))
        };
        let says = |keywords: &[&str]| keywords.iter().any(|keyword| node.facts.contains_key(*keyword));
        let implied =
            if below("properties/") || below("additionalProperties") || says(&["minProperties", "maxProperties"]) {
                Some("object")
            } else if below("items") || below("prefixItems/") || says(&["minItems", "maxItems"]) {
                Some("array")
            } else if says(&["minLength", "maxLength", "pattern"]) {
                Some("string")
            } else {
                None
            };
        if let Some(implied) = implied {
            node.facts.insert("type".to_owned(), json!(implied));
        }
    }
    node.facts.retain(|keyword, value| match keyword.as_str() {
        "minLength" | "minItems" | "minProperties" => *value != json!(0),
        _ => *value != Value::Bool(false) && !(keyword == "multipleOf" && *value == json!(1)),
    });
}

/// Makes `node` what holds when both hold: `node` itself, which is the outer one, and `other`.
pub fn combine(node: &mut Node, other: Node) {
    let Node { facts, wording, children, origin } = other;
    for (keyword, value) in facts {
        let Some(old) = node.facts.get(&keyword).cloned() else {
            node.facts.insert(keyword, value);
            continue;
        };
        let name = keyword.as_str();
        if old == value || name == "default" {
            continue; // the outer default counts
        }
        if name == "enum" {
            let both = intersection(Some(&old), &value);
            node.facts.insert(keyword, both);
        } else if LOWER.contains(&name) || UPPER.contains(&name) {
            tighten(&mut node.facts, name, &value, LOWER.contains(&name));
        } else if name == "type" && old == json!("number") && value == json!("integer") {
            node.facts.insert(keyword, value);
        } else if !(name == "type" && old == json!("integer") && value == json!("number")) {
            let mut all = [old, value];
            all.sort_by_key(Value::to_string);
            node.facts.insert(keyword, json!({ "allOf": all }));
        }
    }
    node.wording = Wording::new(node.wording.texts.iter().cloned().chain(wording.texts));
    if node.origin.0.is_empty() {
        node.origin = origin;
    }
    let second = node.variants().next().is_some() && children.keys().any(crate::drift::node::is_variant);
    let mut aside = Node::default();
    for (step, child) in children {
        if second && crate::drift::node::is_variant(&step) {
            aside.children.insert(step, child);
        } else {
            combine(node.children.entry(step).or_default(), child);
        }
    }
    if !aside.children.is_empty() {
        let number = (1..).find(|number| !node.children.contains_key(&Step::Schema(format!("allOf/{number}"))));
        node.children.insert(Step::Schema(format!("allOf/{}", number.unwrap_or_default())), aside);
    }
}

/// The values in both lists, or the new ones when there are no old ones.
fn intersection(old: Option<&Value>, new: &Value) -> Value {
    match (old.and_then(Value::as_array), new.as_array()) {
        (Some(old), Some(new)) => new.iter().filter(|value| old.contains(value)).cloned().collect(),
        _ => new.clone(),
    }
}
