//! Looks into the values whose shape differs from endpoint to endpoint: messages and input items, tools, the format of
//! an answer, metadata. Of each list only the first fault is told.

use super::body::Judge;
use super::cursor::Cursor;
use super::rules::{Field, Inside};
use crate::finding::FindingCode;
use crate::raw::{self, Kind};

/// How much metadata may hold, as OpenAI's schema `Metadata` says.
const METADATA: (usize, usize, usize) = (16, 64, 512);

impl<'a> Judge<'_, '_> {
    /// The messages of a chat, or the items of a response's input; gives back how many there are.
    pub(super) fn messages(&mut self, cursor: &mut Cursor<'a>, list: &str) -> usize {
        let chat = list == "messages";
        let (mut length, mut told) = (0, false);
        cursor.elements(&mut |cursor, index| {
            length = index + 1;
            let kind = cursor.kind();
            if kind != Kind::Object {
                let message = format!(
                    "{list}[{index}] is {kind}: it must be an object such as {{\"role\": \"user\", \"content\": \"…\"}}"
                );
                return self.first(&mut told, FindingCode::WrongType, message);
            }
            let mut role = None;
            cursor.fields(&mut |cursor, key| match key.as_ref() {
                "role" => role = Some(cursor.kind()),
                "content" => self.content(cursor, list, index, &mut told),
                _ => {}
            });
            match role {
                None if chat => {
                    let message = format!("{list}[{index}].role is missing: each message has one, such as \"user\"");
                    self.first(&mut told, FindingCode::MissingField, message);
                }
                Some(kind) if kind != Kind::String => {
                    let message = format!("{list}[{index}].role is {kind}: it must be a string");
                    self.first(&mut told, FindingCode::WrongType, message);
                }
                _ => {}
            }
        });
        length
    }

    /// The content of a message: a text, or parts whose types have other names in the other endpoint.
    fn content(&mut self, cursor: &mut Cursor<'a>, list: &str, index: usize, told: &mut bool) {
        let chat = list == "messages";
        match cursor.kind() {
            Kind::Array => {}
            Kind::String | Kind::Null => return,
            // An item of a response's input may have a content of another shape.
            _ if !chat => return,
            kind => {
                let message = format!("{list}[{index}].content is {kind}: it must be a string or an array of parts");
                return self.first(told, FindingCode::WrongType, message);
            }
        }
        cursor.elements(&mut |cursor, part| {
            cursor.fields(&mut |cursor, key| {
                if key != "type" {
                    return;
                }
                let json = cursor.skip();
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
    }

    /// The `response_format` of a chat, which has its schema one level down.
    pub(super) fn chat_format(&mut self, cursor: &mut Cursor<'a>) -> usize {
        let (mut kind, mut nested, mut flat, mut schema) = (None, None, false, false);
        cursor.fields(&mut |cursor, key| match key.as_ref() {
            "type" => kind = Some(cursor.skip()),
            "json_schema" => nested = Some(NestedSchema::read(cursor)),
            "schema" | "name" => flat = true,
            "properties" | "$defs" => schema = true,
            _ => {}
        });
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
            (Some("\"text\"" | "\"json_object\""), _) => {}
            _ if schema => self.find(
                FindingCode::WrongShape,
                "response_format is a JSON Schema itself: write {\"type\": \"json_schema\", \"json_schema\": {\"name\": \
                 \"…\", \"schema\": …}} around it",
            ),
            (None, _) => self.find(
                FindingCode::MissingField,
                "response_format.type is missing: it is \"text\", \"json_object\" or \"json_schema\"",
            ),
            // A type of the service's own.
            (Some(_), _) => {}
        }
        0
    }

    /// The `text` of a response: its format has name and schema beside its type.
    pub(super) fn response_text(&mut self, cursor: &mut Cursor<'a>) -> usize {
        let (mut there, mut astray) = (false, false);
        cursor.fields(&mut |cursor, key| match key.as_ref() {
            "format" => {
                there = true;
                self.text_format(cursor);
            }
            "type" | "schema" | "json_schema" => astray = true,
            _ => {}
        });
        if astray && !there {
            let message = "text has the format itself: it stands one level down, under text.format";
            self.find(FindingCode::WrongShape, message);
        }
        0
    }

    fn text_format(&mut self, cursor: &mut Cursor<'a>) {
        let is = cursor.kind();
        if is != Kind::Object {
            let message = format!("text.format is {is}: it must be an object such as {{\"type\": \"json_object\"}}");
            return self.find(FindingCode::WrongType, message);
        }
        let (mut kind, mut name, mut schema, mut nested) = (None, false, false, false);
        cursor.fields(&mut |cursor, key| match key.as_ref() {
            "type" => kind = Some(cursor.skip()),
            "name" => name = true,
            "schema" => schema = true,
            "json_schema" => nested = true,
            _ => {}
        });
        if nested && !schema {
            let message = "text.format has json_schema, as response_format of /v1/chat/completions: in /v1/responses \
                           name, schema and strict stand in text.format itself";
            return self.find(FindingCode::WrongShape, message);
        }
        if kind.is_none() {
            let message = "text.format.type is missing: it is \"text\", \"json_object\" or \"json_schema\"";
            return self.find(FindingCode::MissingField, message);
        }
        for (field, there) in [("name", name), ("schema", schema)] {
            if kind == Some("\"json_schema\"") && !there {
                let message = format!("text.format.{field} is missing: a format of type \"json_schema\" has it");
                self.find(FindingCode::MissingField, message);
            }
        }
    }

    /// A list of tools; gives back how many there are.
    pub(super) fn tools(&mut self, cursor: &mut Cursor<'a>, field: &Field) -> usize {
        let mut length = 0;
        let mut told = false;
        cursor.elements(&mut |cursor, index| {
            length = index + 1;
            let kind = cursor.kind();
            if kind != Kind::Object {
                let message = format!("{}[{index}] is {kind}: it must be an object", field.name);
                self.first(&mut told, FindingCode::WrongType, message);
            } else if !told {
                told = self.tool(cursor, field, Some(index)) > 0;
            }
        });
        length
    }

    /// One tool, or the choice of one: a chat has a function one level down, a response beside its type. Gives back
    /// how many faults there were.
    pub(super) fn tool(&mut self, cursor: &mut Cursor<'a>, field: &Field, index: Option<usize>) -> usize {
        let (mut kind, mut function, mut name) = (None, false, false);
        cursor.fields(&mut |cursor, key| match key.as_ref() {
            "type" => kind = Some(cursor.skip()),
            "function" => function = true,
            "name" => name = true,
            _ => {}
        });
        let is_function = kind == Some("\"function\"");
        let chat = field.inside == Inside::ChatTools;
        let wrong = match (chat, function, name) {
            (true, false, true) => is_function || kind.is_none(),
            (false, true, false) => is_function,
            _ => false,
        };
        if !wrong {
            return 0;
        }
        let place = index.map_or_else(|| field.name.to_owned(), |index| format!("{}[{index}]", field.name));
        let (endpoint, other) = self.endpoints();
        let message = if chat {
            format!(
                "{place} is flat, as in {other}: in {endpoint} it is {{\"type\": \"function\", \"function\": {{\"name\": …}}}}"
            )
        } else {
            format!(
                "{place} has a function one level down, as in {other}: in {endpoint} name and parameters stand beside type"
            )
        };
        self.find(FindingCode::WrongShape, message);
        1
    }

    /// Pairs of texts.
    pub(super) fn metadata(&mut self, cursor: &mut Cursor<'a>) -> usize {
        let (most, key_characters, value_characters) = METADATA;
        let (mut pairs, mut told) = (0, false);
        cursor.fields(&mut |cursor, key| {
            pairs += 1;
            let kind = cursor.kind();
            let json = cursor.skip();
            let long = |text: &str, most: usize| text.len() > most && text.chars().count() > most;
            let shown = raw::clip(&key, 64);
            if kind != Kind::String {
                let message = format!("metadata.{shown} is {kind}: it must be a string");
                self.first(&mut told, FindingCode::WrongType, message);
            } else if long(&key, key_characters) {
                let message = format!("metadata.{shown}: a key has at most {key_characters} characters");
                self.first(&mut told, FindingCode::OutOfRange, message);
            } else if json.len() > value_characters
                && raw::text(json).is_some_and(|value| long(&value, value_characters))
            {
                let message = format!("metadata.{shown}: a value has at most {value_characters} characters");
                self.first(&mut told, FindingCode::OutOfRange, message);
            }
        });
        if pairs > most {
            self.find(FindingCode::OutOfRange, format!("metadata has {pairs} pairs: it must have at most {most}"));
        }
        pairs
    }

    /// Tells the first fault of a list and no other.
    fn first(&mut self, told: &mut bool, code: FindingCode, message: String) {
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

/// What stands under `response_format.json_schema`.
struct NestedSchema {
    kind: Kind,
    name: bool,
    schema: bool,
    properties: bool,
}

impl NestedSchema {
    fn read(cursor: &mut Cursor<'_>) -> Self {
        let mut read = Self { kind: cursor.kind(), name: false, schema: false, properties: false };
        cursor.fields(&mut |_, key| match key.as_ref() {
            "name" => read.name = true,
            "schema" => read.schema = true,
            "properties" => read.properties = true,
            _ => {}
        });
        read
    }

    fn judge(self, judge: &mut Judge<'_, '_>) {
        if self.kind != Kind::Object {
            let message = format!("response_format.json_schema is {}: it must be an object", self.kind);
            judge.find(FindingCode::WrongType, message);
        } else if self.properties && !self.schema {
            judge.find(
                FindingCode::WrongShape,
                "response_format.json_schema is a JSON Schema itself: it stands under response_format.json_schema.schema, \
                 beside a name",
            );
        } else if !self.name {
            judge.find(FindingCode::MissingField, "response_format.json_schema.name is missing: the schema has a name");
        }
    }
}
