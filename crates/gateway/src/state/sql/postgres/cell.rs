//! Cells as PostgreSQL writes them, by the type of the column or the parameter.

use std::error::Error;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use crate::state::sql::Cell;

type Wrong = Box<dyn Error + Sync + Send>;

impl ToSql for Cell {
    fn to_sql(&self, kind: &Type, out: &mut BytesMut) -> Result<IsNull, Wrong> {
        match self {
            Cell::Null => Ok(IsNull::Yes),
            Cell::Int(value) => match *kind {
                Type::INT8 => value.to_sql(kind, out),
                Type::INT4 => i32::try_from(*value)?.to_sql(kind, out),
                Type::INT2 => i16::try_from(*value)?.to_sql(kind, out),
                Type::BOOL => (*value != 0).to_sql(kind, out),
                _ => Err(wrong("a number", kind)),
            },
            Cell::Text(value) => match *kind {
                Type::TEXT | Type::VARCHAR | Type::UNKNOWN => without_nul(value).to_sql(kind, out),
                _ => Err(wrong("a text", kind)),
            },
            Cell::Bytes(value) if *kind == Type::BYTEA => value.to_sql(kind, out),
            Cell::Bytes(_) => Err(wrong("bytes", kind)),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// PostgreSQL has no text with a NUL in it, and refuses one. We keep none either, so such a text can only be asked for,
/// in an id of a path: changed, it is not found, as it should be.
fn without_nul(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

fn wrong(what: &str, kind: &Type) -> Wrong {
    format!("{what} is not {kind}").into()
}

impl<'a> FromSql<'a> for Cell {
    fn from_sql(kind: &Type, raw: &'a [u8]) -> Result<Cell, Wrong> {
        Ok(match *kind {
            Type::INT8 => Cell::Int(i64::from_sql(kind, raw)?),
            Type::INT4 => Cell::Int(i32::from_sql(kind, raw)?.into()),
            Type::INT2 => Cell::Int(i16::from_sql(kind, raw)?.into()),
            Type::BOOL => Cell::Int(bool::from_sql(kind, raw)?.into()),
            Type::NUMERIC => Cell::Int(whole(raw)?),
            Type::BYTEA => Cell::Bytes(raw.to_vec()),
            _ => Cell::Text(String::from_sql(kind, raw)?),
        })
    }

    fn from_sql_null(_: &Type) -> Result<Cell, Wrong> {
        Ok(Cell::Null)
    }

    fn accepts(kind: &Type) -> bool {
        matches!(
            *kind,
            Type::INT8
                | Type::INT4
                | Type::INT2
                | Type::BOOL
                | Type::NUMERIC
                | Type::BYTEA
                | Type::TEXT
                | Type::VARCHAR
        )
    }
}

/// A whole number from a NUMERIC, which is what a sum of BIGINT is: four numbers of 16 bits (how many digits to the base
/// 10,000, the power of the first one, the sign, how many decimals are shown), then the digits.
fn whole(raw: &[u8]) -> Result<i64, Wrong> {
    let mut shorts = raw.chunks_exact(2).filter_map(|pair| Some(i16::from_be_bytes(pair.try_into().ok()?)));
    let mut head = || shorts.next().ok_or("a number is cut");
    let (digits, power, sign, _shown) = (head()?, head()?, head()?, head()?);
    if !matches!(sign, 0 | 0x4000) {
        return Err("it is no number".into());
    }
    let mut sum: i128 = 0;
    for place in 0..=power.max(-1) {
        let digit = if place < digits { shorts.next().ok_or("a number is cut")? } else { 0 };
        sum = sum.checked_mul(10_000).and_then(|sum| sum.checked_add(digit.into())).ok_or("a number is too great")?;
    }
    if digits > power + 1 {
        return Err("a number is not whole".into());
    }
    Ok(i64::try_from(if sign == 0 { sum } else { -sum })?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numeric(head: [i16; 4], digits: &[i16]) -> Vec<u8> {
        head.iter().chain(digits).flat_map(|short| short.to_be_bytes()).collect()
    }

    #[test]
    fn sums_are_whole_numbers() {
        for (head, digits, want) in [
            ([0, 0, 0, 0], &[][..], Some(0)),
            ([1, 0, 0, 0], &[7], Some(7)),
            ([1, 1, 0, 0], &[3], Some(30_000)),
            ([2, 1, 0x4000, 0], &[1, 2345], Some(-12_345)),
            ([5, 4, 0, 0], &[922, 3372, 368, 5477, 5807], Some(i64::MAX)),
            ([5, 4, 0, 0], &[922, 3372, 368, 5477, 5808], None),
            ([1, -1, 0, 1], &[5000], None),
            ([2, 0, 0, 1], &[1, 5000], None),
            ([0, 0, -0x4000, 0], &[], None),
            ([1, i16::MAX - 1, 0, 0], &[1], None),
            ([2, 1, 0, 0], &[1], None),
        ] {
            assert_eq!(whole(&numeric(head, digits)).ok(), want, "{head:?} {digits:?}");
        }
    }

    #[test]
    fn a_number_that_does_not_fit_is_refused() {
        let mut out = BytesMut::new();
        assert!(Cell::Int(1 << 40).to_sql(&Type::INT4, &mut out).is_err());
        assert!(Cell::Int(1).to_sql(&Type::TEXT, &mut out).is_err());
        assert!(Cell::Text(String::new()).to_sql(&Type::BYTEA, &mut out).is_err());
        assert!(out.is_empty());
    }
}
