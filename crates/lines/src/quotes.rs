//! Owns the search for the quotes that begin and end texts, a block of bytes at a time, and judges the escapes between
//! them, and that no control character is. It knows nothing of the grammar around texts: who asks holds each quote against
//! the place where it expects one.

/// How many bytes are compared at once.
const BLOCK: usize = 64;

/// Goes from quote to quote, but for those that are escaped.
#[derive(Debug)]
pub(crate) struct Quotes<'a> {
    bytes: &'a [u8],
    /// The quotes, backslashes and control characters of the block that were not come to, the first of them in the lowest
    /// bit.
    marks: u64,
    /// Where the block begins.
    block: usize,
    /// The block's first byte is escaped, if this is 1.
    escaped: u64,
    /// Where the escape begins that is the second half of the character of the one before.
    second: usize,
    /// An escape stands for half of a character, whose other half is not beside it.
    pub(crate) halves: bool,
}

/// A quote that is not escaped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quote {
    pub(crate) at: usize,
    /// There are escapes between the quote before and this one.
    pub(crate) after_escapes: bool,
}

impl<'a> Quotes<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut quotes = Self { bytes, marks: 0, block: 0, escaped: 0, second: usize::MAX, halves: false };
        quotes.load();
        quotes
    }

    /// The next quote. `None` after the last, and where an escape is none of JSON or a control character stands.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<Quote> {
        // Most texts end where the next mark is.
        let at = self.block + self.marks.trailing_zeros() as usize;
        if self.marks != 0 && self.bytes.get(at) == Some(&b'"') {
            self.marks &= self.marks - 1;
            return Some(Quote { at, after_escapes: false });
        }
        self.next_by_marks()
    }

    fn next_by_marks(&mut self) -> Option<Quote> {
        let mut after_escapes = false;
        loop {
            while self.marks == 0 {
                self.block += BLOCK;
                self.load().then_some(())?;
            }
            let at = self.block + self.marks.trailing_zeros() as usize;
            self.marks &= self.marks - 1;
            match self.bytes.get(at)? {
                b'"' => return Some(Quote { at, after_escapes }),
                b'\\' => self.escape(at)?,
                _ => return None,
            }
            after_escapes = true;
        }
    }

    /// Looks for the marks of the block; whether there is one.
    fn load(&mut self) -> bool {
        let rest = self.bytes.get(self.block..).unwrap_or_default();
        self.marks = match rest.first_chunk() {
            Some(block) => marks(block),
            None if rest.is_empty() => return false,
            None => {
                let mut block = [b' '; BLOCK];
                block[..rest.len()].copy_from_slice(rest);
                marks(&block)
            }
        } & !self.escaped;
        self.escaped = 0;
        true
    }

    /// Judges the escape that begins here.
    #[inline]
    fn escape(&mut self, at: usize) -> Option<()> {
        let byte = *self.bytes.get(at + 1)?;
        if !IS_PLAIN[usize::from(byte)] {
            return self.unit(at, byte);
        }
        // What is escaped is no mark. Which byte it is need not be asked: others are none either.
        let place = at + 1 - self.block;
        self.marks &= !1_u64.checked_shl(place as u32).unwrap_or(0);
        self.escaped = u64::from(place == BLOCK);
        Some(())
    }

    /// Judges an escape by four digits.
    fn unit(&mut self, at: usize, letter: u8) -> Option<()> {
        if letter != b'u' {
            return None;
        }
        let [first, second, ..] = self.digits(at)?;
        // From D800 to DFFF.
        if first == 0xD && second >= 8 {
            self.half(at, second);
        }
        Some(())
    }

    /// The values of the four digits behind a backslash and its letter.
    fn digits(&self, at: usize) -> Option<[u8; 4]> {
        let digits: &[u8; 4] = self.bytes.get(at + 2..)?.first_chunk()?;
        let values = digits.map(|digit| HEX[usize::from(digit)]);
        (values.iter().fold(0, |all, value| all | value) <= 0xF).then_some(values)
    }

    /// Notes half of a character, whose second digit says which half.
    fn half(&mut self, at: usize, second: u8) {
        let is_low = |second: u8| second >= 0xC;
        if is_low(second) {
            self.halves |= at != self.second;
        } else if self.bytes.get(at + 6..at + 8) == Some(b"\\u")
            && let Some([0xD, other, ..]) = self.digits(at + 6)
            && is_low(other)
        {
            self.second = at + 6;
        } else {
            self.halves = true;
        }
    }
}

/// A bit for each quote, backslash and control character of a block, the first byte in the lowest.
fn marks(block: &[u8; BLOCK]) -> u64 {
    // Both steps are made of many bytes at once: bytes that are 1 or 0, then their bits side by side by a product.
    const SIDE_BY_SIDE: u64 = 0x0102_0408_1020_4080;
    let is_mark = block.map(|byte| u8::from(byte == b'"') | u8::from(byte == b'\\') | u8::from(byte < b' '));
    let (words, _) = is_mark.as_chunks();
    let bits = words.iter().map(|word| u64::from_le_bytes(*word).wrapping_mul(SIDE_BY_SIDE) >> 56);
    bits.zip(0..).fold(0, |marks, (bits, number)| marks | bits << (8 * number))
}

/// Which bytes are a whole escape behind a backslash.
const IS_PLAIN: [bool; 256] = {
    let (mut plain, mut at) = ([false; 256], 0);
    while at < 256 {
        plain[at] = matches!(at as u8, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't');
        at += 1;
    }
    plain
};

/// The value of each hexadecimal digit; of any other byte more than they can be.
const HEX: [u8; 256] = {
    let mut values = [u8::MAX; 256];
    let mut at = 0;
    while at < 256 {
        // The cast loses nothing below 256, and try_from is not const.
        let byte = at as u8;
        if byte.is_ascii_hexdigit() {
            values[at] = if byte.is_ascii_digit() { byte - b'0' } else { (byte | 0x20) - b'a' + 10 };
        }
        at += 1;
    }
    values
};

#[cfg(test)]
mod tests {
    use super::*;

    /// The places of all quotes, with `!` behind one that has escapes before it, and whether there are halves.
    fn all(text: &str) -> (String, bool) {
        let mut quotes = Quotes::new(text.as_bytes());
        let mut found = Vec::new();
        while let Some(Quote { at, after_escapes }) = quotes.next() {
            found.push(format!("{at}{}", if after_escapes { "!" } else { "" }));
        }
        (found.join(" "), quotes.halves)
    }

    /// The same, byte by byte.
    fn slowly(text: &str) -> String {
        let bytes = text.as_bytes();
        let (mut at, mut escapes, mut found) = (0, "", Vec::new());
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    found.push(format!("{at}{escapes}"));
                    escapes = "";
                }
                b'\\' => {
                    escapes = "!";
                    at += 1;
                    match bytes.get(at) {
                        Some(b'u') => {
                            let is_hex = |digits: &[u8]| digits.iter().all(u8::is_ascii_hexdigit);
                            if !bytes.get(at + 1..at + 5).is_some_and(is_hex) {
                                break;
                            }
                        }
                        Some(byte) if b"\"\\/bfnrt".contains(byte) => {}
                        _ => break,
                    }
                }
                ..b' ' => break,
                _ => {}
            }
            at += 1;
        }
        found.join(" ")
    }

    #[test]
    fn quotes_and_escapes_are_those_of_a_slow_search_wherever_blocks_end() {
        #[rustfmt::skip]
        const PIECES: [&str; 17] = [
            "\"", "\\\"", "\\\\", "\\n", "\\u00e9", "\\/", "a", "bc", "é", "\\", "\\u00g0", "x\\u12", "\\x", "    ", "\t", "\0", "\u{1f}",
        ];
        // A linear congruential generator: the same numbers on every machine.
        let mut state = 7_u64;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % limit
        };
        let mut long = 0;
        for number in 0..20_000 {
            // Most texts have what is no escape only near their end.
            let (kinds, length) = (if number % 4 == 0 { PIECES.len() } else { 9 }, below(120));
            let mut text = "a".repeat(below(70));
            (0..length).for_each(|_| text.push_str(PIECES[below(kinds)]));
            text.push_str(PIECES[below(PIECES.len())]);
            long += usize::from(slowly(&text).len() > 40);
            assert_eq!(all(&text).0, slowly(&text), "{text}");
        }
        assert!(long > 4_000, "{long}");
    }

    #[test]
    fn halves_are_told_from_pairs() {
        for (text, halves) in [
            (r"\ud83d\ude00", false),
            (r"\uD83D\uDE00\u00e9", false),
            (r"\ud83d", true),
            (r"\ude00", true),
            (r"\ude00\ud83d", true),
            (r"\ud83d\ud83d\ude00", true),
            (r"\ud83d\u0041", true),
            (r"\ud83d\n\ude00", true),
            (r"\ud83d \ude00", true),
            (r"\ud83d\ude00\ude00", true),
            (r"\ud83d\ude00\ud83d\ude00", false),
            (r"\ud7ff\ue000\uDBff\uDFFf", false),
            (r"\ud83d\ude0", true),
            (r"\ud83d\\ude00", true),
            (r"\\ud83d", false),
            (r"\\\ud83d", true),
            ("\u{1f600}", false),
        ] {
            for before in 0..130 {
                assert_eq!(all(&format!("{}{text}", "a".repeat(before))).1, halves, "{before} {text}");
            }
        }
    }

    #[test]
    fn every_byte_is_looked_at() {
        for length in 0..200 {
            for at in 0..length {
                let mut text = vec![b'a'; length];
                text[at] = b'"';
                assert_eq!(all(std::str::from_utf8(&text).unwrap()).0, at.to_string());
            }
        }
    }
}
