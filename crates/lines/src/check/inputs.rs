//! Looks into what is to be embedded, completed or moderated, and counts what is to be embedded, against the limits of one
//! request and of one batch.

use super::body::Judge;
use super::rules::is_whole;
use crate::fields::Walk;
use crate::finding::FindingCode;
use crate::raw::Kind;

/// A list of texts, of tokens, or of lists of tokens.
struct List {
    length: usize,
    /// The kind of the first entry, and of all of them unless there is a fault.
    first: Kind,
}

impl<'a> Judge<'_, '_> {
    /// One text as the whole input.
    pub(super) fn embedded_text(&mut self, json: &str) {
        if json == "\"\"" {
            self.find(FindingCode::EmptyInput, "input is empty: there is nothing to embed; leave the line out");
        }
        self.count(1);
    }

    /// A list of texts, the tokens of one text, or a list of texts as tokens.
    pub(super) fn embedded_list(&mut self, walk: &mut Walk<'a>) {
        let List { length, first } = self.texts_or_tokens(walk, "input", true);
        if length == 0 {
            let message = "input is empty: there is nothing to embed; leave the line out";
            return self.find(FindingCode::EmptyInput, message);
        }
        let tokens = first == Kind::Number;
        if let Some(most) = self.checker.options.max_line_inputs
            && length as u64 > most
        {
            let what = if tokens { "tokens in one array" } else { "texts" };
            let message = format!(
                "input has {length} {what}, more than the {most} that one request takes: spread them over several lines"
            );
            self.find(FindingCode::TooManyInputs, message);
        }
        self.count(if tokens { 1 } else { length as u64 });
    }

    /// The same of prompts, of which there may be none and a text may be empty.
    pub(super) fn completed_list(&mut self, walk: &mut Walk<'a>) {
        self.texts_or_tokens(walk, "prompt", false);
    }

    /// Tells the first fault of the entries.
    fn texts_or_tokens(&mut self, walk: &mut Walk<'a>, name: &str, texts_are_full: bool) -> List {
        let (mut list, mut told) = (List { length: 0, first: Kind::Null }, false);
        walk.numbered(&mut |index, walk| {
            list.length = index + 1;
            let kind = walk.kind();
            if index == 0 {
                list.first = kind;
            }
            if told {
                return;
            }
            let empty = (FindingCode::EmptyInput, "is empty: leave it out");
            let wrong = |what| (FindingCode::WrongType, what);
            let fault = match kind {
                Kind::String => (walk.value() == "\"\"" && texts_are_full).then_some(empty),
                Kind::Number => (!is_whole(walk.value())).then_some(wrong("is no whole number, as tokens are")),
                Kind::Array => {
                    let (mut tokens, mut odd) = (0, false);
                    walk.numbered(&mut |at, walk| {
                        tokens = at + 1;
                        odd |= walk.kind() != Kind::Number || !is_whole(walk.value());
                    });
                    match (tokens, odd) {
                        (0, _) => Some(empty),
                        (_, true) => Some(wrong("is an array that holds more than numbers of tokens")),
                        _ => None,
                    }
                }
                _ => Some(wrong("is neither a text nor tokens")),
            };
            let message = match fault {
                Some((code, what)) => (code, format!("{name}[{index}] {what}")),
                None if kind == list.first => return,
                None => (FindingCode::WrongType, format!("{name}[{index}] is of another type than {name}[0]")),
            };
            told = true;
            self.find(message.0, message.1);
        });
        list
    }

    /// A list of texts or of parts, of which there may be none. Tells the first fault.
    pub(super) fn moderated_list(&mut self, walk: &mut Walk<'a>) {
        let (mut first, mut told) = (Kind::Null, false);
        walk.numbered(&mut |index, walk| {
            let kind = walk.kind();
            if index == 0 {
                first = kind;
            }
            let what = match kind {
                Kind::String | Kind::Object if kind != first => "is of another type than input[0]",
                Kind::String => return,
                Kind::Object if is_part(walk) => return,
                Kind::Object => {
                    "is neither {\"type\": \"text\", \"text\": \"…\"} nor {\"type\": \"image_url\", \"image_url\": {\"url\": \
                     \"…\"}}"
                }
                _ => "is neither a text nor a part with a type",
            };
            self.first(&mut told, FindingCode::WrongType, format!("input[{index}] {what}"));
        });
    }

    /// Counts inputs of the whole file, and reports once that they pass the limit. Where the lines are cut into many
    /// batches, each line has to fit into one.
    fn count(&mut self, inputs: u64) {
        if let Some(many) = &mut self.checker.many {
            many.line.inputs = many.line.inputs.saturating_add(inputs);
            if let Some(most) = self.checker.options.max_inputs.filter(|most| inputs > *most) {
                let message = format!(
                    "input has {inputs} texts, more than the {most} that one batch takes: spread them over several lines"
                );
                self.find(FindingCode::TooManyInputs, message);
            }
            return;
        }
        let before = self.checker.inputs;
        self.checker.inputs = before.saturating_add(inputs);
        if let Some(most) = self.checker.options.max_inputs
            && before <= most
            && self.checker.inputs > most
        {
            let message =
                format!("with this line the file passes {most} texts to embed, the limit of one batch: split the file");
            self.find(FindingCode::TooManyInputsInFile, message);
        }
    }
}

/// Whether an object is a part with what its type needs.
fn is_part(walk: &mut Walk<'_>) -> bool {
    let (mut kind, mut text, mut picture) = (None, false, false);
    walk.fields(&mut |key, walk| match key.as_ref() {
        "type" => kind = Some(walk.value()),
        "text" => text = walk.kind() == Kind::String,
        "image_url" => picture = walk.kind() == Kind::Object,
        _ => {}
    });
    match kind {
        Some("\"text\"") => text,
        Some("\"image_url\"") => picture,
        _ => false,
    }
}
