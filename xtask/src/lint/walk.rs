//! Owns the way through the document: every object that means something, with its place and its role. It never
//! descends into data (examples, defaults, values of enums).

use serde_json::{Map, Value};

/// What an object of the document is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// A schema, wherever it stands.
    Schema,
    /// A property of a schema, which is a schema as well.
    Property,
    /// Anything else that has keywords: an operation, a parameter, a media type.
    Plain,
    /// A map from names to objects of one role; its keys are names, not keywords.
    Names(Child),
}

/// The role of what a map of names holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Child {
    Schema,
    Property,
    Plain,
}

/// An object of the document.
#[derive(Debug)]
pub(super) struct Node<'a> {
    /// Where it is, as a JSON pointer with `#` before it.
    pub(super) place: String,
    pub(super) role: Role,
    pub(super) object: &'a Map<String, Value>,
}

impl Node<'_> {
    pub(super) fn is_schema(&self) -> bool {
        matches!(self.role, Role::Schema | Role::Property)
    }

    /// The text of a keyword.
    pub(super) fn text(&self, keyword: &str) -> Option<&str> {
        self.object.get(keyword)?.as_str()
    }
}

/// Every object of the document but those in data, in its order.
pub(super) fn nodes(root: &Value) -> Vec<Node<'_>> {
    let mut nodes = Vec::new();
    visit(root, "#".to_owned(), Role::Plain, &mut nodes);
    nodes
}

/// The target of an object that is a reference.
pub(super) fn reference(value: &Value) -> Option<&str> {
    value.get("$ref")?.as_str()
}

/// `place` and one more step, escaped as a JSON pointer has it.
pub(super) fn step(place: &str, key: &str) -> String {
    format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"))
}

fn visit<'a>(value: &'a Value, place: String, role: Role, nodes: &mut Vec<Node<'a>>) {
    match value {
        Value::Object(object) => {
            nodes.push(Node { place: place.clone(), role, object });
            for (key, value) in object {
                if let Some(role) = child(role, key) {
                    visit(value, step(&place, key), role, nodes);
                }
            }
        }
        Value::Array(list) => {
            // `parameters` is a map in components and a list in operations.
            let role = if let Role::Names(_) = role { Role::Plain } else { role };
            for (index, value) in list.iter().enumerate() {
                visit(value, step(&place, &index.to_string()), role, nodes);
            }
        }
        _ => {}
    }
}

/// The role of the value of `key` in an object with `role`; none for data.
fn child(role: Role, key: &str) -> Option<Role> {
    match role {
        Role::Names(Child::Schema) => return Some(Role::Schema),
        Role::Names(Child::Property) => return Some(Role::Property),
        Role::Names(Child::Plain) => return Some(Role::Plain),
        Role::Schema | Role::Property | Role::Plain => {}
    }
    match key {
        "example" | "default" | "enum" | "value" => None,
        _ if key.starts_with("x-") => None,
        "properties" => Some(Role::Names(Child::Property)),
        "schemas" => Some(Role::Names(Child::Schema)),
        "schema" | "items" | "additionalProperties" | "not" | "allOf" | "anyOf" | "oneOf" => Some(Role::Schema),
        "callbacks" | "content" | "encoding" | "examples" | "headers" | "links" | "mapping" | "parameters"
        | "paths" | "requestBodies" | "responses" | "scopes" | "securitySchemes" | "variables" => {
            Some(Role::Names(Child::Plain))
        }
        _ => Some(Role::Plain),
    }
}
