//! Owns the question whether a body holds an answer: of chat completions, responses, completions,
//! embeddings, images, moderations and videos, and of endpoints that nobody here knows.
//!
//! A body is walked once. What is known to be no answer is named in [`Body::lacks`]; any other
//! object that holds something is taken for an answer, so that a new endpoint works at once.

use std::borrow::Cow;

use serde_json::value::RawValue;

use super::{Shortfall, is_no_error, not_null, says_nothing};
use crate::fields::Walk;
use crate::raw::{self, Kind};
use crate::usage::Usage;

/// What one body says.
#[derive(Debug, Clone, Default)]
pub(crate) struct Body<'a> {
    /// What the body is, once it is decoded; `None` when absent or null.
    pub(crate) kind: Option<Kind>,
    pub(crate) model: Option<Cow<'a, str>>,
    pub(crate) usage: Option<Usage>,
    /// Why there is no answer in the body; `None` when there is one.
    pub(crate) lacks: Option<&'static str>,
    pub(crate) shortfall: Shortfall,
    /// It is a plain text, neither JSON nor subtitles.
    pub(super) is_plain: bool,
}

impl Body<'_> {
    pub(super) fn absent() -> Self {
        Self { lacks: Some("the response has no body"), ..Self::default() }
    }

    fn into_owned(self) -> Body<'static> {
        let Self { kind, model, usage, lacks, shortfall, is_plain } = self;
        Body { kind, model: model.map(|model| Cow::Owned(model.into_owned())), usage, lacks, shortfall, is_plain }
    }
}

/// Reads the body at which `walk` stands and passes over it. A body that is a text of JSON is read
/// as that JSON, which is given back as well.
pub(super) fn read<'a>(walk: &mut Walk<'a>) -> (Body<'a>, Option<Box<RawValue>>) {
    match walk.kind() {
        Kind::String => {
            let json = walk.value();
            match decoded(json) {
                Some(inner) => (value(&mut Walk::new(inner.get())).into_owned(), Some(inner)),
                None => (text(json), None),
            }
        }
        _ => (value(walk), None),
    }
}

/// The JSON object or array that a JSON string holds.
fn decoded(body: &str) -> Option<Box<RawValue>> {
    let text = raw::lossy_text(body)?;
    let inner = text.trim_matches(raw::is_json_space);
    if !inner.starts_with(['{', '[']) {
        return None;
    }
    RawValue::from_string(inner.to_owned()).ok()
}

/// Why a body that is a text is no answer: nearly all endpoints answer in JSON, and such a text is what a proxy says of
/// its troubles.
pub(super) const PLAIN_TEXT: &str = "the body is a text, not JSON";

/// The longest text that may be words about an error, in bytes.
const LONGEST_TROUBLE: usize = 300;

/// Whether a text is what servers and proxies say in place of an answer. A transcript may speak of the same, but is longer
/// or does not begin so.
fn is_trouble(text: &str) -> bool {
    const ANYWHERE: [&str; 22] = [
        "internal server error",
        "server error",
        "bad gateway",
        "bad request",
        "service unavailable",
        "temporarily unavailable",
        "gateway time",
        "upstream",
        "timed out",
        "timeout",
        "too many requests",
        "rate limit",
        "quota exceeded",
        "unauthorized",
        "forbidden",
        "access denied",
        "not found",
        "connection refused",
        "connection reset",
        "overloaded",
        "traceback (most recent",
        "exception:",
    ];
    const FIRST: [&str; 13] = [
        "error",
        "fail",
        "exception",
        "invalid",
        "fatal",
        "http/",
        "http 4",
        "http 5",
        "undefined",
        "none",
        "nil",
        "nan",
        "cancel",
    ];
    if text.len() > LONGEST_TROUBLE {
        return text.starts_with("Traceback (most recent");
    }
    let lower = text.to_lowercase();
    let first = lower.trim_start_matches(|char: char| !char.is_alphanumeric());
    let status = first.get(..3).and_then(|digits| digits.parse::<u16>().ok());
    let alone = |word: &str| first.trim_end_matches(|char: char| !char.is_alphanumeric()) == word;
    status.is_some_and(|status| (400..600).contains(&status) && !first[3..].starts_with(char::is_numeric))
        || ANYWHERE.iter().any(|words| lower.contains(words))
        || FIRST.iter().any(|word| match *word {
            "undefined" | "none" | "nil" | "nan" => alone(word),
            _ => first.starts_with(word),
        })
}

/// A body that is a text: what was transcribed (`response_format` text, srt or vtt), or words that say why there is no
/// answer.
fn text<'a>(json: &str) -> Body<'a> {
    let text = raw::lossy_text(json).unwrap_or_default();
    let text = text.trim();
    let lacks = match text.as_bytes().first() {
        None => Some("the body is an empty text"),
        Some(b'{' | b'[') => Some("the body is a text of JSON that is broken"),
        Some(b'<') => Some("the body is a page of HTML or XML"),
        _ if text == "null" => Some("the body is null"),
        // Subtitles, which are transcripts.
        _ if text.contains("-->") => None,
        _ if is_trouble(text) => Some(PLAIN_TEXT),
        _ => return Body { kind: Some(Kind::String), is_plain: true, ..Body::default() },
    };
    Body { kind: Some(Kind::String), lacks, ..Body::default() }
}

fn value<'a>(walk: &mut Walk<'a>) -> Body<'a> {
    let kind = walk.kind();
    let mut body = match kind {
        Kind::Object => object(walk),
        Kind::Array => {
            let mut some = false;
            walk.items(&mut |walk| some |= walk.kind() != Kind::Null);
            Body { lacks: (!some).then_some("the body is an empty array"), ..Body::default() }
        }
        Kind::Null => {
            walk.value();
            return Body { lacks: Some("the body is null"), ..Body::default() };
        }
        Kind::String | Kind::Bool | Kind::Number => {
            walk.value();
            Body { lacks: Some("the body is neither an object nor a text"), ..Body::default() }
        }
    };
    body.kind = Some(kind);
    body
}

/// The list of a key that holds what was asked for, such as `choices`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum List {
    #[default]
    Absent,
    /// Null or without an element.
    Empty,
    /// With elements that say nothing where an answer is to be.
    Hollow,
    Some,
}

impl List {
    fn of(some: bool) -> Self {
        if some { Self::Some } else { Self::Empty }
    }

    fn of_items(any: bool, some: bool) -> Self {
        if any && !some { Self::Hollow } else { Self::of(some) }
    }
}

/// What kind of object a body says that it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Named {
    #[default]
    Nothing,
    Completion,
    Response,
    List,
    /// Something else, such as a video.
    Other,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Status {
    #[default]
    Fine,
    Failed,
    Cancelled,
    Incomplete,
}

/// The signs by which the body is judged once all its keys are seen. A key that is given twice is
/// judged by its last value.
#[derive(Debug, Default)]
struct Signs {
    keys: u32,
    /// Keys that every answer may have beside what was asked for.
    bare: u32,
    /// Keys that speak of an error, or say nothing.
    error_words: u32,
    /// A text or list in the words of errors, such as `message`.
    told: bool,
    error: bool,
    named: Named,
    /// It calls itself an error.
    named_error: bool,
    status: Status,
    choices: List,
    failed_choice: bool,
    output: List,
    data: List,
    results: List,
    /// Another key whose value is an answer, such as `text`.
    content: bool,
    model: bool,
    /// `model` or `usage`.
    told_cost: bool,
    has_status: bool,
    /// A key that only answers have, such as `usage`.
    answered: bool,
    /// `messages`, `input` or `prompt`.
    asked: bool,
    method: bool,
    url: bool,
    shortfall: Shortfall,
    choices_short: Shortfall,
    output_short: Shortfall,
}

const BESIDE: &str = "the body has nothing in it but what stands beside an answer";

/// Keys beside which an answer stands, and which are none.
const BARE: [&str; 9] =
    ["id", "object", "created", "created_at", "model", "usage", "service_tier", "system_fingerprint", "status"];

fn object<'a>(walk: &mut Walk<'a>) -> Body<'a> {
    let mut signs = Signs::default();
    let mut body = Body::default();
    walk.fields(&mut |key, walk| {
        signs.keys += 1;
        signs.bare += u32::from(BARE.contains(&key.as_ref()));
        match key.as_ref() {
            "model" => {
                let model = walk.value();
                signs.model = true;
                signs.told_cost = true;
                body.model = raw::lossy_text(model);
            }
            "usage" => {
                let usage = walk.value();
                signs.told_cost = true;
                signs.answered |= not_null(usage).is_some();
                body.usage = Usage::read(usage);
            }
            name => signs.see(name, walk),
        }
    });
    body.lacks = signs.lacks();
    body.shortfall = signs.shortfall();
    body
}

impl Signs {
    fn see(&mut self, name: &str, walk: &mut Walk<'_>) {
        match name {
            "choices" => {
                let choices = choices(walk);
                (self.choices, self.failed_choice, self.choices_short) =
                    (List::of(choices.some), choices.failed, choices.shortfall);
            }
            "output" => {
                let mut short = Shortfall::default();
                self.output = output(walk, &mut short);
                self.output_short = short;
            }
            "data" => self.data = data(walk),
            "results" => self.results = results(walk),
            "object" => {
                let value = walk.value();
                self.named = named(value);
                self.named_error |= value == "\"error\"";
            }
            "status" => {
                let value = walk.value();
                self.status = status(value);
                self.has_status = true;
                self.answered |= Kind::of(value) == Kind::String;
                self.error_words += 1;
            }
            "incomplete_details" => {
                walk.fields(&mut |key, walk| {
                    if key == "reason" {
                        self.shortfall.add(reason(walk.value()));
                    }
                });
            }
            "stop_reason" | "finish_reason" => self.shortfall.add(reason(walk.value())),
            "error" => {
                self.error = !is_no_error(walk.value());
                self.bare += u32::from(!self.error);
                self.error_words += 1;
            }
            "type" => {
                self.named_error |= walk.value() == "\"error\"";
                self.error_words += 1;
            }
            "message" | "msg" | "detail" | "details" | "errors" => {
                // Of an object, this is what a model said.
                match walk.kind() {
                    Kind::Object => self.content |= !says_nothing(walk.value()),
                    kind => {
                        self.told |= matches!(kind, Kind::String | Kind::Array);
                        self.error_words += 1;
                    }
                }
            }
            "code" | "param" | "title" | "success" | "ok" | "request_id" | "requestId" | "timestamp" | "path"
            | "status_code" | "statusCode" | "error_code" | "error_type" | "instance" | "trace_id" => {
                self.error_words += 1;
            }
            "id" | "created" | "created_at" => self.answered |= not_null(walk.value()).is_some(),
            "messages" | "input" | "prompt" => self.asked = true,
            "method" => self.method = true,
            "url" => self.url = true,
            // `text` of a request is an object that says how to write.
            "text" | "output_text" => self.content |= Kind::of(walk.value()) == Kind::String,
            "content" | "embedding" | "embeddings" | "completion" | "generated_text" | "response" | "responses"
            | "candidates" | "outputs" | "result" | "images" | "image" | "answer" | "predictions" | "score"
            | "scores" => {
                self.content |= !is_empty(walk.value());
            }
            _ => {}
        }
    }

    /// Why this is no answer.
    fn lacks(&self) -> Option<&'static str> {
        let lists = [self.choices, self.output, self.data, self.results];
        let holds = self.content || lists.contains(&List::Some);
        let incomplete = self.status == Status::Incomplete;
        if self.keys == 0 {
            return Some("the body is an empty object");
        }
        if self.failed_choice {
            return Some("a choice ended in an error");
        }
        let only_status = self.choices != List::Some && self.data != List::Some;
        match self.status {
            Status::Failed if only_status => return Some("the status in the body is failed"),
            Status::Cancelled if only_status => return Some("the status in the body is cancelled"),
            _ => {}
        }
        if holds {
            return None;
        }
        if self.error || self.named_error {
            return Some("the body is an error");
        }
        if incomplete {
            return None;
        }
        for (list, (empty, hollow)) in lists.into_iter().zip([
            ("the body has no choices that say something", "the body has no choices that say something"),
            ("the body has an empty output", "the output in the body says nothing"),
            ("the body has no data", "an entry of the data in the body is empty"),
            ("the body has no results", "the results in the body say nothing"),
        ]) {
            match list {
                List::Empty => return Some(empty),
                List::Hollow => return Some(hollow),
                List::Absent | List::Some => {}
            }
        }
        match self.named {
            Named::Completion => return Some("the body is a completion without choices"),
            Named::Response => return Some("the body is a response without output"),
            Named::List => return Some("the body is a list without data"),
            Named::Nothing if self.asked && self.model && !self.answered => {
                return Some("the body is the request, sent back");
            }
            Named::Nothing if self.method && self.url => return Some("the body is the request line, sent back"),
            Named::Nothing if self.bare == self.keys => return Some(BESIDE),
            // A job that goes on, such as a video, has its status, and its id may be all that there is to know.
            Named::Other if self.bare == self.keys && self.told_cost && !self.has_status => return Some(BESIDE),
            Named::Nothing | Named::Other => {}
        }
        (self.told && self.error_words == self.keys).then_some("the body is an error")
    }

    fn shortfall(&self) -> Shortfall {
        let mut all = self.shortfall;
        all.add(self.choices_short);
        all.add(Shortfall { cut_off: false, ..self.output_short });
        // A response that is incomplete for no known reason stopped before its end.
        let incomplete = self.status == Status::Incomplete || self.output_short.cut_off;
        all.cut_off |= incomplete && !all.filtered;
        all
    }
}

struct Choices {
    some: bool,
    failed: bool,
    shortfall: Shortfall,
}

fn choices(walk: &mut Walk<'_>) -> Choices {
    let mut all = Choices { some: false, failed: false, shortfall: Shortfall::default() };
    walk.items(&mut |walk| {
        let (mut says, mut spoke, mut text, mut finished) = (false, false, false, false);
        let mut short = Shortfall::default();
        let mut refused = false;
        let mut failed = false;
        walk.fields(&mut |key, walk| match key.as_ref() {
            "finish_reason" => {
                let value = walk.value();
                finished = Kind::of(value) == Kind::String && value != "\"\"";
                failed |= value == "\"error\"";
                short = reason(value);
            }
            "message" | "delta" => {
                walk.fields(&mut |key, walk| match key.as_ref() {
                    "role" => {}
                    "refusal" => {
                        let value = walk.value();
                        let refusal = Kind::of(value) == Kind::String && value != "\"\"";
                        refused |= refusal;
                        says |= refusal;
                    }
                    "content" if walk.kind() == Kind::Array => {
                        walk.items(&mut |walk| {
                            let part = part(walk);
                            refused |= part.refusal;
                            says |= part.says;
                        });
                    }
                    // A model may say nothing, once it has ended.
                    "content" => {
                        let value = walk.value();
                        spoke |= Kind::of(value) == Kind::String;
                        says |= !is_empty(value);
                    }
                    _ => says |= !is_empty(walk.value()),
                });
            }
            "text" => text = walk.kind() == Kind::String,
            "error" => failed |= !is_no_error(walk.value()),
            _ => {}
        });
        let stopped = short != Shortfall::default();
        short.refused |= refused;
        all.some |= text || stopped || says || (spoke && finished);
        all.failed |= failed;
        all.shortfall.add(short);
    });
    all
}

/// The output of a response.
fn output(walk: &mut Walk<'_>, short: &mut Shortfall) -> List {
    // Of endpoints other than responses it may be a text or an object.
    if walk.kind() != Kind::Array {
        return List::of(!is_empty(walk.value()));
    }
    let (mut any, mut some) = (false, false);
    walk.items(&mut |walk| {
        any |= walk.kind() != Kind::Null;
        some |= !matches!(walk.kind(), Kind::Null | Kind::Object);
        // Of a message its content counts, and of any other item that it is there.
        let (mut message, mut typed, mut says, mut more) = (false, false, false, false);
        walk.fields(&mut |key, walk| match key.as_ref() {
            "content" if walk.kind() == Kind::Array => walk.items(&mut |walk| {
                let part = part(walk);
                short.refused |= part.refusal;
                says |= part.says;
            }),
            "content" => says |= says_value(walk.value()),
            // A message that is not whole, whatever the response says of itself.
            "status" => {
                let incomplete = walk.value() == "\"incomplete\"";
                short.cut_off |= incomplete;
                says |= incomplete;
            }
            "type" => {
                let value = walk.value();
                message = value == "\"message\"";
                typed = !message && Kind::of(value) == Kind::String;
            }
            "id" | "role" => {}
            _ => more |= !is_empty(walk.value()),
        });
        some |= says || typed || (more && !message);
    });
    List::of_items(any, some)
}

/// A part of a content.
struct Part {
    refusal: bool,
    /// It holds a text, even an empty one, or something else than marks.
    says: bool,
}

fn part(walk: &mut Walk<'_>) -> Part {
    let mut part = Part { refusal: false, says: !matches!(walk.kind(), Kind::Null | Kind::Object) };
    walk.fields(&mut |key, walk| {
        let value = walk.value();
        match key.as_ref() {
            "type" => part.refusal |= value == "\"refusal\"",
            "id" | "index" | "annotations" | "logprobs" => {}
            _ => part.says |= says_value(value),
        }
    });
    part
}

/// Whether a value is a text, even an empty one, or holds something.
fn says_value(value: &str) -> bool {
    Kind::of(value) == Kind::String || !is_empty(value)
}

/// The embeddings, images or other objects of a list. Each embedding is to be there: a list with a gap is no answer to
/// the texts that were given.
fn data(walk: &mut Walk<'_>) -> List {
    if walk.kind() != Kind::Array {
        return List::of(!is_empty(walk.value()));
    }
    let (mut any, mut some, mut gap) = (false, false, false);
    walk.items(&mut |walk| {
        any |= walk.kind() != Kind::Null;
        some |= !matches!(walk.kind(), Kind::Null | Kind::Object);
        let (mut named, mut embedding) = (false, None);
        walk.fields(&mut |key, walk| match key.as_ref() {
            "object" => named = walk.value() == "\"embedding\"",
            "embedding" => embedding = Some(!is_empty(walk.value())),
            "index" | "revised_prompt" => {}
            _ => some |= !is_empty(walk.value()),
        });
        some |= embedding == Some(true);
        gap |= embedding.map_or(named, |there| !there);
    });
    List::of_items(any, some && !gap)
}

/// The results of a moderation, or what else is called so.
fn results(walk: &mut Walk<'_>) -> List {
    if walk.kind() != Kind::Array {
        return List::of(!is_empty(walk.value()));
    }
    let (mut any, mut some) = (false, false);
    walk.items(&mut |walk| {
        any |= walk.kind() != Kind::Null;
        some |= !matches!(walk.kind(), Kind::Null | Kind::Object);
        walk.fields(&mut |_, walk| some |= !is_empty(walk.value()));
    });
    List::of_items(any, some)
}

fn named(object: &str) -> Named {
    match object {
        "\"chat.completion\"" | "\"text_completion\"" | "\"chat.completion.chunk\"" => Named::Completion,
        "\"response\"" => Named::Response,
        "\"list\"" => Named::List,
        other if Kind::of(other) == Kind::String => Named::Other,
        _ => Named::Nothing,
    }
}

fn status(status: &str) -> Status {
    match status {
        "\"failed\"" | "\"error\"" | "\"errored\"" => Status::Failed,
        "\"cancelled\"" | "\"canceled\"" => Status::Cancelled,
        "\"incomplete\"" => Status::Incomplete,
        _ => Status::Fine,
    }
}

/// What a reason to stop says, in the words of all endpoints.
fn reason(json: &str) -> Shortfall {
    let is = |words: &[&str]| {
        let inner = json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default();
        words.iter().any(|word| inner.eq_ignore_ascii_case(word))
    };
    Shortfall {
        cut_off: is(&["length", "max_tokens", "max_output_tokens", "model_length"]),
        filtered: is(&["content_filter", "content_filtered", "safety"]),
        refused: is(&["refusal"]),
    }
}

/// Whether a value is null or holds nothing.
pub(super) fn is_empty(value: &str) -> bool {
    match Kind::of(value) {
        Kind::Null => true,
        Kind::String => value == "\"\"",
        Kind::Array | Kind::Object => {
            let inner = value.get(1..value.len().saturating_sub(1));
            inner.is_none_or(|inner| inner.trim().is_empty())
        }
        Kind::Bool | Kind::Number => false,
    }
}
