//! Owns the quick proof that a text is exactly one JSON object, in one pass over its bytes and without a tree or an
//! allocation. What it cannot prove it does not judge: who asked goes another way, which says what is wrong.

use crate::fields::quote_or_backslash;

/// What a proof has seen on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// An escape stands for half of a character, which may or may not have its other half.
    pub(crate) halves: bool,
    /// A value may have more than [`LEVELS`] objects and arrays in each other.
    pub(crate) deep: bool,
}

impl Seen {
    /// What may be in a text of which nothing was seen.
    pub(crate) const fn anything() -> Self {
        Self { halves: true, deep: true }
    }
}

/// Objects and arrays that may stand in each other inside a value, one for each bit of the stack.
pub(crate) const LEVELS: u32 = u64::BITS;

/// Calls `visit` with each key, in its quotes, and value of the object in `json`, in order.
///
/// # Errors
///
/// How many times it called `visit` before it came to what it cannot prove: broken JSON, but also control characters, which
/// may stand between values, and objects or arrays within more than [`LEVELS`] others.
pub(crate) fn object<'a>(json: &'a str, visit: &mut dyn FnMut(&'a str, &'a str)) -> Result<Seen, usize> {
    if has_control(json.as_bytes()) {
        return Err(0);
    }
    let mut proof = Proof { bytes: json.as_bytes(), seen: Seen::default() };
    let mut visits = 0;
    proof.entries(json, &mut visits, visit).ok_or(visits).map(|()| proof.seen)
}

/// Whether there is a control character, which JSON allows nowhere but between values.
fn has_control(bytes: &[u8]) -> bool {
    // Without a way out in the middle, so that many bytes are compared at once.
    let (chunks, rest) = bytes.as_chunks::<64>();
    let least = |bytes: &[u8]| bytes.iter().fold(u8::MAX, |least, byte| least.min(*byte));
    chunks.iter().map(|chunk| least(chunk)).fold(least(rest), u8::min) < b' '
}

struct Proof<'a> {
    /// Without control characters.
    bytes: &'a [u8],
    seen: Seen,
}

impl<'a> Proof<'a> {
    fn entries(&mut self, json: &'a str, visits: &mut usize, visit: &mut dyn FnMut(&'a str, &'a str)) -> Option<()> {
        let mut at = self.past(self.space(0), b'{')?;
        at = self.space(at);
        if let Some(end) = self.past(at, b'}') {
            return self.end(end);
        }
        loop {
            let key_end = self.string(at)?;
            let start = self.space(self.past(self.space(key_end), b':')?);
            let end = self.value(start)?;
            visit(json.get(at..key_end)?, json.get(start..end)?);
            *visits += 1;
            at = self.space(end);
            if let Some(end) = self.past(at, b'}') {
                return self.end(end);
            }
            at = self.space(self.past(at, b',')?);
        }
    }

    /// Nothing but space follows.
    fn end(&self, at: usize) -> Option<()> {
        (self.space(at) == self.bytes.len()).then_some(())
    }

    /// The place after the value that begins here.
    fn value(&mut self, mut at: usize) -> Option<usize> {
        // A bit for each object or array that is open, set for an object; the innermost is the last.
        let (mut open, mut depth) = (0_u64, 0);
        loop {
            match self.bytes.get(at)? {
                b'"' => at = self.string(at)?,
                bracket @ (b'{' | b'[') => {
                    if depth == LEVELS {
                        return None;
                    }
                    let is_object = *bracket == b'{';
                    at = self.space(at + 1);
                    // The closing brackets are the opening ones and two.
                    if let Some(end) = self.past(at, bracket + 2) {
                        at = end;
                    } else {
                        (open, depth) = (open << 1 | u64::from(is_object), depth + 1);
                        if is_object {
                            at = self.key(at)?;
                        }
                        continue;
                    }
                }
                _ => at = self.scalar(at)?,
            }
            loop {
                if depth == 0 {
                    return Some(at);
                }
                at = self.space(at);
                let is_object = open & 1 == 1;
                match self.bytes.get(at)? {
                    b',' if is_object => at = self.key(self.space(at + 1))?,
                    b',' => at = self.space(at + 1),
                    b'}' if is_object => {
                        (open, depth, at) = (open >> 1, depth - 1, at + 1);
                        continue;
                    }
                    b']' if !is_object => {
                        (open, depth, at) = (open >> 1, depth - 1, at + 1);
                        continue;
                    }
                    _ => return None,
                }
                break;
            }
        }
    }

    /// The place of the value after the key that begins here.
    fn key(&mut self, at: usize) -> Option<usize> {
        let end = self.string(at)?;
        Some(self.space(self.past(self.space(end), b':')?))
    }

    /// The place after the string that begins here.
    fn string(&mut self, at: usize) -> Option<usize> {
        let mut at = self.past(at, b'"')?;
        loop {
            at = quote_or_backslash(self.bytes, at)?;
            if self.bytes[at] == b'"' {
                return Some(at + 1);
            }
            at = self.escapes(at)?;
        }
    }

    /// The place after the escapes that follow each other from here.
    fn escapes(&mut self, mut at: usize) -> Option<usize> {
        loop {
            match self.bytes.get(at + 1)? {
                b'u' => {
                    let digits: &[u8; 4] = self.bytes.get(at + 2..)?.first_chunk()?;
                    let values = digits.map(|digit| HEX[usize::from(digit)]);
                    if values.iter().fold(0, |all, value| all | value) > 0xF {
                        return None;
                    }
                    // From D800 to DFFF.
                    self.seen.halves |= values[0] == 0xD && values[1] >= 8;
                    at += 6;
                }
                b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => at += 2,
                _ => return None,
            }
            if self.bytes.get(at) != Some(&b'\\') {
                return Some(at);
            }
        }
    }

    /// The place after the number, the truth value or the null that begins here.
    fn scalar(&self, at: usize) -> Option<usize> {
        let rest = self.bytes.get(at..)?;
        match rest.first()? {
            b't' => rest.starts_with(b"true").then_some(at + 4),
            b'f' => rest.starts_with(b"false").then_some(at + 5),
            b'n' => rest.starts_with(b"null").then_some(at + 4),
            b'-' => self.number(at + 1),
            _ => self.number(at),
        }
    }

    /// The place after the number without a sign that begins here.
    fn number(&self, at: usize) -> Option<usize> {
        let mut end = self.digits(at)?;
        if self.bytes[at] == b'0' && end > at + 1 {
            return None;
        }
        if let Some(fraction) = self.past(end, b'.') {
            end = self.digits(fraction)?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(end) {
            let signed = matches!(self.bytes.get(end + 1), Some(b'+' | b'-'));
            end = self.digits(end + 1 + usize::from(signed))?;
        }
        Some(end)
    }

    /// The place after the digits that begin here; there must be one.
    fn digits(&self, at: usize) -> Option<usize> {
        let rest = self.bytes.get(at..)?;
        let count = rest.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        (count > 0).then_some(at + count)
    }

    /// The place after this byte, if it stands here.
    fn past(&self, at: usize, byte: u8) -> Option<usize> {
        (self.bytes.get(at) == Some(&byte)).then_some(at + 1)
    }

    /// The place after the space from here on. There is no other white space, since there are no control characters.
    fn space(&self, mut at: usize) -> usize {
        while self.bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        at
    }
}

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
    use serde_json::value::RawValue;

    use super::*;

    /// What a walk visits, or `None` where nothing is proven.
    fn proven(json: &str) -> Option<(Vec<(String, String)>, Seen)> {
        let mut found = Vec::new();
        let seen = object(json, &mut |key, value| found.push((key.to_owned(), value.to_owned()))).ok()?;
        Some((found, seen))
    }

    /// Whether it is one whole object to serde_json.
    fn is_object(json: &str) -> bool {
        serde_json::from_str::<&RawValue>(json).is_ok_and(|value| value.get().starts_with('{'))
    }

    /// A linear congruential generator: the same numbers on every machine.
    struct Numbers(u64);

    impl Numbers {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (self.0 >> 33) as usize % limit
        }

        /// A value of JSON, spelled in one of many ways.
        fn value(&mut self, levels: usize) -> String {
            const SCALARS: [&str; 20] = [
                "0",
                "-0",
                "7",
                "-12.50",
                "1e5",
                "2E-3",
                "0.1e+07",
                "true",
                "false",
                "null",
                r#""""#,
                r#""a""#,
                r#""\u00e9\"""#,
                r#""\\""#,
                r#""\/\b\f\n\r\t""#,
                r#""é北 and a text that is longer than three words of eight""#,
                r#""\uD83D\ude00 an escape, a text and \\ another \" and then more of it""#,
                r#""]}""#,
                r#""{[,:""#,
                r#""\ud83d""#,
            ];
            let space = |numbers: &mut Self| " ".repeat(numbers.below(5) / 4);
            let kind = if levels == 0 { 0 } else { self.below(3) };
            let [open, close] = [["", ""], ["{", "}"], ["[", "]"]][kind];
            if kind == 0 {
                return SCALARS[self.below(SCALARS.len())].to_owned();
            }
            let items: Vec<_> = (0..self.below(4))
                .map(|_| {
                    let key = if kind == 1 { format!("\"k\"{}:{}", space(self), space(self)) } else { String::new() };
                    format!("{}{key}{}{}", space(self), self.value(levels - 1), space(self))
                })
                .collect();
            format!("{open}{}{}{close}", space(self), items.join(","))
        }
    }

    #[test]
    fn what_is_proven_is_valid_and_what_is_valid_is_proven() {
        const BYTES: &[u8] = b"{}[]\",:\\ u0-.eE1tn+\x1f\tX";
        let mut numbers = Numbers(7);
        let (mut proofs, mut refused) = (0, 0);
        for _ in 0..4_000 {
            let value = numbers.value(4);
            let json = format!("{{\"a\" :{value}, \"b\":1}}");
            let (found, _) = proven(&json).unwrap_or_else(|| panic!("{json}"));
            assert_eq!(found[0], ("\"a\"".to_owned(), value), "{json}");
            // Every cut, and a byte too many, too few or another one anywhere.
            for _ in 0..20 {
                let (at, byte) = (numbers.below(json.len()), BYTES[numbers.below(BYTES.len())]);
                let mut broken = json.clone().into_bytes();
                match numbers.below(4) {
                    0 => broken.truncate(at),
                    1 => broken.insert(at, byte),
                    2 => drop(broken.remove(at)),
                    _ => broken[at] = byte,
                }
                let Ok(broken) = String::from_utf8(broken) else { continue };
                let plain = !broken.contains(|character: char| character < ' ');
                assert_eq!(proven(&broken).is_some(), is_object(&broken) && plain, "{broken}");
                *(if proven(&broken).is_some() { &mut proofs } else { &mut refused }) += 1;
            }
        }
        assert!(proofs > 10_000 && refused > 30_000, "{proofs} {refused}");
    }

    #[test]
    fn every_byte_in_every_place_of_a_text_is_judged() {
        for length in 0..70 {
            for at in 0..length {
                for byte in 0..=0x7F {
                    let mut text = vec![b'a'; length];
                    text[at] = byte;
                    let text = String::from_utf8(text).unwrap();
                    for json in [format!("{{\"k\":\"{text}\"}}"), format!("{{\"{text}\":[\"\"]}}")] {
                        assert_eq!(proven(&json).is_some(), is_object(&json), "{json}");
                    }
                }
            }
        }
    }

    #[test]
    fn escapes_and_numbers_are_those_of_json() {
        for byte in 0..=0x7F_u8 {
            let byte = char::from(byte);
            for json in [
                format!("{{\"k\":\"\\{byte}0041\"}}"),
                format!("{{\"k\":\"\\u00{byte}1\"}}"),
                format!("{{\"k\":\"\\u001{byte}\"}}"),
                format!("{{\"k\":1{byte}2}}"),
                format!("{{\"k\":{byte}1}}"),
                format!("{{\"k\":0{byte}}}"),
                format!("{{\"k\":1e{byte}1}}"),
                format!("{{\"k\":true{byte}}}"),
            ] {
                assert_eq!(proven(&json).is_some(), is_object(&json) && !byte.is_ascii_control(), "{json:?}");
            }
        }
    }

    #[test]
    fn halves_of_characters_are_seen() {
        let halves = |text: &str| proven(&format!("{{\"k\":\"{text}\"}}")).unwrap().1.halves;
        assert!(halves(r"\ud800") && halves(r"x\uDFff\ude00") && halves(r"\u0041\\\udabc") && halves(r"\ud83d\ude00"));
        assert!(!halves(r"\ud7ff\ue000") && !halves(r"\\ud800") && !halves("\u{1f600}"));
    }

    #[test]
    fn depth_has_an_end() {
        let nested = |levels: usize| format!("{{\"k\":{}{}}}", "[".repeat(levels), "]".repeat(levels));
        let most = LEVELS as usize;
        assert!(proven(&nested(most)).is_some_and(|(_, seen)| !seen.deep));
        assert!(proven(&nested(most + 1)).is_none());
        let objects = format!("{{\"k\":{}1{}}}", "{\"a\":".repeat(most), "}".repeat(most));
        assert!(proven(&objects).is_some());
    }

    #[test]
    fn visits_are_counted() {
        for (json, visits) in
            [("", 0), ("[", 0), ("{\"a\":1,\"b\":2,\"c\"", 2), ("{\"a\":1}x", 1), ("{\"a\":1,}", 1), ("{\"a\":\t1}", 0)]
        {
            assert_eq!(object(json, &mut |_, _| {}), Err(visits), "{json}");
        }
    }
}
