//! The types of Parquet's columns: what the cells of a column have in common.

use jiff::Timestamp;

use crate::export::cell::Cell;

/// What a column holds; in each of its cells there may be nothing instead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Text,
    /// 64 bits, with a sign.
    Integer,
    /// 64 bits.
    Float,
    Truth,
    /// Microseconds, in UTC.
    Instant,
    /// A list of floats of 32 bits.
    Vector,
    /// A list of such lists.
    Vectors,
}

/// Beyond this, not every integer is a float.
const EXACT: u64 = 1 << 53;

/// What was seen in the cells of a column.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    truths: bool,
    integers: bool,
    /// Some of the integers are no floats.
    large: bool,
    floats: bool,
    instants: bool,
    vector: bool,
    vectors: bool,
    /// Texts, lists, objects, and numbers that are too large.
    others: bool,
}

impl Seen {
    pub(crate) fn add(&mut self, cell: &Cell) {
        match cell {
            Cell::Empty => {}
            Cell::Text(text) if instant(text).is_some() => self.instants = true,
            // The user's own texts stay as they are.
            Cell::Text(_) | Cell::Own(_) | Cell::Json(_) => self.others = true,
            Cell::Vectors(vectors) if vectors.len() == 1 => self.vector = true,
            Cell::Vectors(_) => self.vectors = true,
            Cell::Plain(json) => match number(json) {
                Some(Number::Truth(_)) => self.truths = true,
                Some(Number::Integer(number)) => {
                    self.integers = true;
                    self.large |= number.unsigned_abs() > EXACT;
                }
                Some(Number::Float(_)) => self.floats = true,
                None => self.others = true,
            },
        }
    }

    /// The type that loses nothing of what was seen, but digits of fractions beyond those of a float. `wanted` is that of a
    /// column of ours, which is the same in each table, unless something does not fit it.
    pub(crate) fn kind(self, wanted: Option<Kind>) -> Kind {
        let Self { truths, integers, large, floats, instants, vector, vectors, others } = self;
        let lists = vector || vectors;
        let found = match (truths, integers || floats, instants, lists) {
            _ if others => Kind::Text,
            (true, false, false, false) => Kind::Truth,
            (false, true, false, false) if floats && large => Kind::Text,
            (false, true, false, false) if floats => Kind::Float,
            (false, true, false, false) => Kind::Integer,
            (false, false, true, false) => Kind::Instant,
            (false, false, false, true) if vectors => Kind::Vectors,
            (false, false, false, true) => Kind::Vector,
            (false, false, false, false) => return wanted.unwrap_or(Kind::Text),
            _ => Kind::Text,
        };
        match (wanted, found) {
            (Some(Kind::Text), _) => Kind::Text,
            (Some(Kind::Float), Kind::Integer) if !large => Kind::Float,
            (_, found) => found,
        }
    }
}

/// A number or a truth value of JSON, as a type holds it.
pub(super) enum Number {
    Truth(bool),
    Integer(i64),
    Float(f64),
}

/// None when no type holds it.
pub(super) fn number(json: &str) -> Option<Number> {
    match json {
        "true" => Some(Number::Truth(true)),
        "false" => Some(Number::Truth(false)),
        _ if json.contains(['.', 'e', 'E']) => {
            json.parse().ok().filter(|number: &f64| number.is_finite()).map(Number::Float)
        }
        _ => json.parse().ok().map(Number::Integer),
    }
}

/// An instant as RFC 3339 writes it, with an offset and at most six digits of a second, in microseconds since 1970.
pub(super) fn instant(text: &str) -> Option<i64> {
    const SHAPE: &[u8] = b"dddd-dd-ddTdd:dd:dd";
    let is = |(byte, shape): (&u8, &u8)| if *shape == b'd' { byte.is_ascii_digit() } else { byte == shape };
    let (seconds, rest) = text.as_bytes().split_at_checked(SHAPE.len())?;
    if !seconds.iter().zip(SHAPE).all(is) || seconds.ends_with(b"60") {
        return None;
    }
    let rest = match rest.strip_prefix(b".") {
        None => rest,
        Some(fraction) => {
            let digits = fraction.iter().take_while(|byte| byte.is_ascii_digit()).count();
            fraction.get(digits..).filter(|_| (1..=6).contains(&digits))?
        }
    };
    let is_offset = |offset: &[u8]| matches!(offset, [b'+' | b'-', _, _, b':', _, _]);
    (rest == b"Z" || is_offset(rest)).then(|| text.parse::<Timestamp>().ok()).flatten().map(Timestamp::as_microsecond)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(cells: &[Cell], wanted: Option<Kind>) -> Kind {
        let mut seen = Seen::default();
        cells.iter().for_each(|cell| seen.add(cell));
        seen.kind(wanted)
    }

    fn plain(numbers: &[&str]) -> Vec<Cell> {
        numbers.iter().map(|number| Cell::Plain((*number).to_owned())).collect()
    }

    #[test]
    fn a_column_has_the_type_that_loses_nothing() {
        for (numbers, kind) in [
            (&["1", "-9223372036854775808"][..], Kind::Integer),
            (&["9223372036854775808"], Kind::Text),
            (&["1", "1.5", "1e3"], Kind::Float),
            (&["9007199254740992", "0.5"], Kind::Float),
            (&["9007199254740993", "0.5"], Kind::Text),
            (&["1e999"], Kind::Text),
            (&["true", "false"], Kind::Truth),
            (&["true", "1"], Kind::Text),
            (&[], Kind::Text),
        ] {
            let mut cells = plain(numbers);
            cells.push(Cell::Empty);
            assert_eq!(of(&cells, None), kind, "{numbers:?}");
        }
        let instant = || Cell::Text("2026-11-29T17:00:00+01:00".to_owned());
        assert_eq!(of(&[instant(), Cell::Empty], None), Kind::Instant);
        assert_eq!(of(&[instant(), Cell::Text("soon".to_owned())], None), Kind::Text);
        assert_eq!(of(&[Cell::Own("2026-11-29T17:00:00Z".to_owned())], None), Kind::Text);
        assert_eq!(of(&[instant(), Cell::Plain("1".to_owned())], None), Kind::Text);
        assert_eq!(of(&[Cell::Json("[1]".to_owned()), Cell::Plain("1".to_owned())], None), Kind::Text);
        let (one, two) = (Cell::Vectors(vec![vec![1.0]]), Cell::Vectors(vec![vec![1.0], vec![]]));
        assert_eq!(of(std::slice::from_ref(&one), None), Kind::Vector);
        assert_eq!(of(&[one.clone(), two], None), Kind::Vectors);
        assert_eq!(of(&[one, Cell::Text("x".to_owned())], None), Kind::Text);
    }

    #[test]
    fn a_column_of_ours_has_its_type_in_each_table() {
        assert_eq!(of(&[], Some(Kind::Integer)), Kind::Integer);
        assert_eq!(of(&plain(&["0", "0"]), Some(Kind::Float)), Kind::Float);
        assert_eq!(of(&plain(&["1", "0.5"]), Some(Kind::Float)), Kind::Float);
        assert_eq!(of(&plain(&["1"]), Some(Kind::Text)), Kind::Text);
        // What does not fit is not lost.
        assert_eq!(of(&plain(&["1", "18446744073709551615"]), Some(Kind::Integer)), Kind::Text);
        assert_eq!(of(&[Cell::Vectors(vec![vec![], vec![]])], Some(Kind::Vector)), Kind::Vectors);
    }

    #[test]
    fn instants_are_those_of_rfc_3339_with_an_offset() {
        assert_eq!(instant("1970-01-01T00:00:01.5Z"), Some(1_500_000));
        assert_eq!(instant("1970-01-01T01:00:00.000001+01:00"), Some(1));
        assert_eq!(instant("1969-12-31T23:59:59Z"), Some(-1_000_000));
        for text in [
            "2026-11-29",
            "2026-11-29T17:00:00",
            "2026-11-29 17:00:00Z",
            "2026-11-29T17:00Z",
            "2026-11-29T17:00:00.1234567Z",
            "2026-11-29T17:00:00.Z",
            "2026-11-29T17:00:60Z",
            "2026-02-30T17:00:00Z",
            "2026-11-29T25:00:00Z",
            "2026-11-29T17:00:00+1:00",
            "2026-11-29T17:00:00+01",
            "2026-11-29T17:00:00+ab:cd",
            "2026-11-29T17:00:00Z[Europe/Berlin]",
            "٢٠٢٦-11-29T17:00:00Z",
            "",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
