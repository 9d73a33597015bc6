//! Looks into the values whose shape differs from endpoint to endpoint: messages and input items, tools, the format of
//! an answer, metadata. Of each list only the first fault is told.

use std::fmt;

use super::body::Judge;
use super::rules::{Field, Inside};
use crate::fields::Walk;
use crate::finding::FindingCode;
use crate::raw::{self, Kind};

/// How much metadata may hold, as OpenAI's schema `Metadata` says.
const METADATA: (usize, usize, usize) = (16, 64, 512);

/// What is known of a message when all of it was seen.
#[derive(Default)]
struct Message<'a> {
    role: Option<&'a str>,
    kind: Option<&'a str>,
    content: Option<Kind>,
    parts: Parts,
}

/// What stands in a content that is an array.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
enum Parts {
    #[default]
    Empty,
    Objects,
    /// Something that is no object.
    Odd,
}

/// What a tool is called in a finding.
struct ToolPlace {
    name: &'static str,
    index: Option<usize>,
}

impl fmt::Display for ToolPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)?;
        self.index.map_or(Ok(()), |index| write!(f, "[{index}]"))
    }
}

/// The types that a JSON Schema may name: a schema was put where its format belongs.
const SCHEMA_TYPES: [&str; 7] = ["object", "array", "string", "number", "integer", "boolean", "null"];

/// What is wrong with the type of a format, if it is a type of a schema or no text.
fn not_a_format(place: &str, json: &str) -> Option<(FindingCode, String)> {
    match raw::text(json) {
        Some(kind) if SCHEMA_TYPES.contains(&kind.as_ref()) => {
            Some((FindingCode::WrongShape, format!("{place} is {json}, as in a JSON Schema: write \"json_schema\"")))
        }
        None if Kind::of(json) != Kind::String => {
            let kind = Kind::of(json);
            Some((FindingCode::WrongType, format!("{place} is {kind}: it must be a string")))
        }
        _ => None,
    }
}

impl<'a> Judge<'_, '_> {
    /// The messages of a chat, or the items of a response's input; gives back how many there are.
    pub(super) fn messages(&mut self, walk: &mut Walk<'a>, list: &str) -> usize {
        let (mut length, mut told) = (0, false);
        walk.numbered(&mut |index, walk| {
            length = index + 1;
            let kind = walk.kind();
            if kind != Kind::Object {
                let message = format!(
                    "{list}[{index}] is {kind}: it must be an object such as {{\"role\": \"user\", \"content\": \"…\"}}"
                );
                return self.first(&mut told, FindingCode::WrongType, message);
            }
            let mut message = Message::default();
            let mut doubled = [false; 2];
            walk.fields(&mut |key, walk| match key.as_ref() {
                "role" => doubled[0] |= message.role.replace(walk.value()).is_some(),
                "type" => message.kind = Some(walk.value()),
                "content" => {
                    doubled[1] |= message.content.replace(walk.kind()).is_some();
                    message.parts = self.content(walk, list, index, &mut told);
                }
                _ => {}
            });
            for (key, _) in ["role", "content"].iter().zip(doubled).filter(|(_, is_doubled)| *is_doubled) {
                self.doubled(format_args!("body.{list}[{index}].{key}"));
            }
            self.message(&message, list, index, &mut told);
        });
        length
    }

    /// One message, or what may be one.
    fn message(&mut self, message: &Message<'_>, list: &str, index: usize, told: &mut bool) {
        let chat = list == "messages";
        let place = format_args!("{list}[{index}]");
        let role = match message.role.map(|json| (Kind::of(json), json)) {
            None | Some((Kind::Null, _)) if chat => {
                let message = format!("{place}.role is missing: each message has one, such as \"user\"");
                return self.first(told, FindingCode::MissingField, message);
            }
            None | Some((Kind::Null, _)) => return,
            Some((Kind::String, role)) => role,
            Some((kind, _)) => {
                let message = format!("{place}.role is {kind}: it must be a string");
                return self.first(told, FindingCode::WrongType, message);
            }
        };
        // Other items of a response have other things under the same names.
        if !chat && !matches!(message.kind, None | Some("null" | "\"message\"")) {
            return;
        }
        let roles: &[&str] = if chat {
            &["developer", "system", "user", "assistant", "tool", "function"]
        } else {
            &["user", "assistant", "system", "developer"]
        };
        let known = raw::text(role).is_none_or(|role| roles.contains(&role.as_ref()));
        if !known && !self.is_own(if chat { "messages.role" } else { "input.role" }) {
            let message = format!("{place}.role is {}: it is one of {}", raw::clip(role, 40), roles.join(", "));
            return self.first(told, FindingCode::OutOfRange, message);
        }
        if self.is_own(if chat { "messages.content" } else { "input.content" }) {
            return;
        }
        let place = format_args!("{place}.content");
        let (code, what) = match (message.content, role) {
            // An assistant may have called tools instead; what a function gave may be null.
            (None, "\"assistant\"") if chat => return,
            (Some(Kind::Null), "\"assistant\"" | "\"function\"") if chat => return,
            (None, _) => (FindingCode::MissingField, "is missing: a message says something".to_owned()),
            (Some(Kind::String), _) => return,
            (Some(Kind::Array), _) => match message.parts {
                Parts::Empty if chat => (FindingCode::OutOfRange, "is empty: a message says something".to_owned()),
                Parts::Odd => (FindingCode::WrongType, "has an entry that is no part, which is an object".to_owned()),
                _ => return,
            },
            (Some(kind), _) => (FindingCode::WrongType, format!("is {kind}: it must be a string or an array of parts")),
        };
        self.first(told, code, format!("{place} {what}"));
    }

    /// The parts of a message, whose types have other names in the other endpoint.
    fn content(&mut self, walk: &mut Walk<'a>, list: &str, index: usize, told: &mut bool) -> Parts {
        let chat = list == "messages";
        let mut parts = Parts::Empty;
        walk.numbered(&mut |part, walk| {
            if walk.kind() != Kind::Object {
                parts = Parts::Odd;
            } else if parts == Parts::Empty {
                parts = Parts::Objects;
            }
            walk.fields(&mut |key, walk| {
                if key != "type" {
                    return;
                }
                let json = walk.value();
                let right = match (chat, json) {
                    (true, "\"input_text\"" | "\"output_text\"") => "text",
                    (true, "\"input_image\"") => "image_url",
                    (true, "\"input_file\"") => "file",
                    (false, "\"text\"") => "input_text",
                    (false, "\"image_url\"") => "input_image",
                    (false, "\"file\"") => "input_file",
                    _ => return,
                };
                if self.is_own(if chat { "messages.content" } else { "input.content" }) {
                    return;
                }
                let (endpoint, other) = self.endpoints();
                let message = format!(
                    "{list}[{index}].content[{part}].type is {json}, as {other} has it: in {endpoint} it is {right:?}"
                );
                self.first(told, FindingCode::WrongShape, message);
            });
        });
        parts
    }

    /// The `response_format` of a chat, which has its schema one level down.
    pub(super) fn chat_format(&mut self, walk: &mut Walk<'a>) {
        let (mut kind, mut nested, mut flat, mut schema) = (None, None, false, false);
        walk.fields(&mut |key, walk| match key.as_ref() {
            "type" => kind = Some(walk.value()),
            "json_schema" => nested = Some(NestedSchema::read(walk)),
            "schema" | "name" => flat = true,
            "properties" | "$defs" => schema = true,
            _ => {}
        });
        let kind = kind.filter(|kind| *kind != "null");
        let odd = kind.and_then(|kind| not_a_format("response_format.type", kind));
        match (kind, nested) {
            (Some("\"json_schema\""), None) if flat => self.find(
                FindingCode::WrongShape,
                "response_format is flat, as text.format of /v1/responses: in /v1/chat/completions name, schema and \
                 strict stand under response_format.json_schema",
            ),
            (Some("\"json_schema\""), None) => self.find(
                FindingCode::MissingField,
                "response_format.json_schema is missing: it has the name and the schema",
            ),
            (Some("\"json_schema\""), Some(nested)) => nested.judge(self),
            _ if schema && (kind.is_none() || odd.is_some()) => self.find(
                FindingCode::WrongShape,
                "response_format is a JSON Schema itself: write {\"type\": \"json_schema\", \"json_schema\": {\"name\": \
                 \"…\", \"schema\": …}} around it",
            ),
            (None, _) => self.find(
                FindingCode::MissingField,
                "response_format.type is missing: it is \"text\", \"json_object\" or \"json_schema\"",
            ),
            // A type that needs nothing else, or is the service's own.
            (Some(_), _) => {
                if let Some((code, message)) = odd {
                    self.find(code, message);
                }
            }
        }
    }

    /// The `text` of a response: its format has name and schema beside its type.
    pub(super) fn response_text(&mut self, walk: &mut Walk<'a>) {
        let (mut there, mut astray) = (false, false);
        walk.fields(&mut |key, walk| match key.as_ref() {
            // Null is none.
            _ if walk.kind() == Kind::Null => {}
            "format" => {
                there = true;
                self.text_format(walk);
            }
            "type" | "schema" | "json_schema" => astray = true,
            _ => {}
        });
        if astray && !there {
            let message = "text has the format itself: it stands one level down, under text.format";
            self.find(FindingCode::WrongShape, message);
        }
    }

    fn text_format(&mut self, walk: &mut Walk<'a>) {
        let is = walk.kind();
        if is != Kind::Object {
            let message = format!("text.format is {is}: it must be an object such as {{\"type\": \"json_object\"}}");
            return self.find(FindingCode::WrongType, message);
        }
        let (mut kind, mut nested) = (None, false);
        let mut inside = Schema::default();
        walk.fields(&mut |key, walk| match key.as_ref() {
            _ if walk.kind() == Kind::Null => {}
            "type" => kind = Some(walk.value()),
            "json_schema" => nested = true,
            key => inside.field(key, walk.kind()),
        });
        if nested && inside.schema.is_none() && matches!(kind, None | Some("\"json_schema\"")) {
            let message = "text.format has json_schema, as response_format of /v1/chat/completions: in /v1/responses \
                           name, schema and strict stand in text.format itself";
            return self.find(FindingCode::WrongShape, message);
        }
        if kind.is_none() {
            let message = "text.format.type is missing: it is \"text\", \"json_object\" or \"json_schema\"";
            return self.find(FindingCode::MissingField, message);
        }
        if let Some((code, message)) = kind.and_then(|kind| not_a_format("text.format.type", kind)) {
            return self.find(code, message);
        }
        if kind == Some("\"json_schema\"") {
            self.schema("text.format", &inside, true);
        }
    }

    /// A list of tools.
    pub(super) fn tools(&mut self, walk: &mut Walk<'a>, field: &Field) {
        let mut told = false;
        walk.numbered(&mut |index, walk| {
            let kind = walk.kind();
            if kind != Kind::Object {
                let message = format!("{}[{index}] is {kind}: it must be an object", field.name);
                self.first(&mut told, FindingCode::WrongType, message);
            } else if !told {
                told = self.tool(walk, field, Some(index));
            }
        });
    }

    /// One tool, or the choice of one: a chat has a function one level down, a response beside its type. Gives back
    /// whether there was a fault.
    pub(super) fn tool(&mut self, walk: &mut Walk<'a>, field: &Field, index: Option<usize>) -> bool {
        let (mut kind, mut function, mut name) = (None, None, None);
        let mut inner = None;
        walk.fields(&mut |key, walk| match key.as_ref() {
            _ if walk.kind() == Kind::Null => {}
            "type" => kind = Some(walk.value()),
            "function" => {
                function = Some(walk.kind());
                walk.fields(&mut |key, walk| {
                    if key == "name" {
                        inner = Some(walk.kind()).filter(|kind| *kind != Kind::Null);
                    }
                });
            }
            "name" => name = Some(walk.kind()),
            _ => {}
        });
        let chat = field.inside == Inside::ChatTools;
        // One without a type is a function that was written for the other endpoint, when it has a name only.
        let flat = chat && function.is_none() && name.is_some();
        if kind != Some("\"function\"") && !(flat && kind.is_none()) {
            return false;
        }
        let place = ToolPlace { name: field.name, index };
        let (endpoint, other) = self.endpoints();
        if flat {
            let message = format!(
                "{place} is flat, as in {other}: in {endpoint} it is {{\"type\": \"function\", \"function\": {{\"name\": …}}}}"
            );
            self.find(FindingCode::WrongShape, message);
            return true;
        }
        if !chat && function.is_some() && name.is_none() {
            let message = format!(
                "{place} has a function one level down, as in {other}: in {endpoint} name and parameters stand beside type"
            );
            self.find(FindingCode::WrongShape, message);
            return true;
        }
        let (level, name) = if chat { (".function", inner) } else { ("", name) };
        let (code, message) = match (function, name) {
            (None, _) if chat => (FindingCode::MissingField, format!("{place}{level} is missing: it has the name")),
            (Some(kind), _) if chat && kind != Kind::Object => {
                (FindingCode::WrongType, format!("{place}{level} is {kind}: it must be an object"))
            }
            (_, None) => (FindingCode::MissingField, format!("{place}{level}.name is missing: each function has one")),
            (_, Some(kind)) if kind != Kind::String => {
                (FindingCode::WrongType, format!("{place}{level}.name is {kind}: it must be a string"))
            }
            _ => return false,
        };
        self.find(code, message);
        true
    }

    /// What a format that asks for JSON by a schema holds. Only the flat form has to have the schema.
    fn schema(&mut self, place: &str, inside: &Schema, needs_schema: bool) {
        let Schema { name, schema, strict, properties: _ } = *inside;
        let missing = |field: &str| format!("{place}.{field} is missing: a format of type \"json_schema\" has it");
        for (field, is, right, needed) in [
            ("name", name, Kind::String, true),
            ("schema", schema, Kind::Object, needs_schema),
            ("strict", strict, Kind::Bool, false),
        ] {
            match is {
                None if needed => self.find(FindingCode::MissingField, missing(field)),
                Some(is) if is != right => {
                    self.find(FindingCode::WrongType, format!("{place}.{field} is {is}: it must be {right}"));
                }
                _ => {}
            }
        }
    }

    /// Pairs of texts.
    pub(super) fn metadata(&mut self, walk: &mut Walk<'a>) {
        let (most, key_characters, value_characters) = METADATA;
        let (mut pairs, mut told) = (0, false);
        walk.fields(&mut |key, walk| {
            pairs += 1;
            let kind = walk.kind();
            let json = walk.value();
            let long = |text: &str, most: usize| text.chars().count() > most;
            let shown = raw::clip(&key, 64);
            if kind != Kind::String {
                let message = format!("metadata.{shown} is {kind}: it must be a string");
                self.first(&mut told, FindingCode::WrongType, message);
            } else if long(&key, key_characters) {
                let message = format!("metadata.{shown}: a key has at most {key_characters} characters");
                self.first(&mut told, FindingCode::OutOfRange, message);
            } else if raw::text(json).is_some_and(|value| long(&value, value_characters)) {
                let message = format!("metadata.{shown}: a value has at most {value_characters} characters");
                self.first(&mut told, FindingCode::OutOfRange, message);
            }
        });
        if pairs > most {
            self.find(FindingCode::OutOfRange, format!("metadata has {pairs} pairs: it must have at most {most}"));
        }
    }

    /// Tells the first fault of a list and no other.
    pub(super) fn first(&mut self, told: &mut bool, code: FindingCode, message: String) {
        if !std::mem::replace(told, true) {
            self.find(code, message);
        }
    }

    /// This endpoint and the one that it is mixed up with.
    fn endpoints(&self) -> (&'static str, &'static str) {
        match self.held.rules.endpoint {
            "/v1/responses" => ("/v1/responses", "/v1/chat/completions"),
            endpoint => (endpoint, "/v1/responses"),
        }
    }
}

/// What stands beside a schema, and the schema itself; null is none.
#[derive(Default)]
struct Schema {
    name: Option<Kind>,
    schema: Option<Kind>,
    strict: Option<Kind>,
    properties: bool,
}

impl Schema {
    fn field(&mut self, key: &str, kind: Kind) {
        let kind = Some(kind).filter(|kind| *kind != Kind::Null);
        match key {
            "name" => self.name = kind,
            "schema" => self.schema = kind,
            "strict" => self.strict = kind,
            "properties" => self.properties = true,
            _ => {}
        }
    }
}

/// What stands under `response_format.json_schema`.
struct NestedSchema {
    kind: Kind,
    inside: Schema,
}

impl NestedSchema {
    fn read(walk: &mut Walk<'_>) -> Self {
        let (kind, mut inside) = (walk.kind(), Schema::default());
        walk.fields(&mut |key, walk| inside.field(&key, walk.kind()));
        Self { kind, inside }
    }

    fn judge(self, judge: &mut Judge<'_, '_>) {
        let place = "response_format.json_schema";
        if self.kind != Kind::Object {
            let message = format!("{place} is {}: it must be an object", self.kind);
            judge.find(FindingCode::WrongType, message);
        } else if self.inside.properties && self.inside.schema.is_none() {
            judge.find(
                FindingCode::WrongShape,
                "response_format.json_schema is a JSON Schema itself: it stands under response_format.json_schema.schema, \
                 beside a name",
            );
        } else {
            judge.schema(place, &self.inside, false);
        }
    }
}
