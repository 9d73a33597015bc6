//! Owns the edits of the contract's text: a value, a field, a parameter or a bound, at one place, in the manner of what
//! stands around it. It never decides whether an edit is right.

use serde_json::{Map, Value, json};

use crate::drift::{
    apply::is_plain,
    node::{EITHER, Node, Step, unescape},
    spans::{Kind, Spot, column, insert_lines, is_flow, line, spots},
};
use crate::{style, yaml};

/// The column at which texts in the contract are folded.
const WIDTH: usize = 80;

/// One edit.
#[derive(Debug, Clone)]
pub enum Edit {
    /// A value that an enum takes besides.
    Value(Value),
    /// A field of an object, and its schema.
    Field(String, Value),
    /// A parameter of an operation.
    Parameter(Value),
    /// A bound that is another, is new, or is gone.
    Bound(String, Option<Value>),
}

impl Edit {
    fn keyword(&self) -> &str {
        match self {
            Self::Value(_) => "enum",
            Self::Field(..) => "properties",
            Self::Parameter(_) => "parameters",
            Self::Bound(keyword, _) => keyword,
        }
    }
}

/// The pointer to the object that has the keyword of an edit, or that would have it: from a place on, through
/// references and an `allOf` of one.
#[must_use]
pub fn holder(root: &Value, place: &str, edit: &Edit) -> Option<String> {
    let mut place = place.to_owned();
    for _ in 0..32 {
        let object = root.pointer(&pointer(&place))?.as_object()?;
        let next = match (object.get("$ref"), object.get("allOf").and_then(Value::as_array).map(Vec::as_slice)) {
            _ if object.contains_key(edit.keyword()) => return Some(place),
            (Some(reference), _) => reference.as_str()?.to_owned(),
            (None, Some([_])) => format!("{place}/allOf/0"),
            // A parameter has its schema below.
            _ if object.contains_key("in") && object.contains_key("schema") => format!("{place}/schema"),
            _ => return Some(place),
        };
        place = next;
    }
    None
}

fn pointer(place: &str) -> String {
    place.trim_start_matches('#').replace("%20", " ")
}

/// `text` with an edit of the object at `place`; otherwise why not.
///
/// # Errors
///
/// When the text is not written in a way that the edit can follow.
pub fn edit(text: &str, place: &str, edit: &Edit) -> Result<String, String> {
    let all = spots(text).ok_or("the contract does not parse")?;
    let object = all.at(place).ok_or_else(|| format!("{place} is not found in the text"))?;
    let Kind::Map(entries) = &object.kind else { return Err(format!("{place} is not a map")) };
    let entry = entries.iter().find(|(key, ..)| key == edit.keyword());
    match (edit, entry) {
        (Edit::Bound(_, Some(bound)), Some((.., old))) => {
            Ok(format!("{}{bound}{}", &text[..old.bytes.start], &text[old.bytes.end..]))
        }
        (Edit::Bound(..), _) if is_flow(text, object) => Err("its schema is written in brackets".to_owned()),
        (Edit::Bound(_, None), Some((_, key, _))) => {
            let whole = line(text, key.start);
            let end = text[whole.end..].find('\n').map_or(text.len(), |at| whole.end + at + 1);
            Ok(format!("{}{}", &text[..whole.start], &text[end..]))
        }
        (Edit::Bound(keyword, Some(bound)), None) => {
            // After the last plain keyword before it in our order, or else after the first one.
            let after = ["minimum", "nullable", "format", "type"];
            let after = after.iter().find_map(|keyword| entries.iter().find(|(key, ..)| key == keyword));
            let (_, key, value) = after.or(entries.first()).ok_or("its schema is empty")?;
            Ok(insert_lines(text, value.bytes.end, column(text, key.start), &format!("{keyword}: {bound}")))
        }
        (Edit::Bound(_, None), None) => Err("the bound is not in the contract".to_owned()),
        (Edit::Value(value), Some((.., values))) => into_list(text, values, value),
        (Edit::Field(name, schema), Some((.., properties))) => {
            let Kind::Map(fields) = &properties.kind else { return Err("properties is not a map".to_owned()) };
            let (_, key, last) = fields.last().ok_or("it has no field yet")?;
            if is_flow(text, properties) {
                return Err("its fields are written in brackets".to_owned());
            }
            let indent = column(text, key.start);
            let body = yaml::render(&json!({ name.as_str(): schema }), WIDTH.saturating_sub(indent));
            Ok(insert_lines(text, last.bytes.end, indent, &body))
        }
        (Edit::Parameter(parameter), Some((.., list))) => into_list(text, list, parameter),
        _ => Err(format!("it has no {} yet", edit.keyword())),
    }
}

/// A value at the end of a list.
fn into_list(text: &str, list: &Spot, value: &Value) -> Result<String, String> {
    let Kind::List(values) = &list.kind else { return Err("it is not a list".to_owned()) };
    let last = values.last().ok_or("the list is empty")?;
    if is_flow(text, list) {
        if value.is_object() {
            return Err("the list is written in brackets".to_owned());
        }
        let at = last.bytes.end;
        return Ok(format!("{}, {}{}", &text[..at], yaml::render(value, usize::MAX).trim_end(), &text[at..]));
    }
    // The dash stands before the first value, whatever is between.
    let first = values.first().unwrap_or(last).bytes.start;
    let dash = text[..first].rfind('-').ok_or("the list has no dash")?;
    let indent = column(text, dash);
    let body = yaml::render(&json!([value]), WIDTH.saturating_sub(indent));
    Ok(insert_lines(text, last.bytes.end, indent, &body))
}

/// A schema as the contract would have it, of what an upstream has.
///
/// # Errors
///
/// Why it is not mechanical.
pub fn schema(node: &Node, upstream: &str) -> Result<Value, String> {
    if !is_plain(node) {
        return Err(format!("its schema has more than fields, lists and plain values: {}", node.shown()));
    }
    let mut object = Map::new();
    object.insert("description".to_owned(), json!(description(node, upstream)));
    for (fact, value) in node.facts.iter().filter(|(fact, _)| *fact != "required") {
        // What may be missing or null is left out of `required` and may be null: both are read then.
        let fact = if fact == EITHER { "nullable" } else { fact };
        object.insert(fact.to_owned(), value.clone());
    }
    let mut required = Vec::new();
    let mut properties = Map::new();
    for (step, child) in &node.children {
        let Step::Schema(step) = step else { continue };
        let inner = if child.is("never") { json!(false) } else { schema(child, upstream)? };
        match step.strip_prefix("properties/") {
            Some(name) => {
                let name = unescape(name);
                if child.is("required") {
                    required.push(name.clone());
                }
                properties.insert(name, inner);
            }
            None => drop(object.insert(step.clone(), bare(inner))),
        }
    }
    if !required.is_empty() {
        object.insert("required".to_owned(), json!(required));
    }
    if !properties.is_empty() {
        object.insert("properties".to_owned(), properties.into());
    }
    Ok(style::house(object.into()))
}

/// Without the description, which only fields need.
fn bare(mut schema: Value) -> Value {
    if let Some(object) = schema.as_object_mut() {
        object.shift_remove("description");
    }
    schema
}

/// A parameter as the contract would have it.
///
/// # Errors
///
/// Why it is not mechanical.
pub fn parameter(kind: &str, name: &str, node: &Node, upstream: &str) -> Result<Value, String> {
    Ok(
        json!({ "name": name, "in": kind, "description": description(node, upstream), "schema": bare(schema(node, upstream)?) }),
    )
}

/// The first sentence of what upstream says.
fn description(node: &Node, upstream: &str) -> String {
    let text = node.wording.texts.first().map(String::as_str).unwrap_or_default();
    let end = text.find(". ").map_or(text.len(), |at| at + 1);
    match text[..end].trim() {
        "" => format!("As {upstream} has it, which does not say what it is."),
        sentence => sentence.to_owned(),
    }
}
