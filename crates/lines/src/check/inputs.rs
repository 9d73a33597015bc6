//! Counts what is to be embedded, against the limits of one request and of one batch.

use super::body::Judge;
use super::cursor::Cursor;
use crate::finding::FindingCode;
use crate::raw::Kind;

impl<'a> Judge<'_, '_> {
    /// One text as the whole input.
    pub(super) fn embedded_text(&mut self, json: &str) {
        if json == "\"\"" {
            self.find(FindingCode::EmptyInput, "input is empty: there is nothing to embed; leave the line out");
        }
        self.count(1);
    }

    /// A list of texts, the tokens of one text, or a list of texts as tokens. Gives back how many entries it has.
    pub(super) fn embedded_list(&mut self, cursor: &mut Cursor<'a>) -> usize {
        let (mut first, mut length, mut told) = (Kind::Null, 0, false);
        cursor.elements(&mut |cursor, index| {
            length = index + 1;
            let kind = cursor.kind();
            if index == 0 {
                first = kind;
            }
            let fault = match kind {
                _ if told => None,
                Kind::String if cursor.skip() == "\"\"" => Some((FindingCode::EmptyInput, "is empty: leave it out")),
                Kind::Array => {
                    let (mut tokens, mut odd) = (0, false);
                    cursor.elements(&mut |cursor, at| {
                        tokens = at + 1;
                        odd |= cursor.kind() != Kind::Number;
                    });
                    match (tokens, odd) {
                        (0, _) => Some((FindingCode::EmptyInput, "is empty: leave it out")),
                        (_, true) => {
                            Some((FindingCode::WrongType, "is an array that holds more than numbers of tokens"))
                        }
                        _ => None,
                    }
                }
                Kind::String | Kind::Number => None,
                _ => Some((FindingCode::WrongType, "is neither a text nor tokens")),
            };
            let mixed = kind != first && fault.is_none();
            let fault = fault.or(mixed.then_some((FindingCode::WrongType, "is of another type than input[0]")));
            if let Some((code, what)) = fault
                && !std::mem::replace(&mut told, true)
            {
                self.find(code, format!("input[{index}] {what}"));
            }
        });
        if length == 0 {
            self.find(FindingCode::EmptyInput, "input is empty: there is nothing to embed; leave the line out");
            return 0;
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
        length
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
