//! Owns `oneOf`, `anyOf` and lists of types in one form: alternatives with labels that do not depend on their order or
//! on the names of schemas. It never reads a schema.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::drift::{
    keywords::combine,
    node::{Node, Step},
};

/// Gives `node` its alternatives.
pub fn choose(node: &mut Node, choices: Vec<Node>, one: bool) {
    let mut flat = Vec::new();
    for choice in choices {
        flatten(choice, &mut flat);
    }
    let mut nullable = false;
    flat.retain_mut(|choice| {
        let null = choice.facts.remove("nullable").is_some();
        nullable |= null;
        !(null && choice.facts.remove("null").is_some())
    });
    let mut distinct: Vec<Node> = Vec::new();
    for choice in flat {
        // Prose does not tell alternatives apart.
        if let Some(other) = distinct.iter_mut().find(|other| other.same(&choice)) {
            combine(other, choice);
        } else if !join_values(&mut distinct, &choice) {
            distinct.push(choice);
        }
    }
    if nullable {
        node.facts.insert("nullable".to_owned(), json!(true));
    }
    if !one {
        opened(&mut distinct);
    }
    if distinct.len() == 1 {
        let nullable = node.facts.remove("nullable");
        distinct.into_iter().for_each(|choice| combine(node, choice));
        node.facts.extend(nullable.map(|value| ("nullable".to_owned(), value)));
        return;
    }
    if one && !disjoint(&distinct) {
        node.facts.insert("choice".to_owned(), json!("oneOf"));
    }
    let alternatives = Node { children: labelled(distinct), ..Node::default() };
    combine(node, alternatives);
}

/// An alternative that is nothing but alternatives is those.
fn flatten(choice: Node, flat: &mut Vec<Node>) {
    let only = choice.children.keys().all(crate::drift::node::is_variant) && !choice.children.is_empty();
    let nullable = choice.is("nullable");
    if !only || choice.facts.len() > usize::from(nullable) {
        flat.push(choice);
        return;
    }
    if nullable {
        let facts = [("null".to_owned(), json!(true)), ("nullable".to_owned(), json!(true))];
        flat.push(Node { facts: facts.into(), ..Node::default() });
    }
    for (_, mut inner) in choice.children {
        inner.wording =
            crate::drift::wording::Wording::new(choice.wording.texts.iter().cloned().chain(inner.wording.texts));
        flatten(inner, flat);
    }
}

/// Joins the values of two alternatives that are nothing but lists of values of one type; whether it did.
fn join_values(distinct: &mut [Node], choice: &Node) -> bool {
    let only = |node: &Node| {
        node.children.is_empty()
            && node.facts.contains_key("enum")
            && node.facts.keys().all(|keyword| keyword == "enum" || keyword == "type")
    };
    let found = distinct
        .iter_mut()
        .find(|other| only(other) && only(choice) && other.facts.get("type") == choice.facts.get("type"));
    let Some(other) = found else { return false };
    let values = [&other.facts["enum"], &choice.facts["enum"]];
    let mut values: Vec<Value> = values.into_iter().filter_map(Value::as_array).flatten().cloned().collect();
    values.sort_by_key(Value::to_string);
    values.dedup();
    other.facts.insert("enum".to_owned(), values.into());
    let texts = other.wording.texts.iter().chain(&choice.wording.texts).cloned();
    other.wording = crate::drift::wording::Wording::new(texts);
    true
}

/// A list of values beside any value of their type is one list that is open.
fn opened(distinct: &mut Vec<Node>) {
    let only = |node: &Node, facts: &[&str]| {
        node.children.is_empty()
            && node.facts.len() == facts.len()
            && facts.iter().all(|fact| node.facts.contains_key(*fact))
    };
    let values = (0..distinct.len()).filter(|at| only(&distinct[*at], &["enum", "type"]));
    let pair = values.into_iter().find_map(|at| {
        let any = |other: &Node| only(other, &["type"]) && other.facts["type"] == distinct[at].facts["type"];
        Some((at, distinct.iter().position(any)?))
    });
    if let Some((at, any)) = pair {
        let texts = [distinct[at].wording.texts.clone(), distinct[any].wording.texts.clone()].concat();
        distinct[at].wording = crate::drift::wording::Wording::new(texts);
        distinct[at].facts.insert("open".to_owned(), json!(true));
        distinct.remove(any);
    }
}

/// A list of types as alternatives, each with the keywords that speak of it.
pub fn split_types(node: &mut Node) {
    let Some(Value::Array(types)) = node.facts.get("type").cloned() else { return };
    node.facts.remove("type");
    let types: Vec<&str> = types.iter().filter_map(Value::as_str).collect();
    let mut choices: Vec<Node> = types
        .iter()
        .map(|&name| Node { facts: [("type".to_owned(), json!(name))].into(), ..Node::default() })
        .collect();
    for (keyword, value) in std::mem::take(&mut node.facts) {
        let Some(of) = speaks_of(&keyword) else {
            node.facts.insert(keyword, value);
            continue;
        };
        for choice in choices.iter_mut().filter(|choice| of.contains(&choice.text("type").unwrap_or_default())) {
            choice.facts.insert(keyword.clone(), value.clone());
        }
    }
    for (step, child) in std::mem::take(&mut node.children) {
        let Step::Schema(pointer) = &step else { continue };
        let keyword = pointer.split('/').next().unwrap_or_default();
        match speaks_of(keyword) {
            Some(of) => {
                for choice in choices.iter_mut().filter(|choice| of.contains(&choice.text("type").unwrap_or_default()))
                {
                    choice.children.insert(step.clone(), child.clone());
                }
            }
            None => drop(node.children.insert(step, child)),
        }
    }
    choose(node, choices, false);
}

/// The types that a keyword speaks of; none when it speaks of all.
fn speaks_of(keyword: &str) -> Option<&'static [&'static str]> {
    Some(match keyword {
        "minLength" | "maxLength" | "pattern" | "contentEncoding" | "contentMediaType" => &["string"],
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" | "multipleOf" => &["integer", "number"],
        "items" | "prefixItems" | "minItems" | "maxItems" | "uniqueItems" | "contains" | "unevaluatedItems" => {
            &["array"]
        }
        "properties"
        | "patternProperties"
        | "additionalProperties"
        | "minProperties"
        | "maxProperties"
        | "propertyNames"
        | "dependentSchemas"
        | "dependentRequired"
        | "unevaluatedProperties" => &["object"],
        _ => return None,
    })
}

/// Whether no value can be two of these.
fn disjoint(choices: &[Node]) -> bool {
    let pairs = choices.iter().enumerate().flat_map(|(at, a)| choices[at + 1..].iter().map(move |b| (a, b)));
    pairs.into_iter().all(|(a, b)| apart(a, b))
}

fn apart(a: &Node, b: &Node) -> bool {
    let types = (a.text("type"), b.text("type"));
    if let (Some(one), Some(other)) = types
        && one != other
    {
        return !(["integer", "number"].contains(&one) && ["integer", "number"].contains(&other));
    }
    if let (Some(Value::Array(one)), Some(Value::Array(other))) = (a.facts.get("enum"), b.facts.get("enum")) {
        return !one.iter().any(|value| other.contains(value));
    }
    // Objects that both must have a property whose values differ.
    let shared = a.children.iter().filter_map(|(step, child)| Some((child, b.children.get(step)?)));
    shared.filter(|(one, other)| one.is("required") && other.is("required")).any(|(one, other)| apart(one, other))
}

/// Alternatives by their labels.
fn labelled(mut choices: Vec<Node>) -> BTreeMap<Step, Node> {
    choices.sort_by_cached_key(|choice| (label(choice), choice.shown()));
    let mut children = BTreeMap::new();
    for choice in choices {
        let label = label(&choice);
        let step = |number: usize| {
            let number = if number == 1 { String::new() } else { format!("-{number}") };
            Step::Schema(format!("anyOf/{label}{number}"))
        };
        if let Some(free) = (1..).map(step).find(|step| !children.contains_key(step)) {
            children.insert(free, choice);
        }
    }
    children
}

/// What an alternative is called: its type, and the property that tells it from others.
fn label(choice: &Node) -> String {
    let name = choice.text("type").unwrap_or("any");
    let tag = choice.children.iter().find_map(|(step, child)| {
        let Step::Schema(pointer) = step else { return None };
        let [Value::String(only)] = child.facts.get("enum")?.as_array()?.as_slice() else { return None };
        Some(format!("-{}-{only}", pointer.strip_prefix("properties/")?))
    });
    let tag = tag.or_else(|| choice.facts.contains_key("enum").then(|| "-enum".to_owned())).unwrap_or_default();
    crate::drift::node::escape(&format!("{name}{tag}"))
}
