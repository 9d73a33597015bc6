//! Texts of which a quarter is not ASCII, made from a number: the same on every machine.

use std::fmt::Write as _;

/// All that is made depends on it.
const SEED: u64 = 0x10_7e_5e_ed;

const ASCII: [&str; 40] = [
    "the",
    "order",
    "number",
    "was",
    "not",
    "delivered",
    "and",
    "a",
    "customer",
    "asks",
    "for",
    "refund",
    "within",
    "seven",
    "days",
    "please",
    "summarise",
    "this",
    "message",
    "in",
    "one",
    "sentence",
    "without",
    "names",
    "or",
    "prices",
    "that",
    "you",
    "cannot",
    "verify",
    "from",
    "text",
    "above",
    "of",
    "to",
    "is",
    "invoice",
    "total",
    "42",
    "3.50",
];

const OTHER: [&str; 16] = [
    "größer",
    "Überweisung",
    "señor",
    "façade",
    "niño",
    "заказ",
    "доставка",
    "возврат",
    "παραγγελία",
    "注文",
    "返品",
    "配送が遅れています",
    "退款",
    "订单号码",
    "배송",
    "🙂",
];

/// Numbers drawn from a number (splitmix64).
#[derive(Debug)]
pub(super) struct Draw(u64);

impl Draw {
    /// The numbers of one line of one kind of file.
    pub(super) fn of(kind: u64, line: u64) -> Self {
        let mut draw = Self(SEED ^ kind.wrapping_mul(0xa076_1d64_78bd_642f));
        draw.0 = draw.next() ^ line;
        draw
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn choice<'c>(&mut self, choices: &'c [Word]) -> &'c Word {
        let at = self.below(choices.len() as u64);
        // There are never more than a few.
        &choices[usize::try_from(at).unwrap_or(0)]
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// As it is, in UTF-8 and without spaces between values, as services and most languages write it.
    Utf8,
    /// As `json.dumps` of Python writes it: what is not ASCII as `\uXXXX`, with spaces.
    Escaped,
}

impl Style {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "utf8",
            Self::Escaped => "escaped",
        }
    }

    /// A piece of JSON in this style, from one without spaces between values.
    pub(super) fn piece(self, json: &str) -> String {
        match self {
            Self::Utf8 => json.to_owned(),
            Self::Escaped => json.replace("\":", "\": ").replace(",\"", ", \""),
        }
    }
}

#[derive(Debug)]
struct Word {
    written: Vec<u8>,
    /// In UTF-8.
    bytes: usize,
    not_ascii: usize,
}

impl Word {
    fn new(word: &str, style: Style) -> Self {
        let mut written = String::new();
        for unit in word.encode_utf16().filter(|_| style == Style::Escaped && !word.is_ascii()) {
            match u8::try_from(unit).ok().filter(u8::is_ascii) {
                Some(ascii) => written.push(char::from(ascii)),
                // Writing to a String cannot fail.
                None => _ = write!(written, "\\u{unit:04x}"),
            }
        }
        let written = if written.is_empty() { word.to_owned() } else { written };
        let not_ascii = word.bytes().filter(|byte| !byte.is_ascii()).count();
        Self { written: written.into_bytes(), bytes: word.len(), not_ascii }
    }
}

/// Writes texts as they stand in a JSON string.
#[derive(Debug)]
pub(super) struct Texts {
    ascii: Vec<Word>,
    other: Vec<Word>,
}

impl Texts {
    pub(super) fn new(style: Style) -> Self {
        let words = |words: &[&str]| words.iter().map(|word| Word::new(word, style)).collect();
        Self { ascii: words(&ASCII), other: words(&OTHER) }
    }

    /// Adds a text that has about so many bytes in UTF-8, whatever the style.
    pub(super) fn push(&self, line: &mut Vec<u8>, draw: &mut Draw, about: u64) {
        let (mut bytes, mut not_ascii, mut words) = (0, 0, 0_u32);
        while (bytes as u64) < about {
            let other = not_ascii * 4 < bytes && draw.below(2) == 0;
            let word = draw.choice(if other { &self.other } else { &self.ascii });
            line.extend_from_slice(&word.written);
            bytes += word.bytes + 1;
            not_ascii += word.not_ascii;
            words += 1;
            // Sentences, paragraphs and quotes, as texts have them.
            line.extend_from_slice(match words % 24 {
                0 => b".\\n",
                8 => b", ",
                11 => b" \\\"",
                12 => b"\\\" ",
                _ => b" ",
            });
        }
    }
}
