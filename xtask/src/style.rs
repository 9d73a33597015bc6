//! Owns the manner in which the contract writes schemas: the order of keywords, and one way to say "or null". It never
//! changes what a schema allows, nor the order of properties.

use serde_json::{Map, Value, json};

/// The keywords that come first, in this order; the others follow as they came.
const FIRST: [&str; 9] =
    ["description", "type", "format", "nullable", "enum", "minimum", "maximum", "required", "properties"];

/// A derived schema, as a person would have written it in the contract.
#[must_use]
pub fn house(schema: Value) -> Value {
    let Value::Object(mut schema) = schema else { return schema };
    if let Some(reference) = schema.get("anyOf").and_then(or_null) {
        schema.remove("anyOf");
        schema.insert("nullable".to_owned(), json!(true));
        schema.insert("allOf".to_owned(), json!([reference]));
    }
    let mut ordered = Map::new();
    for keyword in FIRST {
        ordered.extend(schema.shift_remove_entry(keyword));
    }
    ordered.extend(schema);
    for (keyword, value) in &mut ordered {
        match (keyword.as_str(), value) {
            ("properties", Value::Object(properties)) => properties.values_mut().for_each(in_place),
            ("items" | "additionalProperties" | "not", value) => in_place(value),
            ("allOf" | "anyOf" | "oneOf", Value::Array(list)) => list.iter_mut().for_each(in_place),
            _ => {}
        }
    }
    Value::Object(ordered)
}

fn in_place(schema: &mut Value) {
    *schema = house(schema.take());
}

/// The reference in an `anyOf` of a reference and null, which is how schemars writes an `Option`.
fn or_null(any_of: &Value) -> Option<Value> {
    let [first, second] = any_of.as_array()?.as_slice() else { return None };
    let null = json!({ "nullable": true, "enum": [null] });
    let reference = if *second == null { first } else { second };
    let both = *first == null || *second == null;
    (both && reference.as_object()?.keys().eq(["$ref"])).then(|| reference.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keywords_are_ordered_and_properties_are_not() {
        let schema = json!({
            "properties": { "type": { "minLength": 1, "type": "string" }, "description": { "items": { "x-a": 1, "type": "string" } } },
            "required": ["type"],
            "type": "object",
            "description": "A thing.",
        });
        let text = house(schema.clone());
        assert_eq!(text, schema, "the same but for its order");
        assert_eq!(
            text.to_string(),
            concat!(
                r#"{"description":"A thing.","type":"object","required":["type"],"properties":{"#,
                r#""type":{"type":"string","minLength":1},"description":{"items":{"type":"string","x-a":1}}}}"#
            )
        );
    }

    #[test]
    fn an_optional_reference_is_nullable() {
        let reference = json!({ "$ref": "#/components/schemas/A" });
        let nothing = json!({ "enum": [null], "nullable": true });
        for any_of in [json!([reference, nothing]), json!([nothing, reference])] {
            let schema = json!({ "anyOf": any_of, "description": "An A." });
            assert_eq!(house(schema), json!({ "description": "An A.", "nullable": true, "allOf": [reference] }));
        }
        for other in [
            json!([reference, reference]),
            json!([nothing, nothing]),
            json!([nothing]),
            json!([nothing, { "type": "string" }]),
        ] {
            let schema = json!({ "anyOf": other });
            assert_eq!(house(schema.clone()), schema);
        }
    }
}
