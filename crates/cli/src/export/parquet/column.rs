//! The cells of one column, kept until the rows of a group are written.

use std::mem::size_of;

use parquet::data_type::{BoolType, ByteArray, ByteArrayType, DoubleType, FloatType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::writer::SerializedColumnWriter;

use super::kind::{Kind, Number, instant, number};
use crate::export::cell::Cell;

/// How many texts are handed over at once: each is copied for it.
const AT_ONCE: usize = 256;

/// One column of the rows that were not written yet.
pub(super) struct Column {
    kind: Kind,
    /// How much of what is nested is there, for each value and each that is lacking.
    definitions: Vec<i16>,
    /// Which list goes on with it, for a column of lists.
    repetitions: Vec<i16>,
    values: Values,
}

enum Values {
    Texts { bytes: Vec<u8>, ends: Vec<usize> },
    Integers(Vec<i64>),
    Floats(Vec<f64>),
    Truths(Vec<bool>),
    Singles(Vec<f32>),
}

impl Column {
    pub(super) fn new(kind: Kind) -> Self {
        let values = match kind {
            Kind::Text => Values::Texts { bytes: Vec::new(), ends: Vec::new() },
            Kind::Integer | Kind::Instant => Values::Integers(Vec::new()),
            Kind::Float => Values::Floats(Vec::new()),
            Kind::Truth => Values::Truths(Vec::new()),
            Kind::Vector | Kind::Vectors => Values::Singles(Vec::new()),
        };
        Self { kind, definitions: Vec::new(), repetitions: Vec::new(), values }
    }

    /// Keeps a cell. None when it is not of the type of the column: what the type was made of has changed.
    pub(super) fn push(&mut self, cell: &Cell) -> Option<()> {
        if matches!(cell, Cell::Empty) {
            self.definitions.push(0);
            if matches!(self.kind, Kind::Vector | Kind::Vectors) {
                self.repetitions.push(0);
            }
            return Some(());
        }
        match (&mut self.values, self.kind) {
            (Values::Texts { bytes, ends }, _) => {
                match cell {
                    Cell::Text(text) | Cell::Own(text) | Cell::Plain(text) | Cell::Json(text) => {
                        bytes.extend_from_slice(text.as_bytes());
                    }
                    Cell::Empty | Cell::Vectors(_) => bytes.extend_from_slice(cell.json().as_bytes()),
                }
                ends.push(bytes.len());
            }
            (Values::Integers(integers), Kind::Instant) => integers.push(match cell {
                Cell::Text(text) => instant(text)?,
                _ => return None,
            }),
            (Values::Integers(integers), _) => integers.push(match numeric(cell)? {
                Number::Integer(number) => number,
                _ => return None,
            }),
            (Values::Floats(floats), _) => floats.push(match numeric(cell)? {
                Number::Float(number) => number,
                // Exact: a column with integers beyond 2^53 is none of floats.
                Number::Integer(number) => number as f64,
                Number::Truth(_) => return None,
            }),
            (Values::Truths(truths), _) => truths.push(match numeric(cell)? {
                Number::Truth(truth) => truth,
                _ => return None,
            }),
            (Values::Singles(_), kind) => {
                let Cell::Vectors(vectors) = cell else { return None };
                if kind == Kind::Vector {
                    let [vector] = vectors.as_slice() else { return None };
                    self.list(vector, 1, 0);
                } else {
                    for (at, vector) in vectors.iter().enumerate() {
                        self.list(vector, 2, i16::from(at > 0));
                    }
                }
                return Some(());
            }
        }
        self.definitions.push(1);
        Some(())
    }

    /// Keeps a list that is nested so deep: its first number goes on with the list of `from`, none when that is 0.
    fn list(&mut self, vector: &[f32], depth: i16, from: i16) {
        let Values::Singles(singles) = &mut self.values else { return };
        if vector.is_empty() {
            // The list is there, and nothing in it.
            self.definitions.push(depth);
            self.repetitions.push(from);
        }
        for (at, number) in vector.iter().enumerate() {
            singles.push(*number);
            self.definitions.push(depth + 1);
            self.repetitions.push(if at == 0 { from } else { depth });
        }
    }

    /// About how many bytes are kept.
    pub(super) fn bytes(&self) -> usize {
        let values = match &self.values {
            Values::Texts { bytes, ends } => bytes.len() + ends.len() * size_of::<usize>(),
            Values::Integers(integers) => integers.len() * size_of::<i64>(),
            Values::Floats(floats) => floats.len() * size_of::<f64>(),
            Values::Truths(truths) => truths.len(),
            Values::Singles(singles) => singles.len() * size_of::<f32>(),
        };
        values + (self.definitions.len() + self.repetitions.len()) * size_of::<i16>()
    }

    /// Writes what is kept, and keeps it no longer.
    pub(super) fn write(&mut self, to: &mut SerializedColumnWriter<'_>) -> Result<(), ParquetError> {
        let definitions = Some(self.definitions.as_slice());
        match &mut self.values {
            Values::Texts { bytes, ends } => {
                let to = to.typed::<ByteArrayType>();
                let mut from = 0;
                let mut ends_left = ends.iter();
                for definitions in self.definitions.chunks(AT_ONCE) {
                    let count = definitions.iter().filter(|definition| **definition > 0).count();
                    let texts = ends_left.by_ref().take(count).map(|end| {
                        let text = ByteArray::from(&bytes[from..*end]);
                        from = *end;
                        text
                    });
                    to.write_batch(&texts.collect::<Vec<_>>(), Some(definitions), None)?;
                }
                bytes.clear();
                ends.clear();
            }
            Values::Integers(integers) => {
                to.typed::<Int64Type>().write_batch(integers, definitions, None)?;
                integers.clear();
            }
            Values::Floats(floats) => {
                to.typed::<DoubleType>().write_batch(floats, definitions, None)?;
                floats.clear();
            }
            Values::Truths(truths) => {
                to.typed::<BoolType>().write_batch(truths, definitions, None)?;
                truths.clear();
            }
            Values::Singles(singles) => {
                to.typed::<FloatType>().write_batch(singles, definitions, Some(&self.repetitions))?;
                singles.clear();
            }
        }
        self.definitions.clear();
        self.repetitions.clear();
        Ok(())
    }
}

fn numeric(cell: &Cell) -> Option<Number> {
    match cell {
        Cell::Plain(json) => number(json),
        _ => None,
    }
}
