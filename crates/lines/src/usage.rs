//! Owns the counting of tokens, in the words of every endpoint. It never prices them.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};

use crate::fields::Walk;

/// Tokens used, of one answer or of many. Sums stop at [`u64::MAX`] instead of wrapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Usage {
    /// Tokens read: `prompt_tokens` or `input_tokens`.
    pub input_tokens: u64,
    /// Tokens written: `completion_tokens` or `output_tokens`.
    pub output_tokens: u64,
    /// `total_tokens`, or the sum of the two when the service does not say.
    pub total_tokens: u64,
    /// The part of the input that was read from a cache.
    pub cached_tokens: u64,
    /// The part of the output that was spent on reasoning.
    pub reasoning_tokens: u64,
}

impl AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        let Self { input_tokens, output_tokens, total_tokens, cached_tokens, reasoning_tokens } = other;
        for (sum, more) in [
            (&mut self.input_tokens, input_tokens),
            (&mut self.output_tokens, output_tokens),
            (&mut self.total_tokens, total_tokens),
            (&mut self.cached_tokens, cached_tokens),
            (&mut self.reasoning_tokens, reasoning_tokens),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
}

impl Usage {
    /// Reads the `usage` at which a walk stands; `None` when it is no object or counts nothing that is known.
    pub(crate) fn read(walk: &mut Walk<'_>) -> Option<Self> {
        let (mut input, mut output, mut total) = (None, None, None);
        let (mut cached, mut reasoning) = (0, 0);
        walk.fields(&mut |key, walk| match key.as_ref() {
            "prompt_tokens" | "input_tokens" => input = count(walk.value()).or(input),
            "completion_tokens" | "output_tokens" => output = count(walk.value()).or(output),
            "total_tokens" => total = count(walk.value()),
            "prompt_tokens_details" | "input_tokens_details" => {
                cached = detail(walk, "cached_tokens").unwrap_or(cached);
            }
            "completion_tokens_details" | "output_tokens_details" => {
                reasoning = detail(walk, "reasoning_tokens").unwrap_or(reasoning);
            }
            _ => {}
        });
        if input.is_none() && output.is_none() && total.is_none() {
            return None;
        }
        let (input, output) = (input.unwrap_or(0), output.unwrap_or(0));
        Some(Self {
            input_tokens: input,
            output_tokens: output,
            total_tokens: total.unwrap_or_else(|| input.saturating_add(output)),
            cached_tokens: cached,
            reasoning_tokens: reasoning,
        })
    }
}

fn detail(walk: &mut Walk<'_>, name: &str) -> Option<u64> {
    let mut found = None;
    walk.fields(&mut |key, walk| {
        if key == name {
            found = count(walk.value());
        }
    });
    found
}

/// A count of tokens. Some services write `12.0`; a fraction or a negative number is no count.
fn count(text: &str) -> Option<u64> {
    text.parse().ok().or_else(|| {
        let whole = text.strip_suffix(".0")?;
        whole.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling() {
        let usage = |input, output, total, cached, reasoning| {
            Some(Usage {
                input_tokens: input,
                output_tokens: output,
                total_tokens: total,
                cached_tokens: cached,
                reasoning_tokens: reasoning,
            })
        };
        for (json, expected) in [
            (
                r#"{"prompt_tokens":7,"completion_tokens":5,"total_tokens":12,
                    "prompt_tokens_details":{"cached_tokens":3},
                    "completion_tokens_details":{"reasoning_tokens":2}}"#,
                usage(7, 5, 12, 3, 2),
            ),
            (
                r#"{"input_tokens":7,"input_tokens_details":{"cached_tokens":1},
                    "output_tokens":5,"output_tokens_details":{"reasoning_tokens":4}}"#,
                usage(7, 5, 12, 1, 4),
            ),
            (r#"{"prompt_tokens":9,"total_tokens":9,"prompt_tokens_details":null}"#, usage(9, 0, 9, 0, 0)),
            (r#"{"prompt_tokens":9.0,"completion_tokens":-1}"#, usage(9, 0, 9, 0, 0)),
            (r#"{"total_tokens":18446744073709551615}"#, usage(0, 0, u64::MAX, 0, 0)),
            (r#"{"images":3}"#, None),
            ("null", None),
            ("[]", None),
            ("12", None),
        ] {
            assert_eq!(Usage::read(&mut Walk::new(json)), expected, "{json}");
        }
    }

    #[test]
    fn sums_do_not_wrap() {
        let mut sum = Usage { total_tokens: u64::MAX - 1, ..Usage::default() };
        sum += Usage { total_tokens: 5, input_tokens: 2, ..Usage::default() };
        assert_eq!((sum.total_tokens, sum.input_tokens), (u64::MAX, 2));
    }
}
