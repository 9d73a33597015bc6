//! Instants as Hive, Impala and older Spark write them, with every nanosecond: the rows of the crate have milliseconds.

use std::fs::File;

use minijinja::Value;
use parquet::column::reader::{ColumnReader, ColumnReaderImpl};
use parquet::data_type::{Int96, Int96Type};
use parquet::errors::{ParquetError, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};

use super::instant;

/// The Julian day of 1970-01-01.
const EPOCH: i128 = 2_440_588;

/// Nanoseconds of a day.
const DAY: i128 = 86_400_000_000_000;

/// How many are read at once.
const AT_ONCE: usize = 1_024;

/// The instants of one column that is no part of another, in step with the rows.
pub(super) struct Instants {
    reader: SerializedFileReader<File>,
    leaf: usize,
    /// The next group of rows.
    group: usize,
    column: Option<ColumnReaderImpl<Int96Type>>,
    /// Those that were read and not given yet, the last first; none where there is no value.
    open: Vec<Option<Int96>>,
}

impl Instants {
    pub(super) fn new(file: File, leaf: usize) -> Result<Self> {
        Ok(Self { reader: SerializedFileReader::new(file)?, leaf, group: 0, column: None, open: Vec::new() })
    }

    /// That of the next row; the inner error is of this one alone.
    pub(super) fn next(&mut self) -> Result<std::result::Result<Value, String>> {
        while self.open.is_empty() {
            self.fill()?;
        }
        Ok(match self.open.pop().flatten() {
            None => Ok(Value::from(())),
            Some(value) => {
                let [low, high, day] = [0, 1, 2].map(|at| i128::from(value.data()[at]));
                instant((day - EPOCH) * DAY + (high << 32 | low), true)
            }
        })
    }

    fn fill(&mut self) -> Result<()> {
        let column = match &mut self.column {
            Some(column) => column,
            none => {
                if self.group >= self.reader.num_row_groups() {
                    return Err(ParquetError::General("a column has fewer values than there are rows".to_owned()));
                }
                let group = self.reader.get_row_group(self.group)?;
                self.group += 1;
                let ColumnReader::Int96ColumnReader(column) = group.get_column_reader(self.leaf)? else {
                    return Err(ParquetError::General("a column is not of the type that the schema says".to_owned()));
                };
                none.insert(column)
            }
        };
        let (mut values, mut levels) = (Vec::new(), Vec::new());
        let (rows, ..) = column.read_records(AT_ONCE, Some(&mut levels), None, &mut values)?;
        if rows == 0 {
            self.column = None;
            return Ok(());
        }
        let mut values = values.into_iter();
        // A column that may not lack a value has no levels.
        let is_there = |row: usize| levels.get(row).is_none_or(|level| *level > 0);
        self.open = (0..rows).map(|row| if is_there(row) { values.next() } else { None }).collect();
        self.open.reverse();
        Ok(())
    }
}
