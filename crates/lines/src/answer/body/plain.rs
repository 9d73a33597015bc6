//! Owns the question whether a body that is a text is an answer, such as a transcript, or words about an error.

use super::{Body, PLAIN_TEXT};
use crate::raw::{self, Kind};

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
pub(super) fn text<'a>(json: &str) -> Body<'a> {
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
