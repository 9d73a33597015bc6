//! Rows of Parquet, whose values keep their types. A row is in memory at a time, beside a page of each column.

mod column;
mod decimal;
mod int96;

use std::fs::File;
use std::io::{self, Seek};
use std::path::Path;

use minijinja::{Error, ErrorKind, Value};
use parquet::basic::Compression;
use parquet::errors::ParquetError;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::reader::RowIter;

use self::column::Column;
use self::int96::Instants;
use super::{Fault, Row, no_name_twice, row_value};
use crate::exit::CliError;
use crate::guard;
use crate::input;
use crate::spool::{NotCopied, copy_all};

/// What a file of Parquet begins and ends with.
const MAGIC: &[u8] = b"PAR1";

/// The rows of a file.
pub(crate) struct Parquet {
    rows: RowIter<'static>,
    names: Vec<String>,
    columns: Vec<Column>,
    /// Of each column whether its instants are read beside the rows, and those.
    instants: Vec<Option<Instants>>,
    number: u64,
}

impl Parquet {
    /// Opens a file, or stdin, which is kept in a temporary file meanwhile: what a file of Parquet holds is said at its end.
    ///
    /// # Errors
    /// As [`Rows::open`](super::Rows::open).
    pub(super) fn open(path: &Path) -> Result<Result<Self, Fault>, CliError> {
        let file = if input::is_dash(path) {
            let mut file = tempfile::tempfile().map_err(|error| input::temporary(error, &std::env::temp_dir()))?;
            copy_all(&mut io::stdin().lock(), &mut file).map_err(|error| match error {
                NotCopied::Read(error) => input::cannot_read(path, &error),
                NotCopied::Write(error) => input::temporary(error, &std::env::temp_dir()),
            })?;
            file.rewind().map_err(|error| input::temporary(error, &std::env::temp_dir()))?;
            file
        } else {
            drop(input::open_as_is(path)?);
            File::open(path).map_err(|error| input::cannot_read(path, &error))?
        };
        Ok(guarded(|| Self::read(file)).and_then(|read| read))
    }

    fn read(file: File) -> Result<Self, Fault> {
        let other = || file.try_clone().map_err(Fault::Io);
        let mut start = Vec::new();
        io::Read::read_to_end(&mut io::Read::take(&mut other()?, MAGIC.len() as u64), &mut start).map_err(Fault::Io)?;
        if start != MAGIC {
            return Err(Fault::Text("the file is no Parquet: it does not begin with PAR1".to_owned()));
        }
        let reader = SerializedFileReader::new(other()?).map_err(fault)?;
        let chunks = reader.metadata().row_groups().iter().flat_map(|group| group.columns());
        let mut others = chunks.filter(|chunk| !is_read(chunk.compression()));
        if let Some(chunk) = others.next() {
            let (column, how) = (chunk.column_path().string(), format!("{:?}", chunk.compression()));
            let how = how.split('(').next().unwrap_or_default();
            return Err(Fault::Text(format!(
                "column {column:?} is compressed with {how}, which is not read here; write the file with zstd, snappy, gzip or lz4"
            )));
        }
        let fields = reader.metadata().file_metadata().schema().get_fields().to_vec();
        let names: Vec<String> = fields.iter().map(|field| field.name().to_owned()).collect();
        no_name_twice(&names).map_err(Fault::Text)?;
        let columns = fields.iter().map(|field| Column::of(field, true).map_err(|why| of_column(field.name(), &why)));
        let columns: Vec<Column> = columns.collect::<Result<_, _>>().map_err(Fault::Text)?;
        let mut leaf = 0;
        let mut instants = Vec::new();
        for (column, field) in columns.iter().zip(&fields) {
            instants.push(match column {
                Column::Int96 => Some(Instants::new(other()?, leaf).map_err(fault)?),
                _ => None,
            });
            leaf += column::leaves(field);
        }
        Ok(Self { rows: RowIter::from_file_into(Box::new(reader)), names, columns, instants, number: 0 })
    }

    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The next row, or `None` after the last one.
    pub(super) fn next(&mut self) -> Result<Option<Row>, Fault> {
        let Some(row) = guarded(|| self.rows.next())? else { return Ok(None) };
        self.number += 1;
        let number = self.number;
        let row =
            row.map_err(|error| Fault::Text(format!("row {number} cannot be read: {}", crate::out::short(error))))?;
        let mut pairs = Vec::with_capacity(self.names.len());
        for (((name, column), instants), (_, field)) in
            self.names.iter().zip(&self.columns).zip(&mut self.instants).zip(row.get_column_iter())
        {
            let value = match instants {
                // All of them are taken, since they come in step with the rows.
                Some(instants) => guarded(|| instants.next())?.map_err(fault)?,
                None => column.value(field),
            };
            // Only whoever asks for such a value is told: beside a text may be a picture.
            let none = |why: String| Value::from(Error::new(ErrorKind::InvalidOperation, of_column(name, &why)));
            pairs.push((name.clone(), value.unwrap_or_else(none)));
        }
        row_value(pairs).map(|fields| Some(Row { number, line: None, fields })).map_err(|message| Fault::Row {
            number,
            line: None,
            message,
            kind: None,
        })
    }
}

/// Whether columns that are compressed so are read: what else there is would be more to build for few files.
const fn is_read(compression: Compression) -> bool {
    use Compression::{GZIP, LZ4, LZ4_RAW, SNAPPY, UNCOMPRESSED, ZSTD};
    matches!(compression, UNCOMPRESSED | SNAPPY | GZIP(_) | LZ4 | LZ4_RAW | ZSTD(_))
}

/// Does this, where the crate may not be ready for a file that is damaged, and panics.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, Fault> {
    guard::guarded(work)
        .ok_or_else(|| Fault::Text("the Parquet file cannot be read: it is damaged, or breaks the rules".to_owned()))
}

fn of_column(name: &str, why: &str) -> String {
    format!("column {name:?}: {why}")
}

fn fault(error: ParquetError) -> Fault {
    match error {
        ParquetError::External(error) => match error.downcast::<io::Error>() {
            Ok(error) => Fault::Io(*error),
            Err(error) => Fault::Text(format!("the Parquet file cannot be read: {}", crate::out::short(error))),
        },
        error => Fault::Text(format!("the Parquet file cannot be read: {}", crate::out::short(error))),
    }
}

/// An instant, or a time without a zone, of so many nanoseconds since 1970.
fn instant(nanoseconds: i128, is_utc: bool) -> Result<Value, String> {
    let timestamp = jiff::Timestamp::from_nanosecond(nanoseconds)
        .map_err(|_| "an instant is before the year -9999 or after 9999, which cannot be written".to_owned())?;
    Ok(Value::from(match is_utc {
        true => timestamp.to_string(),
        false => jiff::tz::Offset::UTC.to_datetime(timestamp).to_string(),
    }))
}
