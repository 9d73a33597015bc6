//! Holds one body against what its endpoint takes, in one walk and without a tree. A clean body costs no allocation.

use super::Checker;
use super::cursor::Cursor;
use super::near;
use super::rules::{self, Field, Inside, Need, Rules};
use crate::finding::FindingCode;
use crate::raw::{self, Kind, clip};

/// The rules for one endpoint, and what the service has of its own there.
#[derive(Clone, Copy)]
pub(super) struct Held<'o> {
    pub(super) rules: &'static Rules,
    own: &'o [String],
    /// The fields, by their bits, of which nothing is said.
    own_fields: u64,
    /// The fields that may be left out, whatever the rules say.
    optional: u64,
}

impl<'o> Held<'o> {
    pub(super) fn of(endpoint: &str, options: &'o super::CheckOptions) -> Option<Self> {
        let rules = rules::of(endpoint)?;
        let named = |names: &'o std::collections::BTreeMap<String, Vec<String>>| {
            names.get(endpoint).map(Vec::as_slice).unwrap_or_default()
        };
        let bits = |names: &[String]| {
            let named = |at: &usize| names.iter().any(|name| name == rules.fields[*at].name);
            (0..rules.fields.len()).filter(named).fold(0, |bits, at| bits | 1 << at)
        };
        let own = named(&options.own_fields);
        Some(Self { rules, own, own_fields: bits(own), optional: bits(named(&options.optional_fields)) })
    }

    fn is_own(&self, name: &str) -> bool {
        self.own.iter().any(|own| own == name)
    }
}

/// What is at work on one body.
pub(super) struct Judge<'j, 'o> {
    pub(super) checker: &'j mut Checker<'o>,
    pub(super) number: u64,
    pub(super) id: Option<&'j str>,
    pub(super) held: Held<'o>,
}

impl<'o> Checker<'o> {
    /// Reports all that is wrong with a body for this endpoint.
    pub(super) fn body(&mut self, number: u64, id: Option<&str>, body: &str, endpoint: Option<&str>) {
        let kind = Kind::of(body);
        if kind != Kind::Object {
            let holds_one = raw::text(body).is_some_and(|text| text.trim_start().starts_with('{'));
            let advice = if holds_one { "an object; it was turned into JSON twice" } else { "an object" };
            return self.wrong_type(number, id, "body", advice, kind);
        }
        let held = endpoint.and_then(|endpoint| self.held(endpoint));
        let (mut model, mut stream) = (None, false);
        match held {
            None => Cursor::new(body).fields(&mut |cursor, key| match key.as_ref() {
                "model" => model = Some(cursor.skip()),
                "stream" => stream |= cursor.skip() == "true",
                _ => {}
            }),
            Some(held) => {
                let mut judge = Judge { checker: self, number, id, held };
                (model, stream) = judge.body(body);
            }
        }
        self.model(number, id, model);
        if stream {
            let message = "body asks for a stream (\"stream\": true), which a batch cannot give: leave it out";
            self.find(number, id, FindingCode::StreamRequested, message);
        }
    }
}

impl<'a> Judge<'_, '_> {
    /// Judges the fields; gives back the model, and whether a stream is asked for.
    fn body(&mut self, body: &'a str) -> (Option<&'a str>, bool) {
        let rules = self.held.rules;
        let (mut model, mut stream) = (None, false);
        // The fields that are there, and those of them that are not null.
        let (mut there, mut given) = (0_u64, 0_u64);
        // Those whose place a field of another endpoint has taken: said once, and not as missing too.
        let mut misplaced = 0_u64;
        Cursor::new(body).fields(&mut |cursor, key| {
            let Some(at) = rules.fields.iter().position(|field| field.name == key) else {
                if let Some((name, here)) = rules.elsewhere.iter().find(|(name, _)| *name == key)
                    && !self.held.is_own(name)
                {
                    let message = format!("{name} is no field of {}: there it is {here}", rules.endpoint);
                    self.find(FindingCode::MisplacedField, message);
                    let meant = here.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
                    misplaced |=
                        rules.fields.iter().position(|field| Some(field.name) == meant).map_or(0, |at| 1 << at);
                }
                return;
            };
            let (field, bit, kind) = (&rules.fields[at], 1 << at, cursor.kind());
            there |= bit;
            if kind != Kind::Null {
                given |= bit;
            }
            let own = self.held.own_fields & bit != 0;
            if matches!(kind, Kind::Object | Kind::Array) {
                if !own {
                    self.nested(cursor, field, kind);
                }
                return;
            }
            let json = cursor.skip();
            match field.name {
                "model" => model = Some(json),
                "stream" => stream |= json == "true",
                _ => {}
            }
            if !own {
                self.scalar(field, kind, json);
            }
        });
        for (at, field) in rules.fields.iter().enumerate() {
            let absent = there & 1 << at == 0;
            let missing = match field.need {
                Need::No => false,
                Need::Yes => absent,
                Need::Unless(others) => {
                    let here = |other: &&str| rules.fields.iter().position(|field| field.name == *other);
                    absent && !others.iter().filter_map(here).any(|other| given & 1 << other != 0)
                }
            };
            if missing && (self.held.optional | misplaced) & 1 << at == 0 {
                self.missing(body, field);
            }
        }
        (model, stream)
    }

    fn missing(&mut self, body: &str, field: &Field) {
        let (name, rules) = (field.name, self.held.rules);
        let known = |key: &str| rules.fields.iter().any(|field| field.name == key);
        let what = match near::key_in(body, name, &known) {
            Some(near) => format!("{name} is missing, but there is {near}"),
            None => format!("{name} is missing"),
        };
        let or = match field.need {
            Need::Unless(others) => format!(", or else {}", others.join(", ")),
            Need::Yes | Need::No => String::new(),
        };
        let message = format!("{what}: the body of a request to {} has {name}{or}", rules.endpoint);
        self.find(FindingCode::MissingField, message);
    }

    fn scalar(&mut self, field: &Field, kind: Kind, json: &str) {
        if !field.takes.takes(kind, json) {
            return self.wrong(field, kind, json);
        }
        match kind {
            Kind::Number => {
                if let Some(range) = field.within
                    && let Ok(number) = json.parse::<f64>()
                    && !(range.0..=range.1).contains(&number)
                {
                    let message = format!("{} is {}: it must be {}", field.name, clip(json, 40), words(range));
                    self.find(FindingCode::OutOfRange, message);
                }
            }
            Kind::String => {
                // A text has no more characters than bytes.
                if let Some(most) = field.characters
                    && json.len() > most
                    && let Some(count) = raw::text(json).map(|text| text.chars().count()).filter(|count| *count > most)
                {
                    let message = format!("{} has {count} characters, more than {most}", field.name);
                    self.find(FindingCode::OutOfRange, message);
                }
                if field.inside == Inside::Embedded {
                    self.embedded_text(json);
                } else if field.name == "model" && raw::text(json).is_some_and(|model| model.trim().is_empty()) {
                    self.find(FindingCode::MissingField, "model is empty: name the model that is to answer");
                }
            }
            _ => {}
        }
    }

    fn nested(&mut self, cursor: &mut Cursor<'a>, field: &Field, kind: Kind) {
        if !field.takes.takes(kind, "") {
            return self.wrong(field, kind, "");
        }
        let length = match (field.inside, kind) {
            (Inside::Messages, _) => self.messages(cursor, "messages"),
            (Inside::Items, _) => self.messages(cursor, "input"),
            (Inside::Embedded, _) => self.embedded_list(cursor),
            (Inside::ChatFormat, _) => self.chat_format(cursor),
            (Inside::ResponseText, _) => self.response_text(cursor),
            (Inside::ChatTools | Inside::ResponseTools, Kind::Array) => self.tools(cursor, field),
            (Inside::ChatTools | Inside::ResponseTools, _) => self.tool(cursor, field, None),
            (Inside::Metadata, _) => self.metadata(cursor),
            (Inside::Nothing, _) => {
                let mut length = 0;
                if field.within.is_some() {
                    cursor.elements(&mut |_, index| length = index + 1);
                }
                length
            }
        };
        if let (Kind::Array, Some((least, most))) = (kind, field.within)
            && !(least..=most).contains(&(length as f64))
        {
            let message = match length {
                0 => format!("{} is empty: it must have {}", field.name, words((least, most))),
                _ => format!("{} has {length} entries: it must have {}", field.name, words((least, most))),
            };
            self.find(FindingCode::OutOfRange, message);
        }
    }

    fn wrong(&mut self, field: &Field, kind: Kind, json: &str) {
        let (name, right) = (field.name, field.takes.words());
        let is = match kind {
            Kind::String | Kind::Number => format!("{kind} ({})", clip(json, 40)),
            _ => kind.to_string(),
        };
        let advice = match (kind, field.inside) {
            (Kind::Null, _) => "; or leave it out",
            (_, Inside::ChatFormat) => " such as {\"type\": \"json_object\"}",
            (_, Inside::Messages) => " such as [{\"role\": \"user\", \"content\": \"…\"}]",
            _ => "",
        };
        let advice = if kind == Kind::Null && !matches!(field.need, Need::No) { "" } else { advice };
        self.find(FindingCode::WrongType, format!("{name} is {is}: it must be {right}{advice}"));
    }

    pub(super) fn find(&mut self, code: FindingCode, message: impl Into<String>) {
        self.checker.find(self.number, self.id, code, message);
    }

    /// Whether the service has this part of a field of its own, such as `messages.content`.
    pub(super) fn is_own(&self, path: &str) -> bool {
        !self.held.own.is_empty() && self.held.is_own(path)
    }
}

fn words((least, most): (f64, f64)) -> String {
    if most.is_finite() { format!("from {least} to {most}") } else { format!("at least {least}") }
}
