//! Rewrites a derived schema into the subset that strict structured outputs take. What that subset cannot say is an
//! error that names the field, so that the schema never asks for something else than the type does.

use serde_json::{Map, Value, json};

use super::subset::{FORMATS, LARGE_ENUM, MOST_LARGE_ENUM_TEXT, MOST_LEVELS, MOST_PROPERTIES, MOST_TEXT, MOST_VALUES};

/// Keywords that say nothing about the value, or nothing that strict mode leaves open: dropped.
const DROPPED: [&str; 8] = ["$schema", "$id", "$comment", "title", "default", "deprecated", "readOnly", "writeOnly"];

/// Keywords that the service does not know but a model can heed: moved into the description.
const TOLD: [&str; 6] = ["minLength", "maxLength", "uniqueItems", "contentEncoding", "contentMediaType", "examples"];

/// Keywords that are kept as they are.
const KEPT: [&str; 12] = [
    "type",
    "description",
    "enum",
    "const",
    "pattern",
    "multipleOf",
    "minimum",
    "maximum",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "minItems",
    "maxItems",
];

/// The schema of the type `name` in the strict subset, or every place in it that cannot be expressed.
pub(super) fn strict(name: &str, schema: Value) -> Result<Value, String> {
    let mut root = match schema {
        Value::Object(root) => root,
        _ => Map::new(),
    };
    let definitions = match root.remove("$defs") {
        Some(Value::Object(definitions)) => definitions,
        _ => Map::new(),
    };
    if root.get("type") != Some(&json!("object")) {
        return Err(format!("{name}: the answer must be an object; put it into a field of a struct"));
    }
    let mut rewriter = Rewriter { definitions: &definitions, problems: Vec::new(), counts: Counts::default() };
    let mut schema = rewriter.object_of(name, root, 1);
    let mut strict_definitions = Map::new();
    for (definition, schema) in &definitions {
        rewriter.counts.text += definition.chars().count();
        strict_definitions.insert(definition.clone(), rewriter.schema(definition, schema.clone(), 0));
    }
    rewriter.limits(name);
    if !rewriter.problems.is_empty() {
        return Err(rewriter.problems.join("; "));
    }
    if !strict_definitions.is_empty() {
        schema.insert("$defs".to_owned(), Value::Object(strict_definitions));
    }
    Ok(Value::Object(schema))
}

#[derive(Default)]
struct Counts {
    properties: usize,
    values: usize,
    text: usize,
}

struct Rewriter<'a> {
    definitions: &'a Map<String, Value>,
    problems: Vec<String>,
    counts: Counts,
}

impl Rewriter<'_> {
    fn problem(&mut self, path: &str, problem: &str) {
        self.problems.push(format!("{path}: {problem}"));
    }

    /// One schema; `level` counts the objects around it within the same definition.
    fn schema(&mut self, path: &str, schema: Value, level: usize) -> Value {
        match schema {
            Value::Object(schema) => Value::Object(self.object_of(path, schema, level + 1)),
            _ => {
                self.problem(path, "it may be any JSON, which strict mode cannot say; give it a type, or let it be a String that holds JSON");
                json!({})
            }
        }
    }

    /// The members of one schema, of which `level` objects are in each other if this is an object.
    fn object_of(&mut self, path: &str, mut schema: Map<String, Value>, level: usize) -> Map<String, Value> {
        self.single_all_of(&mut schema);
        if schema.contains_key("$ref") {
            return self.reference(path, schema, level);
        }
        let mut out = Map::new();
        let mut told = Vec::new();
        let is_object = has_type(&schema, "object");
        let is_number = has_type(&schema, "integer") || has_type(&schema, "number");
        if has_type(&schema, "array") && !["items", "prefixItems"].iter().any(|key| schema.contains_key(*key)) {
            self.problem(
                path,
                "the elements of an array may be anything, which strict mode cannot say; give them a type",
            );
        }
        if !is_object && ["properties", "required", "additionalProperties"].iter().any(|key| schema.contains_key(*key))
        {
            self.problem(path, "properties without type \"object\" are not understood; write the type");
        }
        for (key, value) in std::mem::take(&mut schema) {
            match key.as_str() {
                key if KEPT.contains(&key) => drop(out.insert(key.to_owned(), value)),
                key if DROPPED.contains(&key) || key.starts_with("x-") => {}
                key if TOLD.contains(&key) => told.push(format!("{key}: {value}")),
                "format" => match value.as_str() {
                    Some(format) if FORMATS.contains(&format) => drop(out.insert(key, value)),
                    Some(format) if is_number => bounded(&mut out, format),
                    _ => told.push(format!("format: {value}")),
                },
                "anyOf" | "oneOf" => self.alternatives(path, &mut out, value, level),
                "items" => {
                    let items = self.schema(&format!("{path}[]"), value, level - usize::from(!is_object));
                    out.insert(key, items);
                }
                // Read below, once it is clear what all the others are.
                "properties" | "required" | "additionalProperties" => drop(schema.insert(key, value)),
                other => self.unsupported(path, other),
            }
        }
        if is_object {
            self.properties(path, &mut out, schema, level);
        }
        self.finish(path, &mut out, told);
        out
    }

    /// Makes an object's properties all required, and the object closed.
    fn properties(&mut self, path: &str, out: &mut Map<String, Value>, mut schema: Map<String, Value>, level: usize) {
        if level > MOST_LEVELS {
            self.problem(path, "more than 10 objects are in each other; give the inner ones types of their own");
        }
        let open = match schema.get("additionalProperties") {
            None | Some(Value::Bool(false)) => false,
            Some(_) => {
                self.problem(
                    path,
                    "a map with keys of its own is not possible in strict mode; use a Vec of a struct with a key and a value",
                );
                true
            }
        };
        let properties = match schema.remove("properties") {
            Some(Value::Object(properties)) => properties,
            _ => Map::new(),
        };
        if properties.is_empty() && !open && !schema.contains_key("additionalProperties") {
            self.problem(
                path,
                "an object without fields would always be empty; add #[serde(deny_unknown_fields)] if that is meant",
            );
        }
        if out.contains_key("anyOf") {
            self.problem(
                path,
                "an enum is flattened into this object, which strict mode cannot say; give it a field of its own",
            );
        }
        self.counts.properties += properties.len();
        let required: Vec<Value> = properties.keys().map(|name| json!(name)).collect();
        let mut strict = Map::new();
        for (name, property) in properties {
            self.counts.text += name.chars().count();
            let property = self.schema(&format!("{path}.{name}"), property, level);
            strict.insert(name, property);
        }
        out.insert("properties".to_owned(), Value::Object(strict));
        out.insert("required".to_owned(), Value::Array(required));
        out.insert("additionalProperties".to_owned(), Value::Bool(false));
    }

    /// A list of alternatives. Those of a Rust enum exclude each other, so `oneOf` says the same as `anyOf`.
    fn alternatives(&mut self, path: &str, out: &mut Map<String, Value>, alternatives: Value, level: usize) {
        let Value::Array(alternatives) = alternatives else {
            return self.problem(path, "anyOf is no array; make it one");
        };
        if out.contains_key("anyOf") {
            return self.problem(path, "it has both anyOf and oneOf, which strict mode cannot say; keep one");
        }
        let alternatives = alternatives.into_iter().map(|alternative| {
            let name = variant(&alternative).map_or_else(|| path.to_owned(), |name| format!("{path}::{name}"));
            self.schema(&name, alternative, level - 1)
        });
        let alternatives = alternatives.collect();
        out.insert("anyOf".to_owned(), Value::Array(alternatives));
    }

    /// A reference, beside which nothing may stand.
    fn reference(&mut self, path: &str, mut schema: Map<String, Value>, level: usize) -> Map<String, Value> {
        schema.retain(|key, _| !DROPPED.contains(&key.as_str()) && !key.starts_with("x-"));
        let target = schema.get("$ref").and_then(Value::as_str).unwrap_or_default().to_owned();
        let definition = target.strip_prefix("#/$defs/").map(|name| name.replace("~1", "/").replace("~0", "~"));
        let definition = definition.and_then(|name| self.definitions.get(&name));
        if target != "#" && definition.is_none() {
            self.problem(path, &format!("$ref {target:?} leads to no definition of the schema; define it there"));
        }
        if schema.len() == 1 {
            return schema;
        }
        if schema.contains_key("properties") {
            // A variant of an internally tagged enum: its tag beside the struct that it holds.
            let is_struct = |held: &Map<String, Value>| {
                !["$ref", "anyOf", "oneOf", "allOf"].iter().any(|key| held.contains_key(*key))
            };
            return match definition {
                Some(Value::Object(held)) if is_struct(held) => match merged(schema, held.clone()) {
                    Ok(merged) => self.object_of(path, merged, level),
                    Err(problem) => {
                        self.problem(path, &problem);
                        Map::new()
                    }
                },
                _ => {
                    self.problem(path, "a tag stands beside what is no struct; let the variant hold a struct");
                    Map::new()
                }
            };
        }
        let mut out = Map::new();
        let mut told = Vec::new();
        for (key, value) in schema {
            match key.as_str() {
                "$ref" => drop(out.insert("anyOf".to_owned(), json!([{ "$ref": value }]))),
                "description" => drop(out.insert(key, value)),
                key if TOLD.contains(&key) => told.push(format!("{key}: {value}")),
                other => self.unsupported(path, &format!("{other} beside a reference")),
            }
        }
        self.finish(path, &mut out, told);
        out
    }

    /// An `allOf` of one is that one.
    fn single_all_of(&mut self, schema: &mut Map<String, Value>) {
        if let Some(Value::Array(all)) = schema.get("allOf")
            && let [Value::Object(only)] = all.as_slice()
            && only.keys().all(|key| !schema.contains_key(key))
        {
            let only = only.clone();
            schema.remove("allOf");
            schema.extend(only);
        }
    }

    fn unsupported(&mut self, path: &str, keyword: &str) {
        let advice = match keyword {
            "prefixItems" => "a tuple is not possible in strict mode; use a struct with named fields",
            "patternProperties" | "propertyNames" | "minProperties" | "maxProperties" => {
                "a map with keys of its own is not possible in strict mode; use a Vec of a struct with a key and a value"
            }
            _ => {
                let problem =
                    format!("{keyword} is not possible in strict mode; leave it out and check the answer yourself");
                return self.problem(path, &problem);
            }
        };
        self.problem(path, advice);
    }

    /// Gives the schema its type, counts its values and writes what was told into its description.
    fn finish(&mut self, path: &str, out: &mut Map<String, Value>, told: Vec<String>) {
        let values: Vec<Value> = match (out.get("enum"), out.get("const")) {
            (Some(Value::Array(values)), _) => values.clone(),
            (_, Some(value)) => vec![value.clone()],
            _ => Vec::new(),
        };
        if out.contains_key("enum") {
            self.counts.values += values.len();
        }
        let text: usize = values.iter().filter_map(Value::as_str).map(|text| text.chars().count()).sum();
        self.counts.text += text;
        if values.len() > LARGE_ENUM && text > MOST_LARGE_ENUM_TEXT {
            self.problem(path, "an enum of more than 250 values has more than 15000 characters; shorten their names");
        }
        if !["type", "anyOf", "$ref"].iter().any(|key| out.contains_key(*key)) {
            match type_of(&values) {
                Some(kind) => drop(out.insert("type".to_owned(), kind)),
                None => {
                    self.problem(path, "it may be any JSON, which strict mode cannot say; give it a type, or let it be a String that holds JSON");
                }
            }
        }
        if !told.is_empty() {
            let told = format!("({})", told.join(", "));
            let description = match out.get("description").and_then(Value::as_str) {
                Some(description) => format!("{description} {told}"),
                None => told,
            };
            out.insert("description".to_owned(), json!(description));
        }
    }

    fn limits(&mut self, name: &str) {
        let Counts { properties, values, text } = self.counts;
        for (what, count, most) in [
            ("fields", properties, MOST_PROPERTIES),
            ("enum values", values, MOST_VALUES),
            ("characters of names and values", text, MOST_TEXT),
        ] {
            if count > most {
                self.problem(
                    name,
                    &format!("{count} {what} are more than the {most} of strict mode; ask for less at once"),
                );
            }
        }
    }
}

fn has_type(schema: &Map<String, Value>, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == name,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    }
}

/// The bounds of an integer type that fits into 32 bits, by schemars' name of it.
fn integer_range(format: &str) -> Option<(i64, i64)> {
    Some(match format {
        "int8" => (i8::MIN.into(), i8::MAX.into()),
        "int16" => (i16::MIN.into(), i16::MAX.into()),
        "int32" => (i32::MIN.into(), i32::MAX.into()),
        "uint8" => (0, u8::MAX.into()),
        "uint16" => (0, u16::MAX.into()),
        "uint32" => (0, u32::MAX.into()),
        _ => return None,
    })
}

/// Says by bounds what the name of an integer type said, where no nearer bound does. The types of 64 bits and more
/// have no bounds that a model comes near to.
fn bounded(schema: &mut Map<String, Value>, format: &str) {
    let Some((least, most)) = integer_range(format) else { return };
    if !schema.contains_key("exclusiveMinimum") {
        schema.entry("minimum").or_insert(json!(least));
    }
    if !schema.contains_key("exclusiveMaximum") {
        schema.entry("maximum").or_insert(json!(most));
    }
}

/// The name of the variant that an alternative stands for, as far as it shows.
fn variant(alternative: &Value) -> Option<&str> {
    let properties = alternative.get("properties")?.as_object()?;
    let (name, first) = properties.iter().next()?;
    first.get("const").and_then(Value::as_str).or((properties.len() == 1).then_some(name))
}

/// A tag and the struct that it stands beside, as one object.
fn merged(mut tag: Map<String, Value>, held: Map<String, Value>) -> Result<Map<String, Value>, String> {
    tag.remove("$ref");
    for (key, value) in held {
        match (key.as_str(), tag.get_mut(&key), value) {
            ("properties", Some(Value::Object(properties)), Value::Object(more)) => {
                if let Some((name, _)) = more.iter().find(|(name, _)| properties.contains_key(*name)) {
                    return Err(format!("the tag {name:?} is a field of the struct as well; rename one of them"));
                }
                properties.extend(more);
            }
            // All are required in the end; the variant's own description stays.
            ("required" | "description", Some(_), _) => {}
            ("type", Some(kind), value) if *kind != value => {
                return Err("a tag stands beside what is no struct; let the variant hold a struct".to_owned());
            }
            ("type", Some(_), _) => {}
            (key, Some(_), _) => return Err(format!("{key} is given by the tag and by the struct; simplify one")),
            (_, None, value) => drop(tag.insert(key, value)),
        }
    }
    Ok(tag)
}

/// The type of these values, if they have any.
fn type_of(values: &[Value]) -> Option<Value> {
    let mut kinds: Vec<&str> = Vec::new();
    for value in values {
        let kind = match value {
            Value::String(_) => "string",
            Value::Bool(_) => "boolean",
            Value::Null => "null",
            Value::Number(number) if number.is_f64() => "number",
            Value::Number(_) => "integer",
            Value::Array(_) | Value::Object(_) => return None,
        };
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
    }
    match kinds.as_slice() {
        [] => None,
        [kind] => Some(json!(kind)),
        kinds => Some(json!(kinds)),
    }
}
