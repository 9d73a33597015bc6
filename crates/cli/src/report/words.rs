//! Numbers, times and texts of others, in words for people.

use lote::UnixSeconds;
use lote::text::visible;

/// How much of a text of others a page shows.
const SHOWN: usize = 300;

/// A number with its thousands set apart.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() * 4 / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// Numbers from one up to another one, which is not among them.
pub(super) fn range(from: u64, to: Option<u64>) -> String {
    match to {
        Some(to) if to == from + 1 => count(from),
        Some(to) => format!("{}–{}", count(from), count(to - 1)),
        None => format!("{} and more", count(from)),
    }
}

/// So many seconds.
pub(super) fn time(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    let two = |whole: u64, unit: &str, rest: u64, of: &str| match rest {
        0 => format!("{whole} {unit}"),
        rest => format!("{whole} {unit} {rest} {of}"),
    };
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3_600 => two(minutes, "min", seconds % 60, "s"),
        3_600..86_400 => two(hours, "h", minutes % 60, "min"),
        _ => two(days, "d", hours % 24, "h"),
    }
}

/// Times from one up to another one.
pub(super) fn times(from: u64, to: Option<u64>) -> String {
    match (from, to) {
        (0, Some(1)) => "less than 1 s".to_owned(),
        (from, Some(to)) => format!("{} to {}", time(from), time(to)),
        (from, None) => format!("{} and more", time(from)),
    }
}

/// An instant, to the second.
pub(super) fn instant(at: UnixSeconds) -> String {
    at.to_string().replacen('T', " ", 1).replacen('Z', " UTC", 1)
}

/// A text of others: nothing in it is hidden, and what is too long is cut.
pub(super) fn shown(text: &str) -> String {
    let text = visible(text);
    match text.char_indices().nth(SHOWN) {
        None => text.into_owned(),
        Some((end, _)) => format!("{}…", &text[..end]),
    }
}

/// A share, in percent with two decimals.
pub(super) fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { rounded(part as f64 / whole as f64 * 100.0) }
}

/// With two decimals: no picture shows more.
pub(super) fn rounded(percent: f64) -> f64 {
    (percent * 100.0).round() / 100.0
}

/// A share in words, which never says all or nothing of what is not.
pub(super) fn share(part: u64, whole: u64) -> String {
    let percent = percent(part, whole);
    match (part, percent) {
        (0, _) => "0 %".to_owned(),
        (part, _) if part == whole => "100 %".to_owned(),
        (_, percent) if percent < 0.1 => "less than 0.1 %".to_owned(),
        (_, percent) if percent > 99.9 => "more than 99.9 %".to_owned(),
        (_, percent) => format!("{percent:.1} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_times_are_read_at_once() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1,000", "1,234,567"]);
        let said = [0, 59, 60, 61, 3_600, 3_660, 86_399, 86_400, 90_000].map(time);
        assert_eq!(said, ["0 s", "59 s", "1 min", "1 min 1 s", "1 h", "1 h 1 min", "23 h 59 min", "1 d", "1 d 1 h"]);
        assert_eq!(range(1, Some(2)), "1");
        assert_eq!(times(60, Some(120)), "1 min to 2 min");
        assert_eq!(instant(UnixSeconds::new(1_795_971_600).unwrap()), "2026-11-29 17:00:00 UTC");
    }

    #[test]
    fn a_share_is_never_rounded_to_all_or_nothing() {
        assert_eq!(share(0, 10), "0 %");
        assert_eq!(share(10, 10), "100 %");
        assert_eq!(share(1, 3), "33.3 %");
        assert_eq!(share(1, 1_000_000), "less than 0.1 %");
        assert_eq!(share(999_999, 1_000_000), "more than 99.9 %");
        assert_eq!(share(0, 0), "0 %");
    }

    #[test]
    fn a_text_of_others_is_seen_and_cut() {
        assert_eq!(shown("a\u{202e}b\n"), "a\\u{202e}b\\n");
        assert_eq!(shown(&"é".repeat(400)).chars().count(), SHOWN + 1);
    }
}
