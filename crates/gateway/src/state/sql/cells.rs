//! Values on their way into statements, and out of rows.

use crate::state::StateError;
use crate::state::sql::{Cell, Row};

pub(super) fn text(text: &str) -> Cell {
    Cell::Text(text.to_owned())
}

pub(super) fn maybe_text(text: Option<&str>) -> Cell {
    text.map_or(Cell::Null, self::text)
}

pub(super) fn bytes(bytes: &[u8]) -> Cell {
    Cell::Bytes(bytes.to_vec())
}

pub(super) fn int(number: impl Into<i64>) -> Cell {
    Cell::Int(number.into())
}

pub(super) fn maybe_int(number: Option<impl Into<i64>>) -> Cell {
    number.map_or(Cell::Null, int)
}

/// A number that no database could hold becomes the largest that it can.
pub(super) fn count(number: u64) -> Cell {
    Cell::Int(signed(number))
}

pub(super) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The values of a row, from left to right.
pub(super) struct Fields(std::vec::IntoIter<Cell>);

impl From<Row> for Fields {
    fn from(row: Row) -> Fields {
        Fields(row.into_iter())
    }
}

impl Fields {
    fn next(&mut self) -> Result<Cell, StateError> {
        self.0.next().ok_or_else(|| corrupt("a row is too short"))
    }

    pub(super) fn maybe_int(&mut self) -> Result<Option<i64>, StateError> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Int(int) => Ok(Some(int)),
            _ => Err(corrupt("a number was expected")),
        }
    }

    pub(super) fn int(&mut self) -> Result<i64, StateError> {
        self.maybe_int()?.ok_or_else(|| corrupt("a number is missing"))
    }

    /// A number that fits, such as one below zero does not.
    pub(super) fn count<T: TryFrom<i64>>(&mut self) -> Result<T, StateError> {
        T::try_from(self.int()?).map_err(|_| corrupt("a number is out of bounds"))
    }

    pub(super) fn maybe_text(&mut self) -> Result<Option<String>, StateError> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Text(text) => Ok(Some(text)),
            _ => Err(corrupt("a text was expected")),
        }
    }

    pub(super) fn text(&mut self) -> Result<String, StateError> {
        self.maybe_text()?.ok_or_else(|| corrupt("a text is missing"))
    }

    pub(super) fn maybe_bytes(&mut self) -> Result<Option<Vec<u8>>, StateError> {
        match self.next()? {
            Cell::Null => Ok(None),
            Cell::Bytes(bytes) => Ok(Some(bytes)),
            _ => Err(corrupt("bytes were expected")),
        }
    }

    pub(super) fn bytes(&mut self) -> Result<Vec<u8>, StateError> {
        self.maybe_bytes()?.ok_or_else(|| corrupt("bytes are missing"))
    }

    /// A digest, as tenants and accounts are.
    pub(super) fn digest(&mut self) -> Result<[u8; 32], StateError> {
        self.bytes()?.try_into().map_err(|_| corrupt("a digest has 32 bytes"))
    }
}

pub(super) fn corrupt(what: &'static str) -> StateError {
    StateError::Corrupt(what.into())
}
