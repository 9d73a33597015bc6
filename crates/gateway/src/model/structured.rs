//! Makes a JSON value that fits the schema a body asks for, as far as it understands the schema.

use serde_json::{Map, Value, json};

use crate::ids::hex;
use crate::model::text::digest;

/// The most values in the answers of one request: nested arrays multiply.
const MOST_VALUES: usize = 2_000;

/// What each answer may have all the same, however many there are.
const FEWEST_VALUES: usize = 200;

/// The most bytes of text in the answers of one request.
pub(super) const MOST_TEXT: usize = 1 << 20;

/// Deepest nesting that is followed; below it everything is null.
const DEEPEST: u32 = 24;

/// The nesting from which a value is ended where the schema lets it: null where it may be, and empty arrays. Without it
/// an answer to a recursive schema would run into [`DEEPEST`] and not fit its schema there.
const DEEP: u32 = 8;

/// The value that `format` (`response_format` of chat completions, `text.format` of responses)
/// asks for, or none when plain text is wanted. `many` answers share what one request may have.
pub(super) fn answer(format: Option<&Value>, text: &str, choice: u64, many: u64) -> Option<Value> {
    let format = format?;
    match format.get("type")?.as_str()? {
        "json_object" => Some(json!({"answer": hex(&digest(text, choice)[..4])})),
        "json_schema" => {
            let schema = format.pointer("/json_schema/schema").or_else(|| format.get("schema"))?;
            let share = usize::try_from(many).unwrap_or(usize::MAX).max(1);
            let (values, room) = ((MOST_VALUES / share).max(FEWEST_VALUES), MOST_TEXT / share);
            let mut maker = Maker { root: schema, digest: digest(text, choice), made: 0, values, text: room };
            Some(maker.value(schema, 0))
        }
        _ => None,
    }
}

struct Maker<'a> {
    root: &'a Value,
    digest: [u8; 32],
    made: usize,
    /// Values that may still be made.
    values: usize,
    /// Bytes of text that may still be made.
    text: usize,
}

impl<'a> Maker<'a> {
    /// The next byte of the digest, round and round.
    fn draw(&mut self) -> usize {
        self.made += 1;
        usize::from(self.digest[self.made % self.digest.len()])
    }

    fn value(&mut self, schema: &'a Value, depth: u32) -> Value {
        if depth > DEEPEST || self.values == 0 {
            return Value::Null;
        }
        self.values -= 1;
        if let Some(path) = schema.get("$ref").and_then(Value::as_str) {
            let target = path.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
            return target.map_or(Value::Null, |target| self.value(target, depth + 1));
        }
        if let Some(constant) = schema.get("const") {
            return self.copy(constant);
        }
        if let Some(Value::Array(values)) = schema.get("enum") {
            let drawn = self.draw() % values.len().max(1);
            return values.get(drawn).map_or(Value::Null, |value| self.copy(value));
        }
        for word in ["anyOf", "oneOf", "allOf"] {
            if let Some(Value::Array(schemas)) = schema.get(word) {
                let is_null = |schema: &&Value| schema.get("type").is_some_and(|kind| kind == "null");
                let wanted = schemas.iter().find(|schema| is_null(schema) == (depth > DEEP));
                let first = wanted.or(schemas.first());
                return first.map_or(Value::Null, |first| self.value(first, depth + 1));
            }
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.array(schema, depth),
            "string" => {
                let text = Value::String(self.string(schema));
                self.copy(&text)
            }
            "integer" => self.integer(schema),
            "number" => self.number(schema),
            "boolean" => Value::Bool(self.draw() & 1 == 0),
            _ => Value::Null,
        }
    }

    /// A value of the schema, as far as there is room for its text.
    fn copy(&mut self, value: &Value) -> Value {
        match self.text.checked_sub(value.to_string().len()) {
            Some(left) => {
                self.text = left;
                value.clone()
            }
            None => Value::Null,
        }
    }

    fn object(&mut self, schema: &'a Value, depth: u32) -> Value {
        let mut object = Map::new();
        if let Some(Value::Object(properties)) = schema.get("properties") {
            for (name, property) in properties {
                let Some(left) = self.text.checked_sub(name.len()).filter(|_| self.values > 0) else { break };
                self.text = left;
                object.insert(name.clone(), self.value(property, depth + 1));
            }
        }
        Value::Object(object)
    }

    fn array(&mut self, schema: &'a Value, depth: u32) -> Value {
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let least = bound("minItems").unwrap_or(u64::from(depth <= DEEP)).min(64);
        let length = least.min(bound("maxItems").unwrap_or(u64::MAX));
        let Some(items) = schema.get("items") else { return json!([]) };
        (0..length).map(|_| self.value(items, depth + 1)).collect()
    }

    fn string(&mut self, schema: &Value) -> String {
        match schema.get("format").and_then(Value::as_str) {
            Some("date-time") => return "2024-01-01T00:00:00Z".to_owned(),
            Some("date") => return "2024-01-01".to_owned(),
            Some("time") => return "00:00:00Z".to_owned(),
            Some("email") => return "someone@example.com".to_owned(),
            Some("uri") => return "https://example.com/".to_owned(),
            Some("uuid") => return "00000000-0000-4000-8000-000000000000".to_owned(),
            _ => {}
        }
        let bound = |name: &str| schema.get(name).and_then(Value::as_u64);
        let characters = |bound: u64| usize::try_from(bound).unwrap_or(usize::MAX);
        let mut text = format!("word {}", self.draw());
        while text.chars().count() < characters(bound("minLength").unwrap_or(0).min(4_096)) {
            text.push('x');
        }
        match bound("maxLength") {
            Some(most) => text.chars().take(characters(most)).collect(),
            None => text,
        }
    }

    fn integer(&mut self, schema: &Value) -> Value {
        let bound = |name: &str| schema.get(name).and_then(Value::as_i64);
        let below = bound("exclusiveMaximum").map(|most| most.saturating_sub(1));
        let above = bound("exclusiveMinimum").map(|least| least.saturating_add(1));
        let most = bound("maximum").or(below).unwrap_or(i64::MAX);
        let least = bound("minimum").or(above).unwrap_or(0).min(most);
        let room = most.saturating_sub(least).clamp(0, 99);
        let drawn = i64::try_from(self.draw()).unwrap_or_default() % (room + 1);
        json!(least.saturating_add(drawn))
    }

    fn number(&mut self, schema: &Value) -> Value {
        let bound = |name: &str| schema.get(name).and_then(Value::as_f64);
        let most = bound("maximum").or(bound("exclusiveMaximum"));
        let least = bound("minimum").or(bound("exclusiveMinimum"));
        let (least, most) = match (least, most) {
            (Some(least), Some(most)) => (least, most),
            (Some(least), None) => (least, least + 100.0),
            (None, Some(most)) => (most - 100.0, most),
            (None, None) => (0.0, 100.0),
        };
        let share = u32::try_from(self.draw() + 1).unwrap_or(1);
        json!(least + (most - least) * f64::from(share) / 512.0)
    }
}

/// The type of a schema; of several, the first that is not null.
fn kind(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::String(kind)) => kind,
        Some(Value::Array(kinds)) => {
            kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("null")
        }
        _ if schema.get("properties").is_some() => "object",
        _ => "null",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nesting_does_not_multiply_without_end() {
        let big = "x".repeat(100_000);
        for mut schema in [json!({"type": "string"}), json!({"const": big}), json!({"enum": [big]})] {
            for _ in 0..7 {
                schema = json!({"type": "array", "minItems": 64, "items": schema});
            }
            let format = json!({"type": "json_schema", "json_schema": {"schema": schema}});
            let value = answer(Some(&format), "text", 0, 1).unwrap();
            assert!(value.to_string().len() < 2 * MOST_TEXT);
        }
        // Nor do many answers, nor many names.
        let names: Map<String, Value> = (0..300).map(|n| (format!("{n:010000}"), json!({"type": "null"}))).collect();
        let format = json!({"type": "json_schema", "json_schema": {"schema": {"type": "object", "properties": names}}});
        let made: usize =
            (0..128).map(|choice| answer(Some(&format), "", choice, 128).unwrap().to_string().len()).sum();
        assert!(made < 2 * MOST_TEXT, "{made}");
    }

    #[test]
    fn values_fit_their_schema() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string", "minLength": 20},
                "short": {"type": "string", "maxLength": 2},
                "age": {"type": "integer", "minimum": 18, "maximum": 20},
                "share": {"type": "number", "minimum": 0, "maximum": 1},
                "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "minItems": 2},
                "maybe": {"type": ["null", "boolean"]},
                "kind": {"const": "x"},
                "child": {"$ref": "#/$defs/child"},
                "either": {"anyOf": [{"type": "null"}, {"type": "string", "format": "date"}]},
            },
            "$defs": {"child": {"type": "object", "properties": {
                "next": {"$ref": "#/$defs/child"},
            }}},
        });
        let format = json!({"type": "json_schema", "json_schema": {"schema": schema}});
        let value = answer(Some(&format), "text", 0, 1).unwrap();
        assert!(value["name"].as_str().unwrap().chars().count() >= 20);
        assert_eq!(value["short"].as_str().unwrap().len(), 2);
        assert!((18..=20).contains(&value["age"].as_i64().unwrap()));
        assert!((0.0..=1.0).contains(&value["share"].as_f64().unwrap()));
        let tags = value["tags"].as_array().unwrap();
        assert!(tags.len() == 2 && tags.iter().all(|tag| tag == "a" || tag == "b"));
        assert!(value["maybe"].is_boolean());
        assert_eq!(value["kind"], "x");
        assert!(value["child"]["next"].is_object());
        assert_eq!(value["either"], "2024-01-01");
        assert_eq!(answer(Some(&format), "text", 0, 1).unwrap(), value);
    }

    #[test]
    fn an_answer_to_a_recursive_schema_ends_where_the_schema_lets_it() {
        let schema = json!({
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#"}, {"type": "null"}]},
                "below": {"type": "array", "items": {"$ref": "#"}},
            },
        });
        fn names(node: &Value) -> usize {
            assert!(node["name"].is_string(), "{node}");
            let next = if node["next"].is_null() { 0 } else { names(&node["next"]) };
            1 + next + node["below"].as_array().unwrap().iter().map(names).sum::<usize>()
        }
        let format = json!({"type": "json_schema", "json_schema": {"schema": schema}});
        let names = names(&answer(Some(&format), "text", 0, 1).unwrap());
        assert!((4..500).contains(&names), "{names}");
    }

    #[test]
    fn only_what_asks_for_json_gets_it() {
        assert_eq!(answer(None, "text", 0, 1), None);
        assert_eq!(answer(Some(&json!({"type": "text"})), "text", 0, 1), None);
        assert_eq!(answer(Some(&json!({"type": "json_schema"})), "text", 0, 1), None);
        let object = answer(Some(&json!({"type": "json_object"})), "text", 0, 1).unwrap();
        assert!(object["answer"].is_string());
    }
}
