//! The directives in a prompt. What is not spelled exactly is plain text.

use std::time::Duration;

/// Longest sleep, in milliseconds: a day.
const LONGEST_SLEEP: u64 = 86_400_000;

/// Most failures that a prompt can ask for.
const MOST_FAILURES: u32 = 1_000;

/// What a prompt asks to go wrong. Of a repeated directive the first counts.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directives {
    /// `[[status=429]]`
    pub(super) status: Option<u16>,
    /// `[[sleep=1500]]`, milliseconds
    pub(super) sleep: Duration,
    /// `[[fail=2:503]]`: so many times, with this status
    pub(super) fail: Option<(u32, u16)>,
    /// `[[retry-after=2]]`, seconds: said by a refusal of the two above
    pub(super) retry_after: Option<u64>,
}

impl Directives {
    pub(super) fn find(text: &str) -> Directives {
        let mut found = Directives::default();
        let mut sleep = None;
        for piece in text.split("[[").skip(1) {
            let Some((directive, _)) = piece.split_once("]]") else { continue };
            match directive.split_once('=') {
                Some(("status", value)) => found.status = found.status.or(status(value)),
                Some(("sleep", value)) => {
                    sleep = sleep.or(number(value).filter(|ms| *ms <= LONGEST_SLEEP));
                }
                Some(("fail", value)) => found.fail = found.fail.or_else(|| fail(value)),
                Some(("retry-after", value)) => {
                    let seconds = number(value).filter(|seconds| *seconds <= LONGEST_SLEEP / 1000);
                    found.retry_after = found.retry_after.or(seconds);
                }
                _ => {}
            }
        }
        found.sleep = Duration::from_millis(sleep.unwrap_or(0));
        found
    }
}

/// Digits only: no sign, no blanks.
fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

fn status(text: &str) -> Option<u16> {
    number(text).and_then(|status| u16::try_from(status).ok()).filter(|status| (400..600).contains(status))
}

fn fail(text: &str) -> Option<(u32, u16)> {
    let (times, code) = text.split_once(':')?;
    let times = u32::try_from(number(times)?).ok()?;
    (1..=MOST_FAILURES).contains(&times).then_some(())?;
    Some((times, status(code)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directives_are_exact_or_plain_text() {
        let none = Directives::default;
        let ms = Duration::from_millis;
        for (text, expected) in [
            ("[[status=429]]", Directives { status: Some(429), ..none() }),
            ("a [[sleep=1500]] b", Directives { sleep: ms(1500), ..none() }),
            ("[[fail=2:503]]", Directives { fail: Some((2, 503)), ..none() }),
            (
                "[[sleep=5]] [[fail=1:500]][[status=404]]",
                Directives { status: Some(404), sleep: ms(5), fail: Some((1, 500)), ..none() },
            ),
            ("[[status=400]][[status=500]]", Directives { status: Some(400), ..none() }),
            ("[[status=x]][[status=500]]", Directives { status: Some(500), ..none() }),
            ("[[status=429]][[retry-after=2]]", Directives { status: Some(429), retry_after: Some(2), ..none() }),
            ("[[retry-after=86400]][[retry-after=1]]", Directives { retry_after: Some(86_400), ..none() }),
            ("[[retry-after=86401]]", none()),
            ("[[retry-after=1.5]]", none()),
            ("[[retry_after=2]]", none()),
            ("[[[status=429]]", Directives::default()),
            ("[[[[status=429]]", Directives { status: Some(429), ..none() }),
            ("[[status=200]]", none()),
            ("[[status=600]]", none()),
            ("[[status= 429]]", none()),
            ("[[status=+429]]", none()),
            ("[[Status=429]]", none()),
            ("[[status=429]", none()),
            ("[status=429]", none()),
            ("[[sleep=]]", none()),
            ("[[sleep=-1]]", none()),
            ("[[sleep=1.5]]", none()),
            ("[[sleep=99999999999999999999]]", none()),
            ("[[sleep=86400001]]", none()),
            ("[[fail=0:503]]", none()),
            ("[[fail=2]]", none()),
            ("[[fail=2:200]]", none()),
            ("[[fail=5000:503]]", none()),
            ("[[nap=5]]", none()),
            ("", none()),
        ] {
            assert_eq!(Directives::find(text), expected, "{text:?}");
        }
    }
}
