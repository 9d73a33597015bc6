//! How fast a file of lines can be parsed at all: what `cargo xtask bench` holds `lote check` against.
//!
//! `floor unparsed FILE` checks UTF-8 a block at a time and parses each line with its body left as it is;
//! `floor walked FILE` also visits every key and every value of the bodies, as the checks of `lote` must. Nothing is
//! judged: neither unique ids, nor keys that are there twice, nor what a body holds.
#![expect(clippy::print_stdout, reason = "its count shows that it read everything")]

use std::borrow::Cow;
use std::error::Error;
use std::fmt;
use std::fs::File;
use std::hint::black_box;
use std::io::Read;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// How much is read at a time; no line may be longer.
const BLOCK: usize = 1 << 20;

fn main() -> Fallible<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [mode, path] = args.as_slice() else { return Err("floor unparsed|walked FILE".into()) };
    let lines = match mode.as_str() {
        "unparsed" => each_line(path, |line| parse::<IgnoredAny>(line))?,
        "walked" => each_line(path, |line| parse::<Walked>(line))?,
        _ => return Err("floor unparsed|walked FILE".into()),
    };
    println!("{lines} request lines");
    Ok(())
}

/// A request line, with its body read as `B`.
#[derive(Deserialize)]
struct Line<'l, B> {
    #[serde(borrow)]
    custom_id: Cow<'l, str>,
    #[serde(borrow)]
    method: Cow<'l, str>,
    #[serde(borrow)]
    url: Cow<'l, str>,
    body: B,
}

fn parse<'l, B: Deserialize<'l>>(line: &'l str) -> serde_json::Result<()> {
    let Line::<B> { custom_id, method, url, body } = serde_json::from_str(line)?;
    black_box((custom_id, method, url));
    black_box(body);
    Ok(())
}

/// Hands each line to `parse`; how many there were.
fn each_line(path: &str, parse: impl Fn(&str) -> serde_json::Result<()>) -> Fallible<u64> {
    let mut file = File::open(path)?;
    let (mut block, mut kept, mut lines) = (vec![0; 2 * BLOCK], 0, 0);
    loop {
        let count = file.read(&mut block[kept..])?;
        let read = kept + count;
        let end = match count {
            0 => read,
            _ => memchr::memrchr(b'\n', &block[..read]).map_or(0, |at| at + 1),
        };
        if end == 0 && (count == 0 || read == block.len()) {
            return if count == 0 { Ok(lines) } else { Err("a line is too long".into()) };
        }
        let text = simdutf8::basic::from_utf8(&block[..end])?;
        let mut from = 0;
        for at in memchr::memchr_iter(b'\n', text.as_bytes()).chain((count == 0).then_some(end)) {
            if from < at {
                parse(&text[from..at])?;
                lines += 1;
            }
            from = at + 1;
        }
        block.copy_within(end..read, 0);
        kept = read - end;
    }
}

/// A value of which each part was visited; nothing is kept but how many there were.
struct Walked(u64);

impl<'de> Deserialize<'de> for Walked {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Walk)
    }
}

struct Walk;

impl<'de> Visitor<'de> for Walk {
    type Value = Walked;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any value")
    }

    fn visit_unit<E>(self) -> Result<Walked, E> {
        Ok(Walked(1))
    }

    fn visit_bool<E>(self, _: bool) -> Result<Walked, E> {
        Ok(Walked(1))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Walked, E> {
        Ok(Walked(1))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Walked, E> {
        Ok(Walked(1))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Walked, E> {
        Ok(Walked(1))
    }

    fn visit_str<E>(self, text: &str) -> Result<Walked, E> {
        black_box(text);
        Ok(Walked(1))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<Walked, A::Error> {
        let mut count = 1;
        while let Some(Walked(more)) = values.next_element()? {
            count += more;
        }
        Ok(Walked(count))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Walked, A::Error> {
        let mut count = 1;
        while let Some((Walked(key), Walked(value))) = entries.next_entry()? {
            count += key + value;
        }
        Ok(Walked(count))
    }
}
