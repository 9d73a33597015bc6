//! Owns the proof by chance that every change of meaning in the covered part is found, and that no other change is:
//! one place of a document is changed at random, from a fixed seed, some hundreds of times.

use serde_json::{Map, Value, json};

use crate::{between, projected, root, told};

/// Numbers that only look like chance; the same in each run.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        // Knuth's multiplier for 64 bits; the upper half is the better one.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % end.max(1)
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }

    fn shuffle<T>(&mut self, list: &mut [T]) {
        for at in (1..list.len()).rev() {
            list.swap(at, self.below(at + 1));
        }
    }
}

/// Our contract, which has every form that we know of, with the lines as roots under OpenAI's names.
fn document() -> Value {
    let text = std::fs::read_to_string(root().join("openapi.yaml")).unwrap();
    let mut document: Value = yaml_serde::from_str(&text).unwrap();
    let schemas = document["components"]["schemas"].as_object_mut().unwrap();
    for (ours, theirs) in [("RequestLine", "BatchRequestInput"), ("ResultLine", "BatchRequestOutput")] {
        let schema = schemas.shift_remove(ours).unwrap();
        schemas.insert(theirs.to_owned(), schema);
    }
    document
}

/// The places of what has a role.
#[derive(Debug, Default)]
struct Places {
    schemas: Vec<String>,
    /// Operations, parameters, bodies, responses, headers: what may have prose.
    others: Vec<String>,
}

fn places(document: &Value) -> Places {
    let mut places = Places::default();
    visit(document, String::new(), false, &mut places);
    places
}

fn visit(value: &Value, place: String, is_schema: bool, places: &mut Places) {
    let step = |key: &str| format!("{place}/{}", key.replace('~', "~0").replace('/', "~1"));
    match value {
        Value::Array(list) => {
            for (at, value) in list.iter().enumerate() {
                visit(value, step(&at.to_string()), is_schema, places);
            }
        }
        Value::Object(object) => {
            if is_schema {
                places.schemas.push(place.clone());
            } else if place != "/components" && object.contains_key("responses")
                || object.contains_key("in")
                || object.contains_key("content")
            {
                places.others.push(place.clone());
            }
            for (key, value) in object {
                match (key.as_str(), is_schema) {
                    ("example" | "examples" | "enum" | "default" | "required" | "tags" | "security" | "info", _) => {}
                    ("properties", true) | ("schemas", false) => {
                        for (name, schema) in value.as_object().unwrap() {
                            let name = name.replace('/', "~1");
                            visit(schema, format!("{}/{name}", step(key)), true, places);
                        }
                    }
                    ("items" | "additionalProperties", true) | ("schema", false) => {
                        visit(value, step(key), true, places)
                    }
                    ("allOf" | "anyOf" | "oneOf", true) => visit(value, step(key), true, places),
                    (_, true) => {}
                    _ => visit(value, step(key), false, places),
                }
            }
        }
        _ => {}
    }
}

fn object<'a>(document: &'a mut Value, place: &str) -> &'a mut Map<String, Value> {
    document.pointer_mut(place).unwrap().as_object_mut().unwrap()
}

/// A change of meaning at a place, if there is one of this kind there; what it was.
fn meaning(document: &mut Value, places: &Places, chance: &mut Chance) -> Option<String> {
    let kind = chance.below(16);
    let place = if kind < 13 { chance.of(&places.schemas) } else { chance.of(&places.others) }.clone();
    let bound = 1 + chance.below(1000);
    let it = object(document, &place);
    if it.contains_key("$ref") {
        return None; // OpenAPI 3.0 ignores what stands beside it
    }
    let typed = it.get("type").and_then(Value::as_str).map(str::to_owned);
    let inline = place.contains("/properties/");
    match kind {
        0 => it.get_mut("enum")?.as_array_mut().map(|values| values.push(json!("of chance")))?,
        1 => {
            let values = it.get_mut("enum")?.as_array_mut().filter(|values| values.len() > 1)?;
            let at = chance.below(values.len());
            values.remove(at);
        }
        2 => {
            drop(it.get_mut("properties")?.as_object_mut()?.insert("of_chance".to_owned(), json!({ "type": "string" })))
        }
        3 => {
            let properties = it.get_mut("properties")?.as_object_mut()?;
            let names: Vec<String> = properties.keys().cloned().collect();
            let name = chance.of(&names).clone();
            properties.shift_remove(&name);
            if let Some(required) = it.get_mut("required").and_then(Value::as_array_mut) {
                required.retain(|other| *other != json!(name));
            }
        }
        4 => {
            let names: Vec<String> = it.get("properties")?.as_object()?.keys().cloned().collect();
            let name = json!(chance.of(&names));
            let required = it.entry("required").or_insert_with(|| json!([])).as_array_mut()?;
            match required.iter().position(|other| *other == name) {
                Some(at) => drop(required.remove(at)),
                None => required.push(name),
            }
        }
        5 => {
            let other = if typed? == "boolean" { "string" } else { "boolean" };
            it.insert("type".to_owned(), json!(other));
            it.shift_remove("enum");
        }
        6 => {
            typed.filter(|name| name == "integer")?;
            let keyword = *chance.of(&["minimum", "maximum"]);
            let new = json!(bound);
            (it.insert(keyword.to_owned(), new.clone()) != Some(new)).then_some(())?;
        }
        7 => {
            let keyword =
                *chance.of(&["minimum", "maximum", "minLength", "format", "default", "deprecated", "pattern"]);
            it.shift_remove(keyword).map(drop)?;
        }
        8 => {
            // One alternative that may be null is enough for all.
            typed.filter(|_| inline && !place.contains("/oneOf/"))?;
            let was = it.shift_remove("nullable").is_some();
            if !was {
                it.insert("nullable".to_owned(), json!(true));
            }
        }
        9 => drop(it.insert("description".to_owned(), json!(format!("Of chance, {bound}.")))),
        10 => drop(it.insert("pattern".to_owned(), json!("^of chance$"))),
        11 => drop(it.insert("additionalProperties".to_owned(), json!(false))),
        12 => drop(it.insert("format".to_owned(), json!("of-chance"))),
        13 => drop(it.insert("description".to_owned(), json!(format!("Of chance, {bound}.")))),
        14 => {
            let responses = it.get_mut("responses")?.as_object_mut()?;
            let statuses: Vec<String> = responses.keys().cloned().collect();
            match chance.below(2) {
                0 => drop(responses.shift_remove(chance.of(&statuses).as_str())),
                _ => drop(responses.insert("418".to_owned(), json!({ "description": "Of chance." }))),
            }
        }
        _ => match chance.below(2) {
            0 => drop(it.get_mut("content")?.as_object_mut()?.insert("text/of-chance".to_owned(), json!({}))),
            _ => it
                .get_mut("parameters")?
                .as_array_mut()
                .map(|list| list.push(json!({ "name": "of_chance", "in": "query" })))?,
        },
    }
    Some(format!("kind {kind} at {place}"))
}

/// A change without meaning at a place, if there is one of this kind there.
fn no_meaning(document: &mut Value, places: &Places, chance: &mut Chance) -> Option<String> {
    let kind = chance.below(12);
    let place = chance.of(&places.schemas).clone();
    match kind {
        0 => drop(object(document, &place).insert("x-of-chance".to_owned(), json!({ "$ref": 1 }))),
        1 => drop(object(document, &place).insert("example".to_owned(), json!({ "of": "chance" }))),
        2 => {
            let it = object(document, &place);
            let mut entries: Vec<_> = std::mem::take(it).into_iter().collect();
            chance.shuffle(&mut entries);
            it.extend(entries);
        }
        3 => {
            let keyword = *chance.of(&["enum", "required"]);
            chance.shuffle(object(document, &place).get_mut(keyword)?.as_array_mut()?);
        }
        4 => {
            // A reference is what it leads to.
            let target = document.pointer(&place)?.get("$ref")?.as_str()?.trim_start_matches('#').to_owned();
            *document.pointer_mut(&place)? = document.pointer(&target)?.clone();
        }
        5 => {
            // A schema is lifted into a component.
            let schema =
                std::mem::replace(document.pointer_mut(&place)?, json!({ "$ref": "#/components/schemas/OfChance" }));
            if place.matches('/').count() == 3 && place.starts_with("/components/schemas/") {
                let name = place.rsplit('/').next()?.to_owned();
                // Those are named by the mapping.
                (!name.starts_with("BatchRequest")).then_some(())?;
            }
            object(document, "/components/schemas").insert("OfChance".to_owned(), schema);
        }
        6 => {
            let schema = document.pointer_mut(&place)?;
            *schema = json!({ "allOf": [schema.take()] });
        }
        7 => {
            // Null as 3.1 has it.
            let it = object(document, &place);
            let kind = it.get("type")?.clone();
            it.shift_remove("nullable")?;
            it.insert("type".to_owned(), json!(["null", kind]));
        }
        8 => {
            let it = object(document, &place);
            let text = it.get("description")?.as_str()?.split(' ').collect::<Vec<_>>().join("\n   ");
            it.insert("description".to_owned(), json!(text));
        }
        9 => {
            let path = chance.of(&["/batches/{batch_id}", "/files/{file_id}"]).to_string();
            let text = document.to_string();
            let (_, name) = path.trim_end_matches('}').split_once('{')?;
            let text = text.replace(&format!("{{{name}}}"), "{of_chance}");
            let text = text.replace(&format!("\"name\":\"{name}\""), "\"name\":\"of_chance\"");
            *document = serde_json::from_str(&text).unwrap();
        }
        10 => {
            for server in document["servers"].as_array_mut()? {
                let url = server["url"].as_str()?.replace("/api/v1/llm", "");
                server["url"] = json!(if url.is_empty() { "/".to_owned() } else { url });
            }
            let paths = std::mem::take(document["paths"].as_object_mut()?);
            document["paths"] = paths
                .into_iter()
                .map(|(path, item)| (format!("/api/v1/llm{path}"), item))
                .collect::<Map<_, _>>()
                .into();
        }
        _ => {
            let bad = json!({ "get": { "responses": { "200": { "$ref": "#/nowhere" } } } });
            object(document, "/paths").insert("/of/chance/files".to_owned(), bad);
            object(document, "/components/schemas").insert("Other".to_owned(), json!({ "$ref": "#/nowhere" }));
            document["info"]["version"] = json!("of chance");
        }
    }
    Some(format!("kind {kind} at {place}"))
}

/// Changes one place some hundreds of times; what was changed and what was found of it.
fn trials(seed: u64, change: fn(&mut Value, &Places, &mut Chance) -> Option<String>) -> Vec<(String, Vec<String>)> {
    let before = document();
    let places = places(&before);
    assert!(places.schemas.len() > 100 && places.others.len() > 20, "{places:?}");
    let known = projected(before.clone());
    let mut chance = Chance(seed);
    let mut trials = Vec::new();
    while trials.len() < 120 {
        let mut after = before.clone();
        if let Some(what) = change(&mut after, &places, &mut chance)
            && after != Value::Null
        {
            trials.push((what, told(&between(&known, &projected(after)))));
        }
    }
    trials
}

#[test]
fn every_change_of_meaning_is_found() {
    for (what, found) in trials(1, meaning) {
        assert!(!found.is_empty(), "{what}");
    }
}

#[test]
fn no_other_change_is() {
    for (what, found) in trials(2, no_meaning) {
        assert!(found.is_empty(), "{what}: {found:?}");
    }
}
