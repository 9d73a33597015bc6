//! Changes of inputs, as fuzzers make them, from a seed: the same every time.

use std::ops::Range;

use fastrand::Rng;

/// As `cargo xtask night` bounds its inputs.
const LONGEST: usize = 65536;

/// How deep something is nested: around the limits that parsers have, and where a stack would not be enough.
const DEPTHS: [usize; 6] = [2, 30, 127, 129, 1000, 10_000];

/// What an open one is, with what it holds and its end.
const NESTS: [[&str; 3]; 6] = [
    ["[", "0", "]"],
    ["{\"a\":", "0", "}"],
    ["[{\"a\":", "null", "}]"],
    ["{a: ", "b", "}"],
    ["a = [", "1", "]"],
    ["- ", "a", "\n"],
];

/// Numbers at the limits of the types that hold them, and those that are no numbers to some.
const NUMBERS: [&str; 22] = [
    "0",
    "-0",
    "-1",
    "00",
    "255",
    "256",
    "65536",
    "2147483647",
    "2147483648",
    "-2147483649",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "-9223372036854775809",
    "18446744073709551615",
    "18446744073709551616",
    "340282366920938463463374607431768211456",
    "1e309",
    "1e-400",
    "0.1",
    "NaN",
];

/// Bytes that no UTF-8 has, that end lines or texts for somebody, or that a terminal would obey.
const ODD: [&[u8]; 20] = [
    b"\xff",
    b"\x80",
    b"\xc0\x80",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x98",
    b"\xf4\x90\x80\x80",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\xe2\x80\xa8",
    b"\xc2\x85",
    b"\0",
    b"\r",
    b"\r\n",
    b"\n\n",
    b"\x1b[2J",
    b"\x1f",
    b"\\ud800",
    b"\\u0000",
    b"\x1f\x8b\x08",
    b"\x28\xb5\x2f\xfd",
];

/// Words that somebody gives a meaning to.
const WORDS: [&str; 22] = [
    "null", "true", "false", "{}", "[]", "\"\"", "\"", "\\", "'", ",", ":", "{", "}", "[", "]", "--b\r\n", "--b--",
    "&a ", "*a", "<<: *a\n", "$ref", "#",
];

/// An endless row of changed inputs.
pub(crate) struct Changes<'a> {
    inputs: &'a [Vec<u8>],
    random: Rng,
}

impl<'a> Changes<'a> {
    pub(crate) fn new(inputs: &'a [Vec<u8>], seed: u64) -> Self {
        Self { inputs, random: Rng::with_seed(seed) }
    }

    /// One of the inputs, or some lines of it, with one to four changes.
    pub(crate) fn next(&mut self) -> Vec<u8> {
        let input = self.input();
        let mut bytes = if self.random.u8(..4) == 0 { input.to_vec() } else { input[self.lines(input)].to_vec() };
        for _ in 0..self.random.u8(1..=4) {
            self.change(&mut bytes);
            bytes.truncate(LONGEST);
        }
        bytes
    }

    fn input(&mut self) -> &'a [u8] {
        &self.inputs[self.random.usize(..self.inputs.len())]
    }

    fn change(&mut self, bytes: &mut Vec<u8>) {
        match self.random.u8(..12) {
            0 => {
                let bit = 1 << self.random.u8(..8);
                if let Some(byte) = self.byte(bytes) {
                    *byte ^= bit;
                }
            }
            1 => {
                let new = self.random.u8(..);
                if let Some(byte) = self.byte(bytes) {
                    *byte = new;
                }
            }
            2 => {
                let part = self.part(bytes);
                bytes.drain(part);
            }
            3 => bytes.truncate(self.place(bytes)),
            4 => {
                let part = self.part(bytes);
                let (end, times) = (part.end, *self.of(&[1, 1, 2, 100]));
                let repeated = bytes[part].repeat(times);
                put(bytes, end..end, &repeated[..repeated.len().min(LONGEST)]);
            }
            5 => {
                // A part of one stands where a part of another was, or between two.
                let other = self.input();
                let new = self.part(other);
                let old = if self.random.bool() { self.part(bytes) } else { self.between(bytes) };
                put(bytes, old, &other[new]);
            }
            6 => {
                let (from, to) = (self.part(bytes), self.between(bytes));
                let moved: Vec<u8> = bytes[from].to_vec();
                put(bytes, to, &moved);
            }
            7 => {
                let (number, old) = (*self.of(&NUMBERS), self.number(bytes));
                put(bytes, old, number.as_bytes());
            }
            8 | 9 => {
                let (odd, place) = (*self.of(&ODD), self.between(bytes));
                put(bytes, place, odd);
            }
            10 => {
                let word = *self.of(&WORDS);
                let old = if self.random.bool() { self.part(bytes) } else { self.between(bytes) };
                put(bytes, old, word.as_bytes());
            }
            _ => {
                let nest = self.nest();
                // In the place of a value, of anything, or of all.
                let old = match self.random.u8(..3) {
                    0 => self.number(bytes),
                    1 => self.part(bytes),
                    _ => 0..bytes.len(),
                };
                put(bytes, old, nest.as_bytes());
            }
        }
    }

    fn nest(&mut self) -> String {
        let ([open, inner, close], depth) = (*self.of(&NESTS), *self.of(&DEPTHS));
        let depth = depth.min(LONGEST / (open.len() + close.len()));
        match self.random.u8(..4) {
            0 => open.repeat(depth),
            1 => close.repeat(depth),
            _ => format!("{}{inner}{}", open.repeat(depth), close.repeat(depth)),
        }
    }

    fn of<'b, T>(&mut self, all: &'b [T]) -> &'b T {
        &all[self.random.usize(..all.len())]
    }

    fn byte<'b>(&mut self, bytes: &'b mut [u8]) -> Option<&'b mut u8> {
        let place = self.place(bytes);
        bytes.get_mut(place)
    }

    /// A place between two bytes, or at one of the ends.
    fn place(&mut self, bytes: &[u8]) -> usize {
        self.random.usize(..=bytes.len())
    }

    fn between(&mut self, bytes: &[u8]) -> Range<usize> {
        let place = self.place(bytes);
        place..place
    }

    /// Some bytes: a few, any, whole lines, or what is between two quotes.
    fn part(&mut self, bytes: &[u8]) -> Range<usize> {
        match self.random.u8(..4) {
            0 => {
                let from = self.place(bytes);
                from..(from + self.random.usize(1..=8)).min(bytes.len())
            }
            1 => {
                let (one, other) = (self.place(bytes), self.place(bytes));
                one.min(other)..one.max(other)
            }
            2 => self.lines(bytes),
            _ => {
                let quotes: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == b'"').collect();
                match quotes.len() {
                    0 | 1 => 0..bytes.len(),
                    most => {
                        let first = self.random.usize(..most - 1);
                        // With the quotes, as a key or a value has them, or without.
                        let (from, to) = (quotes[first], quotes[first + 1]);
                        if self.random.bool() { from..to + 1 } else { from + 1..to }
                    }
                }
            }
        }
    }

    /// One to three whole lines.
    fn lines(&mut self, bytes: &[u8]) -> Range<usize> {
        let starts: Vec<usize> = std::iter::once(0)
            .chain((1..bytes.len()).filter(|at| bytes[at - 1] == b'\n'))
            .chain([bytes.len()])
            .collect();
        let first = self.random.usize(..starts.len() - 1);
        let last = (first + self.random.usize(1..=3)).min(starts.len() - 1);
        starts[first]..starts[last]
    }

    /// Where a number stands; a place between two bytes where there is none.
    fn number(&mut self, bytes: &[u8]) -> Range<usize> {
        let digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
        let starts: Vec<usize> = (0..bytes.len()).filter(|at| digit(*at) && (*at == 0 || !digit(at - 1))).collect();
        if starts.is_empty() {
            return self.between(bytes);
        }
        let from = *self.of(&starts);
        from..(from..).find(|at| !digit(*at)).unwrap_or(bytes.len())
    }
}

fn put(bytes: &mut Vec<u8>, place: Range<usize>, new: &[u8]) {
    bytes.splice(place, new.iter().copied());
}
