//! What is kept of an answer between the two times that it is read, in a few words of which any number can be sorted.

use crate::answer::{Pieces, Shortfall};
use crate::usage::Usage;

/// How many words the facts take.
pub(super) const FACTS: usize = 10;

/// Where an answer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) file: u32,
    pub(super) line: u64,
    pub(super) offset: u64,
    pub(super) length: u64,
}

/// What is preferred of two lines for one custom_id: the later in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worth {
    Unreadable,
    /// A whole line without an answer.
    Whole,
    /// An answer that was cut off, or of which content was held back.
    Short,
    Succeeded,
}

impl Found {
    pub(super) fn of(words: &[u64; FACTS]) -> Self {
        Self { file: halves(words[4]).0, line: words[3], offset: words[1], length: words[2] }
    }
}

impl Worth {
    pub(super) fn of(words: &[u64; FACTS]) -> Self {
        match words[0] & 3 {
            0 => Self::Unreadable,
            1 => Self::Whole,
            2 => Self::Short,
            _ => Self::Succeeded,
        }
    }
}

/// What is known of an answer that succeeded and needs no second look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Plain {
    pub(super) pieces: Pieces,
    pub(super) shortfall: Shortfall,
}

/// What is kept of one answer, or of a line that cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Facts {
    pub(super) found: Found,
    pub(super) worth: Worth,
    /// The checksum of its bytes, as they stand in the file.
    pub(super) sum: Option<u32>,
    /// What it says was used, if no count of it is above [`u32::MAX`].
    pub(super) usage: Option<Usage>,
    /// The place of its model among those that are known.
    pub(super) model: Option<u8>,
    pub(super) plain: Option<Plain>,
}

const SUM: u64 = 1 << 2;
const PLAIN: u64 = 1 << 3;
const ID: u64 = 1 << 4;
const CUT_OFF: u64 = 1 << 5;
const FILTERED: u64 = 1 << 6;
const REFUSED: u64 = 1 << 7;
const USAGE: u64 = 1 << 8;
const MODEL: u64 = 1 << 9;
/// Where the number of the model begins.
const MODEL_AT: u32 = 16;

fn flag(bit: u64, is: bool) -> u64 {
    if is { bit } else { 0 }
}

fn pair(high: u32, low: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

fn halves(word: u64) -> (u32, u32) {
    ((word >> 32) as u32, word as u32)
}

/// Whether these counts can be kept.
pub(super) fn is_small(usage: &Usage) -> bool {
    let Usage { input_tokens, output_tokens, total_tokens, cached_tokens, reasoning_tokens } = *usage;
    let most = input_tokens.max(output_tokens).max(total_tokens).max(cached_tokens).max(reasoning_tokens);
    u32::try_from(most).is_ok()
}

impl Facts {
    pub(super) fn to_words(self) -> [u64; FACTS] {
        let Self { found, worth, sum, usage, model, plain } = self;
        let Found { file, line, offset, length } = found;
        let mut words = [0; FACTS];
        words[0] = worth as u64
            | flag(SUM, sum.is_some())
            | flag(USAGE, usage.is_some())
            | flag(MODEL, model.is_some())
            | u64::from(model.unwrap_or_default()) << MODEL_AT;
        words[1] = offset;
        words[2] = length;
        words[3] = line;
        words[4] = pair(file, 0);
        let usage = usage.unwrap_or_default();
        let small = |count: u64| count as u32;
        words[7] = pair(sum.unwrap_or_default(), small(usage.input_tokens));
        words[8] = pair(small(usage.output_tokens), small(usage.total_tokens));
        words[9] = pair(small(usage.cached_tokens), small(usage.reasoning_tokens));
        let Some(Plain { pieces, shortfall }) = plain else { return words };
        let Pieces { id, custom_id, response } = pieces;
        let (id_at, id_length) = id.unwrap_or_default();
        words[0] |= PLAIN
            | flag(ID, id.is_some())
            | flag(CUT_OFF, shortfall.cut_off)
            | flag(FILTERED, shortfall.filtered)
            | flag(REFUSED, shortfall.refused);
        words[4] |= u64::from(id_length) << 16 | u64::from(custom_id.1);
        words[5] = pair(id_at, custom_id.0);
        words[6] = pair(response.0, response.1);
        words
    }

    pub(super) fn of(words: &[u64; FACTS]) -> Self {
        let flags = words[0];
        let is = |bit| flags & bit != 0;
        let (_, lengths) = halves(words[4]);
        let (sum, input) = halves(words[7]);
        let plain = is(PLAIN).then(|| {
            let (id_at, custom_id_at) = halves(words[5]);
            Plain {
                pieces: Pieces {
                    id: is(ID).then_some((id_at, (lengths >> 16) as u16)),
                    custom_id: (custom_id_at, lengths as u16),
                    response: halves(words[6]),
                },
                shortfall: Shortfall { cut_off: is(CUT_OFF), filtered: is(FILTERED), refused: is(REFUSED) },
            }
        });
        let (output, total) = halves(words[8]);
        let (cached, reasoning) = halves(words[9]);
        let usage = is(USAGE).then_some(Usage {
            input_tokens: input.into(),
            output_tokens: output.into(),
            total_tokens: total.into(),
            cached_tokens: cached.into(),
            reasoning_tokens: reasoning.into(),
        });
        let model = is(MODEL).then_some((flags >> MODEL_AT) as u8);
        Self { found: Found::of(words), worth: Worth::of(words), sum: is(SUM).then_some(sum), usage, model, plain }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_comes_back() {
        let found = Found { file: u32::MAX, line: u64::MAX, offset: u64::MAX - 1, length: u64::MAX - 2 };
        let bare = Facts { found, worth: Worth::Whole, sum: None, usage: None, model: None, plain: None };
        for worth in [Worth::Unreadable, Worth::Whole, Worth::Short, Worth::Succeeded] {
            for sum in [None, Some(0), Some(u32::MAX)] {
                let facts = Facts { worth, sum, ..bare };
                assert_eq!(Facts::of(&facts.to_words()), facts);
            }
        }
        let usage = Usage {
            input_tokens: 1,
            output_tokens: u32::MAX.into(),
            total_tokens: 3,
            cached_tokens: u64::from(u32::MAX) - 1,
            reasoning_tokens: 5,
        };
        assert!(is_small(&usage) && !is_small(&Usage { total_tokens: 1 << 32, ..usage }));
        for bits in 0..64 {
            let is = |bit: u32| bits & (1 << bit) != 0;
            let plain = Plain {
                pieces: Pieces {
                    id: is(0).then_some((u32::MAX, u16::MAX - 1)),
                    custom_id: (7, u16::MAX),
                    response: (u32::MAX - 1, u32::MAX),
                },
                shortfall: Shortfall { cut_off: is(1), filtered: is(2), refused: is(3) },
            };
            let (usage, model) = (is(4).then_some(usage), is(5).then_some(u8::MAX));
            for plain in [Some(plain), None] {
                let facts = Facts { worth: Worth::Succeeded, sum: Some(9), usage, model, plain, ..bare };
                assert_eq!(Facts::of(&facts.to_words()), facts);
            }
        }
    }
}
