//! Words of errors: what was wrong with a value, and what to do about it.

use crate::common::{command, folder, lote, lote_in};
use crate::service::{KEY, at, requests};

#[test]
fn numbers_that_are_none_are_told_in_plain_words() {
    for (args, said) in [
        (&["run", "x", "--retries", "abc"][..], "invalid value 'abc' for '--retries <N>': give a whole number"),
        (&["run", "x", "--limit", "1.5"], "invalid value '1.5' for '--limit <N>': give a whole number"),
        (&["run", "x", "--max-open", "2k"], "invalid value '2k' for '--max-open <N>': give a whole number"),
        (&["check", "x", "--max-findings", "-"], "invalid value '-' for '--max-findings <N>': give a whole number"),
        (&["check", "x", "--max-findings="], "for '--max-findings <N>': give a whole number"),
        (&["check", "x", "--max-findings", "99999999999999999999"], "the number is too large"),
    ] {
        let ended = lote(args);
        assert!(ended.code == 2 && ended.stderr.contains(said), "{args:?}: {ended:?}");
        assert!(!ended.stderr.contains("digit found") && !ended.stderr.contains("target type"), "{ended:?}");
    }
}

#[test]
fn a_service_that_is_not_there_or_not_named_is_told_with_the_flag_that_names_one() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    for args in [&["run", "requests.jsonl"][..], &["batches", "list"], &["files", "list"], &["batches", "get", "b"]] {
        let unreached = lote_in(at("http://127.0.0.1:9"), place.path(), args);
        assert_eq!(unreached.code, 4, "{args:?}: {unreached:?}");
        assert_eq!(unreached.stderr.matches("--base-url (LOTE_BASE_URL)").count(), 1, "{args:?}: {unreached:?}");
        let unnamed = lote_in(command(), place.path(), args);
        let account = match args[0] {
            "run" => {
                "--embedded runs the same with a built-in model inside this command, and lote gateway for other programs \
                 as well"
            }
            _ => "lote gateway runs a service on this machine, with a built-in model and for any key",
        };
        let told = format!(
            "error: no API key: set LOTE_API_KEY, or give --api-key, or a profile with one (lote config); nothing was \
             sent\n  no service was named, so that it is MKA1's gateway: --base-url (LOTE_BASE_URL) names another\n  \
             without an account: {account}\n"
        );
        assert_eq!((unnamed.code, unnamed.stderr.as_str()), (2, told.as_str()), "{args:?}");
        let mut named = command();
        named.env("LOTE_BASE_URL", "http://127.0.0.1:9");
        let unkeyed = lote_in(named, place.path(), args);
        assert!(unkeyed.code == 2 && !unkeyed.stderr.contains("--base-url"), "{args:?}: {unkeyed:?}");
        assert!(!unreached.stderr.contains(KEY), "{unreached:?}");
    }
}

#[test]
fn a_deadline_that_nothing_is_left_of_is_not_told_in_nanoseconds() {
    let place = folder(&[("requests.jsonl", &requests(&["a"]))]);
    for deadline in ["0s", "1ms"] {
        let args = ["run", "requests.jsonl", "--embedded", "--deadline", deadline];
        let late = lote_in(command(), place.path(), &args);
        assert!(late.code == 5 && !late.stderr.contains("0ns"), "{late:?}");
        assert!(!late.stderr.contains("µs"), "{late:?}");
    }
}
