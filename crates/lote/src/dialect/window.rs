//! Completion windows, single ones and ranges of them.

use std::fmt;

use serde::{Deserialize, Deserializer, de};

/// A window that a service offers, or a range: `24h`, `24h..7d`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Window {
    from: String,
    to: Option<String>,
}

impl Window {
    /// What every service of this kind offers.
    pub(super) fn day() -> Self {
        Self { from: "24h".to_owned(), to: None }
    }

    /// The shortest window of it.
    pub(super) fn first(&self) -> &str {
        &self.from
    }

    /// Whether `window` is offered: the same text, or as long as a window in the range.
    pub(super) fn takes(&self, window: &str) -> bool {
        match &self.to {
            None => self.from == window,
            Some(to) => match (minutes(&self.from), minutes(window), minutes(to)) {
                (Some(from), Some(window), Some(to)) => (from..=to).contains(&window),
                _ => false,
            },
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let (from, to) = match text.split_once("..") {
            Some((from, to)) => (from, Some(to)),
            None => (text, None),
        };
        let first = minutes(from)?;
        if let Some(to) = to {
            minutes(to).filter(|last| *last >= first)?;
        }
        Some(Self { from: from.to_owned(), to: to.map(str::to_owned) })
    }
}

impl fmt::Display for Window {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.to {
            None => f.write_str(&self.from),
            Some(to) => write!(f, "{} to {to}", self.from),
        }
    }
}

impl<'de> Deserialize<'de> for Window {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| {
            de::Error::custom(format!(
                "{text:?} is no completion window such as \"24h\", nor a range such as \"24h..7d\""
            ))
        })
    }
}

/// How long a window is: digits and one of m, h, d.
fn minutes(text: &str) -> Option<u64> {
    let unit = match text.as_bytes().last()? {
        b'm' => 1,
        b'h' => 60,
        b'd' => 24 * 60,
        _ => return None,
    };
    let digits = &text[..text.len() - 1];
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(unit).filter(|minutes| *minutes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_and_ranges() {
        let week = Window::parse("24h..7d").unwrap();
        for (window, takes) in [
            ("24h", true),
            ("1d", true),
            ("168h", true),
            ("7d", true),
            ("23h", false),
            ("8d", false),
            ("", false),
            ("d", false),
            ("+2d", false),
            ("99999999999999999999d", false),
            ("2é", false),
        ] {
            assert_eq!(week.takes(window), takes, "{window}");
        }
        assert_eq!((week.first(), week.to_string().as_str()), ("24h", "24h to 7d"));
        assert!(!Window::day().takes("1d"), "a service may compare texts");
        for text in ["", "24", "h", "7d..24h", "24h..", "..7d", "0h", "a day"] {
            assert_eq!(Window::parse(text), None, "{text}");
        }
    }
}
