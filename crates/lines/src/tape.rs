//! Owns what is kept of a proof: where each value and key inside a line begins and ends, in their order, so that who looks
//! into the line looks at no byte of it again.

/// How many tokens are kept of a line, 12 bytes each. A line of more is walked by its bytes.
const MOST: usize = 1 << 16;

/// The highest bit of an end: the text has escapes.
const ESCAPES: u32 = 1 << 31;

/// No object or array is open.
const NONE: u32 = u32::MAX;

/// A value, or a key inside a value.
#[derive(Debug, Clone, Copy)]
struct Kept {
    start: u32,
    /// Where it ends; while an object or array is open, which one is open around it.
    end: u32,
    /// The token behind all that is inside this one.
    next: u32,
}

/// A token as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// It is a text with escapes.
    pub(crate) escapes: bool,
}

/// The tokens of one line, which is used again and again.
#[derive(Debug)]
pub(crate) struct Tape {
    tokens: Vec<Kept>,
    /// The innermost object or array that is open.
    open: u32,
    /// The line has more tokens than are kept, or is too long for their places.
    overflowed: bool,
}

/// Whoever is told of each value and key while they are proved.
pub(crate) trait Record {
    /// Begins anew, for a line of so many bytes.
    fn begin(&mut self, length: usize);

    /// Which token comes next.
    fn place(&self) -> usize;

    /// A text, number, truth value or null.
    fn scalar(&mut self, start: usize, end: usize, escapes: bool);

    /// An object or array begins.
    fn open(&mut self, start: usize);

    /// The one that began last ends.
    fn close(&mut self, end: usize);

    /// What was told of the line is not all of it.
    fn give_up(&mut self);
}

/// Nothing is kept.
impl Record for () {
    fn begin(&mut self, _: usize) {}

    fn place(&self) -> usize {
        0
    }

    fn scalar(&mut self, _: usize, _: usize, _: bool) {}

    fn open(&mut self, _: usize) {}

    fn close(&mut self, _: usize) {}

    fn give_up(&mut self) {}
}

impl Default for Tape {
    fn default() -> Self {
        Self::EMPTY
    }
}

impl Record for Tape {
    fn begin(&mut self, length: usize) {
        self.tokens.clear();
        self.open = NONE;
        self.overflowed = length >= ESCAPES as usize;
    }

    fn place(&self) -> usize {
        self.tokens.len()
    }

    #[inline]
    fn scalar(&mut self, start: usize, end: usize, escapes: bool) {
        let next = self.tokens.len() as u32 + 1;
        self.push(Kept { start: start as u32, end: end as u32 | if escapes { ESCAPES } else { 0 }, next });
    }

    #[inline]
    fn open(&mut self, start: usize) {
        let place = self.tokens.len() as u32;
        self.push(Kept { start: start as u32, end: self.open, next: NONE });
        self.open = place;
    }

    #[inline]
    fn close(&mut self, end: usize) {
        let next = self.tokens.len() as u32;
        if let Some(token) = self.tokens.get_mut(self.open as usize) {
            self.open = token.end;
            (token.end, token.next) = (end as u32, next);
        }
    }

    fn give_up(&mut self) {
        self.overflowed = true;
    }
}

impl Tape {
    pub(crate) const EMPTY: Self = Self { tokens: Vec::new(), open: NONE, overflowed: false };

    #[inline]
    fn push(&mut self, token: Kept) {
        if self.tokens.len() < MOST && !self.overflowed {
            self.tokens.push(token);
        } else {
            self.overflowed = true;
        }
    }

    /// Whether everything is on it.
    pub(crate) fn is_whole(&self) -> bool {
        !self.overflowed
    }

    /// Where the value begins.
    pub(crate) fn start(&self, place: usize) -> Option<usize> {
        self.tokens.get(place).map(|token| token.start as usize)
    }

    /// Where it ends.
    pub(crate) fn end(&self, place: usize) -> Option<usize> {
        self.tokens.get(place).map(|token| (token.end & !ESCAPES) as usize)
    }

    pub(crate) fn token(&self, place: usize) -> Option<Token> {
        let Kept { start, end, .. } = *self.tokens.get(place)?;
        Some(Token { start: start as usize, end: (end & !ESCAPES) as usize, escapes: end & ESCAPES != 0 })
    }

    /// The place behind all that is inside it; it is further on in any case.
    pub(crate) fn next(&self, place: usize) -> usize {
        self.tokens.get(place).map_or(usize::MAX, |token| token.next as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fields::Walk;
    use crate::raw::entries_on;

    /// The items of the array `b` in a line, and whether the tape of the line is whole.
    fn items(json: &str) -> (Vec<String>, bool) {
        let (mut tape, mut found) = (Tape::default(), None);
        entries_on(json, &mut tape, &mut |key, value, place| {
            if key == "b" {
                found = Some((value, place));
            }
        })
        .unwrap();
        let is_whole = tape.is_whole();
        let (value, place) = found.unwrap();
        let mut items = Vec::new();
        Walk::on(tape, json, value, place).items(&mut |walk| items.push(walk.value().to_owned()));
        (items, is_whole)
    }

    #[test]
    fn a_line_that_is_not_on_it_is_walked_by_its_bytes() {
        // Beside the items four tokens are on it.
        for (count, is_whole) in [(3, true), (MOST - 4, true), (MOST - 3, false), (2 * MOST, false)] {
            let numbers: Vec<_> = (0..count).map(|number| number.to_string()).collect();
            let json = format!(r#"{{"a":0,"b":[{}],"c":[1]}}"#, numbers.join(", "));
            assert!(items(&json) == (numbers, is_whole), "{count}");
        }
        // Nothing is proven of a line with other white space than blanks.
        let (found, is_whole) = items("{\"a\":[1],\t\"b\":[[2] , {\"x\":3}]}");
        assert_eq!((found, is_whole), (vec!["[2]".to_owned(), "{\"x\":3}".to_owned()], false));
    }

    #[test]
    fn it_is_used_again() {
        let mut tape = Tape::default();
        for json in [r#"{"a":[1,[2,{"b":[]}]],"c":{}}"#, r#"{"a":[[[["#, r#"{"c":"x\n"}"#] {
            tape.begin(json.len());
            assert_eq!((tape.place(), tape.is_whole()), (0, true));
            let mut found = Vec::new();
            let walked = entries_on(json, &mut tape, &mut |_, value, place| found.push((value, place)));
            assert_eq!(tape.is_whole(), walked.is_ok());
            for (value, place) in found.into_iter().filter(|_| walked.is_ok()) {
                let token = tape.token(place).unwrap();
                assert_eq!((&json[token.start..token.end], token.escapes), (value, value.contains('\\')));
                assert_eq!((tape.start(place), tape.end(place)), (Some(token.start), Some(token.end)));
            }
        }
        tape.begin(ESCAPES as usize);
        assert!(!tape.is_whole());
    }
}
