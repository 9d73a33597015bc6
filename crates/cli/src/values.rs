//! Reads values that several flags share.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use lote::ExpiresAfter;
use serde_json::Value;

use crate::exit::CliError;

/// A whole number that is not 0.
pub(crate) fn positive<T: FromStr + From<bool> + PartialOrd>(text: &str) -> Result<T, String> {
    match text.parse::<T>() {
        Ok(number) if number >= T::from(true) => Ok(number),
        _ => Err("give a whole number, 1 or more".to_owned()),
    }
}

/// `KEY=VALUE`; the value may hold more `=`.
pub(crate) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("give KEY=VALUE".to_owned()),
    }
}

/// `NAME=JSON`; the value may hold more `=`.
pub(crate) fn field(text: &str) -> Result<(String, Value), String> {
    let Some((name, json)) = text.split_once('=').filter(|(name, _)| !name.is_empty()) else {
        return Err("give NAME=JSON, such as priority=1".to_owned());
    };
    let value = serde_json::from_str(json).map_err(|error| {
        format!("the value is not JSON ({error}); a text has quotes, which the shell must leave: '{name}=\"…\"'")
    })?;
    match long_integer(json) {
        Some(digits) => {
            Err(format!("{digits}: an integer beyond 64 bits would not be sent exactly; give it as a text"))
        }
        None => Ok((name.to_owned(), value)),
    }
}

/// The first integer of a JSON text that 64 bits do not hold.
fn long_integer(json: &str) -> Option<&str> {
    // Outside of texts, whose quotes are told from escaped ones by the backslash before them.
    let (mut in_text, mut escaped) = (false, false);
    let outside = json.split(|c: char| {
        let quote = c == '"' && !escaped;
        escaped = in_text && c == '\\' && !escaped;
        in_text ^= quote;
        in_text || quote || matches!(c, ',' | ':' | '[' | ']' | '{' | '}') || c.is_ascii_whitespace()
    });
    outside
        .filter(|token| token.trim_start_matches('-').bytes().all(|byte| byte.is_ascii_digit()) && token.len() > 1)
        .find(|token| token.parse::<i64>().is_err() && token.parse::<u64>().is_err())
}

/// # Errors
/// With exit 2 when two values of a flag have the same key: one of them would be lost.
pub(crate) fn no_pair_twice<T>(flag: &str, pairs: &[(String, T)]) -> Result<(), CliError> {
    let mut keys = BTreeSet::new();
    match pairs.iter().find(|(key, _)| !keys.insert(key)) {
        Some((key, _)) => Err(CliError::usage(format!("--{flag} {key}: it is given twice; nothing was sent"))),
        None => Ok(()),
    }
}

/// A time with its unit, such as `90s`, `1h 30m` or `26h`; not negative.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let span: Option<Span> = text.parse().ok();
    let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
    Duration::try_from(duration.ok_or("give a time with its unit, such as 90s, 10m, 26h or 1d")?)
        .map_err(|_| "it is negative".to_owned())
}

/// A time as [`duration`] reads it.
pub(crate) fn shown(duration: Duration) -> String {
    match (duration.as_nanos(), duration.as_millis()) {
        (nanos, millis) if nanos != millis * 1_000_000 => format!("{nanos}ns"),
        (_, millis) if millis % 1_000 != 0 => format!("{millis}ms"),
        (_, millis) => format!("{}s", millis / 1_000),
    }
}

/// When a file expires after it was made: seconds, or a time with its unit, such as `36h` or `7d`.
pub(crate) fn expires_after(text: &str) -> Result<ExpiresAfter, String> {
    let seconds = text.parse::<i64>().ok().or_else(|| {
        let span: Span = text.parse().ok()?;
        let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
        // A fraction of a second cannot be sent.
        (duration.subsec_nanos() == 0).then_some(duration.as_secs())
    });
    let seconds = seconds.ok_or("give whole seconds, or a time with its unit, such as 36h or 7d")?;
    ExpiresAfter::seconds(seconds).map_err(|error| error.to_string())
}

/// A SHA-256 in hexadecimal digits, as services spell it.
pub(crate) fn sha256(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("give 64 hexadecimal digits, as sha256sum prints them".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_that_is_not_0_is_told_in_words() {
        assert_eq!((positive::<u32>("1"), positive::<u64>("18446744073709551615")), (Ok(1), Ok(u64::MAX)));
        for text in ["0", "-1", "", "1.5", "ten", "99999999999999999999"] {
            assert_eq!(positive::<u64>(text), Err("give a whole number, 1 or more".to_owned()), "{text}");
        }
    }

    #[test]
    fn pairs_and_durations() {
        assert_eq!(pair("a=b=c"), Ok(("a".to_owned(), "b=c".to_owned())));
        assert!(pair("a").is_err() && pair("=b").is_err());
        for (text, seconds) in [("90s", 90), ("1h 30m", 5400), ("26h", 93_600), ("1d", 86_400), ("0s", 0)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "90", "-1s", "soon"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn fields_are_json() {
        for (text, name, value) in [
            ("priority=1", "priority", json!(1)),
            ("tier=\"a=b\"", "tier", json!("a=b")),
            ("big=18446744073709551615", "big", json!(u64::MAX)),
            (
                "x=[1.5, -3, null, {\"12345678901234567890123\": \"\\\"99999999999999999999 \"}]",
                "x",
                json!([1.5, -3, null, {"12345678901234567890123": "\"99999999999999999999 "}]),
            ),
        ] {
            assert_eq!(field(text), Ok((name.to_owned(), value)), "{text}");
        }
        for (text, message) in [
            ("priority", "give NAME=JSON"),
            ("=1", "give NAME=JSON"),
            ("tier=flex", "a text has quotes"),
            ("tier=", "not JSON"),
            ("n=1 2", "not JSON"),
            ("n=[18446744073709551616]", "18446744073709551616: an integer beyond 64 bits"),
            ("n={\"a\\\"\":-9223372036854775809}", "-9223372036854775809: an integer beyond"),
        ] {
            let error = field(text).expect_err(text);
            assert!(error.contains(message), "{text}: {error}");
        }
    }

    #[test]
    fn expiries_are_seconds_or_times() {
        for (text, seconds) in [
            ("3600", 3600),
            ("1h", 3600),
            ("36h", 129_600),
            ("7d", 604_800),
            ("30d", 2_592_000),
            ("1w 1d", 691_200),
            ("2592000", 2_592_000),
        ] {
            assert_eq!(
                expires_after(text),
                ExpiresAfter::seconds(seconds).map_err(|error| error.to_string()),
                "{text}"
            );
        }
        for text in ["", "0", "-1h", "3599", "59m", "30d 1s", "1mo", "1.5", "3600.5s", "soon"] {
            assert!(expires_after(text).is_err(), "{text}");
        }
    }

    #[test]
    fn hashes_are_spelled_as_services_do() {
        assert_eq!(sha256(&"AB".repeat(32)), Ok("ab".repeat(32)));
        for text in [String::new(), "ab".repeat(31), "xy".repeat(32)] {
            assert!(sha256(&text).is_err(), "{text}");
        }
    }
}
