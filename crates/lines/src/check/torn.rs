//! Lines that end inside a text: of a file that was cut off, or of a text with a raw line break in it. Which of the two it
//! is shows in the lines that follow, so the first is held back until then.

use super::Checker;
use crate::finding::FindingCode;
use crate::layout::Depth;
use crate::raw::{self, Broken};

/// A line that ends inside a text, and those after it that may belong to it.
pub(super) struct Torn {
    number: u64,
    broken: Broken,
    /// All of them, with `\n` as JSON writes it in place of each line break.
    joined: String,
    depth: Depth,
    /// The numbers of the lines that follow the first, and where they begin and end in the text.
    rest: Vec<(u64, usize, usize)>,
    /// Where the first one ends.
    first: usize,
}

impl Checker<'_> {
    /// A line that ends before its object does.
    pub(super) fn tear(&mut self, number: u64, text: &str, broken: &Broken) {
        let mut depth = Depth::default();
        depth.closes(text.as_bytes());
        if !depth.in_string {
            let id = id(text);
            return self.broken(number, id.as_deref(), text, broken);
        }
        let (joined, first) = (text.to_owned(), text.len());
        self.torn = Some(Torn { number, broken: broken.clone(), joined, depth, rest: Vec::new(), first });
    }

    /// Whether a line belongs to the text that the line before it broke off in; what was held back is told when it does
    /// not, or when it is whole.
    pub(super) fn is_rest(&mut self, number: u64, bytes: &[u8]) -> bool {
        let Some(mut torn) = self.torn.take() else { return false };
        let line = std::str::from_utf8(bytes).ok();
        // What begins as another request line is one.
        let line = line.filter(|line| !(line.trim_start().starts_with('{') && id(line).is_some()));
        // No more is held back than a file may have.
        let most = self.options.limits.max_bytes;
        let Some(line) = line.filter(|line| ((torn.joined.len() + line.len()) as u64) < most) else {
            self.torn = Some(torn);
            self.mend();
            return false;
        };
        let closes = torn.depth.closes(line.as_bytes());
        torn.joined.push_str("\\n");
        let start = torn.joined.len();
        torn.joined.push_str(line);
        match closes {
            None if torn.depth.in_string => {
                torn.rest.push((number, start, torn.joined.len()));
                self.torn = Some(torn);
                true
            }
            Some(_) if raw::entries(&torn.joined, &mut |_, _| {}).is_ok() => {
                let id = id(&torn.joined);
                let message = format!(
                    "a line break stands inside a text, so that one request line is on the lines {} to {number}: it is \
                     written \\n, as a JSON library does by itself",
                    torn.number
                );
                self.find(torn.number, id.as_deref(), FindingCode::InvalidJson, message);
                self.request_line(torn.number, torn.joined.as_bytes());
                true
            }
            _ => {
                self.torn = Some(torn);
                self.mend();
                false
            }
        }
    }

    /// What was held back is no text with line breaks in it: each line is told as it is.
    pub(super) fn mend(&mut self) {
        let Some(torn) = self.torn.take() else { return };
        let text = &torn.joined[..torn.first];
        let id = id(text);
        self.broken(torn.number, id.as_deref(), text, &torn.broken);
        for (number, start, end) in torn.rest {
            self.request_line(number, &torn.joined.as_bytes()[start..end]);
        }
    }
}

/// The custom_id of a line, as far as it is there.
fn id(text: &str) -> Option<String> {
    let mut id = None;
    let _ = raw::entries(text, &mut |key, value| {
        if key == "custom_id" {
            id = raw::text(value).map(std::borrow::Cow::into_owned);
        }
    });
    id
}
