//! What a refusal says of a shard: that it is too big, that the account has too much at work, or anything else.

use crate::{Batch, Error};

/// Codes with which services say that an account has too many tokens at work, and not that a request is wrong
/// (docs/facts.md, 5.5).
const TOO_MANY_TOKENS: &str = "token_limit_exceeded";

/// Codes with which services say the same of its batches or its calls (docs/facts.md, 5.5).
const TOO_MUCH: [&str; 4] =
    ["batch_limit_exceeded", "rate_limit_exceeded", "insufficient_batch_capacity", "insufficient_quota"];

/// Words that say the same of tokens or requests where there is no code for it (docs/facts.md, 5.5).
const TOO_MUCH_WORDS: [&str; 3] = ["enqueued token limit", "number of enqueued tokens", "enqueued request limit"];

/// Codes with which services say that a file or a batch is too big (docs/facts.md, 5.5).
const TOO_BIG: [&str; 7] = [
    "too_many_tasks",
    "too_many_requests_in_batch",
    "file_too_large",
    "input_file_too_large",
    "batch_too_large",
    "request_too_large",
    "content_too_large",
];

/// Words that say the same where there is no code for it (docs/facts.md, 5.5).
const TOO_BIG_WORDS: [&str; 3] = ["file is too large", "input file is larger than", "try again with a smaller batch"];

/// What the account has no room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lack {
    /// More tokens at work, of which it may have so many, if the service has said it.
    Tokens { limit: Option<u64> },
    /// More batches, or more calls.
    Batches,
}

impl Lack {
    fn of(code: Option<&str>, message: Option<&str>) -> Option<Self> {
        let message = message.unwrap_or_default();
        let lower = message.to_lowercase();
        if code == Some(TOO_MANY_TOKENS) || TOO_MUCH_WORDS.iter().any(|words| lower.contains(words)) {
            return Some(Self::Tokens { limit: stated_limit(&lower).filter(|_| lower.contains("token")) });
        }
        code.is_some_and(|code| TOO_MUCH.contains(&code)).then_some(Self::Batches)
    }
}

/// Whether a service refused a shard for its size.
pub(super) fn is_too_big(error: &Error) -> bool {
    // What may have been done all the same says nothing of sizes.
    if error.is_ambiguous() || lack(error).is_some() {
        return false;
    }
    error.status() == Some(413)
        || error.code().is_some_and(|code| TOO_BIG.contains(&code))
        || error.said().is_some_and(says_too_big)
}

/// Whether a create may have been refused because the service does not find its file: by the status, or by any word of it.
pub(super) fn may_be_of_the_file(error: &Error) -> bool {
    let names_it = |text: &str| text.to_lowercase().contains("file");
    let named = error.code().is_some_and(names_it) || error.said().is_some_and(names_it);
    match error.status() {
        Some(401 | 403) => false,
        Some(404) => true,
        status => named && status.is_some_and(|status| (400..500).contains(&status)),
    }
}

/// What the account has no room for, if that is why a create was refused.
pub(super) fn lack(error: &Error) -> Option<Lack> {
    Lack::of(error.code(), error.said()).or(error.is_rate_limited().then_some(Lack::Batches))
}

/// Whether a batch failed at validation for its size.
pub(super) fn failed_as_too_big(batch: &Batch) -> bool {
    batch.errors.iter().any(|error| {
        let of_a_line = error.line.is_some();
        let code = error.code.as_deref().is_some_and(|code| TOO_BIG.contains(&code));
        code || !of_a_line && error.message.as_deref().is_some_and(says_too_big)
    })
}

/// What the account has no room for, if that is why a batch of so many lines failed.
pub(super) fn failed_for_room(batch: &Batch, lines: u64) -> Option<Lack> {
    let error = batch.errors.first()?;
    // One line is not too many.
    let too_many_tasks = error.code.as_deref() == Some(TOO_BIG[0]) && lines == 1;
    Lack::of(error.code.as_deref(), error.message.as_deref()).or(too_many_tasks.then_some(Lack::Batches))
}

/// The number that a message calls a limit: `Limit: 2,000,000 enqueued tokens`, `the configured limit of 30K`.
fn stated_limit(lower: &str) -> Option<u64> {
    let mut rest = lower;
    while let Some((_, after)) = rest.split_once("limit") {
        rest = after;
        let Some(text) = after.strip_prefix(": ").or_else(|| after.strip_prefix(" of ")) else { continue };
        let end = text.find(|c: char| !c.is_ascii_digit() && c != ',' && c != '_').unwrap_or(text.len());
        let digits: String = text[..end].chars().filter(char::is_ascii_digit).collect();
        let Ok(number) = digits.parse::<u64>() else { continue };
        let unit = match text[end..].chars().next() {
            Some('k') => 1_000,
            Some('m') => 1_000_000,
            Some('b') => 1_000_000_000,
            _ => 1,
        };
        return number.checked_mul(unit).filter(|limit| *limit > 0);
    }
    None
}

fn says_too_big(message: &str) -> bool {
    let message = message.to_lowercase();
    TOO_BIG_WORDS.iter().any(|words| message.contains(words))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::error_answer::ErrorAnswer;

    fn error(status: u16, code: Option<&str>, message: &str) -> Error {
        let (code, message) = (code.map(str::to_owned), Some(message.to_owned()));
        Error::service(ErrorAnswer { status, code, message, ..ErrorAnswer::default() })
            .context("upload smaller batch.jsonl")
    }

    #[test]
    fn what_services_say_of_sizes_is_known_and_nothing_else_is_taken_for_it() {
        for (status, code, message, too_big, too_much) in [
            (413, None, "Request Entity Too Large", true, false),
            (400, None, "File is too large.", true, false),
            (400, Some("file_too_large"), "no", true, false),
            (400, None, "Invalid file format for Batch API. Must be .jsonl", false, false),
            (429, Some("batch_limit_exceeded"), "ten batches", false, true),
            (400, Some("token_limit_exceeded"), "try again with a smaller batch", false, true),
            (401, None, "wrong key", false, false),
            // What may have been done says nothing of sizes.
            (500, Some("file_too_large"), "File is too large.", false, false),
            (408, None, "File is too large.", false, false),
        ] {
            let error = error(status, code, message);
            assert_eq!((is_too_big(&error), lack(&error).is_some()), (too_big, too_much), "{error}");
        }
        assert!(!is_too_big(&error(413, None, "no").maybe_done()));
    }

    #[test]
    fn a_file_that_is_not_found_may_be_why_a_create_was_refused() {
        for (status, code, message, may_be) in [
            (404, None, "no", true),
            (400, Some("invalid_request_error"), "No such File object: file-1", true),
            (400, Some("input_file_not_found"), "no", true),
            (422, None, "unknown input_file_id", true),
            (400, Some("invalid_request_error"), "unknown endpoint", false),
            (401, None, "No such File object: file-1", false),
            (500, None, "No such File object: file-1", false),
        ] {
            let error = error(status, code, message);
            assert_eq!(may_be_of_the_file(&error), may_be, "{error}");
        }
    }

    #[test]
    fn a_failed_batch_says_whether_it_was_its_size() {
        let batch = |errors: Value| {
            let batch = json!({"id": "b", "status": "failed", "errors": {"data": errors}});
            Batch::read("batch", serde_json::from_value(batch).unwrap()).unwrap()
        };
        let larger = "The batch input file is larger than the 209715200 maximum for the gpt-4o model.";
        for (errors, too_big, for_room) in [
            (json!([{"code": "too_many_tasks", "message": "more than 100,000"}]), true, false),
            (json!([{"message": larger}]), true, false),
            (json!([{"code": "invalid_json_line", "line": 3, "message": "file is too large"}]), false, false),
            (json!([{"code": "token_limit_exceeded", "message": "Limit: 2,000,000 enqueued tokens."}]), false, true),
            (json!([]), false, false),
        ] {
            let batch = batch(errors);
            assert_eq!(
                (failed_as_too_big(&batch), failed_for_room(&batch, 2).is_some()),
                (too_big, for_room),
                "{batch:?}"
            );
        }
        let one = failed_for_room(&batch(json!([{"code": "too_many_tasks"}])), 1);
        assert_eq!(one, Some(Lack::Batches), "one is not too many");
    }
    #[test]
    fn a_limit_that_is_stated_is_read() {
        for (message, lack) in [
            (
                "Enqueued token limit reached for gpt-4o-mini in organization org-1. Limit: 2,000,000 enqueued tokens. \
                 Please try again once some in_progress batches have been completed.",
                Some(Lack::Tokens { limit: Some(2_000_000) }),
            ),
            (
                "The number of enqueued tokens has surpassed the configured limit of 30K for the deployment 'gpt-4.1'.",
                Some(Lack::Tokens { limit: Some(30_000) }),
            ),
            // Requests are no tokens.
            (
                "Enqueued request limit reached for text-embedding-3-small. Limit: 1,000,000 enqueued requests.",
                Some(Lack::Tokens { limit: None }),
            ),
            (
                "Enqueued token limit reached: limit: none, limit: 99999999999999999999B",
                Some(Lack::Tokens { limit: None }),
            ),
            ("Enqueued token limit reached: limit: 18446744073709551615K", Some(Lack::Tokens { limit: None })),
            ("The limit of 5 is no room at all", None),
        ] {
            assert_eq!(Lack::of(None, Some(message)), lack, "{message}");
        }
        assert_eq!(Lack::of(Some("insufficient_quota"), None), Some(Lack::Batches));
    }
}
