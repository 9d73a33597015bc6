//! Owns the quick proof that a text is exactly one JSON object, in one pass over its bytes and without a tree or an
//! allocation. What it cannot prove it does not judge: who asked goes another way, which says what is wrong.

use crate::quotes::{Quote, Quotes};
use crate::tape::Record;

/// What a proof has seen on its way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// An escape stands for half of a character, and may do so without its other half.
    pub(crate) halves: bool,
    /// A value may have more than [`LEVELS`] objects and arrays in each other.
    pub(crate) deep: bool,
    /// There may be control characters.
    pub(crate) controls: bool,
}

impl Seen {
    /// What may be in a text of which nothing was seen.
    pub(crate) const fn anything() -> Self {
        Self { halves: true, deep: true, controls: true }
    }
}

/// Objects and arrays that may stand in each other inside a value, one for each bit of the stack.
pub(crate) const LEVELS: u32 = u64::BITS;

/// A key in its quotes, and its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Entry<'a> {
    pub(crate) key: &'a str,
    /// The key has escapes.
    pub(crate) key_escapes: bool,
    pub(crate) value: &'a str,
    /// Which token of the record the value is.
    pub(crate) place: usize,
}

/// Calls `visit` with each entry of the object in `json`, in order, and keeps in `record` what is inside of them.
///
/// # Errors
///
/// How many times it called `visit` before it came to what it cannot prove: broken JSON, but also control characters, which
/// may stand between values, and objects or arrays within more than [`LEVELS`] others.
pub(crate) fn object<'a>(
    json: &'a str,
    record: &mut impl Record,
    visit: &mut dyn FnMut(Entry<'a>),
) -> Result<Seen, usize> {
    record.begin(json.len());
    let mut proof = Proof { bytes: json.as_bytes(), quotes: Quotes::new(json.as_bytes()), record };
    let mut visits = 0;
    proof.entries(json, &mut visits, visit).ok_or(visits)?;
    Ok(Seen { halves: proof.quotes.halves, ..Seen::default() })
}

struct Proof<'a, 'r, R> {
    bytes: &'a [u8],
    /// The quotes that were not come to.
    quotes: Quotes<'a>,
    record: &'r mut R,
}

impl<'a, R: Record> Proof<'a, '_, R> {
    fn entries(&mut self, json: &'a str, visits: &mut usize, visit: &mut dyn FnMut(Entry<'a>)) -> Option<()> {
        let mut at = self.past(self.space(0), b'{')?;
        at = self.space(at);
        if let Some(end) = self.past(at, b'}') {
            return self.end(end);
        }
        loop {
            let (key_end, key_escapes) = self.string(at)?;
            let start = self.space(self.past(self.space(key_end), b':')?);
            let place = self.record.place();
            let end = self.value(start)?;
            visit(Entry { key: json.get(at..key_end)?, key_escapes, value: json.get(start..end)?, place });
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
                b'"' => {
                    let (end, escapes) = self.string(at)?;
                    self.record.scalar(at, end, escapes);
                    at = end;
                }
                bracket @ (b'{' | b'[') => {
                    if depth == LEVELS {
                        return None;
                    }
                    self.record.open(at);
                    let is_object = *bracket == b'{';
                    at = self.space(at + 1);
                    // The closing brackets are the opening ones and two.
                    if let Some(end) = self.past(at, bracket + 2) {
                        self.record.close(end);
                        at = end;
                    } else {
                        (open, depth) = (open << 1 | u64::from(is_object), depth + 1);
                        if is_object {
                            at = self.key(at)?;
                        }
                        continue;
                    }
                }
                _ => {
                    let end = self.scalar(at)?;
                    self.record.scalar(at, end, false);
                    at = end;
                }
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
                        self.record.close(at);
                        continue;
                    }
                    b']' if !is_object => {
                        (open, depth, at) = (open >> 1, depth - 1, at + 1);
                        self.record.close(at);
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
        let (end, escapes) = self.string(at)?;
        self.record.scalar(at, end, escapes);
        Some(self.space(self.past(self.space(end), b':')?))
    }

    /// The place after the string that begins here, and whether it has escapes.
    fn string(&mut self, at: usize) -> Option<(usize, bool)> {
        // The next quote is another one only behind a backslash that stands outside of texts.
        self.quotes.next().filter(|quote| quote.at == at)?;
        let Quote { at: end, after_escapes } = self.quotes.next()?;
        Some((end + 1, after_escapes))
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

    /// The place after the space from here on. Other white space is left to who goes another way.
    fn space(&self, mut at: usize) -> usize {
        while self.bytes.get(at) == Some(&b' ') {
            at += 1;
        }
        at
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use serde_json::value::RawValue;

    use super::*;
    use crate::fields::Walk;
    use crate::raw::Kind;
    use crate::tape::Tape;

    /// What a walk visits, or `None` where nothing is proven.
    fn proven(json: &str) -> Option<(Vec<(String, String)>, Seen)> {
        let mut found = Vec::new();
        let seen = object(json, &mut (), &mut |Entry { key, key_escapes, value, .. }| {
            assert_eq!(key_escapes, key.contains('\\'));
            found.push((key.to_owned(), value.to_owned()));
        });
        let seen = seen.ok()?;
        Some((found, seen))
    }

    /// Whether it is one whole object to serde_json.
    fn is_object(json: &str) -> bool {
        serde_json::from_str::<&RawValue>(json).is_ok_and(|value| value.get().starts_with('{'))
    }

    /// The object that walks along a tape make of a line; `None` where nothing is proven.
    fn by_tape(json: &str) -> Option<Value> {
        let mut tape = Tape::default();
        let mut found = Vec::new();
        object(json, &mut tape, &mut |Entry { key, value, place, .. }| found.push((key, value, place))).ok()?;
        assert!(tape.is_whole());
        let mut entries = serde_json::Map::new();
        for (key, value, place) in found {
            let mut walk = Walk::on(tape, json, value, place);
            assert_eq!(walk.rest().map(|rest| rest.starts_with(value)), Some(true));
            entries.insert(serde_json::from_str(key).ok()?, walked(&mut walk)?);
            tape = walk.into_tape();
        }
        Some(Value::Object(entries))
    }

    /// A value as a walk sees it, all the way down.
    fn walked(walk: &mut Walk<'_>) -> Option<Value> {
        match walk.kind() {
            Kind::Object => {
                let mut entries = Vec::new();
                walk.fields(&mut |key, walk| {
                    // What is left where it is, is passed over.
                    if key != "passed" {
                        entries.push((key.into_owned(), walked(walk)));
                    }
                });
                entries.into_iter().map(|(key, value)| Some((key, value?))).collect::<Option<_>>().map(Value::Object)
            }
            Kind::Array => {
                let mut items = Vec::new();
                walk.items(&mut |walk| items.push(walked(walk)));
                items.into_iter().collect::<Option<_>>().map(Value::Array)
            }
            _ => serde_json::from_str(walk.value()).ok(),
        }
    }

    /// As serde_json reads it; `None` also where a text has half of a character.
    fn parsed(json: &str) -> Option<Value> {
        fn without(value: &mut Value) {
            match value {
                Value::Object(entries) => {
                    entries.remove("passed");
                    entries.values_mut().for_each(without);
                }
                Value::Array(items) => items.iter_mut().for_each(without),
                _ => {}
            }
        }
        let mut value: Value = serde_json::from_str(json).ok()?;
        value.as_object_mut()?.values_mut().for_each(without);
        Some(value)
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
            const KEYS: [&str; 5] = [r#""k""#, r#""l""#, r#""\u006b\\""#, r#""passed""#, r#""\ud83d""#];
            let space = |numbers: &mut Self| " ".repeat(numbers.below(5) / 4);
            let kind = if levels == 0 { 0 } else { self.below(3) };
            let [open, close] = [["", ""], ["{", "}"], ["[", "]"]][kind];
            if kind == 0 {
                return SCALARS[self.below(SCALARS.len())].to_owned();
            }
            let items: Vec<_> = (0..self.below(4))
                .map(|_| {
                    let key = if kind == 1 {
                        format!("{}{}:{}", KEYS[self.below(KEYS.len())], space(self), space(self))
                    } else {
                        String::new()
                    };
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
        let (mut proofs, mut refused, mut whole) = (0, 0, 0);
        for _ in 0..4_000 {
            let value = numbers.value(4);
            let json = format!("{{\"a\" :{value}, \"b\":1}}");
            let (found, _) = proven(&json).unwrap_or_else(|| panic!("{json}"));
            assert_eq!(found[0], ("\"a\"".to_owned(), value), "{json}");
            if let Some(expected) = parsed(&json) {
                assert_eq!(by_tape(&json), Some(expected), "{json}");
                whole += 1;
            }
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
                if let (true, Some(expected)) = (plain, parsed(&broken)) {
                    assert_eq!(by_tape(&broken), Some(expected), "{broken}");
                }
                *(if proven(&broken).is_some() { &mut proofs } else { &mut refused }) += 1;
            }
        }
        assert!(proofs > 10_000 && refused > 30_000 && whole > 1_000, "{proofs} {refused} {whole}");
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
        assert!(halves(r"\ud800") && halves(r"x\uDFff\ude00") && halves(r"\u0041\\\udabc"));
        assert!(!halves(r"\ud7ff\ue000") && !halves(r"\\ud800") && !halves("\u{1f600}") && !halves(r"\ud83d\ude00"));
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
            assert_eq!(object(json, &mut (), &mut |_| {}), Err(visits), "{json}");
        }
    }
}
