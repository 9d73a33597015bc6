//! Owns the judgement of one request line. It never looks into a body further than its `model` and
//! `stream`.

use std::borrow::Cow;

use super::Checker;
use crate::fields::fields;
use crate::finding::FindingCode;
use crate::layout::{Deviation, Part};
use crate::raw::{self, Broken, Kind, clip};

const KEYS: [&str; 4] = ["custom_id", "method", "url", "body"];

/// The values of the four keys, and how often each was given.
#[derive(Default)]
struct Four<'a> {
    values: [Option<&'a str>; 4],
    times: [usize; 4],
}

impl Checker<'_> {
    /// Reports all that is wrong with a line, without its line ending.
    pub(super) fn request_line(&mut self, number: u64, bytes: &[u8]) {
        let text = match std::str::from_utf8(bytes) {
            Ok(text) => text,
            Err(error) => return self.invalid_utf8(number, bytes, error.valid_up_to()),
        };
        let mut four = Four::default();
        let walked = raw::entries(text, &mut |key, value| {
            if let Some(index) = KEYS.iter().position(|name| *name == key) {
                four.values[index] = Some(value.get());
                four.times[index] += 1;
            }
        });
        let id = four.values[0].and_then(raw::text);
        let id = id.as_deref();
        if let Err(broken) = walked {
            return self.deviating(number, id, bytes, &broken);
        }
        // A part of an object over several lines may be an object itself.
        if self.layout.is_open() {
            if four.times[0] == 0 {
                return self.deviating(number, id, bytes, &Broken::NotAnObject(Kind::Object));
            }
            self.end_block();
        }
        for (name, times) in KEYS.iter().zip(four.times) {
            if times == 0 {
                let message = format!("{name} is missing: every request line has custom_id, method, url and body");
                self.find(number, id, FindingCode::MissingKey, message);
            } else if times > 1 {
                let message = format!("{name} is given {times} times: leave one");
                self.find(number, id, FindingCode::DuplicateKey, message);
            }
        }
        let [custom_id, method, url, body] = four.values;
        if let Some(custom_id) = custom_id {
            self.custom_id(number, custom_id);
        }
        if let Some(method) = method.and_then(|json| self.string(number, id, "method", json))
            && method != "POST"
        {
            let method = clip(&method, 100);
            let message = format!("method is {method:?}: batches take only \"POST\"");
            self.find(number, id, FindingCode::MethodNotPost, message);
        }
        if let Some(url) = url.and_then(|json| self.string(number, id, "url", json)) {
            self.url(number, id, &url);
        }
        if let Some(body) = body {
            self.body(number, id, body);
        }
    }

    fn invalid_utf8(&mut self, number: u64, bytes: &[u8], valid: usize) {
        self.end_block();
        let column = valid + 1;
        let byte = bytes.get(valid).copied().unwrap_or_default();
        let message = format!("invalid UTF-8 at column {column} (byte {byte:02x}): save the file as UTF-8");
        self.find(number, None, FindingCode::InvalidUtf8, message);
    }

    /// A line that is not one whole object: how it deviates is told once for the file, and the objects
    /// in it are judged all the same.
    fn deviating(&mut self, number: u64, id: Option<&str>, bytes: &[u8], broken: &Broken) {
        let mut part = self.layout.judge(number, 0, bytes);
        if part == Part::Faulty && self.layout.is_open() {
            self.end_block();
            part = self.layout.judge(number, 0, bytes);
        }
        for (line, deviation) in self.layout.news() {
            let code = match deviation {
                Deviation::Array => FindingCode::ArrayAroundLines,
                Deviation::OverLines(..) => FindingCode::ObjectOverLines,
                Deviation::AfterObject => FindingCode::TextAfterObject,
                Deviation::Markers => FindingCode::ConflictMarkers,
            };
            self.find(line, None, code, deviation.message());
        }
        match part {
            Part::Nothing => {}
            Part::Faulty => self.broken(number, id, broken),
            Part::Record(block) => self.request_line(block.first, &block.bytes),
            Part::Objects(objects) => {
                let begun = objects.rest.filter(|rest| bytes[rest.start] == b'{');
                for range in objects.whole.into_iter().chain(begun) {
                    self.request_line(number, &bytes[range]);
                }
            }
        }
    }

    /// The lines that were held back are not one object.
    pub(super) fn end_block(&mut self) {
        if let Some(block) = self.layout.take_block() {
            self.request_line(block.first, &block.bytes);
        }
    }

    fn broken(&mut self, number: u64, id: Option<&str>, broken: &Broken) {
        let (code, advice) = match broken {
            Broken::Truncated { .. } => (FindingCode::TruncatedLine, "was the file cut off?"),
            Broken::Syntax { .. } => (FindingCode::InvalidJson, "each line is one JSON object"),
            Broken::Trailing { .. } => {
                (FindingCode::TextAfterObject, "each line is one JSON object, with nothing between the lines")
            }
            Broken::NotAnObject(_) => (FindingCode::NotAnObject, "each line is one JSON object"),
        };
        self.find(number, id, code, format!("{broken}: {advice}"));
    }

    fn custom_id(&mut self, number: u64, json: &str) {
        let Some(id) = raw::text(json) else {
            let kind = Kind::of(json);
            if kind == Kind::String {
                let message = format!(
                    "custom_id {} holds a lone surrogate, which is no text: write the whole character",
                    clip(json, 100)
                );
                self.find(number, None, FindingCode::LoneSurrogate, message);
            } else {
                self.wrong_type(number, None, "custom_id", "a string", kind);
            }
            return;
        };
        if id.is_empty() {
            let message = "custom_id is empty: answers are told apart by it alone";
            self.find(number, Some(""), FindingCode::EmptyCustomId, message);
        }
        if let Some(most) = self.options.max_custom_id
            && let count = id.chars().count()
            && count as u64 > most
        {
            let message = format!("custom_id has {count} characters, more than the {most} that the service takes");
            self.find(number, Some(&id), FindingCode::CustomIdTooLong, message);
        }
        let first = *self.first.entry(self.hasher.hash(&id)).or_insert(number);
        if first != number {
            let message = format!("custom_id was used before, in line {first}: make it unique within the file");
            self.find(number, Some(&id), FindingCode::DuplicateCustomId, message);
        }
    }

    fn url(&mut self, number: u64, id: Option<&str>, url: &str) {
        let options = self.options;
        let known = &options.known_endpoints;
        let unknown = !known.is_empty() && !known.iter().any(|known| known == url);
        match &self.endpoint {
            Some(endpoint) if endpoint != url => {
                let origin = match self.endpoint_line {
                    Some(line) => format!("that of line {line}"),
                    None => "the batch's endpoint".to_owned(),
                };
                let message = format!(
                    "url differs from {origin}: {:?} instead of {endpoint:?}; one batch has one endpoint",
                    clip(url, 200)
                );
                self.find(number, id, FindingCode::UrlDiffers, message);
            }
            _ if unknown => {
                let message = format!("url {:?} is none of {}", clip(url, 200), known.join(", "));
                self.find(number, id, FindingCode::UnknownUrl, message);
            }
            Some(_) => {}
            None => {
                self.endpoint = Some(url.to_owned());
                self.endpoint_line = Some(number);
            }
        }
    }

    fn body(&mut self, number: u64, id: Option<&str>, body: &str) {
        let kind = Kind::of(body);
        if kind != Kind::Object {
            return self.wrong_type(number, id, "body", "an object", kind);
        }
        let (mut model, mut stream) = (None, false);
        fields(body, &mut |key, value| match key.as_ref() {
            "model" => model = Some(value),
            "stream" => stream |= value == "true",
            _ => {}
        });
        self.count_model(model);
        if stream {
            let message = "body asks for a stream (\"stream\": true), which a batch cannot give: leave it out";
            self.find(number, id, FindingCode::StreamRequested, message);
        }
    }

    fn string<'a>(&mut self, number: u64, id: Option<&str>, name: &str, json: &'a str) -> Option<Cow<'a, str>> {
        let kind = Kind::of(json);
        if kind != Kind::String {
            self.wrong_type(number, id, name, "a string", kind);
            return None;
        }
        // A lone surrogate is no method and no url that anybody knows.
        Some(raw::text(json).unwrap_or(Cow::Borrowed(json)))
    }

    fn wrong_type(&mut self, number: u64, id: Option<&str>, name: &str, right: &str, kind: Kind) {
        let message = format!("{name} is {kind}: it must be {right}");
        self.find(number, id, FindingCode::WrongType, message);
    }
}
