//! Owns the signs in the keys of a body, and the judgement by all of them.

use super::lists::{List, choices, data, output, results};
use super::{is_empty, reason};
use crate::answer::{Shortfall, is_no_error, not_null, says_nothing};
use crate::fields::Walk;
use crate::raw::Kind;

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
pub(super) struct Signs {
    pub(super) keys: u32,
    /// Keys that every answer may have beside what was asked for.
    pub(super) bare: u32,
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
    pub(super) model: bool,
    /// `model` or `usage`.
    pub(super) told_cost: bool,
    has_status: bool,
    /// A key that only answers have, such as `usage`.
    pub(super) answered: bool,
    /// `messages`, `input` or `prompt`.
    asked: bool,
    method: bool,
    url: bool,
    shortfall: Shortfall,
    choices_short: Shortfall,
    output_short: Shortfall,
}

const BESIDE: &str = "the body has nothing in it but what stands beside an answer";

/// Whether an answer stands beside this key, which is none.
pub(super) fn is_bare(key: &str) -> bool {
    matches!(
        key,
        "id" | "object"
            | "created"
            | "created_at"
            | "model"
            | "usage"
            | "service_tier"
            | "system_fingerprint"
            | "status"
    )
}

impl Signs {
    pub(super) fn see(&mut self, name: &str, walk: &mut Walk<'_>) {
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
    pub(super) fn lacks(&self) -> Option<&'static str> {
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

    pub(super) fn shortfall(&self) -> Shortfall {
        let mut all = self.shortfall;
        all.add(self.choices_short);
        all.add(Shortfall { cut_off: false, ..self.output_short });
        // A response that is incomplete for no known reason stopped before its end.
        let incomplete = self.status == Status::Incomplete || self.output_short.cut_off;
        all.cut_off |= incomplete && !all.filtered;
        all
    }
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
