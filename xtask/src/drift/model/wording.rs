//! Owns what is kept of a text in prose: a hash of its words and the numbers in it, since in this field prose carries
//! limits. It never judges what a text means.

use std::fmt::Write as _;

use sha2::{Digest, Sha256};

/// What is said of one place.
#[derive(Debug, Clone, Default)]
pub struct Wording {
    /// The texts with their white space as single blanks; empty when only what is kept of them is known.
    pub texts: Vec<String>,
    kept: String,
}

impl PartialEq for Wording {
    fn eq(&self, other: &Self) -> bool {
        self.kept == other.kept
    }
}

impl Wording {
    /// From texts as they stand in a document; empty ones and those that repeat another are left out.
    #[must_use]
    pub fn new(texts: impl IntoIterator<Item = String>) -> Self {
        let mut clean: Vec<String> = Vec::new();
        for text in texts {
            let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
            if !text.is_empty() && !clean.contains(&text) {
                clean.push(text);
            }
        }
        let kept = if clean.is_empty() { String::new() } else { keep(&clean.join("\n")) };
        Self { texts: clean, kept }
    }

    /// From what was kept of texts.
    #[must_use]
    pub fn from_kept(kept: &str) -> Self {
        Self { texts: Vec::new(), kept: kept.to_owned() }
    }

    /// What is kept: twelve hexadecimal digits, and after a blank each number.
    #[must_use]
    pub fn kept(&self) -> &str {
        &self.kept
    }

    /// Whether there is no text.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// The numbers in the texts, in their order, without the commas between thousands.
    #[must_use]
    pub fn numbers(&self) -> Vec<&str> {
        self.kept.split(' ').skip(1).collect()
    }
}

fn keep(text: &str) -> String {
    let mut kept = digest(text, 12);
    for number in numbers(text) {
        let _ = write!(kept, " {number}");
    }
    kept
}

/// The first `digits` hexadecimal digits of the SHA-256 of a text.
pub(crate) fn digest(text: &str, digits: usize) -> String {
    let mut hex: String = Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
    hex.truncate(digits);
    hex
}

/// The numbers in a text: `50,000` and `2.5` are one each; the digits of `v1`, `sha256` and `gpt-5` are none.
fn numbers(text: &str) -> Vec<String> {
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let mut found = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        if !digit(at) {
            at += 1;
            continue;
        }
        let start = at;
        while digit(at) || thousands(bytes, at) || (bytes.get(at) == Some(&b'.') && digit(at + 1)) {
            at += 1;
        }
        // Part of a name when a letter stands before it in the same word; `1-100` is two numbers.
        let word = bytes[..start].iter().rev().take_while(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(byte));
        let glued = word.into_iter().any(|byte| byte.is_ascii_alphabetic() || *byte == b'_');
        if !glued {
            found.push(text[start..at].replace(',', ""));
        }
    }
    found
}

/// Whether a comma stands here with exactly three digits after it, as between thousands.
fn thousands(bytes: &[u8], at: usize) -> bool {
    let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    bytes.get(at) == Some(&b',') && (1..=3).all(|step| digit(at + step)) && !digit(at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_found_and_names_are_not() {
        let cases: [(&str, &[&str]); 8] = [
            ("up to 16 pairs", &["16"]),
            ("50,000 requests, and 200 MB in size", &["50000", "200"]),
            ("2.5 TB or 1,000,000.", &["2.5", "1000000"]),
            ("between 3600 (1 hour) and 2592000 (30 days)", &["3600", "1", "2592000", "30"]),
            ("`/v1/responses` with sha256 and gpt-5-2025-08-07", &[]),
            ("only `24h`, 512MB", &["24", "512"]),
            ("items 1,2,3 and 10-20", &["1", "2", "3", "10", "20"]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(numbers(text), expected, "{text}");
        }
    }

    #[test]
    fn white_space_and_repetition_mean_nothing() {
        let one = |texts: &[&str]| Wording::new(texts.iter().map(|&text| text.to_owned()));
        assert_eq!(one(&["a\n b  c\n"]), one(&["a b c", " ", "a  b c"]));
        assert_ne!(one(&["up to 16"]), one(&["up to 17"]));
        assert_ne!(one(&["a"]), one(&[]));
        assert!(one(&["", "\n"]).is_empty());
        let wording = one(&["at most 50,000"]);
        assert_eq!(Wording::from_kept(wording.kept()), wording);
        assert_eq!(wording.numbers(), ["50000"]);
    }
}
