//! What a refusal says of a shard: that it is too big, that the account has too much at work, or anything else.

use crate::{Batch, Error};

/// Codes with which services say that an account has too much at work, and not that a request is wrong
/// (docs/facts.md, 5.5).
const TOO_MUCH: [&str; 4] =
    ["token_limit_exceeded", "batch_limit_exceeded", "rate_limit_exceeded", "insufficient_batch_capacity"];

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

/// Whether a service refused a shard for its size.
pub(super) fn is_too_big(error: &Error) -> bool {
    // What may have been done all the same says nothing of sizes.
    if error.is_ambiguous() || too_much(error) {
        return false;
    }
    error.status() == Some(413)
        || error.code().is_some_and(|code| TOO_BIG.contains(&code))
        || error.said().is_some_and(says_too_big)
}

/// Whether the account has too much at work for a create.
pub(super) fn too_much(error: &Error) -> bool {
    error.is_rate_limited() || error.code().is_some_and(|code| TOO_MUCH.contains(&code))
}

/// Whether a batch failed at validation for its size.
pub(super) fn failed_as_too_big(batch: &Batch) -> bool {
    batch.errors.iter().any(|error| {
        let of_a_line = error.line.is_some();
        let code = error.code.as_deref().is_some_and(|code| TOO_BIG.contains(&code));
        code || !of_a_line && error.message.as_deref().is_some_and(says_too_big)
    })
}

/// Whether a batch of so many lines failed since the account has too much at work.
pub(super) fn failed_for_room(batch: &Batch, lines: u64) -> bool {
    let code = batch.errors.iter().find_map(|error| error.code.as_deref());
    // One line is not too many.
    code.is_some_and(|code| TOO_MUCH.contains(&code) || code == TOO_BIG[0] && lines == 1)
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
            assert_eq!((is_too_big(&error), super::too_much(&error)), (too_big, too_much), "{error}");
        }
        assert!(!is_too_big(&error(413, None, "no").maybe_done()));
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
            assert_eq!((failed_as_too_big(&batch), failed_for_room(&batch, 2)), (too_big, for_room), "{batch:?}");
        }
        assert!(failed_for_room(&batch(json!([{"code": "too_many_tasks"}])), 1), "one is not too many");
    }
}
