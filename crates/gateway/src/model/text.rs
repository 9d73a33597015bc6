//! What the model says in words: a little arithmetic, else a sentence drawn by a digest of the text, so that different
//! texts get different answers.

use sha2::{Digest, Sha256};

use crate::ids::hex;

/// Sentences to draw from; `{}` is how the text begins.
const SENTENCES: [&str; 8] = [
    "You asked about \"{}\", and the short answer is yes.",
    "On \"{}\" the evidence points in two directions.",
    "Let us take \"{}\" step by step.",
    "There is more than one way to read \"{}\".",
    "\"{}\" is a good question, and it has a simple answer.",
    "As for \"{}\", it depends on what you measure.",
    "Nothing in \"{}\" speaks against it.",
    "The key to \"{}\" is to start from the end.",
];

/// Characters of the text that a sentence repeats.
const GIST: usize = 48;

/// Characters of the text that are looked at for arithmetic.
const SCANNED: usize = 4_096;

/// A number that depends on every byte of `text` and on `salt`.
pub(super) fn digest(text: &str, salt: u64) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(salt.to_le_bytes());
    digest.update(text.as_bytes());
    digest.finalize().into()
}

/// The first 24 hex digits of a digest, for ids.
pub(super) fn id(text: &str, salt: u64) -> String {
    hex(&digest(text, salt)[..12])
}

/// What the model says to `text`; `choice` tells several answers to one text apart.
pub(super) fn reply(text: &str, choice: u64) -> String {
    let digest = digest(text, choice);
    let mark = hex(&digest[..4]);
    if let Some(sum) = arithmetic(text) {
        return format!("{sum} (answer {mark})");
    }
    let sentence = SENTENCES[usize::from(digest[4]) % SENTENCES.len()];
    let words: Vec<&str> = text.split_whitespace().take(GIST).collect();
    let gist: String = words.join(" ").chars().take(GIST).collect();
    format!("{} (answer {mark})", sentence.replace("{}", &gist))
}

/// The value of the first `number operator number` in the text, when it is a whole number.
fn arithmetic(text: &str) -> Option<String> {
    let mut spaced = String::new();
    for c in text.chars().take(SCANNED) {
        match c {
            '+' | '*' | '×' | '/' => spaced.extend([' ', c, ' ']),
            '?' | ',' | '=' | ';' => spaced.push(' '),
            other => spaced.push(other),
        }
    }
    let words: Vec<&str> = spaced.split_whitespace().collect();
    words.windows(3).find_map(|three| {
        let [left, operator, right] = three else { return None };
        let (left, right): (i64, i64) = (left.parse().ok()?, right.trim_end_matches('.').parse().ok()?);
        let value = match *operator {
            "+" | "plus" => left.checked_add(right),
            "-" | "−" | "minus" => left.checked_sub(right),
            "*" | "×" | "x" | "times" => left.checked_mul(right),
            "/" => left.checked_rem(right).filter(|rest| *rest == 0).and(left.checked_div(right)),
            _ => None,
        }?;
        Some(value.to_string())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_little_arithmetic() {
        for (text, expected) in [
            ("What is 12*7?", Some("84")),
            ("What is 2 + 2?", Some("4")),
            ("100 / 7", None),
            ("100 / 0", None),
            ("100/4.", Some("25")),
            ("9 minus 12", Some("-3")),
            ("9223372036854775807 + 1", None),
            ("no numbers + here", None),
            ("", None),
        ] {
            assert_eq!(arithmetic(text).as_deref(), expected, "{text:?}");
        }
    }

    #[test]
    fn the_same_text_gets_the_same_answer_and_another_text_another() {
        assert_eq!(reply("one", 0), reply("one", 0));
        assert_ne!(reply("one", 0), reply("one", 1));
        assert_ne!(reply("one", 0), reply("two", 0));
        assert_ne!(reply("2 + 2", 0), reply("2 + 2 ", 0));
        assert!(!reply("", 0).is_empty());
    }
}
