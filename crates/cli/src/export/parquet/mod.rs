//! Tables as Parquet: columns with types, compressed, in groups of rows of which one is in memory.

mod column;
pub(crate) mod kind;

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::{ColumnPath, Type, TypePtr};

use self::column::Column;
use self::kind::Kind;
use super::cell::Cell;

/// How many rows a group has at the most: about what DuckDB takes at once.
const MOST_ROWS: usize = 122_880;

/// How many bytes of cells a group has, and not more than one row beyond.
const MOST_BYTES: usize = 16 << 20;

/// A table that is written row by row.
pub(crate) struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    names: Vec<String>,
    columns: Vec<Column>,
    /// Of the group that is in memory.
    rows: usize,
    /// Of all before it.
    written: u64,
}

impl<W: Write + Send> Table<W> {
    /// With these columns.
    pub(crate) fn begin(to: W, names: Vec<String>, kinds: &[Kind]) -> io::Result<Self> {
        // No index of pages: what is kept of the groups until the end of the file is small.
        let mut properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true);
        for (name, kind) in names.iter().zip(kinds) {
            if let Some(path) = numbers_of(name, *kind) {
                // Hardly a number is twice in vectors.
                properties = properties.set_column_dictionary_enabled(path, false);
            }
        }
        let schema = schema(&names, kinds).map_err(as_io)?;
        let writer = SerializedFileWriter::new(to, schema, Arc::new(properties.build())).map_err(as_io)?;
        let columns = kinds.iter().copied().map(Column::new).collect();
        Ok(Self { writer, names, columns, rows: 0, written: 0 })
    }

    /// Writes a row, of as many cells as there are columns.
    pub(crate) fn row(&mut self, cells: &[Cell]) -> io::Result<()> {
        let mut bytes = 0;
        for ((column, name), cell) in self.columns.iter_mut().zip(&self.names).zip(cells) {
            column.push(cell).ok_or_else(|| {
                let row = self.written + self.rows as u64 + 1;
                io::Error::other(format!(
                    "row {row}, column {name:?}: it is of another type than before; the results, or the rows, were changed \
                     while they were read"
                ))
            })?;
            bytes += column.bytes();
        }
        self.rows += 1;
        if self.rows == MOST_ROWS || bytes >= MOST_BYTES { self.group() } else { Ok(()) }
    }

    /// Gives back what was written to.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        if self.rows > 0 {
            self.group()?;
        }
        self.writer.into_inner().map_err(as_io)
    }

    /// Writes the rows that are in memory.
    fn group(&mut self) -> io::Result<()> {
        let mut write = || {
            let mut group = self.writer.next_row_group()?;
            for column in &mut self.columns {
                // There are as many as the schema has.
                let Some(mut to) = group.next_column()? else { break };
                column.write(&mut to)?;
                to.close()?;
            }
            group.close().map(drop)
        };
        write().map_err(as_io)?;
        self.written += self.rows as u64;
        self.rows = 0;
        Ok(())
    }
}

fn schema(names: &[String], kinds: &[Kind]) -> Result<TypePtr, ParquetError> {
    let fields = names.iter().zip(kinds).map(|(name, kind)| field(name, *kind)).collect::<Result<_, _>>()?;
    Type::group_type_builder("lote").with_fields(fields).build().map(Arc::new)
}

fn field(name: &str, kind: Kind) -> Result<TypePtr, ParquetError> {
    let (physical, logical) = match kind {
        Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
        Kind::Integer => (Physical::INT64, None),
        Kind::Float => (Physical::DOUBLE, None),
        Kind::Truth => (Physical::BOOLEAN, None),
        Kind::Instant => (Physical::INT64, Some(LogicalType::timestamp(true, TimeUnit::MICROS))),
        Kind::Vector => return list(name, Repetition::OPTIONAL, single()?),
        Kind::Vectors => return list(name, Repetition::OPTIONAL, list("element", Repetition::REQUIRED, single()?)?),
    };
    let field = Type::primitive_type_builder(name, physical).with_repetition(Repetition::OPTIONAL);
    field.with_logical_type(logical).build().map(Arc::new)
}

/// A list, in the three levels in which all readers know it.
fn list(name: &str, repetition: Repetition, element: TypePtr) -> Result<TypePtr, ParquetError> {
    let repeated = Type::group_type_builder("list").with_repetition(Repetition::REPEATED).with_fields(vec![element]);
    let list = Type::group_type_builder(name).with_repetition(repetition).with_logical_type(Some(LogicalType::List));
    list.with_fields(vec![Arc::new(repeated.build()?)]).build().map(Arc::new)
}

fn single() -> Result<TypePtr, ParquetError> {
    let single = Type::primitive_type_builder("element", Physical::FLOAT).with_repetition(Repetition::REQUIRED);
    single.build().map(Arc::new)
}

/// Where the numbers of a column of vectors are.
fn numbers_of(name: &str, kind: Kind) -> Option<ColumnPath> {
    let depth = match kind {
        Kind::Vector => 1,
        Kind::Vectors => 2,
        _ => return None,
    };
    let below = ["list", "element"].repeat(depth);
    Some(ColumnPath::new(std::iter::once(name).chain(below).map(str::to_owned).collect()))
}

/// The error of what is written to, where it is one.
fn as_io(error: ParquetError) -> io::Error {
    match error {
        ParquetError::External(error) => match error.downcast() {
            Ok(error) => *error,
            Err(error) => io::Error::other(error),
        },
        error => io::Error::other(error),
    }
}

#[cfg(test)]
mod tests {
    use parquet::file::reader::{FileReader, SerializedFileReader};
    use parquet::record::Field;

    use super::*;

    fn shown(field: &Field) -> String {
        match field {
            Field::ListInternal(list) => {
                format!("[{}]", list.elements().iter().map(shown).collect::<Vec<_>>().join(", "))
            }
            field => field.to_string(),
        }
    }

    fn vectors(vectors: &[&[f32]]) -> Cell {
        Cell::Vectors(vectors.iter().map(|vector| vector.to_vec()).collect())
    }

    fn begin(file: &std::fs::File, kinds: &[Kind]) -> Table<std::fs::File> {
        let names = kinds.iter().enumerate().map(|(at, _)| at.to_string()).collect();
        Table::begin(file.try_clone().unwrap(), names, kinds).unwrap()
    }

    #[test]
    fn lists_are_nested_as_they_were_in_every_group() {
        let file = tempfile::tempfile().unwrap();
        let mut table = begin(&file, &[Kind::Vector, Kind::Vectors]);
        table.row(&[vectors(&[&[1.0, 2.0]]), vectors(&[&[1.0], &[], &[2.0, 3.0]])]).unwrap();
        table.row(&[Cell::Empty, Cell::Empty]).unwrap();
        table.group().unwrap();
        table.row(&[vectors(&[&[]]), vectors(&[&[]])]).unwrap();
        table.row(&[vectors(&[&[4.0]]), vectors(&[&[], &[5.0]])]).unwrap();
        table.finish().unwrap();
        let reader = SerializedFileReader::new(file).unwrap();
        let rows = reader.get_row_iter(None).unwrap();
        let rows: Vec<Vec<String>> =
            rows.map(|row| row.unwrap().get_column_iter().map(|(_, field)| shown(field)).collect()).collect();
        let expected =
            [["[1.0, 2.0]", "[[1.0], [], [2.0, 3.0]]"], ["null", "null"], ["[]", "[[]]"], ["[4.0]", "[[], [5.0]]"]];
        assert_eq!(rows, expected);
    }

    #[test]
    fn a_cell_of_another_type_is_told_with_its_place() {
        let text = || Cell::Text("x".to_owned());
        for (kind, cell) in [
            (Kind::Vector, vectors(&[&[1.0], &[2.0]])),
            (Kind::Vectors, text()),
            (Kind::Integer, Cell::Plain("1.5".to_owned())),
            (Kind::Float, Cell::Plain("true".to_owned())),
            (Kind::Truth, Cell::Plain("1".to_owned())),
            (Kind::Instant, text()),
        ] {
            let file = tempfile::tempfile().unwrap();
            let mut table = begin(&file, &[Kind::Text, kind]);
            table.row(&[text(), Cell::Empty]).unwrap();
            let error = table.row(&[text(), cell]).unwrap_err().to_string();
            assert!(error.starts_with("row 2, column \"1\": it is of another type than before"), "{error}");
        }
    }
}
