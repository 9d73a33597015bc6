//! Judges one request line: its JSON, its four keys, its custom_id and its url.

use std::borrow::Cow;

use super::{Checker, many, near, syntax};
use crate::finding::FindingCode;
use crate::layout::{Block, Deviation, Part};
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
        if self.torn.is_some() && self.is_rest(number, bytes) {
            self.deviates = true;
            return;
        }
        let text = match raw::utf8(bytes) {
            Ok(text) => text,
            Err(error) => return self.invalid_utf8(number, bytes, error.valid_up_to()),
        };
        if self.layout.is_open() && self.goes_on(number, bytes) {
            return;
        }
        let mut four = Four::default();
        let walked = raw::entries(text, &mut |key, value| {
            if let Some(index) = KEYS.iter().position(|name| *name == key) {
                four.values[index] = Some(value);
                four.times[index] += 1;
            }
        });
        let id = four.values[0].and_then(raw::text);
        let id = id.as_deref();
        let seen = match walked {
            Ok(seen) => seen,
            Err(broken) => return self.deviating(number, id, text, &broken),
        };
        // A part of an object over several lines may be an object itself.
        if self.layout.is_open() {
            let is_request = four.times.iter().filter(|times| **times > 0).count() > 1;
            if four.times[0] == 0 && !is_request {
                return self.deviating(number, id, text, &Broken::NotAnObject(Kind::Object));
            }
            self.end_block();
        }
        if seen.halves {
            self.surrogates(number, id, text, four.values[0]);
        }
        if self.keys(number, id, text, four.times) {
            return;
        }
        // Of a key that is given twice nobody knows which value is meant: that is said, and nothing else of it.
        let once = |index: usize| four.values[index].filter(|_| four.times[index] == 1);
        let [custom_id, method, url, body] = [once(0), once(1), once(2), once(3)];
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
        let has_url = url.is_some();
        let url = url.and_then(|json| self.string(number, id, "url", json));
        if let Some(url) = &url {
            self.url(number, id, url);
        }
        if let Some(many) = &mut self.many {
            let own = url.as_deref().map(|url| self.options.endpoint_of(url)).or(self.endpoint.as_deref());
            many.line.begin(id, own);
            if own.is_none() && !has_url && !self.options.needs_url {
                let message = "url is missing, and no endpoint is given that the line could be for: give one of them";
                self.find(number, id, FindingCode::MissingKey, message);
            }
        }
        if let Some(body) = body {
            if seen.deep && Kind::of(body) == Kind::Object {
                self.levels(number, id, body);
            }
            // The rules for the line's own endpoint; of a line without a known one, for the batch's.
            let options = self.options;
            let mut held = url.as_deref().and_then(|url| self.held(options.endpoint_of(url)));
            if held.is_none() {
                let batch = self.endpoint.take();
                held = batch.as_deref().and_then(|batch| self.held(batch));
                self.endpoint = batch;
            }
            self.body(number, id, body, held);
        }
    }

    /// Reports keys that are missing or given twice; whether the line is no request line at all.
    fn keys(&mut self, number: u64, id: Option<&str>, text: &str, times: [usize; 4]) -> bool {
        if times == [1; 4] {
            return false;
        }
        let needed = [true, self.options.needs_method, self.options.needs_url, true];
        let missing = |index: usize| needed[index] && times[index] == 0;
        if (0..4).any(missing)
            && let Some(what) = near::other_format(text)
        {
            self.find(number, id, FindingCode::OtherFormat, what);
            return true;
        }
        let names: Vec<_> = KEYS.iter().zip(needed).filter(|(_, needed)| *needed).map(|(name, _)| *name).collect();
        for (index, name) in KEYS.iter().enumerate() {
            if missing(index) {
                let near = near::key_in(text, name, &|key| KEYS.contains(&key));
                let message = match near {
                    Some(near) => format!("{name} is missing, but there is {near}"),
                    None => format!("{name} is missing: every request line has {}", and(&names)),
                };
                self.find(number, id, FindingCode::MissingKey, message);
            } else if times[index] > 1 {
                let message = format!("{name} is given {} times: leave one", times[index]);
                self.find(number, id, FindingCode::DuplicateKey, message);
            }
        }
        false
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
    fn deviating(&mut self, number: u64, id: Option<&str>, text: &str, broken: &Broken) {
        self.deviates = true;
        let bytes = text.as_bytes();
        // What begins as another request line is one, however it ends.
        if self.layout.is_open() && id.is_some() && bytes.trim_ascii_start().starts_with(b"{") {
            self.end_block();
        }
        let mut part = self.layout.judge(number, 0, bytes);
        if part == Part::Faulty && self.layout.is_open() {
            self.end_block();
            part = self.layout.judge(number, 0, bytes);
        }
        self.tell(&part);
        match (part, broken) {
            (Part::Nothing, _) => {}
            (Part::Faulty, Broken::Truncated { .. }) => self.tear(number, text, broken),
            (Part::Faulty, _) => self.broken(number, id, text, broken),
            (Part::Record(block), _) => self.record(&block, bytes),
            (Part::Objects(objects), _) => {
                let begun = objects.rest.filter(|rest| bytes[rest.start] == b'{');
                for range in objects.whole.into_iter().chain(begun) {
                    self.request_line(number, &bytes[range]);
                }
            }
        }
    }

    /// Whether a line without a quote goes on with an object over several lines. Such a line is not parsed: there may be
    /// very many.
    fn goes_on(&mut self, number: u64, bytes: &[u8]) -> bool {
        if memchr::memchr(b'"', bytes).is_some() {
            return false;
        }
        let part = self.layout.judge(number, 0, bytes);
        self.tell(&part);
        self.deviates = true;
        match part {
            Part::Nothing => true,
            Part::Record(block) => {
                self.record(&block, bytes);
                true
            }
            Part::Faulty | Part::Objects(_) => false,
        }
    }

    /// Tells how the file deviates. What is no file of lines is told as that, however it is laid out.
    fn tell(&mut self, part: &Part) {
        for (line, deviation) in self.layout.news() {
            if let (Deviation::OverLines(..), Part::Record(block)) = (deviation, part)
                && std::str::from_utf8(&block.bytes).is_ok_and(|text| near::answer(text).is_some())
            {
                continue;
            }
            let code = match deviation {
                Deviation::Array => FindingCode::ArrayAroundLines,
                Deviation::OverLines(..) => FindingCode::ObjectOverLines,
                Deviation::AfterObject(..) | Deviation::CommaBefore => FindingCode::TextAfterObject,
                Deviation::CarriageReturns => FindingCode::CarriageReturns,
                Deviation::Markers => FindingCode::ConflictMarkers,
            };
            self.find(line, None, code, deviation.message());
        }
    }

    /// The lines that were held back are not one object.
    pub(super) fn end_block(&mut self) {
        self.mend();
        if let Some(block) = self.layout.take_block() {
            self.block(&block);
        }
    }

    /// An object over several lines, and what begins on the last of them.
    fn record(&mut self, block: &Block, last: &[u8]) {
        self.block(block);
        if let Some(rest) = block.rest {
            self.request_line(block.last, &last[rest..]);
        }
    }

    /// Lines that are one object, or seemed to be.
    fn block(&mut self, block: &Block) {
        let mut id = None;
        let text = std::str::from_utf8(&block.bytes).unwrap_or_default();
        let walked = raw::entries(text, &mut |key, value| {
            if key == "custom_id" {
                id = raw::text(value);
            }
        });
        match walked {
            Err(broken) => self.broken(block.first, id.as_deref(), text, &broken),
            Ok(_) => self.request_line(block.first, &block.bytes),
        }
    }

    pub(super) fn broken(&mut self, number: u64, id: Option<&str>, text: &str, broken: &Broken) {
        const ONE: &str = "each line is one JSON object";
        let is_object = text.trim_start().starts_with('{');
        if self.lines == 1
            && let Some(names) = near::field_names(text)
        {
            self.rows = true;
            let message = format!(
                "the file has rows under a line of field names ({names}), as CSV: `lote prepare` makes request lines of it"
            );
            return self.find(number, None, FindingCode::OtherFormat, message);
        }
        if self.rows && !is_object {
            return;
        }
        let (code, advice): (_, Cow<'_, str>) = match broken {
            Broken::Truncated { .. } => (FindingCode::TruncatedLine, "was the file cut off?".into()),
            Broken::Syntax { column, why } => {
                let advice = syntax::advice(text, *column, why).map_or(ONE.into(), Cow::Owned);
                (FindingCode::InvalidJson, advice)
            }
            Broken::Trailing { .. } => (FindingCode::TextAfterObject, ONE.into()),
            Broken::NotAnObject(_) => (FindingCode::NotAnObject, ONE.into()),
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
        let place = self.many.as_ref().map_or(number, |many| many.place(number));
        match self.ids.insert(&id, place) {
            Ok(None) => {}
            Ok(Some(earlier)) => {
                let message = match &self.many {
                    None => many::used_before(earlier, None),
                    Some(many) => many.used_before(earlier, place),
                };
                self.find(number, Some(&id), FindingCode::DuplicateCustomId, message);
            }
            Err(error) => self.spill_failed = Some(error),
        }
    }

    fn url(&mut self, number: u64, id: Option<&str>, url: &str) {
        let options = self.options;
        let known = &options.known_endpoints;
        let endpoint = options.endpoint_of(url);
        let unknown = !known.is_empty() && !known.iter().any(|known| known == endpoint);
        let differs = self.endpoint.as_deref().is_some_and(|batch| batch != endpoint);
        if differs {
            let origin = match self.endpoint_line {
                Some(line) => format!("that of line {line}"),
                None => "the batch's endpoint".to_owned(),
            };
            let message = format!(
                "url differs from {origin}: {:?} instead of {:?}; one batch has one endpoint",
                clip(url, 200),
                self.endpoint.as_deref().unwrap_or_default()
            );
            self.find(number, id, FindingCode::UrlDiffers, message);
        } else if unknown {
            let meant = near::endpoint(url, options).map(|meant| format!("; write {meant:?}")).unwrap_or_default();
            let message = format!("url {:?} is none of {}{meant}", clip(url, 200), known.join(", "));
            self.find(number, id, FindingCode::UnknownUrl, message);
        } else if let Some(many) = &mut self.many {
            if let Some(message) = many.spelled_otherwise(options, url, number) {
                self.find(number, id, FindingCode::UrlDiffers, message);
            }
        } else if let Some((first, line)) = &self.first_url {
            if first != url {
                let message =
                    format!("url is {url:?}, but {first:?} in line {line}: spell it the same way in the whole file");
                self.find(number, id, FindingCode::UrlDiffers, message);
            }
        } else {
            self.first_url = Some((url.to_owned(), number));
            if self.endpoint.is_none() {
                self.endpoint = Some(endpoint.to_owned());
                self.endpoint_line = Some(number);
            }
        }
    }

    fn string<'a>(&mut self, number: u64, id: Option<&str>, name: &str, json: &'a str) -> Option<Cow<'a, str>> {
        let kind = Kind::of(json);
        if kind != Kind::String {
            self.wrong_type(number, id, name, "a string", kind);
            return None;
        }
        // A lone surrogate was told before.
        raw::text(json)
    }

    pub(super) fn wrong_type(&mut self, number: u64, id: Option<&str>, name: &str, right: &str, kind: Kind) {
        let message = format!("{name} is {kind}: it must be {right}");
        self.find(number, id, FindingCode::WrongType, message);
    }
}

/// Names in a row, such as `a, b and c`.
fn and(names: &[&str]) -> String {
    names.split_last().map_or_else(String::new, |(last, before)| format!("{} and {last}", before.join(", ")))
}
