//! Owns the way from a schema as it is written to the normalised node: references followed, and one form for what
//! OpenAPI 3.0 and 3.1 say in several. It never compares, and never drops in silence what it cannot follow.

use std::cell::RefCell;

use serde_json::{Map, Value, json};

use crate::drift::{
    document::{self, Document, TWICE},
    keywords::{self, combine},
    node::{self, Node, Origin, Step, escape},
    variants,
    wording::Wording,
};

/// Schemas nested deeper than this are not followed; nothing real comes near.
const DEPTH: usize = 100;
/// Nodes made of one document at the most, twenty times what ours comes to: references that double at each step would
/// have no end.
const NODES: usize = 20_000;

/// Something in the covered part that could not be read, and so was not compared.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Uncompared {
    /// Where in the document, as a JSON pointer.
    pub place: String,
    /// Why.
    pub reason: String,
}

/// Reads schemas of one document.
#[derive(Debug)]
pub struct Schemas<'a> {
    /// The document.
    pub document: &'a Document,
    uncompared: RefCell<Vec<Uncompared>>,
    made: RefCell<usize>,
}

/// The references that are being followed.
type Stack = Vec<String>;

impl<'a> Schemas<'a> {
    /// Of a document.
    #[must_use]
    pub fn new(document: &'a Document) -> Self {
        Self { document, uncompared: RefCell::default(), made: RefCell::default() }
    }

    /// What could not be read so far, without repetition.
    #[must_use]
    pub fn uncompared(&self) -> Vec<Uncompared> {
        let mut list = self.uncompared.borrow().clone();
        list.sort();
        list.dedup();
        list
    }

    /// Notes what cannot be compared.
    pub fn note(&self, place: &str, reason: impl Into<String>) {
        self.uncompared.borrow_mut().push(Uncompared { place: place.to_owned(), reason: reason.into() });
    }

    /// Follows the reference that an object is, if it is one, and those that it leads to: what is there, and its place.
    /// None when it leads nowhere, which is noted.
    pub fn follow(&self, value: &'a Value, place: &str) -> Option<(&'a Value, String)> {
        let (mut value, mut place) = (value, place.to_owned());
        let mut seen = Vec::new();
        while let Some(reference) = value.get("$ref") {
            let (next, at) = self.resolve(reference, &place)?;
            if seen.contains(&at) {
                self.note(&place, format!("$ref to {at} leads back to itself"));
                return None;
            }
            seen.push(at.clone());
            (value, place) = (next, at);
        }
        self.twice(value, &place);
        Some((value, place))
    }

    /// Notes what the reader of a package did not understand; the node is compared with nothing.
    pub fn unread(&self, place: &str, reason: &Value, node: &mut Node) {
        self.note(place, reason.as_str().unwrap_or("it could not be read"));
        node.facts.insert(node::UNREAD.to_owned(), json!(true));
    }

    /// Notes keys of an object that are there twice.
    pub fn twice(&self, value: &Value, place: &str) {
        if let Some(keys) = value.get(TWICE).and_then(Value::as_array) {
            let keys: Vec<&str> = keys.iter().filter_map(Value::as_str).collect();
            self.note(place, format!("the key {} is there twice, and readers differ in which counts", keys.join(", ")));
        }
    }

    /// Notes when a way through the document takes a key that is there twice.
    pub fn along(&self, pointer: &str) {
        let mut value = &self.document.root;
        for token in pointer.trim_start_matches('#').split('/').skip(1) {
            let name = token.replace("~1", "/").replace("~0", "~");
            let twice = value.get(TWICE).and_then(Value::as_array);
            if twice.is_some_and(|keys| keys.iter().any(|key| *key == name.as_str())) {
                self.note(pointer, format!("the key {name} is there twice, and readers differ in which counts"));
            }
            let next = match value {
                Value::Array(list) => name.parse::<usize>().ok().and_then(|at| list.get(at)),
                other => other.get(&name),
            };
            let Some(next) = next else { return };
            value = next;
        }
    }

    /// Puts what OpenAPI 3.1 lets a reference say of its target before what the target says of itself.
    pub fn beside(&self, reference: &Value, node: &mut Node) {
        if let (Some(object), false) = (reference.as_object(), self.document.version.starts_with("3.0"))
            && object.contains_key("$ref")
        {
            let own = texts(object).texts;
            node.wording = Wording::new(own.into_iter().chain(std::mem::take(&mut node.wording.texts)));
        }
    }

    fn resolve(&self, reference: &Value, place: &str) -> Option<(&'a Value, String)> {
        let Some(text) = reference.as_str() else {
            self.note(place, format!("$ref is not a text: {reference}"));
            return None;
        };
        let Some(pointer) = text.strip_prefix('#') else {
            self.note(place, format!("$ref to {text} leads to another document, which is not fetched"));
            return None;
        };
        let pointer = percent_decoded(pointer);
        let found = self.document.root.pointer(&pointer).filter(|_| pointer.is_empty() || pointer.starts_with('/'));
        if found.is_none() {
            self.note(place, format!("$ref to {text}, which is not there"));
        }
        self.along(&pointer);
        Some((found?, format!("#{pointer}")))
    }

    /// The normalised form of a schema.
    pub fn schema(&self, value: &'a Value, place: &str) -> Node {
        self.read(value, place, &mut Stack::new(), 0)
    }

    fn read(&self, value: &'a Value, place: &str, stack: &mut Stack, depth: usize) -> Node {
        let mut node = Node { origin: Origin(place.to_owned()), ..Node::default() };
        *self.made.borrow_mut() += 1;
        if depth > DEPTH || *self.made.borrow() > NODES {
            let limit = if depth > DEPTH { "schemas are nested too deeply" } else { "there are too many schemas" };
            if *self.made.borrow() <= NODES + 1 {
                self.note(place, limit);
            }
            return node;
        }
        let object = match value {
            Value::Object(object) => object,
            Value::Bool(true) => return node,
            Value::Bool(false) => {
                node.facts.insert("never".to_owned(), json!(true));
                return node;
            }
            other => {
                self.note(place, format!("not a schema: {other}"));
                return node;
            }
        };
        self.twice(value, place);
        if let Some(reason) = object.get(document::UNREAD) {
            self.unread(place, reason, &mut node);
            return node;
        }
        let Some(reference) = object.get("$ref") else { return self.keywords(object, None, place, stack, depth) };
        let Some((target, at)) = self.resolve(reference, place) else { return node };
        if stack.contains(&at) {
            self.note(place, format!("$ref to {at} is cyclic: the schema contains itself"));
            return node;
        }
        stack.push(at.clone());
        let target = self.read(target, &at, stack, depth + 1);
        stack.pop();
        // OpenAPI 3.0 ignores what stands beside a reference; 3.1 does not.
        if self.document.version.starts_with("3.0") || object.len() == 1 {
            return target;
        }
        self.keywords(object, Some(target), place, stack, depth)
    }

    /// A schema of keywords, and of what a reference beside them leads to.
    fn keywords(
        &self,
        object: &'a Map<String, Value>,
        target: Option<Node>,
        place: &str,
        stack: &mut Stack,
        depth: usize,
    ) -> Node {
        let below = |pointer: &str| format!("{place}/{pointer}");
        let mut node = Node {
            facts: keywords::facts(object, document::EXTENSIONS),
            wording: texts(object),
            origin: Origin(place.to_owned()),
            ..Node::default()
        };
        for (keyword, value) in object {
            match (keyword.as_str(), value) {
                ("properties" | "patternProperties" | "dependentSchemas", Value::Object(map)) => {
                    for (name, schema) in map.iter().filter(|(name, _)| *name != TWICE) {
                        let step = format!("{keyword}/{}", escape(name));
                        let child = self.read(schema, &below(&step), stack, depth + 1);
                        put(&mut node, &step, child);
                    }
                    self.twice(value, &below(keyword));
                }
                ("prefixItems", Value::Array(list)) => {
                    for (index, schema) in list.iter().enumerate() {
                        let step = format!("{keyword}/{index}");
                        let child = self.read(schema, &below(&step), stack, depth + 1);
                        put(&mut node, &step, child);
                    }
                }
                (
                    "items"
                    | "additionalProperties"
                    | "unevaluatedProperties"
                    | "unevaluatedItems"
                    | "contains"
                    | "propertyNames"
                    | "not"
                    | "if"
                    | "then"
                    | "else",
                    schema,
                ) => {
                    let child = self.read(schema, &below(keyword), stack, depth + 1);
                    // A schema that allows anything is the same as none.
                    if child != Node::default() || keyword == "not" {
                        put(&mut node, keyword, child);
                    }
                }
                _ => {}
            }
        }
        for name in object.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let child = node.children.entry(Step::Schema(format!("properties/{}", escape(name)))).or_default();
            child.facts.insert("required".to_owned(), json!(true));
        }
        let mut parts: Vec<Node> = target.into_iter().collect();
        for (index, part) in object.get("allOf").and_then(Value::as_array).into_iter().flatten().enumerate() {
            parts.push(self.read(part, &below(&format!("allOf/{index}")), stack, depth + 1));
        }
        let own = node.is("nullable");
        if !parts.is_empty() {
            // All have to allow null; but `nullable` beside an allOf is meant, though it says nothing by the letter.
            let nullable = own || (!node.facts.contains_key("type") && parts.iter().all(|part| part.is("nullable")));
            for part in parts {
                combine(&mut node, part);
            }
            node.facts.remove("nullable");
            if nullable {
                node.facts.insert("nullable".to_owned(), json!(true));
            }
        }
        for keyword in ["oneOf", "anyOf"] {
            let Some(list) = object.get(keyword).and_then(Value::as_array) else { continue };
            let read = |(index, part)| self.read(part, &below(&format!("{keyword}/{index}")), stack, depth + 1);
            let choices: Vec<Node> = list.iter().enumerate().map(read).collect();
            variants::choose(&mut node, choices, keyword == "oneOf");
        }
        variants::split_types(&mut node);
        keywords::settle(&mut node);
        node
    }
}

/// Adds a child, to what is there already when a name is required before it is described.
fn put(node: &mut Node, step: &str, child: Node) {
    let there = node.children.entry(Step::Schema(step.to_owned())).or_default();
    there.origin = child.origin.clone();
    combine(there, child);
}

/// The prose of an object: its summary and its description.
#[must_use]
pub fn texts(object: &Map<String, Value>) -> Wording {
    let keys = ["summary", "description"];
    Wording::new(keys.iter().filter_map(|key| object.get(*key)?.as_str().map(str::to_owned)))
}

/// A pointer in a URI is percent-encoded; bytes that are no UTF-8 then stay as they are.
fn percent_decoded(pointer: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = pointer.as_bytes();
    while let [first, after @ ..] = rest {
        let code = after.get(..2).and_then(|hex| u8::from_str_radix(std::str::from_utf8(hex).ok()?, 16).ok());
        match (first, code) {
            (b'%', Some(byte)) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| pointer.to_owned())
}
