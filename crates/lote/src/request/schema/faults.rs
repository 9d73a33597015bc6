//! What of a schema strict structured outputs cannot say, each fault at its place. Nothing is rewritten: a schema of a
//! user's own is sent as it is, or refused.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use super::subset::{FORMATS, LARGE_ENUM, MOST_LARGE_ENUM_TEXT, MOST_LEVELS, MOST_PROPERTIES, MOST_TEXT, MOST_VALUES};

/// The types of values.
const TYPES: [&str; 7] = ["string", "number", "integer", "boolean", "object", "array", "null"];

/// Keywords whose value is a text.
const TEXTS: [&str; 6] = ["title", "description", "pattern", "format", "$ref", "$schema"];

/// Keywords whose value is a number.
const NUMBERS: [&str; 5] = ["multipleOf", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/// Keywords whose value is a count.
const COUNTS: [&str; 2] = ["minItems", "maxItems"];

/// How deep references are followed, and schemas looked into: the depth to which JSON is read.
const DEEPEST: usize = 128;

/// Something in a schema that strict mode does not take.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SchemaFault {
    /// Where in the schema, as a JSON Pointer such as `/properties/name`; empty for the whole.
    pub at: String,
    /// What is wrong, and what to do.
    pub problem: String,
}

impl fmt::Display for SchemaFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = if self.at.is_empty() { "the root" } else { &self.at };
        write!(f, "{at}: {}", self.problem)
    }
}

/// What of a JSON Schema the strict mode of structured outputs cannot say, by the rules that OpenAI publishes; empty for
/// one that can be sent with `strict: true`.
///
/// ```
/// use lote::request::strict_faults;
/// use serde_json::json;
///
/// let open = json!({"type": "object", "properties": {"why": {"type": "string"}}, "required": ["why"]});
/// let faults = strict_faults(&open);
/// assert_eq!(faults[0].to_string(), "the root: an object is closed in strict mode: add \"additionalProperties\": false");
/// ```
#[must_use]
pub fn strict_faults(schema: &Value) -> Vec<SchemaFault> {
    let mut look = Look { root: schema, faults: Vec::new(), properties: 0, values: 0, text: 0 };
    match schema.as_object() {
        Some(root) if root.get("type").and_then(Value::as_str) == Some("object") => {
            if root.contains_key("anyOf") {
                look.fault("", "anyOf cannot stand at the root: put it into a property");
            }
        }
        _ => look.fault(
            "",
            "the answer must be an object: give the root \"type\": \"object\", and put all else into its properties",
        ),
    }
    look.schema("", schema, 0, 0);
    for definitions in DEFINITIONS {
        let Some(held) = schema.get(definitions) else { continue };
        let Some(held) = held.as_object() else {
            look.fault(&format!("/{definitions}"), "it must be an object of schemas");
            continue;
        };
        for (name, definition) in held {
            look.text += name.chars().count();
            look.schema(&below(&format!("/{definitions}"), name), definition, 0, 0);
        }
    }
    look.limits();
    look.faults
}

/// Where definitions stand.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

struct Look<'a> {
    root: &'a Value,
    faults: Vec<SchemaFault>,
    properties: usize,
    values: usize,
    text: usize,
}

impl Look<'_> {
    fn fault(&mut self, at: &str, problem: impl Into<String>) {
        self.faults.push(SchemaFault { at: at.to_owned(), problem: problem.into() });
    }

    /// One schema, with so many objects and so many schemas around it.
    fn schema(&mut self, at: &str, schema: &Value, objects: usize, depth: usize) {
        let schema = match schema {
            Value::Object(schema) if depth < DEEPEST => schema,
            Value::Object(_) => return self.fault(at, "it is nested too deep to be looked at"),
            Value::Bool(_) => return self.fault(at, "it may be any JSON: give it a type"),
            _ => return self.fault(at, "a schema is an object, such as {\"type\": \"string\"}"),
        };
        for (keyword, value) in schema {
            self.keyword(at, keyword, value);
        }
        if let Some(target) = schema.get("$ref") {
            return self.reference(at, schema, target);
        }
        if let Some(alternatives) = schema.get("anyOf") {
            match alternatives.as_array() {
                Some(alternatives) if !alternatives.is_empty() => {
                    for (number, alternative) in alternatives.iter().enumerate() {
                        self.schema(&format!("{at}/anyOf/{number}"), alternative, objects, depth + 1);
                    }
                    if self.is_endless(schema) {
                        self.fault(
                            at,
                            "it leads back to itself without a property between, so that it is never told what it is",
                        );
                    }
                }
                _ => self.fault(&format!("{at}/anyOf"), "it must be a list of schemas"),
            }
        }
        let types = self.types(at, schema);
        self.values(at, schema);
        if types.contains("object") {
            self.object(at, schema, objects + 1, depth);
        } else if let Some(keyword) =
            ["properties", "required", "additionalProperties"].iter().find(|keyword| schema.contains_key(**keyword))
        {
            self.fault(at, format!("{keyword} is for objects: write \"type\": \"object\" beside it"));
        }
        match (types.contains("array"), schema.get("items")) {
            (true, Some(items)) => self.schema(&format!("{at}/items"), items, objects, depth + 1),
            (true, None) => self.fault(at, "an array says what is in it: add \"items\" with a schema"),
            (false, Some(_)) => self.fault(at, "items is for arrays: write \"type\": \"array\" beside it"),
            (false, None) => {}
        }
    }

    /// Whether a keyword is one that can be said, with a value that it can have.
    fn keyword(&mut self, at: &str, keyword: &str, value: &Value) {
        let is_root = at.is_empty();
        let place = below(at, keyword);
        match keyword {
            _ if TEXTS.contains(&keyword) && !value.is_string() => self.fault(&place, "it must be a text"),
            _ if NUMBERS.contains(&keyword) && !value.is_number() => self.fault(&place, "it must be a number"),
            _ if COUNTS.contains(&keyword) && !value.is_u64() => {
                self.fault(&place, "it must be a whole number that is not negative");
            }
            "format" if !value.as_str().is_some_and(|format| FORMATS.contains(&format)) => {
                let known = FORMATS.join(", ");
                self.fault(
                    &place,
                    format!(
                        "strict mode does not know the format {value}: it knows {known}; say others in the description"
                    ),
                );
            }
            "$schema" | "$defs" | "definitions" if !is_root => {
                self.fault(&place, "it can only stand at the root: move it there");
            }
            _ if TEXTS.contains(&keyword) || NUMBERS.contains(&keyword) || COUNTS.contains(&keyword) => {}
            "type"
            | "enum"
            | "const"
            | "anyOf"
            | "properties"
            | "required"
            | "additionalProperties"
            | "items"
            | "$defs"
            | "definitions" => {}
            other => self.fault(&place, format!("strict mode does not take {other}: {}", instead(other))),
        }
    }

    /// A reference, beside which nothing may stand.
    fn reference(&mut self, at: &str, schema: &Map<String, Value>, target: &Value) {
        let others: Vec<&str> = schema.keys().map(String::as_str).filter(|keyword| *keyword != "$ref").collect();
        if !others.is_empty() {
            self.fault(at, format!("nothing may stand beside $ref: move {} into what it leads to", others.join(", ")));
        }
        let Some(target) = target.as_str() else { return };
        match target.strip_prefix('#') {
            None => self.fault(at, format!("$ref {target:?} leads out of the schema: put what it means under /$defs")),
            Some(pointer) if self.resolve(pointer).is_none() => {
                self.fault(at, format!("$ref {target:?} leads to nothing: there is no schema at that place"));
            }
            Some(_) if self.is_endless(schema) => {
                self.fault(at, format!("$ref {target:?} leads back to itself without a property between"));
            }
            Some(_) => {}
        }
    }

    /// The schema that a pointer leads to: the root, or a definition.
    fn resolve(&self, pointer: &str) -> Option<&Value> {
        let is_definition = || DEFINITIONS.iter().any(|held| pointer.starts_with(&format!("/{held}/")));
        if pointer.is_empty() || is_definition() { self.root.pointer(pointer) } else { None }
    }

    /// Whether a schema is, by references and alternatives alone, one of those that it is made of.
    fn is_endless(&self, schema: &Map<String, Value>) -> bool {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&Map<String, Value>> = next(self, schema);
        let mut steps = 0;
        while let Some(one) = open.pop() {
            if std::ptr::eq(one, schema) {
                return true;
            }
            steps += 1;
            if seen.insert(std::ptr::from_ref(one)) && steps < 10_000 {
                open.extend(next(self, one));
            }
        }
        return false;

        fn next<'a>(look: &'a Look<'_>, schema: &'a Map<String, Value>) -> Vec<&'a Map<String, Value>> {
            let target = schema.get("$ref").and_then(Value::as_str).and_then(|target| target.strip_prefix('#'));
            let target = target.and_then(|pointer| look.resolve(pointer));
            let alternatives = schema.get("anyOf").and_then(Value::as_array).into_iter().flatten();
            target.into_iter().chain(alternatives).filter_map(Value::as_object).collect()
        }
    }

    /// The types that a schema names.
    fn types<'a>(&mut self, at: &str, schema: &'a Map<String, Value>) -> BTreeSet<&'a str> {
        let named: Vec<&Value> = match schema.get("type") {
            Some(Value::Array(several)) if !several.is_empty() => several.iter().collect(),
            Some(one) => vec![one],
            None => {
                let advice = match schema.contains_key("enum") || schema.contains_key("const") {
                    true => "its type is missing: write that of its values beside them",
                    false => "it may be any JSON: give it a type",
                };
                // Of the last two it is said that they are not taken.
                if !["anyOf", "oneOf", "allOf"].iter().any(|keyword| schema.contains_key(*keyword)) {
                    self.fault(at, advice);
                }
                return BTreeSet::new();
            }
        };
        for name in &named {
            if !name.as_str().is_some_and(|name| TYPES.contains(&name)) {
                self.fault(&below(at, "type"), format!("{name} is no type: there are {}", TYPES.join(", ")));
            }
        }
        named.into_iter().filter_map(Value::as_str).collect()
    }

    /// The values of an enum or a const.
    fn values(&mut self, at: &str, schema: &Map<String, Value>) {
        let values: &[Value] = match (schema.get("enum"), schema.get("const")) {
            (Some(Value::Array(values)), _) if !values.is_empty() => {
                self.values += values.len();
                values
            }
            (Some(_), _) => return self.fault(&below(at, "enum"), "it must be a list of values, and not be empty"),
            (None, Some(value)) => std::slice::from_ref(value),
            (None, None) => return,
        };
        let text: usize = values.iter().filter_map(Value::as_str).map(|text| text.chars().count()).sum();
        self.text += text;
        if values.len() > LARGE_ENUM && text > MOST_LARGE_ENUM_TEXT {
            self.fault(
                &below(at, "enum"),
                format!("its {} values have {text} characters; an enum of more than {LARGE_ENUM} may have {MOST_LARGE_ENUM_TEXT}", values.len()),
            );
        }
    }

    /// An object, which has to be closed, with all its properties required.
    fn object(&mut self, at: &str, schema: &Map<String, Value>, objects: usize, depth: usize) {
        if objects == MOST_LEVELS + 1 {
            self.fault(
                at,
                format!("{objects} objects are in each other, and {MOST_LEVELS} may be; move the inner ones to /$defs"),
            );
        }
        if schema.get("additionalProperties") != Some(&Value::Bool(false)) {
            let problem = match schema.get("additionalProperties") {
                None | Some(Value::Bool(_)) => {
                    "an object is closed in strict mode: add \"additionalProperties\": false"
                }
                Some(_) => {
                    "a map with keys of its own cannot be said: use an array of objects with a key and a value, and \
                     \"additionalProperties\": false"
                }
            };
            self.fault(at, problem);
        }
        let properties = match schema.get("properties") {
            Some(Value::Object(properties)) => properties,
            Some(_) => return self.fault(&below(at, "properties"), "it must be an object of schemas"),
            None => return self.fault(at, "an object names its properties: add \"properties\""),
        };
        self.properties += properties.len();
        let required: Vec<&str> = match schema.get("required") {
            Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
            Some(_) => return self.fault(&below(at, "required"), "it must be a list of names"),
            None => Vec::new(),
        };
        let lacking: Vec<String> = properties
            .keys()
            .filter(|name| !required.contains(&name.as_str()))
            .map(|name| format!("{name:?}"))
            .collect();
        if !lacking.is_empty() {
            self.fault(
                at,
                format!(
                    "every property is required in strict mode: add {} to \"required\"; one that may be absent has \
                     \"null\" among its types",
                    lacking.join(", ")
                ),
            );
        }
        if let Some(unknown) = required.iter().find(|name| !properties.contains_key(**name)) {
            self.fault(&below(at, "required"), format!("{unknown:?} is no property of the object"));
        }
        for (name, property) in properties {
            self.text += name.chars().count();
            self.schema(&below(&below(at, "properties"), name), property, objects, depth + 1);
        }
    }

    fn limits(&mut self) {
        for (what, count, most) in [
            ("properties", self.properties, MOST_PROPERTIES),
            ("values of enums", self.values, MOST_VALUES),
            ("characters of names and values", self.text, MOST_TEXT),
        ] {
            if count > most {
                self.fault("", format!("{count} {what} are more than the {most} of strict mode: ask for less at once"));
            }
        }
    }
}

/// What to write in place of a keyword that is not taken.
fn instead(keyword: &str) -> &'static str {
    match keyword {
        "oneOf" => "write anyOf",
        "allOf" => "put what it lists together into one schema",
        "default" => "leave it out, as every property is required; say in the description what is usual",
        "prefixItems" => "use an object with a property for each",
        "patternProperties" | "propertyNames" | "minProperties" | "maxProperties" => {
            "use an array of objects with a key and a value"
        }
        "minLength" | "maxLength" | "uniqueItems" | "contentEncoding" | "contentMediaType" | "examples" => {
            "say it in the description"
        }
        "$id" | "$comment" | "$anchor" | "deprecated" | "readOnly" | "writeOnly" => "leave it out",
        _ => "leave it out, and check the answers yourself",
    }
}

/// A member of a place, as JSON Pointer writes it.
fn below(at: &str, name: &str) -> String {
    format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"))
}

#[cfg(test)]
mod tests;
