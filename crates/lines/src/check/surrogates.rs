//! Finds halves of characters (lone surrogates) that are written as escapes. JSON's grammar allows them and no text can
//! hold them, so that strict services refuse the whole line.

use super::Checker;
use crate::fields::fields;
use crate::finding::FindingCode;

impl Checker<'_> {
    /// Reports the first one of a line, whose JSON is valid. That of the custom_id is reported with the custom_id.
    pub(super) fn surrogates(&mut self, number: u64, id: Option<&str>, text: &str, custom_id: Option<&str>) {
        let mut from = 0;
        while let Some(at) = self.escapes.find(&text.as_bytes()[from..]).map(|found| from + found) {
            let (lone, next) = escape(text.as_bytes(), at);
            from = next;
            if lone && custom_id.is_none_or(|value| !holds(text, value, at)) {
                let place = place(text, at);
                let shown = text.get(at..at + 6).unwrap_or_default();
                let message = format!(
                    "{place} has half of a character, {shown} at column {}, which is no text: write the whole \
                     character (was a text cut in the middle of an emoji?)",
                    at + 1
                );
                return self.find(number, id, FindingCode::LoneSurrogate, message);
            }
        }
    }
}

/// Whether the backslash and u at this place are half of a character, and where to look on.
fn escape(bytes: &[u8], at: usize) -> (bool, usize) {
    let backslashes = bytes[..at].iter().rev().take_while(|byte| **byte == b'\\').count();
    if backslashes % 2 == 1 {
        // A backslash as such, and the letter u.
        return (false, at + 2);
    }
    match unit(bytes, at) {
        Some(0xD800..=0xDBFF) if matches!(unit(bytes, at + 6), Some(0xDC00..=0xDFFF)) => (false, at + 12),
        Some(0xD800..=0xDFFF) => (true, at + 6),
        _ => (false, at + 2),
    }
}

/// The code unit of the escape that begins at this place.
fn unit(bytes: &[u8], at: usize) -> Option<u32> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
}

/// Whether a place of a text is inside a part of it.
fn holds(text: &str, part: &str, at: usize) -> bool {
    let start = (part.as_ptr() as usize).wrapping_sub(text.as_ptr() as usize);
    (start..start.saturating_add(part.len())).contains(&at)
}

/// What a place of a request line belongs to, such as `body.messages`.
fn place(text: &str, at: usize) -> String {
    let mut place = "the line".to_owned();
    fields(text, &mut |key, value| {
        if !holds(text, value, at) {
            return;
        }
        place = match key.as_ref() {
            "method" | "url" | "body" => key.clone().into_owned(),
            _ => return,
        };
        fields(value, &mut |key, inner| {
            if holds(text, inner, at) && key.len() <= 60 && !key.contains('\\') {
                place = format!("body.{key}");
            }
        });
    });
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lone(text: &str) -> Option<usize> {
        let mut from = 0;
        while let Some(found) = memchr::memmem::find(&text.as_bytes()[from..], b"\\u") {
            let (lone, next) = escape(text.as_bytes(), from + found);
            if lone {
                return Some(from + found);
            }
            from = next;
        }
        None
    }

    #[test]
    fn halves_are_told_from_pairs_and_from_backslashes() {
        for (text, at) in [
            (r#""\ud83d\ude00""#, None),
            (r#""\uD83D\uDE00\u00e9""#, None),
            (r#""\ud83d""#, Some(1)),
            (r#""\ude00""#, Some(1)),
            (r#""\ude00\ud83d""#, Some(1)),
            (r#""\ud83d\ud83d\ude00""#, Some(1)),
            (r#""\ud83d\u0041""#, Some(1)),
            (r#""\ud83d\n\ude00""#, Some(1)),
            (r#""\ud83d\ude00\ude00""#, Some(13)),
            (r#""\\ud83d""#, None),
            (r#""\\\ud83d""#, Some(3)),
            (r#""\\\\ud83d""#, None),
            ("\"\u{1f600}\"", None),
            // The search goes on right behind what is none.
            (r#""aaaaaaaaaaaa\\ud83d\ud83d""#, Some(20)),
            (r#""aaaaaaaaaaaa\ud83d\ude00\ude00""#, Some(25)),
            (r#""aaaaaaaaaaaa\u0041\ud83d""#, Some(19)),
        ] {
            assert_eq!(lone(text), at, "{text}");
        }
    }

    #[test]
    fn the_place_is_named() {
        let line = r#"{"custom_id":"a","x":"\udc01","body":{"m":[{"c":"\udc02"}],"\udc03":1}}"#;
        for (escape, expected) in [("\\udc01", "the line"), ("\\udc02", "body.m"), ("\\udc03", "body")] {
            assert_eq!(place(line, line.find(escape).unwrap()), expected);
        }
    }
}
