//! Holds one body against what its endpoint takes, in one walk and without a tree. A clean body costs no allocation.

use super::Checker;
use super::near;
use super::rules::{self, Field, Inside, Need, Rules};
use crate::fields::{Walk, levels};
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
    /// The fields that have to be there, whatever else is.
    needed: u64,
    /// The fields that have to be there unless another is.
    needed_unless: u64,
}

impl<'o> Held<'o> {
    pub(super) fn of(endpoint: &str, options: &'o super::CheckOptions) -> Option<Self> {
        let rules = rules::of(endpoint)?;
        let named = |names: &'o std::collections::BTreeMap<String, Vec<String>>| {
            names.get(endpoint).map(Vec::as_slice).unwrap_or_default()
        };
        let bits = |names: &[String]| {
            let named = |at: &usize| names.iter().any(|name| name == rules.fields[*at].name);
            (0..rules.fields.len()).filter(named).map(|at| 1 << at).sum()
        };
        let own = named(&options.own_fields);
        let (own_fields, optional): (u64, u64) = (bits(own), bits(named(&options.optional_fields)));
        let needs = |is: fn(Need) -> bool| {
            let needing = rules.fields.iter().enumerate().filter(|(_, field)| is(field.need));
            needing.map(|(at, _)| 1 << at).sum::<u64>() & !optional
        };
        let needed = needs(|need| matches!(need, Need::Yes));
        let needed_unless = needs(|need| matches!(need, Need::Unless(_)));
        Some(Self { rules, own, own_fields, optional, needed, needed_unless })
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
    pub(super) fn body<'a>(
        &mut self,
        number: u64,
        id: Option<&str>,
        (body, walk): (&'a str, &mut Walk<'a>),
        held: Option<Held<'o>>,
    ) {
        let kind = Kind::of(body);
        if kind != Kind::Object {
            let holds_one = raw::text(body).is_some_and(|text| text.trim_start().starts_with('{'));
            let advice = if holds_one { "an object; it was turned into JSON twice" } else { "an object" };
            return self.wrong_type(number, id, "body", advice, kind);
        }
        let (mut model, mut stream, mut most) = (None, false, MostOutput::default());
        match held {
            None => walk.fields(&mut |key, walk| match key.as_ref() {
                "model" => model = Some(walk.value()),
                "stream" => stream |= walk.value() == "true",
                name if walk.kind() == Kind::Number => most.see(name, walk.value()),
                _ => {}
            }),
            Some(held) => {
                let mut judge = Judge { checker: self, number, id, held };
                (model, stream, most) = judge.body(body, walk);
            }
        }
        if let Some(many) = &mut self.many {
            many.line.output_limit = most.tokens();
        }
        self.model(number, id, model);
        if stream {
            let message = "body asks for a stream (\"stream\": true), which a batch cannot give: leave it out";
            self.find(number, id, FindingCode::StreamRequested, message);
        }
    }

    /// Reports a body that most readers of JSON would not read to its end.
    pub(super) fn levels(&mut self, number: u64, id: Option<&str>, body: &str) {
        let most = super::CheckOptions::MAX_LEVELS;
        let levels = levels(body);
        if levels > most {
            let message = format!("body is nested {levels} levels deep, and at most {most} may be: make it flatter");
            self.find(number, id, FindingCode::OutOfRange, message);
        }
    }
}

/// What of a body is needed for more than the field that it is in.
#[derive(Default)]
struct Seen<'a> {
    model: Option<&'a str>,
    stream: bool,
    /// By their bits, the fields that are there and are not null, or may be.
    given: u64,
    /// The fields that are null and may not be.
    nulls: u64,
    /// Those whose place a field of another endpoint has taken: said once, and not as missing too.
    misplaced: u64,
    /// The values that are held against a model or another value.
    together: [Option<&'a str>; 2],
}

/// What a body says of how much the answer may have.
#[derive(Clone, Copy, Default)]
struct MostOutput {
    limit: Option<u64>,
    answers: u64,
}

impl MostOutput {
    /// Sees a number. What is no number of tokens is no limit.
    fn see(&mut self, name: &str, json: &str) {
        match name {
            "max_completion_tokens" | "max_tokens" | "max_output_tokens" => {
                self.limit = self.limit.max(json.parse().ok());
            }
            "n" | "best_of" => self.answers = self.answers.max(json.parse().unwrap_or_default()),
            _ => {}
        }
    }

    fn tokens(self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_mul(self.answers.max(1)))
    }
}

/// The fields whose values are held against others, here and in the tables.
const TOGETHER: [&str; 2] = ["n", "best_of"];

impl<'a> Judge<'_, '_> {
    /// Judges the fields; gives back the model, whether a stream is asked for, and how much the answer may have.
    fn body(&mut self, body: &str, walk: &mut Walk<'a>) -> (Option<&'a str>, bool, MostOutput) {
        let rules = self.held.rules;
        let mut seen = Seen::default();
        let (mut prompt, mut most) = (None, MostOutput::default());
        let (mut named, mut doubled) = (0_u64, 0_u64);
        walk.fields(&mut |key, walk| {
            let kind = walk.kind();
            let Some(at) = rules.fields.iter().position(|field| field.name == key) else {
                if kind != Kind::Null {
                    seen.misplaced |= self.misplaced(&key);
                }
                if kind == Kind::Number {
                    most.see(&key, walk.value());
                }
                return;
            };
            let (field, bit) = (&rules.fields[at], 1 << at);
            doubled |= named & bit;
            named |= bit;
            let own = self.held.own_fields & bit != 0;
            if kind == Kind::Null && !field.takes.takes(kind, "") {
                // Anywhere else than in what is needed, it means the same as leaving the field out.
                seen.nulls |= bit;
                return;
            }
            // Of what stands in for another field, null is nothing.
            if kind != Kind::Null || matches!(field.need, Need::Yes) {
                seen.given |= bit;
            }
            if matches!(kind, Kind::Object | Kind::Array) {
                if !own {
                    self.nested(walk, field, kind);
                }
                return;
            }
            let json = walk.value();
            if kind == Kind::Number {
                most.see(field.name, json);
            }
            match field.name {
                "model" => seen.model = Some(json),
                "stream" => seen.stream |= json == "true",
                "prompt" => prompt = Some(json),
                name => {
                    if let Some(at) = TOGETHER.iter().position(|of| *of == name) {
                        seen.together[at] = Some(json);
                    }
                }
            }
            if !own {
                self.scalar(field, kind, json);
            }
        });
        if doubled != 0 {
            let is_doubled = |at: &usize| doubled & 1 << at != 0;
            for at in (0..rules.fields.len()).filter(is_doubled) {
                self.doubled(format_args!("body.{}", rules.fields[at].name));
            }
        }
        self.absent(body, &seen);
        self.of_model(&seen, prompt);
        self.not_less(&seen);
        (seen.model, seen.stream, most)
    }

    /// Reports a key that an object gives more than once: readers of JSON take one or the other.
    pub(super) fn doubled(&mut self, path: impl std::fmt::Display) {
        let message = format!("{path} is given twice: services take one of the two, nobody knows which: leave one");
        self.find(FindingCode::DuplicateKey, message);
    }

    /// Reports a field that belongs to another endpoint; gives back the bit of the one that is meant.
    fn misplaced(&mut self, key: &str) -> u64 {
        let rules = self.held.rules;
        let strict = self.checker.options.strict;
        let (name, what, meant) = if let Some((name, here)) = rules.elsewhere.iter().find(|(name, _)| *name == key) {
            let meant = here.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next();
            (*name, format!("there it is {here}"), meant)
        } else if let Some((name, advice)) = rules.nowhere.iter().find(|(name, _)| strict && *name == key) {
            (*name, (*advice).to_owned(), None)
        } else {
            return 0;
        };
        if self.held.is_own(name) {
            return 0;
        }
        self.find(FindingCode::MisplacedField, format!("{name} is no field of {}: {what}", rules.endpoint));
        rules.fields.iter().position(|field| Some(field.name) == meant).map_or(0, |at| 1 << at)
    }

    /// Reports the fields that have to be there, or are null and may not be.
    fn absent(&mut self, body: &str, seen: &Seen<'_>) {
        let Held { rules, needed, needed_unless, .. } = self.held;
        // Of nearly every body nothing is told.
        if seen.nulls == 0 && (needed | needed_unless) & !seen.given == 0 {
            return;
        }
        for (at, field) in rules.fields.iter().enumerate() {
            let bit = 1 << at;
            let needed = match field.need {
                _ if (self.held.optional | seen.misplaced) & bit != 0 => false,
                Need::No => false,
                Need::Yes => true,
                Need::Unless(others) => {
                    let here = |other: &&str| rules.fields.iter().position(|field| field.name == *other);
                    !others.iter().filter_map(here).any(|other| seen.given & 1 << other != 0)
                }
            };
            let own = self.held.own_fields & bit != 0;
            if seen.nulls & bit != 0 {
                if needed || (self.checker.options.strict && !own && seen.misplaced & bit == 0) {
                    self.wrong(field, Kind::Null, "null");
                }
            } else if needed && seen.given & bit == 0 {
                self.missing(body, field);
            }
        }
    }

    /// Holds a number, or the length of a text, against what the model takes.
    fn of_model(&mut self, seen: &Seen<'_>, prompt: Option<&str>) {
        let named = |json: &str| seen.model.and_then(raw::text).is_some_and(|model| model == json);
        for (model, name, most) in self.held.rules.models.iter().filter(|(model, ..)| named(model)) {
            if self.held.is_own(name) {
                continue;
            }
            if *name == "prompt" {
                let text = prompt.and_then(raw::text);
                if let Some(count) = text.map(|text| text.chars().count()).filter(|count| count > most) {
                    let message =
                        format!("prompt has {count} characters, more than the {most} that the model {model} takes");
                    self.find(FindingCode::OutOfRange, message);
                }
            } else if let Some(json) = seen.together[0]
                && json.parse::<f64>().is_ok_and(|number| number > *most as f64)
            {
                let message = format!("{name} is {}: with the model {model} it must be {most}", clip(json, 40));
                self.find(FindingCode::OutOfRange, message);
            }
        }
    }

    fn not_less(&mut self, seen: &Seen<'_>) {
        let number = |at: usize| seen.together[at].and_then(|json: &str| json.parse::<f64>().ok());
        if let Some((name, other)) = self.held.rules.not_less
            && let (Some(least), Some(number)) = (number(0), number(1))
            && number < least
            && !self.held.is_own(name)
        {
            let message = format!("{name} is {number}: it must be at least {other}, which is {least}");
            self.find(FindingCode::OutOfRange, message);
        }
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
                    && (!field.strict_range || self.checker.options.strict)
                    && let Ok(number) = json.parse::<f64>()
                    && !(range.0..=range.1).contains(&number)
                {
                    let message = format!("{} is {}: it must be {}", field.name, clip(json, 40), words(range));
                    self.find(FindingCode::OutOfRange, message);
                }
            }
            Kind::String => {
                self.characters(field, json);
                if !field.values.is_empty()
                    && let Some(text) = raw::text(json)
                    && !field.values.contains(&text.as_ref())
                {
                    let message =
                        format!("{} is {}: it must be {}", field.name, clip(json, 40), field.values.join(" or "));
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

    fn characters(&mut self, field: &Field, json: &str) {
        let Some((least, most)) = field.characters else { return };
        if least > 0 && json == "\"\"" {
            self.find(FindingCode::OutOfRange, format!("{} is empty: it must have a text", field.name));
        }
        if let Some(count) = raw::text(json).map(|text| text.chars().count()).filter(|count| *count > most) {
            self.find(FindingCode::OutOfRange, format!("{} has {count} characters, more than {most}", field.name));
        }
    }

    fn nested(&mut self, walk: &mut Walk<'a>, field: &Field, kind: Kind) {
        if !field.takes.takes(kind, "") {
            return self.wrong(field, kind, "");
        }
        let mut length = 0_usize;
        match (field.inside, kind) {
            (Inside::Messages, _) => length = self.messages(walk, "messages"),
            (Inside::Items, _) => drop(self.messages(walk, "input")),
            (Inside::Embedded, _) => self.embedded_list(walk),
            (Inside::Completed, _) => self.completed_list(walk),
            (Inside::Moderated, _) => self.moderated_list(walk),
            (Inside::ChatFormat, _) => self.chat_format(walk),
            (Inside::ResponseText, _) => self.response_text(walk),
            (Inside::ChatTools | Inside::ResponseTools, Kind::Array) => self.tools(walk, field),
            (Inside::ChatTools | Inside::ResponseTools, _) => drop(self.tool(walk, field, None)),
            (Inside::Metadata, _) => self.metadata(walk),
            (Inside::Nothing, _) => walk.items(&mut |_| length += 1),
        }
        // Of the lists into which more is looked, only messages have a range.
        if let Some((least, most)) = field.within
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
