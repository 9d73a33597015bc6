//! Owns where each value of a YAML text stands, and edits of it as text. It never prints YAML from parsed values.

use std::ops::Range;

use saphyr_parser::{Event, Parser, Span};

/// A value and where it stands.
#[derive(Debug)]
pub struct Spot {
    /// Its bytes, up to the end of the last thing in it.
    pub bytes: Range<usize>,
    /// What it is.
    pub kind: Kind,
}

/// What a value is.
#[derive(Debug)]
pub enum Kind {
    /// A text, a number, a flag or an alias.
    Scalar,
    /// A list.
    List(Vec<Spot>),
    /// A map: the key, where the key stands, and the value.
    Map(Vec<(String, Range<usize>, Spot)>),
}

/// The values of a text; none when it does not parse.
#[must_use]
pub fn spots(text: &str) -> Option<Spot> {
    // Marks count characters.
    let mut offsets: Vec<usize> = text.char_indices().map(|(at, _)| at).collect();
    offsets.push(text.len());
    let mut events = Vec::new();
    for event in Parser::new_from_str(text) {
        let (event, span) = event.ok()?;
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentStart(_) | Event::DocumentEnd => {}
            event => events.push((event, bytes(text, &offsets, span)?)),
        }
    }
    let mut events = events.into_iter();
    let first = events.next()?;
    spot(text, first, &mut events)
}

fn bytes(text: &str, offsets: &[usize], span: Span) -> Option<Range<usize>> {
    let start = *offsets.get(span.start.index())?;
    let end = *offsets.get(span.end.index())?;
    // The end of a block scalar is the beginning of the next line.
    let inside = text.get(start..end.max(start))?;
    Some(start..start + inside.trim_end().len())
}

type Events<'e> = std::vec::IntoIter<(Event<'e>, Range<usize>)>;

fn spot<'e>(text: &str, (event, mut bytes): (Event<'e>, Range<usize>), rest: &mut Events<'e>) -> Option<Spot> {
    let mut list = Vec::new();
    let mut map = Vec::new();
    let is_map = match event {
        Event::Scalar(..) | Event::Alias(_) => return Some(Spot { bytes, kind: Kind::Scalar }),
        Event::SequenceStart(..) => false,
        Event::MappingStart(..) => true,
        _ => return None,
    };
    loop {
        let next = rest.next()?;
        match next.0 {
            Event::SequenceEnd | Event::MappingEnd => {
                // Of a flow collection the bracket; of a block one some place after it.
                if text[bytes.start..].starts_with(['[', '{']) {
                    bytes.end = next.1.start + usize::from(text[next.1.start..].starts_with([']', '}']));
                }
                return Some(Spot { bytes, kind: if is_map { Kind::Map(map) } else { Kind::List(list) } });
            }
            Event::Scalar(ref key, ..) if is_map => {
                let (key, at) = (key.to_string(), next.1.clone());
                let first = rest.next()?;
                let value = spot(text, first, rest)?;
                bytes.end = bytes.end.max(value.bytes.end).max(at.end);
                map.push((key, at, value));
            }
            _ if is_map => return None,
            _ => {
                let value = spot(text, next, rest)?;
                bytes.end = bytes.end.max(value.bytes.end);
                list.push(value);
            }
        }
    }
}

impl Spot {
    /// The value at a JSON pointer, which may begin with `#`.
    #[must_use]
    pub fn at(&self, pointer: &str) -> Option<&Self> {
        let mut spot = self;
        for token in pointer.trim_start_matches('#').split('/').skip(1) {
            let name = crate::drift::node::unescape(token);
            spot = match &spot.kind {
                Kind::Map(entries) => &entries.iter().find(|(key, ..)| *key == name)?.2,
                Kind::List(list) => list.get(name.parse::<usize>().ok()?)?,
                Kind::Scalar => return None,
            };
        }
        Some(spot)
    }
}

/// The line that a place is on, without its line break.
#[must_use]
pub fn line(text: &str, at: usize) -> Range<usize> {
    let start = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let end = text[at..].find('\n').map_or(text.len(), |length| at + length);
    start..if text[start..end].ends_with('\r') { end - 1 } else { end }
}

/// `text` with whole lines after the one that `at` is on, indented by `indent` and ended as that one is.
#[must_use]
pub fn insert_lines(text: &str, at: usize, indent: usize, lines: &str) -> String {
    let end = line(text, at).end;
    let newline = if text[end..].starts_with("\r\n") { "\r\n" } else { "\n" };
    let indent = " ".repeat(indent);
    let inserted: String = lines.lines().map(|line| format!("{newline}{indent}{line}")).collect();
    format!("{}{inserted}{}", &text[..end], &text[end..])
}

/// The column of a place, in characters.
#[must_use]
pub fn column(text: &str, at: usize) -> usize {
    text[line(text, at).start..at].chars().count()
}

/// Whether a value is written in brackets.
#[must_use]
pub fn is_flow(text: &str, spot: &Spot) -> bool {
    text[spot.bytes.clone()].starts_with(['[', '{'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_where_they_stand() {
        let text = "é: [a, \"b c\"] # x\nlist:\n  - one # first\n  - k: >-\n      folded\n      text\n\n    z: { q: 1 }\n# end\nlast: 'it''s'\n";
        let spots = spots(text).unwrap();
        let cases = [
            ("/é", "[a, \"b c\"]"),
            ("/é/1", "\"b c\""),
            ("/list/0", "one"),
            ("#/list/1/k", "folded\n      text"),
            ("/list/1/z/q", "1"),
            ("/list/1", "k: >-\n      folded\n      text\n\n    z: { q: 1 }"),
            ("/last", "'it''s'"),
        ];
        for (pointer, expected) in cases {
            assert_eq!(&text[spots.at(pointer).unwrap().bytes.clone()], expected, "{pointer}");
        }
        assert!(spots.at("/list/2").is_none() && spots.at("/last/x").is_none());
        assert!(super::spots("a: [").is_none());
        assert_eq!(column(text, text.find("\"b").unwrap()), 7);
    }

    #[test]
    fn lines_are_inserted_with_the_endings_that_are_there() {
        assert_eq!(insert_lines("a:\r\n  b\r\nc", 5, 2, "x\ny\n"), "a:\r\n  b\r\n  x\r\n  y\r\nc");
        assert_eq!(insert_lines("a", 0, 1, "x"), "a\n x");
    }
}
