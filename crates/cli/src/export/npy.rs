//! Vectors as a matrix of numpy, with its rows named in a file beside it.

use std::io::{self, Write};

use lote::Outcome;
use serde_json::json;

use super::answer::Answer;

/// How large a matrix has to be.
#[derive(Default)]
pub(crate) struct Shape {
    rows: u64,
    /// How many numbers each vector has, and whose that was.
    columns: Option<(usize, String)>,
}

impl Shape {
    /// # Errors
    /// When a vector is of another length than those before, and when there is an answer without one.
    pub(crate) fn add(&mut self, outcome: &Outcome, answer: &Answer) -> Result<(), String> {
        if outcome.is_succeeded() && answer.vectors.is_empty() {
            return Err(format!(
                "{:?}: its answer holds no embedding; name a .csv or .jsonl file",
                outcome.custom_id()
            ));
        }
        for vector in &answer.vectors {
            let id = || outcome.custom_id().to_owned();
            let (columns, first) = self.columns.get_or_insert_with(|| (vector.len(), id()));
            if *columns != vector.len() {
                let (here, there) = (vector.len(), *columns);
                return Err(format!(
                    "{:?}: its embedding has {here} numbers, and that of {first:?} has {there}: they are no matrix",
                    id()
                ));
            }
        }
        // One also when there is no vector.
        self.rows += (answer.vectors.len() as u64).max(1);
        Ok(())
    }

    /// Its rows and columns.
    pub(crate) fn size(&self) -> (u64, usize) {
        (self.rows, self.columns.as_ref().map_or(0, |(columns, _)| *columns))
    }
}

/// A matrix that is written row by row.
pub(crate) struct Matrix<M: Write, N: Write> {
    to: M,
    names: N,
    columns: usize,
    row: u64,
}

impl<M: Write, N: Write> Matrix<M, N> {
    pub(crate) fn begin(mut to: M, names: N, shape: &Shape) -> io::Result<Self> {
        let (rows, columns) = shape.size();
        to.write_all(&header(rows, columns))?;
        Ok(Self { to, names, columns, row: 0 })
    }

    /// Writes the vectors of a line, or one of no numbers.
    pub(crate) fn line(&mut self, outcome: &Outcome, answer: &Answer) -> io::Result<()> {
        let nothing = vec![f32::NAN; self.columns];
        let vectors = if answer.vectors.is_empty() { std::slice::from_ref(&nothing) } else { &answer.vectors };
        for (input, vector) in vectors.iter().enumerate() {
            for number in vector {
                self.to.write_all(&number.to_le_bytes())?;
            }
            let (id, outcome) = (outcome.custom_id(), outcome.kind().to_string());
            let line = json!({"row": self.row, "custom_id": id, "input": input, "outcome": outcome});
            writeln!(self.names, "{line}")?;
            self.row += 1;
        }
        Ok(())
    }

    /// Gives back what was written to.
    pub(crate) fn finish(self) -> (M, N) {
        (self.to, self.names)
    }
}

/// What a file of numpy begins with, in version 1.0 of its format.
fn header(rows: u64, columns: usize) -> Vec<u8> {
    let mut text = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({rows}, {columns}), }}");
    // The numbers begin at a multiple of 64 bytes; the text ends with the end of a line.
    let length = (10 + text.len() + 1).next_multiple_of(64) - 10;
    text.push_str(&" ".repeat(length - text.len() - 1));
    text.push('\n');
    // At most twice twenty digits are in it.
    let length = u16::try_from(length).unwrap_or(u16::MAX);
    [b"\x93NUMPY\x01\x00".as_slice(), &length.to_le_bytes(), text.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_as_numpy_wants_it() {
        for (rows, columns) in [(0, 0), (1, 3), (u64::MAX, usize::MAX)] {
            let header = header(rows, columns);
            assert_eq!(header.len() % 64, 0);
            assert_eq!(usize::from(u16::from_le_bytes([header[8], header[9]])), header.len() - 10);
            let text = std::str::from_utf8(&header[10..]).unwrap();
            assert!(text.ends_with('\n') && text.contains(&format!("'shape': ({rows}, {columns})")), "{text}");
        }
    }
}
